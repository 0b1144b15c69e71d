"""Differences of areas under the ROC curve from that of recency, mean over the dates of a shop, with standard errors by DeLong, DeLong and Clarke-Pearson (1988).

Reads rows (shop, day, came, purchases, recency, number …); dates count as independent, which the same customers at other times nearly are.
"""
import collections
import csv
import sys

import numpy


def below(numbers, others):
    """The share of the others that lie below each number; ties count half."""
    others = numpy.sort(others)
    return (numpy.searchsorted(others, numbers, 'left') + numpy.searchsorted(others, numbers, 'right')) / 2 / len(others)


def parts(number, came):
    return below(number[came], number[~came]), 1 - below(number[~came], number[came])


rows = csv.reader(sys.stdin)
names = next(rows)[5:]
dates = collections.defaultdict(list)
for shop, day, came, purchases, recency, *numbers in rows:
    dates[shop, day].append([came == 't', int(purchases), -float(recency)] + [float(n) for n in numbers])
for least, who in ((1, 'all customers'), (2, 'those with a repeat purchase')):
    found = collections.defaultdict(list)
    for (shop, _), lines in dates.items():
        table = numpy.array(lines)
        table = table[table[:, 1] >= least]
        came = table[:, 0] > 0
        with_came, without = parts(table[:, 2], came)
        for name, number in zip(names, table[:, 3:].T):
            a, b = (x - y for x, y in zip(parts(number, came), (with_came, without)))
            found[shop, name].append((a.mean(), a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    print(f'AUC less that of recency, {who}')
    for (shop, name), of_dates in sorted(found.items()):
        n = len(of_dates)
        print(f'  {shop:18}{name:24}{sum(d for d, _ in of_dates) / n:+.4f}  standard error {sum(v for _, v in of_dates) ** .5 / n:.4f}')
