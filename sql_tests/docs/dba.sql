\ir common.sql
CREATE EXTENSION crm_profile;
SELECT count(*) FROM crm_profile.create_source('shop', 'customers', 'orders') \g /dev/null
SELECT count(*) FROM crm_profile.refresh('shop') \g /dev/null
