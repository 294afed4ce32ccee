"""Activations and costs: from the caller's spelling to the core's."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words
from cbackprop.core import table
from cbackprop.functions import Activation, Cost, Function

Row: TypeAlias = table.Activation | table.Cost

# What a type checker lets pass. A test sees that the names are those of the table.
ActivationName = Literal[
    "sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh",
    "silu", "mish", "softplus", "softsign", "hard_sigmoid", "hard_tanh", "exponential",
    "gaussian", "sine", "identity", "softmax"]
CostName = Literal[
    "quadratic", "cross_entropy", "log_likelihood", "focal", "absolute", "huber", "quantile",
    "log_cosh", "hinge", "squared_hinge", "poisson", "kl_divergence", "cosine"]
ActivationLike: TypeAlias = (
    ActivationName | tuple[ActivationName, float] | tuple[ActivationName, dict[str, float]]
    | Activation)
LayerLike: TypeAlias = (
    ActivationLike | Sequence[ActivationLike] | Mapping[Any, int] | NDArray[np.str_])
CostLike: TypeAlias = (
    CostName | tuple[CostName, float] | tuple[CostName, float, float]
    | tuple[CostName, dict[str, float]] | Cost)

ROWS: list[Row] = [*table.ACTIVATIONS, *table.COSTS]
NAMES = {_words.plain(name): row.name for row in ROWS for name in (row.name, *row.aliases)}
ACTIVATIONS = frozenset(row.name for row in table.ACTIVATIONS)
COSTS = {row.name: row for row in table.COSTS}


def our_name(name: Any, known: Container[str]) -> Any:
    """Return our name for another library's name of a function; return anything else as it is."""
    if not isinstance(name, str) or name in known:
        return name
    ours = NAMES.get(_words.plain(name))
    return ours if ours in known else name


def resolve_function(
    argument: str, value: Any, rows: Iterable[Row], own: type, others: Iterable[str] = ()
) -> Any:
    """
    Return a function as the core takes it: a name, (name, parameters...), or an object.

    Parameters
    ----------
    value : str, (str, float...), (str, dict) or own
        The dict has parameters by their names; those left out have their defaults.
    rows : rows of the table
        The rows of the known functions.
    own : type
        The class of the user's own functions.
    others : names, optional
        Further names, without parameters.

    Raises
    ------
    TypeError, ValueError
        If it is unknown, or does not take these parameters.
    """
    if isinstance(value, own):
        return value
    known = dict.fromkeys(others, ()) | {row.name: row.parameters for row in rows}
    name, *given = value if isinstance(value, tuple) and value else (value,)
    name = our_name(name, known)
    if not isinstance(name, str) or name not in known or (isinstance(value, tuple) and not given):
        raise ValueError(f"{argument} must be one of {sorted(known)}, got {_check.shown(value)}"
                         f"{_words.meant(name, known)}")
    if not given:
        return str(name)
    parameters = known[name]
    if not parameters:
        takes = sorted(each for each in known if known[each])
        raise ValueError(f"{argument}: only {takes} take a parameter, got {_check.shown(value)}")
    names = [parameter.name for parameter in parameters]
    if len(given) == 1 and isinstance(given[0], dict):
        if not set(given[0]) <= set(names):
            raise ValueError(f"{argument}: the parameters of {name!r} are {names}, "
                             f"got {_check.shown(given[0])}")
        given = [given[0].get(parameter.name, parameter.default) for parameter in parameters]
    if len(given) > len(names):
        raise ValueError(f"{argument}: {name!r} takes {names}, got {_check.shown(value)}")
    return name, *(_parameter(argument, name, parameter, number)
                   for parameter, number in zip(parameters, given, strict=False))


def _parameter(argument: str, name: str, parameter: table.Parameter, value: Any) -> float:
    rule = f"{argument}: {parameter.name} of {name!r} must be finite and {parameter.rule}"
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{rule}, got {_check.shown(value)}") from None
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and table.RULES[parameter.rule](number)):
        raise ValueError(f"{rule}, got {_check.shown(value)}")
    return number


def parameters(function: Any) -> tuple[float, ...]:
    """Return the parameters of a known function; those that are not given have their defaults."""
    name, *given = function if isinstance(function, tuple) else (function,)
    (row,) = (row for row in ROWS if row.name == name)
    return (*given, *(each.default for each in row.parameters[len(given):]))


def resolve_layer(argument: str, value: Any, size: int) -> Any:
    """
    Return a layer's activation: a function, or a list of (function, how many neurons).

    Parameters
    ----------
    value : function, dict of functions and how many neurons, or sequence of one for each neuron

    Raises
    ------
    TypeError, ValueError
        If a function is unknown, or neurons are too few or too many.
    """
    if isinstance(value, dict):
        runs = [(resolve_function(argument, function, table.ACTIVATIONS, Activation), count)
                for function, count in value.items()]
        counts = [count for _, count in runs]
        if not all(isinstance(count, (int, np.integer)) and count > 0 for count in counts):
            raise ValueError(f"{argument}: numbers of neurons must be positive integers, "
                             f"got {_check.shown(value)}")
        if len({function for function, _ in runs}) < len(runs):  # one function under two names
            raise ValueError(f"{argument} must name a function once in a dict, "
                             f"got {_check.shown(value)}")
        if sum(counts) != size:
            raise ValueError(f"{argument} must have {size} neurons, as the layer has, got "
                             f"{_check.shown(sum(counts))} in {_check.shown(value)}")
    elif isinstance(value, (list, np.ndarray)):
        neurons = [resolve_function(argument, function, table.ACTIVATIONS, Activation)
                   for function in (value.tolist() if isinstance(value, np.ndarray) else value)]
        if len(neurons) != size:
            raise ValueError(f"{argument} must have {size} neurons, as the layer has, got "
                             f"{len(neurons)} in {_check.shown(value)}")
        runs = []
        for function in neurons:
            if runs and runs[-1][0] == function:
                runs[-1] = (function, runs[-1][1] + 1)
            else:
                runs.append((function, 1))
    else:
        runs = [(resolve_function(argument, value, table.ACTIVATIONS, Activation), size)]
    whole = [row.name for row in table.ACTIVATIONS if row.whole_layer and row.name in dict(runs)]
    if whole and len(runs) > 1:
        raise ValueError(f"{argument}: {whole[0]!r} must have the whole layer, "
                         f"got {_check.shown(value)}")
    if whole and size == 1:
        raise ValueError(f"{argument} {whole[0]!r} needs two neurons or more, got a layer of 1")
    return runs[0][0] if len(runs) == 1 else [(function, int(count)) for function, count in runs]


def resolve_layers(
    activation: Any, output_activation: Any, cost: Any, sizes: Sequence[int]
) -> tuple[list[Any], Any]:
    """
    Return the activation of each layer of weights, and the last as the caller spelt it.

    Raises
    ------
    TypeError, ValueError
        As `layer`; or if the length of a list does not fit the network, or it contradicts.
    """
    n = len(sizes) - 1
    if isinstance(activation, (list, np.ndarray)):
        if len(activation) != n:
            raise ValueError(f"activation must have {n} entries, one for each layer of weights, "
                             f"the output included, got {len(activation)}: "
                             f"{_check.shown(activation)}")
        last = activation[-1]
        if output_activation is not None and not _same(output_activation, last):
            raise ValueError(f"output_activation must be None where activation is a list, "
                             f"got {_check.shown(output_activation)}")
        return [resolve_layer(f"activation[{at}]", value, sizes[at + 1])
                for at, value in enumerate(activation)], last
    hidden = [resolve_layer("activation", activation, size) for size in sizes[1:-1]]
    if output_activation is None:
        output_activation = default_output(cost) or activation
    if not hidden:
        resolve_layer("activation", activation, max(sizes[-1], 2))
    return [*hidden, resolve_layer("output_activation", output_activation, sizes[-1])], \
        output_activation


def runs(layer: Any, size: int) -> list[tuple[Any, int]]:
    """
    Return the activation of a layer, as the core takes it, as (function, how many neurons).

    Examples
    --------
    >>> runs("relu", 30), runs([("relu", 20), ("tanh", 10)], 30)
    ([('relu', 30)], [('relu', 20), ('tanh', 10)])
    """
    return layer if isinstance(layer, list) else [(layer, size)]


def by_neuron(sizes: Sequence[int], activations: Sequence[Any]) -> list[list[Any]]:
    """
    Return the function of every neuron, for each layer of weights.

    Examples
    --------
    >>> by_neuron([4, 2, 1], [[("relu", 1), ("tanh", 1)], "sigmoid"])
    [['relu', 'tanh'], ['sigmoid']]
    """
    return [[function for function, count in runs(layer, size) for _ in range(count)]
            for size, layer in zip(sizes[1:], activations, strict=True)]


def has_own(cost: Any, activations: Sequence[Any]) -> bool:
    """Return whether the cost or an activation is a function of the user's own."""
    functions = [cost, *(function for layer in activations for function, _ in runs(layer, 1))]
    return any(isinstance(function, Function) for function in functions)


def cost_row(cost: Any) -> table.Cost | None:
    """Return the row of a cost in the table; None if the cost is the user's own."""
    name = cost[0] if isinstance(cost, tuple) else cost
    return COSTS.get(name) if isinstance(name, str) else None


def default_output(cost: Any) -> str | None:
    """Return the default output activation of a cost; None stands for the hidden layers'."""
    row = cost_row(cost)
    return row.default_output if row else None


def default_cost(output: Any) -> str:
    """Return the default cost of an output activation."""
    found = [row.default_cost for row in table.ACTIVATIONS if row.name == output]
    return found[0] if found else "quadratic"


def threshold(cost: Any) -> float:
    """Return the threshold between the two classes of a single output: 0 for hinges, else 1/2."""
    row = cost_row(cost)
    return row.threshold if row else 0.5


def in_our_words(asked: Any) -> Any:
    """Return a copy of the caller's activations with our names, and lists for arrays."""
    if isinstance(asked, np.ndarray):
        asked = asked.tolist()
    if isinstance(asked, tuple):
        return tuple(map(in_our_words, asked))
    if isinstance(asked, list):
        return [in_our_words(one) for one in asked]
    if isinstance(asked, dict):
        return {in_our_words(one): count for one, count in asked.items()}
    return our_name(asked, ACTIVATIONS)


def described(function: Any) -> str:
    """Return an activation of a layer, or a cost, as text."""
    if isinstance(function, list):
        return ", ".join(f"{count} {described(one)}" for one, count in function)
    if isinstance(function, tuple):
        return f"{function[0]}({', '.join(f'{number:g}' for number in function[1:])})"
    return str(function)


def _same(one_: Any, other: Any) -> bool:
    try:
        return bool(np.all(one_ == other))
    except ValueError:
        return False
