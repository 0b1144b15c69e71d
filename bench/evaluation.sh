#!/usr/bin/env bash
# Cohorts, concentration, schemes, drift, niches and payments of a source of a tenth as many customers as orders; each within 5 s for a million customers; due actions with payments within 2 s.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }
run_psql -v orders="$orders" -f orders.sql
run_psql -f customers.sql
run_psql <<'SQL'
SET client_min_messages = error;
CREATE TABLE people AS SELECT customer_id, (ARRAY['Ulm', 'Bonn', 'Kiel', 'Jena', 'Hof'])[1 + customer_id % 5] AS city, 'job ' || customer_id * 31 % 40 AS job, (customer_id * 7 % 60)::integer AS age, customer_id * 13 % 11 = 0 AS vip FROM customers;
ALTER TABLE people ADD PRIMARY KEY (customer_id);
-- three invoices a customer
CREATE TABLE invoice AS SELECT customer_id, ordered_at::date + 14 AS due_date, CASE WHEN order_id % 50 > 0 THEN ordered_at::date + 10 + (order_id * 2654435761 % 20)::integer END AS paid_on, amount FROM orders WHERE order_id % 10 < 3;
VACUUM (FREEZE, ANALYZE) people, invoice;
SELECT crm_profile.create_source('big', 'people', 'orders', as_of => '2025-12-31', clv_model => 'mbg/nbd', attributes => '{city,job,age,vip}', payments => 'invoice', payment_amount => 'amount') \g /dev/null
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
big.profitable_niches
big.payment_behaviour
big.due_actions
big.due_actions('2025-06-30')
crm_profile.returning_customer_rate('big')
crm_profile.evaluate_scheme('big', 'standard', '2024-12-31')
crm_profile.compare_schemes('big', '{standard}', '2024-12-31')
crm_profile.segment_drift('big', '2024-12-31', '2025-12-31')
crm_profile.segment_value_migration('big', '2024-12-31', '2025-12-31')
QUESTIONS
