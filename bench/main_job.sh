#!/usr/bin/env bash
# The main job, every customer's scores and segment from raw orders: the extension's methods against the best plain SQL, in time and memory.
# Every method runs in a session of its own, right after the scans that it is compared with, in several rounds of all methods.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
as_of=2025-12-31
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

run_psql() { psql -X -q -v ON_ERROR_STOP=1 -v as_of=$as_of "$@"; }

# measure METHOD MEMORY ROUND [HASHAGG [WORKERS]]: one session; what it prints, and the peak memory of its backend, go to table `measured`
measure() {
  local method=$1 memory=$2 round=$3 hashagg=${4:-on} workers=${5:-0} peak=$scratch/peak line
  rm -f "$peak"
  line=$(run_psql -At -F ' ' -v method="main_job/$method.sql" -v memory="$memory" -v hashagg="$hashagg" -v workers="$workers" -v peak="$peak" \
    -f main_job/session.sql)
  until [ -s "$peak" ]; do sleep 0.05; done
  run_psql -v method="$method" -v memory="$memory" -v round="$round" -v orders="$size" -v hashagg="$hashagg" -v workers="$workers" -v line="$line" \
    -v peak="$(<"$peak")" <<'SQL'
INSERT INTO measured
SELECT :'method', :'hashagg', :workers, :orders, :'memory', :round, v[3]::float8, v[1]::float8, v[2]::float8, nullif(:'peak', '')::bigint, v[4]
FROM (SELECT string_to_array(:'line', ' ') AS v) AS l;
SQL
}

run_psql <<'SQL'
CREATE TABLE measured (method text, hashagg boolean, workers integer, orders bigint, memory text, round integer, seconds float8, scan_seconds float8,
	columns_seconds float8, peak_kb bigint, fingerprint text);
CREATE TABLE size (orders bigint, customers bigint, history_bytes bigint, orders_bytes bigint, table_bytes bigint, index_bytes bigint);
SQL

sizes=$orders
[ "$orders" -lt 10000000 ] || sizes="$((orders / 10)) $orders"
for size in $sizes; do
  run_psql -v orders="$size" -f orders.sql -f main_job/setup.sql
  for ((round = 1; round <= rounds; round++)); do
    for memory in 64MB 1GB; do
      # GROUP BY as planned, by hashing as a rule, and by sorting, which is often faster than PostgreSQL thinks
      for method in ntile percentile built_in agg; do
        for hashagg in on off; do
          for workers in 0 2; do measure $method $memory $round $hashagg $workers; done
        done
      done
      for method in agg_score stepwise rfm_scores label count_scores count_histories; do measure $method $memory $round; done
      measure rfm_scores $memory $round on 2
      for method in count_scores count_histories; do measure $method $memory $round on 1; done
    done
  done
  run_psql -v orders="$size" -f main_job/sizes.sql
done
run_psql -v sizes="$sizes" -v cpu="$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" -v cores="$(nproc)" \
  -v memory="$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" -f main_job/report.sql
