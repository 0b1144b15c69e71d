-- Inference: the meaning of somebody's tables and columns, judged by names, types, keys and the first rows

CREATE FUNCTION crm_profile_internal.plain_letters(name text) RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN name !~ '[^ -~]' THEN name
		ELSE (SELECT CASE getdatabaseencoding() WHEN 'UTF8' THEN regexp_replace(normalize(s.spelt, NFKD), '[\u0300-\u036f]', '', 'g') ELSE s.spelt END
			FROM (SELECT replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(name, 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'Ä', 'Ae'), 'Ö', 'Oe'), 'Ü', 'Ue'), 'ß', 'ss'), 'ø', 'o'), 'Ø', 'O'), 'ł', 'l'), 'æ', 'ae') AS spelt) s) END;
COMMENT ON FUNCTION crm_profile_internal.plain_letters IS 'a name without accents: Stueck for Stück, prenom for prénom';

CREATE FUNCTION crm_profile_internal.snake_name(name text) RETURNS text
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	-- most names are so already
	RETURN CASE WHEN name ~ '^[a-z0-9]+(_[a-z0-9]+)*$' THEN name
		ELSE lower(regexp_replace(regexp_replace(regexp_replace(crm_profile_internal.plain_letters(name), '([A-Z])([A-Z][a-z])', '\1_\2', 'g'), '([a-z0-9])([A-Z])', '\1_\2', 'g'), '[^[:alnum:]]+', '_', 'g')) END;
COMMENT ON FUNCTION crm_profile_internal.snake_name IS 'a name in snake_case and plain letters: email_address for EmailAddress and emailAddress, e_mail_address for E-Mail Address, groesse for Größe';

CREATE FUNCTION crm_profile_internal.squashed(name text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN lower(translate(name, '_ -.', '')); -- a name without what separates its words, in lower case: customerid for customer_id, customerId and Customer ID

CREATE FUNCTION crm_profile_internal.in_cents(name text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN name ~ '(^|_)(cents?|pence|minor_units?|centimes|centimos|centesimi)(_|$)'; -- whether the name of a column, in snake_case, says that it counts hundredths

CREATE FUNCTION crm_profile_internal.amount_rank(name text) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN (SELECT CASE
			-- rates, counts and money beside the price of the purchase
			WHEN n.plain ~ '(freight|(^|_)ship|tax|(^|_)vat|mwst|discount|rabatt|weight|gewicht|margin|cost|balance|rate|ratio|percent|factor|conversion|promo|coupon|voucher|adjust|surcharge|deposit|refund|credit|reward|point|cancel|authori|captur|outstanding|installment|count|qty|quantity|number|wrapping|stock|limit|version|(^|_)(fees?|tips?|num|no|nr|id|lat|lng|lon)(_|$))'
				AND n.plain !~ 'untaxed' THEN 90
			WHEN n.plain ~ '^base_grand_?total$' THEN 1
			-- in the currency of the company, refunds below zero
			WHEN n.plain ~ '^(grand_?total|amount_?total_?signed)$' THEN 2
			WHEN n.plain ~ '^(total|amount_?total|total_?(amount|sales|price|value|due|sum|ttc|revenue|gross|gross_?amount)|gross_?total|total_?order|gesamt_?(betrag|summe|preis)?|summe|totale|(order|invoice|sales?|receipt|bill|purchase|transaction|bestell|rechnungs?|auftrags?)_?(grand_?)?(total|amount|value|sum|betrag|summe|wert)|payment_?(amount|value)|(montant|importe|importo)_?total[e]?|revenue|turnover|umsatz|line_?(total|amount)|row_?total)$' THEN 3
			WHEN n.plain ~ '^total_?paid' THEN 4
			WHEN n.plain ~ '(sub_?total|item_?total|payment_?total|(^|_)net(_|$)|untaxed|products|due|invoiced|(^|_)(real|base)(_|$)|presentment)' AND n.plain ~ '(total|amount|revenue|paid)' THEN 7
			WHEN n.plain ~ '(^|_)(amount|betrag|montant|importe|importo|bedrag|valor|belop|beloep|belopp|kwota|tutar|castka|osszeg|revenue|turnover|umsatz|spent|paid)(_|$)' THEN 5
			WHEN n.plain ~ '(total|gesamt|summe|sum$|amount|betrag|revenue)' THEN 6
			WHEN n.plain ~ '(price|preis|prix|precio|prezzo|prijs|preco|(^|_)(pris|cena|hinta|fiyat)(_|$))' THEN 8
			ELSE 50 END
		-- tax included or not is said beside the word that counts
		FROM (SELECT btrim(regexp_replace(regexp_replace(amount_rank.name, '_?((incl|excl|inkl|including|excluding|included|excluded|inc|exc|with|without)_?(tax|vat|mwst)|(tax|vat)_?(incl|excl|included|excluded|inc|exc))', '', 'g'),
			'_?(in_)?(cents?|pence|minor_units?|centimes|centimos|centesimi)(_|$)', '_', 'g'), '_') AS plain) n);
COMMENT ON FUNCTION crm_profile_internal.amount_rank IS 'how likely a column of this name, in snake_case, holds the amount of a purchase: 1 most, 8 a price, 50 says nothing, 90 it is something else';

CREATE FUNCTION crm_profile_internal.day_rank(name text, relation text) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE
		-- a deal is done on the day on which it is won
		WHEN relation ~ '(^|_)(deal|opportunity|opportunitie)s?$' AND name ~ '^((won_?|closed?_?)(date|time|at|on)|date_?(closed|won))$' THEN 1
		WHEN name ~ '(updat|modif|upd$|write|last_|deliver|(^|_)ship|liefer|versand|(^|_)due|cancel|storn|refund|approv|expir|valid|clos|finish|delet|requir|return|commit|birth|geburt|confirm|effective|(^|_)(start|end|sent|until)|promis|estimat|sync|export|import|print|archiv|remind|next|schedul|expected|clear)' THEN 9
		WHEN name ~ '(order|purchas|sale|sold|placed|bought|bestell|kauf|auftrag|transaction|commande|pedido|compra|ordine|donat|booking|booked|rental)' THEN 1
		-- an order can be without an invoice
		WHEN name ~ '(invoice|receipt|bill|rechnung|beleg|facture|factura|fattura|payment)' THEN CASE WHEN relation ~ '(order|bestell|auftrag|commande|pedido|ordin)' THEN 5 ELSE 2 END
		-- datef: of the invoice, beside datec: of its entry
		WHEN name ~ '(complete|^datef$)' THEN 2
		WHEN name ~ '(^|_)(date|day|datum|fecha|data|jour|on|at|time|timestamp|ts|tag|when|dia|giorno)$' AND name !~ '(creat|add|paid|insert|enter)' THEN 3
		WHEN name ~ '(creat|add|insert|enter|paid)' THEN 4
		ELSE 5 END;
COMMENT ON FUNCTION crm_profile_internal.day_rank IS 'how likely a column of this name of a table of that name, both in snake_case, holds the day of a purchase: 1 most, 9 it is something else';

CREATE FUNCTION crm_profile_internal.pieces_named(name text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN name ~ '(^|_)(quantity|qty|qnty|pieces|units|menge|anzahl|stueck(zahl)?|stk|quantite|qte|cantidad|cant|unidades|quantita|qta|pezzi|quantidade|qtde?|aantal|stuks|antal|antall|ilosc|sztuk|adet|mnozstvi|mnozstvo|mennyiseg|darab|maara|cantitate)(_(ordered|sold|shipped|invoiced))?$|^order_?qty$'; -- whether the name of a column, in snake_case, is one of a number of pieces

CREATE FUNCTION crm_profile_internal.look_at(query text) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 10000; -- runs a query in a security-restricted operation and returns its only value, a jsonb

CREATE FUNCTION crm_profile_internal.glance_at(query text) RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	RETURN crm_profile_internal.look_at(query);
EXCEPTION WHEN OTHERS THEN
	RAISE DEBUG 'rows could not be looked at: %', SQLERRM;
	RETURN NULL;
END $$; -- look_at(), or NULL if the rows cannot be read, for instance behind a policy or if a foreign server is down

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

CREATE FUNCTION crm_profile_internal.day_of_number(expression text, largest numeric) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN largest BETWEEN 19000101 AND 21001231 AND largest = trunc(largest) THEN format('to_date(%s::text, ''YYYYMMDD'')', expression)
		WHEN largest > 1e14 THEN format('to_timestamp(%s / 1000000.0)', expression)
		WHEN largest > 1e11 THEN format('to_timestamp(%s / 1000.0)', expression)
		WHEN largest > 1e8 THEN format('to_timestamp(%s)', expression)
		WHEN largest BETWEEN 20000 AND 80000 THEN format('date ''1899-12-30'' + %s::integer', expression) END;
COMMENT ON FUNCTION crm_profile_internal.day_of_number IS
	'SQL of the day or time that whole numbers up to the largest stand for: days like 20241231, seconds or fractions of them since 1970, days as spreadsheets count them; NULL: none';

CREATE FUNCTION crm_profile_internal.infer_days(relation regclass, prefix text) RETURNS text[]
	-- whole numbers that are named like a time and look like one: seconds or milliseconds since 1970, or 20241231
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	own CONSTANT text := (SELECT crm_profile_internal.snake_name(c.relname) FROM pg_class c WHERE c.oid = relation);
	days text[] := ARRAY(SELECT prefix || quote_ident(a.attname) FROM pg_attribute a, LATERAL (SELECT crm_profile_internal.snake_name(a.attname) AS name) n
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.base_type(a.atttypid) IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
		ORDER BY crm_profile_internal.day_rank(n.name, own), n.name ~ '(date|time|_at|_on)$' DESC, a.attnum);
	counted CONSTANT name := (SELECT a.attname FROM pg_attribute a, LATERAL (SELECT crm_profile_internal.snake_name(a.attname) AS name) n
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.base_type(a.atttypid) IN ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
			AND n.name ~ '(^|_)(created|ordered|purchased|placed|date|datetime|time|timestamp|ts|unix|epoch)(_|$)|(_at|_on|date|time)$' AND n.name !~ '(_by|_id|_no|count|zone|days|amount|total)(_|$)' AND crm_profile_internal.day_rank(n.name, own) < 9
		ORDER BY crm_profile_internal.day_rank(n.name, own), a.attnum LIMIT 1);
	largest numeric;
	filled jsonb;
BEGIN
	-- a day that next to no row has comes after the others
	IF cardinality(days) > 1 THEN
		filled := crm_profile_internal.glance_at(format('SELECT jsonb_build_array(%s) FROM (SELECT * FROM %s LIMIT 10000) s', (SELECT string_agg(format('count(s.%s)', substr(d, length(prefix) + 1)), ', ' ORDER BY n) FROM unnest(days) WITH ORDINALITY u(d, n) WHERE n <= 50), relation));
		days := ARRAY(SELECT d FROM unnest(days) WITH ORDINALITY u(d, n) ORDER BY (filled ->> (n - 1)::integer)::numeric < 0.02 * (SELECT max(v::numeric) FROM jsonb_array_elements_text(NULLIF(filled, 'null')) v) IS TRUE, n);
	END IF;
	IF counted IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND prefix || quote_ident(a.attname) = days[1]
			AND crm_profile_internal.day_rank(crm_profile_internal.snake_name(a.attname), own) < 9) THEN
		RETURN NULLIF(days, '{}');
	END IF;
	largest := NULLIF(crm_profile_internal.glance_at(format('SELECT to_jsonb(max(s.t)) FROM (SELECT %I AS t FROM %s LIMIT 10000) s', counted, relation)), 'null')::text::numeric;
	RETURN coalesce(crm_profile_internal.day_of_number(prefix || quote_ident(counted), largest), format('to_timestamp(%s%I)', prefix, counted)) || days;
END $$; -- columns of days or times of a table, as SQL, most likely first; prefix: put before column names

CREATE FUNCTION crm_profile_internal.infer_amounts(relation regclass, own name, prefix text, OUT amounts text[], OUT sums boolean, OUT product text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	discount text;
	is_rate boolean;
BEGIN
	WITH c AS (
		SELECT a.attname, a.attnum, crm_profile_internal.snake_name(a.attname) AS name, prefix || quote_ident(a.attname) AS sql, crm_profile_internal.base_type(a.atttypid) AS type,
			EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = relation AND k.contype IN ('p', 'f') AND a.attnum = ANY (k.conkey)) AS key
		FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> own),
	n AS (
		SELECT c.*, crm_profile_internal.amount_rank(c.name) AS rank, c.type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AS whole, crm_profile_internal.pieces_named(c.name) AS pieces
		FROM c WHERE c.type IN ('numeric'::regtype, 'money'::regtype, 'float4'::regtype, 'float8'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND NOT c.key),
	-- whole numbers only where nothing else is named like money; livemode: tables of Stripe, which keeps hundredths
	m AS (
		SELECT n.*, crm_profile_internal.in_cents(n.name) OR n.whole AND EXISTS (SELECT FROM c s WHERE s.name = 'livemode') AS cents
		FROM n WHERE NOT n.pieces AND (NOT n.whole OR n.rank <= 8 AND n.type <> 'int2'::regtype AND NOT EXISTS (SELECT FROM n o WHERE NOT o.whole AND NOT o.pieces AND o.rank <= 8))),
	-- price times quantity
	f AS (
		SELECT p.sql AS price, q.sql AS pieces, p.attname AS price_name, p.cents, (SELECT d.attname FROM m d WHERE d.name ~ '^(discount|rabatt)|unit_?price_?discount$' ORDER BY d.attnum LIMIT 1) AS discount
		FROM (SELECT m.* FROM m WHERE m.rank = 8 ORDER BY m.name ~ '(^|_)(final|sold|sale|selling)' DESC, m.name ~ '(^|_)(unit_?price|price)(_|$)' DESC, m.attnum LIMIT 1) p,
			(SELECT n.* FROM n WHERE n.pieces ORDER BY n.name ~ '^(order_?|unit_?|product_?|products_?)?(quantity|qty|pieces|units|menge|anzahl)(_ordered)?$' DESC, n.attnum LIMIT 1) q)
	SELECT (SELECT array_agg(CASE WHEN m.cents THEN format('round(%s / 100.0, 2)', m.sql) ELSE m.sql END ORDER BY m.rank, m.attnum)
			FROM m LEFT JOIN f ON true WHERE f.price_name IS DISTINCT FROM m.attname AND f.discount IS DISTINCT FROM m.attname),
		coalesce((SELECT bool_or(m.rank <= 7) FROM m), false), (SELECT CASE WHEN f.cents THEN format('round(%s * %s / 100.0, 2)', f.price, f.pieces) ELSE f.price || ' * ' || f.pieces END FROM f), (SELECT f.discount FROM f)
		INTO amounts, sums, product, discount;
	IF product IS NOT NULL AND NOT sums THEN
		IF discount IS NOT NULL THEN
			is_rate := coalesce(NULLIF(crm_profile_internal.glance_at(format('SELECT to_jsonb(max(abs(s.d)) <= 1) FROM (SELECT %I::numeric AS d FROM %s LIMIT 10000) s', discount, relation)), 'null')::boolean, true);
			product := product || CASE WHEN is_rate THEN format(' * (1 - %s%I)', prefix, discount) ELSE '' END;
			-- a sum of money, or one in hundredths
			amounts := CASE WHEN NOT is_rate THEN ARRAY[prefix || quote_ident(discount)] END || amounts;
		END IF;
		amounts := product || amounts;
	END IF;
END $$; -- expressions for the amount of a row, as SQL, most likely first: columns, or price times quantity; sums: whether the first has the name of a sum; own: the column of the customer

CREATE FUNCTION crm_profile_internal.infer_orders(relation regclass, customer text, prefix text DEFAULT '') RETURNS crm_profile_internal.order_columns
	-- with row-level security only names are used, so that nobody's policies run
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	order_like CONSTANT text := '^(sales_?)?(order|invoice|receipt|basket|sale|bill|ticket|transaction|purchase|cart|checkout|bestellung|bestell|auftrag|rechnung|beleg|bon|commande|facture|pedido|factura|ordine|fattura|bestelling|factuur)s?_?(no|nr|num|number|nummer|id|key|code|uuid|ref|reference|numero)?$';
	line_like CONSTANT text := '(^|_)(line|pos|position|item|row|seq|sequence|product|sku|article|artikel|stock|track|isbn)(_|$)';
	shown CONSTANT integer := 10000;
	own CONSTANT name := CASE WHEN customer ~ '^"' THEN replace(substr(customer, 2, length(customer) - 2), '""', '"') ELSE customer END;
	found crm_profile_internal.order_columns;
	product text;
	candidate record;
	seen record;
BEGIN
	found.days := crm_profile_internal.infer_days(relation, prefix);
	SELECT i.* INTO found.amounts, found.sums, product FROM crm_profile_internal.infer_amounts(relation, own, prefix) i;

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

CREATE FUNCTION crm_profile_internal.key_class(type oid) RETURNS "char"
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN (SELECT CASE WHEN t IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype) THEN 'n' WHEN t IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) THEN 's' WHEN t = 'uuid'::regtype THEN 'u' ELSE 'o' END::"char"
		FROM (SELECT crm_profile_internal.base_type(key_class.type)) b(t));
COMMENT ON FUNCTION crm_profile_internal.key_class IS 'what a key can be compared with: n numbers, s texts, u uuids, o others';

CREATE FUNCTION crm_profile_internal.key_column(relation regclass) RETURNS name
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL AND (i.indisprimary OR a.attnotnull),
			LATERAL (SELECT crm_profile_internal.squashed(a.attname) AS name, crm_profile_internal.squashed(c.relname) AS own) n
		WHERE c.oid = relation AND (i.indisprimary OR NOT EXISTS (SELECT FROM pg_index p WHERE p.indrelid = relation AND p.indisprimary AND p.indnkeyatts = 1))
			AND (i.indexrelid IS NOT NULL OR n.name = 'id' OR n.name ~ '^[a-z]+(id|no|nr|key|number|nummer)$' AND (n.own LIKE '%' || regexp_replace(n.name, '(id|no|nr|key|number|nummer)$', '') || '%')
				OR n.name LIKE 'id%' AND n.own LIKE '%' || substr(n.name, 3) || '%')
			AND crm_profile_internal.key_equality(a.atttypid) IS NOT NULL
		ORDER BY i.indisprimary IS TRUE DESC, i.indexrelid IS NULL, length(n.name) <= 2 DESC, a.attnum LIMIT 1;
	END; -- the column that identifies the rows of a relation: its primary key, another unique one, or one that is named so

CREATE FUNCTION crm_profile_internal.infer_lines(orders regclass, OUT lines regclass, OUT orders_sql text, OUT amount text, OUT order_key text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		WITH header AS (
			SELECT c.relnamespace, k.attname AS key, k.attnum, crm_profile_internal.key_class(k.atttypid) AS class, crm_profile_internal.squashed(c.relname) AS own, crm_profile_internal.squashed(k.attname) AS key_name,
				substring(crm_profile_internal.snake_name(c.relname) FROM '(order|invoice|sale|purchase|receipt|bestellung|rechnung|auftrag|booking|transaction)s?(_?(header|head|dataset|entity|stats|data|list))*$') AS noun
			FROM pg_class c JOIN pg_attribute k ON k.attrelid = c.oid AND k.attname = crm_profile_internal.key_column(orders) WHERE c.oid = orders),
		-- tables that refer to the orders by a foreign key, and those named like lines or payments with a column
		-- named like the key
		child AS (
			SELECT f.conrelid AS oid, a.attname, k.attname AS key, 0 AS place FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1] JOIN pg_attribute k ON k.attrelid = f.confrelid AND k.attnum = f.confkey[1]
			WHERE f.contype = 'f' AND f.confrelid = orders AND f.conrelid <> f.confrelid AND f.conparentid = 0 AND cardinality(f.confkey) = 1
			UNION ALL SELECT c.oid, a.attname, h.key, 1 FROM header h JOIN pg_class c ON c.relnamespace = h.relnamespace AND c.oid <> orders AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
				AND c.relname ~* '(line|item|detail|position|product|zeile|artikel|payment)'
				JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.key_class(a.atttypid) = h.class
					AND (crm_profile_internal.squashed(a.attname) = h.key_name AND h.key_name NOT IN ('id', 'entityid', 'uuid', 'guid', 'no', 'nr', 'key', 'code')
						OR crm_profile_internal.squashed(a.attname) IN (h.own || h.key_name, rtrim(h.own, 's') || h.key_name, h.noun || h.key_name, h.noun || 'id'))
			WHERE NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid AND a.attnum = ANY (f.conkey)))
		SELECT c.oid::regclass, format(E'%s o\n JOIN %s l\n ON l.%I = o.%I', orders, c.oid::regclass, c.attname, c.key), i.amounts[1], c.key
		FROM child c JOIN pg_class r ON r.oid = c.oid,
			LATERAL (SELECT crm_profile_internal.snake_name(r.relname) AS name) n, LATERAL (SELECT n.name ~ '(line|item|detail|position|product|zeile|artikel)s?(_?(dataset|data|list|table))?$' AS as_lines) w,
			crm_profile_internal.infer_orders(c.oid, '', 'l.') i
		WHERE has_table_privilege(c.oid, 'SELECT') AND NOT r.relispartition AND n.name !~ '(refund|return|shipment|shipping|tax|discount|adjustment|coupon|status|history|address|log|cancel|deliver|reminder|fulfil|gift|quote|cart)'
			-- what has a customer itself is a table of orders
			AND (w.as_lines OR NOT EXISTS (SELECT FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped AND b.attname ~* '(customer|client|buyer|user|partner|member)_?(id|no|nr)?$'))
			AND (i.sums OR i.amounts[1] LIKE '% * %' OR w.as_lines AND i.amounts[1] ~* 'price|preis|prix|precio|prezzo')
		ORDER BY w.as_lines DESC, c.place, n.name ~ 'payment' DESC, c.oid LIMIT 1;
	END; -- the table of order lines, or of payments, that refers to an order table, their join, and the amount of a line; NULLs if there is none

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
