"""
Results as figures: readable in grey, and for the colour-blind.

Each opponent has a marker of its own, and colours run from dark to light. A figure is drawn twice,
for light pages and for dark ones. Matplotlib is imported only where something is drawn.
"""

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reporting.words import (
    OPPONENTS,
    OURS,
    Results,
    call_name,
    fastest,
    opponents,
    ours,
    percent,
    times,
    work_name,
)

MARKERS = dict(zip(OPPONENTS, "*os^DvPXp", strict=True))
SPARE_MARKERS = "<>hd8H"
DASHES = ("-", "--", ":", "-.")
LEVELS = ("L1", "L2", "L3", "memory")
STYLE = {
    "font.size": 9, "axes.titlesize": 9, "axes.titlelocation": "left", "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False,
    "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 8, "legend.handlelength": 3,
    "figure.titlesize": 11,
    "svg.hashsalt": "cbackprop",  # the same numbers make the same file
}
DARK = "#14181e"  # the paper of the documentation's dark pages
# Where the growth curves leave the line: letters above or below (axis, series, value).
# docs/benchmarks.md has a sentence for each.
LETTERS = {
    "A": ("above", "width", 1, 12), "B": ("below", "width", 1, 24),
    "C": ("above", "width", 0, 192), "D": ("above", "width", 0, 1536),
    "E": ("below", "width", 1, 4096), "F": ("below", "mini-batch", 1, 2),
    "G": ("below", "mini-batch", 0, 512), "H": ("below", "depth", 0, 1),
    "I": ("above", "depth", 1, 20), "J": ("below", "rows", 0, 1_000_000),
}


@contextmanager
def drawing() -> Iterator[Callable[[float, float, str], Any]]:
    """Yield a maker of figures: of a width, a height (in inches) and a title."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("figures need matplotlib: pip install 'cbackprop[bench]'") from None
    from matplotlib.figure import Figure  # needs no display, and has no state that others share

    def make(width: float, height: float, title: str) -> Any:
        figure = Figure((width, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left")
        return figure

    with matplotlib.rc_context(STYLE):
        yield make


def pair(path: Path) -> Iterator[Path]:
    """Give a path for light pages, and one for dark ones; meanwhile their colours are in use."""
    with drawing():
        import matplotlib
        from matplotlib import style

        paper = dict.fromkeys(("figure.facecolor", "axes.facecolor"), DARK)
        schemes = {
            "": {"figure.facecolor": "white", "grid.color": "0.88"},
            "-dark": {**style.library["dark_background"], **paper, "savefig.facecolor": "auto",
                      "grid.color": "0.27"}}
    for name, colors in schemes.items():
        with matplotlib.rc_context(colors):
            yield path.with_name(f"{path.stem}{name}{path.suffix}")


def save(figure: Any, path: Path) -> None:
    """Write a figure; an SVG without its date and its indentation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = path.suffix == ".svg"
    with drawing():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # its last digits differ from run to run
        for axes in figure.axes:
            axes.set_position([round(edge, 4) for edge in axes.get_position().bounds])
        figure.savefig(path, dpi=150, metadata={"Date": None} if svg else None)
    if svg:
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(map(str.strip, lines)) + "\n", encoding="utf-8")


def ink(strength: float = 1.0) -> Any:
    """Return the colour of text, or, if it is weaker, one between paper and text."""
    import matplotlib
    from matplotlib.colors import to_rgb

    paper, text = (to_rgb(matplotlib.rcParams[name]) for name in ("figure.facecolor", "text.color"))
    return tuple(p + strength * (t - p) for p, t in zip(paper, text, strict=True))


def colours(number: int) -> list[Any]:
    """Return so many, from dark to light; the colour-blind tell them apart, and from the paper."""
    import matplotlib

    first, last = (0.0, 0.93) if sum(ink()) < 1.5 else (0.25, 1.0)
    return [matplotlib.colormaps["viridis"](first + (last - first) * at / max(1, number - 1))
            for at in range(number)]


def log_axis(axis: Any, low: float, high: float, steps: Sequence[int] = (1,)) -> None:
    """Set ticks that read 0.1, 10, 1,000: no powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(
        lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))


# ---- peers ----


def epochs(results: Results) -> Any:
    """Draw each opponent's epoch against ours."""
    works = {work_name(work): work for work in results["works"].values()}
    return _ratios(works, opponents(results, "works"), results["absent"], ["float32", "float64"],
                   "An epoch of training")


def inference(results: Results) -> Any:
    """Draw each opponent's feedforward against ours."""
    calls = {call_name(call): call for call in results["inference"].values()}
    return _ratios(calls, opponents(results, "inference"), results["absent"], ["float32"],
                   "Feedforward")


def _ratios(
    works: Mapping[str, Results], names: Sequence[str], absent: Container[str],
    reals: Sequence[str], what: str,
) -> Any:
    with drawing() as make:
        from matplotlib.lines import Line2D

        known = [*OPPONENTS, *(name for name in names if name not in MARKERS)]
        shades = dict(zip(known, colours(len(known)), strict=True))
        spare = iter(SPARE_MARKERS)
        style = {name: {"marker": MARKERS.get(name) or next(spare), "color": shades[name],
                        "markeredgecolor": ink(), "markeredgewidth": 0.6, "markersize": 6.5,
                        "linestyle": "none"} for name in names}
        figure = make(2.2 + 4.0 * len(reals), 1.9 + 0.62 * len(works),
                      f"{what}: what others take, as a multiple of {OURS}'s time")
        panels = figure.subplots(1, len(reals), sharey=True, squeeze=False)[0]
        for axes, real in zip(panels, reals, strict=True):
            _ratio_panel(axes, works, real, style)
        panels[0].set_yticks(range(len(works)), works)
        panels[0].set_ylim(len(works) - 0.5, -0.5)
        figure.legend([Line2D([], [], **style[name]) for name in names],
                      [name + " (absent)" * (name in absent) for name in names],
                      loc="outside lower center", ncols=4)
    return figure


def _ratio_panel(
    axes: Any, works: Mapping[str, Results], real: str, style: Mapping[str, dict[str, Any]]
) -> None:
    ratios = [1.0]
    for at, work in enumerate(works.values()):
        own = ours(work, real)
        others = {name: fastest(work, [name], real) for name in style}
        found = {name: one["best"] / own["best"] for name, one in others.items() if one and own}
        for place, name in enumerate(style):
            if name in found:
                axes.plot([found[name]], [at + 0.8 * ((place + 0.5) / len(style) - 0.5)],
                          **style[name])
        ratios += found.values()
        first = min(found, key=found.__getitem__, default=None)
        text = "not measured" if first is None else f"{times(found[first])}  {first}"
        axes.annotate(text, (1.02, at), xycoords=("axes fraction", "data"), va="center",
                      fontsize=8)
        if at % 2:
            axes.axhspan(at - 0.5, at + 0.5, color=ink(0.06), zorder=0)
    low, high = 0.85 * min(ratios), 1.2 * max(ratios)
    axes.set(xscale="log", xlim=(low, high), xlabel=f"its time / {OURS}'s", title=real)
    log_axis(axes.xaxis, low, high, (1, 2, 5) if high / low < 300 else (1,))
    axes.axvline(1, color=ink(), linewidth=1.2, zorder=1)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.annotate("the fastest", (1.02, 1), xycoords="axes fraction", va="bottom", fontsize=8,
                  xytext=(0, 5), textcoords="offset points", fontstyle="italic")


def roofline(results: Results, real: str = "float32") -> Any:
    """Draw what the core allows, by flops per byte, and where each work's epoch is."""
    limits = results["limits"]
    peak = limits["peak_flops_per_second"][real] / 1e9
    slopes = {level: limits["bytes_per_second"][level] / 1e9
              for level in LEVELS if level in limits["bytes_per_second"]}
    works = [work for work in results["works"].values() if ours(work, real)]
    works.sort(key=lambda work: -ours(work, real)["flops_per_second"])
    own = [ours(work, real)["flops_per_second"] / 1e9 for work in works]
    others = [fastest(work, _all_others(work), real) for work in works]
    their = [other["flops_per_second"] / 1e9 if other else None for other in others]
    roofs = [work["roofline"][real] for work in works]
    intensities = [roof["flops_per_byte"] for roof in roofs]
    left = min([*intensities, peak / max(slopes.values())]) / 2
    right = 2 * max([*intensities, peak / min(slopes.values())])
    bottom, top = min([*own, *filter(None, their)]) / 1.5, 1.6 * peak
    with drawing() as make:
        figure = make(9.4, 5.2, f"One core's roofline, {real}, and whole epochs of training")
        axes = figure.subplots()
        for (level, slope), dash in zip(slopes.items(), DASHES, strict=False):
            ends = [left, peak / slope, right]
            axes.plot(ends, [min(peak, slope * x) for x in ends], dash, color=ink(0.7),
                      linewidth=1.2, label=f"{level}, {slope:,.0f} GB/s")
        axes.annotate(f"multiply-adds: {peak:,.0f} GFLOP/s", (right, peak), ha="right",
                      va="bottom", xytext=(-2, 2), textcoords="offset points", fontsize=8)
        heights = _apart(own, bottom, top, least=0.075)
        for work, roof, y, other, colour, height in zip(
                works, roofs, own, their, colours(len(works)), heights, strict=True):
            x, mine = roof["flops_per_byte"], ours(work, real)
            text = (f"{work_name(work)}: {percent(mine['share_of_peak'])} of the peak; "
                    f"its bytes from {roof['level']}")
            if roof["bound"] != "FMA":
                text += f": {percent(roof['seconds'] / mine['best'])} of the roof"
            axes.annotate(
                text, (x, y), (1.02, height), textcoords=axes.get_yaxis_transform(), va="center",
                fontsize=8, arrowprops={"arrowstyle": "-", "color": ink(0.35), "linewidth": 0.7,
                                        "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 4})
            if other is not None:
                axes.plot([x, x], [other, y], color=colour, linewidth=1.2)
                axes.plot([x], [other], "o", color=ink(0), markeredgecolor=colour, markersize=5)
            axes.plot([x], [y], "o", color=colour, markeredgecolor=ink(), markersize=8)
        axes.plot([], [], "o", color=ink(0.5), markeredgecolor=ink(), markersize=8, label=OURS)
        axes.plot([], [], "o", color=ink(0), markeredgecolor=ink(0.7), markersize=5,
                  label="the fastest opponent")
        axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(bottom, top),
                 xlabel="flops per byte", ylabel="GFLOP/s")
        log_axis(axes.xaxis, left, right)
        log_axis(axes.yaxis, bottom, top, (1, 2, 5))
        axes.grid()
        figure.legend(loc="outside lower center", ncols=6)
    return figure


def _all_others(work: Results) -> set[str]:
    return {one["opponent"] for one in work["contestants"].values()} - {OURS}


def _apart(values: Sequence[float], low: float, high: float, least: float) -> list[float]:
    """Move heights on a log axis, given from the highest down, until labels do not overlap."""
    scale = math.log(high / low)
    places = [math.log(value / low) / scale for value in values]
    ceiling = 1 - least / 2
    for at, place in enumerate(places):
        places[at] = min(place, ceiling)
        ceiling = places[at] - least
    floor = least / 2
    for at in reversed(range(len(places))):
        places[at] = max(places[at], floor)
        floor = places[at] + least
    return [low * math.exp(scale * place) for place in places]


# ---- many networks ----


def lanes(results: Results) -> Any:
    """Draw the time as lanes over that of single training, along each sweep."""
    with drawing() as make:
        found = results["sweeps"]
        figure = make(8.6, 3.2, "Training as lanes: its time, by that of one network after another")
        panels = figure.subplots(1, len(found), sharey=True)
        ratios = [ratio for points in found.values() for ratio in points.values()]
        for axes, (name, points) in zip(panels, found.items(), strict=True):
            values = [int(value) for value in points]
            axes.plot(values, list(points.values()), "o-", color=colours(3)[1],
                      markeredgecolor=ink(), markeredgewidth=0.5, markersize=5)
            axes.axhline(1, color=ink(), linewidth=1.2)
            axes.set(xscale="log", yscale="log", xlabel=name)
            log_axis(axes.xaxis, min(values), max(values),
                     (1,) if max(values) / min(values) > 100 else (1, 2, 5))
            log_axis(axes.yaxis, 0.85 * min(ratios), 1.2 * max(ratios), (1, 2, 5))
            axes.grid()
        panels[0].set_ylim(0.85 * min(ratios), 1.2 * max(ratios))
    return figure


# ---- how cost grows ----


def growth(results: Results) -> Any:
    """Draw seconds per row against flops per row, and each sweep's share of the peak."""
    line = results["line_share_of_peak"]
    peak = results["peak_flops_per_second"]["float32"]
    sweeps: dict[str, list[Results]] = {}
    for sweep in results["sweeps"]:
        sweeps.setdefault(sweep["axis"], []).append(sweep)
    with drawing() as make:
        figure = make(8.6, 9.6, "Training in float32 on one core: time per row, and the share of "
                                "the peak")
        names = list(sweeps)
        panels = figure.subplot_mosaic([["all", "all"], names[:2], names[2:]],
                                       height_ratios=[1.9, 1, 1])
        whole = panels["all"]
        flops = [point["flops_per_row"] for found in sweeps.values() for sweep in found
                 for point in sweep["points"]]
        ends = [min(flops) / 1.5, max(flops) * 1.5]
        whole.plot(ends, [x / peak / line for x in ends], color=ink(), linewidth=1.2,
                   label=f"the line: {percent(line)} of the peak")
        for (axis, found), marker in zip(sweeps.items(), "osD^", strict=True):
            axes = panels[axis]
            for sweep, dash, colour in zip(found, DASHES, colours(3), strict=False):
                points = sweep["points"]
                style = {"marker": marker, "color": colour, "markeredgecolor": ink(),
                         "markeredgewidth": 0.5, "markersize": 5, "linestyle": dash}
                whole.plot([point["flops_per_row"] for point in points],
                           [point["seconds_per_row"] for point in points],
                           label=f"{axis}: {sweep['label']}", **style)
                axes.plot([point["value"] for point in points],
                          [100 * point["share_of_peak"] for point in points], **style)
            axes.axhline(100 * line, color=ink(), linewidth=1.2)
            axes.set(xscale="log", xlabel=axis, ylabel="% of the peak", ylim=(0, 100))
            values = [point["value"] for sweep in found for point in sweep["points"]]
            log_axis(axes.xaxis, min(values), max(values),
                     (1,) if max(values) / min(values) > 100 else (1, 2, 5))
            axes.grid()
            _letters(axes, axis, found)
        whole.set(xscale="log", yscale="log", xlabel="flops per row", ylabel="seconds per row")
        whole.minorticks_off()
        whole.grid()
        whole.legend(loc="upper left")
    return figure


def _letters(axes: Any, axis: str, found: Sequence[Results]) -> None:
    for letter, (side, of_axis, series, value) in LETTERS.items():
        if of_axis == axis and series < len(found):
            for point in found[series]["points"]:
                if point["value"] == value:
                    axes.annotate(
                        letter, (value, 100 * point["share_of_peak"]),
                        xytext=(0, 6 if side == "above" else -6), textcoords="offset points",
                        va="bottom" if side == "above" else "top", ha="center",
                        fontweight="bold")


# ---- backpropagation against differences ----


def differences(results: Results) -> Any:
    """Draw the time of one gradient, both ways, against the number of weights."""
    found = results["differences"]
    examples = list(dict.fromkeys(one["examples"] for one in found))
    with drawing() as make:
        figure = make(7.2, 4.2, "One gradient, float64: by backpropagation, and by a cost for "
                                "every weight")
        axes = figure.subplots()
        dark, _, light = colours(3)
        for number, dash in zip(examples, DASHES, strict=False):
            of_number = [one for one in found if one["examples"] == number]
            weights = [one["weights"] for one in of_number]
            of = "1 example" if number == 1 else f"{number} examples"
            for name, marker, colour, seconds in (
                ("differences (46)", "s", dark, [one["differences_seconds"] for one in of_number]),
                ("backpropagation", "o", light, [one["backprop"]["best"] for one in of_number]),
            ):
                axes.plot(weights, seconds, dash, marker=marker, color=colour,
                          markeredgecolor=ink(), label=f"{name}, {of}")
        axes.set(xscale="log", yscale="log", xlabel="weights", ylabel="seconds")
        for one in of_number:
            middle = math.sqrt(one["differences_seconds"] * one["backprop"]["best"])
            axes.annotate(f"{one['times_backprop']:,.0f} x", (one["weights"], middle),
                          ha="center", va="center")
        axes.margins(x=0.1)
        axes.minorticks_off()
        log_axis(axes.xaxis, *axes.get_xlim())
        axes.grid()
        figure.legend(loc="outside right center")
    return figure
