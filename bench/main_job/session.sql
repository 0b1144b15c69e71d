-- One session of the benchmark: the bare scan, the scan that reads the three columns, then the method in file :method, at work_mem :memory, with
-- :workers and enable_hashagg :hashagg. Prints the seconds of each, and a fingerprint of (customer, cell, segment) if the method leaves a table
-- `scored`; if it leaves a table `ntile`, how many of its customers have another cell by the extension.
SET search_path = public, crm_profile;
SET max_parallel_workers_per_gather = 0;
SET work_mem = :'memory';
SELECT pg_backend_pid() AS pid \gset
\setenv BACKEND :pid
\setenv PEAK :peak
\! ./peak_memory $BACKEND >"$PEAK" &
SELECT clock_timestamp() AS started \gset
SELECT count(amount) FROM orders \g /dev/null
SELECT clock_timestamp() AS scanned \gset
SELECT count(customer_id), count(ordered_at), count(amount) FROM orders \g /dev/null
SELECT clock_timestamp() AS read \gset
SET enable_hashagg = :hashagg;
SET max_parallel_workers_per_gather = :workers;
\i :method
SELECT clock_timestamp() AS finished \gset
SELECT to_regclass('pg_temp.scored') IS NOT NULL AS has_scores, to_regclass('pg_temp.ntile') IS NOT NULL AS has_ntile,
	'' AS fingerprint \gset
\if :has_scores
SELECT format('%s:%s', count(*), sum(hash_record_extended(s, 0))) AS fingerprint
FROM (SELECT customer, cell::text, segment FROM scored) AS s \gset
\elif :has_ntile
\i main_job/rfm_scores.sql
SELECT count(*) AS fingerprint FROM ntile JOIN scored USING (customer) WHERE ntile.cell <> scored.cell \gset
\endif
SELECT extract(epoch FROM timestamptz :'scanned' - :'started'), extract(epoch FROM timestamptz :'read' - :'scanned'),
	extract(epoch FROM timestamptz :'finished' - :'read'), :'fingerprint';
