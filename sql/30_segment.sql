-- Segments: schemes as people edit them, compiled schemes, and the segments of scores

---------------------------------------------------------------- segment_scheme

-- @value_type type=segment_scheme layout="STORAGE = plain" wire=STABLE

COMMENT ON TYPE crm_profile.segment_scheme IS
	'a compiled scheme: the segment of every cell; from compile_scheme(), read by segment()';

---------------------------------------------------------------- the tables that people edit

CREATE TABLE crm_profile.scheme ( -- segment schemes, each a complete set of rules that give every customer a segment; add your own with INSERT
	name text CONSTRAINT scheme_pkey PRIMARY KEY -- name of the scheme, as given to compile_scheme() and rfm_scores()
		CONSTRAINT scheme_name_not_blank CHECK (name <> '' AND name = btrim(name)),
	bins integer NOT NULL DEFAULT 5 -- number of scores in each dimension: the bins of the rfm_model that makes them
		CONSTRAINT scheme_bins_from_2_to_9 CHECK (bins BETWEEN 2 AND 9),
	description text, -- what the scheme is good for, in words
	built_in boolean NOT NULL DEFAULT false -- whether the scheme comes with the extension: it cannot be changed and is not dumped
);

CREATE TABLE crm_profile.scheme_rule ( -- the rules of the schemes: a customer gets the segment of the first rule, by position, that matches the three scores
	scheme text, -- name of the scheme that the rule belongs to
	position integer -- order of the rules within the scheme, from 1; if left out, the rule is put last
		CONSTRAINT scheme_rule_position_from_1 CHECK (position >= 1),
	segment text NOT NULL -- name of the segment; several rules may share it
		CONSTRAINT scheme_rule_segment_not_blank CHECK (segment <> '' AND segment = btrim(segment)),
	r_from integer, -- lowest recency score; NULL: unbounded
	r_to integer, -- highest recency score; NULL: unbounded
	f_from integer, -- lowest frequency score; NULL: unbounded
	f_to integer, -- highest frequency score; NULL: unbounded
	m_from integer, -- lowest monetary score; NULL: unbounded
	m_to integer, -- highest monetary score; NULL: unbounded
	cells text[], -- the cells of the rule, instead of ranges: {555,554,545}
	description text, -- who the customers of the segment are, in words
	strategy text, -- what to do with the customers of the segment, in words
	lifecycle text[] -- lifecycles that the segment applies to; NULL: all; segment() gives other customers the segment of the nearest cell that applies to them
		CONSTRAINT scheme_rule_lifecycle_words CHECK (cardinality(lifecycle) > 0
			AND lifecycle <@ '{new,active,won back,lapsing,inactive}'),
	condition text -- what must hold besides the scores: an SQL expression over the figures of customer_profile, the columns of the customer table and the attributes, with PostgreSQL's own immutable functions and operators alone; NULL: nothing. Only sources can tell: elsewhere such a rule does not apply
		CONSTRAINT scheme_rule_condition_not_blank CHECK (btrim(condition) <> ''),
	CONSTRAINT scheme_rule_pkey PRIMARY KEY (scheme, position),
	CONSTRAINT scheme_rule_r_range CHECK (r_from BETWEEN 1 AND 9 AND r_to BETWEEN 1 AND 9 AND r_from <= r_to),
	CONSTRAINT scheme_rule_f_range CHECK (f_from BETWEEN 1 AND 9 AND f_to BETWEEN 1 AND 9 AND f_from <= f_to),
	CONSTRAINT scheme_rule_m_range CHECK (m_from BETWEEN 1 AND 9 AND m_to BETWEEN 1 AND 9 AND m_from <= m_to),
	CONSTRAINT scheme_rule_ranges_or_cells CHECK (cells IS NULL OR
		num_nonnulls(r_from, r_to, f_from, f_to, m_from, m_to) = 0),
	CONSTRAINT scheme_rule_cells_of_three_digits CHECK (cells IS NULL OR
		(array_ndims(cells) = 1 AND array_to_string(cells, ',', '?') ~ '^[1-9]{3}(,[1-9]{3})*$'
			AND length(array_to_string(cells, ',', '?')) = 4 * cardinality(cells) - 1))
);

GRANT SELECT ON crm_profile.scheme, crm_profile.scheme_rule TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON crm_profile.scheme, crm_profile.scheme_rule TO pg_database_owner;

SELECT pg_catalog.pg_extension_config_dump('crm_profile.scheme', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('crm_profile.scheme_rule',
	'WHERE scheme NOT IN (SELECT name FROM crm_profile.scheme WHERE built_in)');

CREATE FUNCTION crm_profile_internal.guard_schemes() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE; -- protects the built-in schemes from changes, and numbers rules without a position

CREATE FUNCTION crm_profile_internal.checked_expression(expression text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the text, if it is one expression of SQL and nothing else; else an error
CREATE FUNCTION crm_profile_internal.present_words(query text) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- how many words of its string constants are, as a date or time, the present: now, today, tomorrow, yesterday. Fewer once it is stored: they have become the day on which that was done

-- A foreign key in other words: pg_restore with several jobs may load rules before their schemes, and cannot be told to
-- wait. What pg_dump writes turns off check_function_bodies, and so this check.
CREATE FUNCTION crm_profile_internal.scheme_of_rule() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT current_setting('check_function_bodies')::boolean THEN
		RETURN NEW;
	END IF;
	PERFORM FROM crm_profile.scheme s WHERE s.name = NEW.scheme;
	IF NOT FOUND THEN
		RAISE foreign_key_violation USING MESSAGE = format('there is no scheme "%s"', NEW.scheme), HINT = format('First: INSERT INTO crm_profile.scheme (name) VALUES (%L)', NEW.scheme);
	END IF;
	RETURN NEW;
END $$; -- a rule belongs to a scheme
CREATE FUNCTION crm_profile_internal.rules_of_scheme() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		DELETE FROM crm_profile.scheme_rule r WHERE r.scheme = OLD.name;
	ELSIF NEW.name <> OLD.name THEN
		UPDATE crm_profile.scheme_rule r SET scheme = NEW.name WHERE r.scheme = OLD.name;
	END IF;
	RETURN NULL;
END $$; -- rules go with their scheme

CREATE TRIGGER scheme_of_rule AFTER INSERT OR UPDATE OF scheme ON crm_profile.scheme_rule
	FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.scheme_of_rule();
CREATE TRIGGER rules_of_scheme AFTER UPDATE OF name OR DELETE ON crm_profile.scheme
	FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.rules_of_scheme();
COMMENT ON TRIGGER scheme_of_rule ON crm_profile.scheme_rule IS 'refuses rules of a scheme that does not exist';
COMMENT ON TRIGGER rules_of_scheme ON crm_profile.scheme IS 'renames or deletes the rules with their scheme';
CREATE TRIGGER guard_schemes BEFORE INSERT OR UPDATE OR DELETE ON crm_profile.scheme
	FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.guard_schemes('name');
CREATE TRIGGER guard_schemes_truncate BEFORE TRUNCATE ON crm_profile.scheme
	FOR EACH STATEMENT EXECUTE FUNCTION crm_profile_internal.guard_schemes('name');
CREATE TRIGGER guard_schemes BEFORE INSERT OR UPDATE OR DELETE ON crm_profile.scheme_rule
	FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.guard_schemes('scheme');
CREATE TRIGGER guard_schemes_truncate BEFORE TRUNCATE ON crm_profile.scheme_rule
	FOR EACH STATEMENT EXECUTE FUNCTION crm_profile_internal.guard_schemes('scheme');
COMMENT ON TRIGGER guard_schemes ON crm_profile.scheme IS 'protects the built-in schemes from changes';
COMMENT ON TRIGGER guard_schemes_truncate ON crm_profile.scheme IS 'protects the built-in schemes from changes';
COMMENT ON TRIGGER guard_schemes ON crm_profile.scheme_rule IS 'protects the built-in schemes from changes, and numbers rules without a position';
COMMENT ON TRIGGER guard_schemes_truncate ON crm_profile.scheme_rule IS 'protects the built-in schemes from changes';

---------------------------------------------------------------- functions

CREATE FUNCTION crm_profile.compile_scheme(name text) RETURNS crm_profile.segment_scheme
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- the scheme of that name as a value; the first rule that covers a cell gives its segment; in a query over many customers write a subquery: (SELECT compile_scheme(…))

CREATE FUNCTION crm_profile.segment(score crm_profile.rfm_score, scheme crm_profile.segment_scheme) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the segment of a score; NULL for a cell that the scheme does not cover

CREATE FUNCTION crm_profile_internal.label_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- planner support function: conditions on the result are planned by the labels that a refresh found

CREATE FUNCTION crm_profile.segment(score crm_profile.rfm_score, scheme crm_profile.segment_scheme, lifecycle text) RETURNS text
	AS 'MODULE_PATHNAME', 'segment_lifecycle' LANGUAGE C IMMUTABLE PARALLEL SAFE SUPPORT crm_profile_internal.label_support; -- the segment of a score or, if that contradicts the lifecycle, of the nearest score whose segment does not; if lifecycle is NULL, the segment of the score

CREATE FUNCTION crm_profile_internal.segment_met(score crm_profile.rfm_score, scheme crm_profile.segment_scheme, lifecycle text, met integer) RETURNS text
	AS 'MODULE_PATHNAME', 'segment_lifecycle' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- segment(), where met has a bit for each condition of the scheme that holds for the customer

CREATE FUNCTION crm_profile_internal.scheme_conditions(scheme crm_profile.segment_scheme) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT array_agg(c.c ->> 'condition' ORDER BY c.n) FROM jsonb_array_elements(scheme::text::jsonb -> 'conditions') WITH ORDINALITY c(c, n));
COMMENT ON FUNCTION crm_profile_internal.scheme_conditions IS 'the conditions of a scheme in their order; NULL: none';

CREATE FUNCTION crm_profile.label_conflicts(segment text, scheme crm_profile.segment_scheme, lifecycle text, p_alive double precision, p_purchase double precision)
	RETURNS text[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- contradictions between segment, lifecycle and forecast (P(alive), probability of a purchase), in words; an empty array if there are none; NULL arguments are ignored

CREATE FUNCTION crm_profile.segments(scheme crm_profile.segment_scheme,
	OUT "position" integer, OUT segment text, OUT cell_count integer, OUT cells text[], OUT lifecycle text[])
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 11; -- the segments of a scheme in order, with the cells that each actually has, and the lifecycles that it applies to (NULL: all)

CREATE FUNCTION crm_profile.check_scheme(name text,
	OUT problem text, OUT cell text, OUT segments text[], OUT detail text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 ROWS 10; -- problems of a scheme: uncovered and overlapping cells, rules that are unreachable or beyond its bins; no row if it is a true partition

CREATE FUNCTION crm_profile.check_scheme(scheme crm_profile.segment_scheme, model crm_profile.rfm_model,
	OUT problem text, OUT cell text, OUT segments text[], OUT detail text)
	RETURNS SETOF record
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 5
BEGIN ATOMIC
	WITH place AS (
		-- for each score from the lowest: its values are above one number and up to another; NULL for no limit
		SELECT d.dimension, d.place, d.whole, s.score,
			t.thresholds[CASE WHEN d.dimension = 'recency' THEN s.bins - s.score ELSE s.score - 1 END] AS above,
			t.thresholds[CASE WHEN d.dimension = 'recency' THEN s.bins - s.score + 1 ELSE s.score END] AS up_to, s.bins
		FROM crm_profile.thresholds(model) m,
			LATERAL (VALUES ('recency', 1, true), ('frequency', 2, true), ('monetary value', 3, false)) d(dimension, place, whole),
			LATERAL (SELECT CASE d.place WHEN 1 THEN m.recency WHEN 2 THEN m.frequency ELSE m.monetary END AS thresholds) t,
			LATERAL (SELECT score, pg_catalog.cardinality(t.thresholds) + 1 AS bins FROM pg_catalog.generate_series(1, pg_catalog.cardinality(t.thresholds) + 1) score) s),
	empty AS (
		SELECT p.* FROM place p
		WHERE p.above >= CASE WHEN p.whole THEN pg_catalog.floor(p.up_to) ELSE p.up_to END),
	tied AS (
		-- between equal thresholds each score stands for at least a bin's worth of customers
		SELECT e.dimension, e.place, e.above AS value, pg_catalog.count(*) AS lost, e.bins,
			CASE WHEN e.place = 1 THEN pg_catalog.max(e.score) + 1 ELSE pg_catalog.min(e.score) - 1 END AS score,
			pg_catalog.string_agg(e.score::text, ', ' ORDER BY e.score) AS scores
		FROM empty e WHERE e.above = e.up_to GROUP BY e.dimension, e.place, e.above, e.bins),
	cell AS (
		SELECT s."position", s.segment, c.cell,
			EXISTS (SELECT FROM empty e WHERE pg_catalog.substr(c.cell, e.place, 1) = e.score::text) AS lost
		FROM crm_profile.segments(scheme) s, pg_catalog.unnest(s.cells) c(cell)),
	found AS (
		SELECT 1 AS part, t.place AS line, t.score AS sub, 'tied scores' AS problem, pg_catalog.overlay('---', t.score::text, t.place, 1) AS cell,
			ARRAY(SELECT c.segment FROM cell c GROUP BY c."position", c.segment
				HAVING NOT pg_catalog.bool_or(pg_catalog.substr(c.cell, t.place, 1) = t.score::text) ORDER BY c."position") AS segments,
			pg_catalog.format('At least %s %% of the customers have a %s of %s, and with it score %s; nobody has %s.', t.lost * 100 / t.bins, t.dimension,
				pg_catalog.trim_scale(t.value), t.score, t.scores) AS detail
		FROM tied t
		UNION ALL
		SELECT 2, e.place, e.score, 'empty score', pg_catalog.overlay('---', e.score::text, e.place, 1), '{}',
			pg_catalog.format('No whole number lies above %s and up to %s: nobody has a %s score of %s.', pg_catalog.trim_scale(e.above), pg_catalog.trim_scale(e.up_to), e.dimension, e.score)
		FROM empty e WHERE e.above < e.up_to
		UNION ALL
		SELECT 3, c."position", 0, 'empty segment', NULL, ARRAY[c.segment],
			pg_catalog.format('Nobody can be %s: each of its cells needs a score that nobody has.', c.segment)
		FROM cell c GROUP BY c."position", c.segment HAVING pg_catalog.bool_and(c.lost))
	SELECT f.problem, f.cell, f.segments, f.detail FROM found f ORDER BY f.part, f.line, f.sub;
END; -- scores and segments of a scheme that nobody has under a model: scores shared by tied customers, segments out of their reach, empty scores and segments; no row if every score occurs

---------------------------------------------------------------- the built-in schemes

INSERT INTO crm_profile.scheme (name, description, built_in) VALUES
	('standard', 'Eleven segments from all three scores; every one of the 125 cells is in exactly one segment. The scheme to begin with.', true),
	('rf', 'Ten segments from recency and frequency alone, for those who judge customers by behaviour and not by spend; every cell is in exactly one segment.', true),
	('r-package', 'Faulty, kept only to reproduce earlier results: the range map that the R package rfm made popular. It leaves 36 of 125 cells without a segment, 39 are in several, and the rules New, Promising and Can''t Lose never apply. Use standard.', true);

INSERT INTO crm_profile.scheme_rule (scheme, position, segment, cells, description, strategy) VALUES
	('standard', 1, 'Champions',
		'{555,554,544,545,454,455,445}',
		'They bought very recently, buy often and spend the most.',
		'Treat them as insiders: early access, a personal thank-you, a referral programme. Save the discounts, they buy without.'),
	('standard', 2, 'Loyal',
		'{543,444,435,355,354,345,344,335}',
		'They come back regularly and spend well.',
		'Offer the next better product, ask for reviews, invite them into the loyalty programme.'),
	('standard', 3, 'Potential Loyalist',
		'{553,552,551,542,541,533,532,531,453,452,451,442,441,433,432,431,423,353,352,351,342,341,333,323}',
		'They bought more than once and could become regulars, but are not yet.',
		'Give them a reason for the next order: membership, a recommendation that fits what they bought, free delivery.'),
	('standard', 4, 'New',
		'{512,511,422,421,412,411,311}',
		'They bought for the first time not long ago, and little so far.',
		'Welcome them, help them to get the most out of what they bought, and suggest a second purchase soon.'),
	('standard', 5, 'Promising',
		'{525,524,523,522,521,515,514,513,425,424,415,414,413,315,314,313}',
		'They bought recently and not often, but their baskets show that there is more to come.',
		'Get to know them: a small free extra, content about the range, an offer that matches their first basket.'),
	('standard', 6, 'Need Attention',
		'{535,534,443,434,343,334,325,324}',
		'Good customers in frequency and spend whose last purchase is slipping into the past.',
		'Remind them now with a limited offer based on what they bought before.'),
	('standard', 7, 'About To Sleep',
		'{331,321,312,221,213}',
		'Middling to low in everything, and it has been a while.',
		'Share what is popular or new, and a modest discount; do not spend much on them.'),
	('standard', 8, 'At Risk',
		'{255,254,253,252,245,244,243,242,235,234,225,224,153,152,143,142,135,134,133,125,124}',
		'They used to buy often or spend well, but have not been seen for a long time.',
		'Win them back with a personal message, a renewal offer and help if something went wrong.'),
	('standard', 9, 'Can''t Lose',
		'{155,154,145,144}',
		'They bought often and spent much, and have stayed away the longest.',
		'Call them or write in person, ask what happened, and do not lose them to a competitor over a small thing.'),
	('standard', 10, 'Hibernating',
		'{332,322,251,241,233,232,231,223,222,215,214,212,211,132,123,122,115,114,113}',
		'Their last purchase is long ago, and they bought seldom; some of them once, for much.',
		'Include them in seasonal campaigns with relevant products, and leave it at that.'),
	('standard', 11, 'Lost',
		'{151,141,131,121,112,111}',
		'Lowest in recency, and never much of a customer.',
		'Try one low-cost reactivation, then stop writing to them.');

INSERT INTO crm_profile.scheme_rule (scheme, position, segment, r_from, r_to, f_from, f_to, description, strategy) VALUES
	('rf', 1, 'Champions', 5, 5, 4, 5,
		'They bought very recently and buy often.',
		'Treat them as insiders: early access, a personal thank-you, a referral programme. Save the discounts, they buy without.'),
	('rf', 2, 'Loyal', 3, 4, 4, 5,
		'They come back regularly, the last time not long ago.',
		'Offer the next better product, ask for reviews, invite them into the loyalty programme.'),
	('rf', 3, 'Potential Loyalist', 4, 5, 2, 3,
		'They bought more than once and could become regulars, but are not yet.',
		'Give them a reason for the next order: membership, a recommendation that fits what they bought, free delivery.'),
	('rf', 4, 'New', 5, 5, 1, 1,
		'They bought for the first time not long ago, and seldom so far.',
		'Welcome them, help them to get the most out of what they bought, and suggest a second purchase soon.'),
	('rf', 5, 'Promising', 4, 4, 1, 1,
		'They bought quite recently, but seldom so far.',
		'Get to know them: a small free extra, content about the range, an offer that matches their first basket.'),
	('rf', 6, 'Need Attention', 3, 3, 3, 3,
		'Average in recency and frequency: they could go either way.',
		'Remind them now with a limited offer based on what they bought before.'),
	('rf', 7, 'About To Sleep', 3, 3, 1, 2,
		'They bought seldom, and it has been a while.',
		'Share what is popular or new, and a modest discount; do not spend much on them.'),
	('rf', 8, 'Can''t Lose', 1, 2, 5, 5,
		'They were among the most frequent buyers and have stayed away for a long time.',
		'Call them or write in person, ask what happened, and do not lose them to a competitor over a small thing.'),
	('rf', 9, 'At Risk', 1, 2, 3, 4,
		'They used to buy regularly, but have not been seen for a long time.',
		'Win them back with a personal message, a renewal offer and help if something went wrong.'),
	('rf', 10, 'Hibernating', 1, 2, 1, 2,
		'Their last purchase is long ago, and they bought seldom.',
		'Include them in seasonal campaigns with relevant products, and leave it at that.');

INSERT INTO crm_profile.scheme_rule (scheme, position, segment, r_from, r_to, f_from, f_to, m_from, m_to, description, strategy) VALUES
	('r-package', 1, 'Champions', 4, 5, 4, 5, 4, 5,
		'They bought very recently, buy often and spend the most.',
		'Treat them as insiders: early access, a personal thank-you, a referral programme. Save the discounts, they buy without.'),
	('r-package', 2, 'Loyal', 2, 5, 3, 5, 3, 5,
		'They come back regularly and spend well.',
		'Offer the next better product, ask for reviews, invite them into the loyalty programme.'),
	('r-package', 3, 'Potential Loyalist', 3, 5, 1, 3, 1, 3,
		'They bought more than once and could become regulars, but are not yet.',
		'Give them a reason for the next order: membership, a recommendation that fits what they bought, free delivery.'),
	('r-package', 4, 'New', 4, 5, 1, 1, 1, 1,
		'They bought for the first time not long ago, and little so far. (No customer comes here: earlier rules have all of its cells.)',
		'Welcome them, help them to get the most out of what they bought, and suggest a second purchase soon.'),
	('r-package', 5, 'Promising', 3, 4, 1, 1, 1, 1,
		'They bought recently and not often, but their baskets show that there is more to come. (No customer comes here: earlier rules have all of its cells.)',
		'Get to know them: a small free extra, content about the range, an offer that matches their first basket.'),
	('r-package', 6, 'Need Attention', 2, 3, 2, 3, 2, 3,
		'Good customers in frequency and spend whose last purchase is slipping into the past.',
		'Remind them now with a limited offer based on what they bought before.'),
	('r-package', 7, 'About To Sleep', 2, 3, 1, 2, 1, 2,
		'Middling to low in everything, and it has been a while.',
		'Share what is popular or new, and a modest discount; do not spend much on them.'),
	('r-package', 8, 'At Risk', 1, 2, 2, 5, 2, 5,
		'They used to buy often or spend well, but have not been seen for a long time.',
		'Win them back with a personal message, a renewal offer and help if something went wrong.'),
	('r-package', 9, 'Can''t Lose', 1, 1, 4, 5, 4, 5,
		'They spent much and have stayed away for a long time. (No customer comes here: earlier rules have all of its cells.)',
		'Call them or write in person, ask what happened, and do not lose them to a competitor over a small thing.'),
	('r-package', 10, 'Lost', 1, 2, 1, 2, 1, 2,
		'Lowest scores in recency, frequency and spend.',
		'Try one low-cost reactivation, then stop writing to them.');

-- The lifecycles that fit what a segment's description says about time
UPDATE crm_profile.scheme_rule r SET lifecycle = l.lifecycle
FROM (VALUES
	('Champions', '{new,active,won back}'::text[]),
	('Loyal', '{new,active,won back}'),
	('Potential Loyalist', '{new,active,won back}'),
	('New', '{new}'),
	('Promising', '{new,active,won back}'),
	('Need Attention', '{new,active,won back,lapsing}'),
	('About To Sleep', '{active,lapsing}'),
	('At Risk', '{lapsing,inactive}'),
	('Can''t Lose', '{lapsing,inactive}'),
	('Hibernating', '{lapsing,inactive}'),
	('Lost', '{inactive}')) l(segment, lifecycle)
WHERE r.segment = l.segment;
