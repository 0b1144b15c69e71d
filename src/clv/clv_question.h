/*
 * clv_question.h: what a prediction asks about one customer, and the answers.
 */
#ifndef CRM_CLV_QUESTION_H
#define CRM_CLV_QUESTION_H

#include "datatype/timestamp.h"

#include "clv/clv_predict.h"
#include "clv/covariates.h"

#define MAX_MONTHS 1201

/* A remembered answer. */
typedef struct Memo
{
	uint32 generation;
	int32 purchase_days;
	int32 age;     /* days from the first purchase to as_of */
	int32 silence; /* and from the last one, if it matters */
	double value[FLEXIBLE_ARRAY_MEMBER];
} Memo;

/*
 * Remembered answers: many customers share what an answer depends on, above all one-time buyers.
 * Answers of another generation are void.
 */
typedef struct MemoTable
{
	void *room; /* in which the slots lie */
	char *slots;
	Size size;    /* of a slot: whole lines of the cache, since each is read alone */
	int64 nslots; /* a power of two */
	int64 misses; /* since the table has its size */
	uint32 generation;
} MemoTable;

/* State kept from row to row, in fn_extra; what is compared in each row comes first. */
typedef struct Predictor
{
	ModelCache cache;
	const ClvModel *model;
	int64 decodings;         /* `decodings` of the cache when the rest was set up */
	int attributes_argument; /* 0: none */
	DateADT alive_as_of;     /* of the memo `alive`, if days have weights */
	bool has_horizon;
	DateADT as_of;
	Interval interval;
	double discount; /* monthly */
	double horizon;  /* in units */
	CustomerModel customer;
	MemoTable alive;    /* P(alive), if it takes an integral */
	MemoTable by_phase; /* of regular buyers, of x and T, within the horizon */
	int nmonths;
	double month_end[MAX_MONTHS]; /* in units, the last one is the horizon */
} Predictor;

/* Purchases of customers who are alive within a horizon. */
typedef enum IfAlive
{
	PURCHASES_IF_ALIVE,
	DISCOUNTED_IF_ALIVE, /* the same, each purchase discounted by its month */
	IF_ALIVE_KINDS
} IfAlive;

/* A question about one customer. */
typedef struct Question
{
	Predictor *predictor;
	MemoryContext context; /* lives as long as the predictor */
	uint64 serial;         /* of the history */
	const PurchaseSummary *facts;
	DateADT as_of;
	ClvCustomer customer;
	bool first_counts; /* the first purchase counts as information about value */
	double chance;     /* the probability of a repeat purchase that is searched for */
} Question;

/*
 * What the functions found about the customer last asked about: several columns of a view use the
 * same answers.
 */
typedef struct LastAnswers
{
	uint64 history; /* serial numbers; 0: none */
	uint64 model;
	DateADT as_of;
	bool customer_known;
	bool alive_known;
	bool clv_known;
	bool any_known;
	PurchaseSummary facts;
	ClvCustomer customer; /* of the facts, in units of the model */
	double alive;
	double any_purchase; /* P(a purchase) within this horizon, in units */
	double any_horizon;
	double clv; /* in this horizon, at this discount */
	Interval horizon;
	double discount;
} LastAnswers;

/*
 * The question of the arguments (history, model, as_of [, horizon …]); false if the answer is NULL.
 * The level of an interval function follows them.
 */
extern bool
ReadQuestion(FunctionCallInfo fcinfo, int horizon_argument, double discount, Question *question);

/*
 * The same where these arguments begin at `first_argument`, as those of an aggregate do, with the
 * horizon given; NULL for none.
 */
extern bool AskQuestion(FunctionCallInfo fcinfo, int first_argument, const Interval *horizon,
						double discount, Question *question);

/*
 * The probability of a purchase of the customer with that history (its serial number), by a horizon
 * in units: it is also what the lifecycle goes by.
 */
extern double RecallAnyPurchase(uint64 history, const ClvModel *model, DateADT as_of,
								const ClvCustomer *customer, double horizon);

/* The answers about this customer, who was the last one asked about. */
extern LastAnswers *AnswersFor(const Question *question);

/* P(alive) at the parameters of the model. */
extern double Alive(const Question *question);

/* The answer of this kind for a customer who may be lost. */
extern double Expected(const Question *question, IfAlive kind);

/* Mean and variance of purchases in the horizon; shares the answers above. */
extern PurchaseForecast ForecastOfQuestion(const Question *question);

/* An answer at given parameters, which need not be the model's own. */
typedef double (*Answer)(const Question *question, const double *parameters, const double *spend);

extern double AnswerAlive(const Question *question, const double *parameters, const double *spend);
extern double
AnswerPurchases(const Question *question, const double *parameters, const double *spend);
extern double
AnswerAnyPurchase(const Question *question, const double *parameters, const double *spend);
extern double AnswerClv(const Question *question, const double *parameters, const double *spend);
/* The time, in units, within which a repeat purchase has the probability question->chance. */
extern double AnswerWait(const Question *question, const double *parameters, const double *spend);
/* The expected value of a purchase. */
extern double AnswerValue(const Question *question, const double *parameters, const double *spend);

/* The day that many units after as_of; false if it lies beyond the calendar. */
extern bool DayAfter(const Question *question, DateADT as_of, double wait, DateADT *day);

#endif /* CRM_CLV_QUESTION_H */
