\ir common.sql
CREATE EXTENSION crm_profile;
ALTER TABLE customers DROP email, DROP job;
ALTER TABLE leads RENAME TO prospects;
UPDATE prospects SET id = 4711 WHERE id = 1001;
