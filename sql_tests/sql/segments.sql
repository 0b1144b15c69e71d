-- Segments: built-in schemes, user-defined schemes, compiled schemes, the segment of a score, faults in rules
SET search_path = crm_profile;
-- many small statements: none is worth JIT or a worker
SET jit = off;
SET max_parallel_workers_per_gather = 0;

-- All scores of five bins
CREATE TEMP TABLE cell AS
	SELECT rfm_score(r, f, m, 5) AS score, r, f, m, r::text || f || m AS cell
	FROM generate_series(1, 5) r, generate_series(1, 5) f, generate_series(1, 5) m;

-- ---------------------------------------------------------------- the built-in schemes against what was published
-- six cells of the standard scheme differ: who bought once is no loss to fear, however much it was

CREATE TEMP TABLE published (segment, cells) AS VALUES
	('Champions', '555 554 544 545 454 455 445'),
	('Loyal', '543 444 435 355 354 345 344 335'),
	('Potential Loyalist', '553 552 551 542 541 533 532 531 453 452 451 442 441 433 432 431 423 353 352 351 342 341 333 323'),
	('New', '512 511 422 421 412 411 311'),
	('Promising', '525 524 523 522 521 515 514 513 425 424 415 414 413 315 314 313'),
	('Need Attention', '535 534 443 434 343 334 325 324'),
	('About To Sleep', '331 321 312 221 213'),
	('At Risk', '255 254 253 252 245 244 243 242 235 234 225 224 153 152 145 143 142 135 134 133 125 124'),
	('Can''t Lose', '155 154 144 215 214 115 114 113'),
	('Hibernating', '332 322 251 241 233 232 231 223 222 212 211 132 123 122'),
	('Lost', '151 141 131 121 112 111');
SELECT count(*), count(DISTINCT c) FROM published, string_to_table(cells, ' ') c;
SELECT cell, segment(score, (SELECT compile_scheme('standard'))), p.segment
FROM cell LEFT JOIN published p ON cell = ANY (string_to_array(cells, ' '))
WHERE segment(score, (SELECT compile_scheme('standard'))) IS DISTINCT FROM p.segment
ORDER BY cell;
-- a copy can have them back
BEGIN;
INSERT INTO scheme (name, bins) SELECT 'usual', bins FROM scheme WHERE name = 'standard';
INSERT INTO scheme_rule SELECT 'usual', position, segment, r_from, r_to, f_from, f_to, m_from, m_to, cells, description, strategy, lifecycle, condition FROM scheme_rule WHERE scheme = 'standard';
UPDATE scheme_rule SET cells = CASE segment
		WHEN 'At Risk' THEN cells || '{145}'
		WHEN 'Can''t Lose' THEN array_remove(cells, '145') || '{113,114,115,214,215}'
		ELSE ARRAY(SELECT c FROM unnest(cells) c WHERE c NOT IN ('113', '114', '115', '214', '215')) END
	WHERE scheme = 'usual' AND segment IN ('At Risk', 'Can''t Lose', 'Hibernating');
SELECT count(*) FILTER (WHERE segment(score, (SELECT compile_scheme('usual'))) IS DISTINCT FROM p.segment) AS differing, count(*)
FROM cell LEFT JOIN published p ON cell = ANY (string_to_array(cells, ' '));
ROLLBACK;

CREATE TEMP TABLE published_rf (segment, pattern) AS VALUES
	('Hibernating', '[12][12]'), ('At Risk', '[12][34]'), ('Can''t Lose', '[12]5'), ('About To Sleep', '3[12]'), ('Need Attention', '33'),
	('Loyal', '[34][45]'), ('Promising', '41'), ('New', '51'), ('Potential Loyalist', '[45][23]'), ('Champions', '5[45]');
SELECT cell, segment(score, (SELECT compile_scheme('rf'))), p.segment
FROM cell LEFT JOIN published_rf p ON cell ~ ('^' || pattern)
WHERE segment(score, (SELECT compile_scheme('rf'))) IS DISTINCT FROM p.segment
ORDER BY cell;

-- The range map of the R package, first match wins; compiling it says how many cells it leaves out
CREATE TEMP TABLE published_r AS
	SELECT score, CASE
		WHEN r BETWEEN 4 AND 5 AND f BETWEEN 4 AND 5 AND m BETWEEN 4 AND 5 THEN 'Champions'
		WHEN r BETWEEN 2 AND 5 AND f BETWEEN 3 AND 5 AND m BETWEEN 3 AND 5 THEN 'Loyal'
		WHEN r BETWEEN 3 AND 5 AND f BETWEEN 1 AND 3 AND m BETWEEN 1 AND 3 THEN 'Potential Loyalist'
		WHEN r BETWEEN 4 AND 5 AND f = 1 AND m = 1 THEN 'New'
		WHEN r BETWEEN 3 AND 4 AND f = 1 AND m = 1 THEN 'Promising'
		WHEN r BETWEEN 2 AND 3 AND f BETWEEN 2 AND 3 AND m BETWEEN 2 AND 3 THEN 'Need Attention'
		WHEN r BETWEEN 2 AND 3 AND f BETWEEN 1 AND 2 AND m BETWEEN 1 AND 2 THEN 'About To Sleep'
		WHEN r BETWEEN 1 AND 2 AND f BETWEEN 2 AND 5 AND m BETWEEN 2 AND 5 THEN 'At Risk'
		WHEN r = 1 AND f BETWEEN 4 AND 5 AND m BETWEEN 4 AND 5 THEN 'Can''t Lose'
		WHEN r BETWEEN 1 AND 2 AND f BETWEEN 1 AND 2 AND m BETWEEN 1 AND 2 THEN 'Lost' END AS segment
	FROM cell;
CREATE TEMP TABLE compiled AS SELECT compile_scheme('r-package') AS scheme;
SELECT p.score FROM published_r p, compiled WHERE segment(p.score, scheme) IS DISTINCT FROM p.segment ORDER BY 1;

-- Every segment has words to go with it
SELECT scheme, segment FROM scheme_rule WHERE description IS NULL OR strategy IS NULL ORDER BY 1, 2;
SELECT name, bins, built_in, description LIKE 'Faulty%' AS faulty FROM scheme ORDER BY name COLLATE "C";

-- ---------------------------------------------------------------- check_scheme

SELECT problem, count(*) FROM check_scheme('r-package') GROUP BY 1 ORDER BY 1;
SELECT * FROM check_scheme('r-package') WHERE problem = 'unreachable' OR cell IN ('113', '421', '555', '222') ORDER BY problem, cell, detail COLLATE "C";
SELECT * FROM check_scheme('standard') UNION ALL SELECT * FROM check_scheme('rf');

-- ---------------------------------------------------------------- a user-defined scheme

INSERT INTO scheme (name) VALUES ('five');
INSERT INTO scheme_rule (scheme, segment, r_from, r_to, f_from, f_to) VALUES
	('five', 'Best', 4, NULL, 4, NULL),
	('five', 'Growing', 4, NULL, NULL, 3),
	('five', 'Cooling', 3, 3, NULL, NULL),
	('five', 'Win back', NULL, 2, 3, NULL),
	('five', 'Lost', NULL, 2, NULL, 2);
SELECT position, segment, cell_count, cells[1] AS best, cells[cell_count] AS worst FROM segments(compile_scheme('five'));
SELECT * FROM check_scheme('five');

-- Four bins, lists of cells beside ranges, rules that share a segment, gaps and overlaps
INSERT INTO scheme (name, bins) VALUES ('mixed', 4);
INSERT INTO scheme_rule (scheme, segment, cells) VALUES ('mixed', 'VIP', '{444,434,443}');
INSERT INTO scheme_rule (scheme, segment, m_from) VALUES ('mixed', 'Big', 4), ('mixed', 'VIP', 4);
INSERT INTO scheme_rule (scheme, position, segment, r_from, r_to, f_to) VALUES ('mixed', 20, 'Sleeping', 1, 2, 3), ('mixed', 10, 'Lost', 1, 1, 3);
INSERT INTO scheme_rule (scheme, segment, r_to) VALUES ('mixed', 'Odd', 1);
SELECT position, segment FROM scheme_rule WHERE scheme = 'mixed' ORDER BY position;
SELECT compile_scheme('mixed');
SELECT * FROM check_scheme('mixed') WHERE problem = 'unreachable';
INSERT INTO scheme (name, bins) VALUES ('nine', 9);
INSERT INTO scheme_rule (scheme, segment, r_from, f_to, m_from) VALUES ('nine', 'Some', 5, 7, 2), ('nine', 'Others', NULL, NULL, NULL), ('nine', 'Nobody', 9, 1, 9);
SELECT pg_column_size(compile_scheme('nine')) < 2000 AS small, count(*) FROM segments(compile_scheme('nine'));
-- check_scheme finds what plain SQL finds in the rules
CREATE TEMP TABLE covered AS
	SELECT scheme, position, segment, cell
	FROM scheme_rule JOIN scheme s ON s.name = scheme,
		generate_series(1, s.bins) r, generate_series(1, s.bins) f, generate_series(1, s.bins) m, LATERAL (SELECT r::text || f || m AS cell) c
	WHERE CASE WHEN cells IS NOT NULL THEN cell = ANY (cells)
		ELSE r BETWEEN coalesce(r_from, 1) AND coalesce(r_to, 9) AND f BETWEEN coalesce(f_from, 1) AND coalesce(f_to, 9)
			AND m BETWEEN coalesce(m_from, 1) AND coalesce(m_to, 9) END;
CREATE INDEX ON covered (scheme, cell, position);
ANALYZE covered;
CREATE TEMP VIEW truth AS
	SELECT name AS scheme, 'uncovered' AS problem, r::text || f || m AS what
	FROM scheme, generate_series(1, bins) r, generate_series(1, bins) f, generate_series(1, bins) m
	WHERE NOT EXISTS (SELECT FROM covered c WHERE c.scheme = name AND c.cell = r::text || f || m)
	UNION ALL
	SELECT scheme, 'overlapping', cell FROM covered GROUP BY scheme, cell HAVING count(DISTINCT segment) > 1
	UNION ALL
	SELECT scheme, 'unreachable', segment FROM scheme_rule u
	WHERE NOT EXISTS (SELECT FROM covered c WHERE c.scheme = u.scheme AND c.position = u.position
		AND NOT EXISTS (SELECT FROM covered e WHERE e.scheme = c.scheme AND e.cell = c.cell AND e.position < c.position));
SELECT scheme, problem, count(*), count(*) FILTER (WHERE t.what IS NULL) AS too_much, count(*) FILTER (WHERE c.problem IS NULL) AS missing
FROM (SELECT name AS scheme, problem, coalesce(cell, segments[1]) AS what FROM scheme, check_scheme(name)) c FULL JOIN truth t USING (scheme, problem, what)
GROUP BY scheme, problem ORDER BY scheme COLLATE "C", problem;

-- A score and a scheme of different bins
SELECT segment('434/4', (SELECT compile_scheme('five')));
SELECT segment('434/4', (SELECT compile_scheme('mixed'))), segment('333/4', (SELECT compile_scheme('mixed'))), segment(NULL, compile_scheme('five'));
-- Schemes that change from row to row
SELECT name, segment('555', compile_scheme(name)) FROM (VALUES ('standard'), ('five'), ('rf'), ('five')) v (name);

-- ---------------------------------------------------------------- what is refused

SELECT compile_scheme('nope');
SELECT * FROM check_scheme('nope');
SELECT compile_scheme(NULL);
INSERT INTO scheme (name, bins) VALUES ('empty', 2);
SELECT compile_scheme('empty');
SELECT count(*) FROM check_scheme('empty');
INSERT INTO scheme_rule (scheme, segment, r_to) VALUES ('empty', 'x', 3);
SELECT compile_scheme('empty');
SELECT * FROM check_scheme('empty') WHERE problem <> 'uncovered';
UPDATE scheme_rule SET r_to = NULL, cells = '{119,222}' WHERE scheme = 'empty';
SELECT compile_scheme('empty');
INSERT INTO scheme_rule (scheme, segment) SELECT 'empty', repeat('long ', 20) || i FROM generate_series(1, 60) i;
UPDATE scheme_rule SET cells = '{222}' WHERE scheme = 'empty' AND position = 1;
SELECT compile_scheme('empty');
INSERT INTO scheme_rule (scheme, segment) SELECT 'empty', i FROM generate_series(1, 200) i;
SELECT compile_scheme('empty');

INSERT INTO scheme (name) VALUES ('five');
INSERT INTO scheme (name) VALUES (' x');
INSERT INTO scheme (name, bins) VALUES ('x', 1);
INSERT INTO scheme_rule (scheme, position, segment) VALUES ('five', 1, 'x');
INSERT INTO scheme_rule (scheme, position, segment) VALUES ('five', 0, 'x');
INSERT INTO scheme_rule (scheme, segment) VALUES ('nope', 'x');
INSERT INTO scheme_rule (scheme, segment) VALUES (NULL, 'x');
INSERT INTO scheme_rule (scheme, segment) VALUES ('five', '');
INSERT INTO scheme_rule (scheme, segment, r_from) VALUES ('five', 'x', 0);
INSERT INTO scheme_rule (scheme, segment, f_from, f_to) VALUES ('five', 'x', 4, 3);
INSERT INTO scheme_rule (scheme, segment, m_to) VALUES ('five', 'x', 10);
INSERT INTO scheme_rule (scheme, segment, m_to, cells) VALUES ('five', 'x', 4, '{111}');
INSERT INTO scheme_rule (scheme, segment, cells) VALUES ('five', 'x', '{}');
INSERT INTO scheme_rule (scheme, segment, cells) VALUES ('five', 'x', '{0555}');
INSERT INTO scheme_rule (scheme, segment, cells) VALUES ('five', 'x', '{"555,554"}');
INSERT INTO scheme_rule (scheme, segment, cells) VALUES ('five', 'x', '{555,NULL}');
INSERT INTO scheme_rule (scheme, segment, cells) VALUES ('five', 'x', '{{555},{554}}');

-- Built-in schemes cannot be changed
INSERT INTO scheme (name) VALUES ('standard');
INSERT INTO scheme (name, built_in) VALUES ('mine', true);
UPDATE scheme SET built_in = true WHERE name = 'five';
UPDATE scheme SET name = 'rf' WHERE name = 'five';
UPDATE scheme SET bins = 4 WHERE name = 'rf';
DELETE FROM scheme WHERE name = 'rf';
INSERT INTO scheme_rule (scheme, segment) VALUES ('rf', 'x');
UPDATE scheme_rule SET strategy = 'x' WHERE scheme = 'rf';
UPDATE scheme_rule SET scheme = 'rf' WHERE scheme = 'five';
DELETE FROM scheme_rule WHERE scheme = 'rf';
TRUNCATE scheme_rule;
-- and a user's can
UPDATE scheme SET name = 'cinq' WHERE name = 'five';
SELECT segment('111', compile_scheme('cinq'));
CREATE TEMP TABLE kept AS SELECT compile_scheme('cinq') AS scheme;
DELETE FROM scheme WHERE NOT built_in;
SELECT count(*) FROM scheme_rule WHERE scheme NOT IN ('standard', 'rf', 'r-package');
SELECT segment('111', scheme) FROM kept;

-- Everybody may read; only those with the right may write
CREATE ROLE regress_analyst;
GRANT USAGE ON SCHEMA crm_profile TO regress_analyst;
SET ROLE regress_analyst;
SELECT segment('111', compile_scheme('standard'));
INSERT INTO scheme (name) VALUES ('mine');
RESET ROLE;
GRANT INSERT, UPDATE, DELETE ON scheme, scheme_rule TO regress_analyst;
SET ROLE regress_analyst;
INSERT INTO scheme (name) VALUES ('mine');
INSERT INTO scheme_rule (scheme, segment) VALUES ('mine', 'All');
SELECT segment('111', compile_scheme('mine'));
DELETE FROM scheme WHERE name = 'mine';
RESET ROLE;
DROP OWNED BY regress_analyst;
DROP ROLE regress_analyst;

-- A search_path full of traps changes nothing
CREATE SCHEMA trap;
CREATE FUNCTION trap.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.no);
CREATE TABLE trap.scheme (name text);
SET search_path = trap, pg_catalog;
SELECT crm_profile.segment('555', crm_profile.compile_scheme('rf'));
SET search_path = crm_profile;
-- many small statements: none is worth JIT or a worker
SET jit = off;
SET max_parallel_workers_per_gather = 0;
DROP SCHEMA trap CASCADE;

-- ---------------------------------------------------------------- which lifecycles a segment fits

-- The description of each built-in segment, and customers whom it does not fit. None of them keeps it: every
-- cell and lifecycle has a segment that is true of it
SELECT segment, lifecycle FROM segments(compile_scheme('standard')) ORDER BY position;
CREATE TEMP TABLE labelled AS
	SELECT s.name, cell.*, word, segment(score, scheme) AS published, segment(score, scheme, word) AS segment
	FROM cell, unnest('{new,active,won back,lapsing,inactive}'::text[]) word,
		(SELECT name, compile_scheme(name) AS scheme FROM scheme WHERE name IN ('standard', 'rf')) s;
SELECT count(*) AS labels, count(*) FILTER (WHERE l.word <> ALL (t.lifecycle)) AS untrue,
	count(*) FILTER (WHERE l.published <> l.segment AND l.word = ANY (o.lifecycle)) AS changed_without_need
FROM labelled l, LATERAL (SELECT lifecycle FROM segments(compile_scheme(l.name)) t WHERE t.segment = l.segment) t,
	LATERAL (SELECT lifecycle FROM segments(compile_scheme(l.name)) o WHERE o.segment = l.published) o;
-- The others get the nearest: a step of frequency or monetary score counts as two of recency; of cells as near the one of the
-- same amount, then frequency, then recency; then the better one for who is here, the worse one for who is not
SELECT count(*) AS cells, count(*) FILTER (WHERE l.segment IS DISTINCT FROM n.segment) AS differences
FROM labelled l, LATERAL (
	SELECT o.published AS segment
	FROM labelled o, LATERAL (SELECT o.r - l.r AS r, o.f - l.f AS f, o.m - l.m AS m, CASE WHEN l.word IN ('lapsing', 'inactive') THEN -1 ELSE 1 END AS here) d
	WHERE o.name = l.name AND o.word = l.word
		AND l.word IN (SELECT unnest(r.lifecycle) FROM scheme_rule r WHERE r.scheme = o.name AND r.segment = o.published)
	ORDER BY abs(d.r) + 2 * abs(d.f) + 2 * abs(d.m), abs(d.m), abs(d.f), sign(d.r) * d.here DESC, sign(d.f) * d.here DESC, sign(d.m) * d.here DESC
	LIMIT 1) n;
-- The result for cases that people stumble over
SELECT cell, published, word, segment FROM labelled
WHERE name = 'standard' AND (cell, word) IN (('511', 'active'), ('311', 'active'), ('411', 'lapsing'), ('311', 'inactive'), ('111', 'new'), ('111', 'active'), ('111', 'lapsing'),
	('555', 'lapsing'), ('555', 'inactive'), ('255', 'active'), ('515', 'lapsing'), ('222', 'new'))
ORDER BY cell, word COLLATE "C";
-- Without a lifecycle it is the published map; an unknown lifecycle is an error
SELECT count(*) FROM labelled l, (SELECT name, compile_scheme(name) AS scheme FROM scheme) s
WHERE s.name = l.name AND segment(score, scheme, NULL) IS DISTINCT FROM published;
SELECT segment('555', compile_scheme('standard'), 'potential');
SELECT segment(NULL, compile_scheme('standard'), 'new') IS NULL AS no_score, segment('434/4', compile_scheme('standard'), 'new');

-- User-defined: a segment fits whatever any of its rules fits; where no segment fits, that of the cell stays,
-- and an uncovered cell stays uncovered
INSERT INTO scheme (name, bins) VALUES ('told', 2);
INSERT INTO scheme_rule (scheme, segment, r_from, f_from, lifecycle) VALUES ('told', 'Here', 2, 2, '{active}'), ('told', 'Here', 2, 1, '{active,new}');
INSERT INTO scheme_rule (scheme, segment, cells, lifecycle) VALUES ('told', 'Gone', '{111,112,121}', '{inactive}');
SELECT position, segment, cells, lifecycle FROM segments(compile_scheme('told'));
SELECT word, segment('222/2', s, word) AS "222", segment('111/2', s, word) AS "111", segment('122/2', s, word) AS "122"
FROM compile_scheme('told') s, unnest('{new,active,won back,lapsing,inactive}'::text[]) word;
SELECT compile_scheme('told');
SELECT compile_scheme('told')::text::segment_scheme = compile_scheme('told') AS same_text, pg_column_size(compile_scheme('standard')) < 500 AS small;
-- all lifecycles means the same as none, and is the same value
INSERT INTO scheme (name, bins) VALUES ('all', 2), ('none', 2);
INSERT INTO scheme_rule (scheme, segment, lifecycle) VALUES ('all', 'x', '{inactive,lapsing,new,active,won back}'), ('none', 'x', NULL);
SELECT compile_scheme('all') = compile_scheme('none') AS same, compile_scheme('all');
SELECT '{"bins": 2, "segments": [{"segment": "x", "cells": [222], "lifecycle": ["lapsing", "new"]}]}'::segment_scheme;
SELECT '{"bins": 2, "segments": [{"segment": "x", "lifecycle": ["new", "new"]}]}'::segment_scheme;
SELECT '{"bins": 2, "segments": [{"segment": "x", "lifecycle": ["dead"]}]}'::segment_scheme;
INSERT INTO scheme_rule (scheme, segment, lifecycle) VALUES ('told', 'x', '{dead}');
INSERT INTO scheme_rule (scheme, segment, lifecycle) VALUES ('told', 'x', '{}');
INSERT INTO scheme_rule (scheme, segment, lifecycle) VALUES ('told', 'x', '{new,NULL}');
DELETE FROM scheme WHERE NOT built_in;

-- ---------------------------------------------------------------- segments that a model leaves empty

-- 58 of 59 customers have 7 orders, the other one 8
CREATE TEMP TABLE club AS
	SELECT c AS customer, purchase_history_agg(date '2025-01-01' + c * 5 + i, c) AS history
	FROM generate_series(1, 59) c, generate_series(1, CASE WHEN c = 3 THEN 8 ELSE 7 END) i GROUP BY c;
SELECT * FROM check_scheme((SELECT compile_scheme('standard')), (SELECT rfm_fit(history, '2026-01-01') FROM club));
SELECT count(*) FROM rfm_scores(NULL::int, 'SELECT customer, day, amount FROM club, crm_profile.purchases(history)', '2026-01-01') WHERE segment = 'Champions';
SELECT count(*) FROM rfm_scores(NULL::int, 'SELECT customer, day, amount FROM club, crm_profile.purchases(history)', '2026-01-01', scheme => NULL);
-- those of them who are no longer new are not called so
SELECT published, segment, count(*), min(tenure) AS least_tenure
FROM (SELECT segment(score, scheme) AS published, segment(score, scheme, lifecycle(history, '2026-01-01', 365)) AS segment, tenure(history, '2026-01-01')
	FROM club, LATERAL (SELECT rfm_score(history, (SELECT rfm_fit(history, '2026-01-01') FROM club), '2026-01-01') AS score) s, (SELECT compile_scheme('standard') AS scheme) c) l
GROUP BY published, segment ORDER BY published COLLATE "C", segment COLLATE "C";
-- Against brute force: a score that no value of a grid has is reported, and no other
CREATE TEMP TABLE tie AS SELECT row_number() OVER () AS id, f FROM (VALUES ('{1,1,2,4}'::numeric[]), ('{1,1,1,1}'), ('{1,2,3,4}'), ('{1.2,1.8,2,2}'), ('{3,3.5,3.9,4}'), ('{2,5,5,5}')) v(f);
SELECT f, missing, told
FROM tie, LATERAL (SELECT ARRAY(SELECT s FROM generate_series(1, 5) s WHERE NOT EXISTS (SELECT FROM generate_series(1, 9) v WHERE s = 1 + (SELECT count(*) FROM unnest(f) t WHERE t < v)))::text AS missing) b,
	LATERAL (SELECT string_agg(detail, ' ' ORDER BY detail COLLATE "C") AS told FROM check_scheme((SELECT compile_scheme('rf')), rfm_model('{1,2,3,4}', f, '{1,2,3,4}'))) t ORDER BY id;
SELECT problem, cell, detail FROM check_scheme((SELECT compile_scheme('rf')), rfm_model('{7,7,8.5,9}', '{1,2,3,4}', '{1,2,2,2.5}'));

-- ---------------------------------------------------------------- contradictions, in words

SELECT v.*, label_conflicts(segment, (SELECT compile_scheme('standard')), lifecycle, p_alive, p_purchase)
FROM (VALUES (1, 'Lost', 'inactive', 0.05::float8, 0.01::float8), (2, 'Lost', 'inactive', 1, 0.2), (3, 'Lost', 'active', 0.5, 0.2), (4, 'Champions', 'active', 0.1, 0), (5, 'Champions', 'lapsing', 0.3, 0.3),
	(6, 'At Risk', 'lapsing', 0.4, 0.5), (7, 'New', 'new', 0.99, 0.1), (8, 'New', 'active', 0.99, NULL), (9, 'Need Attention', 'lapsing', 0.02, 0), (10, NULL, 'inactive', 0.9, NULL), (11, NULL, NULL, 1, 1),
	(12, 'no such segment', 'new', 0.5, 0)) v (n, segment, lifecycle, p_alive, p_purchase) ORDER BY n;
SELECT label_conflicts('Lost', NULL, 'inactive', 1, NULL), label_conflicts(NULL, NULL, 'potential', NULL, NULL);
SELECT label_conflicts('Lost', NULL, 'asleep', 1, NULL);

-- ---------------------------------------------------------------- the value

CREATE TEMP TABLE value (id int PRIMARY KEY, scheme segment_scheme);
INSERT INTO value VALUES (1, compile_scheme('standard')), (2, compile_scheme('rf')), (3, (SELECT scheme FROM compiled)),
	(4, '{"segments": [{"segment": "a \"quoted\" name", "cells": [111, 221]}, {"segment": "nobody"}, {"segment": "Größe", "cells": [222]}], "bins": 2}');
SELECT scheme FROM value WHERE id = 4;
SELECT id, scheme = scheme::text::segment_scheme AS same, crm_profile_internal.segment_scheme_send(scheme) = crm_profile_internal.segment_scheme_send(scheme::text::segment_scheme) AS bytes
FROM value ORDER BY id;
SELECT a.id, b.id FROM value a JOIN value b ON a.scheme = b.scheme ORDER BY 1, 2;
SELECT count(DISTINCT scheme) FROM (TABLE value UNION ALL TABLE value) v;
SELECT max(pg_column_size(scheme)) < 500 AS small FROM value;

\set SHOW_CONTEXT never
SELECT ''::segment_scheme;
\set SHOW_CONTEXT errors
SELECT '[]'::segment_scheme;
SELECT '{"bins": 5}'::segment_scheme;
SELECT '{"bins": 10, "segments": []}'::segment_scheme;
SELECT '{"bins": 5, "segments": []}'::segment_scheme;
SELECT '{"bins": 5, "segments": ["x"]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": 555}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": [555], "y": 1}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": [556]}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": [5555]}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": [555]}, {"segment": "y", "cells": [555]}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": [555]}, {"segment": "x", "cells": [554]}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "", "cells": [555]}]}'::segment_scheme;
SELECT '{"bins": 5, "segments": [{"segment": "x", "cells": [555]}], "more": 1}'::segment_scheme;

-- no label of a built-in scheme contradicts the lifecycle, for all customers of two shops
SET client_min_messages = error;
\getenv abs_srcdir PG_ABS_SRCDIR
\i :abs_srcdir/data/online_retail.psql
CREATE TEMP TABLE purchase (id int, bought date, amount numeric);
\set load '\\copy purchase from ' :abs_srcdir '/data/cdnow_sample.csv csv header'
:load
CREATE TEMP TABLE shop AS
	SELECT 'retail' AS data, purchase_history_agg(ordered_at, amount) AS h FROM orders GROUP BY customer UNION ALL SELECT 'cdnow', purchase_history_agg(bought, amount) FROM purchase GROUP BY id;
CREATE TEMP TABLE learnt AS SELECT data, max(last_purchase(h)) AS day FROM shop GROUP BY data;
CREATE TEMP TABLE judged AS SELECT h.data, s.name, segment(rfm_score(h.h, f.rfm, l.day), s.scheme, c.lifecycle), c.lifecycle
	FROM shop h JOIN learnt l USING (data) JOIN (SELECT data, s.bins, rfm_fit(h, day, s.bins) AS rfm, (customer_base_fit(h, day, NULL, false)).active_days, clv_fit(h, day, 'mbg/nbd') AS clv
			FROM shop JOIN learnt USING (data), (SELECT DISTINCT bins FROM scheme) s GROUP BY data, s.bins, day) f USING (data)
		JOIN (SELECT name, bins, compile_scheme(name) AS scheme FROM scheme WHERE name IN ('standard', 'rf', 'r-package')) s USING (bins),
		LATERAL (SELECT lifecycle(h.h, l.day, f.active_days, f.clv) OFFSET 0) c;
SELECT data, name, count(*) AS customers, count(DISTINCT segment) AS segments, count(DISTINCT lifecycle) AS lifecycles,
	count(*) FILTER (WHERE segment ~ '^(Champ|Loyal|Potential|Promising)' AND lifecycle IN ('inactive', 'lapsing') OR segment = 'New' AND lifecycle <> 'new'
		OR segment ~ '^(Lost|Hibern|At Risk|Can)' AND lifecycle IN ('new', 'active', 'won back') OR segment = 'About To Sleep' AND lifecycle IN ('inactive', 'new', 'won back')) AS contradictions
FROM judged GROUP BY data, name ORDER BY data, name COLLATE "C";
