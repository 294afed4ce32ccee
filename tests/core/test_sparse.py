"""Rows whose zeros are skipped train and evaluate as the same rows with their zeros."""

import re

import numpy as np
import pytest
from memory import peak

import cbackprop
from cbackprop import inspect, optimizers, sources

sparse = pytest.importorskip("scipy.sparse")

SHAPES = [((3, 1), 1), ((64, 5, 3), 7), ((65, 8, 2), 10), ((784, 30, 10), 10), ((150, 60, 3), 32),
          ((784, 100, 10), 65), ((200, 77, 4), 600), ((130, 261, 3), 9)]


def core(build, sizes, scale=1.0, cost="quadratic", hidden="sigmoid"):
    made = build.Core(sizes, [hidden] * (len(sizes) - 2) + ["sigmoid"], cost, scale)
    rng = np.random.default_rng(1)
    for views in made.views(made.parameters):
        for view in views:
            view[...] = rng.standard_normal(view.shape)
            if hidden == "relu":
                view /= 4
    return made


def sparse_rows(n, width, kind, share=0.2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 256, (n, width)) * (rng.random((n, width)) < share)
    return x.astype(kind) if kind == "uint8" else (x / 256).astype(kind)


def tolerance(build):
    return {"rtol": 1e-11, "atol": 1e-13} if build.REAL == "float64" else {
        "rtol": 1e-3, "atol": 1e-4}


@pytest.mark.parametrize("hidden", ["sigmoid", "relu"])
@pytest.mark.parametrize(("sizes", "m"), SHAPES, ids=str)
def test_an_epoch(build, sizes, m, hidden):
    n = 2 * m + 3
    x = sparse_rows(n, sizes[0], "float32")
    y = np.random.default_rng(2).random((n, sizes[-1])).astype(build.REAL)
    found = []
    for skip_zeros in (True, False):
        net = core(build, sizes, hidden=hidden)
        order = np.random.default_rng(3).permutation(n)
        net.sgd(build.Rows(x, skip_zeros), build.Targets(y), order, m, np.full(n, 0.5), 0, n)
        found.append(net.parameters)
        found.append(net.evaluate(build.Rows(x, skip_zeros), build.Targets(y)))
    np.testing.assert_allclose(found[0], found[2], **tolerance(build))
    assert found[1][0] == pytest.approx(found[3][0], abs=1 if build.REAL == "float32" else 0)
    assert found[1][1] == pytest.approx(found[3][1], rel=1e-5)
    if sizes[0] > 3:
        assert build.Rows(x, True).skips_zeros
    assert not build.Rows(x).skips_zeros


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_rows_of_every_type_and_scale(build, kind):
    sizes, n = (130, 9, 3), 40
    x = sparse_rows(n, sizes[0], kind)
    x[7] = 0
    labels = np.arange(n, dtype=np.intc) % 3
    for scale in (1 / 256, np.linspace(0, 1, sizes[0]).astype(build.REAL)):
        found = []
        for skip_zeros in (True, False):
            net = core(build, sizes, scale)
            net.sgd(build.Rows(x, skip_zeros), build.Targets(labels), np.arange(n), 8,
                    np.full(5, 0.1), 0, n)
            found.append(net.parameters)
        np.testing.assert_allclose(*found, **tolerance(build))


def trained(build, m, *, skip_zeros):
    x = sparse_rows(3 * m, 150, "float32", 0.5)
    net = core(build, (150, 60, 3))
    net.sgd(build.Rows(x, skip_zeros), build.Targets(np.zeros(3 * m, np.intc)), np.arange(3 * m), m,
            np.full(3, 0.5), 0, 3 * m)
    return net.parameters


def test_half_of_all_numbers_are_skipped_in_many_rows_only(build):
    assert build.Rows(sparse_rows(50, 100, "float32", 0.5), True).skips_zeros
    assert np.array_equal(trained(build, 10, skip_zeros=True), trained(build, 10, skip_zeros=False))
    many, all_of_them = (trained(build, 70, skip_zeros=skip) for skip in (True, False))
    assert not np.array_equal(many, all_of_them)
    np.testing.assert_allclose(many, all_of_them, **tolerance(build))


def test_what_is_not_mostly_zeros_is_left_as_it_is(build):
    assert not build.Rows(sparse_rows(50, 100, "float32", 0.7), True).skips_zeros
    assert not build.Rows(np.ones((2, 3), np.uint8), True).skips_zeros
    assert build.Rows(np.zeros((2, 70_000), np.uint8), True).skips_zeros
    assert len(build.Rows(np.zeros((0, 3)), True)) == 0


def test_nan_is_not_a_zero(build):
    x = np.zeros((4, 40))
    x[1, 39] = np.nan
    net = core(build, (40, 3, 2))
    net.sgd(build.Rows(x, True), build.Targets(np.zeros(4, np.intc)), np.arange(4), 4,
            np.full(1, 1.0), 0, 4)
    assert not net.all_finite()


def state_of(build, net, optimizer, noise=0.0):
    state = build.OptimizerState(net, optimizer)
    state.set(optimizers.KNOWN[optimizer]().hyperparameters(),
              np.zeros(len(net.views(net.parameters)[0]), build.REAL), l2=0.1, l1=0.01,
              weight_decay=0.01, clip_value=0.1, max_norm=1.5, noise=noise)
    return state


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "rprop"])
@pytest.mark.parametrize(("sizes", "m"), [((90, 6, 3), 10), ((200, 77, 4), 600)], ids=str)
def test_optimizers_take_the_gradient_of_all_weights(build, optimizer, sizes, m):
    n = m + 7
    x = sparse_rows(n, sizes[0], "float32")
    y = np.random.default_rng(2).random((n, sizes[-1])).astype(build.REAL)
    found = []
    for skip_zeros in (True, False):
        net = core(build, sizes)
        order = np.random.default_rng(3).permutation(n)
        net.sgd(build.Rows(x, skip_zeros), build.Targets(y), order, m, np.full(2, 0.01), 0, n,
                state_of(build, net, optimizer))
        found.append(net.parameters)
    assert not np.array_equal(net.parameters, core(build, sizes).parameters)
    # the sign of a derivative of nearly nothing decides where rprop goes
    apart = abs(found[0] - found[1]) > (1e-9 if build.REAL == "float64" else 1e-3)
    assert apart.mean() <= (0.01 if optimizer == "rprop" else 0)


@pytest.mark.parametrize("optimizer", [None, "adam"])
@pytest.mark.parametrize("m", [20, 70])
@pytest.mark.parametrize("sizes", [(90, 30, 3), (784, 77, 10)], ids=str)
def test_threads_leave_the_bits_alone(build, optimizer, m, sizes):
    n = 3 * m
    x = sparse_rows(n, sizes[0], "float32")
    y = np.random.default_rng(2).random((n, sizes[-1])).astype(build.REAL)
    found = []
    for threads in (1, 2, 3, 5):
        net = core(build, sizes, hidden="relu" if optimizer else "sigmoid")
        how = state_of(build, net, optimizer) if optimizer else None
        rows, targets, first = build.Rows(x, True), build.Targets(y), 0
        while first < n:        # threads that wait too long for each other leave sooner
            first, _ = net.sgd(rows, targets, np.arange(n), m, np.full(3, 0.1), first, n, how, 0.0,
                               threads)
        found.append(net.parameters)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_noise_falls_on_zeros_too(build):
    sizes, n = (90, 6, 3), 30
    x, found = sparse_rows(n, sizes[0], "float32"), []
    for skip_zeros in (True, False):
        net = core(build, sizes)
        net.sgd(build.Rows(x, skip_zeros), build.Targets(np.zeros(n, np.intc)), np.arange(n), 10,
                np.full(3, 0.5), 0, n, state_of(build, net, "sgd", 0.1))
        found.append(net.parameters)
    np.testing.assert_array_equal(*found)


# ---- rows that come without their zeros ----


def csr(x):
    return sparse.csr_array(x)


@pytest.mark.parametrize("optimizer", [None, "adam", "nesterov"])
@pytest.mark.parametrize(("sizes", "m"), SHAPES, ids=str)
def test_listed_rows_are_the_same_rows(build, sizes, m, optimizer):
    n = 2 * m + 3
    x = sparse_rows(n, sizes[0], "float32", 0.05)
    x[1] = 0
    y, found = np.random.default_rng(2).random((n, sizes[-1])).astype(build.REAL), []
    for rows in (build.Rows(csr(x)), build.Rows(x)):
        net = core(build, sizes, hidden="relu" if optimizer else "sigmoid")
        how = state_of(build, net, optimizer) if optimizer else None
        order = np.random.default_rng(3).permutation(n)
        net.sgd(rows, build.Targets(y), order, m, np.full(n, 0.1), 0, n, how)
        nabla = np.zeros_like(net.parameters)
        net.backprop(rows, build.Targets(y), nabla)
        found.append((net.parameters, nabla, net.feedforward(rows),
                      net.evaluate(rows, build.Targets(y))))
    assert not np.array_equal(found[0][0], core(build, sizes).parameters)
    for ours, dense in zip(*found, strict=True):
        np.testing.assert_allclose(ours, dense, **tolerance(build))


@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_threads_leave_the_bits_of_listed_rows_alone(build, optimizer):
    n, sizes, found = 90, (784, 77, 10), []
    rows = build.Rows(csr(sparse_rows(n, sizes[0], "float32", 0.02)))
    targets = build.Targets(np.random.default_rng(2).random((n, 10)).astype(build.REAL))
    for threads in (1, 2, 3):
        net, first = core(build, sizes), 0
        how = state_of(build, net, optimizer) if optimizer else None
        while first < n:
            first, _ = net.sgd(rows, targets, np.arange(n), 30, np.full(3, 0.1), first, n, how,
                               0.0, threads)
        net.threads_for = lambda work, threads=threads: threads
        found.append((net.parameters, net.feedforward(rows)))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("how", ["scales", "noise", "dropout of x", "dropout"])
def test_listed_rows_are_scaled_and_disturbed(build, how):
    sizes, n, found = (90, 6, 3), 30, []
    x = sparse_rows(n, sizes[0], "float32")
    scales = np.linspace(0.5, 2, 90).astype(build.REAL) if how == "scales" else 0.5
    rates = np.array([how == "dropout of x", how == "dropout"], build.REAL) / 4
    for rows in (build.Rows(csr(x)), build.Rows(x)):
        net = core(build, sizes, scales)
        state = build.OptimizerState(net, "momentum")
        state.set({"momentum": 0.9}, rates, l2=0.1, seed=7, noise=0.1 * (how == "noise"))
        order = np.arange(n)[::-1].copy()
        net.sgd(rows, build.Targets(np.zeros(n, np.intc)), order, 10, np.full(3, 0.5), 0, n, state)
        found += [net.parameters, net.feedforward(rows)]
    np.testing.assert_allclose(found[0], found[2], **tolerance(build))
    np.testing.assert_allclose(found[1], found[3], **tolerance(build))
    assert not np.array_equal(found[0], core(build, sizes, scales).parameters)


def test_listed_rows_know_what_is_not_finite_and_who_needs_room(build):
    x = sparse.csr_array((np.ones(3, build.REAL), [5, 2**30, 7], [0, 2, 3]), (2, 2**30 + 1))
    assert build.Rows(x).is_sound()  # 2^31 numbers, were they dense
    assert build.Rows(x).all_finite()
    x.data[1] = np.nan
    assert not build.Rows(x).all_finite()
    net = core(build, (2000, 3, 2))
    bad = csr(np.eye(3, 2000))
    bad.data[1] = np.inf
    assert net.feedforward(build.Rows(bad)) is None


@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_listed_indices_are_looked_at(build, index_type):
    def rows(indices, starts=(0, 2, 3)):
        x = sparse.csr_array((np.ones(3), [0, 1, 2], [0, 2, 3]), (2, 4))
        x.indices = np.array(indices, index_type)
        x.indptr = np.array(starts, index_type)
        return build.Rows(x)

    assert rows([1, 3, 0]).is_sound()
    for indices in ([3, 1, 0], [1, 1, 0], [1, 4, 0], [-1, 1, 0], [1, 3, -5], [1, 3]):
        assert not rows(indices).is_sound(), indices
    for starts in ([0, 4, 3], [0, 2, 4], [1, 2, 3], [0, -1, 3], [0, 3]):
        assert not rows([0, 1, 2], starts).is_sound(), starts


@pytest.mark.parametrize("index", [2**32 + 1, 1 - 2**32, 2**31, 2**63 - 1])
def test_long_indices_are_not_cut_down(index):
    x = sparse.csr_array((np.ones(3), [0, 1, 2], [0, 2, 3]), (2, 4))
    x.indices = np.array([0, index, 2])
    x.indptr = x.indptr.astype(np.int64)
    net = cbackprop.Network([4, 3], seed=0)
    with pytest.raises(ValueError, match=rf"^a must have column indices in 0\.\.3, got {index} in "
                                         "row 0$"):
        net.feedforward(x)
    x.indices = np.array([0, 1, 2])
    assert np.array_equal(net.feedforward(x), net.feedforward(x.toarray()))


def test_columns_that_no_int_counts_are_refused(build):
    x = sparse.csr_array(([1.0], [2**31 - 1], [0, 1]), (1, 2**31))
    with pytest.raises(ValueError, match=r"^x must have at most 2147483647 columns where it is "
                                         r"sparse, got 2147483648$"):
        sources.listed(build, x, "x")


def test_rows_in_files_are_read_where_they_lie(tmp_path):
    x, y = sparse.csr_matrix(sparse_rows(60, 130, "float32")), np.arange(60) % 3
    names = "data", "indices", "indptr"
    for name in names:
        np.save(tmp_path / name, getattr(x, name))
    parts = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in names]
    mapped = sparse.csr_matrix(tuple(parts), shape=x.shape)
    net, twin = (cbackprop.Network([130, 9, 3], seed=0) for _ in range(2))
    rows = net.engine.examples((mapped, y), "data").rows.x
    assert all(map(np.shares_memory, (rows.data, rows.indices), parts))
    net.SGD((mapped, y), 2, 10, 0.5)
    twin.SGD((x, y), 2, 10, 0.5)
    assert np.array_equal(net.engine.core.parameters, twin.engine.core.parameters)


@pytest.mark.parametrize("look", [
    lambda net, x, y: inspect.trace(net, x, y),
    lambda net, x, y: inspect.gradient_check(net, x, y),
    lambda net, x, y: inspect.saturation(net, x),
    lambda net, x, y: inspect.input_gradient(net, x, y)])
def test_inspections_take_sparse_rows(look):
    x, y = sparse.csr_matrix(sparse_rows(6, 30, "float32")), np.arange(6) % 3
    net = cbackprop.Network([30, 9, 3], seed=0)
    assert str(look(net, x, y)) == str(look(net, x.toarray(), y))
    wrong = x.copy()
    wrong.indices[0] = 30
    with pytest.raises(ValueError, match=r"column indices in 0\.\.29, got 30 in row 0"):
        look(net, wrong, y)


def test_inspections_refuse_to_make_much_dense():
    net = cbackprop.Network([2**20, 1], initializer="zeros")
    with pytest.raises(ValueError, match=r"^x must have at most 64 rows where it is sparse, .* got "
                                         r"65$"):
        inspect.saturation(net, sparse.csr_matrix((65, 2**20), dtype=np.float32))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_sgd_skips_zeros_if_told_to(kind):
    x, y = sparse_rows(60, 130, kind), np.arange(60) % 3
    found = []
    for skip_zeros in (False, True):
        net = cbackprop.Network([130, 9, 3], dtype="float64", input_scale=1 / 255, seed=0)
        source = Source(x, y) if skip_zeros else None
        history = net.SGD((x, y), 2, 10, 0.5, skip_zeros=skip_zeros)
        history.cost += net.SGD(source or (x, y), 1, 10, 0.5, skip_zeros=skip_zeros).cost
        found.append((history.cost, net.weights[0].copy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-12)
    assert not np.array_equal(found[0][1], found[1][1])  # other sums: they were skipped


class Source(cbackprop.RowSource):
    """The same rows from a source, of which none are skipped."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def take(self, indices):
        return self.x[indices], self.y[indices]


# ---- lazy steps: rows of w without a stored number of the mini-batch stay ----


def few_rows(n, width, share=0.01):
    """Return CSR rows of which some are empty, and one is full."""
    x = sparse_rows(n, width, "float64", share, seed=4)
    x[1], x[2] = 0, 0.25
    return x, csr(x)


def lazily(build, net, optimizer, numbers=None, **options):
    state = build.OptimizerState(net, optimizer)
    numbers = numbers or optimizers.KNOWN[optimizer]().hyperparameters()
    layers = len(net.views(net.parameters)[0])
    state.set(numbers, np.zeros(layers, build.REAL), **options)
    return state


@pytest.mark.parametrize("optimizer", optimizers.KNOWN)
@pytest.mark.parametrize(("sizes", "m", "options"), [
    ((300, 77, 4), 5, {"l2": 0.1, "weight_decay": 0.01}), ((70, 3), 3, {"l1": 0.01}),
    ((1500, 5, 2), 600, {}), ((300, 9, 4), 5, {"clip_norm": 0.01, "clip_value": 0.005}),
    ((64, 300, 2), 4, {})], ids=str)
def test_a_lazy_step_is_the_exact_one_where_a_number_is_stored(build, optimizer, sizes, m, options):
    n = 3 * m
    x, _ = few_rows(n, sizes[0], 0.001 if m == 600 else 0.01)
    x[1 if m > 5 else 0::m] = 0  # the full row
    rows = build.Rows(csr(x))
    targets = build.Targets(np.random.default_rng(2).random((n, sizes[-1])).astype(build.REAL))
    nets = [core(build, sizes) for _ in range(2)]
    states = [lazily(build, net, optimizer, lazy=lazy, **options)
              for net, lazy in zip(nets, (True, False), strict=True)]
    moved = 0
    for step in range(3):
        arenas = [nets[1].parameters, *states[1].slots]
        before = [arena.copy() for arena in arenas]
        for net, state in zip(nets, states, strict=True):
            net.sgd(rows, targets, np.arange(n), m, np.array([0.01]), step * m, step * m + 1, state)
        still = ~x[step * m:step * m + m].any(axis=0)
        for arena, old in zip(arenas, before, strict=True):
            for of, was in zip(nets[1].views(arena)[0][:1], nets[1].views(old)[0], strict=False):
                of[:, still] = was[:, still]
        moved += np.sum(~still)
        for lazy, exact in zip([nets[0].parameters, *states[0].slots], arenas, strict=True):
            np.testing.assert_allclose(lazy, exact, **(
                {"rtol": 1e-12} if build.REAL == "float64" else {"rtol": 1e-5, "atol": 1e-7}))
            assert np.array_equal(nets[0].views(lazy)[0][0][:, still],
                                  nets[1].views(exact)[0][0][:, still])
    assert 0 < moved < 3 * sizes[0]


@pytest.mark.parametrize("m", [30, 600])
def test_threads_leave_the_bits_of_lazy_steps_alone(build, m):
    n, sizes, found = 2 * m, (784, 77, 10), []
    rows = build.Rows(few_rows(n, sizes[0], 0.002)[1])
    targets = build.Targets(np.zeros(n, np.intc))
    for threads in (1, 2, 3):
        net, first = core(build, sizes), 0
        state = lazily(build, net, "adam", lazy=True)
        while first < n:
            first, _ = net.sgd(rows, targets, np.arange(n), m, np.full(2, 0.1), first, n, state,
                               0.0, threads)
        found.append(net.parameters)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize(("m", "options"), [(8, {}), (600, {}), (8, {"clip_norm": 0.02})], ids=str)
def test_lazy_adam_is_the_sparse_adam_of_pytorch(m, options):
    torch = pytest.importorskip("torch")
    n = 3 * m
    x, given = few_rows(n, 900, 0.0005 if m == 600 else 0.004)
    y = np.random.default_rng(5).integers(0, 3, n)
    net = network((900, 7, 3), activation="tanh", cost="log_likelihood")
    w, *others = [torch.tensor(each.copy(), requires_grad=True) for each in (
        net.weights[0].T, net.biases[0].ravel(), net.weights[1], net.biases[1].ravel())]
    before = w.detach().numpy().copy()
    steps = [torch.optim.SparseAdam([w], 0.01), torch.optim.SGD(others, 0.01)]
    for first in range(0, n, m):
        part = given[first:first + m]
        indices, starts, values = (torch.tensor(each) for each in (
            part.indices.astype(np.int64), part.indptr[:-1].astype(np.int64), part.data))
        z = torch.nn.functional.embedding_bag(
            indices, w, starts, mode="sum", sparse=True, per_sample_weights=values)
        out = torch.tanh(z + others[0]) @ others[1].T + others[2]
        for step in steps:
            step.zero_grad()
        torch.nn.functional.cross_entropy(out, torch.tensor(y[first:first + m])).backward()
        gradients = [w.grad.coalesce().values(), *(each.grad for each in others)]
        norm = float(sum((each**2).sum() for each in gradients))**0.5
        shorter = min(1, options.get("clip_norm", np.inf) / norm)
        w.grad = w.grad * shorter
        steps[0].step()
        # the other layers follow, so that the next gradient of w is the same
        net.SGD((given[first:first + m], y[first:first + m]), 1, m, 0.01, shuffle=False,
                optimizer=optimizers.Adam(epsilon=0, epsilon_hat=1e-8, lazy=True), **options)
        with torch.no_grad():
            for one, ours in zip(others, (net.biases[0].ravel(), net.weights[1],
                                          net.biases[1].ravel()), strict=True):
                one[...] = torch.tensor(ours.copy())
    moved = (before != net.weights[0].T).any(axis=1)
    assert np.array_equal(moved, x.any(axis=0))
    np.testing.assert_allclose(net.weights[0].T, w.detach().numpy(), rtol=1e-11)
    assert abs(before - net.weights[0].T).max() > 0.01


@pytest.mark.parametrize("form", [csr, np.asarray], ids=["sparse", "dense"])
@pytest.mark.parametrize("settings", [
    {"optimizer": "lazy_adam", "clip_norm": 1.0}, {"optimizer": "lazy_adam"}, {}], ids=str)
def test_a_gradient_that_is_not_finite_leaves_nothing_behind(form, settings):
    x, _ = few_rows(600, 900, 0.002)
    y = np.arange(600) % 3
    bad = x.copy()
    bad[5] *= 1e300
    nets = [network((900, 7, 3), activation="identity", cost="log_likelihood") for _ in range(2)]
    with pytest.raises(cbackprop.DivergenceError):
        nets[0].SGD((form(bad), y), 4, 600, 1e300, **settings)
    for net in nets:
        net.engine.random = np.random.default_rng(7)
        net.weights = network((900, 7, 3)).weights
        net.biases = network((900, 7, 3)).biases
        net.engine.optimizer_state = None
        net.SGD((form(x), y), 2, 600, 0.1, **settings)
    assert all(map(np.array_equal, nets[0].weights, nets[1].weights))


def test_what_is_exact_and_lazy_at_once():
    x, given = few_rows(60, 900)
    y = np.random.default_rng(5).integers(0, 3, 60)
    for optimizer in ("sgd", "adagrad"):  # 0 does not move what they have
        nets = network((900, 7, 3)), network((900, 7, 3))
        for net, name in zip(nets, (optimizer, f"lazy_{optimizer}"), strict=True):
            net.SGD((given, y), 2, 8, 0.1, optimizer=name)
        assert all(map(np.array_equal, nets[0].weights, nets[1].weights))
    nets = network((900, 7, 3)), network((900, 7, 3))
    for net, name in zip(nets, ("adam", "LazyAdam"), strict=True):  # dense rows touch every row
        net.SGD((x, y), 2, 8, 0.1, optimizer=name)
    assert all(map(np.array_equal, nets[0].weights, nets[1].weights))


def test_laziness_is_asked_for_by_name():
    x, y = labelled()
    asked = optimizers.training_options(2, "lazy_adam").optimizer
    assert asked == optimizers.Adam(lazy=True) != optimizers.Adam()
    assert asked.name == "lazy_adam"
    assert optimizers.training_options(2, optimizers.Momentum(0.5, lazy=True)).asked() == {
        **optimizers.training_options(2).asked(), "optimizer": "lazy_momentum", "momentum": 0.5}
    net = network()
    net.SGD((csr(x), y), 1, 8, 0.01, optimizer="lazy_adam")
    state = net.engine.optimizer_state
    net.SGD((csr(x), y), 1, 8, 0.01, optimizer="adam")  # goes on with the same means
    assert net.engine.optimizer_state is state
    for call, error, match in [
        (lambda: net.SGD((csr(x), y), 1, 8, 0.01, optimizer="lazy_adm"), ValueError,
         "got 'lazy_adm'; did you mean 'lazy_adam'\\?$"),
        (lambda: optimizers.Adam(lazy=1), TypeError, "^lazy must be True or False, got 1$"),
        (lambda: net.SGD((csr(x), y), 1, 8, 0.01, optimizer="lazy_adam", max_norm=2), ValueError,
         "^max_norm must be None with lazy_adam: it measures all weights of a neuron, and shortens "
         "them all, got 2$"),
    ]:
        with pytest.raises(error, match=match):
            call()


# ---- sparse x and y of a Network ----

FORMS = ["csr_matrix", "csr_array", "csc_array", "coo_matrix", "lil_array",
         "dok_matrix", "bsr_array"]


def network(sizes=(90, 7, 3), **settings):
    return cbackprop.Network(sizes, **{"dtype": "float64", "seed": 0} | settings)


def labelled(n=61, width=90, outputs=3, share=0.1):
    x = sparse_rows(n, width, "float64", share)
    x[3] = 0
    return x, np.random.default_rng(5).integers(0, outputs, n)


def close(*nets):
    for one, other in zip(*([*net.weights, *net.biases] for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("form", FORMS)
def test_a_network_takes_sparse_rows_wherever_it_takes_rows(form):
    x, y = labelled()
    s, weight = getattr(sparse, form)(x), np.linspace(0, 2, len(x))
    settings = {"activation": "tanh", "cost": "log_likelihood", "input_scale": np.arange(90) / 50}
    net, twin = network(**settings), network(**settings)
    np.testing.assert_allclose(net.feedforward(s), net.feedforward(x), rtol=1e-12)
    for ours, dense in zip(net.backprop(s, y)[1], twin.backprop(x, y)[1], strict=True):
        np.testing.assert_allclose(ours, dense, rtol=1e-11, atol=1e-14)
    one, two = (each.SGD((given, y), 3, 8, 0.3, (given, y), evaluation_data=(given, y),
                         monitor=["training_cost", "evaluation_accuracy"], optimizer="momentum",
                         sample_weight=weight, class_weight={0: 3.0}, dropout=0.3)
                for each, given in ((net, s), (twin, x)))
    close(net, twin)
    assert one.cost == pytest.approx(two.cost, rel=1e-11)
    assert one.training_cost == pytest.approx(two.training_cost, rel=1e-11)
    assert (one.accuracy, one.evaluation_accuracy) == (two.accuracy, two.evaluation_accuracy)
    net.update_mini_batch((s, y), 0.5)
    twin.update_mini_batch((x, y), 0.5)
    close(net, twin)
    net.LBFGS((s, y), 5, lmbda=0.1)
    twin.LBFGS((x, y), 5, lmbda=0.1)
    np.testing.assert_allclose(net.feedforward(s), twin.feedforward(x), rtol=1e-6)
    assert net.evaluate((s, y)) == net.evaluate((x, y))
    assert net.accuracy((s, y)) == net.accuracy((x, y))
    assert net.total_cost((s, y)) == pytest.approx(net.total_cost((x, y)), rel=1e-12)


def test_noise_and_dropout_of_sparse_inputs_are_those_of_dense_ones():
    x, y = labelled()
    for settings in ({"noise": 0.1}, {"dropout": [0.2, 0.0]}):
        net, twin = network(), network()
        net.SGD((sparse.csr_array(x), y), 2, 8, 0.3, **settings)
        twin.SGD((x, y), 2, 8, 0.3, **settings)
        close(net, twin)


def test_a_scale_for_each_input_multiplies_the_entries():
    x, y = labelled()
    scale = np.linspace(0.5, 2, 90)
    net, twin, dense = network(input_scale=scale), network(), network(input_scale=scale)
    net.SGD((csr(x), y), 2, 8, 0.3, validation_split=0.2, optimizer="adam")
    twin.SGD((csr(x * scale), y), 2, 8, 0.3, validation_split=0.2, optimizer="adam")
    assert all(map(np.array_equal, net.weights, twin.weights))  # to the bit: not made dense
    dense.SGD((x, y), 2, 8, 0.3, validation_split=0.2, optimizer="adam")
    close(net, dense)
    assert np.array_equal(net.feedforward(csr(x)), twin.feedforward(csr(x * scale)))
    huge = csr(np.where(x, 1e200, 0))  # finite, though not once it is scaled
    steep = network(input_scale=np.full(90, 1e200))
    np.testing.assert_array_equal(steep.feedforward(huge), steep.feedforward(huge.toarray()))


def test_one_sparse_example():
    x, _ = labelled()
    net = network()
    a = net.feedforward(x[5])
    for given, expected in [(sparse.csr_array(x[5:6]), a[None]), (sparse.csr_matrix(x[5]), a[None]),
                            (sparse.coo_matrix(x[5:6].T), a[:, None])]:
        np.testing.assert_allclose(net.feedforward(given), expected, rtol=1e-13)


@pytest.mark.parametrize("real", ["bool", "int8", "uint64", "float32", "float64"])
def test_sparse_rows_of_every_type(real):
    x = (labelled()[0] * 3).astype(real)
    np.testing.assert_allclose(network().feedforward(sparse.csr_matrix(x)),
                               network().feedforward(x), rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sparse_x", [False, True])
def test_sparse_targets(form, sparse_x):
    x, _ = labelled()
    y = (np.random.default_rng(2).random((len(x), 3)) < 0.3).astype(float)
    given = getattr(sparse, form)(x) if sparse_x else x, getattr(sparse, form)(y)
    weight = np.linspace(0, 2, len(x))
    net, twin = network(cost="cross_entropy"), network(cost="cross_entropy")
    one, two = (each.SGD(each_given, 3, 8, 0.3, each_given, evaluation_data=each_given,
                         sample_weight=weight)
                for each, each_given in ((net, given), (twin, (x, y))))
    close(net, twin)
    assert one.cost == pytest.approx(two.cost, rel=1e-11)
    assert one.accuracy == two.accuracy
    assert net.evaluate(given) == twin.evaluate((x, y))
    for sample_weight in (None, weight):
        assert net.total_cost(given, sample_weight=sample_weight) == pytest.approx(
            twin.total_cost((x, y), sample_weight=sample_weight), rel=1e-11)
    for ours, dense in zip(net.backprop(*given)[1], twin.backprop(x, y)[1], strict=True):
        np.testing.assert_allclose(ours, dense, rtol=1e-10, atol=1e-14)
    one_output, other = network((90, 1)), network((90, 1))
    one_output.SGD((given[0], given[1].tocsr()[:, [0]]), 2, 8, 0.3, class_weight={1: 3})
    other.SGD((x, y[:, :1]), 2, 8, 0.3, class_weight={1: 3})
    close(one_output, other)


def test_sparse_rows_from_a_row_source():
    x, y = labelled()

    class Source(cbackprop.RowSource):
        def __len__(self):
            return len(x)

        def take(self, indices):
            return sparse.csr_array(x[indices]), sparse.csr_array(np.eye(3)[y[indices]])

    net, twin = network(), network()
    net.SGD(Source(), 2, 8, 0.3)
    twin.SGD((x, np.eye(3)[y]), 2, 8, 0.3)
    close(net, twin)
    assert net.total_cost(Source()) == pytest.approx(twin.total_cost((x, np.eye(3)[y])), rel=1e-11)


def test_sparse_data_are_never_made_dense():
    n, width, outputs = 1000, 40_000, 6000  # dense 160 MB and 24 MB in float32
    x = sparse.random(n, width, 0.0005, "csr", np.float32, 0)
    y = sparse.random(n, outputs, 0.001, "csr", np.float32, 1)
    net = network((width, 2, outputs), dtype="float32", cost="cross_entropy")

    def work():
        net.SGD((x, y), 1, 100, 0.1, (x, y))
        net.total_cost((x, y))
        net.feedforward(x[:50])

    assert peak(work) < 16e6


@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_entries_in_any_order_and_more_than_once(index_type):
    x = sparse.csr_matrix(([1.0, 2.0, 3.0, 4.0, 5.0], [3, 0, 2, 2, 3], [0, 2, 2, 5]), (3, 4))
    x.indices, x.indptr = x.indices.astype(index_type), x.indptr.astype(index_type)
    dense, given = x.toarray(), (x.data.copy(), x.indices.copy(), x.indptr.copy())
    net, twin = network((4, 3)), network((4, 3))
    net.SGD((x, [0, 1, 2]), 2, 2, 0.5)
    twin.SGD((dense, [0, 1, 2]), 2, 2, 0.5)
    close(net, twin)
    assert all(map(np.array_equal, given, (x.data, x.indices, x.indptr)))  # the caller's


def test_bad_sparse_data():
    x, y = labelled()
    s, net = sparse.csr_matrix(x), network()
    nan, huge, complex_ = s.copy(), s.copy(), s.astype(complex)
    nan.data[5], huge.data[7] = np.nan, 1e300
    where = [re.escape(str(np.argwhere(wrong)[0].tolist()))
             for wrong in (np.isnan(nan.toarray()), huge.toarray() > 1e9)]
    broken = s.copy()
    broken.indices = np.where(broken.indices == broken.indices[9], 91, broken.indices)
    short = s.copy()
    short.data = short.data[:-1]
    small = network(dtype="float32")
    before = [w.copy() for w in net.weights]
    for call, error, match in [
        (lambda: net.SGD((s[:, :5], y), 1, 1, 0.1), ValueError,
         r"^x of training_data must have sizes\[0\] = 90 columns, got shape \(61, 5\)$"),
        (lambda: net.feedforward(s.T), ValueError, r"^a must have .* got shape \(90, 61\); a\.T "),
        (lambda: net.feedforward(complex_), TypeError, "^a must hold real numbers, got dtype comp"),
        (lambda: net.feedforward(nan), ValueError, f"^a must be finite, got nan at {where[0]}$"),
        (lambda: net.evaluate((nan, y)), ValueError,
         f"^x of test_data must be finite, got nan at {where[0]}$"),
        (lambda: net.SGD((nan, y), 1, 1, 0.1), ValueError,
         f"^x of training_data must be finite, got nan at {where[0]}$"),
        (lambda: small.feedforward(huge), ValueError,
         f"^a must be finite, got 1e.300 at {where[1]}, beyond float32$"),
        (lambda: net.feedforward(broken), ValueError,
         r"^a must have column indices in 0\.\.89, got 91 in row \d+$"),
        (lambda: net.feedforward(short), ValueError, "^a must be a sound sparse matrix: .* size$"),
        (lambda: net.SGD((s[:0], y[:0]), 1, 1, 0.1), ValueError, "must hold at least one example"),
        (lambda: net.SGD((s, y[:-1]), 1, 1, 0.1), ValueError, "^y of training_data must be 61 lab"),
        (lambda: net.SGD((s, sparse.csr_matrix((61, 4))), 1, 1, 0.1), ValueError,
         r"^y of training_data must have shape \(61, 3\) where .* got shape \(61, 4\)$"),
        (lambda: net.SGD((s, sparse.csr_matrix((61, 3), dtype=complex)), 1, 1, 0.1), TypeError,
         "^y of training_data must hold real numbers, got dtype complex128$"),
        (lambda: net.SGD((s, sparse.csr_matrix((61, 3))), 1, 1, 0.1, sample_weight=[1, 2]),
         ValueError, r"^sample_weight must have shape \(61,\), one for each example, got \(2,\)$"),
    ]:
        with pytest.raises(error, match=match) as raised:
            call()
        assert "\n" not in str(raised.value)
    assert all(map(np.array_equal, before, net.weights))


def test_indices_that_change_during_training_are_refused():
    """The caller's indices are used where they lie; what they say now must not lead out of w."""
    scipy_sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    x = scipy_sparse.random(200, 5, 0.5, format="csr", dtype=np.float32, random_state=0)
    net = cbackprop.Network([5, 4, 2], seed=0)

    def change(network, history):
        x.indices[:] = 10**6

    with pytest.raises(ValueError, match=r"^x must not change while it is trained on, and must "
                                         r"have indices in 0\.\.4, got others$"):
        net.SGD((x, np.arange(200) % 2), 3, 10, 0.1, callbacks=[change])
    assert len(net.history) == 1
