/*
 * order_query.c: the customers of a query of orders, each with what the task
 * asks for.
 */
#include "postgres.h"

#include "common/pg_prng.h"

#include "orders/order_query.h"

OrderQuery *
CreateOrderQuery(const char *function, Oid key_type, PurchaseGrain grain)
{
	OrderQuery *query = palloc0(sizeof(OrderQuery));

	strlcpy(query->task.function, function, NAMEDATALEN);
	query->task.key_type = key_type;
	query->task.grain = grain;
	query->task.round_amount = query->task.round_cost = AS_THEY_ARE;
	query->task.memory = HashMemoryLimit();
	query->task.seed = pg_prng_uint64(&pg_global_prng_state);
	query->pool = CreateRecordPool(CurrentMemoryContext);
	query->finished.store.pool = query->pool;
	return query;
}

static void
EndRun(CustomerRun *run)
{
	if (run->reading)
		RecordCursorEnd(&run->cursor);
	RecordStoreReset(&run->store);
}

void
EndOrderQuery(OrderQuery *query)
{
	if (query->orders != NULL)
		EndOrderPartitions(query->orders);
	EndRun(&query->finished);
	for (int i = 0; i < query->nruns; i++)
		EndRun(query->runs[i]);
	if (query->area != NULL)
		dsa_detach(query->area);
	DeleteRecordPool(query->pool);
	pfree(query);
}

/* ---------- finished customers ---------- */

CustomerRun *
RunOfBlock(OrderQuery *query, int number)
{
	MemoryContext context = query->pool->context;

	if (number == 0)
		return &query->finished;
	while (query->nruns < number)
	{
		CustomerRun *run = MemoryContextAllocZero(context, sizeof(CustomerRun));

		run->store.pool = query->pool;
		if (query->runs == NULL)
			query->runs = MemoryContextAlloc(context, sizeof(CustomerRun *));
		query->runs = repalloc(query->runs, (query->nruns + 1) * sizeof(CustomerRun *));
		query->runs[query->nruns++] = run;
	}
	return query->runs[number - 1];
}

/* A block of a worker is copied, so that the worker needs no other, or else kept where it is. */
static void
KeepSharedBlock(OrderQuery *query, RecordStore *store, RecordBlock *block, Size memory)
{
	Size before = query->pool->used;

	if (block->participant >= 0 && before + block->capacity < memory + query->given)
	{
		RecordStoreCopyBlock(store, block);
		ReturnBlock(query->shared, block);
		return;
	}
	RecordStoreTakeBlock(store, block);
	query->given += query->pool->used - before;
}

void
KeepCustomerBlock(OrderQuery *query, const bytea *block, Size memory)
{
	Size size = VARSIZE_ANY_EXHDR(block) - sizeof(BlockHeader);
	BlockHeader header;
	RecordStore *store;

	memcpy(&header, VARDATA_ANY(block), sizeof(header));
	store = &RunOfBlock(query, header.run)->store;
	query->scale = header.scale;
	if (header.block != NULL)
		RecordStoreTakeBlock(store, header.block);
	else if (DsaPointerIsValid(header.records))
		KeepSharedBlock(query, store, dsa_get_address(query->area, header.records), memory);
	else
		memcpy(RecordStoreAppend(store, size, header.scale), VARDATA_ANY(block) + sizeof(header),
			   size);
	if (query->pool->used > memory + query->given)
		RecordStoreSpill(store);
}

void
FinishCustomers(OrderQuery *query)
{
	CustomerBlocks blocks;
	bytea *block;

	if (query->orders == NULL)
		return;
	InitCustomerBlocks(&blocks, &query->task, &query->format, query->orders, query->pool, true,
					   NULL);
	while ((block = NextCustomerBlock(&blocks)) != NULL)
	{
		KeepCustomerBlock(query, block, query->task.memory);
		pfree(block);
	}
	if (blocks.run != NULL)
		pfree(blocks.run);
	EndOrderPartitions(query->orders);
	query->orders = NULL;
}

void
RewindRun(CustomerRun *run)
{
	if (run->reading)
		RecordCursorEnd(&run->cursor);
	RecordCursorBegin(&run->cursor, &run->store);
	run->reading = true;
	run->block = NULL;
}

/* ---------- histories ---------- */

/* The run with the smaller customer comes first. */
static int
CompareRuns(Datum a, Datum b, void *arg)
{
	OrderQuery *query = arg;

	return ApplySortComparator(
		RecordCustomer(((CustomerRun *) DatumGetPointer(b))->record, &query->format), false,
		RecordCustomer(((CustomerRun *) DatumGetPointer(a))->record, &query->format), false,
		&query->order);
}

/* Begins to merge the runs. */
static void
StartMerge(OrderQuery *query)
{
	MemoryContext caller = MemoryContextSwitchTo(query->pool->context);

	PrepareCustomerOrder(&query->task, &query->order, query->pool->context);
	query->merge = binaryheap_allocate(Max(1, query->nruns), CompareRuns, query);
	for (int i = 0; i < query->nruns; i++)
	{
		RewindRun(query->runs[i]);
		query->runs[i]->record = NextInRun(query->runs[i], query);
		if (query->runs[i]->record != NULL)
			binaryheap_add_unordered(query->merge, PointerGetDatum(query->runs[i]));
	}
	binaryheap_build(query->merge);
	MemoryContextSwitchTo(caller);
}

/* The next customer of all runs; NULL at the end.  Its record is read until the next call. */
static const PackedPurchase *
NextOfRuns(OrderQuery *query)
{
	CustomerRun *run;

	if (query->merge == NULL)
		StartMerge(query);
	else if (!binaryheap_empty(query->merge))
	{
		run = (CustomerRun *) DatumGetPointer(binaryheap_first(query->merge));
		run->record = NextInRun(run, query);
		if (run->record != NULL)
			binaryheap_replace_first(query->merge, PointerGetDatum(run));
		else
			binaryheap_remove_first(query->merge);
	}
	if (binaryheap_empty(query->merge))
		return NULL;
	run = (CustomerRun *) DatumGetPointer(binaryheap_first(query->merge));
	return run->record;
}

bool
NextCustomerHistory(OrderQuery *query, Datum *customer, PurchaseHistory **history)
{
	const PackedPurchase *record;
	CustomerPurchases next;

	if (query->orders != NULL)
	{
		if (!NextCustomerPurchases(query->orders, &next))
			return false;
		*customer = next.customer;
		if (query->task.every_customer && next.ndays > 0 && next.days[0].day == NO_DAY)
		{
			next.days++;
			next.ndays--;
			*history = NULL;
			if (next.ndays == 0)
				return true;
		}
		*history = EncodeSortedHistory(next.days, next.ndays, next.scale);
		return true;
	}
	if (OidIsValid(query->task.order_operator))
		record = NextOfRuns(query);
	else
	{
		if (!query->finished.reading)
			RewindRun(&query->finished);
		record = NextInRun(&query->finished, query);
	}
	if (record == NULL)
		return false;
	*customer = RecordCustomer(record, &query->format);
	*history = FinishedHistory(record, &query->format);
	return true;
}
