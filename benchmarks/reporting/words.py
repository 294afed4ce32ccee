"""How results are found, sorted and put into words: for tables and figures alike."""

from collections.abc import Iterable
from typing import Any

Results = dict[str, Any]

OURS = "cbackprop"
ONLY_FLOAT64 = LOOPS, BOOK = "plain loops", "the book's loop"
# In the order of tables and figures; others follow.
OPPONENTS = (
    LOOPS, BOOK, "NumPy", "scikit-learn", "PyTorch eager", "PyTorch compiled", "JAX", "Numba",
    "ONNX Runtime",
)
ONLY_INFER = {"ONNX Runtime"}


def opponents(results: Results, kind: str) -> list[str]:
    """List all that were measured in "works" or "inference", and all that are absent."""
    found = {one["opponent"] for of in results[kind].values() for one in of["contestants"].values()}
    absent = set(results["absent"]) - (ONLY_INFER if kind == "works" else set())
    return sorted((found | absent) - {OURS},
                  key=lambda name: ([*OPPONENTS, name].index(name), name))


def missing(results: Results) -> str:
    """Say who is absent or was refused, and why; nothing if none is."""
    absent = "; ".join(f"{name} ({why})" for name, why in results.get("absent", {}).items())
    refused = "; ".join(why for work in results.get("works", {}).values()
                        for why in work.get("check", {}).get("refused", {}).values())
    return f" Absent: {absent}." * bool(absent) + f" Refused: {refused}." * bool(refused)


def fastest(
    work: Results, names: Iterable[str], real: str, rows: str | None = None
) -> Results | None:
    """Return the fastest contestant of some opponents, if any was measured in this real type."""
    names = set(names)
    found = [one for one in work["contestants"].values() if one["opponent"] in names
             and one.get("real", real) == real and rows in (None, one.get("rows", rows))]
    return min(found, key=lambda one: one["best"], default=None)


def ours(work: Results, real: str) -> Results | None:
    """Return our own, from rows of the real type: those of uint8 are told apart."""
    return fastest(work, [OURS], real, real)


def work_name(work: Results) -> str:
    return f"{'-'.join(map(str, work['sizes']))} x{work['mini_batch_size']:,}"


def call_name(call: Results) -> str:
    return f"{rows(call['rows'])} of {'-'.join(map(str, call['sizes']))}"


def rows(number: int) -> str:
    return "one row" if number == 1 else f"{number:,} rows"


def machine(results: Results) -> str:
    """Say where, with what and how it was measured."""
    about = results["environment"]
    versions = {"python": about["python"], "numpy": about["numpy"], **about.get("packages", {})}
    known = {"python": "Python", "numpy": "NumPy"}
    return (f"{where(results)}, {about['system']}, "
            + ", ".join(f"{known.get(name, name)} {version}" for name, version in versions.items())
            + f"; the best of {results['repeat']} interleaved rounds")


def where(results: Results) -> str:
    """Say on what machine it was measured, when, and of what version."""
    about = results["environment"]
    threads = about["threads"]
    limits = results.get("limits", results).get("peak_flops_per_second", {})
    peak = " and ".join(f"{value / 1e9:,.0f} GFLOP/s in {real}" for real, value in limits.items())
    return (f"{'one core' if threads == 1 else f'{threads} cores and threads'} ({about['cpu']}, "
            f"variant {about['variant']}{'; peak ' * bool(peak)}{peak}; cbackprop "
            f"{about['cbackprop']}, {about['date'][:10]})")


def milliseconds(seconds: float) -> str:
    """Three digits, or all before the point."""
    ms = 1e3 * seconds
    if ms >= 99.95:
        return f"{ms:,.0f}"
    return f"{ms:.{1 if ms >= 9.995 else 2 if ms >= 0.9995 else 3}f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def times(ratio: float) -> str:
    return f"{ratio:.2f} x" if ratio < 9.995 else f"{ratio:,.0f} x"
