-- Cards whose points are values: match_fit(profile, value)
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA worth;
SET search_path = worth, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
CREATE FUNCTION normal(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN sqrt(-2 * ln(coin(i, k) + 1e-9)) * cos(2 * pi() * coin(i, k + 50));
CREATE TABLE person AS SELECT i AS id, 18 + floor(coin(i, 1) * 60)::int AS age, (ARRAY['Ulm', 'Rome', 'Oslo', 'Bonn'])[1 + floor(coin(i, 2) * 4)] AS town, coin(i, 3) < 0.4 AS member, CASE WHEN coin(i, 4) < 0.8 THEN coin(i, 4) END AS score,
	ARRAY[chr(97 + (coin(i, 5) * 3)::int)] AS likes, coin(i, 6) AS noise1, chr(97 + (coin(i, 7) * 20)::int) AS noise2 FROM generate_series(1, 6000) i;
ALTER TABLE person ADD value float8, ADD bought float8;
UPDATE person SET value = 100 + 30 * (town = 'Rome')::int - 20 * (town = 'Oslo')::int + 0.5 * age + 25 * member::int + 15 * (score IS NULL)::int + 10 * ('b' = ANY (likes))::int + 20 * normal(id, 8),
	bought = CASE WHEN coin(id, 9) < 0.04 + 0.1 * member::int THEN exp(3 + 0.5 * normal(id, 10) + 0.7 * (town = 'Rome')::int) ELSE 0 END;
CREATE TABLE model AS SELECT profile_fit(p, '{"ignore": ["id", "value", "bought"]}') AS m FROM person p;
CREATE TABLE card AS SELECT match_fit(profile(p, m), value, m) AS mm FROM person p, model WHERE id <= 3000;
CREATE TABLE scored AS SELECT id, value, match_score(profile(p, m), mm) AS score FROM person p, model, card;
-- ---------------------------------------------------------------- honest: the other half says the same; most of what can be explained is
SELECT rows, targets, round(base_rate::numeric, 6) = (SELECT round(avg(value)::numeric, 6) FROM person WHERE id <= 3000) AS mean, auc, log_loss, base_log_loss, skipped, abs(r_squared - x.held_out) < 0.03 AS as_reported, x.held_out > 0.93 * x.possible AS nearly_all,
	abs(rmse - x.error) < 1 AS error, abs(rmse / x.deviation - sqrt(1 - r_squared)) < 1e-9 AS consistent
FROM card, match_quality(mm), (SELECT 1 - avg((value - score) ^ 2) / var_pop(value) AS held_out, 1 - 400 / var_pop(value) AS possible, sqrt(avg((value - score) ^ 2)) AS error,
	(SELECT stddev_pop(value) FROM person WHERE id <= 3000) AS deviation FROM scored WHERE id > 3000) x;
-- unbiased, in every tenth, and calibrated: the slope of unseen values on scores
SELECT abs(avg(value - score)) < 1.5 AS unbiased, regr_slope(value, score) BETWEEN 0.95 AND 1.05 AS slope FROM scored WHERE id > 3000;
SELECT abs(sum(score - value)) < 1e-6 AS as_much_expected_as_there_is FROM scored WHERE id <= 3000;
SELECT count(*), sum(d.rows) AS rows, bool_and(d.targets IS NULL) AS no_targets, abs(sum(d.rate * d.rows) - (SELECT sum(value) FROM person WHERE id <= 3000)) < 1e-6 AS sums, max(abs(d.rate - d.expected_rate)) < 5 AS calibrated,
	bool_and(abs(d.lift - d.rate / q.base_rate) < 1e-9) AS lift, round(max(cumulative_targets)::numeric, 6) AS cumulative FROM card, match_quality(mm) q, match_deciles(mm) d;
-- the card: counts and means of plain SQL, noise stays out; points add up
SELECT attribute, bin, rows, targets, woe, round(points::numeric) AS points FROM card, match_card(mm) WHERE attribute IN ('town', 'member', 'likes') OR bin = '(missing)';
SELECT count(*) FILTER (WHERE attribute LIKE 'noise%') AS noise, bool_and(c.rows = x.n AND abs(c.rate - x.mean) < 1e-9) AS means FROM card, match_card(mm) c
	JOIN (SELECT e.attribute, e.bin, count(*) AS n, avg(p.value) AS mean FROM person p, model, card, explain_match(profile(p, m), mm) e WHERE id <= 3000 GROUP BY 1, 2) x USING (attribute, bin);
SELECT max(abs(match_score(x, mm) - (match_quality(mm)).intercept - (SELECT sum(points) FROM explain_match(x, mm)))) < 1e-9 AS sums, max(abs(match_lift(x, mm) - match_score(x, mm) / (match_quality(mm)).base_rate)) < 1e-12 AS lift
FROM (SELECT profile(p, m) AS x FROM person p, model WHERE id <= 500) y, card;
-- the optimum: within an attribute, prior_variance * sum of residuals + points is a straight line over the differences from the mean, a row of the mean added; all in standard deviations, before the points were shrunk
WITH unit AS (SELECT stddev_pop(value) AS sd, avg(value) AS mean, (match_quality(mm)).* FROM person, card WHERE id <= 3000 GROUP BY mm),
	line AS (SELECT e.attribute, e.bin, count(*) AS n, (avg(p.value) - u.mean) / u.sd * count(*) / (count(*) + 1) AS x, max(e.points) / u.sd / u.shrinkage AS points, u.prior_variance,
		sum((s.score - u.mean) / u.sd / u.shrinkage - (p.value - u.mean) / u.sd) AS residual
		FROM person p JOIN scored s USING (id), model, card, unit u, explain_match(profile(p, m), mm) e WHERE p.id <= 3000 AND e.attribute <> 'likes' GROUP BY e.attribute, e.bin, u.sd, u.mean, u.shrinkage, u.prior_variance)
SELECT count(*) > 10 AS bins, max(off) < 1e-6 AS on_the_line FROM (SELECT abs(y - regr_intercept(y, x) OVER w - regr_slope(y, x) OVER w * x) AS off FROM (SELECT *, prior_variance * residual + points AS y FROM line) z WINDOW w AS (PARTITION BY attribute)) q;
-- ---------------------------------------------------------------- rare and skew: eight in a hundred buy
SELECT r_squared > 0 AS something, slope BETWEEN 0.5 AND 1.6 AS slope, lift > 1.5 AS best_tenth FROM (SELECT (match_quality(mm)).r_squared, regr_slope(bought, s) AS slope, avg(bought) FILTER (WHERE n <= 300) / avg(bought) AS lift
	FROM (SELECT bought, mm, s, row_number() OVER (ORDER BY s DESC) AS n FROM (SELECT bought, mm, match_score(profile(p, m), mm) AS s FROM person p, model, (SELECT match_fit(profile(p, m), bought) AS mm FROM person p, model WHERE id <= 3000) c WHERE id > 3000) x) y GROUP BY mm) z;
-- twenty draws of noise: next to none has a card, and its score is the mean
SET client_min_messages = error;
SELECT count(*) FILTER (WHERE (match_quality(mm)).shrinkage > 0) <= 2 AS next_to_none, max(abs(match_score(x, mm) - mean)) FILTER (WHERE (match_quality(mm)).shrinkage = 0) < 1e-9 AS score
FROM (SELECT match_fit(profile(p, m), normal(id, 100 + k), m) AS mm, avg(normal(id, 100 + k)) AS mean FROM generate_series(1, 20) k, person p, model WHERE id <= 500 GROUP BY k) f, (SELECT profile(p, m) AS x FROM person p, model WHERE id = 1) y;
SET client_min_messages = warning;
SELECT r_squared, rmse > 0.9 AS rmse, shrinkage FROM (SELECT match_fit(profile(p, m), normal(id, 200)) AS mm FROM person p, model WHERE id <= 500) f, match_quality(mm);
-- interactions: neither tells anything alone
SELECT (SELECT string_agg(DISTINCT attribute, ', ') FROM match_card(mm) WHERE attribute ~ '×') AS pairs, r_squared > 0.4 AS found FROM (SELECT match_fit(profile(p, m), (member <> (noise1 > 0.5))::int * 10 + 5 * normal(id, 11), m) AS mm FROM person p, model) f, match_quality(mm);
-- ---------------------------------------------------------------- what a card of values tells, and what it cannot
SELECT regexp_replace(match_reasons(profile(p, m), mm, 3), '[0-9.]+', '#', 'g') AS reasons FROM person p, model, card WHERE id = 7;
SELECT r->>'attribute' AS attribute, r ? 'mean' AS mean, r ? 'rate' AS rate FROM person p, model, card, jsonb_array_elements(match_reasons_json(profile(p, m), mm, 1)) r WHERE id = 7;
SELECT c.attribute, c.value, c.change_to, c.score_then > 165 AS reached FROM person p, model, card, match_changes(profile(p, m), mm, 165, '{town,member}') c WHERE id = (SELECT min(id) FROM person WHERE NOT member AND town = 'Bonn' AND age BETWEEN 40 AND 50 AND score IS NOT NULL AND likes <> '{b}');
SELECT mm::text::match_model = mm AS lossless, mm::text ~ '"outcome": "value"' AS said FROM card;
SELECT match_fit(profile(p, m), value, m) = (SELECT mm FROM card) AS any_order FROM (SELECT * FROM person WHERE id <= 3000 ORDER BY md5(id::text)) p, model;
SELECT match_points(profile(p, m), mm) FROM person p, model, card LIMIT 1;
SELECT woe(profile(p, m), mm) FROM person p, model, card LIMIT 1;
SELECT match_changes(profile(p, m), mm, 'NaN', '{town}') FROM person p, model, card LIMIT 1;
SELECT jsonb_set(mm::text::jsonb, '{targets}', '5')::text::match_model FROM card;
-- own bins of a card of values
SELECT bin, rows, round(rate::numeric, 3) = x.mean AS mean FROM (SELECT match_fit(profile(p, m), value, m, '{"breaks": {"age": [30, 60]}}') AS mm FROM person p, model) f, match_card(mm)
	JOIN (SELECT CASE WHEN age < 30 THEN 'up to 29' WHEN age < 60 THEN '30 to 59' ELSE '60 and more' END AS bin, round(avg(value)::numeric, 3) AS mean FROM person GROUP BY 1) x USING (bin) WHERE attribute = 'age' ORDER BY rows;
-- ---------------------------------------------------------------- prospects by what they will be worth
SELECT count(*), bool_and(abs(r.score - s.score) < 20) AS alike, min(r.rank) AS first, bool_and(abs(r.lift - r.score / x.mean) < 1e-9) AS lift, bool_and(p.value > x.mean) AS nearest_are_worth_more, bool_and(r.reasons ~ 'mean') AS reasons
FROM match_prospects(NULL::int, 'SELECT id, value, age, town, member, score, likes FROM worth.person WHERE id <= 3000', 'SELECT id, age, town, member, score, likes FROM worth.person WHERE id > 5900') r JOIN scored s ON s.id = r.prospect JOIN person p ON p.id = r.nearest_customer,
	(SELECT avg(value) AS mean FROM person WHERE id <= 3000) x;
SELECT attribute, value, concentration > 1 AS more FROM where_to_find(NULL::int, 'SELECT id, value, age, town, member FROM worth.person WHERE id <= 3000', 'SELECT id, age, town, member FROM worth.person WHERE id > 3000') WHERE attribute IN ('town', 'member') ORDER BY 1, 2;
SELECT * FROM match_prospects(NULL::int, 'SELECT id, value, age FROM worth.person', 'SELECT id, age FROM worth.person', method => 'nearest');
SELECT * FROM match_trial(NULL::int, 'SELECT id, value, age FROM worth.person');
-- ---------------------------------------------------------------- NULL rules and odd input
SELECT rows, skipped FROM (SELECT match_fit(CASE WHEN id % 10 > 0 THEN profile(p, m) END, CASE WHEN id % 7 > 0 THEN value END) AS mm FROM person p, model) x, match_quality(mm);
SELECT count(*) FILTER (WHERE id % 10 > 0 AND id % 7 > 0) AS rows, count(*) FILTER (WHERE id % 10 = 0 OR id % 7 = 0) AS skipped FROM person;
SELECT match_fit(profile(p, m), value) IS NULL AS nothing FROM person p, model WHERE false;
SELECT match_fit(profile(p, m), NULL::float8) IS NULL AS nothing FROM person p, model;
SELECT match_fit(profile(p, m), 5.0::float8) FROM person p, model;
SELECT match_fit(profile(p, m), 'NaN'::float8) FROM person p, model;
SELECT match_fit(profile(p, m), CASE WHEN id % 2 = 0 THEN 1e308 ELSE -1e308 END) FROM person p, model;
SELECT rows FROM (SELECT match_fit(profile(p, m), value) AS mm FROM person p, model WHERE id <= 20) x, match_quality(mm);
SELECT match_fit(profile(p, m), 1e6 + value) IS NOT NULL AS shifted, abs((match_quality(match_fit(profile(p, m), 1e6 + value))).r_squared - (match_quality(match_fit(profile(p, m), value))).r_squared) < 1e-6 AS the_same FROM person p, model;
-- ---------------------------------------------------------------- very small and very large values: the same card in another unit
SELECT unit, abs(q.r_squared / (match_quality(mm)).r_squared - 1) < 1e-9 AS r_squared, abs(q.rmse / unit / (match_quality(mm)).rmse - 1) < 1e-9 AS rmse, abs(q.base_rate / unit / (match_quality(mm)).base_rate - 1) < 1e-9 AS mean, scaled::text::match_model = scaled AS lossless
FROM (SELECT unit, match_fit(profile(p, m), value * unit, m) AS scaled FROM person p, model, unnest(ARRAY[1e-300, 1e300]::float8[]) unit WHERE id <= 3000 GROUP BY unit) x, card, match_quality(scaled) q ORDER BY unit;
SELECT match_fit(profile(p, m), value * 1e305, m) FROM person p, model;
SELECT match_fit(profile(p, m), member::int * 1e-310, m) FROM person p, model;
-- attributes of any name
SELECT count(*) AS found FROM match_prospects(NULL::int, 'SELECT i, i % 7 < 2 AS is_target, i % 7 AS r, i % 5 AS u, i % 3 AS t FROM generate_series(1, 300) i', 'SELECT i, i % 7 AS r, i % 5 AS u, i % 3 AS t FROM generate_series(301, 310) i', 'nearest');
DROP SCHEMA worth CASCADE;
