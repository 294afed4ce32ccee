"""
Adam and dropout against PyTorch eager and JAX, doing the same; and what they cost beside descent.

Networks, rows and parameters are those of peers.py. Adam is checked first: what all make of three
mini-batches in float64. Dropout's masks differ, so there the costs after an epoch are compared.

    python benchmarks/learning.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import common
from common import WORKS, Work, interleaved, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from opponents import load  # noqa: E402
from opponents.contestant import Contestant, Examples, Learning  # noqa: E402
from opponents.ours import Learner  # noqa: E402

REAL = "float32"
PLAIN, ADAM, DROPOUT = Learning(), Learning("adam"), Learning(dropout=0.5)
LEARNINGS = {"adam": ADAM, "dropout 0.5": DROPOUT}
BESIDE = {  # and at least this share of plain descent's rows per second, for one work
    "adam": (ADAM, {}, 0.80), "momentum": (Learning("momentum"), {}, 0.88),
    "dropout 0.5": (DROPOUT, {}, 0.88), "relu": (PLAIN, {"activation": "relu"}, 1.0),
}
BESIDE_WORK = "784-512-512-10"
AGREE = 1e-6  # of Adam's largest change, in float64
ALIKE = 0.1  # of the cost after an epoch with dropout
LEAST_SECONDS, MOST_SECONDS = 0.01, 1.0


def everyone(
    work: Work, examples: Examples, how: Learning, others: Iterable[ModuleType], tiny: bool
) -> list[Contestant]:
    """Return ours, and the others' forms in float32 and float64 that can learn so."""
    found: list[Contestant] = [Learner(work, examples, real, how) for real in common.REALS]
    for module in others:
        forms = list(module.learners(work, examples, how))
        found += forms[::2] if tiny else forms
    return found


def compare_adam(work: Work, all_: Iterable[Contestant]) -> None:
    """End unless all lines of code in float64 make the same of three mini-batches."""
    order = np.random.default_rng(4).permutation(work.rows)
    batches = np.resize(order, (3, work.mini_batch_size))
    made = {}
    for one in all_:
        if one.real == "float64":
            one.begin()
            before = [p.copy() for p in one.parameters()]
            one.train(batches)
            made[f"{one.name} {one.form}"] = [p.copy() for p in one.parameters()]
    wanted = next(iter(made.values()))
    for name, parameters in made.items():
        worst = max(float(np.abs(p - w).max() / np.abs(w - b).max())
                    for p, w, b in zip(parameters, wanted, before, strict=True))
        if not worst <= AGREE:
            raise SystemExit(f"{work.name}, adam: {name} differs by {worst:.1e} of the change")


def compare_dropout(work: Work, examples: Examples, all_: Iterable[Contestant]) -> None:
    """End unless an epoch brings all to about the same cost."""
    costs = {}
    for one in all_:
        if one.real == REAL:
            one.begin()
            one.epoch()
            costs[f"{one.name} {one.form}"] = Learner.cost(work, examples, one.parameters())
    wanted = next(iter(costs.values()))
    for name, cost in costs.items():
        if not abs(cost - wanted) <= ALIKE * wanted:
            raise SystemExit(f"{work.name}, dropout: {name} comes to a cost of {cost:.4g}, "
                             f"cbackprop to {wanted:.4g}")


def race(
    work: Work, how: Learning, others: Iterable[ModuleType], repeat: int, tiny: bool
) -> dict[str, dict[str, Any]]:
    """Check all and time them in turns; return the best form of each, by its opponent's name."""
    examples = Examples(work)
    all_ = everyone(work, examples, how, others, tiny)
    if how.dropout:
        compare_dropout(work, examples, all_)
    else:
        compare_adam(work, all_)
    timed = [one for one in all_ if one.real == REAL]
    for one in timed:
        one.choose_rows(LEAST_SECONDS / (10 if tiny else 1), MOST_SECONDS)
    timings = interleaved([one.seconds for one in timed], repeat)
    best: dict[str, dict[str, Any]] = {}
    for one, timing in zip(timed, timings, strict=True):
        if one.opponent not in best or timing.best < best[one.opponent]["best"]:
            best[one.opponent] = {"form": one.form, **timing.as_dict()}
    return best


def beside_plain(work: Work, repeat: int) -> dict[str, dict[str, Any]]:
    """Time our ways to learn beside plain descent."""
    examples = Examples(work)
    ours = {"plain": Learner(work, examples, REAL, PLAIN)}
    ours |= {name: Learner(work, examples, REAL, how, **settings)
             for name, (how, settings, _) in BESIDE.items()}
    for one in ours.values():
        one.choose_rows(LEAST_SECONDS, MOST_SECONDS)
    timings = interleaved([one.seconds for one in ours.values()], repeat)
    plain = timings[0].best
    return {name: {"share": plain / timing.best, **timing.as_dict()}
            for name, timing in zip(ours, timings, strict=True)}


def print_race(results: dict[str, Any]) -> None:
    for name, works in results["races"].items():
        opponents = list(dict.fromkeys(o for found in works.values() for o in found))
        print(f"\n{name}: epoch in {REAL}, ms")
        print(table(
            ("", *works),
            [(o, *(f"{1e3 * found[o]['best']:.4g}" if o in found else "-"
                   for found in works.values())) for o in opponents]
            + [("the fastest other takes", *(_ahead(found) for found in works.values()))]))
    if results["beside_plain"]:
        print(f"\nrows per second beside plain descent, {BESIDE_WORK}, {REAL}")
        print(table(("", "share", "to reach"), [
            (name, f"{100 * found['share']:.1f} %",
             f"{100 * BESIDE[name][2]:.0f} %" if name in BESIDE else "")
            for name, found in results["beside_plain"].items()]))


def _ahead(found: dict[str, dict[str, Any]]) -> str:
    others = {name: one["best"] for name, one in found.items() if name != Learner.opponent}
    if not others:
        return "-"
    fastest = min(others, key=lambda name: others[name])
    return f"{times(others[fastest] / found[Learner.opponent]['best'])} ({fastest})"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--work", nargs="+", choices=list(WORKS), default=list(WORKS),
                        metavar="NAME", help=f"out of {', '.join(WORKS)} (all)")
    parser.add_argument("--repeat", type=int, metavar="N", help="rounds (5; 1 if tiny)")
    parser.add_argument("--tiny", action="store_true", help="few rows, to see that everything runs")
    parser.add_argument("--json", metavar="FILE", help="where to write everything measured")
    asked = parser.parse_args(argv)
    repeat = asked.repeat if asked.repeat is not None else 1 if asked.tiny else 5
    if repeat < 1:
        parser.error(f"--repeat must be at least 1, got {repeat}")

    about = common.environment(START)
    common.print_environment(about)
    modules, absent = load(("torch", "jax"), START.threads)
    for name, why in absent.items():
        print(f"{name:<10} absent: {why}")
    works = [WORKS[name].tiny() if asked.tiny else WORKS[name] for name in asked.work]
    results: dict[str, Any] = {
        "benchmark": "learning", "tiny": asked.tiny, "repeat": repeat, "environment": about,
        "absent": absent,
        "races": {name: {work.name: race(work, how, list(modules.values()), repeat, asked.tiny)
                         for work in works} for name, how in LEARNINGS.items()},
        "beside_plain": (beside_plain(WORKS[BESIDE_WORK], repeat)
                         if BESIDE_WORK in asked.work and not asked.tiny else {}),
        "measured_seconds": {"wall": common.stopwatch.wall, "cpu": common.stopwatch.cpu},
    }
    print_race(results)
    print(f"\n{common.stopwatch}")
    if asked.json:
        common.write_json(asked.json, results)


if __name__ == "__main__":
    main()
