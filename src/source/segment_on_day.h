/*
 * segment_on_day.h: the segment of a customer on a day.
 */
#ifndef CRM_SEGMENT_ON_DAY_H
#define CRM_SEGMENT_ON_DAY_H

#include "rfm/rfm_model.h"
#include "source/lifecycle.h"

/*
 * The place of the segment in the scheme, from 1; 0: none, or a model is NULL.  `rule` is NULL if
 * no lifecycle is known; `met` has a bit for each condition of the scheme that holds.
 */
extern int SegmentOnDay(const PurchaseHistory *history, const RfmModel *rfm, DateADT day,
						const SegmentScheme *scheme, const LapseRule *rule, int32 met);

#endif /* CRM_SEGMENT_ON_DAY_H */
