/*
 * record_store.h: a sequence of records that is written once and read in order,
 * in blocks of memory that can be moved to a temporary file.
 *
 * Records are aligned, of any size, and mean nothing here.  Every block bears
 * the number of decimals of its amounts (`scale`): when an amount with more
 * decimals comes along, new blocks begin, and the old ones wait until they are
 * read (RescaleBlock of the reader).
 */
#ifndef CRM_RECORD_STORE_H
#define CRM_RECORD_STORE_H

#include "storage/buffile.h"
#include "utils/palloc.h"

typedef struct RecordBlock
{
	struct RecordBlock *next;
	uint32		used;			/* bytes of data */
	uint32		capacity;
	int32		scale;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} RecordBlock;

#define FIRST_BLOCK_CAPACITY	2000
#define BLOCK_CAPACITY			32000

/* Memory that several stores share. */
typedef struct RecordPool
{
	MemoryContext context;
	Size		used;
} RecordPool;

typedef struct RecordStore
{
	RecordPool *pool;
	RecordBlock *first;			/* the resident blocks, in order */
	RecordBlock *last;
	Size		memory;			/* of the resident blocks */
	int64		records;		/* in the resident blocks */
	BufFile    *file;			/* what came before them */
	Size		file_bytes;
} RecordStore;

extern RecordPool *CreateRecordPool(MemoryContext parent);

/* A block with room for `size` bytes more at that scale. */
extern RecordBlock *RecordStoreNewBlock(RecordStore *store, Size size, int scale);

/* Room for a record of an aligned size. */
static inline char *
RecordStoreAppend(RecordStore *store, Size size, int scale)
{
	RecordBlock *block = store->last;
	char	   *record;

	if (unlikely(block == NULL || block->capacity - block->used < size || block->scale != scale))
		block = RecordStoreNewBlock(store, size, scale);
	record = block->data + block->used;
	block->used += size;
	store->records++;
	return record;
}

/* Moves the resident blocks to the file. */
extern void RecordStoreSpill(RecordStore *store);

/* Brings everything back into memory, what was there already first. */
extern void RecordStoreLoad(RecordStore *store);

/* Frees blocks and file; the store is as new. */
extern void RecordStoreReset(RecordStore *store);

/* Reads a store block by block, the file first; NULL at the end. */
typedef struct RecordCursor
{
	RecordStore *store;
	bool		in_file;
	RecordBlock *block;			/* of the file: a buffer of the cursor's own */
	RecordBlock *buffer;
} RecordCursor;

extern void RecordCursorBegin(RecordCursor *cursor, RecordStore *store);
extern RecordBlock *RecordCursorNext(RecordCursor *cursor);
extern void RecordCursorEnd(RecordCursor *cursor);

#endif							/* CRM_RECORD_STORE_H */
