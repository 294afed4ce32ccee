"""
Write the tables of docs/functions.md from the rows of cbackprop/core/table.py.

That of optimizers is from their classes, which have the defaults and say what a step is.

    python tools/tables.py

A test looks that they are as this would write them.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from cbackprop import optimizers
from cbackprop.core import table

PAGE = Path(__file__).parents[1] / "docs/functions.md"


def spelled(row: table.Activation | table.Cost) -> str:
    """Return how a function is asked for."""
    names = [parameter.name for parameter in row.parameters]
    return ", ".join([f"`{row.name}`", *[f'`("{row.name}", {", ".join(names)})`'] * bool(names)])


def formula(row: table.Activation | table.Cost) -> str:
    """Return a formula, and the defaults of its parameters."""
    defaults = [f"{each.name} = {each.default:g}" for each in row.parameters]
    return "; ".join([row.formula, *[", ".join(defaults)] * bool(defaults)])


def also(row: table.Activation | table.Cost | table.Optimizer) -> str:
    """Return the other names that are understood."""
    return ", ".join(f"`{name}`" for name in row.aliases)


def outputs(row: table.Activation) -> str:
    """Return what the outputs lie between, an end that depends on a parameter by its name."""
    names = [parameter.name for parameter in row.parameters]
    low, high = row.ends(*(each.default for each in row.parameters))
    others = row.ends(*(each.default + 1 for each in row.parameters))
    low, high = (f"{end:.4g}" if end == other else f"{'-' * (end < 0)}{names[0]}"
                 for end, other in zip((low, high), others, strict=True))
    if high == "inf":
        return "any" if low == "-inf" else f"{low} or more"
    return f"{low} to {high}"


def activations() -> Iterator[str]:
    """Yield the lines of the table of activations."""
    yield "| name | sigma(z) | outputs | sigma' from | also |"
    yield "|---|---|---|---|---|"
    for row in table.ACTIVATIONS:
        yield (f"| {spelled(row)} | {formula(row)} | {outputs(row)} | {row.prime_from} | "
               f"{also(row)} |")


def costs() -> Iterator[str]:
    """Yield the lines of the table of costs."""
    yield "| name | C(a, y) | targets | default output | PyTorch, Keras | also |"
    yield "|---|---|---|---|---|---|"
    for row in table.COSTS:
        output = f"`{row.default_output}`" if row.default_output else "as hidden"
        others = ", ".join(f"`{name}`" for name in (row.torch, row.keras) if name) or "none"
        yield (f"| {spelled(row)} | {formula(row)} | {row.targets} | {output} | {others} | "
               f"{also(row)} |")


def rules() -> Iterator[str]:
    """Yield the lines of the table of optimizers."""
    yield "| name | class, with its defaults | a step, and its paper | also |"
    yield "|---|---|---|---|"
    for name, kind in optimizers.KNOWN.items():
        numbers = ", ".join(f"{each.name}={each.default:g}" for each in dataclasses.fields(kind)
                            if each.name != "lazy")
        summary = inspect.getdoc(kind).partition("\n\n")[0].removesuffix(".")
        yield (f"| `{name}` | `{kind.__name__}({numbers})` | {summary} | "
               f"{also(optimizers.ROWS[name])} |")


def written(page: str) -> str:
    """Return the page with its tables written anew."""
    for name, lines in (
            ("activations", activations()), ("costs", costs()), ("optimizers", rules())):
        begin, end = f"<!-- {name}: written by tools/tables.py -->", f"<!-- end of {name} -->"
        body = "\n".join([begin, *lines, end])
        page, n = re.subn(f"{re.escape(begin)}.*{re.escape(end)}", lambda _, body=body: body, page,
                          flags=re.DOTALL)
        assert n == 1, name
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
