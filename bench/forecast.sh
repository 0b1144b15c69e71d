#!/usr/bin/env bash
# How good the forecasts are on public shops, at past dates: the automatic choice beside plain mbg/nbd, and who comes back within
# 90 days by each number and label that the views show. CRM_PROFILE_DATA names a directory with the files that forecast/load.py reads; they may not all be
# passed on, so none is here. FORECAST_SETTINGS=1 compares settings of the choice, and counts how many totals lie within their bounds, too.
set -euo pipefail
cd "$(dirname "$0")"
data=${CRM_PROFILE_DATA:-}
export PGOPTIONS='-c search_path=bench_forecast,crm_profile,public -c max_parallel_workers_per_gather=0 -c jit=off -c client_min_messages=error'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; psql -qX -c "DROP SCHEMA IF EXISTS bench_forecast CASCADE"' EXIT
psql -qX -c 'CREATE EXTENSION IF NOT EXISTS crm_profile' -c 'DROP SCHEMA IF EXISTS bench_forecast CASCADE' -c 'CREATE SCHEMA bench_forecast'
if ./python_with numpy python3-numpy; then
  /usr/bin/python3 forecast/simulate.py 12000 >"$tmp/simulated"
  psql -qX -v ON_ERROR_STOP=1 <<SQL
CREATE UNLOGGED TABLE simulated_order (shop text, customer int, day date);
\\copy simulated_order from '$tmp/simulated' csv
CREATE UNLOGGED TABLE simulated AS SELECT shop, customer, purchase_history_agg(day, 10) AS history FROM simulated_order GROUP BY shop, customer;
SQL
  psql -qX -v ON_ERROR_STOP=1 -f forecast/simulated.sql
fi
if [ ! -d "$data" ]; then
  echo 'forecast: no directory with data (see the head of bench/forecast.sh); the rest is not measured'
  exit 0
fi
python3 forecast/load.py "$data" >"$tmp/orders"
psql -qX -v ON_ERROR_STOP=1 <<SQL
CREATE UNLOGGED TABLE orders (shop text, customer text, day date, amount numeric);
\\copy orders from '$tmp/orders' csv
CREATE UNLOGGED TABLE season_day (day date, high boolean);
\\copy season_day from program 'python3 forecast/season_days.py "$data"' csv
CREATE UNLOGGED TABLE history AS SELECT shop, customer, purchase_history_agg(day, amount) AS history FROM orders GROUP BY shop, customer;
ANALYZE history;
SQL
psql -qX -v ON_ERROR_STOP=1 -f forecast/windows.sql
psql -qX -v ON_ERROR_STOP=1 -f forecast/ranking.sql
if ./python_with numpy python3-numpy; then
  psql -qX -c '\copy (SELECT shop, day, came, purchases, recency, p_purchase_90d, expected_purchases_90d, clv_365d FROM shown) to stdout csv header' | /usr/bin/python3 forecast/auc_errors.py
fi
[ -z "${FORECAST_SETTINGS:-}" ] || psql -qX -v ON_ERROR_STOP=1 -f forecast/settings.sql -f forecast/bands.sql
