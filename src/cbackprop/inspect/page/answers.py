"""
What a page shows, as plain values for JSON: one function for each thing that a reader may ask.

Every number is the core's: a page computes nothing but the demon's delta times dz. Layers and
neurons have the book's numbers, as in `explain`: layers from 1, which is the inputs, and neurons
from 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop._check import index
from cbackprop.inspect import _arguments, _equations
from cbackprop.inspect._equations import LATEX, Section, Step
from cbackprop.inspect._mathml import mathml
from cbackprop.inspect.demon import demons
from cbackprop.inspect.derivatives import input_gradient
from cbackprop.inspect.explain import explain
from cbackprop.inspect.gradient_check import quotient
from cbackprop.inspect.paths import paths
from cbackprop.inspect.saturation import saturation
from cbackprop.layers import by_neuron, described
from cbackprop.network import Network

MOST = 10  # neurons of a layer that are drawn, and terms of a sum that are written
DZ = np.round(np.linspace(-2, 2, 41), 10)  # what the demon adds
GRID = 48  # points along each side of the plane
PATHS = 12  # that are shown, of all
MAX_PATHS = 20_000  # that are followed one by one
MARGIN = 0.15  # of the plane around the examples
MEASURED = 2000  # rows on which a cost is measured
MAX_POINTS = 500  # rows on which saturation is measured, or that are drawn in the plane


def example(
    net: Any, x: ArrayLike, y: ArrayLike, *, eta: float, most: int = MOST
) -> dict[str, Any]:
    """
    Return the pass of one example: neurons and weights to be drawn, and the equations.

    Of a layer with more than `most` neurons, those are drawn whose equations `explain` writes.
    """
    explained = explain(net, x, y, eta=eta, most=most)
    traced = explained.trace
    own = _arguments.network(net)
    drawn = [[step.symbol.neurons[0] for step in explained.steps
              if step.symbol.name == "a" and step.symbol.layer == layer]
             for layer in range(1, len(own.sizes) + 1)]
    scaled = (traced.x * own.input_scale)[0]
    layers: list[dict[str, Any]] = [{
        "layer": 1, "size": own.sizes[0], "drawn": drawn[0], "a": _at(scaled, drawn[0]),
        "most_a": _size(scaled)}]
    for at, size in enumerate(own.sizes[1:]):
        chosen = drawn[at + 1]
        into = np.ix_([j - 1 for j in chosen], [k - 1 for k in drawn[at]])
        layers.append({
            "layer": at + 2, "size": size, "drawn": chosen, "activation": traced.activations[at],
            **{name: _at(getattr(traced, name)[at][0], chosen) for name in ("z", "a", "delta")},
            "b": _at(traced.b[at][:, 0], chosen), "w": numbers(traced.w[at][into], 4),
            "nabla_w": numbers(traced.nabla_w[at][into], 4), "most_a": _size(traced.a[at]),
            "most_w": _size(traced.w[at]), "most_nabla_w": _size(traced.nabla_w[at])})
    return {"layers": layers, "cost": number(traced.cost), "x": numbers(traced.x[0]),
            "y": numbers(traced.y[0]), "output": numbers(traced.a[-1][0]),
            "sections": [_section(section, most) for section in explained.sections]}


def edge(
    net: Any, x: ArrayLike, y: ArrayLike, layer: int, j: int, k: int
) -> dict[str, Any]:
    """Return dC/dw of one weight three times: by BP4, by (46), and as the sum (53) over paths."""
    at, j, k = _layer(net, layer), j - 1, k - 1
    by_layers = paths(net, x, y, at, j, k, by_layers=True)
    measured, costs, h = quotient(net, x, y, at, j, k)
    found: dict[str, Any] = {
        "bp4": number(by_layers.bp4), "measured": number(measured),
        "costs": numbers(costs, 12), "h": number(h), "total": number(by_layers.total),
        "steps": by_layers.steps}
    count = math.prod(len(rates) for rates in by_layers.rates)
    if count > MAX_PATHS:
        return found | {"count": count, "paths": []}
    every = paths(net, x, y, at, j, k)
    assert every.factors is not None
    assert every.neurons is not None
    largest = np.argsort(-np.abs(every.factors), kind="stable")[:PATHS]
    return found | {
        "count": count, "total": number(every.total),
        "paths": [{"neurons": (every.neurons[path] + 1).tolist(),
                   "factor": number(every.factors[path], 3)} for path in largest]}


def demon(net: Any, x: ArrayLike, y: ArrayLike, layer: int, neuron: int) -> dict[str, Any]:
    """Return what each dz that the demon may add does to the cost, measured, and delta."""
    moved = demons(net, x, y, _layer(net, layer), neuron - 1, DZ.tolist())
    return {"dz": numbers(DZ), "measured": numbers([each.measured for each in moved], 5),
            "delta": number(moved[-1].predicted / DZ[-1])}


def plane(net: Any, x: ArrayLike) -> dict[str, Any]:
    """
    Return the first output on a grid around examples of two inputs, row by row from below.

    Of several outputs, the grid holds the number of the largest.
    """
    own = _arguments.network(net)
    low, high = np.min(x, axis=0), np.max(x, axis=0)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    low, high = low - margin, high + margin
    first, second = (np.linspace(low[at], high[at], GRID) for at in range(2))
    points = np.stack([a.ravel() for a in np.meshgrid(first, second)], axis=1)
    outputs = own.feedforward(points)
    return {"low": numbers(low), "high": numbers(high), "side": GRID,
            "outputs": own.sizes[-1],
            "values": numbers(outputs[:, 0] if own.sizes[-1] == 1 else outputs.argmax(axis=1), 4)}


def progress(
    net: Network, epoch: int, x: NDArray[Any], y: NDArray[Any]
) -> dict[str, Any]:
    """Return what is told of a network after an epoch: its cost, and its saturation by layer."""
    found = saturation(net, x[:MAX_POINTS], y[:MAX_POINTS])
    assert found.speed is not None
    return {"epoch": epoch, "cost": number(net.total_cost((x[:MEASURED], y[:MEASURED]))),
            "share": numbers(found.share), "speed": numbers(found.speed)}


def pixels(net: Any, x: ArrayLike, y: ArrayLike) -> dict[str, Any]:
    """Return dC/dx of one example, in percent of the largest: how each pixel would change C."""
    gradient = np.nan_to_num(np.ravel(input_gradient(net, x, y)))  # infinite ones are the largest
    percent = np.rint(gradient / (np.abs(gradient).max() or 1) * 100)
    return {"gradient": percent.astype(int).tolist()}


def description(net: Any, x: ArrayLike, y: ArrayLike) -> dict[str, Any]:
    """Return what a page says of a network and its examples."""
    names = net.preprocessing.columns if net.preprocessing is not None else None
    return {
        "sizes": list(net.sizes), "activations": activations(net),
        "cost": described(net.cost), "inputs": names and list(map(str, names)),
        "classes": None if net.classes is None else list(map(str, net.classes)),
        "side": side(net.sizes[0]), "rows": len(np.asarray(x)),
        "points": ({"x": numbers(x, 4), "y": numbers(y, 4)}
                   if net.sizes[0] == 2 else None)}


def side(inputs: int) -> int | None:
    """Return the side of a square image, if inputs are as many as the pixels of one."""
    root = round(inputs**0.5)
    return root if root * root == inputs and root >= 8 else None


def activations(net: Any) -> list[list[str]]:
    """Return the activation of every neuron, layer by layer from the first of weights."""
    own = _arguments.network(net)
    return [list(map(described, neurons))
            for neurons in by_neuron(own.sizes, own.engine.activations)]


# ---- equations ----


def _section(section: Section, most: int) -> dict[str, Any]:
    return {
        "title": section.title,
        "formula": None if section.formulas is None else mathml(section.formulas[1]),
        "prose": [_equations.with_formulas(each, mathml) for each in section.prose],
        "steps": [_step(each, most) for each in section.steps],
        "products": [{"formula": mathml(formula),
                      "operands": mathml(LATEX.product(operands))}
                     for (_, formula), operands in section.products]}


def _step(step: Step, most: int) -> dict[str, Any]:
    """Return an equation, each term apart, with the symbols that it speaks of."""
    left, pieces, value = LATEX.sides(step, most)
    kept, _ = _equations.folded(step.terms, most)
    return {
        "equation": step.equation, "symbol": _symbol(step.symbol), "left": mathml(left),
        "sign": "→" if step.equation == "update" else "=",
        # After an empty group, the sign of a later term is one between terms.
        "terms": [mathml("{}" * (at > 0) + piece) for at, piece in enumerate(pieces)],
        "value": mathml(value),
        "refers": [_symbol(symbol) for term in kept for symbol, _ in term.factors]}


def _symbol(symbol: _equations.Symbol) -> list[Any]:
    return [symbol.name, symbol.layer, *symbol.neurons]


# ---- numbers ----


def number(value: Any, figures: int = 6) -> float | None:
    """Return a number with so many figures, or None for what JSON has not."""
    return float(f"{float(value):.{figures}g}") if np.isfinite(value) else None


def numbers(values: Any, figures: int = 6) -> Any:
    """Return an array as lists of such numbers."""
    if np.ndim(values):
        return [numbers(each, figures) for each in values]
    return number(values, figures)


def _at(values: NDArray[Any], chosen: list[int]) -> list[Any]:
    return [number(values[neuron - 1]) for neuron in chosen]


def _size(values: NDArray[Any]) -> float | None:
    return number(np.abs(values).max())


def _layer(net: Any, layer: int) -> int:
    """Return the index of a layer of weights by the book's number."""
    last = len(_arguments.network(net).sizes)
    return index("layer", layer, last + 1, f"the last is {last}") - 2
