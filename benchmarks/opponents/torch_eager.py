"""PyTorch, its operators called one by one."""

from collections.abc import Iterator
from math import prod

import torch
from common import REALS, Work
from numpy.typing import NDArray

from opponents.contestant import MOST_ROUNDINGS, Contestant, Examples
from opponents.feedforward import Call, Trained

aten = torch.ops.aten
FUNCTIONS = {  # in place; and the error by the activation, times sigma', in one pass
    "sigmoid": (torch.sigmoid_, aten.sigmoid_backward.grad_input),
    "tanh": (torch.tanh_, aten.tanh_backward.grad_input),
}

set_threads = torch.set_num_threads


class Eager(Contestant):
    """
    PyTorch over the whole mini-batch, by hand and without autograd, as fast as we could write it.

    Everything is allocated once; each layer takes two calls forward and four backward. Parameters
    lie in one array, and their gradients: one addition is the update. Or the product itself adds to
    the weights (`addmm_`): less to read and write, but they may be rounded once for every row.

    Adam is the fused kernel of `torch.optim.Adam`, on that array; gradients are sums there, and so
    epsilon is m times as large. Masks of dropout are random bytes, compared: `bernoulli_` takes ten
    times as long, `rand` twice.
    """

    opponent = "PyTorch eager"

    def __init__(
        self, work: Work, examples: Examples, real: str, outputs_first: bool, in_place: bool
    ) -> None:
        super().__init__(work, examples, real, real)
        self.form = ("w (out, in)" if outputs_first else "w (in, out)") + ", addmm_" * in_place
        self.outputs_first, self.in_place = outputs_first, in_place
        self.roundings = work.mini_batch_size if in_place else 1
        dtype = getattr(torch, real)
        m, sizes = work.mini_batch_size, work.sizes
        self.x, self.y = torch.from_numpy(self.x), torch.from_numpy(self.y)
        shapes = [(j, k) if outputs_first else (k, j) for j, k in work.shapes]
        last, weights = len(shapes), sum(map(prod, shapes))
        shapes += [(j,) for j in sizes[1:]]
        self.all, parameters = carve(shapes, dtype)
        self.nabla, gradients = carve(shapes, dtype)
        self.w, self.b = parameters[:last], parameters[last:]
        self.nabla_w, self.nabla_b = gradients[:last], gradients[last:]
        if in_place:
            self.all, self.nabla = self.all[weights:], self.nabla[weights:]
        self.a = [torch.empty((m, j), dtype=dtype) for j in sizes]
        self.delta = [torch.empty((m, j), dtype=dtype) for j in sizes[1:]]
        self.wanted = torch.empty((m, sizes[-1]), dtype=dtype)
        self.drops = [Drop(work.dropout, a) if work.dropout else None for a in self.a[1:-1]]
        self.memory = [torch.zeros_like(self.all) for _ in range(2 * (work.optimizer == "adam"))]
        self.taken = torch.zeros((), dtype=torch.float32)

    def begin(self) -> None:  # noqa: D102
        for w, start in zip(self.w, self.start[0], strict=True):
            w[...] = torch.from_numpy(start if self.outputs_first else start.T)
        for b, start in zip(self.b, self.start[1], strict=True):
            b[...] = torch.from_numpy(start[:, 0])
        for array in (*self.memory, self.taken):
            array.zero_()

    def parameters(self) -> list[NDArray]:  # noqa: D102
        weights = [w if self.outputs_first else w.T for w in self.w]
        return [p.numpy() for p in (*weights, *(b.reshape(-1, 1) for b in self.b))]

    @torch.inference_mode()
    def train(self, batches: NDArray) -> None:  # noqa: D102
        index_select, addmm, mm, total = torch.index_select, torch.addmm, torch.mm, torch.sum
        sigma, times_sigma_prime = FUNCTIONS[self.work.activation]
        step = -self.work.eta / self.work.mini_batch_size
        x, y, wanted, drops = self.x, self.y, self.wanted, self.drops
        seen = [self.a[0], *(drop.out if drop else a
                             for drop, a in zip(drops, self.a[1:-1], strict=True))]
        forward_w = [w.T for w in self.w] if self.outputs_first else self.w
        backward_w = self.w if self.outputs_first else [w.T for w in self.w]
        forward = list(zip(seen, forward_w, self.b, self.a[1:], [*drops, None], strict=True))
        backward = list(zip(self.delta[:0:-1], backward_w[:0:-1], self.delta[-2::-1],
                            self.a[-2:0:-1], drops[::-1], strict=True))
        nabla_w = [(d.T, a, w, g) if self.outputs_first else (a.T, d, w, g)
                   for d, a, w, g in zip(self.delta, seen, self.w, self.nabla_w, strict=True)]
        nabla_b = list(zip(self.delta, self.nabla_b, strict=True))
        x_batch, output, delta = self.a[0], self.a[-1], self.delta[-1]
        parameters, nabla, in_place, adam = self.all, self.nabla, self.in_place, bool(self.memory)
        for batch in torch.from_numpy(batches).unbind():
            index_select(x, 0, batch, out=x_batch)
            index_select(y, 0, batch, out=wanted)
            for a, w, b, z, drop in forward:  # (25)
                addmm(b, a, w, out=z)
                sigma(z)
                if drop:
                    drop.draw()
                    drop.apply(z, drop.out)
            torch.sub(output, wanted, out=delta)  # BP1
            times_sigma_prime(delta, output, grad_input=delta)
            for delta_next, w, d, a, drop in backward:  # BP2
                mm(delta_next, w, out=d)
                if drop:
                    drop.apply(d, d)
                times_sigma_prime(d, a, grad_input=d)
            for left, right, w, g in nabla_w:  # BP4
                if in_place:
                    w.addmm_(left, right, alpha=step)
                else:
                    mm(left, right, out=g)
            for d, g in nabla_b:  # BP3
                total(d, 0, out=g)
            if adam:
                self.adam()
            else:
                parameters.add_(nabla, alpha=step)

    def adam(self) -> None:
        """Take a step of Adam."""
        self.taken += 1
        mean, square = self.memory
        torch._fused_adam_(
            [self.all], [self.nabla], [mean], [square], [], [self.taken], lr=self.work.eta,
            beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8 * self.work.mini_batch_size,
            amsgrad=False, maximize=False)


class Drop:
    """Dropout of a hidden layer."""

    def __init__(self, rate: float, a: torch.Tensor) -> None:
        self.scale, self.limit = 1 / (1 - rate), round(256 * rate)
        self.bits = torch.empty(-(-a.numel() // 8), dtype=torch.int64)
        self.bytes = self.bits.view(torch.uint8)[:a.numel()].view(a.shape)
        self.mask, self.out = torch.empty_like(a), torch.empty_like(a)
        self.zero = torch.zeros((), dtype=a.dtype)

    def draw(self) -> None:
        """Draw a mask of zeros and ones."""
        self.bits.random_(-2**63, None)
        torch.ge(self.bytes, self.limit, out=self.mask)

    def apply(self, a: torch.Tensor, out: torch.Tensor) -> None:
        """Multiply by the mask, and by 1 / (1 - rate)."""
        torch.addcmul(self.zero, a, self.mask, value=self.scale, out=out)


def carve(
    shapes: list[tuple[int, ...]], dtype: torch.dtype
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return one array, and views of these shapes that follow in it."""
    whole = torch.zeros(sum(map(prod, shapes)), dtype=dtype)
    parts = whole.split([prod(shape) for shape in shapes])
    return whole, [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        for outputs_first in (False, True):
            for in_place in (False, True):
                if not in_place or (
                        work.mini_batch_size <= MOST_ROUNDINGS and work.optimizer == "sgd"):
                    yield Eager(work, examples, real, outputs_first, in_place)


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    b = [torch.from_numpy(b) for b in net.biases]
    given = torch.from_numpy(x[0] if len(x) == 1 else x)
    product = torch.addmv if len(x) == 1 else torch.addmm
    for outputs_first in (True, False):
        w = [torch.from_numpy(w) if outputs_first else torch.from_numpy(w).T.contiguous().T
             for w in net.weights]
        layers = [(b_l, w_l if len(x) == 1 else w_l.T) for b_l, w_l in zip(b, w, strict=True)]

        @torch.inference_mode()
        def feedforward(layers=layers):
            a = given
            for b, w in layers:
                a = (product(b, w, a) if len(x) == 1 else product(b, a, w)).sigmoid_()
            return a

        yield Call(Eager.opponent, "w (out, in)" if outputs_first else "w (in, out)", feedforward)
