/*
 * spilling_store.h: a sequence of records that is written once and read in order, in blocks of
 * memory that can be moved to a temporary file.
 *
 * Records are aligned, of any size, and opaque here.  Every block carries the number of decimals of
 * its amounts (`scale`): an amount with more decimals starts a new block, and old blocks are
 * rescaled when they are read (RescaleBlock of the reader).
 */
#ifndef CRM_SPILLING_STORE_H
#define CRM_SPILLING_STORE_H

#include "port/atomics.h"
#include "storage/buffile.h"
#include "storage/fileset.h"
#include "utils/dsa.h"
#include "utils/palloc.h"

typedef struct RecordBlock
{
	union
	{
		struct RecordBlock *next;
		dsa_pointer shared_next; /* while the store is published */
	};
	dsa_pointer self; /* invalid: this process's own memory */
	uint32 used;      /* bytes of data */
	uint32 capacity;
	int32 scale;
	uint32 records;    /* once the store has another block, or is sealed */
	int32 partition;   /* of a block that travels: where it goes, */
	int32 participant; /* and whose it is */
	pg_attribute_aligned(MAXIMUM_ALIGNOF) char data[FLEXIBLE_ARRAY_MEMBER];
} RecordBlock;

#define SMALL_BLOCK_CAPACITY 2000
#define BLOCK_CAPACITY 32000

/* What is left of a piece of memory that blocks are cut from. */
typedef struct RecordChunk
{
	char *next;
	dsa_pointer self; /* of that place; invalid: this process's own memory */
	Size left;
	Size next_size; /* of the next chunk */
} RecordChunk;

/*
 * Memory that several stores share.  Blocks are cut from large chunks, for which the kernel is
 * asked for huge pages: faulting in hundreds of megabytes page by page would cost as much as all
 * other work on the rows.  Freed blocks are reused; chunks are freed with the pool.
 */
typedef struct RecordPool
{
	MemoryContext context;
	Size used;    /* by the blocks of the stores */
	Size spilled; /* bytes written to files, from the first */
	RecordChunk own;
	RecordBlock *free_small;
	RecordBlock *free_large;

	/* of a process that works with others: memory and files that they see, too */
	dsa_area *area;
	FileSet *files;
	int participant;
	int nfiles;
	RecordChunk shared;
	Size shared_taken; /* memory, from the first, */
	Size shared_limit; /* and from when on no more for those that need none */
	bool travelling;   /* shared blocks are free only for those that need one */
	RecordBlock *free_shared_small;
	RecordBlock *free_shared_large;
} RecordPool;

/* Where the blocks of a store are. */
typedef enum RecordPlace
{
	RECORDS_OWN,          /* in memory, and files, of this process */
	RECORDS_SHARED,       /* where other processes see them, too */
	RECORDS_SHARED_IF_ANY /* there, as long as the process may take memory for it */
} RecordPlace;

typedef struct RecordStore
{
	char *next;    /* where the next record goes */
	char *end;     /* of the last block */
	Size memory;   /* of the resident blocks */
	int64 records; /* in the resident blocks */
	RecordPool *pool;
	RecordBlock *first; /* the resident blocks, in order */
	RecordBlock *last;
	int64 records_before; /* the last block */
	RecordPlace place;
	BufFile *file; /* what came before them */
	int file_number;
	Size file_bytes;
	int64 file_records;
} RecordStore;

extern RecordPool *CreateRecordPool(MemoryContext parent);
extern void DeleteRecordPool(RecordPool *pool);

/* Gives the pool what the other participants see, too. */
extern void
ShareRecordPool(RecordPool *pool, dsa_area *area, FileSet *files, int participant, Size limit);

/* Begins a block with room for `size` bytes at least. */
extern void RecordStoreNewBlock(RecordStore *store, Size size, int scale);

/* Ends the last block; needed before the store is read and when the scale changes. */
extern void RecordStoreSeal(RecordStore *store);

/* Room for a record of an aligned size; `scale` must be that of all records since the last seal. */
static inline char *
RecordStoreAppend(RecordStore *store, Size size, int scale)
{
	char *record;

	if (unlikely((Size) (store->end - store->next) < size))
		RecordStoreNewBlock(store, size, scale);
	record = store->next;
	store->next += size;
	/* the cache line will have arrived by the time this store is written to again */
	__builtin_prefetch(store->next + 64, 1);
	store->records++;
	return record;
}

/* Gives back the end of the record that was appended last: of it, that size is used. */
static inline void
RecordStoreTrim(RecordStore *store, const char *record, Size used)
{
	store->next = unconstify(char *, record) + used;
}

/* Moves the resident blocks to the file. */
extern void RecordStoreSpill(RecordStore *store);

/* Brings everything back into memory, after what is already there. */
extern void RecordStoreLoad(RecordStore *store);

/* Frees blocks and file; the store is empty afterwards. */
extern void RecordStoreReset(RecordStore *store);

/* Frees the first of the resident blocks. */
extern void RecordStoreDropFirst(RecordStore *store);

/* Puts the resident records of another store, which is empty afterwards, behind those of this. */
extern void RecordStoreTake(RecordStore *store, RecordStore *from);

/* A store that waits for another process; all zero: an empty one. */
typedef struct SharedRecords
{
	dsa_pointer first;
	Size memory;
	int64 records;
	int participant;
	int file_number; /* from 1; 0: no file */
	Size file_bytes;
	int64 file_records;
} SharedRecords;

/* Hands a shared store over; it is empty afterwards. */
extern void RecordStorePublish(RecordStore *store, SharedRecords *shared);

/* Takes over what another participant, or this one, has published. */
extern void RecordStoreAdopt(RecordStore *store, const SharedRecords *shared);

/* Gives the first of the resident blocks away. */
extern RecordBlock *RecordStoreGiveFirst(RecordStore *store);

/* Puts a block that another store, perhaps of another process, has given away behind its own. */
extern void RecordStoreTakeBlock(RecordStore *store, RecordBlock *block);

/* Puts a copy of a block there. */
extern void RecordStoreCopyBlock(RecordStore *store, const RecordBlock *block);

/* Shared blocks that wait for a process: the one that came last, or InvalidDsaPointer. */
typedef pg_atomic_uint64 BlockStack;

extern void PushBlock(BlockStack *stack, RecordBlock *block);

/* Takes all of them, as a list in the order in which they came. */
extern RecordBlock *TakeBlocks(BlockStack *stack, dsa_area *area);

/* Makes room for others of a block that was given away and is back. */
extern void FreeGivenBlock(RecordPool *pool, RecordBlock *block);

/* Reads a store block by block, the file first; NULL at the end. */
typedef struct RecordCursor
{
	RecordStore *store;
	bool in_file;
	bool ended;
	RecordBlock *block; /* of the file: a buffer of the cursor's own */
	RecordBlock *buffer;
} RecordCursor;

extern void RecordCursorBegin(RecordCursor *cursor, RecordStore *store);
extern RecordBlock *RecordCursorNext(RecordCursor *cursor);
extern void RecordCursorEnd(RecordCursor *cursor);

#endif /* CRM_SPILLING_STORE_H */
