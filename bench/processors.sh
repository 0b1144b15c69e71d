#!/usr/bin/env bash
# What more processors give: processor time of the main job and of the phases of a first refresh, of the leader alone and of all processes. It counts
# where time on the clock does not: on a machine of few or busy processors. BENCH_WORKERS='0 1 3' workers beside the leader.
set -euo pipefail
orders=${BENCH_ORDERS:-10000000}
rounds=${BENCH_ROUNDS:-3}
READINGS=$(mktemp)
export READINGS
trap 'rm -f "$READINGS"' EXIT
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

run_psql -v orders="$orders" -f orders.sql
run_psql -f customers.sql
run_psql -c 'CREATE TABLE reading (place serial, workers integer, round integer, phase text, leader float8, others float8)'
for ((round = 1; round <= rounds; round++)); do
  for workers in ${BENCH_WORKERS:-0 1 3}; do
    : >"$READINGS"
    run_psql -v workers="$workers" -v orders_read="$orders" -f processors/phases.psql >/dev/null
    while read -r phase leader others; do
      echo "INSERT INTO reading (workers, round, phase, leader, others) VALUES ($workers, $round, '$phase', $leader, $others);"
    done <"$READINGS" | run_psql
  done
done
echo "Processor time, seconds, over $orders orders of a tenth as many customers; the least of $rounds rounds; work_mem 256 MB"
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
echo "serial: what the leader has to do itself, by its time and that of all with one worker; of N processors: what it then has to do"
run_psql <<'SQL'
WITH spent AS (
	SELECT r.workers, r.phase, r.place, (r.leader - lag(r.leader) OVER w) / 100 AS leader, (r.leader - lag(r.leader) OVER w + r.others - lag(r.others) OVER w) / 100 AS everybody
	FROM reading r WINDOW w AS (PARTITION BY r.workers, r.round ORDER BY r.place)),
least AS (
	SELECT s.phase, min(s.place) AS place, min(s.leader) FILTER (WHERE s.workers = 0) AS alone, min(s.leader) FILTER (WHERE s.workers = 1) AS leader, min(s.everybody) FILTER (WHERE s.workers = 1) AS everybody,
		min(s.leader) FILTER (WHERE s.workers = (SELECT max(workers) FROM reading)) AS most
	FROM spent s WHERE s.phase <> 'begin' GROUP BY s.phase)
SELECT l.phase, l.alone, l.leader AS "leader of two", l.everybody AS "both", round((l.leader / l.alone)::numeric, 2) AS ratio, round(p.serial::numeric, 2) AS serial, round((p.serial / l.everybody)::numeric, 2) AS share,
	round((p.serial + p.shared / 4)::numeric, 2) AS "of 4", round((p.serial + p.shared / 8)::numeric, 2) AS "of 8", round((p.serial + p.shared / 16)::numeric, 2) AS "of 16",
	round((p.serial + p.shared / 32)::numeric, 2) AS "of 32", l.most AS "leader with most"
FROM least l, LATERAL (SELECT greatest(0, 2 * l.leader - l.everybody) AS serial, least(l.everybody, 2 * (l.everybody - l.leader)) AS shared) p ORDER BY l.place;
SQL
