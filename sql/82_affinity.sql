-- Affinity: what is bought together, and who buys what

---------------------------------------------------------------- without a source

CREATE FUNCTION crm_profile.basket_rules(query text, min_support double precision DEFAULT 0.01, max_left integer DEFAULT 1, product text DEFAULT NULL, min_confidence double precision DEFAULT 0,
	OUT left_side text[], OUT right_side text, OUT baskets bigint, OUT left_baskets bigint, OUT right_baskets bigint,
	OUT support double precision, OUT confidence double precision, OUT lift double precision, OUT p_value double precision, OUT p_adjusted double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1000; -- rules of the form: baskets with the left side (1 to max_left products) have the right side, from a query of order lines (basket, product); product: only rules with it on the left; p_value by Fisher's exact test, one-sided, adjusted by Benjamini and Hochberg

CREATE FUNCTION crm_profile.next_products(query text, products text[],
	OUT product text, OUT baskets bigint, OUT share double precision, OUT lift double precision, OUT p_value double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1000; -- what baskets that share a product with those given have besides, from a query of order lines (basket, product); share: of these baskets, weighted by their similarity

---------------------------------------------------------------- the order lines of a source

CREATE FUNCTION crm_profile_internal.source_day_of(argument text, expression text, relation oid, relation_sql text, zone text, path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	expression := crm_profile_internal.source_expression(argument, expression, relation, relation_sql, path, ARRAY['date', 'timestamp', 'timestamptz']::regtype[]::oid[], 'date, timestamp or timestamptz');
	RETURN CASE crm_profile_internal.base_type(crm_profile_internal.source_type_of(expression, relation_sql, path))
		WHEN 'timestamptz'::regtype THEN format('((%s) AT TIME ZONE %L)::date', expression, zone) ELSE format('(%s)::date', expression) END;
END $$; -- SQL of the day that an argument gives as day or time

CREATE FUNCTION crm_profile_internal.source_key_of(src crm_profile.source_definition, expression text, relation_sql text, path text) RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	-- a word that is no number must not stop all that reads the table
	RETURN (SELECT CASE WHEN k.given = k.wanted THEN format('(%s)', expression)
			WHEN k.range IS NOT NULL AND k.of_words THEN format('CASE WHEN (%1$s)::text COLLATE "C" ~ ''^\s*[+-]?[0-9]{1,19}\s*$'' THEN CASE WHEN (%1$s)::text::numeric BETWEEN %2$s THEN (%1$s)::text::%3$s END END', expression, k.range, src.key_type)
			WHEN k.range IS NOT NULL AND k.base = ANY ('{int4,int8,numeric,float4,float8}'::regtype[]) AND (k.base, k.wanted) <> ('int4'::regtype, 'int8'::regtype) THEN format('CASE WHEN (%1$s) BETWEEN %2$s THEN (%1$s)::%3$s END', expression, k.range, src.key_type)
			WHEN k.wanted = 'uuid'::regtype AND k.of_words THEN format('CASE WHEN (%1$s)::text COLLATE "C" ~* ''^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$'' THEN (%1$s)::uuid END', expression)
			ELSE format('(%s)::%s', expression, src.key_type) END
		FROM (SELECT t.given, t.base, t.wanted, CASE t.wanted WHEN 'int2'::regtype THEN '-32768 AND 32767' WHEN 'int4'::regtype THEN '-2147483648 AND 2147483647' WHEN 'int8'::regtype THEN '-9223372036854775808 AND 9223372036854775807' END AS range,
				(SELECT y.typcategory = 'S' FROM pg_type y WHERE y.oid = t.base) AS of_words
			FROM (SELECT g.given, crm_profile_internal.base_type(g.given) AS base, src.key_type::regtype AS wanted FROM (SELECT crm_profile_internal.source_type_of(expression, relation_sql, path)::oid AS given) g) t) k)
		|| crm_profile_internal.key_collation(src.customers::regclass, src.customer_key);
COMMENT ON FUNCTION crm_profile_internal.source_key_of IS 'SQL of a customer''s key, as in the customer table; NULL for what no number, or no UUID, can be where the key is one';

CREATE FUNCTION crm_profile_internal.any_of_transfn(state anyelement, value anyelement) RETURNS anyelement
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1; -- support function of any_of()
CREATE AGGREGATE crm_profile_internal.any_of(value anyelement) (
	SFUNC = crm_profile_internal.any_of_transfn, STYPE = anyelement, PARALLEL = SAFE); -- one of the values, not NULL if any is not: any_value() of PostgreSQL 16

CREATE FUNCTION crm_profile_internal.source_order_customers(src crm_profile.source_definition, orders oid, orders_sql text, path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	basket CONSTANT text := coalesce(src.order_key, quote_ident(crm_profile_internal.source_one_of('order_key', (SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = orders AND i.indisprimary AND i.indnkeyatts = 1), 'primary key of one column, which others could name', orders_sql, crm_profile_internal.source_columns(orders))));
	customer CONSTANT text := crm_profile_internal.source_key_of(src, src.order_customer, orders_sql, path);
	day CONSTANT text := crm_profile_internal.source_day_of('ordered_at', src.ordered_at, orders, orders_sql, src.time_zone, path);
	rows CONSTANT text := format(' FROM %s%s', orders_sql, ' WHERE ' || src.order_filter);
BEGIN
	-- no key comes twice
	IF EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE i.indrelid = orders AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indnkeyatts = 1 AND i.indpred IS NULL AND quote_ident(a.attname) = basket) THEN
		RETURN format('(SELECT (%s) AS basket, %s AS customer, %s AS ordered_on%s)', basket, customer, day, rows);
	END IF;
	-- those of one order should agree; to hash them takes a part of the time of DISTINCT ON, which sorts
	RETURN format('(SELECT o.basket, crm_profile_internal.any_of(o.customer) AS customer, crm_profile_internal.any_of(o.ordered_on) AS ordered_on FROM (SELECT (%s) AS basket, %s AS customer, %s AS ordered_on%s) o GROUP BY o.basket)', basket, customer, day, rows);
END $$; -- SQL of the orders by their key (basket), each with customer and day

CREATE FUNCTION crm_profile_internal.source_resolve_lines(src crm_profile.source_definition, orders oid, orders_sql text, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation oid;
	columns text[];
	products text[];
	given text;
	customer text;
	day text;
	selected text;
BEGIN
	src.line_query := NULL;
	IF src.lines IS NULL THEN
		SELECT a.name INTO given FROM (VALUES ('line_order', src.line_order), ('line_customer', src.line_customer), ('line_day', src.line_day), ('line_product', src.line_product), ('line_category', src.line_category)) a(name, value)
			WHERE a.value IS NOT NULL LIMIT 1;
		IF given IS NOT NULL THEN
			PERFORM crm_profile_internal.source_argument_error('lines', 'it is missing', format('%s is a column or an expression of that table.', given), 'Write lines => ''schema.table''.');
		END IF;
		RETURN src;
	END IF;
	relation := crm_profile_internal.source_relation('lines', src.lines, path);
	src.lines := relation::regclass::text;
	src := crm_profile_internal.source_bring(src, 'lines', relation);
	columns := crm_profile_internal.source_columns(relation);
	IF src.line_product IS NULL THEN
		products := ARRAY(SELECT quote_ident(c) FROM unnest(columns) c WHERE crm_profile_internal.snake_name(c) ~ '^(product|item|article|sku|stock_?code)(_?(id|code|no|nr|number|key|name))?$');
		-- lines that know no products: their categories are what goes together
		src.line_product := CASE WHEN products = '{}' AND src.line_category IS NOT NULL THEN src.line_category ELSE crm_profile_internal.source_one_of('line_product', NULLIF(products, '{}'), 'column named like a product', src.lines, columns) END;
	END IF;
	src.line_product := crm_profile_internal.source_expression('line_product', src.line_product, relation, src.lines, path, NULL, NULL);
	IF src.line_category IS NOT NULL THEN
		src.line_category := crm_profile_internal.source_expression('line_category', src.line_category, relation, src.lines, path, NULL, NULL);
	END IF;
	IF relation = orders THEN
		-- the orders are lines themselves
		customer := src.order_customer;
		day := src.ordered_at;
		src.line_order := coalesce(src.line_order, src.order_key);
	ELSE
		customer := src.line_customer;
		day := src.line_day;
		IF src.line_order IS NULL AND (customer IS NULL OR day IS NULL) THEN
			src.line_order := crm_profile_internal.source_one_of('line_order', (SELECT array_agg(DISTINCT quote_ident(a.attname)) FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
				WHERE f.contype = 'f' AND f.conrelid = relation AND f.confrelid = orders AND cardinality(f.conkey) = 1), 'foreign key to ' || orders_sql, src.lines, columns);
		END IF;
	END IF;
	IF src.line_order IS NOT NULL THEN
		src.line_order := crm_profile_internal.source_expression('line_order', src.line_order, relation, src.lines, path, NULL, NULL);
	END IF;
	selected := 'NULL::text AS given_key';
	IF customer IS NOT NULL THEN
		customer := crm_profile_internal.source_expression('line_customer', customer, relation, src.lines, path, NULL, NULL);
		selected := format('(%s)::text AS given_key', customer);
		customer := crm_profile_internal.source_key_of(src, customer, src.lines, path);
	END IF;
	IF day IS NOT NULL THEN
		day := crm_profile_internal.source_day_of('line_day', day, relation, src.lines, src.time_zone, path);
	END IF;
	selected := format('(%s)::text AS product, (%s)::text AS category, %s', src.line_product, coalesce(src.line_category, src.line_product), selected);
	IF customer IS NOT NULL AND day IS NOT NULL THEN
		src.line_query := format('SELECT %s AS basket, %s AS customer, %s AS ordered_on, %s FROM %s%s',
			CASE WHEN src.line_order IS NULL THEN format('CASE WHEN %1$s IS NOT NULL AND %2$s IS NOT NULL THEN concat(%2$s, '' '', %1$s) END', customer, day) ELSE format('(%s)', src.line_order) END,
			customer, day, selected, src.lines, CASE WHEN relation = orders THEN ' WHERE ' || src.order_filter END);
	ELSE
		src.line_query := format('SELECT l.basket, %s AS customer, %s AS ordered_on, l.product, l.category, l.given_key
			FROM (SELECT (%s) AS basket, %s%s%s FROM %s) l LEFT JOIN %s o ON o.basket = l.basket',
			CASE WHEN customer IS NULL THEN 'o' ELSE 'l' END || '.customer', CASE WHEN day IS NULL THEN 'o' ELSE 'l' END || '.ordered_on',
			src.line_order, selected, ', ' || customer || ' AS customer', ', ' || day || ' AS ordered_on', src.lines,
			crm_profile_internal.source_order_customers(src, orders, orders_sql, path));
	END IF;
	BEGIN
		src.line_query := crm_profile_internal.source_canonical(src.line_query, src.name, path, 'lines');
	EXCEPTION WHEN undefined_function OR datatype_mismatch OR cannot_coerce THEN
		PERFORM crm_profile_internal.source_argument_error('lines', SQLERRM, 'The order lines are read by: ' || src.line_query, 'The key of an order must have the same type in both tables: cast one of them.');
	END;
	RETURN src;
END $$; -- checks and completes the arguments about order lines with the caller's rights, and makes the query of them

CREATE FUNCTION crm_profile_internal.find_in_lines(src crm_profile.source_definition) RETURNS SETOF crm_profile_internal.found
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	IF src.line_query IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format($sql$SELECT f.*
		FROM (SELECT count(*) FILTER (WHERE coalesce(l.product, '') = '') AS product, count(*) FILTER (WHERE l.product <> '' AND coalesce(l.category, '') = '') AS category,
				count(*) FILTER (WHERE l.basket IS NULL) AS basket, count(*) FILTER (WHERE l.basket IS NOT NULL AND (l.customer IS NULL AND l.given_key IS NULL OR l.ordered_on IS NULL)) AS astray,
				count(*) FILTER (WHERE l.customer IS NULL AND l.given_key IS NOT NULL) AS unreadable, count(*) FILTER (WHERE NOT isfinite(l.ordered_on)) AS endless,
				count(*) FILTER (WHERE l.customer IS NOT NULL AND NOT EXISTS (SELECT FROM %2$s c WHERE %3$s)) AS stranger,
				count(DISTINCT l.basket) - count(DISTINCT l.basket) FILTER (WHERE l.product <> '') AS empty FROM (%1$s) l) n,
			LATERAL (VALUES (70, 'order lines without a product', 'warning', n.product, 'No affinity counts them.', 'line_product => ''…'''),
				(71, 'order lines without a category', 'note', n.category, 'product_affinity has them as (no category).', 'line_category => ''…'''),
				(72, 'order lines without an order', 'warning', n.basket, 'They are in no basket.', 'line_order => ''…'''),
				(73, 'order lines without a customer or a day', 'note', n.astray, 'Their order, or its customer, is not there: only rules of products count them.', NULL),
				(73, 'order lines with a key that no customer can have', 'warning', n.unreadable, 'Only rules of products count them.', 'line_customer => ''…'''),
				(73, 'order lines of an infinite day', 'warning', n.endless, 'They belong to no day.', 'line_day => ''…'''),
				(74, 'order lines of unknown customers', 'note', n.stranger, 'Only rules of products count them.', NULL),
				(75, 'baskets without a product', 'note', n.empty, 'They count nowhere.', NULL)) v(place, finding, severity, n, advice, argument),
			crm_profile_internal.found_row(v.place, v.finding, v.severity, v.n, NULL, NULL, '0', v.advice, v.argument) f
		WHERE v.n > 0$sql$, src.line_query, src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'l.customer'));
END $$; -- finds problems in the order lines of a source

---------------------------------------------------------------- who buys what

CREATE TYPE crm_profile_internal.product_affinity_row AS ( -- a row of the view product_affinity
	dimension varchar, -- segment or value_tier
	customer_group varchar, -- the segment or tier; (unscored): no order in the period
	category varchar, -- the category, or the product where the source names no category; (no category): lines without one
	customers bigint, -- customers of the group who bought it
	group_customers bigint, -- customers of the group who bought anything that the lines name
	share double precision, -- customers / group_customers
	share_of_all double precision, -- the same share of the customers of all groups
	"index" double precision, -- 100 × share / share_of_all: above 100 they buy it more than all do
	lift double precision, -- share / share_of_all
	p_value double precision, -- chance of a share at least as far from share_of_all, if group and category had nothing to do with each other (Fisher's exact test, twice the smaller tail)
	p_adjusted double precision, -- the same, adjusted for the number of pairs in the dimension (Benjamini and Hochberg)
	verdict varchar, -- more than others or less than others, where p_adjusted is below 0.05; else cannot tell
	as_of date -- the as-of date
);

CREATE TYPE crm_profile_internal.category_buyers_row AS ( -- a row of the view category_buyers
	place bigint, -- 1: the category that most customers bought
	category varchar, -- the category, or the product where the source names no category
	customers bigint, -- customers who bought it
	share double precision, -- share of the customers who bought anything
	segment varchar, -- the segment that buys it most above all customers, of those that surely do; NULL: none
	segment_lift double precision, -- how much more: share of its customers / share of all
	value_tier varchar, -- the tier that does; NULL: none
	tier_lift double precision, -- how much more
	as_of date -- the as-of date
);

CREATE FUNCTION crm_profile_internal.category_buyers_transfn(state internal, customer "any", category text, segment text, value_tier text, as_of date) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5; -- support function of product_affinity_rows() and category_buyers_rows()
CREATE FUNCTION crm_profile_internal.product_affinity_finalfn(state internal) RETURNS crm_profile_internal.product_affinity_row[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- support function of product_affinity_rows()
CREATE AGGREGATE crm_profile_internal.product_affinity_rows(customer "any", category text, segment text, value_tier text, as_of date) (
	SFUNC = crm_profile_internal.category_buyers_transfn, STYPE = internal, SSPACE = 8388608,
	FINALFUNC = crm_profile_internal.product_affinity_finalfn, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE); -- rows of the view product_affinity, from what customers bought and from the groups that they are in; in a row either is NULL
CREATE FUNCTION crm_profile_internal.category_buyers_finalfn(state internal) RETURNS crm_profile_internal.category_buyers_row[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- support function of category_buyers_rows()
CREATE AGGREGATE crm_profile_internal.category_buyers_rows(customer "any", category text, segment text, value_tier text, as_of date) (
	SFUNC = crm_profile_internal.category_buyers_transfn, STYPE = internal, SSPACE = 8388608,
	FINALFUNC = crm_profile_internal.category_buyers_finalfn, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE); -- rows of the view category_buyers, from the same

CREATE FUNCTION crm_profile_internal.source_line_view(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- a table is asked whether it has policies for the reader; of a view that leaves out customers nobody can tell
	RETURN format('VIEW %I.order_line WITH (security_invoker = true) AS SELECT l.basket, l.customer, l.ordered_on, l.product, l.category FROM (%s) l WHERE l.customer IS NULL OR (SELECT %s) OR %s', src.name, src.line_query,
		CASE WHEN (SELECT c.relkind FROM pg_class c WHERE c.oid = src.customers::regclass) IN ('r', 'p') THEN format('NOT row_security_active(%L::regclass)', src.customers)
			ELSE format('c.relowner = r.oid FROM pg_class c, pg_roles r WHERE c.oid = %L::regclass AND r.rolname = current_user', format('%I.source_definition', src.name)) END,
		crm_profile_internal.is_known(src, 'l.customer'));
COMMENT ON FUNCTION crm_profile_internal.source_line_view IS 'SQL after CREATE of the view order_line: the lines of customers whom the reader may see, and those without a customer';

CREATE FUNCTION crm_profile_internal.source_buyers_query(src crm_profile.source_definition, view text, profiles text, as_of text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- lines and customers one after the other: the aggregate brings them together. The lines of all customers, unlike
	-- order_line: those of customers whom the reader may not see find nobody, and to leave them out costs more
	RETURN format('SELECT a.* FROM unnest((SELECT crm_profile_internal.%s_rows(b.customer, b.category, b.segment, b.value_tier, d.day) FROM %s CROSS JOIN (
	SELECT l.customer, l.ordered_on, coalesce(NULLIF(l.category, ''''), ''(no category)'') AS category, NULL::text AS segment, NULL::text AS value_tier FROM (%s) l WHERE l.customer IS NOT NULL AND l.product <> ''''
	UNION ALL SELECT p.customer::%s, NULL::date, NULL::text, coalesce(p.segment, ''(unscored)''), coalesce(p.value_tier, ''(unscored)'') FROM %I.%s p) b WHERE b.category IS NULL OR b.ordered_on <= d.day)) a',
		view, crm_profile_internal.source_day(as_of), src.line_query, src.key_type, src.name, profiles);
COMMENT ON FUNCTION crm_profile_internal.source_buyers_query IS 'the query of product_affinity or category_buyers; profiles: customer_profile, or what returns it for another day';

CREATE FUNCTION crm_profile_internal.source_build_lines(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	described record;
BEGIN
	IF src.line_query IS NOT NULL THEN
		BEGIN
			EXECUTE 'CREATE OR REPLACE ' || crm_profile_internal.source_line_view(src);
		EXCEPTION WHEN invalid_table_definition THEN
			-- another key of orders may have another type
			PERFORM crm_profile_internal.source_build_due(jsonb_populate_record(src, '{"line_query": null}'));
			PERFORM crm_profile_internal.source_build_lines(jsonb_populate_record(src, '{"line_query": null}'));
			EXECUTE 'CREATE ' || crm_profile_internal.source_line_view(src);
		END;
	ELSE
		PERFORM crm_profile_internal.source_drop_view(src, 'category_buyers');
		PERFORM crm_profile_internal.source_drop_view(src, 'product_affinity');
		IF to_regprocedure(format('%I.product_affinity(date)', src.name)) IS NOT NULL THEN
			EXECUTE format('DROP FUNCTION %I.product_affinity(date)', src.name);
		END IF;
		PERFORM crm_profile_internal.source_build_complements(src);
		PERFORM crm_profile_internal.source_drop_view(src, 'order_line');
		RETURN;
	END IF;
	PERFORM crm_profile_internal.source_build_complements(src);
	EXECUTE format('COMMENT ON VIEW %I.order_line IS ''the order lines of the customers that the reader sees: what was bought together, by whom and when''', src.name);
	FOR described IN VALUES ('basket', 'what lines of one order share'), ('customer', 'key of the customer; NULL: not known'), ('ordered_on', 'day of the order; NULL: not known'), ('product', 'the product'), ('category', 'its category, or the product where the source names no category') LOOP
		EXECUTE format('COMMENT ON COLUMN %I.order_line.%I IS %L', src.name, described.column1, described.column2);
	END LOOP;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.product_affinity(as_of date) RETURNS SETOF crm_profile_internal.product_affinity_row LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC %s; END',
		src.name, crm_profile_internal.source_buyers_query(src, 'product_affinity', 'profile_as_of(product_affinity.as_of)', 'product_affinity.as_of'));
	EXECUTE format('COMMENT ON FUNCTION %I.product_affinity(date) IS ''the view product_affinity as it would have been at the end of that day, by the thresholds in use now''', src.name);
	PERFORM crm_profile_internal.source_view(src, 'product_affinity', 'which segments and tiers buy which categories, and how much more or less than all customers', 'crm_profile_internal.product_affinity_row',
		crm_profile_internal.source_buyers_query(src, 'product_affinity', 'customer_profile', crm_profile_internal.source_today(src)));
	PERFORM crm_profile_internal.source_view(src, 'category_buyers', 'the categories by the number of their customers, and which segment and tier buys each of them most', 'crm_profile_internal.category_buyers_row',
		crm_profile_internal.source_buyers_query(src, 'category_buyers', 'customer_profile', crm_profile_internal.source_today(src)));
END $$; -- creates or replaces the views of order lines of a source, or drops them if it names none

---------------------------------------------------------------- what goes with what, and what comes next

CREATE FUNCTION crm_profile_internal.source_lines(source text, as_of date) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
BEGIN
	PERFORM crm_profile_internal.check_source_exists(source);
	IF to_regclass(format('%I.order_line', source)) IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no order lines', source), HINT = format('Name them: crm_profile.alter_source(%L, lines => ''schema.table'', …).', source);
	END IF;
	RETURN format('SELECT l.basket, l.product FROM %I.order_line l', source) || CASE WHEN as_of IS NOT NULL THEN format(' WHERE l.ordered_on <= %L', as_of) ELSE '' END;
END $$; -- the query of the order lines of a source up to a day, all of them for NULL; an error if it has none

CREATE FUNCTION crm_profile.complements(source text, product text, as_of date DEFAULT NULL, min_support double precision DEFAULT 0,
	OUT complement text, OUT baskets bigint, OUT support double precision, OUT confidence double precision, OUT lift double precision, OUT p_value double precision, OUT p_adjusted double precision)
	RETURNS SETOF record
	LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100 SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT r.right_side, r.baskets, r.support, r.confidence, r.lift, r.p_value, r.p_adjusted
		FROM crm_profile.basket_rules(crm_profile_internal.source_lines(source, as_of), min_support, 1, coalesce(product, '')) r
		ORDER BY r.p_adjusted, r.lift DESC, r.right_side COLLATE "C";
	END; -- what those who buy a product of a source have in the same basket, the surest first: support and confidence of the rule product → complement, lift, and the chance of so many baskets without a connection

CREATE FUNCTION crm_profile.next_product(source text, customer text, as_of date DEFAULT NULL, most integer DEFAULT 5,
	OUT product text, OUT baskets bigint, OUT share double precision, OUT lift double precision, OUT p_value double precision)
	RETURNS SETOF record
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	lines CONSTANT text := crm_profile_internal.source_lines(source, as_of);
	key_type CONSTANT text := (SELECT format_type(k.atttypid, -1) FROM pg_attribute k WHERE k.attrelid = to_regclass(format('%I.order_line', source)) AND k.attname = 'customer');
	products text[];
BEGIN
	PERFORM crm_profile_internal.check_key(source, customer, key_type);
	IF most < 0 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('most is %s', most), DETAIL = 'It is the largest number of products wanted, 0 or more.';
	END IF;
	EXECUTE format('SELECT array_agg(DISTINCT l.product) FROM (%s) l', concat(replace(lines, 'l.basket, ', ''), CASE WHEN as_of IS NULL THEN ' WHERE ' ELSE ' AND ' END,
		crm_profile_internal.same_key(key_type, 'l.customer', format('%L::%s', customer, key_type)))) INTO products;
	RETURN QUERY SELECT n.* FROM crm_profile.next_products(lines, products) n ORDER BY n.share DESC, n.product COLLATE "C" LIMIT most;
END $$; -- what a customer of a source may buy next: products new to them, by the share of the baskets with something that they have bought, weighted by similarity
