-- AUC and log loss of match_fit on the folds of the table people, each held out once.  Run by bench/cards.sh.
CREATE FUNCTION held_out(OUT auc numeric, OUT log_loss numeric, OUT seconds numeric) LANGUAGE plpgsql SET search_path = public, crm_profile SET client_min_messages = error AS $$
DECLARE
	began timestamptz := clock_timestamp();
	pm profile_model;
	mm match_model;
BEGIN
	CREATE TEMP TABLE scored (score float8, y int);
	FOR f IN 0 .. 4 LOOP
		SELECT profile_fit(p, '{"ignore": ["fold", "y"]}') INTO pm FROM people p WHERE fold <> f;
		SELECT match_fit(profile(p, pm), y = 1, pm) INTO mm FROM people p WHERE fold <> f;
		INSERT INTO scored SELECT match_score(profile(p, pm), mm), y FROM people p WHERE fold = f;
	END LOOP;
	SELECT round((sum(rank) FILTER (WHERE y = 1) - t * (t + 1) / 2) / (t * (count(*) - t)), 4), round(avg(-ln(CASE WHEN y = 1 THEN score ELSE 1 - score END))::numeric, 4) INTO auc, log_loss
	FROM (SELECT score, y, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS rank, sum(y) OVER () AS t FROM scored) x GROUP BY t;
	seconds := round(extract(epoch FROM clock_timestamp() - began)::numeric, 1);
	DROP TABLE scored;
END $$;
