-- suggest_sources: which tables could be a source
--
-- Tables are judged by their shape: what they are called, which columns of which types they have, which refer to
-- which. Names of tables and columns are ranked first, all at once; rows are looked at only for the few pairs that come
-- out best.

CREATE FUNCTION crm_profile_internal.people_rank(name text) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE
		WHEN name !~ '(customer|client|kunde|buyer|shopper|patron|donor|donator|debitor|cliente|acheteur|klant|consumer|guest|partner|member|mitglied|account|subscriber|party|parties|household|contact|kontakt|user|usuario|utilisateur|benutzer|person|people|profile|patient|student|compan|firm)' THEN
			-- what orders refer to besides
			CASE WHEN name ~ '(product|item|article|artikel|sku|store|shop|warehouse|currenc|address|adresse|location|countr|region|territor|status|state|categor|campaign|coupon|channel|website|language|payment|method|carrier|ship|team|cart|basket|order|invoice|quote|rate|tax|unit|track|film|inventory|rental|group|journal|move|batch|session|template|document|file|media|type|class|role|calendar|date|time|period|level|bestell|rechnung|pricelist|event|city|genre|version|promotion|department|admin|staff|employee|vendor|seller|supplier)' THEN NULL ELSE 0 END
		WHEN name ~ '(admin|staff|employee|sales_?(person|man|rep)|vendor|seller|supplier|creditor|lieferant|(^|_)(api|bank|system)_)' THEN NULL
		WHEN name ~ '(customer|client|kunde|kunden|buyer|shopper|patron|donor|donator|debitor|debitoren|cliente|acheteur|klant|consumer|guest)(s|en|e)?(_?(entity|dataset|lookup|table|data|list|master|base|dim|all|tbl|view|v))*$' THEN 4
		WHEN name ~ '(partner|member|mitglied|mitglieder|account|subscriber|party|parties|household|contact|kontakt)(s|e)?(_?(entity|dataset|table|data|list|master|view))*$' THEN 3
		WHEN name ~ '(user|usuario|utilisateur|benutzer|person|personen|people|profile|patient|student|company|companies|firma|firmen)(s)?(_?(entity|table|data|list|view))*$' THEN 2
		ELSE 1 END;
COMMENT ON FUNCTION crm_profile_internal.people_rank IS 'how likely a table of this name, in snake_case, holds people who buy: 4 most, 0 nothing says so; NULL: it holds something else';

CREATE FUNCTION crm_profile_internal.buyer_rank(name text) RETURNS integer
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE
		WHEN name ~ '(creat|write|writ_|updat|modif|approv|enter|edit|assign|cancel|author|sales_?(person|man|rep)|support|employee|staff|seller|vendor|supplier|operator|cashier|manager|admin|agent|referr|affiliate|handled|process|(^|_)by(_|$))' THEN NULL
		WHEN name ~ '(invoice|ship|bill|deliver|parent|recipient|commercial|sender|group|address)' THEN -2
		WHEN name ~ '(customer|client|kunde|buyer|shopper|patron|donor|debitor|cliente|klant|consumer|guest)' THEN 4
		WHEN name ~ '(partner|member|mitglied|account|subscriber|party|household|contact)' THEN 3
		WHEN name ~ '(user|usuario|benutzer|person)' THEN 2
		ELSE 1 END;
COMMENT ON FUNCTION crm_profile_internal.buyer_rank IS 'how likely a column of this name, in snake_case, tells who bought: 4 most, -2 least; NULL: it tells who entered or sold';

CREATE FUNCTION crm_profile_internal.order_rank(name text) RETURNS double precision
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE
		-- most tables are called something else altogether
		WHEN name !~ '(histor|log|archiv|backup|tmp|temp|old|bak|address|status|tax|memo|back|return|refund|suppl|vendor|procure|purchase|quot|cart|checkout|wishlist|order|bestell|auftr|commande|pedido|ordin|charge|sale|kauf|kaeufe|achat|compra|voice|rechnung|factur|fattura|umsa|trans|receipt|beleg|bon|ticket|booking|buchung|donation|gift|spende|till|rental|basket|deal|opportunit|payment|zahlung)' THEN 0.5
		WHEN name ~ '(history|(^|_)log(_|s?$)|archive|backup|(^|_)(tmp|temp|old|bak)(_|$)|address|status|(^|_)tax|refund|credit_?memo|chargeback|return)' THEN 0
		WHEN name ~ '(supplier|vendor|procure|purchase_?order)' THEN 1.5
		WHEN name ~ '(quote|quotation|cart|checkout|wishlist)s?(_?(data|table|list))*$' THEN 1.5
		WHEN name ~ '(order|bestellung|auftrag|auftraege|commande|pedido|ordine|ordini|bestelling)(s|en|e)?(_?(header|head|entity|stats|dataset|table|data|fact|kopf|all|flat|list))*$' THEN 6 + CASE WHEN name ~ 'sales?_?order' OR name ~ '_stats$' THEN 0.5 ELSE 0 END
		WHEN name ~ '(charge)s?$' THEN 5.5
		WHEN name ~ '(sale|purchase|kauf|kaeufe|achat|compra|invoice|rechnung|facture|factura|fattura|umsatz|umsaetze)(s|en|e)?(_?(header|head|entity|stats|dataset|table|data|fact|kopf|all|flat|list))*$' THEN 5
		WHEN name ~ '(transaction|receipt|beleg|bon|ticket|booking|buchung|donation|gift|spende|till|rental|basket)(s|en|e)?(_?(header|dataset|table|data|all|list))*$' THEN 4
		WHEN name ~ '(^|_)(deal|opportunity|opportunities|opportunitie)s?$' THEN 4
		WHEN name ~ '(payment|zahlung)(s|en)?(_?(dataset|table|data|list))*$' THEN 3
		WHEN name ~ '(order|invoice|sale|purchase|transaction|receipt|payment|donation|booking|bestell|rechnung)' THEN 2
		ELSE 0.5 END;
COMMENT ON FUNCTION crm_profile_internal.order_rank IS 'how likely a table of this name, in snake_case, holds orders of customers: above 6 most, 0 least';

CREATE FUNCTION crm_profile_internal.contract_named(name text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN name ~ '(subscription|contract|membership|policy|policie|agreement|abonnement|abo|vertrag|vertraege|contrat|contrato|contratto)s?(_?(entity|table|data|list))*$'; -- whether a table of this name, in snake_case, holds what customers pay again and again

CREATE FUNCTION crm_profile_internal.names_of_key(relation text, key text) RETURNS SETOF text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 3
	BEGIN ATOMIC
		SELECT DISTINCT e.name FROM (SELECT crm_profile_internal.squashed(names_of_key.key) AS key, crm_profile_internal.squashed(relation) AS own, substring(crm_profile_internal.snake_name(relation) FROM '([a-z]+)(_?(entity|table|data|list))*$') AS noun OFFSET 0) n,
			LATERAL (VALUES (CASE WHEN length(n.key) > 5 AND n.key <> 'entityid' THEN n.key END), (regexp_replace(regexp_replace(n.own, 'ies$', 'y'), 's$', '') || n.key), (regexp_replace(regexp_replace(n.noun, 'ies$', 'y'), 's$', '') || n.key)) e(name)
		WHERE e.name IS NOT NULL;
	END; -- what a column of another table is called that holds the key of a table with this name, without what separates words

CREATE FUNCTION crm_profile_internal.referring_column(relation oid, target oid) RETURNS name
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT a.attname FROM pg_attribute a JOIN pg_attribute k ON k.attrelid = target AND k.attname = crm_profile_internal.key_column(target)
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.key_class(a.atttypid) = crm_profile_internal.key_class(k.atttypid)
			AND crm_profile_internal.squashed(a.attname) IN (SELECT n.name FROM crm_profile_internal.names_of_key((SELECT c.relname FROM pg_class c WHERE c.oid = target), k.attname) n(name)) ORDER BY a.attnum LIMIT 1;
	END; -- the column of one table that is named after the key of the other; NULL: there is none

CREATE FUNCTION crm_profile_internal.suggest_pairs(OUT customers oid, OUT customer_key name, OUT orders oid, OUT order_customer name, OUT link oid, OUT by_foreign_key boolean, OUT likely double precision) RETURNS SETOF record
	-- the planner knows nothing of these steps, and none may be a loop over all pairs of thousands of tables
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_nestloop = off ROWS 20
	BEGIN ATOMIC
		WITH relation AS MATERIALIZED (
			SELECT c.oid, c.relnamespace AS schema, c.relkind, c.relname, c.reltuples AS rows, crm_profile_internal.snake_name(c.relname) AS name
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't' AND NOT c.relispartition
				AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'crm_profile', 'crm_profile_internal')
				AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
				-- what sources are made of does not count
				AND NOT (c.relname IN (SELECT o.name FROM crm_profile_internal.source_objects(NULL) o)
					AND EXISTS (SELECT FROM pg_class s WHERE s.relnamespace = c.relnamespace AND s.reloftype = 'crm_profile.source_definition'::regtype))),
		ranked AS MATERIALIZED (
			SELECT n.name, crm_profile_internal.people_rank(n.name) AS people FROM (SELECT DISTINCT r.name FROM relation r) n),
		refers AS MATERIALIZED (
			SELECT f.conrelid, f.conkey, f.confrelid, f.confkey, f.conkey[1] AS own, f.confkey[1] AS other, cardinality(f.conkey) AS width FROM pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0),
		-- a table that joins two others and has no key of its own is neither people nor orders
		joining AS MATERIALIZED (
			SELECT f.conrelid AS oid FROM refers f WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = f.conrelid AND i.indisprimary AND i.indnkeyatts = 1) GROUP BY f.conrelid HAVING count(DISTINCT f.confrelid) = 2),
		-- tables of another kind count if something refers to them
		person AS MATERIALIZED (
			SELECT r.*, k.people, crm_profile_internal.squashed(r.relname) AS own, CASE WHEN k.people > 0 THEN crm_profile_internal.key_column(r.oid) END AS key,
				substring(r.name FROM '(customer|client|kunde|kunden|buyer|shopper|patron|donor|debitor|cliente|klant|consumer|guest|partner|member|mitglied|account|subscriber|party|household|contact|user|usuario|benutzer|person|patient|company)(?!.*(customer|client|user|account|member|contact|partner))') AS noun
			FROM relation r JOIN ranked k ON k.name = r.name WHERE (k.people > 0 OR k.people = 0 AND r.oid IN (SELECT f.confrelid FROM refers f)) AND r.oid NOT IN (SELECT j.oid FROM joining j) AND NOT crm_profile_internal.contract_named(r.name)),
		-- the same names again and again, so they are looked at once each
		attribute AS MATERIALIZED (
			SELECT a.attrelid, a.attname, a.attnum, a.atttypid, r.schema, r.relkind IN ('v', 'm') AS in_view FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid WHERE a.attnum > 0 AND NOT a.attisdropped),
		col AS MATERIALIZED (
			SELECT a.*, n.name FROM attribute a JOIN (SELECT d.attname, crm_profile_internal.squashed(d.attname) AS name FROM (SELECT DISTINCT attname FROM attribute) d) n ON n.attname = a.attname WHERE NOT a.in_view),
		kind AS MATERIALIZED (
			SELECT d.atttypid, crm_profile_internal.key_class(d.atttypid) AS class FROM (SELECT DISTINCT atttypid FROM attribute) d),
		keyed AS MATERIALIZED (
			SELECT p.*, crm_profile_internal.squashed(p.key) AS key_name, y.class FROM person p JOIN attribute a ON a.attrelid = p.oid AND a.attname = p.key JOIN kind y ON y.atttypid = a.atttypid WHERE p.people > 0),
		named AS MATERIALIZED (
			SELECT DISTINCT k.oid, k.schema, k.key, k.class, e.name, e.alone FROM keyed k, LATERAL (VALUES
				(CASE WHEN k.key_name NOT IN ('id', 'uid', 'uuid', 'guid', 'entityid', 'code', 'key', 'no', 'nr', 'name', 'number', 'rowid') THEN k.key_name END, false),
				(k.own || k.key_name, false), (rtrim(k.own, 's') || k.key_name, false), (k.noun || k.key_name, false), (k.noun || 'id', false), ('id' || k.noun, false), (k.noun, true), (rtrim(k.own, 's'), true)) e(name, alone)
			WHERE e.name IS NOT NULL
			-- order_customer = 'user_id' where the only people are called customers
			UNION SELECT p.oid, p.schema, p.key, p.class, u.noun || e.ending, false FROM (SELECT p.*, row_number() OVER (PARTITION BY p.schema ORDER BY p.people DESC, p.relkind IN ('v', 'm'), p.oid) AS place FROM keyed p WHERE p.people >= 2) p,
				(VALUES ('customer'), ('client'), ('user'), ('buyer'), ('member'), ('account'), ('kunden'), ('kunde'), ('guest')) u(noun), (VALUES ('id'), ('no'), ('nr'), ('number'), ('nummer')) e(ending)
			WHERE p.place = 1 AND NOT EXISTS (SELECT FROM keyed o WHERE o.schema = p.schema AND o.noun = u.noun)),
		by_name AS MATERIALIZED (
			SELECT n.oid AS customers, n.key, c.attrelid AS orders, c.attname, c.attnum, EXISTS (SELECT FROM refers f WHERE f.conrelid = c.attrelid AND f.own = c.attnum) AS refers
			FROM named n JOIN col c ON c.schema = n.schema AND c.name = n.name JOIN kind y ON y.atttypid = c.atttypid
			WHERE c.attrelid <> n.oid AND (y.class = n.class OR NOT n.alone AND concat(y.class, n.class) IN ('ns', 'sn', 'su', 'us'))),
		found AS MATERIALIZED (
			SELECT f.confrelid AS customers, k.attname AS key, f.conrelid AS orders, c.attname, 1.0 AS how FROM refers f JOIN person p ON p.oid = f.confrelid JOIN col c ON c.attrelid = f.conrelid AND c.attnum = f.own
				JOIN attribute k ON k.attrelid = f.confrelid AND k.attnum = f.other WHERE f.width = 1 AND f.conrelid <> f.confrelid
			-- a foreign key to another table means that it is not this one, unless this is a view of that table, which
			-- says whom of them is meant
			UNION SELECT b.customers, b.key, b.orders, b.attname, CASE WHEN b.refers THEN 1.5 ELSE 0.0 END FROM by_name b
			WHERE NOT b.refers OR EXISTS (SELECT FROM refers f JOIN pg_depend d ON d.refobjid = f.confrelid AND d.classid = 'pg_rewrite'::regclass JOIN pg_rewrite w ON w.oid = d.objid WHERE f.conrelid = b.orders AND f.own = b.attnum AND w.ev_class = b.customers)),
		buyer AS MATERIALIZED (
			SELECT d.attname, crm_profile_internal.buyer_rank(crm_profile_internal.snake_name(d.attname)) AS rank FROM (SELECT DISTINCT f.attname FROM found f) d),
		pair AS MATERIALIZED (
			SELECT f.customers, f.key, f.orders, f.attname, f.how = 1 AS by_foreign_key, NULL::oid AS link, p.people + b.rank + f.how - (p.relkind IN ('v', 'm'))::int AS fit, o.name AS orders_name, o.rows AS order_rows, p.rows AS customer_rows, p.name AS customers_name
			FROM found f JOIN person p ON p.oid = f.customers JOIN relation o ON o.oid = f.orders JOIN buyer b ON b.attname = f.attname
			WHERE b.rank IS NOT NULL AND o.relkind NOT IN ('v', 'm')
				-- user names of WordPress, not the keys of WooCommerce's own list
				AND NOT (o.name ~ 'wc_orders$' AND p.name ~ 'customer_lookup$')),
		-- what a table of another name may tell the customer of: by name, where there are no foreign keys
		told AS MATERIALIZED (
			SELECT r.oid, r.schema, r.name, r.relname::text, crm_profile_internal.contract_named(r.name) AS contract FROM relation r
			WHERE r.relkind NOT IN ('v', 'm') AND (crm_profile_internal.contract_named(r.name) OR r.name ~ '(^|_)(order|deal|opportunity|opportunitie|contribution|donation)s?$')),
		told_by AS MATERIALIZED (
			SELECT t.*, k.name AS key_name FROM (SELECT t.*, crm_profile_internal.key_column(t.oid)::text AS key FROM told t OFFSET 0) t, LATERAL crm_profile_internal.names_of_key(t.relname, t.key) k(name)),
		referring AS MATERIALIZED (
			SELECT f.conrelid AS oid, t.oid AS target, t.name, t.contract FROM refers f JOIN told t ON t.oid = f.confrelid WHERE f.conrelid <> f.confrelid
			UNION SELECT c.attrelid, t.oid, t.name, t.contract FROM told_by t JOIN col c ON c.name = t.key_name AND c.schema = t.schema WHERE c.attrelid <> t.oid),
		-- who bought is told by a table between the orders and the customers, or by a contract that is paid
		linked AS MATERIALIZED (
			SELECT p.customers, p.key, h.oid AS orders, p.attname, p.by_foreign_key, p.orders AS link, p.fit - 1 AS fit, h.name, h.rows, p.customer_rows, p.customers_name
			FROM (SELECT p.orders, f.confrelid AS oid FROM pair p JOIN refers f ON f.conrelid = p.orders WHERE p.orders_name ~ 'order.*(customer|client|user|buyer)|(customer|client|user|buyer).*order' OR p.orders IN (SELECT j.oid FROM joining j)
					UNION SELECT p.orders, r.target FROM pair p JOIN referring r ON r.oid = p.orders WHERE NOT r.contract AND strpos(p.orders_name, rtrim(p.customers_name, 's')) > 0 AND strpos(p.orders_name, rtrim(r.name, 's')) > 0 AND p.orders_name <> r.name
					UNION SELECT p.orders, r.oid FROM pair p JOIN referring r ON r.target = p.orders WHERE r.contract) l
				JOIN pair p ON p.orders = l.orders JOIN relation h ON h.oid = l.oid
			WHERE h.oid <> p.customers AND h.relkind NOT IN ('v', 'm') AND NOT EXISTS (SELECT FROM pair o WHERE o.orders = h.oid)),
		best AS MATERIALIZED (
			SELECT DISTINCT ON (p.orders) p.* FROM (SELECT * FROM pair UNION ALL SELECT * FROM linked) p ORDER BY p.orders, p.fit DESC, p.customers_name COLLATE "C", p.customers, p.attname),
		-- columns are ranked for the best by name alone
		likely AS MATERIALIZED (
			SELECT b.*, n.as_orders FROM best b JOIN (SELECT n.orders_name, crm_profile_internal.order_rank(n.orders_name) AS as_orders FROM (SELECT DISTINCT orders_name FROM best) n) n ON n.orders_name = b.orders_name
			WHERE n.as_orders > 0 AND (b.link IS NULL OR n.as_orders >= 3) ORDER BY b.fit + n.as_orders DESC, b.order_rows DESC, b.orders LIMIT 200),
		judged AS (
			SELECT l.orders, min(CASE WHEN y.typcategory = 'D' THEN crm_profile_internal.day_rank(n.name, l.orders_name)
						WHEN y.oid IN ('int4'::regtype, 'int8'::regtype) AND n.name ~ '(^created$|time|date|_at$)' THEN crm_profile_internal.day_rank(n.name, l.orders_name) END) AS day,
					min(CASE WHEN y.typcategory = 'N' AND c.attname <> l.attname THEN crm_profile_internal.amount_rank(n.name) END) AS amount
			FROM likely l JOIN col c ON c.attrelid = l.orders JOIN pg_type y ON y.oid = crm_profile_internal.base_type(c.atttypid), LATERAL (SELECT crm_profile_internal.snake_name(c.attname) AS name) n
			WHERE y.typcategory IN ('D', 'N') GROUP BY l.orders)
		SELECT l.customers, l.key, l.orders, l.attname, l.link, l.by_foreign_key,
			l.fit + l.as_orders + CASE WHEN j.amount <= 4 THEN 2 WHEN j.amount <= 7 THEN 1.5 WHEN l.as_orders >= 4 THEN 1 WHEN j.amount <= 8 THEN 0.5 ELSE 0 END
				+ CASE WHEN j.day <= 1 THEN 1 WHEN j.day <= 4 THEN 0.5 ELSE 0 END + (l.order_rows > l.customer_rows)::int * 0.5
				-- a contract that is paid is no order itself
				- CASE WHEN crm_profile_internal.contract_named(l.orders_name) AND EXISTS (SELECT FROM linked k WHERE k.link = l.orders) THEN 3 ELSE 0 END
		FROM likely l JOIN judged j ON j.orders = l.orders WHERE j.day IS NOT NULL
		ORDER BY 7 DESC, l.order_rows DESC, l.customers::regclass::text COLLATE "C", l.orders::regclass::text COLLATE "C" LIMIT 25;
	END; -- pairs of tables that look like customers and their orders, most likely first, by names, types and keys alone; link: the table that tells who bought, if the orders do not

CREATE FUNCTION crm_profile_internal.infer_filter(relation regclass, prefix text, OUT condition text, OUT "columns" text[])
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c record;
	values text[];
	part text;
BEGIN
	FOR c IN SELECT a.attname, n.name, a.atttypid AS type, t.typtype, t.typcategory AS category FROM pg_attribute a JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid), LATERAL (SELECT crm_profile_internal.snake_name(a.attname) AS name) n
			WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND crm_profile_internal.trusted_type(a.atttypid)
				AND (n.name ~ '^((sales_?)?order_?|invoice_?|charge_?|transaction_?|booking_?|financial_?)?(status|state|zustand|etat|estado|stato)$|^move_type$|^(deal_?|sales_?)?stage(_name)?$' AND t.typcategory IN ('S', 'E')
					OR n.name ~ '^(is_?)?(cancell?ed|test|deleted|draft|void|voided|demo|valid)$|^(n_)?storno$|(^|_)is_(closed_)?won$' AND (t.typcategory = 'B' OR t.oid = 'int2'::regtype)
					OR n.name ~ '^((cancell?ed|cancel|deleted|voided)_?(at|on|date|time)|date_?(cancell?ed|deleted))$' AND t.typcategory = 'D')
			ORDER BY a.attnum LOOP
		IF c.category = 'D' THEN
			part := format('%I IS NULL', c.attname);
		ELSIF c.category = 'B' THEN
			part := CASE WHEN c.name ~ 'won$' THEN quote_ident(c.attname) ELSE format('%I IS NOT %s', c.attname, CASE WHEN c.name ~ 'valid$' THEN 'FALSE' ELSE 'TRUE' END) END;
		ELSIF c.type = 'int2'::regtype THEN
			part := format('%I %s 0', c.attname, CASE WHEN c.name ~ '(valid|won)$' THEN '<>' ELSE '=' END);
		ELSE
			SELECT array_agg(v.value ORDER BY v.value COLLATE "C") INTO values FROM jsonb_array_elements_text(coalesce(NULLIF(crm_profile_internal.glance_at(
				format('SELECT jsonb_agg(DISTINCT s.v) FROM (SELECT %I::text AS v FROM %s LIMIT 10000) s', c.attname, relation)), 'null'), '[]')
					|| coalesce((SELECT jsonb_agg(e.enumlabel) FROM pg_enum e WHERE e.enumtypid = crm_profile_internal.base_type(c.type)), '[]')) v(value) WHERE v.value IS NOT NULL;
			-- of deals those that were won, of entries in the books those of customers
			SELECT format('%I IN (%s)', c.attname, string_agg(DISTINCT quote_literal(v), ', ')) INTO part FROM unnest(values) v
				WHERE v IN ('out_invoice', 'out_refund') OR lower(btrim(v)) ~ '^(closed[ _-]?)?won$' HAVING count(*) > 0;
			IF part IS NULL AND c.name !~ '(type|stage|stage_name)$' THEN
				SELECT format('(%I IN (%s)) IS NOT TRUE', c.attname, string_agg(DISTINCT quote_literal(v), ', ')) INTO part FROM unnest(values) v
					-- a quotation that was sent is no order yet; pending is a new order to some, unpaid to others
					WHERE lower(btrim(v)) ~ crm_profile_internal.status_words() AND lower(btrim(v)) <> 'pending' OR v = 'sent' AND 'sale' = ANY (values) HAVING count(*) BETWEEN 1 AND 20;
			END IF;
		END IF;
		IF part IS NOT NULL THEN
			condition := concat_ws(' AND ', condition, part);
			"columns" := "columns" || (prefix || quote_ident(c.attname));
		END IF;
		part := NULL;
	END LOOP;
END $$; -- a condition that leaves out orders which were cancelled, are not placed or are tests, by columns of the orders that say so; and these columns

CREATE FUNCTION crm_profile_internal.suggest_orders(orders regclass, order_customer name, link regclass, OUT orders_sql text, OUT days text[], OUT amounts text[], OUT ordered_at text, OUT amount text, OUT order_key text, OUT told text, OUT filter text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	own CONSTANT crm_profile_internal.order_columns := crm_profile_internal.infer_orders(orders, CASE WHEN link IS NULL THEN quote_ident(order_customer) ELSE 'NULL' END);
	kept CONSTANT record := crm_profile_internal.infer_filter(orders, 'o.');
	lines record;
	selected text[];
	joined text;
	by_contract boolean;
BEGIN
	days := own.days;
	ordered_at := days[1];
	filter := kept.condition;
	-- an amount that says nothing only in a table that is called orders, and never a rate or a fee
	amounts := ARRAY(SELECT u.a FROM unnest(own.amounts) WITH ORDINALITY u(a, n), LATERAL (SELECT CASE WHEN u.a LIKE '% * %' OR u.a LIKE 'round(%' THEN 1 ELSE crm_profile_internal.amount_rank(crm_profile_internal.snake_name(btrim(u.a, '"'))) END AS rank) r
		WHERE r.rank <= 8 OR r.rank = 50 AND u.n = 1 AND crm_profile_internal.order_rank((SELECT crm_profile_internal.snake_name(c.relname) FROM pg_class c WHERE c.oid = orders)) >= 3 ORDER BY u.n LIMIT 3);
	amount := amounts[1];
	IF link IS NOT NULL THEN
		SELECT string_agg(CASE WHEN f.conrelid = link THEN format('k.%I = o.%I', a.attname, b.attname) ELSE format('k.%I = o.%I', b.attname, a.attname) END, E'\n AND ' ORDER BY u.n) INTO joined
			FROM pg_constraint f CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY u(own, other, n) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = u.own JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = u.other
			WHERE f.oid = (SELECT min(g.oid) FROM pg_constraint g WHERE g.contype = 'f' AND (g.conrelid, g.confrelid) IN ((link, orders), (orders, link)));
		by_contract := crm_profile_internal.contract_named((SELECT crm_profile_internal.snake_name(c.relname) FROM pg_class c WHERE c.oid = link));
		IF joined IS NULL THEN
			joined := CASE WHEN by_contract THEN format('k.%I = o.%I', crm_profile_internal.key_column(link), crm_profile_internal.referring_column(orders, link))
				ELSE format('k.%I = o.%I', crm_profile_internal.referring_column(link, orders), crm_profile_internal.key_column(orders)) END;
		END IF;
		-- a contract that has ended was paid all the same
		joined := format(E'%s o\n JOIN %s k\n ON %s', orders, coalesce('(SELECT * FROM ' || link || E'\n WHERE ' || CASE WHEN NOT by_contract THEN (crm_profile_internal.infer_filter(link, '')).condition END || ')', link::text), joined);
		amount := 'amount';
		selected := ARRAY[format('k.%I', order_customer), (crm_profile_internal.infer_amounts(orders, '', 'o.')).amounts[1] || ' AS amount'];
	ELSE
		SELECT l.* INTO lines FROM crm_profile_internal.infer_lines(orders) l WHERE NOT own.sums;
		IF lines.lines IS NOT NULL THEN
			amount := 'line_amount';
			amounts := ARRAY[regexp_replace(lines.amount, '\ml\.', '', 'g') || ' of ' || lines.lines::regclass];
			order_key := quote_ident(lines.order_key);
			joined := lines.orders_sql;
			selected := ARRAY[format('o.%I', order_customer), 'o.' || order_key, lines.amount || ' AS line_amount'];
		END IF;
	END IF;
	IF joined IS NULL THEN
		orders_sql := orders::text;
		order_key := own.order_key;
		told := own.lines;
		RETURN;
	END IF;
	-- a day that is computed gets a name
	ordered_at := CASE WHEN days[1] LIKE 'to\_%(%' THEN 'ordered_at' ELSE days[1] END;
	selected := ARRAY[selected[1], (crm_profile_internal.infer_days(orders, 'o.'))[1] || CASE WHEN ordered_at <> days[1] THEN ' AS ordered_at' ELSE '' END] || selected[2:cardinality(selected) - 1] || kept.columns || selected[cardinality(selected):];
	orders_sql := format(E'SELECT %s\nFROM %s', (SELECT string_agg(u.c, E',\n ' ORDER BY u.n) FROM (SELECT c, min(n) AS n FROM unnest(selected) WITH ORDINALITY u(c, n) GROUP BY c) u), joined);
END $$; -- the arguments of create_source() about the orders of a pair

CREATE FUNCTION crm_profile.suggest_sources_details(OUT customers text, OUT orders text, OUT customer_rows bigint, OUT order_rows bigint, OUT reason text, OUT call text)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 5 COST 100000 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH pair AS MATERIALIZED (
		SELECT p.*, s.*, c.relname AS customers_name, o.relname AS orders_name, n.nspname AS schema, c.reltuples::bigint AS customer_rows, o.reltuples::bigint AS order_rows
		FROM crm_profile_internal.suggest_pairs() WITH ORDINALITY p(customers, customer_key, orders, order_customer, link, by_foreign_key, likely, place) JOIN pg_class c ON c.oid = p.customers JOIN pg_class o ON o.oid = p.orders
			JOIN pg_namespace n ON n.oid = o.relnamespace CROSS JOIN LATERAL crm_profile_internal.suggest_orders(p.orders, p.order_customer, p.link) s(orders_sql, days, amounts, ordered_at, amount, order_key, told, filter)
		WHERE s.amount IS NOT NULL AND s.days IS NOT NULL),
	-- a name for each that no other has and no schema
	titled AS (
		SELECT p.*, btrim(regexp_replace(left(l.whole, greatest(10, 50 - octet_length(l.whole) + length(l.whole))), '^pg_', 'p_')) AS title
		FROM pair p, LATERAL (SELECT CASE WHEN EXISTS (SELECT FROM pair o WHERE o.place <> p.place AND o.customers_name = p.customers_name AND o.orders_name = p.orders_name) THEN p.schema || '_' ELSE '' END || p.customers_name || '_' || p.orders_name AS whole) l),
	numbered AS (
		SELECT t.*, row_number() OVER (PARTITION BY t.title ORDER BY t.place) AS number FROM titled t)
	SELECT p.customers::regclass::text, p.orders::regclass::text, NULLIF(p.customer_rows, -1), NULLIF(p.order_rows, -1),
		concat_ws(', ', CASE WHEN p.by_foreign_key THEN 'foreign key ' ELSE 'column name ' END || p.order_customer || coalesce(' of ' || p.link::regclass, ''),
			'day ' || array_to_string(ARRAY(SELECT d FROM unnest(p.days) WITH ORDINALITY u(d, n) WHERE n <= 3 AND (n = 1 OR crm_profile_internal.day_rank(crm_profile_internal.snake_name(btrim(d, '"')), '') < 9) ORDER BY n), ' or '),
			'amount ' || array_to_string(p.amounts, ' or '), 'order lines: ' || p.told, 'filter ' || p.filter),
		-- an argument a line, so that the call can be read
		format(E'SELECT * FROM crm_profile.create_source(\n %L,\n customers => %L,', (SELECT t FROM generate_series(p.number, p.number + 1000) g, concat(p.title, '_' || NULLIF(g, 1)) t
				WHERE NOT EXISTS (SELECT FROM pg_namespace s WHERE s.nspname = t) AND (g = p.number OR NOT EXISTS (SELECT FROM numbered o WHERE concat(o.title, '_' || NULLIF(o.number, 1)) = t)) ORDER BY g LIMIT 1), p.customers::regclass)
			|| CASE WHEN EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = p.customers AND i.indisprimary AND i.indnkeyatts = 1 AND a.attname = p.customer_key) THEN '' ELSE format(E'\n customer_key => %L,', quote_ident(p.customer_key)) END
			|| format(E'\n orders => %L,\n order_customer => %L,\n ordered_at => %L,\n amount => %L', p.orders_sql, quote_ident(p.order_customer), p.ordered_at, p.amount)
			|| coalesce(E',\n order_key => ' || quote_literal(p.order_key), '') || coalesce(E',\n order_filter => ' || quote_literal(p.filter), '') || ')'
	FROM numbered p ORDER BY p.place;
END $$; -- pairs of tables that look like customers and their orders, at most 25, most likely first, with the call of create_source() for each; row counts are estimates of the planner

CREATE FUNCTION crm_profile.suggest_sources(OUT reason text, OUT call text) RETURNS SETOF record
	LANGUAGE sql STABLE ROWS 5 COST 100000
	BEGIN ATOMIC
		SELECT crm_profile_internal.wrapped(replace(d.reason, ', order lines', E'\norder lines'), 26), d.call FROM crm_profile.suggest_sources_details() d;
	END; -- calls of create_source() for pairs of tables that look like customers and their orders, most likely first, and the reasons; suggest_sources_details() says more
