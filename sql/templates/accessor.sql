-- @default without=
CREATE FUNCTION crm_profile.{name}(history crm_profile.purchase_history) RETURNS {result}
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12;
COMMENT ON FUNCTION crm_profile.{name}(crm_profile.purchase_history) IS
	'{comment}{without}';
CREATE FUNCTION crm_profile.{name}(history crm_profile.purchase_history, as_of date) RETURNS {result}
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12;
COMMENT ON FUNCTION crm_profile.{name}(crm_profile.purchase_history, date) IS
	'{comment}, up to and including as_of{without}';
CREATE FUNCTION crm_profile.{name}(history crm_profile.purchase_history, as_of date, period interval) RETURNS {result}
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12;
COMMENT ON FUNCTION crm_profile.{name}(crm_profile.purchase_history, date, interval) IS
	'{comment}, in the period that ends with as_of{without}';
