-- What kind of people each segment is

CREATE FUNCTION crm_profile_internal.source_persona_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- the rows of an attribute: words as they are, numbers and days by the fifths of all customers, members of sets one by one
	by_word CONSTANT text := 'SELECT %1$L::text AS attribute, p.segment, p.%2$I AS value, count(*) AS customers FROM person p WHERE p.%2$I IS NOT NULL GROUP BY p.segment, p.%2$I';
	by_member CONSTANT text := 'SELECT %1$L::text AS attribute, p.segment, m.member AS value, count(*) AS customers FROM person p, LATERAL (SELECT DISTINCT e::text FROM unnest(p.%2$I) e WHERE e IS NOT NULL) m(member) GROUP BY p.segment, m.member';
	by_range CONSTANT text := 'SELECT %1$L::text AS attribute, b.segment, CASE WHEN b.bucket = 0 THEN ''below '' || %3$s WHEN b.bucket = cardinality(b.breaks) THEN %4$s || '' and more'' ELSE %4$s || '' to below '' || %5$s END AS value, b.customers
		FROM (SELECT p.segment, k.breaks, width_bucket(p.%2$I, k.breaks) AS bucket, count(*) AS customers
			FROM person p, (SELECT percentile_disc(''{0.2,0.4,0.6,0.8}''::double precision[]) WITHIN GROUP (ORDER BY o.%2$I) AS breaks FROM person o) k
			WHERE p.%2$I IS NOT NULL GROUP BY p.segment, k.breaks, width_bucket(p.%2$I, k.breaks)) b';
	attribute record;
	type oid;
	class text;
	shown text;
	columns text;
	members text;
	counts text;
	places text;
BEGIN
	FOR attribute IN SELECT a.name, 'a' || a.place AS alias, format('q.%I', a.name) AS value
			FROM crm_profile_internal.source_attributes(src.attributes, crm_profile_internal.source_columns(to_regclass(src.customers))) a ORDER BY a.place LOOP
		type := crm_profile_internal.source_type_of(attribute.value, format('(%s) q', src.customer_query), 'pg_catalog, pg_temp');
		class := crm_profile_internal.source_attribute_class(type);
		columns := concat(columns, ', ', format(CASE class
			WHEN 'number' THEN 'NULLIF(%s::double precision, ''NaN'')'
			WHEN 'date' THEN 'CASE WHEN isfinite(%1$s) THEN ' || CASE WHEN type = 'timestamptz'::regtype THEN '(%1$s AT TIME ZONE ' || quote_literal(src.time_zone) || ')::date END' ELSE '%1$s::date END' END
			WHEN 'set' THEN '%s'
			ELSE 'NULLIF(btrim(%s::text), '''')' END, attribute.value), ' AS ', attribute.alias);
		members := concat_ws(', ', members, format('count(p.%1$I) AS %1$I', attribute.alias));
		counts := concat_ws(', ', counts, format('(%L, m.%I)', attribute.name, attribute.alias));
		shown := CASE class WHEN 'date' THEN 'to_char(b.breaks[%s], ''YYYY-MM-DD'')' ELSE 'b.breaks[%s]::text' END;
		places := concat_ws(' UNION ALL ', places, format(CASE WHEN class IN ('number', 'date') THEN by_range WHEN class = 'set' THEN by_member ELSE by_word END,
			attribute.name, attribute.alias, format(shown, 1), format(shown, 'b.bucket'), format(shown, 'b.bucket + 1')));
	END LOOP;
	RETURN format('WITH person AS MATERIALIZED (SELECT coalesce(c.segment, ''(unscored)'') AS segment%1$s FROM (%2$s) q JOIN %3$I.customer_profile c ON c.customer = q.customer),
	member AS (SELECT m.segment, v.attribute, v.members, sum(v.members) OVER (PARTITION BY v.attribute) AS everybody
		FROM (SELECT p.segment, %4$s FROM person p GROUP BY p.segment) m, LATERAL (VALUES %5$s) v(attribute, members)),
	place AS (SELECT w.*, sum(w.customers) OVER (PARTITION BY w.attribute, w.value) AS there FROM (%6$s) w)
SELECT x.segment, x.attribute, x.value, x.customers, x.customers / x.members::double precision AS share_of_segment,
	(x.there / x.everybody)::double precision AS share_of_customers, x.customers / x.expected AS concentration
FROM (SELECT p.*, m.members, m.everybody, (m.members * p.there / m.everybody)::double precision AS expected
		FROM place p JOIN member m ON m.segment = p.segment AND m.attribute = p.attribute) x
	LEFT JOIN crm_profile.segments((SELECT m.segments FROM %3$I.model m ORDER BY m.id DESC LIMIT 1)) s ON s.segment = x.segment
WHERE x.expected >= 5 AND x.customers - x.expected > 2 * sqrt(x.expected * (1 - x.members / x.everybody)::double precision)
ORDER BY s.position, (x.customers - x.expected) / sqrt(x.expected) DESC, x.attribute, x.value', columns, src.customer_query, src.name, members, counts, places);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_persona_query(crm_profile.source_definition) IS 'the query behind segment_persona';

CREATE FUNCTION crm_profile_internal.source_build_persona(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.attributes IS NULL THEN
		IF to_regclass(format('%I.segment_persona', src.name)) IS NOT NULL THEN
			EXECUTE format('DROP VIEW %I.segment_persona', src.name);
		END IF;
		RETURN;
	END IF;
	EXECUTE format('CREATE OR REPLACE VIEW %I.segment_persona WITH (security_invoker = true) AS %s', src.name, crm_profile_internal.source_persona_query(src));
	PERFORM crm_profile_internal.source_comment(src.name, 'segment_persona', 'what kind of people the segments are: values of attributes that they have more of than chance would give them, the most telling first', ARRAY[
		['segment', 'the segment; (unscored): no order in the period'],
		['attribute', 'name of the attribute'],
		['value', 'its value, a range for numbers and days, or a member for sets'],
		['customers', 'customers of the segment who have it'],
		['share_of_segment', 'their share of those in the segment whose attribute is known'],
		['share_of_customers', 'the same share of all customers'],
		['concentration', 'the first share by the second']]);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_build_persona(crm_profile.source_definition) IS 'the view segment_persona of a source, made anew, or dropped where there are no attributes';
