-- Words for people in their language: names of segments, texts of reports, forms of numbers and dates
--
-- Views show codes and names that never change; translate where a person reads. The words stand in the table translation,
-- to which users add languages, their own segments, or better words. They are filled in by 87_words.sql.

CREATE TABLE crm_profile.translation ( -- words for people, by language; add your own with INSERT: languages, segments of your schemes, better words than the built-in ones
	key text NOT NULL, -- what is translated, such as 'segment Champions' or 'report title'
	language text NOT NULL -- language, such as en, de or pt-BR
		CONSTRAINT translation_language_code CHECK (language ~ '^[a-z]{2,3}(-[A-Z]{2})?$'),
	text text NOT NULL, -- the words; %1$s, %2$s … stand for what is filled in
	built_in boolean NOT NULL DEFAULT false, -- whether the row comes with the extension: it is not dumped, and a row of your own goes before it
	CONSTRAINT translation_pkey PRIMARY KEY (key, language, built_in)
);
GRANT SELECT ON crm_profile.translation TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('crm_profile.translation', 'WHERE NOT built_in');

CREATE FUNCTION crm_profile_internal.languages(language text) RETURNS text[]
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wanted CONSTANT text := coalesce(nullif(language, ''), nullif(current_setting('crm_profile.language', true), ''), 'en');
BEGIN
	IF NOT EXISTS (SELECT FROM crm_profile.translation t WHERE t.language IN (wanted, split_part(wanted, '-', 1))) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('there are no words in language "%s"', wanted),
			DETAIL = format('There are: %s.', (SELECT string_agg(DISTINCT t.language, ', ' ORDER BY t.language) FROM crm_profile.translation t)),
			HINT = 'Add a language with INSERT INTO crm_profile.translation.';
	END IF;
	RETURN ARRAY[wanted, split_part(wanted, '-', 1), 'en'];
END $$;
COMMENT ON FUNCTION crm_profile_internal.languages IS 'the languages to look for words in, best first; language NULL: that of the setting crm_profile.language; an error if there is none';

CREATE FUNCTION crm_profile_internal.words(languages text[]) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT jsonb_object_agg(t.key, t.text) FROM (
		SELECT DISTINCT ON (t.key) t.key, t.text FROM crm_profile.translation t
		WHERE t.language = ANY (languages) ORDER BY t.key, array_position(languages, t.language), t.built_in) t);
COMMENT ON FUNCTION crm_profile_internal.words IS 'the words of every key, each in the first of the languages that has it';

CREATE FUNCTION crm_profile.segment_label(segment text, language text DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE COST 100
	BEGIN ATOMIC
		SELECT coalesce((SELECT t.text FROM crm_profile.translation t, (SELECT crm_profile_internal.languages(language) AS best OFFSET 0) l
			WHERE t.key = 'segment ' || segment AND t.language = ANY (l.best) ORDER BY array_position(l.best, t.language), t.built_in LIMIT 1), segment);
	END;
COMMENT ON FUNCTION crm_profile.segment_label IS 'the name of a segment in a language (NULL: that of the setting crm_profile.language, else English); a segment without a translation keeps its name';
