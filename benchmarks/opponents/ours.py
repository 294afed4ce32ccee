"""What all others are compared with."""

from collections.abc import Iterator

from common import REALS, Work
from numpy.typing import NDArray

import cbackprop
from opponents.contestant import Contestant, Examples
from opponents.feedforward import Call, Trained


class Cbackprop(Contestant):
    """`Network.SGD`, as a user calls it. What an optimizer remembers stays from run to run."""

    opponent = "cbackprop"
    in_part = False

    def __init__(self, work: Work, examples: Examples, real: str, rows: str) -> None:
        super().__init__(work, examples, real, rows)
        self.net = cbackprop.Network(
            work.sizes, activation=work.activation, output_activation=work.output_activation,
            cost=work.cost, dtype=real, input_scale=1 / 255 if rows == "uint8" else 1.0, seed=3)

    def begin(self) -> None:  # noqa: D102
        self.net.weights, self.net.biases = self.start

    def train(self, batches: NDArray) -> None:  # noqa: D102
        for batch in batches:
            self.sgd(self.x[batch], self.y[batch])

    def parameters(self) -> list[NDArray]:  # noqa: D102
        return [*self.net.weights, *self.net.biases]

    def epoch(self) -> None:  # noqa: D102
        self.sgd(self.x, self.y)

    def sgd(self, x: NDArray, y: NDArray) -> None:
        """Train on all of these rows once."""
        work = self.work
        self.net.SGD((x, y), 1, work.mini_batch_size, work.eta, optimizer=work.optimizer,
                     dropout=work.dropout)


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        for rows in (real, "uint8"):
            yield Cbackprop(work, examples, real, rows)


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    own = cbackprop.Network(net.sizes)
    own.weights, own.biases = net.weights, [b.reshape(-1, 1) for b in net.biases]
    given = x[0] if len(x) == 1 else x
    yield Call("cbackprop", "", lambda: own.feedforward(given))
