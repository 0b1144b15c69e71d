#!/usr/bin/env python3
"""clv_simulate MODEL CUSTOMERS [SEED]: order lines (customer,day,amount) of customers who behave as the model says.

First purchases are spread over the 26 weeks from 2023-01-02 on, the simulation ends on 2024-06-30 (52 to 78 weeks later).
mbg/cnbd-2 has a season, too: first purchases are spread over the three years that end then, and a day of November or
December counts for 1.8 others.
Amounts are Gamma-Gamma. A purchase that falls on the day of the one before moves to the next day, so that
purchase days count what the model counts.
"""
import sys
import numpy as np

PARAMETERS = {
    'bg/nbd': (0.8, 12.0, 0.8, 2.5),
    'mbg/nbd': (0.8, 12.0, 0.8, 2.5),
    'pareto/nbd': (0.8, 12.0, 0.7, 12.0),
    'mbg/cnbd-2': (0.8, 9.0, 0.7, 3.0),
}
SPEND = (6.25, 3.74, 15.44)
FIRST_DAY, DAYS = 0, 545


def simulate_regular(model, customers, seed):
    rng = np.random.default_rng(seed)
    r, alpha, a, b = PARAMETERS[model]
    day = np.arange(np.datetime64('2021-06-30'), np.datetime64('2024-07-01'))
    month = day.astype('datetime64[M]').astype(int) % 12 + 1
    time = np.cumsum(np.where(month > 10, 1.8, 1) / (1 + .8 * 61 / 365.25))
    rate, drop = rng.gamma(r, 1 / alpha, customers) / 7, rng.beta(a, b, customers)
    alive, last = np.arange(customers), rng.integers(0, len(day), customers)
    who, when = [alive], [last]
    now = time[last]
    while len(alive):
        stays = rng.random(len(alive)) >= drop[alive]
        alive, last = alive[stays], last[stays]
        now = now[stays] + rng.gamma(2, 1, len(alive)) / np.maximum(rate[alive], 1e-300)
        last = np.maximum(np.searchsorted(time, now), last + 1)
        inside = last < len(day)
        alive, last, now = alive[inside], last[inside], now[inside]
        who.append(alive)
        when.append(last)
    who, when = np.concatenate(who), np.concatenate(when)
    return who, (day[when] - np.datetime64('2023-01-02')).astype(int), np.full(len(who), 10.)


def simulate(model, customers, seed):
    if model == 'mbg/cnbd-2':
        return simulate_regular(model, customers, seed)
    rng = np.random.default_rng(seed)
    r, alpha, a, b = PARAMETERS[model]
    p, q, v = SPEND
    birth = rng.random(customers) * 182
    rate = rng.gamma(r, 1 / alpha, customers) / 7
    value = rng.gamma(q, 1 / v, customers)
    if model == 'pareto/nbd':
        end = np.minimum(birth + rng.exponential(1, customers) / rng.gamma(a, 1 / b, customers) * 7, DAYS)
        drop = np.zeros(customers)
    else:
        end = np.full(customers, float(DAYS))
        drop = rng.beta(a, b, customers)

    who, when = [np.arange(customers)], [np.floor(birth).astype(int)]
    alive = np.arange(customers)
    if model == 'mbg/nbd':
        alive = alive[rng.random(customers) >= drop]
    time, last = birth[alive], when[0][alive]
    while len(alive):
        time = time + rng.exponential(1, len(alive)) / np.maximum(rate[alive], 1e-300)
        came = time < end[alive]
        alive, time, last = alive[came], time[came], last[came]
        day = np.maximum(np.floor(time).astype(int), last + 1)
        inside = day < DAYS
        alive, time, day = alive[inside], time[inside], day[inside]
        who.append(alive)
        when.append(day)
        stays = rng.random(len(alive)) >= drop[alive]
        alive, time, last = alive[stays], time[stays], day[stays]
    who, when = np.concatenate(who), np.concatenate(when)
    amount = np.maximum(rng.gamma(p, 1, len(who)) / value[who], 0.01)
    return who, when, amount


if __name__ == '__main__':
    who, when, amount = simulate(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    days = {d: str(np.datetime64('2023-01-02') + d) for d in range(-600, DAYS + 1)}
    with sys.stdout as out:
        for begin in range(0, len(who), 1 << 20):
            part = slice(begin, begin + (1 << 20))
            out.write(''.join(f'{c},{days[d]},{m:.2f}\n' for c, d, m in zip(who[part].tolist(), when[part].tolist(), amount[part].tolist())))
