-- report(): what the views of a source show, as one page for people
--
-- A section is a function that reads one or two views with the reader's rights and returns HTML. Each number stands in
-- the page as <data value="…">, exact, beside the rounded form that people read. Groups of fewer than five customers
-- are merged or left out, keys are shown only if asked for. Everything that comes from tables is escaped.

CREATE TYPE crm_profile_internal.report_page AS ( -- what every section of a report needs
	source text, -- name of the source
	words jsonb, -- the words of the language, escaped
	"keys" boolean, -- whether keys of customers and prospects may be shown
	summary jsonb, -- the rows of segment_summary_details, in their order: several sections show some of them
	forecast jsonb, -- the rows of revenue_forecast
	cells crm_profile_internal.report_cell[], -- customer_profile, counted: it is read once for several sections
	parts jsonb -- totals of the segments, for their cards
);

CREATE FUNCTION crm_profile_internal.read_profiles(page crm_profile_internal.report_page) RETURNS crm_profile_internal.report_page
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	kept CONSTANT jsonb := crm_profile_internal.kept_figures(page.source, 'profiles', NULL);
	counted crm_profile_internal.profile_counts := jsonb_populate_record(NULL::crm_profile_internal.profile_counts, kept);
BEGIN
	IF kept IS NULL THEN
		SELECT p.* INTO counted FROM crm_profile_internal.count_profiles(page.source) p;
	END IF;
	page.cells := counted.cells;
	page.parts := counted.parts;
	EXECUTE format('SELECT jsonb_agg(s) FROM (%s) s', crm_profile_internal.source_summary_query(crm_profile_internal.evaluated_source(page.source), 'coalesce($1, ''{}'')')) INTO page.summary USING counted.measures;
	RETURN page;
END $$; -- adds what several sections show of customer_profile

---------------------------------------------------------------- words, numbers, dates

CREATE FUNCTION crm_profile_internal.html(plain text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN replace(replace(replace(replace(plain, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'); -- a text as HTML shows it, also within quotes

CREATE FUNCTION crm_profile_internal.report_words(language text) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT jsonb_object_agg(w.key, crm_profile_internal.html(w.value)) FROM jsonb_each_text(crm_profile_internal.words(language) || jsonb_build_object('language', language)) w); -- the words of a language as HTML, and its code

CREATE FUNCTION crm_profile_internal.report_word(page crm_profile_internal.report_page, kind text, word text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(page.words ->> (kind || '.' || word), crm_profile_internal.html(word), '–'); -- a word of a view, such as a segment, in the language of the page; as it is if there is no translation

CREATE FUNCTION crm_profile_internal.report_sentence(page crm_profile_internal.report_page, sentence text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	-- the key has # for what differs from case to case: numbers, a list after a colon, the name of a time zone
	RETURN (SELECT coalesce(format(page.words ->> ('text.' || regexp_replace(report_sentence.sentence, p.pattern, '#', 'g')), VARIADIC ARRAY(SELECT crm_profile_internal.html(m[1]) FROM regexp_matches(report_sentence.sentence, p.pattern, 'g') m)),
			page.words ->> ('text.' || report_sentence.sentence), crm_profile_internal.html(regexp_replace(report_sentence.sentence, '(\d{4}-\d\d-\d\d) to (?=\d{4}-)', '\1 – ', 'g')))
		FROM (SELECT CASE WHEN report_sentence.sentence ~ '^(Its values, with orders|Orders) and revenue: ' THEN '(?<=revenue: )(.*)$' WHEN report_sentence.sentence ~ 'in time zone \S+\.$' THEN '(?<=zone )(\S+)(?=\.$)'
			ELSE '(\[[^]]*\]|\d+(?:[-.,:]\d+)*)' END AS pattern) p);
COMMENT ON FUNCTION crm_profile_internal.report_sentence IS 'a sentence of a view in the language of the page; as it is if there is no translation';

CREATE FUNCTION crm_profile_internal.report_text(page crm_profile_internal.report_page, whole text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN page.words ->> 'language' = 'en' THEN crm_profile_internal.html(whole) ELSE
		(SELECT string_agg(crm_profile_internal.report_sentence(page, s), ' ' ORDER BY n) FROM regexp_split_to_table(whole, '(?<=[.?!]) +(?=[[:alpha:]])|(?<=on the way[?]) +') WITH ORDINALITY u(s, n)) END;
COMMENT ON FUNCTION crm_profile_internal.report_text IS 'a text of a view in the language of the page, sentence by sentence';

CREATE FUNCTION crm_profile_internal.report_finding(page crm_profile_internal.report_page, finding text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(page.words ->> ('finding.' || finding), -- or the same of some column or number
		format(page.words ->> ('finding.' || regexp_replace(finding, '".*"', '"%s"')), crm_profile_internal.html(substring(finding FROM '"(.*)"'))),
		format(page.words ->> ('finding.' || regexp_replace(finding, '\S+$', '%s')), crm_profile_internal.html(substring(finding FROM '\S+$'))), crm_profile_internal.report_text(page, finding));
COMMENT ON FUNCTION crm_profile_internal.report_finding IS 'a finding of data_quality in the language of the page';

CREATE FUNCTION crm_profile_internal.report_note(page crm_profile_internal.report_page, note text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	-- labels and scores are told with their words; a segment can have any name
	RETURN coalesce((SELECT format(page.words ->> 'text.segment #, lifecycle #', crm_profile_internal.report_word(page, 'segment', m[1]), crm_profile_internal.report_word(page, 'lifecycle', m[2]))
			FROM regexp_match(note, '^segment (.*), lifecycle (.*)$') m WHERE m IS NOT NULL),
		(SELECT format(page.words ->> format('text.%s #, %s', m[1], m[3]), crm_profile_internal.report_word(page, m[1], m[2]))
			FROM regexp_match(note, '^(segment|lifecycle) (.*), (forecast: (?:still|no longer) a customer)$') m WHERE m IS NOT NULL),
		(SELECT format(page.words ->> format('text.%s #: %s', m[1], m[3]), (SELECT string_agg(crm_profile_internal.report_word(page, k.kind, u.word), ', ' ORDER BY u.n) FROM regexp_split_to_table(m[2], ', (and the same )?') WITH ORDINALITY u(word, n)))
			FROM regexp_match(note, '^(no customer can be|at least 60 % have the same) (.*): (.*)$') m, LATERAL (SELECT CASE WHEN m[1] LIKE 'no %' THEN 'segment' ELSE 'item' END AS kind) k WHERE m IS NOT NULL),
		crm_profile_internal.report_text(page, note));
COMMENT ON FUNCTION crm_profile_internal.report_note IS 'what the model card notes on a figure, in the language of the page';

CREATE FUNCTION crm_profile_internal.report_shown(page crm_profile_internal.report_page, value numeric, kind text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(CASE WHEN value IN ('NaN', 'Infinity', '-Infinity') THEN '–' ELSE
		replace(replace(replace(CASE
			WHEN kind = 'share' THEN to_char(100 * value, 'FM999,999,990.0') || ' %'
			WHEN kind = 'ratio' THEN to_char(value, 'FM999,999,990.0')
			WHEN kind = 'count' THEN to_char(value, 'FM999,999,999,999,990')
			WHEN abs(value) >= 1e6 THEN to_char(value / 1e6, 'FM999,999,999,990.00')
			WHEN abs(value) >= 1000 THEN to_char(value, 'FM999,990')
			ELSE to_char(value, 'FM990.00') END,
		',', E'\x01'), '.', page.words ->> 'number.point'), E'\x01', page.words ->> 'number.group') || CASE WHEN kind = 'amount' AND abs(value) >= 1e6 THEN ' ' || (page.words ->> 'number.million') ELSE '' END END, '–');
COMMENT ON FUNCTION crm_profile_internal.report_shown IS 'a number as people read it: a count, a share, a ratio or an amount; – if there is none';

CREATE FUNCTION crm_profile_internal.report_number(page crm_profile_internal.report_page, value numeric, kind text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN value IS NULL THEN '–' ELSE format('<data value="%s">%s</data>', trim_scale(value), crm_profile_internal.report_shown(page, value, kind)) END; -- a number with its exact value for machines

CREATE FUNCTION crm_profile_internal.report_date(page crm_profile_internal.report_page, day date) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(format('<time datetime="%s">%s</time>', crm_profile_internal.iso_day(day), format(page.words ->> 'date',
		coalesce(page.words ->> ('day.' || extract(day FROM day)), extract(day FROM day)::text), page.words ->> ('month.' || extract(month FROM day)), extract(year FROM day))), '–');
COMMENT ON FUNCTION crm_profile_internal.report_date IS 'a day in words';

---------------------------------------------------------------- parts of a page

CREATE FUNCTION crm_profile_internal.report_table(page crm_profile_internal.report_page, "columns" text[], rows text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('<div class="scroll"><table><thead><tr>%s</tr></thead><tbody>%s</tbody></table></div>',
		(SELECT string_agg(format('<th scope="col">%s</th>', page.words ->> ('column.' || c)), '' ORDER BY n) FROM unnest("columns") WITH ORDINALITY u(c, n)), rows);
COMMENT ON FUNCTION crm_profile_internal.report_table IS 'a table, with the words of its columns above ready-made rows';

CREATE FUNCTION crm_profile_internal.report_row(head text, VARIADIC cells text[]) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('<tr><th scope="row">%s</th>%s</tr>', head, (SELECT string_agg(format('<td>%s</td>', coalesce(c, '–')), '' ORDER BY n) FROM unnest(cells) WITH ORDINALITY u(c, n))); -- a row of a table

CREATE FUNCTION crm_profile_internal.report_chart(page crm_profile_internal.report_page, name text, height numeric, drawing text, "table" text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('<figure><svg viewBox="0 0 480 %s" role="img" aria-label="%s">%s</svg></figure>', round(height), page.words ->> ('chart.' || name), drawing)
		|| CASE WHEN "table" IS NOT NULL THEN format('<details><summary>%s</summary>%s</details>', page.words ->> 'report.table', "table") ELSE '' END;
COMMENT ON FUNCTION crm_profile_internal.report_chart IS 'a drawing, 480 wide, and below it its numbers as a table; table NULL: they are beside it';

CREATE FUNCTION crm_profile_internal.report_svg_text(x numeric, y numeric, class text, written text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('<text x="%s" y="%s" class="%s">%s</text>', round(x, 1), round(y, 1), class, written); -- a text in a drawing

CREATE FUNCTION crm_profile_internal.report_svg_bar(x numeric, y numeric, width numeric, height numeric, class text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('<rect x="%s" y="%s" width="%s" height="%s" class="%s"/>', round(x, 1), round(y, 1), round(greatest(width, 0), 1), round(height, 1), class); -- a bar in a drawing

CREATE FUNCTION crm_profile_internal.report_heat(page crm_profile_internal.report_page, name text, "rows" text[], "columns" text[], "values" numeric[], kind text, "table" text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN crm_profile_internal.report_chart(page, name, 26 + 30 * cardinality("rows"), (
		SELECT coalesce(string_agg(format('<rect x="%s" y="%s" width="%s" height="28" class="h" fill-opacity="%s"/>', round(x, 1), y, round(wide - 2, 1), round(shade, 2))
			|| CASE WHEN wide >= 34 OR length(written) * 9 < wide THEN crm_profile_internal.report_svg_text(x + wide / 2 - 1, y + 19, CASE WHEN shade > 0.7 THEN 'm on' ELSE 'm' END, written) ELSE '' END, '' ORDER BY n), '')
			FROM (SELECT n, value, 80 + ((n - 1) % cardinality("columns")) * (400.0 / cardinality("columns")) AS x, 26 + 30 * ((n - 1) / cardinality("columns")) AS y,
					400.0 / cardinality("columns") AS wide, 0.06 + 0.94 * sqrt(coalesce(greatest(value, 0) / nullif(max(value) OVER (), 0), 0)) AS even,
					CASE WHEN kind = 'share' THEN round(100 * value)::text WHEN value < 5 AND value > 0 THEN '&lt; 5' WHEN value >= 100000 THEN crm_profile_internal.report_shown(page, round(value / 1000), 'count') || 'k' ELSE crm_profile_internal.report_shown(page, value, 'count') END AS written
				FROM unnest("values") WITH ORDINALITY u(value, n)) s, LATERAL (SELECT CASE WHEN even < 0.7 THEN 0.91 * even ELSE 0.77 + 0.77 * (even - 0.7) END AS shade) h WHERE value > 0 OR value = 0 AND kind = 'share')
		|| (SELECT string_agg(crm_profile_internal.report_svg_text(80 + (n - 0.5) * (400.0 / cardinality("columns")) - 1, 16, 'm s', c), '') FROM unnest("columns") WITH ORDINALITY u(c, n))
		|| (SELECT string_agg(crm_profile_internal.report_svg_text(0, 15 + 30 * n, 's', r), '') FROM unnest("rows") WITH ORDINALITY u(r, n)), "table");
COMMENT ON FUNCTION crm_profile_internal.report_heat IS 'a heat map: counts or shares row by row, shaded by their square root, without the shades on which neither dark nor light text can be read; counts below five are not told, and a share of nobody is 0';

---------------------------------------------------------------- sections

CREATE FUNCTION crm_profile_internal.report_overview(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	customers record;
	forecast record;
BEGIN
	SELECT sum(l.n) AS "all", sum(l.buyers) AS buyers, sum(l.repeaters) AS repeaters, sum(l.counted) AS counted,
			string_agg(format('<li>%s <b>%s</b></li>', crm_profile_internal.report_word(page, 'lifecycle', l.lifecycle), crm_profile_internal.report_number(page, l.n, 'count')), '' ORDER BY l.n DESC)
				FILTER (WHERE l.lifecycle IS NOT NULL AND l.n >= 5) AS lifecycles
		INTO customers FROM (SELECT c.lifecycle, sum(c.customers) AS n, sum(c.buyers) AS buyers, sum(c.repeaters) AS repeaters, sum(c.counted) AS counted FROM unnest(page.cells) c GROUP BY c.lifecycle) l;
	SELECT f.* INTO forecast FROM jsonb_populate_recordset(NULL::crm_profile_internal.revenue_forecast_row, page.forecast) f WHERE f.part = 'total';
	RETURN format('<dl class="kpis">%s</dl><ul class="chips">%s</ul>', (
		SELECT string_agg(format('<div><dt>%s</dt><dd>%s</dd>%s</div>', page.words ->> ('kpi.' || k), crm_profile_internal.report_number(page, v, kind), coalesce('<dd class="note">' || note || '</dd>', '')), '' ORDER BY n)
		FROM (VALUES (1, 'customers', coalesce(customers."all", 0), 'count', NULL),
			(2, 'buyers', coalesce(customers.buyers, 0), 'count', NULL),
			(3, 'repeaters', customers.repeaters / nullif(customers.counted, 0), 'share', NULL),
			(4, 'monetary', (SELECT sum(m.monetary) FROM jsonb_populate_recordset(NULL::crm_profile_internal.segment_summary_details_row, page.summary) m), 'amount', NULL),
			(5, 'forecast', forecast.expected, 'amount', CASE WHEN forecast.lower IS NOT NULL THEN format(page.words ->> 'report.between', crm_profile_internal.report_number(page, forecast.lower, 'amount'), crm_profile_internal.report_number(page, forecast.upper, 'amount')) END)
			) k(n, k, v, kind, note)), customers.lifecycles);
END $$; -- section of a report: the figures that a director asks for first

CREATE FUNCTION crm_profile_internal.report_segments(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	segments record;
BEGIN
	-- lines of fewer than five customers are one line; those without customers are dropped
	EXECUTE format('
		WITH line AS (SELECT e.place, m.* FROM jsonb_array_elements($1.summary) WITH ORDINALITY e(line, place), jsonb_populate_record(NULL::crm_profile_internal.segment_summary_details_row, e.line) m),
		merged AS (
			SELECT place, crm_profile_internal.report_word($1, ''segment'', segment) AS name, customers, customer_share, monetary, monetary_share, mean_p_purchase_90d, predicted_value,
				strategy FROM line WHERE customers >= 5 OR coalesce(customers, 0) = 0 AND monetary <> 0
			UNION ALL SELECT 1000, $1.words ->> ''report.small groups'', sum(customers), sum(customer_share), sum(monetary), sum(monetary_share), NULL, sum(predicted_value), NULL
			FROM line WHERE customers BETWEEN 1 AND 4 HAVING sum(customers) >= 5),
		drawn AS (SELECT *, row_number() OVER (ORDER BY place) - 1 AS i, 330 / greatest(max(customer_share) OVER (), max(monetary_share) OVER (), 0.001) AS scale FROM merged)
		SELECT count(*) AS lines,
			string_agg(crm_profile_internal.report_svg_text(0, 58 * i + 14, '''', name)
				|| crm_profile_internal.report_svg_bar(0, 58 * i + 20, (scale * coalesce(customer_share, 0))::numeric, 10, ''b'')
				|| crm_profile_internal.report_svg_text((scale * coalesce(customer_share, 0) + 6)::numeric, 58 * i + 29, ''s'', crm_profile_internal.report_shown($1, customer_share::numeric, ''share''))
				|| crm_profile_internal.report_svg_bar(0, 58 * i + 35, (scale * coalesce(monetary_share, 0))::numeric, 10, ''a'')
				|| crm_profile_internal.report_svg_text((scale * greatest(coalesce(monetary_share, 0), 0) + 6)::numeric, 58 * i + 44, ''s'', crm_profile_internal.report_shown($1, monetary_share::numeric, ''share'')), '''' ORDER BY i) AS drawing,
			string_agg(crm_profile_internal.report_row(name, crm_profile_internal.report_number($1, customers, ''count''), crm_profile_internal.report_number($1, monetary, ''amount''),
				crm_profile_internal.report_number($1, mean_p_purchase_90d::numeric, ''share''), crm_profile_internal.report_number($1, predicted_value::numeric, ''amount''))
				-- across all columns: a phone has no room beside them
				|| CASE WHEN strategy <> '''' THEN format(''<tr class="more"><td colspan="5">%%s</td></tr>'', crm_profile_internal.report_word($1, ''text'', strategy)) ELSE '''' END, '''' ORDER BY i) AS rows
		FROM drawn', page.source) INTO segments USING page;
	RETURN format('<p class="key"><i class="b"></i>%s <i class="a"></i>%s</p>', page.words ->> 'legend.customers', page.words ->> 'legend.revenue')
		|| format('<div class="pair">%s%s</div>', crm_profile_internal.report_chart(page, 'segments', 58 * segments.lines + 4, segments.drawing, NULL),
			crm_profile_internal.report_table(page, '{segment,customers,revenue,p_purchase,next_year}', segments.rows));
END $$; -- section of a report: customers and revenue by segment

CREATE FUNCTION crm_profile_internal.report_scores(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	grid record;
BEGIN
	EXECUTE format('SELECT array_agg(DISTINCT ''R '' || r_score) AS scores, array_agg(customers::numeric ORDER BY r_score DESC, f_score) AS customers, max(r_score) AS bins,
			string_agg(crm_profile_internal.report_row(format(''R %%s, F %%s'', r_score, f_score), crm_profile_internal.report_number($1, customers, ''count''), crm_profile_internal.report_number($1, monetary, ''amount'')), ''''
				ORDER BY r_score DESC, f_score DESC) FILTER (WHERE customers >= 5) AS rows
		FROM crm_profile_internal.rfm_grid($2, crm_profile_internal.grid_of_cells($1.cells)) g') INTO grid USING page, (crm_profile_internal.evaluated_source(page.source)).bins;
	RETURN CASE WHEN grid.rows IS NOT NULL THEN crm_profile_internal.report_heat(page, 'scores', ARRAY(SELECT 'R ' || s FROM generate_series(grid.bins, 1, -1) s), ARRAY(SELECT 'F ' || s FROM generate_series(1, grid.bins) s),
		grid.customers, 'count', crm_profile_internal.report_table(page, '{scores,customers,revenue}', grid.rows)) END;
END $$; -- section of a report: customers by recency and frequency score

CREATE FUNCTION crm_profile_internal.report_migration(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	moves record;
BEGIN
	EXECUTE format('
		WITH place AS (SELECT e.line ->> ''segment'' AS segment, e.place FROM jsonb_array_elements($1.summary) WITH ORDINALITY e(line, place)),
		move AS (SELECT m.from_segment, m.to_segment, m.customers, f.place AS from_place, t.place AS to_place FROM %1$I.segment_migration m
			LEFT JOIN place f ON f.segment = m.from_segment LEFT JOIN place t ON t.segment = m.to_segment WHERE m.customers >= 5),
		scale AS (SELECT 300.0 / sum(customers) AS by, (SELECT count(DISTINCT from_segment) FROM move) AS lefts, (SELECT count(DISTINCT to_segment) FROM move) AS rights FROM move),
		-- 16 between two segments; a ribbon starts below those of its segment that go further up
		ribbon AS (SELECT move.*, scale.by * customers AS high,
				scale.by * (sum(customers) OVER (ORDER BY from_place, from_segment, to_place, to_segment) - customers) + 16 * (dense_rank() OVER (ORDER BY from_place, from_segment) - 1) AS y1,
				scale.by * (sum(customers) OVER (ORDER BY to_place, to_segment, from_place, from_segment) - customers) + 16 * (dense_rank() OVER (ORDER BY to_place, to_segment) - 1) AS y2
			FROM move CROSS JOIN scale),
		node AS (SELECT 0 AS side, from_segment AS segment, min(y1) AS y, sum(high) AS high FROM ribbon GROUP BY from_segment
			UNION ALL SELECT 1, to_segment, min(y2), sum(high) FROM ribbon GROUP BY to_segment)
		SELECT (SELECT 300 + 16 * greatest(lefts, rights) FROM scale) AS height,
			(SELECT string_agg(format(''<path d="M166 %%1$s C240 %%1$s 240 %%2$s 314 %%2$s L314 %%3$s C240 %%3$s 240 %%4$s 166 %%4$s Z" class="%%5$s"/>'', round(y1, 1), round(y2, 1), round(y2 + high, 1), round(y1 + high, 1),
				CASE WHEN from_segment = to_segment THEN ''f'' ELSE ''f mv'' END), '''' ORDER BY from_segment <> to_segment, y1) FROM ribbon)
			|| (SELECT string_agg(crm_profile_internal.report_svg_bar(158 + 156 * side, y, 8, high, ''a'')
				|| crm_profile_internal.report_svg_text(152 + 176 * side, y + high / 2 + 5, CASE side WHEN 0 THEN ''e'' ELSE '''' END, regexp_replace(crm_profile_internal.report_word($1, ''segment'', segment), ''^((?:&\w+;|.){18})(?:&\w+;|.){2,}$'', ''\1…'')), '''' ORDER BY side, y) FROM node) AS drawing,
			(SELECT string_agg(crm_profile_internal.report_row(format(''%%s → %%s'', crm_profile_internal.report_word($1, ''segment'', from_segment), crm_profile_internal.report_word($1, ''segment'', to_segment)),
				crm_profile_internal.report_number($1, customers, ''count'')), '''' ORDER BY customers DESC, from_place, to_place) FROM move WHERE from_segment <> to_segment) AS rows', page.source) INTO moves USING page;
	RETURN CASE WHEN moves.drawing IS NOT NULL THEN crm_profile_internal.report_chart(page, 'migration', moves.height, moves.drawing, crm_profile_internal.report_table(page, '{move,customers}', moves.rows)) END;
END $$; -- section of a report: moves between segments in the last 90 days

CREATE FUNCTION crm_profile_internal.report_forecast(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	months record;
	ahead text;
	held text;
	band text;
BEGIN
	EXECUTE format('SELECT format($1.words ->> ''report.value test'', crm_profile_internal.report_date($1, fit_until), crm_profile_internal.report_date($1, as_of), crm_profile_internal.report_number($1, predicted_value::numeric, ''amount''),
			crm_profile_internal.report_number($1, value_lower::numeric, ''amount''), crm_profile_internal.report_number($1, value_upper::numeric, ''amount''), crm_profile_internal.report_number($1, actual_value::numeric, ''amount'')),
			-- the range as a strip, marks for the forecast and for what came, their numbers around it
			crm_profile_internal.report_svg_bar(x.lower, 18, x.upper - x.lower, 12, ''f'') || crm_profile_internal.report_svg_bar(x.predicted - 2, 16, 4, 16, ''b'') || crm_profile_internal.report_svg_bar(x.actual - 2, 14, 4, 20, ''a'')
			|| crm_profile_internal.report_svg_text(least(x.lower, x.actual) - 6, 28, ''s e'', crm_profile_internal.report_shown($1, value_lower::numeric, ''amount'')) || crm_profile_internal.report_svg_text(greatest(x.upper, x.actual) + 6, 28, ''s'', crm_profile_internal.report_shown($1, value_upper::numeric, ''amount''))
			|| crm_profile_internal.report_svg_text(x.actual, 10, ''m'', ($1.words ->> ''legend.actual'') || '' '' || crm_profile_internal.report_shown($1, actual_value::numeric, ''amount''))
			|| crm_profile_internal.report_svg_text(x.predicted, 48, ''m s'', ($1.words ->> ''legend.expected'') || '' '' || crm_profile_internal.report_shown($1, predicted_value::numeric, ''amount''))
		FROM %I.model_holdout, LATERAL (SELECT least(0, value_lower, actual_value) AS low, greatest(value_upper, actual_value) AS high) e,
			LATERAL (SELECT CASE WHEN low > -1e300 AND high < 1e300 THEN 260 / nullif(high - low, 0) END AS by) s,
			LATERAL (SELECT (100 + by * (value_lower - low))::numeric AS lower, (100 + by * (value_upper - low))::numeric AS upper, (100 + by * (predicted_value - low))::numeric AS predicted, (100 + by * (actual_value - low))::numeric AS actual) x
		WHERE part = ''total''', page.source) INTO held, band USING page;
	EXECUTE format('
		WITH month AS (SELECT month, bool_or(forecast) AS forecast, sum(expected_value)::numeric AS expected, sum(actual_value)::numeric AS actual FROM %I.forecast_tracking GROUP BY month),
		drawn AS (SELECT *, 20 + 440.0 * (row_number() OVER (ORDER BY month) - 1) / greatest(count(*) OVER () - 1, 1) AS x, 170 / nullif(max(greatest(expected, actual)) OVER (), 0) AS by FROM month)
		SELECT count(*) AS months,
			coalesce(crm_profile_internal.report_svg_bar(min(x) FILTER (WHERE forecast), 10, 460 - min(x) FILTER (WHERE forecast), 180, ''n''), '''')
			|| format(''<path class="line b" d="%%s"/><path class="line a" d="%%s"/>'', ''M'' || string_agg(round(x, 1) || '' '' || round(190 - by * greatest(expected, 0), 1), '' L'' ORDER BY month),
				''M'' || string_agg(round(x, 1) || '' '' || round(190 - by * greatest(actual, 0), 1), '' L'' ORDER BY month))
			|| crm_profile_internal.report_svg_text(20, 210, ''s'', to_char(min(month), ''MM/YYYY'')) || crm_profile_internal.report_svg_text(460, 210, ''s e'', to_char(max(month), ''MM/YYYY''))
			|| crm_profile_internal.report_svg_text(20, 10, ''s'', crm_profile_internal.report_shown($1, max(greatest(expected, actual)), ''amount'')) AS drawing,
			string_agg(crm_profile_internal.report_row(to_char(month, ''MM/YYYY''), crm_profile_internal.report_number($1, expected, ''amount''), crm_profile_internal.report_number($1, actual, ''amount'')), '''' ORDER BY month) AS rows
		FROM drawn', page.source) INTO months USING page;
	EXECUTE 'SELECT string_agg(crm_profile_internal.report_row(crm_profile_internal.report_word($1, ''part'', part), crm_profile_internal.report_number($1, expected, ''amount''),
			format(''%s … %s'', crm_profile_internal.report_number($1, lower, ''amount''), crm_profile_internal.report_number($1, upper, ''amount'')), crm_profile_internal.report_number($1, last_year, ''amount'')), '''' ORDER BY part = ''total'', n)
		FROM (SELECT row_number() OVER () AS n, f.* FROM jsonb_populate_recordset(NULL::crm_profile_internal.revenue_forecast_row, $1.forecast) f) f' INTO ahead USING page;
	RETURN CASE WHEN jsonb_path_exists(page.forecast, '$[*].expected ? (@ != null)') THEN crm_profile_internal.report_table(page, '{part,expected,band,last_year}', ahead) ELSE '' END
		|| CASE WHEN months.months > 1 THEN format('<h3>%s</h3><p>%s %s</p><p class="key"><i class="a"></i>%s <i class="b"></i>%s</p>', page.words ->> 'report.held up', held, page.words ->> 'lead.held up', page.words ->> 'legend.actual', page.words ->> 'legend.expected')
			|| CASE WHEN band <> '' THEN crm_profile_internal.report_chart(page, 'held up', 54, band, NULL) ELSE '' END
			|| crm_profile_internal.report_chart(page, 'forecast', 216, months.drawing, crm_profile_internal.report_table(page, '{month,expected,actual}', months.rows)) ELSE '' END;
END $$; -- section of a report: revenue of the next 90 days, and how well earlier forecasts came true

CREATE FUNCTION crm_profile_internal.report_concentration(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	tenths record;
BEGIN
	EXECUTE format('
		WITH tenth AS (SELECT c.value_decile AS tenth, sum(c.customers) AS customers, sum(c.monetary) AS monetary FROM unnest($1.cells) c WHERE c.value_decile IS NOT NULL GROUP BY 1),
		total AS (SELECT sum(customers) AS customers, sum(monetary) AS monetary FROM tenth),
		curve AS (SELECT tenth, tenth.customers, tenth.monetary, tenth.monetary / nullif(total.monetary, 0) AS share,
				sum(tenth.customers) OVER up / total.customers AS x, sum(tenth.monetary) OVER up / nullif(total.monetary, 0) AS y
			FROM tenth CROSS JOIN total WINDOW up AS (ORDER BY tenth DESC))
		SELECT count(*) FILTER (WHERE share IS NOT NULL) AS tenths,
			''<path class="line n" d="M60 250 L440 10"/><path class="line a" d="M60 250 '' || string_agg(format(''L%%s %%s'', round(60 + 380 * x, 1), round(250 - 240 * y, 1)), '' '' ORDER BY tenth DESC) || ''"/>''
			|| crm_profile_internal.report_svg_text(60, 270, ''s'', ''0 %%'') || crm_profile_internal.report_svg_text(440, 270, ''s e'', $1.words ->> ''legend.customers'')
			|| crm_profile_internal.report_svg_text(56, 20, ''s e'', ''100 %%'') AS drawing,
			sum(share) FILTER (WHERE tenth <= 2) AS best_fifth,
			string_agg(crm_profile_internal.report_row(tenth::text, crm_profile_internal.report_number($1, customers, ''count''), crm_profile_internal.report_number($1, monetary, ''amount''), crm_profile_internal.report_number($1, share, ''share'')), ''''
				ORDER BY tenth) FILTER (WHERE customers >= 5) AS rows
		FROM curve') INTO tenths USING page;
	RETURN CASE WHEN tenths.tenths > 1 THEN format('<p>%s</p>', format(page.words ->> 'lead.best fifth', crm_profile_internal.report_number(page, tenths.best_fifth, 'share')))
		|| crm_profile_internal.report_chart(page, 'concentration', 276, tenths.drawing, crm_profile_internal.report_table(page, '{tenth,customers,revenue,share}', tenths.rows)) END;
END $$; -- section of a report: how much of the revenue comes from how few customers

CREATE FUNCTION crm_profile_internal.report_calendar(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	cells record;
BEGIN
	EXECUTE format('
		WITH calendar AS MATERIALIZED (SELECT * FROM %I.purchase_calendar),
		month AS (SELECT generate_series(greatest(max(month) - interval ''12 months'', min(month)), max(month), ''1 month'')::date AS month FROM calendar),
		cell AS (SELECT month.month, weekday, coalesce(orders, 0) AS orders, coalesce(amount, 0) AS amount
			FROM month CROSS JOIN generate_series(1, 7) weekday LEFT JOIN calendar c USING (month, weekday))
		SELECT count(*) AS cells, array_agg(orders ORDER BY weekday, month) AS orders,
			(SELECT array_agg(to_char(month, ''MM'') ORDER BY month) FROM month) AS months,
			(SELECT string_agg(crm_profile_internal.report_row(to_char(month, ''MM/YYYY''), crm_profile_internal.report_number($1, o, ''count''), crm_profile_internal.report_number($1, a, ''amount'')), '''' ORDER BY month)
				FROM (SELECT month, sum(orders) AS o, sum(amount) AS a FROM cell GROUP BY month) m) AS rows
		FROM cell', page.source) INTO cells USING page;
	RETURN CASE WHEN cells.cells > 0 THEN crm_profile_internal.report_heat(page, 'calendar', ARRAY(SELECT page.words ->> ('weekday.' || d) FROM generate_series(1, 7) d), cells.months, cells.orders, 'count',
		crm_profile_internal.report_table(page, '{month,orders,revenue}', cells.rows)) END;
END $$; -- section of a report: orders by month and weekday, of the last thirteen months

CREATE FUNCTION crm_profile_internal.report_cohorts(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	cells record;
BEGIN
	EXECUTE format('
		WITH retention AS MATERIALIZED (SELECT * FROM %I.cohort_retention),
		cohort AS (SELECT cohort FROM retention WHERE months = 0 AND customers >= 5 ORDER BY cohort DESC LIMIT 13),
		cell AS (SELECT c.cohort, m.months, r.customers, r.buyers, r.retention FROM cohort c CROSS JOIN generate_series(1, 12) m(months) LEFT JOIN retention r USING (cohort, months))
		SELECT count(cohort) AS cells, (SELECT array_agg(to_char(cohort, ''MM/YYYY'') ORDER BY cohort) FROM cohort) AS cohorts, array_agg(retention::numeric ORDER BY cohort, months) AS retention,
			string_agg(crm_profile_internal.report_row(to_char(cohort, ''MM/YYYY'') || '' + '' || months, crm_profile_internal.report_number($1, customers, ''count''), crm_profile_internal.report_number($1, retention::numeric, ''share'')), ''''
				ORDER BY cohort, months) FILTER (WHERE retention IS NOT NULL) AS rows
		FROM cell', page.source) INTO cells USING page;
	RETURN CASE WHEN cells.rows IS NOT NULL THEN crm_profile_internal.report_heat(page, 'cohorts', cells.cohorts, ARRAY(SELECT '+' || m FROM generate_series(1, 12) m), cells.retention, 'share',
		crm_profile_internal.report_table(page, '{month,customers,back}', cells.rows)) END;
END $$; -- section of a report: who came back in the months after their first purchase

CREATE FUNCTION crm_profile_internal.report_personas(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT '<div class="cards">' || string_agg(format('<article><h3>%s</h3><p>%s</p>%s</article>', crm_profile_internal.report_word(page, 'segment', c.segment), crm_profile_internal.html(c.card),
			CASE WHEN page."keys" THEN format('<p><b>%s</b> %s</p>', crm_profile_internal.html(c.example), crm_profile_internal.html(c.example_card)) ELSE '' END), '') || '</div>'
		FROM crm_profile_internal.source_cards(crm_profile_internal.evaluated_source(page.source), page.words ->> 'language', CASE WHEN NOT page."keys" THEN page.parts END) c WHERE c.card IS NOT NULL);
COMMENT ON FUNCTION crm_profile_internal.report_personas IS 'section of a report: what kind of people are in each segment';

CREATE FUNCTION crm_profile_internal.report_prospects(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rows text;
BEGIN
	EXECUTE format('
		SELECT string_agg(crm_profile_internal.report_row(CASE WHEN $1."keys" THEN crm_profile_internal.html(prospect) ELSE n::text END, crm_profile_internal.report_number($1, score::numeric, ''share''),
			crm_profile_internal.report_number($1, lift::numeric, ''ratio''), (SELECT string_agg(crm_profile_internal.report_word($1, ''text'', substring(r FROM ''^\w+:'')) || crm_profile_internal.html(substring(r FROM ''^\w+:(.*)$'')), ''; '' ORDER BY o) FROM regexp_split_to_table(reasons, ''; (?=down: )'') WITH ORDINALITY u(r, o))), '''' ORDER BY n)
		FROM (SELECT *, row_number() OVER (ORDER BY score DESC, prospect) AS n FROM (SELECT prospect::text, score, lift, reasons FROM %I.prospect_match WHERE score IS NOT NULL ORDER BY score DESC, prospect LIMIT 10) b) p', page.source)
		INTO rows USING page;
	RETURN CASE WHEN rows IS NOT NULL THEN crm_profile_internal.report_table(page, '{prospect,chance,lift,reasons}', rows) END;
END $$; -- section of a report: the ten prospects most like the best customers

CREATE FUNCTION crm_profile_internal.report_due(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rows text;
BEGIN
	EXECUTE format('SELECT string_agg(crm_profile_internal.report_row(crm_profile_internal.report_word($1, ''action'', action), crm_profile_internal.report_number($1, customers, ''count''), crm_profile_internal.report_number($1, value::numeric, ''amount'')), ''''
			ORDER BY value DESC NULLS LAST, action)
		FROM (SELECT action, count(*) AS customers, sum(value) AS value FROM %I.due_actions GROUP BY action HAVING count(*) >= 5) d', page.source) INTO rows USING page;
	RETURN CASE WHEN rows IS NOT NULL THEN crm_profile_internal.report_table(page, '{action,customers,at_stake}', rows) END;
END $$; -- section of a report: what is due today

CREATE FUNCTION crm_profile_internal.report_campaigns(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rows text;
BEGIN
	EXECUTE format('SELECT string_agg(crm_profile_internal.report_row(crm_profile_internal.html(campaign) || ''<small>'' || crm_profile_internal.report_word($1, ''text'', result) || ''</small>'', crm_profile_internal.report_date($1, first_contact), crm_profile_internal.report_number($1, treated, ''count''),
			crm_profile_internal.report_number($1, control, ''count''), crm_profile_internal.report_number($1, treated_rate::numeric, ''share''), crm_profile_internal.report_number($1, control_rate::numeric, ''share''),
			CASE WHEN lift IS NOT NULL THEN format(''%%s … %%s'', crm_profile_internal.report_number($1, lift_lower::numeric, ''share''), crm_profile_internal.report_number($1, lift_upper::numeric, ''share'')) END), '''' ORDER BY first_contact DESC, campaign)
		FROM %I.campaign_result WHERE treated + control >= 5', page.source) INTO rows USING page;
	RETURN CASE WHEN rows IS NOT NULL THEN crm_profile_internal.report_table(page, '{campaign,since,treated,control,treated_rate,control_rate,lift_band}', rows) END;
END $$; -- section of a report: what campaigns changed

CREATE FUNCTION crm_profile_internal.report_quality(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	rows text;
BEGIN
	EXECUTE format('SELECT string_agg(crm_profile_internal.report_row(crm_profile_internal.report_finding($1, finding) || CASE WHEN advice <> '''' THEN ''<small>'' || crm_profile_internal.report_text($1, advice) || ''</small>'' ELSE '''' END,
			crm_profile_internal.report_word($1, ''severity'', severity), crm_profile_internal.report_number($1, rows, ''count''), crm_profile_internal.report_number($1, customers_changed, ''count'')), '''' ORDER BY n)
		FROM (SELECT row_number() OVER () AS n, * FROM %I.data_quality) q', page.source) INTO rows USING page;
	RETURN CASE WHEN rows IS NULL THEN format('<p>%s</p>', page.words ->> 'report.no findings') ELSE crm_profile_internal.report_table(page, '{finding,severity,rows,customers_changed}', rows) END;
END $$; -- section of a report: what is amiss in the data

CREATE FUNCTION crm_profile_internal.report_model(page crm_profile_internal.report_page) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	told text;
	rows text;
BEGIN
	EXECUTE format('SELECT format($1.words ->> ''report.test'', crm_profile_internal.report_date($1, fit_until), crm_profile_internal.report_date($1, as_of), crm_profile_internal.report_number($1, predicted::numeric, ''count''),
			crm_profile_internal.report_number($1, actual::numeric, ''count''), crm_profile_internal.report_number($1, calibration::numeric, ''share''))
		FROM %I.model_holdout WHERE part = ''total''', page.source) INTO told USING page;
	EXECUTE format('SELECT string_agg(crm_profile_internal.report_row(crm_profile_internal.report_word($1, ''item'', item) || coalesce(''<small>'' || crm_profile_internal.report_note($1, note) || ''</small>'', ''''), coalesce($1.words ->> (''figure.'' || value), crm_profile_internal.report_note($1, value), ''–'')), '''' ORDER BY line)
		FROM %I.model_card_details', page.source) INTO rows USING page;
	RETURN format('<p>%s</p><p>%s</p><details><summary>%s</summary>%s</details>', coalesce(told, page.words ->> 'report.no test'), page.words ->> 'report.how', page.words ->> 'report.all figures',
		crm_profile_internal.report_table(page, '{item,value}', rows));
END $$; -- section of a report: how the forecasts are made, and how good one was

---------------------------------------------------------------- the page

CREATE FUNCTION crm_profile_internal.report_style() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN $$:root{--ink:#1d2733;--soft:#5b6875;--paper:#f4f6f8;--card:#fff;--line:#dfe5ea;--a:#0b6e99;--b:#9aa8b4;--wash:#e9eef2;--heat:#07567a;--on:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9fadb9;--paper:#11171d;--card:#1a222a;--line:#2c3742;--a:#4fb3dc;--b:#6b7987;--wash:#232d37;--heat:#1f6f96;--on:#fff}}
*{box-sizing:border-box}html{scroll-behavior:smooth}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 16px}header{padding-top:28px}h1{font-size:1.7rem;line-height:1.2;margin:0}h2{font-size:1.15rem;margin:0 0 4px}h3{font-size:1rem;margin:14px 0 2px}
p{margin:4px 0 10px;color:var(--soft)}nav{display:flex;flex-wrap:wrap;gap:2px 14px;margin:6px 0 16px}a{color:var(--a)}nav a{padding:2px 0}
main{display:grid;grid-template-columns:minmax(0,1fr);gap:16px}section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;min-width:0}
@media(min-width:900px){main{grid-template-columns:repeat(2,minmax(0,1fr))}.pair{display:grid;grid-template-columns:2fr 3fr;gap:24px}#overview,#segments,#personas,#prospects,#quality,#model,#campaigns,#due{grid-column:1/-1}}
.kpis{display:grid;grid-template-columns:repeat(auto-fit,minmax(125px,1fr));gap:12px;margin:8px 0}.kpis div{border-left:3px solid var(--a);padding-left:10px}dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}dd.note{font-size:.8rem;font-weight:400;color:var(--soft)}
.chips{list-style:none;display:flex;flex-wrap:wrap;gap:6px;margin:10px 0 0;padding:0}.chips li{background:var(--wash);border-radius:99px;padding:2px 12px;font-size:.85rem}
figure{margin:8px 0;max-width:560px}svg{display:block;width:100%;height:auto;overflow:visible}text{font:14px system-ui,sans-serif;fill:var(--ink)}text.s{font-size:12px;fill:var(--soft)}text.m{text-anchor:middle;font-size:13px}text.e{text-anchor:end}text.on{fill:var(--on)}
rect.a,i.a{fill:var(--a);background:var(--a)}rect.b,i.b{fill:var(--b);background:var(--b)}rect.n{fill:var(--wash)}.h{fill:var(--heat)}.f{fill:var(--b);fill-opacity:.35}.f.mv{fill:var(--a)}
.line{fill:none;stroke-width:2.5;stroke-linejoin:round}.line.a{stroke:var(--a)}.line.b{stroke:var(--b);stroke-dasharray:6 4}.line.n{stroke:var(--line)}
.key{font-size:.85rem;margin:0}.key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin:0 6px 0 0;vertical-align:-1px}.key i+i,.key i:nth-child(2){margin-left:12px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}th,td{padding:6px 8px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}th:first-child,td:first-child,#prospects tr>:last-child,#quality th:nth-child(2),#quality td:nth-child(2){text-align:left}thead th{color:var(--soft);font-weight:500;white-space:nowrap}tbody th{font-weight:600}tr:has(+.more)>*{border-bottom:0}.more td{padding-top:0;color:var(--soft);font-size:.8rem;text-align:left}small{display:block;font-weight:400;color:var(--soft);max-width:60ch}
details{margin-top:6px}data{white-space:nowrap}summary{cursor:pointer;color:var(--a);font-size:.88rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr));gap:12px}article{background:var(--wash);border-radius:8px;padding:10px 14px}article h3{margin:0}article p{margin:4px 0;font-size:.9rem;color:var(--ink)}
footer{padding:16px;font-size:.82rem}
@media(max-width:640px){.pair{grid-template-columns:minmax(0,1fr)}}@media(max-width:480px){header,main,footer{padding-left:8px;padding-right:8px}section{padding:12px 10px}th,td{padding:5px 3px}table{font-size:.76rem}thead th{white-space:normal}text{font-size:17px}text.s{font-size:15px}text.m{font-size:14px}.kpis{grid-template-columns:repeat(2,minmax(0,1fr))}dd{font-size:1.25rem}#segments :is(table,thead,tbody,.more,.more td){display:block}#segments tr:not(.more){display:grid;grid-template-columns:minmax(0,3fr) minmax(0,4fr) minmax(0,3fr) minmax(0,4fr)}#segments tr:not(.more)>:first-child{grid-column:1/-1;border:0;padding-bottom:0}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--wash:#eee}body{font-size:11px}nav{display:none}section{border:0;padding:8px 0}main{display:block}.pair{display:block}.scroll{overflow:visible}table,.key,.chips li,article p{font-size:10px}dd{font-size:14px}.more td,small,dd.note,footer{font-size:9px}footer{break-before:avoid}th,td{padding:3px 6px}figure{max-width:340px}details:not([open]){display:none}h2,h3,section>p,tr:has(+.more){break-after:avoid}figure,tr,article,.kpis,#segments .scroll,#due{break-inside:avoid}}$$; -- how a report looks: light and dark, from a phone to paper

CREATE FUNCTION crm_profile_internal.report_sections(OUT place integer, OUT name text, OUT view text) RETURNS SETOF record
	LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		VALUES (1, 'overview', 'customer_profile'), (2, 'segments', 'segment_summary_details'), (3, 'forecast', 'revenue_forecast'), (4, 'migration', 'segment_migration'), (5, 'scores', 'rfm_grid'),
			(6, 'calendar', 'purchase_calendar'), (7, 'concentration', 'customer_profile'), (8, 'cohorts', 'cohort_retention'), (9, 'personas', 'segment_summary_details'), (10, 'prospects', 'prospect_match'),
			(11, 'due', 'due_actions'), (12, 'campaigns', 'campaign_result'), (13, 'quality', 'data_quality'), (14, 'model', 'model_card_details');
	END; -- the sections of a report in their order, and the view that each shows: report_… reads it

CREATE FUNCTION crm_profile.report(source text, language text DEFAULT NULL, sections text[] DEFAULT NULL, "keys" boolean DEFAULT false) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
	page crm_profile_internal.report_page := ROW(source, crm_profile_internal.report_words(crm_profile_internal.check_language(language)), coalesce("keys", false), NULL, NULL, NULL, NULL);
	body text;
	bodies text := '';
	links text := '';
	day date;
	section record;
	unknown text;
BEGIN
	PERFORM crm_profile_internal.check_source_exists(source);
	SELECT string_agg(s, ', ') INTO unknown FROM unnest(sections) s WHERE s NOT IN (SELECT name FROM crm_profile_internal.report_sections());
	IF unknown IS NOT NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = format('there is no section "%s" in a report', crm_profile_internal.short(unknown, 200)),
			DETAIL = format('There are: %s.', (SELECT string_agg(name, ', ' ORDER BY place) FROM crm_profile_internal.report_sections()));
	END IF;
	EXECUTE format('SELECT as_of FROM %I.customer_profile LIMIT 1', source) INTO day;
	IF sections IS NULL OR sections && '{overview,segments,migration,scores,concentration,personas}' THEN
		page := crm_profile_internal.read_profiles(page);
	END IF;
	IF sections IS NULL OR sections && '{overview,forecast}' THEN
		EXECUTE format('SELECT jsonb_agg(f) FROM %I.revenue_forecast f', source) INTO page.forecast;
	END IF;
	FOR section IN SELECT s.* FROM crm_profile_internal.report_sections() s WHERE (sections IS NULL OR s.name = ANY (sections)) AND to_regclass(format('%I.%I', source, s.view)) IS NOT NULL ORDER BY s.place LOOP
		EXECUTE format('SELECT crm_profile_internal.report_%s($1)', section.name) INTO body USING page;
		IF body <> '' THEN
			bodies := bodies || format(E'<section id="%1$s" aria-labelledby="%1$s-title"><h2 id="%1$s-title">%2$s</h2>%3$s%4$s</section>\n', section.name, page.words ->> ('section.' || section.name),
				-- a sentence that ends in an abbreviation (Mio.) has one full stop
				coalesce('<p>' || (page.words ->> ('lead.' || section.name)) || '</p>', ''), replace(body, '.</data>.', '.</data>'));
			links := links || format('<a href="#%s">%s</a> ', section.name, page.words ->> ('section.' || section.name));
		END IF;
	END LOOP;
	RETURN format(E'<!DOCTYPE html>\n<html lang="%1$s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>%2$s</title><style>%3$s</style></head>\n<body><header><h1>%2$s</h1><p>%4$s</p><nav aria-label="%5$s">%6$s</nav></header>\n<main>%7$s</main><footer><p>%8$s</p></footer></body></html>',
		page.words ->> 'language', format(page.words ->> 'report.title', crm_profile_internal.html(source)), crm_profile_internal.report_style(),
		format(page.words ->> 'report.day', crm_profile_internal.report_date(page, day)), page.words ->> 'report.contents', links, bodies, page.words ->> 'report.footer');
END $$; -- the views of a source as one HTML page that needs nothing else: language, as in translation; sections, those to show (NULL: all that there are data for); keys: show keys of customers and prospects
