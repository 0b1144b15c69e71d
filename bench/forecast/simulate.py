"""Customers of mbg/cnbd-k as rows (case, customer, day): regularity 1 to 6, a planted season, and data that begin in the middle of the customers' lives.

Truth: r .8, alpha 9 weeks for events (k times as many as purchases), a .7, b 3; in the case `season` days of November and December count 1.6, others less.
"""
import datetime
import sys

import numpy

random = numpy.random.default_rng(11)
CUSTOMERS = int(sys.argv[1])
FIRST, LAST = datetime.date(2021, 1, 1).toordinal(), datetime.date(2023, 12, 31).toordinal()
R, ALPHA, A, B = .8, 63., .7, 3.


def calendar(seasonal):
    """Weighted time at the end of each day."""
    days = [datetime.date.fromordinal(d) for d in range(FIRST - 1500, LAST + 1)]
    weight = numpy.array([1.6 if seasonal and d.month in (11, 12) else 1 - .6 * 61 / 304.2425 if seasonal else 1. for d in days])
    return numpy.cumsum(weight)


def purchases(k, time, first):
    """Days of one customer, the first among them."""
    at = first - (FIRST - 1500)
    rate, leave = random.gamma(R) / ALPHA, random.beta(A, B)
    now, days = time[at], [first]
    while random.random() >= leave:
        now += random.gamma(k) / rate
        day = int(numpy.searchsorted(time, now))
        if day >= len(time):
            break
        days.append(day + FIRST - 1500)
    return sorted(set(days))


for case, k, seasonal, early in [(f'k {k}', k, False, 0) for k in (1, 2, 3, 4, 5, 6)] + [('season', 2, True, 0), ('truncated', 2, False, 1000)]:
    time = calendar(seasonal)
    for customer in range(CUSTOMERS):
        first = random.integers(FIRST - early, LAST - 30)
        for day in purchases(k, time, first):
            if day >= FIRST:
                print(case, customer, datetime.date.fromordinal(day), sep=',')
