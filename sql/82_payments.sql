-- Payments: how late customers pay, against their own habit and that of their segment

---------------------------------------------------------------- the payments of a source

CREATE FUNCTION crm_profile_internal.source_resolve_payments(src crm_profile.source_definition, customers oid, orders oid, orders_sql text, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation oid;
	columns text[];
	candidates text[];
	customer text;
	amount text := 'NULL::numeric';
	is_credit text := 'false';
	is_odd text := 'false';
	selected text;
	days CONSTANT oid[] := ARRAY['date', 'timestamp', 'timestamptz']::regtype[]::oid[];
BEGIN
	src.payment_query := NULL;
	IF src.payments IS NULL THEN
		IF num_nonnulls(src.payment_customer, src.payment_order, src.payment_due, src.payment_paid, src.payment_amount) > 0 THEN
			PERFORM crm_profile_internal.source_argument_error('payments', 'it is missing', 'The other arguments about payments are columns of that table.', NULL);
		END IF;
		RETURN src;
	END IF;
	relation := crm_profile_internal.source_relation('payments', src.payments, path);
	src.payments := relation::regclass::text;
	src := crm_profile_internal.source_bring(src, 'payments', relation);
	columns := crm_profile_internal.source_columns(relation);
	IF src.payment_due IS NULL THEN
		candidates := ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.base_type(a.atttypid) = ANY (days)
			AND crm_profile_internal.snake_name(a.attname) ~ '(^|_)(due|payable|faellig)(_|$)' ORDER BY a.attnum);
		src.payment_due := crm_profile_internal.source_one_of('payment_due', NULLIF(candidates, '{}'), 'day column named like a due date', src.payments, columns);
	END IF;
	IF src.payment_paid IS NULL THEN
		candidates := ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.base_type(a.atttypid) = ANY (days)
			AND crm_profile_internal.snake_name(a.attname) ~ '(^|_)(paid|settled|bezahlt)(_|$)' ORDER BY a.attnum);
		src.payment_paid := crm_profile_internal.source_one_of('payment_paid', NULLIF(candidates, '{}'), 'day column named like a day of payment', src.payments, columns);
	END IF;
	src.payment_due := crm_profile_internal.source_expression('payment_due', src.payment_due, relation, src.payments, path, days, 'date, timestamp or timestamptz');
	src.payment_paid := crm_profile_internal.source_expression('payment_paid', src.payment_paid, relation, src.payments, path, days, 'date, timestamp or timestamptz');
	IF src.payment_amount IS NOT NULL THEN
		src.payment_amount := crm_profile_internal.source_expression('payment_amount', src.payment_amount, relation, src.payments, path, ARRAY['numeric', 'int2', 'int4', 'int8', 'float4', 'float8', 'money']::regtype[]::oid[], 'numeric, an integer, a float or money');
		-- as many decimals as the column has; of a float those that it means
		amount := format(CASE WHEN crm_profile_internal.base_type(crm_profile_internal.source_type_of(src.payment_amount, src.payments, path)) IN ('float4'::regtype, 'float8'::regtype) THEN 'CASE WHEN abs((%1$s)::numeric) < 1e12 THEN trim_scale(round((%1$s)::numeric, 6)) END'
			ELSE 'CASE WHEN abs((%1$s)::numeric) < 1e12 THEN (%1$s)::numeric END' END, src.payment_amount);
		is_odd := format('abs((%1$s)::numeric) >= 1e12', src.payment_amount);
		-- whether it is below zero, at the cost of one comparison for the others; the last one says nothing new, but
		-- makes the planner ask for the days first
		is_credit := format('(%1$s)::numeric <= -0.0000005 AND (%1$s)::numeric > -1e12 AND (%1$s)::numeric < 0', src.payment_amount);
	END IF;
	IF src.payment_customer IS NULL AND src.payment_order IS NULL THEN
		IF relation = orders THEN
			src.payment_customer := src.order_customer;
		ELSE
			SELECT coalesce(array_agg(quote_ident(c.name)) FILTER (WHERE c.by_foreign_key), array_agg(quote_ident(c.name))) INTO candidates FROM crm_profile_internal.customer_columns(customers, src.customer_key, relation) c;
			src.payment_customer := crm_profile_internal.source_one_of('payment_customer', candidates, 'foreign key to, or column named like the key of, ' || src.customers, src.payments, columns);
		END IF;
	END IF;
	selected := format('%s AS due_on, %s AS paid_on, %s AS amount, %s AS is_credit, %s AS is_odd, NOT isfinite(%s) AS never_due, NOT isfinite(%s) AS never_paid', crm_profile_internal.source_local_day(src, src.payment_due, src.payments, path), crm_profile_internal.source_local_day(src, src.payment_paid, src.payments, path),
		amount, is_credit, is_odd, src.payment_due, src.payment_paid);
	IF src.payment_customer IS NOT NULL THEN
		src.payment_customer := crm_profile_internal.source_expression('payment_customer', src.payment_customer, relation, src.payments, path, NULL, NULL);
		selected := format('SELECT %s AS customer, %s, (%s)::text AS given_key FROM %s', crm_profile_internal.source_key_of(src, src.payment_customer, src.payments, path), selected, src.payment_customer, src.payments);
	ELSE
		src.payment_order := crm_profile_internal.source_expression('payment_order', src.payment_order, relation, src.payments, path, NULL, NULL);
		selected := format('SELECT o.customer, p.due_on, p.paid_on, p.amount, p.is_credit, p.is_odd, p.never_due, p.never_paid, NULL::text AS given_key FROM (SELECT (%s) AS basket, %s FROM %s) p LEFT JOIN %s o ON o.basket = p.basket',
			src.payment_order, selected, src.payments, crm_profile_internal.source_order_customers(src, orders, orders_sql, path));
	END IF;
	BEGIN
		src.payment_query := crm_profile_internal.source_canonical(selected, src.name, path, 'payments');
	EXCEPTION WHEN undefined_function OR datatype_mismatch OR cannot_coerce THEN
		PERFORM crm_profile_internal.source_argument_error('payments', SQLERRM, 'The payments are read by: ' || selected, 'The key of a customer, or of an order, must have the same type in both tables: cast one of them.');
	END;
	RETURN src;
END $$; -- checks and completes the arguments about payments with the caller's rights, and makes the query of them

CREATE FUNCTION crm_profile_internal.source_payments(src crm_profile.source_definition, raw boolean DEFAULT false) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- a credit note is nothing that a customer pays
	RETURN (SELECT format('(SELECT %s AS customer, q.due_on, q.paid_on, q.amount%s FROM (%s) q%s%s)', CASE WHEN m.merged THEN 'coalesce(i.person, q.customer)' ELSE 'q.customer' END,
			CASE WHEN raw THEN ', q.is_credit' END, src.payment_query, CASE WHEN m.merged THEN format(' LEFT JOIN %I.customer_identity i ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'i.customer', 'q.customer')) END,
			CASE WHEN NOT raw THEN ' WHERE q.customer IS NOT NULL AND q.due_on IS NOT NULL AND q.is_credit IS NOT TRUE' END)
		FROM (SELECT crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL AS merged) m);
COMMENT ON FUNCTION crm_profile_internal.source_payments IS 'SQL of the payments of a source that count: customer, due_on, paid_on (NULL: open) and amount; raw: all, with is_credit, for whom it is cheaper to ask later';

---------------------------------------------------------------- payment_behaviour

CREATE TYPE crm_profile_internal.payment_behaviour_row AS ( -- a row of the view payment_behaviour
	customer text, -- key of the customer
	segment varchar, -- the customer's segment
	payments bigint, -- payments made by the day, or due before it
	late bigint, -- those of them that were made, or are still open, after the due day
	usual_days_late double precision, -- the customer's habit: median days after the due day, of the payments that were due before the recent ones; negative: before it; NULL: none
	recent_days_late double precision, -- the same of the recent ones: those due within the last recent_days; an open one counts with its days so far; NULL: none
	segment_days_late double precision, -- the segment's habit: median of recent_days_late over its customers, or of usual_days_late of those without
	overdue bigint, -- payments overdue on the day
	overdue_amount numeric, -- their amount; NULL: none, or amounts are not known
	overdue_days integer, -- days since the oldest of them was due; NULL: none
	beyond_habit double precision, -- overdue_days beyond what is usual for the customer, at least 0 days, and 0 where no habit is known; NULL: none overdue
	p_value double precision, -- chance of such a difference between recent and earlier payments (Mann and Whitney, two-sided); NULL: fewer than five of either, or all alike
	adjusted_p_value double precision, -- the same, adjusted over all customers who could be tested (Benjamini and Hochberg)
	change varchar -- later, earlier: recent payments against the customer's earlier ones, by adjusted_p_value; cannot tell; too few
);

CREATE FUNCTION crm_profile_internal.payment_rows(query text, decimals integer, false_discovery_rate double precision, example crm_profile.purchase_history) RETURNS SETOF crm_profile_internal.payment_behaviour_row
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 SUPPORT crm_profile_internal.row_stream_support; -- the rows of payment_behaviour(), from a query of customer, segment and payments as a history: on the day 2000-01-01 + 8 × days late, + 1 for recent ones, + 2 for open ones, + 4 for those of unknown amount, as many orders as payments, and the amount of open ones; example: NULL

CREATE FUNCTION crm_profile_internal.payment_behaviour_query(src crm_profile.source_definition, as_of date, day date, recent_days integer) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- more days late than half a million years have, or as many centuries before the due day, are a fault anyway.
	-- OFFSET 0: segments are found in the order of the histories
	RETURN (SELECT format('SELECT c.customer::text, c.segment::text, p.history FROM (SELECT c.customer, c.segment FROM %I.%s c OFFSET 0) c JOIN crm_profile_internal.collect_valid_histories(NULL::%s, %L) p ON %s',
			src.name, CASE WHEN as_of IS NULL THEN 'customer_profile' ELSE format('profile_as_of(%L)', d.day) END, src.key_type,
			format($sql$SELECT q.customer, date '2000-01-01' + 8 * least(greatest(CASE WHEN q.paid_on <= %2$L THEN q.paid_on ELSE %2$L::date END - q.due_on, -300000), 250000000)
				+ CASE WHEN q.due_on > %2$L::date - %3$s THEN 1 ELSE 0 END + CASE WHEN q.paid_on <= %2$L THEN 0 WHEN q.amount IS NULL THEN 6 ELSE 2 END,
				CASE WHEN q.paid_on <= %2$L THEN 0 ELSE coalesce(round(q.amount, 6), 0) END FROM %1$s q WHERE q.paid_on <= %2$L OR q.due_on < %2$L$sql$, crm_profile_internal.source_payments(src), d.day, recent_days),
			crm_profile_internal.same_key(src.key_type, 'p.customer', 'c.customer'))
		FROM (SELECT crm_profile_internal.iso_day(day) AS day) d);
COMMENT ON FUNCTION crm_profile_internal.payment_behaviour_query IS 'SQL of the customers with their segments on a day (as_of: NULL for that of the views) and their payments, for payment_rows()';

CREATE FUNCTION crm_profile_internal.payment_decimals(src crm_profile.source_definition) RETURNS integer
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- the scale of a numeric is in its typmod, beside 4 for the header
	RETURN coalesce((SELECT CASE a.atttypid WHEN 'money'::regtype THEN 2 ELSE (a.atttypmod - 4) & 2047 END FROM pg_attribute a WHERE a.attrelid = to_regclass(src.payments) AND quote_ident(a.attname) = src.payment_amount
		AND (a.atttypid = 'money'::regtype OR a.atttypid = 'numeric'::regtype AND a.atttypmod > 0)), 0);
COMMENT ON FUNCTION crm_profile_internal.payment_decimals IS 'how many decimals the column of amounts has, as far as it says';

CREATE FUNCTION crm_profile.payment_behaviour(source text, as_of date DEFAULT NULL, recent_days integer DEFAULT 180, false_discovery_rate double precision DEFAULT 0.05) RETURNS SETOF crm_profile_internal.payment_behaviour_row
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp SET jit = off SET enable_hashjoin = off AS $$
DECLARE
	src crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	day CONSTANT date := crm_profile_internal.evaluated_day(src, as_of);
BEGIN
	IF src.payment_query IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no payments', source), HINT = 'Name the table: crm_profile.alter_source(…, payments => ''…'').';
	ELSIF recent_days IS NULL OR recent_days NOT BETWEEN 1 AND 36525 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('recent_days is %s', coalesce(recent_days::text, 'NULL')), DETAIL = 'It is a number of days, from 1 to 36525.';
	END IF;
	PERFORM crm_profile_internal.check_discovery_rate(false_discovery_rate);
	BEGIN
		RETURN QUERY SELECT r.* FROM crm_profile_internal.payment_rows(crm_profile_internal.payment_behaviour_query(src, as_of, day, recent_days), crm_profile_internal.payment_decimals(src), false_discovery_rate, NULL::crm_profile.purchase_history) r;
	EXCEPTION WHEN data_exception THEN
		-- payments that an expression cannot read are left out, as check_source() tells; all are read before any row
		src.payment_query := crm_profile_internal.source_rows_from(src.payment_query, src.payments, crm_profile_internal.readable_rows_of(src.payments, src.payment_query, true));
		IF src.payment_query IS NULL THEN
			RAISE;
		END IF;
		RETURN QUERY SELECT r.* FROM crm_profile_internal.payment_rows(crm_profile_internal.payment_behaviour_query(src, as_of, day, recent_days), crm_profile_internal.payment_decimals(src), false_discovery_rate, NULL::crm_profile.purchase_history) r;
	END;
END $$; -- how late each customer pays: recently against the customer's own habit, tested, and against the segment's, and what is overdue now; what is owed most first

CREATE FUNCTION crm_profile_internal.source_build_payments(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.payment_query IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'payment_behaviour');
	ELSE
		PERFORM crm_profile_internal.source_view(src, 'payment_behaviour', 'how late each customer pays, against the customer''s own habit and the segment''s, and what is overdue', 'crm_profile_internal.payment_behaviour_row',
			-- the table by name: a policy, a rename or a drop must find what reads it
			format('SELECT f.* FROM crm_profile.payment_behaviour(%L) f WHERE (SELECT true FROM (SELECT) o LEFT JOIN (SELECT FROM %s LIMIT 0) p ON true)', src.name, src.payments));
	END IF;
END $$; -- creates or replaces the view of payments of a source, or drops it if there are none

---------------------------------------------------------------- payments that become due as an action

CREATE TYPE crm_profile_internal.payment_alarm AS ( -- payments of a customer that become later than usual on a day
	due_on date, -- when the oldest of them was due
	payments bigint,
	amount numeric -- NULL: not known
);

CREATE FUNCTION crm_profile_internal.payment_alarm_transfn(state internal, due_on date, paid_on date, amount numeric, day date, pause integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.payment_alarm_finalfn(state internal) RETURNS crm_profile_internal.payment_alarm
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.payment_alarm(due_on date, paid_on date, amount numeric, day date, pause integer) (
	SFUNC = crm_profile_internal.payment_alarm_transfn, STYPE = internal, SSPACE = 512,
	FINALFUNC = crm_profile_internal.payment_alarm_finalfn, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE); -- the payments of a customer, due by this day, that on it are one day later than the customer usually is, unless others were within the pause; NULL: none

CREATE FUNCTION crm_profile_internal.source_due_payments(src crm_profile.source_definition, days text, as_of text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- all payments are looked at only of those who owe something on one of the days, and for no longer than they ever
	-- took, since no median is above that; payments of up to 60 days are not looked up for it, there are too many.
	-- Whether it is a credit note is asked last; an equality: the planner expects few
	RETURN format($sql$
		UNION ALL SELECT c.%1$I, 'payment_overdue'::varchar AS action, concat(CASE WHEN (e.alarm).payments = 1 THEN 'a payment' ELSE (e.alarm).payments || ' payments' END, ' of ' || trim_scale((e.alarm).amount), CASE WHEN (e.alarm).payments = 1 THEN ' was' ELSE ' were' END,
				' due on ', crm_profile_internal.iso_day((e.alarm).due_on), ': open for ', e.day - (e.alarm).due_on, CASE e.day - (e.alarm).due_on WHEN 1 THEN ' day' ELSE ' days' END, ', longer than usual for this customer')::varchar, e.day, (e.alarm).amount::double precision, %2$s
			FROM (SELECT p.customer, d.day, crm_profile_internal.payment_alarm(CASE WHEN p.is_credit IS NOT TRUE THEN p.due_on END, p.paid_on, p.amount, d.day, %8$s) AS alarm
				FROM (SELECT o.customer FROM %4$s o WHERE o.due_on < (SELECT max(d.day) FROM %3$s) AND ((o.paid_on <= (SELECT min(d.day) FROM %3$s)) IS NOT TRUE OR o.paid_on - o.due_on > 60)
					GROUP BY o.customer HAVING min(CASE WHEN (o.paid_on <= (SELECT min(d.day) FROM %3$s)) IS NOT TRUE AND o.is_credit IS NOT TRUE THEN (SELECT min(d.day) FROM %3$s) - 1 - o.due_on END)
						<= greatest(60, max(CASE WHEN o.paid_on <= (SELECT max(d.day) FROM %3$s) AND o.is_credit IS NOT TRUE THEN o.paid_on - o.due_on END))) k
				JOIN %4$s p ON %5$s JOIN %3$s ON p.due_on <= d.day GROUP BY p.customer, d.day) e
				JOIN %6$s c ON %7$s WHERE sign((e.alarm).payments) = 1$sql$,
		src.customer_key, as_of, days, crm_profile_internal.source_payments(src, true), crm_profile_internal.same_key(src.key_type, 'p.customer', 'k.customer'), src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'e.customer'), src.action_pause);
COMMENT ON FUNCTION crm_profile_internal.source_due_payments IS 'the part of due_actions about payments';

---------------------------------------------------------------- faults in the payments

CREATE FUNCTION crm_profile_internal.find_in_payments(src crm_profile.source_definition, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	IF src.payment_query IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format($sql$SELECT (f.f).* FROM (SELECT crm_profile_internal.found_row(v.place, v.finding, v.severity, count(*), count(DISTINCT q.customer), sum(q.amount), '0', v.advice, v.argument, crm_profile_internal.sample_keys(coalesce(q.customer::text, q.given_key), q.amount) FILTER (WHERE coalesce(q.customer::text, q.given_key) IS NOT NULL)) AS f
		FROM (SELECT q.*, EXISTS (SELECT FROM %2$s c WHERE %3$s) AS known, q.customer IS NULL AND q.given_key IS NOT NULL AS unreadable FROM (%1$s) q) q, LATERAL (VALUES
			(84, 'payments without customer or due day', 'warning', q.customer IS NULL AND NOT q.unreadable OR q.due_on IS NULL AND q.never_due IS NOT TRUE, 'They are in no figure.', 'payment_customer, payment_due'),
			(84, 'payments with a key that no customer can have', 'warning', q.unreadable, 'They are in no figure.', 'payment_customer'),
			(84, 'payments due on an infinite day', 'warning', q.never_due, 'They are in no figure.', 'payment_due'),
			(84, 'payments made on an infinite day', 'warning', q.never_paid, 'They count as open.', 'payment_paid'),
			(84, 'payments whose amount is no number', 'warning', q.is_odd, 'NaN, infinite, or too large: they count, but not their amount.', 'payment_amount'),
			(85, 'payments of unknown customers', 'warning', q.customer IS NOT NULL AND NOT q.known, 'Their customer is not in the customer table: they are in no figure.', NULL),
			(86, 'payments made after the as-of date', 'note', q.paid_on > $1, 'They count as open until their day.', NULL),
			(87, 'payments open for more than a year', 'note', q.due_on < $1 - 365 AND q.paid_on IS NULL, 'They count as overdue: is the day of payment missing, or are they written off?', 'payment_paid'),
			(88, 'payments of less than nothing', 'note', q.is_credit, 'Credit notes, which nobody pays: they are left out.', 'payment_amount')) v(place, finding, severity, found, advice, argument)
		WHERE v.found GROUP BY v.place, v.finding, v.severity, v.advice, v.argument) f$sql$,
		src.payment_query, src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'q.customer')) USING today;
END $$; -- finds problems in the payments
