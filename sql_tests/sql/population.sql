-- Thresholds, tiers and counts that follow the histories that change: the same, to the byte, as those of a fit to all histories
\pset format unaligned
\pset tuples_only on
SET jit = off;
SET datestyle = ISO;
SET intervalstyle = postgres;
SET search_path = crm_profile, public;
CREATE TABLE followed (customer integer PRIMARY KEY, history purchase_history, was purchase_history, step integer);
CREATE INDEX ON followed (step);

-- one of many kinds of history: a single purchase, many, refunds, costs, repeated and distinct amounts, days in the future
CREATE FUNCTION some_history(largest integer, scale integer) RETURNS purchase_history LANGUAGE sql VOLATILE AS $$
	SELECT purchase_history_agg(day, amount, CASE WHEN random() < 0.7 THEN round(amount * 0.6, 2) END) FROM (
		SELECT date '2024-01-01' + floor(random() * 400)::integer AS day,
			CASE WHEN random() < 0.1 THEN -1 ELSE 1 END * round((random() ^ 3 * largest)::numeric, CASE WHEN random() < 0.5 THEN 0 ELSE scale END) AS amount
		FROM generate_series(1, 1 + floor(random() ^ 4 * 20)::integer)) o $$;

CREATE FUNCTION follow(customers integer, steps integer, changes integer, until date, period interval, by_profit boolean, bins integer, scale integer DEFAULT 2, days integer DEFAULT 0)
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	population bytea[];
	found text;
	truth text;
	refits integer := 0;
BEGIN
	PERFORM setseed(0.5);
	TRUNCATE followed;
	INSERT INTO followed SELECT i, some_history(5000, 2) FROM generate_series(1, customers) i;
	SELECT crm_profile_internal.population_fit(history, until, period, by_profit, bins) INTO population FROM followed;
	FOR at IN 1 .. steps LOOP
		UPDATE followed f SET was = f.history, step = c.n, history = CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.5 THEN some_history(5000, scale)
				ELSE coalesce(f.history, '{}') || some_history(300, scale) END
			FROM (SELECT at AS n, 1 + floor(random() * customers)::integer AS customer FROM generate_series(1, changes)) c WHERE c.customer = f.customer;
		until := until + CASE WHEN random() < 0.3 THEN days ELSE 0 END;
		SELECT crm_profile_internal.population_change(population, f.was, f.history, until, period, by_profit, bins) INTO population
			FROM (SELECT) one LEFT JOIN followed f ON f.step = at;
		IF population IS NULL THEN
			refits := refits + 1;
			SELECT crm_profile_internal.population_fit(history, until, period, by_profit, bins) INTO population FROM followed;
		END IF;
		SELECT ROW(m.rfm, m.customer_base)::text INTO found FROM crm_profile_internal.population_models(population) m;
		SELECT ROW(CASE WHEN period IS NULL THEN rfm_fit(history, until, bins) ELSE rfm_fit(history, until, bins, period) END, customer_base_fit(history, until, period, by_profit))::text INTO truth FROM followed;
		IF found IS DISTINCT FROM truth THEN
			RAISE EXCEPTION 'step %: % instead of %', at, found, truth;
		END IF;
	END LOOP;
	RETURN format('%s steps, made anew: %s', steps, CASE refits WHEN 0 THEN 'never' ELSE 'at times' END);
END $$;

-- whole distributions: nothing has to be rebuilt
SELECT follow(300, 60, 5, '2025-06-01', NULL, false, 5);
SELECT follow(2000, 15, 30, '2024-09-01', '6 months', true, 9);
-- windows around thresholds
SELECT follow(12000, 10, 200, '2025-06-01', NULL, false, 5);
SELECT follow(12000, 6, 200, '2025-06-01', '1 year', true, 9);
-- so many changes that ranks leave their windows
SELECT follow(12000, 3, 5000, '2025-06-01', NULL, false, 3) AS left_behind;
-- another day: without a period, and with no purchase after the last one, changes can still be followed
SELECT follow(3000, 12, 30, '2025-06-01', NULL, false, 5, days => 3);
SELECT follow(3000, 10, 30, '2025-06-01', '1 year', false, 5, days => 3) AS with_a_period;
SELECT follow(3000, 10, 30, '2024-06-01', NULL, false, 5, days => 3) AS days_ahead;
-- amounts of more decimals than before, and none
SELECT follow(3000, 10, 3, '2025-06-01', NULL, false, 5, scale => 4) AS decimals;

-- no customers, few of them, nobody with a score
SELECT * FROM crm_profile_internal.population_models((SELECT crm_profile_internal.population_fit(history, '2025-01-01', NULL, false, 5) FROM followed WHERE false));
SELECT (m.customer_base).customers, m.rfm IS NULL FROM crm_profile_internal.population_models((SELECT crm_profile_internal.population_fit('{}', '2025-01-01', NULL, false, 5))) m;
SELECT (m.customer_base).customers, thresholds(m.rfm) FROM crm_profile_internal.population_models((SELECT crm_profile_internal.population_fit('{2024-01-01: 5}', '2025-01-01', NULL, false, 2))) m;
-- the last customer goes, and the first one comes
SELECT (m.customer_base).customers, m.rfm IS NULL FROM crm_profile_internal.population_models((SELECT crm_profile_internal.population_change(p, '{2024-01-01: 5}', NULL, '2025-01-01', NULL, false, 2)
	FROM (SELECT crm_profile_internal.population_fit('{2024-01-01: 5}', '2025-01-01', NULL, false, 2) AS p) p)) m;
SELECT m.rfm::text = (SELECT rfm_fit('{2024-01-01: 5}', '2025-01-01', 2))::text FROM crm_profile_internal.population_models((SELECT crm_profile_internal.population_change(p, '{}', '{2024-01-01: 5}', '2025-01-01', NULL, false, 2)
	FROM (SELECT crm_profile_internal.population_fit('{}', '2025-01-01', NULL, false, 2) AS p) p)) m;
-- other settings, an earlier day, somebody who was not in it, no population: it has to be rebuilt
SELECT day, period, by_profit, bins, crm_profile_internal.population_change(p, was, NULL, day, period, by_profit, bins) IS NULL AS anew
FROM (SELECT crm_profile_internal.population_fit('{2024-01-01: 5}', '2025-01-01', NULL, false, 2) AS p) p,
	(VALUES (date '2025-01-01', NULL::interval, false, 2, '{2024-01-01: 5}'::purchase_history), ('2025-01-02', NULL, false, 2, '{2024-01-01: 5}'), ('2024-12-31', NULL, false, 2, '{2024-01-01: 5}'), ('2025-01-01', '1 year', false, 2, '{2024-01-01: 5}'),
		('2025-01-01', NULL, true, 2, '{2024-01-01: 5}'), ('2025-01-01', NULL, false, 3, '{2024-01-01: 5}'), ('2025-01-01', NULL, false, 2, '{2024-01-01: 6}'), ('2025-01-01', NULL, false, 2, '{2024-01-01: 5.5}')) v (day, period, by_profit, bins, was)
GROUP BY day, period, by_profit, bins, was ORDER BY was, bins, by_profit, period, day;
SELECT crm_profile_internal.population_change(NULL, NULL, NULL, '2025-01-01', NULL, false, 2) IS NULL;

-- damaged populations are rejected, or treated as none
SELECT crm_profile_internal.population_models('{}');
SELECT crm_profile_internal.population_models('{"\\x01"}');
SELECT crm_profile_internal.population_change('{"\\x01", NULL}', NULL, NULL, '2025-01-01', NULL, false, 2) IS NULL;
CREATE FUNCTION damaged(population bytea[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	refused integer := 0;
	tried integer := 0;
	other bytea[];
BEGIN
	PERFORM setseed(0.1);
	FOR part IN 1 .. cardinality(population) LOOP
		FOR at IN 0 .. length(population[part]) - 1 LOOP
			FOR try IN 1 .. 3 LOOP
				other := population;
				other[part] := CASE try WHEN 1 THEN set_byte(population[part], at, floor(random() * 256)::integer) WHEN 2 THEN substr(population[part], 1, at) ELSE set_byte(population[part], at, 255) END;
				tried := tried + 1;
				-- the server survives and reports the error
				BEGIN
					PERFORM crm_profile_internal.population_models(other);
					PERFORM crm_profile_internal.population_change(other, NULL, '{2024-01-01: 5}', '2025-06-01', NULL, false, 5);
				EXCEPTION WHEN data_corrupted OR numeric_value_out_of_range OR invalid_parameter_value THEN
					refused := refused + 1;
				END;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN CASE WHEN refused * 2 > tried THEN 'refused' ELSE format('only %s of %s refused', refused, tried) END;
END $$;
SELECT damaged((SELECT crm_profile_internal.population_fit(history, '2025-06-01', NULL, false, 5) FROM followed WHERE customer <= 15));
DROP FUNCTION some_history, follow, damaged;
DROP TABLE followed;
