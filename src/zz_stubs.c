#include "postgres.h"
#include "fmgr.h"
#include "segment.h"
SchemeLookup *DecodeScheme(const SegmentScheme *v) { elog(ERROR,"stub"); return NULL; }
SegmentScheme *CompileScheme(const char *n) { elog(ERROR,"stub"); return NULL; }
