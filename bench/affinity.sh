#!/usr/bin/env bash
# Affinity: rules of baskets, and contents of similar baskets, beside a scan of the same order lines, with the largest private memory of the backend.
set -euo pipefail
lines=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

# baskets of 1 to 19 lines; of 20 000 products the first are frequent
run_psql -v lines="$lines" <<'SQL'
SELECT setseed(0.5) \g /dev/null
CREATE TABLE lines AS SELECT b AS basket, 'product ' || floor(20000 * random() ^ 3)::int AS product FROM generate_series(1, :lines / 10) b, generate_series(1, 1 + b % 19) n;
VACUUM ANALYZE lines;
CREATE TABLE measured (what text, work_mem text, round int, seconds float8, megabytes float8);
SQL

measure() { # name, query
  local memory out
  for memory in 4MB 64MB; do
    for ((round = 1; round <= rounds; round++)); do
      out=$(mktemp)
      run_psql -At -c 'SELECT pg_backend_pid()' -c "SET work_mem = '$memory'" -c '\timing on' -c "$2" >"$out" &
      until read -r pid <"$out"; do sleep 0.01; done
      peak=$(./peak_memory "$pid")
      wait $!
      run_psql -c "INSERT INTO measured VALUES ('$1', '$memory', $round, $(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$out") / 1000, NULLIF('$peak', '')::float8 / 1024)"
      rm "$out"
    done
  done
}
measure 'scan: count(product)' 'SELECT count(product) FROM lines'
measure 'basket_rules' "SELECT count(*) FROM crm_profile.basket_rules('SELECT basket, product FROM lines', 0.001)"
measure 'basket_rules of one product' "SELECT count(*) FROM crm_profile.basket_rules('SELECT basket, product FROM lines', 0, product => 'product 1')"
measure 'next_products' "SELECT count(*) FROM crm_profile.next_products('SELECT basket, product FROM lines', '{product 1,product 5}')"

echo "Affinity, $lines order lines or so; medians of $rounds rounds, no parallel workers"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql <<'SQL'
WITH m AS (SELECT what, work_mem, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds, max(megabytes) AS megabytes FROM measured GROUP BY what, work_mem)
SELECT m.what, m.work_mem, round(m.seconds::numeric, 2) AS seconds, round((m.seconds / s.seconds)::numeric, 1) AS scans, round((m.megabytes - s.megabytes)::numeric) AS "MB more"
FROM m JOIN m s ON s.what LIKE 'scan%' AND s.work_mem = m.work_mem ORDER BY m.work_mem, m.seconds;
SQL
echo 'Target: basket_rules within 10 scans.'
