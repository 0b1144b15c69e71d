\ir common.sql
CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;
SET client_min_messages = error;
SELECT count(*) FROM create_source('shop', 'customers', 'orders', attributes => '{city,age,job}', as_of => '2025-12-31');
SELECT count(*) FROM refresh('shop');
