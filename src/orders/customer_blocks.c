/*
 * customer_blocks.c: finished customers in blocks of bytes.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "orders/customer_blocks.h"

/* A run takes at least so much memory, and a quarter of what the task may have. */
#define MIN_RUN ((Size) 4 * 1024 * 1024)

#define ST_SORT SortRun
#define ST_ELEMENT_TYPE RunEntry
#define ST_COMPARE(a, b, order) ApplySortComparator((a)->key, false, (b)->key, false, order)
#define ST_COMPARE_ARG_TYPE SortSupportData
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Histories that may be larger are not encoded in the block. */
#define MAX_ENCODED_IN_PLACE (BLOCK_CAPACITY / 8)

/* A record of the customer alone, with the history behind it. */
static void
AppendHistory(RecordStore *finished, const RecordFormat *format, const CustomerPurchases *customer)
{
	const CustomerKey *key = &format->key;
	Size size = NARROW_RECORD_SIZE;
	Size room = MAXALIGN(MaxHistorySize(customer->ndays));
	PurchaseHistory *history = NULL;
	PackedPurchase *record;

	if (!key->integer)
		size += MAXALIGN(FlatKeySize(key, customer->customer));
	if (room > MAX_ENCODED_IN_PLACE)
	{
		history = EncodeSortedHistory(customer->days, customer->ndays, customer->scale);
		room = MAXALIGN(VARSIZE(history));
	}
	record = (PackedPurchase *) RecordStoreAppend(finished, size + room, customer->scale);
	record->bits = key->integer ? (uint64) customer->customer : 0;
	record->number = 0;
	record->mark = 0;
	if (!key->integer)
		(void) StoreKey(RecordKey(record, format), key, customer->customer);
	if (history != NULL)
	{
		memcpy((char *) record + size, history, VARSIZE(history));
		pfree(history);
		return;
	}
	history = (PurchaseHistory *) ((char *) record + size);
	WriteSortedHistory(history, customer->days, customer->ndays, customer->scale);
	RecordStoreTrim(finished, (char *) record, size + MAXALIGN(VARSIZE(history)));
}

void
AppendCustomer(RecordStore *finished, const RecordFormat *format, PurchaseGrain grain,
			   const CustomerPurchases *customer)
{
	if (grain == PER_DAY)
		AppendHistory(finished, format, customer);
	else
		AppendPurchase(finished, format, customer->customer,
					   format->key.integer ? (uint64) customer->customer : 0, customer->days, NULL,
					   customer->scale);
}

void
PrepareCustomerOrder(const OrderTask *task, SortSupport order, MemoryContext context)
{
	memset(order, 0, sizeof(*order));
	order->ssup_cxt = context;
	order->ssup_collation = task->order_collation;
	order->ssup_attno = 1;
	PrepareSortSupportFromOrderingOp(task->order_operator, order);
}

/* Where blocks are that are handed on. */
static RecordPlace
PlaceOfBlocks(const CustomerBlocks *blocks)
{
	return blocks->here ? RECORDS_OWN : RECORDS_SHARED_IF_ANY;
}

void
InitCustomerBlocks(CustomerBlocks *blocks, const OrderTask *task, const RecordFormat *format,
				   OrderPartitions *orders, RecordPool *pool, bool here, pg_atomic_uint32 *runs)
{
	memset(blocks, 0, sizeof(*blocks));
	blocks->orders = orders;
	blocks->task = task;
	blocks->format = format;
	blocks->finished.pool = pool;
	blocks->here = here;
	if (!OidIsValid(task->order_operator))
		blocks->finished.place = PlaceOfBlocks(blocks);
	blocks->context = CurrentMemoryContext;
	blocks->runs = runs;
	if (OidIsValid(task->order_operator))
		PrepareCustomerOrder(task, &blocks->order, CurrentMemoryContext);
}

/* Finishes the next customer; false if there is none. */
static bool
FinishCustomer(CustomerBlocks *blocks)
{
	CustomerPurchases next;

	if (blocks->ended || !NextCustomerPurchases(blocks->orders, &next))
	{
		blocks->ended = true;
		return false;
	}
	AppendCustomer(&blocks->finished, blocks->format, blocks->task->grain, &next);
	return true;
}

/* Hands on the first block of a store. */
static bytea *
HandOn(CustomerBlocks *blocks, RecordStore *store)
{
	RecordBlock *block = store->first;
	BlockHeader header = {.scale = block->scale, .run = blocks->run_number, .records = block->self};
	bool travels = blocks->here || DsaPointerIsValid(block->self);
	Size size = VARHDRSZ + sizeof(header) + (travels ? 0 : block->used);
	bytea *bytes = palloc(size);

	if (blocks->here)
		header.block = block;
	block->participant = store->pool->participant;
	SET_VARSIZE(bytes, size);
	memcpy(VARDATA(bytes), &header, sizeof(header));
	if (travels)
		(void) RecordStoreGiveFirst(store);
	else
	{
		memcpy(VARDATA(bytes) + sizeof(header), block->data, block->used);
		RecordStoreDropFirst(store);
	}
	return bytes;
}

/* ---------- in no order ---------- */

static bytea *
NextBlockAsTheyCome(CustomerBlocks *blocks)
{
	RecordStore *finished = &blocks->finished;

	while (finished->first == finished->last)
		if (!FinishCustomer(blocks))
		{
			RecordStoreSeal(finished);
			break;
		}
	return finished->first != NULL ? HandOn(blocks, finished) : NULL;
}

/* ---------- in order ---------- */

/* Finishes and sorts as many customers as fit a run; false if there are none left. */
static bool
NextRun(CustomerBlocks *blocks)
{
	RecordStore *finished = &blocks->finished;
	int64 n = 0;

	RecordStoreReset(finished);
	while (finished->memory < Max(MIN_RUN, blocks->task->memory / 4) && FinishCustomer(blocks))
		;
	if (finished->records == 0)
		return false;
	RecordStoreSeal(finished);
	if (blocks->run != NULL)
		pfree(blocks->run);
	blocks->run = MemoryContextAllocHuge(blocks->context, finished->records * sizeof(RunEntry));
	for (const RecordBlock *block = finished->first; block != NULL; block = block->next)
		for (const char *at = block->data; at < block->data + block->used;)
		{
			const PackedPurchase *record = (const PackedPurchase *) at;

			blocks->run[n++] = (RunEntry){RecordCustomer(record, blocks->format), record};
			at += FinishedSize(record, blocks->format, blocks->task->grain);
		}
	SortRun(blocks->run, n, &blocks->order);
	blocks->nrun = n;
	blocks->next = 0;
	blocks->run_number = blocks->runs != NULL ? pg_atomic_fetch_add_u32(blocks->runs, 1) + 1
											  : blocks->run_number + 1;
	return true;
}

/* Copies records of the run, up to that one. */
static void
CopyFromRun(CustomerBlocks *blocks, int64 end, char *to)
{
	for (; blocks->next < end; blocks->next++)
	{
		const PackedPurchase *record = blocks->run[blocks->next].record;
		Size size = FinishedSize(record, blocks->format, blocks->task->grain);

		memcpy(to, record, size);
		to += size;
	}
}

static bytea *
NextBlockInOrder(CustomerBlocks *blocks)
{
	RecordStore block = {.pool = blocks->finished.pool, .place = PlaceOfBlocks(blocks)};
	Size size = 0;
	int64 end;

	if (blocks->next == blocks->nrun && !NextRun(blocks))
		return NULL;
	for (end = blocks->next; end < blocks->nrun; end++)
	{
		Size more = FinishedSize(blocks->run[end].record, blocks->format, blocks->task->grain);

		if (size > 0 && size + more > BLOCK_CAPACITY)
			break;
		size += more;
	}
	CopyFromRun(blocks, end, RecordStoreAppend(&block, size, blocks->finished.first->scale));
	RecordStoreSeal(&block);
	return HandOn(blocks, &block);
}

bytea *
NextCustomerBlock(CustomerBlocks *blocks)
{
	CHECK_FOR_INTERRUPTS();
	if (!blocks->here)
		TakeReturned(blocks->orders);
	if (OidIsValid(blocks->task->order_operator))
		return NextBlockInOrder(blocks);
	return NextBlockAsTheyCome(blocks);
}
