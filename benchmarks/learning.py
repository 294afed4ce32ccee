"""
What other ways to learn cost: adam, momentum, dropout and relu, beside plain descent of sigmoids.

PyTorch eager and JAX race in adam and in dropout of half of the hidden neurons, on the works of
`peers.py`, on one core, in float32, in the same interleaved rounds. Before that, the same lines in
float64 must compute what cbackprop does, dropout with a rate so small that nothing is dropped; at
its real rate they must drop that share of the neurons; and every contestant's cost must fall as
cbackprop's.

    python benchmarks/learning.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import common
from command import Bound, Command, Results
from common import WORKS, Timing, Work, interleaved, table, times

START = common.before_numpy()

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from opponents import OURS, load  # noqa: E402
from opponents.contestant import (  # noqa: E402
    LEAST_SECONDS,
    MOST_SECONDS,
    Check,
    Contestant,
    Examples,
)
from opponents.ours import Cbackprop  # noqa: E402

REAL = "float32"
OTHERS = ("torch", "jax")
ADAM, DROPOUT = "adam", "dropout 0.5"
RACES = (ADAM, DROPOUT)  # others take part
NOTHING_DROPPED = 1e-12
NEURONS = 4_000  # are looked at, whether they drop out
STEPS, ROWS = 300, 2_000  # after so many steps, the cost of at most so many rows is compared
LIKE = 0.1  # of what cbackprop's cost fell by, ...
ALIKE = 0.01  # ... or of the cost: random targets can hardly be learnt, and orders differ

# To reach with AVX-512: of the rows per second of plain descent, ...
TO_REACH = {"784-512-512-10": {ADAM: 0.80, "momentum": 0.88, DROPOUT: 0.88, "relu": 1.0}}
FASTER = 1.0  # ... and times faster than each opponent, on every work


def ways(work: Work) -> dict[str, Work]:
    """Return the same work, learnt in each way, with rates that nothing diverges at."""
    return {
        "plain": work,
        "momentum": replace(work, optimizer="momentum", eta=work.eta / 10),
        ADAM: replace(work, optimizer="adam", eta=1e-3),
        DROPOUT: replace(work, dropout=0.5),
        "relu": replace(work, activation="relu", output_activation=work.activation,
                        eta=work.eta / 100),
    }


def contestants(
    work: Work, examples: Examples, modules: dict[str, ModuleType], real: str, tiny: bool
) -> Iterator[Contestant]:
    """Yield all forms of the others; where tiny, one of each."""
    for module in modules.values():
        forms = [one for one in module.contestants(work, examples) if one.name.endswith(real)]
        yield from forms[:1] if tiny else forms


# ---- first check ----


def cost(work: Work, parameters: list[NDArray], examples: Examples) -> float:
    """Return the mean quadratic cost of some rows, without dropout, in float64."""
    a, y = examples.x["float64"][:ROWS], examples.y["float64"][:ROWS]
    half = len(parameters) // 2
    for w, b in zip(parameters[:half], parameters[half:], strict=True):
        z = a @ w.T.astype(np.float64) + b[:, 0]
        a = np.tanh(z) if work.activation == "tanh" else 1 / (1 + np.exp(-z))
    return float(((a - y) ** 2).sum(axis=1).mean() / 2)


def trained(one: Contestant, examples: Examples) -> float:
    """Return the cost after some epochs."""
    one.begin()
    for _ in range(math.ceil(STEPS * one.work.mini_batch_size / one.work.rows)):
        one.epoch()
    return cost(one.work, one.parameters(), examples)


def dropped(work: Work, one: Contestant) -> float:
    """Return the share of the last hidden neurons that drop out, for one example at a time."""
    last = len(work.shapes) - 1
    one.begin()
    shares = []
    for step in range(math.ceil(NEURONS / work.sizes[-2])):
        before = one.parameters()[last].copy()
        one.train(np.array([[step % work.rows]]))
        shares.append((one.parameters()[last] == before).all(axis=0).mean())
    return float(np.mean(shares))


def checked(
    work: Work, examples: Examples, others: list[Contestant], modules: dict[str, ModuleType],
    tiny: bool,
) -> tuple[list[Contestant], dict[str, Any]]:
    """Return those that compute and learn the same, and how well they agree."""
    same = replace(work, dropout=min(work.dropout, NOTHING_DROPPED))
    check = Check(same, Cbackprop(same, examples, "float64", "float64"))
    differences: dict[str, float] = {}
    refused: dict[str, str] = {}
    for one in contestants(same, examples, modules, "float64", tiny):
        try:
            differences[f"{one.opponent} {one.form}"] = check.difference(one)
        except SystemExit as error:
            refused[f"{one.opponent} {one.form}"] = str(error)
    shares: dict[str, float] = {}
    single = replace(work, mini_batch_size=1)
    if work.dropout:
        for one in (Cbackprop(single, examples, "float64", "float64"),
                    *contestants(single, examples, modules, "float64", tiny)):
            name = f"{one.opponent} {one.form}".strip()
            shares[name] = dropped(single, one)
            if not abs(shares[name] - work.dropout) <= 5 * (0.25 / NEURONS)**0.5:
                refused[name] = f"{work.name}: {name} drops {shares[name]:.3f} of the neurons"
    ours = Cbackprop(work, examples, REAL, REAL)
    ours.begin()
    before, wanted = cost(work, ours.parameters(), examples), trained(ours, examples)
    falls: dict[str, float] = {}
    for one in others:
        name = f"{one.opponent} {one.form}"
        found = trained(one, examples)
        falls[name] = (before - found) / (before - wanted)
        if not abs(found - wanted) <= max(LIKE * (before - wanted), ALIKE * before):
            refused[name] = (f"{work.name}: the cost of {name} falls {falls[name]:.3f} times as "
                             f"far as that of {OURS}")
    for reason in refused.values():
        print(f"REFUSED: {reason}")
    agreed = [one for one in others if f"{one.opponent} {one.form}" not in refused]
    return agreed, {"differences": differences, "dropped": shares, "falls": falls,
                    "refused": refused}


# ---- then time ----


def race(
    work: Work, modules: dict[str, ModuleType], repeat: int, tiny: bool
) -> dict[str, Any]:
    """Check, time and print one work; return everything measured."""
    print(f"\n{work}", flush=True)
    examples = Examples(work)
    everyone: list[tuple[str, Contestant]] = []
    checks: dict[str, Any] = {}
    for way, learnt in ways(work).items():
        everyone.append((way, Cbackprop(learnt, examples, REAL, REAL)))
        if way in RACES:
            others = list(contestants(learnt, examples, modules, REAL, tiny))
            agreed, checks[way] = checked(learnt, examples, others, modules, tiny)
            everyone += [(way, one) for one in agreed]
            found = checks[way]
            print(f"check, {way}: float64 agrees to "
                  f"{max(found['differences'].values(), default=0.0):.1e} of the update; "
                  + f"{span(found['dropped'])} of the neurons drop out; " * bool(found["dropped"])
                  + f"costs fall by {span(found['falls'])} of {OURS}'s")
    for _, one in everyone:
        one.choose_rows(0.0 if tiny else LEAST_SECONDS, MOST_SECONDS / (10 if tiny else 1))
    common.blas(START.threads)  # those loaded since
    timings = interleaved([one.seconds for _, one in everyone], repeat)
    result: dict[str, Any] = {
        "name": work.name, "sizes": work.sizes, "mini_batch_size": work.mini_batch_size,
        "rows": work.rows, "check": checks_of(checks), "ways": {}}
    ours: dict[str, Timing] = {}
    for (way, one), timing in zip(everyone, timings, strict=True):
        ours.setdefault(way, timing)  # it comes first
        contestant = {"opponent": one.opponent, "form": one.form, "eta": one.work.eta,
                      "rows_timed": one.rows_timed, "epochs_timed": one.epochs_timed,
                      **timing.as_dict(), "times_cbackprop": ratio(timing, ours[way])}
        of_way = result["ways"].setdefault(way, {
            "share_of_plain": ratio(ours["plain"], ours[way]), "contestants": {}, "forms": []})
        of_way["forms"].append(contestant)
        best = of_way["contestants"].get(one.opponent)
        if best is None or timing.best < best["best"]:
            of_way["contestants"][one.opponent] = contestant
    print_race(result)
    return result


def span(values: dict[str, float]) -> str:
    """Write the least and the most."""
    if not values:
        return "-"
    return f"{min(values.values()):.3f} to {max(values.values()):.3f}"


def checks_of(by_way: dict[str, Any]) -> dict[str, Any]:
    """Return the checks of all ways as one."""
    refused = {f"{way}, {name}": why for way, found in by_way.items()
               for name, why in found["refused"].items()}
    return {"ways": by_way, "refused": refused}


def ratio(one: Timing, other: Timing) -> float:
    """
    Compare two times round by round, and return the median.

    The best times would compare the machine's best minute for one with that for the other.
    """
    return Timing([a / b for a, b in zip(one.seconds, other.seconds, strict=True)]).median


def print_race(result: dict[str, Any]) -> None:
    lines = []
    for way, found in result["ways"].items():
        for one in found["contestants"].values():
            name = f"{way}: {one['opponent']}" + f", {one['form']}" * bool(one["form"])
            mine = one["opponent"] == OURS
            lines.append((
                name, f"{1e3 * one['best']:.2f}", f"{1e3 * one['median']:.2f}",
                f"{100 * found['share_of_plain']:.1f}" if mine else "",
                times(one["times_cbackprop"])))
    print(table(("one epoch", "ms min", "ms median", "% of plain", "/ cbackprop"), lines))


def bounds(works: dict[str, Any], variant: str) -> Iterator[Bound]:
    """Yield those of all that was run."""
    for name, work in works.items():
        for way, share in TO_REACH.get(name, {}).items():
            if variant == "v4":
                yield Bound(f"{name}: {way}, of plain descent's rows per second", share,
                            work["ways"][way]["share_of_plain"])
        for way in RACES:
            for opponent, one in work["ways"][way]["contestants"].items():
                if opponent != OURS:
                    yield Bound(f"{name}: {way}, faster than {opponent}", FASTER,
                                one["times_cbackprop"])


def measure(arguments: argparse.Namespace) -> Results:
    repeat, tiny = arguments.repeat, arguments.tiny
    print(f"{'timing':<10} {repeat} rounds of all in turns, {REAL}; ratios are medians over rounds")
    chosen = [WORKS[name].tiny() if tiny else WORKS[name] for name in arguments.work]
    works = {work.name: race(work, arguments.modules, repeat, tiny) for work in chosen}
    return {"works": works, "bounds": list(bounds(works, arguments.about["variant"]))}


main = Command("learning", __doc__, START, measure, repeat=7, works=[*WORKS],
               load=lambda _: load(OTHERS, START.threads))


if __name__ == "__main__":
    main()
