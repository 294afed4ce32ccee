"""Rows whose zeros are skipped train and evaluate as the same rows with their zeros."""

import numpy as np
import pytest

import cbackprop
from cbackprop import optimizers

sparse = pytest.importorskip("scipy.sparse")

SHAPES = [((3, 1), 1), ((64, 5, 3), 7), ((65, 8, 2), 10), ((784, 30, 10), 10), ((150, 60, 3), 32),
          ((784, 100, 10), 65), ((200, 77, 4), 600)]


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
