---------------------------------------------------------------- contracts and gifts: who renews, who gives again

---------------------------------------------------------------- contracts: sBG

-- @value_type type=contract_model layout="STORAGE = plain"

COMMENT ON TYPE crm_profile.contract_model IS
	'a fitted model of contracts that are renewed or not (sbg): how the probability of ending differs between customers';

CREATE FUNCTION crm_profile.contract_model(alpha double precision, beta double precision) RETURNS crm_profile.contract_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- a model made from known parameters: the probability of ending at a renewal is Beta(alpha, beta) among customers
CREATE FUNCTION crm_profile.contract_parameters(model crm_profile.contract_model,
	OUT parameter text, OUT estimate double precision, OUT standard_error double precision, OUT status text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 2; -- the parameters of a contract model with standard errors from the observed information
CREATE FUNCTION crm_profile.contract_model_card(fitted crm_profile.contract_model,
	OUT status text, OUT contracts bigint, OUT renewals bigint, OUT log_likelihood double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- what a contract model was fitted to and how the fit ended

CREATE FUNCTION crm_profile_internal.contract_fit_finalfn(state bytea) RETURNS crm_profile.contract_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000; -- aggregate final function

-- @aggregate name=contract_fit state=bytea cost=10 more="COMBINEFUNC = crm_profile_internal.summary_state_combine," arguments="renewals integer, ended boolean"
--	comment="the sbg model of contracts: how often each was renewed, and whether it then ended or is running; rows with a NULL are skipped"
-- @again arguments="renewals integer, ended boolean, contracts bigint"
--	comment="the sbg model of contracts, from rows that each stand for several equal contracts"
-- @again variant=_dates arguments="started date, ended date, as_of date, term interval"
--	comment="the sbg model of contracts, from their days: ended is the first day without the contract; if it is NULL or later than as_of, the contract is running; term is the time for which a contract is renewed"

CREATE FUNCTION crm_profile.survival(model crm_profile.contract_model, periods integer, renewals integer DEFAULT 0) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- probability that a contract renewed that many times is renewed for that many further periods; for a new one, the share of contracts left
CREATE FUNCTION crm_profile.retention(model crm_profile.contract_model, period integer) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- share of the contracts of the period before that are renewed into this period; period 1 follows the first renewal
CREATE FUNCTION crm_profile.expected_renewals(model crm_profile.contract_model, periods integer, renewals integer DEFAULT 0, discount double precision DEFAULT 0) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- expected number of renewals, in that many periods, of a contract renewed that many times, each discounted by its period: times the price, its value beyond the term already paid

---------------------------------------------------------------- gifts: BG/BB

-- @value_type type=donation_model layout="STORAGE = plain"

COMMENT ON TYPE crm_profile.donation_model IS
	'a fitted model of donors who give or not at each chance, and leave at some time (bg/bb)';

CREATE FUNCTION crm_profile.donation_model(alpha double precision, beta double precision, gamma double precision, delta double precision) RETURNS crm_profile.donation_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- a model made from known parameters: the probability of giving is Beta(alpha, beta) among donors, that of leaving before a chance Beta(gamma, delta)
CREATE FUNCTION crm_profile.donation_parameters(model crm_profile.donation_model,
	OUT parameter text, OUT estimate double precision, OUT standard_error double precision, OUT status text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 4; -- the parameters of a donation model with standard errors from the observed information
CREATE FUNCTION crm_profile.donation_model_card(fitted crm_profile.donation_model,
	OUT status text, OUT donors bigint, OUT donations bigint, OUT log_likelihood double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- what a donation model was fitted to and how the fit ended

CREATE FUNCTION crm_profile_internal.donation_fit_finalfn(state bytea) RETURNS crm_profile.donation_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000; -- aggregate final function

-- @aggregate name=donation_fit state=bytea cost=10 more="COMBINEFUNC = crm_profile_internal.summary_state_combine," arguments="donations integer, last_donation integer, chances integer"
--	comment="the bg/bb model of donors: gifts after the first, the chance of the last of them (0 for none), and the number of chances; rows with a NULL are skipped"
-- @again arguments="donations integer, last_donation integer, chances integer, donors bigint"
--	comment="the bg/bb model of donors, from rows that each stand for several equal donors"
-- @again variant=_years arguments="gave boolean[]"
--	comment="the bg/bb model of donors, from lists that say whether the donor gave at each chance after the first gift, in order"

CREATE FUNCTION crm_profile.p_alive(model crm_profile.donation_model, donations integer, last_donation integer, chances integer) RETURNS double precision
	AS 'MODULE_PATHNAME', 'donor_p_alive' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- probability that the donor is still active at the next chance
CREATE FUNCTION crm_profile.expected_donations(model crm_profile.donation_model, donations integer, last_donation integer, chances integer, horizon integer, discount double precision DEFAULT 0) RETURNS double precision
	AS 'MODULE_PATHNAME', 'expected_donations' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- expected number of gifts at the chances of the horizon, each discounted by its chance

CREATE FUNCTION crm_profile.p_alive(model crm_profile.donation_model, gave boolean[]) RETURNS double precision
	AS 'MODULE_PATHNAME', 'donor_p_alive_years' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- probability that the donor is still active at the next chance
CREATE FUNCTION crm_profile.expected_donations(model crm_profile.donation_model, gave boolean[], horizon integer, discount double precision DEFAULT 0) RETURNS double precision
	AS 'MODULE_PATHNAME', 'expected_donations_years' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- expected number of gifts at the chances of the horizon, each discounted by its chance
