"""PyTorch, several mini-batches compiled as one."""

import itertools
import os
from collections.abc import Callable, Iterator

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import numpy as np
import torch
from common import REALS, Work
from numpy.typing import NDArray

from opponents.contestant import MOST_ROUNDINGS, Contestant, Examples
from opponents.feedforward import Call, Trained
from opponents.torch_eager import Eager

STEPS = 10  # in one graph; 25 were 5 to 10 % faster in small layers, and took 20 s to compile
OPTIONS = {"cpp_wrapper": True}  # calls kernels from C++ instead of Python: twice as fast

try:
    torch.compile(torch.neg, options=OPTIONS)(torch.zeros(1))
except Exception as error:  # whatever it lacks: a C++ compiler, Python's headers
    raise ImportError(f"torch.compile does not work here: {str(error).splitlines()[0]}") from error


def compiled(function: Callable) -> Callable:
    """Compile a function whose code is no other's: else all share a cache, and search it."""
    function.__code__ = function.__code__.replace(co_name=f"{function.__name__}_{next(number)}")
    return torch.compile(function, fullgraph=True, dynamic=False, options=OPTIONS)


number = itertools.count()


class Compiled(Eager):
    """
    The same arithmetic through `torch.compile`, which fuses all but the products.

    The graph takes several mini-batches, for each call of it costs as much as a small layer. Where
    fewer are left, it is called with steps of length zero. Tried, and not faster: w (in, out), no
    `addmm_` where that does not round too often, no guards; and by far, one mini-batch in a graph,
    and the wrapper in Python.
    """

    opponent = "PyTorch compiled"

    def __init__(self, work: Work, examples: Examples, real: str, in_place: bool) -> None:
        super().__init__(work, examples, real, True, in_place)
        n, m = work.rows, work.mini_batch_size
        self.steps = min(STEPS, n // m)
        sigma = getattr(torch, work.activation)
        tanh = work.activation == "tanh"

        def steps(w, b, x, y, batches, lengths):
            for batch, length in zip(batches.unbind(), lengths.unbind(), strict=True):
                a = [x[batch]]
                for w_l, b_l in zip(w, b, strict=True):  # (25)
                    a.append(sigma(torch.addmm(b_l, a[-1], w_l.T)))
                delta = a[-1] - y[batch]  # BP1
                if in_place:
                    delta = delta * length
                for layer in range(len(w) - 1, -1, -1):
                    above = a[layer + 1]
                    delta = delta * (1 - above * above if tanh else above * (1 - above))
                    # BP2 before the update; BP4, BP3
                    below = delta @ w[layer] if layer else None
                    if in_place:
                        w[layer].addmm_(delta.T, a[layer])
                        b[layer].add_(delta.sum(0))
                    else:  # without the factor, the sum would be made addmm_
                        w[layer].add_(length * (delta.T @ a[layer]))
                        b[layer].add_(length * delta.sum(0))
                    delta = below

        self.compiled = compiled(steps)

    @torch.inference_mode()
    def train(self, batches: NDArray) -> None:  # noqa: D102
        count, m = batches.shape
        missing = -count % self.steps
        lengths = torch.zeros(count + missing, dtype=getattr(torch, self.real))
        lengths[:count] = -self.work.eta / m
        if missing:
            batches = np.resize(batches, (count + missing, m))
        grouped = torch.from_numpy(batches).view(-1, self.steps, m).unbind()
        for group, length in zip(grouped, lengths.view(-1, self.steps).unbind(), strict=True):
            self.compiled(self.w, self.b, self.x, self.y, group, length)


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        yield Compiled(work, examples, real, work.mini_batch_size <= MOST_ROUNDINGS)


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    w, b = ([torch.from_numpy(p) for p in ps] for ps in (net.weights, net.biases))
    given = torch.from_numpy(x)

    def feedforward(a):
        for w_l, b_l in zip(w, b, strict=True):
            a = torch.sigmoid(torch.nn.functional.linear(a, w_l, b_l))
        return a

    function = compiled(feedforward)
    yield Call(Compiled.opponent, "", torch.inference_mode()(lambda: function(given)))
