-- crm_profile: customer profiles inside PostgreSQL
\echo Use "CREATE EXTENSION crm_profile" to load this file. \quit

COMMENT ON SCHEMA crm_profile IS 'customer profiles: purchase histories, RFM scores, segments';

-- functions and types are for everybody; what tables hold is guarded table by table
GRANT USAGE ON SCHEMA crm_profile TO PUBLIC;
