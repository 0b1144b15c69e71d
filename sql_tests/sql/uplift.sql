-- uplift_fit and what an uplift_model says, on customers whose uplift is planted
SET search_path = public, crm_profile;
SET extra_float_digits = 1;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE contact AS
	SELECT i, month, word, member, likes, other, tau, base, h[6] % 100 < 60 AS treated, h[7] / 268435456.0 AS chance
	FROM (SELECT i, h, h[1] % 12 AS month, (ARRAY['ash', 'ash', 'ash', 'elm', 'elm', 'oak', 'fir', 'yew'])[1 + h[2] % 8] AS word, h[3] % 3 = 0 AS member,
			CASE WHEN h[4] % 5 > 0 THEN ARRAY['tea', (h[4] % 7)::text] END AS likes, h[5] AS other
		FROM (SELECT i, ARRAY(SELECT ('x' || substr(md5(i || ' ' || k), 1, 7))::bit(28)::int FROM generate_series(1, 7) k) AS h FROM generate_series(1, 6000) i) x) y,
		LATERAL (SELECT 0.06 + 0.02 * (month - 5.5) + CASE word WHEN 'elm' THEN 0.1 WHEN 'oak' THEN -0.12 ELSE 0 END AS tau, 0.3 + 0.2 * member::int AS base) z;
ALTER TABLE contact ADD bought boolean, ADD spent numeric;
UPDATE contact SET bought = chance < base + CASE WHEN treated THEN tau ELSE 0 END;
UPDATE contact SET spent = CASE WHEN bought THEN 20 + month ELSE 0 END;
CREATE TABLE model AS SELECT profile_fit(x) AS pm FROM (SELECT month, word, member, likes, other FROM contact) x;
CREATE TABLE profiles AS SELECT c.*, profile(x, pm) AS p FROM contact c, model, LATERAL (SELECT month, word, member, likes, other) x;
ALTER TABLE model ADD um uplift_model;
UPDATE model SET um = (SELECT uplift_fit(p, treated, bought, pm) FROM profiles);

-- ---------------------------------------------------------------- what was planted is found
SELECT verdict, attributes, qini_low > 0 AS qini, uplift_30 - effect > 0.05 AS best, response_30 < uplift_30 AS better_than_response, shrinkage > 0.8 AS kept, balance > 0.01 AS balanced
FROM model, uplift_quality(um);
SELECT corr(uplift_score(p, um), tau) > 0.9 AS alike, regr_slope(tau, uplift_score(p, um)) BETWEEN 0.7 AND 1.6 AS calibrated FROM profiles, model;
SELECT attribute, max(points) - min(points) > 0.1 AS tells FROM model, uplift_card(um) GROUP BY 1 ORDER BY 1;
-- persuadable customers gain more than the others, those not to be disturbed lose
SELECT "group", avg(tau) > 0.06 AS above_mean, avg(tau) < 0 AS below_zero, avg(base) > 0.37 AS buys_anyway FROM (SELECT uplift_group(p, um) AS "group", tau, base FROM profiles, model) x GROUP BY 1 ORDER BY 1;
SELECT bool_and((uplift_group(p, um, 0.1) = 'persuadable') = (uplift_score(p, um) >= 0.1)) AS pays_from FROM profiles, model;
SELECT uplift_reasons(p, um, 2) ~ '^(up: .*points\)|down: .*points\))' AS reasons, uplift_reasons(p, um, 1) !~ ',|;' AS one FROM profiles, model WHERE i = 1;

-- ---------------------------------------------------------------- the figures are those of plain SQL
SELECT rows = count(*) AS rows, q.treated = count(*) FILTER (WHERE c.treated) AS treated, abs(effect - (avg(bought::int) FILTER (WHERE c.treated) - avg(bought::int) FILTER (WHERE NOT c.treated))) < 1e-12 AS effect,
	abs((effect_high - effect_low) / 2 / 1.959963984540054 - sqrt(var_samp(bought::int) FILTER (WHERE c.treated) / q.treated + var_samp(bought::int) FILTER (WHERE NOT c.treated) / control)) < 1e-12 AS welch
FROM model, uplift_quality(um) q, contact c GROUP BY q.rows, q.treated, q.control, effect, effect_low, effect_high;
SELECT count(*) > 20 AS bins, bool_and(c.treated = t AND c.control = n - t AND abs(treated_mean - mt) < 1e-12 AND abs(control_mean - mc) < 1e-12) AS counts
FROM model, uplift_card(um) c JOIN (SELECT e.attribute, e.bin, count(*) AS n, count(*) FILTER (WHERE x.treated) AS t, avg(bought::int) FILTER (WHERE x.treated) AS mt, avg(bought::int) FILTER (WHERE NOT x.treated) AS mc
	FROM profiles x, model, explain_uplift(p, um) e GROUP BY 1, 2) s USING (attribute, bin) WHERE attribute <> 'likes';
-- points are those of the average row, and add up to the score
SELECT max(abs(mean)) < 1e-12 AS centred FROM (SELECT sum(points * (treated + control)) / 6000 AS mean FROM model, uplift_card(um) GROUP BY attribute) x;
SELECT max(abs(score - (SELECT sum(points) FROM explain_uplift(p, um)) - mean)) < 1e-12 AS adds_up FROM (SELECT p, um, uplift_score(p, um) AS score, avg(uplift_score(p, um)) OVER () AS mean FROM profiles, model) x;
-- The fit is the optimum that it claims to be: what is left of the outcomes in the bin of a word, sum of (treated - share) * (outcome - response - treated * uplift),
-- balances the pull of the prior, points / prior variance, for the points before they were shrunk.
CREATE TABLE leaving AS
	SELECT e.attribute, e.bin, sum((x.treated::int - share) * (bought::int - response - share * score - (x.treated::int - share) * (mean + (score - mean) / shrinkage))) AS left_over
	FROM (SELECT *, avg(treated::int) OVER () AS share, avg(score) OVER () AS mean FROM (SELECT treated, bought, p, um, uplift_score(p, um) AS score FROM profiles, model) y) x,
		LATERAL (SELECT sum(response_points) + (um::text::jsonb ->> 'response')::float8 AS response FROM explain_uplift(p, um)) r, uplift_quality(um), explain_uplift(p, um) e GROUP BY 1, 2;
SELECT attribute, max(abs(left_over - level - pull)) < 1e-9 AS balanced, max(abs(pull)) > 0.1 AS pulled
FROM (SELECT l.attribute, l.left_over, avg(l.left_over) OVER w AS level, (c.points - avg(c.points) OVER w) / shrinkage * (SELECT var_pop(bought::int) FROM contact) / (prior_deviation * prior_deviation) AS pull
	FROM leaving l JOIN (SELECT c.*, shrinkage, prior_deviation FROM model, uplift_card(um) c, uplift_quality(um)) c USING (attribute, bin) WINDOW w AS (PARTITION BY l.attribute)) x
WHERE attribute = 'word' GROUP BY 1;
-- held out by hand: fitted to four fifths, the fifth scored; within what other folds make of it
CREATE TABLE held_out AS
	SELECT fold, treated, bought, score, (row_number() OVER (PARTITION BY fold ORDER BY score DESC, md5(i::text)) - 0.5) / count(*) OVER (PARTITION BY fold) AS place
	FROM (SELECT fold, (SELECT uplift_fit(p, treated, bought) FROM profiles WHERE i % 5 <> fold) AS of_others FROM generate_series(0, 4) fold OFFSET 0) f JOIN LATERAL (SELECT *, uplift_score(p, of_others) AS score FROM profiles WHERE i % 5 = fold) x ON true;
SELECT abs(avg(bought::int) FILTER (WHERE h.treated AND place < 0.3) - avg(bought::int) FILTER (WHERE NOT h.treated AND place < 0.3) - uplift_30) < 0.03 AS best_30,
	abs(avg((bought::int - 0.4) / (h.treated::int - 0.4) * (0.5 - place)) - qini) < 0.008 AS qini, abs(avg((bought::int - 0.4) / (h.treated::int - 0.4) * (1 - place)) - auuc) < 0.012 AS auuc
FROM held_out h, model, uplift_quality(um) GROUP BY uplift_30, qini, auuc;
SELECT count(*), abs(avg(uplift) - effect) < 0.005 AS deciles_make_all, corr(uplift, expected_uplift) > 0.9 AS calibrated, abs(max(gain) FILTER (WHERE decile = 10) / rows - effect) < 0.005 AS gain FROM model, uplift_deciles(um), uplift_quality(um) GROUP BY effect, rows;

-- ---------------------------------------------------------------- order, outcomes of value, names
SELECT uplift_fit(p, treated, bought, pm ORDER BY md5(i::text))::text = um::text AS any_order FROM profiles, model GROUP BY um::text;
SELECT replace(uplift_fit(p, treated, bought::int, pm)::text, '"outcome": "value", ', '') = um::text AS a_value_of_0_and_1 FROM profiles, model GROUP BY um::text;
SELECT uplift_score(p, um) = uplift_score(p, bare) AS same, uplift_reasons(p, bare, 1) ~ '= ' AS reasons, (SELECT min(attribute) FROM uplift_card(bare)) AS slots FROM (SELECT uplift_fit(p, treated, bought) AS bare FROM profiles) b, profiles, model WHERE i = 7;
SELECT verdict, qini_low > 0 AS qini, uplift_30 > effect AS best, abs(effect - (SELECT avg(spent) FILTER (WHERE treated) - avg(spent) FILTER (WHERE NOT treated) FROM contact)) < 1e-9 AS effect FROM (SELECT uplift_fit(p, treated, spent, pm) AS v FROM profiles, model) x, uplift_quality(v);
-- in another unit everything is in that unit; folds are others
SELECT abs(b.effect - 100 * a.effect) < 1e-9 AS effect, b.qini / a.qini BETWEEN 85 AND 115 AS qini, b.uplift_30 / a.uplift_30 BETWEEN 85 AND 115 AS best, abs(a.shrinkage - b.shrinkage) < 0.1 AS shrinkage
FROM (SELECT uplift_fit(p, treated, spent) AS v, uplift_fit(p, treated, spent * 100) AS w FROM profiles) x, uplift_quality(v) a, uplift_quality(w) b;

-- ---------------------------------------------------------------- nothing to find
CREATE TABLE noise AS SELECT uplift_fit(p, treated, chance < base + 0.1 * treated::int, pm) AS um FROM profiles, model;
SET client_min_messages = notice;
SELECT uplift_fit(p, treated, chance < base + 0.1 * treated::int, pm) IS NOT NULL AS said_so FROM profiles, model;
SET client_min_messages = warning;
SELECT verdict, attributes, qini_low < 0 AS qini_low, qini_high > -0.001 AS qini_high, effect > 0.05 AS effect, shrinkage FROM noise, uplift_quality(um);
SELECT uplift_group(p, um), count(*), min(uplift_score(p, um)) = max(uplift_score(p, um)) AS same, abs(min(uplift_score(p, um)) - min(effect)) < 0.01 AS mean, string_agg(uplift_reasons(p, um), '') = '' AS no_reasons, (SELECT count(*) FROM noise, uplift_card(um)) AS card
FROM noise, profiles, uplift_quality(um) GROUP BY 1;

-- ---------------------------------------------------------------- what cannot be fitted
SELECT uplift_fit(p, treated, bought) FROM profiles WHERE treated;
SELECT uplift_fit(p, treated, bought) FROM profiles WHERE NOT treated;
SELECT uplift_fit(p, treated, bought) IS NULL AS no_rows, uplift_fit(NULL::profile, true, true) IS NULL AS no_profile FROM profiles WHERE false;
SELECT verdict, rows, treated, effect IS NOT NULL AS effect, qini, uplift_30, skipped FROM (SELECT uplift_fit(CASE WHEN i <> 3 THEN p END, treated, CASE WHEN i <> 5 THEN bought END, pm) AS v FROM profiles, model WHERE i <= 80) x, uplift_quality(v);
SELECT verdict, effect, effect_low, qini FROM (SELECT uplift_fit(p, i = 2, i = 1, pm) AS v FROM profiles, model WHERE i <= 2) x, uplift_quality(v);
SELECT verdict, effect, effect_low, balance, (SELECT count(*) FROM uplift_deciles(v) WHERE uplift IS NULL AND gain IS NULL) AS empty_deciles FROM (SELECT uplift_fit(p, treated, true, pm) AS v FROM profiles, model) x, uplift_quality(v);
SELECT uplift_fit(p, treated, 'infinity'::float8) FROM profiles;
SELECT uplift_fit(p, treated, 'NaN'::float8) FROM profiles;
SELECT uplift_score(other.p, um) FROM model, (SELECT profile(x, profile_fit) AS p FROM (SELECT profile_fit(x) FROM (SELECT i, bought FROM contact) x) y, (SELECT i, bought FROM contact LIMIT 1) x) other;
SELECT uplift_group(p, um, -1) FROM model, profiles LIMIT 1;
SELECT uplift_group(p, um, 'NaN') FROM model, profiles LIMIT 1;
SELECT uplift_reasons(p, um, 0) FROM model, profiles LIMIT 1;
SELECT uplift_group(NULL, um) IS NULL AS a, uplift_score(NULL, um) IS NULL AS b, uplift_group(p, NULL) IS NULL AS c FROM model, profiles LIMIT 1;
-- who was treated went by an attribute
SELECT uplift_fit(p, month > 6 OR i % 3 = 0, bought) IS NOT NULL AS warned FROM profiles;
-- a single attribute with one value; all of it missing
SELECT verdict, attributes FROM (SELECT uplift_fit(profile(x, pm), treated, bought) AS v FROM contact, (SELECT profile_fit(x) AS pm FROM (SELECT 1 AS one, NULL::text AS none FROM contact) x) m, LATERAL (SELECT 1 AS one, NULL::text AS none) x) y, uplift_quality(v);
SELECT '{}'::uplift_model;
SELECT jsonb_set(um::text::jsonb, '{bins}', '[]')::text::uplift_model FROM model;
SELECT jsonb_set(um::text::jsonb, '{qini,error}', '-1')::text::uplift_model FROM model;

DROP TABLE contact, model, profiles, leaving, held_out, noise;
