"""
Twenty tables such as people bring in their first hour, and every form they are written in.

Those of scikit-learn and statsmodels come with these packages; the others are made here, with an
answer that is known.
"""

import csv
import dataclasses
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@dataclasses.dataclass(frozen=True)
class Real:
    """A table as it is written, and what is right of it."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    target: str  # which column is to be found, or, with `asked`, which is asked for
    kind: str
    classes: tuple | None = None
    asked: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def y(self):
        """The target's cells."""
        at = self.header.index(self.target)
        return [row[at] for row in self.rows]

    def head(self, n):
        """Return the first rows alone."""
        return dataclasses.replace(self, rows=self.rows[:n])


MADE: dict[str, Callable[[], Real]] = {}


def table(make):
    MADE[make.__name__] = make
    return make


def real(name):
    """Return a table; skip where its package is not there."""
    return MADE[name]()


def of_sklearn(name, target, kind, named=True):
    datasets = pytest.importorskip("sklearn.datasets")
    found = getattr(datasets, f"load_{name}")()
    y = found.target
    names = tuple(map(str, found.target_names)) if kind == "classes" and named else None
    cells = [names[label] for label in y] if names else [f"{value:g}" for value in y]
    header = *map(str, found.feature_names), target
    rows = [(*(f"{value:g}" for value in row), cell)
            for row, cell in zip(found.data, cells, strict=True)]
    classes = tuple(sorted(names)) if names else tuple(range(10)) if kind == "classes" else None
    return Real(header, rows, target, kind, classes)


@table
def iris():
    return of_sklearn("iris", "species", "classes")


@table
def wine():
    return of_sklearn("wine", "class", "classes")


@table
def breast_cancer():
    return of_sklearn("breast_cancer", "diagnosis", "classes")


@table
def digits():
    return of_sklearn("digits", "digit", "classes", named=False)


@table
def diabetes():
    return of_sklearn("diabetes", "target", "numbers")


@table
def linnerud():
    """Three exercises of twenty men; one is asked for."""
    datasets = pytest.importorskip("sklearn.datasets")
    found = datasets.load_linnerud()
    rows = [tuple(f"{value:g}" for value in (*x, y[1]))
            for x, y in zip(found.data, found.target, strict=True)]
    return Real((*found.feature_names, "Waist"), rows, "Waist", "numbers")


def of_statsmodels(path, target, kind, classes=None, asked=False, left_out=()):
    folder = Path(pytest.importorskip("statsmodels").__file__).parent / "datasets"
    dialect = {"anes96": {"delimiter": "\t", "quotechar": "'"},
               "spector": {"delimiter": " ", "quotechar": "'"},
               "modechoice": {"delimiter": ";"}}.get(path, {})
    with open(next(folder.glob(f"*/{path}.csv")), encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file, **dialect)
    return Real(tuple(header), list(map(tuple, rows)), target, kind, classes, asked, left_out)


@table
def anes96():
    return of_statsmodels("anes96", "vote", "classes", (0, 1))


@table
def modechoice():
    return of_statsmodels("modechoice", "choice", "classes", (0, 1), asked=True)


@table
def spector():
    return of_statsmodels("spector", "GRADE", "classes", (0, 1), left_out=("OBS",))


@table
def longley():
    return of_statsmodels("longley", "TOTEMP", "numbers", asked=True, left_out=("Obs",))


@table
def grunfeld():
    return of_statsmodels("grunfeld", "invest", "numbers", asked=True)


@table
def statecrime():
    return of_statsmodels("statecrime", "murder", "numbers", asked=True)


@table
def star98():
    return of_statsmodels("star98", "MATHTOT", "numbers", asked=True)


@table
def macrodata():
    return of_statsmodels("macrodata", "realint", "numbers")


@table
def sunspots():
    return of_statsmodels("sunspots", "SUNACTIVITY", "numbers")


@table
def xor():
    """Exclusive or, 50 times."""
    rows = [(f"{a}", f"{b}", f"{a ^ b}") for a in (0, 1) for b in (0, 1)] * 50
    return Real(("a", "b", "a xor b"), rows, "a xor b", "classes", (0, 1))


@table
def visits():
    """Counts of a Poisson distribution whose mean is exp(0.5 + dose)."""
    rng = np.random.default_rng(0)
    dose = rng.uniform(0, 1.5, 800)
    visits = rng.poisson(np.exp(0.5 + dose))
    rows = [(f"{a:.4f}", f"{b}") for a, b in zip(dose, visits, strict=True)]
    return Real(("dose", "visits"), rows, "visits", "counts")


@table
def shop():
    """Categories with an index, gaps, booleans, quotes; who is old or from Ulm buys."""
    rng = np.random.default_rng(1)
    rows = []
    for at in range(300):
        age, member = rng.integers(18, 80), bool(rng.random() < 0.5)
        town = ["Ulm", "Bad Ems, Lahn", "Köln", 'the "Pott"'][rng.integers(4)]
        buys = "yes" if age > 55 or town == "Ulm" else "no"
        rows.append((f"{at}", "" if at % 11 == 5 else f"{age}", "" if at % 17 == 3 else town,
                     f"{member}", buys))
    return Real(("", "age", "town", "member", "outcome"), rows, "outcome", "classes",
                ("no", "yes"), left_out=("Unnamed: 0",))


@table
def unicode_names():
    """Names and classes in other scripts: 温度 tells whether it is 冷 or 熱."""
    rng = np.random.default_rng(2)
    warmth = rng.normal(15, 10, 200)
    rows = [(f"{value:.2f}", f"{noise:.2f}", "熱" if value > 15 else "冷")
            for value, noise in zip(warmth, rng.normal(0, 1, 200), strict=True)]
    return Real(("温度", "größe", "état"), rows, "état", "classes", ("冷", "熱"))


@table
def label_first():
    """The bundled digits as MNIST's usual CSV has them."""
    import cbackprop
    (x, y), _ = cbackprop.datasets.load_mnist()
    rows = [(str(label), *map(str, row)) for row, label in zip(x[:1000], y[:1000], strict=True)]
    return Real(("label", *(f"pixel{at}" for at in range(784))), rows, "label", "classes",
                tuple(range(10)))


# ---------------------------------------------------------------- forms


def as_text(header, rows, **dialect):
    file = io.StringIO()
    csv.writer(file, **{"lineterminator": "\n"} | dialect).writerows(
        [header, *rows] if header else rows)
    return file.getvalue()


def _with_comments(header, rows):
    first, *lines = as_text(header, rows).splitlines(keepends=True)
    return "".join(["# made by hand\n", first, *lines[:3], "\n# an afterthought, with, commas\n",
                    *lines[3:]])


def _decimal_commas(header, rows):
    def cell(value):
        try:
            float(value)
        except ValueError:
            return value
        return value.replace(".", ",")

    return as_text(header, [tuple(map(cell, row)) for row in rows], delimiter=";")


def _single_quotes(header, rows):
    return as_text(header, rows, quotechar="'", quoting=csv.QUOTE_ALL)


FORMS = {
    "csv": lambda header, rows: as_text(header, rows).encode(),
    "tsv": lambda header, rows: as_text(header, rows, delimiter="\t").encode(),
    "semicolons": lambda header, rows: as_text(header, rows, delimiter=";").encode(),
    "bars": lambda header, rows: as_text(header, rows, delimiter="|").encode(),
    "quoted": lambda header, rows: as_text(header, rows, quoting=csv.QUOTE_ALL).encode(),
    "single quotes": lambda header, rows: _single_quotes(header, rows).encode(),
    "windows": lambda header, rows: as_text(header, rows, lineterminator="\r\n").encode(),
    "bom": lambda header, rows: as_text(header, rows).encode("utf-8-sig"),
    "utf-16": lambda header, rows: as_text(header, rows).encode("utf-16"),
    "utf-16 without bom": lambda header, rows: as_text(header, rows).encode("utf-16-le"),
    "latin-1": lambda header, rows: as_text(header, rows).encode("latin-1"),
    "decimal commas": lambda header, rows: _decimal_commas(header, rows).encode(),
    "comments": lambda header, rows: _with_comments(header, rows).encode(),
    "gzip": lambda header, rows: gzip.compress(as_text(header, rows).encode()),
}
