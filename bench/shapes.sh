#!/usr/bin/env bash
# Order tables of all shapes: rfm_scores beside the best plain SQL for the same scores, in time, processor time and memory.
# Each shape is BENCH_ORDERS orders, of a tenth as many customers where the shape does not say otherwise; BENCH_SHAPES: these only.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-1}
shapes=${BENCH_SHAPES:-usual float8 real money uuid text wide partitioned clustered one_time few small_memory lines}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

run_psql() { psql -X -q -v ON_ERROR_STOP=1 -v as_of=2025-12-31 "$@"; }

# measure METHOD [HASHAGG [HASHJOIN]]: one session; what it prints, and the peak memory of its backend, go to the table `measured`
measure() {
  local method=$1 hashagg=${2:-on} hashjoin=${3:-on} peak=$scratch/peak line
  rm -f "$peak"
  line=$(run_psql -At -F ' ' -v shape="$shape" -v method="shapes/$method.sql" -v memory="$memory" -v hashagg="$hashagg" -v hashjoin="$hashjoin" \
    -v key="$key" -v query="$query" -v more="$more" -v peak="$peak" -f shapes/session.sql)
  until [ -s "$peak" ]; do sleep 0.05; done
  run_psql -v shape="$shape" -v method="$method" -v plan="hashagg $hashagg, hashjoin $hashjoin" -v line="$line" -v peak="$(<"$peak")" <<'SQL'
INSERT INTO measured SELECT :'shape', :'method', :'plan', v[1]::float8, v[2]::float8, nullif(:'peak', '')::bigint, v[3]
FROM (SELECT string_to_array(:'line', ' ') AS v) l;
SQL
}

run_psql -v orders="$orders" -f orders.sql
run_psql <<'SQL'
CREATE TABLE measured (shape text, method text, plan text, seconds float8, cpu float8, peak_kb bigint, fingerprint text);
CREATE TABLE shape (name text, place serial, memory text, bytes bigint);
SQL

for shape in $shapes; do
  key=bigint memory=64MB query='SELECT customer_id, ordered_at, amount FROM orders' more=
  case $shape in
    float8 | real) more=', amount_scale => 2' query='SELECT customer_id, ordered_at, raw_amount FROM stored' ;;
    money) query='SELECT customer_id, ordered_at, raw_amount FROM stored' ;;
    uuid | text) key=$shape ;;
    small_memory) memory=4MB ;;
    lines) query='SELECT customer_id, ordered_at, l.amount, order_id AS order_key FROM line l JOIN header USING (order_id)' ;;
  esac
  run_psql -v shape="$shape" -v orders="$orders" -v memory="$memory" -f "shapes/make_$shape.sql" -f shapes/made.sql
  for ((round = 1; round <= rounds; round++)); do
    measure scan
    [ "$shape" != lines ] || measure scan on off
    for hashagg in on off; do measure plain $hashagg; done
    [ "$shape" != lines ] || for hashagg in on off; do measure plain $hashagg off; done
    measure ours
  done
  run_psql -c "DROP SCHEMA \"$shape\" CASCADE"
done 2> >(grep -v '^NOTICE\|^psql.*NOTICE\|^DETAIL\|^drop cascades' >&2)
run_psql -v orders="$orders" -v cpu="$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" -v cores="$(nproc)" \
  -v memory="$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" -f shapes/report.sql
