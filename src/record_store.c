/*
 * record_store.c: a sequence of records in memory, or in a temporary file.
 */
#include "postgres.h"

#include "storage/buffile.h"
#include "utils/memutils.h"

#include "compat.h"
#include "record_store.h"

/* What stands before the data of a block in the file. */
typedef struct FileBlockHeader
{
	uint32		used;
	int32		scale;
} FileBlockHeader;

static inline Size
BlockMemory(Size capacity)
{
	return offsetof(RecordBlock, data) + capacity;
}

RecordPool *
CreateRecordPool(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "crm_profile records",
												  ALLOCSET_DEFAULT_SIZES);
	RecordPool *pool = MemoryContextAllocZero(context, sizeof(RecordPool));

	pool->context = context;
	return pool;
}

static RecordBlock *
AllocateBlock(RecordPool *pool, Size capacity, int scale)
{
	RecordBlock *block = MemoryContextAllocHuge(pool->context, BlockMemory(capacity));

	block->next = NULL;
	block->used = 0;
	block->capacity = capacity;
	block->scale = scale;
	return block;
}

/* Puts a block behind the resident ones. */
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

RecordBlock *
RecordStoreNewBlock(RecordStore *store, Size size, int scale)
{
	/* most stores of a small query never need more than a little */
	Size		capacity = store->first == NULL ? FIRST_BLOCK_CAPACITY : BLOCK_CAPACITY;
	RecordBlock *block = AllocateBlock(store->pool, Max(capacity, size), scale);

	AddBlock(store, block);
	return block;
}

/* Frees the resident blocks. */
static void
FreeBlocks(RecordStore *store)
{
	while (store->first != NULL)
	{
		RecordBlock *block = store->first;

		store->first = block->next;
		pfree(block);
	}
	store->last = NULL;
	store->pool->used -= store->memory;
	store->memory = 0;
	store->records = 0;
}

void
RecordStoreSpill(RecordStore *store)
{
	MemoryContext caller = MemoryContextSwitchTo(store->pool->context);

	if (store->file == NULL)
		store->file = BufFileCreateTemp(false);
	for (RecordBlock *block = store->first; block != NULL; block = block->next)
	{
		FileBlockHeader header = {block->used, block->scale};

		BufFileWrite(store->file, &header, sizeof(header));
		BufFileWrite(store->file, block->data, block->used);
		store->file_bytes += block->used;
	}
	MemoryContextSwitchTo(caller);
	FreeBlocks(store);
}

/* The next block of the file, into the buffer or a new block; NULL at the end. */
static RecordBlock *
ReadFileBlock(RecordStore *store, RecordBlock *buffer)
{
	FileBlockHeader header;
	RecordBlock *block = buffer;
	size_t		got = BufFileRead(store->file, &header, sizeof(header));

	if (got == 0)
		return NULL;
	if (got == sizeof(header))
	{
		if (block == NULL || block->capacity < header.used)
			block = AllocateBlock(store->pool, Max(header.used, BLOCK_CAPACITY), header.scale);
		block->used = header.used;
		block->scale = header.scale;
		got = BufFileRead(store->file, block->data, block->used);
		if (got == block->used)
		{
			if (buffer != NULL && block != buffer)
				pfree(buffer);
			return block;
		}
	}
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not read a temporary file: read only %zu bytes", got)));
}

static void
RewindFile(RecordStore *store)
{
	if (BufFileSeek(store->file, 0, 0L, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind a temporary file")));
}

void
RecordStoreLoad(RecordStore *store)
{
	RecordBlock *block;

	if (store->file == NULL)
		return;
	RewindFile(store);
	while ((block = ReadFileBlock(store, NULL)) != NULL)
		AddBlock(store, block);
	BufFileClose(store->file);
	store->file = NULL;
	store->file_bytes = 0;
}

void
RecordStoreReset(RecordStore *store)
{
	FreeBlocks(store);
	if (store->file != NULL)
		BufFileClose(store->file);
	store->file = NULL;
	store->file_bytes = 0;
}

void
RecordCursorBegin(RecordCursor *cursor, RecordStore *store)
{
	cursor->store = store;
	cursor->in_file = store->file != NULL;
	cursor->block = NULL;
	cursor->buffer = NULL;
	if (cursor->in_file)
	{
		RewindFile(store);
		cursor->buffer = AllocateBlock(store->pool, BLOCK_CAPACITY, 0);
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
	cursor->block = cursor->block == NULL ? store->first : cursor->block->next;
	return cursor->block;
}

void
RecordCursorEnd(RecordCursor *cursor)
{
	if (cursor->buffer != NULL)
		pfree(cursor->buffer);
	cursor->buffer = NULL;
}
