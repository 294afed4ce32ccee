"""
The page as a file: it has the answer to everything that may be asked on it.

Answers about other examples and epochs are alike but for their numbers. They are merged into one,
whose leaves are lists, and compressed: a tenth of their size is left. So are formulas alike: a text
is stored as its numbers, and which form they fill. Fewer neurons are drawn, and epochs left out,
evenly, until the file has at most MAX_BYTES.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check
from cbackprop._version import __version__
from cbackprop.inspect import _arguments
from cbackprop.inspect.page import answers
from cbackprop.inspect.page.document import document
from cbackprop.network import Network

MOST_EXAMPLES = 20
DRAWN = 8  # neurons of a layer that are drawn, if all fits
MAX_BYTES = 300_000
MERGED = 2  # times as many epochs may fit as their size alone says: merged, they are smaller

NUMBER = re.compile(r"\d+(?:\.\d+)?")

Answer = dict[str, Any]
Forms = dict[tuple[str, ...], int]


class _Answered(NamedTuple):
    """What is stored of one epoch."""

    rows: list[dict[str, Answer]]  # of each example, answers by their question
    plane: Answer | None
    progress: Answer


def stored(
    networks: Mapping[int, Any], x: ArrayLike, y: ArrayLike, *, eta: float = 1.0,
    most: int | None = None, around: ArrayLike | None = None,
    state: Mapping[str, Any] | None = None, frames: Mapping[int, Answer] | None = None,
) -> str:
    """
    Return the document of `page`.

    Parameters
    ----------
    networks : dict
        The networks by their epoch, in order.
    around : array of shape (n, 2), optional
        Points in the plane that is drawn; by default x.
    state : dict, optional
        Names that the network does not have itself.
    frames : dict, optional
        The progress by epoch; by default that of these examples.
    """
    eta = _check.number("eta", eta, 0)
    drawn = DRAWN if most is None else _check.integer("most", most, 2)
    epochs = list(networks)
    last, rows, targets = _arguments.copy_and_examples(networks[epochs[-1]], x, y)
    if len(rows) > MOST_EXAMPLES:
        raise ValueError(f"x must be at most {MOST_EXAMPLES} examples, got {len(rows)}: a page "
                         f"has every number of each")
    if targets.ndim == 1:
        targets = np.eye(last.sizes[-1])[targets]
    described = answers.description(_arguments.network(networks[epochs[-1]]), rows, targets)
    around = rows if around is None else around
    answered: dict[int, _Answered] = {}
    known: dict[int, list[dict[str, Answer]]] = {}  # answered when more neurons were drawn

    def written(count: int) -> tuple[str, float]:
        """Return the document with so many epochs, and how many times too large its answers are."""
        chosen = [epochs[at] for at in np.linspace(len(epochs) - 1, 0, count).astype(int)[::-1]]
        for epoch in chosen:
            if epoch not in answered:
                net = _arguments.numbers_alone(networks[epoch])
                answered[epoch] = _answered(net, epoch, rows, targets, around, eta, drawn,
                                            known.get(epoch, [{}] * len(rows)))
        found = _packed([answered[epoch] for epoch in chosen])
        progress = [frames[epoch] if frames else answered[epoch].progress for epoch in chosen]
        told = {"state": described | dict(state or {}) | {"eta": eta, "frames": progress},
                "answers": found, "version": __version__}
        html = document(told, connects=False)[0]
        room = MAX_BYTES - (len(html.encode()) - len(found))
        return html, len(found) / max(1, room)

    least = min(len(epochs), 2)
    smallest, times = written(least)
    while times > 1 and most is None and drawn > 2:
        drawn = max(2, min(drawn - 1, int(drawn / times**0.5)))  # weights are as many as squares
        known = {epoch: each.rows for epoch, each in answered.items()}
        answered.clear()
        smallest, times = written(least)
    count = min(len(epochs), int(MERGED * least / times))
    while count > least:
        html, times = written(count)
        if times <= 1:
            return html
        count = min(count - 1, int(count / times))
    return smallest


def _answered(
    net: Network, epoch: int, x: NDArray[Any], y: NDArray[Any], around: ArrayLike, eta: float,
    most: int, known: Sequence[dict[str, Answer]],
) -> _Answered:
    """Return every answer about a network of numbers alone; what is known is not asked again."""
    told = []
    for x_row, y_row, of_row in zip(x, y, known, strict=True):
        shown = answers.example(net, x_row, y_row, eta=eta, most=most)
        found = {"example": shown}
        for before, layer in zip(shown["layers"], shown["layers"][1:], strict=False):
            at = layer["layer"]
            for j in layer["drawn"]:
                question = f"demon {at} {j}"
                found[question] = of_row.get(question) or answers.demon(net, x_row, y_row, at, j)
                for k in before["drawn"]:
                    question = f"edge {at} {j} {k}"
                    found[question] = of_row.get(question) or answers.edge(
                        net, x_row, y_row, at, j, k)
        if answers.side(net.sizes[0]):
            found["pixels"] = answers.pixels(net, x_row, y_row)
        told.append(found)
    return _Answered(told, answers.plane(net, around) if net.sizes[0] == 2 else None,
                     answers.progress(net, epoch, x, y))


def _packed(answered: Sequence[_Answered]) -> str:
    """Return the answers about these epochs as text: JSON, compressed, in base 64."""
    forms: Forms = {}
    rows = [_filled(found, forms) for each in answered for found in each.rows]
    questions = dict.fromkeys(question for found in rows for question in found)
    told = {question: _merged([found.get(question) for found in rows]) for question in questions}
    told["plane"] = _merged([each.plane for each in answered])
    text = json.dumps({"forms": list(forms), "questions": told}, allow_nan=False,
                      separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _filled(value: Any, forms: Forms) -> Any:
    """
    Return a value whose texts are the index of their form, and the numbers that fill it.

    Examples
    --------
    >>> forms = {}
    >>> _filled({"terms": ["<mn>0.5</mn>", "<mn>2</mn>"], "layer": 3}, forms)
    {'terms': ['0 0.5', '0 2'], 'layer': 3}
    >>> forms
    {('<mn>', '</mn>'): 0}
    """
    if isinstance(value, str):
        form = forms.setdefault(tuple(NUMBER.split(value)), len(forms))
        return " ".join([str(form), *NUMBER.findall(value)])
    if isinstance(value, dict):
        return {name: _filled(part, forms) for name, part in value.items()}
    return [_filled(part, forms) for part in value] if isinstance(value, list) else value


def _merged(values: list[Any]) -> Any:
    """
    Return one value of the shape that all have. Its leaves are {"=": [of each]}, or of all.

    Examples
    --------
    >>> _merged([{"z": [1, 2]}, {"z": [1, 3]}])
    {'z': [{'=': [1]}, {'=': [2, 3]}]}
    """
    first = values[0]
    if isinstance(first, dict) and all(
            isinstance(each, dict) and each.keys() == first.keys() for each in values):
        return {name: _merged([each[name] for each in values]) for name in first}
    if isinstance(first, list) and first and all(
            isinstance(each, list) and len(each) == len(first) for each in values):
        return [_merged(list(parts)) for parts in zip(*values, strict=True)]
    return {"=": values if any(each != first for each in values) else [first]}
