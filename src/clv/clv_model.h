/*
 * clv_model.h: a fitted repeat-purchase model with its spend part.
 */
#ifndef CRM_CLV_MODEL_H
#define CRM_CLV_MODEL_H

#include "base/maximum_likelihood.h"
#include "base/model.h"
#include "clv/clv_math.h"
#include "clv/purchase_summary.h"
#include "clv/season.h"
#include "clv/summary_state.h"

#define WEEK_DAYS 7.0
#define MAX_EFFECTS ((MAX_FIT_PARAMETERS - CLV_PARAMETERS) / 2)
#define FEW_REPEATERS 10 /* with fewer, no maximum is sought */
#define CLV_BOUNDS MAX_FIT_BOUNDS

/* How the values of purchases are distributed; the numbers are stored. */
typedef enum SpendModel
{
	SPEND_GAMMA_GAMMA = 0,
	SPEND_NORMAL_NORMAL = 1,
} SpendModel;

extern const char *const SpendModelNames[];

typedef struct ClvModel
{
	int32 family; /* ClvFamily */
	int32 basis;  /* ValueBasis */
	int32 status; /* FitStatus, of the purchase part */
	int32 spend_status;
	DateADT as_of; /* of the fit; -infinity: none */
	double unit;   /* days */
	int64 customers;
	int64 repeaters; /* x > 0 */
	int64 purchases; /* sum of x */
	double parameters[CLV_PARAMETERS];
	double log_likelihood;
	double covariance[COVARIANCES(CLV_PARAMETERS)]; /* of the logs of the parameters */
	int64 spend_customers;                          /* repeat purchases with a positive value */
	int64 spend_excluded;                           /* repeat purchases without a positive value */
	double spend_parameters[SPEND_PARAMETERS];
	double spend_log_likelihood;
	double spend_covariance[COVARIANCES(SPEND_PARAMETERS)];
	double mean_value;          /* of a repeat purchase day, observed */
	double first_ratio;         /* mean repeat value over mean first value; 0 if unknown */
	int64 regularity;           /* k of the gaps; 1 for purchases at random */
	int32 season_status;        /* SeasonStatus */
	double season[YEAR_MONTHS]; /* factors of the months of the year, mean 1 */
	DateADT observed_from;      /* customers known before it are not in the fit; -infinity: none */
	int64 early_customers;      /* their number */
	Season calendar;            /* derived from `season`, `own_months` and `day_runs` */
	/* parameters as far from the edges as the profile likelihood allows; the unused ones are 0 */
	double bounds[CLV_BOUNDS * CLV_PARAMETERS];
	int32 spend_model;       /* SpendModel */
	double first_difference; /* of the mean repeat value to the mean first value; Normal-Normal */
	double pace;             /* factor of future time, from the record of forecasts */
	int nown_months;         /* the last months before as_of have factors of their own */
	float own_months[MAX_OWN_MONTHS];
	/*
	 * of the same customers if they bought at random: for the probability of a purchase, where
	 * regularity was found; 0: none
	 */
	double random_parameters[CLV_PARAMETERS];
	double random_share; /* of customers who buy at random, with those parameters; 0: not split */
	/* of the logs of both classes' parameters, and of the log-odds of the random one; 0: unknown */
	double mixed_covariance[COVARIANCES(MIXED_PARAMETERS)];
	int nday_runs; /* days with a weight that was given */
	DayRun *day_runs;
	/* effects of attributes, see covariates.h; NULL if fitted without */
	const struct ProfileModel *attributes; /* how they are encoded */
	int neffects;
	double *purchase_effects;
	int nleaving;
	double *leaving_effects;
	int nmeans;
	double *means; /* of their columns */
	int ncovariance;
	double *effect_covariance; /* of the logs of the parameters, and of the effects */
	uint64 fingerprint;        /* of its value; 0: not from one */
} ClvModel;

extern const ModelFormat ClvModelFormat;
extern const char *const ClvFamilyNames[];

/* The process that the customers of a model follow. */
static inline ClvProcess
ProcessOf(const ClvModel *model)
{
	ClvProcess process = {(ClvFamily) model->family, (int) model->regularity};

	return process;
}

/* The parameters at a bound; NULL if there is no bound of that number. */
static inline const double *
ClvBound(const ClvModel *model, int number)
{
	const double *bound = model->bounds + number * CLV_PARAMETERS;

	return bound[0] != 0 ? bound : NULL;
}

/* What the model is called: mbg/nbd, mbg/cnbd-2, … */
extern const char *ClvModelName(const ClvModel *model);

/* Whether the model has parameters to predict with. */
static inline bool
ClvModelIsUsable(const ClvModel *model)
{
	return model->status != FIT_FAILED;
}

/* Whether the model knows anything about value. */
static inline bool
KnowsValue(const ClvModel *model)
{
	return model->spend_status != FIT_NO_DATA;
}

/* Whether the spend parameters are fitted; otherwise the mean value is used. */
static inline bool
SpendIsFitted(const ClvModel *model)
{
	return FitIsMaximum(model->spend_status) || model->spend_status == FIT_GIVEN;
}

/*
 * Reads what a model name asks a fit for: purpose, features and observed_from; an error for an
 * invalid name.  FAMILY [, mixed] [, season] [, months] [, inflow | , from YYYY-MM-DD], FAMILY one
 * of bg/nbd, mbg/nbd, pareto/nbd, bg/cnbd-k and mbg/cnbd-k, with a number for k or the letter.
 */
extern void ReadModelName(text *name, FitOptions *options);

/* The days of a unit of time; an error unless it is positive. */
extern double UnitFromInterval(const Interval *unit);

#endif /* CRM_CLV_MODEL_H */
