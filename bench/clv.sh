#!/usr/bin/env bash
# Repeat-purchase models: fits and predictions on 1 000 000 simulated customers, one core, beside SciPy's fit of the same data.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
customers=${1:-1000000}
python=/usr/bin/python3
export PGOPTIONS='-c search_path=bench_clv,crm_profile,public -c max_parallel_workers_per_gather=0 -c jit=off -c client_min_messages=warning'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; psql -qX -c "DROP SCHEMA IF EXISTS bench_clv CASCADE"' EXIT
psql -qX -c 'CREATE EXTENSION IF NOT EXISTS crm_profile' -c 'DROP SCHEMA IF EXISTS bench_clv CASCADE' -c 'CREATE SCHEMA bench_clv'

for model in bg mbg pareto; do
  "$python" "$here/clv/simulate.py" $model/nbd "$customers" >"$tmp/orders"
  psql -qX -v ON_ERROR_STOP=1 <<SQL
CREATE UNLOGGED TABLE orders (customer int, day date, amount numeric);
\\copy orders from '$tmp/orders' csv
CREATE UNLOGGED TABLE $model AS SELECT customer, purchase_history_agg(day, amount) AS history FROM orders GROUP BY customer;
DROP TABLE orders;
VACUUM ANALYZE $model;
SQL
done
psql -qX -At -F, -c "SELECT purchase_days(history) - 1, last_purchase(history) - first_purchase(history), date '2024-06-30' - first_purchase(history), 1 FROM bg" >"$tmp/each"
sort "$tmp/each" | uniq -c | sed -E 's/^ *([0-9]+) (.*),1$/\2,\1/' >"$tmp/distinct"

psql -qX -v ON_ERROR_STOP=1 <<'SQL' | grep -vE '^$|^\(|^ *[0-9.e+]+$|^-+$|^ *(sum|count) *$'
SELECT count(monetary(history)) FROM bg;
SELECT count(monetary(history)) FROM mbg;
SELECT count(monetary(history)) FROM pareto;
\timing on
\echo monetary (to read the histories)
SELECT count(monetary(history)) FROM mbg;
\echo clv_fit bg/nbd
CREATE TABLE fit_bg AS SELECT clv_fit(history, '2024-06-30', 'bg/nbd') AS m FROM bg;
\echo clv_fit mbg/nbd
CREATE TABLE fit_mbg AS SELECT clv_fit(history, '2024-06-30', 'mbg/nbd') AS m FROM mbg;
\echo clv_fit pareto/nbd
CREATE TABLE fit_pareto AS SELECT clv_fit(history, '2024-06-30', 'pareto/nbd') AS m FROM pareto;
\echo rhythm_fit
CREATE TABLE fit_rhythm AS SELECT rhythm_fit(history, '2024-06-30') AS m FROM mbg;
\echo p_alive
SELECT sum(p_alive(history, (SELECT m FROM fit_mbg), '2024-06-30')) FROM mbg;
\echo p_alive, pareto/nbd
SELECT sum(p_alive(history, (SELECT m FROM fit_pareto), '2024-06-30')) FROM pareto;
\echo expected_purchases
SELECT sum(expected_purchases(history, (SELECT m FROM fit_mbg), '2024-06-30', '90 days')) FROM mbg;
\echo expected_purchases, pareto/nbd
SELECT sum(expected_purchases(history, (SELECT m FROM fit_pareto), '2024-06-30', '90 days')) FROM pareto;
\echo clv, one year
SELECT sum(clv(history, (SELECT m FROM fit_mbg), '2024-06-30', '1 year', 0.01)) FROM mbg;
\echo lapse_probability
SELECT sum(lapse_probability(history, (SELECT m FROM fit_rhythm), '2024-06-30')) FROM mbg;
SQL
echo 'Estimates against the parameters that were simulated (error in standard errors)'
psql -qX <<'SQL'
SELECT model, string_agg(format('%s %s (%s)', parameter, round(estimate::numeric, 4), round(((estimate - truth) / standard_error)::numeric, 1)), ', ' ORDER BY o) AS fit
FROM (SELECT 'bg/nbd' AS model, m, '{0.8,12,0.8,2.5,6.25,3.74,15.44}'::float8[] AS t FROM fit_bg
	UNION ALL SELECT 'mbg/nbd', m, '{0.8,12,0.8,2.5,6.25,3.74,15.44}' FROM fit_mbg
	UNION ALL SELECT 'pareto/nbd', m, '{0.8,12,0.7,12,6.25,3.74,15.44}' FROM fit_pareto) f,
	clv_parameters(m) WITH ORDINALITY AS p (part, parameter, estimate, standard_error, status, o), LATERAL (SELECT t[o] AS truth) t
GROUP BY model ORDER BY model;
SQL
if ./python_with scipy python3-scipy; then
  echo 'The bg/nbd purchase part alone, in SciPy: a row a customer, then distinct customers with weights (data in memory, reading not counted)'
  "$python" "$here/clv/scipy_fit.py" "$tmp/each"
  "$python" "$here/clv/scipy_fit.py" "$tmp/distinct"
fi
