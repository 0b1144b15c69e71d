-- Campaigns: whom to address, and what it changed

---------------------------------------------------------------- campaign_lift

CREATE TYPE crm_profile.campaign_lift AS ( -- what is known of a campaign with a control group: counts and exact sums, from campaign_lift()
	treated bigint, -- number of treated customers
	treated_responses bigint, -- how many of them responded
	treated_value numeric, -- sum of their values; NULL: no values given
	treated_value_squares numeric, -- sum of the squares
	treated_past_value numeric, -- sum of their past values; NULL: none given
	treated_past_value_squares numeric, -- sum of the squares
	treated_value_products numeric, -- sum of value × past value
	control bigint, -- number of control customers
	control_responses bigint, -- the same for these
	control_value numeric, -- the same for these
	control_value_squares numeric, -- the same for these
	control_past_value numeric, -- the same for these
	control_past_value_squares numeric, -- the same for these
	control_value_products numeric -- the same for these
);

CREATE FUNCTION crm_profile_internal.campaign_lift_combine(a internal, b internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate combine function
CREATE FUNCTION crm_profile_internal.campaign_lift_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- aggregate serial function
CREATE FUNCTION crm_profile_internal.campaign_lift_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- aggregate deserial function
CREATE FUNCTION crm_profile_internal.campaign_lift_finalfn(state internal) RETURNS crm_profile.campaign_lift
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function

-- @aggregate name=campaign_lift space=512 more="COMBINEFUNC = crm_profile_internal.campaign_lift_combine, SERIALFUNC = crm_profile_internal.campaign_lift_serialize, DESERIALFUNC = crm_profile_internal.campaign_lift_deserialize," arguments="treated boolean, responded boolean"
--	comment="a campaign, from its customers: treated or control group, and who responded; rows that are neither are skipped, a NULL response is none"
-- @again arguments="treated boolean, responded boolean, value numeric"
--	comment="a campaign, with what each customer spent after contact; NULL: nothing"
-- @again arguments="treated boolean, responded boolean, value numeric, past_value numeric"
--	comment="a campaign, also with what each customer spent before contact, which takes chance off the comparison; NULL: nothing"

---------------------------------------------------------------- responses

CREATE FUNCTION crm_profile_internal.share_test(responses bigint, customers bigint, other_responses bigint, other_customers bigint,
	OUT test text, OUT statistic double precision, OUT p_value double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- whether two shares differ: two-proportion z, or Fisher where an expected count is below 5; NULLs for an empty group, or if nobody or everybody responded
CREATE FUNCTION crm_profile_internal.newcombe_interval(responses bigint, customers bigint, other_responses bigint, other_customers bigint, level double precision,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- hybrid score interval of the difference of two shares (Newcombe 1998, method 10); NULLs for an empty group

CREATE FUNCTION crm_profile.response_rate(lift crm_profile.campaign_lift, treated boolean DEFAULT true) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN treated THEN (lift).treated_responses::double precision / NULLIF((lift).treated, 0) ELSE (lift).control_responses::double precision / NULLIF((lift).control, 0) END; -- share of the treated customers who responded, or of the control group; NULL for an empty group
CREATE FUNCTION crm_profile.absolute_lift(lift crm_profile.campaign_lift) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (lift).treated_responses::double precision / NULLIF((lift).treated, 0) - (lift).control_responses::double precision / NULLIF((lift).control, 0); -- response rate of the treated less that of the control group; NULL if either is empty
CREATE FUNCTION crm_profile.relative_lift(lift crm_profile.campaign_lift) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN crm_profile.absolute_lift(lift) / NULLIF((lift).control_responses, 0) * (lift).control; -- absolute_lift / response rate of the control group; NULL if nobody there responded
CREATE FUNCTION crm_profile.lift_interval(lift crm_profile.campaign_lift, level double precision DEFAULT 0.95, OUT lower double precision, OUT upper double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT i.lower, i.upper FROM crm_profile_internal.newcombe_interval((lift).treated_responses, (lift).treated, (lift).control_responses, (lift).control, level) i;
	END; -- confidence interval of absolute_lift: Newcombe's hybrid score interval; NULLs if a group is empty
CREATE FUNCTION crm_profile.lift_test(lift crm_profile.campaign_lift, OUT test text, OUT statistic double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT t.test, t.statistic, t.p_value FROM crm_profile_internal.share_test((lift).treated_responses, (lift).treated, (lift).control_responses, (lift).control) t;
	END; -- whether the response rates differ: two-proportion z test, or Fisher's exact test where an expected count is below 5, with its two-sided p-value; NULLs if a group is empty, or nobody or everybody responded
CREATE FUNCTION crm_profile.incremental_responses(lift crm_profile.campaign_lift) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (lift).treated * crm_profile.absolute_lift(lift); -- responses of the treated customers that there would not have been without the campaign: treated × absolute_lift

---------------------------------------------------------------- value

CREATE FUNCTION crm_profile.incremental_value(lift crm_profile.campaign_lift) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (lift).treated_value - (lift).control_value * (lift).treated / NULLIF((lift).control, 0); -- value of the treated customers beyond what they would have spent without the campaign, by the mean of the control group; NULL without values or if that is empty
CREATE FUNCTION crm_profile.campaign_roi(lift crm_profile.campaign_lift, cost numeric, margin numeric DEFAULT 1) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN (lift).treated > 0 THEN ((crm_profile.incremental_value(lift) * margin - cost) / NULLIF(cost, 0))::double precision END; -- (incremental_value × margin - cost) / cost, with the cost of the whole campaign; NULL for no cost, no values or an empty group

CREATE FUNCTION crm_profile_internal.student_test(difference double precision, error double precision, df double precision, level double precision,
	OUT lower double precision, OUT upper double precision, OUT t double precision, OUT p_value double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- Student's t of a difference with its standard error, two-sided; NULLs if that is not positive

CREATE FUNCTION crm_profile_internal.sample_variance(n bigint, total numeric, squares numeric) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN n > 1 THEN (n * squares - total * total) / (n::numeric * (n - 1)) END; -- sample variance from exact sums; of two variables their covariance, with the products for the squares and both totals multiplied

CREATE FUNCTION crm_profile_internal.welch_test(difference numeric, variance numeric, n bigint, other_variance numeric, other_n bigint, level double precision,
	OUT lower double precision, OUT upper double precision, OUT t double precision, OUT df double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT s.lower, s.upper, s.t, CASE WHEN s.t IS NOT NULL THEN w.df END, s.p_value
		FROM (SELECT (variance / n)::double precision AS a, (other_variance / other_n)::double precision AS b) v,
			LATERAL (SELECT (v.a + v.b) ^ 2 / NULLIF(v.a ^ 2 / (n - 1) + v.b ^ 2 / (other_n - 1), 0) AS df) w,
			LATERAL crm_profile_internal.student_test(difference::double precision, sqrt(v.a + v.b), w.df, level) s
		WHERE n > 1 AND other_n > 1;
	END; -- Welch's t test of a difference of means; NULLs for fewer than two customers in a group, or without any spread

CREATE FUNCTION crm_profile.value_test(lift crm_profile.campaign_lift, level double precision DEFAULT 0.95, OUT treated_mean double precision, OUT control_mean double precision,
	OUT difference double precision, OUT lower double precision, OUT upper double precision, OUT t double precision, OUT df double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT m.treated::double precision, m.control::double precision, (m.treated - m.control)::double precision, w.lower, w.upper, w.t, w.df, w.p_value
		FROM (SELECT (lift).treated_value / NULLIF((lift).treated, 0) AS treated, (lift).control_value / NULLIF((lift).control, 0) AS control) m
			LEFT JOIN LATERAL crm_profile_internal.welch_test(m.treated - m.control,
				crm_profile_internal.sample_variance((lift).treated, (lift).treated_value, (lift).treated_value_squares), (lift).treated,
				crm_profile_internal.sample_variance((lift).control, (lift).control_value, (lift).control_value_squares), (lift).control, level) w ON true;
	END; -- whether the mean value differs: means of treated and control group, their difference with its interval, and Welch's t test; NULLs where a group is too small or has no spread

CREATE FUNCTION crm_profile.adjusted_value_test(lift crm_profile.campaign_lift, level double precision DEFAULT 0.95, OUT slope double precision,
	OUT difference double precision, OUT lower double precision, OUT upper double precision, OUT t double precision, OUT df double precision, OUT p_value double precision, OUT variance_left double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		-- all but the last division is exact: where past value tells value entirely, no variance is left, not one of
		-- rounding
		WITH v AS (
			SELECT (lift).treated::numeric AS nt, (lift).control::numeric AS nc,
				(lift).treated * (lift).treated_value_squares - (lift).treated_value * (lift).treated_value AS tv, (lift).treated * (lift).treated_past_value_squares - (lift).treated_past_value * (lift).treated_past_value AS tp,
				(lift).treated * (lift).treated_value_products - (lift).treated_value * (lift).treated_past_value AS tc,
				(lift).control * (lift).control_value_squares - (lift).control_value * (lift).control_value AS cv, (lift).control * (lift).control_past_value_squares - (lift).control_past_value * (lift).control_past_value AS cp,
				(lift).control * (lift).control_value_products - (lift).control_value * (lift).control_past_value AS cc),
		-- the slope is a / b
		s AS (
			SELECT v.*, v.nc * v.tc + v.nt * v.cc AS a, CASE WHEN v.nt > 1 AND v.nc > 1 THEN NULLIF(v.nc * v.tp + v.nt * v.cp, 0) END AS b FROM v),
		a AS (
			SELECT s.a / s.b AS slope, (s.tv * s.b * s.b - 2 * s.a * s.b * s.tc + s.a * s.a * s.tp) / (s.b * s.b * s.nt * (s.nt - 1)) AS treated_left, (s.cv * s.b * s.b - 2 * s.a * s.b * s.cc + s.a * s.a * s.cp) / (s.b * s.b * s.nc * (s.nc - 1)) AS control_left,
				(s.b * (s.nc * (lift).treated_value - s.nt * (lift).control_value) - s.a * (s.nc * (lift).treated_past_value - s.nt * (lift).control_past_value)) / (s.b * s.nt * s.nc) AS difference,
				s.tv / NULLIF(s.nt * s.nt * (s.nt - 1), 0) + s.cv / NULLIF(s.nc * s.nc * (s.nc - 1), 0) AS before FROM s)
		SELECT a.slope::double precision, a.difference::double precision, w.lower, w.upper, w.t, w.df, w.p_value, ((a.treated_left / (lift).treated + a.control_left / (lift).control) / NULLIF(a.before, 0))::double precision
		FROM a LEFT JOIN LATERAL crm_profile_internal.welch_test(a.difference, a.treated_left, (lift).treated, a.control_left, (lift).control, level) w ON true;
	END; -- value_test of value - slope × past_value, which takes off what was known before contact (CUPED): slope of value by past value within the groups, difference, interval, test, and the share of variance left; NULLs without past values or if they do not vary

---------------------------------------------------------------- checks and words

CREATE FUNCTION crm_profile_internal.normal_p_value(z double precision) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the two-sided p-value of a standard normal

CREATE FUNCTION crm_profile_internal.checked_share(value double precision, what text) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the value; an error, which names what it is, unless it is from 0 to 1

CREATE FUNCTION crm_profile.sample_ratio_p_value(lift crm_profile.campaign_lift, control_share double precision) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN ((lift).treated + (lift).control) * least(crm_profile_internal.checked_share(control_share, 'control_share'), 1 - control_share) >= 5 THEN crm_profile_internal.normal_p_value(((lift).control - ((lift).treated + (lift).control) * control_share)
		/ sqrt(NULLIF((lift).treated + (lift).control, 0) * control_share * (1 - control_share))) END;
COMMENT ON FUNCTION crm_profile.sample_ratio_p_value IS
	'whether the control group has the share that it was to have (chi-square test): a value below .001 says that something went wrong with the groups, and no result can be relied on; NULL if a group was to have fewer than five customers';

CREATE FUNCTION crm_profile.lift_verdict(lift crm_profile.campaign_lift, p_value double precision DEFAULT NULL) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN coalesce((lift).control, 0) = 0 THEN 'response, not effect: no control group'
		WHEN (lift).treated = 0 THEN 'cannot tell: nobody was treated'
		WHEN (lift).treated_responses + (lift).control_responses = 0 THEN 'cannot tell: nobody responded'
		WHEN (lift).treated_responses + (lift).control_responses = (lift).treated + (lift).control THEN 'cannot tell: everybody responded'
		WHEN coalesce(crm_profile_internal.checked_share(lift_verdict.p_value, 'p_value'), (SELECT t.p_value FROM crm_profile.lift_test(lift) t)) < 0.05 THEN CASE WHEN crm_profile.absolute_lift(lift) > 0 THEN 'worked' ELSE 'did harm' END
		WHEN (SELECT i.upper FROM crm_profile.lift_interval(lift) i) < 0.1 * crm_profile.response_rate(lift, false) THEN 'did not work'
		ELSE 'cannot tell' END;
COMMENT ON FUNCTION crm_profile.lift_verdict IS
	'the result in words: worked, did harm (p-value below .05), did not work (at most a tenth more responses than without, by the 95 % interval), cannot tell; p_value: in place of that of lift_test, such as one adjusted for several segments';

---------------------------------------------------------------- power: what an audience can show

CREATE FUNCTION crm_profile.lift_power(base_rate double precision, lift double precision, treated bigint, control bigint, level double precision DEFAULT 0.95) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the chance that a campaign with this true lift of the response rate, over base_rate without it, is found to differ at the level; NULL for an empty group
CREATE FUNCTION crm_profile.detectable_lift(base_rate double precision, treated bigint, control bigint, power double precision DEFAULT 0.8, level double precision DEFAULT 0.95) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- the smallest lift of the response rate that groups of this size show with this power; NULL if they cannot show any
CREATE FUNCTION crm_profile.customers_needed(base_rate double precision, lift double precision, control_share double precision DEFAULT 0.5, power double precision DEFAULT 0.8, level double precision DEFAULT 0.95) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- customers, both groups together, with whom a campaign of this lift is found with this power; NULL without a control group or a lift

---------------------------------------------------------------- campaigns of a source: checking a definition

CREATE FUNCTION crm_profile_internal.source_local_day(src crm_profile.source_definition, expression text, relation text, path text) RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	RETURN (SELECT format(CASE crm_profile_internal.base_type(crm_profile_internal.source_type_of(expression, relation, path)) WHEN 'timestamptz'::regtype THEN 'CASE WHEN isfinite(%1$s) THEN ((%1$s) AT TIME ZONE %2$L)::date END'
		ELSE 'CASE WHEN isfinite(%1$s) THEN (%1$s)::date END' END, expression, src.time_zone));
COMMENT ON FUNCTION crm_profile_internal.source_local_day IS 'SQL of the day, in the time zone of the source, of an expression that is a day or a time; NULL for one without end';

CREATE FUNCTION crm_profile_internal.source_resolve_codes(src crm_profile.source_definition, selected text, orders oid, orders_sql text, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	src.code_query := NULL;
	IF (src.order_code IS NULL) <> (src.campaign_code IS NULL) THEN
		PERFORM crm_profile_internal.source_argument_error(CASE WHEN src.order_code IS NULL THEN 'order_code' ELSE 'campaign_code' END, 'it is missing',
			'A code leads from an order to a campaign: order_code is that of the order, campaign_code that of the contact.', 'Give both, or none.');
	ELSIF src.order_code IS NOT NULL THEN
		src.order_code := crm_profile_internal.source_expression('order_code', src.order_code, orders, orders_sql, path, NULL, NULL);
		src.code_query := crm_profile_internal.source_canonical(format('SELECT q.customer, %s AS ordered_on, q.amount, q.code FROM (%s, (%s)::text AS code FROM %s%s) q WHERE q.code IS NOT NULL',
			crm_profile_internal.source_local_day(src, 'q.ordered_at', format('(SELECT %s AS ordered_at FROM %s) q', src.ordered_at, orders_sql), path), selected, src.order_code, orders_sql, ' WHERE ' || src.order_filter), src.name, path, 'order_code');
	END IF;
	RETURN src;
END $$; -- checks the arguments about codes of orders, and makes the query of orders with a code; selected: customer, time and amount of the orders

CREATE FUNCTION crm_profile_internal.source_contact_amount(src crm_profile.source_definition, argument text, expression text, relation oid, path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF expression IS NULL THEN
		RETURN 'NULL::numeric';
	END IF;
	PERFORM crm_profile_internal.source_expression(argument, expression, relation, src.campaigns, path, ARRAY['numeric', 'int2', 'int4', 'int8', 'float4', 'float8', 'money']::regtype[]::oid[], 'numeric, an integer, a float or money');
	RETURN format('CASE WHEN abs((%1$s)::numeric) < 1e12 THEN trim_scale(round((%1$s)::numeric, 6)) END', expression);
END $$; -- checks an argument that is an amount of a contact; its SQL, NULL for one that is no number

CREATE FUNCTION crm_profile_internal.source_resolve_campaigns(src crm_profile.source_definition, customers oid, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation oid;
	columns text[];
	candidates text[];
	kind regtype;
	days CONSTANT oid[] := ARRAY['date', 'timestamp', 'timestamptz']::regtype[]::oid[];
BEGIN
	src.campaign_query := NULL;
	IF src.response_days NOT BETWEEN 1 AND 366 THEN
		PERFORM crm_profile_internal.source_argument_error('response_days', format('it is %s', src.response_days), 'It is a number of days, from 1 to 366.', NULL);
	ELSIF NOT (src.control_share > 0 AND src.control_share < 1) THEN
		PERFORM crm_profile_internal.source_argument_error('control_share', format('it is %s', src.control_share), 'It is a share of the customers, between 0 and 1.', NULL);
	ELSIF src.campaigns IS NULL THEN
		IF num_nonnulls(src.campaign_customer, src.campaign_name, src.contacted_at, src.treated, src.responded_at, src.response_value, src.contact_cost, src.campaign_code) > 0 THEN
			PERFORM crm_profile_internal.source_argument_error('campaigns', 'it is missing', 'The other arguments about campaigns are columns of that table.', NULL);
		END IF;
		RETURN src;
	END IF;
	relation := crm_profile_internal.source_relation('campaigns', src.campaigns, path);
	src.campaigns := relation::regclass::text;
	src := crm_profile_internal.source_bring(src, 'campaigns', relation);
	columns := crm_profile_internal.source_columns(relation);
	IF src.campaign_customer IS NULL THEN
		SELECT coalesce(array_agg(c.name::text) FILTER (WHERE c.by_foreign_key), array_agg(c.name::text)) INTO candidates FROM crm_profile_internal.customer_columns(customers, src.customer_key, relation) c;
		src.campaign_customer := crm_profile_internal.source_one_of('campaign_customer', candidates, 'foreign key to, or column named like the key of, ' || src.customers, src.campaigns, columns);
	END IF;
	src.campaign_customer := crm_profile_internal.source_column('campaign_customer', src.campaign_customer, relation);
	BEGIN
		PERFORM crm_profile_internal.source_type_of(format('%I::%s', src.campaign_customer, src.key_type), src.campaigns, path);
	EXCEPTION WHEN cannot_coerce THEN
		PERFORM crm_profile_internal.source_argument_error('campaign_customer', format('%s has type %s', src.campaign_customer, crm_profile_internal.source_type_of(quote_ident(src.campaign_customer), src.campaigns, path)),
			format('The key of %s, %s, has type %s.', src.customers, src.customer_key, src.key_type), 'Name the column that holds the key of the customer.');
	END;
	IF src.campaign_name IS NULL THEN
		SELECT array_agg(c) INTO candidates FROM unnest(columns) c WHERE crm_profile_internal.snake_name(c) ~ '^(campaign|kampagne|mailing)(_?(id|name|no|nr|key|code))?$';
		src.campaign_name := quote_ident(crm_profile_internal.source_one_of('campaign_name', candidates, 'column that names the campaign', src.campaigns, columns));
	END IF;
	src.campaign_name := crm_profile_internal.source_expression('campaign_name', src.campaign_name, relation, src.campaigns, path, NULL, NULL);
	IF src.contacted_at IS NULL THEN
		SELECT array_agg(quote_ident(a.attname) ORDER BY a.attnum) INTO candidates FROM pg_attribute a
			WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.base_type(a.atttypid) = ANY (days) AND quote_ident(a.attname) IS DISTINCT FROM src.responded_at;
		src.contacted_at := crm_profile_internal.source_one_of('contacted_at', candidates, 'column of type date or timestamp', src.campaigns, columns);
	END IF;
	src.contacted_at := crm_profile_internal.source_expression('contacted_at', src.contacted_at, relation, src.campaigns, path, days, 'date, timestamp or timestamptz');
	IF src.treated IS NOT NULL THEN
		src.treated := crm_profile_internal.source_expression('treated', src.treated, relation, src.campaigns, path, ARRAY['boolean'::regtype::oid], 'a condition');
	END IF;
	IF src.responded_at IS NOT NULL THEN
		src.responded_at := crm_profile_internal.source_expression('responded_at', src.responded_at, relation, src.campaigns, path, days || 'boolean'::regtype::oid, 'date, timestamp or timestamptz, or a condition');
		kind := crm_profile_internal.base_type(crm_profile_internal.source_type_of(src.responded_at, src.campaigns, path));
	END IF;
	IF src.campaign_code IS NOT NULL THEN
		src.campaign_code := crm_profile_internal.source_expression('campaign_code', src.campaign_code, relation, src.campaigns, path, NULL, NULL);
	END IF;
	src.campaign_query := crm_profile_internal.source_canonical(format('SELECT %s AS customer, NULLIF((%s)::text, '''') AS campaign, %s AS contacted_on, %s AS treated, %s AS responded_on, %s AS responded, %s AS value, %s AS cost, %s AS code, %s FROM %s',
		crm_profile_internal.source_key_of(src, quote_ident(src.campaign_customer), src.campaigns, path), src.campaign_name, crm_profile_internal.source_local_day(src, src.contacted_at, src.campaigns, path),
		coalesce(src.treated, 'true'), CASE WHEN kind <> 'boolean'::regtype THEN crm_profile_internal.source_local_day(src, src.responded_at, src.campaigns, path) ELSE 'NULL::date' END,
		CASE WHEN kind = 'boolean'::regtype THEN format('(%s)', src.responded_at) ELSE 'NULL::boolean' END,
		crm_profile_internal.source_contact_amount(src, 'response_value', src.response_value, relation, path), crm_profile_internal.source_contact_amount(src, 'contact_cost', src.contact_cost, relation, path),
		coalesce('(' || src.campaign_code || ')', 'NULL') || '::text',
		-- what the others make of what cannot be
		format('%I::text AS given_key, NOT isfinite(%s) AS never_contacted, %s AS never_responded, %s AS is_odd', src.campaign_customer, src.contacted_at, CASE WHEN kind <> 'boolean'::regtype THEN format('NOT isfinite(%s)', src.responded_at) ELSE 'false' END,
			(SELECT coalesce(string_agg(format('coalesce(abs((%s)::numeric) >= 1e12, false)', a), ' OR '), 'false') FROM unnest(ARRAY[src.response_value, src.contact_cost]) a WHERE a IS NOT NULL)), src.campaigns), src.name, path, 'campaigns');
	RETURN src;
END $$; -- checks and completes the arguments about campaigns with the caller's rights

---------------------------------------------------------------- who was contacted, and who responded

CREATE TYPE crm_profile_internal.campaign_response_row AS ( -- a row of the view campaign_response
	customer text, -- key of the customer, as in the customer table
	campaign varchar, -- the campaign
	contacted_on date, -- day of the contact, the first one if there are several; for a control customer without a day the first day of the campaign
	treated boolean, -- true: treated; false: control group
	responded boolean, -- whether the customer responded; NULL: the days for it are not over
	value numeric, -- what the response is worth: as given, or the amount of the orders within response_days (profit if tier_by is profit); NULL: not over
	past_value numeric, -- the same of the 365 days before contact
	cost numeric, -- cost of the contact; NULL: unknown
	segment varchar, -- segment on the day before contact, by the thresholds in use now; (unscored): none
	score double precision, -- p_purchase on the day before contact; NULL: no prediction
	coded_orders integer, -- orders with the code of the campaign within response_days; NULL: no codes
	coded_value numeric -- their amount
);

CREATE FUNCTION crm_profile_internal.orders_between(history crm_profile.purchase_history, after date, until date) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5; -- number of orders after one day, up to another
CREATE FUNCTION crm_profile_internal.value_between(history crm_profile.purchase_history, after date, until date, by_profit boolean) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5; -- amount, net of refunds, or known profit of these days; 0 for none

CREATE FUNCTION crm_profile_internal.contact_figures(history crm_profile.purchase_history, contacted_on date, response_days integer, by_profit boolean, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme,
	active_days integer, clv crm_profile.clv_model, horizon_days integer, met integer, OUT ordered boolean, OUT value numeric, OUT past_value numeric, OUT segment text, OUT score double precision) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT coalesce(crm_profile_internal.orders_between(history, contacted_on - 1, contacted_on + response_days), 0) > 0,
			coalesce(crm_profile_internal.value_between(history, contacted_on - 1, contacted_on + response_days, by_profit), 0),
			coalesce(crm_profile_internal.value_between(history, contacted_on - 366, contacted_on - 1, by_profit), 0),
			coalesce(crm_profile_internal.segment_on_day(history, rfm, contacted_on - 1, segments, active_days, clv, met), '(unscored)'),
			crm_profile.probability_of_purchase(history, clv, contacted_on - 1, make_interval(days => horizon_days));
	END; -- what a customer ordered after contact and before, and what was known of them the day before

CREATE FUNCTION crm_profile_internal.source_contacts(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- a row for each customer and campaign, of the contacts until the day; who is in both groups is in none. Rows that
	-- count for nothing set no day and no cost. Customers are looked up even where a foreign key says that they exist:
	-- it can be dropped, and a policy may hide them
	RETURN (SELECT format($sql$(SELECT %1$s AS customer, q.campaign, min(%2$s) AS contacted_on, %3$s AS treated, %4$s AS responded_on, %5$s AS responded, %6$s AS value, %7$s AS cost, %8$s AS code
	FROM (%9$s) q CROSS JOIN %10$s%11$s%12$s WHERE q.campaign IS NOT NULL AND %2$s <= d.day%13$s AND EXISTS (SELECT FROM %14$s c WHERE %15$s) GROUP BY %1$s, q.campaign)$sql$,
			p.person, p.day,
			CASE WHEN src.treated IS NULL THEN 'true' ELSE 'CASE WHEN bool_and(q.treated) = bool_or(q.treated) THEN bool_and(q.treated) END' END,
			CASE WHEN src.responded_at IS NULL THEN 'NULL::date' ELSE format('min(q.responded_on) FILTER (WHERE NOT q.responded_on < %s)', p.day) END,
			CASE WHEN src.responded_at IS NULL THEN 'NULL::boolean' ELSE 'bool_or(q.responded)' END,
			CASE WHEN src.response_value IS NULL THEN 'NULL::numeric' WHEN src.responded_at IS NULL THEN 'sum(q.value)' ELSE format('sum(q.value) FILTER (WHERE coalesce(q.responded, q.responded_on BETWEEN %s AND d.day))', p.day) END,
			CASE WHEN src.contact_cost IS NULL THEN 'NULL::numeric' ELSE 'sum(q.cost)' END,
			CASE WHEN src.campaign_code IS NULL THEN 'NULL::text' ELSE 'min(q.code)' END,
			src.campaign_query, crm_profile_internal.source_day(crm_profile_internal.source_today(src)),
			CASE WHEN p.late THEN format(' LEFT JOIN (SELECT k.campaign, min(k.contacted_on) AS began FROM (%s) k GROUP BY k.campaign) b ON q.contacted_on IS NULL AND NOT q.treated AND b.campaign = q.campaign', src.campaign_query) END,
			CASE WHEN p.merged THEN format(' LEFT JOIN %I.customer_identity i ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'i.customer', 'q.customer')) END,
			CASE WHEN src.treated IS NOT NULL THEN ' AND q.treated IS NOT NULL' END,
			src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'q.customer'))
		FROM (SELECT crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL AS merged,
				-- a column that is never NULL needs no other day
				src.treated IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(src.campaigns) AND quote_ident(a.attname) = src.contacted_at AND a.attnotnull) AS late) s,
			LATERAL (SELECT s.merged, s.late, CASE WHEN s.merged THEN 'coalesce(i.person, q.customer)' ELSE 'q.customer' END AS person, CASE WHEN s.late THEN '(coalesce(q.contacted_on, b.began))' ELSE '(q.contacted_on)' END AS day) p);
COMMENT ON FUNCTION crm_profile_internal.source_contacts IS 'SQL of the customers of each campaign; treated is NULL for those who are in both groups';

CREATE FUNCTION crm_profile_internal.coded_orders(days date[], amounts numeric[], contacted_on date, until date, OUT orders integer, OUT amount numeric)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT count(*)::integer, coalesce(sum(o.amount), 0) FROM unnest(days, amounts) o(day, amount) WHERE o.day BETWEEN contacted_on AND until;
	END; -- orders with a code, from contact until a day

CREATE FUNCTION crm_profile_internal.source_response_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT format($sql$SELECT k.customer, k.campaign::varchar AS campaign, k.contacted_on, k.treated, %1$s AS responded, %2$s AS value, CASE WHEN NOT %3$s THEN f.past_value END AS past_value, k.cost, f.segment::varchar AS segment, f.score, %4$s
FROM %5$s k LEFT JOIN %6$I.customer_history h ON %7$s CROSS JOIN %8$s%9$s CROSS JOIN%10$s (SELECT %11$s AS rfm, %12$s AS segments, %13$s AS active_days, %14$s AS clv, %15$s AS horizon_days) m%19$s
	CROSS JOIN LATERAL crm_profile_internal.contact_figures(h.history, k.contacted_on, least(%16$s, d.day - k.contacted_on), %17$L, m.rfm, m.segments, m.active_days, m.clv, m.horizon_days, %20$s) f%18$s
WHERE k.treated IS NOT NULL$sql$,
		-- control customers get no codes: only where there is no control group can codes tell the response
		CASE WHEN src.responded_at IS NOT NULL THEN 'coalesce(k.responded OR k.responded_on <= d.day, false)'
			WHEN src.code_query IS NOT NULL AND src.treated IS NULL THEN format('CASE WHEN NOT %s THEN x.orders > 0 END', g.is_open) ELSE format('CASE WHEN NOT %s THEN f.ordered END', g.is_open) END,
		CASE WHEN src.response_value IS NOT NULL THEN format('CASE WHEN NOT %s THEN coalesce(k.value, 0) END', g.is_open) ELSE format('CASE WHEN NOT %s THEN f.value END', g.is_open) END, g.is_open,
		CASE WHEN src.code_query IS NOT NULL THEN 'x.orders AS coded_orders, x.amount AS coded_value' ELSE 'NULL::integer AS coded_orders, NULL::numeric AS coded_value' END,
		crm_profile_internal.source_contacts(src), src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'k.customer'), crm_profile_internal.source_day(crm_profile_internal.source_today(src)),
		crm_profile_internal.source_own_model(src, 'k.customer'), CASE WHEN src.by_attributes THEN ' LATERAL' END, crm_profile_internal.source_model_in_use(src, 'rfm'), crm_profile_internal.source_model_in_use(src, 'segments'),
		crm_profile_internal.source_model_in_use(src, 'active_days'), crm_profile_internal.source_clv(src), crm_profile_internal.source_model_in_use(src, 'horizon_days'), src.response_days, src.tier_by = 'profit',
		CASE WHEN src.code_query IS NOT NULL THEN format(' LEFT JOIN (SELECT o.customer, o.code, array_agg(o.ordered_on) AS days, array_agg(o.amount) AS amounts FROM (%s) o GROUP BY o.customer, o.code) o ON o.code = k.code AND %s
	CROSS JOIN LATERAL crm_profile_internal.coded_orders(o.days, o.amounts, k.contacted_on, least(k.contacted_on + %s, d.day)) x', src.code_query, crm_profile_internal.same_key(src.key_type, 'o.customer', 'k.customer'), src.response_days) END,
		crm_profile_internal.source_met(src, 1, 'h.history', 'k.customer', '(k.contacted_on - 1)'), crm_profile_internal.source_met(src, 1))
	FROM (SELECT CASE WHEN src.responded_at IS NULL THEN format('(k.contacted_on + %s > d.day)', src.response_days) ELSE 'false' END AS is_open) g); -- the query of campaign_response

---------------------------------------------------------------- the results

CREATE TYPE crm_profile_internal.campaign_measures AS ( -- totals of a campaign in one segment, or in one class of the score
	campaign text, -- the campaign
	segment text, -- the segment before contact
	score_class integer, -- class of the score
	first_contact date, -- day of the first contact
	last_contact date, -- day of the last contact
	still_open bigint, -- customers whose days to respond are not over
	cost numeric, -- cost of the treated customers whose days are over
	coded_customers bigint, -- customers with orders with the code
	coded_orders bigint, -- these orders
	coded_value numeric, -- their amount
	score numeric, -- sum of the scores
	lift crm_profile.campaign_lift -- the customers whose days are over
);

CREATE FUNCTION crm_profile_internal.add_lifts(lifts crm_profile.campaign_lift[]) RETURNS crm_profile.campaign_lift
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT ROW(sum(l.treated), sum(l.treated_responses), sum(l.treated_value), sum(l.treated_value_squares), sum(l.treated_past_value), sum(l.treated_past_value_squares), sum(l.treated_value_products),
			sum(l.control), sum(l.control_responses), sum(l.control_value), sum(l.control_value_squares), sum(l.control_past_value), sum(l.control_past_value_squares), sum(l.control_value_products))::crm_profile.campaign_lift
		FROM unnest(lifts) l);
COMMENT ON FUNCTION crm_profile_internal.add_lifts IS 'the lift of all customers of several';

CREATE FUNCTION crm_profile_internal.chi_square_p_value(chi_square double precision, df double precision) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the chance of at least that chi-square

CREATE FUNCTION crm_profile_internal.assignment_p_value(lifts crm_profile.campaign_lift[]) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN count(*) > 1 THEN crm_profile_internal.chi_square_p_value(crm_profile_internal.decimal_sum((g.treated - g.n * g.share) ^ 2 / (g.n * g.share * (1 - g.share)))::double precision, count(*) - 1) END
		FROM (SELECT l.treated, (l.treated + l.control)::double precision AS n, sum(l.treated) OVER () / NULLIF(sum(l.treated + l.control) OVER (), 0)::double precision AS share FROM unnest(lifts) l) g
		WHERE g.n * least(g.share, 1 - g.share) >= 5);
COMMENT ON FUNCTION crm_profile_internal.assignment_p_value IS 'whether treated customers have the same share in all groups, those too small left out; NULL for fewer than two groups, or one treatment';

CREATE FUNCTION crm_profile_internal.value_lift(lift crm_profile.campaign_lift, OUT test text, OUT difference double precision, OUT lower double precision, OUT upper double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT CASE WHEN a.p_value IS NOT NULL THEN 'Welch, past value taken off' WHEN a.difference IS NULL AND w.p_value IS NOT NULL THEN 'Welch' END, coalesce(a.difference, w.difference),
			CASE WHEN a.difference IS NOT NULL THEN a.lower ELSE w.lower END, CASE WHEN a.difference IS NOT NULL THEN a.upper ELSE w.upper END, CASE WHEN a.difference IS NOT NULL THEN a.p_value ELSE w.p_value END
		FROM crm_profile.value_test(lift) w, crm_profile.adjusted_value_test(lift) a;
	END; -- adjusted_value_test, or value_test where that says nothing

CREATE TYPE crm_profile_internal.campaign_result_row AS ( -- a row of the view campaign_result
	campaign varchar, -- the campaign
	first_contact date, -- day of the first contact
	last_contact date, -- day of the last contact
	treated bigint, -- treated customers whose days to respond are over
	control bigint, -- control customers, too
	still_open bigint, -- customers whose days to respond are not over: they do not count yet
	treated_rate double precision, -- share of the treated who responded
	control_rate double precision, -- share of the control group who responded
	lift double precision, -- treated_rate - control_rate; NULL, like all that compares: no control group
	lift_lower double precision, -- lower end of its 95 % interval (Newcombe)
	lift_upper double precision, -- upper end
	relative_lift double precision, -- lift / control_rate
	test varchar, -- z, or Fisher where an expected count is below 5
	p_value double precision, -- two-sided p-value of that test
	incremental_responses double precision, -- responses that there would not have been without the campaign
	value_per_treated double precision, -- mean value of the treated
	value_per_control double precision, -- mean value of the control group
	value_lift double precision, -- difference of the means, what past value foretells taken off
	value_lower double precision, -- lower end of its 95 % interval
	value_upper double precision, -- upper end
	value_test varchar, -- Welch, past value taken off; Welch
	value_p_value double precision, -- its p-value
	incremental_value numeric, -- value_lift × treated
	cost numeric, -- cost of the treated; NULL: unknown
	roi double precision, -- (incremental_value - cost) / cost
	assignment_p_value double precision, -- whether the groups are what they should be: control_share, or, if that is not set, the same share of treated customers in all segments; below .001 no result can be relied on
	coded_customers bigint, -- customers who ordered with the code of the campaign; NULL: no codes
	coded_orders bigint, -- these orders
	coded_value numeric, -- their amount
	result varchar, -- worked, did harm, did not work, cannot tell and why; response, not effect: no control group
	note text -- what to keep in mind; NULL: nothing
);

CREATE FUNCTION crm_profile_internal.campaign_result(measures crm_profile_internal.campaign_measures[], control_share double precision) RETURNS SETOF crm_profile_internal.campaign_result_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		WITH c AS (
			SELECT m.campaign, min(m.first_contact) AS first_contact, max(m.last_contact) AS last_contact, sum(m.still_open)::bigint AS still_open, sum(m.cost) AS cost, CASE WHEN count(m.coded_orders) > 0 THEN sum(m.coded_customers) END::bigint AS coded_customers,
				sum(m.coded_orders)::bigint AS coded_orders, sum(m.coded_value) AS coded_value, crm_profile_internal.add_lifts(array_agg(m.lift)) AS lift, crm_profile_internal.assignment_p_value(array_agg(m.lift)) AS in_segments
			FROM unnest(measures) m GROUP BY m.campaign),
		r AS (
			SELECT c.*, CASE WHEN control_share IS NULL OR (c.lift).control = 0 THEN c.in_segments ELSE crm_profile.sample_ratio_p_value(c.lift, control_share) END AS assignment FROM c)
		SELECT r.campaign, r.first_contact, r.last_contact, coalesce((r.lift).treated, 0), coalesce((r.lift).control, 0), r.still_open, crm_profile.response_rate(r.lift), crm_profile.response_rate(r.lift, false), crm_profile.absolute_lift(r.lift), i.lower, i.upper,
			crm_profile.relative_lift(r.lift), t.test, t.p_value, crm_profile.incremental_responses(r.lift), w.treated_mean, w.control_mean, v.difference, v.lower, v.upper, v.test, v.p_value, g.gained, r.cost, ((g.gained - r.cost) / NULLIF(r.cost, 0))::double precision,
			r.assignment, r.coded_customers, r.coded_orders, r.coded_value,
			CASE WHEN (r.lift).treated IS NULL THEN 'cannot tell yet: the days to respond are not over' ELSE crm_profile.lift_verdict(r.lift) END,
			NULLIF(concat_ws('; ', CASE WHEN r.assignment < 0.001 THEN CASE WHEN control_share IS NULL OR (r.lift).control = 0 THEN 'the share of treated customers differs between segments: not drawn at random, no comparison can be relied on'
					ELSE format('the control group has %s %% instead of %s %%: no comparison can be relied on', round((100.0 * (r.lift).control / ((r.lift).treated + (r.lift).control))::numeric, 1), round((100 * control_share)::numeric, 1)) END END,
				CASE WHEN (r.lift).treated IS NOT NULL AND r.still_open > 0 THEN 'part of the customers can still respond' END), '')
		FROM r, crm_profile.lift_interval(r.lift) i, crm_profile.lift_test(r.lift) t, crm_profile.value_test(r.lift) w, crm_profile_internal.value_lift(r.lift) v, LATERAL (SELECT round((v.difference * (r.lift).treated)::numeric, 2) AS gained) g
		ORDER BY r.first_contact, r.campaign COLLATE "C";
	END; -- rows of the view campaign_result, from totals by campaign and segment

CREATE TYPE crm_profile_internal.campaign_segment_result_row AS ( -- a row of the view campaign_segment_result
	campaign varchar, -- the campaign
	segment varchar, -- segment on the day before contact
	treated bigint, -- treated customers whose days to respond are over
	control bigint, -- control customers, too
	treated_rate double precision, -- share of the treated who responded
	control_rate double precision, -- share of the control group who responded
	lift double precision, -- treated_rate - control_rate; NULL: no control group
	lift_lower double precision, -- lower end of its 95 % interval
	lift_upper double precision, -- upper end
	p_value double precision, -- two-sided p-value
	adjusted_p_value double precision, -- the same, adjusted for the number of segments of the campaign (Benjamini-Hochberg)
	incremental_responses double precision, -- responses that there would not have been without the campaign
	value_lift double precision, -- difference of the mean values, what past value foretells taken off
	value_p_value double precision, -- its p-value
	incremental_value numeric, -- value_lift × treated
	cost numeric, -- cost of the treated; NULL: unknown
	result varchar -- worked, did harm (by adjusted_p_value), did not work, cannot tell and why; response, not effect: no control group
);

CREATE FUNCTION crm_profile_internal.campaign_segment_result(measures crm_profile_internal.campaign_measures[], segments crm_profile.segment_scheme) RETURNS SETOF crm_profile_internal.campaign_segment_result_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		WITH m AS (
			SELECT m.campaign, m.segment, m.cost, m.lift, min(m.first_contact) OVER (PARTITION BY m.campaign) AS began, t.p_value,
				count(t.p_value) OVER (PARTITION BY m.campaign) AS tests, count(t.p_value) OVER (PARTITION BY m.campaign ORDER BY t.p_value) AS place
			FROM unnest(measures) m, crm_profile.lift_test(m.lift) t WHERE (m.lift).treated IS NOT NULL),
		a AS (
			SELECT m.*, least(1, min(m.p_value * m.tests / m.place) OVER (PARTITION BY m.campaign ORDER BY m.p_value DESC NULLS FIRST)) AS adjusted FROM m)
		SELECT a.campaign, a.segment, (a.lift).treated, (a.lift).control, crm_profile.response_rate(a.lift), crm_profile.response_rate(a.lift, false), crm_profile.absolute_lift(a.lift), i.lower, i.upper,
			a.p_value, CASE WHEN a.p_value IS NOT NULL THEN a.adjusted END, crm_profile.incremental_responses(a.lift), v.difference, v.p_value, round((v.difference * (a.lift).treated)::numeric, 2), a.cost,
			crm_profile.lift_verdict(a.lift, CASE WHEN a.p_value IS NOT NULL THEN a.adjusted END)
		FROM a LEFT JOIN crm_profile.segments(segments) s ON s.segment = a.segment, crm_profile.lift_interval(a.lift) i, crm_profile_internal.value_lift(a.lift) v
		ORDER BY a.began, a.campaign COLLATE "C", s.position, a.segment COLLATE "C";
	END; -- rows of the view campaign_segment_result

CREATE TYPE crm_profile_internal.campaign_gains_row AS ( -- a row of the view campaign_gains
	campaign varchar, -- the campaign
	decile integer, -- tenth of its customers by the score before contact, 1 the highest; scores whose odds are the same but for 1.6 % are in the same tenth
	customers bigint, -- customers whose days to respond are over, both groups
	mean_score double precision, -- mean of the score
	treated bigint, -- treated customers
	control bigint, -- control customers
	treated_rate double precision, -- share of the treated who responded
	control_rate double precision, -- share of the control group who responded
	lift double precision, -- treated_rate - control_rate; NULL: no control group
	lift_lower double precision, -- lower end of its 95 % interval
	lift_upper double precision, -- upper end
	response_index double precision, -- treated_rate of the decile by that of the campaign
	cumulative_customers double precision, -- share of the treated in this and all higher deciles
	cumulative_responses double precision, -- share of their responses: the gains curve
	cumulative_incremental double precision, -- responses in these deciles that there would not have been without the campaign
	result varchar -- of these deciles together, in words; says so where all scores are alike
);

CREATE FUNCTION crm_profile_internal.campaign_gains(measures crm_profile_internal.campaign_measures[]) RETURNS SETOF crm_profile_internal.campaign_gains_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		WITH n AS (
			-- who has a higher score decides on the tenth, so that equal ones stay together
			SELECT n.campaign, n.first_contact, n.score, n.lift, sum((n.lift).treated + (n.lift).control) OVER (PARTITION BY n.campaign ORDER BY n.score_class DESC) - (n.lift).treated - (n.lift).control AS higher,
				sum((n.lift).treated + (n.lift).control) OVER (PARTITION BY n.campaign) AS everybody
			FROM unnest(measures) n WHERE (n.lift).treated IS NOT NULL AND n.score_class IS NOT NULL),
		d AS (
			SELECT n.campaign, 1 + div(10 * n.higher, n.everybody)::integer AS decile, min(n.first_contact) AS first_contact, sum(n.score) AS score, crm_profile_internal.add_lifts(array_agg(n.lift)) AS lift FROM n GROUP BY 1, 2),
		m AS (
			SELECT d.campaign, d.decile, d.lift, (d.score / ((d.lift).treated + (d.lift).control))::double precision AS mean_score, crm_profile_internal.add_lifts(array_agg(d.lift) OVER (PARTITION BY d.campaign ORDER BY d.decile)) AS so_far,
				crm_profile_internal.add_lifts(array_agg(d.lift) OVER (PARTITION BY d.campaign)) AS whole, min(d.first_contact) OVER (PARTITION BY d.campaign) AS began, count(*) OVER (PARTITION BY d.campaign) AS groups FROM d)
		SELECT m.campaign, m.decile, (m.lift).treated + (m.lift).control, m.mean_score, (m.lift).treated, (m.lift).control, crm_profile.response_rate(m.lift), crm_profile.response_rate(m.lift, false), crm_profile.absolute_lift(m.lift), i.lower, i.upper,
			crm_profile.response_rate(m.lift) / NULLIF(crm_profile.response_rate(m.whole), 0), (m.so_far).treated / NULLIF((m.whole).treated, 0)::double precision, (m.so_far).treated_responses / NULLIF((m.whole).treated_responses, 0)::double precision,
			crm_profile.incremental_responses(m.so_far), crm_profile.lift_verdict(m.so_far) || CASE WHEN m.groups = 1 THEN '; all scores are alike, so there are no tenths' ELSE '' END
		FROM m, crm_profile.lift_interval(m.lift) i ORDER BY m.began, m.campaign COLLATE "C", m.decile;
	END; -- rows of the view campaign_gains, from totals by campaign and decile

CREATE FUNCTION crm_profile_internal.score_class(score double precision) RETURNS integer
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN score IS NOT NULL THEN floor(64 * ln(greatest(score, 1e-12) / greatest(1 - score, 1e-12)))::integer END; -- class of a score: 64 times its log-odds, so that a million customers need no sort

CREATE FUNCTION crm_profile_internal.response_measures(source text, measure text) RETURNS crm_profile_internal.campaign_measures[]
	-- histories are stored in the order of their keys, which the planner cannot know, since no statistics of keys are
	-- kept: merging takes half the time of hashing
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 1000000 SET search_path = pg_catalog, pg_temp SET jit = off SET enable_hashjoin = off AS $$
DECLARE
	src crm_profile.source_definition;
	measures crm_profile_internal.campaign_measures[];
BEGIN
	BEGIN
		EXECUTE format(measure, format('%I.campaign_response', source)) INTO measures;
	EXCEPTION WHEN data_exception THEN
		-- contacts that an expression cannot read are left out, as check_source() tells
		src := crm_profile_internal.evaluated_source(source);
		src.campaign_query := crm_profile_internal.source_rows_from(src.campaign_query, src.campaigns, crm_profile_internal.readable_rows_of(src.campaigns, src.campaign_query, true));
		IF src.campaign_query IS NULL THEN
			RAISE;
		END IF;
		EXECUTE format(measure, format('(%s) c', crm_profile_internal.source_response_query(src))) INTO measures;
	END;
	RETURN measures;
END $$; -- totals of the contacts of a source, by a query that returns them as an array, with %s for the view campaign_response

CREATE FUNCTION crm_profile_internal.campaign_totals(responses regclass, by_score boolean DEFAULT false) RETURNS SETOF crm_profile_internal.campaign_measures
	LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 50 SET search_path = pg_catalog, pg_temp
	-- each figure of a contact is computed once, however often it is used, and none that is not
	BEGIN ATOMIC
		SELECT m.* FROM unnest(crm_profile_internal.response_measures((SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = responses), format('SELECT ARRAY(SELECT ROW(r.campaign::text, %1$s, min(r.contacted_on), max(r.contacted_on), count(*) - count(r.responded), sum(r.cost) FILTER (WHERE r.treated AND r.responded IS NOT NULL), '
				'%2$s, crm_profile.campaign_lift(CASE WHEN r.responded IS NOT NULL THEN r.treated END, r.responded%3$s))::crm_profile_internal.campaign_measures FROM (SELECT %5$s FROM %%s OFFSET 0) r GROUP BY r.campaign, %4$s)',
			CASE WHEN by_score THEN 'NULL::text, crm_profile_internal.score_class(r.score)' ELSE 'r.segment::text, NULL::integer' END,
			CASE WHEN by_score THEN 'NULL::bigint, NULL::bigint, NULL::numeric, crm_profile_internal.decimal_sum(CASE WHEN r.responded IS NOT NULL THEN r.score END)' ELSE 'count(r.customer) FILTER (WHERE r.coded_orders > 0), sum(r.coded_orders), sum(r.coded_value), NULL::numeric' END,
			CASE WHEN NOT by_score THEN ', r.value, r.past_value' END, CASE WHEN by_score THEN 'crm_profile_internal.score_class(r.score)' ELSE 'r.segment' END, 'campaign, customer, contacted_on, treated, responded, cost, coded_orders, coded_value, ' || CASE WHEN by_score THEN 'score' ELSE 'segment, value, past_value' END))) m;
	END; -- the totals of all campaigns by segment, or by class of the score, from the view campaign_response of a source

CREATE FUNCTION crm_profile_internal.source_build_campaigns(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.campaigns IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, v) FROM unnest('{campaign_gains,campaign_segment_result,campaign_result,campaign_response}'::text[]) v;
		RETURN;
	END IF;
	PERFORM crm_profile_internal.source_view(src, 'campaign_response', 'the customers of each campaign: group, response, value, and what was known of them the day before', 'crm_profile_internal.campaign_response_row',
		crm_profile_internal.source_response_query(src));
	PERFORM crm_profile_internal.source_view(src, 'campaign_result', 'what each campaign changed beside its control group; without one, the response alone', 'crm_profile_internal.campaign_result_row',
		format('SELECT c.* FROM crm_profile_internal.campaign_result(ARRAY(SELECT m FROM crm_profile_internal.campaign_totals(%L::regclass) m), %L) c', format('%I.campaign_response', src.name), src.control_share));
	PERFORM crm_profile_internal.source_view(src, 'campaign_segment_result', 'the same by segment before contact', 'crm_profile_internal.campaign_segment_result_row',
		format('SELECT c.* FROM crm_profile_internal.campaign_segment_result(ARRAY(SELECT m FROM crm_profile_internal.campaign_totals(%L::regclass) m), %s) c', format('%I.campaign_response', src.name), crm_profile_internal.source_model_in_use(src, 'segments')));
	PERFORM crm_profile_internal.source_view(src, 'campaign_gains', 'the same by tenth of the score before contact', 'crm_profile_internal.campaign_gains_row',
		format('SELECT c.* FROM crm_profile_internal.campaign_gains(ARRAY(SELECT m FROM crm_profile_internal.campaign_totals(%L::regclass, true) m)) c', format('%I.campaign_response', src.name)));
END $$; -- creates or replaces the views of campaigns of a source, or drops them if there are no campaigns

---------------------------------------------------------------- faults in the contacts

CREATE FUNCTION crm_profile_internal.find_in_campaigns(src crm_profile.source_definition, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	merged CONSTANT boolean := crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL;
BEGIN
	IF src.campaigns IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format($sql$WITH q AS MATERIALIZED (SELECT q.*, %7$s AS person, EXISTS (SELECT FROM %2$s c WHERE %3$s) AS known FROM (%1$s) q%8$s),
		member AS MATERIALIZED (SELECT q.person AS customer, q.campaign, count(*) AS rows, bool_or(q.treated) AS treated, bool_and(q.treated) AS all_treated FROM q WHERE q.customer IS NOT NULL AND q.campaign IS NOT NULL GROUP BY q.person, q.campaign),
		campaign AS MATERIALIZED (SELECT q.campaign, count(*) AS rows, count(*) FILTER (WHERE q.treated) AS treated, count(*) FILTER (WHERE NOT q.treated) AS control, count(*) FILTER (WHERE q.responded OR q.responded_on IS NOT NULL) AS responses FROM q WHERE q.campaign IS NOT NULL GROUP BY q.campaign),
		-- of single contacts
		fault AS (
			SELECT v.place, coalesce(q.customer::text, q.given_key) AS customer, q.value FROM q, LATERAL (VALUES (70, q.customer IS NULL AND q.given_key IS NULL OR q.campaign IS NULL OR q.contacted_on IS NULL AND q.never_contacted IS NOT TRUE AND coalesce(q.treated, true)),
				(60, q.customer IS NULL AND q.given_key IS NOT NULL), (61, q.never_contacted), (62, q.never_responded), (63, q.is_odd), (71, q.customer IS NOT NULL AND NOT q.known), (73, q.treated IS NULL), (75, q.responded_on < q.contacted_on), (76, q.contacted_on > $1)) v(place, found) WHERE v.found
			UNION ALL SELECT v.place, m.customer::text, NULL FROM member m, LATERAL (VALUES (72, m.treated <> m.all_treated), (74, m.rows > 1 AND m.treated = m.all_treated)) v(place, found) WHERE v.found),
		counted AS (
			SELECT f.place, count(*) AS rows, count(DISTINCT f.customer) AS customers, sum(f.value) AS value, crm_profile_internal.sample_keys(f.customer, f.value) FILTER (WHERE f.customer IS NOT NULL) AS samples FROM fault f GROUP BY f.place
			-- of whole campaigns
			UNION ALL SELECT v.place, count(*), NULL, NULL, '{}' FROM campaign c, LATERAL (VALUES (77, c.control = 0), (78, c.treated = 0), (79, %4$L AND c.responses = 0),
				(80, crm_profile.sample_ratio_p_value(ROW(c.treated, 0, NULL, NULL, NULL, NULL, NULL, c.control, 0, NULL, NULL, NULL, NULL, NULL)::crm_profile.campaign_lift, %5$L) < 0.001)) v(place, found) WHERE v.found GROUP BY v.place)
		SELECT (f.f).* FROM (SELECT crm_profile_internal.found_row(n.place, v.finding, v.severity, n.rows, n.customers, n.value, '0', v.advice, v.argument, n.samples) AS f
		FROM counted n JOIN (VALUES
			(70, 'contacts without customer, campaign or day', 'warning', 'They are in no result.', 'campaign_customer, campaign_name, contacted_at'),
			(60, 'contacts with a key that no customer can have', 'warning', 'They are in no result.', 'campaign_customer'),
			(61, 'contacts on an infinite day', 'warning', 'Without a day, the treated are in no result, and the control group counts from the first day of the campaign.', 'contacted_at'),
			(62, 'responses on an infinite day', 'warning', 'They are no responses.', 'responded_at'),
			(63, 'contacts whose value or cost is no number', 'warning', 'NaN, infinite, or too large: they count as none.', 'response_value, contact_cost'),
			(71, 'contacts of unknown customers', 'warning', 'Their customer is not in the customer table: they are in no result.', NULL),
			(72, 'customers both treated and control', 'warning', 'In one and the same campaign: they are in neither of its groups.', 'treated'),
			(73, 'contacts neither treated nor control', 'warning', 'The condition treated gives NULL: they are in no result.', 'treated'),
			(74, 'customers more than once in a campaign', 'note', 'Their first contact counts.', NULL),
			(75, 'responses before contact', 'warning', 'They are no responses to the campaign, and do not count.', 'responded_at'),
			(76, 'contacts after the as-of date', 'note', 'The results do not count them before their day.', NULL),
			(77, 'campaigns without control group', 'note', 'Their results show the response, not what the campaign changed.', 'treated'),
			(78, 'campaigns without treated customers', 'warning', 'Nothing can be said of them.', 'treated'),
			(79, 'campaigns without responses', 'warning', 'Nobody responded: are the responses loaded?', 'responded_at'),
			(80, 'campaigns whose control group has another share', 'warning', %6$L, 'control_share')) v(place, finding, severity, advice, argument) ON v.place = n.place) f$sql$,
		src.campaign_query, src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'q.customer'), src.responded_at IS NOT NULL, src.control_share,
		format('It was to be %s, and differs by more than chance: no comparison can be relied on.', src.control_share),
		CASE WHEN merged THEN 'coalesce(i.person, q.customer)' ELSE 'q.customer' END,
		CASE WHEN merged THEN format(' LEFT JOIN %I.customer_identity i ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'i.customer', 'q.customer')) END) USING today;
	IF src.code_query IS NOT NULL THEN
		RETURN QUERY EXECUTE format($sql$WITH code AS MATERIALIZED (SELECT DISTINCT q.code, q.campaign FROM (%1$s) q WHERE q.code IS NOT NULL AND q.campaign IS NOT NULL)
			SELECT (f.f).* FROM (
				SELECT crm_profile_internal.found_row(78, 'orders with the code of no campaign', 'note', count(*), count(DISTINCT o.customer), sum(o.amount), '0', 'They are attributed to none.', 'campaign_code', crm_profile_internal.sample_keys(o.customer::text, o.amount) FILTER (WHERE o.customer IS NOT NULL)) AS f
					FROM (%2$s) o WHERE o.code NOT IN (SELECT c.code FROM code c) HAVING count(*) > 0
				UNION ALL SELECT crm_profile_internal.found_row(79, 'codes of several campaigns', 'warning', count(*), NULL, NULL, '0', 'An order with such a code counts for each of them in which its customer was.', 'campaign_code')
					FROM (SELECT c.code FROM code c GROUP BY c.code HAVING count(*) > 1) c HAVING count(*) > 0) f$sql$, src.campaign_query, src.code_query);
	END IF;
	IF to_regclass(format('%I.campaign_response', src.name)) IS NOT NULL THEN
		-- what the responses show; contacts that cannot be read, at which the view stops, have been told
		BEGIN
			RETURN QUERY WITH total AS MATERIALIZED (SELECT t.* FROM crm_profile_internal.campaign_totals(format('%I.campaign_response', src.name)::regclass) t WHERE (t.lift).treated IS NOT NULL),
				campaign AS MATERIALIZED (SELECT t.campaign, crm_profile_internal.add_lifts(array_agg(t.lift)) AS lift FROM total t GROUP BY t.campaign),
				n AS (SELECT count(*) FILTER (WHERE (c.lift).treated_responses + (c.lift).control_responses = 0) AS silent,
					count(*) FILTER (WHERE crm_profile_internal.sample_variance((c.lift).treated, (c.lift).treated_value, (c.lift).treated_value_squares) = 0 AND crm_profile_internal.sample_variance((c.lift).control, (c.lift).control_value, (c.lift).control_value_squares) = 0) AS alike,
					(SELECT count(*) FROM total t JOIN campaign k ON k.campaign = t.campaign WHERE (k.lift).treated > 0 AND (k.lift).control > 0 AND least((t.lift).treated, (t.lift).control) = 0) AS lone FROM campaign c)
				SELECT f.* FROM n, LATERAL (VALUES (79, 'campaigns without responses', 'warning', CASE WHEN src.responded_at IS NULL THEN n.silent END, 'Nobody ordered in the days after contact.', 'response_days'),
						(81, 'campaigns in which all have the same value', 'note', n.alike, 'Nothing can be tested where nobody differs.', 'response_value'),
						(82, 'segments in which a campaign has one group only', 'note', n.lone, 'Nothing can be compared there.', NULL)) v(place, finding, severity, n, advice, argument),
					crm_profile_internal.found_row(v.place, v.finding, v.severity, v.n, NULL, NULL, '0', v.advice, v.argument) f
				WHERE v.n > 0;
		EXCEPTION WHEN data_exception THEN
			NULL;
		END;
	END IF;
END $$; -- finds problems in the contacts of campaigns, in codes of orders, and in the responses
