\ir common.sql
SELECT 'CREATE ROLE analyst' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') \gexec
CREATE EXTENSION crm_profile;
