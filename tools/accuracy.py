"""
Measure the core's functions against mpmath, and write docs/accuracy.md.

    python tools/accuracy.py [--points N]

Errors are in ulp, units in the last place of the exact value, the largest of all points: drawn
uniformly over the working range, and down to its smallest magnitudes; for sin and cos also next to
their zeros and extrema. Points whose exact value is no normal number are left out.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

from cbackprop.core import _dispatch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import exact

TABLE = Path(__file__).parents[1] / "docs/accuracy.md"
MOST = 4  # ulp

INTRODUCTION = """\
# Accuracy

The largest error of each function against mpmath, in ulp (units in the last place of the exact
value), over its working range, by instruction set and real type. Beyond the range, values stay
finite, except those of `exponential`, and NaN stays NaN. `python tools/accuracy.py` writes this
page, and a test measures again. BP1 and the costs at saturated outputs have tests of their own.

"""

mp.mp.dps = 40

# exact value, and the working range: in both types, or in float32 and float64
Exact = Callable[[mp.mpf], mp.mpf]
EXP = (-87, 88), (-708, 709)
BOTH = (-30, 30), (-30, 30)
FAR = (-1e4, 1e4), (-1e4, 1e4)
RANGES: dict[str, Any] = {  # of activations, else BOTH
    "sigmoid": EXP, "silu": EXP, "mish": EXP, "softplus": EXP, "exponential": EXP, "sine": FAR,
    "gelu": ((-12.5, 30), (-37, 40)), "gelu_tanh": ((-9.5, 30), (-20, 40)),
    "gaussian": ((-9.3, 9.3), (-26.6, 26.6)),
}
FUNCTIONS: dict[str, tuple[Exact, Any]] = {
    "exp": (mp.exp, EXP),
    "expm1": (mp.expm1, EXP),
    "log": (mp.log, ((2e-38, 3e38), (3e-308, 1e308))),
    "log1p": (lambda x: mp.log(1 + x), ((0, 1), (0, 1))),
    "log_cosh": (lambda x: mp.log(mp.cosh(x)), BOTH),
    "normal_cdf": (exact.normal_cdf, ((-12.5, 12.5), (-37, 37))),
    "sin": (mp.sin, FAR),
    "cos": (mp.cos, FAR),
    **{name: (functions[0], RANGES.get(name, BOTH))
       for name, functions in exact.ACTIVATIONS.items() if name != "identity"},
}


def points(name: str, real: str, n: int) -> NDArray:
    """Return where a function is measured."""
    low, high = FUNCTIONS[name][1][real == "float64"]
    rng = np.random.default_rng(7)
    if name == "log":
        x = np.exp(rng.uniform(np.log(low), np.log(high), n // 2))
        return np.concatenate([x, rng.uniform(0.3, 3, n // 2)]).astype(real)
    x = [rng.uniform(low, high, n // 3), rng.uniform(max(low, -3), min(high, 3), n // 3)]
    small = np.exp(rng.uniform(np.log(1e-12), 0, n // 3))
    x.append(small if low >= 0 else small * rng.choice([-1, 1], small.size))
    if name in ("sin", "cos", "sine"):
        x.append(np.arange(-6366, 6367, 12733 // (n // 3) + 1) * (np.pi / 2))
    if name == "hard_sigmoid":  # the exact value has no small magnitudes but near -3
        x.append(-3 + small)
    return np.concatenate(x).astype(real)


def measured(build: Any, name: str, x: NDArray) -> NDArray:
    """Return what the core makes of x."""
    if name in build.ELEMENTARY and name not in build.ACTIVATIONS:
        return build.elementary(name, x)
    core = build.Core((1, 1), [name], "quadratic", 1.0)
    core.views(core.parameters)[0][0][...] = 1
    return core.feedforward(x[:, None])[:, 0]


def exact_values(name: str, x: NDArray) -> list[mp.mpf]:
    """Return the true values, to 40 digits."""
    function = FUNCTIONS[name][0]
    return [function(mp.mpf(float(value))) for value in x]


def ulps(actual: NDArray, right: list[mp.mpf]) -> float:
    """Return the largest error, in units of the last place."""
    tiny = float(np.finfo(actual.dtype).tiny)
    worst = 0.0
    rounded = np.array([float(value) for value in right]).astype(actual.dtype)
    spacing = np.spacing(np.abs(rounded)).astype(float)
    for value, true, unit in zip(actual.astype(float), right, spacing, strict=True):
        if abs(true) >= tiny:
            worst = max(worst, float(abs(mp.mpf(value) - true) / unit))
    return worst


def errors(n: int, names: list[str] | None = None) -> Iterator[tuple[str, str, str, float]]:
    """Yield function, real type, instruction set and error."""
    for name in names or list(FUNCTIONS):
        for real in _dispatch.REALS:
            x = points(name, real, n)
            right = exact_values(name, x)
            for isa in (level for level in _dispatch.BUILT if level not in _dispatch.OWN):
                if isa in _dispatch.SUPPORTED:
                    found = measured(_dispatch.load(real, isa), name, x)
                    yield name, real, isa, ulps(found, right)


def written(found: dict[tuple[str, str, str], float]) -> str:
    """Return docs/accuracy.md."""
    columns = [(real, isa) for real in _dispatch.REALS for isa in _dispatch.LEVELS
               if isa not in _dispatch.OWN]
    lines = ["| function | range, float32 | range, float64 | "
             + " | ".join(f"{real}, {isa}" for real, isa in columns) + " |",
             "|---|---|---|" + "---:|" * len(columns)]
    for name, (_, ranges) in FUNCTIONS.items():
        cells = [f"{low:g} to {high:g}" for low, high in ranges]
        cells += [f"{found[name, real, isa]:.2f}" for real, isa in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def stated() -> dict[tuple[str, str, str], float]:
    """Read the table."""
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")]
            for line in TABLE.read_text().splitlines() if line.startswith("|")]
    header, _, *rows = rows
    return {(row[0], *of.split(", ")): float(cell)
            for row in rows for of, cell in zip(header[3:], row[3:], strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--points", type=int, default=12_000, metavar="N", help="(%(default)s)")
    asked = parser.parse_args()
    found = {}
    for name, real, isa, error in errors(asked.points):
        found[name, real, isa] = error
        print(f"{name:<14} {real} {isa:<8} {error:.2f}{'  !' * (error > MOST)}", flush=True)
    TABLE.write_text(written(found))


if __name__ == "__main__":
    main()
