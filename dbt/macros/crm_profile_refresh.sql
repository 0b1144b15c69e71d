{#- Refreshes the source. As a hook, in dbt_project.yml: on-run-start: "{{ crm_profile.crm_profile_refresh() }}"; by hand: dbt run-operation refresh_source -#}
{% macro crm_profile_refresh(source=none) %}
SELECT orders, customers, customers_written, seconds FROM crm_profile.refresh('{{ (source or var('crm_profile_source')) | replace("'", "''") }}')
{% endmacro %}

{% macro refresh_source(source=none) %}
  {% do run_query(crm_profile.crm_profile_refresh(source) ~ '; COMMIT') %}
  {% do log('refreshed ' ~ (source or var('crm_profile_source')), info=true) %}
{% endmacro %}
