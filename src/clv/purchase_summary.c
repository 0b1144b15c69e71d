/*
 * purchase_summary.c: what the models of repeat purchase use of a history.
 */
#include "postgres.h"

#include "clv/purchase_summary.h"

const char *const ValueBasisNames[] = {"revenue", "profit", NULL};

/* An exact amount, rounded to a double once. */
static double
AmountAsDouble(int128 amount, int scale)
{
	return TotalAsDouble(amount) / (double) PowerOfTen[scale];
}

double
ValueOfDay(const PurchaseDay *day, ValueBasis basis, int scale)
{
	return AmountAsDouble(basis == VALUE_REVENUE ? day->amount : day->covered - day->cost, scale);
}

static inline double
Square(double x)
{
	return x * x;
}

/* What is added up of a history, in units of its amounts. */
typedef struct PurchaseSums
{
	PurchaseSummary facts;
	int128 first_value;
	int128 repeat_value;
	int128 later_value;
	int128 of_purchase; /* of the last repeat purchase, net of the refunds so far */
	double unit;
} PurchaseSums;

/* Adds a day; `squares`: with what only fits need. */
static pg_attribute_always_inline void
AddDay(PurchaseSums *sums, const PurchaseDay *day, DateADT as_of, ValueBasis basis, bool squares)
{
	PurchaseSummary *facts = &sums->facts;
	bool valued = basis == VALUE_REVENUE || (day->cost | day->covered) != 0;
	int128 value =
		basis == VALUE_REVENUE ? (int128) day->amount : (int128) day->covered - day->cost;

	if (day->day > as_of)
	{
		facts->later_days += day->orders > 0;
		sums->later_value += value;
		return;
	}
	if (day->orders > 0)
	{
		if (facts->purchase_days++ == 0)
		{
			facts->first = day->day;
			facts->first_valued = valued;
		}
		else
		{
			facts->valued_days += valued;
			CountGap(facts, day->day);
		}
		facts->last = day->day;
		if (squares)
			facts->repeat_squares += Square((double) sums->of_purchase / sums->unit);
		sums->of_purchase = 0;
	}
	/* refunds before the first purchase belong to no known purchase */
	if (facts->purchase_days == 0)
		return;
	if (day->day == facts->first)
		sums->first_value = value;
	else
	{
		sums->repeat_value += value;
		sums->of_purchase += value;
	}
}

static inline PurchaseSummary
SummaryOf(PurchaseSums *sums, int scale, bool squares)
{
	PurchaseSummary *facts = &sums->facts;

	if (squares)
		facts->repeat_squares += Square((double) sums->of_purchase / sums->unit);
	facts->later_value = AmountAsDouble(sums->later_value, scale);
	facts->first_value = AmountAsDouble(sums->first_value, scale);
	facts->repeat_value = AmountAsDouble(sums->repeat_value, scale);
	return *facts;
}

bool
SummarizePurchases(const PurchaseHistory *history, DateADT as_of, DateADT until, ValueBasis basis,
				   PurchaseSummary *facts)
{
	HistoryReader reader;
	PurchaseSums sums = {0};
	PurchaseDay day;

	HistoryReaderInit(&reader, history);
	sums.unit = (double) PowerOfTen[reader.scale];
	while (ReadPurchaseDay(&reader, &day) && day.day <= until)
		AddDay(&sums, &day, as_of, basis, true);
	*facts = SummaryOf(&sums, reader.scale, true);
	return facts->purchase_days > 0;
}

/* SummarizePurchases() without a holdout and without squares, over a history that is kept. */
static PurchaseSummary
SummarizeKept(const PurchaseHistory *history, DateADT as_of, ValueBasis basis)
{
	PurchaseSums sums = {0};
	int64 ndays;
	int scale;
	const PurchaseDay *days = RecallDays(history, &ndays, &scale);
	PurchaseDay *decoded = NULL;

	if (days == NULL)
	{
		scale = HistoryScale(history);
		days = decoded = DecodeHistory(history, scale, &ndays);
	}
	for (const PurchaseDay *day = days; day < days + ndays && day->day <= as_of; day++)
		AddDay(&sums, day, as_of, basis, false);
	if (decoded != NULL)
		pfree(decoded);
	return SummaryOf(&sums, scale, false);
}

const PurchaseSummary *
RecallPurchases(const PurchaseHistory *history, DateADT as_of, ValueBasis basis, uint64 *serial)
{
	static struct
	{
		uint64 serial;
		DateADT as_of;
		ValueBasis basis;
		PurchaseSummary facts;
	} kept;

	*serial = HistorySerial(history);
	if (*serial == 0 || kept.serial != *serial || kept.as_of != as_of || kept.basis != basis)
	{
		kept.serial = 0;
		kept.facts = SummarizeKept(history, as_of, basis);
		kept.serial = *serial;
		kept.as_of = as_of;
		kept.basis = basis;
	}
	return &kept.facts;
}
