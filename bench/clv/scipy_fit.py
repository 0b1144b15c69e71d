#!/usr/bin/env python3
"""clv_scipy FILE: the bg/nbd fit of distinct weighted (x, t_x, T, weight) in days with SciPy's L-BFGS-B and analytic gradient, for comparison."""
import sys
import time
import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, psi


def main():
    x, t_x, T, w = np.loadtxt(sys.argv[1], delimiter=',', unpack=True)
    t_x, T = t_x / 7, T / 7
    repeat = x > 0
    evaluations = 0

    def objective(logs):
        nonlocal evaluations
        evaluations += 1
        r, alpha, a, b = np.exp(logs)
        log_T, log_t = np.log(alpha + T), np.log(alpha + t_x)
        e = np.where(repeat, (r + x) * (log_T - log_t) + np.log(a) - np.log(np.where(repeat, b + x - 1, 1)), -np.inf)
        lost = 1 / (1 + np.exp(-e))
        value = (gammaln(r + x) - gammaln(r) + r * np.log(alpha) + gammaln(b + x) + gammaln(a + b) - gammaln(b) - gammaln(a + b + x)
                 - (r + x) * log_T + np.logaddexp(0, e))
        by_r = psi(r + x) - psi(r) + np.log(alpha) - log_T + lost * (log_T - log_t)
        by_alpha = r / alpha - (r + x) * ((1 - lost) / (alpha + T) + lost / (alpha + t_x))
        by_ab = psi(a + b + x) - psi(a + b)
        by_a = lost / a - by_ab
        by_b = psi(b + x) - psi(b) - by_ab - np.where(repeat, lost / np.where(repeat, b + x - 1, 1), 0)
        gradient = np.array([w @ by_r, w @ by_alpha, w @ by_a, w @ by_b]) * np.exp(logs)
        return -(w @ value) / w.sum(), -gradient / w.sum()

    begin = time.perf_counter()
    fit = minimize(objective, np.log([1, 1, 1, 1]), jac=True, method='L-BFGS-B', options={'ftol': 1e-12, 'gtol': 1e-9})
    print(f'scipy bg/nbd: {time.perf_counter() - begin:.2f} s, {evaluations} evaluations of {len(x)} rows, '
          f'{np.round(np.exp(fit.x), 4)}, log-likelihood {-fit.fun * w.sum():.2f}')


main()
