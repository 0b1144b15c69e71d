-- One session: the method in file :method over the tables of :shape, with work_mem :memory, enable_hashagg and enable_hashjoin as given, without
-- workers. Prints its seconds, the processor's, and a fingerprint of (customer, cell, segment) if the method leaves a table `scored`.
SELECT format('%I, public, crm_profile', :'shape') AS path \gset
SET search_path = :path;
SET max_parallel_workers_per_gather = 0;
SET work_mem = :'memory';
SET enable_hashagg = :hashagg;
SET enable_hashjoin = :hashjoin;
SELECT pg_backend_pid() AS pid \gset
\setenv BACKEND :pid
\setenv PEAK :peak
\! ./peak_memory $BACKEND >"$PEAK" &
CREATE FUNCTION pg_temp.processor_time() RETURNS float8 LANGUAGE sql AS $$
	SELECT (v[12]::float8 + v[13]::float8) / 100 FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') v $$;
-- the tables are in the system's cache before the clock starts
SELECT * FROM warm() \g /dev/null
SELECT clock_timestamp() AS started, pg_temp.processor_time() AS cpu_started \gset
\i :method
SELECT clock_timestamp() AS finished, pg_temp.processor_time() AS cpu_finished, to_regclass('pg_temp.scored') IS NOT NULL AS has_scores, '' AS fingerprint \gset
\if :has_scores
SELECT format('%s:%s', count(*), sum(hash_record_extended(s, 0))) AS fingerprint FROM (SELECT customer, cell::text, segment FROM scored) AS s \gset
\endif
SELECT extract(epoch FROM timestamptz :'finished' - :'started'), :cpu_finished - :cpu_started, :'fingerprint';
