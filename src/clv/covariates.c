/*
 * covariates.c: models of repeat purchase for customers with certain attributes.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/datum.h"

#include "base/common.h"
#include "clv/covariates.h"
#include "profile/profile_columns.h"

#define MAX_EFFECT 20.0 /* of an effect on a log: far beyond any real one */

void
CenterColumns(const ClvModel *model, const double *columns, int n, double *centered)
{
	for (int i = 0; i < n; i++)
		centered[i] = isnan(columns[i]) ? 0 : columns[i] - model->means[i];
}

double
EffectOf(const double *effects, const double *columns, int n)
{
	double effect = 0;

	for (int i = 0; i < n; i++)
		effect += effects[i] * columns[i];
	return Max(-MAX_EFFECT, Min(MAX_EFFECT, effect));
}

int
LeavingParameter(ClvFamily family, double *sign)
{
	*sign = family == CLV_PARETO_NBD ? -1 : 1;
	return family == CLV_PARETO_NBD ? CLV_BETA : CLV_A;
}

void
ParametersWith(ClvFamily family, double buying, double leaving, double *parameters)
{
	double sign;
	int at = LeavingParameter(family, &sign);

	parameters[CLV_ALPHA] *= exp(-buying);
	parameters[at] *= exp(sign * leaving);
}

/* The covariance of the logs of the parameters for customers with the given columns. */
static void
SetCovariance(ClvModel *model, const double *columns)
{
	int n = CLV_PARAMETERS + 2 * model->neffects;
	double *rows = palloc0(CLV_PARAMETERS * n *
						   sizeof(double)); /* derivatives with respect to everything fitted */
	double *sum = palloc(n * sizeof(double));
	double *out = model->covariance;
	double sign;
	int leaving = LeavingParameter((ClvFamily) model->family, &sign);

	for (int i = 0; i < CLV_PARAMETERS; i++)
		rows[i * n + i] = 1;
	for (int i = 0; i < model->neffects; i++)
	{
		rows[CLV_ALPHA * n + CLV_PARAMETERS + i] = -columns[i];
		rows[leaving * n + CLV_PARAMETERS + model->neffects + i] = sign * columns[i];
	}
	for (int i = 0; i < CLV_PARAMETERS; i++)
	{
		for (int k = 0; k < n; k++)
		{
			sum[k] = 0;
			for (int l = 0; l < n; l++)
				sum[k] +=
					rows[i * n + l] * model->effect_covariance[COVARIANCES(Max(k, l)) + Min(k, l)];
		}
		for (int j = 0; j <= i; j++, out++)
		{
			*out = 0;
			for (int k = 0; k < n; k++)
				*out += sum[k] * rows[j * n + k];
		}
	}
	pfree(rows);
	pfree(sum);
}

/* Forgets the attributes: what is left is the model of the average customer. */
static void
DropAttributes(ClvModel *model)
{
	model->attributes = NULL;
	model->neffects = model->nleaving = model->nmeans = model->ncovariance = 0;
}

/* The effects of a customer's attributes: the logs of the factors of buying and of leaving. */
typedef struct Effects
{
	double buying;
	double leaving;
} Effects;

/* The effects of a profile; its columns, centered, go to `columns`. */
static Effects
EffectsOfProfile(const ClvModel *model, Datum profile, double *columns)
{
	int n = model->neffects;
	Effects effects;
	ProfileView view;

	OpenProfile(&view, profile);
	ProfileColumnValues(model->attributes, &view, columns);
	CenterColumns(model, columns, n, columns);
	effects.buying = EffectOf(model->purchase_effects, columns, n);
	effects.leaving = EffectOf(model->leaving_effects, columns, n);
	return effects;
}

/* Makes of a model that of the customers with such effects, apart from its covariance. */
static void
SetEffects(ClvModel *model, Effects effects)
{
	ClvFamily family = (ClvFamily) model->family;

	ParametersWith(family, effects.buying, effects.leaving, model->parameters);
	ParametersWith(family, effects.buying, effects.leaving, model->random_parameters);
	model->fingerprint ^= MixHash64(FastStableHash64(&effects, sizeof(effects)));
	DropAttributes(model);
}

/* Makes of a model that of the customers with such a profile. */
static void
SetAttributes(ClvModel *model, Datum profile)
{
	double columns[MAX_EFFECTS];
	Effects effects = EffectsOfProfile(model, profile, columns);

	if (model->ncovariance > 0)
		SetCovariance(model, columns);
	SetEffects(model, effects);
}

const ClvModel *
ModelOfRecord(CustomerModel *kept, const ClvModel *model, int64 decodings, HeapTupleHeader record,
			  MemoryContext context, bool *changed)
{
	struct varlena *profile;

	*changed = false;
	if (model->attributes == NULL)
		return model;
	if (kept->encoder == NULL)
		kept->encoder = NewRecordEncoder(context);
	profile = EncodeRecord(kept->encoder, model->attributes, record);
	if (kept->profile != NULL && kept->decodings == decodings &&
		VARSIZE(profile) == VARSIZE(kept->profile) &&
		memcmp(profile, kept->profile, VARSIZE(profile)) == 0)
	{
		pfree(profile);
		return &kept->model;
	}
	*changed = true;
	if (kept->profile != NULL)
		pfree(kept->profile);
	kept->profile = MemoryContextAlloc(context, VARSIZE(profile));
	memcpy(kept->profile, profile, VARSIZE(profile));
	kept->decodings = decodings;
	kept->model = *model;
	SetAttributes(&kept->model, PointerGetDatum(profile));
	return &kept->model;
}

PG_FUNCTION_INFO_V1(without_attributes);
Datum
without_attributes(PG_FUNCTION_ARGS)
{
	ClvModel model = *(ClvModel *) ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));

	DropAttributes(&model);
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, &model));
}

#define KNOWN_PROFILES 256 /* many customers share one where attributes are few */

/* A model that was made of a profile before; profile NULL: none. */
typedef struct KnownProfile
{
	struct varlena *profile;
	struct varlena *model;
} KnownProfile;

typedef struct AttributeModels
{
	ModelCache cache;
	RecordEncoder *encoder;
	int64 decodings; /* of the cache, of which the profiles are */
	KnownProfile known[KNOWN_PROFILES];
} AttributeModels;

/* The model of customers with that profile, as a value that lasts. */
static Datum
ModelOfProfile(AttributeModels *kept, const ClvModel *model, struct varlena *profile,
			   MemoryContext context)
{
	uint64 hash = FastStableHash64(profile, VARSIZE(profile));
	KnownProfile *known = &kept->known[hash % KNOWN_PROFILES];
	ClvModel customers;
	MemoryContext caller;

	if (known->profile != NULL && VARSIZE(known->profile) == VARSIZE(profile) &&
		memcmp(known->profile, profile, VARSIZE(profile)) == 0)
		return PointerGetDatum(known->model);
	if (known->profile != NULL)
	{
		pfree(known->profile);
		pfree(known->model);
		known->profile = NULL;
	}
	customers = *model;
	SetAttributes(&customers, PointerGetDatum(profile));
	caller = MemoryContextSwitchTo(context);
	known->model = (struct varlena *) ModelValue(&ClvModelFormat, &customers);
	known->profile = palloc(VARSIZE(profile));
	memcpy(known->profile, profile, VARSIZE(profile));
	MemoryContextSwitchTo(caller);
	return PointerGetDatum(known->model);
}

/* What a function of (model, record) keeps, and its model. */
static AttributeModels *
AttributeModelsOf(FunctionCallInfo fcinfo, const ClvModel **model)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	AttributeModels *kept = fcinfo->flinfo->fn_extra;

	if (kept == NULL)
		fcinfo->flinfo->fn_extra = kept = MemoryContextAllocZero(context, sizeof(*kept));
	*model = CachedModel(&ClvModelFormat, &kept->cache, PG_GETARG_DATUM(0), context);
	if (kept->encoder == NULL)
		kept->encoder = NewRecordEncoder(context);
	return kept;
}

PG_FUNCTION_INFO_V1(with_attributes);
Datum
with_attributes(PG_FUNCTION_ARGS)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	const ClvModel *model;
	AttributeModels *kept = AttributeModelsOf(fcinfo, &model);
	struct varlena *profile;
	Datum answer;

	if (model->attributes == NULL)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (kept->decodings != kept->cache.decodings)
		memset(kept->known, 0, sizeof(kept->known));
	kept->decodings = kept->cache.decodings;
	profile = EncodeRecord(kept->encoder, model->attributes, PG_GETARG_HEAPTUPLEHEADER(1));
	answer = ModelOfProfile(kept, model, profile, context);
	pfree(profile);
	/* the next call may need the place where it is kept */
	return datumCopy(answer, false, -1);
}

/* (model, record): the effects on buying and on leaving, which a source keeps for its views */
PG_FUNCTION_INFO_V1(attribute_effects);
Datum
attribute_effects(PG_FUNCTION_ARGS)
{
	const ClvModel *model;
	AttributeModels *kept = AttributeModelsOf(fcinfo, &model);
	Effects effects = {0, 0};
	Datum values[2];
	bool nulls[2] = {false};

	if (model->attributes != NULL)
	{
		double columns[MAX_EFFECTS];
		struct varlena *profile =
			EncodeRecord(kept->encoder, model->attributes, PG_GETARG_HEAPTUPLEHEADER(1));

		effects = EffectsOfProfile(model, PointerGetDatum(profile), columns);
		pfree(profile);
	}
	values[0] = Float8GetDatum(effects.buying);
	values[1] = Float8GetDatum(effects.leaving);
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* (model, buying, leaving): the model of customers with such effects; NULL: of the average one */
PG_FUNCTION_INFO_V1(with_effects);
Datum
with_effects(PG_FUNCTION_ARGS)
{
	ModelCache *cache = fcinfo->flinfo->fn_extra;
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	Effects effects;
	ClvModel customers;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	effects.buying = PG_GETARG_FLOAT8(1);
	effects.leaving = PG_GETARG_FLOAT8(2);
	if (cache == NULL)
		fcinfo->flinfo->fn_extra = cache = MemoryContextAllocZero(context, sizeof(*cache));
	customers =
		*(const ClvModel *) CachedModel(&ClvModelFormat, cache, PG_GETARG_DATUM(0), context);
	SetEffects(&customers, effects);
	/* that of these customers would take the covariance of the effects, which readers do not see */
	memset(customers.covariance, 0, sizeof(customers.covariance));
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, &customers));
}
