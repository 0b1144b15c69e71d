-- crm_profile: customer profiles inside PostgreSQL
\echo Use "CREATE EXTENSION crm_profile" to load this file. \quit

COMMENT ON SCHEMA crm_profile IS 'customer profiles: purchase histories, RFM scores, segments';

-- types and functions are for everybody, as with any type; what the tables hold is guarded where they are made
GRANT USAGE ON SCHEMA crm_profile TO PUBLIC;
