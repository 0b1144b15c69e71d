/* crm_profile.c: the module.  Sets up what each room needs when the library is loaded. */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "base/row_stream.h"
#include "orders/collect_histories.h"
#include "orders/order_workers.h"
#include "rfm/score_orders.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

void
_PG_init(void)
{
	InitRowStreams();
	InitCollectHistories();
	InitOrderWorkers();
	InitScoreOrders();
	MarkGUCPrefixReserved("crm_profile");
}
