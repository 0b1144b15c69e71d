-- Choosing: the audience of a campaign with its control group, and what to spend on whom

---------------------------------------------------------------- select_audience

CREATE FUNCTION crm_profile_internal.control_count(seed text, stratum text, customers bigint, share double precision) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- how many customers of a stratum are in its control group: on average over seeds exactly their share
CREATE FUNCTION crm_profile_internal.draw_audience(query text, control_share double precision, seed text, base_rate double precision, OUT customer text, OUT "group" text, OUT stratum text) RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000000 ROWS 100000 SUPPORT crm_profile_internal.row_stream_support; -- the customers of a query, customer and stratum as text, with their groups

CREATE FUNCTION crm_profile_internal.source_condition(src crm_profile.source_definition, condition text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	segments CONSTANT text[] := (SELECT array_agg(s.segment) FROM crm_profile.segments(crm_profile.compile_scheme(src.scheme)) s) || text '(unscored)';
	columns CONSTANT text[] := crm_profile_internal.source_columns(format('%I.customer_profile', src.name)::regclass);
	others CONSTANT text[] := crm_profile_internal.source_best_columns(src);
	listed text[];
	problem text;
BEGIN
	IF btrim(condition, E' \t\n') = '' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the condition is empty', HINT = 'Leave it out for all customers.';
	END IF;
	src.best := coalesce(condition, 'true');
	src.best_columns := NULL;
	SELECT array_agg((SELECT s FROM unnest(segments) s WHERE lower(s) = lower(btrim(w)))) INTO listed FROM string_to_table(src.best, ',') w;
	IF array_position(listed, NULL) IS NULL THEN
		src.best := format('coalesce(segment, ''(unscored)'') IN (%s)', (SELECT string_agg(quote_literal(s), ', ') FROM unnest(listed) s));
	END IF;
	PERFORM set_config('search_path', crm_profile_internal.source_path(src.search_path), true);
	BEGIN
		PERFORM crm_profile_internal.checked_expression(src.best);
		BEGIN
			EXECUTE format(E'SELECT FROM %s WHERE (%s\n) IS TRUE LIMIT 0', crm_profile_internal.source_best_from(src), src.best);
		EXCEPTION WHEN undefined_column THEN
			src.best_columns := NULLIF(ARRAY(SELECT o FROM unnest(others) WITH ORDINALITY u(o, place) WHERE strpos(lower(src.best), lower(o)) > 0 ORDER BY place), '{}');
			EXECUTE format(E'SELECT FROM %s WHERE (%s\n) IS TRUE LIMIT 0', crm_profile_internal.source_best_from(src), src.best);
		END;
	EXCEPTION WHEN insufficient_privilege THEN
		RAISE insufficient_privilege USING MESSAGE = format('the owner of source "%s" cannot read all of its customers: %s', src.name, SQLERRM),
			DETAIL = 'Audiences are drawn with the rights of the owner, and whom a policy hides from the owner must not be left out unseen.',
			HINT = 'Let the owner of the source own the tables, bypass their policies (BYPASSRLS), or read what the message names.';
	WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported THEN
		problem := SQLERRM;
		PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
		RAISE invalid_parameter_value USING MESSAGE = format('condition "%s": %s', crm_profile_internal.short(condition, 200), crm_profile_internal.short(problem, 400)),
			DETAIL = format('It is neither a list of segments (%s) nor a condition over customer_profile, the customer table and its attributes.', array_to_string(segments, ', ')),
			HINT = coalesce((SELECT 'Did you mean ' || n.near || '?' FROM regexp_matches(regexp_replace(condition, '''[^'']*''', '', 'g'), '[[:alpha:]_]\w*', 'g') m, LATERAL (SELECT crm_profile_internal.near_names(m[1], segments || columns || others) AS near) n
				WHERE n.near IS NOT NULL AND m[1] <> ALL (segments || columns || others) LIMIT 1), 'Write a condition such as ''Champions, Loyal'', or ''recency < 90 AND clv_365d > 100''.');
	END;
	PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
	RETURN src;
END $$; -- a condition over the customers of a source, checked: best is the condition, best_columns what it needs besides customer_profile

CREATE FUNCTION crm_profile_internal.tell_audience(treated bigint, control bigint, strata bigint, base_rate double precision) RETURNS boolean
	LANGUAGE plpgsql PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	lift CONSTANT double precision := crm_profile.detectable_lift(base_rate, treated, control);
BEGIN
	IF treated + control = 0 THEN
		RAISE WARNING 'nobody is in the audience';
	ELSIF control = 0 THEN
		RAISE WARNING 'there is no control group: the campaign will show the response, not its effect' USING HINT = 'Give control_share, such as 0.1.';
	ELSIF treated = 0 THEN
		RAISE WARNING 'everybody is in the control group' USING HINT = 'Give a smaller control_share.';
	ELSIF lift IS NULL THEN
		RAISE WARNING '% treated, % control: too few to show any effect', treated, control;
	ELSE
		RAISE NOTICE '% treated, % control, in %', treated, control, CASE strata WHEN 1 THEN 'one segment' ELSE strata || ' segments' END
			USING DETAIL = format('With %s %% responses without the campaign, it shows a lift of %s points with a power of 80 %%.', round((100 * base_rate)::numeric, 2), round((100 * lift)::numeric, 2)),
			HINT = format('Half of that lift takes %s customers.', coalesce(crm_profile.customers_needed(base_rate, lift / 2, control::double precision / (treated + control))::text, 'more'));
	END IF;
	RETURN true;
END $$; -- tells what an audience can show, as a NOTICE

CREATE FUNCTION crm_profile_internal.select_audience_as_owner(src crm_profile.source_definition, condition text, control_share double precision, seed text, base_rate double precision,
	OUT customer text, OUT "group" text, OUT stratum text) RETURNS SETOF record
	-- as in campaign_totals()
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off SET enable_hashjoin = off AS $$
BEGIN
	IF control_share IS NULL OR NOT control_share BETWEEN 0 AND 1 OR base_rate IS NULL OR NOT base_rate BETWEEN 0 AND 1 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('control_share and base_rate must be from 0 to 1, not %s and %s', coalesce(control_share::text, 'NULL'), coalesce(base_rate::text, 'NULL'));
	END IF;
	src := crm_profile_internal.source_condition(src, condition);
	PERFORM set_config('search_path', crm_profile_internal.source_path(src.search_path), true);
	RETURN QUERY SELECT a.customer, a."group", a.stratum FROM crm_profile_internal.draw_audience(
		format(E'SELECT customer::pg_catalog.text, coalesce(segment, ''(unscored)'')::pg_catalog.text FROM %s WHERE (%s\n) IS TRUE%s', crm_profile_internal.source_best_from(src), src.best, crm_profile_internal.source_own_key(src, 'customer_profile.customer')), control_share, coalesce(seed, ''), base_rate) a;
END $$; -- runs as the owner of the source: select_audience()
CREATE FUNCTION crm_profile.select_audience(source text, condition text DEFAULT NULL, control_share double precision DEFAULT 0.1, seed text DEFAULT '', base_rate double precision DEFAULT 0.05,
	OUT customer text, OUT "group" text, OUT stratum text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000; -- customers for whom a condition holds (or of these segments), each treated or control, in the same shares in all segments; the same seed gives the same groups; tells what effect they can show, for a response rate without the campaign of base_rate

---------------------------------------------------------------- what to spend on whom

CREATE TYPE crm_profile_internal.segment_effect AS ( -- what a contact brings in a segment, by past campaigns
	segment text, -- the segment; NULL: any other
	contacts bigint, -- customers of past campaigns that it is known from, both groups
	effect double precision, -- responses per contact that there would not be without it
	basis text, -- campaigns with control group; response alone; as given
	value double precision, -- what a response is worth; NULL: not known, as without response_value
	change double precision -- what a contact changes in the value of responses that come anyway
);

CREATE FUNCTION crm_profile_internal.segment_effects(measures crm_profile_internal.campaign_measures[]) RETURNS SETOF crm_profile_internal.segment_effect
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 12
	BEGIN ATOMIC
		-- only campaigns with a control group show an effect; without any, all that is known is the response
		WITH known AS (
			SELECT m.segment, (m.lift).treated AS nt, (m.lift).treated_responses AS xt, (m.lift).control AS nc, (m.lift).control_responses AS xc, bool_or((m.lift).control > 0) OVER () AS compared
			FROM unnest(measures) m WHERE (m.lift).treated IS NOT NULL),
		one AS (
			-- a success and a failure are added to each group, so that no variance is 0 (Agresti and Caffo 2000)
			SELECT k.segment, k.nt + k.nc AS n, k.compared, CASE WHEN k.compared THEN k.nt * k.nc / (k.nt + k.nc)::double precision ELSE k.nt END AS weight, CASE WHEN k.compared THEN (k.xt + 1.0) / (k.nt + 2) - (k.xc + 1.0) / (k.nc + 2) ELSE (k.xt + 1.0) / (k.nt + 2) END::double precision AS effect,
				((k.xt + 1.0) * (k.nt - k.xt + 1) / (k.nt + 2.0) ^ 3 + CASE WHEN k.compared THEN (k.xc + 1.0) * (k.nc - k.xc + 1) / (k.nc + 2.0) ^ 3 ELSE 0 END)::double precision AS variance
			FROM known k WHERE CASE WHEN k.compared THEN k.nt > 0 AND k.nc > 0 ELSE k.nt > 0 END),
		-- campaigns by their size (Mantel and Haenszel): by variance, those that nobody responded to would count most
		segment AS (
			SELECT o.segment, sum(o.n)::bigint AS n, bool_or(o.compared) AS compared, crm_profile_internal.decimal_sum(o.effect * o.weight)::float8 / crm_profile_internal.decimal_sum(o.weight)::float8 AS effect, crm_profile_internal.decimal_sum(o.variance * o.weight ^ 2)::float8 / crm_profile_internal.decimal_sum(o.weight)::float8 ^ 2 AS variance FROM one o GROUP BY o.segment),
		everybody AS (
			SELECT s.mean, bool_or(g.compared) AS compared, sum(g.n)::bigint AS n,
				-- what segments differ by beyond chance (DerSimonian and Laird 1986)
				greatest(0, (crm_profile_internal.decimal_sum((g.effect - s.mean) ^ 2 / g.variance)::float8 - (count(*) - 1)) / NULLIF(crm_profile_internal.decimal_sum(1 / g.variance)::float8 - crm_profile_internal.decimal_sum(1 / g.variance ^ 2)::float8 / crm_profile_internal.decimal_sum(1 / g.variance)::float8, 0)) AS between
			FROM segment g, (SELECT crm_profile_internal.decimal_sum(t.effect / t.variance)::float8 / crm_profile_internal.decimal_sum(1 / t.variance)::float8 AS mean FROM segment t) s GROUP BY s.mean)
		SELECT g.segment, g.n, CASE WHEN coalesce(e.between, 0) = 0 THEN e.mean ELSE (g.effect / g.variance + e.mean / e.between) / (1 / g.variance + 1 / e.between) END, CASE WHEN e.compared THEN 'campaigns with control group' ELSE 'response alone' END, NULL::double precision, 0::double precision
		FROM segment g, everybody e
		UNION ALL SELECT NULL, e.n, e.mean, CASE WHEN e.compared THEN 'campaigns with control group' ELSE 'response alone' END, NULL, 0 FROM everybody e;
	END; -- what a contact brought by segment, each drawn to the mean of all as far as chance explains the difference

CREATE FUNCTION crm_profile_internal.segment_values(measures crm_profile_internal.campaign_measures[], effects crm_profile_internal.segment_effect[]) RETURNS SETOF crm_profile_internal.segment_effect
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 12
	BEGIN ATOMIC
		WITH known AS (
			SELECT m.segment, (m.lift).treated AS nt, (m.lift).treated_responses::numeric AS xt, (m.lift).control_responses::numeric AS xc, (m.lift).treated_value AS vt, (m.lift).control_value AS vc, (m.lift).treated_value_squares + (m.lift).control_value_squares AS squares
			FROM unnest(measures) m WHERE (m.lift).treated_value IS NOT NULL),
		-- responses of both groups, which are worth much the same
		segment AS (
			SELECT k.segment, sum(k.xt + k.xc) AS n, sum(k.vt + k.vc) AS value, sum(k.vt + k.vc) / NULLIF(sum(k.xt + k.xc), 0) AS mean, sum(k.squares) AS squares, sum(k.xt) / NULLIF(sum(k.nt), 0) AS rate FROM known k GROUP BY k.segment),
		everybody AS (
			SELECT e.*, greatest(0, e.spread - (e.segments - 1) * e.variance) / NULLIF(e.n - e.n_squares / e.n, 0) AS between
			FROM (SELECT t.n, t.mean, t.rate, sum(g.n * (g.mean - t.mean) ^ 2) AS spread, count(*) AS segments, sum(g.n ^ 2) AS n_squares, greatest(0, sum(g.squares - g.value * g.mean)) / NULLIF(t.n - count(*), 0) AS variance
				FROM segment g, (SELECT sum(a.n) AS n, sum(a.value) / NULLIF(sum(a.n), 0) AS mean, (SELECT sum(k.xt) / NULLIF(sum(k.nt), 0) FROM known k) AS rate FROM segment a) t WHERE g.n > 0 GROUP BY t.n, t.mean, t.rate) e),
		-- where the treated respond with less, or more, than the control group, those who would have come anyway do so,
		-- too; what chance explains is left out (James and Stein)
		change AS (
			SELECT c.difference * greatest(0, 1 - e.variance / c.n / NULLIF(c.difference ^ 2, 0)) AS change
			FROM everybody e, (SELECT sum(d.n) AS n, sum(d.n * d.difference) / sum(d.n) AS difference FROM (SELECT k.xt * k.xc / (k.xt + k.xc) AS n, k.vt / k.xt - k.vc / k.xc AS difference FROM known k WHERE k.xt > 0 AND k.xc > 0) d) c)
		SELECT f.segment, f.contacts, f.effect, concat(f.basis, CASE WHEN e.n > 0 THEN ', responses as valued' END), coalesce(v.value, e.mean)::double precision,
			coalesce(greatest(0, coalesce(g.rate, e.rate)::double precision - f.effect) * (SELECT c.change FROM change c)::double precision, 0)
		FROM unnest(effects) f LEFT JOIN everybody e ON true LEFT JOIN segment g ON g.segment = f.segment
			LEFT JOIN LATERAL (SELECT (g.value * e.between + e.variance * e.mean) / NULLIF(g.n * e.between + e.variance, 0) AS value) v ON true;
	END; -- the same effects with what a response was worth, each segment drawn to the mean of all as far as chance explains the difference, and what a contact changes in it

CREATE FUNCTION crm_profile_internal.plan_effects(src crm_profile.source_definition, lift double precision) RETURNS crm_profile_internal.segment_effect[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	measures crm_profile_internal.campaign_measures[];
	effects crm_profile_internal.segment_effect[];
BEGIN
	IF NOT lift BETWEEN -1 AND 1 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('lift must be from -1 to 1, not %s', lift);
	END IF;
	IF src.campaigns IS NOT NULL AND (lift IS NULL OR src.response_value IS NOT NULL) THEN
		-- no more than a plan needs
		measures := crm_profile_internal.response_measures(src.name, format('SELECT ARRAY(SELECT ROW(r.campaign::text, r.segment::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, crm_profile.campaign_lift(r.treated, r.responded%1$s))::crm_profile_internal.campaign_measures
			FROM (SELECT campaign, segment, treated, responded%2$s FROM %%s OFFSET 0) r WHERE r.responded IS NOT NULL GROUP BY r.campaign, r.segment)',
			CASE WHEN src.response_value IS NOT NULL THEN ', r.value' END, CASE WHEN src.response_value IS NOT NULL THEN ', value' END));
	END IF;
	IF lift IS NULL THEN
		effects := ARRAY(SELECT e FROM crm_profile_internal.segment_effects(measures) e);
	ELSE
		effects := ARRAY[ROW(NULL, NULL, lift, 'as given', NULL, 0)::crm_profile_internal.segment_effect];
	END IF;
	IF coalesce(cardinality(effects), 0) = 0 THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no past campaign to learn from', src.name),
			HINT = 'Map one with campaigns => ''…'', or give lift => the responses per contact that you expect.';
	END IF;
	RETURN CASE WHEN src.response_value IS NULL OR measures IS NULL THEN effects ELSE ARRAY(SELECT v FROM crm_profile_internal.segment_values(measures, effects) v) END;
END $$; -- what a contact brings by segment: as given, or by past campaigns; an error if neither is there

CREATE FUNCTION crm_profile_internal.check_plan(budget numeric, cost_per_contact numeric, margin numeric) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF cost_per_contact IS NULL OR NOT (cost_per_contact > 0 AND cost_per_contact < 1e12) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('cost_per_contact must be above 0 and below 1e12, not %s', coalesce(crm_profile_internal.short(cost_per_contact::text, 40), 'NULL'));
	ELSIF NOT (budget >= 0) OR budget = 'NaN' THEN
		RAISE invalid_parameter_value USING MESSAGE = format('budget must not be negative, but is %s', crm_profile_internal.short(budget::text, 40)), HINT = 'Leave it out for no limit.';
	ELSIF margin IS NULL OR NOT (margin > 0 AND margin <= 1) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('margin must be above 0 and at most 1, not %s', coalesce(crm_profile_internal.short(margin::text, 40), 'NULL')), HINT = 'It is the share of an order that is left after its costs: 0.3 for 30 %.';
	END IF;
END $$; -- checks the arguments of campaign_plan() and plan_contacts()

CREATE FUNCTION crm_profile_internal.planned_contacts(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	-- OFFSET 0: each figure is computed once
	RETURN (SELECT format(E'SELECT p.*, (p.effect OPERATOR(pg_catalog.*) p.order_value OPERATOR(pg_catalog.+) p.value_change) OPERATOR(pg_catalog.*) $3::pg_catalog.float8 OPERATOR(pg_catalog.-) $2::pg_catalog.float8 AS gain
			FROM (SELECT customer_profile.customer::pg_catalog.text AS customer, coalesce(customer_profile.segment, ''(unscored)'')::pg_catalog.text AS segment, %8$s AS effect, %9$s AS order_value, %10$s AS value_change
				FROM (SELECT customer_profile.customer, customer_profile.segment, customer_profile.average_order_value FROM %1$s WHERE (%2$s\n) IS TRUE%7$s) customer_profile
					LEFT JOIN %3$I.customer_history h ON %4$s CROSS JOIN %5$s CROSS JOIN (SELECT %6$s AS clv, (SELECT k.mean_value FROM crm_profile.clv_model_card(%6$s) k) AS mean_value) m
					-- looked up, not joined: a merge would sort all customers by segment
					CROSS JOIN (SELECT pg_catalog.array_agg(u.segment) AS segments, pg_catalog.array_agg(u.effect) AS effects, pg_catalog.max(u.effect) FILTER (WHERE u.segment IS NULL) AS rest, pg_catalog.array_agg(u.value) AS "values", pg_catalog.max(u.value) FILTER (WHERE u.segment IS NULL) AS rest_value,
						pg_catalog.array_agg(u.change) AS changes, pg_catalog.max(u.change) FILTER (WHERE u.segment IS NULL) AS rest_change FROM pg_catalog.unnest($4) u) e OFFSET 0) p',
			crm_profile_internal.source_best_from(src), src.best, src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'customer_profile.customer'),
			crm_profile_internal.source_day(crm_profile_internal.source_today(src)), crm_profile_internal.source_model_in_use(src, 'clv'), crm_profile_internal.source_own_key(src, 'customer_profile.customer'),
			format('coalesce(e.effects[%s], e.rest)', k.place), CASE WHEN src.response_value IS NOT NULL THEN format('coalesce(e."values"[%s], e.rest_value, %s)', k.place, k.predicted) ELSE k.predicted END,
			CASE WHEN src.response_value IS NOT NULL THEN format('coalesce(e.changes[%s], e.rest_change)', k.place) ELSE '0::pg_catalog.float8' END)
		FROM (VALUES ('pg_catalog.array_position(e.segments, coalesce(customer_profile.segment, ''(unscored)'')::pg_catalog.text)',
			-- nobody's order is expected to be a loss
			'greatest(coalesce(crm_profile.expected_value(h.history, m.clv, d.day), customer_profile.average_order_value::pg_catalog.float8, m.mean_value, 0), 0)')) k(place, predicted));
COMMENT ON FUNCTION crm_profile_internal.planned_contacts IS 'SQL of the customers whom a plan may choose, with what a contact gains; $1: budget, $2: cost_per_contact, $3: margin, $4: effects';

CREATE FUNCTION crm_profile_internal.plan_contacts_as_owner(src crm_profile.source_definition, budget numeric, cost_per_contact numeric, margin numeric, condition text, lift double precision,
	OUT customer text, OUT segment text, OUT effect double precision, OUT order_value double precision, OUT gain double precision, OUT worth boolean, OUT chosen boolean, OUT value_change double precision) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off SET enable_hashjoin = off AS $$
DECLARE
	effects crm_profile_internal.segment_effect[];
BEGIN
	PERFORM crm_profile_internal.check_plan(budget, cost_per_contact, margin);
	effects := crm_profile_internal.plan_effects(src, lift);
	src := crm_profile_internal.source_condition(src, condition);
	PERFORM set_config('search_path', crm_profile_internal.source_path(src.search_path), true);
	RETURN QUERY EXECUTE format('WITH c AS (%s) SELECT c.customer, c.segment, c.effect, c.order_value, c.gain, c.gain > 0, c.gain > 0 AND ($1 IS NULL OR row_number() OVER (ORDER BY c.gain DESC, c.customer COLLATE "C") <= floor($1 / $2)), c.value_change FROM c ORDER BY c.gain DESC, c.customer COLLATE "C"',
		crm_profile_internal.planned_contacts(src)) USING NULLIF(budget, 'Infinity'), cost_per_contact, margin, effects;
END $$; -- runs as the owner of the source: plan_contacts()
CREATE FUNCTION crm_profile.plan_contacts(source text, budget numeric, cost_per_contact numeric, margin numeric DEFAULT 1, condition text DEFAULT NULL, lift double precision DEFAULT NULL,
	OUT customer text, OUT segment text, OUT effect double precision, OUT order_value double precision, OUT gain double precision, OUT worth boolean, OUT chosen boolean, OUT value_change double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000; -- the customers in the order of what a contact gains: (effect × order_value + value_change) × margin - cost_per_contact: responses that it brings, by past campaigns or lift, what one is worth, and what changes in those that come anyway; worth: it gains anything; chosen: worth it and within the budget (NULL: no limit)

CREATE FUNCTION crm_profile_internal.campaign_plan_as_owner(src crm_profile.source_definition, budget numeric, cost_per_contact numeric, margin numeric, condition text, lift double precision,
	OUT segment text, OUT customers bigint, OUT effect double precision, OUT mean_order_value double precision, OUT worth bigint, OUT not_worth bigint, OUT contacts bigint, OUT spend numeric, OUT expected_responses double precision,
	OUT expected_gain numeric, OUT basis text, OUT value_change double precision) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off SET enable_hashjoin = off AS $$
DECLARE
	effects crm_profile_internal.segment_effect[];
BEGIN
	PERFORM crm_profile_internal.check_plan(budget, cost_per_contact, margin);
	effects := crm_profile_internal.plan_effects(src, lift);
	src := crm_profile_internal.source_condition(src, condition);
	PERFORM set_config('search_path', crm_profile_internal.source_path(src.search_path), true);
	-- only those whom the budget buys are put in order
	RETURN QUERY EXECUTE format('WITH c AS MATERIALIZED (%s),
			g AS (SELECT c.segment, count(*) AS customers, min(c.effect) AS effect, min(c.value_change) AS value_change, crm_profile_internal.decimal_sum(c.order_value) AS value, count(*) FILTER (WHERE c.gain > 0) AS worth FROM c GROUP BY c.segment),
			b AS (SELECT c.segment, count(*) AS contacts, crm_profile_internal.decimal_sum(c.gain) AS gain FROM (SELECT c.segment, c.gain FROM c WHERE c.gain > 0%s) c GROUP BY c.segment)
		SELECT g.segment, g.customers, g.effect, (g.value / g.customers)::float8, g.worth, g.customers - g.worth, coalesce(b.contacts, 0), coalesce(b.contacts, 0) * $2, coalesce(b.contacts, 0) * g.effect, round(coalesce(b.gain, 0), 2),
			CASE WHEN e.segment IS NULL AND e.basis !~ ''^as given'' THEN concat(e.basis, '', of all segments together'') ELSE e.basis END, g.value_change
		FROM g LEFT JOIN b ON b.segment = g.segment LEFT JOIN LATERAL (SELECT u.segment, u.basis FROM unnest($4) u WHERE u.segment = g.segment OR u.segment IS NULL ORDER BY u.segment LIMIT 1) e ON true
			LEFT JOIN crm_profile.segments($5) s ON s.segment = g.segment ORDER BY s.position, g.segment COLLATE "C"',
		crm_profile_internal.planned_contacts(src), CASE WHEN budget < 'Infinity' THEN ' ORDER BY c.gain DESC, c.customer COLLATE "C" LIMIT least(floor($1 / $2), 9e18)::bigint' END) USING budget, cost_per_contact, margin, effects, crm_profile.compile_scheme(src.scheme);
END $$; -- runs as the owner of the source: campaign_plan()
CREATE FUNCTION crm_profile.campaign_plan(source text, budget numeric, cost_per_contact numeric, margin numeric DEFAULT 1, condition text DEFAULT NULL, lift double precision DEFAULT NULL,
	OUT segment text, OUT customers bigint, OUT effect double precision, OUT mean_order_value double precision, OUT worth bigint, OUT not_worth bigint, OUT contacts bigint, OUT spend numeric, OUT expected_responses double precision,
	OUT expected_gain numeric, OUT basis text, OUT value_change double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 12; -- what to spend on which segment: plan_contacts by segment, with how many customers a contact is worth, how many not, how many contacts the budget buys where they gain most, and what these should bring
