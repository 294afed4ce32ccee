"""Minimax polynomials: where the coefficients of core/elementary.pxi come from.

    python tools/minimax.py

Remez' exchange with mpmath: the polynomial q of each table's degree with the least largest error,
weighted as it enters the result. Prints the coefficients, the highest power first, and the error.
The core's own of exp and log are of an earlier fit, the same to within a fraction of an ulp.
"""

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


def remez(f: Function, weight: Function, a: float, b: float, degree: int) -> tuple[list, mp.mpf]:
    """Return the coefficients, the lowest first, and the largest of |weight (f - q)|."""
    low, high, n = mp.mpf(a), mp.mpf(b), degree + 2
    at = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / (n - 1)) for k in range(n)]
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (k + mp.mpf("0.5")) / (30 * n))
            for k in range(30 * n)]
    fs, ws = [f(x) for x in grid], [weight(x) for x in grid]
    for _ in range(12):
        rows = [[x**p for p in range(degree + 1)] + [(-1) ** k / weight(x)]
                for k, x in enumerate(at)]
        *q, _level = mp.lu_solve(mp.matrix(rows), mp.matrix([f(x) for x in at]))
        errors = [w * (y - mp.polyval(q[::-1], x)) for x, y, w in zip(grid, fs, ws, strict=True)]
        at, best = [], []
        for x, e in zip(grid, errors, strict=True):     # the extremum of each run of one sign
            if not best or (e > 0) != (best[-1] > 0):
                at.append(x)
                best.append(e)
            elif abs(e) > abs(best[-1]):
                at[-1], best[-1] = x, e
        while len(at) > n:
            drop = 0 if abs(best[0]) < abs(best[-1]) else -1
            del at[drop], best[drop]
        if len(at) < n or max(map(abs, best)) < mp.mpf("1.001") * min(map(abs, best)):
            break
    return q, max(map(abs, errors))


def exp_rest(x: mp.mpf) -> mp.mpf:
    """(e^x - 1 - x) / x^2."""
    return mp.nsum(lambda k: x**k / mp.factorial(k + 2), [0, 40]) if abs(x) < 1e-3 else (
        (mp.expm1(x) - x) / x**2)


def sin_rest(z: mp.mpf) -> mp.mpf:
    """(sin r - r) / r^3, where z = r^2."""
    return sum((-1) ** (k + 1) * z**k / mp.factorial(2 * k + 3) for k in range(30))


def sin_weight(z: mp.mpf) -> mp.mpf:
    r = mp.sqrt(z)
    return z * r / mp.sin(r) if r else mp.mpf(0) + mp.mpf("1e-12")


def tail(c: float, k: float) -> Function:
    """(1 + c x) e^(x^2 / 2) P(normal > x), where x = k (1 + t) / (1 - t)."""
    def f(t: mp.mpf) -> mp.mpf:
        x = k * (1 + t) / (1 - t)
        return (1 + c * x) * mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2
    return f


def exponential(degree: int) -> tuple[list, mp.mpf]:
    """Return (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, as it enters e^r."""
    r = float(mp.log(2) / 2)
    return remez(exp_rest, lambda x: x**2 / mp.exp(x) + mp.mpf("1e-12"), -r, r, degree)


def logarithm(degree: int) -> tuple[list, mp.mpf]:
    """Return (2 artanh(s) - 2 s) / s^3 of z = s^2, as it enters 2 artanh(s); 1 + f to sqrt(2)."""
    def rest(z: mp.mpf) -> mp.mpf:
        return sum(2 * z**k / (2 * k + 3) for k in range(60))
    highest = float((mp.sqrt(2) - 1) ** 4)
    return remez(rest, lambda z: z / (2 + z * rest(z)) + mp.mpf("1e-12"), 0, highest, degree)


def sine(degree: int) -> tuple[list, mp.mpf]:
    """Return (sin r - r) / r^3 of r^2, for |r| <= pi / 2 and a little more."""
    return remez(sin_rest, sin_weight, 0, float((mp.pi / 2 * 1.0001) ** 2), degree)


def log_cosh(degree: int) -> tuple[list, mp.mpf]:
    """Return ln(cosh x) / x^2 of x^2, for |x| <= 3/4."""
    def rest(s: mp.mpf) -> mp.mpf:
        return mp.log(mp.cosh(mp.sqrt(s))) / s if s else mp.mpf(1) / 2
    return remez(rest, lambda s: 1 / rest(s), 0, 0.5626, degree)


def normal(degree: int, furthest: float) -> tuple[list, mp.mpf]:
    """Return q of normal_cdf, for |z| to the furthest."""
    q = tail(0.75, 4)
    return remez(q, lambda t: 1 / q(t), -1, (furthest - 4) / (furthest + 4), degree)


TABLES = {
    "exp, float32": lambda: exponential(4),
    "exp, float64": lambda: exponential(9),
    "log, float32": lambda: logarithm(3),
    "log, float64": lambda: logarithm(6),
    "sin, float32": lambda: sine(3),
    "sin, float64": lambda: sine(7),
    "log_cosh, float32": lambda: log_cosh(5),
    "log_cosh, float64": lambda: log_cosh(13),
    "normal_cdf, float32": lambda: normal(10, 14),
    "normal_cdf, float64": lambda: normal(23, 38.6),
}


def main() -> None:
    for name, table in TABLES.items():
        q, error = table()
        print(f"{name}: {mp.nstr(error, 3)}")
        for coefficient in reversed(q):
            print(f"    {mp.nstr(coefficient, 19)}")


if __name__ == "__main__":
    main()
