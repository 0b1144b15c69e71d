-- Input of tools/run-fuzz: valid values of every type, aggregate states that SQL can pass, and what is then done with a value that
-- was accepted. $1 stands for the value.
\ir ../docs/common.sql
CREATE EXTENSION crm_profile;
SET client_min_messages = warning;
SET search_path = public, crm_profile;

CREATE TABLE seed (target text NOT NULL, t text, b bytea);    -- of types: text; of states: bytes
CREATE TABLE use (target text NOT NULL, expression text NOT NULL);

CREATE TABLE history AS
	SELECT customer_id AS customer, purchase_history_agg(ordered_at, amount, CASE WHEN id % 3 > 0 THEN round(amount * 0.6, 2) END) AS h
	FROM orders GROUP BY customer_id;
INSERT INTO seed SELECT 'purchase_history', h::text FROM history WHERE customer % 40 = 1
	UNION ALL VALUES ('purchase_history', '{}'), ('purchase_history', '{4714-11-24 BC: 5, 0001-12-31 BC: 6, 5874897-12-31: 7}'),
		('purchase_history', '{2025-01-01: 9223372036854775807 (2147483647 orders, cost -9223372036854775807), 2025-01-02: -9223372036854775807 (0 orders)}'),
		('purchase_history', '{2025-01-01: 0 (0 orders, cost 1 of 2), 2025-01-02: 0.000001, 2025-01-03: -0.5 (3 orders, cost 0 of 0.25)}');
INSERT INTO use VALUES ('purchase_history', 'monetary($1), profit($1), monthly_purchases($1), gap_stddev($1)'),
	('purchase_history', '(SELECT count(p) FROM purchases($1) p)'), ('purchase_history', '$1 || ''{2020-02-02: 1.5 (cost 0.5)}'', as_of($1, ''2024-06-01'')'),
	('purchase_history', 'recency($1, ''2025-01-01''), trend($1, ''2025-01-01'', ''90 days''), cost_coverage($1)'),
	('purchase_history', '(SELECT clv_fit($1, ''2025-12-31'') FROM generate_series(1, 2))'), ('purchase_history', '$1 = $1, $1 < ''{2020-02-02: 1}''');

INSERT INTO seed SELECT 'rfm_model', rfm_fit(h, '2025-12-31', bins, period)::text FROM history, (VALUES (5, NULL::interval), (2, '1 year'), (9, '90 days')) b (bins, period) GROUP BY bins, period
	UNION ALL SELECT 'rfm_model', rfm_model('{30, 90.5}', '{1, 2}', '{10, 99.999999}')::text;
INSERT INTO use VALUES ('rfm_model', 'thresholds($1), $1 = $1'),
	('rfm_model', '(SELECT count(rfm_score(h, $1, ''2025-12-31'')) FROM (SELECT h FROM history LIMIT 5) h)'),
	('rfm_model', '(SELECT count(purchase_pattern(h, $1, ''2025-12-31'')) FROM (SELECT h FROM history LIMIT 5) h)');

INSERT INTO seed VALUES ('rfm_score', '545'), ('rfm_score', '111'), ('rfm_score', '434/4'), ('rfm_score', '999/9');
INSERT INTO use VALUES ('rfm_score', 'r_score($1), f_score($1), m_score($1), bins($1), $1::integer'), ('rfm_score', 'segment($1, compile_scheme(''standard''))');

INSERT INTO seed SELECT 'segment_scheme', compile_scheme(name)::text FROM scheme
	UNION ALL VALUES ('segment_scheme', '{"bins": 2, "segments": [{"segment": "Best", "cells": [222, 221]}, {"segment": "Rest", "cells": [212, 211, 122, 121, 112, 111]}]}'),
		('segment_scheme', '{"bins": 9, "segments": [{"segment": "é\"\\", "cells": [999]}]}');
INSERT INTO use VALUES ('segment_scheme', '(SELECT count(s) FROM segments($1) s)'), ('segment_scheme', 'segment(''545'', $1)'), ('segment_scheme', '$1 = $1');

INSERT INTO seed SELECT 'clv_model', clv_fit(h, '2025-12-31', model, NULL, value)::text FROM history, unnest('{bg/nbd,mbg/nbd,pareto/nbd}'::text[]) model, unnest('{revenue,profit}'::text[]) value GROUP BY model, value
	UNION ALL SELECT 'clv_model', clv_model('bg/nbd', '{0.243, 4.414, 0.793, 2.426}', '{6.25, 3.74, 15.44}')::text
	UNION ALL SELECT 'clv_model', '{"model": "mbg/nbd", "parameters": [1, 6, 0.9, 5], "as_of": "2025-12-31", "regularity": 2, "season": [0.5, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2], "months": [1, 0.5, 1.5], "day_weights": [{"from": "2025-12-24", "days": 3}, {"from": "2026-01-02", "weight": 2}]}'::clv_model::text;
INSERT INTO seed SELECT 'clv_model', clv_fit(h, '2025-12-31', model, NULL, NULL, r, '{"ridge": 1}')::text FROM history JOIN customers c ON c.id = customer, LATERAL (SELECT city, age) r, unnest('{mbg/nbd,pareto/nbd}'::text[]) model GROUP BY model;
INSERT INTO use VALUES ('clv_model', 'with_attributes($1, (SELECT r FROM (SELECT ''Lyon'' AS city, 40 AS age) r))'),
	('clv_model', '(SELECT count(p) FROM clv_parameters($1) p)'), ('clv_model', 'clv_model_card($1)'),
	('clv_model', '(SELECT sum(p_alive(h, $1, ''2025-12-31'')) FROM (SELECT h FROM history LIMIT 5) h)'),
	('clv_model', '(SELECT sum(clv(h, $1, ''2025-12-31'', ''1 year'', 0.01)) FROM (SELECT h FROM history LIMIT 3) h)'),
	('clv_model', '(SELECT max(next_purchase(h, $1, ''2025-12-31'')) FROM (SELECT h FROM history LIMIT 3) h)'),
	('clv_model', '(SELECT count(expected_purchases_interval(h, $1, ''2025-12-31'', ''90 days'')) FROM (SELECT h FROM history LIMIT 3) h)');

INSERT INTO seed SELECT 'rhythm_model', rhythm_fit(h, '2025-12-31')::text FROM history
	UNION ALL SELECT 'rhythm_model', rhythm_fit(h, '2023-03-31')::text FROM history UNION ALL SELECT 'rhythm_model', rhythm_model(3, 1.5, 20)::text;
INSERT INTO use VALUES ('rhythm_model', 'rhythm_model_card($1)'), ('rhythm_model', '(SELECT count(p) FROM rhythm_parameters($1) p)'),
	('rhythm_model', '(SELECT sum(lapse_probability(h, $1, ''2025-12-31'')) FROM (SELECT h FROM history LIMIT 5) h)'),
	('rhythm_model', '(SELECT max(lifecycle(h, ''2025-12-31'', 90, 180, $1)) FROM (SELECT h FROM history LIMIT 5) h)');

INSERT INTO seed SELECT 'contract_model', contract_fit((customer % 9)::integer, customer % 3 = 0)::text FROM history UNION ALL SELECT 'contract_model', contract_model(0.668, 3.806)::text;
INSERT INTO use VALUES ('contract_model', 'contract_model_card($1), survival($1, 10), survival($1, 3, 9999), retention($1, 1), expected_renewals($1, 100, 5, 0.1)'),
	('contract_model', '(SELECT count(p) FROM contract_parameters($1) p)');
INSERT INTO seed SELECT 'donation_model', donation_fit(ARRAY[customer % 2 = 0, customer % 3 = 0, customer % 5 = 0])::text FROM history UNION ALL SELECT 'donation_model', donation_model(1.204, 0.75, 0.657, 2.783)::text;
INSERT INTO use VALUES ('donation_model', 'donation_model_card($1), p_alive($1, 2, 3, 6), p_alive($1, ''{true,false}''), expected_donations($1, 0, 0, 0, 10), expected_donations($1, 50, 99, 100, 10, 0.1)'),
	('donation_model', '(SELECT count(p) FROM donation_parameters($1) p)');

CREATE TABLE person AS
	SELECT id, age, education, city, job, age % 2 = 0 AS member, date '2020-01-01' + age * 13 AS joined, ARRAY[city, job, job] AS likes, id % 7 < 2 AS is_target FROM customers;
CREATE TABLE model AS SELECT profile_fit(p, options) AS pm
	FROM person p, (VALUES ('{"ignore": ["id", "is_target"]}'::jsonb), ('{"ignore": ["id", "is_target", "job"], "weights": {"age": 0.3}, "order": {"education": ["Basic", "Graduation", "Master", "PhD"]}}')) o (options)
	GROUP BY options;
CREATE TABLE encoded AS SELECT pm, profile(p, pm) AS p, is_target FROM person p, model;
INSERT INTO seed SELECT 'profile_model', pm::text FROM model;
INSERT INTO use VALUES ('profile_model', '(SELECT count(a) FROM profile_attributes($1) a)'), ('profile_model', '(SELECT count(profile(p, $1)) FROM (SELECT * FROM person LIMIT 3) p)'),
	('profile_model', '(SELECT count(e) FROM (SELECT * FROM encoded LIMIT 2) r, explain_similarity(r.p, r.p, $1) e)');
INSERT INTO seed SELECT 'profile', p::text FROM (SELECT p FROM encoded ORDER BY p LIMIT 20) e;
INSERT INTO use VALUES ('profile', 'similarity($1, $1), $1 <-> $1'), ('profile', '(SELECT count(v) FROM model m, profile_values($1, m.pm) v)'),
	('profile', '(SELECT count(similarity($1, p)) FROM encoded LIMIT 1)');
INSERT INTO seed SELECT 'match_model', match_fit(p, is_target, pm)::text FROM encoded GROUP BY pm UNION ALL SELECT 'match_model', match_fit(p, is_target)::text FROM encoded GROUP BY pm;
INSERT INTO use VALUES ('match_model', '(SELECT count(c) FROM match_card($1) c)'), ('match_model', '(SELECT count(d) FROM match_deciles($1) d)'), ('match_model', 'match_quality($1)'),
	('match_model', '(SELECT count(match_score(p, $1)) + count(match_reasons(p, $1)) FROM (SELECT p FROM encoded LIMIT 2) e)'),
	('match_model', '(SELECT count(x) FROM (SELECT p FROM encoded LIMIT 2) e, explain_match(p, $1) x)');
INSERT INTO seed SELECT 'uplift_model', uplift_fit(p, n % 2 = 0, n % 2 = 0 AND is_target, pm)::text FROM (SELECT *, row_number() OVER (PARTITION BY pm ORDER BY p) AS n FROM encoded) e GROUP BY pm UNION ALL SELECT 'uplift_model', uplift_fit(p, is_target, 1)::text FROM encoded GROUP BY pm;
INSERT INTO use VALUES ('uplift_model', '(SELECT count(c) FROM uplift_card($1) c)'), ('uplift_model', '(SELECT count(d) FROM uplift_deciles($1) d)'), ('uplift_model', 'uplift_quality($1)'),
	('uplift_model', '(SELECT count(uplift_score(p, $1)) + count(uplift_reasons(p, $1)) + count(uplift_group(p, $1)) FROM (SELECT p FROM encoded LIMIT 2) e)'),
	('uplift_model', '(SELECT count(x) FROM (SELECT p FROM encoded LIMIT 2) e, explain_uplift(p, $1) x)');
INSERT INTO seed VALUES ('sealed_models', '(sealed)');
INSERT INTO use VALUES ('sealed_models', 'pg_column_size($1)');

-- States made of bytes: anybody who may create aggregates can pass the support functions any bytes, as a first state or as a row
SET search_path = public, crm_profile, crm_profile_internal;
CREATE AGGREGATE clv_fit_state(purchase_history, date) (SFUNC = clv_fit_transfn, STYPE = bytea);
CREATE AGGREGATE rhythm_fit_state(purchase_history, date) (SFUNC = rhythm_fit_transfn, STYPE = bytea);
CREATE AGGREGATE clv_holdout_state(purchase_history, date, date) (SFUNC = clv_holdout_transfn, STYPE = bytea);
CREATE AGGREGATE clv_fit_of(bytea) (SFUNC = summary_state_combine, STYPE = bytea, FINALFUNC = clv_fit_finalfn);
CREATE AGGREGATE rhythm_fit_of(bytea) (SFUNC = summary_state_combine, STYPE = bytea, FINALFUNC = rhythm_fit_finalfn);
CREATE AGGREGATE clv_holdout_of(bytea) (SFUNC = clv_record_combine, STYPE = bytea, FINALFUNC = clv_holdout_finalfn);
CREATE AGGREGATE clv_record_state(purchase_history, date, integer) (SFUNC = clv_record_transfn, STYPE = bytea);
CREATE AGGREGATE clv_record_of(bytea) (SFUNC = clv_record_combine, STYPE = bytea, FINALFUNC = clv_record_finalfn);
CREATE AGGREGATE contract_fit_state(integer, boolean) (SFUNC = contract_fit_transfn, STYPE = bytea);
CREATE AGGREGATE contract_fit_of(bytea) (SFUNC = summary_state_combine, STYPE = bytea, FINALFUNC = contract_fit_finalfn);
CREATE AGGREGATE donation_fit_state(boolean[]) (SFUNC = donation_fit_transfn, STYPE = bytea);
CREATE AGGREGATE donation_fit_of(bytea) (SFUNC = summary_state_combine, STYPE = bytea, FINALFUNC = donation_fit_finalfn);
CREATE FUNCTION go_on(state bytea, fit text, types text, arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text;
BEGIN
	EXECUTE format('CREATE AGGREGATE pg_temp.go_on(%s) (SFUNC = %s_transfn, STYPE = bytea, FINALFUNC = %2$s_finalfn, INITCOND = %L)', types, fit, state);
	EXECUTE format('SELECT pg_temp.go_on(%s)::text FROM (SELECT h, customer FROM history LIMIT 20) h', arguments) INTO said;
	EXECUTE format('DROP AGGREGATE pg_temp.go_on(%s)', types);
	RETURN said;
END $$;
INSERT INTO seed (target, b)
	SELECT 'clv_fit state', clv_fit_state(h, '2025-12-31') FROM history UNION ALL SELECT 'clv_fit state', clv_fit_state(h, '2025-12-31') FROM history WHERE customer < 10
	UNION ALL SELECT 'rhythm_fit state', rhythm_fit_state(h, '2025-12-31') FROM history WHERE customer < 30
	UNION ALL SELECT 'clv_holdout state', clv_holdout_state(h, '2025-06-30', '2025-12-31') FROM history WHERE customer < 30
	UNION ALL SELECT 'clv_record state', clv_record_state(h, '2025-12-31', 90) FROM history WHERE customer < 30
	UNION ALL SELECT 'contract_fit state', contract_fit_state((customer % 9)::integer, customer % 3 = 0) FROM history
	UNION ALL SELECT 'donation_fit state', donation_fit_state(ARRAY[customer % 2 = 0, customer % 3 = 0, customer % 5 = 0]) FROM history
	UNION ALL SELECT what, b FROM unnest('{clv_fit state,rhythm_fit state,clv_holdout state,clv_record state,contract_fit state,donation_fit state}'::text[]) what,
		(VALUES ('\x'::bytea), (decode(repeat('00', 60), 'hex')), (decode(repeat('01', 200), 'hex'))) v (b);
INSERT INTO use SELECT f.fit || ' state', u.expression
	FROM (VALUES ('clv_fit', 'purchase_history, date', $$h, '2025-12-31'$$), ('rhythm_fit', 'purchase_history, date', $$h, '2025-12-31'$$),
			('clv_holdout', 'purchase_history, date, date', $$h, '2025-06-30', '2025-12-31'$$), ('clv_record', 'purchase_history, date, integer', $$h, '2025-12-31', 90$$),
			('contract_fit', 'integer, boolean', '3, true'), ('donation_fit', 'boolean[]', 'ARRAY[customer % 2 = 0, true, false]')) f(fit, types, arguments),
		unnest(ARRAY[format('(SELECT %s_of($1) FROM generate_series(1, 2))', f.fit), format('go_on($1, %L, %L, %L)', f.fit, f.types, f.arguments)]) u(expression);

-- The population of a source with change tracking: its table is the owner's, but the functions that read it are everybody's
CREATE TABLE population AS SELECT population_fit(h, '2025-12-31', '1 year', true, 5) AS parts FROM history;
INSERT INTO seed (target, b) SELECT 'population head', parts[1] FROM population UNION ALL SELECT 'population window', u FROM population, unnest(parts[2:]) u;
INSERT INTO use SELECT t.target, u.expression
	FROM (VALUES ('population head', '$1 || parts[2:]'), ('population window', 'parts[1] || $1 || parts[3:]'), ('population window', 'parts[:cardinality(parts) - 1] || $1')) t(target, parts),
		unnest(ARRAY[format('(SELECT (population_models(%s)).rfm FROM population)', t.parts), format('(SELECT (population_models(%s)).customer_base FROM population)', t.parts),
			format($$(SELECT population_change(%s, CASE WHEN customer %% 2 = 0 THEN h END, CASE WHEN customer %% 3 = 0 THEN h END, '2026-01-05', '1 year', true, 5) FROM history, population WHERE customer < 40)$$, t.parts)]) u(expression);
