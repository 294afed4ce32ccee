"""Every entry, given every kind of array there is: what float64 gives, or one clear line."""

import functools

import numpy as np
import pytest

from cbackprop import Network
from cbackprop.core import _dispatch, _runtime
from cbackprop.optimizers import Adam

INPUTS, OUTPUTS, N = 3, 2, 4
X = np.arange(N * INPUTS).reshape(N, INPUTS) % 5.0
LABELS = np.arange(N) % OUTPUTS
ONE_HOT = np.eye(OUTPUTS)[LABELS]
WEIGHTS = np.arange(N) + 1.0


class Hostile:
    """An object that says it is an array, and then is not."""

    def __init__(self, answer):
        self.answer = answer

    def __array__(self, dtype=None, copy=None):
        return self.answer()


class Changing:
    """Another shape at each call."""

    def __init__(self, good):
        self.good, self.calls = good, 0

    def __array__(self, dtype=None, copy=None):
        self.calls += 1
        return self.good if self.calls == 1 else self.good[..., :0]


class Interface:
    def __init__(self, interface):
        self.__array_interface__ = interface


class NoLength:
    def __len__(self):
        raise RuntimeError("no length")

    def __getitem__(self, at):
        return 1.0


class Lying(np.ndarray):
    """An array that says of itself what is not so."""

    shape = property(lambda self: (10**6, 3))
    dtype = property(lambda self: np.dtype(np.float64))
    size = ndim = property(lambda self: 10**6)

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array")

    def __len__(self):
        return 10**6


def raises():
    raise RuntimeError("mine")


def masked(good, *at):
    array = np.ma.array(good)
    for index in at:
        array[index] = np.ma.masked
    return array


def read_only(good):
    array = good.copy()
    array.flags.writeable = False
    return array


def misaligned(good):
    array = np.frombuffer(b"\0" + good.tobytes(), np.uint8)[1:].view(good.dtype)
    return array.reshape(good.shape)


def structured(good):
    return np.zeros(good.shape, [("a", float), ("b", int)])


def itself():
    hostile = Hostile(lambda: hostile)
    return hostile


# From a good array of float64; what is to be taken as it, ...
TAKEN = {
    "as it is": lambda good: good,
    **{kind: functools.partial(lambda good, kind: good.astype(kind), kind=kind) for kind in (
        "float32", "float16", "longdouble", "uint8", "int8", "int64", "uint64", ">f8", ">f4",
        ">i2", "object")},
    "read-only": read_only,
    "misaligned": misaligned,
    "of Fortran's order": np.asfortranarray,
    "every second": lambda good: np.repeat(good, 2, axis=0)[::2],
    "backwards": lambda good: good[::-1].copy()[::-1],
    "broadcast": lambda good: np.broadcast_to(good, good.shape),
    "unmasked": np.ma.array,
    "recarray": lambda good: good.view(np.recarray),
    "memmap": None,
    "list": lambda good: good.tolist(),
    "list of masked arrays": lambda good: [np.ma.array(row) for row in good],
    "changing": Changing,
    "lying": lambda good: good.view(Lying),
    "memoryview": memoryview,
}
# ... and what is not.
REFUSED = {
    **{f"{kind}": functools.partial(lambda good, kind: good.astype(kind), kind=kind) for kind in (
        "complex128", "S8", "U8", "datetime64[s]", "timedelta64[s]")},
    "structured": structured,
    "masked": lambda good: masked(good, (0,) * good.ndim),
    "a list with a masked array": lambda good: [masked(row, ...) for row in good],
    "raises": lambda good: Hostile(raises),
    "returns itself": lambda good: itself(),
    "returns no array": lambda good: Hostile(lambda: 3),
    "returns a masked array": lambda good: Hostile(lambda: masked(good, (0,) * good.ndim)),
    "interface of nothing": lambda good: Interface({"shape": good.shape, "version": 3}),
    "interface of no shape": lambda good: Interface(
        {"shape": (-1, 2), "typestr": "<f8", "data": (0, True), "version": 3}),
    "no length": lambda good: NoLength(),
    "one more dimension": lambda good: np.stack([good, good]),
    "0 dimensions": lambda good: np.array(1.0),
    "0 dimensions of uint8": lambda good: np.array(1, np.uint8),
    "3 dimensions": lambda good: np.ones((N, INPUTS, OUTPUTS)),
    "4 dimensions": lambda good: np.ones((1, N, 1, INPUTS), np.float32),
    "5 dimensions": lambda good: np.ones((1, N, 1, INPUTS, 1)),
    "of no rows": lambda good: good[:0].reshape(0, 7),
    "of no columns": lambda good: np.ones((N, 0)),
    "of nothing": lambda good: np.ones((0, 0, 0)),
    "too narrow": lambda good: np.full((N, 1), 0.5) if good.ndim == 2 else good[:-1],
    "too large an integer": lambda good: 10**400,
    "None": lambda good: None,
}


def network():
    return Network([INPUTS, 4, OUTPUTS], dtype="float64", seed=0)


def trained(**arguments):
    net = network()
    training_data = arguments.pop("x", X), arguments.pop("y", LABELS)
    net.SGD(training_data, 2, 3, 0.5, **arguments)
    return net.weights


def one_step(x, y=LABELS):
    net = network()
    net.update_mini_batch((x, y), 0.5)
    return net.weights


def assigned(value):
    net = network()
    net.weights[1] = value
    return net.weights[1]


# What is given, and what becomes of it.
ENTRIES = {
    "feedforward": (X, lambda given: network().feedforward(given)),
    "backprop, x": (X, lambda given: network().backprop(given, LABELS)[1]),
    "backprop, y": (ONE_HOT, lambda given: network().backprop(X, given)[1]),
    "backprop, sample_weight": (
        WEIGHTS, lambda given: network().backprop(X, LABELS, sample_weight=given)[1]),
    "update_mini_batch, x": (X, one_step),
    "update_mini_batch, y": (ONE_HOT, lambda given: one_step(X, given)),
    "SGD, x": (X, lambda given: trained(x=given)),
    "SGD, x of which zeros are skipped": (X, lambda given: trained(x=given, skip_zeros=True)),
    "SGD, x and adam": (X, lambda given: trained(x=given, optimizer=Adam(), dropout=0.1)),
    "SGD, y": (ONE_HOT, lambda given: trained(y=given)),
    "SGD, sample_weight": (WEIGHTS, lambda given: trained(sample_weight=given)),
    "SGD, test_data": (X, lambda given: network().SGD(
        (X, LABELS), 1, 2, 0.5, (given, LABELS)).accuracy),
    "LBFGS, x": (X, lambda given: network().LBFGS((given, LABELS), 3).cost),
    "evaluate, x": (X, lambda given: network().evaluate((given, LABELS))),
    "evaluate, y": (ONE_HOT, lambda given: network().evaluate((X, given))),
    "accuracy": (X, lambda given: network().accuracy((given, LABELS))),
    "total_cost, x": (X, lambda given: network().total_cost((given, LABELS))),
    "total_cost, sample_weight": (
        WEIGHTS, lambda given: network().total_cost((X, LABELS), sample_weight=given)),
    "cost_derivative": (ONE_HOT, lambda given: network().cost_derivative(ONE_HOT + 1, given)),
    "weights": (np.ones((OUTPUTS, 4)), assigned),
    "input_scale": (np.arange(3) + 1.0, lambda given: Network(
        [INPUTS, OUTPUTS], input_scale=given, seed=0, dtype="float64").feedforward(X)),
}
SCALARS = {"input_scale": ("0 dimensions", "0 dimensions of uint8")}  # which it takes


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_taken(entry, tmp_path):
    if entry.startswith("LBFGS"):
        pytest.importorskip("scipy", reason="SciPy is not installed")
    good, enter = ENTRIES[entry]
    expected = enter(good)
    for kind, make in TAKEN.items():
        if kind == "memmap":
            given = np.memmap(tmp_path / "x", good.dtype, "w+", shape=good.shape)
            given[...] = good
        else:
            given = make(good)
        found = enter(given)
        for one, other in zip(np.atleast_1d(found) if np.isscalar(found) else found,
                              np.atleast_1d(expected) if np.isscalar(expected) else expected,
                              strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=kind)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_refused(entry):
    good, enter = ENTRIES[entry]
    for kind, make in REFUSED.items():
        if kind in SCALARS.get(entry, ()):
            continue
        if kind == "None" and entry.endswith(("sample_weight", "test_data")):
            continue
        with pytest.raises((TypeError, ValueError)) as raised:
            print(kind, enter(make(good)))
        assert "\n" not in str(raised.value), kind


# ---- the core itself, whose callers have checked what they hand on ----

ORDER, ETAS = np.arange(N), np.full(N, 0.5)


def core_calls(build):
    """Return good arguments of what the core offers, and how it is called."""
    real = build.REAL
    core = build.Core((INPUTS, 4, OUTPUTS), ["sigmoid", "sigmoid"], "quadratic", 1.0)
    rows, targets = build.Rows(X.astype(real)), build.Targets(LABELS.astype(np.intc))
    state = build.OptimizerState(core, "momentum")
    rates = np.zeros(2, real)
    state.set({"momentum": 0.9}, rates)
    arena = np.zeros_like(core.parameters)
    a = np.ones((N, OUTPUTS), real)
    return {
        "Rows": (build.Rows, [X.astype(real)]),
        "Targets": (build.Targets, [a, WEIGHTS.astype(real)]),
        "Core": (lambda sizes, scales: build.Core(sizes, ["sigmoid"], "quadratic", scales),
                 [(2, 1), np.ones(2, real)]),
        "OptimizerState": (lambda core: build.OptimizerState(core, "adam"), [core]),
        "set": (lambda rates: state.set({"momentum": 0.9}, rates), [rates]),
        "views": (core.views, [arena]),
        "evaluate": (core.evaluate, [rows, targets]),
        "backprop": (core.backprop, [rows, targets, arena]),
        "sgd": (lambda rows, targets, order, etas, state: core.sgd(
            rows, targets, order, 1, etas, 0, N, state), [rows, targets, ORDER, ETAS, state]),
        "cost_derivative": (core.cost_derivative, [a, a]),
        "trace": (lambda core, rows: build.trace(core, rows, targets), [core, rows]),
        "input_gradient": (build.input_gradient, [core, rows, targets]),
        "jacobian": (build.jacobian, [core, rows]),
        "hessian_vector": (build.hessian_vector, [core, rows, targets, arena, arena.copy()]),
        "handle": (lambda core: build.handle(core, 1), [core]),
        "step_seconds": (lambda core, rows, targets, order: build.step_seconds(
            core, rows, targets, order, 2, "z", 0, 1), [core, rows, targets, ORDER]),
        "shuffle": (lambda items, order: _runtime.shuffle(items, order, np.ones(99, np.uint32)),
                    [list("abcd"), ORDER.copy()]),
    }


def wrong(build):
    """What is right for none of those arguments."""
    real = build.REAL
    other = build.Core((INPUTS + 1, OUTPUTS + 1), ["sigmoid"], "quadratic", 1.0)
    ones = np.ones((N, 9), real)
    return [
        None, 3, "x", object(), [], np.array(1.0, real), np.ones(0, real), np.ones((0, 0), real),
        np.ones(1, real), ones[0, :0], np.ones((2, 2, 2), real), np.ones(N, object),
        np.ones(1, np.intc), np.full(N, -1), np.full(N, N), np.full(N, 2**62), np.array([0]),
        np.ones(N, np.float16), X.astype(">f8"), structured(X), Hostile(raises),
        np.ones((N, 9), real)[:, ::2], np.zeros(other.parameters.shape, real),
        build.Rows(ones), build.Targets(np.full(N, 7, np.intc)), build.Targets(ones),
        build.Targets(np.zeros(1, np.intc)), build.OptimizerState(other, "adam"),
        build.Targets(np.zeros(N, np.intc), np.ones(1, real)), read_only(np.zeros(0, real)),
    ]


MAY_TAKE = {"Rows", "Targets", "shuffle"}  # some of them; the others take none


@pytest.mark.parametrize("real", _dispatch.REALS)
def test_the_core_refuses_what_would_lie_beyond_its_arrays(real):
    build = _dispatch.load(real)
    for name, (call, good) in core_calls(build).items():
        call(*good)
        for at in range(len(good)):
            for given in wrong(build):
                try:
                    call(*good[:at], given, *good[at + 1:])
                    taken = True
                except (TypeError, ValueError) as error:
                    taken = "\n" in str(error)
                may = name in MAY_TAKE or (name == "sgd" and (
                    (given is None and at == 4)  # no optimizer, or more etas than are needed
                    or (at == 3 and isinstance(given, np.ndarray) and given.dtype == float)))
                assert may or not taken, (name, at, given)
