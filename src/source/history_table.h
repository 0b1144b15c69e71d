/*
 * history_table.h: the table of histories of a source, which is written without the executor.
 */
#ifndef CRM_HISTORY_TABLE_H
#define CRM_HISTORY_TABLE_H

#include "utils/relcache.h"

/*
 * Raises an error unless it has the columns customer and history and nothing, but for indexes, that
 * the executor would have to handle.
 */
extern void CheckHistoryTable(Relation table, Oid key_type);

#endif /* CRM_HISTORY_TABLE_H */
