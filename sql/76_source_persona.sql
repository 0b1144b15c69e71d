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
	customers bigint -- number of customers
);

CREATE FUNCTION crm_profile_internal.persona_counts_transfn(internal, text, record, text[]) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.persona_counts_transfn IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.persona_counts_finalfn(internal) RETURNS crm_profile_internal.persona_count[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.persona_counts_finalfn IS 'aggregate final function';
CREATE AGGREGATE crm_profile_internal.persona_counts(segment text, attributes record, names text[]) (
	SFUNC = crm_profile_internal.persona_counts_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.persona_counts_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile_internal.persona_counts(text, record, text[]) IS
	'customers by segment and value of each attribute: words as they are, numbers and days by the fifths of all customers, members of sets one by one; values of fewer than five customers are left out';

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
	attribute record;
	names text[];
	attributes text;
BEGIN
	FOR attribute IN SELECT a.name, format('q.%I', a.name) AS value
			FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a ORDER BY a.place LOOP
		names := names || attribute.name;
		attributes := concat_ws(', ', attributes, CASE WHEN crm_profile_internal.base_type(crm_profile_internal.source_type_of(attribute.value, format('(%s) q', src.customer_query), 'pg_catalog, pg_temp')) = 'timestamptz'::regtype
			THEN format('%s AT TIME ZONE %L', attribute.value, src.time_zone) ELSE attribute.value END);
	END LOOP;
	RETURN format('SELECT s.* FROM crm_profile_internal.segment_persona(%s, (SELECT crm_profile_internal.persona_counts(coalesce(f.segment, ''(unscored)''), ROW(%s), %L::text[])
	FROM (%s) q %s WHERE q.customer IS NOT NULL)) s', crm_profile_internal.source_model_in_use(src, 'segments'), attributes, names, src.customer_query, CASE
		WHEN src.materialize THEN format('JOIN %I.customer_profile f ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'f.customer', 'q.customer'))
		ELSE format('LEFT JOIN %I.customer_history h ON %s CROSS JOIN %s%s CROSS JOIN%s (SELECT %s AS model) m
	CROSS JOIN LATERAL crm_profile_internal.customer_figures(q.customer::text, h.history, m.model, d.day, %s, %L, NULL) f', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'q.customer'),
			crm_profile_internal.source_day(crm_profile_internal.source_today(src)), crm_profile_internal.source_own_model(src, NULL), CASE WHEN src.by_attributes THEN ' LATERAL' END,
			crm_profile_internal.source_model_in_use(src, true), crm_profile_internal.source_period(src), src.tier_by) END);
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
