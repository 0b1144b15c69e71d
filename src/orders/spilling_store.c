/*
 * spilling_store.c: a sequence of records in memory, or in a temporary file.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "orders/spilling_store.h"

#define FIRST_CHUNK ((Size) 64 * 1024)
#define MAX_CHUNK ((Size) 16 * 1024 * 1024)
#define MAX_SHARED_CHUNK ((Size) 1024 * 1024)
#define HUGE_PAGE ((Size) 2 * 1024 * 1024)
#define SMALL_PAGE 4096

/* The header of a block in the file. */
typedef struct FileBlockHeader
{
	uint32 used;
	int32 scale;
} FileBlockHeader;

static inline Size
BlockMemory(Size capacity)
{
	return offsetof(RecordBlock, data) + capacity;
}

/* Asks for huge pages if the system has them; the result does not matter. */
static void
AdviseHugePages(void *chunk, Size size)
{
#ifdef MADV_HUGEPAGE
	char *start = (char *) TYPEALIGN(HUGE_PAGE, chunk);
	char *end = (char *) TYPEALIGN_DOWN(HUGE_PAGE, (char *) chunk + size);

	if (start < end)
		(void) madvise(start, end - start, MADV_HUGEPAGE);
#endif
}

RecordPool *
CreateRecordPool(MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "crm_profile records", ALLOCSET_DEFAULT_SIZES);
	RecordPool *pool = MemoryContextAllocZero(context, sizeof(RecordPool));

	pool->context = context;
	pool->own.next_size = FIRST_CHUNK;
	return pool;
}

void
DeleteRecordPool(RecordPool *pool)
{
	MemoryContextDelete(pool->context);
}

/* Has shared memory mapped at once, where the system can, and not page by page. */
static void
MapShared(void *chunk, Size size)
{
#ifdef MADV_POPULATE_WRITE
	char *start = (char *) TYPEALIGN_DOWN(SMALL_PAGE, chunk);

	(void) madvise(start, (char *) chunk + size - start, MADV_POPULATE_WRITE);
#endif
}

void
ShareRecordPool(RecordPool *pool, dsa_area *area, FileSet *files, int participant, Size limit)
{
	pool->area = area;
	pool->files = files;
	pool->participant = participant;
	pool->shared.next_size = FIRST_CHUNK;
	pool->shared_limit = limit;
}

/* Begins a chunk, larger than the one before. */
static void
NewChunk(RecordPool *pool, bool shared)
{
	RecordChunk *chunk = shared ? &pool->shared : &pool->own;
	Size size = chunk->next_size;

	chunk->self = InvalidDsaPointer;
	if (shared)
	{
		chunk->self = dsa_allocate(pool->area, size);
		chunk->next = dsa_get_address(pool->area, chunk->self);
		MapShared(chunk->next, size);
		pool->shared_taken += size;
	}
	else
	{
		chunk->next = MemoryContextAllocHuge(pool->context, size);
		AdviseHugePages(chunk->next, size);
	}
	chunk->left = size;
	chunk->next_size = Min(size * 2, shared ? MAX_SHARED_CHUNK : MAX_CHUNK);
}

/* A block from a chunk, a new one when it is used up. */
static RecordBlock *
CutFromChunk(RecordPool *pool, Size size, bool shared)
{
	RecordChunk *chunk = shared ? &pool->shared : &pool->own;
	RecordBlock *block;

	size = MAXALIGN(size);
	if (chunk->left < size)
		NewChunk(pool, shared);
	block = (RecordBlock *) chunk->next;
	block->self = chunk->self;
	chunk->next += size;
	chunk->left -= size;
	if (shared)
		chunk->self += size;
	return block;
}

/* A block of an odd size, which comes alone. */
static RecordBlock *
AllocateAlone(RecordPool *pool, Size size, bool shared)
{
	RecordBlock *block;
	dsa_pointer self = InvalidDsaPointer;

	if (shared)
	{
		self = dsa_allocate_extended(pool->area, size, DSA_ALLOC_HUGE);
		block = dsa_get_address(pool->area, self);
	}
	else
		block = MemoryContextAllocHuge(pool->context, size);
	block->self = self;
	return block;
}

/* The list that blocks of a capacity return to; NULL for odd sizes, which are not reused. */
static RecordBlock **
FreeList(RecordPool *pool, Size capacity, bool shared)
{
	if (capacity == SMALL_BLOCK_CAPACITY)
		return shared ? &pool->free_shared_small : &pool->free_small;
	if (capacity != BLOCK_CAPACITY)
		return NULL;
	return shared ? &pool->free_shared_large : &pool->free_large;
}

/* Whether a block that need not be shared is to be. */
static bool
SharedMemoryIsLeft(RecordPool *pool, RecordBlock **list)
{
	if (list == NULL)
		return false;
	return *list != NULL || pool->shared_taken < pool->shared_limit;
}

static RecordBlock *
AllocateBlock(RecordPool *pool, Size capacity, int scale, RecordPlace place)
{
	RecordBlock **list = FreeList(pool, capacity, true);
	bool shared = place == RECORDS_SHARED ||
				  (place == RECORDS_SHARED_IF_ANY && SharedMemoryIsLeft(pool, list));
	RecordBlock *block;

	if (!shared && (list == NULL || *list == NULL || pool->travelling ||
					*FreeList(pool, capacity, false) != NULL))
		list = FreeList(pool, capacity, false);
	if (list == NULL)
		block = AllocateAlone(pool, BlockMemory(capacity), shared);
	else if (*list != NULL)
	{
		block = *list;
		*list = block->next;
	}
	else
		block = CutFromChunk(pool, BlockMemory(capacity), shared);
	block->next = NULL;
	block->used = 0;
	block->capacity = capacity;
	block->scale = scale;
	block->records = 0;
	return block;
}

static void
FreeBlock(RecordPool *pool, RecordBlock *block)
{
	RecordBlock **list = FreeList(pool, block->capacity, DsaPointerIsValid(block->self));

	if (list == NULL && DsaPointerIsValid(block->self))
		dsa_free(pool->area, block->self);
	else if (list == NULL)
		pfree(block);
	if (list == NULL)
		return;
	block->next = *list;
	*list = block;
}

/* Appends a block to the resident ones. */
static void
AddBlock(RecordStore *store, RecordBlock *block)
{
	if (store->last == NULL)
		store->first = block;
	else
		store->last->next = block;
	store->last = block;
	store->memory += BlockMemory(block->capacity);
	store->pool->used += BlockMemory(block->capacity);
}

void
RecordStoreSeal(RecordStore *store)
{
	if (store->next != NULL)
	{
		store->last->used = store->next - store->last->data;
		store->last->records = store->records - store->records_before;
		store->records_before = store->records;
	}
	store->next = store->end = NULL;
}

void
RecordStoreNewBlock(RecordStore *store, Size size, int scale)
{
	/* most stores of a small query never need more than a little */
	bool small = store->first == NULL && store->place != RECORDS_SHARED_IF_ANY &&
				 size <= SMALL_BLOCK_CAPACITY;
	Size capacity = small ? SMALL_BLOCK_CAPACITY : BLOCK_CAPACITY;
	RecordBlock *block = AllocateBlock(store->pool, Max(capacity, size), scale, store->place);

	RecordStoreSeal(store);
	AddBlock(store, block);
	store->next = block->data;
	store->end = block->data + block->capacity;
}

RecordBlock *
RecordStoreGiveFirst(RecordStore *store)
{
	RecordBlock *block = store->first;

	store->first = block->next;
	store->records -= block->records;
	store->records_before -= block->records;
	store->memory -= BlockMemory(block->capacity);
	store->pool->used -= BlockMemory(block->capacity);
	if (store->first == NULL)
		store->last = NULL;
	return block;
}

void
RecordStoreDropFirst(RecordStore *store)
{
	FreeBlock(store->pool, RecordStoreGiveFirst(store));
}

void
RecordStoreTake(RecordStore *store, RecordStore *from)
{
	RecordStoreSeal(store);
	RecordStoreSeal(from);
	if (store->last == NULL)
		store->first = from->first;
	else
		store->last->next = from->first;
	if (from->last != NULL)
		store->last = from->last;
	store->memory += from->memory;
	store->records += from->records;
	store->records_before = store->records;
	from->first = from->last = NULL;
	from->memory = 0;
	from->records = from->records_before = 0;
}

/* Frees the resident blocks. */
static void
FreeBlocks(RecordStore *store)
{
	while (store->first != NULL)
	{
		RecordBlock *block = store->first;

		store->first = block->next;
		FreeBlock(store->pool, block);
	}
	store->last = NULL;
	store->next = store->end = NULL;
	store->pool->used -= store->memory;
	store->memory = 0;
	store->records = store->records_before = 0;
}

#define SHARED_NAME_SIZE 32

static void
SharedFileName(char *name, int participant, int file_number)
{
	snprintf(name, SHARED_NAME_SIZE, "orders%d.%d", participant, file_number);
}

void
RecordStoreSpill(RecordStore *store)
{
	MemoryContext caller = MemoryContextSwitchTo(store->pool->context);

	RecordStoreSeal(store);
	if (store->file == NULL && store->place == RECORDS_SHARED)
	{
		char name[SHARED_NAME_SIZE];

		store->file_number = ++store->pool->nfiles;
		SharedFileName(name, store->pool->participant, store->file_number);
		store->file = BufFileCreateFileSet(store->pool->files, name);
	}
	else if (store->file == NULL)
		store->file = BufFileCreateTemp(false);
	for (RecordBlock *block = store->first; block != NULL; block = block->next)
	{
		FileBlockHeader header = {block->used, block->scale};

		CHECK_FOR_INTERRUPTS();
		BufFileWrite(store->file, &header, sizeof(header));
		BufFileWrite(store->file, block->data, block->used);
		store->file_bytes += block->used;
		store->pool->spilled += block->used;
	}
	MemoryContextSwitchTo(caller);
	store->file_records += store->records;
	FreeBlocks(store);
}

/* The next block of the file, into the buffer or a new block; NULL at the end. */
static RecordBlock *
ReadFileBlock(RecordStore *store, RecordBlock *buffer)
{
	FileBlockHeader header;
	RecordBlock *block = buffer;
	size_t got = BufFileRead(store->file, &header, sizeof(header));

	if (got == 0)
		return NULL;
	if (got == sizeof(header))
	{
		if (block == NULL || block->capacity < header.used)
			block = AllocateBlock(store->pool, Max(header.used, BLOCK_CAPACITY), header.scale,
								  RECORDS_OWN);
		block->used = header.used;
		block->scale = header.scale;
		got = BufFileRead(store->file, block->data, block->used);
		if (got == block->used)
		{
			if (buffer != NULL && block != buffer)
				FreeBlock(store->pool, buffer);
			return block;
		}
	}
	ereport(ERROR, (errcode_for_file_access(),
					errmsg("could not read a temporary file: read only %zu bytes", got)));
}

static void
CloseFile(RecordStore *store)
{
	if (store->file != NULL)
		BufFileClose(store->file);
	store->file = NULL;
	store->file_bytes = 0;
	store->file_records = 0;
}

static void
RewindFile(RecordStore *store)
{
	if (BufFileSeek(store->file, 0, 0L, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not rewind a temporary file")));
}

void
RecordStoreLoad(RecordStore *store)
{
	RecordBlock *block;

	RecordStoreSeal(store);
	if (store->file == NULL)
		return;
	RewindFile(store);
	while ((block = ReadFileBlock(store, NULL)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		AddBlock(store, block);
	}
	store->records += store->file_records;
	store->records_before = store->records;
	CloseFile(store);
}

void
RecordStoreReset(RecordStore *store)
{
	FreeBlocks(store);
	CloseFile(store);
}

/* ---------- from process to process ---------- */

void
RecordStorePublish(RecordStore *store, SharedRecords *shared)
{
	RecordBlock *block = store->first;

	RecordStoreSeal(store);
	*shared = (SharedRecords){.first = block != NULL ? block->self : InvalidDsaPointer,
							  .memory = store->memory,
							  .records = store->records,
							  .participant = store->pool->participant,
							  .file_number = store->file != NULL ? store->file_number : 0,
							  .file_bytes = store->file_bytes,
							  .file_records = store->file_records};
	while (block != NULL)
	{
		RecordBlock *next = block->next;

		block->shared_next = next != NULL ? next->self : InvalidDsaPointer;
		block = next;
	}
	store->pool->used -= store->memory;
	CloseFile(store);
	*store = (RecordStore){.pool = store->pool};
}

void
RecordStoreAdopt(RecordStore *store, const SharedRecords *shared)
{
	RecordPool *pool = store->pool;
	MemoryContext caller = MemoryContextSwitchTo(pool->context);
	dsa_pointer next = shared->first;

	while (DsaPointerIsValid(next))
	{
		RecordBlock *block = dsa_get_address(pool->area, next);

		next = block->shared_next;
		block->next = NULL;
		AddBlock(store, block);
	}
	store->records = store->records_before = shared->records;
	if (shared->file_number > 0)
	{
		char name[SHARED_NAME_SIZE];

		SharedFileName(name, shared->participant, shared->file_number);
		store->file = BufFileOpenFileSet(pool->files, name, O_RDONLY, false);
		store->file_bytes = shared->file_bytes;
		store->file_records = shared->file_records;
	}
	MemoryContextSwitchTo(caller);
}

void
RecordStoreTakeBlock(RecordStore *store, RecordBlock *block)
{
	RecordStoreSeal(store);
	block->next = NULL;
	AddBlock(store, block);
	store->records += block->records;
	store->records_before = store->records;
}

void
RecordStoreCopyBlock(RecordStore *store, const RecordBlock *block)
{
	RecordBlock *copy = AllocateBlock(store->pool, block->capacity, block->scale, store->place);

	memcpy(copy->data, block->data, block->used);
	copy->used = block->used;
	copy->records = block->records;
	RecordStoreTakeBlock(store, copy);
}

void
PushBlock(BlockStack *stack, RecordBlock *block)
{
	uint64 top = pg_atomic_read_u64(stack);

	do
		block->shared_next = top;
	while (!pg_atomic_compare_exchange_u64(stack, &top, block->self));
}

RecordBlock *
TakeBlocks(BlockStack *stack, dsa_area *area)
{
	RecordBlock *list = NULL;
	dsa_pointer next;

	if (pg_atomic_read_u64(stack) == InvalidDsaPointer)
		return NULL;
	next = pg_atomic_exchange_u64(stack, InvalidDsaPointer);
	while (DsaPointerIsValid(next))
	{
		RecordBlock *block = dsa_get_address(area, next);

		next = block->shared_next;
		block->next = list;
		list = block;
	}
	return list;
}

void
FreeGivenBlock(RecordPool *pool, RecordBlock *block)
{
	FreeBlock(pool, block);
}

/* ---------- reading ---------- */

void
RecordCursorBegin(RecordCursor *cursor, RecordStore *store)
{
	RecordStoreSeal(store);
	cursor->store = store;
	cursor->in_file = store->file != NULL;
	cursor->block = NULL;
	cursor->buffer = NULL;
	cursor->ended = false;
	if (cursor->in_file)
	{
		RewindFile(store);
		cursor->buffer = AllocateBlock(store->pool, BLOCK_CAPACITY, 0, RECORDS_OWN);
	}
}

RecordBlock *
RecordCursorNext(RecordCursor *cursor)
{
	RecordStore *store = cursor->store;

	if (cursor->in_file)
	{
		RecordBlock *block = ReadFileBlock(store, cursor->buffer);

		if (block != NULL)
			return cursor->buffer = block;
		cursor->in_file = false;
	}
	if (cursor->ended)
		return NULL;
	cursor->block = cursor->block == NULL ? store->first : cursor->block->next;
	cursor->ended = cursor->block == NULL;
	return cursor->block;
}

void
RecordCursorEnd(RecordCursor *cursor)
{
	if (cursor->buffer != NULL)
		FreeBlock(cursor->store->pool, cursor->buffer);
	cursor->buffer = NULL;
}
