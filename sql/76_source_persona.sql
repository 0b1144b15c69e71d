-- What kind of people each segment is

CREATE TYPE crm_profile_internal.segment_persona_row AS ( -- a row of the view segment_persona
	segment text, -- the segment; (unscored): no order in the period
	attribute text, -- name of the attribute
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
	customers bigint -- number of customers
);

CREATE FUNCTION crm_profile_internal.persona_range(breaks text[], bucket integer) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE bucket WHEN 0 THEN 'below ' || breaks[1] WHEN cardinality(breaks) THEN breaks[bucket] || ' and more' ELSE breaks[bucket] || ' to below ' || breaks[bucket + 1] END;
COMMENT ON FUNCTION crm_profile_internal.persona_range(text[], integer) IS 'a range in words; bucket as numbered by width_bucket()';

CREATE FUNCTION crm_profile_internal.persona_range(breaks double precision[], bucket integer) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN crm_profile_internal.persona_range(breaks::text[], bucket);
COMMENT ON FUNCTION crm_profile_internal.persona_range(double precision[], integer) IS 'a range of numbers in words; bucket as numbered by width_bucket()';

CREATE FUNCTION crm_profile_internal.persona_range(breaks date[], bucket integer) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile_internal.persona_range(ARRAY(SELECT to_char(b, 'YYYY-MM-DD') FROM unnest(breaks) b), bucket);
COMMENT ON FUNCTION crm_profile_internal.persona_range(date[], integer) IS 'a range of days in words; bucket as numbered by width_bucket()';

CREATE FUNCTION crm_profile_internal.segment_persona(segments crm_profile.segment_scheme, counts crm_profile_internal.persona_count[])
	RETURNS SETOF crm_profile_internal.segment_persona_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		WITH counted AS MATERIALIZED (SELECT c.attribute, c.segment, c.value, c.customers, sum(c.customers) OVER (PARTITION BY c.attribute, c.value)::bigint AS everywhere FROM unnest(counts) c),
			cell AS (SELECT v.*, m.customers AS members, m.everywhere AS everybody, m.customers * v.everywhere / m.everywhere::double precision AS expected
				FROM counted v JOIN counted m ON m.segment = v.segment AND m.attribute = v.attribute AND m.value IS NULL WHERE v.value IS NOT NULL),
			tested AS (SELECT c.*, crm_profile_internal.excess_p_value(c.customers, c.members, c.everywhere, c.everybody) AS p FROM cell c WHERE c.expected >= 5),
			-- Benjamini and Hochberg: of the cells shown at most one in twenty is due to chance
			ranked AS (SELECT t.*, t.p <= 0.05 * count(*) OVER (ORDER BY t.p) / count(*) OVER () AS stands FROM tested t),
			judged AS (SELECT r.*, max(r.p) FILTER (WHERE r.stands) OVER () AS worst FROM ranked r)
		SELECT x.segment, x.attribute, x.value, x.customers, x.customers / x.members::double precision, x.everywhere / x.everybody::double precision, x.customers / x.expected
		FROM judged x LEFT JOIN crm_profile.segments(segments) s ON s.segment = x.segment
		WHERE x.p <= x.worst AND x.customers > x.expected
		ORDER BY s.position, (x.customers - x.expected) / sqrt(x.expected) DESC, x.attribute, x.value;
	END;
COMMENT ON FUNCTION crm_profile_internal.segment_persona IS 'rows of the view segment_persona: attribute values more frequent in a segment than elsewhere, at a false discovery rate of 5 % over all cells, most characteristic first';

CREATE FUNCTION crm_profile_internal.source_persona_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- the counts of an attribute: words as they are, numbers and days by the quintiles of all customers, members of
	-- sets one by one
	by_word CONSTANT text := 'SELECT %1$L::text AS attribute, p.segment, p.%2$I AS value, count(*) AS customers FROM person p WHERE p.%2$I IS NOT NULL GROUP BY GROUPING SETS ((p.segment, p.%2$I), (p.segment))';
	by_member CONSTANT text := 'SELECT %1$L::text AS attribute, p.segment, m.member AS value, count(*) AS customers FROM person p, LATERAL (SELECT DISTINCT e::text FROM unnest(p.%2$I) e WHERE e IS NOT NULL UNION ALL SELECT NULL WHERE p.%2$I IS NOT NULL) m(member)
		GROUP BY p.segment, m.member';
	by_range CONSTANT text := 'SELECT %1$L::text AS attribute, b.segment, crm_profile_internal.persona_range(b.breaks, b.bucket) AS value, b.customers
		FROM (SELECT p.segment, k.breaks, width_bucket(p.%2$I, k.breaks) AS bucket, count(*) AS customers
			FROM person p, (SELECT percentile_disc(''{0.2,0.4,0.6,0.8}''::double precision[]) WITHIN GROUP (ORDER BY o.%2$I) AS breaks FROM person o) k
			WHERE p.%2$I IS NOT NULL GROUP BY GROUPING SETS ((p.segment, k.breaks, width_bucket(p.%2$I, k.breaks)), (p.segment))) b';
	attribute record;
	type oid;
	class text;
	columns text;
	counts text;
BEGIN
	FOR attribute IN SELECT a.name, 'a' || a.place AS alias, format('q.%I', a.name) AS value
			FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a ORDER BY a.place LOOP
		type := crm_profile_internal.source_type_of(attribute.value, format('(%s) q', src.customer_query), 'pg_catalog, pg_temp');
		class := crm_profile_internal.source_attribute_class(type);
		columns := concat(columns, ', ', format(CASE
			WHEN class = 'number' THEN 'NULLIF(%1$s::double precision, ''NaN'')'
			WHEN class = 'date' AND type = 'timestamptz'::regtype THEN 'CASE WHEN isfinite(%1$s) THEN (%1$s AT TIME ZONE %2$L)::date END'
			WHEN class = 'date' THEN 'CASE WHEN isfinite(%1$s) THEN %1$s::date END'
			WHEN class = 'set' THEN '%1$s'
			ELSE 'NULLIF(btrim(%1$s::text), '''')' END, attribute.value, src.time_zone), ' AS ', attribute.alias);
		counts := concat_ws(' UNION ALL ', counts, format(CASE WHEN class IN ('number', 'date') THEN by_range WHEN class = 'set' THEN by_member ELSE by_word END, attribute.name, attribute.alias));
	END LOOP;
	RETURN format('WITH person AS MATERIALIZED (SELECT coalesce(c.segment, ''(unscored)'') AS segment%s FROM (%s) q JOIN %I.customer_profile c ON %s)
SELECT s.* FROM crm_profile_internal.segment_persona(%s, ARRAY(SELECT ROW(n.attribute, n.segment, n.value, n.customers)::crm_profile_internal.persona_count
	FROM (%s) n)) s', columns, src.customer_query, src.name, crm_profile_internal.same_key(src.key_type, 'c.customer', 'q.customer'), crm_profile_internal.source_model_in_use(src, 'segments'), counts);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_persona_query IS 'the query behind segment_persona';

CREATE FUNCTION crm_profile_internal.source_build_persona(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.attributes IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'segment_persona');
	ELSE
		PERFORM crm_profile_internal.source_view(src, 'segment_persona', 'what kind of people the segments are: values of attributes that are more frequent than chance explains, the most characteristic first',
			'crm_profile_internal.segment_persona_row', crm_profile_internal.source_persona_query(src));
	END IF;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_build_persona IS 'creates or replaces the view segment_persona of a source, or drops it if there are no attributes';
