/*
 * built_in_rows.c: keeps the rows of a table that come with the extension as they are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/rel.h"

static void
RefuseIfBuiltIn(Relation table, HeapTuple row, int column)
{
	bool isnull;

	if (DatumGetBool(SPI_getbinval(row, RelationGetDescr(table), column, &isnull)) && !isnull)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("rows of \"%s\" that are built in cannot be added, changed or "
							   "deleted",
							   RelationGetRelationName(table)),
						errhint("A row of your own, with built_in false, goes before them.")));
}

/* BEFORE trigger; scripts of the extension itself may change what is built in. */
PG_FUNCTION_INFO_V1(guard_built_in);
Datum
guard_built_in(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool update;
	int column;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("guard_built_in must be a BEFORE trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot truncate table \"%s\": it has rows that are built in",
							   RelationGetRelationName(trigger->tg_relation)),
						errhint("DELETE FROM … WHERE NOT built_in takes away your own.")));
	column = SPI_fnumber(RelationGetDescr(trigger->tg_relation), "built_in");
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || column <= 0 ||
		SPI_gettypeid(RelationGetDescr(trigger->tg_relation), column) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("guard_built_in must be a row trigger of a table with a column built_in")));
	update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	if (!creating_extension)
	{
		RefuseIfBuiltIn(trigger->tg_relation, trigger->tg_trigtuple, column);
		if (update)
			RefuseIfBuiltIn(trigger->tg_relation, trigger->tg_newtuple, column);
	}
	return PointerGetDatum(update ? trigger->tg_newtuple : trigger->tg_trigtuple);
}
