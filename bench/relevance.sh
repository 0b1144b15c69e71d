#!/usr/bin/env bash
# How often attribute_relevance takes noise for something, and how often it finds what is there.
set -euo pipefail
psql -X -q -v ON_ERROR_STOP=1 -v draws="${BENCH_DRAWS:-1000}" -f relevance/relevance.sql
