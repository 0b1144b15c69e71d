-- match_fit and what a match_model says; match_prospects, where_to_find
SET search_path = public, crm_profile;
SET datestyle = ISO;
SET extra_float_digits = 1;
SET client_min_messages = warning;
\getenv abs_srcdir PG_ABS_SRCDIR
\getenv abs_builddir PG_ABS_BUILDDIR

\set load :abs_srcdir '/data/customer_personality.psql'
\i :load
\set load :abs_srcdir '/data/bank_marketing.psql'
\i :load

CREATE TABLE model AS SELECT profile_fit(person, '{"ignore": ["ID", "Response"]}') AS pm FROM person;
CREATE TABLE profiles AS SELECT "ID" AS id, profile(person, (SELECT pm FROM model)) AS p, "Response" = 1 AS target FROM person;
ALTER TABLE model ADD mm match_model;
UPDATE model SET mm = (SELECT match_fit(p, target, pm) FROM profiles);

-- ---------------------------------------------------------------- the fit is at its optimum
-- Sums of (score - target) over the rows of a bin must balance the pull of the prior, the inverse of the covariance prior_variance * I + s w w' (w: weights
-- of evidence) times the points. So within an attribute prior_variance * sum + points is a straight line over the weights of evidence. That holds for
-- the card before its points were shrunk: the scores are those of the points / shrinkage, with the intercept by which as many targets are expected as there are.
CREATE FUNCTION balanced_intercept(x float8[], targets float8) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE a float8 := 0; gap float8; weight float8;
BEGIN
	FOR step IN 1 .. 30 LOOP
		SELECT sum(q) - targets, sum(q * (1 - q)) INTO gap, weight FROM (SELECT 1 / (1 + exp(-a - u)) AS q FROM unnest(x) u) y;
		a := a - gap / weight;
	END LOOP;
	RETURN a;
END $$;
SELECT abs(sum(match_score(p, mm) - target::int)) < 1e-4 AS as_many_expected_as_there_are FROM profiles, model;
CREATE TABLE logit AS SELECT id, target, (ln(s / (1 - s)) - (match_quality(mm)).intercept) / (match_quality(mm)).shrinkage AS x
FROM (SELECT id, target, match_score(p, mm) AS s FROM profiles, model) y, model;
WITH base AS (SELECT balanced_intercept(array_agg(x ORDER BY id), count(*) FILTER (WHERE target)) AS a FROM logit),
	gradient AS (SELECT e.attribute, e.bin, sum(1 / (1 + exp(-a - l.x)) - l.target::int) AS g FROM logit l JOIN profiles USING (id), base, model, explain_match(p, mm) e GROUP BY e.attribute, e.bin),
	pull AS (SELECT c.attribute, c.woe, q.prior_variance * g.g + c.points / q.shrinkage AS y FROM model, match_quality(mm) q, match_card(mm) c JOIN gradient g USING (attribute, bin)),
	line AS (SELECT attribute, regr_slope(y, woe) AS slope, regr_intercept(y, woe) AS intercept FROM pull GROUP BY attribute)
SELECT count(*) > 50 AS many_bins, max(abs(y - intercept - slope * woe)) < 1e-5 AS on_the_line, max(abs(y)) > 0.1 AS far_apart FROM pull JOIN line USING (attribute);
DROP TABLE logit;
-- the card's counts are those of the table; its points add up to the score
SELECT bool_and(c.rows = n AND c.targets = t) AS counts FROM model, match_card(mm) c
JOIN (SELECT e.attribute, e.bin, count(*) AS n, count(*) FILTER (WHERE target) AS t FROM profiles, model, explain_match(p, mm) e GROUP BY 1, 2) x USING (attribute, bin);
SELECT max(abs(match_score(p, mm) - 1 / (1 + exp(-(q.intercept + (SELECT sum(points) FROM explain_match(p, mm))))))) < 1e-12 AS sums,
	max(abs(match_lift(p, mm) - match_score(p, mm) / q.base_rate)) < 1e-12 AS lifts
FROM profiles, model, match_quality(mm) q;

-- ---------------------------------------------------------------- quality
-- cross-validated, against the bounds of an independent implementation on the same data (scikit-learn: bench/match)
SELECT rows, targets, round(base_rate::numeric, 4) AS base_rate, auc > 0.88 AS auc, log_loss < 0.28 AS log_loss,
	abs(base_log_loss + base_rate * ln(base_rate) + (1 - base_rate) * ln(1 - base_rate)) < 1e-12 AS base, skipped FROM model, match_quality(mm);
SELECT rows, attributes, auc > 0.766 AS auc, log_loss < 0.302 AS log_loss FROM
	(SELECT match_fit(profile(bank, m), y = 'yes') AS mm FROM bank, (SELECT profile_fit(bank, '{"ignore": ["y", "duration"]}') AS m FROM bank) x) y, match_quality(mm);
-- the same honestly by hand: fit on four fifths, score the fifth; AUC by the rank sum, within what folds of another shuffle make of it
CREATE TABLE held_out AS
	SELECT f.fold, match_score(profile(person, f.pm), f.mm) AS score, "Response" = 1 AS target
	FROM (SELECT fold, pm, (SELECT match_fit(profile(person, pm), "Response" = 1) FROM person WHERE "ID" % 5 <> fold) AS mm
		FROM (SELECT fold, (SELECT profile_fit(person, '{"ignore": ["ID", "Response"]}') FROM person WHERE "ID" % 5 <> fold) AS pm FROM generate_series(0, 4) fold OFFSET 0) x OFFSET 0) f
	JOIN person ON "ID" % 5 = f.fold;
SELECT count(*), abs((sum(rank) FILTER (WHERE target) - t * (t + 1) / 2) / (t * (count(*) - t)) - (SELECT auc FROM model, match_quality(mm))) < 0.015 AS as_good_as_it_said
FROM (SELECT target, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS rank, count(*) FILTER (WHERE target) OVER () AS t FROM held_out) x GROUP BY t;
SELECT abs(avg(-ln(CASE WHEN target THEN score ELSE 1 - score END)) - (SELECT log_loss FROM model, match_quality(mm))) < 0.02 AS log_loss FROM held_out;
-- deciles: all rows and targets are in them, lift is theirs, and expected targets match actual ones
SELECT count(*), sum(d.rows) = q.rows AS rows, sum(d.targets) = q.targets AS targets, bool_and(abs(d.lift - d.targets / (d.rows * q.base_rate)) < 1e-9) AS lift,
	max(cumulative_targets) AS cumulative, max(d.lift) > 4 AS steep, max(abs(d.rate - d.expected_rate)) < 0.08 AS calibrated
FROM model, match_quality(mm) q, match_deciles(mm) d GROUP BY q.rows, q.targets;

-- Nothing to find: noise of many values is no better than chance, and the quality says so
CREATE TABLE noise AS
	SELECT i, h[1] % 10 = 0 AS target, h[2] AS n1, h[3] AS n2, h[4] % 10 AS n3, (h[5] % 12)::text AS w1, (h[6] % 150)::text AS w2, h[7] % 2 = 0 AS b1,
		CASE WHEN h[8] % 2 = 0 THEN h[9] END AS n4, ARRAY[(h[10] % 20)::text, (h[11] % 20)::text] AS a1
	FROM (SELECT i, ARRAY(SELECT ('x' || substr(md5(i || ' ' || k), 1, 7))::bit(28)::int FROM generate_series(1, 12) k) AS h FROM generate_series(1, 4000) i) x;
SELECT attributes, auc, abs(log_loss - base_log_loss) < 1e-12 AS base, shrinkage, abs(1 / (1 + exp(-intercept)) - base_rate) < 1e-12 AS share
FROM (SELECT match_fit(profile(noise, m), target) AS mm FROM noise, (SELECT profile_fit(noise, '{"ignore": ["i", "target"]}') AS m FROM noise) x) y, match_quality(mm);
-- twenty noise attributes and few rows, forty times: next to no card is kept
SET client_min_messages = error;
CREATE FUNCTION cards_of_noise(rows int, runs int) RETURNS TABLE (attributes int, gain float8) LANGUAGE plpgsql AS $$
DECLARE pm crm_profile.profile_model;
BEGIN
	FOR run IN 1 .. runs LOOP
		CREATE TEMP TABLE people AS SELECT h[21] % 10 < 3 AS target, t.* FROM (SELECT ARRAY(SELECT ('x' || substr(md5(run || ' ' || i || ' ' || k), 1, 7))::bit(28)::int FROM generate_series(1, 21) k) AS h FROM generate_series(1, rows) i) x,
			LATERAL (SELECT h[1] a1, h[2] a2, h[3] a3, h[4] a4, h[5] a5, h[6] a6, h[7] a7, h[8] a8, h[9] a9, h[10] a10, h[11] a11, h[12] a12, h[13] a13, h[14] a14, h[15] a15, h[16] a16, h[17] a17, h[18] a18, h[19] a19, h[20] a20) t;
		SELECT crm_profile.profile_fit(p, '{"ignore": ["target"]}') INTO pm FROM people p;
		RETURN QUERY SELECT q.attributes, q.base_log_loss - q.log_loss FROM (SELECT crm_profile.match_fit(crm_profile.profile(p, pm), p.target) AS mm FROM people p) x, crm_profile.match_quality(x.mm) q;
		DROP TABLE people;
	END LOOP;
END $$;
SELECT count(*), count(*) FILTER (WHERE attributes > 0) <= 2 AS next_to_none FROM cards_of_noise(500, 40);
SELECT count(*), count(*) FILTER (WHERE attributes > 0) <= 1 AS next_to_none FROM cards_of_noise(200, 20);
DROP FUNCTION cards_of_noise;
SET client_min_messages = warning;
-- few rows: the chances of people held out are as far apart as they should be (slope of the targets on the log-odds)
CREATE FUNCTION calibration_slope(x float8[], y int[]) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE a float8 := 0; b float8 := 1; s record; d float8;
BEGIN
	FOR step IN 1 .. 30 LOOP
		SELECT sum(q - v) AS ga, sum((q - v) * u) AS gb, sum(q * (1 - q)) AS aa, sum(q * (1 - q) * u) AS ab, sum(q * (1 - q) * u * u) AS bb INTO s
		FROM (SELECT u, v, 1 / (1 + exp(-a - b * u)) AS q FROM unnest(x, y) t(u, v)) z;
		d := s.aa * s.bb - s.ab ^ 2;
		a := a - (s.bb * s.ga - s.ab * s.gb) / d;
		b := b - (s.aa * s.gb - s.ab * s.ga) / d;
	END LOOP;
	RETURN b;
END $$;
CREATE TABLE held_half AS
	SELECT f.part, "ID" AS id, match_score(profile(person, f.pm), f.mm) AS score, "Response" AS y
	FROM (SELECT part, pm, (SELECT match_fit(profile(person, pm), "Response" = 1) FROM person WHERE "ID" % 4 = part) AS mm
		FROM (SELECT part, (SELECT profile_fit(person, '{"ignore": ["ID", "Response"]}') FROM person WHERE "ID" % 4 = part) AS pm FROM generate_series(0, 3) part OFFSET 0) x OFFSET 0) f
	JOIN person ON "ID" % 4 <> f.part;
SELECT calibration_slope(array_agg(ln(score / (1 - score)) ORDER BY part, id), array_agg(y ORDER BY part, id)) BETWEEN 0.9 AND 1.1 AS calibrated FROM held_half;
DROP TABLE held_half;
DROP FUNCTION calibration_slope, balanced_intercept;
-- Sets: an informative member
CREATE TABLE likes AS SELECT i, a1, n1 FROM noise;
CREATE TABLE likes_model AS SELECT profile_fit(likes, '{"ignore": ["i"]}') AS m FROM likes;
SELECT c.attribute, c.bin, c.rows = (SELECT count(*) FROM likes WHERE '7' = ANY (a1)) AS has, c.rate > 0.4 AS likely, c.points > 0 AS up
FROM (SELECT match_fit(profile(likes, m), a1 @> '{7}' AND i % 2 = 0 OR i % 20 = 1, m) AS mm FROM likes, likes_model) y, match_card(mm) c WHERE bin ~ '7$' ORDER BY c.attribute COLLATE "C", c.bin COLLATE "C";

-- ---------------------------------------------------------------- the order of the rows does not matter, bit by bit
SELECT (SELECT match_fit(p, target, pm ORDER BY id) FROM profiles, model) = (SELECT match_fit(p, target, pm ORDER BY md5(id::text)) FROM profiles, model) AS same;
-- but the rows do: those without profile or target are counted
SELECT rows, skipped FROM (SELECT match_fit(CASE WHEN id % 10 > 0 THEN p END, CASE WHEN id % 7 > 0 THEN target END) AS mm FROM profiles) x, match_quality(mm);
SELECT count(*) FILTER (WHERE id % 10 > 0 AND id % 7 > 0) AS rows, count(*) FILTER (WHERE id % 10 = 0 OR id % 7 = 0) AS skipped FROM profiles;

-- ---------------------------------------------------------------- the type
SELECT mm::text::match_model = mm AS text, length(mm::text) > 1000 AS long FROM model;
CREATE TABLE copied (mm match_model);
\set file :abs_builddir '/match_model.bin'
\set cmd '\\copy (select mm from model) to ' :'file' ' binary'
:cmd
\set cmd '\\copy copied from ' :'file' ' binary'
:cmd
SELECT c.mm = m.mm AS binary FROM copied c, model m;
SELECT ''::match_model;
SELECT '[]'::match_model;
SELECT '{"rows": 1}'::match_model;
SELECT '{"rows": -1}'::match_model;
CREATE FUNCTION refused(text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	PERFORM $1::match_model;
	RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLERRM || ' | ' || detail;
END $$;
CREATE TABLE tiny AS SELECT (SELECT match_fit(profile(t, m), i % 100 < 40 - v * 8)::text
		FROM (SELECT i, i % 5 AS v, CASE WHEN i % 3 > 0 THEN 'a' ELSE 'b' END AS w FROM generate_series(1, 1000) i) t,
			(SELECT profile_fit(t, '{"ignore": ["i"], "kinds": {"v": "numeric"}}') AS m FROM (SELECT i, i % 5 AS v, CASE WHEN i % 3 > 0 THEN 'a' ELSE 'b' END AS w FROM generate_series(1, 1000) i) t) x) AS mm;
SELECT mm::match_model::text = mm AS lossless FROM tiny;
SELECT what, refused(jsonb_set(mm::jsonb, path::text[], value::jsonb)::text) FROM tiny, (VALUES
	(1, 'auc', '{auc}', '2'), (2, 'counts', '{targets}', '5000'), (3, 'prior_variance', '{prior_variance}', '0'), (12, 'shrinkage', '{shrinkage}', '1.5'), (4, 'deciles', '{deciles}', '[]'),
	(5, 'slot', '{features,0,slot}', '9'), (6, 'ranges', '{features,0,low}', '[3, 1, 2, 0]'), (7, 'points', '{features,0,bins,1,points}', '"x"'),
	(8, 'fingerprint', '{fingerprint}', '"abc"'), (9, 'bins', '{features,0,bins}', '[{"others": 1, "targets": 1}]'), (10, 'slots', '{scaled}', '251'),
	(11, 'words', '{profile_model}', '{"rows": 1, "missing": [], "ignored": [], "attributes": [{"name": "v", "kind": "numeric", "weight": 1, "low": 0, "high": 4, "missing": 0, "other": 0}]}')) v(i, what, path, value) ORDER BY i;

-- ---------------------------------------------------------------- in words
SELECT attribute, bin, rows, targets, round(rate::numeric, 3) AS rate, round(points::numeric, 1) AS points FROM model, match_card(mm)
WHERE attribute IN ('Marital_Status', 'AcceptedCmp5', 'Income', 'Dt_Customer');
SELECT match_reasons(p, mm), match_reasons(p, mm, 1) AS one FROM profiles, model WHERE id = 5524;
SELECT jsonb_array_length(match_reasons_json(p, mm, 3)) AS three, r->>'attribute' AS attribute, r->>'value' AS value, r->>'bin' AS bin, r->>'rows' AS rows
FROM profiles, model, jsonb_array_elements(match_reasons_json(p, mm, 3)) r WHERE id = 5524;
-- the reasons are the strongest of all
SELECT (SELECT array_agg(r->>'attribute') FROM jsonb_array_elements(match_reasons_json(p, mm, 5)) r)
	= ARRAY(SELECT attribute FROM explain_match(p, mm) ORDER BY abs(points) DESC LIMIT 5) AS strongest FROM profiles, model WHERE id = 5524;
-- on the scale of scorecards, as weights of evidence
SELECT max(abs(match_points(p, mm) - (600 + 20 / ln(2) * ln(s / (1 - s))))) < 1e-6 AS points, max(abs(match_points(p, mm, 0, ln(2)) - ln(s / (1 - s)))) < 1e-9 AS log_odds FROM profiles, model, LATERAL (SELECT match_score(p, mm) AS s) x;
SELECT bool_and(w.woe = c.woe) AS woe, count(*) = (SELECT sum(q.attributes) FROM profiles, model, match_quality(mm) q) AS all_of_them FROM profiles, model, woe(p, mm) w JOIN match_card(mm) c USING (attribute, bin);
SELECT match_points(p, mm, 600, 0) FROM profiles, model LIMIT 1;
-- the fewest changes: all sets of up to two changes of four attributes tried
CREATE TABLE changed AS SELECT id, count(c.attribute) AS changes, max(c.score_then) AS reached, match_score(p, mm) AS score FROM profiles CROSS JOIN model LEFT JOIN LATERAL match_changes(p, mm, 0.4, '{Income,Marital_Status,Recency,MntMeatProducts}') c ON true WHERE id % 4 = 0 GROUP BY id, p, mm;
WITH choice AS (SELECT attribute, points FROM model, match_card(mm) WHERE attribute IN ('Income', 'Marital_Status', 'Recency', 'MntMeatProducts') AND bin <> '(missing)'),
	gain AS (SELECT id, e.attribute, max(c.points) - e.points AS gain FROM profiles, model, explain_match(p, mm) e JOIN choice c USING (attribute) GROUP BY id, e.attribute, e.points),
	subset AS (SELECT id, 1 AS n, gain FROM gain UNION ALL SELECT a.id, 2, a.gain + b.gain FROM gain a JOIN gain b ON b.id = a.id AND b.attribute > a.attribute),
	least AS (SELECT id, min(n) FILTER (WHERE 1 / (1 + exp(-ln(score / (1 - score)) - gain)) >= 0.4) AS n FROM subset JOIN changed USING (id) GROUP BY id)
SELECT count(*) FILTER (WHERE n = 1) > 10 AS ones, count(*) FILTER (WHERE n = 2) > 10 AS twos, bool_and(CASE WHEN score >= 0.4 THEN changes = 0 WHEN n IS NOT NULL THEN changes = n AND reached >= 0.4 ELSE changes > 2 OR reached < 0.4 OR reached IS NULL END) AS fewest FROM changed JOIN least USING (id);
SELECT match_changes(p, mm, 1.5, '{Income}') FROM profiles, model LIMIT 1;
DROP TABLE changed;
-- fitted without the profile model, a card has no names
SELECT DISTINCT attribute ~ '^slot \d+$' AS by_slot FROM (SELECT match_fit(p, target) AS mm FROM profiles) x, match_card(mm);

-- ---------------------------------------------------------------- odd input
SELECT match_fit(p, true) FROM profiles;
SELECT match_fit(p, false) FROM profiles;
SELECT match_fit(p, target) IS NULL AS nothing FROM profiles WHERE false;
SELECT match_fit(p, NULL::boolean) IS NULL AS nothing FROM profiles;
-- few targets: a warning, and a model all the same
SELECT rows, targets FROM (SELECT match_fit(p, target) AS mm FROM (SELECT * FROM profiles WHERE NOT target UNION ALL (SELECT * FROM profiles WHERE target ORDER BY id LIMIT 20)) x) y, match_quality(mm);
SELECT rows, targets, attributes FROM (SELECT match_fit(p, id = 5524) AS mm FROM profiles) y, match_quality(mm);
-- a profile made with another model
SELECT match_score(p, (SELECT mm::match_model FROM tiny)) FROM profiles LIMIT 1;
SELECT match_fit(p, target, m) FROM profiles, likes_model;
SELECT match_fit(p, i % 2 = 0) FROM (SELECT p, id AS i FROM profiles UNION ALL SELECT profile(likes, m), i FROM likes, likes_model) x;
SELECT match_reasons(p, mm, 0) FROM profiles, model LIMIT 1;
-- constant attributes, all attributes missing, unseen values: every profile has a score
CREATE TABLE odd AS SELECT i, 1 AS constant, CASE WHEN i % 4 > 0 THEN i % 8 END AS number, CASE WHEN i % 5 > 0 THEN (i % 8)::text || 'w' END AS word FROM generate_series(1, 800) i;
CREATE TABLE odd_model AS SELECT profile_fit(odd, '{"ignore": ["i"], "kinds": {"number": "numeric", "constant": "numeric"}}') AS pm, NULL::match_model AS mm FROM odd;
UPDATE odd_model SET mm = (SELECT match_fit(profile(odd, pm), i % 8 < 3, pm) FROM odd);
SELECT attribute, bin, rows, targets FROM odd_model, match_card(mm);
SELECT o.constant, o.number, o.word, match_score(profile(o, pm), mm) BETWEEN 0 AND 1 AS scored, e.bins FROM odd_model,
	LATERAL (SELECT 0 AS i, v.* FROM (VALUES (1, NULL, NULL), (NULL, NULL, NULL), (7, 1e9, 'never seen'), (1, -1e9, '1w'), (1, 'NaN', '2w')) v(constant, number, word)) o,
	LATERAL (SELECT string_agg(attribute || ': ' || bin, ', ') AS bins FROM explain_match(profile(o, pm), mm)) e ORDER BY o::text COLLATE "C";
-- hostile strength: two identical attributes, one that decides alone
SELECT round(auc::numeric, 3) AS auc, log_loss < 0.05 AS sure FROM (SELECT match_fit(profile(t, m), i > 500) AS mm FROM (SELECT i, i AS a, i AS b FROM generate_series(1, 1000) i) t,
	(SELECT profile_fit(t, '{"ignore": ["i"]}') AS m FROM (SELECT i, i AS a, i AS b FROM generate_series(1, 1000) i) t) x) y, match_quality(mm);

-- ---------------------------------------------------------------- from two queries to prospects
-- customers: all but every tenth person; prospects: those, with some customers among them
\set customers 'SELECT "ID", "Response" = 1 AS is_target, "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome", "Teenhome", "Dt_Customer", "Recency", "MntWines", "MntMeatProducts", "AcceptedCmp1", "AcceptedCmp5" FROM person WHERE "ID" % 10 > 0'
\set prospects 'SELECT "ID", "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome", "Teenhome", "Dt_Customer", "Recency", "MntWines", "MntMeatProducts", "AcceptedCmp1", "AcceptedCmp5" FROM person WHERE "ID" % 10 = 0 OR "ID" < 50'
SET client_min_messages = notice;
CREATE TABLE matched AS SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects');
SELECT count(*) FROM person WHERE "ID" % 10 > 0 AND "ID" < 50;
SET client_min_messages = warning;
-- every other prospect is there, with the score that the single functions give
SELECT count(*) = (SELECT count(*) FROM person WHERE "ID" % 10 = 0) AS all_there, count(DISTINCT prospect) = count(*) AS once, min(rank), count(DISTINCT decile),
	bool_and(similarity BETWEEN 0 AND 1) AS similar, bool_and(length(reasons) > 0) AS reasons FROM matched;
CREATE TABLE c AS SELECT "ID", "Response" = 1 AS is_target, "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome", "Teenhome", "Dt_Customer", "Recency",
	"MntWines", "MntMeatProducts", "AcceptedCmp1", "AcceptedCmp5" FROM person;
CREATE TABLE parts AS SELECT pm, (SELECT match_fit(profile(c, pm), is_target, pm) FROM c WHERE "ID" % 10 > 0) AS mm FROM (SELECT profile_fit(c, '{"ignore": ["ID", "is_target"]}') AS pm FROM c WHERE "ID" % 10 > 0 OFFSET 0) x;
CREATE TABLE coded AS SELECT "ID", is_target, profile(c, pm) AS p FROM c, parts;
SELECT bool_and(abs(m.score - match_score(c.p, mm)) < 1e-12) AS score, bool_and(m.reasons = match_reasons(c.p, mm)) AS reasons,
	bool_and(m.reasons_json = match_reasons_json(c.p, mm)) AS json FROM matched m JOIN coded c ON c."ID" = m.prospect, parts;
SELECT bool_and(rank = r) AS rank, bool_and(decile = floor((r - 1) * 10 / n) + 1) AS decile
FROM (SELECT rank, decile, rank() OVER (ORDER BY score DESC) AS r, count(*) OVER () AS n FROM matched) x;
-- the nearest of the best customers, by trying all of them (in a plain plan: match_prospects is what is tested)
ANALYZE matched, coded;
SET max_parallel_workers_per_gather = 0; SET jit = off;
SELECT bool_and(abs(m.similarity - x.best) < 1e-6) AS nearest, bool_and(own.is_target) AS is_target FROM matched m JOIN coded c ON c."ID" = m.prospect JOIN coded own ON own."ID" = m.nearest_customer,
	LATERAL (SELECT max(similarity(c.p, t.p)) AS best FROM coded t WHERE t.is_target AND t."ID" % 10 > 0) x WHERE m.rank <= 20;
RESET max_parallel_workers_per_gather; RESET jit;
-- it works on people that the fit has not seen
SELECT (avg(r) FILTER (WHERE NOT is_target) - avg(r) FILTER (WHERE is_target)) / count(*) > 0.25 AS auc_above_75_percent
FROM (SELECT is_target, rank() OVER (ORDER BY score DESC) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS r FROM matched JOIN c ON "ID" = prospect) x;
SELECT prospect, rank, decile, reasons FROM match_prospects(NULL::int, :'customers' || ';', :'prospects', max_rows => 3);

-- likeness with equal weights: the ten nearest targets against the same share of the others, the nearest of them
CREATE TABLE near AS SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', 'nearest', 5, '{"weights": "equal"}');
SET max_parallel_workers_per_gather = 0; SET jit = off;
SELECT count(*), bool_and(abs(n.score - (1 - o.s) / (2 - o.s - t.s)) < 1e-6) AS score, bool_and(lift IS NULL) AS no_lift, bool_and(reasons ~ '^alike: .* = ') AS reasons
FROM near n JOIN coded c ON c."ID" = n.prospect,
	(SELECT round(10.0 * count(*) FILTER (WHERE NOT is_target) / count(*) FILTER (WHERE is_target)) AS k FROM coded WHERE "ID" % 10 > 0) others,
	LATERAL (SELECT avg(s) AS s FROM (SELECT similarity(c.p, x.p) AS s FROM coded x WHERE x.is_target AND x."ID" % 10 > 0 ORDER BY s DESC LIMIT 10) y) t,
	LATERAL (SELECT avg(s) AS s FROM (SELECT similarity(c.p, x.p) AS s FROM coded x WHERE NOT x.is_target AND x."ID" % 10 > 0 ORDER BY s DESC LIMIT k) y) o;
-- learnt weights: distances are differences in points, as a share of the largest sum of differences that the card allows
CREATE TABLE learnt AS SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', 'nearest');
CREATE TABLE points AS SELECT "ID", is_target, "ID" % 10 > 0 AS customer, array_agg(e.points ORDER BY e.o) AS points FROM coded, parts, explain_match(p, mm) WITH ORDINALITY e(attribute, value, bin, points, rows, rate, o) GROUP BY 1, 2, 3;
CREATE TABLE widest AS SELECT sum(range) AS range FROM (SELECT max(points) - min(points) AS range FROM parts, match_card(mm) GROUP BY attribute) x;
SELECT max(abs(l.similarity - s)) < 0.01 AS similarity, max(best - s) < 0.01 AS nearest FROM learnt l JOIN points a ON a."ID" = l.prospect JOIN points b ON b."ID" = l.nearest_customer, widest,
	LATERAL (SELECT 1 - sum(abs(x - y)) / range AS s FROM unnest(a.points, b.points) u(x, y)) n,
	LATERAL (SELECT max(s) AS best FROM (SELECT 1 - sum(abs(x - y)) / range AS s FROM points t, unnest(a.points, t.points) u(x, y) WHERE t.is_target AND t.customer GROUP BY t."ID") z) t WHERE l.rank <= 30;
RESET max_parallel_workers_per_gather; RESET jit;
-- it orders unseen people nearly as well as the scorecard, and better than equal weights
SELECT l.auc > 0.95 * m.auc AS as_the_card, l.auc > e.auc AS better_than_equal FROM
	(SELECT avg(auc) AS auc FROM (SELECT (n.score > o.score)::int + (n.score = o.score)::int / 2.0 AS auc FROM matched n JOIN c a ON a."ID" = n.prospect AND a.is_target, matched o JOIN c b ON b."ID" = o.prospect AND NOT b.is_target) x) m,
	(SELECT avg(auc) AS auc FROM (SELECT (n.score > o.score)::int + (n.score = o.score)::int / 2.0 AS auc FROM learnt n JOIN c a ON a."ID" = n.prospect AND a.is_target, learnt o JOIN c b ON b."ID" = o.prospect AND NOT b.is_target) x) l,
	(WITH e AS (SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', 'nearest', options => '{"weights": "equal"}'))
	SELECT avg(auc) AS auc FROM (SELECT (n.score > o.score)::int + (n.score = o.score)::int / 2.0 AS auc FROM e n JOIN c a ON a."ID" = n.prospect AND a.is_target, e o JOIN c b ON b."ID" = o.prospect AND NOT b.is_target) x) e;
-- reasons: equal values have the same bin, different ones show the difference in points
SELECT bool_and((r->>'alike')::bool = (a.bin = b.bin)) AS alike, bool_and(abs((r->>'strength')::float8 - CASE WHEN a.bin = b.bin THEN abs(a.points) ELSE abs(a.points - b.points) END) < 1e-9) AS strength, bool_and(r->>'value' = a.value AND r->>'nearest' = b.value) AS said, count(*) > 20 AS many
FROM learnt l JOIN coded x ON x."ID" = l.prospect JOIN coded y ON y."ID" = l.nearest_customer, parts, jsonb_array_elements(l.reasons_json) r,
	LATERAL (SELECT * FROM explain_match(x.p, mm) WHERE attribute = r->>'attribute') a, LATERAL (SELECT * FROM explain_match(y.p, mm) WHERE attribute = r->>'attribute') b WHERE l.rank <= 5;
-- given weights; an empty card gives equal ones; other values are errors
SELECT count(*) FROM match_prospects(NULL::int, :'customers', :'prospects', 'nearest', 3, '{"weights": {"Income": 2}}');
SELECT prospect, round(score::numeric, 3) AS score FROM match_prospects(NULL::int, 'SELECT i, i % 2 = 0 AS is_target, i / 2 % 50 AS a FROM generate_series(1, 400) i', 'SELECT 1000, 7 AS a', 'nearest');
SELECT prospect, score FROM match_prospects(NULL::int, 'SELECT i, true AS is_target, i % 50 AS a FROM generate_series(1, 400) i', 'SELECT 1000, 7 AS a', 'nearest', options => '{"weights": "equal"}');
\set SHOW_CONTEXT never
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', 'nearest', options => '{"weights": "golden"}');
\set SHOW_CONTEXT errors
DROP TABLE learnt, points, widest;

-- a trial: the folds by hand, each fifth matched by the other four; with all targets (-1), with halves of them (0, 1) and quarters (2, 3)
\set half 'SELECT * FROM (' :customers ') q WHERE "ID" / 10 % 2 = 0'
CREATE TABLE trial AS SELECT * FROM match_trial(NULL::int, :'half');
CREATE TABLE dealt AS SELECT c.*, md5("ID"::text) AS h, ('x' || substr(md5("ID"::text), 1, 7))::bit(28)::int % 5 AS fold, ('x' || substr(md5("ID" || '/1'), 1, 7))::bit(28)::int % 4 AS quarter FROM c WHERE "ID" % 10 > 0 AND "ID" / 10 % 2 = 0;
SET client_min_messages = error;
CREATE TABLE by_hand AS SELECT f.fold, f.half, s."ID", s.is_target, row_number() OVER (PARTITION BY f.fold, f.half ORDER BY match_score(profile(r, pm), mm) DESC, s.h) / count(*) OVER (PARTITION BY f.fold, f.half)::float8 AS place
FROM (SELECT fold, half, pm, (SELECT match_fit(profile(r, pm), s.is_target) FROM dealt s, LATERAL (SELECT "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome", "Teenhome", "Dt_Customer", "Recency", "MntWines", "MntMeatProducts", "AcceptedCmp1", "AcceptedCmp5") r
			WHERE s.fold <> x.fold AND (NOT is_target OR x.half < 0 OR CASE WHEN x.half < 2 THEN s.quarter % 2 = x.half ELSE s.quarter = x.half - 2 END)) AS mm
		FROM (SELECT fold, half, (SELECT profile_fit(r) FROM dealt s, LATERAL (SELECT "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome", "Teenhome", "Dt_Customer", "Recency", "MntWines", "MntMeatProducts", "AcceptedCmp1", "AcceptedCmp5") r
				WHERE s.fold <> z.fold AND (NOT is_target OR z.half < 0 OR CASE WHEN z.half < 2 THEN s.quarter % 2 = z.half ELSE s.quarter = z.half - 2 END)) AS pm FROM (SELECT fold, half FROM generate_series(0, 4) fold, generate_series(-1, 3) half) z OFFSET 0) x OFFSET 0) f
	JOIN dealt s ON s.fold = f.fold, LATERAL (SELECT "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome", "Teenhome", "Dt_Customer", "Recency", "MntWines", "MntMeatProducts", "AcceptedCmp1", "AcceptedCmp5") r;
SET client_min_messages = warning;
SELECT t.share, t.people = count(*) FILTER (WHERE b.half < 0) AS people, t.found = count(*) FILTER (WHERE b.half < 0 AND b.is_target) AS found,
	abs(t.recall - count(*) FILTER (WHERE b.half < 0 AND b.is_target) / k::float8) < 1e-9 AS recall, abs(t.lift - t.precision * n / k) < 1e-9 AS lift,
	abs(t.lift_of_half - count(*) FILTER (WHERE b.half IN (0, 1) AND b.is_target)::float8 * n / count(*) FILTER (WHERE b.half IN (0, 1)) / k) < 1e-9 AS of_half, abs(t.lift_of_quarter - count(*) FILTER (WHERE b.half > 1 AND b.is_target)::float8 * n / count(*) FILTER (WHERE b.half > 1) / k) < 1e-9 AS of_quarter,
	abs(t.stability - (SELECT count(*) FROM by_hand x JOIN by_hand y USING ("ID") WHERE x.half = 0 AND y.half = 1 AND x.place <= t.share AND y.place <= t.share) / count(*) FILTER (WHERE b.half = 0)::float8) < 1e-9 AS stability, t.advice
FROM trial t JOIN by_hand b ON b.place <= t.share, (SELECT count(*) AS n, count(*) FILTER (WHERE is_target) AS k FROM dealt) z GROUP BY t.*, t.share, t.people, t.found, t.precision, t.recall, t.lift, t.lift_of_half, t.lift_of_quarter, t.stability, t.advice, n, k ORDER BY t.share;
SELECT share, advice, people, lift_of_half IS NULL AS no_halves FROM match_trial(NULL::int, 'SELECT i, i % 20 = 0 AS is_target, i % 50 AS a FROM generate_series(1, 400) i', 'nearest', '{"weights": "equal"}') WHERE share = 0.1;
-- targets dealt out twice: what all teach stays, and noise has the stability of chance
SELECT bool_and(m.people = o.people AND m.found = o.found) AS found, bool_and(abs(m.stability - share) < 0.3) AS chance, bool_or(m.stability <> o.stability) AS other_seeds, bool_and(m.lift_of_quarter IS NULL) AS no_quarters FROM match_trial(NULL::int, 'SELECT i, md5(i::text) < ''8'' AS is_target, md5(''a'' || i) AS a, i * 37 % 101 AS b FROM generate_series(1, 150) i', 'nearest', '{"weights": "equal"}', 2) m
	JOIN match_trial(NULL::int, 'SELECT i, md5(i::text) < ''8'' AS is_target, md5(''a'' || i) AS a, i * 37 % 101 AS b FROM generate_series(1, 150) i', 'nearest', '{"weights": "equal"}') o USING (share) WHERE share IN (0.2, 0.5);
\set SHOW_CONTEXT never
SELECT * FROM match_trial(NULL::int, 'SELECT 1, true AS is_target, 2 AS a', resamples => 0);
\set SHOW_CONTEXT errors
DROP TABLE trial, dealt, by_hand;

-- keys of another type, e-mail addresses in another spelling, attributes on one side only
SET client_min_messages = notice;
SELECT count(*) FROM match_prospects(NULL::text,
	'SELECT ''c'' || i, i % 7 < 3 AS is_target, i % 7 AS a, ''User'' || i || ''@Example.org'' AS email, 1 AS mine FROM generate_series(1, 500) i',
	'SELECT ''p'' || i, i % 7 AS a, '' user'' || i || ''@example.ORG '' AS email, 2 AS yours FROM generate_series(491, 600) i UNION ALL SELECT ''p0'', 3, NULL, 2 UNION ALL SELECT ''p00'', 3, '''', 2');
SET client_min_messages = warning;
SELECT count(*) FROM match_prospects(NULL::int, :'customers', 'SELECT "ID", "Income", "MntWines" FROM person WHERE false');

-- where to look: the counts of each place, recomputed
CREATE TABLE place AS SELECT * FROM where_to_find(NULL::int, :'customers', :'prospects', 0.2);
SELECT count(*) > 5 AS places, bool_and(concentration > 1) AS more_than_their_share FROM place;
SELECT p.value, p.prospects_there = count(*) AS there, p.look_alikes = count(*) FILTER (WHERE m.rank <= 0.2 * n) AS alike,
	abs(p.concentration - count(*) FILTER (WHERE m.rank <= 0.2 * n) * n / (count(*) * k)::float8) < 1e-9 AS concentration
FROM place p JOIN c ON c."Marital_Status" = p.value OR c."Education" = p.value JOIN matched m ON m.prospect = c."ID",
	(SELECT count(*) AS n, count(*) FILTER (WHERE rank <= 0.2 * (SELECT count(*) FROM matched)) AS k FROM matched) x
WHERE p.attribute IN ('Marital_Status', 'Education') GROUP BY p.value, p.prospects_there, p.look_alikes, p.concentration, n, k ORDER BY p.value COLLATE "C";

-- ranges of whole numbers end with their last one
SELECT value, prospects_there, look_alikes FROM where_to_find(NULL::int, 'SELECT i, i % 5 = 0 OR i % 7 < 2 AS is_target, CASE WHEN i % 5 = 0 THEN 0 ELSE 1 + i % 4 END AS children, (i % 7)::float8 AS rooms FROM generate_series(1, 1400) i', 'SELECT -i, CASE WHEN i % 5 = 0 THEN 0 ELSE 1 + i % 4 END AS children, (i % 7)::bigint AS rooms FROM generate_series(1, 700) i', 0.4);

-- uninformative attributes have no places, even if they are on the card
CREATE TABLE mixed AS SELECT i, h[1] % 100 < 20 + 30 * (h[2] % 2) AS is_target, h[2] % 2 AS real1, h[3] % 10 + 4 * (h[1] % 100 / 40) AS real2, h[4] n4, h[5] n5, h[6] n6, 'w' || h[7] % 5 AS w7, 'w' || h[8] % 20 AS w8, h[9] n9, h[10] n10, h[11] % 3 AS n11,
	h[12] n12, h[13] n13, h[14] n14, h[15] n15, h[16] n16, h[17] n17, h[18] n18, h[19] n19, h[20] % 30 = 0 AS b20, 'w' || h[21] % 2 AS w21, h[22] % 2 = 0 AS b22, h[23] n23
FROM (SELECT i, ARRAY(SELECT ('x' || substr(md5(i || ':' || k), 1, 7))::bit(28)::int FROM generate_series(1, 23) k) AS h FROM generate_series(1, 4000) i) x;
SELECT count(DISTINCT attribute) AS found, bool_and(attribute ~ 'real') AS no_noise
FROM where_to_find(NULL::int, 'SELECT * FROM mixed WHERE i <= 800', 'SELECT i, ' || (SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = 'mixed'::regclass AND attnum > 2) || ' FROM mixed WHERE i > 800');
DROP TABLE mixed;
\set SHOW_CONTEXT never
SELECT * FROM match_prospects(NULL, 'SELECT 1, true AS is_target, 2 AS a', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'SELECT 1, 2 AS a, 3 AS b', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'SELECT 1, 5 AS is_target, 2 AS a', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'SELECT 1, true AS is_target, 2 AS a', 'SELECT 1, 2 AS b');
SELECT * FROM match_prospects(NULL::int, 'SELECT ''x''::text, true AS is_target, 2 AS a', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'SELECT 1, true AS is_target, 2 AS a', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'SELECT 1, true AS is_target, 2 AS a WHERE false', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'DELETE FROM person', 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, 'SELECT 1, true AS is_target, 2 AS a', 'DELETE FROM person RETURNING 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, NULL, 'SELECT 1, 2 AS a');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', 'magic');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', max_rows => 0);
-- options: each misspelt or wrong one is an error that names it
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"ignor": ["Income"]}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"ignore": ["Incom"]}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"kinds": {"Incom": "numeric"}}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"kinds": {"Income": "number"}}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"ranges": {"Income": [9, 1]}}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"weights": {"Income": -1}}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"max_values": 0}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"range_count": -1}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '{"robust": 1}');
SELECT * FROM match_prospects(NULL::int, :'customers', :'prospects', options => '["Income"]');
SELECT * FROM where_to_find(NULL::int, :'customers', :'prospects', options => '{"ignor": ["Income"]}');
SELECT * FROM where_to_find(NULL::int, :'customers', :'prospects', 1);
\set SHOW_CONTEXT errors

DROP TABLE c, coded, person, bank, model, profiles, held_out, noise, likes, likes_model, copied, tiny, odd, odd_model, matched, parts, near, place;
DROP FUNCTION refused;
