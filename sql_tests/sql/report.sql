-- report(): every number on the page is that of its view; no value from a table becomes markup; words in five languages
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA shop_tables;
SET search_path = shop_tables;
CREATE TABLE client (id text PRIMARY KEY, town text);
CREATE TABLE sale (client text, day date, total numeric(9,2));
INSERT INTO client SELECT format('<secret&%s>', i), (ARRAY['Wien', '<script>alert(1)</script>', 'Gr"az'])[1 + i % 3] FROM generate_series(1, 400) i;
INSERT INTO sale SELECT format('<secret&%s>', 1 + i * 7907 % 1009 % 380), date '2023-01-01' + i * 7 % 1000, (i * 37 % 1000) / 10.0 - CASE WHEN i % 41 = 0 THEN 90 ELSE 0 END FROM generate_series(1, 4000) i;
INSERT INTO sale VALUES (NULL, '2024-05-05', 4321.09);
-- a year ago to the day
INSERT INTO sale SELECT format('<secret&%s>', i), day, 50 FROM generate_series(385, 396) i, unnest('{2024-09-20,2025-03-01}'::date[]) day;
INSERT INTO crm_profile.scheme VALUES ('<i>', 5, 'names that look like markup');
INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, r_to, strategy) VALUES ('<i>', '<img src=x onerror=alert(1)>', 4, 5, '"><b>'), ('<i>', '%s $1 ''', 1, 3, NULL);
SELECT count(*) FROM crm_profile.create_source('s', 'client', 'sale', order_customer => 'client', amount => 'total', as_of => '2025-09-20', attributes => '{town}');
SELECT crm_profile.refresh('s') IS NOT NULL AS refreshed;

-- ---------------------------------------------------------------- the numbers of a section, in the order of the page, are those of the view
CREATE FUNCTION on_page(section text) RETURNS SETOF numeric LANGUAGE sql AS $$
	SELECT v[1]::numeric FROM crm_profile.report('s', 'en', ARRAY[section]) page, regexp_matches(page, '<data value="([^"]*)">', 'g') v
$$;
CREATE FUNCTION on_page_are(section text, view_numbers numeric[]) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN cardinality(view_numbers) = 0 THEN 'the view has none' WHEN array_agg(n) = view_numbers THEN 'equal' ELSE format('page %s, view %s', array_agg(n), view_numbers) END
	FROM on_page(section) n
$$;
SELECT on_page_are('segments', ARRAY(SELECT n FROM (SELECT row_number() OVER () AS line, * FROM s.segment_summary_details) v,
	LATERAL (VALUES (1, customers::numeric), (2, monetary), (3, mean_p_purchase_90d::numeric), (4, predicted_value::numeric)) x(place, n)
	WHERE n IS NOT NULL AND (customers >= 5 OR customers = 0 AND monetary <> 0) ORDER BY line, place));
SELECT on_page_are('scores', ARRAY(SELECT n FROM s.rfm_grid v, LATERAL (VALUES (1, customers::numeric), (2, monetary)) x(place, n) WHERE customers >= 5 ORDER BY r_score DESC, f_score DESC, place));
SELECT on_page_are('migration', ARRAY(SELECT customers FROM s.segment_migration WHERE from_segment <> to_segment AND customers >= 5
	ORDER BY customers DESC, (SELECT array_position(array_agg(segment), from_segment) FROM s.segment_summary_details), (SELECT array_position(array_agg(segment), to_segment) FROM s.segment_summary_details)));
SELECT on_page_are('calendar', ARRAY(SELECT n FROM (SELECT month, sum(orders) AS orders, sum(amount) AS amount FROM s.purchase_calendar GROUP BY month ORDER BY month DESC LIMIT 13) v,
	LATERAL (VALUES (1, orders), (2, amount)) x(place, n) ORDER BY month, place));
SELECT on_page_are('forecast', ARRAY(SELECT n FROM (SELECT row_number() OVER () AS line, * FROM s.revenue_forecast) v, LATERAL (VALUES (1, expected), (2, lower), (3, upper), (4, last_year)) x(place, n)
		WHERE n IS NOT NULL ORDER BY line, place)
	|| ARRAY(SELECT n::numeric FROM s.model_holdout, LATERAL (VALUES (1, predicted_value), (2, value_lower), (3, value_upper), (4, actual_value)) x(place, n) WHERE part = 'total' ORDER BY place)
	|| ARRAY(SELECT n::numeric FROM (SELECT month, sum(expected_value) AS expected, sum(actual_value) AS actual FROM s.forecast_tracking GROUP BY month) v, LATERAL (VALUES (1, expected), (2, actual)) x(place, n) ORDER BY month, place));
-- the strip of an earlier forecast: what it shows is in proportion to the view, and its labels are the view's numbers
WITH strip AS MATERIALIZED (SELECT m[1] AS drawn FROM regexp_matches(crm_profile.report('s', 'en', '{forecast}'), 'aria-label="Strip: [^"]*?">(.*?)</svg>') m),
	bar AS (SELECT array_agg(b[1]::numeric ORDER BY n) AS x, array_agg(b[2]::numeric ORDER BY n) AS wide FROM strip, regexp_matches(drawn, '<rect x="([^"]*)" y="[^"]*" width="([^"]*)"', 'g') WITH ORDINALITY r(b, n)),
	place AS (SELECT cardinality(x) AS bars, x[1] AS lower, wide[1] AS wide, x[2] + wide[2] / 2 AS predicted, x[3] + wide[3] / 2 AS actual FROM bar)
SELECT bars, abs((p.predicted - p.lower) / wide - (predicted_value - value_lower) / (value_upper - value_lower)) < 0.01 AS predicted, abs((p.actual - p.lower) / wide - (actual_value - value_lower) / (value_upper - value_lower)) < 0.01 AS actual,
	(SELECT string_agg(t[1], '; ' ORDER BY n) FROM strip, regexp_matches(drawn, '<text[^>]*>([^<]*)', 'g') WITH ORDINALITY r(t, n))
		= format('%s; %s; as it came %s; forecast %s', VARIADIC ARRAY(SELECT CASE WHEN v >= 1000 THEN to_char(v, 'FM999,990') ELSE to_char(v, 'FM990.00') END FROM unnest(ARRAY[value_lower, value_upper, actual_value, predicted_value]) WITH ORDINALITY u(v, n) ORDER BY n)) AS labels
FROM place p, s.model_holdout h WHERE part = 'total';
SELECT on_page_are('quality', ARRAY(SELECT n FROM (SELECT row_number() OVER () AS line, * FROM s.data_quality) v, LATERAL (VALUES (1, rows), (2, customers_changed)) x(place, n) WHERE n IS NOT NULL ORDER BY line, place));
SELECT on_page_are('cohorts', ARRAY(SELECT n FROM s.cohort_retention JOIN (SELECT cohort FROM s.cohort_retention WHERE months = 0 AND customers >= 5 ORDER BY cohort DESC LIMIT 13) c USING (cohort),
	LATERAL (VALUES (1, customers::numeric), (2, retention::numeric)) x(place, n) WHERE months BETWEEN 1 AND 12 ORDER BY cohort, months, place)) AS cohorts;
SELECT on_page_are('due', ARRAY(SELECT n FROM (SELECT action, count(*) AS customers, sum(value)::numeric AS value FROM s.due_actions GROUP BY action HAVING count(*) >= 5) v,
	LATERAL (VALUES (1, customers::numeric), (2, value)) x(place, n) WHERE n IS NOT NULL ORDER BY value DESC NULLS LAST, action, place)) AS due;
SELECT on_page_are('overview', (SELECT ARRAY[count(*), count(first_purchase), count(*) FILTER (WHERE frequency > 1) / (count(*) FILTER (WHERE frequency > 0))::numeric, (SELECT sum(monetary) FROM s.segment_summary_details)] FROM s.customer_profile)
	|| (SELECT ARRAY[expected, lower, upper] FROM s.revenue_forecast WHERE part = 'total')
	|| ARRAY(SELECT count(*) FROM s.customer_profile WHERE lifecycle IS NOT NULL GROUP BY lifecycle HAVING count(*) >= 5 ORDER BY 1 DESC)::numeric[]);
-- revenue on the page is the ledger's, to the cent
SELECT (SELECT sum(total) FROM sale WHERE day <= '2025-09-20') = (SELECT n FROM (SELECT n, row_number() OVER () AS place FROM on_page('overview') n) p WHERE place = 4) AS the_ledger;

SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SET jit = off; -- each section was compiled once
-- cards on the page are those of segment_card, and a table of profiles makes the same page
SELECT count(*) AS cards, count(*) FILTER (WHERE strpos(page, crm_profile_internal.html(c.card)) = 0) AS missing FROM crm_profile.report('s', 'en', '{personas}') page, crm_profile.segment_card('s', 'en') c WHERE c.card IS NOT NULL;
CREATE TEMP TABLE before_that AS SELECT crm_profile.report('s', 'en', '{overview,segments,forecast,migration,scores,calendar,concentration,cohorts,personas}') AS page;
SELECT crm_profile.alter_source('s', materialize => true);
SELECT part, as_of = '2025-09-20' AS of_the_day FROM s.kept_figures ORDER BY part COLLATE "C";
SELECT page = crm_profile.report('s', 'en', '{overview,segments,forecast,migration,scores,calendar,concentration,cohorts,personas}') AS same FROM before_that;
DELETE FROM s.kept_figures;
SELECT page = crm_profile.report('s', 'en', '{overview,segments,forecast,migration,scores,calendar,concentration,cohorts,personas}') AS same FROM before_that;
SELECT crm_profile.alter_source('s', materialize => false);

-- ---------------------------------------------------------------- names, keys and values are text, and keys stay away
SELECT crm_profile.alter_source('s', scheme => '<i>');
SELECT crm_profile.refresh('s') IS NOT NULL AS refreshed;
SELECT page LIKE '%<script%' AS script, page LIKE '%<img%' AS img, page LIKE '%"><b>%' AS quote, page LIKE '%&lt;img src=x onerror=alert(1)&gt;%' AS shown, page LIKE '%\%s $1 ''%' AS percent, page LIKE '%secret%' AS keys,
	octet_length(page) < 400000 AS small, page ~ 'https?://|url\(|<link|@import' AS from_elsewhere
FROM crm_profile.report('s') page;
-- every tag is closed in order: the page without its head is well-formed
CREATE FUNCTION open_tags(page text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	open text[] := '{}';
	tag text[];
BEGIN
	FOR tag IN SELECT t FROM regexp_matches(substring(page FROM '<body>.*</body>'), '<(/?)([a-z0-9]+)[^>]*?(/?)>', 'g') t LOOP
		IF tag[3] = '/' THEN
			CONTINUE;
		ELSIF tag[1] = '' THEN
			open := tag[2] || open;
		ELSIF open[1] = tag[2] THEN
			open := open[2:];
		ELSE
			RETURN format('</%s> within <%s>', tag[2], array_to_string(open, ' '));
		END IF;
	END LOOP;
	RETURN array_to_string(open, ' ');
END $$;
SELECT l AS language, open_tags(crm_profile.report('s', l)) AS left_open FROM unnest('{en,de,fr,es,it}'::text[]) l;

-- ---------------------------------------------------------------- groups below five
CREATE TABLE few AS SELECT format('k%s', i) AS id FROM generate_series(1, 12) i;
ALTER TABLE few ADD PRIMARY KEY (id);
SELECT count(*) FROM crm_profile.create_source('tiny', 'few', 'SELECT ''k'' || i AS client, date ''2025-01-01'' + i * 20 AS day, i * 10.0 AS total FROM generate_series(1, 12) i', order_customer => 'client', as_of => '2025-09-20');
SELECT crm_profile.refresh('tiny') IS NOT NULL AS refreshed;
SELECT min(v[1]::numeric) AS smallest_group FROM crm_profile.report('tiny', 'en', '{segments,scores,migration}') page, regexp_matches(page, '</th><td><data value="([^"]*)">', 'g') v;
SELECT crm_profile.report('tiny') IS NOT NULL AS whole_page;
-- before the first refresh, and without any order
SELECT count(*) FROM crm_profile.create_source('none', 'few', 'SELECT ''x''::text AS client, date ''2025-01-01'' AS day, 1.0 AS total WHERE false', order_customer => 'client', as_of => '2025-09-20');
SELECT open_tags(crm_profile.report('none')) = '' AS before_refresh;
SELECT crm_profile.refresh('none') IS NOT NULL AS refreshed;
SELECT open_tags(page) = '' AS without_orders, ARRAY(SELECT m[1] FROM regexp_matches(page, '<section id="(\w+)"', 'g') m) AS sections FROM crm_profile.report('none') page;

-- ---------------------------------------------------------------- words
SELECT key, array_agg(language ORDER BY language) AS languages FROM crm_profile.translation WHERE built_in GROUP BY key
HAVING NOT array_agg(language::text) @> CASE WHEN key ~ '^(segment|lifecycle|severity|part|finding|text|item|figure)[.]' THEN '{de,es,fr,it}'::text[] ELSE '{de,en,es,fr,it}' END;
-- what findings advise, and what the figures of models mean, is in the language of the page, whole
CREATE FUNCTION left_in_english(source text) RETURNS TABLE (language text, sentence text) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('WITH page AS MATERIALIZED (SELECT l, crm_profile.report(%1$L, l, ''{quality,model,prospects}'') AS html FROM unnest(''{de,es,fr,it}''::text[]) l)
		SELECT page.l, s.sentence FROM page, (SELECT regexp_split_to_table(advice, ''(?<=[.?!]) +'') AS sentence FROM %1$I.data_quality UNION SELECT finding FROM %1$I.data_quality UNION SELECT unnest(ARRAY[note, CASE WHEN item = ''warning'' THEN value END]) FROM %1$I.model_card_details) s
		WHERE s.sentence ~ ''[[:alpha:]]{3}'' AND strpos(page.html, crm_profile_internal.html(s.sentence)) > 0 ORDER BY 2, 1', source);
END $$;
SELECT * FROM left_in_english('s');
-- so are corrections, stretches without orders, what readers are warned of, and labels that contradict each other
SELECT count(*) FROM crm_profile.create_source('told', 'client', 'SELECT s.* FROM sale s WHERE s.day NOT BETWEEN ''2024-03-01'' AND ''2024-03-20'' UNION ALL SELECT client, day, total FROM sale, generate_series(1, 20) WHERE day < ''2024-09-01'' AND day NOT BETWEEN ''2024-03-01'' AND ''2024-03-20''',
	order_customer => 'client', amount => 'total', as_of => '2025-01-01', corrections => '{"leave_out_above": 4000, "refunds": "pair", "guests": ["nobody"]}');
SELECT crm_profile.refresh('told') IS NOT NULL AS refreshed;
SELECT count(*) > 0 AS checked FROM crm_profile.check_source('told');
SELECT * FROM left_in_english('told');
SELECT l AS language, substring(page FROM '(?<=<small>)[^<]*2024-03-01[^<]*') AS closed, substring(page FROM '<th scope="row">([^<]*4000[^<]*)<') AS left_out, substring(page FROM '<td>([^<]*2025-[^<]*[0-9]\)[^<]*)<') AS newest
FROM unnest('{de,en,es,fr,it}'::text[]) l, crm_profile.report('told', l, '{quality,model}') page;
SELECT l AS language, note, crm_profile_internal.report_note(ROW('s', crm_profile_internal.report_words(l), false, NULL, NULL, NULL, NULL)::crm_profile_internal.report_page, note) AS told
FROM unnest('{de,en,es,fr,it}'::text[]) l, unnest(ARRAY['copies of other orders are left out', 'orders and refunds above 50000 count as 50000', 'orders that were refunded in full, and their refunds, are left out',
	'orders of a customer''s second key are those of the first, by customer_identity', 'segment Hibernating, forecast: still a customer', 'segment Lost, lifecycle active', 'lifecycle new, forecast: no longer a customer',
	'the as-of date is far past the newest order (2024-01-31): everybody looks inactive; refresh the source, or set as_of', 'the as-of date is before the oldest order (2024-01-31): nobody has bought yet', 'never refreshed',
	'the last refresh found no orders', 'the customer table was empty at the last refresh', 'at least 60 % have the same recency, and the same monetary: such scores tell little', 'no customer can be Lost, Loyal: each of their cells needs a score that nobody has',
	'keys occur more than once in the customer table: 3 rows of customer_profile are too many; name another customer_key']) WITH ORDINALITY n(note, place)
WHERE l = 'de' OR l <> 'en' AND crm_profile_internal.report_note(ROW('s', crm_profile_internal.report_words(l), false, NULL, NULL, NULL, NULL)::crm_profile_internal.report_page, note) = note ORDER BY l, place;
-- a setting that reads backslashes otherwise changes nothing, and warns of nothing
SET standard_conforming_strings = off;
SELECT page = crm_profile.report('s', 'de') AS same FROM (SELECT crm_profile.report('s', 'de') AS page) p;
SELECT count(*) > 0 AS helped FROM crm_profile.help('back%');
SELECT count(*) >= 0 AS explained FROM crm_profile.explain_segment('s', (SELECT segment FROM s.customer_profile WHERE segment IS NOT NULL LIMIT 1));
RESET standard_conforming_strings;
SELECT crm_profile.drop_source('told');
SELECT regexp_replace(d.advice, '[0-9]', '#', 'g') AS advice, crm_profile_internal.report_text(ROW('s', crm_profile_internal.report_words('de'), false, NULL, NULL, NULL, NULL)::crm_profile_internal.report_page, v.advice) AS in_german
FROM (VALUES ('Beyond 1250.5, where the half of all orders has 20.00 or less: typing errors?'), ('Its values, with orders and revenue: a & b: 3, 20.5; <x>: 1, 2.'), ('They have bought already. Its values are these.')) v(advice), LATERAL (SELECT v.advice) d;
-- every language has the same number of placeholders
SELECT key FROM crm_profile.translation, LATERAL (SELECT string_agg(m[1], ' ' ORDER BY m[1]) AS places FROM regexp_matches(text, '(%(?:\d\$)?s)', 'g') m) p WHERE built_in AND key NOT LIKE 'finding.%'
GROUP BY key HAVING count(DISTINCT coalesce(places, '')) > 1;
SELECT DISTINCT r.segment FROM crm_profile.scheme_rule r JOIN crm_profile.scheme s ON s.name = r.scheme, unnest('{de,es,fr,it}'::text[]) l
WHERE s.built_in AND (crm_profile.segment_label(r.segment, l) IS NULL OR NOT EXISTS (SELECT FROM crm_profile.translation t WHERE t.key = 'segment.' || r.segment AND t.language = l)
	OR r.strategy IS NOT NULL AND NOT EXISTS (SELECT FROM crm_profile.translation t WHERE t.key = 'text.' || r.strategy AND t.language = l));
SELECT crm_profile.segment_label('Lost', 'de'), crm_profile.segment_label('Lost', 'de-AT'), crm_profile.segment_label('Lost'), crm_profile.segment_label('my own', 'it'), crm_profile.segment_label(NULL, 'de') IS NULL AS none;
SET crm_profile.language = 'fr';
SELECT crm_profile.segment_label('Lost'), substring(crm_profile.report('s') FROM '<h1>.*</h1>');
RESET crm_profile.language;
INSERT INTO crm_profile.translation (key, language, text) VALUES ('segment.Lost', 'de', 'Ehemalige'), ('segment.Lost', 'pt-BR', 'Perdidos & <idos>');
-- what is built in stays, whoever asks
DELETE FROM crm_profile.translation;
UPDATE crm_profile.translation SET text = 'x' WHERE key = 'segment.Lost';
UPDATE crm_profile.translation SET built_in = true WHERE NOT built_in;
INSERT INTO crm_profile.translation VALUES ('segment.Lost', 'nl', 'Verloren', true);
TRUNCATE crm_profile.translation;
CREATE TABLE pg_temp.other (built_in text);
CREATE TRIGGER mine BEFORE INSERT ON pg_temp.other FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.guard_built_in();
INSERT INTO pg_temp.other VALUES ('x');
CREATE TABLE pg_temp.without (a int);
CREATE TRIGGER mine AFTER INSERT ON pg_temp.without FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.guard_built_in();
INSERT INTO pg_temp.without VALUES (1);
SELECT crm_profile.segment_label('Lost', 'de'), crm_profile.segment_label('Lost', 'pt-BR'), substring(crm_profile.report('s', 'pt-BR') FROM '<html lang="[^"]*">');

-- ---------------------------------------------------------------- what users do wrong
SELECT crm_profile.report('nowhere');
SELECT crm_profile.report('shop_tables');
SELECT crm_profile.report('s', 'xx');
SELECT crm_profile.report('s', sections => '{segments,profits}');
SELECT crm_profile.report(NULL);
CREATE ROLE regress_report_reader;
SET ROLE regress_report_reader;
SELECT crm_profile.report('s');
RESET ROLE;
DROP ROLE regress_report_reader;
SELECT crm_profile.drop_source(name) FROM crm_profile.sources ORDER BY name;
DELETE FROM crm_profile.scheme WHERE name = '<i>';
DELETE FROM crm_profile.translation WHERE NOT built_in;
DROP SCHEMA shop_tables CASCADE;
