-- Attributes, the best customers, and prospects who resemble them

---------------------------------------------------------------- checking a definition

CREATE FUNCTION crm_profile_internal.source_attribute_class(type oid) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT CASE
			WHEN t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'float4'::regtype, 'float8'::regtype, 'numeric'::regtype) THEN 'number'
			WHEN t.oid = 'bool'::regtype THEN 'boolean'
			WHEN t.oid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN 'date'
			WHEN t.typcategory = 'A' AND t.typlen = -1 THEN 'set'
			ELSE 'word' END
		FROM pg_type t WHERE t.oid = crm_profile_internal.base_type(type));
COMMENT ON FUNCTION crm_profile_internal.source_attribute_class IS 'class of a type for profile_fit(): number, boolean, date, set or word; only values of one class can be compared';

CREATE FUNCTION crm_profile_internal.source_attributes(attributes text[], columns text[], OUT place bigint, OUT name text, OUT expression text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT a.place, coalesce(c.column_name, p.parts[1], substring(a.attribute FROM '^\s*(\w+)\s*$')), coalesce(quote_ident(c.column_name), p.parts[2], btrim(a.attribute))
		FROM unnest(attributes) WITH ORDINALITY a(attribute, place),
			LATERAL (SELECT min(k) FROM unnest(columns) k WHERE k = btrim(a.attribute) OR (k = lower(btrim(a.attribute)) OR k = crm_profile_internal.unquoted(a.attribute)) AND btrim(a.attribute) <> ALL (columns)) c(column_name),
			LATERAL (SELECT CASE WHEN c.column_name IS NULL THEN regexp_match(a.attribute, '^\s*(\w+)\s*=(?!=)\s*(.+)$') END) p(parts)
		ORDER BY a.place;
	END; -- the argument attributes parsed: each a column, or name = expression; name is NULL for an expression without a name

CREATE FUNCTION crm_profile_internal.identifying(attribute text, expression text, relation text, path text DEFAULT 'pg_catalog, pg_temp') RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	name CONSTANT text := crm_profile_internal.snake_name(attribute);
	class CONSTANT text := crm_profile_internal.source_attribute_class(crm_profile_internal.source_type_of(expression, relation, path));
	shown CONSTANT integer := 10000;
	found jsonb;
	seen record;
	words text;
BEGIN
	IF class NOT IN ('word', 'number') THEN
		RETURN NULL;
	END IF;
	words := CASE
		WHEN name ~ '(^|_)(e_?mail|mail)(s|_?add?ress.*|_?[0-9]*)?$' OR name ~ '(^|_)(e_?mails?|email.*adres.*|mailad.*|correo|courriel)($|_)' THEN 'e-mail addresses'
		WHEN name ~ '(phone|telefon|telefoon|telephone)' OR name ~ '(^|_)(tel|telno|telnr|fax|handy|mobile?|movil|cell|cellulare|gsm|portable)(_?(no|nr|num|number|nummer|numero|[0-9]))?$' THEN 'telephone numbers'
		WHEN name ~ '(^|_)(iban|bic|swift|(bank_?)?(account|konto)_?(no|nr|number|nummer)|kontonummer|kontonr|(credit_?)?card_?(no|nr|number))($|_)' THEN 'bank accounts'
		WHEN name ~ '(street|strasse|straße|straat|address|adresse|adres$|direccion|indirizzo|endereco)' OR name ~ '(^|_)(calle|rue|via|house_?(no|nr|number)|hausnummer|hausnr)($|_)' THEN 'addresses'
		WHEN class = 'word' AND (name ~ '^((full|first|last|middle|given|family|maiden|user|nick|sur|company|customer|client|contact|display|person|vor|nach|familien|geburts|kunden|firmen)_?)*name_?[0-9]*$'
			OR name ~ '(^|_)(nom|prenom|prénom|nombre|apellidos?|nome|cognome|sobrenome|apelido|naam|voornaam|achternaam|imie|nazwisko)_?[0-9]*$') THEN 'names' END;
	IF words IS NOT NULL OR class <> 'word' THEN
		RETURN words;
	END IF;
	PERFORM set_config('search_path', path, true);
	found := crm_profile_internal.look_at(format($sql$SELECT pg_catalog.jsonb_build_object('n', coalesce(pg_catalog.sum(g.n), 0), 'values', pg_catalog.count(*), 'rare', coalesce(pg_catalog.sum(g.n) FILTER (WHERE g.n < 5), 0),
			'mails', coalesce(pg_catalog.sum(g.n) FILTER (WHERE g.v OPERATOR(pg_catalog.~) '^[^@[:space:]]+@[^@[:space:]]+\.[[:alpha:]]{2,}$'), 0),
			'accounts', coalesce(pg_catalog.sum(g.n) FILTER (WHERE g.v OPERATOR(pg_catalog.~) '^[A-Z]{2}[0-9]{2}( ?[A-Z0-9]){11,30}$'), 0),
			'telephones', coalesce(pg_catalog.sum(g.n) FILTER (WHERE g.v OPERATOR(pg_catalog.~) '^(\+|00|0|\()[0-9 ()/.-]{6,20}$'), 0))
		FROM (SELECT s.v, pg_catalog.count(*) AS n FROM (SELECT pg_catalog.btrim((%s)::pg_catalog.text) COLLATE "C" AS v FROM %s LIMIT %s) s WHERE s.v OPERATOR(pg_catalog.<>) '' GROUP BY s.v) g$sql$, expression, relation, shown));
	SELECT s.* INTO seen FROM pg_catalog.jsonb_to_record(found) s(n bigint, values bigint, rare bigint, mails bigint, accounts bigint, telephones bigint);
	RETURN CASE
		WHEN seen.n = 0 THEN NULL
		WHEN seen.mails >= 0.1 * seen.n THEN 'e-mail addresses'
		WHEN seen.accounts >= 0.5 * seen.n AND seen.rare > 0.5 * seen.n THEN 'bank accounts'
		WHEN seen.telephones >= 0.5 * seen.n AND seen.rare > 0.5 * seen.n THEN 'telephone numbers'
		WHEN seen.n >= 10 AND seen.values = seen.n OR seen.n >= 20 AND seen.rare > 0.5 * seen.n
			THEN format('values that hardly two have in common (%s among %s)', seen.values, seen.n) END;
EXCEPTION WHEN data_exception THEN
	-- the refresh will report it
	RETURN NULL;
END $$; -- kind of personal identifier in an attribute (name, e-mail, phone …), judged by its name and the first rows; NULL if none

CREATE FUNCTION crm_profile_internal.source_warn_identifying(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attribute record;
BEGIN
	FOR attribute IN SELECT a.name, coalesce(crm_profile_internal.identifying(a.name, 'q.' || quote_ident(a.name), format('(%s) q', src.customer_query)),
				CASE WHEN src.prospects IS NOT NULL THEN crm_profile_internal.identifying(a.name, 'q.' || quote_ident(a.name), format('(%s) q', src.prospect_query)) END) AS what
			FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(src.customers::regclass)) a ORDER BY a.place LOOP
		IF attribute.what IS NOT NULL THEN
			RAISE WARNING 'attribute "%" seems to hold %', attribute.name, attribute.what USING DETAIL = 'It identifies people instead of describing them, and does not help with others.',
				HINT = 'Leave it out, or give an expression that groups its values: name = expression.';
		END IF;
	END LOOP;
END $$; -- raises a WARNING for each attribute that identifies a person

CREATE FUNCTION crm_profile_internal.is_figure(name text) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = name);
COMMENT ON FUNCTION crm_profile_internal.is_figure IS 'whether customer_profile has a column of that name: no attribute can bear it, since both are read together';

CREATE FUNCTION crm_profile_internal.source_common_columns(src crm_profile.source_definition, customers oid, prospects oid) RETURNS text[]
	LANGUAGE sql STABLE
	RETURN (SELECT array_agg(CASE WHEN crm_profile_internal.is_figure(c.attname) THEN format('own_%1$s = %1$I', c.attname) ELSE c.attname::text END ORDER BY c.attnum)
		FROM pg_attribute c JOIN pg_attribute p ON p.attname = c.attname AND p.attrelid = prospects AND p.attnum > 0 AND NOT p.attisdropped
		WHERE c.attrelid = customers AND c.attnum > 0 AND NOT c.attisdropped
			AND crm_profile_internal.source_attribute_class(c.atttypid) = crm_profile_internal.source_attribute_class(p.atttypid)
			AND (crm_profile_internal.source_attribute_class(c.atttypid) <> 'word'
				OR (SELECT typcategory FROM pg_type WHERE oid = c.atttypid) IN ('S', 'E'))
			AND has_column_privilege(customers, c.attnum, 'SELECT') AND has_column_privilege(prospects, p.attnum, 'SELECT')
			-- a key, or a reference to one, identifies the person
			AND c.attname <> ALL (ARRAY[src.customer_key, src.prospect_key, coalesce(src.prospect_customer, '')])
			AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indisunique AND i.indnkeyatts = 1
				AND (i.indrelid = customers AND i.indkey[0] = c.attnum OR i.indrelid = prospects AND i.indkey[0] = p.attnum))
			AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid IN (customers, prospects)
				AND (f.conrelid = customers AND c.attnum = ANY (f.conkey) OR f.conrelid = prospects AND p.attnum = ANY (f.conkey)))
			-- the time when a row was written distinguishes the two tables
			AND crm_profile_internal.snake_name(c.attname) !~ '(^|_)(id|key|uuid|guid|login|password|passwort|token|vat|ssn|(tax|steuer)_?(id|no|nr|number|nummer)|passport|url|website|homepage|photo|picture|avatar|notes?|notiz(en)?|comments?|kommentare?|remarks?|bemerkung(en)?|created|updated|modified|changed|inserted|imported|deleted|erstellt|angelegt|geaendert|importiert)($|_)'
			AND lower(c.attname) <> ALL ('{customer,prospect,is_target,email,(row),(group),(recency),(frequency),(monetary)}')
			-- columns that define the best customers would predict themselves
			AND (lower(c.attname) <> ALL (regexp_split_to_array(lower(regexp_replace(src.best, '''[^'']*''', '', 'g')), '\W+'))
				OR crm_profile_internal.is_figure(c.attname))
			-- names, addresses and the like identify people, too
			AND crm_profile_internal.identifying(c.attname, quote_ident(c.attname), customers::regclass::text) IS NULL
			AND crm_profile_internal.identifying(p.attname, quote_ident(p.attname), prospects::regclass::text) IS NULL);
COMMENT ON FUNCTION crm_profile_internal.source_common_columns IS 'columns that customers and prospects have in common and that describe people (no keys, names, addresses, dates of entry); NULL if none';

CREATE FUNCTION crm_profile_internal.source_resolve_prospects(src crm_profile.source_definition, customers oid, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	reserved CONSTANT text[] := '{customer,prospect,is_target,email,(row),(group),(recency),(frequency),(monetary)}';
	prospects oid;
	columns text[] := crm_profile_internal.source_columns(customers);
	candidates text[];
	attribute record;
	kind regtype;
	prospect_kind regtype;
BEGIN
	src.best := coalesce(src.best, 'value_tier = ''A''');
	src.customer_query := NULL;
	src.prospect_query := NULL;
	src.prospect_key_type := NULL;
	IF src.prospects IS NULL AND num_nonnulls(src.prospect_key, src.prospect_customer) > 0 THEN
		PERFORM crm_profile_internal.source_argument_error('prospects', 'it is missing', 'prospect_key and prospect_customer are columns of that table.', NULL);
	END IF;

	IF src.prospects IS NOT NULL THEN
		prospects := crm_profile_internal.source_relation('prospects', src.prospects, path);
		src.prospects := prospects::regclass::text;
		src := crm_profile_internal.source_bring(src, 'prospects', prospects);
		IF src.prospect_key IS NULL THEN
			SELECT array_agg(attname::text) INTO candidates FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
				WHERE indrelid = prospects AND indisprimary AND indnkeyatts = 1;
			src.prospect_key := crm_profile_internal.source_one_of('prospect_key', candidates, 'primary key of one column', src.prospects, crm_profile_internal.source_columns(prospects));
		ELSE
			src.prospect_key := crm_profile_internal.source_column('prospect_key', src.prospect_key, prospects);
		END IF;
		SELECT format_type(crm_profile_internal.base_type(atttypid), -1) INTO src.prospect_key_type
			FROM pg_attribute WHERE attrelid = prospects AND attname = src.prospect_key;

		-- the customer that a prospect has become
		IF src.prospect_customer IS NULL THEN
			SELECT array_agg(DISTINCT a.attname::text) INTO candidates FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
				JOIN pg_attribute k ON k.attrelid = f.confrelid AND k.attnum = f.confkey[1]
				WHERE f.contype = 'f' AND f.conrelid = prospects AND f.confrelid = customers AND cardinality(f.conkey) = 1 AND k.attname = src.customer_key;
			IF candidates IS NOT NULL THEN
				src.prospect_customer := crm_profile_internal.source_one_of('prospect_customer', candidates, 'foreign key to ' || src.customers, src.prospects, NULL);
			ELSIF prospects = customers AND src.prospect_key = src.customer_key
				OR src.prospect_key_type = src.key_type AND src.key_type NOT IN ('smallint', 'integer', 'bigint', 'numeric')
				OR src.prospect_key = src.customer_key AND src.customer_key <> 'id' THEN
				src.prospect_customer := src.prospect_key;
			END IF;
		ELSE
			src.prospect_customer := crm_profile_internal.source_column('prospect_customer', src.prospect_customer, prospects);
		END IF;
		IF src.prospect_customer IS NOT NULL THEN
			BEGIN
				PERFORM crm_profile_internal.source_type_of(format('%I::%s', src.prospect_customer, src.key_type), src.prospects, path);
			EXCEPTION WHEN cannot_coerce THEN
				PERFORM crm_profile_internal.source_argument_error('prospect_customer', format('%s has type %s', src.prospect_customer, crm_profile_internal.source_type_of(quote_ident(src.prospect_customer), src.prospects, path)),
					format('The key of %s, %s, has type %s.', src.customers, src.customer_key, src.key_type), 'Name the column that holds the key of the customer.');
			END;
		END IF;
		IF src.attributes IS NULL THEN
			src.attributes := crm_profile_internal.source_common_columns(src, customers, prospects);
			IF src.attributes IS NULL THEN
				PERFORM crm_profile_internal.source_argument_error('attributes', format('it was left out, and %s and %s have no columns in common that describe people', src.customers, src.prospects),
					format('The columns are: %s; and: %s.', array_to_string(columns, ', '), array_to_string(crm_profile_internal.source_columns(prospects), ', ')),
					'Write attributes => ARRAY[…] with columns of both, or name = expression; a view of the prospects may bear the names of the customers'' columns.');
			END IF;
		END IF;
	END IF;
	IF coalesce(cardinality(src.attributes), 0) = 0 THEN
		IF src.prospects IS NOT NULL THEN
			PERFORM crm_profile_internal.source_argument_error('attributes', 'there is none', 'Prospects are compared with customers by attributes.', 'Leave it out to have them inferred.');
		END IF;
		src.attributes := NULL;
		RETURN src;
	ELSIF cardinality(src.attributes) > 250 THEN
		PERFORM crm_profile_internal.source_argument_error('attributes', format('there are %s, and at most 250 are possible', cardinality(src.attributes)), NULL, 'Name those that tell most about people.');
	END IF;

	FOR attribute IN SELECT a.*, count(*) OVER (PARTITION BY a.name) AS times FROM crm_profile_internal.source_attributes(src.attributes, columns) a ORDER BY a.place LOOP
		IF attribute.name IS NULL THEN
			PERFORM crm_profile_internal.source_argument_error('attributes', format('"%s" is no column of %s', attribute.expression, src.customers),
				format('Its columns are: %s.', array_to_string(columns, ', ')), 'An expression needs a name: name = expression.');
		ELSIF attribute.times > 1 THEN
			PERFORM crm_profile_internal.source_argument_error('attributes', format('"%s" is there more than once', attribute.name), NULL, 'Write name = expression with another name.');
		ELSIF lower(attribute.name) = ANY (reserved) THEN
			PERFORM crm_profile_internal.source_argument_error('attributes', format('"%s" cannot be the name of one', attribute.name),
				format('These cannot: %s.', array_to_string(reserved, ', ')), 'Leave it out if it only says who somebody is; otherwise write name = expression with another name.');
		ELSIF crm_profile_internal.is_figure(attribute.name) THEN
			PERFORM crm_profile_internal.source_argument_error('attributes', format('"%s" is a column of customer_profile', attribute.name),
				'Both are read together, and would be mixed up.', format('Write it under another name: own_%s = %s.', attribute.name, attribute.expression));
		END IF;
		PERFORM crm_profile_internal.source_expression('attributes', attribute.expression, customers, src.customers, path, NULL, NULL);
		kind := crm_profile_internal.source_type_of(attribute.expression, src.customers, path);
		IF prospects IS NOT NULL THEN
			BEGIN
				prospect_kind := crm_profile_internal.source_type_of(attribute.expression, src.prospects, path);
			EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported THEN
				PERFORM crm_profile_internal.source_argument_error('attributes', format('"%s" does not work over the prospects: %s', attribute.name, SQLERRM),
					format('It is %s; the columns of %s are: %s.', attribute.expression, src.prospects, array_to_string(crm_profile_internal.source_columns(prospects), ', ')),
					concat_ws(' ', 'Did you mean ' || CASE WHEN NOT attribute.name = ANY (crm_profile_internal.source_columns(prospects))
							THEN crm_profile_internal.near_names(btrim(attribute.expression, '" '), crm_profile_internal.source_columns(prospects)) END || '?',
						'A view of the prospects may bear the names of the customers'' columns.'));
			END;
			IF crm_profile_internal.source_attribute_class(kind) <> crm_profile_internal.source_attribute_class(prospect_kind) THEN
				PERFORM crm_profile_internal.source_argument_error('attributes', format('"%s" has type %s in %s and type %s in %s', attribute.name, kind, src.customers, prospect_kind, src.prospects),
					'Numbers are compared with numbers, days with days, words with words, sets with sets, true and false with each other.', 'Cast it: name = expression.');
			END IF;
		END IF;
		src.customer_query := concat(src.customer_query, ', ', crm_profile_internal.attribute_expression(src, attribute.name, attribute.expression), ' AS ', quote_ident(attribute.name));
	END LOOP;
	IF prospects IS NOT NULL THEN
		src.prospect_query := crm_profile_internal.source_canonical(format('SELECT %I::%s AS prospect, %s AS customer%s FROM %s', src.prospect_key, src.prospect_key_type,
			coalesce(quote_ident(src.prospect_customer), 'NULL') || '::' || src.key_type, src.customer_query, src.prospects), src.name, path, 'attributes');
	END IF;
	src.customer_query := crm_profile_internal.source_canonical(format('SELECT %I::%s AS customer%s FROM %s', src.customer_key, src.key_type, src.customer_query, src.customers), src.name, path, 'attributes');
	RETURN src;
END $$; -- checks and completes attributes and prospects of a definition with the caller's rights

CREATE FUNCTION crm_profile_internal.source_best_columns(src crm_profile.source_definition) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN ARRAY(SELECT o.name FROM (
			SELECT 1 AS kind, a.attnum::bigint AS place, a.attname::text AS name FROM pg_attribute a WHERE a.attrelid = src.customers::regclass AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
			UNION ALL SELECT 2, a.place, a.name FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(src.customers::regclass)) a
				WHERE src.customer_query IS NOT NULL AND a.name <> ALL (crm_profile_internal.source_columns(src.customers::regclass))) o
		WHERE o.name <> ALL (crm_profile_internal.source_columns(format('%I.customer_profile', src.name)::regclass)) ORDER BY o.kind, o.place);
COMMENT ON FUNCTION crm_profile_internal.source_best_columns IS 'what a condition over customers can name besides the columns of customer_profile: columns of the customer table, and attributes';

CREATE FUNCTION crm_profile_internal.source_best_from(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN src.best_columns IS NULL THEN format('%I.customer_profile', src.name)
		ELSE (SELECT format('(SELECT p.*, %s FROM %I.customer_profile p JOIN %s t ON %s%s) customer_profile', string_agg(CASE WHEN c.own THEN 't.' ELSE 'q.' END || quote_ident(c.name), ', ' ORDER BY c.place),
			src.name, src.customers, crm_profile_internal.same_key(src.key_type, 'p.customer', format('t.%I', src.customer_key)),
			CASE WHEN NOT bool_and(c.own) THEN format(' JOIN (%s) q ON %s', src.customer_query, crm_profile_internal.same_key(src.key_type, 'p.customer', 'q.customer')) END)
			FROM (SELECT u.name, u.place, u.name = ANY (crm_profile_internal.source_columns(src.customers::regclass)) AS own FROM unnest(src.best_columns) WITH ORDINALITY u(name, place)) c) END;
COMMENT ON FUNCTION crm_profile_internal.source_best_from IS 'FROM clause of the condition for the best customers: customer_profile with the columns of the customer table and the attributes that it needs';

CREATE FUNCTION crm_profile_internal.source_resolve_best(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	segments text[] := (SELECT array_agg(s.segment) FROM crm_profile.segments(crm_profile.compile_scheme(src.scheme)) s);
	columns text[] := crm_profile_internal.source_columns(format('%I.customer_profile', src.name)::regclass);
	others CONSTANT text[] := crm_profile_internal.source_best_columns(src);
	path CONSTANT text := crm_profile_internal.source_path(src.search_path);
	condition text := src.best;
	tail text;
	listed text[];
	problem text;
BEGIN
	SELECT array_agg((SELECT s FROM unnest(segments) s WHERE lower(s) = lower(btrim(w)))) INTO listed FROM string_to_table(src.best, ',') w;
	IF array_position(listed, NULL) IS NULL THEN
		condition := format('segment IN (%s)', (SELECT string_agg(quote_literal(s), ', ') FROM unnest(listed) s));
	END IF;
	BEGIN
		PERFORM crm_profile_internal.checked_expression(condition);
		src.best_columns := NULL;
		BEGIN
			src.best_query := crm_profile_internal.source_canonical(format(E'SELECT customer, (%s\n) IS TRUE AS is_best FROM %s', condition, crm_profile_internal.source_best_from(src)), src.name, path);
		EXCEPTION WHEN undefined_column THEN
			src.best_columns := NULLIF(ARRAY(SELECT o FROM unnest(others) WITH ORDINALITY u(o, place) WHERE strpos(lower(condition), lower(o)) > 0 ORDER BY place), '{}');
			src.best_query := crm_profile_internal.source_canonical(format(E'SELECT customer, (%s\n) IS TRUE AS is_best FROM %s', condition, crm_profile_internal.source_best_from(src)), src.name, path);
		END;
		-- stored without the name of the schema, which may be renamed
		tail := crm_profile_internal.source_canonical('SELECT customer FROM ' || crm_profile_internal.source_best_from(src), src.name, path);
		tail := substr(tail, strpos(tail, E'\n   FROM '));
		IF right(src.best_query, length(tail)) <> tail THEN
			RAISE syntax_error USING MESSAGE = 'it is more than a condition';
		END IF;
		src.best_query := left(src.best_query, -length(tail));
		SELECT string_agg(a.name, ', ' ORDER BY a.place) INTO problem FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(src.customers::regclass)) a
			WHERE src.prospects IS NOT NULL AND a.name = ANY (src.best_columns);
		IF problem IS NOT NULL THEN
			RAISE WARNING 'the condition for the best customers uses columns that are attributes, too: %', problem USING DETAIL = 'An attribute would predict itself, and little else would count.',
				HINT = 'Take it out of the attributes.';
		END IF;
	EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported THEN
		problem := SQLERRM;
		PERFORM crm_profile_internal.source_argument_error('best', problem,
			format('It is %s: neither a list of segments (%s) nor a condition over the columns of customer_profile (%s) and of %s and its attributes (%s).', src.best, array_to_string(segments, ', '),
				array_to_string(columns, ', '), src.customers, array_to_string(others, ', ')),
			coalesce((SELECT 'Did you mean ' || n.near || '?'
				FROM (SELECT 1 AS place, btrim(w) AS word FROM string_to_table(src.best, ',') w
					UNION ALL SELECT 2, m[1] FROM regexp_matches(regexp_replace(src.best, '''[^'']*''', '', 'g'), '[[:alpha:]_]\w*', 'g') m) t,
					LATERAL (SELECT crm_profile_internal.near_names(t.word, segments || columns || others) AS near) n
				WHERE n.near IS NOT NULL AND t.word <> ALL (segments || columns || others) ORDER BY t.place LIMIT 1),
				'Write best => ''Champions, Loyal'', ''value_tier = ''''A'''''', or any condition.'));
	END;
	RETURN src;
END $$; -- checks the argument best, a list of segments or a condition, and makes a query of it; needs the view customer_profile

CREATE FUNCTION crm_profile_internal.source_best_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format(E'%s\n   FROM %s', src.best_query, crm_profile_internal.source_best_from(src)); -- the query that says for each customer key whether the customer is among the best

---------------------------------------------------------------- the view

CREATE FUNCTION crm_profile_internal.source_attribute_names(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT string_agg('q.' || quote_ident(a.name), ', ' ORDER BY a.place)
		FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a);
COMMENT ON FUNCTION crm_profile_internal.source_attribute_names IS 'the attributes as columns of the stored queries under the alias q';

CREATE TYPE crm_profile_internal.prospect_match_row AS ( -- a row of the view prospect_match, in which the key has its type in the prospect table
	prospect text, -- key of the prospect, as in the prospect table
	lifecycle varchar, -- probable: a prospect without interactions; potential: a prospect with interactions
	score double precision, -- probability of becoming one of the best customers, 0 to 1; NULL: no model, see crm_profile.sources
	lift double precision, -- score / share of the best among all customers
	reasons text -- strongest reasons for the score, up and down, each with the share of the best among customers with the same value
);

CREATE FUNCTION crm_profile_internal.prospect_figures(prospect text, profile crm_profile.profile, models crm_profile_internal.sealed_models, contacted boolean)
	RETURNS SETOF crm_profile_internal.prospect_match_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT prospect, CASE WHEN contacted THEN 'potential' ELSE 'probable' END, crm_profile_internal.match_score(profile, models), crm_profile_internal.match_lift(profile, models),
			crm_profile_internal.match_reasons(profile, models, 5);
	END; -- all figures of prospect_match for one prospect

CREATE FUNCTION crm_profile_internal.email_column(relation regclass) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT quote_ident(a.attname) FROM pg_attribute a JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid)
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND (t.typcategory = 'S' OR t.typname = 'citext') AND has_column_privilege(relation, a.attnum, 'SELECT')
			AND crm_profile_internal.snake_name(a.attname) ~ '(^|_)e_?mail(_?(address|adresse))?$' ORDER BY a.attnum LIMIT 1);
COMMENT ON FUNCTION crm_profile_internal.email_column IS 'the column of e-mail addresses, by its name, as SQL; NULL if there is none';

CREATE FUNCTION crm_profile_internal.plain_email(email text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN e.email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]{2,}$' THEN e.email END FROM (SELECT lower(btrim(email)) AS email) e); -- an e-mail address without surrounding blanks and in lower case; NULL if it is not one

CREATE FUNCTION crm_profile_internal.source_same_email(src crm_profile.source_definition, prospect text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- if customers are merged, the orders belong to the person
	RETURN CASE WHEN crm_profile_internal.email_column(src.prospects::regclass) IS NOT NULL AND crm_profile_internal.email_column(src.customers::regclass) IS NOT NULL THEN format('SELECT FROM %1$s t JOIN %2$s c ON crm_profile_internal.plain_email(t.%3$s::text) = crm_profile_internal.plain_email(c.%4$s::text)%5$s JOIN %6$I.customer_history h ON %7$s WHERE %8$s AND crm_profile.first_purchase(h.history, %9$s) IS NOT NULL',
		src.prospects, src.customers, crm_profile_internal.email_column(src.prospects::regclass), crm_profile_internal.email_column(src.customers::regclass),
		CASE WHEN crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL THEN format(' LEFT JOIN %I.customer_identity i ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'i.customer', format('c.%I', src.customer_key))) END,
		src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', CASE WHEN crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL THEN format('coalesce(i.person, c.%I)', src.customer_key) ELSE format('c.%I', src.customer_key) END),
		crm_profile_internal.same_key(src.prospect_key_type, format('t.%I::%s', src.prospect_key, src.prospect_key_type), prospect), crm_profile_internal.source_today(src)) END;
COMMENT ON FUNCTION crm_profile_internal.source_same_email IS
	'the query that finds a customer who has bought and has the e-mail address of a prospect, whose key is given as SQL; NULL if one of the tables has no such column';

CREATE FUNCTION crm_profile_internal.source_prospects(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('(SELECT * FROM (%s) prospects WHERE true%s%s) q', src.prospect_query, CASE WHEN src.prospect_customer IS NOT NULL THEN format(
		' AND NOT EXISTS (SELECT FROM %I.customer_history h WHERE %s AND crm_profile.first_purchase(h.history, %s) IS NOT NULL)',
		src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'prospects.customer'), crm_profile_internal.source_today(src)) END,
		CASE WHEN crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL THEN ' AND NOT EXISTS (' || crm_profile_internal.source_same_email(src, 'prospects.prospect') || ')' END);
COMMENT ON FUNCTION crm_profile_internal.source_prospects IS 'FROM clause: prospects q who have not bought, with their attributes';

CREATE FUNCTION crm_profile_internal.source_match_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('SELECT q.prospect, f.lifecycle, f.score, f.lift, f.reasons
FROM %1$s CROSS JOIN LATERAL (SELECT %2$s) "(row)" CROSS JOIN (SELECT (SELECT m.models FROM %3$I.prospect_model m) AS models) m CROSS JOIN LATERAL (SELECT %4$s AS contacted) l
	CROSS JOIN LATERAL crm_profile_internal.prospect_figures(q.prospect::text, crm_profile_internal.profile("(row)", m.models), m.models, l.contacted) f',
		crm_profile_internal.source_prospects(src), crm_profile_internal.source_attribute_names(src), src.name,
		CASE WHEN src.prospect_customer IS NULL OR src.interactions IS NULL THEN 'false'
			ELSE crm_profile_internal.source_contact(src, 'q.customer', crm_profile_internal.source_today(src)) END);
COMMENT ON FUNCTION crm_profile_internal.source_match_query IS 'the query behind prospect_match';

CREATE FUNCTION crm_profile_internal.source_build_match(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.prospects IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'prospect_match');
	ELSE
		PERFORM crm_profile_internal.source_view(src, 'prospect_match', 'prospects who have not bought yet, and how much they are like the best customers, by the models of the last refresh',
			'crm_profile_internal.prospect_match_row', crm_profile_internal.source_match_query(src));
	END IF;
END $$; -- creates or replaces the view prospect_match of a source, or drops it if there are no prospects

---------------------------------------------------------------- options of attributes

CREATE FUNCTION crm_profile_internal.source_check_attribute_options(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	example CONSTANT text := 'Write attribute_options => ''{"special": {"income": [-999]}, "breaks": {"age": [30, 45, 60]}, "asymmetric": ["has_boat"]}''.';
	given jsonb;
	unknown text;
BEGIN
	IF src.attribute_options IS NULL THEN
		RETURN src;
	END IF;
	IF src.attributes IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('attribute_options', 'the source has no attributes', NULL, 'Give attributes.');
	END IF;
	BEGIN
		given := src.attribute_options::jsonb;
		IF jsonb_typeof(given) <> 'object' THEN
			RAISE invalid_parameter_value USING MESSAGE = 'it is no JSON object';
		END IF;
		SELECT min(o.key) INTO unknown FROM jsonb_each(given) o WHERE o.key <> ALL ('{special,breaks,asymmetric}');
		IF unknown IS NOT NULL THEN
			RAISE invalid_parameter_value USING MESSAGE = format('there is no option "%s"', crm_profile_internal.short(unknown, 64));
		END IF;
		-- a row without values is enough to check names and values against the types
		EXECUTE format('SELECT crm_profile.attribute_relevance("(row)", true, NULL, $1), crm_profile.profile_fit("(row)", $2)
			FROM (SELECT) one LEFT JOIN (%s) q ON false CROSS JOIN LATERAL (SELECT %s) "(row)"', src.customer_query, crm_profile_internal.source_attribute_names(src))
			USING given - 'asymmetric', given - '{special,breaks}'::text[];
	EXCEPTION WHEN data_exception OR undefined_column OR program_limit_exceeded OR invalid_datetime_format THEN
		PERFORM crm_profile_internal.source_argument_error('attribute_options', SQLERRM, format('It is: %s.', src.attribute_options), example);
	END;
	src.attribute_options := given::text;
	RETURN src;
END $$; -- the argument attribute_options, checked

CREATE FUNCTION crm_profile_internal.source_bin_options(src crm_profile.source_definition) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN src.attribute_options::jsonb - 'asymmetric'; -- options of match_fit() for the attributes of a source

---------------------------------------------------------------- refresh

CREATE FUNCTION crm_profile_internal.source_profile_options(src crm_profile.source_definition) RETURNS jsonb
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	options jsonb;
BEGIN
	-- whether texts are numbers must not depend on the values: those of prospects may differ
	-- ranges do not end at a value of one customer
	SELECT jsonb_build_object('range_count', 5, 'kinds', coalesce(jsonb_object_agg(a.name, 'nominal')
			FILTER (WHERE crm_profile_internal.source_attribute_class(t.type) = 'word' AND NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = t.type)), '{}'))
		INTO options
		FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a,
			LATERAL (SELECT crm_profile_internal.source_type_of('q.' || quote_ident(a.name), format('(%s) q', src.customer_query), 'pg_catalog, pg_temp')::oid AS type) t;
	RETURN options || coalesce(src.attribute_options::jsonb - '{special,breaks}'::text[], '{}');
END $$; -- options of profile_fit() for the attributes of a source: text stays text, and what attribute_options says

CREATE FUNCTION crm_profile_internal.source_match_share(customers bigint) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN least(1, 100000 / greatest(customers, 1)::double precision); -- share of the customers that a match model is fitted to: about 100 000 customers, or all

CREATE FUNCTION crm_profile_internal.source_fit_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('(%s) q JOIN (%s) b ON %s CROSS JOIN LATERAL (SELECT %s) "(row)"', src.customer_query, crm_profile_internal.source_best_query(src),
		crm_profile_internal.same_key(src.key_type, 'b.customer', 'q.customer'), crm_profile_internal.source_attribute_names(src));
COMMENT ON FUNCTION crm_profile_internal.source_fit_query IS 'FROM clause of the fits: customers q with attributes "(row)", and b, whether they are among the best';

CREATE FUNCTION crm_profile_internal.source_keep_match(src crm_profile.source_definition, fitted timestamptz, profile crm_profile.profile_model, match crm_profile.match_model) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	model crm_profile.source_model := crm_profile_internal.source_last_model(src);
BEGIN
	-- nothing to compare with before the first refresh
	IF model.id IS NOT NULL THEN
		model.fitted_at := fitted;
		model.profile := profile;
		model.match := match;
		model.best := CASE WHEN match IS NOT NULL THEN src.best END;
		PERFORM crm_profile_internal.source_keep_model(src, model);
	END IF;
END $$; -- stores the models of attributes in the newest model, or in a new one if they differ from those of an earlier refresh

CREATE FUNCTION crm_profile_internal.refresh_matches(src crm_profile.source_definition, started timestamptz, verbose boolean, OUT best bigint, OUT others bigint, OUT seconds double precision)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET row_security = off AS $$
DECLARE
	began timestamptz := clock_timestamp();
	found record;
	match crm_profile.match_model;
BEGIN
	IF src.attributes IS NULL THEN
		PERFORM crm_profile_internal.source_keep_match(src, started, NULL, NULL);
		RETURN;
	END IF;
	EXECUTE format('SELECT crm_profile.profile_fit("(row)", $1) AS profile, count(*) AS customers FROM (%s) q CROSS JOIN LATERAL (SELECT %s) "(row)"',
		src.customer_query, crm_profile_internal.source_attribute_names(src)) INTO found USING crm_profile_internal.source_profile_options(src);
	IF src.prospects IS NOT NULL THEN
		-- a single class is nothing to learn from
		EXECUTE 'WITH c AS MATERIALIZED (SELECT crm_profile.profile("(row)", $1) AS profile, b.is_best FROM ' || crm_profile_internal.source_fit_query(src)
				|| ' WHERE $2 = 1 OR crm_profile_internal.in_sample(q.customer::text, $2)),
			n AS (SELECT count(*) FILTER (WHERE c.is_best) AS best, count(*) FILTER (WHERE NOT c.is_best) AS others FROM c)
			SELECT n.best, n.others, CASE WHEN n.best > 0 AND n.others > 0 THEN (SELECT crm_profile_internal.match_fit_quiet(c.profile, c.is_best, $1, $3) FROM c) END FROM n'
			INTO best, others, match USING found.profile, crm_profile_internal.source_match_share(found.customers), crm_profile_internal.source_bin_options(src);
	END IF;
	PERFORM crm_profile_internal.source_keep_match(src, started, found.profile, match);
	seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": attributes fitted in % s, % best customers, % others', src.name, round(seconds::numeric, 1), coalesce(best, 0), coalesce(others, 0);
	END IF;
END $$; -- last part of a refresh, if the source has attributes: fits the models of attributes and, with prospects, of the best customers, and keeps them

CREATE FUNCTION crm_profile_internal.source_check_prospects(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format($sql$WITH q AS MATERIALIZED (%s),
		counted AS (SELECT count(*) FILTER (WHERE q.prospect IS NULL) AS no_key, count(q.prospect) - count(DISTINCT q.prospect) AS twice,
				count(*) FILTER (WHERE q.customer IS NOT NULL AND NOT EXISTS (SELECT FROM %s c WHERE %s)) AS unknown,
				count(*) AS prospects, (SELECT count(*) FROM %s) AS fresh
			FROM q)
		SELECT v.severity, v.problem, v.count, v.detail
		FROM counted, LATERAL (VALUES
			(1, 'warning', 'no prospects at all', CASE WHEN prospects = 0 THEN 1 ELSE 0 END, 'Is it the right table?'),
			(2, 'warning', 'prospects with the same key', twice, 'prospect_match has them more than once. Name another prospect_key.'),
			(3, 'warning', 'prospects without key', no_key, 'prospect_match shows them, but nobody can tell who they are.'),
			(4, 'note', 'prospects of unknown customers', CASE WHEN %L THEN unknown ELSE 0 END, 'Their prospect_customer is not in the customer table.'),
			(5, 'note', 'prospects who have bought', prospects - fresh, 'They are customers: prospect_match leaves them out.'))
			v(n, severity, problem, count, detail)
		WHERE v.count > 0 ORDER BY v.n$sql$, src.prospect_query, src.customers,
		crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'q.customer'), crm_profile_internal.source_prospects(src), src.prospect_customer <> src.prospect_key);
COMMENT ON FUNCTION crm_profile_internal.source_check_prospects IS 'the part of the query of check_source() about prospects';

---------------------------------------------------------------- ranked prospects

CREATE FUNCTION crm_profile_internal.match_prospects_as_owner(src crm_profile.source_definition, max_rows integer,
	OUT prospect text, OUT score double precision, OUT lift double precision, OUT rank integer, OUT decile integer,
	OUT nearest_customer text, OUT similarity double precision, OUT reasons text, OUT reasons_json jsonb)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET row_security = off AS $$
#variable_conflict use_column
DECLARE
	attributes text;
	customers bigint;
BEGIN
	IF src.prospects IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('source "%s" has no prospects', src.name),
			HINT = format('SELECT crm_profile.alter_source(%L, prospects => ''schema.table'')', src.name);
	END IF;
	attributes := crm_profile_internal.source_attribute_names(src);
	EXECUTE 'SELECT count(*) FROM ' || src.customers INTO customers;
	-- the letters keep keys of prospects apart from those of customers: only prospect_customer says which belong
	-- together
	RETURN QUERY SELECT substr(m.prospect, 2), m.score, m.lift, m.rank, m.decile, substr(m.nearest_customer, 2), m.similarity, m.reasons, m.reasons_json
		FROM crm_profile.match_prospects(NULL::text,
			format('SELECT ''c'' || q.customer::text AS customer, b.is_best AS is_target, %s FROM %s%s', attributes, crm_profile_internal.source_fit_query(src),
				CASE WHEN crm_profile_internal.source_match_share(customers) < 1 THEN format(' WHERE crm_profile_internal.in_sample(q.customer::text, %s)', crm_profile_internal.source_match_share(customers)) END),
			format('SELECT ''p'' || q.prospect::text AS prospect, %s FROM %s', attributes, crm_profile_internal.source_prospects(src)),
			'scorecard', max_rows, crm_profile_internal.source_profile_options(src)) m;
END $$; -- runs as the owner of the source: match_prospects()

CREATE FUNCTION crm_profile.match_prospects(source text, max_rows integer DEFAULT NULL,
	OUT prospect text, OUT score double precision, OUT lift double precision, OUT rank integer, OUT decile integer,
	OUT nearest_customer text, OUT similarity double precision, OUT reasons text, OUT reasons_json jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1000; -- the prospects of a source ranked by their similarity to its best customers, with reasons; fits a new model as the owner of the source; keys as text
