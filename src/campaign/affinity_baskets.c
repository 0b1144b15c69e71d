/*
 * affinity_baskets.c: the baskets of a query of order lines.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/caller_query.h"
#include "campaign/affinity_baskets.h"

#define BASKET_COLUMN 1
#define PRODUCT_COLUMN 2

/* ---------- lines ---------- */

/* Takes the rows of the query. */
typedef struct LineReceiver
{
	DestReceiver pub; /* must be first */
	Baskets *baskets;
	RecordPool *pool; /* of the lines */
	OrderPartitions *lines;
	RecordFormat format;
	Oid product_type; /* text, or InvalidOid: as its output function writes it */
	FmgrInfo product_output;
	MemoryContext row;
} LineReceiver;

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	LineReceiver *receiver = (LineReceiver *) self;
	MemoryContext caller = MemoryContextSwitchTo(receiver->baskets->context);
	Form_pg_attribute basket;
	Oid type;

	CheckColumnCount(columns, PRODUCT_COLUMN, "basket and product");
	basket = TupleDescAttr(columns, BASKET_COLUMN - 1);
	InitCustomerKey(&receiver->format.key, basket->atttypid, basket->attcollation);
	type = getBaseType(TupleDescAttr(columns, PRODUCT_COLUMN - 1)->atttypid);
	if (type == TEXTOID || type == VARCHAROID)
		receiver->product_type = TEXTOID;
	else
	{
		Oid output;
		bool is_varlena;

		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info(output, &receiver->product_output);
	}
	receiver->lines = CreateOrderPartitions(receiver->pool, &receiver->format, PER_DAY, 0,
											2 * receiver->baskets->memory);
	MemoryContextSwitchTo(caller);
}

static Word
NameOf(LineReceiver *receiver, Datum value)
{
	char *name;

	if (receiver->product_type == TEXTOID)
		return WordOfText(DatumGetTextPP(value));
	name = OutputFunctionCall(&receiver->product_output, value);
	return (Word){name, strlen(name)};
}

static bool
ReceiveLine(TupleTableSlot *row, DestReceiver *self)
{
	LineReceiver *receiver = (LineReceiver *) self;
	CustomerKey *key = &receiver->format.key;
	MemoryContext caller = MemoryContextSwitchTo(receiver->row);
	Datum basket;
	Word name = {NULL, 0};
	PurchaseDay line = {.orders = 1};

	slot_getallattrs(row);
	if (!row->tts_isnull[PRODUCT_COLUMN - 1])
		name = NameOf(receiver, row->tts_values[PRODUCT_COLUMN - 1]);
	if (row->tts_isnull[BASKET_COLUMN - 1])
		receiver->baskets->without_basket++;
	else if (name.length == 0)
		receiver->baskets->without_product++;
	else
	{
		basket = FlatKey(key, row->tts_values[BASKET_COLUMN - 1]);
		line.day = NO_DAY + 1 + (DateADT) EnterProduct(&receiver->baskets->products, name);
		AddPurchase(receiver->lines, basket, CustomerKeyBits(key, basket), &line, NULL, 0);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(receiver->row);
	return true;
}

static void
Nothing(DestReceiver *self)
{
}

/* Brings the lines of each basket together. */
static void
GroupLines(LineReceiver *receiver)
{
	Baskets *baskets = receiver->baskets;
	CustomerPurchases basket;

	while (NextCustomerPurchases(receiver->lines, &basket))
	{
		Size size = offsetof(Basket, products) + mul_size(basket.ndays, sizeof(uint32));
		Basket *record = (Basket *) RecordStoreAppend(&baskets->store, MAXALIGN(size), 0);

		record->nproducts = (uint32) basket.ndays;
		for (int64 i = 0; i < basket.ndays; i++)
		{
			record->products[i] = (uint32) (basket.days[i].day - NO_DAY - 1);
			baskets->products.list[record->products[i]].baskets++;
		}
		if (++baskets->nbaskets > PG_UINT32_MAX)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("there are more than %u baskets", PG_UINT32_MAX)));
		if (baskets->pool->used > baskets->memory)
			RecordStoreSpill(&baskets->store);
	}
}

Baskets *
CollectBaskets(const char *function, const char *query)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "baskets", ALLOCSET_DEFAULT_SIZES);
	Baskets *baskets = MemoryContextAllocZero(context, sizeof(Baskets));
	LineReceiver receiver = {.baskets = baskets};

	baskets->context = context;
	baskets->memory = Max(HashMemoryLimit(), MIN_ORDER_MEMORY) / 4;
	InitProducts(&baskets->products, context, baskets->memory);
	baskets->pool = CreateRecordPool(context);
	baskets->store.pool = baskets->pool;
	receiver.pub.receiveSlot = ReceiveLine;
	receiver.pub.rStartup = Startup;
	receiver.pub.rShutdown = Nothing;
	receiver.pub.rDestroy = Nothing;
	receiver.pub.mydest = DestNone;
	receiver.pool = CreateRecordPool(context);
	receiver.row = AllocSetContextCreate(context, "order line", ALLOCSET_SMALL_SIZES);
	RunQuery(function, query, &receiver.pub);
	GroupLines(&receiver);
	EndOrderPartitions(receiver.lines);
	DeleteRecordPool(receiver.pool);
	return baskets;
}

void
EndBaskets(Baskets *baskets)
{
	RecordStoreReset(&baskets->store);
	MemoryContextDelete(baskets->context);
}

/* ---------- reading ---------- */

void
BeginBaskets(BasketReader *reader, Baskets *baskets)
{
	RecordCursorBegin(&reader->cursor, &baskets->store);
	reader->block = NULL;
}

const Basket *
NextBasket(BasketReader *reader)
{
	const Basket *basket;

	CHECK_FOR_INTERRUPTS();
	while (reader->block == NULL || reader->next >= reader->block->data + reader->block->used)
	{
		reader->block = RecordCursorNext(&reader->cursor);
		if (reader->block == NULL)
		{
			RecordCursorEnd(&reader->cursor);
			return NULL;
		}
		reader->next = reader->block->data;
	}
	basket = (const Basket *) reader->next;
	reader->next += MAXALIGN(offsetof(Basket, products) + basket->nproducts * sizeof(uint32));
	return basket;
}
