"""
What the tests start under mpiexec: each function is a program that all ranks run.

    mpiexec -n 3 python programs.py same_weights
"""

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

import cbackprop
from cbackprop import callbacks, mpi, streams
from cbackprop.core import _runtime
from cbackprop.mpi import ranks

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size
LAST = SIZE - 1
GOLDEN = 0x9E3779B97F4A7C15


def drawn(rows, sizes, dtype="float64", seed=3):
    """Return data of all ranks, and the slice of it that is this rank's."""
    rng = np.random.default_rng(seed)
    n, ends = sum(rows), np.cumsum([0, *rows])
    x = rng.normal(size=(n, sizes[0])).astype(dtype)
    y = rng.random((n, sizes[-1])).astype(dtype)
    return (x, y), slice(ends[RANK], ends[RANK + 1])


def network(sizes=(5, 4, 2), dtype="float64", **settings):
    """Return a network that only on rank 0 is the one that is meant."""
    return cbackprop.Network(sizes, seed=7 if RANK == 0 else 100 + RANK, dtype=dtype, **settings)


def flat(net):
    return np.concatenate([a.ravel() for a in (*net.weights, *net.biases)])


def composed(net, rows, m):
    """Return a function that draws the order of one process that is that of all ranks."""
    begins = np.cumsum([0, *rows])

    def order():
        seed = net.engine.seed()
        own = [iter(begins[rank] + _runtime.random_order(n, (seed + rank * GOLDEN) % 2**64))
               for rank, n in enumerate(rows)]
        return np.array([next(own[rank]) for counts in mpi.deal(rows, m)
                         for rank in range(len(rows)) for _ in range(counts[rank])])

    return order


# ---- one process has the same weights ----


def same_weights():
    even, uneven = [60] * SIZE, [70 - 17 * rank for rank in range(SIZE)]
    small, narrow, deep = (13, 19, 7), (13, 19, 1), (13, 64, 32, 7)
    for name, sizes, rows, m, settings, given in (
        ("plain", small, even, 12, {}, {"eta": 0.5}),
        ("one row", small, uneven, 1, {}, {"eta": 0.1}),
        ("all rows", small, uneven, sum(uneven), {}, {"eta": 0.5}),
        ("chosen eta", narrow, uneven, 10, {}, {}),
        ("adam", small, uneven, 10, {}, {"eta": 1e-3, "optimizer": "adam", "lmbda": 0.1,
                                        "clip_norm": 0.5, "max_norm": 2.0}),
        ("noise", small, uneven, 10, {}, {"eta": 0.3, "optimizer": "momentum", "noise": 0.1,
                                         "dropout": [0.2, 0.3]}),
        ("weights", small, uneven, 10, {}, {"eta": 0.5, "weighted": True}),
        ("layers", deep, uneven, 20, {"activation": "relu", "input_scale": 0.3},
         {"eta": 0.05, "eta_factors": [0, 1, 0.5]}),
        ("slices", small, [1300 // SIZE] * SIZE, 1200, {}, {"eta": 0.1}),
        ("in order", small, uneven, 10, {}, {"eta": 0.1, "shuffle": False}),
    ):
        for dtype, bound in (("float32", 1e-6), ("float64", 1e-12)):
            compare(name, sizes, rows, m, settings, given, dtype, bound)


def compare(name, sizes, rows, m, settings, given, dtype, bound):
    (x, y), own = drawn(rows, sizes, dtype)
    given, weights = dict(given), None
    if given.pop("weighted", False):
        weights = np.random.default_rng(5).random(len(x)).astype(dtype)
        weights[:40] = 0  # some mini-batches take no step
    net = network(sizes, dtype, **settings)
    alone = net.copy()
    history = net.SGD((x[own], y[own]), 2, m, comm=COMM, **given,
                      sample_weight=None if weights is None else weights[own])
    everywhere = COMM.gather((flat(net), history.cost, history.seconds, net.engine.seed()))
    if RANK:
        return
    for theirs in everywhere:
        assert (theirs[0] == everywhere[0][0]).all(), (name, "ranks differ")
        assert theirs[1:] == everywhere[0][1:], (name, "histories differ")
    training = alone.prepare((x, y), 2, m, sample_weight=weights, **given)
    training.order = (composed(alone, rows, m) if given.get("shuffle", True) else
                      in_order(rows, m))
    expected = training.run()
    wanted = flat(alone)
    error = np.linalg.norm(flat(net) - wanted) / np.linalg.norm(wanted)
    assert error < bound, (name, dtype, error)
    np.testing.assert_allclose(history.cost, expected.cost, rtol=bound, err_msg=name)
    assert history.rows == len(x)


def in_order(rows, m):
    begins, at = np.cumsum([0, *rows]), [0] * len(rows)
    found = []
    for counts in mpi.deal(rows, m):
        for rank, count in enumerate(counts):
            found += range(begins[rank] + at[rank], begins[rank] + at[rank] + count)
            at[rank] += count
    return lambda: np.array(found)


# ---- what is measured, and who is called ----


def together():
    kinds()
    metrics()
    stopping()
    going_on()
    from_a_checkpoint()
    from_streams()
    sparse_rows()


def kinds():
    """The kind of the targets is that of all rows, whatever the share of one rank looks like."""
    x = np.random.default_rng(RANK).normal(size=(12, 3))
    for y, output, name in (
        ([0.0] * 12 if RANK == 0 else x[:, 0], "identity", "numbers"),
        ([3.0] * 12 if RANK == 0 else [4.0] * 12, "identity", "classes"),
        ([[0, 1, 0]] * 12 if RANK == 0 else [[1, 1, 0]] * 12, "sigmoid", "labels"),
        ([[0, 1, 0]] * 12 if RANK == 0 else [[0.5, 0.25, 0.25]] * 12, "sigmoid", "classes"),
    ):
        y = np.array(y, float).reshape(12, -1)
        net = network((3, y.shape[1]), output_activation=output)
        every = np.concatenate(COMM.allgather(y))
        net.SGD((x, y), 1, 5, 0.01, (x, y), comm=COMM)
        alone = network((3, y.shape[1]), output_activation=output)
        alone.SGD((np.resize(x, (len(every), 3)), every), 1, 5, 0.01)
        assert net.trained_on == alone.trained_on, (net.trained_on, alone.trained_on)
        assert net.trained_on.name == name


def metrics():
    """Metrics are those of all rows; each rank has a share of the test data, too."""
    rows = [30 + 11 * rank for rank in range(SIZE)]
    (x, _), own = drawn(rows, (5, 4, 3))
    y = np.random.default_rng(1).integers(0, 3, len(x))
    net = network((5, 4, 3), output_activation="softmax", cost="log_likelihood")
    history = net.SGD(
        (x[own], y[own]), 2, 8, 0.1, (x[own], y[own]), comm=COMM, evaluation_data=(x[own], y[own]),
        monitor=["training_cost", "test_balanced_accuracy", "test_f1", most_wrong])
    measured = net.measure((x, y))
    for name in ("cost", "accuracy", "balanced_accuracy", "f1"):
        np.testing.assert_allclose(history.series(f"test_{name}")[-1], measured[name], rtol=1e-12,
                                   err_msg=name)
    outputs = net.feedforward(x)
    assert abs(history.test_most_wrong_error[-1] - most_wrong(outputs, y)) < 1e-12
    numbers = network((5, 4, 1), output_activation="identity")
    history = numbers.SGD((x[own], x[own, :1]), 2, 8, 0.01, (x[own], x[own, :1]), comm=COMM)
    np.testing.assert_allclose(
        history.test_r2[-1], numbers.measure((x, x[:, :1]))["r2"], rtol=1e-9)


def most_wrong(outputs, targets):
    return float((1 - outputs[np.arange(len(targets)), targets]).max())


most_wrong.__name__ = "most_wrong_error"


def stopping():
    """Rank 0 alone calls callbacks; what they do to the network, all have."""
    rows = [40] * SIZE
    (x, y), own = drawn(rows, (5, 4, 2))
    calls, net = [], network()
    stop = callbacks.EarlyStopping("evaluation_cost", patience=2)
    history = net.SGD((x[own], y[own]), 50, 8, 3.0, comm=COMM, validation_split=0.2, callbacks=[
        stop, lambda net, history: calls.append(len(history))])
    assert len(history) < 50
    assert len(calls) == (len(history) if RANK == 0 else 0)
    best = COMM.bcast(stop.best_parameters)
    np.testing.assert_array_equal(net.weights[0], best[0][0])
    history = net.SGD((x[own], y[own]), 5, 8, 0.1, comm=COMM,
                      callbacks=[callbacks.WeightAverage(0.9, every=1)])
    everywhere = COMM.allgather(flat(net))
    assert all((theirs == everywhere[0]).all() for theirs in everywhere)
    assert len(history) == 5


def going_on():
    """Two calls are one of twice the epochs; the second begins with rank 0's network alone."""
    (x, y), own = drawn([33] * SIZE, (5, 4, 2))
    given = {"optimizer": "adam", "eta": 0.01, "dropout": 0.2, "comm": COMM}
    whole, half = network(), network()
    whole.SGD((x[own], y[own]), 4, 10, **given)
    half.SGD((x[own], y[own]), 2, 10, **given)
    rest = half if RANK == 0 else network()
    history = rest.SGD((x[own], y[own]), 2, 10, resume=True, **given)
    np.testing.assert_array_equal(flat(rest), flat(whole))
    assert len(history) == 4


def from_a_checkpoint(at=9, **more):
    """The checkpoint of rank 0 is that of all: what goes on from it has the same bits."""
    folder = Path(sys.argv[2])
    (x, y), own = drawn([50 - 7 * rank for rank in range(SIZE)], (5, 4, 2))

    given = {"optimizer": "adam", "eta": 0.01, "dropout": 0.2, "comm": COMM, **more}
    keeps = callbacks.Checkpoint(last=folder / "last", every_steps=3)

    class Dies(callbacks.Callback):
        every = 3

        def on_batches(self, network, history, step):
            if step == at:
                raise OSError("power cut")

    whole, dies, rest = network(), network(), network()
    whole.SGD((x[own], y[own]), 3, 10, **given)  # in other chunks
    raises(OSError, "power cut", lambda: dies.SGD(
        (x[own], y[own]), 3, 10, callbacks=[keeps, Dies()], **given))
    history = rest.SGD(
        (x[own], y[own]), 3, 10, resume=folder / "last", callbacks=[keeps], **given)
    np.testing.assert_array_equal(flat(rest), flat(whole))
    assert history.cost == whole.history.cost
    assert len(history) == 3
    other = [50] * SIZE
    (x, y), own = drawn(other, (5, 4, 2))
    raises(ValueError, "rows", lambda: network().SGD(
        (x[own], y[own]), 3, 10, resume=folder / "last", callbacks=[keeps], **given))


def from_streams():
    """A stream gives each rank its part; mini-batches are whole although buffers cut them."""
    rows, width = 100 * SIZE + 1, 3
    x = np.random.default_rng(0).normal(size=(rows, width))

    class Blocks(streams.Stream):
        memory = 1800
        bounds = np.append(np.arange(0, rows, 20), rows)

        def read(self, block):
            part = x[self.bounds[block]:self.bounds[block + 1]]
            return part, part[:, :1]

    cut, copied = [], ranks._copied
    ranks._copied = lambda *part: cut.append(part) or copied(*part)
    net = network((width, 4, 1), output_activation="identity")
    source = mpi.share(Blocks().rows(66, rows), RANK - 1, LAST) if RANK else Blocks().rows(0, 66)
    history = net.SGD(source, 3, 7, 0.1, comm=COMM, shuffle=False)
    ranks._copied = copied
    assert history.rows == rows
    assert COMM.allreduce(len(cut)) > 0
    parts = COMM.allgather(len(source))
    ends = np.cumsum([0, *parts])
    alike = network((width, 4, 1), output_activation="identity")
    own = slice(ends[RANK], ends[RANK + 1])
    alike.SGD((x[own], x[own, :1]), 3, 7, 0.1, comm=COMM, shuffle=False)
    np.testing.assert_allclose(flat(net), flat(alike), rtol=1e-12)


def sparse_rows():
    """CSR is trained on as its dense form."""
    try:
        from scipy import sparse
    except ModuleNotFoundError:
        return
    (x, y), own = drawn([30] * SIZE, (40, 6, 2))
    x[np.random.default_rng(1).random(x.shape) < 0.9] = 0
    dense, stored = network((40, 6, 2)), network((40, 6, 2))
    dense.SGD((x[own], y[own]), 2, 8, 0.5, comm=COMM)
    stored.SGD((sparse.csr_array(x[own]), y[own]), 2, 8, 0.5, comm=COMM)
    np.testing.assert_allclose(flat(stored), flat(dense), rtol=1e-9)


# ---- local SGD, and gradients in bfloat16 ----


def averages():
    """Each rank's own steps and their averages are those of as many networks in one process."""
    rows, m, sizes = [24 + 8 * rank for rank in range(SIZE)], 4 * SIZE, (5, 4, 2)
    (x, y), own = drawn(rows, sizes)
    begins, counts = np.cumsum([0, *rows]), mpi.deal(rows, m)
    for k in (1, 3):
        for given in ({"eta": 0.5}, {"eta": 0.01, "optimizer": "momentum", "lmbda": 0.1}):
            net = network(sizes)
            nets = [net.copy() for _ in rows]
            net.SGD((x[own], y[own]), 2, m, comm=COMM, average_every=k, shuffle=False, **given)
            if RANK == 0:
                np.testing.assert_allclose(flat(net), averaged(
                    nets, x, y, begins, counts, k, given), rtol=1e-11)
            COMM.barrier()
    net = network(sizes)
    call = callbacks.OnProgress(print)
    call.every = 4
    raises(ValueError, "multiple of average_every = 3, got 4", lambda: net.SGD(
        (x[own], y[own]), 2, m, 0.5, comm=COMM, average_every=3, callbacks=[call]))
    # Some ranks have no rows of an epoch's last mini-batches.
    from_a_checkpoint(at=24, average_every=3)


def averaged(nets, x, y, begins, counts, k, given):
    """Train networks one step after the other, and average them; return their parameters."""
    slots = [np.zeros_like(flat(net)) for net in nets]
    eta, n, step = given["eta"], len(x), 0
    momentum = 0.9 if given.get("optimizer") else 0.0
    for _ in range(2):
        at, taken = [0] * len(nets), np.zeros(len(nets))
        for batch, lengths in enumerate(counts):
            for rank, net in enumerate(nets):
                first = begins[rank] + at[rank]
                at[rank] += lengths[rank]
                taken[rank] += lengths[rank]
                if not lengths[rank]:
                    continue
                part = slice(first, first + lengths[rank])
                nabla_b, nabla_w = net.backprop(x[part], y[part])
                decay = [given.get("lmbda", 0) / n * w for w in net.weights]
                g = np.concatenate([a.ravel() for a in (
                    *(a + b for a, b in zip(nabla_w, decay, strict=True)), *nabla_b)])
                slots[rank] = momentum * slots[rank] + g
                put(net, flat(net) - eta * slots[rank])
            step += 1
            if step % k == 0 or batch == len(counts) - 1:
                share = taken / taken.sum()
                mean = sum(s * flat(net) for s, net in zip(share, nets, strict=True))
                slot = sum(s * one for s, one in zip(share, slots, strict=True))
                slots, taken = [slot.copy() for _ in nets], np.zeros(len(nets))
                for net in nets:
                    put(net, mean)
    return flat(nets[0])


def put(net, numbers):
    for view in (*net.weights, *net.biases):
        view[...] = numbers[:view.size].reshape(view.shape)
        numbers = numbers[view.size:]


def rounding():
    """A sum in bfloat16 is as near as its docstring says, and training with it gets as far."""
    from cbackprop.mpi.exchange import RoundedSum

    numbers = np.random.default_rng(RANK).normal(size=1001).astype(np.float32)
    numbers[:3] = 0, 1e-30, 3e38 / SIZE
    piece = numbers.copy()
    running = RoundedSum(COMM, piece)
    while not running.done():
        time.sleep(0)
    every = np.array(COMM.allgather(numbers), np.float64)
    bound = 2.0**-8 * (1 + 2.0**-7) * (abs(every).sum(axis=0) + abs(every.sum(axis=0)))
    assert (abs(piece - every.sum(axis=0)) <= bound).all()
    assert (piece != every.sum(axis=0)).any()
    assert all((theirs == piece).all() for theirs in COMM.allgather(piece))
    (x, y), own = drawn([200] * SIZE, (13, 20, 3), "float32")
    exact, rounded = network((13, 20, 3), "float32"), network((13, 20, 3), "float32")
    for net, given in ((exact, {}), (rounded, {"reduce_dtype": "bfloat16"})):
        net.SGD((x[own], y[own]), 5, 20, 0.5, comm=COMM, **given)
    error = np.linalg.norm(flat(exact) - flat(rounded)) / np.linalg.norm(flat(exact))
    assert 1e-7 < error < 1e-2, error


# ---- how it fails ----


def raises(kind, text, call):
    """Call on all ranks; all must raise the same, which has the text."""
    with pytest.raises(kind, match=re.escape(text)):
        call()


def errors():
    """What one rank cannot do, all are told; the network is as before, and trains again."""
    sizes = (5, 4, 2)
    (x, y), own = drawn([40] * SIZE, sizes)
    x, y = x[own], y[own]
    ill, named = RANK == LAST, f"rank {LAST}: " * (SIZE > 1 and RANK == 0)
    with_nan = x.copy()
    if ill:
        with_nan[7, 3] = np.nan

    class Ends(cbackprop.RowSource):
        def __len__(self):
            return len(x)

        def take(self, indices):
            if ill and 13 in indices:  # not the few that are looked at before
                raise OSError("the disk is gone")
            return x[indices], y[indices]

    class Blocks(streams.Stream):
        memory, bounds = 2500, np.arange(21) * 20

        def __init__(self, row):
            self.x = np.zeros((400, 5))
            if ill:
                self.x[row, 3] = np.nan

        def read(self, block):
            part = self.x[20 * block:20 * block + 20]
            return part, part[:, :2]

    def tanh(z):
        tanh.calls += 1
        if ill and tanh.calls == 8:  # in the third step or so
            raise ZeroDivisionError("in a function of the user's own")
        return np.tanh(z)

    tanh.calls = -1000  # until it has been checked
    own_tanh = cbackprop.Activation(tanh, lambda z: 1 / np.cosh(z) ** 2, name="own_tanh")
    tanh.calls = 0

    def sgd(data=(x, y), epochs=3, m=8, eta=0.1, net=None, **given):
        return lambda: (net or network(sizes)).SGD(data, epochs, m, eta, comm=COMM, **given)

    def stop(net, history):
        raise RuntimeError("a callback's own")

    def leave(net, history):
        raise SystemExit(3)

    alike = "must be the same on all ranks"
    for kind, text, call in (
        (ValueError, "must be finite, got nan at [7, 3]", sgd((with_nan, y))),
        (ValueError, "test_data must be finite, got nan at [7, 3]", sgd(test_data=(with_nan, y))),
        (ValueError, f"{named}x of training_data must have sizes[0] = 5 columns",
         sgd((x[:, :4] if ill else x, y))),
        # In blocks that are not looked at before; other buffers follow before the ranks meet.
        *((ValueError, f"{named}x of training_data must be finite, got nan in column 3 of row "
           f"{row}", sgd(Blocks(row), m=7, shuffle=False)) for row in (60, 71, 79, 120)),
        (OSError, "the disk is gone", sgd(Ends())),
        (ZeroDivisionError, "of the user's own", sgd(net=network(sizes, activation=own_tanh))),
        (RuntimeError, "a callback's own", sgd(callbacks=[stop])),
        (cbackprop.DivergenceError, "diverged in epoch 1", sgd(
            eta=1e300, net=network(sizes, activation="identity", output_activation="identity"))),
        (ValueError, "class_weight must be a dict of labels with comm",
         sgd((x, np.arange(40) % 2), class_weight="balanced")),
        (ValueError, "optimizer must not be lazy with comm, unless average_every is given",
         sgd(optimizer="lazy_adam")),
        (ValueError, "reduce_dtype must be one of", sgd(reduce_dtype="float16")),
        (ValueError, "average_every must be", sgd(average_every=0)),
        (ValueError, "at most the", sgd(m=40 * SIZE + 1)),
        *(() if SIZE == 1 else (
            (ValueError, f"sizes {alike}, got (5, 4, 2) on rank 0 and (5, 6, 2) on rank {LAST}",
             sgd(net=network((5, 6, 2) if ill else sizes))),
            (ValueError, f"mini_batch_size {alike}, got 8 on rank 0 and 9 on rank {LAST}",
             sgd(m=8 + ill)),
            (ValueError, f"momentum {alike}, got 0.9 on rank 0 and 0.8 on rank {LAST}",
             sgd(optimizer=cbackprop.optimizers.Momentum(0.8 if ill else 0.9))),
            (ValueError, f"monitor {alike}", sgd(test_data=(x, y) if ill else None)),
            (ValueError, f"average_every {alike}", sgd(average_every=2 if ill else None)),
            (ValueError, f"{named}epochs must be an integer", sgd(epochs=-1 if ill else 3)),
            (TypeError, "eta must be a number", sgd(eta=None if ill else 0.1)),
        )),
    ):
        raises(kind, text, call)
    raises(TypeError, "comm must be an intracommunicator of mpi4py, such as MPI.COMM_WORLD, got "
           "MPI.COMM_NULL", lambda: network(sizes).SGD((x, y), 1, 8, 0.1, comm=MPI.COMM_NULL))
    with pytest.raises(SystemExit) as left:
        sgd(callbacks=[leave])()
    assert left.value.code == 3
    net = network(sizes)
    assert len(sgd(net=net)()) == 3
    before = flat(net)
    raises(ValueError, "must be finite", sgd((with_nan, y), net=net))
    np.testing.assert_array_equal(flat(net), before)
    assert len(sgd(net=net)()) == 3


def uncaught():
    """Rank 0 alone says what all raise."""
    (x, y), own = drawn([40] * SIZE, (5, 4, 2))
    if RANK == LAST:
        x[own][7, 3] = np.nan
    network().SGD((x[own], y[own]), 3, 8, 0.1, comm=COMM)


def dies():
    after_two_epochs(lambda: os.kill(os.getpid(), signal.SIGKILL))


def is_interrupted():
    after_two_epochs(lambda: os.kill(os.getpid(), signal.SIGINT))


def after_two_epochs(act):
    """Train on all ranks; the last one acts in the middle of it."""
    (x, y), own = drawn([40] * SIZE, (5, 4, 2))
    net = network()

    def wait():
        while net.history is None or len(net.history) < 2:
            time.sleep(0.001)
        act()

    if RANK == LAST:
        threading.Thread(target=wait, daemon=True).start()
    net.SGD((x[own], y[own]), 10**6, 8, 0.01, comm=COMM)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    if RANK == 0:
        print("done")
