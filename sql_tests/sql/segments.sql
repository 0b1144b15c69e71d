-- Segments: built-in schemes, schemes of one's own, compiled schemes, what they call a score, what is wrong with rules
SET search_path = crm_profile;
-- many small statements: none is worth a compiler or a worker
SET jit = off;
SET max_parallel_workers_per_gather = 0;

-- All scores of five bins
CREATE TEMP TABLE cell AS
	SELECT rfm_score(r, f, m, 5) AS score, r, f, m, r::text || f || m AS cell
	FROM generate_series(1, 5) r, generate_series(1, 5) f, generate_series(1, 5) m;

-- ---------------------------------------------------------------- the built-in schemes against what was published

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

-- ---------------------------------------------------------------- a scheme of one's own

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

\set VERBOSITY terse
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

-- What is built in stays as it is
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
\set VERBOSITY default
-- and one's own does not
UPDATE scheme SET name = 'cinq' WHERE name = 'five';
SELECT segment('111', compile_scheme('cinq'));
CREATE TEMP TABLE kept AS SELECT compile_scheme('cinq') AS scheme;
DELETE FROM scheme WHERE NOT built_in;
SELECT count(*) FROM scheme_rule WHERE scheme NOT IN ('standard', 'rf', 'r-package');
SELECT segment('111', scheme) FROM kept;

-- Everybody may read, only those granted may write
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
-- many small statements: none is worth a compiler or a worker
SET jit = off;
SET max_parallel_workers_per_gather = 0;
DROP SCHEMA trap CASCADE;

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

\set VERBOSITY terse
SELECT ''::segment_scheme;
\set VERBOSITY default
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
