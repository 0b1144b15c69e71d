/*
 * covariates.h: attributes of customers in the models of repeat purchase.
 *
 * With the columns z of profile_columns.h, less their means m over the customers fitted, a
 * customer buys exp(gamma'(z - m)) times as fast as the average one, alpha over that, and
 * leaves exp(delta'(z - m)) times as readily: beta over that in pareto/nbd, where leaving has
 * a rate; in bg/… and mbg/… a times that, so that the odds of leaving at a purchase, whose
 * mean is a/(b - 1), are multiplied as the rate is.  The parameters of a model are those of
 * the average customer, whom predictions without attributes are of.
 */
#ifndef CRM_COVARIATES_H
#define CRM_COVARIATES_H

#include "clv/clv_model.h"
#include "profile/profile.h"

/* Columns less their means; 0 where the attribute is missing.  Both may be the same. */
extern void CenterColumns(const ClvModel *model, const double *columns, int n, double *centered);

/* What effects make of n columns: the ln of how many times as fast. */
extern double EffectOf(const double *effects, const double *columns, int n);

/* The parameter that leaving acts on, and the sign of the effect on its log. */
extern int LeavingParameter(ClvFamily family, double *sign);

/* Makes of parameters those of customers with such effects on buying and leaving. */
extern void ParametersWith(ClvFamily family, double buying, double leaving, double *parameters);

/* What is kept between the records of customers; zeroed at first. */
typedef struct CustomerModel
{
	RecordEncoder *encoder;
	int64 decodings;         /* of the model, when the rest was made */
	struct varlena *profile; /* NULL: nothing was made */
	ClvModel model;
} CustomerModel;

/*
 * The model of customers with the attributes of a record; the model itself where it knows no
 * attributes.  `changed` tells whether it is another one than last time.
 */
extern const ClvModel *ModelOfRecord(CustomerModel *kept, const ClvModel *model, int64 decodings,
									 HeapTupleHeader record, MemoryContext context, bool *changed);

#endif /* CRM_COVARIATES_H */
