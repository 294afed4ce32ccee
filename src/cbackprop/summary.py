"""A summary of a network: its layers, their parameters, memory and arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

from cbackprop import _html
from cbackprop._text import table
from cbackprop.layers import described


class LayerSummary(NamedTuple):
    """
    A layer of weights and the neurons behind it.

    Attributes
    ----------
    inputs, neurons : int
    activation : str
    parameters : int
        Weights and biases.
    bytes : int
        That they measure.
    forward, training : int
        Multiplications with a weight for one example: (25); and with BP2 and BP4.
    """

    inputs: int
    neurons: int
    activation: str
    parameters: int
    bytes: int
    forward: int
    training: int


class Summary:
    """
    The result of `Network.summary`; as text, it is a table.

    Attributes
    ----------
    layers : list of LayerSummary
    parameters, forward, training : int
        The number for all layers.
    bytes : int
        The size of all parameters as they are stored, padding included.
    """

    def __init__(self, net: Any) -> None:
        engine = getattr(net, "network_", net).engine  # an estimator's, too
        self._title = (f"Network({list(engine.sizes)}), cost {described(engine.cost)}, "
                       f"{engine.dtype}; multiply-adds for one example")
        self.layers = []
        for layer, activation in enumerate(engine.activations):
            inputs, neurons = engine.sizes[layer:layer + 2]
            size = sum(block.size for block in engine.blocks if block.layer == layer)
            self.layers.append(LayerSummary(
                inputs, neurons, described(activation), size,
                size * engine.core.parameters.itemsize, inputs * neurons,
                inputs * neurons * (2 if layer == 0 else 3)))
        self.parameters, self.forward, self.training = (
            sum(getattr(layer, name) for layer in self.layers)
            for name in ("parameters", "forward", "training"))
        self.bytes = engine.core.parameters.nbytes

    def __repr__(self) -> str:
        header, rows = self._cells()
        return f"{self._title}\n{table(header, rows, left=(1, 2))}"

    def _repr_html_(self) -> str:
        return _html.table(self._title, *self._cells())

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the header, and a row for each layer and for all."""
        rows = [[str(at), f"{layer.inputs} -> {layer.neurons}", layer.activation,
                 *(f"{number:,}" for number in layer[3:])]
                for at, layer in enumerate(self.layers)]
        rows.append(["", "all", "", f"{self.parameters:,}", f"{self.bytes:,}", f"{self.forward:,}",
                     f"{self.training:,}"])
        header = ["layer", "neurons", "activation", "parameters", "bytes", "forward", "training"]
        return header, rows
