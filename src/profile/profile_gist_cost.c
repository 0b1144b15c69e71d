/*
 * profile_gist_cost.c: what a search for the nearest profiles by index costs.
 *
 * PostgreSQL takes it that an index returns the first of its rows in order at once.  In an index of
 * profiles the search reads every page that may hold one of the nearest first: few if customers
 * form groups, all of them if their attributes have nothing to do with each other.  So a few leaf
 * pages are read and asked: for some of their profiles, which of the other pages would have to be
 * read? That share of the index is the cost before the first row, and where it is large the planner
 * takes a sequential scan and a sort.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/gist_private.h"
#include "catalog/pg_am.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/index_selfuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "profile/profile_gist.h"

#define PAGES 48         /* leaf pages that are asked */
#define QUERIES 12       /* of these, how many ask, each with one of its profiles */
#define NEIGHBOURS 10    /* the search is for so many */
#define PROBED 40        /* leaf pages in which they are looked for */
#define ENTRY_COST 10    /* operators: distance and place in the order of an entry */
#define MUCH_CHANGED 0.2 /* growth of an index after which it is asked again */

/* A page of the index in memory: its profiles, or boxes with the pages below. */
typedef struct IndexPage
{
	bool leaf;
	int n;
	ProfileView *profiles;
	Box *boxes;
	BlockNumber *below;
} IndexPage;

/* A page that may hold something nearer than `bound`. */
typedef struct Branch
{
	double bound;
	BlockNumber block;
} Branch;

/* What is known of an index, for this session. */
typedef struct KnownShare
{
	Oid index; /* must be first */
	FileNumber file;
	double blocks;
	double share;
} KnownShare;

static get_relation_info_hook_type previous_info_hook;
static HTAB *known_shares;

/* Reads a page of the index. */
static IndexPage
ReadIndexPage(Relation index, BlockNumber block, int column)
{
	Buffer buffer = ReadBuffer(index, block);
	Page page = palloc(BLCKSZ);
	IndexPage result = {0};
	int room;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(page, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	if (PageIsNew(page) || GistPageIsDeleted(page))
		return result;
	result.leaf = GistPageIsLeaf(page);
	room = PageGetMaxOffsetNumber(page) + 1;
	result.profiles = palloc(room * sizeof(ProfileView));
	result.boxes = palloc(room * sizeof(Box));
	result.below = palloc(room * sizeof(BlockNumber));
	for (OffsetNumber i = FirstOffsetNumber; i <= PageGetMaxOffsetNumber(page); i++)
	{
		ItemId item = PageGetItemId(page, i);
		IndexTuple tuple = (IndexTuple) PageGetItem(page, item);
		bool isnull;
		Datum key = index_getattr(tuple, column + 1, RelationGetDescr(index), &isnull);

		if (isnull || ItemIdIsDead(item) ||
			OpenProfileKey(key, &result.profiles[result.n], &result.boxes[result.n]) != result.leaf)
			continue;
		result.below[result.n++] = ItemPointerGetBlockNumber(&tuple->t_tid);
	}
	return result;
}

/* The box around the profiles of a leaf. */
static Box
BoxAround(const IndexPage *leaf)
{
	Box box;

	NewProfileBox(&box, &leaf->profiles[0]);
	for (int i = 0; i < leaf->n; i++)
		AddProfileToBox(&box, &leaf->profiles[i]);
	return box;
}

/* Notes a distance among the smallest, in order. */
static void
NoteDistance(double *nearest, double distance)
{
	int at = NEIGHBOURS;

	for (; at > 0 && nearest[at - 1] > distance; at--)
		if (at < NEIGHBOURS)
			nearest[at] = nearest[at - 1];
	if (at < NEIGHBOURS)
		nearest[at] = distance;
}

static double
DistanceOf(const ProfileView *a, const ProfileView *b)
{
	uint32 num;
	uint32 den;

	ProfileDistance(a, b, &num, &den);
	return den > 0 ? (double) num / den : get_float8_infinity();
}

/* How far the nearest are from a profile, by the search itself until it has read PROBED leaves. */
static double
Reach(Relation index, int column, const ProfileView *query)
{
	double nearest[NEIGHBOURS];
	int room = 256;
	int n = 1;
	Branch *branches = palloc(room * sizeof(Branch));

	for (int i = 0; i < NEIGHBOURS; i++)
		nearest[i] = get_float8_infinity();
	branches[0] = (Branch){0, GIST_ROOT_BLKNO};
	for (int leaves = 0; leaves < PROBED && n > 0;)
	{
		int best = 0;
		IndexPage page;

		for (int i = 1; i < n; i++)
			if (branches[i].bound < branches[best].bound)
				best = i;
		if (branches[best].bound > nearest[NEIGHBOURS - 1])
			break;
		page = ReadIndexPage(index, branches[best].block, column);
		branches[best] = branches[--n];
		leaves += page.leaf;
		if (n + page.n > room)
		{
			room = 2 * (n + page.n);
			branches = repalloc(branches, room * sizeof(Branch));
		}
		for (int i = 0; i < page.n; i++)
			if (page.leaf)
				NoteDistance(nearest, DistanceOf(query, &page.profiles[i]));
			else
				branches[n++] = (Branch){ProfileBoxBound(query, &page.boxes[i]), page.below[i]};
	}
	return nearest[NEIGHBOURS - 1];
}

/* The share of the pages that a search reads, from leaves at equal steps. */
static double
MeasureShare(Relation index, BlockNumber blocks, int column)
{
	IndexPage leaves[PAGES];
	Box boxes[PAGES];
	int n = 0;
	int read = 0;
	int queries = 0;

	for (int i = 0; i < PAGES; i++)
	{
		leaves[n] = ReadIndexPage(index, (BlockNumber) ((i + 0.5) * blocks / PAGES), column);
		if (leaves[n].leaf && leaves[n].n > 0)
		{
			boxes[n] = BoxAround(&leaves[n]);
			n++;
		}
	}
	for (; queries < Min(n, QUERIES); queries++)
	{
		const IndexPage *own = &leaves[queries * n / QUERIES];
		const ProfileView *query = &own->profiles[own->n / 2];
		double reach = Reach(index, column, query);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			read += ProfileBoxBound(query, &boxes[i]) <= reach;
	}
	return queries > 0 ? (double) read / (queries * n) : 1;
}

/* The same, measured once for an index of about this size. */
static double
ShareRead(Oid oid, int column)
{
	Relation index = index_open(oid, NoLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(index);
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "pages of an index", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	KnownShare *known;
	bool found;

	if (known_shares == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(KnownShare)};

		known_shares = hash_create("indexes of profiles", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	known = hash_search(known_shares, &oid, HASH_FIND, NULL);
	if (known == NULL || known->file != FileNumberOf(index) ||
		fabs(known->blocks - blocks) > MUCH_CHANGED * known->blocks)
	{
		double share = MeasureShare(index, blocks, column);

		known = hash_search(known_shares, &oid, HASH_ENTER, &found);
		known->file = FileNumberOf(index);
		known->blocks = blocks;
		known->share = share;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	index_close(index, NoLock);
	return known->share;
}

static void
ProfileGistCost(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup, Cost *total,
				Selectivity *selectivity, double *correlation, double *pages)
{
	double tuples = path->indexinfo->tuples;

	gistcostestimate(root, path, loop_count, startup, total, selectivity, correlation, pages);
	if (list_length(path->indexorderbys) != 1 || path->indexinfo->hypothetical)
		return;
	*total += tuples * ENTRY_COST * cpu_operator_cost;
	*startup += ShareRead(path->indexinfo->indexoid, linitial_int(path->indexorderbycols)) *
				(*total - *startup);
}

/* Does the column of the index hold profiles? */
static bool
HoldsProfiles(const IndexOptInfo *index, int column)
{
	Oid distance = get_opfamily_proc(index->opfamily[column], index->opcintype[column],
									 index->opcintype[column], GIST_DISTANCE_PROC);
	FmgrInfo info;

	if (!OidIsValid(distance))
		return false;
	fmgr_info(distance, &info);
	return info.fn_addr == profile_gist_distance;
}

static void
TakeCosts(PlannerInfo *root, Oid relation, bool inherited, RelOptInfo *rel)
{
	ListCell *cell;

	if (previous_info_hook)
		previous_info_hook(root, relation, inherited, rel);
	foreach (cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->relam != GIST_AM_OID)
			continue;
		for (int column = 0; column < index->nkeycolumns; column++)
			if (HoldsProfiles(index, column))
				index->amcostestimate = ProfileGistCost;
	}
}

void
InitProfileGistCost(void)
{
	previous_info_hook = get_relation_info_hook;
	get_relation_info_hook = TakeCosts;
}
