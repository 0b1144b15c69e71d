\ir common.sql
CREATE EXTENSION crm_profile;
SELECT count(*) FROM crm_profile.create_source('shop', customers => 'customers', orders => 'orders', as_of => '2025-12-31');
SELECT count(*) FROM crm_profile.refresh('shop');
