/*
 * holdout_months.c: purchases and their value by month, actual and according to a model.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "clv/clv_predict.h"
#include "clv/holdout_months.h"

#define EXACT                                                                                      \
	1e6 /* sums are counted in integer parts of the currency, so that they do not depend on the    \
		   order */

/* The months and how to find them. */
typedef struct Tracking
{
	const ClvModel *model;
	DateADT as_of;
	DateADT until;
	DateADT from; /* the first day that counts before as_of */
	HoldoutMonth *months;
	int nfitted;
	int nmonths;
} Tracking;

/* The month of a day, before as_of or after it. */
static HoldoutMonth *
MonthOf(const Tracking *tracking, DateADT day)
{
	int at = MonthNumber(day) - tracking->months[0].month;

	return &tracking->months[day > tracking->as_of ? at + 1 : at];
}

/* The last day of a month that counts in it. */
static DateADT
EndOf(const Tracking *tracking, const HoldoutMonth *month)
{
	return Min(FirstOfMonth(month->month + 1) - 1,
			   month->forecast ? tracking->until : tracking->as_of);
}

static void
LayMonths(Tracking *tracking)
{
	int32 first = MonthNumber(tracking->from);
	int32 cut = MonthNumber(tracking->as_of);
	int n = 0;

	tracking->nfitted = cut - first + 1;
	tracking->nmonths = MonthNumber(tracking->until) - first + 2;
	tracking->months = palloc0(tracking->nmonths * sizeof(HoldoutMonth));
	for (; n < tracking->nmonths; n++)
	{
		tracking->months[n].forecast = n >= tracking->nfitted;
		tracking->months[n].month = first + n - (n >= tracking->nfitted);
	}
}

/* What came. */
static void
CountActual(Tracking *tracking, const PurchaseRecord *record)
{
	RecordReader reader = {.record = record};
	int128 *exact = palloc0(tracking->nmonths * sizeof(int128));

	while (NextRecorded(&reader))
	{
		DateADT first = reader.day;
		RecordedDay day;

		while (first <= tracking->as_of && NextRecordedDay(&reader, &day))
		{
			HoldoutMonth *month;

			if (day.day > tracking->until ||
				(day.day <= tracking->as_of && (first < tracking->from || day.day == first)))
				continue;
			month = MonthOf(tracking, day.day);
			month->actual[0] += day.ordered;
			exact[month - tracking->months] += (int128) rint(day.value * EXACT);
		}
	}
	for (int i = 0; i < tracking->nmonths; i++)
		tracking->months[i].actual[1] = (double) exact[i] / EXACT;
	pfree(exact);
}

/* Expected repeat purchases of a new customer by weighted day, up to the longest time. */
static double *
PurchasesByAge(const Tracking *tracking, int *n)
{
	const ClvModel *model = tracking->model;
	ClvCustomer new = {0};
	double *expected;

	*n = (int) ceil(WeightedDays(&model->calendar, tracking->from, tracking->as_of)) + 2;
	expected = palloc(*n * sizeof(double));
	for (int i = 0; i < *n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		expected[i] = ExpectedPurchases(model, &new, i / model->unit);
	}
	return expected;
}

/* Adds the purchases expected up to as_of, given the day of the first purchase. */
static void
ExpectFitted(Tracking *tracking, const PurchaseSummary *facts, int64 ncustomers)
{
	int ndays = tracking->as_of - tracking->from + 1;
	int64 *newcomers = palloc0(ndays * sizeof(int64));
	double value = 0;
	double valued = 0;
	int nages;
	double *expected = PurchasesByAge(tracking, &nages);

	for (int64 i = 0; i < ncustomers; i++)
		if (facts[i].first >= tracking->from)
		{
			newcomers[facts[i].first - tracking->from]++;
			value += facts[i].repeat_value;
			valued += (double) facts[i].valued_days;
		}
	for (int day = 0; day < ndays; day++)
	{
		DateADT first = tracking->from + day;
		double before = 0;

		CHECK_FOR_INTERRUPTS();
		if (newcomers[day] == 0)
			continue;
		for (HoldoutMonth *month = MonthOf(tracking, first);
			 month < tracking->months + tracking->nfitted; month++)
		{
			double age = WeightedDays(&tracking->model->calendar, first, EndOf(tracking, month));
			int whole = Min((int) age, nages - 2);
			double sum = expected[whole] + (age - whole) * (expected[whole + 1] - expected[whole]);

			month->customers += newcomers[day];
			month->predicted[0] += (double) newcomers[day] * (sum - before);
			before = sum;
		}
	}
	/* frequent buyers count for more: the mean over purchases, not over customers */
	for (int i = 0; i < tracking->nfitted; i++)
		tracking->months[i].predicted[1] =
			valued > 0 ? tracking->months[i].predicted[0] * value / valued : 0;
	pfree(expected);
	pfree(newcomers);
}

/* Adds the forecasts of the customers. */
static void
ExpectForecast(Tracking *tracking, const PurchaseSummary *facts, const double *values,
			   int64 ncustomers)
{
	const ClvModel *model = tracking->model;
	HoldoutMonth *months = tracking->months + tracking->nfitted;
	int n = tracking->nmonths - tracking->nfitted;
	double *purchases = palloc(n * sizeof(double));

	for (int64 i = 0; i < ncustomers; i++)
	{
		ClvCustomer customer;
		double before = 0;

		CHECK_FOR_INTERRUPTS();
		if (i == 0 || facts[i].purchase_days != facts[i - 1].purchase_days ||
			facts[i].first != facts[i - 1].first || facts[i].last != facts[i - 1].last ||
			model->random_share > 0)
		{
			customer = CustomerInUnits(model, &facts[i], tracking->as_of);
			for (int m = 0; m < n; m++)
				purchases[m] = ExpectedPurchases(
					model, &customer,
					WeightedDays(&model->calendar, tracking->as_of, EndOf(tracking, &months[m])) *
						model->pace / model->unit);
		}
		for (int m = 0; m < n; m++)
		{
			months[m].customers++;
			months[m].predicted[0] += purchases[m] - before;
			months[m].predicted[1] += (purchases[m] - before) * values[i];
			before = purchases[m];
		}
	}
	pfree(purchases);
}

HoldoutMonth *
TrackMonths(const PurchaseRecord *record, const ClvModel *model, DateADT as_of, DateADT until,
			const PurchaseSummary *facts, const double *values, int64 ncustomers, int *nmonths)
{
	Tracking tracking = {.model = model, .as_of = as_of, .until = until};

	tracking.from = Max(OldestRecorded(record), model->observed_from);
	tracking.from = Min(tracking.from, as_of);
	/* as many months as a season considers */
	tracking.from = Max(tracking.from, FirstOfMonth(MonthNumber(as_of) - MAX_SEASON_MONTHS + 1));
	tracking.until = Min(tracking.until, FirstOfMonth(MonthNumber(as_of) + MAX_SEASON_MONTHS) - 1);
	LayMonths(&tracking);
	CountActual(&tracking, record);
	ExpectFitted(&tracking, facts, ncustomers);
	ExpectForecast(&tracking, facts, values, ncustomers);
	/* if as_of ends its month, nothing of that month is left to forecast */
	*nmonths = tracking.nmonths;
	if (MonthNumber(as_of + 1) != MonthNumber(as_of))
	{
		memmove(&tracking.months[tracking.nfitted], &tracking.months[tracking.nfitted + 1],
				(tracking.nmonths - tracking.nfitted - 1) * sizeof(HoldoutMonth));
		(*nmonths)--;
	}
	return tracking.months;
}
