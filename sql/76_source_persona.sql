-- What kind of people each segment is

CREATE TYPE crm_profile_internal.segment_persona_row AS ( -- a row of the view segment_persona
	segment varchar, -- the segment; (unscored): no order in the period
	attribute varchar, -- name of the attribute
	value text, -- value of the attribute: a word, a range of numbers or days, or a member of a set
	customers bigint, -- customers of the segment with that value
	share_of_segment double precision, -- share of the customers of the segment whose attribute is known
	share_of_customers double precision, -- share of all customers whose attribute is known
	concentration double precision -- share_of_segment / share_of_customers
);

CREATE TYPE crm_profile_internal.persona_count AS ( -- number of customers in a segment with a given value of an attribute; value NULL: with any value
	attribute text, -- name of the attribute
	segment text, -- the segment
	value text, -- the value; NULL: any
	customers bigint, -- number of customers
	total numeric, -- where value is NULL, the sum of the numbers, if asked for
	lowest numeric -- and the smallest number of the attribute in all segments
);

CREATE FUNCTION crm_profile_internal.persona_fifths_transfn(internal, "any", VARIADIC "any") RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.persona_fifths_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate combine function
CREATE FUNCTION crm_profile_internal.persona_fifths_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- aggregate serial function
CREATE FUNCTION crm_profile_internal.persona_fifths_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- aggregate deserial function
CREATE FUNCTION crm_profile_internal.persona_fifths_finalfn(internal) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.persona_fifths(key "any", VARIADIC attributes "any") (
	SFUNC = crm_profile_internal.persona_fifths_transfn, STYPE = internal, SSPACE = 1000000,
	COMBINEFUNC = crm_profile_internal.persona_fifths_combine, SERIALFUNC = crm_profile_internal.persona_fifths_serialize, DESERIALFUNC = crm_profile_internal.persona_fifths_deserialize,
	FINALFUNC = crm_profile_internal.persona_fifths_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE); -- four numbers for each attribute (columns, or a record of them): where the second to the fifth fifth begin, as percentile_disc() tells; days since 2000-01-01; NaN for words; of more than 20 000 rows, of those whose keys have the smallest hashes

CREATE FUNCTION crm_profile_internal.persona_counts_transfn(internal, text, text[], double precision[], boolean, VARIADIC "any") RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 20; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.persona_counts_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate combine function
CREATE FUNCTION crm_profile_internal.persona_counts_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- aggregate serial function
CREATE FUNCTION crm_profile_internal.persona_counts_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- aggregate deserial function
CREATE FUNCTION crm_profile_internal.persona_counts_finalfn(internal) RETURNS crm_profile_internal.persona_count[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.persona_counts(segment text, names text[], fifths double precision[], totals boolean, VARIADIC attributes "any") (
	SFUNC = crm_profile_internal.persona_counts_transfn, STYPE = internal, SSPACE = 65536,
	COMBINEFUNC = crm_profile_internal.persona_counts_combine, SERIALFUNC = crm_profile_internal.persona_counts_serialize, DESERIALFUNC = crm_profile_internal.persona_counts_deserialize,
	FINALFUNC = crm_profile_internal.persona_counts_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE); -- customers by segment and value of each attribute: words as they are, numbers and days by persona_fifths(), members of sets one by one; values of fewer than five customers are left out; totals: of numbers, too

CREATE FUNCTION crm_profile_internal.persona_counts_query(label text, attributes text, names text[], people text, sample text, key text, totals boolean DEFAULT false) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('SELECT crm_profile_internal.persona_counts(%1$s, %3$L::text[], (SELECT crm_profile_internal.persona_fifths(%6$s, %2$s) FROM %5$s), %7$L, %2$s) FROM %4$s',
		-- a function has at most 100 arguments
		label, CASE WHEN cardinality(names) BETWEEN 2 AND 90 THEN attributes ELSE format('ROW(%s)', attributes) END, names, people, sample, key, totals);
COMMENT ON FUNCTION crm_profile_internal.persona_counts_query IS 'the query that counts people (a FROM and WHERE clause) by label and attributes; fifths are those of sample, of which 20 000 at most are taken by their keys';

CREATE FUNCTION crm_profile_internal.is_whole(type regtype) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype); -- whether it is a type of whole numbers

CREATE FUNCTION crm_profile_internal.whole_range(value text, lowest numeric) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN e.first = e.last THEN e.last::text WHEN e.ends[1] IS NOT NULL THEN format('%s to %s', e.first, e.last) ELSE coalesce('up to ' || e.last, value) END
		FROM (SELECT r.ends, coalesce(r.ends[1]::numeric, lowest) AS first, coalesce(r.ends[2], r.ends[3])::numeric - 1 AS last FROM (SELECT regexp_match(value, '^(?:(.+) to below (.+)|below (.+))$') AS ends) r) e);
COMMENT ON FUNCTION crm_profile_internal.whole_range IS 'a range of whole numbers that ends below one, by its last number; a single number by itself, for which lowest is the least of all';

CREATE FUNCTION crm_profile_internal.segment_persona(segments crm_profile.segment_scheme, counts crm_profile_internal.persona_count[], whole text[])
	RETURNS SETOF crm_profile_internal.segment_persona_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		WITH counted AS MATERIALIZED (SELECT c.attribute, c.segment, c.value, c.customers, min(c.lowest) OVER (PARTITION BY c.attribute) AS least, sum(c.customers) OVER (PARTITION BY c.attribute, c.value)::bigint AS everywhere FROM unnest(counts) c),
			cell AS (SELECT v.*, m.customers AS members, m.everywhere AS everybody, m.customers * v.everywhere / m.everywhere::double precision AS expected
				FROM counted v JOIN counted m ON m.segment = v.segment AND m.attribute = v.attribute AND m.value IS NULL WHERE v.value IS NOT NULL),
			tested AS (SELECT c.*, crm_profile_internal.excess_p_value(c.customers, c.members, c.everywhere, c.everybody) AS p FROM cell c WHERE c.expected >= 5),
			-- Benjamini and Hochberg: of the cells shown at most one in twenty is due to chance
			ranked AS (SELECT t.*, t.p <= 0.05 * count(*) OVER (ORDER BY t.p) / count(*) OVER () AS stands FROM tested t),
			judged AS (SELECT r.*, max(r.p) FILTER (WHERE r.stands) OVER () AS worst FROM ranked r)
		SELECT x.segment, x.attribute, CASE WHEN x.attribute = ANY (whole) THEN crm_profile_internal.whole_range(x.value, x.least) ELSE x.value END, x.customers, x.customers / x.members::double precision, x.everywhere / x.everybody::double precision, x.customers / x.expected
		FROM judged x LEFT JOIN crm_profile.segments(segments) s ON s.segment = x.segment
		WHERE x.p <= x.worst AND x.customers > x.expected
		ORDER BY s.position, (x.customers - x.expected) / sqrt(x.expected) DESC, x.attribute, x.value;
	END; -- rows of the view segment_persona: attribute values more frequent in a segment than elsewhere, at a false discovery rate of 5 % over all cells, most characteristic first; whole: the attributes that are whole numbers

CREATE FUNCTION crm_profile_internal.source_labelled(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN format('(%s) q %s WHERE q.customer IS NOT NULL', src.customer_query, CASE
		WHEN src.materialize OR src.conditions IS NOT NULL THEN format('JOIN %I.customer_profile f ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'f.customer', 'q.customer'))
		ELSE format('LEFT JOIN %I.customer_history h ON %s CROSS JOIN %s%s CROSS JOIN%s %s
	CROSS JOIN LATERAL crm_profile_internal.customer_figures(q.customer::text, h.history, %s, d.day, %s, %L, NULL) f', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'q.customer'),
			-- not source_day(): beside it the planner takes no parallel plan
			format(CASE WHEN src.as_of IS NULL THEN 'unnest(ARRAY[%s]) d(day)' ELSE '(SELECT %s AS day) d' END, crm_profile_internal.source_today(src)), crm_profile_internal.source_own_model(src, 'q.customer'), CASE WHEN src.by_attributes THEN ' LATERAL' END,
			(crm_profile_internal.source_figure_models(src, 'm')).models, (crm_profile_internal.source_figure_models(src, 'm')).arguments, crm_profile_internal.source_period(src), src.tier_by) END);
COMMENT ON FUNCTION crm_profile_internal.source_labelled IS 'FROM and WHERE of a query over customers: attributes under the alias q, figures under f';

CREATE FUNCTION crm_profile_internal.source_given_attributes(src crm_profile.source_definition, alias text, OUT names text[], OUT attributes text, OUT whole text[])
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT ROW(array_agg(a.attname::text ORDER BY a.attnum), string_agg(CASE WHEN crm_profile_internal.base_type(a.atttypid) = 'timestamptz'::regtype THEN format('%s.%I AT TIME ZONE %L', alias, a.attname, src.time_zone) ELSE format('%s.%I', alias, a.attname) END, ', ' ORDER BY a.attnum),
			coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE crm_profile_internal.is_whole(crm_profile_internal.base_type(a.atttypid))), '{}'))
		FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%I.customer_attributes', src.name)) AND a.attnum > 1 AND NOT a.attisdropped);
COMMENT ON FUNCTION crm_profile_internal.source_given_attributes IS 'the attributes of a source: their names, and SQL of their values under an alias, times in the zone of the source, and which are whole numbers';

CREATE FUNCTION crm_profile_internal.source_persona_counts(src crm_profile.source_definition, totals boolean) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT crm_profile_internal.persona_counts_query('coalesce(f.segment, ''(unscored)'')', g.attributes, g.names, crm_profile_internal.source_labelled(src), format('(%s) q WHERE q.customer IS NOT NULL', src.customer_query), 'q.customer', totals)
		FROM crm_profile_internal.source_given_attributes(src, 'q') g);
COMMENT ON FUNCTION crm_profile_internal.source_persona_counts IS 'the query that counts customers by segment and attributes';

CREATE FUNCTION crm_profile_internal.source_build_persona(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.attributes IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'segment_persona');
	ELSE
		PERFORM crm_profile_internal.source_view(src, 'segment_persona', 'what kind of people the segments are: values of attributes that are more frequent than chance explains, the most characteristic first',
			'crm_profile_internal.segment_persona_row', format('SELECT s.* FROM crm_profile_internal.segment_persona(%s, (%s), %L) s', crm_profile_internal.source_model_in_use(src, 'segments'), crm_profile_internal.source_persona_counts(src, false), (crm_profile_internal.source_given_attributes(src, 'q')).whole));
	END IF;
	IF src.prospects IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'where_to_find');
	ELSE
		PERFORM crm_profile_internal.source_view(src, 'where_to_find', 'for each segment and value tier, the attribute values that its customers have more often than chance explains, and how many prospects have them',
			'crm_profile_internal.where_to_find_row', crm_profile_internal.source_where_query(src));
	END IF;
END $$; -- creates or replaces the views segment_persona and where_to_find of a source, or drops them if there are no attributes or prospects

---------------------------------------------------------------- where prospects like them are

CREATE TYPE crm_profile_internal.where_to_find_row AS ( -- a row of the view where_to_find
	kind varchar, -- segment or tier
	name varchar, -- the segment, or the value tier
	attribute varchar, -- name of the attribute
	value text, -- value of the attribute: a word, a range of numbers or days, or a member of a set
	prospects_there bigint, -- prospects with that value
	look_alikes double precision, -- how many of them are expected to be of that kind: prospects_there times the share of that kind among the customers with that value
	share_of_prospects double precision, -- share of the prospects whose attribute is known
	share_of_kind double precision, -- share of the customers of that kind whose attribute is known
	concentration double precision -- share_of_kind / the same share of all customers
);

CREATE FUNCTION crm_profile_internal.where_to_find(segments crm_profile.segment_scheme, counts crm_profile_internal.persona_count[], whole text[]) RETURNS SETOF crm_profile_internal.where_to_find_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		-- groups are called segment, unit separator, tier; prospects have neither
		WITH counted AS MATERIALIZED (SELECT c.attribute, c.value, c.customers, c.lowest, split_part(c.segment, chr(31), 1) AS segment, split_part(c.segment, chr(31), 2) AS tier FROM unnest(counts) c),
			total AS MATERIALIZED (SELECT c.attribute, c.value, sum(c.customers) FILTER (WHERE c.segment <> '') AS customers, coalesce(sum(c.customers) FILTER (WHERE c.segment = ''), 0) AS prospects, min(c.lowest) AS least FROM counted c GROUP BY 1, 2),
			kind AS (
				SELECT 'segment' AS kind, c.segment AS name, c.attribute, c.value, sum(c.customers) AS customers FROM counted c WHERE c.segment <> '' GROUP BY 2, 3, 4
				UNION ALL SELECT 'tier', c.tier, c.attribute, c.value, sum(c.customers) FROM counted c WHERE c.tier <> '' GROUP BY 2, 3, 4),
			cell AS (SELECT v.*, m.customers AS members, t.customers AS everywhere, k.customers AS everybody, t.prospects AS there, k.prospects AS known, k.least, m.customers * t.customers / k.customers::double precision AS expected
				FROM kind v JOIN kind m ON (m.kind, m.name, m.attribute) = (v.kind, v.name, v.attribute) AND m.value IS NULL
					JOIN total t ON (t.attribute, t.value) = (v.attribute, v.value) JOIN total k ON k.attribute = v.attribute AND k.value IS NULL),
			tested AS (SELECT c.*, crm_profile_internal.excess_p_value(c.customers::bigint, c.members::bigint, c.everywhere::bigint, c.everybody::bigint) AS p FROM cell c WHERE c.expected >= 5),
			ranked AS (SELECT t.*, t.p <= 0.05 * count(*) OVER (ORDER BY t.p) / count(*) OVER () AS stands FROM tested t),
			judged AS (SELECT r.*, max(r.p) FILTER (WHERE r.stands) OVER () AS worst FROM ranked r)
		SELECT x.kind, x.name, x.attribute, CASE WHEN x.attribute = ANY (whole) THEN crm_profile_internal.whole_range(x.value, x.least) ELSE x.value END, x.there::bigint, (x.there * x.customers / x.everywhere)::double precision, (x.there / x.known)::double precision,
			(x.customers / x.members)::double precision, x.customers / x.expected
		FROM judged x LEFT JOIN crm_profile.segments(segments) s ON x.kind = 'segment' AND s.segment = x.name
		WHERE x.p <= x.worst AND x.customers > x.expected AND x.there >= 5
		ORDER BY x.kind, s.position, x.name, (x.customers - x.expected) / sqrt(x.expected) DESC, x.attribute, x.value;
	END; -- rows of the view where_to_find: values that are more frequent among customers of a segment or tier than among all, at a false discovery rate of 5 %, and that five prospects or more have

CREATE FUNCTION crm_profile_internal.source_where_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	names text[];
	whole text[];
	kept text;
	"values" text;
BEGIN
	-- in both tables the types need only be of one class
	SELECT array_agg(a.name ORDER BY a.place), string_agg(format('u.a%s', a.place), ', ' ORDER BY a.place),
			string_agg(format('(q.%I%s)::%s AS a%s', a.name, CASE crm_profile_internal.base_type(t.type) WHEN 'timestamptz'::regtype THEN format(' AT TIME ZONE %L', src.time_zone) END,
				CASE crm_profile_internal.source_attribute_class(t.type) WHEN 'number' THEN 'float8' WHEN 'date' THEN 'date' WHEN 'boolean' THEN 'boolean' WHEN 'set' THEN 'text[]' ELSE 'text' END, a.place), ', ' ORDER BY a.place),
			coalesce(array_agg(a.name ORDER BY a.place) FILTER (WHERE crm_profile_internal.is_whole(t.type) AND crm_profile_internal.is_whole(p.type)), '{}')
		INTO names, kept, "values", whole
		FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a,
			LATERAL (SELECT crm_profile_internal.base_type(crm_profile_internal.source_type_of('q.' || quote_ident(a.name), format('(%s) q', src.customer_query), 'pg_catalog, pg_temp')::oid) AS type) t,
			LATERAL (SELECT crm_profile_internal.base_type(crm_profile_internal.source_type_of('q.' || quote_ident(a.name), crm_profile_internal.source_prospects(src), 'pg_catalog, pg_temp')::oid) AS type) p;
	RETURN format('SELECT w.* FROM crm_profile_internal.where_to_find(%s, (%s), %L) w', crm_profile_internal.source_model_in_use(src, 'segments'), crm_profile_internal.persona_counts_query('u.label', kept, names,
		format('(SELECT coalesce(f.segment, ''(unscored)'') || chr(31) || coalesce(f.value_tier, '''') AS label, %s FROM %s UNION ALL SELECT chr(31), %1$s FROM %3$s) u', "values", crm_profile_internal.source_labelled(src), crm_profile_internal.source_prospects(src)),
		format('(SELECT q.customer::text AS key, %s FROM (%s) q WHERE q.customer IS NOT NULL UNION ALL SELECT q.prospect::text, %1$s FROM %3$s) u WHERE true', "values", src.customer_query, crm_profile_internal.source_prospects(src)), 'u.key'), whole);
END $$; -- the query behind where_to_find

---------------------------------------------------------------- the segments as cards

CREATE FUNCTION crm_profile_internal.card_name(attribute text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN w.words ~ '^[A-Z][^A-Z]*$' THEN lower(w.words) ELSE w.words END FROM (SELECT btrim(replace(attribute, '_', ' ')) AS words) w); -- name of an attribute as a person would write it

CREATE FUNCTION crm_profile_internal.card_words(attribute text, "values" text[], class text, language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT crm_profile_internal.in_words(CASE
				WHEN class = 'boolean' THEN 'card.' || "values"[1]
				WHEN class = 'set' THEN 'card.set'
				WHEN n.name ~ '(^|_)(city|town|place|region|country|state|land|stadt|ort|bundesland|ville|pays|ciudad|pais)$' THEN 'card.place'
				WHEN n.name ~ '(^|_)(marital|civil|family)(_?(status|state))?$|(^|_)(sex|gender|geschlecht|job|occupation|profession|beruf|familienstand)$' THEN 'card.plain'
				ELSE 'card.word' END, language, array_to_string("values", crm_profile_internal.in_words('list.or', language)), crm_profile_internal.card_name(attribute))
		FROM (SELECT lower(attribute) AS name) n);
COMMENT ON FUNCTION crm_profile_internal.card_words IS 'the values of an attribute of words, truth values or members as a phrase';

CREATE FUNCTION crm_profile_internal.ratio_in_words(ratio numeric, language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile_internal.number_in_words(round(ratio, CASE WHEN abs(ratio) < 0.1 THEN 2 ELSE 1 END), language); -- how many times as much: a twentieth is not 0

CREATE FUNCTION crm_profile_internal.card_range(attribute text, low text, high text, class text, whole boolean, lowest numeric, mean numeric, ratio numeric, language text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	name CONSTANT text := crm_profile_internal.card_name(attribute);
	counts CONSTANT boolean := coalesce(whole AND lowest >= 0 AND mean < 10 AND attribute ~* '(s|ren|home|kinder|personen)$', false);
	style CONSTANT text := CASE WHEN attribute ~* '(^|_)(age|alter|edad)($|_)' THEN 'card.age' WHEN counts THEN 'card.count' ELSE 'card.range' END;
	year CONSTANT boolean := class = 'date' OR coalesce(whole AND lowest >= 1800 AND mean < 2100, false);
	first text := low;
	last text := high;
	range text;
BEGIN
	IF class = 'number' THEN
		-- ranges end below a number: for whole numbers that is one less
		IF whole AND high IS NOT NULL AND (low IS NOT NULL OR lowest >= 0 AND high::numeric <= 10) THEN
			first := coalesce(low, '0');
			last := ceil(high::numeric) - 1;
		END IF;
		IF counts AND last = '0' THEN
			RETURN crm_profile_internal.in_words('card.none', language, '', name);
		ELSIF num_nonnulls(low, high) = 1 AND style = 'card.range' AND lowest >= 0 AND (ratio >= 1.25 OR ratio <= 0.8) THEN
			RETURN crm_profile_internal.in_words('card.average', language, crm_profile_internal.ratio_in_words(ratio, language), name);
		END IF;
		first := crm_profile_internal.number_in_words(first::numeric, language);
		last := crm_profile_internal.number_in_words(last::numeric, language);
	END IF;
	range := CASE WHEN first = last THEN first
		WHEN last IS NULL THEN crm_profile_internal.in_words(CASE WHEN year THEN 'card.since' ELSE 'card.from' END, language, first)
		WHEN first IS NULL THEN crm_profile_internal.in_words(CASE WHEN year THEN 'card.before' ELSE 'card.below' END, language, last)
		ELSE crm_profile_internal.in_words('card.between', language, first, last) END;
	RETURN crm_profile_internal.in_words(style, language, range, CASE WHEN counts AND range = '1' THEN regexp_replace(name, '(ren|er|en|s)$', '') ELSE name END);
END $$; -- a range of an attribute (low to below high, NULL for no end) as a phrase; ratio: of the mean in the segment to that of all

CREATE FUNCTION crm_profile_internal.card_ranges("values" text[], customers bigint[], class text, OUT low text, OUT high text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		-- whole numbers end with one, all others below one
		WITH part AS (SELECT NULLIF(coalesce(p.ends[1], w.ends[2], w.ends[4]), '') AS low, NULLIF(coalesce(p.ends[2], p.ends[3], (coalesce(w.ends[1], w.ends[3], w.ends[4])::numeric + 1)::text), '') AS high, u.n
				FROM ROWS FROM (unnest("values"), unnest(customers)) u(value, n), LATERAL (SELECT regexp_match(u.value, '^(?:(.+?) (?:to below (.+)|and more)|below (.+))$') AS ends) p,
					LATERAL (SELECT CASE WHEN class = 'number' AND p.ends IS NULL THEN regexp_match(u.value, '^(?:up to (.+)|(.+) to (.+)|(-?\d+))$') END AS ends) w),
			ordered AS (SELECT r.*, row_number() OVER o AS place, r.low IS NULL OR r.low IS DISTINCT FROM lag(r.high) OVER o AS begins FROM part r
				WINDOW o AS (ORDER BY CASE WHEN class = 'number' THEN r.low::numeric END NULLS FIRST, r.low COLLATE "C" NULLS FIRST)),
			run AS (SELECT o.*, count(*) FILTER (WHERE o.begins) OVER (ORDER BY o.place) AS run FROM ordered o)
		SELECT (array_agg(r.low ORDER BY r.place))[1], (array_agg(r.high ORDER BY r.place DESC))[1] FROM run r GROUP BY r.run ORDER BY sum(r.n) DESC, r.run LIMIT 1;
	END; -- ranges of segment_persona joined where they touch; of those that do not, the one with most customers

CREATE FUNCTION crm_profile_internal.card_behaviour(here numeric[], everywhere numeric[], language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- customers, sum of orders, sum of amounts, median of recency
	RETURN (SELECT concat_ws(', ',
			crm_profile_internal.in_words('card.last', language, crm_profile_internal.number_in_words(here[4], language)),
			CASE WHEN o.ratio >= 1.25 OR o.ratio <= 0.8 THEN crm_profile_internal.in_words('card.often', language, crm_profile_internal.ratio_in_words(o.ratio, language)) END,
			CASE WHEN s.ratio >= 1.25 OR s.ratio BETWEEN 0 AND 0.8 THEN crm_profile_internal.in_words('card.spends', language, crm_profile_internal.ratio_in_words(s.ratio, language)) END)
		FROM (SELECT here[2] * everywhere[1] / NULLIF(everywhere[2] * here[1], 0) AS ratio) o, (SELECT here[3] * everywhere[1] / NULLIF(everywhere[3] * here[1], 0) AS ratio) s WHERE here[2] IS NOT NULL);
COMMENT ON FUNCTION crm_profile_internal.card_behaviour IS 'how the customers of a segment buy, as a phrase: against all customers who have bought';

CREATE FUNCTION crm_profile_internal.card_percent(share numeric, language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile_internal.in_words('card.percent', language, CASE WHEN share > 0 AND share < 0.005 THEN '<1' ELSE round(100 * share)::text END); -- a share in per cent

CREATE FUNCTION crm_profile_internal.card_example(example jsonb, shown text[], language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT string_agg(CASE
			WHEN s.name = '(frequency)' THEN crm_profile_internal.in_words('card.orders', language, v.text)
			WHEN s.name = '(monetary)' THEN crm_profile_internal.in_words('card.spent', language, crm_profile_internal.number_in_words(v.text::numeric, language))
			WHEN s.name = '(recency)' THEN crm_profile_internal.in_words('card.last', language, v.text)
			WHEN jsonb_typeof(v.value) = 'boolean' THEN crm_profile_internal.in_words('card.' || v.text, language, '', crm_profile_internal.card_name(s.name))
			WHEN jsonb_typeof(v.value) = 'array' THEN crm_profile_internal.in_words('card.set', language, (SELECT string_agg(m, ', ') FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(v.value) = 'array' THEN v.value END) m), crm_profile_internal.card_name(s.name))
			WHEN jsonb_typeof(v.value) = 'number' THEN crm_profile_internal.card_range(s.name, v.text, (v.text::numeric + CASE WHEN v.text ~ '^\d+$' THEN 1 ELSE 0 END)::text, 'number', v.text ~ '^\d+$', 0, 0, 1, language)
			ELSE crm_profile_internal.card_words(s.name, ARRAY[v.text], 'word', language) END, ', ' ORDER BY s.place)
		FROM unnest(shown || '{(frequency),(monetary),(recency)}') WITH ORDINALITY s(name, place), LATERAL (SELECT example -> s.name AS value, example ->> s.name AS text) v WHERE v.text <> '');
COMMENT ON FUNCTION crm_profile_internal.card_example IS 'the values of one customer as a phrase: the attributes shown, and orders';

CREATE FUNCTION crm_profile_internal.source_people(source text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- no cast to regclass: PostgreSQL 18 knows the argument when it plans, and computes what a condition compares with
	RETURN CASE WHEN to_regclass(format('%I.customer_attributes', source)) IS NULL THEN format('(SELECT p.* FROM %I.customer_profile p)', source)
		ELSE format('(SELECT p.*%s FROM %I.customer_profile p LEFT JOIN %2$I.customer_attributes a ON %s)',
			(SELECT string_agg(format(', a.%I', a.attname), '' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%I.customer_attributes', source)) AND a.attnum > 1 AND NOT a.attisdropped
				AND NOT EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = 'crm_profile.customer_profile_row'::regclass AND p.attname = a.attname)),
			source, crm_profile_internal.same_key((SELECT format_type(k.atttypid, -1) FROM pg_attribute k WHERE k.attrelid = to_regclass(format('%I.customer_profile', source)) AND k.attname = 'customer'), 'a.customer', 'p.customer')) END;
COMMENT ON FUNCTION crm_profile_internal.source_people IS 'FROM item: every customer with figures and attributes, from the views of a source; where names are the same, the figure';

CREATE FUNCTION crm_profile_internal.finite_double(value text, whole boolean) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	-- whole numbers would be compared as numeric
	RETURN format(CASE WHEN whole THEN '%1$s::float8' ELSE 'CASE WHEN %1$s BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308 THEN %1$s::float8 END' END, value); -- SQL: a number as double precision; NULL for NaN and for what is beyond

CREATE FUNCTION crm_profile_internal.key_sample_transfn(state internal, key text, size integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.key_sample_finalfn(state internal) RETURNS text[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="key_sample"
CREATE AGGREGATE crm_profile_internal.key_sample(key text, size integer) (
	SFUNC = crm_profile_internal.key_sample_transfn, STYPE = internal, SSPACE = 8192,
	FINALFUNC = crm_profile_internal.key_sample_finalfn,
	COMBINEFUNC = crm_profile_internal.key_sample_combine, SERIALFUNC = crm_profile_internal.key_sample_serialize, DESERIALFUNC = crm_profile_internal.key_sample_deserialize,
	PARALLEL = SAFE); -- so many of the keys, the same on every machine and in any order; NULL: there are none

CREATE FUNCTION crm_profile_internal.segment_examples(people text, key_type text, parts jsonb, attributes text[], OUT segment text, OUT example text, OUT example_values jsonb) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY EXECUTE format($sql$
		WITH member AS MATERIALIZED (
			SELECT d.segment, p.customer::text AS customer, "(row)" AS r
			FROM (SELECT f.segment, k::%4$s AS customer FROM jsonb_to_recordset($1) f(segment text, n bigint, sample text[]), unnest(f.sample) k WHERE f.n >= 5 LIMIT %5$s) d JOIN %1$s p ON %3$s,
				LATERAL (SELECT %2$s p.frequency AS "(frequency)", p.monetary AS "(monetary)", p.recency AS "(recency)") "(row)"),
		sampled AS MATERIALIZED (SELECT m.*, crm_profile.profile(m.r, (SELECT crm_profile.profile_fit(n.r) FROM member n)) AS profile FROM member m)
		SELECT DISTINCT ON (a.segment) a.segment, a.customer, to_jsonb(a.r) FROM sampled a JOIN LATERAL (
			-- who has few values is easily like everybody in them
			SELECT sum(round(crm_profile.similarity(a.profile, b.profile)::numeric, 6)) * (SELECT count(*) FROM jsonb_each_text(to_jsonb(a.r)) v WHERE v.value <> '') AS likeness FROM sampled b WHERE b.segment = a.segment) l ON true
		ORDER BY a.segment, l.likeness DESC NULLS LAST, a.customer COLLATE "C"$sql$,
		people, (SELECT string_agg(format('p.%I, ', n), '' ORDER BY place) FROM unnest(attributes) WITH ORDINALITY u(n, place)),
		crm_profile_internal.same_key(key_type, 'p.customer', 'd.customer'), key_type, 100 * greatest(jsonb_array_length(parts), 1)) USING parts;
END $$; -- for each segment of five customers or more, of a FROM item of customers with figures and attributes, the customer of its sample who is nearest to all of the sample

CREATE FUNCTION crm_profile_internal.segment_phrases(segments crm_profile.segment_scheme, counts crm_profile_internal.persona_count[], columns jsonb, language text, OUT segment text, OUT shown text[], OUT phrases text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 12
	BEGIN ATOMIC
		WITH cell AS (SELECT p.segment::text, p.attribute::text, p.value, p.customers, (p.concentration - 1) * sqrt(p.customers / p.concentration) AS strength FROM crm_profile_internal.segment_persona(segments, counts, ARRAY(SELECT k.name FROM jsonb_to_recordset(columns) k(name text, whole boolean) WHERE k.whole)) p),
			attribute AS (
				SELECT c.segment, c.attribute, max(c.strength) AS strength, array_agg(c.value ORDER BY c.strength DESC, c.value COLLATE "C") AS "values", array_agg(c.customers ORDER BY c.strength DESC, c.value COLLATE "C") AS customers
				FROM cell c GROUP BY c.segment, c.attribute),
			best AS (SELECT a.*, k.class, k.whole, row_number() OVER (PARTITION BY a.segment ORDER BY a.strength DESC, a.attribute COLLATE "C") AS rank
				FROM attribute a JOIN jsonb_to_recordset(columns) k(name text, class text, whole boolean) ON k.name = a.attribute),
			number AS (SELECT c.segment, c.attribute, c.total / NULLIF(c.customers, 0) AS mean, sum(c.total) OVER a / NULLIF(sum(c.customers) OVER a, 0) AS mean_of_all, min(c.lowest) OVER a AS lowest
				FROM unnest(counts) c WHERE c.value IS NULL WINDOW a AS (PARTITION BY c.attribute))
		SELECT b.segment, array_agg(b.attribute ORDER BY b.rank), string_agg(CASE WHEN b.class IN ('number', 'date')
				THEN crm_profile_internal.card_range(b.attribute, r.low, r.high, b.class, b.whole, n.lowest, n.mean_of_all, n.mean / NULLIF(n.mean_of_all, 0), segment_phrases.language)
				ELSE crm_profile_internal.card_words(b.attribute, b."values"[:3], b.class, segment_phrases.language) END, ', ' ORDER BY b.rank)
		FROM best b LEFT JOIN LATERAL crm_profile_internal.card_ranges(b."values", b.customers, b.class) r ON b.class IN ('number', 'date')
			LEFT JOIN number n ON n.segment = b.segment AND n.attribute = b.attribute
		WHERE b.rank <= 4 GROUP BY b.segment;
	END; -- for each segment the four attributes that are most characteristic of it, as phrases

CREATE FUNCTION crm_profile_internal.source_card_columns(source text) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT jsonb_agg(jsonb_build_object('name', c.attname, 'class', c.class, 'whole', c.whole) ORDER BY c.attnum)
		FROM (SELECT a.attname, a.attnum, k.class, crm_profile_internal.is_whole(crm_profile_internal.base_type(a.atttypid)) AS whole
			FROM pg_attribute a, LATERAL (SELECT crm_profile_internal.source_attribute_class(a.atttypid) AS class) k
			WHERE a.attrelid = to_regclass(format('%I.customer_attributes', source)) AND a.attnum > 1 AND NOT a.attisdropped
				AND NOT EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = 'crm_profile.customer_profile_row'::regclass AND p.attname = a.attname)) c);
COMMENT ON FUNCTION crm_profile_internal.source_card_columns IS 'the attributes of a source with class, and whether they are whole numbers; NULL if there are none';

CREATE FUNCTION crm_profile_internal.cards(people text, key_type text, parts jsonb, segments crm_profile.segment_scheme, counts crm_profile_internal.persona_count[], columns jsonb, language text,
	OUT segment text, OUT customers bigint, OUT card text, OUT example text, OUT example_card text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	few CONSTANT integer := 5;
	examples jsonb;
BEGIN
	IF parts IS NULL THEN
		EXECUTE format('SELECT jsonb_agg(part) FROM (SELECT coalesce(p.segment, ''(unscored)'')::text AS segment, min(p.segment_position) AS "position", count(*) AS n, sum(p.frequency) AS orders, sum(p.monetary) AS amount,
			round(crm_profile_internal.median(p.recency)::numeric) AS silence, crm_profile_internal.key_sample(p.customer::text, 100) AS sample FROM %s p GROUP BY p.segment) part', people) INTO parts;
	END IF;
	-- without samples nobody asks for examples
	SELECT jsonb_agg(e) INTO examples FROM crm_profile_internal.segment_examples(people, key_type, jsonb_path_query_array(parts, '$[*] ? (exists (@.sample))'), ARRAY(SELECT c ->> 'name' FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, n) ORDER BY n)) e;
	RETURN QUERY
		WITH part AS (SELECT p.*, sum(p.n) OVER () AS all_n, sum(p.orders) OVER () AS all_orders, sum(p.amount) OVER () AS all_amount
			FROM jsonb_to_recordset(parts) p(segment text, "position" integer, n bigint, orders numeric, amount numeric, silence numeric))
		SELECT h.segment, h.n, CASE WHEN h.n < few THEN crm_profile_internal.in_words('card.small', cards.language, few::text)
			ELSE concat_ws('; ', p.phrases, NULLIF(crm_profile_internal.card_behaviour(ARRAY[h.n, h.orders, h.amount, h.silence], ARRAY[h.all_n, h.all_orders, h.all_amount], cards.language), ''),
				CASE WHEN h.amount >= 0 AND h.all_amount > 0 THEN crm_profile_internal.in_words('card.shares', cards.language, crm_profile_internal.card_percent(h.n / h.all_n, cards.language), crm_profile_internal.card_percent(h.amount / h.all_amount, cards.language))
					ELSE crm_profile_internal.in_words('card.share', cards.language, crm_profile_internal.card_percent(h.n / h.all_n, cards.language)) END) END,
			-- where nothing is characteristic of a segment, the first attributes of the customer
			e.example, crm_profile_internal.card_example(e.example_values, coalesce(p.shown, ARRAY(SELECT c ->> 'name' FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, place) WHERE e.example_values ->> (c ->> 'name') <> '' ORDER BY place LIMIT 4)), cards.language)
		FROM part h LEFT JOIN crm_profile_internal.segment_phrases(segments, counts, columns, cards.language) p ON p.segment = h.segment
			LEFT JOIN jsonb_to_recordset(examples) e(segment text, example text, example_values jsonb) ON e.segment = h.segment
		ORDER BY h."position" NULLS LAST, h.segment;
END $$; -- cards of the segments of a FROM item of customers; parts: customers, orders, amount and median recency of each (NULL: they are counted, and examples given); counts: their attributes (NULL: none)

CREATE FUNCTION crm_profile_internal.source_cards(src crm_profile.source_definition, language text, parts jsonb DEFAULT NULL, OUT segment text, OUT customers bigint, OUT card text, OUT example text, OUT example_card text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	segments crm_profile.segment_scheme;
	counts crm_profile_internal.persona_count[];
BEGIN
	IF src.attributes IS NOT NULL THEN
		EXECUTE format('SELECT %s, (%s)', crm_profile_internal.source_model_in_use(src, 'segments'), crm_profile_internal.source_persona_counts(src, true)) INTO segments, counts;
	END IF;
	RETURN QUERY SELECT c.* FROM crm_profile_internal.cards(crm_profile_internal.source_people(src.name), src.key_type, parts, segments, counts, crm_profile_internal.source_card_columns(src.name), language) c;
END $$; -- segment_card(); parts: as in cards()

CREATE FUNCTION crm_profile.segment_card(source text, language text DEFAULT NULL, OUT segment text, OUT customers bigint, OUT card text, OUT example text, OUT example_card text) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 12 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	language := crm_profile_internal.check_language(language);
	RETURN QUERY SELECT c.* FROM crm_profile_internal.source_cards(crm_profile_internal.evaluated_source(source), language) c;
END $$; -- each segment of a source in one sentence: the attributes that set it apart, how its customers buy, its shares; and the customer nearest to its middle; with the rights of the reader, for at least five customers

---------------------------------------------------------------- a segment as a rule

CREATE FUNCTION crm_profile_internal.search_rule(source text, segment text, columns text[], share double precision) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rule jsonb;
	-- whether text is a number must not depend on the values
	words CONSTANT jsonb := (SELECT jsonb_build_object('min_count', 5, 'range_count', 5, 'kinds', coalesce(jsonb_object_agg(a.attname, 'nominal'), '{}')) FROM pg_attribute a
		WHERE a.attrelid IN (to_regclass(format('%I.customer_profile', source)), to_regclass(format('%I.customer_attributes', source))) AND a.attname = ANY (columns)
			AND crm_profile_internal.source_attribute_class(a.atttypid) = 'word');
	people CONSTANT text := format('%s x, LATERAL (SELECT %s) "(row)" WHERE crm_profile_internal.in_sample(x.customer::text, $2)', crm_profile_internal.source_people(source),
		(SELECT string_agg(format('x.%I', c), ', ' ORDER BY place) FROM unnest(columns) WITH ORDINALITY u(c, place)));
BEGIN
	-- the sample is read once, for the model and for the rule
	EXECUTE format('WITH person AS MATERIALIZED (SELECT "(row)" AS r, coalesce(x.segment, ''(unscored)'') = $3 AS member FROM %s),
			model AS MATERIALIZED (SELECT crm_profile.profile_fit(p.r, $1) AS m FROM person p)
		SELECT crm_profile_internal.segment_rule(crm_profile.profile(p.r, m.m), p.member, m.m) FROM person p, model m', people) INTO rule USING words, share, segment;
	RETURN rule;
END $$; -- with the rights of the reader: segment_rule() of a segment, over columns of source_people(), for a share of the customers

CREATE FUNCTION crm_profile.explain_segment(source text, segment text,
	OUT over text, OUT rule text, OUT coverage double precision, OUT "precision" double precision, OUT lift double precision, OUT adjusted_p_value double precision, OUT customers bigint) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 2 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
	profile CONSTANT regclass := crm_profile_internal.check_source_exists(source);
	attributes CONSTANT regclass := to_regclass(format('%I.customer_attributes', source));
	src crm_profile.source_definition;
	named text[];
	figures CONSTANT text[] := '{recency,frequency,monetary,average_order_value,mean_gap,trend}';
	share double precision;
	n bigint;
	members bigint;
	conditions jsonb;
	predicate text;
	way record;
	found bigint;
	there bigint;
BEGIN
	IF segment IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'the name of the segment must not be NULL', HINT = format('SELECT segment FROM %I.segment_summary lists them.', source);
	END IF;
	EXECUTE format('SELECT d.* FROM %I.source_definition d', source) INTO src;
	src := crm_profile_internal.source_localized(src);
	EXECUTE format('SELECT count(*), count(*) FILTER (WHERE coalesce(p.segment, ''(unscored)'') = $1) FROM %I.customer_profile p', source) INTO n, members USING segment;
	IF members = 0 AND segment <> '(unscored)' AND NOT EXISTS (SELECT FROM crm_profile.segments(crm_profile.compile_scheme(src.scheme)) s WHERE s.segment = explain_segment.segment) THEN
		RAISE undefined_object USING MESSAGE = format('source "%s" has no segment "%s"', source, crm_profile_internal.short(segment, 64)),
			DETAIL = format('There are: %s.', (SELECT string_agg(s.segment, ', ' ORDER BY s.position) FROM crm_profile.segments(crm_profile.compile_scheme(src.scheme)) s));
	END IF;
	share := least(1, 100000.0 / greatest(n, 1));
	named := ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = attributes AND a.attnum > 1 AND NOT a.attisdropped
		AND NOT EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = profile AND p.attname = a.attname) ORDER BY a.attnum);
	FOR way IN SELECT w.* FROM (VALUES ('attributes', named), ('attributes and behaviour', named || figures)) w(name, columns) WHERE cardinality(w.columns) > 0 LOOP
		over := way.name;
		rule := 'no rule';
		coverage := NULL;
		"precision" := NULL;
		lift := NULL;
		adjusted_p_value := NULL;
		-- three fifths of the customers are searched, the others say whether it is so
		conditions := CASE WHEN members >= 5 THEN crm_profile_internal.search_rule(source, segment, way.columns, 0.6 * share) END;
		SELECT string_agg(crm_profile_internal.condition_sql(c.condition, quote_ident(a.attname), crm_profile_internal.base_type(a.atttypid)), ' AND ' ORDER BY c.place) INTO predicate
			FROM jsonb_array_elements(conditions) WITH ORDINALITY c(condition, place) JOIN pg_attribute a ON a.attname = c.condition ->> 'attribute' AND a.attrelid IN (profile, attributes) AND a.attnum > 1;
		EXECUTE format('SELECT count(*), count(*) FILTER (WHERE h.member), count(*) FILTER (WHERE h.hit), count(*) FILTER (WHERE h.hit AND h.member)
			FROM (SELECT coalesce(x.segment, ''(unscored)'') = $1 AS member, (%s) IS TRUE AS hit FROM %s x
				WHERE crm_profile_internal.in_sample(x.customer::text, $2) AND NOT crm_profile_internal.in_sample(x.customer::text, 0.6 * $2)) h', coalesce(predicate, 'false'), crm_profile_internal.source_people(source))
			INTO customers, members, there, found USING segment, share;
		IF there > 0 AND members > 0 THEN
			adjusted_p_value := least(1, 2 * crm_profile_internal.excess_p_value(found, there, members, customers));
			IF adjusted_p_value <= 0.05 THEN
				coverage := found / members::double precision;
				"precision" := found / there::double precision;
				lift := "precision" * customers / members;
				-- attributes as the tables of customers and prospects have them
				SELECT string_agg(crm_profile_internal.condition_sql(c.condition, CASE WHEN way.name <> 'attributes' THEN quote_ident(a.attname) WHEN s.expression ~ '^("([^"]|"")+"|[[:alpha:]_]\w*)$' THEN s.expression ELSE format('(%s)', s.expression) END,
						crm_profile_internal.base_type(a.atttypid)), ' AND ' ORDER BY c.place) INTO rule
					FROM jsonb_array_elements(conditions) WITH ORDINALITY c(condition, place) JOIN pg_attribute a ON a.attname = c.condition ->> 'attribute' AND a.attrelid IN (profile, attributes) AND a.attnum > 1
						LEFT JOIN crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) s ON s.name = a.attname;
			END IF;
		END IF;
		RETURN NEXT;
	END LOOP;
END $$; -- the rule of at most three conditions that describes a segment best, over attributes (it runs on customers and prospects alike) and with behaviour (on customer_profile joined to customer_attributes), with its figures on two fifths of the customers who were not searched; with the rights of the reader

---------------------------------------------------------------- the customers most like somebody

CREATE FUNCTION crm_profile_internal.likeness_in_words(a crm_profile.profile, b crm_profile.profile, model crm_profile.profile_model, values_a jsonb, values_b jsonb) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	BEGIN ATOMIC
		WITH part AS MATERIALIZED (SELECT e.attribute, e.weight, e.similarity, e.contribution, crm_profile_internal.card_name(e.attribute) AS name,
				CASE e.value_a WHEN '(other)' THEN values_a ->> e.attribute ELSE e.value_a END AS value_a, CASE e.value_b WHEN '(other)' THEN values_b ->> e.attribute ELSE e.value_b END AS value_b
				FROM crm_profile.explain_similarity(a, b, model) e WHERE e.similarity IS NOT NULL AND e.weight > 0),
			alike AS (SELECT p.* FROM part p WHERE p.similarity >= 0.9 ORDER BY p.contribution DESC, p.attribute COLLATE "C" LIMIT 5),
			apart AS (SELECT p.* FROM part p WHERE p.similarity < 0.9 ORDER BY p.weight * (1 - p.similarity) DESC, p.attribute COLLATE "C" LIMIT 3)
		SELECT concat_ws('; but ', (SELECT string_agg(concat(l.name, ' ', l.value_b, CASE WHEN l.value_a <> l.value_b THEN format(' (%s)', l.value_a) END), ', ' ORDER BY l.contribution DESC, l.attribute COLLATE "C") FROM alike l),
			(SELECT string_agg(format('%s %s, not %s', l.name, l.value_b, l.value_a), ', ' ORDER BY l.weight * (1 - l.similarity) DESC, l.attribute COLLATE "C") FROM apart l));
	END; -- what b has in common with a (with the value of a, if it is another), and what not; rare words, which a profile does not hold, from their rows

CREATE FUNCTION crm_profile_internal.check_row_of_attributes(attributes regclass, "row" jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	given record;
BEGIN
	FOR given IN SELECT a.attname AS name, r.value, format_type(a.atttypid, a.atttypmod) AS type
		FROM jsonb_each("row") r JOIN pg_attribute a ON a.attrelid = attributes AND a.attnum > 1 AND NOT a.attisdropped AND a.attname = r.key ORDER BY a.attnum LOOP
		BEGIN
			EXECUTE format('SELECT (jsonb_populate_record(NULL::%s, jsonb_build_object($1, $2))).%I', attributes, given.name) USING given.name, given.value;
		EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
			RAISE invalid_text_representation USING MESSAGE = format('the attribute "%s" cannot be %s', given.name, crm_profile_internal.short(given.value::text, 64)), DETAIL = format('It has the type %s.', given.type);
		END;
	END LOOP;
END $$; -- an error if a value of a row of attributes is no value of its attribute

CREATE FUNCTION crm_profile.nearest_customers(source text, whom anycompatible, k integer DEFAULT 10, weights jsonb DEFAULT NULL,
	OUT customer text, OUT rank integer, OUT similarity double precision, OUT reasons text) RETURNS SETOF record
	-- a check of the key is a subtransaction
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 1000000 ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attributes CONSTANT regclass := crm_profile_internal.attributes_of_source(source);
	by_record CONSTANT boolean := (SELECT t.typtype = 'c' OR t.oid = 'record'::regtype FROM pg_type t WHERE t.oid = pg_typeof(whom));
	key_type CONSTANT text := (SELECT format_type(k.atttypid, -1) FROM pg_attribute k WHERE k.attrelid = attributes AND k.attnum = 1);
	this_one CONSTANT text := crm_profile_internal.same_key(key_type, 'a.customer', format('%L::%s', whom::text, key_type));
	columns text;
	options jsonb;
	person text;
	found boolean;
BEGIN
	IF whom IS NULL AND NOT by_record THEN
		RAISE null_value_not_allowed USING MESSAGE = 'whom must not be NULL', HINT = 'Give the key of a customer, or a row with attributes.';
	ELSIF k IS NULL OR k NOT BETWEEN 1 AND 1000 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('k is %s', coalesce(k::text, 'NULL')), DETAIL = 'It is the number of customers wanted, from 1 to 1000.';
	END IF;
	SELECT string_agg(format('a.%I', a.attname), ', ' ORDER BY a.attnum), jsonb_build_object('range_count', 5, 'kinds', coalesce(jsonb_object_agg(a.attname, 'nominal') FILTER (WHERE crm_profile_internal.source_attribute_class(a.atttypid) = 'word'), '{}'))
		INTO columns, options FROM pg_attribute a WHERE a.attrelid = attributes AND a.attnum > 1 AND NOT a.attisdropped;
	IF weights IS NOT NULL THEN
		options := options || jsonb_build_object('weights', weights);
	END IF;
	person := CASE WHEN by_record THEN format('jsonb_populate_record(NULL::%s, to_jsonb($3) - ''customer'') a, LATERAL (SELECT %s) "(row)"', attributes, columns)
		ELSE format('%s a, LATERAL (SELECT %s) "(row)" WHERE %s', attributes, columns, this_one) END;
	IF by_record AND NOT EXISTS (SELECT FROM jsonb_each_text(to_jsonb(whom)) r JOIN pg_attribute a ON a.attrelid = attributes AND a.attnum > 1 AND NOT a.attisdropped AND a.attname = r.key WHERE r.value IS NOT NULL) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('the row has none of the attributes of source "%s"', source),
			DETAIL = format('Attributes: %s.', (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = attributes AND a.attnum > 1 AND NOT a.attisdropped)),
			HINT = 'Columns of the row count by name: (SELECT r FROM (SELECT 40 AS age) r).';
	ELSIF by_record THEN
		PERFORM crm_profile_internal.check_row_of_attributes(attributes, to_jsonb(whom));
	ELSE
		PERFORM crm_profile_internal.check_key(source, whom::text, key_type);
		EXECUTE format('SELECT EXISTS (SELECT FROM %s)', person) INTO found;
		IF NOT found THEN
			RAISE undefined_object USING MESSAGE = format('source "%s" has no customer "%s", or you may not see them', source, crm_profile_internal.short(whom::text, 64));
		END IF;
	END IF;
	RETURN QUERY EXECUTE format($sql$
		WITH model AS MATERIALIZED (SELECT crm_profile.profile_fit("(row)", $1) AS m FROM %2$s a, LATERAL (SELECT %1$s) "(row)", (SELECT least(1, 100000.0 / greatest(count(*), 1)) AS share FROM %2$s) s WHERE crm_profile_internal.in_sample(a.customer::text, s.share)),
			person AS MATERIALIZED (SELECT crm_profile.profile("(row)", (SELECT m FROM model)) AS p, to_jsonb("(row)") AS r FROM %3$s),
			near AS MATERIALIZED (
				SELECT n.customer, n.p, n.r, n.away FROM (
					SELECT e.*, e.p OPERATOR(crm_profile.<->) (SELECT p FROM person) AS away FROM (
						SELECT a.customer::text AS customer, "(row)" AS r, crm_profile.profile("(row)", (SELECT m FROM model)) AS p FROM %2$s a, LATERAL (SELECT %1$s) "(row)" %4$s OFFSET 0) e) n
				WHERE n.away IS NOT NULL ORDER BY n.away, n.customer COLLATE "C" LIMIT $2)
		SELECT n.customer, row_number() OVER (ORDER BY n.away, n.customer COLLATE "C")::integer, 1 - n.away, crm_profile_internal.likeness_in_words((SELECT p FROM person), n.p, (SELECT m FROM model), (SELECT r FROM person), to_jsonb(n.r))
		FROM near n ORDER BY 2$sql$, columns, attributes, person, CASE WHEN NOT by_record THEN format('WHERE NOT (%s)', this_one) END) USING options, k, whom;
END $$; -- the k customers of a source most like one, given by key, or like a row with attributes by name; with what they have in common and what not; with the rights of the reader

---------------------------------------------------------------- groups found in the data

CREATE FUNCTION crm_profile.customer_groups(source text, k integer DEFAULT NULL, weights jsonb DEFAULT NULL, language text DEFAULT NULL,
	OUT group_number integer, OUT customers bigint, OUT share double precision, OUT card text, OUT example text, OUT example_card text, OUT likeness double precision,
	OUT silhouette double precision, OUT stability double precision, OUT medoid crm_profile.profile, OUT profile_model crm_profile.profile_model) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 10000000 ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attributes CONSTANT regclass := crm_profile_internal.attributes_of_source(source);
	columns CONSTANT jsonb := crm_profile_internal.source_card_columns(source);
	people CONSTANT text := crm_profile_internal.source_people(source);
	options jsonb := '{"range_count": 5}';
	named text;
	rows text;
	found crm_profile.profile_groups;
	counts crm_profile_internal.persona_count[];
	alike double precision[];
BEGIN
	language := crm_profile_internal.check_language(language);
	IF columns IS NULL THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('all attributes of source "%s" have names of figures', source), HINT = 'Give them other names: name = expression.';
	END IF;
	SELECT string_agg(format('x.%I', c ->> 'name'), ', ' ORDER BY o), options || jsonb_build_object('kinds', coalesce(jsonb_object_agg(c ->> 'name', 'nominal') FILTER (WHERE c ->> 'class' = 'word'), '{}'))
		INTO named, options FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, o);
	rows := format('%s x, LATERAL (SELECT %s) "(row)"', people, named);
	-- models are fitted to a sample, the same in any order of the customers
	EXECUTE format('SELECT crm_profile.profile_fit("(row)", $1) FROM (SELECT least(1, 100000.0 / greatest(count(*), 1)) AS share FROM %s p) s, %s WHERE crm_profile_internal.in_sample(x.customer::text, s.share)', people, rows)
		INTO profile_model USING options;
	IF weights IS NULL THEN
		EXECUTE format('SELECT crm_profile.group_weights(x.customer::text, crm_profile.profile("(row)", $1), $1) FROM (SELECT least(1, 50000.0 / greatest(count(*), 1)) AS share FROM %s p) s, %s WHERE crm_profile_internal.in_sample(x.customer::text, s.share)', people, rows)
			INTO weights USING profile_model;
	END IF;
	IF weights IS NOT NULL THEN
		EXECUTE format('SELECT crm_profile.profile_fit("(row)", $1) FROM (SELECT least(1, 100000.0 / greatest(count(*), 1)) AS share FROM %s p) s, %s WHERE crm_profile_internal.in_sample(x.customer::text, s.share)', people, rows)
			INTO profile_model USING options || jsonb_build_object('weights', weights);
	END IF;
	IF profile_model IS NULL THEN
		RETURN;
	END IF;
	EXECUTE format('SELECT (g.f).* FROM (SELECT crm_profile.profile_groups_fit(x.customer::text, crm_profile.profile("(row)", $1), $2) AS f FROM (SELECT least(1, 50000.0 / greatest(count(*), 1)) AS share FROM %s p) s, %s WHERE crm_profile_internal.in_sample(x.customer::text, s.share)) g', people, rows)
		INTO found USING profile_model, k;
	silhouette := found.silhouette;
	stability := found.stability;
	-- one scan for the group of each customer, whatever is asked of it
	rows := format('(SELECT x.customer, x.recency, x.frequency, x.monetary, %1$s, x."(group)"::text AS segment, x."(group)" AS segment_position FROM (SELECT x.*, crm_profile.nearest_group(crm_profile.profile("(row)", %2$L::crm_profile.profile_model), %3$L::crm_profile.profile[]) AS "(group)" FROM %4$s OFFSET 0) x)',
		named, profile_model, found.medoids, rows);
	EXECUTE format('SELECT array_agg(g.alike ORDER BY g.n) FROM (SELECT n.n, (crm_profile_internal.decimal_sum(crm_profile.similarity(n.p, $2[n.n])) / count(crm_profile.similarity(n.p, $2[n.n])))::float8 AS alike FROM (SELECT e.p, crm_profile.nearest_group(e.p, $2) AS n FROM
		(SELECT crm_profile.profile("(row)", $1) AS p FROM (SELECT least(1, 50000.0 / greatest(count(*), 1)) AS share FROM %s p) s, %s x, LATERAL (SELECT %s) "(row)" WHERE crm_profile_internal.in_sample(x.customer::text, s.share) OFFSET 0) e) n GROUP BY n.n) g', people, people, named)
		INTO alike USING profile_model, found.medoids;
	EXECUTE crm_profile_internal.persona_counts_query('x.segment', named, ARRAY(SELECT c ->> 'name' FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, o) ORDER BY o), rows || ' x', people || ' x WHERE true', 'x.customer', true)
		INTO counts;
	FOR group_number, customers, card, example, example_card, share IN
		SELECT c.segment::integer, c.customers, c.card, c.example, c.example_card, c.customers / sum(c.customers) OVER ()::double precision
		FROM crm_profile_internal.cards(rows, (crm_profile_internal.evaluated_source(source)).key_type, NULL, NULL, counts, columns, customer_groups.language) c ORDER BY c.segment::integer LOOP
		likeness := alike[group_number];
		medoid := found.medoids[group_number];
		RETURN NEXT;
	END LOOP;
END $$; -- groups of customers with similar attributes, found in the data (k-medoids; k NULL: as many as there are), the largest first, each with its card and medoid; with the rights of the reader

CREATE FUNCTION crm_profile.segment_variance(source text, label name DEFAULT 'segment', labels regclass DEFAULT NULL,
	OUT attribute text, OUT customers bigint, OUT groups bigint, OUT total double precision, OUT within double precision, OUT "between" double precision, OUT explained double precision, OUT coverage double precision) RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns jsonb;
	parts text;
	lacking text;
	several text;
BEGIN
	PERFORM crm_profile_internal.check_source_exists(source);
	columns := crm_profile_internal.source_card_columns(source);
	IF label IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'the label must not be NULL', HINT = 'Name a column: segment, lifecycle, value_tier.';
	END IF;
	SELECT string_agg(n, ' and the column ') INTO lacking FROM unnest(ARRAY['customer', label::text]) n
		WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = coalesce(labels, format('%I.customer_profile', source)::regclass) AND a.attname = n AND a.attnum > 0 AND NOT a.attisdropped);
	IF lacking IS NOT NULL THEN
		RAISE undefined_column USING MESSAGE = format('%s lacks the column %s', coalesce(labels::text, format('%I.customer_profile', source)), lacking), HINT = 'Name a table or view that has the key of each customer, in the column customer, and the label.';
	END IF;
	IF labels IS NOT NULL THEN
		EXECUTE format('SELECT min(c.customer COLLATE "C") FROM (SELECT l.customer::text AS customer FROM %s l GROUP BY 1 HAVING count(l.customer) > 1) c', labels) INTO several;
		IF several IS NOT NULL THEN
			RAISE cardinality_violation USING MESSAGE = format('%s has several rows of customer "%s"', labels, several), HINT = 'A customer has one label: give a view with DISTINCT ON (customer).';
		END IF;
	END IF;
	-- variance of numbers, in the range of those in profiles, so that squares never overflow;
	-- of words the chance that two customers differ. The order of the rows changes no digit; what is the same for all
	-- has no variance, though its mean has 15 digits
	SELECT string_agg(CASE WHEN c.class IN ('number', 'date')
			THEN format('(WITH m AS MATERIALIZED (SELECT p.label, count(p.a%1$s) AS n, crm_profile_internal.decimal_sum(p.a%1$s) AS s, min(p.a%1$s) AS low, max(p.a%1$s) AS high FROM people p WHERE p.label IS NOT NULL AND p.a%1$s IS NOT NULL GROUP BY 1)
				SELECT %1$s, %2$L, sum(g.n)::int8, count(*), (crm_profile_internal.decimal_sum(g.w) / sum(g.n))::float8, (crm_profile_internal.decimal_sum(g.w + g.n * (g.m - t.m) ^ 2) / sum(g.n))::float8
				FROM (SELECT k.label, k.n, k.m, crm_profile_internal.decimal_sum((p.a%1$s - k.m) ^ 2)::float8 AS w FROM people p JOIN (SELECT m.label, m.n, CASE WHEN m.low = m.high THEN m.low ELSE (m.s / m.n)::float8 END AS m FROM m) k ON k.label = p.label WHERE p.a%1$s IS NOT NULL GROUP BY k.label, k.n, k.m) g,
					(SELECT CASE WHEN min(m.low) = max(m.high) THEN min(m.low) ELSE (sum(m.s) / sum(m.n))::float8 END AS m FROM m) t)', c.place, c.name)
			ELSE format('SELECT %s, %L, sum(g.n)::int8, count(*), crm_profile_internal.decimal_sum(g.n * g.v)::float8 / sum(g.n), min(t.v)
				FROM (SELECT c.label, sum(c.n) AS n, 1 - sum(c.n * c.n) / sum(c.n) ^ 2 AS v FROM (SELECT p.label, p.a%1$s, count(*)::float8 AS n FROM people p WHERE p.label IS NOT NULL AND p.a%1$s IS NOT NULL GROUP BY 1, 2) c GROUP BY 1) g,
				(SELECT 1 - sum(c.n * c.n) / sum(c.n) ^ 2 AS v FROM (SELECT p.a%1$s, count(*)::float8 AS n FROM people p WHERE p.label IS NOT NULL AND p.a%1$s IS NOT NULL GROUP BY 1) c) t', c.place, c.name) END, ' UNION ALL ')
		INTO parts FROM (SELECT u.o AS place, u.c ->> 'name' AS name, u.c ->> 'class' AS class FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, o) WHERE u.c ->> 'class' <> 'set') c;
	IF parts IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format('WITH labels AS MATERIALIZED (SELECT l.c1::text AS customer, l.c2::text AS label FROM (%s) l(c1, c2)),
			people AS MATERIALIZED (SELECT l.label, %s FROM %s x LEFT JOIN labels l ON l.customer = x.customer::text)
		SELECT v.name, v.n, v.groups, v.t, v.w, v.t - v.w, (v.t - v.w) / NULLIF(v.t, 0), (SELECT count(p.label) / NULLIF(count(*), 0)::float8 FROM people p) FROM (%s) v(place, name, n, groups, w, t) WHERE v.n IS NOT NULL ORDER BY v.place',
		format('SELECT l.customer, l.%I FROM %s l', label, coalesce(labels::text, format('%I.customer_profile', source))),
		(SELECT string_agg(format(CASE u.c ->> 'class' WHEN 'number' THEN 'CASE WHEN abs(%3$s) < 1e-37 THEN 0 WHEN %3$s IS NOT NULL THEN least(greatest(%3$s, -(2::float8 ^ 128)), 2::float8 ^ 128) END AS a%2$s' WHEN 'date' THEN 'CASE WHEN isfinite(x.%1$I::date) THEN (x.%1$I::date - date ''2000-01-01'')::float8 END AS a%2$s' ELSE 'x.%1$I::text AS a%2$s' END, u.c ->> 'name', u.o, crm_profile_internal.finite_double(format('x.%I', u.c ->> 'name'), (u.c -> 'whole')::boolean)), ', ')
			FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, o)),
		crm_profile_internal.source_people(source), parts);
END $$; -- how homogeneous segments are: for each attribute its variance in all, within and between them; label: a column of customer_profile, or of the relation labels, which has the customers' keys in the column customer; coverage: share of customers who have a label
