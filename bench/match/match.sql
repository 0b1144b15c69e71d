-- Accuracy on held-out folds, and speed, of match_fit and related functions.  Run by bench/match.sh.
\set ON_ERROR_STOP on
\pset footer off
\pset border 1
SET search_path = public, crm_profile;

CREATE TABLE bank (age int, job text, marital text, education text, "default" text, balance int, housing text, loan text, contact text,
	day int, month text, duration int, campaign int, pdays int, previous int, poutcome text, y text);
\copy bank from program 'gzip -dc ../sql_tests/data/bank_marketing.csv.gz' csv header
CREATE TABLE personality ("ID" int, "Year_Birth" int, "Education" text, "Marital_Status" text, "Income" numeric, "Kidhome" int, "Teenhome" int,
	"Dt_Customer" date, "Recency" int, "MntWines" int, "MntFruits" int, "MntMeatProducts" int, "MntFishProducts" int, "MntSweetProducts" int,
	"MntGoldProds" int, "NumDealsPurchases" int, "NumWebPurchases" int, "NumCatalogPurchases" int, "NumStorePurchases" int,
	"NumWebVisitsMonth" int, "AcceptedCmp3" int, "AcceptedCmp4" int, "AcceptedCmp5" int, "AcceptedCmp1" int, "AcceptedCmp2" int,
	"Complain" int, "Z_CostContact" int, "Z_Revenue" int, "Response" int);
\copy personality from program 'gzip -dc ../sql_tests/data/customer_personality.csv.gz' csv header

-- folds by a hash of the row, the same for all methods
CREATE TABLE bank_folds AS SELECT ('x' || substr(md5(b::text), 1, 7))::bit(28)::int % 5 AS fold, b FROM bank b;
CREATE TABLE personality_folds AS SELECT ('x' || substr(md5("ID"::text), 1, 7))::bit(28)::int % 5 AS fold, p FROM personality p;

CREATE FUNCTION held_out(people text, target text, ignored text) RETURNS TABLE (score float8, is_target boolean) LANGUAGE plpgsql AS $$
DECLARE pm crm_profile.profile_model; mm crm_profile.match_model;
BEGIN
	FOR f IN 0 .. 4 LOOP
		EXECUTE format('SELECT crm_profile.profile_fit(r, %L) FROM %I t(fold, r) WHERE fold <> $1', ignored, people) INTO pm USING f;
		EXECUTE format('SELECT crm_profile.match_fit(crm_profile.profile(r, $2), %s) FROM %I t(fold, r) WHERE fold <> $1', target, people) INTO mm USING f, pm;
		RETURN QUERY EXECUTE format('SELECT crm_profile.match_score(crm_profile.profile(r, $2), $3), %s FROM %I t(fold, r) WHERE fold = $1', target, people) USING f, pm, mm;
	END LOOP;
END $$;
CREATE FUNCTION quality(people text, target text, ignored text, OUT auc numeric, OUT log_loss numeric) LANGUAGE sql AS $$
	SELECT round((sum(rank) FILTER (WHERE is_target) - t * (t + 1) / 2) / (t * (count(*) - t)), 4),
		round(avg(-ln(CASE WHEN is_target THEN score ELSE 1 - score END))::numeric, 4)
	FROM (SELECT *, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS rank, count(*) FILTER (WHERE is_target) OVER () AS t
		FROM held_out(people, target, ignored)) x GROUP BY t $$;

\echo 'Matching: accuracy on folds held out (five folds; encoding, bins and strength are learnt without them)'
SELECT 'Bank Marketing without duration' AS data, 'crm_profile' AS method, q.* FROM quality('bank_folds', '(r).y = ''yes''', '{"ignore": ["y", "duration"]}') q
UNION ALL SELECT 'Customer Personality', 'crm_profile', q.* FROM quality('personality_folds', '(r)."Response" = 1', '{"ignore": ["ID", "Response"]}') q;
\set bank 'SELECT fold, (b).* FROM bank_folds'
\set cmd '\\copy (SELECT fold, (b).* FROM bank_folds) to ' :out '/bank.csv csv header'
:cmd
\set cmd '\\copy (SELECT fold, (p).* FROM personality_folds) to ' :out '/personality.csv csv header'
:cmd

\echo 'and as the models report it themselves (their own folds)'
CREATE TABLE bank_model AS SELECT profile_fit(bank, '{"ignore": ["y", "duration"]}') AS pm, NULL::match_model AS mm FROM bank;
CREATE TABLE bank_profiles AS SELECT profile(bank, pm) AS p, y = 'yes' AS target FROM bank, bank_model;
UPDATE bank_model SET mm = (SELECT match_fit(p, target, pm) FROM bank_profiles);
SELECT 'Bank Marketing without duration' AS data, round(auc::numeric, 4) AS auc, round(log_loss::numeric, 4) AS log_loss, attributes, prior_variance, pg_column_size(mm) AS bytes FROM bank_model, match_quality(mm);
\echo 'Relevance: what leaks'
SELECT attribute, verdict, round(information_value::numeric, 3) AS information_value FROM unnest((SELECT attribute_relevance(bank, y = 'yes', '{y}') FROM bank)) LIMIT 3;

\echo 'Speed (best of three, ms)'
CREATE TABLE prospects AS SELECT p FROM bank_profiles, generate_series(1, 23) LIMIT 1000000;
VACUUM ANALYZE prospects;
CREATE TABLE timing (what text, query text);
INSERT INTO timing VALUES
	('match_fit, 45 211 rows, 15 attributes, cross-validation included', 'SELECT length(match_fit(p, target, (SELECT pm FROM bank_model))::text) FROM bank_profiles'),
	('attribute_relevance, the same table, 16 attributes', 'SELECT cardinality(attribute_relevance(bank, y = ''yes'', ''{y}'')) FROM bank'),
	('match_score, 1 000 000 profiles', 'SELECT sum(match_score(p, (SELECT mm FROM bank_model))) FROM prospects'),
	('sequential scan of these profiles', 'SELECT count(p) FROM prospects');
CREATE FUNCTION best_of_three(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE best numeric; t timestamptz;
BEGIN
	FOR i IN 1 .. 3 LOOP
		t := clock_timestamp();
		EXECUTE query;
		best := least(best, extract(epoch FROM clock_timestamp() - t) * 1000);
	END LOOP;
	RETURN round(best);
END $$;
SET max_parallel_workers_per_gather = 0;
SELECT what, best_of_three(query) AS ms FROM timing;
