"""Names of 0.6.0, for one more version, that need more than another name."""

import warnings
from typing import Any

from cbackprop import _renamed, files, functions, layers, network, optimizers
from cbackprop.core import table
from cbackprop.history import History
from cbackprop.network import Network
from cbackprop.optimizers import Optimizer


def plot(history: History, ax: Any = None) -> Any:
    """Draw it in the place of `ax`, by default in a new figure; return the Axes of the costs."""
    from cbackprop.plot import learning_curves  # most who train do not need it

    warnings.warn("History.plot is deprecated, and will be removed in the next version: "
                  "cbackprop.plot.learning_curves(history) draws it", DeprecationWarning,
                  stacklevel=2)
    return learning_curves(history, ax=ax)[0]


def decays(optimizer: Optimizer) -> tuple[float, ...]:
    """Return four numbers, as the core of 0.6.0 took them."""
    _renamed.warn("Optimizer.decays", "Optimizer.hyperparameters", 2)
    numbers = optimizer.hyperparameters()
    if len(numbers) == 4:
        return tuple(numbers.values())
    return (numbers.get("beta1", numbers.get("momentum", 0.0)),
            numbers.get("beta2", numbers.get("rho", 0.0)), numbers.get("epsilon", 0.0), 0.0)


def one(argument: str, value: Any, known: Any, build: Any, own: type) -> Any:
    """Return a function as the core takes it."""
    _renamed.warn("cbackprop.functions.one", "cbackprop.layers.resolve_function", 2)
    rows: list[layers.Row] = [*table.ACTIVATIONS, *table.COSTS]
    return layers.resolve_function(argument, value, [row for row in rows if row.name in known], own)


def layer(argument: str, value: Any, size: int, build: Any) -> Any:
    """Return a layer's activation."""
    _renamed.warn("cbackprop.functions.layer", "cbackprop.layers.resolve_layer", 2)
    return layers.resolve_layer(argument, value, size)


def layers_(activation: Any, output_activation: Any, cost: Any, sizes: Any, build: Any) -> Any:
    """Return the activation of each layer, and what was asked for the last."""
    _renamed.warn("cbackprop.functions.layers", "cbackprop.layers.resolve_layers", 2)
    return layers.resolve_layers(activation, output_activation, cost, sizes)


def handle(net: Any, mini_batch_size: int = 1) -> Any:
    """Return what compiled code calls the network by."""
    _renamed.warn("Network.handle", "Network.c_handle", 2)
    return net.c_handle(mini_batch_size)


for _owner, _name, _adapter in [
        (History, "plot", plot), (Optimizer, "decays", decays), (functions, "one", one),
        (functions, "layer", layer), (functions, "layers", layers_), (Network, "handle", handle)]:
    setattr(_owner, _name, _adapter)
for _module in (files, functions, network, optimizers):  # what is loaded later does so itself
    _renamed.install(_module.__name__)
