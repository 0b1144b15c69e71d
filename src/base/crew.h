/*
 * crew.h: pieces of a long computation, shared among this process and parallel workers.
 *
 * A piece turns the same inputs, flat bytes, into bytes of its own.  It may wait for the result of
 * an earlier piece, or for what the leader gives.  Whoever makes a piece, its result is the same,
 * so nothing depends on the number of workers, nor on there being any.
 */
#ifndef CRM_CREW_H
#define CRM_CREW_H

#include "fmgr.h"

typedef struct Crew Crew;

#define MAX_CREW_INPUTS 2

typedef struct CrewInput
{
	const void *bytes; /* aligned; NULL: none */
	Size size;
} CrewInput;

/* Makes a piece, in the current memory context. */
typedef bytea *(*CrewPiece)(Crew *crew, const CrewInput *inputs, int piece);

/* Lets workers find the function, by its name; called when the library is loaded. */
extern void RegisterCrewPiece(const char *name, CrewPiece make);

/*
 * Starts workers on `groups` times as many pieces as each group has, unless their cost, in units of
 * the planner, is not worth it.  All pieces of a group may wait for its first one: one process
 * alone makes group after group, several begin with the first pieces.  `ngiven` more results are
 * given by the leader.  The caller is a function of this library.
 */
extern Crew *StartCrew(FunctionCallInfo fcinfo, const char *name, const CrewInput *inputs,
					   int groups, int group_pieces, int ngiven, double cost);

/* The leader gives the n-th result after those of the pieces. */
extern void GiveToCrew(Crew *crew, int n, const bytea *result);

/* The leader makes pieces, too, until none are left. */
extern void JoinCrew(Crew *crew);

/* A result, which may have to be waited for; valid until the crew ends. */
extern const bytea *CrewResult(Crew *crew, int number);

/* Waits for the workers, and frees all results. */
extern void EndCrew(Crew *crew);

/* What this process keeps from piece to piece, NULL at first, and where. */
extern void **CrewOwn(Crew *crew);
extern MemoryContext CrewContext(const Crew *crew);
extern bool CrewIsAlone(const Crew *crew);

/* Plain data as a result. */
extern bytea *CrewBytes(const void *data, Size size);

/* How much shared memory the system has left. */
extern Size SharedMemoryRoom(void);

#endif /* CRM_CREW_H */
