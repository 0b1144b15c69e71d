#!/usr/bin/env bash
# Cohorts, concentration, schemes and drift of a source of a tenth as many customers as orders; each within 5 s for a million customers.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }
run_psql -v orders="$orders" -f orders.sql
run_psql -f customers.sql
run_psql <<'SQL'
SET client_min_messages = error;
SELECT crm_profile.create_source('big', 'customers', 'orders', as_of => '2025-12-31', clv_model => 'mbg/nbd') \g /dev/null
SELECT crm_profile.refresh('big') \g /dev/null
VACUUM ANALYZE big.customer_history;
SQL
echo "| question | s |"
echo "|---|---|"
while read -r question; do
  seconds=$(run_psql -At <<SQL
SET client_min_messages = error;
SET work_mem = '256MB';
SELECT clock_timestamp() AS began \gset
SELECT count(*) FROM $question q \g /dev/null
SELECT round(extract(epoch FROM clock_timestamp() - :'began'), 2);
SQL
)
  echo "| \`$question\` | $seconds |"
done <<'QUESTIONS'
big.cohort_retention
big.cohort_value
big.new_and_returning
big.second_purchase
big.value_concentration
big.costly_customers
big.seasonal_buyers
crm_profile.returning_customer_rate('big')
crm_profile.evaluate_scheme('big', 'standard', '2024-12-31')
crm_profile.compare_schemes('big', '{standard}', '2024-12-31')
crm_profile.segment_drift('big', '2024-12-31', '2025-12-31')
crm_profile.segment_value_migration('big', '2024-12-31', '2025-12-31')
QUESTIONS
