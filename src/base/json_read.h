/*
 * json_read.h: reading jsonb of a known shape; anything else is an error that names the place.
 */
#ifndef CRM_JSON_READ_H
#define CRM_JSON_READ_H

#include "utils/jsonb.h"

/* The member of an object; false if it is missing or null. */
extern bool JsonMember(JsonbContainer *object, const char *key, JsonbValue *value);

/* `where` names the value in errors. */
extern char *JsonString(const JsonbValue *value, const char *where);
extern double JsonNumber(const JsonbValue *value, const char *where);
extern int64 JsonCount(const JsonbValue *value, const char *where);
extern JsonbContainer *JsonObject(const JsonbValue *value, const char *where);
extern JsonbContainer *JsonArray(const JsonbValue *value, const char *where);

/* Calls `take` for each member of an object. */
extern void
JsonEachMember(JsonbContainer *object,
			   void (*take)(const char *key, const JsonbValue *value, void *arg), void *arg);

#endif /* CRM_JSON_READ_H */
