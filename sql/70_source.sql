-- Sources: existing customer and order tables, registered once, refreshed, and read through views

---------------------------------------------------------------- lifecycle

CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12; -- new, active, lapsing, inactive or won back on that day, inactive after twice active_days; NULL without a purchase by then
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, inactive_days integer) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12; -- new, active, lapsing, inactive or won back on that day: last purchase within active_days, within inactive_days, or longer ago; NULL without a purchase by then

CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, model crm_profile.clv_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_clv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40 SUPPORT crm_profile_internal.label_support; -- lifecycle by a model: lapsing are those who are less than three quarters as likely to buy within 90 days as somebody who has just bought for the first time, inactive those below one quarter and silent for twice active_days; no repeat buyer whose silence is still short for them
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, inactive_days integer, model crm_profile.clv_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_clv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40 SUPPORT crm_profile_internal.label_support; -- lifecycle by a model, inactive after inactive_days at the earliest
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, rhythm crm_profile.rhythm_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_rhythm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40; -- lifecycle with a window of its own for each repeat buyer: lapsing once lapse_probability reaches 3/4, inactive after twice that silence and twice active_days
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, inactive_days integer, rhythm crm_profile.rhythm_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_rhythm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40; -- lifecycle with a window of its own for each repeat buyer, inactive after inactive_days; with a model that did not converge, or saw too few repeat buyers, only the number of days counts

CREATE FUNCTION crm_profile_internal.segment_on_day(history crm_profile.purchase_history, rfm crm_profile.rfm_model, day date, segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model, met integer) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 40; -- segment_met() of the score and the lifecycle on that day, in one; NULL: no score, or no segment
-- strict, so that a condition on the segment of a view leaves customers without a history out before it joins them
CREATE FUNCTION crm_profile_internal.segment_on_day(history crm_profile.purchase_history, rfm crm_profile.rfm_model, day date, segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model) RETURNS text
	AS 'MODULE_PATHNAME', 'segment_on_day_strict' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40 SUPPORT crm_profile_internal.label_support; -- the same where the scheme has no conditions
CREATE FUNCTION crm_profile_internal.segment_among(history crm_profile.purchase_history, rfm crm_profile.rfm_model, day date, segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model, labels text[]) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 30; -- segment_on_day() if it is one of these labels, else NULL: the planner asks for it where a condition wants no others

---------------------------------------------------------------- value tiers

CREATE TYPE crm_profile.value_tiers AS ( -- thresholds of the value tiers A and B; from value_tiers_fit()
	a_from double precision, -- values from this one on are in tier A: customers of higher value than the lowest of them together have less than 80 % of the total; a round number between two values
	b_from double precision -- values from this one on are in tier B: the same with 95 %
);

CREATE FUNCTION crm_profile_internal.value_tiers_fit_transfn(state internal, value double precision) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.value_tiers_fit_finalfn(state internal) RETURNS crm_profile.value_tiers
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name=value_tiers_fit
CREATE AGGREGATE crm_profile.value_tiers_fit(value double precision) (
	SFUNC = crm_profile_internal.value_tiers_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.value_tiers_fit_finalfn,
	COMBINEFUNC = crm_profile_internal.value_tiers_fit_combine, SERIALFUNC = crm_profile_internal.value_tiers_fit_serialize, DESERIALFUNC = crm_profile_internal.value_tiers_fit_deserialize,
	PARALLEL = SAFE); -- thresholds of the value tiers: A has 80 % of the total value, A and B together 95 %; NULLs are skipped; NULL if no customer has a positive value

CREATE FUNCTION crm_profile.value_tier(value double precision, a_from double precision, b_from double precision) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE SUPPORT crm_profile_internal.label_support; -- A for values from a_from on, B from b_from on, else C; NULL for a NULL value
CREATE FUNCTION crm_profile.value_tier(value numeric, a_from numeric, b_from numeric) RETURNS text
	AS 'MODULE_PATHNAME', 'value_tier_numeric' LANGUAGE C IMMUTABLE PARALLEL SAFE SUPPORT crm_profile_internal.label_support; -- A for values from a_from on, B from b_from on, else C; NULL for a NULL value

-- strict, for the same reason as segment_on_day(): a threshold that is not there is infinite
CREATE FUNCTION crm_profile_internal.value_tier(value double precision, a_from double precision, b_from double precision) RETURNS text
	AS 'MODULE_PATHNAME', 'value_tier_strict' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE SUPPORT crm_profile_internal.label_support; -- value_tier() where thresholds are not NULL

---------------------------------------------------------------- customer_base

CREATE TYPE crm_profile.customer_base AS ( -- summary of a customer base: counts, active window and value tiers; from customer_base_fit()
	customers bigint, -- number of histories
	orders bigint, -- orders in all histories, including those after as_of
	oldest_order date, -- day of the oldest order
	newest_order date, -- day of the newest order, even if after as_of
	active_days integer, -- days within which nine of ten repeat buyers come back (by the mean gap of each customer), 28 to 365; NULL for fewer than 20 repeat buyers
	a_from numeric, -- values from this one on are in tier A: customers of higher value than the lowest of them together have less than 80 % of the total; a round number between two values; NULL if no customer has a positive value
	b_from numeric, -- values from this one on are in tier B: the same with 95 %
	deciles numeric[] -- where the deciles of the buyers from the second up begin, round numbers between two values, as far as they are positive
);

CREATE FUNCTION crm_profile_internal.customer_base_fit_transfn(state internal, history crm_profile.purchase_history, as_of date, period interval, by_profit boolean)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'population_fit_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.customer_base_fit_finalfn(state internal) RETURNS crm_profile.customer_base
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name=population_fit
CREATE AGGREGATE crm_profile.customer_base_fit(history crm_profile.purchase_history, as_of date, period interval, by_profit boolean) (
	SFUNC = crm_profile_internal.customer_base_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.customer_base_fit_finalfn,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = crm_profile_internal.population_fit_combine, SERIALFUNC = crm_profile_internal.population_fit_serialize, DESERIALFUNC = crm_profile_internal.population_fit_deserialize,
	PARALLEL = SAFE); -- summary of all histories: numbers of customers and orders, the active window, and the tiers of value (monetary or profit, over the period or all time); NULL for no rows

---------------------------------------------------------------- thresholds and counts that follow changes

CREATE FUNCTION crm_profile_internal.population_fit_transfn(state internal, history crm_profile.purchase_history, as_of date, period interval, by_profit boolean, bins integer)
	RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.population_fit_finalfn(state internal) RETURNS bytea[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.population_fit(history crm_profile.purchase_history, as_of date, period interval, by_profit boolean, bins integer) (
	SFUNC = crm_profile_internal.population_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.population_fit_finalfn,
	FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = crm_profile_internal.population_fit_combine, SERIALFUNC = crm_profile_internal.population_fit_serialize, DESERIALFUNC = crm_profile_internal.population_fit_deserialize,
	PARALLEL = SAFE); -- what population_models() takes thresholds and counts from, and population_change() changes: counts, and sorted values around the thresholds; NULL for no rows

CREATE FUNCTION crm_profile_internal.population_change_transfn(state internal, population bytea[], before crm_profile.purchase_history, after crm_profile.purchase_history,
	as_of date, period interval, by_profit boolean, bins integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.population_change_finalfn(state internal) RETURNS bytea[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.population_change(population bytea[], before crm_profile.purchase_history, after crm_profile.purchase_history,
	as_of date, period interval, by_profit boolean, bins integer) (
	SFUNC = crm_profile_internal.population_change_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.population_change_finalfn,
	FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE); -- the population (the same in all rows) after histories changed, with NULL for none, and on that day; NULL: it has to be made anew from all histories

CREATE FUNCTION crm_profile_internal.population_models(population bytea[], OUT rfm crm_profile.rfm_model, OUT customer_base crm_profile.customer_base)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000; -- what rfm_fit() and customer_base_fit() find, from a population

---------------------------------------------------------------- from C: acting as the owner

CREATE FUNCTION crm_profile_internal.session_settings() RETURNS text[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 10; -- the settings of this session that can change the value of an expression, as name=value; without search_path and TimeZone, which sources keep separately
CREATE FUNCTION crm_profile_internal.pin_settings(settings text[]) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10; -- sets settings of session_settings(), and those that decide how SQL is parsed, until the calling function returns; an error for other settings

CREATE FUNCTION crm_profile_internal.no_notices() RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED; -- no notices until the calling function returns, and no warnings either where the session wants none

---------------------------------------------------------------- keys

CREATE FUNCTION crm_profile_internal.base_type(type oid) RETURNS regtype
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- base type of a domain, through nested domains; any other type itself

CREATE FUNCTION crm_profile_internal.key_equality(type regtype) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10; -- the equality operator that GROUP BY and unique indexes use for a type, as SQL for a search_path of pg_catalog; NULL if there is none

CREATE FUNCTION crm_profile_internal.key_collation(relation regclass, key text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce((SELECT format(' COLLATE %I.%I', n.nspname, c.collname) FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation JOIN pg_namespace n ON n.oid = c.collnamespace
		WHERE a.attrelid = relation AND a.attname = key AND NOT c.collisdeterministic), '');
COMMENT ON FUNCTION crm_profile_internal.key_collation IS 'COLLATE clause of a key column whose collation is nondeterministic; else empty';

CREATE FUNCTION crm_profile_internal.same_key(key_type text, a text, b text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE crm_profile_internal.key_equality(key_type::regtype) WHEN '=' THEN format('%s = %s', a, b)
		ELSE format('%s::%s %s %s::%2$s', a, key_type, crm_profile_internal.key_equality(key_type::regtype), b) END;
COMMENT ON FUNCTION crm_profile_internal.same_key IS 'SQL condition that two customer keys, given as SQL, are equal by the equality of their type';

CREATE FUNCTION crm_profile_internal.check_key(source text, key text, key_type text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('SELECT %L::%s', key, key_type);
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
	RAISE invalid_text_representation USING MESSAGE = format('"%s" cannot be the key of a customer of source "%s"', crm_profile_internal.short(key, 64), source), DETAIL = format('Keys have the type %s.', key_type);
END $$; -- an error if a text is no value of the type of customer keys

---------------------------------------------------------------- the definition of a source

-- All settings of a source, given or found, defined once: a new setting takes one line here, besides the code that uses
-- it. The lines make the type, the arguments of create_source() and alter_source(), what reset takes, and, further
-- down, the view sources. Third column: the default of the argument; required: no default; NULL: not an argument, the
-- source finds it itself.
DO $do$
DECLARE
	field record;
	fields text;
	arguments text := '';
	changes text := '';
	definition CONSTANT text[] := ARRAY[
		['name', 'text', NULL, 'name of the source, which is the name of its schema; NULL in the stored row, so that the schema can be renamed'],
		['customers', 'text', 'required', 'the customer table, schema-qualified'],
		['customer_key', 'text', 'NULL', 'column of the customer table that identifies a customer'],
		['orders', 'text', 'required', 'the order table, schema-qualified, or a SELECT'],
		['order_customer', 'text', 'NULL', 'expression over the orders: the customer''s key'],
		['ordered_at', 'text', 'NULL', 'expression over the orders: day or time of the order'],
		['amount', 'text', 'NULL', 'expression over the orders: amount of the order'],
		['cost', 'text', 'NULL', 'expression over the orders: cost of the order; NULL: costs are not known'],
		['order_key', 'text', 'NULL', 'expression that is the same for all lines of one order; NULL: each row is an order'],
		['order_filter', 'text', 'NULL', 'condition on the orders; NULL: all of them'],
		['corrections', 'text', 'NULL', 'corrections of orders and attributes before they are used, as JSON; NULL: none'],
		['amount_scale', 'integer', 'NULL', 'decimals that amounts are rounded to; NULL: 2 for floats, else as they are'],
		['time_zone', 'text', 'pg_catalog.current_setting(''TimeZone'')', 'time zone in which a time stamp with time zone becomes a day'],
		['attributes', 'text[]', 'NULL', 'columns of the customer table, or name = expression, that describe a customer'],
		['attribute_options', 'text', 'NULL', 'special codes, breaks of ranges and asymmetric attributes, as JSON; NULL: none'],
		['interactions', 'text', 'NULL', 'table of enquiries, visits and the like, schema-qualified'],
		['interaction_customer', 'text', 'NULL', 'column of the interactions with the customer''s key'],
		['interacted_at', 'text', 'NULL', 'column of the interactions with day or time; NULL: all interactions count, whatever the as-of date'],
		['campaigns', 'text', 'NULL', 'the table of campaign contacts, schema-qualified: a row for each customer in each campaign; NULL: none'],
		['campaign_customer', 'text', 'NULL', 'column of the contacts with the customer''s key; NULL: no contacts'],
		['campaign_name', 'text', 'NULL', 'column or expression of the contacts: the campaign; NULL: no contacts'],
		['contacted_at', 'text', 'NULL', 'column or expression of the contacts with day or time; NULL for control customers: when the campaign began'],
		['treated', 'text', 'NULL', 'condition over the contacts: true for treated customers, false for the control group; NULL: everybody is treated, there is no control group'],
		['responded_at', 'text', 'NULL', 'column or expression of the contacts with day or time of the response, or a condition; NULL: an order within response_days is a response'],
		['response_value', 'text', 'NULL', 'column or expression of the contacts: what a response is worth; NULL: the orders within response_days'],
		['contact_cost', 'text', 'NULL', 'cost of a contact: column or expression of the contacts, or a number; NULL: unknown'],
		['campaign_code', 'text', 'NULL', 'column or expression of the contacts: the coupon or promotion code of the campaign; NULL: none'],
		['order_code', 'text', 'NULL', 'column or expression of the orders: the code that an order was placed with; NULL: none'],
		['response_days', 'integer', '30', 'days after contact within which an order is a response: 1 to 366'],
		['control_share', 'double precision', 'NULL', 'share of a campaign''s customers that the control group was to have; NULL: unknown'],
		['lines', 'text', 'NULL', 'table of order lines, schema-qualified, which tell what was bought together; NULL: none'],
		['line_order', 'text', 'NULL', 'expression over the lines: what lines of one order share, the key of the order; NULL: customer and day'],
		['line_customer', 'text', 'NULL', 'expression over the lines: the customer''s key; NULL: the order tells'],
		['line_day', 'text', 'NULL', 'expression over the lines: day or time; NULL: the order tells'],
		['line_product', 'text', 'NULL', 'expression over the lines: the product'],
		['line_category', 'text', 'NULL', 'expression over the lines: the category of the product; NULL: each product is its own'],
		['payments', 'text', 'NULL', 'table of payments, schema-qualified: a row for each invoice or instalment, with the day on which it is due and the day on which it was paid; NULL: none'],
		['payment_customer', 'text', 'NULL', 'expression over the payments: the customer''s key; NULL: no payments, or the order tells'],
		['payment_order', 'text', 'NULL', 'expression over the payments: the key of the order, whose customer pays; NULL: payment_customer tells'],
		['payment_due', 'text', 'NULL', 'expression over the payments: day or time at which it is due; NULL: no payments'],
		['payment_paid', 'text', 'NULL', 'expression over the payments: day or time of the payment, NULL where it is open; NULL: no payments'],
		['payment_amount', 'text', 'NULL', 'expression over the payments: the amount; NULL: unknown'],
		['day_weights', 'text', 'NULL', 'table of the days that are not like others, schema-qualified, with the columns day and weight: 0 for a closed day, 1.5 for one of a promotion; days that it leaves out weigh 1'],
		['prospects', 'text', 'NULL', 'the prospect table, schema-qualified; NULL: none'],
		['prospect_key', 'text', 'NULL', 'key column of the prospect table; NULL: no prospects'],
		['prospect_customer', 'text', 'NULL', 'column of the prospect table with the key of the customer that a prospect is or becomes; NULL: none'],
		['best', 'text', 'NULL', 'the best customers, whom prospects are compared with: segments, or a condition over customer_profile and the customer table'],
		['scheme', 'text', '''standard''', 'name of the segment scheme'],
		['bins', 'integer', 'NULL', 'number of scores in each dimension, 2 to 9'],
		['period', 'interval', 'NULL', 'look-back window; NULL: all time'],
		['as_of', 'date', 'NULL', 'as-of date of the views; NULL: today in time_zone'],
		['active_days', 'integer', 'NULL', 'days since the last purchase up to which a customer counts as active; NULL: learnt from the customers'],
		['tier_by', 'text', '''monetary''', 'what value tiers and predicted value are computed from: monetary or profit'],
		['clv_model', 'text', '''auto''', 'the model of repeat purchase that a refresh fits, as clv_fit names them; auto: the one with the best record on the customers of the source'],
		['horizon_days', 'integer', '90', 'the days ahead that p_purchase and expected_purchases look, and that tests of forecasts are for: 7 to 3660'],
		['birthday', 'text', 'NULL', 'column of the customer table with the day of birth, for due_actions; NULL: not known'],
		['action_pause', 'integer', '30', 'days within which due_actions names no action of a kind twice for a customer: 0 to 365'],
		['materialize', 'boolean', 'false', 'whether customer_profile is stored as a table at each refresh'],
		['track_changes', 'text', '''none''', 'none; keys: triggers on the orders note whose orders change; slot: a replication slot tells them; column NAME: a day or time in the orders that moves forward with each change. A refresh reads the orders of these customers alone'],
		['refit_share', 'double precision', '0.05', 'with track_changes: share of the customers that must have changed before models of repeat purchase and of prospects are fitted again'],
		['keep_history_before', 'date', 'NULL', 'days before it stay in the histories, whatever happens to the orders; NULL: found when old orders are dropped; -infinity: histories follow the orders'],
		['count_unknown', 'boolean', 'false', 'whether customers whom the customer table does not have count for thresholds, tiers and models, though no view shows them'],
		['settings', 'text[]', 'crm_profile_internal.session_settings()', 'settings (name=value) under which the expressions are evaluated, whatever the session has set'],
		['search_path', 'name[]', 'pg_catalog.current_schemas(false)', 'schemas in which names in the definition were looked up'],
		['schema_created', 'boolean', NULL, 'whether create_source() made the schema; then drop_source() drops it'],
		['key_type', 'text', NULL, 'type of the customers'' key'],
		['prospect_key_type', 'text', NULL, 'type of the prospects'' key'],
		['orders_query', 'text', NULL, 'the query of orders that a refresh runs, all names qualified'],
		['customer_query', 'text', NULL, 'query of customers and their attributes, all names qualified; NULL: no attributes'],
		['line_query', 'text', NULL, 'query of order lines (basket, customer, ordered_on, product, category), all names qualified; NULL: no lines'],
		['payment_query', 'text', NULL, 'query of payments (customer, due_on, paid_on, amount), all names qualified; NULL: no payments'],
		['prospect_query', 'text', NULL, 'query of prospects and their attributes, all names qualified; NULL: no prospects'],
		['campaign_query', 'text', NULL, 'query of the contacts, all names qualified; NULL: no contacts'],
		['code_query', 'text', NULL, 'query of orders with a code, all names qualified; NULL: none'],
		['best_query', 'text', NULL, 'query of customer_profile that selects the best customers, all names qualified'],
		['best_columns', 'text[]', NULL, 'columns of the customer table and attributes that best_query reads in addition; NULL: none'],
		['last_refresh', 'timestamptz', NULL, 'when the last refresh began'],
		['refresh_seconds', 'double precision', NULL, 'how long the last refresh took'],
		['refresh_phases', 'jsonb', NULL, 'seconds of the phases of the last refresh: collect, fit (with refit, where thresholds and counts were computed from all histories, clv and holdout), profiles, kept (what views count over all customers, where profiles are stored), match'],
		['customer_base', 'crm_profile.customer_base', NULL, 'summary of the customer base at the last refresh'],
		['best_customers', 'bigint', NULL, 'number of best customers in the match model of the last refresh; NULL: no prospects'],
		['other_customers', 'bigint', NULL, 'number of other customers in that match model'],
		['changed_query', 'text', NULL, 'with track_changes: the orders and what tells their changes; keys: the key as it is in their table, where that is another integer than the customers'' key'],
		['tracked_table', 'text', NULL, 'with track_changes: the table of the orders'],
		['tracked_column', 'text', NULL, 'with track_changes: its column with the customer''s key'],
		['recorded_columns', 'name[]', NULL, 'with track_changes => keys: the columns that changes of the orders are noted with, the customer''s first; NULL: their keys alone'],
		['tracking', 'jsonb', NULL, 'with track_changes: the state of their tables at the last refresh that read all orders, and the changes since the models were fitted'],
		['kept_before', 'date', NULL, 'days before it are kept in the histories, since they are no longer in the orders; NULL: none, or keep_history_before is set'],
		['orders_since', 'date', NULL, 'day of the oldest order at the last refresh, from kept_before on; NULL: altered since'],
		['conditions', 'text[]', NULL, 'conditions of the scheme in use, as its rules have them: the views are made for them; NULL: none'],
		['condition_sql', 'text[]', NULL, 'the same as SQL, all names as they are'],
		['condition_columns', 'text[]', NULL, 'figures, columns of the customer table and attributes that they read'],
		['by_attributes', 'boolean', NULL, 'whether the model of repeat purchase goes by the attributes of customers: the views are made for it'],
		['elsewhere', 'jsonb', NULL, 'arguments whose tables are on other machines: the table given, and the view that is read in its place; NULL: none'],
		['shards_query', 'text', NULL, 'the query of orders that are elsewhere, over their tables themselves, all names qualified; NULL: they are here'],
		['grants', 'jsonb', NULL, 'rights on the views, to be granted again when a view is rebuilt']];
BEGIN
	SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', definition[i][1], definition[i][2]), ', ' ORDER BY i) INTO fields FROM pg_catalog.generate_subscripts(definition, 1) i;
	EXECUTE pg_catalog.format('CREATE TYPE crm_profile.source_definition AS (%s)', fields);
	-- arguments that must be given come first
	FOR field IN SELECT definition[i][1] AS name, definition[i][2] AS type, definition[i][3] AS preset, definition[i][4] AS comment FROM pg_catalog.generate_subscripts(definition, 1) i
			ORDER BY definition[i][3] = 'required' DESC NULLS LAST, i LOOP
		EXECUTE pg_catalog.format('COMMENT ON COLUMN crm_profile.source_definition.%I IS %L', field.name, field.comment);
		IF field.preset IS NOT NULL THEN
			arguments := arguments || pg_catalog.format(', %I %s%s', field.name, field.type, ' DEFAULT ' || NULLIF(field.preset, 'required'));
			IF field.name <> 'search_path' THEN
				changes := changes || pg_catalog.format(', %I %s DEFAULT NULL', field.name, field.type);
			END IF;
		END IF;
	END LOOP;
	EXECUTE pg_catalog.format('CREATE FUNCTION crm_profile.create_source(name text%s, OUT argument text, OUT value text, OUT origin text) RETURNS SETOF record
		AS ''MODULE_PATHNAME'' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 20', arguments);
	EXECUTE pg_catalog.format('CREATE FUNCTION crm_profile.alter_source(name text%s, reset text[] DEFAULT ''{}'', search_path name[] DEFAULT pg_catalog.current_schemas(false)) RETURNS void
		AS ''MODULE_PATHNAME'' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000', changes);
END $do$;
COMMENT ON TYPE crm_profile.source_definition IS 'the definition of a source: the only row of the table source_definition in the schema of the source';
COMMENT ON FUNCTION crm_profile.create_source IS
	'registers a customer table and an order table, and creates the views; arguments left out are inferred; returns all arguments in effect and whether each was given or inferred';
COMMENT ON FUNCTION crm_profile.alter_source IS
	'changes the arguments given; those listed in reset get the defaults of create_source() again';

CREATE FUNCTION crm_profile_internal.source_arguments(OUT place integer, OUT name text, OUT type text, OUT preset text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 30
	BEGIN ATOMIC
		SELECT a.place, a.name, format_type(p.proargtypes[a.place - 1], NULL), pg_get_function_arg_default(p.oid, a.place)
		FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY u(name, nth), LATERAL (SELECT u.name, u.nth::integer) a(name, place)
		WHERE p.proname = 'create_source' AND p.pronamespace = 'crm_profile'::regnamespace AND a.place BETWEEN 2 AND p.pronargs
		ORDER BY a.place;
	END; -- settings of a source: the arguments of create_source() with their types and defaults; preset NULL: must be given

CREATE FUNCTION crm_profile_internal.source_complete(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	given CONSTANT jsonb := jsonb_strip_nulls(to_jsonb(src));
	setting record;
	value text;
BEGIN
	FOR setting IN SELECT a.name, a.preset FROM crm_profile_internal.source_arguments() a WHERE a.preset NOT LIKE 'NULL::%' AND NOT given ? a.name LOOP
		EXECUTE 'SELECT (' || setting.preset || ')::text' INTO value;
		src := jsonb_populate_record(src, jsonb_build_object(setting.name, value));
	END LOOP;
	RETURN src;
END $$; -- fills in defaults of create_source() for settings that are NULL, such as those that an older version did not know

CREATE FUNCTION crm_profile_internal.source_read(name text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	src crm_profile.source_definition;
BEGIN
	EXECUTE format('SELECT d.* FROM ONLY %I.source_definition d', source_read.name) INTO STRICT src;
	src.name := source_read.name;
	RETURN crm_profile_internal.source_localized(crm_profile_internal.source_complete(src));
EXCEPTION WHEN no_data_found OR too_many_rows THEN
	RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no definition, or more than one', source_read.name),
		DETAIL = format('The table %I.source_definition must have one row.', source_read.name),
		HINT = 'Put the row back from a dump, or drop the schema and create the source again.';
END $$; -- reads the definition from the schema of a source; called by source_of() as the owner

CREATE FUNCTION crm_profile_internal.source_of(name text, "nowait" boolean DEFAULT false) RETURNS crm_profile.source_definition
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000; -- the definition of a source, read as its owner; an error if there is none, or if it is not yours

CREATE FUNCTION crm_profile_internal.source_write(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	schema CONSTANT text := src.name;
	written bigint;
BEGIN
	src := crm_profile_internal.source_as_given(src);
	src.name := NULL;
	EXECUTE (SELECT format('UPDATE ONLY %I.source_definition SET (%s) = ROW(%s)', schema, string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg('($1).' || quote_ident(attname), ', ' ORDER BY attnum))
		FROM pg_attribute WHERE attrelid = 'crm_profile.source_definition'::regclass AND attnum > 0 AND NOT attisdropped) USING src;
	GET DIAGNOSTICS written = ROW_COUNT;
	IF written = 0 THEN
		EXECUTE format('INSERT INTO %I.source_definition SELECT ($1).*', schema) USING src;
	END IF;
END $$; -- stores the definition of a source in its schema

---------------------------------------------------------------- what belongs to a source

CREATE FUNCTION crm_profile_internal.source_correction(src crm_profile.source_definition, correction text) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN NULLIF(src.corrections::jsonb -> correction, 'false'); -- the setting of one correction in the argument corrections; NULL if it is off

CREATE FUNCTION crm_profile_internal.source_objects(src crm_profile.source_definition, OUT kind text, OUT name text, OUT needed boolean) RETURNS SETOF record
	LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 15
	BEGIN ATOMIC
		VALUES ('view', 'campaign_gains', src.campaigns IS NOT NULL), ('view', 'campaign_segment_result', src.campaigns IS NOT NULL), ('view', 'campaign_result', src.campaigns IS NOT NULL), ('view', 'campaign_response', src.campaigns IS NOT NULL),
			('function', 'due_actions', true), ('view', 'due_actions', true), ('view', 'category_buyers', src.line_query IS NOT NULL), ('view', 'product_affinity', src.line_query IS NOT NULL), ('function', 'product_affinity', src.line_query IS NOT NULL), ('view', 'order_line', src.line_query IS NOT NULL),
			('view', 'prospect_match', src.prospects IS NOT NULL), ('view', 'where_to_find', src.prospects IS NOT NULL), ('view', 'segment_persona', src.attributes IS NOT NULL),
			('view', 'customer_attributes', src.attributes IS NOT NULL), ('view', 'revenue_forecast', true), ('view', 'segment_migration', true),
			('function', 'segment_migration', true), ('function', 'profile_as_of', true), ('view', 'model_card', true), ('view', 'model_card_details', true), ('view', 'model_holdout', true), ('view', 'forecast_tracking', true),
			('view', 'cohort_retention', true), ('view', 'cohort_value', true), ('view', 'new_and_returning', true), ('view', 'second_purchase', true), ('view', 'value_concentration', true), ('view', 'costly_customers', true), ('view', 'seasonal_buyers', true),
			('view', 'payment_behaviour', src.payments IS NOT NULL), ('view', 'profitable_niches', src.attributes IS NOT NULL), ('view', 'purchase_calendar', true), ('view', 'rfm_grid', true), ('view', 'segment_summary', true), ('view', 'segment_summary_details', true), ('view', 'customer_profile', true),
			('view', 'prospect_model', src.prospects IS NOT NULL), ('view', 'data_quality', true), ('view', 'customer_identity', crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL),
			('table', 'identity_found', crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL), ('table', 'identity_override', crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL), ('table', 'identity_in_use', crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL),
			('table', 'finding', true), ('table', 'finding_key', true), ('table', 'product_complement', src.line_query IS NOT NULL),
			('table', 'stored_profile', src.materialize), ('table', 'kept_figures', src.materialize), ('table', 'population', src.track_changes <> 'none'), ('table', 'change_queue', src.track_changes = 'keys'), ('table', 'customer_queue', false), ('table', 'customer_effect', true), ('table', 'unknown_customer', true), ('table', 'label_sample', true), ('table', 'model_in_use', true), ('table', 'model', true), ('table', 'customer_history', true), ('table', 'source_definition', true)
		UNION ALL (SELECT DISTINCT 'view', e.value ->> 'view', true FROM jsonb_each(src.elsewhere) e)
		UNION ALL SELECT 'view', 'orders_elsewhere', true WHERE src.elsewhere -> 'orders' ? 'query';
	END; -- objects of a source in its schema, dependent ones first; needed: whether the current definition needs the object

CREATE FUNCTION crm_profile_internal.source_present(src crm_profile.source_definition, OUT kind text, OUT name text, OUT needed boolean, OUT class oid, OUT object oid, OUT owner oid, OUT found text, OUT acl aclitem[])
	RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 15
	BEGIN ATOMIC
		SELECT o.kind, o.name, o.needed, f.class, f.oid, f.owner, f.kind, f.acl
		FROM crm_profile_internal.source_objects(src) WITH ORDINALITY o(kind, name, needed, place)
			LEFT JOIN pg_namespace n ON n.nspname = src.name
			LEFT JOIN LATERAL (
				SELECT 'pg_class'::regclass::oid AS class, c.oid, c.relowner AS owner,
					CASE WHEN c.relkind = 'r' AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid) THEN 'table' WHEN c.relkind = 'v' THEN 'view' ELSE 'something else' END AS kind, c.relacl AS acl
					FROM pg_class c WHERE o.kind <> 'function' AND c.relnamespace = n.oid AND c.relname = o.name
				UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.proowner, CASE p.prokind WHEN 'f' THEN 'function' ELSE 'something else' END, p.proacl
					FROM pg_proc p WHERE o.kind = 'function' AND p.pronamespace = n.oid AND p.proname = o.name) f ON true
		ORDER BY o.place;
	END; -- the objects of a source and what exists under their names in its schema, every overload of a function; object is NULL if nothing does

CREATE FUNCTION crm_profile_internal.check_source_exists(source text) RETURNS regclass
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	profile regclass;
BEGIN
	IF source IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'the name of the source must not be NULL', HINT = 'SELECT name FROM crm_profile.sources lists them.';
	END IF;
	profile := to_regclass(format('%I.customer_profile', source));
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass(format('%I.source_definition', source)) AND c.reloftype = 'crm_profile.source_definition'::regtype) THEN
		RAISE undefined_object USING MESSAGE = format('source "%s" does not exist', left(source, 64)), HINT = 'SELECT name FROM crm_profile.sources lists them; crm_profile.help() shows how to make one.';
	ELSIF profile IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('views of source "%s" are missing', source),
			DETAIL = 'They go when a table that they read is dropped with CASCADE.', HINT = format('The owner gets them back by SELECT * FROM crm_profile.refresh(%L)', source);
	END IF;
	RETURN profile;
END $$; -- the view customer_profile of a source, for functions that read its views with the rights of the reader; an error if there is no such source, or no views

CREATE FUNCTION crm_profile_internal.attributes_of_source(source text) RETURNS regclass
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attributes regclass;
BEGIN
	PERFORM crm_profile_internal.check_source_exists(source);
	attributes := to_regclass(format('%I.customer_attributes', source));
	IF attributes IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no attributes', source), HINT = format('Name them: crm_profile.alter_source(%L, attributes => ''{…}'')', source);
	END IF;
	RETURN attributes;
END $$; -- the view customer_attributes of a source; an error if there is no such source, or if it has no attributes

CREATE FUNCTION crm_profile_internal.schema_creators(schema oid) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ' ORDER BY a.grantee::regrole::text)
		FROM pg_namespace n, aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
		WHERE n.oid = schema AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner AND NOT coalesce(r.rolsuper, false));
COMMENT ON FUNCTION crm_profile_internal.schema_creators IS 'roles other than the owner and superusers that may create objects in a schema; NULL if none';

CREATE FUNCTION crm_profile_internal.source_verify(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me CONSTANT regrole := quote_ident(current_user)::regrole;
	schema pg_namespace;
	wrong record;
	columns text;
BEGIN
	SELECT n.* INTO schema FROM pg_namespace n WHERE n.nspname = src.name;
	IF crm_profile_internal.schema_creators(schema.oid) IS NOT NULL THEN
		RAISE insufficient_privilege USING MESSAGE = format('others may create objects in the schema of source "%s": %s', src.name, crm_profile_internal.schema_creators(schema.oid)),
			DETAIL = format('What they put there could run with the rights of %s.', me),
			HINT = format('REVOKE CREATE ON SCHEMA %I FROM %s', src.name, crm_profile_internal.schema_creators(schema.oid));
	END IF;
	SELECT p.*, pg_describe_object(p.class, p.object, 0) AS what INTO wrong FROM crm_profile_internal.source_present(src) p WHERE p.owner <> me OR p.found <> p.kind LIMIT 1;
	IF wrong.owner <> me THEN
		RAISE insufficient_privilege USING MESSAGE = format('source "%s" belongs to %s, and %s to %s', src.name, me, wrong.what, wrong.owner::regrole),
			DETAIL = 'Everything that a source reads and runs must belong to its owner.',
			HINT = format('Look at it, then rename or drop it, or ALTER %s … OWNER TO %s.', upper(wrong.kind), me);
	ELSIF wrong.name IS NOT NULL THEN
		RAISE wrong_object_type USING MESSAGE = format('%s is not the %s that source "%s" needs', wrong.what, wrong.kind || CASE wrong.kind WHEN 'table' THEN ' without rules' ELSE '' END, src.name),
			HINT = 'Look at it, then drop it.';
	END IF;
	SELECT t.tgname, t.tgrelid::regclass AS relation, f.proowner::regrole AS owner INTO wrong
		FROM crm_profile_internal.source_present(src) p JOIN pg_trigger t ON p.kind = 'table' AND t.tgrelid = p.object AND NOT t.tgisinternal
			JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_roles r ON r.oid = f.proowner
		WHERE f.proowner <> me AND NOT r.rolsuper LIMIT 1;
	IF wrong.tgname IS NOT NULL THEN
		RAISE insufficient_privilege USING MESSAGE = format('trigger "%s" on %s, a table of source "%s", runs a function of %s', wrong.tgname, wrong.relation, src.name, wrong.owner),
			DETAIL = format('It would run with the rights of %s.', me), HINT = format('Look at it, then DROP TRIGGER %I ON %s', wrong.tgname, wrong.relation);
	END IF;
	SELECT string_agg(attname || ' ' || format_type(atttypid, -1), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
		WHERE attrelid = to_regclass(format('%I.customer_history', src.name)) AND attnum > 0 AND NOT attisdropped;
	IF columns <> format('customer %s, history crm_profile.purchase_history', src.key_type) THEN
		RAISE wrong_object_type USING MESSAGE = format('the table %I.customer_history of source "%s" is not the one that create_source() made', src.name, src.name),
			DETAIL = format('It has the columns: %s.', columns), HINT = 'Restore the former one, or drop the source and create it again.';
	END IF;
END $$; -- an error unless all objects of a source are its owner's, who is the current role, and of the right kind, and nobody else may create in its schema

---------------------------------------------------------------- tables that were renamed, swapped or dropped

CREATE FUNCTION crm_profile_internal.source_reads(src crm_profile.source_definition, relation regclass) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (SELECT FROM pg_depend d LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid LEFT JOIN pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
		WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = relation
			AND coalesce(w.ev_class, y.polrelid, d.objid) IN (SELECT p.object FROM crm_profile_internal.source_present(src) p WHERE p.object <> relation));
COMMENT ON FUNCTION crm_profile_internal.source_reads IS 'whether a view, function or policy of the source depends on this relation';

CREATE FUNCTION crm_profile_internal.source_changes(src crm_profile.source_definition, OUT argument text, OUT problem text, OUT remedy text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	given CONSTANT crm_profile.source_definition := crm_profile_internal.source_as_given(src);
	missing text;
BEGIN
	FOR argument, missing IN VALUES ('customers', given.customers), ('orders', CASE WHEN given.orders !~* '^\s*(select|with|values|table)\s|^\s*\(' THEN given.orders END), ('interactions', given.interactions), ('lines', given.lines), ('payments', given.payments), ('campaigns', given.campaigns), ('day_weights', src.day_weights), ('prospects', given.prospects) LOOP
		IF missing IS NOT NULL AND to_regclass(missing) IS NULL THEN
			problem := format('relation %s does not exist', missing);
			remedy := format('name the right relation: crm_profile.alter_source(%L, %s => …)', src.name, argument);
			RETURN NEXT;
		ELSIF missing IS NOT NULL AND argument <> 'day_weights' AND crm_profile_internal.is_elsewhere(to_regclass(missing)::oid) <> coalesce(src.elsewhere ? argument, false) THEN
			problem := format('Citus %s relation %s since the source was defined', CASE WHEN src.elsewhere ? argument THEN 'no longer distributes' ELSE 'distributes' END, missing);
			remedy := format('SELECT crm_profile.alter_source(%L)', src.name);
			RETURN NEXT;
		END IF;
	END LOOP;
	IF problem IS NOT NULL THEN
		RETURN;
	END IF;
	argument := NULL;
	remedy := 'the next refresh rebuilds the views';
	SELECT string_agg(DISTINCT p.name, ', ' ORDER BY p.name) INTO missing FROM crm_profile_internal.source_present(src) p WHERE p.needed AND p.object IS NULL;
	IF missing IS NOT NULL THEN
		problem := format('missing in its schema: %s', missing);
		IF EXISTS (SELECT FROM crm_profile_internal.source_present(src) p WHERE p.needed AND p.object IS NULL AND p.kind = 'table' AND p.name NOT IN ('stored_profile', 'kept_figures', 'product_complement', 'change_queue', 'customer_queue', 'population', 'unknown_customer', 'label_sample', 'customer_effect')) THEN
			argument := 'table';
			remedy := 'restore it, or drop the source and create it again';
		END IF;
		RETURN NEXT;
	ELSIF crm_profile_internal.source_outdated(src) THEN
		problem := 'the views are those of an older version';
		RETURN NEXT;
	ELSE
		FOR argument, missing IN VALUES ('customers', src.customers), ('interactions', src.interactions), ('lines', src.lines), ('payments', src.payments), ('campaigns', src.campaigns), ('prospects', src.prospects) LOOP
			IF missing IS NOT NULL AND NOT crm_profile_internal.source_reads(src, missing) THEN
				argument := NULL;
				problem := format('the views read a table other than the present %s', missing);
				RETURN NEXT;
				RETURN;
			END IF;
		END LOOP;
	END IF;
END $$; -- changes to the tables and views of a source since it was defined; argument: what the user must correct, NULL: a refresh repairs it

CREATE FUNCTION crm_profile_internal.source_warning(src crm_profile.source_definition) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	today CONSTANT date := coalesce(src.as_of, (CURRENT_TIMESTAMP AT TIME ZONE src.time_zone)::date);
BEGIN
	RETURN NULLIF(concat_ws('; ', (SELECT string_agg(c.problem || ': ' || c.remedy, '; ') FROM crm_profile_internal.source_changes(src) c),
		CASE WHEN to_regclass(format('%I.model', src.name)) IS NOT NULL
			THEN (SELECT string_agg(f, '; ') FROM crm_profile_internal.model_findings(crm_profile_internal.source_last_model(src), today) f) END, CASE
			WHEN src.prospects IS NULL OR src.last_refresh IS NULL THEN NULL
			WHEN src.best_customers IS NULL THEN 'prospects or attributes were changed after the last refresh: prospects have no scores before the next'
			WHEN src.best_customers = 0 THEN 'no customer is among the best: prospects have no scores; look at the argument best'
			WHEN src.other_customers = 0 THEN 'all customers are among the best: prospects have no scores; look at the argument best'
			ELSE crm_profile_internal.match_problem(src, crm_profile_internal.source_last_model(src))
		END), '');
END $$; -- problems of a source that need attention; NULL if none

---------------------------------------------------------------- all sources

CREATE FUNCTION crm_profile_internal.source_list() RETURNS TABLE (owner text, definition crm_profile.source_definition, warning text, changes_queued bigint, oldest_change timestamptz, slot_bytes bigint, slot_since timestamptz)
	LANGUAGE plpgsql ROWS 5 COST 10000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found record;
BEGIN
	FOR found IN SELECT n.nspname, c.relowner::regrole AS owner, n.nspowner::regrole AS schema_owner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.reloftype = 'crm_profile.source_definition'::regtype AND c.relname = 'source_definition' AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
			ORDER BY n.nspname LOOP
		owner := found.owner;
		definition := NULL;
		changes_queued := NULL;
		oldest_change := NULL;
		slot_bytes := NULL;
		slot_since := NULL;
		definition.name := found.nspname;
		-- an error in one source must not hide the others
		IF found.schema_owner <> found.owner THEN
			warning := format('nothing works while the schema belongs to somebody else, %s: ALTER SCHEMA %I OWNER TO %s', found.schema_owner, found.nspname, found.owner);
		ELSE
			BEGIN
				definition := crm_profile_internal.source_of(found.nspname, true);
				warning := crm_profile_internal.source_warning(definition);
				definition := crm_profile_internal.source_as_given(definition);
				-- a standby has no queue
				IF definition.track_changes = 'keys' AND NOT pg_is_in_recovery() THEN
					EXECUTE format('SELECT coalesce(sum(coalesce(cardinality(q.customers), %s1)), 0), min(q.queued_at) FROM %I.change_queue q WHERE q.marker IS NULL',
						CASE WHEN definition.recorded_columns IS NOT NULL THEN 'cardinality(q.added), ' END, found.nspname) INTO changes_queued, oldest_change;
				ELSIF definition.track_changes = 'slot' AND NOT pg_is_in_recovery() THEN
					SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), (definition.tracking ->> 'held_since')::timestamptz INTO slot_bytes, slot_since
						FROM pg_replication_slots s WHERE s.slot_name = crm_profile_internal.source_slot(found.nspname);
				END IF;
			EXCEPTION WHEN OTHERS THEN
				warning := 'it cannot be read: ' || SQLERRM;
			END;
		END IF;
		RETURN NEXT;
	END LOOP;
END $$; -- the sources that the current role may manage: it has the rights of their owners

DO $do$
DECLARE
	settings text;
	setting record;
BEGIN
	SELECT pg_catalog.string_agg('(s.definition).' || pg_catalog.quote_ident(a.name), ', ' ORDER BY a.place) INTO settings
		FROM crm_profile_internal.source_arguments() a WHERE a.name <> 'active_days';
	EXECUTE 'CREATE VIEW crm_profile.sources_details WITH (security_invoker = true) AS
		SELECT (s.definition).name, s.owner, s.warning, (s.definition).last_refresh, (s.definition).refresh_seconds, (s.definition).refresh_phases, ((s.definition).customer_base).orders AS orders_read,
			((s.definition).customer_base).customers AS customers_with_history, ((s.definition).customer_base).newest_order, (s.definition).best_customers,
			coalesce((s.definition).active_days, ((s.definition).customer_base).active_days, 90) AS active_days,
			(s.definition).active_days IS NULL AND ((s.definition).customer_base).active_days IS NOT NULL AS active_days_learnt, CASE WHEN (s.definition).track_changes <> ''none'' THEN (s.definition).track_changes IN (''keys'', ''slot'') END AS changes_exact, s.changes_queued, s.oldest_change, s.slot_bytes, s.slot_since, (s.definition).kept_before, ' || settings || '
		FROM crm_profile_internal.source_list() s';
	FOR setting IN SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum) AS comment FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attribute v ON v.attname = a.attname
			WHERE a.attrelid = 'crm_profile.source_definition'::pg_catalog.regclass AND v.attrelid = 'crm_profile.sources_details'::pg_catalog.regclass LOOP
		EXECUTE pg_catalog.format('COMMENT ON COLUMN crm_profile.sources_details.%I IS %L', setting.attname, setting.comment);
	END LOOP;
END $do$;
COMMENT ON VIEW crm_profile.sources_details IS 'your sources in full: definition, last refresh, warnings';
COMMENT ON COLUMN crm_profile.sources_details.name IS 'name of the source, which is also the name of its schema';
COMMENT ON COLUMN crm_profile.sources_details.owner IS 'owner of the source: a refresh runs with the rights of this role';
COMMENT ON COLUMN crm_profile.sources_details.warning IS 'problems that need attention; NULL: none';
COMMENT ON COLUMN crm_profile.sources_details.orders_read IS 'orders in the stored histories';
COMMENT ON COLUMN crm_profile.sources_details.customers_with_history IS 'customers with a stored history';
COMMENT ON COLUMN crm_profile.sources_details.newest_order IS 'day of the newest order';
COMMENT ON COLUMN crm_profile.sources_details.best_customers IS 'number of best customers in the match model of the last refresh; NULL: no prospects then';
COMMENT ON COLUMN crm_profile.sources_details.active_days IS 'active window in days: the one set, else the one learnt at the last refresh, else 90';
COMMENT ON COLUMN crm_profile.sources_details.active_days_learnt IS 'whether the active window was learnt from the customers';
COMMENT ON COLUMN crm_profile.sources_details.changes_exact IS 'true: no change escapes change tracking; false: deleted orders, and those that moved to another customer, are found once a week; NULL: changes are not tracked';
COMMENT ON COLUMN crm_profile.sources_details.changes_queued IS 'changes noted since the last refresh, a customer once in each transaction; NULL: they are not tracked';
COMMENT ON COLUMN crm_profile.sources_details.slot_bytes IS 'with track_changes => ''slot'': bytes of the write-ahead log that its replication slot retains; NULL: there is no slot';
COMMENT ON COLUMN crm_profile.sources_details.slot_since IS 'time from which the slot retains it: what the last refresh read is released by the next';
COMMENT ON COLUMN crm_profile.sources_details.oldest_change IS 'when the oldest of them was committed';
GRANT SELECT ON crm_profile.sources_details TO PUBLIC;

CREATE FUNCTION crm_profile_internal.wrapped(words text, width integer) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN rtrim(regexp_replace(words, format('([^\n]{1,%s})(\s+|$)', width), E'\\1\n', 'g'), E'\n'); -- breaks lines between words, so that none is longer than width, unless a word is

CREATE FUNCTION crm_profile_internal.wrapped_sql(sql text, width integer) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- a line break with the blanks behind it, other blanks, a comment, or what may not be broken
	token CONSTANT text := E'(\n[ \t]*|[ \t]+|--[^\n]*|(?:\'[^\']*\'|"[^"]*"|[^\\s\'"])+)';
	part record;
	indent text := '';
	gap text := '';
	wrapped text := '';
	line integer := 0;
	seen integer := 0;
BEGIN
	FOR part IN SELECT m[1] AS text FROM regexp_matches(sql, token, 'g') m LOOP
		seen := seen + length(part.text);
		IF part.text ~ '^\n' THEN
			indent := replace(substr(part.text, 2), E'\t', '  ');
			wrapped := concat(wrapped, E'\n', indent);
			line := length(indent);
			gap := '';
		ELSIF part.text ~ '^[ \t]' THEN
			gap := ' ';
		ELSE
			IF line > length(indent) AND line + length(gap) + length(split_part(part.text, E'\n', 1)) > width THEN
				wrapped := concat(wrapped, E'\n', indent);
				line := length(indent);
				gap := '  ';
			END IF;
			wrapped := concat(wrapped, gap, part.text);
			line := CASE WHEN part.text ~ '\n' THEN length(substring(part.text FROM '[^\n]*$')) ELSE line + length(gap) + length(part.text) END;
			gap := '';
		END IF;
	END LOOP;
	-- what was not understood is left alone
	RETURN CASE WHEN seen = length(sql) THEN wrapped ELSE sql END;
END $$; -- breaks the lines of SQL where blanks are, so that none is longer than width, unless a word or a literal is; the same SQL otherwise

CREATE VIEW crm_profile.sources WITH (security_invoker = true) AS
	SELECT d.name, d.owner, to_char(d.last_refresh, 'YYYY-MM-DD HH24:MI') AS refreshed, crm_profile_internal.wrapped(d.warning, 29) AS warning FROM crm_profile.sources_details d;
COMMENT ON VIEW crm_profile.sources IS 'your sources, and what needs attention; sources_details says more';
COMMENT ON COLUMN crm_profile.sources.name IS 'name of the source, which is also the name of its schema';
COMMENT ON COLUMN crm_profile.sources.owner IS 'owner of the source: a refresh runs with the rights of this role';
COMMENT ON COLUMN crm_profile.sources.refreshed IS 'when the last refresh began, in the time zone of the session';
COMMENT ON COLUMN crm_profile.sources.warning IS 'problems that need attention, in short lines; NULL: none';
GRANT SELECT ON crm_profile.sources TO PUBLIC;

---------------------------------------------------------------- checking a definition

CREATE FUNCTION crm_profile_internal.near_names(name text, candidates text[]) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- up to three candidates spelt like the name, in double quotes, closest first; NULL if none

CREATE FUNCTION crm_profile_internal.checked_select(query text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the text, without what is behind it, if it is one SELECT that could stand in parentheses; else an error
CREATE FUNCTION crm_profile_internal.query_traits(query text, OUT locks_rows boolean, OUT arbitrary text)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- whether a query locks rows, and what lets it give other rows each time (NULL: nothing); the query is not run

CREATE FUNCTION crm_profile_internal.source_argument_error(argument text, problem text, detail text, hint text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	argument := crm_profile_internal.short(argument, 64);
	problem := crm_profile_internal.short(problem, 600);
	detail := crm_profile_internal.short(coalesce(detail, 'Nothing was changed.'), 900);
	hint := crm_profile_internal.short(hint, 600);
	IF hint IS NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = format('argument "%s" of the source: %s', argument, problem), DETAIL = detail;
	END IF;
	RAISE invalid_parameter_value USING MESSAGE = format('argument "%s" of the source: %s', argument, problem), DETAIL = detail, HINT = hint;
END $$; -- raises an error of create_source() or alter_source() about one argument

CREATE FUNCTION crm_profile_internal.source_path(search_path name[]) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT coalesce(string_agg(quote_ident(p), ', ' ORDER BY n) || ', ', '') || 'pg_temp' FROM unnest(search_path) WITH ORDINALITY AS t(p, n)); -- a value for search_path with these schemas, temporary objects last

CREATE FUNCTION crm_profile_internal.source_relation(argument text, relation text, path text) RETURNS oid
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found oid;
	kind text;
BEGIN
	IF relation IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, 'it is missing', 'It names a table, a view or a foreign table.', format('Write %s => ''schema.table''.', argument));
	END IF;
	PERFORM set_config('search_path', path, true);
	BEGIN
		found := to_regclass(relation);
	EXCEPTION WHEN syntax_error OR invalid_name OR feature_not_supported THEN
		found := NULL;
	END;
	IF found IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('there is no relation "%s"', relation),
			format('Names are looked up along: %s.', path),
			'Did you mean ' || crm_profile_internal.near_names(lower(regexp_replace(relation, '^.*\.', '')),
				(SELECT array_agg(relname::text ORDER BY relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
					WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
						AND has_schema_privilege(n.oid, 'USAGE'))) || '?');
	END IF;
	SELECT CASE WHEN relpersistence = 't' THEN 'temporary' WHEN relkind NOT IN ('r', 'p', 'v', 'm', 'f') THEN 'no table' END
		INTO kind FROM pg_class WHERE oid = found;
	IF kind IS NOT NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('relation "%s" is %s', relation, kind),
			'A source reads tables, partitioned and foreign tables, views and materialized views that stay.', NULL);
	END IF;
	IF NOT has_any_column_privilege(found, 'SELECT') THEN
		RAISE insufficient_privilege USING MESSAGE = format('argument "%s" of the source: permission denied for relation "%s"', argument, relation),
			HINT = format('The owner of a source needs SELECT: GRANT SELECT ON %s TO %I.', relation, current_user);
	END IF;
	RETURN found;
END $$; -- checks an argument that names a relation, and returns its qualified name

CREATE FUNCTION crm_profile_internal.source_columns(relation oid) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped); -- the columns of a relation in order

CREATE FUNCTION crm_profile_internal.unquoted(identifier text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN btrim(identifier) ~ '^"([^"]|"")+"$' THEN replace(substr(btrim(identifier), 2, length(btrim(identifier)) - 2), '""', '"') END; -- the name that an identifier in double quotes stands for; NULL for one without

CREATE FUNCTION crm_profile_internal.source_column(argument text, wanted text, relation oid) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns text[] := crm_profile_internal.source_columns(relation);
BEGIN
	IF wanted = ANY (columns) THEN
		RETURN wanted;
	ELSIF lower(wanted) = ANY (columns) THEN
		RETURN lower(wanted);
	ELSIF crm_profile_internal.unquoted(wanted) = ANY (columns) THEN
		RETURN crm_profile_internal.unquoted(wanted);
	END IF;
	PERFORM crm_profile_internal.source_argument_error(argument, format('%s has no column "%s"', relation::regclass, wanted),
		format('Its columns are: %s.', array_to_string(columns, ', ')), 'Did you mean ' || crm_profile_internal.near_names(wanted, columns) || '?');
END $$; -- checks an argument that names a column, and returns the column as SQL

CREATE FUNCTION crm_profile_internal.source_type_of(expression text, relation text, path text) RETURNS regtype
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found regtype;
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE format('SELECT pg_catalog.pg_typeof(e.x) FROM (SELECT) AS one LEFT JOIN (SELECT (%s) AS x FROM %s LIMIT 0) AS e ON true', expression, relation)
		INTO found;
	RETURN found;
END $$; -- type of an expression over a relation, found without evaluating it for any row

---------------------------------------------------------------- values of another type

CREATE FUNCTION crm_profile_internal.reading_of(expression text, relation_sql text, path text, wanted text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	plain CONSTANT text := CASE WHEN expression ~ '^([a-z_][a-z0-9_$]*|"[^"]+")$' THEN expression ELSE '(' || expression || ')' END;
	shown CONSTANT integer := 10000;
	kind regtype;
	seen jsonb;
	forms text[];
	form text;
BEGIN
	kind := crm_profile_internal.base_type(crm_profile_internal.source_type_of(expression, relation_sql, path));
	PERFORM set_config('search_path', path, true);
	IF kind IN ('json'::regtype, 'jsonb'::regtype) THEN
		-- what is in a field is text that can be read as well
		seen := crm_profile_internal.look_at(format($sql$SELECT jsonb_agg(k.key ORDER BY k.n DESC, k.key COLLATE "C") FROM (
				SELECT e.key, count(*) AS n FROM (SELECT %s::jsonb AS v FROM %s LIMIT %s) s, jsonb_each(CASE jsonb_typeof(s.v) WHEN 'object' THEN s.v ELSE jsonb_build_object('', s.v) END) e
				WHERE jsonb_typeof(e.value) IN ('string', 'number', 'boolean') GROUP BY e.key) k$sql$, plain, relation_sql, shown));
		FOR form IN SELECT CASE k.key WHEN '' THEN plain || ' #>> ''{}''' ELSE format('%s ->> %L', plain, k.key) END FROM jsonb_array_elements_text(NULLIF(seen, 'null')) WITH ORDINALITY k(key, n), LATERAL (SELECT crm_profile_internal.snake_name(k.key) AS name) s
				WHERE wanted = 'condition' OR CASE wanted WHEN 'amount' THEN crm_profile_internal.amount_rank(s.name) < 90 ELSE crm_profile_internal.day_rank(s.name, '') < 9 END
				ORDER BY CASE wanted WHEN 'amount' THEN crm_profile_internal.amount_rank(s.name) WHEN 'day' THEN crm_profile_internal.day_rank(s.name, '') END, k.n LIMIT 5 LOOP
			form := crm_profile_internal.reading_of(form, relation_sql, path, wanted);
			IF form IS NOT NULL THEN
				RETURN form;
			END IF;
		END LOOP;
		RETURN NULL;
	ELSIF wanted = 'condition' THEN
		RETURN CASE (SELECT t.typcategory FROM pg_type t WHERE t.oid = kind) WHEN 'N' THEN plain || ' <> 0' WHEN 'D' THEN plain || ' IS NOT NULL'
			WHEN 'S' THEN (SELECT CASE WHEN w.words IS NOT NULL THEN format('%s IN (%s)', plain, (SELECT string_agg(quote_literal(x), ', ' ORDER BY n) FROM jsonb_array_elements_text(w.words) WITH ORDINALITY u(x, n)))
					ELSE format('%s = %L', plain, w.most) END
				FROM jsonb_to_record(crm_profile_internal.look_at(format($sql$SELECT jsonb_build_object('words', jsonb_agg(k.v ORDER BY k.n DESC, k.v COLLATE "C")
							FILTER (WHERE lower(btrim(k.v)) ~ '^(t|true|y|yes|1|on|j|ja|wahr|x|o|oui|vrai|s|si|sí|sim|vero|verdadero|paid|completed?|won|done|shipped|delivered|bezahlt)$'),
						'most', (array_agg(k.v ORDER BY k.n DESC, k.v COLLATE "C"))[1], 'values', count(*))
					FROM (SELECT s.v, count(*) AS n FROM (SELECT (%s)::text AS v FROM %s LIMIT %s) s WHERE s.v IS NOT NULL GROUP BY s.v) k$sql$, expression, relation_sql, shown))) w(words jsonb, most text, "values" bigint)
				WHERE w."values" BETWEEN 1 AND 50) END;
	ELSIF wanted = 'day' AND kind IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype) THEN
		RETURN crm_profile_internal.day_of_number(plain, NULLIF(crm_profile_internal.look_at(format('SELECT to_jsonb(max(s.t::numeric)) FROM (SELECT %s AS t FROM %s LIMIT %s) s', expression, relation_sql, shown)), 'null')::text::numeric);
	ELSIF (SELECT t.typcategory FROM pg_type t WHERE t.oid = kind) <> 'S' THEN
		RETURN NULL;
	END IF;

	-- text: how many values are of each form
	seen := crm_profile_internal.look_at(format($sql$SELECT jsonb_build_object('filled', count(*) FILTER (WHERE s.v <> ''), 'blank', bool_or(s.v = ''), 'none', (array_agg(s.v) FILTER (WHERE s.v ~ '^0000-00-00'))[1],
			'plain', count(*) FILTER (WHERE s.v ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$'), 'comma', count(*) FILTER (WHERE s.v ~ ',[0-9]{1,2}[^0-9]*$|[.][0-9]{3},'),
			'point', count(*) FILTER (WHERE s.v ~ '[.][0-9]{1,2}[^0-9]*$|,[0-9]{3}[.]'), 'amounts', count(*) FILTER (WHERE s.v ~ a.form), 'lettered', bool_or(s.v ~ '[[:alpha:]]' AND s.v ~ a.form), 'behind', bool_or(s.v ~ '[0-9] ?-|^[(].*[)]$'),
			'year first', count(*) FILTER (WHERE s.v ~ '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}'), 'timed', count(*) FILTER (WHERE s.v ~ ' ?[T ][0-9]{1,2}:[0-9]{2}'), 'seconds', count(*) FILTER (WHERE s.v ~ '[T ][0-9]{1,2}:[0-9]{2}:[0-9]{2}'),
			'zoned', count(*) FILTER (WHERE s.v ~ ':[0-9]{2}([.][0-9]+)? ?(Z|[-+][0-9]{2}(:?[0-9]{2})?)$'), 'eight', count(*) FILTER (WHERE s.v ~ '^(19|20)[0-9]{6}$'), 'ten', count(*) FILTER (WHERE s.v ~ '^[0-9]{9,10}$'), 'thirteen', count(*) FILTER (WHERE s.v ~ '^[0-9]{12,13}$'),
			'parts', count(*) FILTER (WHERE s.v ~ '^[0-9]{1,2}[./-][0-9]{1,2}[./-]([0-9]{4}|[0-9]{2})( |$)'), 'sign', max(substring(s.v FROM '[./-]')), 'signs', count(DISTINCT substring(s.v FROM '[./-]')), 'short', bool_or(s.v ~ '^[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}( |$)'),
			'first', max(substring(s.v FROM '^([0-9]{1,2})[./-]')::integer), 'second', max(substring(s.v FROM '^[0-9]{1,2}[./-]([0-9]{1,2})[./-]')::integer),
			'slashed', count(*) FILTER (WHERE s.v ~ '^[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}'), 'named', count(*) FILTER (WHERE s.v ~* '^[0-9]{1,2}[- ][a-z]{3}[- ][0-9]{4}'))
		FROM (SELECT btrim((%s)::text) AS v FROM %s LIMIT %s) s,
			-- a number with a currency before or behind it
			(VALUES ('^[^0-9[:alpha:]]*[[:alpha:]]{0,3}[^0-9[:alpha:]]*[0-9][0-9., ''’]*[^0-9[:alpha:]]*[[:alpha:]]{0,3}[^0-9[:alpha:]]*$')) a(form)$sql$, expression, relation_sql, shown));
	IF (seen ->> 'filled')::bigint IS NOT DISTINCT FROM 0 THEN
		RETURN CASE wanted WHEN 'amount' THEN plain || '::numeric' ELSE format('to_date(%s, ''YYYY-MM-DD'')', plain) END;
	ELSIF wanted = 'amount' THEN
		IF seen ->> 'plain' <> seen ->> 'filled' AND ((seen ->> 'amounts')::numeric < 0.5 * (seen ->> 'filled')::numeric OR (seen ->> 'lettered')::boolean AND (seen ->> 'comma')::integer + (seen ->> 'point')::integer = 0) THEN
			-- words or codes
			RETURN NULL;
		END IF;
		-- the sign may stand behind, and a loss in parentheses
		form := CASE WHEN (seen ->> 'behind')::boolean THEN format('CASE WHEN %s ~ ''[0-9] ?-|[(]'' THEN -1 ELSE 1 END * ', plain) ELSE '' END;
		forms := ARRAY[CASE WHEN seen ->> 'plain' = seen ->> 'filled' THEN CASE WHEN (seen ->> 'blank')::boolean THEN format('NULLIF(btrim(%s), '''')::numeric', plain) ELSE plain || '::numeric' END END,
			CASE WHEN (seen ->> 'comma')::bigint > (seen ->> 'point')::bigint THEN format('%sNULLIF(replace(regexp_replace(%s, ''[^0-9,%s]'', '''', ''g''), '','', ''.''), '''')::numeric', form, plain, CASE form WHEN '' THEN '-' ELSE '' END)
				ELSE format('%sNULLIF(regexp_replace(%s, ''[^0-9.%s]'', '''', ''g''), '''')::numeric', form, plain, CASE form WHEN '' THEN '-' ELSE '' END) END,
			-- what is no number is none
			CASE WHEN (seen ->> 'comma')::bigint > (seen ->> 'point')::bigint THEN format('%ssubstring(replace(regexp_replace(%s, ''[^0-9,%s]'', '''', ''g''), '','', ''.'') FROM ''-?[0-9]+[.]?[0-9]*$'')::numeric', form, plain, CASE form WHEN '' THEN '-' ELSE '' END)
				ELSE format('%ssubstring(regexp_replace(%s, ''[^0-9.%s]'', '''', ''g'') FROM ''-?[0-9]+[.]?[0-9]*$'')::numeric', form, plain, CASE form WHEN '' THEN '-' ELSE '' END) END];
	ELSE
		form := plain;
		IF (seen ->> 'blank')::boolean THEN
			form := format('NULLIF(btrim(%s), '''')', form);
		END IF;
		IF seen ->> 'none' IS NOT NULL THEN
			form := format('NULLIF(%s, %L)', form, seen ->> 'none');
		END IF;
		forms := ARRAY[CASE (seen ->> 'filled')::bigint
			WHEN (seen ->> 'eight')::bigint THEN format('to_date(%s, ''YYYYMMDD'')', form)
			WHEN (seen ->> 'ten')::bigint THEN format('to_timestamp(%s::bigint)', form)
			WHEN (seen ->> 'thirteen')::bigint THEN format('to_timestamp(%s::bigint / 1000.0)', form)
			WHEN (seen ->> 'year first')::bigint THEN CASE (seen ->> 'filled')::bigint WHEN (seen ->> 'zoned')::bigint THEN form || '::timestamptz' WHEN (seen ->> 'timed')::bigint THEN form || '::timestamp' ELSE format('to_date(%s, ''YYYY-MM-DD'')', form) END
			WHEN (seen ->> 'slashed')::bigint THEN format('to_date(%s, ''YYYY/MM/DD'')', form)
			WHEN (seen ->> 'named')::bigint THEN format('to_date(%s, ''DD Mon YYYY'')', form)
			-- where the values do not tell which is the month, DateStyle does
			WHEN (seen ->> 'parts')::bigint THEN CASE WHEN seen ->> 'signs' = '1' THEN (SELECT format(CASE WHEN seen ->> 'timed' = seen ->> 'filled' THEN 'to_timestamp(%s, ''%s HH24:MI%s'')' ELSE 'to_date(%s, ''%s'')' END, form,
					replace(CASE WHEN (seen ->> 'second')::integer > 12 OR (seen ->> 'first')::integer <= 12 AND seen ->> 'sign' <> '.' AND current_setting('datestyle') !~ 'DMY' THEN 'MM.DD.' ELSE 'DD.MM.' END || CASE WHEN (seen ->> 'short')::boolean THEN 'YY' ELSE 'YYYY' END, '.', seen ->> 'sign'), CASE WHEN seen ->> 'seconds' = seen ->> 'filled' THEN ':SS' ELSE '' END)) END END];
	END IF;
	-- the first that reads what is there
	FOREACH form IN ARRAY array_remove(forms, NULL) LOOP
		BEGIN
			PERFORM crm_profile_internal.look_at(format('SELECT to_jsonb(count(s.v)) FROM (SELECT %s AS v FROM %s LIMIT %s) s', form, relation_sql, shown));
			RETURN form;
		EXCEPTION WHEN data_exception THEN
			CONTINUE;
		END;
	END LOOP;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	-- rows that cannot be read, for instance behind a policy
	RAISE DEBUG 'the rows of % could not be looked at: %', relation_sql, SQLERRM;
	RETURN NULL;
END $$; -- SQL that reads an expression of another type as an amount, a day or a condition (wanted), judged by the first 10 000 rows; NULL: they tell nothing

CREATE FUNCTION crm_profile_internal.readable_column(relation oid, relation_sql text, path text, wanted text, taken text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	own record;
	reading text;
BEGIN
	FOR own IN SELECT quote_ident(a.attname) AS sql FROM pg_attribute a JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid), LATERAL (SELECT crm_profile_internal.snake_name(a.attname) AS name) n
			WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND quote_ident(a.attname) <> taken AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
				AND (t.oid IN ('json'::regtype, 'jsonb'::regtype) OR t.typcategory = 'S' AND CASE wanted WHEN 'amount' THEN crm_profile_internal.amount_rank(n.name) <= 8 ELSE crm_profile_internal.day_rank(n.name, '') < 9 END)
			ORDER BY t.typcategory <> 'S', CASE wanted WHEN 'amount' THEN crm_profile_internal.amount_rank(n.name) ELSE crm_profile_internal.day_rank(n.name, '') END, a.attnum LIMIT 20 LOOP
		reading := crm_profile_internal.reading_of(own.sql, relation_sql, path, wanted);
		IF reading IS NOT NULL THEN
			RETURN reading;
		END IF;
	END LOOP;
	RETURN NULL;
END $$; -- reading_of() the first text or JSON column that holds amounts or days (wanted), judged by names and the first rows; NULL: none; taken: a column that is something else

CREATE FUNCTION crm_profile_internal.source_expression(argument text, expression text, relation oid, relation_sql text, path text, types oid[], wanted text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns text[] := crm_profile_internal.source_columns(relation);
	found regtype;
	problem text;
	advice text;
BEGIN
	IF expression = ANY (columns) THEN
		expression := quote_ident(expression);
	END IF;
	BEGIN
		found := crm_profile_internal.source_type_of(expression, relation_sql, path);
		-- neither aggregates nor sets, which stand in no WHERE; windows, which do not either, belong to rows
		BEGIN
			PERFORM set_config('search_path', path, true);
			EXECUTE format('SELECT FROM %s WHERE (%s) IS NULL LIMIT 0', relation_sql, expression);
		EXCEPTION WHEN windowing_error THEN
			NULL;
		END;
		PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
	EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported THEN
		PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
		GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, advice = PG_EXCEPTION_HINT;
		PERFORM crm_profile_internal.source_argument_error(argument, regexp_replace(problem, ' in WHERE$', ' here'),
			format('It is %s; the columns there are: %s.', expression, array_to_string(columns, ', ')),
			coalesce('Did you mean ' || crm_profile_internal.near_names(btrim(expression, '" '), columns) || '?', NULLIF(advice, '')));
	END;
	found := crm_profile_internal.base_type(found);
	IF types IS NOT NULL AND found <> ALL (types) THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('%s has type %s', expression, found),
			format('Expected %s.', wanted), (SELECT CASE WHEN argument = 'day_weights' THEN 'Name a table or a view that has such a column.' WHEN r.reading IS NOT NULL THEN format('%s: %s => %L.', CASE k.kind WHEN 'condition' THEN 'Say when it holds' ELSE format('Say how its %ss are written', k.kind) END, argument, r.reading)
					ELSE 'Name another column, or cast it in an expression.' END
				FROM (SELECT CASE WHEN types @> ARRAY['date'::regtype::oid] THEN 'day' WHEN types @> ARRAY['numeric'::regtype::oid] THEN 'amount' ELSE 'condition' END AS kind) k,
					LATERAL (SELECT CASE WHEN argument <> 'day_weights' THEN crm_profile_internal.reading_of(expression, relation_sql, path, k.kind) END AS reading) r));
	END IF;
	RETURN expression;
END $$; -- checks an argument that is a column or expression, and that its type is among those wanted

CREATE FUNCTION crm_profile_internal.source_one_of(argument text, candidates text[], what text, relation text, columns text[], advice text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF cardinality(candidates) = 1 THEN
		RETURN candidates[1];
	ELSIF cardinality(candidates) > 1 THEN
		PERFORM crm_profile_internal.source_argument_error(argument, 'it was left out, and there is more than one ' || what,
			format('The candidates are: %s.', array_to_string(candidates, ', ')), format('Write %s => ''%s'', or whichever it is.', argument, candidates[1]));
	END IF;
	PERFORM crm_profile_internal.source_argument_error(argument, format('it was left out, and %s has no %s', relation, what),
		format('The columns there are: %s.', array_to_string(columns, ', ')), format(CASE WHEN advice IS NULL THEN 'Write %s => with a column or an expression.' ELSE 'Write %s => %L.' END, argument, advice));
END $$; -- the only candidate for an argument that was left out; an error if there are several or none; advice: what to write then

CREATE FUNCTION crm_profile_internal.reads_alike(query text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET synchronize_seqscans = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
	style text;
	read text;
	seen text[];
BEGIN
	FOREACH style IN ARRAY '{"ISO, YMD","ISO, DMY","SQL, MDY"}'::text[] LOOP
		BEGIN
			PERFORM set_config('DateStyle', style, true), set_config('IntervalStyle', CASE style WHEN 'SQL, MDY' THEN 'sql_standard' ELSE 'postgres' END, true);
			read := crm_profile_internal.look_at(format('SELECT to_jsonb(md5(string_agg(to_jsonb(q)::text, '',''))) FROM (SELECT q.* FROM (%s) q LIMIT 10000) q', query)) #>> '{}';
		EXCEPTION WHEN data_exception OR cardinality_violation THEN
			read := 'not at all';
		END;
		seen := seen || coalesce(read, '');
	END LOOP;
	RETURN seen[1] = ALL (seen);
END $$; -- whether the first rows of a query are the same under any DateStyle and IntervalStyle

CREATE FUNCTION crm_profile_internal.source_canonical(query text, schema text, path text, argument text DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	canonical text;
	lost text;
	reading text;
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE format('CREATE VIEW %I.source_probe AS %s', schema, query);
	PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
	IF (crm_profile_internal.query_traits(format('TABLE %I.source_probe', schema))).locks_rows THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the SQL of the source would lock rows', DETAIL = format('It is: %s', crm_profile_internal.short(query, 900)),
			HINT = 'A source only reads: leave out FOR UPDATE, FOR SHARE and the like, also in the views that it reads.';
	END IF;
	canonical := btrim(pg_get_viewdef(format('%I.source_probe', schema)::regclass), E' ;\n');
	EXECUTE format('CREATE VIEW %I.source_probe_again AS %s', schema, canonical);
	-- constructs that cannot name a schema would find another operator there
	SELECT string_agg(DISTINCT f.operator::oid::regoperator::text, ', ') INTO lost
		FROM (SELECT o.operators[1] AS operator, o.place FROM pg_rewrite r, regexp_matches(r.ev_action::text, ':opno (\d+)', 'g') WITH ORDINALITY o(operators, place)
				WHERE r.ev_class = format('%I.source_probe', schema)::regclass) f
			JOIN (SELECT o.operators[1] AS operator, o.place FROM pg_rewrite r, regexp_matches(r.ev_action::text, ':opno (\d+)', 'g') WITH ORDINALITY o(operators, place)
				WHERE r.ev_class = format('%I.source_probe_again', schema)::regclass) g ON g.place = f.place AND g.operator <> f.operator;
	EXECUTE format('DROP VIEW %I.source_probe_again', schema);
	EXECUTE format('DROP VIEW %I.source_probe', schema);
	IF crm_profile_internal.present_words(query) > crm_profile_internal.present_words(canonical) THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a constant such as ''today'' would stay the day of today', HINT = 'Write current_date or now().';
	END IF;
	IF lost IS NOT NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = format('the source would compare by another operator than %s', lost), DETAIL = format('Its SQL is kept with all names qualified: %s', canonical),
			HINT = 'CASE x WHEN y, NULLIF, IS DISTINCT FROM and the like cannot name an operator: write a comparison, x = y, in their place.';
	END IF;
	-- a refresh has the settings of the source, views have those of whoever reads them
	reading := CASE WHEN argument IS NOT NULL THEN crm_profile_internal.session_reading(canonical) END;
	IF reading ~ '\(|money' OR reading IS NOT NULL AND NOT crm_profile_internal.reads_alike(canonical) THEN
		PERFORM crm_profile_internal.source_argument_error(argument, CASE WHEN reading ~ '\(' THEN format('it calls %s, which goes by the time zone of a session', reading) ELSE format('it reads %s, as settings of a session say', reading) END,
			'A refresh has the settings of the source, but views have those of whoever reads them.',
			CASE WHEN reading ~ '\(' THEN 'Say which time zone is meant: (column AT TIME ZONE ''Europe/Berlin'').' ELSE 'Say how it is written: to_date(column, ''DD.MM.YYYY''), to_char(column, ''YYYY-MM'') or to_number(column, ''9999.99'').' END);
	END IF;
	RETURN canonical;
END $$; -- a query with all names schema-qualified; argument: by which views read it, so that it must mean the same in every session

CREATE FUNCTION crm_profile_internal.source_resolve_interactions(src crm_profile.source_definition, customers oid, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation oid;
	candidates text[];
BEGIN
	IF src.interactions IS NOT NULL THEN
		relation := crm_profile_internal.source_relation('interactions', src.interactions, path);
		src.interactions := relation::regclass::text;
		src := crm_profile_internal.source_bring(src, 'interactions', relation);
		IF src.interaction_customer IS NULL THEN
			SELECT array_agg(DISTINCT attname::text) INTO candidates FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
				WHERE contype = 'f' AND conrelid = relation AND confrelid = customers
					AND confkey = ARRAY[(SELECT attnum FROM pg_attribute WHERE attrelid = customers AND attname = src.customer_key)];
			src.interaction_customer := crm_profile_internal.source_one_of('interaction_customer', candidates, 'foreign key to ' || src.customers, src.interactions, crm_profile_internal.source_columns(relation));
		END IF;
		src.interaction_customer := crm_profile_internal.source_column('interaction_customer', src.interaction_customer, relation);
		IF src.interacted_at IS NOT NULL THEN
			src.interacted_at := crm_profile_internal.source_column('interacted_at', src.interacted_at, relation);
			PERFORM crm_profile_internal.source_expression('interacted_at', src.interacted_at, relation, src.interactions, path, ARRAY['date', 'timestamp', 'timestamptz']::regtype[]::oid[], 'date, timestamp or timestamptz');
		END IF;
	ELSIF num_nonnulls(src.interaction_customer, src.interacted_at) > 0 THEN
		PERFORM crm_profile_internal.source_argument_error('interactions', 'it is missing', 'interaction_customer and interacted_at are columns of that table.', NULL);
	END IF;
	RETURN src;
END $$; -- checks and completes the arguments about interactions with the caller's rights

CREATE FUNCTION crm_profile_internal.source_resolve_day_weights(src crm_profile.source_definition, path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation CONSTANT oid := crm_profile_internal.source_relation('day_weights', src.day_weights, path);
BEGIN
	PERFORM crm_profile_internal.source_expression('day_weights', 'day', relation, relation::regclass::text, path, ARRAY['date'::regtype::oid], 'a column day of type date');
	PERFORM crm_profile_internal.source_expression('day_weights', 'weight', relation, relation::regclass::text, path, ARRAY['numeric', 'int2', 'int4', 'int8', 'float4', 'float8']::regtype[]::oid[], 'a column weight, a number');
	RETURN relation::regclass::text;
END $$; -- checks the argument day_weights with the caller's rights; the table's name, qualified

CREATE FUNCTION crm_profile_internal.source_day_weights(src crm_profile.source_definition) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	weights jsonb;
	twice date;
BEGIN
	IF src.day_weights IS NULL THEN
		RETURN NULL;
	END IF;
	EXECUTE format('SELECT jsonb_object_agg(d.day, d.weight), (SELECT min(t.day) FROM (SELECT w.day FROM %1$s w GROUP BY w.day HAVING count(*) > 1) t)
		FROM (SELECT w.day::date AS day, w.weight::double precision AS weight FROM %1$s w WHERE w.day IS NOT NULL AND w.weight IS NOT NULL) d', src.day_weights) INTO weights, twice;
	IF twice IS NOT NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = format('source "%s": %s has more than one weight for %s', src.name, src.day_weights, crm_profile_internal.iso_day(twice)),
			HINT = 'Give each day one weight.';
	END IF;
	RETURN weights;
END $$; -- the weights of days in the table that the source names, as clv_fit() takes them; NULL: none

CREATE FUNCTION crm_profile_internal.source_probe_columns(src crm_profile.source_definition, OUT kind text, OUT name text, OUT value text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 40 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY WITH figure AS (SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped),
			own AS (SELECT a.attname::text AS name FROM pg_attribute a WHERE a.attrelid = to_regclass(src.customers) AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT'))
		SELECT 'figure', f.name, CASE f.name WHEN 'customer' THEN format('c.%I', src.customer_key) ELSE format('NULL::%s', f.type) END FROM figure f WHERE f.name NOT IN ('segment', 'segment_position')
		UNION ALL SELECT 'own', o.name, format('c.%I', o.name) FROM own o WHERE NOT EXISTS (SELECT FROM figure f WHERE f.name = o.name)
		UNION ALL SELECT 'attribute', a.name, format('q.%I', a.name) FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a
			WHERE src.customer_query IS NOT NULL AND NOT EXISTS (SELECT FROM own o WHERE o.name = a.name) AND NOT EXISTS (SELECT FROM figure f WHERE f.name = a.name);
END $$; -- what a condition of a scheme may read: figures, columns of the customer table, attributes, each with its SQL

CREATE FUNCTION crm_profile_internal.source_resolve_conditions(src crm_profile.source_definition, conditions text[]) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	probe CONSTANT text := format('%I.source_probe', src.name);
	strange text;
	stored text;
	nth integer;
	columns text[];
BEGIN
	src.conditions := conditions;
	src.condition_sql := NULL;
	src.condition_columns := NULL;
	IF conditions IS NULL THEN
		RETURN src;
	END IF;
	-- whoever may write rules must not make the owner, or readers, of a source run anything of theirs: first it is
	-- looked up and not run, then only what PostgreSQL itself has, and what is immutable, is let in
	EXECUTE format('CREATE TABLE %s AS SELECT %s FROM %s c%s WITH NO DATA', probe, (SELECT string_agg(format('%s AS %I', p.value, p.name), ', ') FROM crm_profile_internal.source_probe_columns(src) p), src.customers,
		CASE WHEN src.customer_query IS NOT NULL THEN format(' LEFT JOIN (%s) q ON true', src.customer_query) END);
	FOR nth IN 1 .. cardinality(conditions) LOOP
		BEGIN
			EXECUTE format(E'CREATE VIEW %I.source_probe_view AS SELECT ((%s\n) IS TRUE) AS met FROM %s', src.name, crm_profile_internal.checked_expression(conditions[nth]), probe);
			SELECT pg_describe_object(d.refclassid, d.refobjid, 0) INTO strange FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
				WHERE r.ev_class = format('%I.source_probe_view', src.name)::regclass AND d.deptype = 'n' AND d.refobjid NOT IN (probe::regclass, r.ev_class) AND d.refclassid <> 'pg_collation'::regclass AND t.typtype IS DISTINCT FROM 'e' LIMIT 1;
			IF strange IS NOT NULL THEN
				RAISE insufficient_privilege USING MESSAGE = format('it uses %s', strange), HINT = 'Conditions of schemes may use what PostgreSQL itself has, and the columns of customers.';
			END IF;
			SELECT array_agg(DISTINCT a.attname::text) INTO columns FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
				WHERE r.ev_class = format('%I.source_probe_view', src.name)::regclass AND d.refobjid = probe::regclass;
			-- all but this one are refused as columns below
			IF 'tableoid' = ANY (columns) THEN
				RAISE invalid_parameter_value USING MESSAGE = 'it uses the system column "tableoid"';
			END IF;
			EXECUTE format('DROP VIEW %I.source_probe_view', src.name);
			-- which no volatile function, subquery or aggregate can be in
			EXECUTE format(E'ALTER TABLE %s ADD COLUMN "condition %s" boolean GENERATED ALWAYS AS ((%s\n) IS TRUE) STORED', probe, nth, conditions[nth]);
			stored := (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = probe::regclass AND a.attname = 'condition ' || nth);
			IF crm_profile_internal.present_words('SELECT ' || conditions[nth]) > crm_profile_internal.present_words('SELECT ' || stored) THEN
				RAISE invalid_parameter_value USING MESSAGE = 'a constant such as ''today'' would stay the day of today: write as_of';
			END IF;
		EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported OR insufficient_privilege THEN
			PERFORM crm_profile_internal.source_argument_error('scheme', format('its condition "%s": %s', conditions[nth], SQLERRM),
				format('A condition reads: %s.', (SELECT string_agg(p.name, ', ') FROM crm_profile_internal.source_probe_columns(src) p)), 'Correct the rule in crm_profile.scheme_rule: only immutable functions and operators that PostgreSQL itself has may be used.');
		END;
		src.condition_sql := src.condition_sql || stored;
		src.condition_columns := ARRAY(SELECT DISTINCT u FROM unnest(src.condition_columns || columns) u ORDER BY u);
	END LOOP;
	EXECUTE format('DROP TABLE %s', probe);
	RETURN src;
END $$; -- checks the conditions of a scheme for a source, and keeps them as SQL; NULL: none

CREATE FUNCTION crm_profile_internal.source_resolve_settings(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
DECLARE
	scheme_bins integer;
BEGIN
	BEGIN
		PERFORM CURRENT_TIMESTAMP AT TIME ZONE src.time_zone;
	EXCEPTION WHEN invalid_parameter_value THEN
		PERFORM crm_profile_internal.source_argument_error('time_zone', format('there is no time zone "%s"', src.time_zone), NULL,
			'Did you mean ' || crm_profile_internal.near_names(src.time_zone, (SELECT array_agg(name ORDER BY name) FROM pg_timezone_names)) || '?');
	END;
	SELECT bins INTO scheme_bins FROM crm_profile.scheme WHERE name = src.scheme;
	IF scheme_bins IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('scheme', format('there is no scheme "%s"', src.scheme),
			format('There are: %s.', (SELECT string_agg(name, ', ' ORDER BY name) FROM crm_profile.scheme)), NULL);
	END IF;
	src.bins := coalesce(src.bins, scheme_bins);
	IF src.bins <> scheme_bins THEN
		PERFORM crm_profile_internal.source_argument_error('bins', format('it is %s, but scheme "%s" is for %s', src.bins, src.scheme, scheme_bins), NULL,
			'Leave it out, or name a scheme of as many bins.');
	END IF;
	PERFORM crm_profile_internal.source_resolve_conditions(src, crm_profile_internal.scheme_conditions(crm_profile.compile_scheme(src.scheme)));
	-- those in use stay until a refresh brings the new ones into use, but may read other attributes now
	src := crm_profile_internal.source_resolve_conditions(src, src.conditions);
	IF src.period <= interval '0' THEN
		PERFORM crm_profile_internal.source_argument_error('period', format('it is %s', src.period), 'It is the length of a look-back window.', 'Write a positive interval, such as 1 year.');
	END IF;
	IF src.as_of NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
		PERFORM crm_profile_internal.source_argument_error('as_of', format('it is %s', src.as_of), 'It is a day between the years 1 and 9999.', 'Leave it out for today.');
	END IF;
	IF src.active_days NOT BETWEEN 1 AND 36500 THEN
		PERFORM crm_profile_internal.source_argument_error('active_days', format('it is %s', src.active_days), 'It is a number of days, from 1 to 36500.', 'Leave it out to learn it from the customers.');
	END IF;
	IF src.horizon_days NOT BETWEEN 7 AND 3660 THEN
		PERFORM crm_profile_internal.source_argument_error('horizon_days', format('it is %s', src.horizon_days), 'It is a number of days, from 7 to 3660.', NULL);
	END IF;
	IF src.action_pause NOT BETWEEN 0 AND 365 THEN
		PERFORM crm_profile_internal.source_argument_error('action_pause', format('it is %s', src.action_pause), 'It is a number of days, from 0 to 365.', NULL);
	END IF;
	IF src.tier_by NOT IN ('monetary', 'profit') THEN
		PERFORM crm_profile_internal.source_argument_error('tier_by', format('it is "%s"', src.tier_by), 'It is monetary or profit.', NULL);
	END IF;
	IF src.tier_by = 'profit' AND src.cost IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('tier_by', 'it is "profit", but the source has no cost', NULL, 'Give cost => as well.');
	END IF;
	IF src.clv_model <> 'auto' AND NOT crm_profile_internal.clv_model_is_known(src.clv_model) THEN
		PERFORM crm_profile_internal.source_argument_error('clv_model', format('there is no model "%s"', src.clv_model), 'There are: auto, bg/nbd, mbg/nbd, pareto/nbd, bg/cnbd-k and mbg/cnbd-k.', 'What may follow a name is in the documentation of clv_fit.');
	END IF;
	RETURN src;
END $$; -- checks and completes the arguments that concern models and views

CREATE FUNCTION crm_profile_internal.source_amount(src crm_profile.source_definition, expression text, orders text, path text) RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN src.amount_scale IS NOT NULL OR crm_profile_internal.source_type_of(expression, orders, path) = ANY (ARRAY['float4', 'float8', 'money']::regtype[])
		THEN format('round((%s)::numeric, %s)', expression, coalesce(src.amount_scale, 2)) ELSE format('(%s)', expression) END;
COMMENT ON FUNCTION crm_profile_internal.source_amount IS 'an expression for amounts or costs, rounded if its type is not exact or amount_scale is set';

CREATE FUNCTION crm_profile_internal.source_check_traits(orders regclass, warn boolean) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	traits record := crm_profile_internal.query_traits(format('TABLE %s', orders));
BEGIN
	IF traits.locks_rows THEN
		PERFORM crm_profile_internal.source_argument_error('orders', 'it locks rows', 'A source only reads.', 'Leave out FOR UPDATE, FOR SHARE and the like, also in the views that it reads.');
	ELSIF traits.arbitrary IS NOT NULL AND warn THEN
		RAISE WARNING 'the orders may be other rows each time: %', traits.arbitrary
			USING DETAIL = 'Each refresh counts the rows that it gets then.', HINT = 'Say which rows are meant, by WHERE or ORDER BY.';
	END IF;
END $$; -- an error if a view of orders locks rows; a WARNING if it may have other rows each time

CREATE FUNCTION crm_profile_internal.source_resolve(src crm_profile.source_definition, look_for_lines boolean) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
DECLARE
	path text := crm_profile_internal.source_path(src.search_path);
	customers oid;
	orders oid;
	orders_sql text;
	orders_there text;
	customer_type oid;
	columns text[];
	candidates text[];
	kind regtype;
	key_sql text;
	amount_sql text;
	cost_sql text;
	selected text;
	rows text;
	inferred crm_profile_internal.order_columns;
	lines record;
	told text;
	days CONSTANT oid[] := ARRAY['date', 'timestamp', 'timestamptz']::regtype[]::oid[];
	amounts CONSTANT oid[] := ARRAY['numeric', 'int2', 'int4', 'int8', 'float4', 'float8', 'money']::regtype[]::oid[];
	integers CONSTANT oid[] := ARRAY['int2', 'int4', 'int8']::regtype[]::oid[];
BEGIN
	src := crm_profile_internal.source_as_given(src);
	src.elsewhere := NULL;
	src.shards_query := NULL;
	-- customers
	customers := crm_profile_internal.source_relation('customers', src.customers, path);
	src.customers := customers::regclass::text;
	columns := crm_profile_internal.source_columns(customers);
	IF src.customer_key IS NULL THEN
		SELECT array_agg(attname::text) INTO candidates FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
			WHERE indrelid = customers AND indisprimary AND indnkeyatts = 1;
		src.customer_key := crm_profile_internal.source_one_of('customer_key', candidates, 'primary key of one column', src.customers, columns);
	ELSE
		src.customer_key := crm_profile_internal.source_column('customer_key', src.customer_key, customers);
	END IF;
	src := crm_profile_internal.source_bring(src, 'customers', customers);
	SELECT crm_profile_internal.base_type(atttypid) INTO customer_type FROM pg_attribute WHERE attrelid = customers AND attname = src.customer_key;
	src.key_type := format_type(customer_type, -1);
	IF crm_profile_internal.key_equality(customer_type) IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('customer_key', format('values of its type, %s, cannot be compared', src.key_type),
			'A key needs a type with a default operator class for btree or hash.', 'Name another column, or take a view that casts it.');
	END IF;
	BEGIN
		EXECUTE format('SELECT count(h) FROM crm_profile.collect_purchase_histories(NULL::%s, %L) h', src.key_type, format('SELECT NULL::%s, NULL::date, NULL::numeric WHERE false', src.key_type));
	EXCEPTION WHEN undefined_function THEN
		PERFORM crm_profile_internal.source_argument_error('customer_key', format('values of its type, %s, cannot be hashed', src.key_type),
			'A key needs a type with a default operator class for hash.', 'Name another column, or take a view that casts it.');
	END;

	-- orders; comments before a query do not make it the name of a table
	src.orders := regexp_replace(src.orders, '^(\s|--[^\n]*\n|/\*([^*]|\*+[^*/])*\*+/)+', '');
	IF src.orders ~* '^\s*(select|with|values|table)\s' OR src.orders ~ '^\s*\(' THEN
		PERFORM set_config('search_path', path, true);
		BEGIN
			src.orders := crm_profile_internal.checked_select(btrim(src.orders, E' ;\n\t'));
			IF EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY ((crm_profile_internal.describe_query(src.orders)).relations) AND c.relpersistence = 't') THEN
				PERFORM crm_profile_internal.source_argument_error('orders', 'it reads a temporary table or view', 'It is run as a query: ' || src.orders, 'A source reads tables, partitioned and foreign tables, views and materialized views that stay.');
			END IF;
			EXECUTE format('CREATE VIEW %I.source_orders AS SELECT * FROM (%s) AS orders', src.name, src.orders);
		EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported THEN
			PERFORM crm_profile_internal.source_argument_error('orders', SQLERRM, 'It is run as a query: ' || src.orders, 'Give a table, or a complete SELECT.');
		END;
		PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
		orders := format('%I.source_orders', src.name)::regclass;
		PERFORM crm_profile_internal.source_check_traits(orders, look_for_lines);
		orders_sql := format('(%s) AS orders', src.orders);
		IF crm_profile_internal.is_elsewhere(orders) THEN
			orders := crm_profile_internal.source_orders_elsewhere(src.name, src.orders, path);
		END IF;
	ELSE
		orders := crm_profile_internal.source_relation('orders', src.orders, path);
		PERFORM crm_profile_internal.source_check_traits(orders, look_for_lines);
		orders_sql := orders::regclass::text;
		src.orders := orders_sql;
	END IF;
	orders_there := orders_sql;
	src := crm_profile_internal.source_bring(src, 'orders', orders);
	IF src.elsewhere ? 'orders' THEN
		orders_sql := src.orders;
	END IF;
	columns := crm_profile_internal.source_columns(orders);

	IF src.order_customer IS NULL THEN
		SELECT coalesce(array_agg(c.name::text) FILTER (WHERE c.by_foreign_key), array_agg(c.name::text)) INTO candidates
			FROM crm_profile_internal.customer_columns(customers, src.customer_key, orders) c;
		src.order_customer := quote_ident(crm_profile_internal.source_one_of('order_customer', candidates, 'foreign key to, or column named like the key of, ' || src.customers, orders_sql, columns));
	END IF;
	src.order_customer := crm_profile_internal.source_expression('order_customer', src.order_customer, orders, orders_sql, path, NULL, NULL);

	told := CASE WHEN orders_sql LIKE '(%' THEN 'the query of orders' ELSE orders_sql END;
	inferred := crm_profile_internal.infer_orders(orders, src.order_customer);
	src.ordered_at := coalesce(src.ordered_at, crm_profile_internal.source_one_of('ordered_at', inferred.days, 'column of type date or timestamp', told, columns,
		CASE WHEN inferred.days IS NULL AND src.ordered_at IS NULL THEN crm_profile_internal.readable_column(orders, orders_sql, path, 'day', src.order_customer) END));
	src.ordered_at := crm_profile_internal.source_expression('ordered_at', src.ordered_at, orders, orders_sql, path, days, 'date, timestamp or timestamptz');

	IF src.amount IS NULL THEN
		SELECT array_agg(a ORDER BY place) INTO candidates FROM unnest(inferred.amounts) WITH ORDINALITY u(a, place)
			WHERE a <> ALL (ARRAY[src.order_customer, coalesce(quote_ident(src.cost), ''), coalesce(src.cost, ''), coalesce(src.order_key, '')]);
		IF candidates IS NULL THEN
			SELECT l.* INTO lines FROM crm_profile_internal.infer_lines(orders) l;
			IF lines.lines IS NOT NULL THEN
				PERFORM crm_profile_internal.source_argument_error('amount', format('it was left out, and %s has no column for an amount', orders_sql), format('The amounts are in the lines, %s.', lines.lines),
					format('Write orders => %L, amount => ''line_amount'', order_key => %L.', format('SELECT o.*, %s AS line_amount FROM %s', lines.amount, lines.orders_sql), quote_ident(lines.order_key)));
			END IF;
		END IF;
		src.amount := crm_profile_internal.source_one_of('amount', candidates, 'column of an amount (numeric, float or money)', told, columns,
			CASE WHEN candidates IS NULL THEN crm_profile_internal.readable_column(orders, orders_sql, path, 'amount', src.order_customer) END);
		-- the two belong together: if an amount is given, each row is an order unless there is an order_key
		IF src.order_key IS NULL AND inferred.order_key IS NOT NULL THEN
			src.order_key := inferred.order_key;
			RAISE NOTICE 'rows of % are taken for order lines: %', told, inferred.lines USING DETAIL = format('The amount is %s; lines of one order share %s.', src.amount, src.order_key);
		END IF;
	END IF;
	IF src.order_key IS NULL AND inferred.lines IS NOT NULL AND look_for_lines THEN
		RAISE WARNING 'rows of % look like order lines: %', told, inferred.lines
			USING DETAIL = 'Each of them is counted as an order.', HINT = format('Say what lines of one order share: order_key => %s.', coalesce(quote_literal(inferred.order_key), '''…'''));
	END IF;
	src.amount := crm_profile_internal.source_expression('amount', src.amount, orders, orders_sql, path, amounts, 'numeric, an integer, a float or money');
	IF src.amount_scale NOT BETWEEN 0 AND 6 THEN
		PERFORM crm_profile_internal.source_argument_error('amount_scale', format('it is %s', src.amount_scale), 'Amounts have 0 to 6 decimals.', NULL);
	END IF;
	amount_sql := crm_profile_internal.source_amount(src, src.amount, orders_sql, path);
	IF src.cost IS NOT NULL THEN
		src.cost := crm_profile_internal.source_expression('cost', src.cost, orders, orders_sql, path, amounts, 'numeric, an integer, a float or money');
		cost_sql := crm_profile_internal.source_amount(src, src.cost, orders_sql, path);
	END IF;
	IF src.order_key IS NOT NULL THEN
		src.order_key := crm_profile_internal.source_expression('order_key', src.order_key, orders, orders_sql, path, NULL, NULL);
	END IF;
	IF src.order_filter IS NOT NULL THEN
		src.order_filter := crm_profile_internal.source_expression('order_filter', src.order_filter, orders, orders_sql, path, ARRAY['boolean'::regtype::oid], 'a condition');
	END IF;

	kind := crm_profile_internal.source_type_of(src.order_customer, orders_sql, path);
	key_sql := CASE WHEN kind = customer_type THEN format('(%s)', src.order_customer) ELSE format('(%s)::%s', src.order_customer, src.key_type) END
		|| crm_profile_internal.key_collation(customers, src.customer_key);
	BEGIN
		PERFORM crm_profile_internal.source_type_of(key_sql, orders_sql, path);
	EXCEPTION WHEN cannot_coerce THEN
		PERFORM crm_profile_internal.source_argument_error('order_customer', format('%s has type %s', src.order_customer, kind),
			format('The key of %s, %s, has type %s.', src.customers, src.customer_key, src.key_type), 'Name the column that holds the key of the customer.');
	END;
	selected := format('SELECT %s AS customer, %s AS ordered_at, %s AS amount%s%s', key_sql, src.ordered_at, amount_sql, ', ' || cost_sql || ' AS cost', ', ' || src.order_key || ' AS order_key');
	rows := format(' FROM %s%s', orders_sql, ' WHERE ' || src.order_filter);
	src.orders_query := crm_profile_internal.source_canonical(selected || rows, src.name, path);
	IF src.elsewhere ? 'orders' THEN
		PERFORM crm_profile_internal.source_check_elsewhere(src, orders_there, path);
		-- as the column is, where that makes no other groups: Citus groups on the workers by the column itself
		src.shards_query := crm_profile_internal.source_canonical(format('SELECT %s AS customer, %s AS ordered_at, %s AS amount%s%s FROM %s%s',
			CASE WHEN kind = ANY (integers) AND customer_type = ANY (integers) THEN src.order_customer ELSE key_sql END, src.ordered_at, amount_sql, ', ' || cost_sql || ' AS cost', ', ' || src.order_key || ' AS order_key',
			orders_there, ' WHERE ' || src.order_filter), src.name, path);
	END IF;
	IF src.track_changes LIKE 'column %' THEN
		src.track_changes := 'column ' || crm_profile_internal.source_expression('track_changes', btrim(substr(src.track_changes, 8)), orders, orders_sql, path, days, 'date, timestamp or timestamptz');
	END IF;
	src := crm_profile_internal.source_resolve_codes(src, format('SELECT %s AS customer, %s AS ordered_at, %s AS amount', key_sql, src.ordered_at, amount_sql), orders, orders_sql, path);
	src := crm_profile_internal.source_resolve_tracking(src, concat(selected, ', ', CASE WHEN src.track_changes LIKE 'column %' THEN substr(src.track_changes, 8) || ' AS changed_at'
		ELSE src.order_customer || ' AS order_customer' END, rows), path);
	IF src.refit_share NOT BETWEEN 0 AND 1 OR src.refit_share IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('refit_share', format('it is %s', coalesce(src.refit_share::text, 'NULL')), 'It is a share of the customers, from 0 to 1.', NULL);
	END IF;
	src := crm_profile_internal.source_resolve_lines(src, orders, orders_sql, path);
	src := crm_profile_internal.source_resolve_payments(src, customers, orders, orders_sql, path);
	IF orders_there LIKE '(%' THEN
		EXECUTE format('DROP VIEW %I.source_orders', src.name);
	END IF;

	src := crm_profile_internal.source_check_corrections(src);
	src.recorded_columns := crm_profile_internal.source_recorded_columns(src);
	IF src.birthday IS NOT NULL THEN
		src.birthday := crm_profile_internal.source_column('birthday', src.birthday, customers);
		PERFORM crm_profile_internal.source_expression('birthday', src.birthday, customers, src.customers, path, days, 'date, timestamp or timestamptz');
	END IF;
	src := crm_profile_internal.source_resolve_interactions(src, customers, path);
	IF src.day_weights IS NOT NULL THEN
		src.day_weights := crm_profile_internal.source_resolve_day_weights(src, path);
	END IF;
	src := crm_profile_internal.source_resolve_prospects(src, customers, path);
	src := crm_profile_internal.source_check_attribute_options(src);
	src := crm_profile_internal.source_resolve_campaigns(src, customers, path);
	RETURN crm_profile_internal.source_resolve_settings(src);
END $$; -- checks and completes a definition with the caller's rights; errors name the wrong argument; look_for_lines: warn if orders look like order lines
