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
	pg_attribute_aligned(MAXIMUM_ALIGNOF) char data[FLEXIBLE_ARRAY_MEMBER];
} RecordBlock;

#define SMALL_BLOCK_CAPACITY 2000
#define BLOCK_CAPACITY 32000

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
	char *chunk;  /* what is left of the newest chunk */
	dsa_pointer chunk_self;
	Size chunk_left;
	Size chunk_size; /* of the next one */
	RecordBlock *free_small;
	RecordBlock *free_large;
	RecordBlock *free_shared; /* large ones that other processes can see */

	/* of a process that works with others: they take its stores over */
	dsa_area *area;
	FileSet *files;
	int participant;
	int nfiles;
	bool sharing; /* stores are still to be published */
} RecordPool;

typedef struct RecordStore
{
	char *next;    /* where the next record goes */
	char *end;     /* of the last block */
	Size memory;   /* of the resident blocks */
	int64 records; /* in the resident blocks */
	RecordPool *pool;
	bool shared;        /* its blocks are handed over, if shared memory is free */
	RecordBlock *first; /* the resident blocks, in order */
	RecordBlock *last;
	BufFile *file; /* what came before them */
	int file_number;
	Size file_bytes;
	int64 file_records;
} RecordStore;

extern RecordPool *CreateRecordPool(MemoryContext parent);
extern void DeleteRecordPool(RecordPool *pool);

/* From now on stores use memory and files that the other participants see, too. */
extern void ShareRecordPool(RecordPool *pool, dsa_area *area, FileSet *files, int participant);

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

/* Hands a store of a shared pool over; it is empty afterwards. */
extern void RecordStorePublish(RecordStore *store, SharedRecords *shared);

/* Takes over what another participant, or this one, has published. */
extern void RecordStoreAdopt(RecordStore *store, const SharedRecords *shared);

/* Gives the first of the resident blocks, which is shared, away. */
extern dsa_pointer RecordStoreGiveFirst(RecordStore *store);

/* Puts a block that another process, or this one, has given away behind those of the store. */
extern void RecordStoreTakeBlock(RecordStore *store, dsa_pointer given);

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
