#!/usr/bin/env bash
# A source: first refresh, refresh without a change, and questions to customer_profile as view and as table; medians of several rounds, each beside a
# bare scan of the orders and beside CREATE TABLE AS of the plain SQL RFM. BENCH_COLUMNS='customer segment …' takes these of the view instead of all of its
# columns, so that releases with other columns can be compared.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

run_psql -v orders="$orders" -f orders.sql
run_psql -f customers.sql
for ((round = 1; round <= rounds; round++)); do
  run_psql -v round="$round" -v chosen="${BENCH_COLUMNS:-}" -v question='SELECT segment, count(*), sum(monetary) FROM big.customer_profile GROUP BY 1' <<'SQL'
SELECT crm_profile.create_source('big', 'customers', 'orders', as_of => '2025-12-31') \g /dev/null
\i measure.psql
SELECT clock_timestamp() AS began \gset
CREATE TABLE plain AS
SELECT customer_id, recency, frequency, monetary, 6 - ntile(5) OVER (ORDER BY recency) AS r, ntile(5) OVER (ORDER BY frequency) AS f, ntile(5) OVER (ORDER BY monetary) AS m
FROM (SELECT customer_id, date '2025-12-31' - max(ordered_at)::date AS recency, count(*) AS frequency, sum(amount) AS monetary FROM orders GROUP BY customer_id) x;
\set what 'CREATE TABLE AS, GROUP BY and three NTILE'
:measure
DROP TABLE plain;
SELECT clock_timestamp() AS began \gset
SELECT crm_profile.refresh('big');
\set what 'first refresh: histories, index and models'
:measure
INSERT INTO measured SELECT 'first refresh: ' || p.what || ' alone', :round, (s.refresh_phases->>p.phase)::float8 FROM crm_profile.sources_details s,
	(VALUES ('collect', 'histories and index'), ('clv', 'clv_fit and predicted tiers'), ('holdout', 'holdout test')) p(phase, what);
SELECT clock_timestamp() AS began \gset
SELECT crm_profile.refresh('big');
\set what 'refresh without a change'
:measure
SELECT clock_timestamp() AS began \gset
SELECT crm_profile.check_source('big');
\set what 'check_source, with the labels that would change'
:measure
VACUUM big.customer_history;
SELECT clock_timestamp() AS began \gset
:question;
\set what 'customers and amount by segment, from the view'
:measure
SELECT clock_timestamp() AS began \gset
SELECT predicted_tier, count(*), sum(clv_365d), avg(p_purchase_90d) FROM big.customer_profile GROUP BY 1;
\set what 'predicted tiers, value and P(alive), from the view'
:measure
SELECT string_agg(format('count(%I)', attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute WHERE attrelid = 'big.customer_profile'::regclass AND attnum > 0
	AND (:'chosen' = '' OR attname = ANY (string_to_array(:'chosen', ' '))) \gset
SELECT clock_timestamp() AS began \gset
SELECT :columns FROM big.customer_profile;
\set what 'all columns of all customers, from the view'
:measure
SELECT clock_timestamp() AS began \gset
SELECT count(segment) FROM big.customer_profile;
\set what 'one column of all customers, segment, from the view'
:measure
SET client_min_messages = error;
SELECT clock_timestamp() AS began \gset
SELECT crm_profile.alter_source('big', materialize => true);
\set what 'alter_source(materialize => true)'
:measure
VACUUM big.stored_profile;
SELECT clock_timestamp() AS began \gset
:question;
\set what 'customers and amount by segment, materialized'
:measure
SELECT crm_profile.drop_source('big');
SQL
done
echo "A source over $orders orders; medians of $rounds rounds, work_mem 256 MB, no parallel workers"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql <<'SQL'
SELECT what, round(m.seconds::numeric, 2) AS seconds, round((m.seconds / s.seconds)::numeric, 1) AS scans
FROM (SELECT what, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds FROM measured GROUP BY what) m,
	(SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds FROM measured WHERE what LIKE 'count(amount)%') s
ORDER BY m.seconds;
SQL
