-- The report, as Markdown
\pset format unaligned
\pset tuples_only on

-- each method against the scans of its own session, right before it: a machine's speed drifts
CREATE TEMPORARY VIEW figure AS
SELECT method, hashagg, workers, orders, memory,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds,
	max(peak_kb) / 1024.0 AS peak_mb,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds / scan_seconds) AS ratio,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds / columns_seconds) AS of_columns
FROM measured
GROUP BY method, hashagg, workers, orders, memory;

-- what is measured with several plans has one row for all of them
CREATE TEMPORARY TABLE method (position serial, method text, workers integer, title text);
INSERT INTO method (method, workers, title) VALUES
	('built_in', NULL, '`GROUP BY` customer: built-in `count`, `max`, `sum`, best plan'),
	('ntile', NULL, 'plain SQL: `GROUP BY`, three `ntile(5)`, `CASE`, best plan'),
	('percentile', NULL, 'plain SQL: `GROUP BY`, three `percentile_cont`, `CASE`, best plan'),
	('agg', NULL, '`GROUP BY` customer: `purchase_history_agg`, best plan'),
	('agg_score', 0, '`purchase_history_agg` → `rfm_fit` → `rfm_score` → `segment`'),
	('stepwise', 0, '`collect_purchase_histories` → `rfm_fit` → `rfm_score` → `segment`'),
	('rfm_scores', 0, '`rfm_scores`'),
	('rfm_scores', 2, 'the same with two workers'),
	('label', 0, 'stored histories: `rfm_score`, `segment`, `GROUP BY` segment'),
	('count_scores', 0, '`rfm_scores`, its rows only counted'),
	('count_scores', 1, 'the same with a worker beside the leader'),
	('count_histories', 0, '`collect_purchase_histories`, its rows only counted'),
	('count_histories', 1, 'the same with a worker beside the leader');

CREATE TEMPORARY VIEW best AS
SELECT DISTINCT ON (m.position, f.orders, f.memory) m.position, m.title, m.workers IS NULL AS has_plans, f.method, f.workers, f.orders, f.memory, f.seconds, f.peak_mb, f.ratio, f.of_columns,
	format('%s, %s workers', CASE WHEN f.hashagg THEN 'as planned' ELSE 'sorted' END, f.workers) AS plan
FROM figure AS f JOIN method AS m ON m.method = f.method AND (m.workers IS NULL OR m.workers = f.workers)
ORDER BY m.position, f.orders, f.memory, f.ratio;

\qecho '## Main job'
\qecho
SELECT format('%s, %s cores, %s GB RAM; PostgreSQL %s, shared_buffers %s, no parallel workers but where they are named, no JIT; median of %s runs. In brackets: times the bare scan, `SELECT count(amount) FROM orders`, and times the scan that reads the three columns, both right before. Of GROUP BY, the fastest of four plans.',
	:'cpu', :'cores', :'memory', split_part(current_setting('server_version'), ' ', 1), current_setting('shared_buffers'),
	(SELECT max(round) FROM measured));
\qecho
SELECT '| all customers, into a temporary table |' || string_agg(format(' %s orders, work_mem %s |', orders, memory), '' ORDER BY orders, memory DESC)
	|| E'\n| --- |' || string_agg(' --- |', '')
FROM (SELECT DISTINCT orders, memory FROM figure) AS c;
SELECT '| bare scan |' || string_agg(format(' %s s |', round(scan::numeric, 2)), '' ORDER BY orders, memory DESC)
	|| E'\n| scan of the three columns |' || string_agg(format(' %s s (%s ×) |', round(columns::numeric, 2), round(ratio::numeric, 2)), '' ORDER BY orders, memory DESC)
FROM (SELECT orders, memory, percentile_cont(0.5) WITHIN GROUP (ORDER BY scan_seconds) AS scan, percentile_cont(0.5) WITHIN GROUP (ORDER BY columns_seconds) AS columns,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY columns_seconds / scan_seconds) AS ratio FROM measured GROUP BY orders, memory) AS c;
SELECT format('| %s |', title) || string_agg(format(' %s s (%s ×, %s ×%s)%s |', round(seconds::numeric, 2), round(ratio::numeric, 1), round(of_columns::numeric, 1),
	CASE WHEN has_plans THEN '; ' || plan ELSE '' END, coalesce(format(', %s MB', ceil(peak_mb)), '')), '' ORDER BY orders, memory DESC)
FROM best GROUP BY position, title ORDER BY position;
\qecho
\qecho '`GROUP BY` by plan: as PostgreSQL plans it, and with `enable_hashagg = off`.'
\qecho
SELECT '| |' || string_agg(format(' %s orders, work_mem %s |', orders, memory), '' ORDER BY orders, memory DESC) || E'\n| --- |' || string_agg(' --- |', '')
FROM (SELECT DISTINCT orders, memory FROM figure) AS c;
SELECT format('| `%s`, %s, %s workers |', method, CASE WHEN hashagg THEN 'as planned' ELSE 'sorted' END, workers) || string_agg(format(' %s s (%s ×) |', round(seconds::numeric, 2), round(ratio::numeric, 1)), '' ORDER BY orders, memory DESC)
FROM figure WHERE method IN (SELECT m.method FROM method AS m WHERE m.workers IS NULL) GROUP BY method, hashagg, workers ORDER BY method, hashagg DESC, workers;
\qecho
\qecho 'MB: largest private memory of the backend (RssAnon).'
\qecho
SELECT format('%s orders of %s customers: histories %s %% of the order table (%s bytes a customer), the stored table %s %%, with its primary key %s %%.',
	orders, customers, round(100.0 * history_bytes / orders_bytes, 1), round(history_bytes::numeric / customers, 1),
	round(100.0 * table_bytes / orders_bytes, 1), round(100.0 * (table_bytes + index_bytes) / orders_bytes, 1))
FROM size ORDER BY orders;
\qecho
SELECT format('Scores and segments of %s customers: plain SQL with percentile_cont, aggregate, collect and rfm_scores %s; ntile gives %s %% another cell.',
	size.customers,
	CASE WHEN (SELECT count(DISTINCT fingerprint) = 1 FROM measured m WHERE m.orders = size.orders AND fingerprint LIKE '%:%') THEN 'agree in every one' ELSE 'DIFFER' END,
	(SELECT round(100.0 * max(fingerprint::bigint) / size.customers, 1) FROM measured m WHERE m.orders = size.orders AND method = 'ntile' AND fingerprint <> ''))
FROM size ORDER BY orders;

\qecho
\qecho '| must reach | figure | reached |'
\qecho '| --- | --- | --- |'
WITH most AS (
	SELECT * FROM best WHERE orders = (SELECT max(orders) FROM best)
), pairs AS (
	SELECT memory, max(ratio) FILTER (WHERE method = 'rfm_scores' AND workers = 0) AS scores, max(ratio) FILTER (WHERE method = 'stepwise') AS stepwise,
		max(ratio) FILTER (WHERE method = 'agg') AS agg, max(ratio) FILTER (WHERE method = 'built_in') AS built_in,
		max(seconds) FILTER (WHERE method = 'count_scores' AND workers = 1) / max(seconds) FILTER (WHERE method = 'count_scores' AND workers = 0) AS scores_worker,
		max(seconds) FILTER (WHERE method = 'count_histories' AND workers = 1) / max(seconds) FILTER (WHERE method = 'count_histories' AND workers = 0) AS histories_worker,
		min(ratio) FILTER (WHERE method IN ('ntile', 'percentile')) AS plain, max(seconds) FILTER (WHERE method = 'label') AS label,
		max(peak_mb) FILTER (WHERE method IN ('rfm_scores', 'stepwise')) AS peak,
		pg_size_bytes(memory) / 1048576.0 * (current_setting('hash_mem_multiplier')::numeric + 1) + 32 AS bound
	FROM most GROUP BY memory
), goals AS (
	SELECT 1 AS position, memory, '`rfm_scores`: at most 2.5 × the bare scan' AS goal, format('%s ×', round(scores::numeric, 2)) AS figure, scores <= 2.5 AS reached FROM pairs
	UNION ALL SELECT 2, memory, '`rfm_scores`: at least 3 × faster than the best plain SQL', format('%s ×', round((plain / scores)::numeric, 1)), plain / scores >= 3 FROM pairs
	UNION ALL SELECT 3, memory, 'stepwise: at most 4 × the bare scan', format('%s ×', round(stepwise::numeric, 2)), stepwise <= 4 FROM pairs
	UNION ALL SELECT 4, memory, '`purchase_history_agg`: no slower than `count`, `max`, `sum`, both by their best plan', format('%s of its time', round((agg / built_in)::numeric, 2)), agg <= built_in FROM pairs
	UNION ALL SELECT 5, memory, 'score and label 1 M stored histories: at most 0.6 s', format('%s s', round((label * 1e6 / (SELECT max(customers) FROM size))::numeric, 2)), label * 1e6 / (SELECT max(customers) FROM size) <= 0.6 FROM pairs
	UNION ALL SELECT 6, memory, format('private memory: at most %s MB', round(bound)), format('%s MB', ceil(peak)), peak <= bound FROM pairs WHERE peak IS NOT NULL
	UNION ALL SELECT 8, memory, '`rfm_scores` with a worker: at most 0.6 of the time without', format('%s', round(scores_worker::numeric, 2)), scores_worker <= 0.6 FROM pairs
	UNION ALL SELECT 9, memory, '`collect_purchase_histories` with a worker: at most 0.6', format('%s', round(histories_worker::numeric, 2)), histories_worker <= 0.6 FROM pairs
	UNION ALL SELECT 7, NULL, 'histories: at most 10 % of the order table', format('%s %%', round(100.0 * history_bytes / orders_bytes, 1)), history_bytes * 10 <= orders_bytes
		FROM size WHERE orders = (SELECT max(orders) FROM size)
)
SELECT format('| %s%s | %s | %s |', goal, ', work_mem ' || memory, figure, CASE WHEN reached THEN 'yes' ELSE '**no**' END) FROM goals ORDER BY position, memory DESC;
