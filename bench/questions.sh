#!/usr/bin/env bash
# Questions to the views of a source of a million customers, each beside its limit: with the views computed, and materialized. One worker beside the
# leader (BENCH_WORKERS), and none. The best of several rounds, on the clock: the machine has to be idle.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
workers=${BENCH_WORKERS:-1}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

if [ -z "${BENCH_KEEP:-}" ]; then
  run_psql -v orders="$orders" -f orders.sql
  run_psql -f customers.sql
  run_psql <<'SQL'
SET client_min_messages = error;
SELECT crm_profile.create_source('big', 'customers', 'orders', as_of => '2025-12-31') \g /dev/null
SELECT crm_profile.refresh('big') \g /dev/null
VACUUM big.customer_history;
SQL
fi
run_psql <<'SQL'
DROP TABLE IF EXISTS question, answered;
-- limits in ms at two processors, of the view and materialized; every is how many rows an answer may have: all of customer_profile's are only counted
CREATE TABLE question (place serial, what text, query text, view_limit integer, stored_limit integer);
INSERT INTO question (what, view_limit, stored_limit, query) VALUES
	('one customer', 5, 5, 'SELECT * FROM big.customer_profile WHERE customer = 4242'),
	('the ten of the highest clv_365d', 300, 20, 'SELECT * FROM big.customer_profile ORDER BY clv_365d DESC NULLS LAST LIMIT 10'),
	('a segment, counted', 300, 20, 'SELECT count(*), sum(monetary) FROM big.customer_profile WHERE segment = ''At Risk'''),
	('a value tier, counted', 300, 20, 'SELECT count(*) FROM big.customer_profile WHERE value_tier = ''A'''),
	('ten of a segment', 300, 20, 'SELECT * FROM big.customer_profile WHERE segment = ''At Risk'' LIMIT 10'),
	('customer_profile, all columns', 1000, 1000, NULL),
	('segment_summary', 1000, 1000, 'SELECT * FROM big.segment_summary_details'),
	('rfm_grid', 1000, 1000, 'SELECT * FROM big.rfm_grid'),
	('lifecycles, counted', 1000, 1000, 'SELECT lifecycle, count(*) FROM big.customer_profile GROUP BY lifecycle'),
	('purchase_calendar', 1000, 1000, 'SELECT * FROM big.purchase_calendar'),
	('segment_migration', 1000, 1000, 'SELECT * FROM big.segment_migration'),
	('revenue_forecast', 1000, 1000, 'SELECT * FROM big.revenue_forecast'),
	('cohort_retention', 1000, 1000, 'SELECT * FROM big.cohort_retention'),
	('second_purchase', 1000, 1000, 'SELECT * FROM big.second_purchase'),
	('value_concentration', 1000, 1000, 'SELECT * FROM big.value_concentration'),
	('due_actions, counted', 1000, 1000, 'SELECT action, count(*) FROM big.due_actions GROUP BY action'),
	('segment_card', 1000, 1000, 'SELECT * FROM crm_profile.segment_card(''big'')'),
	('report', NULL, 2000, 'SELECT crm_profile.report(''big'')');
UPDATE question SET query = (SELECT format('SELECT %s FROM big.customer_profile', string_agg(format('count(%I)', attname), ', ' ORDER BY attnum))
	FROM pg_attribute WHERE attrelid = 'big.customer_profile'::regclass AND attnum > 0) WHERE query IS NULL;
CREATE TABLE answered (what text, workers integer, stored boolean, ms float8);
-- EXPLAIN ANALYZE would add the time of its clock to each row
CREATE OR REPLACE FUNCTION ask(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	answer text;
BEGIN
	EXECUTE query INTO answer;
	began := clock_timestamp();
	EXECUTE query INTO answer;
	RETURN 1000 * extract(epoch FROM clock_timestamp() - began);
END $$;
SQL
for stored in false true; do
  [ $stored = false ] || run_psql -c 'SET client_min_messages = error' -c "SELECT crm_profile.alter_source('big', materialize => true)" -c 'VACUUM big.stored_profile' >/dev/null
  for n in 0 "$workers"; do
    for ((round = 1; round <= rounds; round++)); do
      run_psql -At -c "SET work_mem = '256MB'; SET max_parallel_workers_per_gather = $n" -c "SELECT format('INSERT INTO answered SELECT %L, $n, $stored, ask(%L)', what, query) FROM question ORDER BY place" |
        { echo "SET work_mem = '256MB'; SET max_parallel_workers_per_gather = $n; SET jit = off;"; sed 's/$/;/'; } | run_psql
    done
  done
done
run_psql -c 'SET client_min_messages = error' -c "SELECT crm_profile.alter_source('big', materialize => false)" >/dev/null
echo "Questions about a source over $orders orders, ms, the best of $rounds rounds; work_mem 256 MB; no worker, then $workers beside the leader"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql -v workers="$workers" <<'SQL'
SELECT q.what, round(min(a.ms) FILTER (WHERE NOT a.stored AND a.workers = 0)) AS view, round(min(a.ms) FILTER (WHERE NOT a.stored AND a.workers = :workers)) AS "with workers", q.view_limit AS "limit",
	round(min(a.ms) FILTER (WHERE a.stored AND a.workers = 0)) AS stored, round(min(a.ms) FILTER (WHERE a.stored AND a.workers = :workers)) AS "with workers", q.stored_limit AS "limit"
FROM question q JOIN answered a USING (what) GROUP BY q.place, q.what, q.view_limit, q.stored_limit ORDER BY q.place;
SQL
[ -n "${BENCH_KEEP:-}" ] || run_psql -c "SELECT crm_profile.drop_source('big')" >/dev/null
