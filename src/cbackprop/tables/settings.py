"""
The network that is chosen for a table, and the settings of its training.

A value from the caller replaces the guess, and later guesses follow it: another activation has
another initializer, another optimizer another eta. The numbers were measured; docs/settings.md says
on what.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, _words, layers, metrics, optimizers
from cbackprop.callbacks import EarlyStopping
from cbackprop.core import table
from cbackprop.default_eta import default_eta
from cbackprop.history import History

NETWORK = ("sizes", "activation", "cost", "output_activation", "initializer")
TRAINING = ("optimizer", "validation_split", "mini_batch_size", "eta", "epochs", "patience",
            "lmbda")
FLAGS = {"mini_batch_size": "batch"}  # flags that are not called as their arguments

HIDDEN, MORE_HIDDEN = 100, 200  # neurons
MANY = 10_000  # rows from which more hidden neurons pay
MIN_SPLIT = 20  # rows below which none are held out
SMALL = 1000  # rows below which a tenth is too few to hold out
STEPS = 500  # mini-batches of an epoch, within the limits of their length
BATCHES = 16, 256  # least and greatest length of a mini-batch
MAX_RPROP = 5000  # rows of a mini-batch for Rprop, which needs as many as possible
WORK = 8e10  # epochs * rows * parameters: about ten seconds of one core
EPOCHS = 10, 300  # least and most

COSTS = {"classes": "log_likelihood", "numbers": "quadratic", "counts": "poisson",
         "labels": "cross_entropy"}
OUTPUTS = {"numbers": "identity", "counts": "exponential"}  # for costs that go with any output
SMALLEST = "glorot_uniform"  # the initializer with the smallest weights but zeros
LMBDA = 0.05  # times the root of the number of rows, n; SGD divides lmbda by n

class Decision(NamedTuple):
    """A choice and its reason; its text is a flag that can be typed the next time."""

    name: str
    value: Any
    reason: str

    def __str__(self) -> str:
        return f"--{FLAGS.get(self.name, self.name).replace('_', '-')} {self.text}: {self.reason}"

    @property
    def text(self) -> str:
        """The value as it is typed."""
        if isinstance(self.value, float):
            return f"{self.value:g}"
        if isinstance(self.value, list):
            return ",".join(map(str, self.value))
        return str(self.value)


@dataclass(frozen=True)
class Settings:
    """
    The choices of `decide`.

    Attributes
    ----------
    kind : str
        The kind of the target.
    values : dict
        All values, those of the caller included.
    decisions : tuple of Decision
        The guesses among them. Later ones follow from earlier ones.
    """

    kind: str
    values: dict[str, Any]
    decisions: tuple[Decision, ...]

    def network(self) -> dict[str, Any]:
        """Return the arguments of `Network`."""
        return {name: self.values[name] for name in NETWORK}

    def training(self) -> dict[str, Any]:
        """Return the arguments of `Network.SGD`."""
        given = {name: self.values[name] for name in TRAINING if name != "patience"}
        if given["validation_split"]:
            patience = self.values["patience"]
            return given | {"callbacks": [EarlyStopping("evaluation_cost", patience=patience)]}
        del given["validation_split"]
        return given

    @property
    def lines(self) -> list[str]:
        """Each guess with its value and reason, as a flag."""
        return list(map(str, self.decisions))

    @property
    def scales_targets(self) -> bool:
        """Whether `train` standardises the targets: numbers, with an identity as the output."""
        return self.kind == "numbers" and self.values["output_activation"] == "identity"

    def train(
        self, net: Any, x: Any, y: ArrayLike, all_y: ArrayLike | None = None, **given: Any
    ) -> History:
        """
        Train a network as decided.

        Targets that are numbers are standardised while the network trains, since the size of most
        optimizers' steps does not depend on the targets. Their scale is then multiplied into the
        last layer, so that outputs are in the target's unit, and the optimizer begins anew in the
        next training. Costs in the history are those of standardised targets.

        Parameters
        ----------
        net : Network
        x, y : arrays
        all_y : array, optional
            The targets of all rows, if x and y are a part of them.
        **given
            Further arguments of `Network.SGD`. `evaluation_data` replaces the rows that would be
            held out.

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As `Network.SGD`.
        """
        scale = self.target_scale(net, y if all_y is None else all_y)
        if scale is not None:
            y = scale.scaled(y)
            if given.get("evaluation_data") is not None:
                x_of, y_of = given["evaluation_data"]
                given["evaluation_data"] = x_of, scale.scaled(y_of)
        return self.train_scaled(net, (x, y), scale, **given)

    def target_scale(self, net: Any, y: ArrayLike) -> TargetScale | None:
        """Return the scale of targets, if they are standardised."""
        if not self.scales_targets:
            return None
        scale = TargetScale.of(np.asarray(y, float))
        if not net.biases[-1].flags.writeable:  # none that could have the mean
            scale = replace(scale, mean=np.zeros_like(scale.mean))
        return scale

    def train_scaled(
        self, net: Any, data: Any, scale: TargetScale | None, **given: Any
    ) -> History:
        """Train as `train` does, on data that has scaled targets, if there is a scale."""
        options = self.training()
        options["callbacks"] = [*options.pop("callbacks", []), *given.pop("callbacks", [])]
        if given.get("evaluation_data") is not None:
            options.pop("validation_split", None)
        if net.history is None and self.kind in (metrics.NUMBERS, metrics.LABELS):
            # Two numbers, or labels of which each row happens to have one, look like classes.
            net.trained_on = metrics.Kind(self.kind, middle=layers.threshold(net.engine.cost))
        if scale is None:
            return net.SGD(data, **options, **given)
        if net.history is not None:  # a second training
            scale.leave(net)
        try:
            return net.SGD(data, **options, **given)
        finally:
            scale.enter(net)
            net.engine.optimizer_state = None  # it is of gradients for standardised targets


@dataclass(frozen=True)
class TargetScale:
    """
    The mean and the scale of numeric targets. A last layer of identities can take them over.

    Attributes
    ----------
    mean, scale : arrays of shape (out,)
    """

    mean: NDArray[Any]
    scale: NDArray[Any]

    @classmethod
    def of(cls, y: NDArray[Any]) -> TargetScale:
        """Measure targets of shape (n, out), or (n,) for one output."""
        rows = y.reshape(len(y), -1)
        # Squares of numbers may be beyond a float. By a power of 2, nothing is rounded.
        unit = np.ldexp(1.0, np.frexp(np.abs(rows).max(axis=0))[1] - 1)
        mean, scale = (rows / unit).mean(axis=0) * unit, (rows / unit).std(axis=0) * unit
        return cls(mean, np.where(scale > 0, scale, 1.0))

    def scaled(self, y: ArrayLike) -> NDArray[Any]:
        """Return y with mean 0 and scale 1."""
        rows = np.asarray(y, float)
        return ((rows.reshape(len(rows), -1) - self.mean) / self.scale).reshape(rows.shape)

    def leave(self, net: Any) -> None:
        """Change the last layer: outputs become those for standardised y."""
        net.weights[-1][...] /= self.scale[:, None]
        net.biases[-1] = (net.biases[-1] - self.mean[:, None]) / self.scale[:, None]

    def enter(self, net: Any) -> None:
        """Change the last layer: outputs become those for y in its own unit."""
        net.weights[-1][...] *= self.scale[:, None]
        net.biases[-1] = net.biases[-1] * self.scale[:, None] + self.mean[:, None]


def decide(kind: str, rows: int, columns: int, outputs: int, **given: Any) -> Settings:
    """
    Choose the network for a table, and its training, where the caller has not.

    Parameters
    ----------
    kind : {"classes", "numbers", "counts", "labels"}
        The kind of the target; labels are several columns of 0 and 1.
    rows, columns, outputs : int
        The numbers of rows, of inputs (standardised), and of outputs (one for each class).
    **given
        Values from the caller, None for none: sizes, activation, cost, output_activation,
        initializer, optimizer, validation_split, mini_batch_size, eta, epochs, patience, lmbda.

    Returns
    -------
    Settings

    Raises
    ------
    TypeError, ValueError
        If an argument is unknown, or sizes do not fit the table. `Network` and `SGD` check the
        values.

    Examples
    --------
    >>> for line in decide("classes", 150, 4, 3, activation="tanh").lines:
    ...     print(line)
    --sizes 4,100,3: there are 4 inputs and 3 outputs, and 100 neurons between suit 150 rows
    --cost log_likelihood: it fits classes
    --output-activation softmax: it goes with log_likelihood
    --initializer glorot_uniform: it suits tanh
    --optimizer adam: it needs the least care
    --validation-split 0.2: this share of 150 rows shows when to stop
    --batch 16: it suits 120 rows
    --eta 0.001: it suits adam, tanh, and batches of 16
    --epochs 300: it may end earlier
    --patience 30: training ends after so many epochs without progress
    --lmbda 0.5: it keeps weights small
    """
    _check.choice("kind", kind, COSTS)
    check_known(given, "decide")
    values = {name: value for name, value in given.items() if value is not None}
    decisions: list[Decision] = []

    def guess(name: str, choose: Callable[[], tuple[Any, str]]) -> Any:
        if name not in values:
            values[name], reason = choose()
            decisions.append(Decision(name, values[name], reason))
        return values[name]

    hidden = HIDDEN if rows < MANY else MORE_HIDDEN
    sizes = guess("sizes", lambda: (
        [columns, hidden, outputs],
        f"there are {columns} inputs and {outputs} outputs, and {hidden} neurons between suit "
        f"{rows} rows"))
    _check_sizes(sizes, columns, outputs, kind)
    activation = guess("activation", lambda: ("relu", "it learns fastest in most networks"))
    cost = guess("cost", lambda: _cost(kind, values.get("output_activation")))
    output = guess("output_activation", lambda: _output(kind, cost, activation))
    first = _first(activation)
    guess("initializer", lambda: _initializer(kind, first))
    optimizer = guess("optimizer", lambda: ("adam", "it needs the least care"))
    kept = _optimizer(optimizer)
    share = guess("validation_split", lambda: validation_split(rows))
    n = max(1, rows - max(1, round(rows * share))) if share else rows
    m = guess("mini_batch_size", lambda: _mini_batch_size(n, kept))
    guess("eta", lambda: (
        default_eta(sizes, layers.resolve_layers(activation, output, cost, sizes)[0], cost, kept,
                    m),
        f"it suits {kept.NAME}, {layers.described(first)}, and batches of {m}"))
    epochs = guess("epochs", lambda: (_epochs(n, sizes), "it may end earlier" if share else
                                      "more would take too long"))
    if share:
        guess("patience", lambda: (max(5, epochs // 10),
                                   "training ends after so many epochs without progress"))
    guess("lmbda", lambda: (float(f"{LMBDA * math.sqrt(n):.0e}"),
                            "it keeps weights small"))
    return Settings(kind, values, tuple(decisions))


def check_known(given: Iterable[str], function: str, *more: str) -> None:
    """
    See that keywords are settings, or one of some more.

    Raises
    ------
    TypeError
        If one is not; it says which may be meant.
    """
    known = [*more, *NETWORK, *TRAINING]
    for word in given:
        if word not in known:
            meant = _words.argument(word, known)
            remedy = f"did you mean {meant!r}?" if meant else f"it takes {', '.join(known)}"
            raise TypeError(f"{function}() got an unexpected keyword argument {word!r}: {remedy}")


def _check_sizes(sizes: Any, columns: int, outputs: int, kind: str) -> None:
    found = _check.sizes(sizes)
    if (found[0], found[-1]) != (columns, outputs):
        raise ValueError(f"sizes must begin with {columns}, the number of inputs, "
                         f"and end with {outputs} for {kind}, got {_check.shown(sizes)}")


def _cost(kind: str, output: Any) -> tuple[str, str]:
    """Choose the cost, to go with the caller's output if there is one."""
    if output is None or kind == "numbers":
        return COSTS[kind], f"it fits {kind}"
    cost = COSTS[kind] if kind == "counts" else layers.default_cost(output)
    return cost, f"it goes with {layers.described(output)}"


def _output(kind: str, cost: Any, activation: Any) -> tuple[Any, str]:
    """Choose the output's activation."""
    if isinstance(activation, (list, np.ndarray)):
        return activation[-1], "it is the last of the activations"
    if kind in OUTPUTS and cost == COSTS[kind]:
        return OUTPUTS[kind], f"it fits {kind}"
    default = layers.default_output(cost)
    if default is not None:
        return default, f"it goes with {layers.described(cost)}"
    return OUTPUTS.get(kind, "sigmoid"), f"it fits {kind}"


def _first(activation: Any) -> Any:
    """Return the activation of the first layer's first neurons."""
    while isinstance(activation, (list, dict, np.ndarray)):
        activation = next(iter(activation))
    return activation


def _initializer(kind: str, activation: Any) -> tuple[str, str]:
    name = activation[0] if isinstance(activation, tuple) else activation
    suiting = next((row.initializer for row in table.ACTIVATIONS if row.name == name), SMALLEST)
    if suiting == "he_normal" and kind in OUTPUTS:
        return SMALLEST, f"it is smaller than what suits {name}, and begins near the mean"
    return suiting, f"it suits {layers.described(activation)}"


def _optimizer(optimizer: Any) -> optimizers.Optimizer:
    return optimizers.training_options(1, optimizer).optimizer


def validation_split(rows: int) -> tuple[float, str]:
    """Choose the share of rows that is held out, and say why."""
    if rows < MIN_SPLIT:
        return 0.0, f"none of {rows} rows can be spared"
    return (0.2 if rows < SMALL else 0.1), f"this share of {rows} rows shows when to stop"


def _mini_batch_size(n: int, optimizer: optimizers.Optimizer) -> tuple[int, str]:
    if optimizer.NAME == "rprop":
        return min(n, MAX_RPROP), "rprop wants all rows at once"
    low, high = BATCHES
    return min(n, max(low, min(high, 2**round(math.log2(max(1, n / STEPS)))))), f"it suits {n} rows"


def _epochs(n: int, sizes: Sequence[int]) -> int:
    parameters = sum((into + 1) * out for into, out in itertools.pairwise(sizes))
    low, high = EPOCHS
    return max(low, min(high, int(WORK / (n * parameters))))
