CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;
