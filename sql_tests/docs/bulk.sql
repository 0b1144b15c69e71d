\ir common.sql
CREATE EXTENSION crm_profile;
