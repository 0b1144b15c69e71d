
---------------------------------------------------------------- relevance: how well an attribute tells targets from others

CREATE TYPE crm_profile.relevance_bin AS ( -- one bin of an attribute: rows, targets, share of targets, weight of evidence, and its contribution to the information value
	bin text, -- the values in the bin, in words
	rows bigint, -- rows of the bin
	targets bigint, -- rows of the bin that are targets
	rate double precision, -- share of targets in the bin
	woe double precision, -- weight of evidence: log of the share of all targets over the share of all others
	information_value double precision -- contribution of the bin to the information value of the attribute
);

CREATE TYPE crm_profile.relevance AS ( -- how well an attribute tells targets from others: statistics over its bins, and a verdict in words
	attribute text, -- name of the column; NULL for a single attribute
	verdict text, -- the answer in words: useless, not proven, weak, medium, strong, very strong, suspicious or unknown
	information_value double precision, -- sum over the bins of (share of targets - share of others) * woe, less the part expected by chance
	cramers_v double precision, -- Cramér's V, corrected for bias
	mutual_information double precision, -- mutual information of bin and target, in nats
	chi_square double precision, -- chi-square of the table of bins by target
	degrees_of_freedom integer, -- degrees of freedom of that table
	p_value double precision, -- p-value of chi_square
	adjusted_p_value double precision, -- p-value corrected for the search for good bins, and over the attributes of a record
	min_expected double precision, -- smallest expected count of the table; below 5, chi_square is doubtful
	missing_rate double precision, -- share of rows without a value
	rows bigint, -- rows with a known target
	targets bigint, -- rows that are targets
	rows_without_target bigint, -- rows left out because is_target was NULL
	bins crm_profile.relevance_bin[] -- the bins of the attribute
);

CREATE FUNCTION crm_profile_internal.attribute_relevance_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate combine function
CREATE FUNCTION crm_profile_internal.attribute_relevance_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- aggregate serial function
CREATE FUNCTION crm_profile_internal.attribute_relevance_deserialize(state bytea, unused internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- aggregate deserial function
CREATE FUNCTION crm_profile_internal.attribute_relevance_finalfn(state internal) RETURNS crm_profile.relevance
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function

-- @aggregate name=attribute_relevance more="COMBINEFUNC = crm_profile_internal.attribute_relevance_combine, SERIALFUNC = crm_profile_internal.attribute_relevance_serialize, DESERIALFUNC = crm_profile_internal.attribute_relevance_deserialize," arguments="attribute text, is_target boolean"
--	comment="how well a text attribute tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute numeric, is_target boolean"
--	comment="how well a number tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute double precision, is_target boolean"
--	comment="how well a number tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute boolean, is_target boolean"
--	comment="how well a boolean tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute date, is_target boolean"
--	comment="how well a date tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute timestamp, is_target boolean"
--	comment="how well the day of a time stamp tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute anyenum, is_target boolean"
--	comment="how well an enumeration tells targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"
-- @again arguments="attribute anyarray, is_target boolean"
--	comment="how well the members of an array, taken as a set, tell targets from others; missing values have a bin of their own, rows with a NULL target are only counted, no rows give NULL"

CREATE FUNCTION crm_profile_internal.attribute_relevance_record_finalfn(state internal) RETURNS crm_profile.relevance[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function

-- @aggregate name=attribute_relevance support=attribute_relevance_record space=1048576 volatility=STABLE cost=10 more="COMBINEFUNC = crm_profile_internal.attribute_relevance_combine, SERIALFUNC = crm_profile_internal.attribute_relevance_serialize, DESERIALFUNC = crm_profile_internal.attribute_relevance_deserialize," arguments="customer record, is_target boolean"
--	comment="how well each column of the record tells targets from others, the highest information value first; unnest() gives a row per attribute"
-- @again arguments="customer record, is_target boolean, ignored text[]"
--	comment="how well each column of the record except the ignored ones tells targets from others, the highest information value first; unnest() gives a row per attribute"
-- @again arguments="customer record, is_target boolean, ignored text[], options jsonb"
--	comment="the same with bins that are given (options of the first row): special values with bins of their own, breaks of ranges or groups of words; known_by: the day, or the column with the day, by which all attributes should be known"

---------------------------------------------------------------- relevance for values

CREATE TYPE crm_profile.value_relevance_bin AS ( -- one bin of an attribute: its rows, with the mean and the median of their values
	bin text, -- the values of the attribute in the bin, in words
	rows bigint, -- rows of the bin
	mean double precision, -- mean of their values
	median double precision -- median of their values
);

CREATE TYPE crm_profile.value_relevance AS ( -- how well an attribute tells high values from low ones: statistics over its bins, and a verdict in words
	attribute text, -- name of the column; NULL for a single attribute
	verdict text, -- the answer in words: useless, not proven, weak, medium, strong, very strong, suspicious or unknown
	variance_explained double precision, -- share of the variance of the values that is between the bins, less the part expected by chance
	rank_variance_explained double precision, -- the same of the ranks of the values; the verdict goes by it
	rank_correlation double precision, -- of numbers and days: correlation of ranks (Spearman); NULL for words and sets
	kruskal_wallis double precision, -- H of the bins, corrected for ties
	degrees_of_freedom integer, -- number of bins less one
	p_value double precision, -- p-value of kruskal_wallis
	adjusted_p_value double precision, -- p-value corrected for the search for good bins, and over the attributes of a record
	missing_rate double precision, -- share of rows without a value of the attribute
	rows bigint, -- rows with a value
	mean double precision, -- mean of all values
	rows_without_value bigint, -- rows left out because their value was NULL
	bins crm_profile.value_relevance_bin[] -- the bins of the attribute
);

CREATE FUNCTION crm_profile_internal.value_relevance_finalfn(state internal) RETURNS crm_profile.value_relevance
	AS 'MODULE_PATHNAME', 'attribute_relevance_finalfn' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE FUNCTION crm_profile_internal.value_relevance_record_finalfn(state internal) RETURNS crm_profile.value_relevance[]
	AS 'MODULE_PATHNAME', 'attribute_relevance_record_finalfn' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function

-- @aggregate name=attribute_relevance support=value_relevance more="COMBINEFUNC = crm_profile_internal.attribute_relevance_combine, SERIALFUNC = crm_profile_internal.attribute_relevance_serialize, DESERIALFUNC = crm_profile_internal.attribute_relevance_deserialize," arguments="attribute text, value double precision"
--	comment="how well a text attribute tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute numeric, value double precision"
--	comment="how well a number tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute double precision, value double precision"
--	comment="how well a number tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute boolean, value double precision"
--	comment="how well a boolean tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute date, value double precision"
--	comment="how well a date tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute timestamp, value double precision"
--	comment="how well the day of a time stamp tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute anyenum, value double precision"
--	comment="how well an enumeration tells high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"
-- @again arguments="attribute anyarray, value double precision"
--	comment="how well the members of an array, taken as a set, tell high values from low ones; missing values have a bin of their own, rows with a NULL value are only counted, no rows give NULL"

-- @aggregate name=attribute_relevance support=value_relevance_record space=1048576 volatility=STABLE cost=10 more="COMBINEFUNC = crm_profile_internal.attribute_relevance_combine, SERIALFUNC = crm_profile_internal.attribute_relevance_serialize, DESERIALFUNC = crm_profile_internal.attribute_relevance_deserialize," arguments="customer record, value double precision"
--	comment="how well each column of the record tells high values from low ones, the highest rank_variance_explained first; unnest() gives a row per attribute"
-- @again arguments="customer record, value double precision, ignored text[]"
--	comment="how well each column of the record except the ignored ones tells high values from low ones, the highest rank_variance_explained first; unnest() gives a row per attribute"
-- @again arguments="customer record, value double precision, ignored text[], options jsonb"
--	comment="the same with bins that are given (options of the first row): special values with bins of their own, breaks of ranges or groups of words; known_by: the day, or the column with the day, by which all attributes should be known"

---------------------------------------------------------------- more than chance

CREATE FUNCTION crm_profile_internal.excess_p_value(found bigint, drawn bigint, marked bigint, total bigint) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50; -- probability of drawing at least as many marked ones as found (Fisher's exact test, one-sided)
