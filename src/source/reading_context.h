/* reading_context.h: what errors in views tell of the source. */
#ifndef CRM_READING_CONTEXT_H
#define CRM_READING_CONTEXT_H

/* When the library is loaded. */
extern void InitReadingContext(void);

#endif
