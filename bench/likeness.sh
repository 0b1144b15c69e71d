#!/usr/bin/env bash
# What kind of people: personas, cards, rules and groups of a source, and the nearest by index.
set -euo pipefail
psql -X -q -v ON_ERROR_STOP=1 -v people="${BENCH_CUSTOMERS:-1000000}" -v rounds="${BENCH_ROUNDS:-3}" -f likeness/source.sql
psql -X -q -v ON_ERROR_STOP=1 -v people="${BENCH_CUSTOMERS:-1000000}" -f likeness/nearest.sql
echo
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
