"""
What was measured, as README's table, as tables and figures of docs/benchmarks.md.

Reads the JSON of the benchmarks in `REPORTS`: the files named, or else the newest kept of each.
Tables go between their markers in the pages, as `<!-- speed -->` and `<!-- /speed -->` in
README.md; figures to docs/figures/. `--keep` stores the files under benchmarks/results/ first,
summed up. `--tiny` leaves everything as it is and writes to a temporary folder.

    python benchmarks/report.py [FILE ...] [--keep] [--readme FILE] [--page FILE] [--figures FOLDER]
    python benchmarks/report.py --tiny
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import write_json
from reporting import figures, tables
from reporting.words import Results

HERE = Path(__file__).parent
ROOT = HERE.parent
KEPT = HERE / "results"


# ---- files ----


def read(path: Path) -> Results:
    """Return the results in a file, or say in one line why there are none."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from None
    kind = results.get("benchmark") if isinstance(results, dict) else None
    if kind not in REPORTS:
        raise SystemExit(f"{path}: \"benchmark\" must be one of {sorted(REPORTS)}, got {kind!r}")
    return results


def kept_name(results: Results) -> str:
    """Return the name that a run is kept under: version and CPU, and what is not as usual."""
    about = results["environment"]
    parts = [about["cbackprop"], about["cpu"]]
    if "CBACKPROP_ISA" in about["why"]:
        parts.append(about["variant"])
    if about["threads"] > 1:
        parts.append(f"{about['threads']} threads")
    if results["benchmark"] != "peers":
        parts.append(results["benchmark"])
    slugs = (re.sub(r"[^a-z0-9._]+", "-", part.lower()).strip("-") for part in parts)
    return "-".join(slugs) + ".json"


def summary(results: Results) -> Results:
    """Leave out what no table or figure shows: forms that were slower than another, and checks."""
    works = {}
    for name, work in results.get("works", {}).items():
        works[name] = {key: value for key, value in work.items() if key not in ("forms", "off")}
        if "check" in work:
            works[name]["check"] = {key: value for key, value in work["check"].items()
                                    if key != "differences"}
    return results | ({"works": works} if works else {})


def newest(folder: Path) -> dict[str, Results]:
    """Return the newest kept results of each kind, of those with nothing unusual to them."""
    found: dict[str, Results] = {}
    for path in sorted(folder.glob("*.json")):
        results = read(path)
        about, kind = results["environment"], results["benchmark"]
        usual = "CBACKPROP_ISA" not in about["why"] and about["threads"] == 1
        if usual and about["date"] >= found.get(kind, results)["environment"]["date"]:
            found[kind] = results
    return found


def rewrite(path: Path, marker: str, text: str) -> None:
    """Put text between two markers of a page, in place of what is there."""
    page = path.read_text(encoding="utf-8")
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    if page.count(start) != 1 or page.count(end) != 1 or page.index(end) < page.index(start):
        raise SystemExit(f"{path}: must have {start} and {end} once each, in this order")
    head, rest = page.split(start)
    path.write_text(f"{head}{start}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


# ---- the report ----

Maker = Callable[[Results], Any]


@dataclass(frozen=True)
class Parts:
    """What one benchmark's results are shown as: tables by their markers, figures by name."""

    readme: dict[str, Maker]
    page: dict[str, Maker]
    figures: dict[str, Maker]


REPORTS = {
    "peers": Parts(
        {"speed": tables.speed},
        {"epochs": tables.all_epochs, "inference": tables.inference},
        {"epochs": figures.epochs, "inference": figures.inference, "roofline": figures.roofline}),
    "growth": Parts({}, {"growth": tables.measured_on}, {"growth": figures.growth}),
    "backprop_vs_differences": Parts(
        {}, {"passes": tables.passes, "differences": tables.differences},
        {"differences": figures.differences}),
    "ensembles": Parts(
        {"lanes": tables.lanes}, {"ensembles": tables.ensembles}, {"lanes": figures.lanes}),
    "bfloat16": Parts({}, {"bfloat16": tables.bfloat16}, {}),
}
ARGUMENTS = {"ensembles": ["--sweeps"]}  # without which there is nothing to draw


def report(results: Results, readme: Path, page: Path, folder: Path) -> None:
    """Write all that one run's results are shown as."""
    parts = REPORTS[results["benchmark"]]
    for name, draw in parts.figures.items():
        for path in figures.pair(folder / f"{name}.svg"):
            figures.save(draw(results), path)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    for path, made in ((readme, parts.readme), (page, parts.page)):
        for marker, make in made.items():
            rewrite(path, marker, make(results))
            print(f"{path}: {marker}")


def everything_tiny() -> None:
    """Report on what is kept, and on fresh tiny runs of what is not, in a temporary folder."""
    kept = newest(KEPT)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for kind, parts in REPORTS.items():
            if kind not in kept:
                path = folder / f"{kind}.json"
                subprocess.run([sys.executable, HERE / f"{kind}.py", "--tiny", "--json", path,
                                *ARGUMENTS.get(kind, [])], check=True, stdout=subprocess.DEVNULL)
                kept[kind] = read(path)
            page = folder / f"{kind}.md"
            page.write_text("".join(f"<!-- {marker} -->\n<!-- /{marker} -->\n"
                                    for marker in (*parts.readme, *parts.page)))
            report(kept[kind], page, page, folder / "figures")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE",
                        help="results to report on (the newest kept ones)")
    parser.add_argument("--keep", action="store_true",
                        help="store the files under benchmarks/results/")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", metavar="FILE")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/benchmarks.md", metavar="FILE")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs/figures", metavar="FOLDER")
    parser.add_argument("--tiny", action="store_true",
                        help="all into a temporary folder, to see that everything runs")
    asked = parser.parse_args(argv)
    if asked.tiny:
        if asked.files:
            parser.error("--tiny takes no FILE")
        everything_tiny()
        return
    if asked.keep and not asked.files:
        parser.error("--keep needs a FILE")
    found = [read(path) for path in asked.files] or list(newest(KEPT).values())
    if not found:
        parser.error("no results are kept yet: name a FILE")
    for results in found:
        if results["tiny"]:
            parser.error("a tiny run says nothing: not reported")
        if not all(results.get(part, True) for part in ("works", "inference")):
            parser.error("a run of some works only: not reported")
    if asked.keep:
        for results in found:
            KEPT.mkdir(exist_ok=True)
            path = KEPT / kept_name(results)
            write_json(path, summary(results))
            print(path)
    for results in found:
        report(results, asked.readme, asked.page, asked.figures)


if __name__ == "__main__":
    main()
