-- Words for people in their language: cards, reports, names of segments, forms of numbers and dates
--
-- Views show codes and names that never change; translate where a person reads. The words stand in the table
-- translation, to which users add languages, their own segments, or better words. 06_words.sql fills it.

CREATE TABLE crm_profile.translation ( -- words for people, by language; add your own with INSERT: languages, segments of your schemes, better words than the built-in ones
	key text NOT NULL, -- what is translated, such as segment.Champions or report.title
	language text NOT NULL -- code of the language, such as en, de or pt-BR
		CONSTRAINT translation_language_code CHECK (language ~ '^[a-z]{2,3}(-[a-zA-Z0-9]+)*$'),
	text text NOT NULL, -- the words; %1$s, %2$s and so on are filled in
	built_in boolean NOT NULL DEFAULT false, -- whether the row comes with the extension: it is not dumped, and a row of your own goes before it
	CONSTRAINT translation_pkey PRIMARY KEY (key, language, built_in)
);
GRANT SELECT ON crm_profile.translation TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON crm_profile.translation TO pg_database_owner;
SELECT pg_catalog.pg_extension_config_dump('crm_profile.translation', 'WHERE NOT built_in');

CREATE FUNCTION crm_profile_internal.guard_built_in() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE; -- keeps rows with built_in as they are
CREATE TRIGGER guard_built_in BEFORE INSERT OR UPDATE OR DELETE ON crm_profile.translation
	FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.guard_built_in();
CREATE TRIGGER guard_built_in_truncate BEFORE TRUNCATE ON crm_profile.translation
	FOR EACH STATEMENT EXECUTE FUNCTION crm_profile_internal.guard_built_in();
COMMENT ON TRIGGER guard_built_in ON crm_profile.translation IS 'keeps the built-in words as they are';
COMMENT ON TRIGGER guard_built_in_truncate ON crm_profile.translation IS 'keeps the built-in words as they are';

CREATE FUNCTION crm_profile_internal.languages(language text) RETURNS text[]
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN ARRAY[language, split_part(language, '-', 1), 'en']; -- the languages to look for words in, best first: de-AT, de, en

CREATE FUNCTION crm_profile_internal.short(value text, most integer) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN length(value) <= most THEN value ELSE left(value, most - most / 3) || ' ... ' || right(value, most / 3) END; -- the text of somebody as a message repeats it: its beginning and its end, if it has more than so many characters

CREATE FUNCTION crm_profile_internal.check_language(language text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wanted CONSTANT text := coalesce(language, nullif(current_setting('crm_profile.language', true), ''), 'en');
BEGIN
	IF NOT EXISTS (SELECT FROM crm_profile.translation t WHERE t.language IN (wanted, split_part(wanted, '-', 1))) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('there are no words in language "%s"', crm_profile_internal.short(wanted, 64)),
			DETAIL = format('There are: %s.', (SELECT string_agg(DISTINCT t.language, ', ') FROM crm_profile.translation t)),
			HINT = 'Add a language with INSERT INTO crm_profile.translation.';
	END IF;
	RETURN wanted;
END $$; -- the language, if there are words in it, else an error; NULL: that of the setting crm_profile.language, else English

CREATE FUNCTION crm_profile_internal.words(language text) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT jsonb_object_agg(t.key, t.text) FROM (
		SELECT DISTINCT ON (t.key) t.key, t.text FROM crm_profile.translation t, crm_profile_internal.languages(words.language) l
		WHERE t.language = ANY (l) ORDER BY t.key, array_position(l, t.language), t.built_in) t);
COMMENT ON FUNCTION crm_profile_internal.words IS 'the words of every key in a language, else in English';

CREATE FUNCTION crm_profile_internal.in_words(key text, language text, VARIADIC parts text[] DEFAULT '{}') RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN cardinality(parts) = 0 THEN t.text ELSE format(t.text, VARIADIC parts) END
		FROM crm_profile.translation t, crm_profile_internal.languages(in_words.language) l
		WHERE t.key = in_words.key AND t.language = ANY (l) ORDER BY array_position(l, t.language), t.built_in LIMIT 1);
COMMENT ON FUNCTION crm_profile_internal.in_words IS 'the words of one key in a language, else in English, with their parts filled in; NULL if there are none';

CREATE FUNCTION crm_profile_internal.number_in_words(number numeric, language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- thousands are set apart from 10 000 on, so that years stay years
	RETURN (SELECT CASE WHEN abs(n.rounded) >= 10000 THEN regexp_replace(trim_scale(n.rounded)::text, '(\d)(?=(\d{3})+$)', '\1' || crm_profile_internal.in_words('number.group', language), 'g')
			ELSE replace(trim_scale(n.rounded)::text, '.', crm_profile_internal.in_words('number.point', language)) END
		FROM (SELECT round(number, CASE WHEN number = 0 OR abs(number) BETWEEN 100 AND 10000 THEN 0 ELSE 2 - floor(log(abs(number)))::integer END) AS rounded) n);
COMMENT ON FUNCTION crm_profile_internal.number_in_words IS 'a number as people write it, with three digits that count';

CREATE FUNCTION crm_profile_internal.iso_day(day date) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	-- to_char() takes no day that a timestamp cannot be, and a cast follows DateStyle
	RETURN to_json(day) #>> '{}'; -- a day as YYYY-MM-DD, whatever its year

CREATE FUNCTION crm_profile.segment_label(segment text, language text DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE COST 100
	RETURN coalesce(crm_profile_internal.in_words('segment.' || segment, crm_profile_internal.check_language(language)), segment); -- the name of a segment in a language (NULL: that of the setting crm_profile.language, else English); a segment without a translation keeps its name
