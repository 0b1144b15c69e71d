/*
 * managed_tables.h: tables whose rows are on other machines, since Citus manages them.
 */
#ifndef CRM_MANAGED_TABLES_H
#define CRM_MANAGED_TABLES_H

#include "nodes/nodes.h"

/* Whether Citus manages a table: distributed, a reference table, or local in its metadata. */
extern bool IsManaged(Oid relation);

/* Whether a query reads such a table, at any level. */
extern bool ReadsManaged(Node *query);

#endif /* CRM_MANAGED_TABLES_H */
