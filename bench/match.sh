#!/usr/bin/env bash
# Accuracy and speed of matching, with scikit-learn on the same folds if it is available.
set -euo pipefail
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

psql -X -q -v ON_ERROR_STOP=1 -v out="$out" -f match/match.sql
if ./python_with sklearn python3-sklearn; then
  /usr/bin/python3 match/sklearn_fit.py bank "$out/bank.csv" y
  /usr/bin/python3 match/sklearn_fit.py personality "$out/personality.csv" Response
fi
