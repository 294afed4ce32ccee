"""Warnings after the first moments of a training: a check for each common mistake."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbackprop import _words
from cbackprop.arrays import is_sparse
from cbackprop.callbacks import Callback
from cbackprop.engine import Engine
from cbackprop.history import History
from cbackprop.layers import has_own, runs, threshold
from cbackprop.sources import ArrayExamples, Examples
from cbackprop.target_values import ends

SECONDS = 0.02  # training time before the checks, which take less than a hundredth of it
MAX_ROWS = 256  # size of the sample
PER_CHECK = 100  # the checks take 1 / PER_CHECK of a training's time and rows at most
MIN_ROWS = 32  # a smaller sample says nothing of a network
MIN_STEPS = 100  # before that, a network is not much more than its first parameters
MIN_TRAINED = 2000  # examples trained on, before the cost should have fallen
FAR, NEAR = 60.0, 1e-3  # a root mean square of x outside these is far from 1: MNIST's is 79
FAR_TARGET = 10.0  # standard deviation of y: numbers that fit x of unit scale are near 1
FAR_BYTES = 5.0  # the same for bytes, which are seldom anything but pixels
DEAD = 0.9  # share of a layer's neurons
RELUS = ("relu", "relu6")  # which are exactly 0, and learn nothing there
WANTED = 3  # examples whose targets are not 0, before an output of 0 for all is dead
SATURATED = 0.99  # share of a layer's activations
AT_END = 1e-3  # share of the range of an activation that counts as its end
UNMOVED = 0.99  # share of the first epoch's cost
GUESSED = 1.03  # times the cost of one answer for all: below it, there may be nothing to learn
ALIKE = 1e-3  # outputs that vary by less count as the same for all
MAX_LARGEST = 0.9  # share of the largest class, beyond which to guess it is no bad beginning

GOLDEN = (math.sqrt(5) - 1) / 2


class Sample:
    """
    A few rows of the training data, with the network's activations and cost for them.

    Parameters
    ----------
    network : Model
    examples : ArrayExamples
    history : History
        The history of the training so far.
    k : int, optional
        The number of rows. By default it is so small that the checks take hardly any time.
    """

    def __init__(
        self, network: Any, examples: ArrayExamples, history: History, k: int | None = None
    ) -> None:
        self.network, self.examples, self.history = network, examples, history
        self.engine: Engine = network.engine
        n, self.trained = len(examples), len(examples) * len(history)
        k = min(n, k or min(MAX_ROWS, max(MIN_ROWS, self.trained // PER_CHECK)))
        # Spread evenly, unrelated to any period of the rows, and without random numbers.
        at = (np.arange(k) * GOLDEN % 1 * n).astype(np.intp) if k < n else slice(None)
        self.x = examples.rows.x[at]
        self.y = None if examples.targets.weights is not None else examples.targets.y[at]

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def more(self) -> Sample:
        """Return a larger sample, to confirm a suspicion."""
        return Sample(self.network, self.examples, self.history, MAX_ROWS)

    @cached_property
    def a(self) -> list[NDArray[Any]]:
        """The activations of each layer."""
        build = self.engine.build
        return build.trace(self.engine.core, build.Rows(self.x))[0]["a"]

    @cached_property
    def wanted(self) -> NDArray[Any] | None:
        """The targets as rows (n, out), or None if they are not known."""
        if self.y is None or self.y.ndim == 2:
            return self.y
        return np.eye(self.engine.sizes[-1])[self.y]

    @cached_property
    def is_no_better(self) -> bool:
        """Whether outputs are no nearer to the targets than one answer for all rows would be."""
        if self.wanted is None:
            return False
        constant = abs(self.wanted - np.median(self.wanted, axis=0)).mean()
        return bool(0.9 * constant <= abs(self.a[-1] - self.wanted).mean() and constant)

    @property
    def cost(self) -> float:
        """The mean cost."""
        return self._cost(self.engine.core, self.x)

    @property
    def cost_of_guessing(self) -> float:
        """The mean cost if the network answered every row with the mean of the targets."""
        assert self.wanted is not None
        core = self.engine.build.Core(
            (1, self.wanted.shape[1]), ["identity"], self.engine.cost, 1.0)
        core.parameters[...] = 0
        _, (biases,) = core.views(core.parameters)
        biases[:, 0] = self.wanted.mean(axis=0)
        return self._cost(core, np.zeros((len(self), 1)))

    def _cost(self, core: Any, x: Any) -> float:
        build = self.engine.build
        return core.evaluate(build.Rows(x), build.Targets(self.y))[1] / len(self)

    @property
    def causes(self) -> str:
        """The likely causes of neurons that learn nothing, for a warning."""
        return f"eta = {self.history.eta[-1]:g} may be too large, or x far from unit scale"


def far_inputs(sample: Sample) -> str | None:
    """Check the scale of the inputs."""
    x, scale = sample.x, sample.engine.input_scale
    values = (x.data if is_sparse(x) else x).astype(np.float64)
    if not values.size or (is_sparse(x) and np.ndim(scale)):
        return None
    if x.dtype == np.uint8 and np.ndim(scale) == 0 and scale == 1:
        size = math.sqrt(np.square(values).mean())
        if size > FAR_BYTES:
            return (f"x of training_data holds bytes, up to {values.max():g}, and input_scale is "
                    "1: Network(..., input_scale=1 / 255) lets images train as they are")
    total = np.square(values * scale).sum()
    size = math.sqrt(total / math.prod(x.shape))
    if size <= FAR and (size >= NEAR or size == 0 or is_sparse(x)):
        return None
    return (f"x of training_data is far from unit scale: the root of its mean square is {size:.3g}"
            f"{'' if np.ndim(scale) == 0 and scale == 1 else ', input_scale included'}; "
            "(x - x.mean(axis=0)) / x.std(axis=0) standardises it, input_scale multiplies it")


def far_targets(sample: Sample) -> str | None:
    """Look for numbers far from unit scale that have not been learned."""
    last = sample.engine.activations[-1]
    if sample.wanted is None or sample.engine.cost == "poisson" or math.isfinite(ends(last)[1]):
        return None
    size = float(sample.wanted.std(axis=0).max())
    if size <= FAR_TARGET or not sample.is_no_better:
        return None
    return (f"y of training_data is far from unit scale, with a standard deviation of {size:.3g}, "
            "and the network is no better than one answer for all examples: "
            "(y - y.mean(axis=0)) / y.std(axis=0) standardises it")


def dead_neurons(sample: Sample) -> str | None:
    """Look for hidden layers whose relus are 0 for all examples."""
    hidden = zip(sample.engine.activations[:-1], sample.a[:-1], strict=True)
    for at, (layer, a) in enumerate(hidden):
        for _, name, part in _parts(layer, a):
            dead, count = int((part == 0).all(axis=0).sum()), part.shape[1]
            if name in RELUS and dead > DEAD * count:
                return (f"{dead} of {count} relus of layer {at} are 0 for all of {len(sample)} "
                        f"examples, and learn nothing: {sample.causes}; "
                        'activation="leaky_relu" does not die')
    return None


def dead_outputs(sample: Sample) -> str | None:
    """Look for relus among the outputs that are 0 for all examples, while their targets are not."""
    if sample.wanted is None:
        return None
    first, dead = 0, 0
    for _, name, part in _parts(sample.engine.activations[-1], sample.a[-1]):
        wanted = sample.wanted[:, first:first + part.shape[1]]
        first += part.shape[1]
        if name in RELUS:
            dead += int(((part == 0).all(axis=0) & ((wanted > 0).sum(axis=0) >= WANTED)).sum())
    if not dead:
        return None
    better = "sigmoid" if ((sample.wanted >= 0) & (sample.wanted <= 1)).all() else "identity"
    return (f"{dead} of {first} outputs are relus that are 0 for all of {len(sample)} examples, "
            f'and learn nothing: output_activation="{better}" does not die')


def saturated(sample: Sample) -> str | None:
    """Look for a layer whose activations are all at an end, while outputs are wrong."""
    layers = zip(sample.engine.activations, sample.a, strict=True)
    for at, (layer, a) in reversed([*enumerate(layers)]):
        at_end = 0
        for function, _, part in _parts(layer, a):
            low, high = ends(function)
            if math.isfinite(high):  # others have one end at most
                near = AT_END * (high - low)
                at_end += int(((part <= low + near) | (part >= high - near)).sum())
        if at_end >= SATURATED * a.size and sample.is_no_better:
            which = "outputs" if at == len(sample.a) - 1 else f"activations of layer {at}"
            return (f"all {which} are saturated, and the network is no better than one answer for "
                    f"all examples: {sample.causes}")
    return None


def stuck(sample: Sample) -> str | None:
    """Look for a classifier that has learned nothing yet."""
    if sample.trained < MIN_TRAINED or not is_at_chance(sample):
        return None
    sample, history = sample.more(), sample.history
    if not is_at_chance(sample):
        return None
    cost, first, guessed = sample.cost, history.cost[0], sample.cost_of_guessing
    unmoved = min(cost, history.cost[-1]) >= UNMOVED * first
    if cost < GUESSED * guessed or not (unmoved or np.ptp(sample.a[-1], axis=0).max() < ALIKE):
        return None
    epochs = f"{len(history)} epoch{'s' * (len(history) > 1)}"
    return (f"after {epochs} the accuracy is at chance, and the cost {cost:.4g}, after {first:.4g} "
            f"in the first epoch, where one answer for all examples costs {guessed:.4g}: try "
            f"another eta than {history.eta[-1]:g}, and x of unit scale")


def is_at_chance(sample: Sample) -> bool:
    """Whether the accuracy is hardly above the share of the largest class."""
    classes = None if sample.wanted is None else _classes(sample.wanted)
    if classes is None:
        return False
    a = sample.a[-1]
    said = a.argmax(axis=1) if a.shape[1] > 1 else a[:, 0] > threshold(sample.engine.cost)
    largest = np.bincount(classes).max() / len(classes)
    chance = largest + 0.1 * (1 - largest)
    return bool(largest <= MAX_LARGEST and (said == classes).mean() <= chance)


Check: TypeAlias = Callable[[Sample], "str | None"]
OF_OUTPUTS: tuple[Check, ...] = (far_targets, dead_neurons, dead_outputs, saturated, stuck)


class Diagnosis(Callback):
    """
    Checks a training once, after its first milliseconds, and warns of common mistakes.

    The checks take a hundredth of the training at most: after slow checks, the next ones wait. A
    shorter training is checked at its end, if the network has trained long enough since the last
    check. The checks change nothing and draw no random numbers. They leave out what may be slow:
    they neither read a RowSource again nor call the user's own functions.

    Parameters
    ----------
    examples : Examples
    epochs : int
    """

    def __init__(self, examples: Examples, epochs: int) -> None:
        self.examples, self.epochs = examples, epochs
        self.seconds, self.looked = 0.0, False
        self.seen = 0

    def on_train_begin(self, network: Any, history: History) -> None:
        """Leave out the epochs of trainings before."""
        self.seen = len(history)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Check, if it is time; networks that train as lanes may have several new epochs."""
        engine, seconds = network.engine, sum(history.seconds[self.seen:])
        self.epochs -= len(history) - self.seen
        self.seen = len(history)
        self.seconds += seconds
        is_new, engine.unseen_seconds = math.isinf(engine.unseen_seconds), (
            engine.unseen_seconds + seconds)
        is_early = self.seconds < SECONDS or steps(history) < MIN_STEPS
        if self.looked or (is_early and self.epochs) or (
                engine.unseen_seconds < max(SECONDS, PER_CHECK * engine.look_seconds)):
            return
        start = time.perf_counter()
        is_short = self.seconds < SECONDS and is_new  # all checks would take too long
        self.looked, engine.unseen_seconds = True, self.seconds if is_short else 0.0
        if isinstance(self.examples, ArrayExamples) and len(self.examples) >= MIN_ROWS:
            self.look(Sample(network, self.examples, history), only_inputs=is_short)
        engine.look_seconds = 0.0 if is_short else time.perf_counter() - start

    def look(self, sample: Sample, only_inputs: bool = False) -> None:
        """Run the checks, and warn of what they find."""
        for check in (far_inputs, *(() if only_inputs else self.others(sample))):
            found = check(sample)
            if found is not None:
                _words.warn(found, UserWarning)

    def others(self, sample: Sample) -> tuple[Check, ...]:
        """Return the checks that need outputs, if the network has been trained for long enough."""
        engine = sample.engine
        if steps(sample.history) < MIN_STEPS or has_own(engine.cost, engine.activations):
            return ()
        return OF_OUTPUTS


def steps(history: History) -> int:
    """Return the number of mini-batches so far."""
    return len(history) * -(-history.rows // history.mini_batch_size)


def _parts(layer: Any, a: NDArray[Any]) -> Iterator[tuple[Any, str, NDArray[Any]]]:
    """Yield each activation of a layer, its name, and its neurons' columns of a."""
    first = 0
    for function, count in runs(layer, a.shape[1]):
        name = function[0] if isinstance(function, tuple) else function
        yield function, name, a[:, first:first + count]
        first += count


def _classes(wanted: NDArray[Any]) -> NDArray[Any] | None:
    """Return the class of each row of targets, or None if the targets are no classes."""
    if wanted.shape[1] == 1:
        return (wanted[:, 0] > wanted.min()).astype(int) if len(np.unique(wanted)) == 2 else None
    one_hot = ((wanted == 0) | (wanted == 1)).all() and (wanted.sum(axis=1) == 1).all()
    return wanted.argmax(axis=1) if one_hot else None
