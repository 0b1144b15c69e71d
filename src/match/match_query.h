/*
 * match_query.h: a query of customers and a query of prospects, and SELECTs around them that run
 * with the caller's rights.
 */
#ifndef CRM_MATCH_QUERY_H
#define CRM_MATCH_QUERY_H

#include "utils/jsonb.h"

#include "base/compat.h"

/* Both queries and what their columns have in common. */
typedef struct MatchQuery
{
	const char *function;
	char *customers; /* query text, without a semicolon at the end */
	char *prospects;
	char *key_type;
	char *same_key;     /* the operator that compares keys of that type */
	char *customer_key; /* quoted names of the first columns */
	char *prospect_key;
	bool by_email;       /* both have a column email */
	bool of_values;      /* customers have a value, not a target */
	char *target;        /* is_target or the value of a row u */
	char *best;          /* whether a row u is to be found: a target, or a value above the mean */
	char *attributes;    /* u."a", u."b", … */
	char *options;       /* of profile_fit, an expression */
	char *bin_options;   /* of match_fit, an expression */
	bool learnt;         /* likeness by the points of the card, not by equal or given weights */
	char *profile_model; /* literals, once fitted */
	char *match_model;
} MatchQuery;

/* (key, customers, prospects, …): reads and checks the queries. */
extern void InitMatchQuery(MatchQuery *q, FunctionCallInfo fcinfo, const char *function,
						   int prospects_argument, Jsonb *options);

/* An error: customers have values. */
pg_noreturn extern void ValuesRefused(const char *what);

/*
 * Passes the rows on to the caller without the last column, which is the number of prospects left
 * out.  A row without a rank only carries that number.
 */
extern void
ReturnMatches(FunctionCallInfo fcinfo, const MatchQuery *q, const char *query, int rank_column);

/* Two text columns of a query's first row; NULL if they are. */
extern void FetchTexts(const MatchQuery *q, const char *query, char **first, char **second);

#endif /* CRM_MATCH_QUERY_H */
