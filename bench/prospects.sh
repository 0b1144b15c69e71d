#!/usr/bin/env bash
# The prospects of a source: the time that a refresh spends on attributes and the best customers, and that of the view; medians of several rounds.
set -euo pipefail
customers=${BENCH_CUSTOMERS:-1000000}
prospects=${BENCH_PROSPECTS:-100000}
rounds=${BENCH_ROUNDS:-3}
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

run_psql -v customers="$customers" -v prospects="$prospects" <<'SQL'
-- seven kinds of people, by the number: each earns and buys more than the one before
CREATE FUNCTION people(count int, seed int, OUT id int, OUT age int, OUT income int, OUT job text, OUT city text, OUT member boolean, OUT kids smallint, OUT channel text)
	RETURNS SETOF record LANGUAGE sql AS $$
	SELECT i, 18 + h[1] % 60, h[2] % 80000 + 5000 * (i % 7), CASE WHEN i % 7 > 4 AND h[3] % 10 < 3 THEN 'a' ELSE chr(97 + h[3] % 5) END, 'city' || h[4] % 300, h[5] % 2 = 0 OR i % 7 = 6, h[6] % 5, chr(120 + h[7] % 3)
	FROM generate_series(1, count) i, LATERAL (SELECT array_agg((hashint8extended(i, seed * 10 + k) & 1073741823)::int) AS h FROM generate_series(1, 7) k) x $$;
CREATE TABLE customers AS SELECT * FROM people(:customers, 1);
CREATE TABLE prospects AS SELECT * FROM people(:prospects, 2);
ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE prospects ADD PRIMARY KEY (id);
CREATE TABLE orders AS SELECT id AS customer_id, date '2025-01-01' + (id * 7 + k * 31) % 365 AS day, (1 + (hashint8(id * 3 + k) & 65535) * (1 + id % 7) / 65536.0 * 100)::numeric(12,2) AS amount
	FROM customers, generate_series(1, 3) k;
VACUUM (FREEZE, ANALYZE) customers, prospects, orders;
CREATE TABLE measured (what text, seconds float8);
SQL
for ((round = 1; round <= rounds; round++)); do
  run_psql <<'SQL'
SET max_parallel_workers_per_gather = 0;
SET work_mem = '64MB';
\set measure 'INSERT INTO measured VALUES (:''what'', extract(epoch FROM clock_timestamp() - :''began''));'
\o /dev/null
SELECT crm_profile.create_source('big', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-12-31', prospects => 'prospects');
SELECT crm_profile.refresh('big');
SELECT crm_profile.refresh('big');
INSERT INTO measured SELECT 'refresh: the part of attributes and the best', (refresh_phases->>'match')::float8 FROM crm_profile.sources_details;
SELECT clock_timestamp() AS began \gset
SELECT count(score) FROM big.prospect_match;
\set what 'all scores'
:measure
SELECT clock_timestamp() AS began \gset
SELECT count(score), count(lift), count(reasons) FROM big.prospect_match;
\set what 'all scores, lifts and reasons'
:measure
SELECT clock_timestamp() AS began \gset
SELECT * FROM big.prospect_match ORDER BY score DESC LIMIT 100;
\set what 'the best hundred, with reasons'
:measure
SELECT clock_timestamp() AS began \gset
SELECT * FROM big.prospect_match WHERE prospect = 4711;
\set what 'one prospect by key'
:measure
SELECT clock_timestamp() AS began \gset
SELECT * FROM big.segment_persona;
\set what 'segment_persona'
:measure
SELECT clock_timestamp() AS began \gset
SELECT * FROM crm_profile.match_prospects('big', 100);
\set what 'match_prospects(source, 100), with the nearest customers'
:measure
SELECT crm_profile.drop_source('big');
SQL
done
echo "$prospects prospects against $customers customers, 7 attributes; medians of $rounds rounds, work_mem 64 MB, no parallel workers"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql -c 'SELECT what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 3) AS seconds FROM measured GROUP BY what ORDER BY 2'
