/*
 * covariates.h: attributes of customers in the models of repeat purchase.
 *
 * With the columns z of profile_columns.h and their means m over the fitted customers, a customer
 * buys exp(gamma'(z - m)) times as fast as the average one (alpha is divided by that) and leaves
 * exp(delta'(z - m)) times as readily: in pareto/nbd, where leaving has a rate, beta is divided by
 * that; in bg/… and mbg/… a is multiplied, so that the odds of leaving at a purchase, whose mean is
 * a/(b - 1), are multiplied like the rate.  The parameters of a model are those of the average
 * customer, and so are predictions without attributes.
 */
#ifndef CRM_COVARIATES_H
#define CRM_COVARIATES_H

#include "clv/clv_model.h"
#include "profile/profile.h"

/*
 * Columns less their means; 0 if the attribute is missing.  Input and output may be the same array.
 */
extern void CenterColumns(const ClvModel *model, const double *columns, int n, double *centered);

/* The effect of n columns: the log of the factor of the rate. */
extern double EffectOf(const double *effects, const double *columns, int n);

/* The parameter that leaving acts on, and the sign of the effect on its log. */
extern int LeavingParameter(ClvFamily family, double *sign);

/* Applies effects on buying and leaving to parameters. */
extern void ParametersWith(ClvFamily family, double buying, double leaving, double *parameters);

/* What is kept from record to record; must start zeroed. */
typedef struct CustomerModel
{
	RecordEncoder *encoder;
	int64 decodings;         /* `decodings` of the model when the rest was made */
	struct varlena *profile; /* NULL if not made yet */
	ClvModel model;
} CustomerModel;

/*
 * The model of customers with the attributes of a record; the model itself if it knows no
 * attributes.  `changed` tells whether it differs from the one of the last call.
 */
extern const ClvModel *ModelOfRecord(CustomerModel *kept, const ClvModel *model, int64 decodings,
									 HeapTupleHeader record, MemoryContext context, bool *changed);

#endif /* CRM_COVARIATES_H */
