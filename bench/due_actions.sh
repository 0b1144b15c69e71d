#!/usr/bin/env bash
# due_actions of one day, beside questions to customer_profile and a scan of the orders: seconds, and seconds of CPU of the server process.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

run_psql -v orders="$orders" -f orders.sql
run_psql -f customers.sql
run_psql -c 'ALTER TABLE measured ADD cpu float8'
run_psql <<'SQL' >/dev/null
SELECT crm_profile.create_source('shop', 'customers', 'orders', as_of => '2025-12-31');
SELECT crm_profile.refresh('shop');
SQL

measure() { # name, parallel workers, query
  run_psql -v what="$1" -v workers="$2" -v query="$3" -v round="$round" <<'SQL'
SET max_parallel_workers_per_gather = :workers;
SELECT (string_to_array(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), ' '))[14]::int AS cpu, clock_timestamp() AS began \gset
:query \g /dev/null
INSERT INTO measured SELECT :'what', :round, extract(epoch FROM clock_timestamp() - :'began'), ((string_to_array(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), ' '))[14]::int - :cpu) / 100.0;
SQL
}
for ((round = 1; round <= rounds; round++)); do
  measure 'scan: count(amount)' 0 'SELECT count(amount) FROM orders'
  measure 'segments of customer_profile' 0 'SELECT segment, count(*) FROM shop.customer_profile GROUP BY segment'
  measure 'due_actions, everything' 0 'SELECT count(*), sum(value), max(reason) FROM shop.due_actions'
  measure 'due_actions of a busy day half a year ago' 0 "SELECT count(*), sum(value), max(reason) FROM shop.due_actions('2025-06-30')"
  measure 'due_actions, everything, with a worker' 1 'SELECT count(*), sum(value), max(reason) FROM shop.due_actions'
done
echo "Due actions, $orders orders of a tenth as many customers; medians of $rounds rounds; CPU is that of the leader"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql <<'SQL'
SELECT what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 2) AS seconds, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY cpu)::numeric, 2) AS cpu FROM measured GROUP BY what ORDER BY what;
SQL
echo 'Target: due_actions of one day over 1 000 000 customers within 2 seconds.'
