#!/usr/bin/env bash
# Campaigns of a million customers: the views of a source, an audience drawn from all of them, and the plan of the next contacts; medians of several
# rounds. Limits: a view 5 s, an audience 2 s.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

run_psql -v orders="$orders" -f orders.sql
run_psql -f customers.sql
run_psql <<'SQL'
CREATE TABLE contact AS
SELECT customer_id, 'autumn' AS campaign, date '2025-10-01' AS contacted_at, (customer_id * 2654435761) % 10 > 0 AS treated FROM customers;
ALTER TABLE contact ALTER contacted_at SET NOT NULL, ADD PRIMARY KEY (customer_id, campaign), ADD FOREIGN KEY (customer_id) REFERENCES customers;
ANALYZE contact;
SELECT crm_profile.create_source('big', 'customers', 'orders', as_of => '2025-12-31', campaigns => 'contact', treated => 'treated', contact_cost => '0.4') \g /dev/null
SELECT crm_profile.refresh('big') \g /dev/null
VACUUM ANALYZE big.customer_history;
SQL
measure_all() {
  run_psql -v round="$1" -v kind="$2" <<'SQL'
\i measure.psql
SET work_mem = '64MB';
SELECT clock_timestamp() AS began \gset
TABLE big.campaign_result;
\set what 'campaign_result, ' :kind
:measure
SELECT clock_timestamp() AS began \gset
TABLE big.campaign_segment_result;
\set what 'campaign_segment_result, ' :kind
:measure
SELECT clock_timestamp() AS began \gset
TABLE big.campaign_gains;
\set what 'campaign_gains, ' :kind
:measure
SELECT clock_timestamp() AS began \gset
SELECT count(*) FROM crm_profile.select_audience('big');
\set what 'select_audience, ' :kind
:measure
SELECT clock_timestamp() AS began \gset
SELECT crm_profile.campaign_plan('big', 10000, 0.5, 0.3);
\set what 'campaign_plan, ' :kind
:measure
SQL
}
for ((round = 1; round <= rounds; round++)); do
  measure_all "$round" 'a fixed day'
done
run_psql -c "SELECT crm_profile.alter_source('big', reset => '{as_of}')" >/dev/null
for ((round = 1; round <= rounds; round++)); do
  measure_all "$round" today
done
run_psql -c "SELECT crm_profile.alter_source('big', as_of => '2025-12-31', materialize => true)" -c 'VACUUM ANALYZE big.stored_profile' >/dev/null
for ((round = 1; round <= rounds; round++)); do
  measure_all "$round" materialized
done
echo "Campaigns over $((orders / 10)) customers with $orders orders; medians of $rounds rounds, work_mem 64 MB, no parallel workers"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql -c 'SELECT what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 2) AS seconds FROM measured GROUP BY what ORDER BY what'
