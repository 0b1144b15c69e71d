-- Inference: the meaning of somebody's tables and columns, judged by names, types, keys and the first rows

CREATE FUNCTION crm_profile_internal.snake_name(name text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN lower(regexp_replace(regexp_replace(regexp_replace(name, '([A-Z])([A-Z][a-z])', '\1_\2', 'g'), '([a-z0-9])([A-Z])', '\1_\2', 'g'), '[^[:alnum:]]+', '_', 'g')); -- a name in snake_case: email_address for EmailAddress and emailAddress, e_mail_address for E-Mail Address

CREATE FUNCTION crm_profile_internal.look_at(query text) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 10000; -- runs a query in a security-restricted operation and returns its only value, a jsonb

CREATE FUNCTION crm_profile_internal.trusted_type(type oid) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT r.rolsuper OR pg_has_role(r.oid, 'USAGE') FROM pg_type t JOIN pg_roles r ON r.oid = t.typowner WHERE t.oid = crm_profile_internal.base_type(type)); -- whether casts of a type run no function of an untrusted role

CREATE FUNCTION crm_profile_internal.customer_columns(customers regclass, key name, orders regclass, OUT name name, OUT by_foreign_key boolean, OUT named_so boolean) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT o.attname, o.by_foreign_key, o.plainly
		FROM (SELECT a.attname, a.attnum,
				EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = orders AND f.confrelid = customers AND f.conkey = ARRAY[a.attnum] AND f.confkey = ARRAY[k.attnum]) AS by_foreign_key,
				t.typcategory = u.typcategory AS comparable,
				(n.own = n.key AND n.key <> 'id') OR n.own IN (n.whose || '_' || n.key, rtrim(n.whose, 's') || '_' || n.key) AS plainly,
				n.own IN ('customer_id', 'customer', 'client_id', 'client', 'customer_no', 'customer_number', 'kunden_nr', 'kundennr', 'kundennummer', 'kunde') AS usually
			FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid, pg_attribute k JOIN pg_type u ON u.oid = k.atttypid JOIN pg_class c ON c.oid = k.attrelid,
				LATERAL (SELECT crm_profile_internal.snake_name(a.attname::text) AS own, crm_profile_internal.snake_name(k.attname::text) AS key, crm_profile_internal.snake_name(c.relname::text) AS whose) n
			WHERE a.attrelid = orders AND a.attnum > 0 AND NOT a.attisdropped AND k.attrelid = customers AND k.attname = customer_columns.key) o
		WHERE o.by_foreign_key OR o.comparable AND (o.plainly OR o.usually)
		ORDER BY o.attnum;
	END; -- columns of an order table that can hold the key of a customer table, by foreign keys or by name; named_so: named after the table or its key

CREATE TYPE crm_profile_internal.order_columns AS ( -- candidates for the columns of an order table; from infer_orders()
	days text[], -- columns of days or times, as SQL, most likely first
	amounts text[], -- expressions for the amount, as SQL, most likely first: columns, or price times quantity
	sums boolean, -- whether the most likely amount has the name of a sum, such as total
	order_key text, -- if rows look like order lines: the column that lines of one order share, as SQL; NULL: none
	lines text -- the reason why rows look like order lines; NULL: they do not
);

CREATE FUNCTION crm_profile_internal.infer_orders(relation regclass, customer text, prefix text DEFAULT '') RETURNS crm_profile_internal.order_columns
	-- with row-level security only names are used, so that nobody's policies run
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	sum_like CONSTANT text := '(total|amount|revenue|turnover|betrag|gesamt|summe|umsatz|montant|importe|importo|bedrag|sum$)';
	-- money that is not the price of the purchase
	beside_like CONSTANT text := '(freight|ship|tax|vat|discount|rabatt|weight|fee|margin|cost|balance)';
	pieces_like CONSTANT text := '(^|_)(quantity|qty|pieces|units|menge|anzahl|stueck|quantite|cantidad|quantita|quantidade|aantal)(_(ordered|sold|shipped|invoiced))?$';
	order_like CONSTANT text := '^(sales_?)?(order|invoice|receipt|basket|sale|bill|ticket|transaction|purchase|cart|checkout|bestellung|bestell|auftrag|rechnung|beleg|bon|commande|facture|pedido|factura|ordine|fattura|bestelling|factuur)s?_?(no|nr|num|number|nummer|id|key|code|uuid|ref|reference|numero)?$';
	line_like CONSTANT text := '(^|_)(line|pos|position|item|row|seq|sequence|product|sku|article|artikel|stock|track|isbn)(_|$)';
	shown CONSTANT integer := 10000;
	own CONSTANT name := CASE WHEN customer ~ '^"' THEN replace(substr(customer, 2, length(customer) - 2), '""', '"') ELSE customer END;
	found crm_profile_internal.order_columns;
	product text;
	discount text;
	is_rate boolean;
	candidate record;
	seen record;
BEGIN
	WITH c AS (
		SELECT a.attname, a.attnum, crm_profile_internal.snake_name(a.attname) AS name, prefix || quote_ident(a.attname) AS sql, crm_profile_internal.base_type(a.atttypid) AS type,
			EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = relation AND k.contype IN ('p', 'f') AND a.attnum = ANY (k.conkey)) AS key
		FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped),
	m AS (
		SELECT c.*, c.name ~ sum_like AND c.name !~ beside_like AS sum, c.name ~ beside_like AS beside, c.name ~ '(price|preis|prix|precio|prezzo|prijs|preco)' AS price, c.name ~ pieces_like AS pieces
		FROM c WHERE c.type IN ('numeric'::regtype, 'money'::regtype, 'float4'::regtype, 'float8'::regtype) AND NOT c.key AND c.attname <> own),
	-- price times quantity, if there is exactly one of each
	f AS (
		SELECT p.sql AS price, q.sql AS pieces, p.attname AS price_name, (SELECT d.attname FROM m d WHERE d.name ~ '^(discount|rabatt)' ORDER BY d.attnum LIMIT 1) AS discount
		FROM (SELECT min(sql) AS sql, min(attname) AS attname FROM m WHERE price AND NOT beside AND NOT sum HAVING count(*) = 1) p,
			(SELECT min(sql) AS sql FROM c WHERE name ~ pieces_like AND NOT key AND type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype) HAVING count(*) = 1) q)
	SELECT (SELECT array_agg(c.sql ORDER BY c.name ~ '(order|invoice|sale|purchase|sold)' DESC, c.name ~ '(date|time|_at|_on)$' DESC, c.attnum)
			FROM c WHERE c.type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)),
		(SELECT array_agg(m.sql ORDER BY m.sum DESC, m.beside, m.price DESC, m.attnum)
			FROM m LEFT JOIN f ON true WHERE NOT m.pieces AND f.price_name IS DISTINCT FROM m.attname AND f.discount IS DISTINCT FROM m.attname),
		coalesce((SELECT bool_or(m.sum) FROM m), false), (SELECT f.price || ' * ' || f.pieces FROM f), (SELECT f.discount FROM f)
		INTO found.days, found.amounts, found.sums, product, discount;
	IF product IS NOT NULL AND NOT found.sums THEN
		IF discount IS NOT NULL THEN
			is_rate := coalesce(crm_profile_internal.look_at(format('SELECT to_jsonb(max(abs(s.d)) <= 1) FROM (SELECT %I::numeric AS d FROM %s LIMIT %s) s', discount, relation, shown))::boolean, true);
			product := product || CASE WHEN is_rate THEN format(' * (1 - %s%I)', prefix, discount) ELSE '' END;
			-- a sum of money, or one in hundredths
			found.amounts := CASE WHEN NOT is_rate THEN ARRAY[prefix || quote_ident(discount)] END || found.amounts;
		END IF;
		found.amounts := product || found.amounts;
	END IF;

	-- a key made of an order and a line or a product
	SELECT prefix || quote_ident(o.attname), format('their key is %s', k.columns) INTO found.order_key, found.lines
		FROM (SELECT i.indexrelid, i.indisprimary, array_agg(a.attnum) AS numbers, string_agg(a.attname, ', ' ORDER BY u.place) AS columns
				FROM pg_index i, unnest(i.indkey) WITH ORDINALITY u(number, place), pg_attribute a
				WHERE i.indrelid = relation AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND u.place <= i.indnkeyatts AND a.attrelid = relation AND a.attnum = u.number
				GROUP BY i.indexrelid, i.indisprimary HAVING count(*) > 1) k
			JOIN pg_attribute o ON o.attrelid = relation AND o.attnum = ANY (k.numbers) AND crm_profile_internal.snake_name(o.attname) ~ order_like AND o.attname <> own
		WHERE EXISTS (SELECT FROM pg_attribute l WHERE l.attrelid = relation AND l.attnum = ANY (k.numbers) AND l.attnum <> o.attnum AND l.attname <> own AND crm_profile_internal.snake_name(l.attname) ~ line_like)
		ORDER BY k.indisprimary DESC, k.indexrelid, o.attnum LIMIT 1;
	IF found.lines IS NOT NULL OR found.days IS NULL OR prefix <> ''
		OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = own AND NOT crm_profile_internal.trusted_type(a.atttypid)) THEN
		RETURN found;
	END IF;

	-- an order number that occurs more than once, for one customer on one day
	FOR candidate IN SELECT quote_ident(a.attname) AS sql, a.attname FROM pg_attribute a
			WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> own AND crm_profile_internal.snake_name(a.attname) ~ order_like
				AND quote_ident(a.attname) <> ALL (found.days || found.amounts) AND crm_profile_internal.key_equality(a.atttypid) IS NOT NULL AND crm_profile_internal.trusted_type(a.atttypid)
				AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
			ORDER BY a.attnum LOOP
		SELECT s.* INTO seen FROM jsonb_to_record(crm_profile_internal.look_at(format('SELECT jsonb_build_object(''all_rows'', coalesce(sum(g.n), 0), ''shared'', coalesce(sum(g.n) FILTER (WHERE g.n > 1), 0),
				''orders'', count(*) FILTER (WHERE g.n > 1), ''mixed'', count(*) FILTER (WHERE g.n > 1 AND (g.customers > 1 OR g.days > 1)))
			FROM (SELECT count(*) AS n, count(DISTINCT s.customer) AS customers, count(DISTINCT s.day) AS days
				FROM (SELECT %1$s AS order_key, (%2$s)::text AS customer, (%3$s)::date AS day FROM %4$s WHERE %1$s IS NOT NULL LIMIT %5$s) s GROUP BY s.order_key) g',
			candidate.sql, customer, found.days[1], relation, shown))) s(all_rows bigint, shared bigint, orders bigint, mixed bigint);
		IF seen.shared >= 0.05 * seen.all_rows AND seen.mixed <= 0.1 * seen.orders AND seen.orders > 0 THEN
			found.lines := format('%s of the first %s have an %s with others of the same customer and day', seen.shared, seen.all_rows, candidate.attname);
		ELSIF seen.all_rows = 0 AND product IS NOT NULL THEN
			found.lines := 'they have a price and a quantity';
		END IF;
		IF found.lines IS NOT NULL THEN
			found.order_key := candidate.sql;
			RETURN found;
		END IF;
	END LOOP;
	IF product IS NOT NULL THEN
		SELECT s.* INTO seen FROM jsonb_to_record(crm_profile_internal.look_at(format('SELECT jsonb_build_object(''all_rows'', coalesce(sum(g.n), 0), ''shared'', coalesce(sum(g.n) FILTER (WHERE g.n > 1), 0))
			FROM (SELECT count(*) AS n FROM (SELECT (%s)::text AS customer, %s AS day FROM %s LIMIT %s) s WHERE s.customer IS NOT NULL AND s.day IS NOT NULL GROUP BY s.customer, s.day) g',
			customer, found.days[1], relation, shown))) s(all_rows bigint, shared bigint);
		IF seen.shared > 0.1 * seen.all_rows THEN
			found.lines := format('they have a price and a quantity, and %s of the first %s are of the same customer and time as others', seen.shared, seen.all_rows);
		END IF;
	END IF;
	RETURN found;
EXCEPTION WHEN OTHERS THEN
	-- rows that cannot be read, for instance if a foreign server is down: only names are used
	RAISE DEBUG 'the rows of % could not be looked at: %', relation, SQLERRM;
	RETURN found;
END $$; -- day, amount and order key of an order table, judged by names, types, keys and the first rows; customer: SQL of the customer's key; prefix: put before column names

CREATE FUNCTION crm_profile_internal.infer_lines(orders regclass, OUT lines regclass, OUT orders_sql text, OUT amount text, OUT order_key text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT f.conrelid, format(E'%s o\n JOIN %s l\n ON l.%I = o.%I', orders, f.conrelid::regclass, a.attname, k.attname), i.amounts[1], k.attname
		FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1] JOIN pg_attribute k ON k.attrelid = f.confrelid AND k.attnum = f.confkey[1],
			crm_profile_internal.infer_orders(f.conrelid, '', 'l.') i
		WHERE f.contype = 'f' AND f.confrelid = orders AND f.conrelid <> f.confrelid AND cardinality(f.confkey) = 1 AND has_table_privilege(f.conrelid, 'SELECT')
			AND (i.sums OR i.amounts[1] LIKE '% * %')
		ORDER BY f.conrelid LIMIT 1;
	END; -- the table of order lines that refers to an order table, their join, and the amount of a line; NULLs if there is none

CREATE FUNCTION crm_profile_internal.identity_rules(relation regclass, key text, OUT why text, OUT value text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		WITH c AS (
			SELECT quote_ident(a.attname) AS sql, a.attnum, crm_profile_internal.snake_name(a.attname) AS name, t.typcategory = 'S' OR t.typname = 'citext' AS is_text, t.typcategory = 'D' AS is_day, a.attname = key AS is_key
			FROM pg_attribute a JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid)
			WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(relation, a.attnum, 'SELECT')),
		names AS (
			SELECT string_agg(c.sql || '::text', ', ' ORDER BY c.attnum) AS sql FROM c WHERE c.is_text AND c.name ~ '^((full|first|last|given|family|sur|vor|nach|familien)_?)?name$' HAVING count(*) > 0)
		SELECT 'e-mail', format('crm_profile_internal.plain_email(c.%s::text)', c.sql) FROM c WHERE c.is_text AND c.name ~ '(^|_)e_?mail(_?(address|adresse))?$'
		UNION ALL SELECT 'phone', format('substring(regexp_replace(regexp_replace(c.%s::text, ''[^0-9+]'', '''', ''g''), ''^00'', ''+'') FROM ''^.{7,}$'')', c.sql) FROM c
			WHERE c.is_text AND c.name ~ '(^|_)(phone|telephone|telefon|mobile|handy|cell)(_?(no|nr|number|nummer))?$'
		UNION ALL SELECT 'name and birth date', format('(SELECT lower(concat_ws('' '', %s)) || '' '' || c.%s::date FROM (SELECT c.*) n WHERE concat_ws('''', %1$s) <> '''')', n.sql, b.sql)
			FROM names n, (SELECT c.sql FROM c WHERE c.is_day AND c.name ~ '(birth|geburt|(^|_)dob$)' ORDER BY c.attnum LIMIT 1) b
		UNION ALL SELECT 'key', format('coalesce(NULLIF(ltrim(lower(btrim(c.%1$s::text)), ''0''), ''''), ''0'')', c.sql) FROM c WHERE c.is_text AND c.is_key;
	END; -- ways to tell that customers c of a table are one person: SQL of a value that they share; key: the same key spelt differently
