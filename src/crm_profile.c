/* crm_profile.c: the module.  Sets up what each room needs when the library is loaded. */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "base/row_stream.h"
#include "clv/clv_holdout.h"
#include "clv/clv_record.h"
#include "orders/collect_histories.h"
#include "orders/history_aggregate.h"
#include "orders/order_workers.h"
#include "profile/nearest.h"
#include "profile/profile_gist.h"
#include "rfm/score_orders.h"
#include "source/audience.h"
#include "source/best_first.h"
#include "source/key_join.h"
#include "source/label_selectivity.h"
#include "source/payment_rows.h"
#include "source/policies_elsewhere.h"
#include "source/reading_context.h"
#include "source/rows_elsewhere.h"

PG_MODULE_MAGIC;

/* read by SQL functions only, through current_setting() */
static char *language = NULL;

extern void _PG_init(void);

void
_PG_init(void)
{
	InitRowStreams();
	InitCollectHistories();
	InitHistoryAggregate();
	InitOrderWorkers();
	InitScoreOrders();
	InitClvHoldout();
	InitClvRecord();
	InitNearestWorkers();
	InitAudience();
	InitPaymentRows();
	InitPoliciesElsewhere();
	InitRowsElsewhere();
	InitLabelSelectivity();
	InitKeyJoin();
	InitBestFirst();
	InitReadingContext();
	InitProfileGistCost();
	DefineCustomStringVariable(
		"crm_profile.language",
		"The language that people are spoken to in, such as en, de or pt-BR.",
		"There must be words for it in the table crm_profile.translation.", &language, "en",
		PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("crm_profile");
}
