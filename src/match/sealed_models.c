/*
 * sealed_models.c: models that know attributes, and can be used and not read: a profile_model and
 * a match_model.
 *
 * Scoring prospects with the rights of a reader takes the models, with the words of attributes and
 * the ends of their ranges, but the reader should learn only their decisions.  So the text form of
 * the type reveals nothing, and the random bytes in front keep `*<`, which compares images, from
 * revealing what follows them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "base/common.h"
#include "base/compat.h"

#define NONCE_BYTES 16

/* The models follow, each as a plain varlena, aligned. */
typedef struct SealedModels
{
	int32 vl_len_;
	int32 profile_bytes; /* from `data` to the match_model */
	char nonce[NONCE_BYTES];
	char data[FLEXIBLE_ARRAY_MEMBER];
} SealedModels;

extern Datum profile_from_record(PG_FUNCTION_ARGS);
extern Datum match_score(PG_FUNCTION_ARGS);
extern Datum match_lift(PG_FUNCTION_ARGS);
extern Datum match_reasons(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(seal_models);
Datum
seal_models(PG_FUNCTION_ARGS)
{
	struct varlena *profile = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	struct varlena *match = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(1));
	Size place = INTALIGN(VARSIZE(profile));
	Size size = offsetof(SealedModels, data) + place + VARSIZE(match);
	SealedModels *sealed = palloc0(size);

	SET_VARSIZE(sealed, size);
	sealed->profile_bytes = (int32) place;
	if (!pg_strong_random(sealed->nonce, NONCE_BYTES))
		elog(ERROR, "could not generate random bytes");
	memcpy(sealed->data, profile, VARSIZE(profile));
	memcpy(sealed->data + place, match, VARSIZE(match));
	PG_RETURN_POINTER(sealed);
}

/*
 * The text and binary form, "(sealed)", says nothing, so what is made of it is
 * empty: a table with sealed models can be dumped and restored, and its models
 * are gone.
 */
static const char sealed_text[] = "(sealed)";

static Datum
Emptied(const char *text)
{
	SealedModels *sealed;

	if (strcmp(text, sealed_text) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for sealed models: \"%s\"", ShortString(text)),
						errdetail("Their text is \"%s\" and tells nothing of them.", sealed_text)));
	sealed = palloc0(offsetof(SealedModels, data));
	SET_VARSIZE(sealed, offsetof(SealedModels, data));
	return PointerGetDatum(sealed);
}

PG_FUNCTION_INFO_V1(sealed_models_in);
Datum
sealed_models_in(PG_FUNCTION_ARGS)
{
	return Emptied(PG_GETARG_CSTRING(0));
}

PG_FUNCTION_INFO_V1(sealed_models_recv);
Datum
sealed_models_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int bytes;

	return Emptied(pq_getmsgtext(message, message->len - message->cursor, &bytes));
}

PG_FUNCTION_INFO_V1(sealed_models_out);
Datum
sealed_models_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup(sealed_text));
}

PG_FUNCTION_INFO_V1(sealed_models_send);
Datum
sealed_models_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(cstring_to_text(sealed_text));
}

typedef enum SealedPart
{
	SEALED_PROFILE,
	SEALED_MATCH
} SealedPart;

/* Puts a model in the place of the sealed ones, an argument. */
static void
Unseal(FunctionCallInfo fcinfo, int argument, SealedPart part)
{
	SealedModels *sealed = (SealedModels *) PG_DETOAST_DATUM(PG_GETARG_DATUM(argument));
	Size offset = 0;

	if (VARSIZE(sealed) == offsetof(SealedModels, data))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("these sealed models are empty"),
						errdetail("Their text, as in a dump, has nothing of them."),
						errhint("Take those of the view prospect_model of the source.")));
	if (part == SEALED_MATCH)
		offset = sealed->profile_bytes;
	fcinfo->args[argument].value = PointerGetDatum(sealed->data + offset);
}

/*
 * The function with a sealed model in place of that argument.  A constant is set once for all rows,
 * so it is put back.
 */
#define SEALED_FUNCTION(name, function, argument, part)                                            \
	PG_FUNCTION_INFO_V1(name);                                                                     \
	Datum name(PG_FUNCTION_ARGS)                                                                   \
	{                                                                                              \
		Datum sealed = PG_GETARG_DATUM(argument);                                                  \
		Datum result;                                                                              \
                                                                                                   \
		Unseal(fcinfo, argument, part);                                                            \
		result = function(fcinfo);                                                                 \
		fcinfo->args[argument].value = sealed;                                                     \
		return result;                                                                             \
	}

SEALED_FUNCTION(profile_from_sealed, profile_from_record, 1, SEALED_PROFILE)
SEALED_FUNCTION(match_score_sealed, match_score, 1, SEALED_MATCH)
SEALED_FUNCTION(match_lift_sealed, match_lift, 1, SEALED_MATCH)
SEALED_FUNCTION(match_reasons_sealed, match_reasons, 1, SEALED_MATCH)
