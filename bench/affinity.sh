#!/usr/bin/env bash
# Affinity: rules of baskets, contents of similar baskets, and the views of a source, beside a scan of the same order lines, with the largest private memory
# of the backend. The source: a tenth as many customers as lines, up to 1 M lines and more of 4 600 products or so, orders in a table of their own.
set -euo pipefail
lines=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

# baskets of 1 to 19 lines; of 20 000 products the first are frequent
run_psql -v lines="$lines" <<'SQL'
SELECT setseed(0.5) \g /dev/null
CREATE TABLE lines AS SELECT b AS basket, 'product ' || floor(20000 * random() ^ 3)::int AS product FROM generate_series(1, :lines / 10) b, generate_series(1, 1 + b % 19) n;
VACUUM ANALYZE lines;
CREATE TABLE customers AS SELECT c AS id FROM generate_series(1, :lines / 10) c;
ALTER TABLE customers ADD PRIMARY KEY (id);
CREATE TABLE orders AS SELECT n AS order_id, 1 + n % (:lines / 10) AS customer_id, date '2024-01-01' + (n::bigint * 7919 % 700)::int AS ordered_on, (10 + n % 90)::numeric AS amount FROM generate_series(1, :lines / 7) n;
ALTER TABLE orders ADD PRIMARY KEY (order_id);
CREATE TABLE order_lines AS SELECT 1 + n * 2 / 7 AS order_id, 'product ' || floor(4600 * random() ^ 3)::int AS product FROM generate_series(0, :lines * 3 / 10 - 1) n;
VACUUM ANALYZE;
SELECT count(*) FROM crm_profile.create_source('shop', 'customers', 'orders', order_customer => 'customer_id', ordered_at => 'ordered_on', amount => 'amount', lines => 'order_lines', line_order => 'order_id', line_product => 'product', as_of => '2025-12-01') \g /dev/null
SELECT crm_profile.refresh('shop') \g /dev/null
VACUUM ANALYZE;
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
measure 'product_affinity' 'SELECT count(*) FROM shop.product_affinity'
measure 'product_affinity of a past day' "SELECT count(*) FROM shop.product_affinity('2025-06-01')"
measure 'category_buyers' 'SELECT count(*) FROM shop.category_buyers'
measure 'next_product' "SELECT count(*) FROM crm_profile.next_product('shop', '1')"
measure 'complements' "SELECT count(*) FROM crm_profile.complements('shop', 'product 5')"

echo "Affinity, $lines order lines or so; medians of $rounds rounds, no parallel workers"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql <<'SQL'
WITH m AS (SELECT what, work_mem, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds, max(megabytes) AS megabytes FROM measured GROUP BY what, work_mem)
SELECT m.what, m.work_mem, round(m.seconds::numeric, 2) AS seconds, round((m.seconds / s.seconds)::numeric, 1) AS scans, round((m.megabytes - s.megabytes)::numeric) AS "MB more"
FROM m JOIN m s ON s.what LIKE 'scan%' AND s.work_mem = m.work_mem ORDER BY m.work_mem, m.seconds;
SQL
echo "Target: basket_rules within 10 scans; with 1 M customers, of 3 M lines, each of the last five within 5 s."
