"""Results as text and tables in Markdown."""

import textwrap
from collections.abc import Callable, Iterable, Sequence

from reporting.words import (
    BOOK,
    ONLY_FLOAT64,
    OURS,
    Results,
    call_name,
    fastest,
    machine,
    milliseconds,
    missing,
    opponents,
    ours,
    percent,
    rows,
    times,
    where,
    work_name,
)

# README's three figures: a small network, a tiny and a large one.
IN_README = ("784-30-10", "8-16-16-1", "784-512-512-10")
BESIDE = ("NumPy", "PyTorch eager", "scikit-learn", BOOK)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def measured_on(results: Results) -> str:
    """Return a sentence about the run, and about who was not there."""
    return wrapped(f"Measured on {machine(results)}.{missing(results)}")


# ---- peers ----


def epochs(results: Results, real: str = "float32") -> str:
    """Return the epochs of all works in ms, our share of the peak, and the fastest opponent."""
    works = list(results["works"].values())
    lines = []
    for name in opponents(results, "works"):
        of = "float64" if name in ONLY_FLOAT64 else real
        label = f"{name}, {of}" if of != real else name
        found = [fastest(work, [name], of) for work in works]
        if any(found) or name in results["absent"]:
            lines.append([label, *(_time(one, name, results) for one in found)])
    own = [ours(work, real) for work in works]
    lines.append([f"**{OURS}**", *(_time(one, OURS, results) for one in own)])
    narrow = [fastest(work, [OURS], real, "uint8") for work in works]
    if any(narrow):
        lines.append([f"{OURS}, from uint8 rows",
                      *(_time(one, OURS, results) for one in narrow)])
    lines.append([f"{OURS}'s share of the peak",
                  *(percent(one["share_of_peak"]) if one else "-" for one in own)])
    best = [work.get("fastest_opponent", {}).get(real) for work in works]
    lines.append(["the fastest opponent takes",
                  *(f"{times(one['ratio'])} ({one['name'].replace(f' {real}', '')})" if one else "-"
                    for one in best)])
    lines.append(["rows in an epoch", *(f"{work['rows']:,}" for work in works)])
    return markdown([f"epoch in {real}, ms", *map(work_name, works)], lines)


def _time(one: Results | None, name: str, results: Results) -> str:
    if one is not None:
        return milliseconds(one["best"])
    return "absent" if name in results["absent"] else "-"


def speed(results: Results) -> str:
    """Return README's part: three works, our time, and how many times as long others take."""
    lines = []
    for work in filter(None, map(results["works"].get, IN_README)):
        own, best = ours(work, "float32"), work.get("fastest_opponent", {}).get("float32")
        if own and best:
            others = [fastest(work, [name], "float64" if name in ONLY_FLOAT64 else "float32")
                      for name in BESIDE]
            lines.append([
                f"{work['rows']:,} rows of {work_name(work)}", f"{milliseconds(own['best'])} ms",
                f"{times(best['ratio'])} ({best['name'].replace(' float32', '')})",
                *(times(one["best"] / own["best"]) if one else "-" for one in others)])
    header = ["an epoch in float32", OURS, "the fastest other takes", *BESIDE]
    about = wrapped(f"On {where(results)}:{missing(results)}")
    return f"{about}\n\n{markdown(header, lines)}"


def all_epochs(results: Results) -> str:
    return "\n\n".join([measured_on(results), epochs(results), epochs(results, "float64")])


def inference(results: Results) -> str:
    """Return the calls of feedforward in microseconds."""
    calls = list(results["inference"].values())
    lines = []
    for name in [*opponents(results, "inference"), OURS]:
        found = [fastest(call, [name], "float32") for call in calls]
        if any(found) or name in results["absent"]:
            label = f"**{name}**" if name == OURS else name
            lines.append([label, *(
                f"{1e6 * one['best']:,.2f}" if one else _time(one, name, results)
                for one in found)])
    return markdown(["feedforward in float32, us", *map(call_name, calls)], lines)


# ---- many networks, and bfloat16 ----


def many_name(work: Results) -> str:
    return f"{work['networks']} of {work_name(work)}"


def _of_all(results: Results, name: Callable[[Results], str], bold: str) -> list[list[str]]:
    """Return a header, then a line for each contestant: the time of each work."""
    works = list(results["works"].values())
    lines = [["an epoch, ms", *map(name, works)]]
    for who in dict.fromkeys(who for work in works for who in work["seconds"]):
        found = [work["seconds"].get(who) for work in works]
        lines.append([f"**{who}**" if who == bold else who,
                      *(milliseconds(one["best"]) if one else "-" for one in found)])
    return lines


def ensembles(results: Results) -> str:
    """Return the epochs of many networks, and our share of the peak."""
    own, peak = "lanes, own order", results["peak_flops_per_second"]["float32"]
    header, *lines = _of_all(results, many_name, own)
    lines.append(["share of the peak", *(
        percent(work["flops"] / work["seconds"][own]["best"] / peak)
        for work in results["works"].values())])
    return f"{measured_on(results)}\n\n{markdown(header, lines)}"


def lanes(results: Results) -> str:
    """Return README's part of many networks: a tiny and a larger kind."""
    columns = {"JAX, vmap": "JAX, own order", "PyTorch, baddbmm": "PyTorch",
               "one after another": "one after another"}
    lines = []
    for work in list(results["works"].values())[:3:2]:
        seconds = {who: timing["best"] for who, timing in work["seconds"].items()}
        own = seconds["lanes, own order"]
        lines.append([f"{work['rows']:,} rows, {many_name(work)}", f"{milliseconds(own)} ms", *(
            times(seconds[who] / own) if who in seconds else "-" for who in columns.values())])
    about = wrapped(f"Many networks at once, on {where(results)}:{missing(results)}")
    return f"{about}\n\n" + markdown(["an epoch of all", OURS, *columns], lines)


def bfloat16(results: Results) -> str:
    """Return the epochs with products of bfloat16, and what they gain."""
    own = "cbackprop bfloat16"
    header, *lines = _of_all(results, work_name, own)
    works = [{who: timing["best"] for who, timing in work["seconds"].items()}
             for work in results["works"].values()]
    lines.append(["times as fast as our float32", *(
        f"{seconds['cbackprop float32'] / seconds[own]:.2f}" for seconds in works)])
    return (f"{measured_on(results)} Products of bfloat16: {results['bfloat16']}.\n\n"
            + markdown(header, lines))


# ---- backpropagation against differences ----


def passes(results: Results) -> str:
    """Return what backpropagation costs, in forward passes."""
    found = {(tuple(one["sizes"]), one["batch"]): one for one in results["forward_passes"]}
    networks = dict.fromkeys(sizes for sizes, _ in found)
    batches = dict.fromkeys(batch for _, batch in found)
    lines = []
    for sizes in networks:
        of_network = [found[sizes, batch] for batch in batches]
        lines.append(["-".join(map(str, sizes)), f"{of_network[0]['flops']:.2f}",
                      *(f"{one['forward_passes_of_step']:.2f}" for one in of_network),
                      *(f"{one['forward_passes']:.2f}" for one in of_network)])
    return f"{measured_on(results)}\n\n" + markdown(
        ["in forward passes", "by flops", *(f"step, {rows(batch)}" for batch in batches),
         *(f"`backprop`, {rows(batch)}" for batch in batches)], lines)


def differences(results: Results) -> str:
    """Return what differences cost, against backpropagation."""
    return markdown(
        ["weights", "examples", "backpropagation, ms", "differences, s", "times backpropagation"],
        [(f"{one['weights']:,}", str(one["examples"]), milliseconds(one["backprop"]["best"]),
          f"{one['differences_seconds']:.3g}", f"{one['times_backprop']:,.0f}")
         for one in results["differences"]])
