-- Fits and predictions of the histories in the tables bg, mbg, pareto and regular (mbg/cnbd-2 with a season), each simulated from that model.  Run by bench/clv.sh.
CREATE TABLE measured (id int GENERATED ALWAYS AS IDENTITY, what text, seconds float8[], must_reach float8);

-- Three times; the last result is kept in a table if asked for
CREATE PROCEDURE measure(what text, query text, must_reach float8 DEFAULT NULL, keep text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz;
	seconds float8[] := '{}';
	result text;
BEGIN
	FOR i IN 1 .. 3 LOOP
		started := clock_timestamp();
		EXECUTE query INTO result;
		seconds := seconds || extract(epoch FROM clock_timestamp() - started)::float8;
	END LOOP;
	INSERT INTO measured (what, seconds, must_reach) VALUES (what, seconds, must_reach);
	IF keep IS NOT NULL THEN
		EXECUTE format('CREATE TABLE %I AS SELECT %L::%s AS m', keep, result, CASE keep WHEN 'fit_rhythm' THEN 'rhythm_model' ELSE 'clv_model' END);
	END IF;
END $$;

SELECT count(monetary(history)) FROM bg \g /dev/null
SELECT count(monetary(history)) FROM mbg \g /dev/null
SELECT count(monetary(history)) FROM pareto \g /dev/null
SELECT count(monetary(history)) FROM regular \g /dev/null
CALL measure('monetary (to read the histories)', 'SELECT count(monetary(history)) FROM mbg');
CALL measure('clv_fit, bg/nbd', $$SELECT clv_fit(history, '2024-06-30', 'bg/nbd') FROM bg$$, 1.5, 'fit_bg');
CALL measure('clv_fit, mbg/nbd', $$SELECT clv_fit(history, '2024-06-30', 'mbg/nbd') FROM mbg$$, 1.5, 'fit_mbg');
CALL measure('clv_fit, pareto/nbd', $$SELECT clv_fit(history, '2024-06-30', 'pareto/nbd') FROM pareto$$, 15, 'fit_pareto');
CALL measure('clv_fit, pareto/nbd, customers who leave at purchases', $$SELECT clv_fit(history, '2024-06-30', 'pareto/nbd') FROM bg$$, 15);
CALL measure('clv_fit, mbg/cnbd-k, season, inflow', $$SELECT clv_fit(history, '2024-06-30', 'mbg/cnbd-k, season, inflow') FROM mbg$$, 1.5, 'fit_all');
CALL measure('clv_fit, mbg/cnbd-3', $$SELECT clv_fit(history, '2024-06-30', 'mbg/cnbd-3') FROM mbg$$, 1.5, 'fit_regular');
CALL measure('clv_fit, mbg/nbd, of regular customers with a season', $$SELECT clv_fit(history, '2024-06-30', 'mbg/nbd') FROM regular$$);
CALL measure('clv_fit, mbg/cnbd-k, season, of the same: 2.5 times that', $$SELECT clv_fit(history, '2024-06-30', 'mbg/cnbd-k, season') FROM regular$$);
CALL measure('clv_fit, mbg/cnbd-k, mixed, season, of the same', $$SELECT clv_fit(history, '2024-06-30', 'mbg/cnbd-k, mixed, season') FROM regular$$);
CALL measure('clv_record of 50 000 customers', $$SELECT cardinality(clv_record(history, '2024-06-30', 90)) FROM mbg WHERE customer % 20 = 0$$, 5);
CALL measure('rhythm_fit', $$SELECT rhythm_fit(history, '2024-06-30') FROM mbg$$, NULL, 'fit_rhythm');
CALL measure('p_alive, bg/nbd', $$SELECT sum(p_alive(history, (SELECT m FROM fit_bg), '2024-06-30')) FROM bg$$, 0.6);
CALL measure('p_alive, mbg/nbd', $$SELECT sum(p_alive(history, (SELECT m FROM fit_mbg), '2024-06-30')) FROM mbg$$, 0.6);
CALL measure('p_alive, pareto/nbd', $$SELECT sum(p_alive(history, (SELECT m FROM fit_pareto), '2024-06-30')) FROM pareto$$, 0.6);
CALL measure('p_alive, mbg/cnbd-3', $$SELECT sum(p_alive(history, (SELECT m FROM fit_regular), '2024-06-30')) FROM mbg$$, 0.6);
CALL measure('expected_purchases, bg/nbd', $$SELECT sum(expected_purchases(history, (SELECT m FROM fit_bg), '2024-06-30', '90 days')) FROM bg$$, 1.2);
CALL measure('expected_purchases, mbg/nbd', $$SELECT sum(expected_purchases(history, (SELECT m FROM fit_mbg), '2024-06-30', '90 days')) FROM mbg$$, 1.2);
CALL measure('expected_purchases, pareto/nbd', $$SELECT sum(expected_purchases(history, (SELECT m FROM fit_pareto), '2024-06-30', '90 days')) FROM pareto$$, 1.2);
CALL measure('expected_purchases, mbg/cnbd-3', $$SELECT sum(expected_purchases(history, (SELECT m FROM fit_regular), '2024-06-30', '90 days')) FROM mbg$$, 1.2);
CALL measure('clv, one year, mbg/nbd', $$SELECT sum(clv(history, (SELECT m FROM fit_mbg), '2024-06-30', '1 year', 0.01)) FROM mbg$$);
CALL measure('lapse_probability', $$SELECT sum(lapse_probability(history, (SELECT m FROM fit_rhythm), '2024-06-30')) FROM mbg$$);

\pset format unaligned
\pset tuples_only on
SELECT E'\n| what | median of three, s | best | must reach |\n| --- | --- | --- | --- |';
SELECT format('| %s | %s | %s | %s |', what, round(median::numeric, 2), round(best::numeric, 2), coalesce(must_reach::text, ''))
FROM measured, LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY s) AS median, min(s) AS best FROM unnest(seconds) s) t ORDER BY id;
SELECT '';
