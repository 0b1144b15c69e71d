-- Data quality: problems in the data of a source, how many labels they change, and the corrections that a refresh
-- applies

---------------------------------------------------------------- corrections

CREATE FUNCTION crm_profile_internal.word_list(words jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN format('%L::text[]', ARRAY(SELECT lower(btrim(w)) FROM jsonb_array_elements_text(words) w)::text); -- SQL of an array of words in lower case

CREATE FUNCTION crm_profile_internal.source_check_corrections(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	known CONSTANT text[] := '{duplicates,guests,merge_customers,refunds,clip_above,leave_out_above,missing_values}';
	given jsonb;
	one record;
	problem text;
	kind text;
BEGIN
	IF src.corrections IS NULL THEN
		RETURN src;
	END IF;
	BEGIN
		given := src.corrections::jsonb;
	EXCEPTION WHEN data_exception THEN
		PERFORM crm_profile_internal.source_argument_error('corrections', SQLERRM, format('It is: %s.', src.corrections), 'Write corrections => ''{"duplicates": "drop"}''.');
	END;
	IF jsonb_typeof(given) <> 'object' THEN
		PERFORM crm_profile_internal.source_argument_error('corrections', format('it is a JSON %s, not an object', jsonb_typeof(given)), NULL, 'Write corrections => ''{"duplicates": "drop"}''.');
	END IF;
	FOR one IN SELECT e.key, e.value FROM jsonb_each(given) e ORDER BY e.key COLLATE "C" LOOP
		kind := jsonb_typeof(one.value);
		problem := CASE
			WHEN one.key <> ALL (known) THEN format('there is no correction "%s"', one.key)
			WHEN one.value = 'false' THEN NULL
			WHEN one.key = 'duplicates' AND one.value <> '"drop"' THEN '"duplicates" is "drop"'
			WHEN one.key = 'refunds' AND one.value NOT IN ('"pair"', '"cancel"') THEN '"refunds" is "pair" or "cancel"'
			WHEN one.key = 'merge_customers' AND one.value <> 'true' THEN '"merge_customers" is true'
			WHEN one.key IN ('clip_above', 'leave_out_above') AND (kind <> 'number' OR (one.value #>> '{}')::numeric <= 0) THEN format('"%s" is an amount above 0', one.key)
			WHEN one.key = 'guests' AND kind <> 'array' THEN '"guests" is an array of keys'
			WHEN one.key = 'missing_values' AND kind NOT IN ('array', 'object') THEN '"missing_values" is an array of values, or an object of such arrays by attribute'
			WHEN one.key = 'missing_values' AND kind = 'object' AND EXISTS (SELECT FROM jsonb_each(one.value) a WHERE jsonb_typeof(a.value) <> 'array')
				THEN '"missing_values" has an array for each attribute' END;
		IF problem IS NOT NULL THEN
			PERFORM crm_profile_internal.source_argument_error('corrections', problem, format('Corrections are: %s.', array_to_string(known, ', ')),
				'Did you mean ' || CASE WHEN one.key <> ALL (known) THEN crm_profile_internal.near_names(one.key, known) END || '?');
		END IF;
	END LOOP;
	IF given ?& '{clip_above,leave_out_above}' THEN
		PERFORM crm_profile_internal.source_argument_error('corrections', 'there are both clip_above and leave_out_above', NULL, 'Give one of them.');
	END IF;
	src.corrections := given::text;
	RETURN src;
END $$; -- the argument corrections, checked

CREATE FUNCTION crm_profile_internal.attribute_expression(src crm_profile.source_definition, attribute text, expression text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT CASE WHEN w.words IS NULL THEN expression
			ELSE format('CASE WHEN pg_catalog.lower(pg_catalog.btrim((%1$s)::pg_catalog.text)) OPERATOR(pg_catalog.=) ANY (%2$s) THEN NULL ELSE %1$s END', expression, crm_profile_internal.word_list(w.words)) END
		FROM (SELECT crm_profile_internal.source_correction(src, 'missing_values') AS given) g,
			LATERAL (SELECT CASE jsonb_typeof(g.given) WHEN 'array' THEN g.given ELSE g.given -> attribute END AS words) w);
COMMENT ON FUNCTION crm_profile_internal.attribute_expression IS 'SQL of an attribute, with NULL in place of words that stand for missing';

CREATE FUNCTION crm_profile_internal.source_orders_with(src crm_profile.source_definition, columns text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- the clause of the query itself: those of subqueries are indented further
	RETURN (SELECT CASE WHEN p.at > 0 THEN overlay(src.orders_query PLACING columns FROM p.at FOR 0) ELSE src.orders_query END FROM (SELECT strpos(src.orders_query, E'\n   FROM ') AS at) p); -- the query of orders with more columns, given as SQL over the columns of the orders with a leading comma

CREATE FUNCTION crm_profile_internal.source_row_identity(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- columns that a second import fills anew do not count: single-column keys, columns that the table fills in by
	-- itself, times of writing
	RETURN (SELECT ', ' || coalesce(format('hash_record_extended(ROW(%s), 0)', string_agg(quote_ident(a.attname) || CASE WHEN t.hashes THEN '' ELSE '::text' END, ', ' ORDER BY a.attnum)), 'NULL::bigint') || ' AS row_identity'
		FROM pg_attribute a JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod
				WHERE m.amname = 'hash' AND c.opcdefault AND c.opcintype = CASE crm_profile_internal.base_type(a.atttypid) WHEN 'varchar'::regtype THEN 'text'::regtype ELSE crm_profile_internal.base_type(a.atttypid) END) AS hashes) t ON true
		WHERE src.orders !~* '^\s*(select|with|values|table)\s|^\s*\(' AND a.attrelid = to_regclass(src.orders) AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
			AND quote_ident(a.attname) <> ALL (ARRAY[src.order_customer, src.ordered_at, src.amount, coalesce(src.cost, ''), coalesce(src.order_key, '')])
			AND a.attidentity = '' AND NOT EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND pg_get_expr(d.adbin, d.adrelid) ~ 'nextval\(|uuid|now\(|CURRENT_')
			AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
			AND crm_profile_internal.snake_name(a.attname) !~ '^((order|row|line|import|batch)_?)?(id|no|nr|number|nummer|uuid)$|(^|_)(created|updated|modified|inserted|imported|loaded|synced)(_|$)');
COMMENT ON FUNCTION crm_profile_internal.source_row_identity IS
	'SQL, with a leading comma, of a column that distinguishes rows of the order table by columns that the source does not read; NULLs if there are none';

CREATE FUNCTION crm_profile_internal.source_layers(src crm_profile.source_definition, among text DEFAULT NULL, OUT place integer, OUT correction text, OUT told text, OUT touched text, OUT query text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp ROWS 5 AS $$
DECLARE
	beside CONSTANT text := concat(CASE WHEN src.cost IS NOT NULL THEN ', o.cost' END, CASE WHEN src.order_key IS NOT NULL THEN ', o.order_key' END, ', o.row_identity');
	by_lines CONSTANT boolean := src.order_key IS NOT NULL;
	clip CONSTANT text := crm_profile_internal.source_correction(src, 'clip_above') #>> '{}';
	most CONSTANT text := crm_profile_internal.source_correction(src, 'leave_out_above') #>> '{}';
	refunds CONSTANT text := crm_profile_internal.source_correction(src, 'refunds') #>> '{}';
	guests CONSTANT text := crm_profile_internal.word_list(crm_profile_internal.source_correction(src, 'guests'));
	-- counts are of orders, not of their lines
	by_order CONSTANT text := CASE WHEN src.order_key IS NULL THEN '%s' ELSE 'SELECT t.customer, sum(t.amount) AS amount FROM (%s) t GROUP BY t.customer, t.order_key' END;
	told_beside CONSTANT text := CASE WHEN src.order_key IS NOT NULL THEN ', o.order_key' ELSE '' END;
	-- a refresh that reads but some customers goes by what it has noted of who is who, whatever is decided meanwhile
	identity CONSTANT text := format('%I.%I', src.name, CASE src.track_changes WHEN 'none' THEN 'customer_identity' ELSE 'identity_in_use' END);
	below text;
	cancelled text;
BEGIN
	IF src.corrections IS NULL THEN
		RETURN;
	END IF;
	below := crm_profile_internal.source_orders_with(src, crm_profile_internal.source_row_identity(src));
	IF among IS NOT NULL THEN
		below := format('SELECT o.* FROM (%s) o WHERE %s', below, among);
	END IF;
	place := 0;
	IF crm_profile_internal.source_correction(src, 'duplicates') IS NOT NULL THEN
		correction := 'duplicates';
		told := 'copies of other orders are left out';
		touched := format('(SELECT o.*, row_number() OVER (PARTITION BY o.customer, o.ordered_at, o.amount%s) AS copy FROM (%s) o) o', beside, below);
		query := format('SELECT o.customer, o.ordered_at, o.amount%s FROM %s WHERE o.copy = 1', beside, touched);
		touched := format('SELECT o.customer, o.amount FROM %s WHERE o.copy > 1', touched);
		place := place + 1;
		RETURN NEXT;
		below := query;
	END IF;
	IF crm_profile_internal.source_correction(src, 'guests') IS NOT NULL THEN
		correction := 'guests';
		told := 'orders of keys that stand for many have no customer';
		touched := format(by_order, format('SELECT o.customer, o.amount%s FROM (%s) o WHERE lower(btrim(o.customer::text)) = ANY (%s)', told_beside, below, guests));
		query := format('SELECT CASE WHEN lower(btrim(o.customer::text)) = ANY (%s) THEN NULL ELSE o.customer END AS customer, o.ordered_at, o.amount%s FROM (%s) o', guests, beside, below);
		place := place + 1;
		RETURN NEXT;
		below := query;
	END IF;
	IF crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL THEN
		correction := 'merge_customers';
		told := 'orders of a customer''s second key are those of the first, by customer_identity';
		touched := format(by_order, format('SELECT o.customer, o.amount%s FROM (%s) o JOIN %s i ON %s', told_beside, below, identity, crm_profile_internal.same_key(src.key_type, 'i.customer', 'o.customer')));
		query := format('SELECT coalesce(i.person, o.customer) AS customer, o.ordered_at, o.amount%s FROM (%s) o LEFT JOIN %s i ON %s', beside, below, identity,
			crm_profile_internal.same_key(src.key_type, 'i.customer', 'o.customer'));
		place := place + 1;
		RETURN NEXT;
		below := query;
	END IF;
	IF most IS NOT NULL THEN
		correction := 'leave_out_above';
		told := format('orders and refunds above %s are left out', most);
		touched := CASE WHEN by_lines THEN format('(SELECT o.*, CASE WHEN o.order_key IS NULL THEN o.amount ELSE sum(o.amount) OVER (PARTITION BY o.customer, o.order_key) END AS total FROM (%s) o) o', below)
			ELSE format('(SELECT o.*, o.amount AS total FROM (%s) o) o', below) END;
		query := format('SELECT o.customer, o.ordered_at, o.amount%s FROM %s WHERE abs(o.total) > %s IS NOT TRUE', beside, touched, most);
		touched := format(by_order, format('SELECT o.customer, o.amount%s FROM %s WHERE abs(o.total) > %s', told_beside, touched, most));
		place := place + 1;
		RETURN NEXT;
		below := query;
	END IF;
	IF refunds IS NOT NULL THEN
		correction := 'refunds';
		told := CASE refunds WHEN 'pair' THEN 'a refund counts on the day of the order that it cancels' ELSE 'orders that were refunded in full, and their refunds, are left out' END;
		-- within a customer and an amount, orders go up a step and refunds go down: a refund cancels the order that
		-- went up to its step
		cancelled := format('(SELECT s.*, CASE WHEN s.amount < 0 THEN lag(s.ordered_at) OVER w ELSE lead(s.ordered_at) OVER w END AS mate
	FROM (SELECT o.*, sum(sign(o.amount)) OVER (PARTITION BY o.customer, abs(o.amount) ORDER BY o.ordered_at, o.amount DESC ROWS UNBOUNDED PRECEDING) + (o.amount < 0)::integer AS step
		FROM %s o) s WINDOW w AS (PARTITION BY s.customer, abs(s.amount), s.step ORDER BY s.ordered_at, s.amount DESC))',
			CASE WHEN by_lines THEN format('(SELECT o.customer, o.order_key, min(o.ordered_at) AS ordered_at, sum(o.amount) AS amount FROM (%s) o WHERE o.order_key IS NOT NULL GROUP BY o.customer, o.order_key)', below)
				ELSE format('(%s)', below) END);
		IF by_lines THEN
			touched := format('SELECT c.customer, c.amount FROM %s c WHERE c.mate IS NOT NULL AND c.customer IS NOT NULL AND c.amount <> 0', cancelled);
			cancelled := format('(SELECT o.*, c.amount AS total, c.mate FROM (%s) o LEFT JOIN (SELECT c.* FROM %s c WHERE c.mate IS NOT NULL AND c.amount <> 0) c ON c.customer = o.customer AND c.order_key = o.order_key)', below, cancelled);
		ELSE
			touched := format('SELECT c.customer, c.amount FROM %s c WHERE c.mate IS NOT NULL AND c.customer IS NOT NULL AND c.amount <> 0', cancelled);
			cancelled := format('(SELECT c.*, c.amount AS total FROM %s c)', cancelled);
		END IF;
		query := CASE refunds
			WHEN 'pair' THEN format('SELECT o.customer, CASE WHEN o.total < 0 AND o.customer IS NOT NULL THEN coalesce(o.mate, o.ordered_at) ELSE o.ordered_at END AS ordered_at, o.amount%s FROM %s o', beside, cancelled)
			ELSE format('SELECT o.customer, o.ordered_at, o.amount%s FROM %s o WHERE o.mate IS NULL OR o.customer IS NULL OR o.total = 0', beside, cancelled) END;
		place := place + 1;
		RETURN NEXT;
		below := query;
	END IF;
	IF clip IS NOT NULL THEN
		correction := 'clip_above';
		told := format('orders and refunds above %s count as %1$s', clip);
		IF by_lines THEN
			touched := format('SELECT o.customer, sum(o.amount) AS amount FROM (%s) o WHERE o.order_key IS NOT NULL GROUP BY o.customer, o.order_key HAVING abs(sum(o.amount)) > %s', below, clip);
			-- an additional line reduces the order to the limit
			query := format('SELECT o.customer, o.ordered_at, o.amount%1$s FROM (%2$s) o UNION ALL SELECT o.customer, min(o.ordered_at), sign(sum(o.amount)) * %3$s - sum(o.amount)%4$s, o.order_key, NULL FROM (%2$s) o WHERE o.order_key IS NOT NULL GROUP BY o.customer, o.order_key HAVING abs(sum(o.amount)) > %3$s',
				beside, below, clip, CASE WHEN src.cost IS NOT NULL THEN ', NULL' END);
		ELSE
			touched := format('SELECT o.customer, o.amount FROM (%s) o WHERE abs(o.amount) > %s', below, clip);
			query := format('SELECT o.customer, o.ordered_at, greatest(least(o.amount, %1$s), -%1$s) AS amount%2$s FROM (%3$s) o', clip, beside, below);
		END IF;
		place := place + 1;
		RETURN NEXT;
	END IF;
END $$; -- the corrections of a source, each a query of orders over the one before, the first over those orders o that satisfy a condition (among), if any; touched: customer and amount of each order that it changes; told: the correction in words

CREATE FUNCTION crm_profile_internal.source_orders_query(src crm_profile.source_definition, with_identity boolean DEFAULT false, among text DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT CASE
			WHEN l.query IS NULL AND with_identity THEN crm_profile_internal.source_orders_with(src, crm_profile_internal.source_row_identity(src))
			WHEN with_identity THEN l.query
			WHEN l.query IS NULL AND among IS NULL THEN src.orders_query
			ELSE format('SELECT q.customer, q.ordered_at, q.amount%s%s FROM (%s) q', CASE WHEN src.cost IS NOT NULL THEN ', q.cost' END, CASE WHEN src.order_key IS NOT NULL THEN ', q.order_key' END,
				coalesce(l.query, format('SELECT o.* FROM (%s) o WHERE %s', src.orders_query, among))) END
		FROM (SELECT) one LEFT JOIN (SELECT s.query FROM crm_profile_internal.source_layers(src, among) s ORDER BY s.place DESC LIMIT 1) l ON true);
COMMENT ON FUNCTION crm_profile_internal.source_orders_query IS
	'the query of orders that a refresh runs, with the corrections of the source; with_identity: with a column that distinguishes rows; among: of orders o that satisfy this condition alone';

---------------------------------------------------------------- what is found

CREATE TYPE crm_profile.source_finding AS ( -- a problem in the data of a source, or a correction: a row of the table finding of its schema
	place integer, -- position, for sorting
	finding text, -- what was found
	severity text, -- error: a refresh fails, or the views are wrong; warning; note; corrected
	rows bigint, -- number of orders, even if rows are order lines; for the customer table, number of rows
	customers bigint, -- number of customers who have such rows; NULL: not about customers
	revenue numeric, -- amount of these orders; NULL: not about amounts, or from fewer than five customers, not all of whom the reader may see
	customers_changed bigint, -- number of customers who would get another segment or value tier if it were corrected; NULL: not computed
	advice text, -- what to do about it
	argument text, -- the argument of alter_source() that corrects it
	found_at timestamptz, -- when it was found
	found_by text -- refresh or check_source
);

CREATE TYPE crm_profile_internal.key_sample AS (customer text, revenue numeric);
COMMENT ON TYPE crm_profile_internal.key_sample IS 'an example of the customers that a finding is about';
COMMENT ON COLUMN crm_profile_internal.key_sample.customer IS 'the key';
COMMENT ON COLUMN crm_profile_internal.key_sample.revenue IS 'amount of the orders that the finding is about';

CREATE TYPE crm_profile_internal.found AS (finding crm_profile.source_finding, samples crm_profile_internal.key_sample[]);
COMMENT ON TYPE crm_profile_internal.found IS 'a finding with examples';
COMMENT ON COLUMN crm_profile_internal.found.finding IS 'the finding';
COMMENT ON COLUMN crm_profile_internal.found.samples IS 'up to five customers, those with the largest amounts first';

CREATE FUNCTION crm_profile_internal.sample_keys_transfn(state crm_profile_internal.key_sample[], customer text, revenue numeric) RETURNS crm_profile_internal.key_sample[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	-- each customer once, by the largest of the amounts
	RETURN CASE WHEN cardinality(state) = 5 AND (-coalesce(abs(revenue), -1), customer COLLATE "C") > (-coalesce(abs(state[5].revenue), -1), state[5].customer COLLATE "C") THEN state
		ELSE ARRAY(SELECT k.s FROM (SELECT DISTINCT ON (s.customer COLLATE "C") s FROM unnest(state || ROW(customer, trim_scale(revenue))::crm_profile_internal.key_sample) s ORDER BY s.customer COLLATE "C", abs(s.revenue) DESC NULLS LAST) k
			ORDER BY abs((k.s).revenue) DESC NULLS LAST, (k.s).customer COLLATE "C" LIMIT 5) END;
COMMENT ON FUNCTION crm_profile_internal.sample_keys_transfn IS 'aggregate transition function';
CREATE AGGREGATE crm_profile_internal.sample_keys(customer text, revenue numeric) (
	SFUNC = crm_profile_internal.sample_keys_transfn, STYPE = crm_profile_internal.key_sample[], INITCOND = '{}',
	PARALLEL = SAFE); -- five of the customers, those with the largest amounts, in that order

---------------------------------------------------------------- orders

CREATE FUNCTION crm_profile_internal.order_faults(key anyelement, query text, identified text, today date,
	OUT fault text, OUT customer anyelement, OUT day date, OUT "time" bigint, OUT amount numeric, OUT cost numeric, OUT facts jsonb) RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10000; -- problems in a query of orders: a row for each faulty order, and one row facts with counts; optional columns lines and equal_lines; identified: the query with a column row_identity that distinguishes rows; NULL to skip the search for copies

CREATE FUNCTION crm_profile_internal.collect_valid_histories(key anyelement, query text, OUT customer anyelement, OUT history crm_profile.purchase_history) RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 SUPPORT crm_profile_internal.row_stream_support; -- collect_purchase_histories() that skips the rows at which that one stops: amounts that are not finite or have too many digits, and infinite days

CREATE FUNCTION crm_profile_internal.label_changes_transfn(state internal, history crm_profile.purchase_history, lifecycle text, corrected crm_profile.purchase_history[], lifecycles text[],
	as_of date, bins integer, period interval, by_profit boolean, segments crm_profile.segment_scheme) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.label_changes_finalfn(state internal) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.label_changes(history crm_profile.purchase_history, lifecycle text, corrected crm_profile.purchase_history[], lifecycles text[],
		as_of date, bins integer, period interval, by_profit boolean, segments crm_profile.segment_scheme) (
	SFUNC = crm_profile_internal.label_changes_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.label_changes_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE); -- how many customers would get another segment or tier by each of several corrections, given their corrected histories (NULL: unchanged by that correction), and the thresholds: an array whose first element is without corrections

CREATE FUNCTION crm_profile_internal.source_order_rows(src crm_profile.source_definition, orders text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN src.order_key IS NULL THEN orders
		ELSE format('SELECT q.customer, min(q.ordered_at) FILTER (WHERE q.amount IS NOT NULL) AS ordered_at, sum(q.amount::numeric) AS amount%1$s, count(*) AS lines, min(q.amount) = max(q.amount) AS equal_lines FROM (%3$s) q WHERE q.order_key IS NOT NULL GROUP BY q.customer, q.order_key
UNION ALL SELECT q.customer, q.ordered_at, q.amount::numeric%2$s, 1, NULL FROM (%3$s) q WHERE q.order_key IS NULL',
			CASE WHEN src.cost IS NOT NULL THEN ', sum(q.cost::numeric) AS cost' END, CASE WHEN src.cost IS NOT NULL THEN ', q.cost::numeric' END, orders) END;
COMMENT ON FUNCTION crm_profile_internal.source_order_rows IS 'turns a query of orders or of order lines into one with a row per order';

CREATE FUNCTION crm_profile_internal.guest_keys() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '{0,-1,9999,99999,999999,9999999,99999999,999999999,"",guest,gast,anonymous,anonym,unknown,unbekannt,n/a,na,none,null,nil,-,?,walk-in,walkin,"walk in",cash,counter,test,dummy,00000000-0000-0000-0000-000000000000}'::text[]; -- keys that do not stand for a single customer, in lower case

CREATE FUNCTION crm_profile_internal.early_refunds(history crm_profile.purchase_history, refunds crm_profile.purchase_history) RETURNS crm_profile.purchase_history
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT crm_profile.purchase_history_agg(p.day, p.amount) FROM crm_profile.purchases(refunds) p, (SELECT crm_profile.first_purchase(history) AS first) f WHERE f.first IS NULL OR p.day < f.first); -- the refunds before the first order of a history; NULL if there are none

CREATE FUNCTION crm_profile_internal.whole_amount(history crm_profile.purchase_history) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 50
	RETURN (SELECT sum(p.amount) FROM crm_profile.purchases(history) p); -- the amount of all days, orders or not

CREATE FUNCTION crm_profile_internal.whole_orders(history crm_profile.purchase_history) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 50
	RETURN (SELECT sum(p.orders) FROM crm_profile.purchases(history) p); -- the number of orders of all days

CREATE TYPE crm_profile_internal.odd_customer AS (kind text, customer text, orders numeric, amount numeric);
COMMENT ON TYPE crm_profile_internal.odd_customer IS 'a conspicuous customer';
COMMENT ON COLUMN crm_profile_internal.odd_customer.kind IS 'guest: not a single customer; stranger: not in the customer table; early: refunds before the first order';
COMMENT ON COLUMN crm_profile_internal.odd_customer.customer IS 'the key';
COMMENT ON COLUMN crm_profile_internal.odd_customer.orders IS 'orders of that customer';
COMMENT ON COLUMN crm_profile_internal.odd_customer.amount IS 'amount of these orders, or of the early refunds';

CREATE FUNCTION crm_profile_internal.is_unique_key(relation regclass, key text) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = relation AND a.attname = key AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL);
COMMENT ON FUNCTION crm_profile_internal.is_unique_key IS 'whether no two rows of a table can have the same key';

-- The order of corrections in the arrays for label_changes()
CREATE FUNCTION crm_profile_internal.find_in_orders_query(src crm_profile.source_definition, orders text, today date) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
DECLARE
	same_delta CONSTANT text := crm_profile_internal.same_key(src.key_type, 'd.customer', 'h.customer');
	same_customer CONSTANT text := crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'h.customer');
	-- keys in the customer table that consist of nines are real customers, and so are others there with few orders
	guest CONSTANT text := (SELECT format('(h.customer%1$s = ANY (%2$L::%3$s[]) AND (c.%4$I IS NULL OR h.customer%1$s <> ALL (%5$L::%3$s[]) AND crm_profile_internal.whole_orders(h.history) >= 20))', k.made, array_agg(g), k.type, src.customer_key, array_agg(g) FILTER (WHERE g ~ '^9+$'))
		FROM unnest(crm_profile_internal.guest_keys()) g,
			LATERAL (SELECT src.key_type IN ('smallint', 'integer', 'bigint') AS number) n,
			LATERAL (SELECT CASE WHEN n.number THEN '' ELSE '::text' END AS made, CASE WHEN n.number THEN src.key_type ELSE 'text' END AS type) k
		WHERE NOT n.number OR g ~ '^-?[0-9]+$' AND (length(g) < 5 OR src.key_type <> 'smallint') GROUP BY k.made, k.type);
	lifecycle CONSTANT text := 'crm_profile.lifecycle(%s, m.today, m.active_days, m.clv)';
	corrections CONSTANT text[] := '{placeholder,zero,outlier,duplicate,cancelled,early,guest,stranger}';
BEGIN
	RETURN format($sql$WITH seen AS MATERIALIZED (SELECT f.* FROM crm_profile_internal.order_faults(NULL::%1$s, $1, $7, $3) f),
	facts AS MATERIALIZED (SELECT f.facts, (f.facts ->> 'fence')::numeric AS fence FROM seen f WHERE f.fault = 'facts'),
	-- see source_layers(): an order goes up a step, a refund goes down
	cancelled AS (
		SELECT s.customer, s.day, s.amount, s.cost FROM (
			SELECT s.*, CASE WHEN s.amount < 0 THEN lag(s.time) OVER w ELSE lead(s.time) OVER w END AS mate FROM (
				SELECT o.*, sum(sign(o.amount)) OVER (PARTITION BY o.customer, abs(o.amount) ORDER BY o.time, o.amount DESC ROWS UNBOUNDED PRECEDING) + (o.amount < 0)::integer AS step
				FROM seen o WHERE o.fault IN ('refund', 'refunded')) s
			WINDOW w AS (PARTITION BY s.customer, abs(s.amount), s.step ORDER BY s.time, s.amount DESC)) s
		WHERE s.mate IS NOT NULL),
	flagged AS (
		SELECT f.fault, f.customer, f.day, f.amount, f.cost FROM seen f WHERE f.fault NOT IN ('facts', 'refunded')
		UNION ALL SELECT 'cancelled', c.customer, c.day, c.amount, c.cost FROM cancelled c),
	by_customer AS MATERIALIZED (
		SELECT f.fault, f.customer, count(*) AS rows, sum(f.amount) AS amount, crm_profile.purchase_history_agg(f.day, f.amount, f.cost) AS removed,
			crm_profile.purchase_history_agg(f.day, sign(f.amount) * l.fence, f.cost) FILTER (WHERE f.fault = 'outlier') AS added
		FROM flagged f CROSS JOIN facts l GROUP BY f.fault, f.customer),
	told AS (
		SELECT b.fault, sum(b.rows)::bigint AS rows, count(b.customer) AS customers, sum(b.amount) AS amount, crm_profile_internal.sample_keys(b.customer::text, b.amount) FILTER (WHERE b.customer IS NOT NULL) AS samples
		FROM by_customer b GROUP BY b.fault),
	delta AS (
		SELECT b.customer, %2$s, crm_profile.purchase_history_merge_agg(b.added) AS clipped, crm_profile.purchase_history_merge_agg(b.removed) FILTER (WHERE b.fault = 'refund') AS refunds
		FROM by_customer b WHERE b.customer IS NOT NULL AND b.fault <> 'future day' GROUP BY b.customer),
	m AS (SELECT $3 AS today, $4::integer AS active_days, $5::crm_profile.clv_model AS clv),
	everybody AS MATERIALIZED (
		SELECT crm_profile_internal.label_changes(b.history, %3$s, x.corrected, CASE WHEN x.corrected IS NOT NULL THEN ARRAY(SELECT %4$s FROM unnest(x.corrected) WITH ORDINALITY u(h, place) ORDER BY u.place) END,
				$3, %5$s, %6$s, %7$L, $6::crm_profile.segment_scheme) AS labels,
			array_agg(ROW(o.kind, h.customer::text, CASE o.kind WHEN 'early' THEN (SELECT count(*) FROM crm_profile.purchases(e.early)) ELSE crm_profile_internal.whole_orders(h.history) END, crm_profile_internal.whole_amount(CASE o.kind WHEN 'early' THEN e.early ELSE h.history END))::crm_profile_internal.odd_customer) FILTER (WHERE o.kind IS NOT NULL) AS odd,
			count(*) - count(crm_profile.first_purchase(h.history)) AS without_order, count(CASE WHEN c.%12$I IS NOT NULL THEN crm_profile.first_purchase(h.history) END) AS buyers
		FROM m CROSS JOIN crm_profile_internal.collect_valid_histories(NULL::%1$s, $2) h LEFT JOIN delta d ON %8$s LEFT JOIN %9$s c ON %10$s
			CROSS JOIN LATERAL (SELECT CASE WHEN d.refunds IS NOT NULL THEN crm_profile_internal.early_refunds(h.history, d.refunds) END AS early) e
			CROSS JOIN LATERAL (SELECT CASE WHEN %11$s THEN 'guest' WHEN c.%12$I IS NULL THEN 'stranger' WHEN e.early IS NOT NULL THEN 'early' END AS kind OFFSET 0) o
			-- who does not count now would, instead of being left out
			CROSS JOIN LATERAL (SELECT CASE WHEN %14$s THEN h.history ELSE '{}'::crm_profile.purchase_history END AS history, %14$s AS counts OFFSET 0) b
			CROSS JOIN LATERAL (SELECT CASE WHEN NOT b.counts THEN CASE o.kind WHEN 'stranger' THEN array_fill(NULL::crm_profile.purchase_history, '{7}') || h.history END WHEN d.customer IS NOT NULL OR o.kind IS NOT NULL THEN ARRAY[%13$s,
				h.history OPERATOR(crm_profile.-) e.early, CASE WHEN o.kind = 'guest' THEN '{}'::crm_profile.purchase_history END, CASE WHEN o.kind = 'stranger' THEN '{}'::crm_profile.purchase_history END] END AS corrected) x)
	SELECT f.facts, e.labels, e.without_order, e.buyers, ARRAY(SELECT jsonb_build_object('fault', t.fault, 'rows', t.rows, 'customers', t.customers, 'amount', t.amount, 'samples', to_jsonb(t.samples)) FROM told t
			UNION ALL SELECT jsonb_build_object('fault', o.kind, 'rows', sum(o.orders), 'customers', count(*), 'amount', sum(o.amount), 'samples', to_jsonb(crm_profile_internal.sample_keys(o.customer, o.amount))) FROM unnest(e.odd) o GROUP BY o.kind) AS told
	FROM facts f LEFT JOIN everybody e ON true$sql$,
		src.key_type,
		(SELECT string_agg(format('crm_profile.purchase_history_merge_agg(b.removed) FILTER (WHERE b.fault = %L) AS %I', CASE c WHEN 'placeholder' THEN 'placeholder day' ELSE c END, c), ', ' ORDER BY place)
			FROM unnest(corrections[1:5]) WITH ORDINALITY u(c, place)),
		format(lifecycle, 'b.history'), format(lifecycle, 'u.h'), src.bins, crm_profile_internal.source_period(src), src.tier_by = 'profit', same_delta,
		CASE WHEN crm_profile_internal.is_unique_key(src.customers::regclass, src.customer_key) THEN src.customers ELSE format('(SELECT DISTINCT k.%I FROM %s k)', src.customer_key, src.customers) END,
		same_customer, guest, src.customer_key,
		(SELECT string_agg(CASE c WHEN 'outlier' THEN 'h.history OPERATOR(crm_profile.-) d.outlier OPERATOR(crm_profile.||) d.clipped' ELSE format('h.history OPERATOR(crm_profile.-) d.%I', c) END, ', ' ORDER BY place)
			FROM unnest(corrections[1:5]) WITH ORDINALITY u(c, place)), CASE WHEN src.count_unknown THEN 'true' ELSE format('c.%I IS NOT NULL', src.customer_key) END);
END $$; -- the query that finds problems in the orders of a source, and whose labels they change: $1 the orders, one row each, $2 the orders, $3 today, $4 the active window, $5 the model of purchases, $6 the scheme, $7 as $1, with row_identity

CREATE FUNCTION crm_profile_internal.found_row(place integer, finding text, severity text, rows numeric, customers numeric, revenue numeric, changed text, advice text, argument text,
	samples crm_profile_internal.key_sample[] DEFAULT '{}') RETURNS crm_profile_internal.found
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN ROW(ROW(place, finding, severity, rows::bigint, customers::bigint, trim_scale(revenue), changed::bigint, advice, argument, NULL, 'check_source')::crm_profile.source_finding, samples)::crm_profile_internal.found; -- a finding with its samples

CREATE FUNCTION crm_profile_internal.missing_days(day_counts jsonb, today date) RETURNS TABLE (days integer, stretches text)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
	BEGIN ATOMIC
		WITH day AS (
			SELECT today - (c.back - 1)::integer AS day, c.n::bigint AS n FROM jsonb_array_elements_text(day_counts) WITH ORDINALITY c(n, back)),
		span AS (SELECT min(d.day) AS first, max(d.day) AS last FROM day d WHERE d.n > 0),
		-- a day is missing if its weekday has so many orders, in the weeks around, that none at all cannot be chance
		around AS (
			SELECT d.day, d.n, avg(d.n) OVER (PARTITION BY extract(isodow FROM d.day) ORDER BY d.day ROWS BETWEEN 8 PRECEDING AND 8 FOLLOWING) AS usual
			FROM day d, span s WHERE d.day BETWEEN s.first AND s.last),
		missing AS (
			SELECT a.day, a.day - row_number() OVER (ORDER BY a.day)::integer AS stretch FROM around a WHERE a.n = 0 AND a.usual >= 15),
		stretch AS (SELECT min(m.day) AS first, max(m.day) AS last, count(*) AS days FROM missing m GROUP BY m.stretch)
		SELECT sum(s.days)::integer, string_agg(CASE s.days WHEN 1 THEN s.first::text ELSE s.first || ' to ' || s.last END, ', ' ORDER BY s.days DESC, s.first) FILTER (WHERE s.place <= 5)
		FROM (SELECT t.*, row_number() OVER (ORDER BY t.days DESC, t.first) AS place FROM stretch t) s;
	END; -- days without orders on which there should have been many; day_counts: orders by day, back from today

CREATE FUNCTION crm_profile_internal.time_shift(hours jsonb, on_the_hour jsonb, timed bigint, orders bigint) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		WITH hour AS (
			SELECT h.place - 1 AS hour, h.n::bigint AS n, (on_the_hour ->> (h.place - 1)::integer)::bigint AS sharp FROM jsonb_array_elements_text(hours) WITH ORDINALITY h(n, place)),
		-- five hours in a row with hardly any orders are the night
		quiet AS (
			SELECT h.hour, (SELECT sum(k.n) FROM hour k WHERE (k.hour - h.hour + 24) % 24 < 5) AS n FROM hour h ORDER BY 2, 1 LIMIT 1)
		SELECT CASE
			WHEN orders >= 20 AND (SELECT max(h.sharp) FROM hour h) >= 0.9 * orders THEN
				(SELECT format('nearly all orders are at %s:00: days that were shifted on their way', lpad(h.hour::text, 2, '0')) FROM hour h ORDER BY h.sharp DESC LIMIT 1)
			WHEN timed >= 500 AND q.n <= 0.02 * timed AND q.hour BETWEEN 7 AND 18 THEN
				format('the quiet hours, which should be a night, begin at %s:00', lpad(q.hour::text, 2, '0')) END
		FROM quiet q;
	END; -- why time stamps look shifted by a time zone; NULL if they do not

CREATE FUNCTION crm_profile_internal.find_in_orders(src crm_profile.source_definition, orders text, identified text, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	model crm_profile.source_model;
	e record;
	f jsonb;
	fence numeric;
	customers bigint;
	copies text;
	t crm_profile_internal.found;
BEGIN
	EXECUTE format('SELECT count(%s c.%I) FROM %s c', CASE WHEN NOT crm_profile_internal.is_unique_key(src.customers::regclass, src.customer_key) THEN 'DISTINCT' END, src.customer_key, src.customers) INTO customers;
	IF to_regclass(format('%I.model', src.name)) IS NOT NULL THEN
		model := crm_profile_internal.source_last_model(src);
	END IF;
	EXECUTE crm_profile_internal.find_in_orders_query(src, orders, today) INTO e
		USING crm_profile_internal.source_order_rows(src, orders), orders, today, model.active_days, model.clv, crm_profile.compile_scheme(src.scheme), CASE WHEN src.order_key IS NULL THEN identified END;
	f := e.facts;
	fence := (f ->> 'fence')::numeric;
	FOR t IN SELECT (q.f).* FROM (
		SELECT crm_profile_internal.found_row(v.place, v.finding, v.severity, (f -> v.tally ->> 0)::numeric, NULL, CASE WHEN v.money THEN (f -> v.tally ->> 1)::numeric END, '0', v.advice, v.argument)
		FROM (VALUES
			(10, 'not a number', 'amounts that are no number', 'error', false, 'NaN or infinite: a refresh stops at them. Leave them out, or correct them.', format('order_filter => %L', format('(%s)::numeric NOT IN (''NaN'', ''Infinity'', ''-Infinity'')', src.amount))),
			(11, 'endless day', 'days without end', 'error', true, 'infinity or -infinity: a refresh stops at them. Leave them out, or correct them.', format('order_filter => %L', format('isfinite(%s)', src.ordered_at))),
			(12, 'too fine', 'amounts of more than 6 decimals', 'error', false, 'A refresh stops at them.', 'amount_scale => 2'),
			(13, 'too large', 'amounts out of range', 'error', false, 'They have more than 18 digits: a refresh stops at them. Leave them out, or correct them.', format('order_filter => %L', format('abs(%s) < 1e12', src.amount))),
			(14, 'unusable cost', 'costs that are no amount', 'error', true, 'NaN, infinite, or of too many digits or decimals: a refresh stops at them.', format('cost => %L', format('CASE WHEN abs(%1$s) < 1e12 THEN round((%1$s)::numeric, 2) END', src.cost))),
			(20, 'no customer', 'orders without customer', 'warning', true, 'They count in totals alone: segment_summary has them as (no customer).', NULL),
			(21, 'no day', 'orders without day', 'warning', true, 'They are left out of everything.', NULL),
			(22, 'no amount', 'orders without amount', 'warning', false, 'They are left out of everything.', NULL)) v(place, tally, finding, severity, money, advice, argument)
		WHERE (f -> v.tally ->> 0)::bigint > 0
		UNION ALL
		SELECT crm_profile_internal.found_row(v.place, v.finding, v.severity, (w.told ->> 'rows')::numeric, (w.told ->> 'customers')::numeric, (w.told ->> 'amount')::numeric,
			CASE WHEN v.correction IS NULL THEN '0' ELSE e.labels -> v.correction ->> 'changed' END, v.advice, v.argument, ARRAY(SELECT s FROM jsonb_populate_recordset(NULL::crm_profile_internal.key_sample, w.told -> 'samples') s))
		FROM unnest(e.told) w(told) JOIN (VALUES
			(30, 'future day', NULL, 'orders after the as-of date', 'warning', 'They are stored, but the views do not count them before their day.', NULL),
			(31, 'placeholder day', 1, 'orders of 1970 or before', 'warning', 'Days that stand for unknown? Leave them out, or correct them.', format('order_filter => %L', format('%s > date ''1970-01-01''', src.ordered_at))),
			(40, 'duplicate', 4, 'orders that are copies of others', CASE WHEN (f ->> 'timed')::bigint > 0 THEN 'warning' ELSE 'note' END,
				'Equal in customer, time, amount' || CASE WHEN identified ~ 'NULL::bigint AS row_identity' THEN '' ELSE ' and all else but keys' END || ': imported twice?'
				|| CASE WHEN (f ->> 'timed')::bigint > 0 THEN '' ELSE ' The orders have no time of day: two of a day may be meant.' END, 'corrections => ''{"duplicates": "drop"}'''),
			(50, 'zero', 2, 'orders of amount 0', 'note', 'Counted as orders.', format('order_filter => %L', format('%s <> 0', src.amount))),
			(51, 'outlier', 3, 'amounts out of proportion', 'warning', format('Beyond %s, where the half of all orders has %s or less: typing errors?', trim_scale(fence), round((f ->> 'median')::numeric, 2)), format('corrections => ''{"clip_above": %s}''', trim_scale(fence))),
			(60, 'refund', NULL, 'refunds', 'note', 'Negative amounts: they lower monetary on their day and are no orders.', NULL),
			(61, 'cancelled', 5, 'orders refunded in full, and their refunds', 'note', 'The order counts as one, the refund on its own day.', 'corrections => ''{"refunds": "cancel"}'''),
			(62, 'early', 6, 'refunds without a purchase', 'warning', 'Refunds before the first order of their customer: the orders are older than the data, or order_filter leaves them out.', NULL),
			(24, 'guest', 7, 'a guest key that stands for many', 'warning', 'One customer to the views, though anybody may have ordered.',
				format('corrections => %L', jsonb_build_object('guests', ARRAY(SELECT lower(btrim(s.customer)) FROM unnest(e.told) g(told), jsonb_populate_recordset(NULL::crm_profile_internal.key_sample, g.told -> 'samples') s WHERE g.told ->> 'fault' = 'guest'))::text)),
			(23, 'stranger', 8, 'orders of unknown customers', 'warning', concat('Their customer is not in the customer table: customer_profile does not show them, segment_summary has them as (unknown customer), and thresholds, tiers and models ', CASE WHEN NOT src.count_unknown THEN 'do not ' END, 'count them.',
				CASE WHEN e.labels -> 8 ->> 'monetary' <> e.labels -> 0 ->> 'monetary' THEN format(' %s them the thresholds of monetary would be %s in place of %s.', CASE WHEN src.count_unknown THEN 'Without' ELSE 'With' END, e.labels -> 8 -> 'monetary', e.labels -> 0 -> 'monetary') END),
				CASE WHEN NOT src.count_unknown THEN 'count_unknown => true' END)) v(place, fault, correction, finding, severity, advice, argument)
			ON v.fault = w.told ->> 'fault'
		UNION ALL
		SELECT crm_profile_internal.found_row(v.place, v.finding, v.severity, v.rows, v.customers, v.amount, v.changed, v.advice, v.argument, v.samples)
		FROM crm_profile_internal.time_shift(f -> 'hours', f -> 'on the hour', (f ->> 'timed')::bigint, (f -> 'orders' ->> 0)::bigint) s(shift), crm_profile_internal.missing_days(f -> 'days', today) d, LATERAL (VALUES
			(5, 'no orders at all', 'warning', CASE WHEN (f -> 'orders' ->> 0)::numeric = 0 THEN 1 END, NULL::numeric, NULL::numeric, NULL, 'Is order_filter right?', NULL, '{}'::crm_profile_internal.key_sample[]),
			(41, 'an order total repeated on each line', 'warning', CASE WHEN (f -> 'repeated totals' ->> 0)::numeric >= 0.8 * (f -> 'split orders' ->> 0)::numeric AND (f -> 'split orders' ->> 0)::numeric >= 5 THEN (f -> 'repeated totals' ->> 0)::numeric END,
				NULL, (f -> 'repeated totals' ->> 1)::numeric, NULL, 'All lines of these orders have one amount, and it is added up: is it that of the order?', format('amount => %L', '… of the line alone, not of the order'), '{}'),
			(70, 'days without any orders', 'note', d.days, NULL, NULL, NULL,
				format('Closed, or lost on the way? %s', d.stretches), NULL, '{}'),
			(82, 'customers without orders', 'note', NULLIF(customers - coalesce(e.buyers, 0), 0)::numeric, customers - coalesce(e.buyers, 0), NULL, '0', 'In the views, without a score.', NULL, '{}'),
			(71, 'time stamps that look shifted by a time zone', 'note', CASE WHEN s.shift IS NOT NULL THEN (f -> 'orders' ->> 0)::numeric END, NULL, NULL, NULL, upper(left(s.shift, 1)) || substr(s.shift, 2) || format('. The source reads them in time zone %s.', src.time_zone), 'time_zone => ''…''', '{}'),
			(72, 'amounts that look like cents', 'note', CASE WHEN (f ->> 'positive')::numeric >= 100 AND (f ->> 'whole')::numeric = (f ->> 'positive')::numeric AND (f ->> 'median')::numeric >= 300
				AND (f ->> 'price like')::numeric >= 0.4 * (f ->> 'positive')::numeric THEN (f ->> 'positive')::numeric END, NULL, (f -> 'orders' ->> 1)::numeric, '0', 'None has a fraction, and most end like prices do: 1999 for 19.99?', format('amount => %L', format('(%s) / 100.0', src.amount)), '{}'))
			v(place, finding, severity, rows, customers, amount, changed, advice, argument, samples)
		WHERE v.rows > 0 OR v.customers > 0) q(f) LOOP
		RETURN NEXT t;
	END LOOP;
	IF src.order_key IS NOT NULL THEN
		copies := format('SELECT q.*, row_number() OVER (PARTITION BY q.customer, q.ordered_at, q.amount%s, q.order_key, q.row_identity) AS copy FROM (%s) q', CASE WHEN src.cost IS NOT NULL THEN ', q.cost' END, identified);
		RETURN QUERY EXECUTE format($sql$SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row(40, 'order lines that are copies of others', 'warning', sum(o.n), count(o.customer), sum(o.amount), crm_profile_internal.labels_without($1, $2, 'o.copy > 1', $3),
				'Equal lines of one order: entered twice, or two pieces in two lines.', 'corrections => ''{"duplicates": "drop"}''', crm_profile_internal.sample_keys(o.customer::text, o.amount) FILTER (WHERE o.customer IS NOT NULL)) AS f
			FROM (SELECT o.customer, count(*) AS n, sum(o.amount) AS amount FROM (%s) o WHERE o.copy > 1 GROUP BY o.customer) o HAVING count(*) > 0) q$sql$, copies) USING src, copies, today;
	END IF;
	IF src.order_filter IS NOT NULL AND e.without_order > 0 THEN
		RETURN QUERY EXECUTE format($sql$WITH few AS (SELECT h.customer, h.history FROM crm_profile_internal.collect_valid_histories(NULL::%1$s, $1) h WHERE crm_profile.first_purchase(h.history) IS NULL)
			SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row(63, 'refunds that are all that the filter left over', 'warning', count(*), count(*), sum(crm_profile_internal.whole_amount(f.history)), NULL,
				'order_filter leaves out the orders of these customers, but not their refunds.', 'order_filter => ''…''', crm_profile_internal.sample_keys(f.customer::text, crm_profile_internal.whole_amount(f.history))) AS f
			FROM few f WHERE EXISTS (SELECT FROM (%2$s) o WHERE %3$s AND o.amount >= 0) HAVING count(*) > 0) q$sql$, src.key_type, crm_profile_internal.source_unfiltered(src), crm_profile_internal.same_key(src.key_type, 'o.customer', 'f.customer'))
			USING orders;
	END IF;
END $$; -- finds problems in the orders of a source; identified: the orders with row_identity

CREATE FUNCTION crm_profile_internal.source_unfiltered(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- as pg_get_viewdef() writes it; the WHERE of a subquery is indented further
	RETURN left(src.orders_query, NULLIF(strpos(src.orders_query, E'\n  WHERE '), 0) - 1); -- the query of orders without order_filter; NULL if it has none

---------------------------------------------------------------- columns of the orders that a source does not read

CREATE FUNCTION crm_profile_internal.status_words() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '^(wc.)?(cancel|canceled|cancelled|storniert|storno|annulled|annulliert|void|voided|refunded|returned|retoure|draft|checkout.?draft|trash|entwurf|pending|pending.?payment|payment.?pending|unavailable|unpaid|failed|rejected|declined|test|testing|demo|deleted|geloescht|gelöscht|expired|abandoned|incomplete|on.?hold|quote|quotation)$'; -- a regular expression of states of orders that are not placed yet, or cancelled

CREATE FUNCTION crm_profile_internal.order_columns_seen(src crm_profile.source_definition, OUT name text, OUT kind text, OUT bad boolean) RETURNS SETOF record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off ROWS 3 AS $$
BEGIN
	-- the first rows, and planner statistics about all
	RETURN QUERY EXECUTE format($sql$WITH first AS (SELECT o.order_row FROM (%s) o LIMIT 10000),
		seen AS (SELECT e.key, e.value #>> '{}' AS value, jsonb_typeof(e.value) AS type, count(*) AS n FROM first f, jsonb_each(f.order_row) e GROUP BY 1, 2, 3
			UNION ALL SELECT s.attname, v.value, CASE WHEN v.value IN ('t', 'f') THEN 'boolean' ELSE 'string' END, 1 FROM pg_stats s, unnest(s.most_common_vals::text::text[]) v(value)
				WHERE to_regclass(format('%%I.%%I', s.schemaname, s.tablename)) = to_regclass($1)),
		col AS (SELECT s.key, crm_profile_internal.snake_name(s.key) AS name, count(DISTINCT s.value) AS values, bool_or(s.type = 'boolean' AND s.value IN ('true', 't')) AS ticked,
				bool_or(lower(btrim(s.value)) ~ crm_profile_internal.status_words()) AS bad,
				bool_and(coalesce(s.value ~ '^[A-Z]{3}$', true)) AS codes, sum(s.n) AS n FROM seen s GROUP BY s.key)
		SELECT c.key, k.kind, coalesce(c.bad, false) FROM col c, LATERAL (SELECT CASE
				WHEN c.values BETWEEN 1 AND 50 AND (c.bad AND c.name !~ '(note|notiz|comment|kommentar|remark|bemerkung|descr|text|title|name|subject|message)' OR c.name ~ '(^|_)(status|state|zustand|etat|estado|stato)$') THEN 'status'
				WHEN c.ticked AND c.name ~ '(^|_)(cancel|test|delet|draft|void|storn|demo|refunded)' THEN 'flag'
				WHEN c.values > 0 AND c.name ~ '(^|_)(cancel|delet|void|storn)[a-z]*_(at|on|date|time)$' THEN 'time'
				WHEN c.values BETWEEN 2 AND 50 AND c.codes AND (c.name ~ '(currency|waehrung|ccy|devise|moneda|valuta)' OR c.name ~ 'cur$') THEN 'currency'
				WHEN c.values BETWEEN 2 AND 50 AND c.name ~ '^(tenant|mandant|mandator|workspace|organi[sz]ation|client_company)(_?(id|no|nr|key|name))?$' THEN 'tenant' END AS kind) k
		WHERE k.kind IS NOT NULL AND quote_ident(c.key) <> ALL (ARRAY[$2, $3, $4, coalesce($5, '')]) AND strpos(coalesce($6, ''), c.key) = 0
		ORDER BY c.key COLLATE "C"$sql$, crm_profile_internal.source_orders_with(src, format(', to_jsonb(%s.*) AS order_row', CASE WHEN src.orders ~* '^\s*(select|with|values|table)\s|^\s*\(' THEN 'orders'
			ELSE (SELECT quote_ident(c.relname) FROM pg_class c WHERE c.oid = src.orders::regclass) END)))
		USING CASE WHEN src.orders !~* '^\s*(select|with|values|table)\s|^\s*\(' THEN src.orders END, src.order_customer, src.ordered_at, src.amount, src.order_key, src.order_filter;
END $$; -- columns of the orders that decide whether a row counts, and that the filter does not mention: status, flag, time (of a cancellation), currency, tenant; bad: such a state was seen

CREATE FUNCTION crm_profile_internal.find_in_columns(src crm_profile.source_definition, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	seen record;
	found record;
	bad text;
	own text;
	orders_of text;
	-- what the filter would keep
	filter text;
	worth boolean;
	-- large tables are not read for a column whose values the planner knows
	many CONSTANT boolean := EXISTS (SELECT FROM pg_class c WHERE c.oid = CASE WHEN src.orders !~* '^\s*(select|with|values|table)\s|^\s*\(' THEN to_regclass(src.orders) END AND c.reltuples > 1000000);
BEGIN
	FOR seen IN SELECT * FROM crm_profile_internal.order_columns_seen(src) LOOP
		own := quote_ident(seen.name);
		bad := CASE seen.kind WHEN 'status' THEN 'lower(btrim(o.value)) ~ crm_profile_internal.status_words()' WHEN 'flag' THEN 'o.value = ''true''' WHEN 'time' THEN 'o.value IS NOT NULL'
			WHEN 'currency' THEN 'o.value <> (SELECT c.value FROM counted c ORDER BY c.rows DESC, c.value COLLATE "C" LIMIT 1)' ELSE 'false' END;
		filter := CASE seen.kind WHEN 'status' THEN format('%s::text <> ALL (%%L)', own) WHEN 'flag' THEN format('%s IS NOT TRUE', own) WHEN 'time' THEN format('%s IS NULL', own) ELSE NULL END;
		orders_of := crm_profile_internal.source_orders_with(src, format(', (%s)::text AS value', own));
		IF seen.kind = 'status' AND NOT seen.bad AND many THEN
			CONTINUE;
		END IF;
		EXECUTE format('SELECT CASE %1$L WHEN ''status'' THEN bool_or(%2$s) ELSE count(*) > 1 OR %1$L IN (''flag'', ''time'') END FROM (SELECT v.value::text AS value FROM (SELECT DISTINCT q.value FROM (%3$s) q) v) o', seen.kind,
			CASE seen.kind WHEN 'status' THEN bad ELSE 'false' END, crm_profile_internal.source_orders_with(src, format(', %s AS value', own))) INTO worth;
		CONTINUE WHEN worth IS NOT TRUE;
		EXECUTE format($sql$WITH orders AS MATERIALIZED (SELECT o.customer, o.ordered_at, o.amount::numeric AS amount, o.value FROM (%1$s) o WHERE o.amount IS NOT NULL),
			counted AS (SELECT o.value, count(*) AS rows, count(DISTINCT o.customer) AS customers, sum(o.amount) AS amount FROM orders o GROUP BY o.value),
			picked AS (SELECT o.customer, count(*) AS rows, sum(o.amount) AS amount FROM orders o WHERE %2$s GROUP BY o.customer)
			SELECT (SELECT string_agg(format('%%s: %%s, %%s', coalesce(c.value, 'none'), c.rows, trim_scale(c.amount)), '; ' ORDER BY c.rows DESC, c.value COLLATE "C") FILTER (WHERE c.customers >= 5) FROM (SELECT c.* FROM counted c ORDER BY c.rows DESC, c.value COLLATE "C" LIMIT 12) c) AS told,
				(SELECT c.value FROM counted c ORDER BY c.rows DESC, c.value COLLATE "C" LIMIT 1) AS main, (SELECT count(*) FROM counted) AS values,
				(SELECT count(*) FROM (SELECT o.customer FROM orders o WHERE o.customer IS NOT NULL GROUP BY o.customer HAVING count(DISTINCT o.value) > 1) k) AS in_several,
				(SELECT count(DISTINCT o.customer) FROM orders o) AS all_customers, (SELECT array_agg(c.value ORDER BY c.value COLLATE "C") FROM counted c WHERE lower(btrim(c.value)) ~ crm_profile_internal.status_words()) AS worst, sum(p.rows) AS rows, count(p.customer) AS customers, sum(p.amount) AS amount,
				crm_profile_internal.sample_keys(p.customer::text, p.amount) FILTER (WHERE p.customer IS NOT NULL) AS samples
			FROM picked p$sql$, orders_of, bad) INTO found;
		IF seen.kind IN ('status', 'flag', 'time') AND found.rows > 0 THEN
			RETURN NEXT crm_profile_internal.found_row(25, format('orders that may not count, by %s', seen.name), 'warning', found.rows, found.customers, found.amount,
				crm_profile_internal.labels_without(src, orders_of, bad, today),
				CASE seen.kind WHEN 'time' THEN 'They have a time of cancellation.' ELSE coalesce(format('Its values, with orders and revenue: %s.', found.told), 'Fewer than five customers have each of its values.') END,
				format('order_filter => %L', concat_ws(' AND ', '(' || src.order_filter || ')', format(filter, found.worst))), found.samples);
		ELSIF seen.kind = 'currency' AND found.values > 1 THEN
			RETURN NEXT crm_profile_internal.found_row(26, format('several currencies, by %s', seen.name), 'warning', found.rows, found.customers, found.amount, crm_profile_internal.labels_without(src, orders_of, format('o.value <> %L', found.main), today),
				concat('Amounts are added up as if they were one.', format(' Orders and revenue: %s.', found.told)), format('amount => ''amount in one currency'', or order_filter => %L', concat_ws(' AND ', '(' || src.order_filter || ')', format('%s = %L', own, found.main))), found.samples);
		ELSIF seen.kind = 'tenant' AND found.values > 1 AND found.in_several <= 0.01 * found.all_customers THEN
			RETURN NEXT crm_profile_internal.found_row(27, format('tenants mixed, by %s', seen.name), 'note', NULL, found.all_customers, NULL, NULL,
				format('Nearly no customer has orders of two. Thresholds and models are those of all together. Orders and revenue: %s.', found.told), format('order_filter => %L, in a source for each', format('%s = …', own)));
		END IF;
	END LOOP;
END $$; -- problems shown by columns of the orders that the source does not read: states, currencies, tenants

CREATE FUNCTION crm_profile_internal.labels_without(src crm_profile.source_definition, orders text, bad text, today date) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	model crm_profile.source_model;
	columns CONSTANT text := concat('o.customer, o.ordered_at, o.amount', CASE WHEN src.cost IS NOT NULL THEN ', o.cost' END, CASE WHEN src.order_key IS NOT NULL THEN ', o.order_key' END);
	changed text;
BEGIN
	IF to_regclass(format('%I.model', src.name)) IS NOT NULL THEN
		model := crm_profile_internal.source_last_model(src);
	END IF;
	EXECUTE format($sql$SELECT crm_profile_internal.label_changes(h.history, crm_profile.lifecycle(h.history, $3, $4, $5), CASE WHEN k.history IS NULL OR k.history OPERATOR(crm_profile.<>) h.history THEN ARRAY[coalesce(k.history, '{}')] END,
			ARRAY[crm_profile.lifecycle(k.history, $3, $4, $5)], $3, %2$s, %3$s, %4$L, $6) -> 1 ->> 'changed'
		FROM crm_profile_internal.collect_valid_histories(NULL::%1$s, $1) h LEFT JOIN crm_profile_internal.collect_valid_histories(NULL::%1$s, $2) k ON %5$s WHERE %6$s$sql$,
		src.key_type, src.bins, crm_profile_internal.source_period(src), src.tier_by = 'profit', crm_profile_internal.same_key(src.key_type, 'k.customer', 'h.customer'), CASE WHEN src.count_unknown THEN 'true' ELSE crm_profile_internal.is_known(src, 'h.customer') END) INTO changed
		USING format('SELECT %s FROM (%s) o', columns, orders), format('SELECT %s FROM (%s) o WHERE (%s) IS NOT TRUE', columns, orders, bad), today, model.active_days, model.clv, crm_profile.compile_scheme(src.scheme);
	RETURN coalesce(changed, '0');
END $$; -- how many customers get another segment or tier if the orders o of a query that satisfy a condition are left out

---------------------------------------------------------------- customers who are one person

CREATE FUNCTION crm_profile_internal.identity_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- a value that more than ten share does not identify a person
	RETURN (SELECT string_agg(format($sql$SELECT %1$s AS place, %2$L AS why, v.customer, g.person
	FROM (SELECT c.%3$I AS customer, %4$s AS value FROM %5$s c) v
		JOIN (SELECT v.value, (array_agg(v.customer ORDER BY v.customer))[1] AS person FROM (SELECT DISTINCT c.%3$I AS customer, %4$s AS value FROM %5$s c) v
			WHERE v.value IS NOT NULL AND v.customer IS NOT NULL GROUP BY v.value HAVING count(*) BETWEEN 2 AND 10) g ON g.value = v.value
	WHERE NOT %6$s$sql$, r.place, r.why, src.customer_key, r.value, src.customers, crm_profile_internal.same_key(src.key_type, 'v.customer', 'g.person')), E'\nUNION ALL ' ORDER BY r.place)
		FROM crm_profile_internal.identity_rules(src.customers::regclass, src.customer_key) WITH ORDINALITY r(why, value, place));
COMMENT ON FUNCTION crm_profile_internal.identity_query IS
	'the query of customers who have several keys: the least of them is the person; NULL if the customer table has no suitable columns';

CREATE FUNCTION crm_profile_internal.find_persons(src crm_profile.source_definition, orders text, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	pairs CONSTANT text := crm_profile_internal.identity_query(src);
	model crm_profile.source_model;
	any_pair boolean;
BEGIN
	IF pairs IS NULL OR crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL THEN
		RETURN;
	END IF;
	EXECUTE format('SELECT EXISTS (%s)', pairs) INTO any_pair;
	IF NOT any_pair THEN
		RETURN;
	END IF;
	IF to_regclass(format('%I.model', src.name)) IS NOT NULL THEN
		model := crm_profile_internal.source_last_model(src);
	END IF;
	RETURN QUERY EXECUTE format($sql$WITH pairs AS MATERIALIZED (%1$s),
		h AS MATERIALIZED (SELECT h.* FROM crm_profile_internal.collect_valid_histories(NULL::%2$s, $1) h WHERE %9$s),
		merged AS (SELECT DISTINCT ON (p.customer) p.customer, p.person FROM pairs p ORDER BY p.customer, p.place),
		persons AS (SELECT m.person, crm_profile.purchase_history_merge_agg(h.history) AS history FROM merged m JOIN h ON %3$s GROUP BY m.person),
		labels AS MATERIALIZED (SELECT crm_profile_internal.label_changes(h.history, crm_profile.lifecycle(h.history, $2, $3, $4), CASE WHEN x.corrected IS NOT NULL THEN ARRAY[x.corrected] END, ARRAY[crm_profile.lifecycle(x.corrected, $2, $3, $4)], $2, %4$s, %5$s, %6$L, $5) -> 1 ->> 'changed' AS changed
			FROM h LEFT JOIN merged m ON %3$s LEFT JOIN persons p ON %7$s CROSS JOIN LATERAL (SELECT CASE WHEN m.customer IS NOT NULL THEN '{}'::crm_profile.purchase_history WHEN p.person IS NOT NULL THEN h.history OPERATOR(crm_profile.||) p.history END AS corrected OFFSET 0) x)
		SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row(83, CASE p.why WHEN 'key' THEN 'customers under two spellings of their key' ELSE 'customers with the same ' || p.why END, 'warning', count(*), count(DISTINCT p.customer), sum(crm_profile_internal.whole_amount(h.history)),
			coalesce((SELECT l.changed FROM labels l), '0'), 'Each seems to be a person who has another key, too. customers_changed is of all that are found so, together.', 'corrections => ''{"merge_customers": true}''',
			crm_profile_internal.sample_keys(p.customer::text, crm_profile_internal.whole_amount(h.history))) AS f
		FROM pairs p LEFT JOIN h ON %8$s GROUP BY p.place, p.why ORDER BY p.place) q$sql$, pairs, src.key_type, crm_profile_internal.same_key(src.key_type, 'h.customer', 'm.customer'), src.bins,
		crm_profile_internal.source_period(src), src.tier_by = 'profit', crm_profile_internal.same_key(src.key_type, 'h.customer', 'p.person'), crm_profile_internal.same_key(src.key_type, 'h.customer', 'p.customer'),
		CASE WHEN src.count_unknown THEN 'true' ELSE crm_profile_internal.is_known(src, 'h.customer') END)
		USING orders, today, model.active_days, model.clv, crm_profile.compile_scheme(src.scheme);
END $$; -- finds customers of a source who seem to be one person

---------------------------------------------------------------- the customer table

CREATE FUNCTION crm_profile_internal.missing_words() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '{"",n/a,#n/a,na,nan,none,null,nil,unknown,unbekannt,undefined,"not specified","not available",missing,"k.a.","keine angabe",-,--,?,??,.,x,xx,xxx,tbd}'::text[]; -- words that stand for an unknown value, in lower case

CREATE FUNCTION crm_profile_internal.find_in_attributes(src crm_profile.source_definition) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	attribute record;
	seen record;
BEGIN
	FOR attribute IN SELECT a.name, quote_ident(a.name) AS own, crm_profile_internal.source_attribute_class(crm_profile_internal.source_type_of('q.' || quote_ident(a.name), format('(%s) q', src.customer_query), 'pg_catalog, pg_temp')) AS class
			FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(src.customers::regclass)) a WHERE src.customer_query IS NOT NULL ORDER BY a.place LOOP
		EXECUTE format($sql$WITH v AS (SELECT q.customer, lower(btrim(q.%1$s::text)) AS word, %2$s AS number FROM (%3$s) q),
			quartile AS (SELECT percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY v.number) AS at FROM v),
			word AS (SELECT v.word, count(*) AS n FROM v WHERE v.word IS NOT NULL GROUP BY v.word),
			hidden AS (SELECT v.customer, v.word FROM v, quartile k WHERE %4$s)
			SELECT (SELECT count(*) FROM v) AS all_rows, (SELECT coalesce(sum(w.n), 0) FROM word w) AS known, (SELECT count(*) FROM word) AS values,
				(SELECT count(*) FROM hidden) AS hidden, (SELECT crm_profile_internal.sample_keys(h.customer::text, NULL) FROM hidden h) AS samples,
				(SELECT jsonb_agg(DISTINCT h.word) FROM hidden h) AS words,
				(SELECT coalesce(sum(w.n), 0) FROM word w WHERE w.n < 5 AND w.n < 0.003 * (SELECT count(*) FROM v)) AS rare$sql$,
			attribute.own, CASE attribute.class WHEN 'number' THEN format('q.%s::numeric', attribute.own) ELSE 'NULL::numeric' END, src.customer_query,
			-- a number of one repeated digit, far from all others
			CASE attribute.class WHEN 'number' THEN 'v.word ~ ''^-?(9{2,}|([1-9])\2{3,}|1|123456789?)$'' AND (v.number > k.at[2] + 5 * greatest(k.at[2] - k.at[1], 1) OR v.number < k.at[1] - 5 * greatest(k.at[2] - k.at[1], 1) OR v.number = -1 AND k.at[1] > 0)'
				WHEN 'word' THEN 'v.word = ANY (crm_profile_internal.missing_words())' ELSE 'false' END) INTO seen;
		IF seen.all_rows >= 20 AND seen.values <= 1 AND seen.known = seen.all_rows THEN
			RETURN NEXT crm_profile_internal.found_row(86, format('attribute "%s" is the same for all', attribute.name), 'note', seen.all_rows, seen.all_rows, NULL, '0', 'It tells nobody from anybody. Leave it out.', 'attributes => ARRAY[…]');
		ELSIF seen.all_rows >= 20 AND seen.known < 0.2 * seen.all_rows THEN
			RETURN NEXT crm_profile_internal.found_row(86, format('attribute "%s" is mostly missing', attribute.name), 'note', seen.all_rows - seen.known, seen.all_rows - seen.known, NULL, '0', 'Leave it out, or fill it in.', 'attributes => ARRAY[…]');
		END IF;
		IF seen.hidden > 0 THEN
			RETURN NEXT crm_profile_internal.found_row(87, format('values of "%s" that stand for none', attribute.name), 'warning', seen.hidden, seen.hidden, NULL, '0', 'To the models they are values like others.',
				format('corrections => %L', jsonb_build_object('missing_values', jsonb_build_object(attribute.name, CASE WHEN seen.hidden >= 5 OR attribute.class = 'word' THEN seen.words ELSE '["…"]' END))::text), seen.samples);
		END IF;
		IF attribute.class = 'word' AND seen.all_rows >= 500 AND seen.values BETWEEN 3 AND 20 AND seen.rare > 0 THEN
			RETURN NEXT crm_profile_internal.found_row(88, format('values of "%s" that hardly anybody has', attribute.name), 'note', seen.rare, seen.rare, NULL, '0', 'Fewer than five customers each: jokes, or typing errors?',
				format('corrections => ''{"missing_values": {"%s": ["…"]}}''', attribute.name));
		END IF;
	END LOOP;
END $$; -- finds problems in the attributes of customers

CREATE FUNCTION crm_profile_internal.find_in_customers(src crm_profile.source_definition, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	birth record;
	year text;
	missing text[];
BEGIN
	RETURN QUERY EXECUTE format($sql$SELECT f.*
		FROM (SELECT count(*) FILTER (WHERE c.%1$I IS NULL) AS no_key, count(c.%1$I) - count(%3$s c.%1$I) AS twice FROM %2$s c) k,
			LATERAL (VALUES (80, 'customers with the same key', 'error', k.twice, 'customer_profile has them more than once.', 'customer_key => ''…'''), (81, 'customers without key', 'warning', k.no_key, 'customer_profile and segment_summary have them, without an order.', NULL)) v(place, finding, severity, n, advice, argument),
			crm_profile_internal.found_row(v.place, v.finding, v.severity, v.n, NULL, NULL, '0', v.advice, v.argument) f
		WHERE v.n > 0$sql$, src.customer_key, src.customers, CASE WHEN NOT crm_profile_internal.is_unique_key(src.customers::regclass, src.customer_key) THEN 'DISTINCT' END);
	FOR birth IN SELECT quote_ident(a.attname) AS own, a.attname, crm_profile_internal.base_type(a.atttypid) AS type FROM pg_attribute a
			WHERE a.attrelid = src.customers::regclass AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
				AND crm_profile_internal.snake_name(a.attname) ~ '(birth|geburts|(^|_)dob($|_))' AND crm_profile_internal.base_type(a.atttypid) IN ('date', 'timestamp', 'timestamptz', 'int2', 'int4', 'int8') LOOP
		year := CASE WHEN birth.type IN ('int2', 'int4', 'int8') THEN format('c.%s', birth.own) ELSE format('extract(year FROM c.%s)', birth.own) END;
		RETURN QUERY EXECUTE format($sql$SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row(85, %5$L, 'note', count(*), count(DISTINCT c.%1$I), NULL, '0', %6$L, NULL, crm_profile_internal.sample_keys(c.%1$I::text, NULL)) AS f
			FROM %2$s c WHERE %3$s < extract(year FROM $1) - 110 OR %3$s > extract(year FROM $1)%4$s HAVING count(*) > 0) q$sql$, src.customer_key, src.customers, year,
			-- years of birth have four digits; other numbers are not years
			CASE WHEN birth.type IN ('int2', 'int4', 'int8') THEN format(' AND (SELECT count(*) FILTER (WHERE k.%1$s BETWEEN 1900 AND 2100) > 0.9 * count(k.%1$s) FROM %2$s k)', birth.own, src.customers) ELSE '' END,
			format('implausible birth dates in %s', birth.attname), 'More than 110 years ago, or still to come.') USING today;
	END LOOP;
	-- among a thousand customers somebody should be in each segment; the sample of a refresh saves looking for most
	IF to_regclass(format('%I.label_sample', src.name)) IS NOT NULL AND (crm_profile_internal.source_last_model(src)).customers >= 1000 THEN
		EXECUTE format('SELECT array_agg(s.segment) FROM crm_profile.segments($1) s WHERE s.segment NOT IN (SELECT l.segment FROM %I.label_sample l WHERE l.segment IS NOT NULL)', src.name) INTO missing USING crm_profile.compile_scheme(src.scheme);
		IF missing IS NOT NULL THEN
			EXECUTE format('SELECT array_agg(m ORDER BY o) FROM unnest($1) WITH ORDINALITY u(m, o) WHERE m NOT IN (SELECT p.segment FROM %I.customer_profile p WHERE p.segment = ANY ($1))', src.name) INTO missing USING missing;
			RETURN QUERY SELECT f.* FROM crm_profile_internal.found_row(89, 'segments without customers', 'note', cardinality(missing), NULL, NULL, '0', 'Is the scheme made for such customers?', 'scheme => ''…''') f WHERE missing IS NOT NULL;
		END IF;
	END IF;
END $$; -- finds problems in the customer table: keys, birth dates, and segments that nobody is in

---------------------------------------------------------------- rows that cannot be read

CREATE FUNCTION crm_profile_internal.readable_part(part anyarray, probe text, readable boolean) RETURNS SETOF anyelement
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	half CONSTANT integer := cardinality(part) / 2;
	fails boolean := false;
BEGIN
	BEGIN
		EXECUTE probe USING part;
	EXCEPTION WHEN OTHERS THEN
		fails := true;
	END;
	IF fails AND cardinality(part) > 1 THEN
		RETURN QUERY SELECT * FROM crm_profile_internal.readable_part(part[:half], probe, readable);
		RETURN QUERY SELECT * FROM crm_profile_internal.readable_part(part[half + 1:], probe, readable);
	ELSIF fails <> readable THEN
		RETURN QUERY SELECT * FROM unnest(part);
	END IF;
END $$; -- the rows for which a query over $1 works, or those for which it fails, found by bisection

CREATE FUNCTION crm_profile_internal.fails_on(part anyarray, probe text) RETURNS boolean
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE probe USING part[:0];
	RETURN EXISTS (SELECT FROM crm_profile_internal.readable_part(part, probe, false));
EXCEPTION WHEN OTHERS THEN
	RETURN false;
END $$; -- whether a query over $1 fails for any of the rows; not one that cannot run at all, as with names that only the source's path finds

CREATE FUNCTION crm_profile_internal.readable_rows(example anyelement, probe text, readable boolean) RETURNS SETOF anyelement
	LANGUAGE plpgsql STABLE ROWS 100000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	part record;
	tried boolean := false;
BEGIN
	FOR part IN EXECUTE format('SELECT array_agg(p.o) AS rows FROM (SELECT o, (row_number() OVER () - 1) / 1000 AS part FROM %s o) p GROUP BY p.part', pg_typeof(example)) LOOP
		-- where none can be read, nor a row without any value, it is the joined table that cannot be
		IF NOT tried AND probe ~ ' JOIN ' AND NOT EXISTS (SELECT FROM crm_profile_internal.readable_part(part.rows[:8], probe, true)) THEN
			EXECUTE probe USING ARRAY[example];
		END IF;
		tried := true;
		RETURN QUERY SELECT * FROM crm_profile_internal.readable_part(part.rows, probe, readable);
	END LOOP;
END $$; -- the rows of a table that a query can read, or cannot; example: a NULL of its row type

CREATE FUNCTION crm_profile_internal.source_orders_from(src crm_profile.source_definition, rows text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT overlay(src.orders_query PLACING format('%s AS %I', rows, c.relname) FROM strpos(src.orders_query, E'\n   FROM ' || src.orders) + 9 FOR length(src.orders)) FROM pg_class c WHERE c.oid = to_regclass(src.orders)
		AND strpos(src.orders_query, E'\n   FROM ' || src.orders) > 0);
COMMENT ON FUNCTION crm_profile_internal.source_orders_from IS 'the query of orders over other rows of the same table, given as SQL; NULL if the orders are a query';

CREATE FUNCTION crm_profile_internal.source_rows_from(query text, relation text, rows text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT CASE WHEN query ~ p.pattern THEN regexp_replace(query, p.pattern, format('\1%s AS %I', replace(rows, E'\\', E'\\\\'), c.relname)) END
		FROM pg_class c, LATERAL (SELECT '(\sFROM )' || regexp_replace(relation, '([^[:alnum:]_])', '\\\1', 'g') || '(?![\w."$])' AS pattern) p WHERE c.oid = CASE WHEN relation !~* '^\s*(select|with|values|table)\s|^\s*\(' THEN to_regclass(relation) END);
COMMENT ON FUNCTION crm_profile_internal.source_rows_from IS 'a query of the source over other rows of the same table, given as SQL; NULL if it does not read a table of that name';

CREATE FUNCTION crm_profile_internal.readable_rows_of(relation text, query text, readable boolean) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN format('crm_profile_internal.readable_rows(NULL::%s, %L, %L)', relation, format('SELECT count(q) FROM (%s) q', crm_profile_internal.source_rows_from(query, relation, format('unnest($1::%s[])', relation))), readable);
COMMENT ON FUNCTION crm_profile_internal.readable_rows_of IS 'SQL of the rows of a table that a query can read, or cannot';

CREATE FUNCTION crm_profile_internal.source_without_unreadable(src crm_profile.source_definition, relation text, query text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN relation = src.orders THEN query ELSE coalesce(crm_profile_internal.source_rows_from(query, src.orders, crm_profile_internal.readable_rows_of(src.orders, src.orders_query, true)), query) END;
COMMENT ON FUNCTION crm_profile_internal.source_without_unreadable IS 'a query over another table, with those orders that can be read, if it reads orders';

CREATE FUNCTION crm_profile_internal.find_unreadable(src crm_profile.source_definition, what text, relation text, query text, key text, problem text, argument text, arguments text[], OUT readable text, OUT finding crm_profile_internal.found)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	rows text;
	n bigint;
	failing text;
BEGIN
	readable := crm_profile_internal.source_rows_from(query, relation, crm_profile_internal.readable_rows_of(relation, query, true));
	IF readable IS NULL THEN
		finding := crm_profile_internal.found_row(1, what || ' that cannot be read', 'error', NULL, NULL, NULL, NULL, format('%s. No more can be told of %s that are a query.', problem, what), what || ' => ''…''');
		RETURN;
	END IF;
	rows := crm_profile_internal.readable_rows_of(relation, query, false);
	EXECUTE format('WITH b AS MATERIALIZED (SELECT b, row_number() OVER () AS n FROM %1$s b), part AS (SELECT array_agg(b.b) AS rows FROM b WHERE b.n <= 1000)
			SELECT (SELECT count(*) FROM b), (SELECT string_agg(format(''%%s => %%L'', a.name, ''…''), '', '' ORDER BY a.name) FROM part, jsonb_each_text($1) a(name, expression)
				WHERE crm_profile_internal.fails_on(part.rows, format(''SELECT count((%%s)) FROM unnest($1::%2$s[]) AS %3$I'', a.expression)))', rows, relation, (SELECT c.relname FROM pg_class c WHERE c.oid = relation::regclass))
		INTO n, failing USING (SELECT jsonb_strip_nulls(jsonb_object_agg(a, to_jsonb(src) -> a)) FROM unnest(arguments) a);
	finding := crm_profile_internal.found_row(1, what || ' that cannot be read', 'error', n, NULL, NULL, NULL, problem || '. Leave them out, or correct them. All else here is of the others.', coalesce(failing, argument));
	BEGIN
		-- as they are in the table, since the key itself may be the problem
		EXECUTE format('SELECT array_agg(ROW(k.key, NULL)::crm_profile_internal.key_sample) FROM (SELECT DISTINCT (%s)::text AS key FROM %s AS %s ORDER BY 1 LIMIT 5) k', key, rows,
			(SELECT quote_ident(c.relname) FROM pg_class c WHERE c.oid = relation::regclass)) INTO finding.samples;
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END;
END $$; -- finds rows of a table for which an expression of the source fails, such as a key that cannot be cast, and which of its arguments that is; readable: the query of the table without them

---------------------------------------------------------------- all of it

CREATE FUNCTION crm_profile_internal.source_find_part(src crm_profile.source_definition, part integer, orders text, identified text, today date) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	CASE part
		WHEN 1 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_orders(src, orders, identified, today) f;
		WHEN 2 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_columns(src, today) f;
		WHEN 3 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_customers(src, today) f;
		WHEN 4 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_persons(src, orders, today) f;
		WHEN 5 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_attributes(src) f;
		WHEN 6 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_campaigns(src, today) f;
		WHEN 7 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_lines(src) f;
		WHEN 8 THEN RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_payments(src, today) f;
		ELSE RETURN QUERY SELECT f.* FROM crm_profile_internal.find_in_prospects(src) f;
	END CASE;
END $$; -- one part of source_find()

CREATE FUNCTION crm_profile_internal.source_find(src crm_profile.source_definition, today date) RETURNS SETOF crm_profile_internal.found
	-- STABLE: everything is read in one snapshot. JIT-compiling such queries takes longer than running them over a
	-- million orders
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
DECLARE
	orders text := crm_profile_internal.source_orders_query(src);
	identified text := crm_profile_internal.source_orders_query(src, true);
	found crm_profile_internal.found[];
	unreadable record;
	part integer;
	problem text;
BEGIN
	-- unreadable rows must not hide the problems of others
	FOR part IN 1..9 LOOP
		BEGIN
			found := ARRAY(SELECT f FROM crm_profile_internal.source_find_part(src, part, orders, identified, today) f);
		EXCEPTION WHEN data_exception OR feature_not_supported THEN
			problem := SQLERRM;
			BEGIN
				CASE part
					WHEN 1 THEN SELECT u.* INTO unreadable FROM crm_profile_internal.find_unreadable(src, 'orders', src.orders, src.orders_query, src.order_customer, 'A refresh stops at them: ' || problem, 'order_filter => ''…''',
						'{order_customer,ordered_at,amount,cost,order_key,order_filter}') u;
						orders := coalesce(unreadable.readable, orders);
						identified := format('SELECT q.*, NULL::bigint AS row_identity FROM (%s) q', orders);
						-- lines and payments may have customer and day from the orders, contacts codes
						src.line_query := crm_profile_internal.source_without_unreadable(src, src.lines, src.line_query);
						src.payment_query := crm_profile_internal.source_without_unreadable(src, src.payments, src.payment_query);
						src.code_query := crm_profile_internal.source_without_unreadable(src, src.campaigns, src.code_query);
					WHEN 6 THEN SELECT u.* INTO unreadable FROM crm_profile_internal.find_unreadable(src, 'contacts', src.campaigns, src.campaign_query, quote_ident(src.campaign_customer), 'campaign_response stops at them, the results of campaigns leave them out: ' || problem, 'campaigns => ''…''',
							'{campaign_name,contacted_at,treated,responded_at,response_value,contact_cost,campaign_code}') u;
						src.campaign_query := unreadable.readable;
					WHEN 7 THEN SELECT u.* INTO unreadable FROM crm_profile_internal.find_unreadable(src, 'order lines', src.lines, src.line_query, coalesce(src.line_customer, src.line_order), 'All that reads order lines stops at them, but no refresh: ' || problem, 'lines => ''…''',
							'{line_order,line_customer,line_day,line_product,line_category}') u;
						src.line_query := unreadable.readable;
					WHEN 8 THEN SELECT u.* INTO unreadable FROM crm_profile_internal.find_unreadable(src, 'payments', src.payments, src.payment_query, coalesce(src.payment_customer, src.payment_order), 'payment_behaviour leaves them out, due_actions stops at them: ' || problem, 'payments => ''…''',
							'{payment_customer,payment_order,payment_due,payment_paid,payment_amount}') u;
						src.payment_query := unreadable.readable;
					ELSE RAISE;
				END CASE;
				found := unreadable.finding || CASE WHEN unreadable.readable IS NOT NULL THEN ARRAY(SELECT f FROM crm_profile_internal.source_find_part(src, part, orders, identified, today) f) END;
			EXCEPTION WHEN data_exception OR feature_not_supported THEN
				found := ARRAY[crm_profile_internal.found_row(2, format('%s that could not be checked', ('{orders,"columns of the orders",customers,"customers who may be one person",attributes,campaigns,"order lines",payments,prospects}'::text[])[part]), 'warning', NULL, NULL, NULL, NULL, problem, NULL)];
			END;
		END;
		RETURN QUERY SELECT f.* FROM unnest(found) f;
	END LOOP;
END $$; -- finds problems in the data of a source, for check_source()

CREATE FUNCTION crm_profile_internal.find_in_prospects(src crm_profile.source_definition) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	IF src.prospects IS NOT NULL THEN
		RETURN QUERY EXECUTE format('SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row((90 + row_number() OVER ())::integer, p.problem, p.severity, p.count, NULL, NULL, ''0'', p.detail, NULL) AS f FROM (%s) p(severity, problem, count, detail)) q', crm_profile_internal.source_check_prospects(src));
		IF crm_profile_internal.email_column(src.prospects::regclass) IS NOT NULL AND crm_profile_internal.email_column(src.customers::regclass) IS NOT NULL AND crm_profile_internal.source_correction(src, 'merge_customers') IS NULL THEN
			RETURN QUERY EXECUTE format('SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row(99, ''prospects with the e-mail address of a customer'', ''warning'', count(*), NULL, NULL, ''0'', ''They have bought already: prospect_match shows them all the same.'', %L) AS f
				FROM %s WHERE EXISTS (%s) HAVING count(*) > 0) q', 'corrections => ''{"merge_customers": true}''', crm_profile_internal.source_prospects(src), crm_profile_internal.source_same_email(src, 'q.prospect'));
		END IF;
	END IF;
END $$; -- finds problems in the prospects of a source

CREATE FUNCTION crm_profile_internal.key_or_null(key text, example anyelement) RETURNS anyelement
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('SELECT $1::%s', pg_typeof(example)) INTO example USING key;
	RETURN example;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END $$; -- a key from its text; NULL if it is not valid

CREATE FUNCTION crm_profile_internal.source_keep_findings(src crm_profile.source_definition, findings crm_profile_internal.found[], by text, at timestamptz, corrected boolean DEFAULT true) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	-- refreshes and checks can run concurrently
	EXECUTE format('LOCK TABLE %I.finding IN SHARE ROW EXCLUSIVE MODE', src.name);
	EXECUTE format('DELETE FROM %1$I.finding_key k USING %1$I.finding f WHERE k.finding = f.finding AND (f.found_by = $2 AND ($3 OR f.severity <> ''corrected'') OR f.finding IN (SELECT (n.finding).finding FROM unnest($1) n))', src.name) USING findings, by, corrected;
	EXECUTE format('DELETE FROM %I.finding f WHERE f.found_by = $2 AND ($3 OR f.severity <> ''corrected'') OR f.finding IN (SELECT (n.finding).finding FROM unnest($1) n)', src.name) USING findings, by, corrected;
	-- amounts of fewer than five customers are shown only to readers who see all of them
	EXECUTE format('INSERT INTO %I.finding SELECT (n.finding).place, (n.finding).finding, (n.finding).severity, (n.finding).rows, (n.finding).customers,
			CASE WHEN coalesce((n.finding).customers, 5) >= 5 THEN (n.finding).revenue END, (n.finding).customers_changed, (n.finding).advice, (n.finding).argument, $3, $2 FROM unnest($1) n', src.name) USING findings, by, at;
	EXECUTE format('INSERT INTO %I.finding_key SELECT (n.finding).finding, crm_profile_internal.key_or_null(s.customer, NULL::%s), s.customer, s.revenue FROM unnest($1) n, unnest(n.samples) s WHERE s.customer IS NOT NULL', src.name, src.key_type) USING findings;
END $$; -- replaces earlier findings of refresh, or of check_source(), by new ones; corrected: also those of what was corrected

CREATE FUNCTION crm_profile_internal.find_and_keep(src crm_profile.source_definition, OUT finding text, OUT severity text, OUT rows bigint, OUT customers bigint, OUT revenue numeric,
	OUT customers_changed bigint, OUT sample_keys text[], OUT advice text, OUT argument text) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
#variable_conflict use_column
DECLARE
	started CONSTANT timestamptz := clock_timestamp();
	today CONSTANT date := coalesce(src.as_of, (CURRENT_TIMESTAMP AT TIME ZONE src.time_zone)::date);
	found crm_profile_internal.found[] := ARRAY(SELECT crm_profile_internal.found_row(0, 'tables or views that changed', CASE WHEN c.argument IS NULL THEN 'warning' ELSE 'error' END, NULL, NULL, NULL, NULL, upper(left(c.problem, 1)) || substr(c.problem, 2) || ': ' || c.remedy || '.', NULL)
		FROM crm_profile_internal.source_changes(src) c);
BEGIN
	IF NOT EXISTS (SELECT FROM crm_profile_internal.source_changes(src) c WHERE c.argument IS NOT NULL) THEN
		found := found || ARRAY(SELECT f FROM crm_profile_internal.source_find(src, today) f);
	END IF;
	-- a standby only reports
	IF NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AND to_regclass(format('%I.finding_key', src.name)) IS NOT NULL THEN
		PERFORM crm_profile_internal.source_keep_findings(src, found, 'check_source', started);
	END IF;
	RETURN QUERY SELECT (f.finding).finding, (f.finding).severity, (f.finding).rows, (f.finding).customers, (f.finding).revenue, (f.finding).customers_changed,
			NULLIF(ARRAY(SELECT s.customer FROM unnest(f.samples) s), '{}'), (f.finding).advice, (f.finding).argument
		FROM unnest(found) f ORDER BY array_position('{error,warning,note}', (f.finding).severity), (f.finding).place, (f.finding).finding COLLATE "C";
END $$; -- finds problems in the data of a source, and keeps them for data_quality

CREATE FUNCTION crm_profile_internal.check_source_details_as_owner(src crm_profile.source_definition, OUT finding text, OUT severity text, OUT rows bigint, OUT customers bigint, OUT revenue numeric,
	OUT customers_changed bigint, OUT sample_keys text[], OUT advice text, OUT argument text) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT f.* FROM crm_profile_internal.find_and_keep(src) f;
END $$; -- runs as the owner of the source: check_source_details()

CREATE FUNCTION crm_profile_internal.check_source_as_owner(src crm_profile.source_definition, OUT severity text, OUT finding text, OUT rows bigint, OUT customers bigint, OUT changed bigint)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT d.severity, concat_ws(E'\n', crm_profile_internal.wrapped(d.finding, 36), crm_profile_internal.wrapped('- ' || d.advice, 36), crm_profile_internal.wrapped('- ' || d.argument, 36)),
			d.rows, d.customers, d.customers_changed
		FROM crm_profile_internal.find_and_keep(src) d;
END $$; -- runs as the owner of the source: check_source()

CREATE FUNCTION crm_profile.check_source(name text, OUT severity text, OUT finding text, OUT rows bigint, OUT customers bigint, OUT changed bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10; -- problems in the data of a source, how many labels they change, and what to do: severity error (a refresh fails or the views are wrong), warning or note; no rows if there are none; data_quality shows them from then on
CREATE FUNCTION crm_profile.check_source_details(name text, OUT finding text, OUT severity text, OUT rows bigint, OUT customers bigint, OUT revenue numeric,
	OUT customers_changed bigint, OUT sample_keys text[], OUT advice text, OUT argument text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10; -- the same in the columns of data_quality, with revenue and some of the keys

---------------------------------------------------------------- what a refresh finds

CREATE FUNCTION crm_profile_internal.refresh_quality(src crm_profile.source_definition, started timestamptz, corrected boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	model crm_profile.source_model := crm_profile_internal.source_last_model(src);
	kept CONSTANT date := coalesce(src.keep_history_before, src.kept_before);
	found crm_profile_internal.found[];
	layer record;
	one crm_profile_internal.found;
BEGIN
	-- what a refresh counts anyway
	found := ARRAY(SELECT crm_profile_internal.found_row(v.place, v.finding, v.severity, v.rows, NULL, v.amount, '0', v.advice, v.argument)
		FROM (VALUES
			(5, 'no orders at all', 'warning', CASE WHEN model.newest_order IS NULL THEN 1 END::numeric, NULL::numeric, 'Is order_filter right?', NULL),
			(20, 'orders without customer', 'warning', crm_profile_internal.whole_orders(model.unassigned), crm_profile_internal.whole_amount(model.unassigned), 'They count in totals alone: segment_summary has them as (no customer).', NULL),
			(80, 'customers with the same key', 'error', model.repeated_keys, NULL, 'customer_profile has them more than once.', 'customer_key => ''…''')) v(place, finding, severity, rows, amount, advice, argument)
		WHERE v.rows > 0);
	IF kept > '-infinity' THEN
		found := found || crm_profile_internal.found_row(15, 'days that only the histories still have', 'note', NULL, NULL, NULL, NULL,
			format('Days before %s stay as they were stored, whatever the orders have of them.', crm_profile_internal.iso_day(kept)), 'keep_history_before => ''-infinity'', to forget them');
	END IF;
	IF crm_profile_internal.match_problem(src, model) IS NOT NULL THEN
		found := found || crm_profile_internal.found_row(90, split_part(crm_profile_internal.match_problem(src, model), ': ', 1), 'warning', NULL, NULL, NULL, NULL,
			initcap(left(split_part(crm_profile_internal.match_problem(src, model), ': ', 2), 1)) || substr(split_part(crm_profile_internal.match_problem(src, model), ': ', 2), 2) || '.', 'best => ''…'', attributes => ''{…}''');
	END IF;
	-- what it corrects
	FOR layer IN SELECT l.* FROM crm_profile_internal.source_layers(src) l WHERE corrected ORDER BY l.place LOOP
		EXECUTE format('SELECT (f.f).* FROM (SELECT crm_profile_internal.found_row(100 + %s, %L, ''corrected'', sum(t.n), count(t.customer), sum(t.amount), NULL, %L, %L, crm_profile_internal.sample_keys(t.customer::text, t.amount) FILTER (WHERE t.customer IS NOT NULL)) AS f
			FROM (SELECT t.customer, count(*) AS n, sum(t.amount) AS amount FROM (%s) t GROUP BY t.customer) t) f', layer.place, layer.told, 'It is done at each refresh.', format('corrections, %s', layer.correction), layer.touched) INTO one;
		one.finding.rows := coalesce((one.finding).rows, 0);
		found := found || one;
	END LOOP;
	FOR one IN SELECT (q.f).* FROM (SELECT crm_profile_internal.found_row(110, format('values of "%s" that stand for none are missing', w.attribute), 'corrected', NULL, NULL, NULL, NULL, 'It is done at each refresh.', 'corrections, missing_values') AS f
			FROM (SELECT a.name AS attribute FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(src.customers::regclass)) a
				WHERE corrected AND crm_profile_internal.attribute_expression(src, a.name, a.expression) <> a.expression) w) q LOOP
		found := found || one;
	END LOOP;
	PERFORM crm_profile_internal.source_keep_findings(src, found, 'refresh', started, corrected);
END $$; -- part of a refresh: stores the faults that a refresh counts anyway, and counts what the corrections of the source change (corrected), which reads all orders

CREATE FUNCTION crm_profile_internal.find_identity(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	pairs CONSTANT text := crm_profile_internal.identity_query(src);
	moved bigint;
BEGIN
	EXECUTE format('DELETE FROM %I.identity_found', src.name);
	IF pairs IS NULL THEN
		RETURN;
	END IF;
	EXECUTE format('INSERT INTO %I.identity_found SELECT DISTINCT ON (p.customer) p.customer, p.person, p.why FROM (%s) p ORDER BY p.customer, p.person, p.place', src.name, pairs);
	-- follows chains: one person with a second key, and that with a third
	LOOP
		EXECUTE format('UPDATE %1$I.identity_found f SET person = n.person FROM %1$I.identity_found n WHERE %2$s AND NOT %3$s', src.name,
			crm_profile_internal.same_key(src.key_type, 'n.customer', 'f.person'), crm_profile_internal.same_key(src.key_type, 'n.person', 'f.person'));
		GET DIAGNOSTICS moved = ROW_COUNT;
		EXIT WHEN moved = 0;
	END LOOP;
END $$; -- finds which customers are one person

CREATE FUNCTION crm_profile_internal.refresh_identity(src crm_profile.source_definition, INOUT keys text, customer_keys text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	moved text;
BEGIN
	IF crm_profile_internal.source_correction(src, 'merge_customers') IS NULL THEN
		RETURN;
	END IF;
	IF keys IS NULL OR customer_keys IS DISTINCT FROM '{}' THEN
		PERFORM crm_profile_internal.find_identity(src);
	END IF;
	IF src.track_changes = 'none' THEN
		RETURN;
	END IF;
	EXECUTE format('WITH moved AS MATERIALIZED (
			SELECT coalesce(u.customer, i.customer) AS customer, u.person AS was, i.person FROM %1$I.identity_in_use u FULL JOIN %1$I.customer_identity i ON %2$s
			WHERE u.person::text IS DISTINCT FROM i.person::text),
		gone AS (DELETE FROM %1$I.identity_in_use u USING moved m WHERE %3$s AND m.person IS NULL),
		changed AS (UPDATE %1$I.identity_in_use u SET person = m.person FROM moved m WHERE %3$s AND m.person IS NOT NULL),
		came AS (INSERT INTO %1$I.identity_in_use SELECT m.customer, m.person FROM moved m WHERE m.was IS NULL)
		SELECT array_agg(k.k)::text FROM moved m, unnest(ARRAY[m.customer, m.was, m.person]) k WHERE k.k IS NOT NULL', src.name,
		crm_profile_internal.same_key(src.key_type, 'i.customer', 'u.customer'), crm_profile_internal.same_key(src.key_type, 'm.customer', 'u.customer')) INTO moved;
	-- both whose orders a key was counted for, and whose it is now
	EXECUTE format('SELECT coalesce(array_agg(DISTINCT k.customer), ''{}'')::text FROM (SELECT coalesce(u.person, k) AS customer FROM unnest($1::%1$s[]) k LEFT JOIN %2$I.identity_in_use u ON %3$s
			UNION ALL SELECT unnest($2::%1$s[])) k WHERE $1 IS NOT NULL HAVING $1 IS NOT NULL', src.key_type, src.name, crm_profile_internal.same_key(src.key_type, 'u.customer', 'k'))
		INTO keys USING keys, moved;
END $$; -- step of a refresh after changes were taken, if customers are merged: finds who is who, where rows of customers changed (customer_keys; NULL: unknown); keys: of those whose orders changed, or NULL for all, to those of the persons whose histories may change

CREATE FUNCTION crm_profile_internal.source_own_key(src crm_profile.source_definition, key text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN crm_profile_internal.source_correction(src, 'merge_customers') IS NULL THEN '' ELSE format(' AND NOT EXISTS (SELECT FROM %I.customer_identity i WHERE %s AND NOT %s)', src.name,
		crm_profile_internal.same_key(src.key_type, 'i.customer', key), crm_profile_internal.same_key(src.key_type, 'i.person', 'i.customer')) END;
COMMENT ON FUNCTION crm_profile_internal.source_own_key IS 'AND the condition that a key, given as SQL, is the own one of its person, where customers are merged: nobody counts twice by another key';

---------------------------------------------------------------- tables and views

CREATE FUNCTION crm_profile_internal.source_build_findings(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	collated CONSTANT text := crm_profile_internal.key_collation(src.customers::regclass, src.customer_key);
BEGIN
	IF to_regclass(format('%I.finding', src.name)) IS NULL THEN
		EXECUTE format('CREATE TABLE %I.finding OF crm_profile.source_finding (PRIMARY KEY (finding))', src.name);
		EXECUTE format('CREATE TABLE %I.finding_key (finding text NOT NULL, customer %s%s, key text NOT NULL, revenue numeric)', src.name, src.key_type, collated);
		EXECUTE format('COMMENT ON TABLE %I.finding_key IS ''customers as examples of findings; a reader sees those whom the customer table shows''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.finding_key.finding IS ''the finding that the customer is an example of''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.finding_key.customer IS ''the key; NULL: the orders do not contain a valid key''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.finding_key.key IS ''the key as text''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.finding_key.revenue IS ''amount of the orders that the finding is about''', src.name);
	END IF;
	PERFORM crm_profile_internal.source_comment(src.name, 'finding', 'what was found amiss in the data, and what was put right; data_quality shows it', 'crm_profile.source_finding');
	PERFORM crm_profile_internal.source_admit(src, 'finding_key');
	EXECUTE format('CREATE OR REPLACE VIEW %1$I.data_quality WITH (security_invoker = true) AS
		SELECT f.finding::varchar AS finding, f.severity::varchar AS severity, f.rows, f.customers, CASE WHEN f.customers < 5 THEN (SELECT sum(k.revenue) FROM %1$I.finding_key k WHERE k.finding = f.finding HAVING count(*) = f.customers) ELSE f.revenue END AS revenue,
			f.customers_changed, (SELECT array_agg(k.key ORDER BY abs(k.revenue) DESC NULLS LAST, k.key COLLATE "C") FROM %1$I.finding_key k WHERE k.finding = f.finding) AS sample_keys, f.advice, f.argument, f.found_at, f.found_by::varchar AS found_by
		FROM %1$I.finding f ORDER BY array_position(''{error,warning,note,corrected}'', f.severity), f.place, f.finding COLLATE "C"', src.name);
	PERFORM crm_profile_internal.source_comment(src.name, 'data_quality', 'what the last refresh, and the last check_source(), found amiss in the data, and what was put right', 'crm_profile.source_finding');
	EXECUTE format('COMMENT ON COLUMN %I.data_quality.sample_keys IS ''some of these customers, as far as the reader sees them in the customer table''', src.name);
	IF crm_profile_internal.source_correction(src, 'merge_customers') IS NULL THEN
		RETURN;
	END IF;
	IF to_regclass(format('%I.identity_found', src.name)) IS NULL THEN
		EXECUTE format('CREATE TABLE %I.identity_found (customer %s%s NOT NULL PRIMARY KEY, person %2$s%3$s NOT NULL, why text NOT NULL)', src.name, src.key_type, collated);
		EXECUTE format('COMMENT ON TABLE %I.identity_found IS ''keys found by a refresh of people who have another one, too''', src.name);
		EXECUTE format('CREATE TABLE %I.identity_override (customer %s%s NOT NULL PRIMARY KEY, person %2$s%3$s, why text)', src.name, src.key_type, collated);
		EXECUTE format('COMMENT ON TABLE %I.identity_override IS ''decisions of the owner: the person whose key it is, too; NULL: not to be merged''', src.name);
		EXECUTE format('COMMENT ON COLUMN %1$I.identity_found.customer IS ''a key''; COMMENT ON COLUMN %1$I.identity_found.person IS ''the key of the person''; COMMENT ON COLUMN %1$I.identity_found.why IS ''what both have in common'';
			COMMENT ON COLUMN %1$I.identity_override.customer IS ''a key''; COMMENT ON COLUMN %1$I.identity_override.person IS ''the key of the person; NULL: they are not to be merged''; COMMENT ON COLUMN %1$I.identity_override.why IS ''a remark''', src.name);
	END IF;
	IF to_regclass(format('%I.identity_in_use', src.name)) IS NULL THEN
		EXECUTE format('CREATE TABLE %I.identity_in_use (customer %s%s NOT NULL PRIMARY KEY, person %2$s%3$s NOT NULL)', src.name, src.key_type, collated);
		-- without a policy: whatever was granted, the rows are the owner's
		EXECUTE format('ALTER TABLE %I.identity_in_use ENABLE ROW LEVEL SECURITY', src.name);
		EXECUTE format('COMMENT ON TABLE %1$I.identity_in_use IS ''customer_identity as the last refresh read it, where changes are tracked'';
			COMMENT ON COLUMN %1$I.identity_in_use.customer IS ''a key''; COMMENT ON COLUMN %1$I.identity_in_use.person IS ''the key of the person''', src.name);
	END IF;
	PERFORM crm_profile_internal.source_admit(src, 'identity_found', 'person');
	PERFORM crm_profile_internal.source_admit(src, 'identity_override', 'person');
	EXECUTE format('CREATE OR REPLACE VIEW %1$I.customer_identity WITH (security_invoker = true) AS
		SELECT coalesce(o.customer, f.customer) AS customer, coalesce(g.person, CASE WHEN o.customer IS NULL THEN f.person ELSE o.person END) AS person, CASE WHEN o.customer IS NULL THEN f.why ELSE coalesce(o.why, ''override'') END::varchar AS why
		FROM %1$I.identity_override o FULL JOIN %1$I.identity_found f ON %2$s LEFT JOIN %1$I.identity_found g ON %3$s AND NOT EXISTS (SELECT FROM %1$I.identity_override n WHERE %4$s)
		WHERE CASE WHEN o.customer IS NULL THEN f.person ELSE o.person END IS NOT NULL', src.name, crm_profile_internal.same_key(src.key_type, 'o.customer', 'f.customer'), crm_profile_internal.same_key(src.key_type, 'g.customer', 'o.person'),
		crm_profile_internal.same_key(src.key_type, 'n.customer', 'o.person'));
	EXECUTE format('COMMENT ON VIEW %1$I.customer_identity IS ''whose orders a refresh counts for whom: keys of people who have another one, too; identity_override takes precedence'';
		COMMENT ON COLUMN %1$I.customer_identity.customer IS ''a key''; COMMENT ON COLUMN %1$I.customer_identity.person IS ''the key of the person''; COMMENT ON COLUMN %1$I.customer_identity.why IS ''what both have in common, or override''', src.name);
END $$; -- the tables of findings of a source and the view data_quality, and, where customers are merged, customer_identity
