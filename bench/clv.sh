#!/usr/bin/env bash
# Repeat-purchase models: fits and predictions on 1 000 000 simulated customers, one core, beside SciPy's fit of the same data.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
customers=${1:-1000000}
python=/usr/bin/python3
./python_with numpy python3-numpy || exit 0 # it simulates the customers
export PGOPTIONS='-c search_path=bench_clv,crm_profile,public -c max_parallel_workers_per_gather=0 -c jit=off -c client_min_messages=warning'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; psql -qX -c "DROP SCHEMA IF EXISTS bench_clv CASCADE"' EXIT
psql -qX -c 'CREATE EXTENSION IF NOT EXISTS crm_profile' -c 'DROP SCHEMA IF EXISTS bench_clv CASCADE' -c 'CREATE SCHEMA bench_clv'

for model in bg mbg pareto regular; do
  "$python" "$here/clv/simulate.py" "$(echo "$model/nbd" | sed s,regular/nbd,mbg/cnbd-2,)" "$customers" >"$tmp/orders"
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

echo "Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores; $customers simulated customers for each model, one process, the histories read included"
psql -qX -v ON_ERROR_STOP=1 -f clv/clv.sql
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
