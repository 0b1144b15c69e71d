-- The report, as Markdown
\pset format unaligned
\pset tuples_only on

-- each method against the bare scan of its own session, right before it: a machine's speed drifts
CREATE TEMPORARY VIEW figure AS
SELECT method, orders, memory,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds,
	max(peak_kb) / 1024.0 AS peak_mb,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds / scan_seconds) AS ratio
FROM measured
GROUP BY method, orders, memory;

CREATE TEMPORARY TABLE method (position serial, method text, title text);
INSERT INTO method (method, title) VALUES
	('built_in', '`GROUP BY` customer: built-in `count`, `max`, `sum`'),
	('ntile', 'plain SQL: `GROUP BY`, three `ntile(5)`, `CASE`'),
	('percentile', 'plain SQL: `GROUP BY`, three `percentile_cont`, `CASE`'),
	('agg', '`GROUP BY` customer: `purchase_history_agg`'),
	('agg_score', '`purchase_history_agg` → `rfm_fit` → `rfm_score` → `segment`'),
	('stepwise', '`collect_purchase_histories` → `rfm_fit` → `rfm_score` → `segment`'),
	('rfm_scores', '`rfm_scores`'),
	('label', 'stored histories: `rfm_score`, `segment`, `GROUP BY` segment'),
	('count_scores', '`rfm_scores`, its rows only counted'),
	('count_scores_worker', 'the same with a worker beside the leader'),
	('count_histories', '`collect_purchase_histories`, its rows only counted'),
	('count_histories_worker', 'the same with a worker beside the leader');

\qecho '## Main job'
\qecho
SELECT format('%s, %s cores, %s GB RAM; PostgreSQL %s, shared_buffers %s, no parallel workers but where they are named, no JIT; median of %s runs. In brackets: times the bare scan, `SELECT count(amount) FROM orders`, that came right before.',
	:'cpu', :'cores', :'memory', split_part(current_setting('server_version'), ' ', 1), current_setting('shared_buffers'),
	(SELECT max(round) FROM measured));
\qecho
SELECT '| all customers, into a temporary table |' || string_agg(format(' %s orders, work_mem %s |', orders, memory), '' ORDER BY orders, memory DESC)
	|| E'\n| --- |' || string_agg(' --- |', '')
FROM (SELECT DISTINCT orders, memory FROM figure) AS c;
SELECT '| bare scan |' || string_agg(format(' %s s |', round(scan::numeric, 2)), '' ORDER BY orders, memory DESC)
FROM (SELECT orders, memory, percentile_cont(0.5) WITHIN GROUP (ORDER BY scan_seconds) AS scan FROM measured GROUP BY orders, memory) AS c;
SELECT format('| %s |', title) || string_agg(format(' %s s (%s ×)%s |', round(seconds::numeric, 2), round(ratio::numeric, 1),
	coalesce(format(', %s MB', ceil(peak_mb)), '')), '' ORDER BY orders, memory DESC)
FROM figure JOIN method USING (method) GROUP BY method.position, title ORDER BY method.position;
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
	SELECT * FROM figure WHERE orders = (SELECT max(orders) FROM figure)
), pairs AS (
	SELECT memory, max(ratio) FILTER (WHERE method = 'rfm_scores') AS scores, max(ratio) FILTER (WHERE method = 'stepwise') AS stepwise,
		max(ratio) FILTER (WHERE method = 'agg') AS agg, max(ratio) FILTER (WHERE method = 'built_in') AS built_in,
		max(seconds) FILTER (WHERE method = 'count_scores_worker') / max(seconds) FILTER (WHERE method = 'count_scores') AS scores_worker,
		max(seconds) FILTER (WHERE method = 'count_histories_worker') / max(seconds) FILTER (WHERE method = 'count_histories') AS histories_worker,
		min(ratio) FILTER (WHERE method IN ('ntile', 'percentile')) AS plain, max(seconds) FILTER (WHERE method = 'label') AS label,
		max(peak_mb) FILTER (WHERE method IN ('rfm_scores', 'stepwise')) AS peak,
		pg_size_bytes(memory) / 1048576.0 * (current_setting('hash_mem_multiplier')::numeric + 1) + 32 AS bound
	FROM most GROUP BY memory
), goals AS (
	SELECT 1 AS position, memory, '`rfm_scores`: at most 2.5 × the bare scan' AS goal, format('%s ×', round(scores::numeric, 2)) AS figure, scores <= 2.5 AS reached FROM pairs
	UNION ALL SELECT 2, memory, '`rfm_scores`: at least 6 × faster than plain SQL', format('%s ×', round((plain / scores)::numeric, 1)), plain / scores >= 6 FROM pairs
	UNION ALL SELECT 3, memory, 'stepwise: at most 4 × the bare scan', format('%s ×', round(stepwise::numeric, 2)), stepwise <= 4 FROM pairs
	UNION ALL SELECT 4, memory, '`purchase_history_agg`: no slower than `count`, `max`, `sum`', format('%s of its time', round((agg / built_in)::numeric, 2)), agg <= built_in FROM pairs
	UNION ALL SELECT 5, memory, 'score and label 1 M stored histories: at most 0.6 s', format('%s s', round((label * 1e6 / (SELECT max(customers) FROM size))::numeric, 2)), label * 1e6 / (SELECT max(customers) FROM size) <= 0.6 FROM pairs
	UNION ALL SELECT 6, memory, format('private memory: at most %s MB', round(bound)), format('%s MB', ceil(peak)), peak <= bound FROM pairs WHERE peak IS NOT NULL
	UNION ALL SELECT 8, memory, '`rfm_scores` with a worker: at most 0.6 of the time without', format('%s', round(scores_worker::numeric, 2)), scores_worker <= 0.6 FROM pairs
	UNION ALL SELECT 9, memory, '`collect_purchase_histories` with a worker: at most 0.6', format('%s', round(histories_worker::numeric, 2)), histories_worker <= 0.6 FROM pairs
	UNION ALL SELECT 7, NULL, 'histories: at most 10 % of the order table', format('%s %%', round(100.0 * history_bytes / orders_bytes, 1)), history_bytes * 10 <= orders_bytes
		FROM size WHERE orders = (SELECT max(orders) FROM size)
)
SELECT format('| %s%s | %s | %s |', goal, ', work_mem ' || memory, figure, CASE WHEN reached THEN 'yes' ELSE '**no**' END) FROM goals ORDER BY position, memory DESC;
