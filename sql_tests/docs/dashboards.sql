\ir report.sql
-- every query of the dashboards runs
\o /dev/null
\ir ../../dashboards/panels.sql
\o
