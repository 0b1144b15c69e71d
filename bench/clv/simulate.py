#!/usr/bin/env python3
"""clv_simulate MODEL CUSTOMERS [SEED]: order lines (customer,day,amount) of customers who behave as the model says.

First purchases are spread over the 26 weeks from 2023-01-02 on, the simulation ends on 2024-06-30 (52 to 78 weeks later).
Amounts are Gamma-Gamma. A purchase that falls on the day of the one before moves to the next day, so that
purchase days count what the model counts.
"""
import sys
import numpy as np

PARAMETERS = {
    'bg/nbd': (0.8, 12.0, 0.8, 2.5),
    'mbg/nbd': (0.8, 12.0, 0.8, 2.5),
    'pareto/nbd': (0.8, 12.0, 0.7, 12.0),
}
SPEND = (6.25, 3.74, 15.44)
FIRST_DAY, DAYS = 0, 545


def simulate(model, customers, seed):
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
    days = (np.datetime64('2023-01-02') + np.arange(DAYS)).astype(str)
    with sys.stdout as out:
        for begin in range(0, len(who), 1 << 20):
            part = slice(begin, begin + (1 << 20))
            out.write(''.join(f'{c},{days[d]},{m:.2f}\n' for c, d, m in zip(who[part], when[part], amount[part])))
