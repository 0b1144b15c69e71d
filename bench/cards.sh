#!/usr/bin/env bash
# How well cards find targets among people held out, beside scikit-learn on the same five folds, for each CSV file in the directory CARDS_DATA.
set -euo pipefail
cd "$(dirname "$0")"
[ -n "${CARDS_DATA:-}" ] || { echo "(CARDS_DATA names no directory of CSV files: cards are not measured)"; exit 0; }

psql -X -q -v ON_ERROR_STOP=1 -f cards/held_out.sql
python=1
./python_with sklearn python3-sklearn || python=
for file in "$CARDS_DATA"/*.csv; do
  name=$(basename "$file" .csv)
  # the first column is the fold, 0 to 4, the last the target, 0 or 1; a text whose values are all numbers is a number
  columns=$(head -1 "$file" | tr -d '\r"' | awk -F, '{for (i = 1; i <= NF; i++) printf "%s\"%s\" %s", (i > 1 ? ", " : ""), (i == 1 ? "fold" : i == NF ? "y" : $i), (i == 1 || i == NF ? "int" : "text")}')
  psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE people ($columns)" -c "\\copy people from '$file' csv header"
  psql -X -q -A -t -v ON_ERROR_STOP=1 -c "SELECT '$name', 'match_fit', auc, log_loss, seconds FROM held_out()" -c 'DROP TABLE people'
  [ -z "$python" ] || /usr/bin/python3 cards/sklearn_models.py "$name" "$file"
done
