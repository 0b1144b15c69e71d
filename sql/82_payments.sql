-- Payments: how late customers pay, against their own habit and that of their segment

---------------------------------------------------------------- habits

CREATE TYPE crm_profile_internal.payment_habit AS ( -- how late a customer pays
	payments bigint, -- earlier and recent ones
	late bigint, -- those of them that came after the due day
	overdue bigint, -- those of them that are open
	overdue_days integer, -- days of the oldest of these; NULL: none
	usual_days_late double precision, -- median of the earlier ones, negative: before the due day; NULL: none
	recent_days_late double precision, -- median of the recent ones
	z double precision, -- how far the recent ones rank above the earlier ones (Mann and Whitney), as a standard normal; NULL: fewer than five of either, or all alike
	p_value double precision -- chance of such a difference either way
);

CREATE FUNCTION crm_profile_internal.payment_habit_transfn(state internal, days_late integer, is_recent boolean, is_open boolean) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.payment_habit_finalfn(state internal) RETURNS crm_profile_internal.payment_habit
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.payment_habit(days_late integer, is_recent boolean, is_open boolean) (
	SFUNC = crm_profile_internal.payment_habit_transfn, STYPE = internal, SSPACE = 256,
	FINALFUNC = crm_profile_internal.payment_habit_finalfn, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE); -- how late a customer pays, usually and recently, and whether that differs

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
		amount := format('CASE WHEN abs((%1$s)::numeric) < 1e15 THEN round((%1$s)::numeric, 6) END', src.payment_amount);
		-- whether it is below zero, at the cost of one comparison for the others
		is_credit := format('(%1$s)::numeric <= -0.0000005 AND (%1$s)::numeric > -1e15', src.payment_amount);
	END IF;
	IF src.payment_customer IS NULL AND src.payment_order IS NULL THEN
		IF relation = orders THEN
			src.payment_customer := src.order_customer;
		ELSE
			SELECT coalesce(array_agg(quote_ident(c.name)) FILTER (WHERE c.by_foreign_key), array_agg(quote_ident(c.name))) INTO candidates FROM crm_profile_internal.customer_columns(customers, src.customer_key, relation) c;
			src.payment_customer := crm_profile_internal.source_one_of('payment_customer', candidates, 'foreign key to, or column named like the key of, ' || src.customers, src.payments, columns);
		END IF;
	END IF;
	selected := format('%s AS due_on, %s AS paid_on, %s AS amount, %s AS is_credit', crm_profile_internal.source_local_day(src, src.payment_due, src.payments, path), crm_profile_internal.source_local_day(src, src.payment_paid, src.payments, path), amount, is_credit);
	IF src.payment_customer IS NOT NULL THEN
		src.payment_customer := crm_profile_internal.source_expression('payment_customer', src.payment_customer, relation, src.payments, path, NULL, NULL);
		selected := format('SELECT %s AS customer, %s FROM %s', crm_profile_internal.source_key_of(src, src.payment_customer, src.payments, path), selected, src.payments);
	ELSE
		src.payment_order := crm_profile_internal.source_expression('payment_order', src.payment_order, relation, src.payments, path, NULL, NULL);
		selected := format('SELECT o.customer, p.due_on, p.paid_on, p.amount, p.is_credit FROM (SELECT (%s) AS basket, %s FROM %s) p LEFT JOIN %s o ON o.basket = p.basket',
			src.payment_order, selected, src.payments, crm_profile_internal.source_order_customers(src, orders, orders_sql, path));
	END IF;
	BEGIN
		src.payment_query := crm_profile_internal.source_canonical(selected, src.name, path);
	EXCEPTION WHEN undefined_function OR datatype_mismatch OR cannot_coerce THEN
		PERFORM crm_profile_internal.source_argument_error('payments', SQLERRM, 'The payments are read by: ' || selected, 'The key of a customer, or of an order, must have the same type in both tables: cast one of them.');
	END;
	RETURN src;
END $$; -- checks and completes the arguments about payments with the caller's rights, and makes the query of them

CREATE FUNCTION crm_profile_internal.source_payments(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- a credit note is nothing that a customer pays
	RETURN (SELECT format('(SELECT %s AS customer, q.due_on, q.paid_on, q.amount FROM (%s) q%s WHERE q.customer IS NOT NULL AND q.due_on IS NOT NULL AND q.is_credit IS NOT TRUE)', CASE WHEN m.merged THEN 'coalesce(i.person, q.customer)' ELSE 'q.customer' END,
			src.payment_query, CASE WHEN m.merged THEN format(' LEFT JOIN %I.customer_identity i ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'i.customer', 'q.customer')) END)
		FROM (SELECT crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL AS merged) m);
COMMENT ON FUNCTION crm_profile_internal.source_payments IS 'SQL of the payments of a source that count: customer, due_on, paid_on (NULL: open) and amount';

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
	beyond_habit double precision, -- overdue_days beyond what is usual for the customer; NULL: none overdue, or no habit known
	p_value double precision, -- chance of such a difference between recent and earlier payments (Mann and Whitney, two-sided); NULL: fewer than five of either, or all alike
	adjusted_p_value double precision, -- the same, adjusted over all customers who could be tested (Benjamini and Hochberg)
	change varchar -- later, earlier: recent payments against the customer's earlier ones, by adjusted_p_value; cannot tell; too few
);

CREATE FUNCTION crm_profile.payment_behaviour(source text, as_of date DEFAULT NULL, recent_days integer DEFAULT 180, false_discovery_rate double precision DEFAULT 0.05) RETURNS SETOF crm_profile_internal.payment_behaviour_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp SET jit = off SET enable_hashjoin = off AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
BEGIN
	IF src.payment_query IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no payments', source), HINT = 'Name the table: crm_profile.alter_source(…, payments => ''…'').';
	ELSIF recent_days IS NULL OR recent_days NOT BETWEEN 1 AND 36525 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('recent_days is %s', coalesce(recent_days::text, 'NULL')), DETAIL = 'It is a number of days, from 1 on.';
	END IF;
	PERFORM crm_profile_internal.check_discovery_rate(false_discovery_rate);
	RETURN QUERY EXECUTE format($query$
		WITH labelled AS MATERIALIZED (
				SELECT c.customer::text AS customer, c.segment, p.overdue_amount, (p.habit).*
				FROM (SELECT p.customer, crm_profile_internal.payment_habit(p.days, p.is_recent, p.is_open) AS habit, sum(p.amount) AS overdue_amount
					FROM (SELECT q.customer, q.due_on > $1 - $2 AS is_recent, (q.paid_on <= $1) IS NOT TRUE AS is_open, CASE WHEN q.paid_on <= $1 THEN q.paid_on ELSE $1 END - q.due_on AS days, CASE WHEN (q.paid_on <= $1) IS NOT TRUE THEN q.amount END AS amount
						FROM %1$s q WHERE q.paid_on <= $1 OR q.due_on < $1
						-- narrow rows sorted by customer: so many states would not fit into a hash table, and the
						-- profile is merged
						ORDER BY q.customer OFFSET 0) p GROUP BY p.customer) p JOIN %2$I.%3$s c ON %4$s),
			habit AS (SELECT array_agg(h.segment ORDER BY h.customers DESC) AS segments, array_agg(h.days ORDER BY h.customers DESC) AS days -- the largest are found first
				FROM (SELECT l.segment, count(*) AS customers, crm_profile_internal.median(coalesce(l.recent_days_late, l.usual_days_late)) AS days FROM labelled l GROUP BY l.segment) h),
			ranked AS (SELECT l.*, l.p_value * count(*) OVER () / count(*) OVER (ORDER BY l.p_value) AS raised FROM labelled l WHERE l.p_value IS NOT NULL),
			tested AS MATERIALIZED (SELECT r.*, least(1, min(r.raised) OVER (ORDER BY r.p_value DESC)) AS adjusted FROM ranked r),
			untested AS NOT MATERIALIZED (SELECT l.*, NULL::double precision, NULL::double precision FROM labelled l WHERE l.p_value IS NULL)
		SELECT a.customer, a.segment, a.payments, a.late, a.usual_days_late, a.recent_days_late, h.days[array_position(h.segments, a.segment)], a.overdue, a.overdue_amount, a.overdue_days, a.overdue_days - greatest(a.usual_days_late, 0), a.p_value, a.adjusted,
			(CASE WHEN a.p_value IS NULL THEN 'too few' WHEN a.adjusted > $3 THEN 'cannot tell' WHEN a.z > 0 THEN 'later' ELSE 'earlier' END)::varchar
		-- only those who owe are sorted: the others come as they are
		FROM habit h, ((SELECT * FROM (TABLE tested UNION ALL TABLE untested) a WHERE a.overdue > 0 ORDER BY a.overdue_amount DESC NULLS LAST, a.overdue_days DESC NULLS LAST, a.adjusted, a.customer COLLATE "C")
			UNION ALL SELECT * FROM tested t WHERE t.overdue = 0 UNION ALL SELECT * FROM untested u WHERE u.overdue = 0) a$query$,
		crm_profile_internal.source_payments(src), source, CASE WHEN as_of IS NULL THEN 'customer_profile' ELSE 'profile_as_of($1)' END, crm_profile_internal.same_key(src.key_type, 'p.customer', 'c.customer'))
		USING crm_profile_internal.evaluated_day(src, as_of), recent_days, false_discovery_rate;
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
	-- all payments are looked at only of those who owe something on one of the days, and for no longer than anybody
	-- ever took: no median is above that; an equality: the planner expects few
	RETURN format($sql$
		UNION ALL SELECT c.%1$I, 'payment_overdue'::varchar AS action, concat(CASE WHEN (e.alarm).payments = 1 THEN 'a payment' ELSE (e.alarm).payments || ' payments' END, ' of ' || trim_scale((e.alarm).amount), CASE WHEN (e.alarm).payments = 1 THEN ' was' ELSE ' were' END,
				' due on ', crm_profile_internal.iso_day((e.alarm).due_on), ': open for ', e.day - (e.alarm).due_on, CASE e.day - (e.alarm).due_on WHEN 1 THEN ' day' ELSE ' days' END, ', longer than usual for this customer')::varchar, e.day, (e.alarm).amount::double precision, %2$s
			FROM (SELECT p.customer, d.day, crm_profile_internal.payment_alarm(p.due_on, p.paid_on, p.amount, d.day, %8$s) AS alarm
				FROM (SELECT DISTINCT o.customer FROM %4$s o WHERE (o.paid_on <= (SELECT min(d.day) FROM %3$s)) IS NOT TRUE AND o.due_on < (SELECT max(d.day) FROM %3$s)
					AND o.due_on >= (SELECT min(d.day) FROM %3$s) - 1 - (SELECT greatest(max(l.paid_on - l.due_on), 0) FROM (%9$s) l)) k
				JOIN %4$s p ON %5$s JOIN %3$s ON p.due_on <= d.day GROUP BY p.customer, d.day) e
				JOIN %6$s c ON %7$s WHERE sign((e.alarm).payments) = 1$sql$,
		src.customer_key, as_of, days, crm_profile_internal.source_payments(src), crm_profile_internal.same_key(src.key_type, 'p.customer', 'k.customer'), src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'e.customer'), src.action_pause, src.payment_query);
COMMENT ON FUNCTION crm_profile_internal.source_due_payments IS 'the part of due_actions about payments';

---------------------------------------------------------------- faults in the payments

CREATE FUNCTION crm_profile_internal.find_in_payments(src crm_profile.source_definition, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	IF src.payment_query IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format($sql$SELECT (f.f).* FROM (SELECT crm_profile_internal.found_row(v.place, v.finding, v.severity, count(*), count(DISTINCT q.customer), sum(q.amount), '0', v.advice, v.argument, crm_profile_internal.sample_keys(q.customer::text, q.amount) FILTER (WHERE q.customer IS NOT NULL)) AS f
		FROM (SELECT q.*, EXISTS (SELECT FROM %2$s c WHERE %3$s) AS known FROM (%1$s) q) q, LATERAL (VALUES
			(84, 'payments without customer or due day', 'warning', q.customer IS NULL OR q.due_on IS NULL, 'They are in no figure.', 'payment_customer, payment_due'),
			(85, 'payments of unknown customers', 'warning', q.customer IS NOT NULL AND NOT q.known, 'Their customer is not in the customer table: they are in no figure.', NULL),
			(86, 'payments made after the as-of date', 'note', q.paid_on > $1, 'They count as open until their day.', NULL),
			(87, 'payments open for more than a year', 'note', q.due_on < $1 - 365 AND q.paid_on IS NULL, 'They count as overdue: is the day of payment missing, or are they written off?', 'payment_paid'),
			(88, 'payments of less than nothing', 'note', q.is_credit, 'Credit notes, which nobody pays: they are left out.', 'payment_amount')) v(place, finding, severity, found, advice, argument)
		WHERE v.found GROUP BY v.place, v.finding, v.severity, v.advice, v.argument) f$sql$,
		src.payment_query, src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'q.customer')) USING today;
END $$; -- finds problems in the payments
