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

/* SummarizePurchases() over a reader; `squares`: with what only fits need. */
static inline bool
SummarizeReadings(HistoryReader *reader, DateADT as_of, DateADT until, ValueBasis basis,
				  bool squares, PurchaseSummary *facts)
{
	PurchaseDay day;
	int128 first_value = 0;
	int128 repeat_value = 0;
	int128 later_value = 0;
	int128 of_purchase = 0; /* of the last repeat purchase, net of the refunds so far */
	double unit = (double) PowerOfTen[reader->scale];

	memset(facts, 0, sizeof(*facts));
	while (ReadPurchaseDay(reader, &day) && day.day <= until)
	{
		bool valued = basis == VALUE_REVENUE || (day.cost | day.covered) != 0;
		int128 value =
			basis == VALUE_REVENUE ? (int128) day.amount : (int128) day.covered - day.cost;

		if (day.day > as_of)
		{
			facts->later_days += day.orders > 0;
			later_value += value;
			continue;
		}
		if (day.orders > 0)
		{
			if (facts->purchase_days++ == 0)
			{
				facts->first = day.day;
				facts->first_valued = valued;
			}
			else
			{
				facts->valued_days += valued;
				CountGap(facts, day.day);
			}
			facts->last = day.day;
			if (squares)
				facts->repeat_squares += Square((double) of_purchase / unit);
			of_purchase = 0;
		}
		/* refunds before the first purchase belong to no known purchase */
		if (facts->purchase_days == 0)
			continue;
		if (day.day == facts->first)
			first_value = value;
		else
		{
			repeat_value += value;
			of_purchase += value;
		}
	}
	if (squares)
		facts->repeat_squares += Square((double) of_purchase / unit);
	facts->later_value = AmountAsDouble(later_value, reader->scale);
	facts->first_value = AmountAsDouble(first_value, reader->scale);
	facts->repeat_value = AmountAsDouble(repeat_value, reader->scale);
	return facts->purchase_days > 0;
}

bool
SummarizePurchases(const PurchaseHistory *history, DateADT as_of, DateADT until, ValueBasis basis,
				   PurchaseSummary *facts)
{
	HistoryReader reader;

	HistoryReaderInit(&reader, history);
	return SummarizeReadings(&reader, as_of, until, basis, true, facts);
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
		HistoryReader reader;

		kept.serial = 0;
		RecallHistory(&reader, history);
		(void) SummarizeReadings(&reader, as_of, as_of, basis, false, &kept.facts);
		kept.serial = *serial;
		kept.as_of = as_of;
		kept.basis = basis;
	}
	return &kept.facts;
}
