-- Words for people: the texts that functions write, by language

CREATE TABLE crm_profile.translation ( -- the words and phrases that functions write for people, by language; add a language, or texts of your own, with INSERT
	key text, -- what the text is for; %1$s and so on in the text are filled in
	language text -- code of the language, such as en
		CONSTRAINT translation_language_code CHECK (language ~ '^[a-z]{2,3}(-[a-zA-Z0-9]+)*$'),
	text text NOT NULL, -- the text in that language
	built_in boolean NOT NULL DEFAULT false, -- whether the text comes with the extension: it is not dumped
	CONSTRAINT translation_pkey PRIMARY KEY (key, language)
);
GRANT SELECT ON crm_profile.translation TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('crm_profile.translation', 'WHERE NOT built_in');

CREATE FUNCTION crm_profile_internal.check_language(language text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF language IS NULL OR NOT EXISTS (SELECT FROM crm_profile.translation t WHERE t.language = check_language.language) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('there are no texts in the language %s', coalesce(quote_literal(language), 'NULL')),
			DETAIL = format('There are: %s.', (SELECT string_agg(DISTINCT t.language, ', ') FROM crm_profile.translation t)),
			HINT = 'Add them to crm_profile.translation.';
	END IF;
	RETURN language;
END $$;
COMMENT ON FUNCTION crm_profile_internal.check_language IS 'the language, if there are texts in it; else an error';

CREATE FUNCTION crm_profile_internal.in_words(key text, language text, VARIADIC parts text[] DEFAULT '{}') RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN cardinality(parts) = 0 THEN t.text ELSE format(t.text, VARIADIC parts) END FROM crm_profile.translation t
		WHERE t.key = in_words.key AND t.language IN (in_words.language, 'en') ORDER BY t.language = in_words.language DESC LIMIT 1);
COMMENT ON FUNCTION crm_profile_internal.in_words IS 'a text in a language, else in English, with its parts filled in';

CREATE FUNCTION crm_profile_internal.number_in_words(number numeric, language text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- thousands are set apart from 10 000 on, so that years stay years
	RETURN (SELECT CASE WHEN abs(n.rounded) >= 10000 THEN regexp_replace(trim_scale(n.rounded)::text, '(\d)(?=(\d{3})+$)', '\1' || crm_profile_internal.in_words('number.group', language), 'g')
			ELSE replace(trim_scale(n.rounded)::text, '.', crm_profile_internal.in_words('number.point', language)) END
		FROM (SELECT round(number, CASE WHEN number = 0 OR abs(number) BETWEEN 100 AND 10000 THEN 0 ELSE 2 - floor(log(abs(number)))::integer END) AS rounded) n);
COMMENT ON FUNCTION crm_profile_internal.number_in_words IS 'a number as people write it, with three digits that count';

INSERT INTO crm_profile.translation (key, language, text, built_in)
	SELECT t.key, w.language, w.text, true
	FROM (VALUES
		('number.point', '.', ','),
		('number.group', ',', '.'),
		('list.or', ' or ', ' oder '),
		('card.between', '%1$s–%2$s', '%1$s–%2$s'),
		('card.below', 'under %1$s', 'unter %1$s'),
		('card.from', '%1$s or more', '%1$s oder mehr'),
		('card.before', 'before %1$s', 'vor %1$s'),
		('card.since', 'from %1$s on', 'ab %1$s'),
		('card.word', '%2$s %1$s', '%2$s %1$s'),
		('card.plain', '%1$s', '%1$s'),
		('card.place', 'from %1$s', 'aus %1$s'),
		('card.true', '%2$s', '%2$s'),
		('card.false', 'not %2$s', 'nicht %2$s'),
		('card.set', '%2$s: %1$s', '%2$s: %1$s'),
		('card.range', '%2$s %1$s', '%2$s %1$s'),
		('card.age', 'aged %1$s', '%1$s Jahre alt'),
		('card.count', '%1$s %2$s', '%1$s %2$s'),
		('card.none', 'no %2$s', 'keine %2$s'),
		('card.average', '%2$s %1$s × the average', '%2$s %1$s × der Durchschnitt'),
		('card.often', '%1$s × as many orders as all customers', '%1$s × so viele Bestellungen wie alle Kunden'),
		('card.spends', 'spends %1$s × as much', 'gibt %1$s × so viel aus'),
		('card.last', 'last order %1$s days ago', 'letzte Bestellung vor %1$s Tagen'),
		('card.share', '%1$s of customers', '%1$s der Kunden'),
		('card.shares', '%1$s of customers, %2$s of revenue', '%1$s der Kunden, %2$s des Umsatzes'),
		('card.percent', '%1$s %%', '%1$s %%'),
		('card.small', 'fewer than %1$s customers', 'weniger als %1$s Kunden'),
		('card.orders', 'orders: %1$s', 'Bestellungen: %1$s'),
		('card.spent', 'amount: %1$s', 'Umsatz: %1$s')) t(key, en, de),
		LATERAL (VALUES ('en', t.en), ('de', t.de)) w(language, text);
