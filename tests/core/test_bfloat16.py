"""Products of bfloat16: their bits, gradients within what rounding allows, and what keeps them."""

import itertools
import pickle

import numpy as np
import pytest
from reference import ACTIVATIONS, DEEP, Reference
from rounding import product, rounded

import cbackprop
from cbackprop import Ensemble, Network, optimizers, precision, train_many
from cbackprop.callbacks import Callback, Checkpoint
from cbackprop.core import _dispatch

LEVELS = [pytest.param(isa, marks=pytest.mark.skipif(
    isa not in _dispatch.BUILT or isa not in _dispatch.SUPPORTED,
    reason=f"{isa} was not built, or this CPU does not run it")) for isa in _dispatch.LEVELS]
FEW = 2  # rows whose sums are four, so that additions do not wait for each other


def linear(build, sizes, scale=1.0):
    core = build.Core(sizes, ["identity"] * (len(sizes) - 1), "quadratic", scale)
    return core, *core.views(core.parameters)


def network(sizes=(20, 9, 3), seed=0, **given):
    return Network(sizes, seed=seed, **{"compute_dtype": "bfloat16"} | given)


def data(n=60, inputs=20, outputs=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, inputs), np.float32), rng.integers(0, outputs, n)


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


# ---- the product ----


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize(("inputs", "outputs", "m"), [
    (1, 1, 1), (5, 3, 4), (7, 9, 1), (8, 20, 2), (784, 30, 10), (17, 40, 33), (31, 5, 3),
    (64, 64, 64), (301, 260, 50), (33, 300, 130), (2100, 5, 7)])
def test_the_bits_of_the_product(isa, inputs, outputs, m):
    core, (w,), (b,) = linear(_dispatch.load("bfloat16", isa), [inputs, outputs])
    rng = np.random.default_rng(0)
    w[...], b[...] = rng.standard_normal(w.shape), rng.standard_normal(b.shape)
    x = rng.standard_normal((m, inputs), np.float32)
    halves = [slice(0, inputs)]
    if inputs > 2048:  # more pairs than a panel has rows
        halves = [slice(0, 1050), slice(1050, None)]
    wanted = b.T
    for half in halves:
        wanted = wanted + product(x[:, half], w.T[half], 4 if m <= FEW else 1)
    np.testing.assert_array_equal(core.feedforward(x), wanted)


@pytest.mark.parametrize("isa", LEVELS)
def test_what_is_multiplied_is_rounded_to_even(isa):
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-23, 1 + 2**-8 - 2**-23,
                     -1 - 2**-8, 3.3895314e38, 3.4e38, np.inf, -np.inf, np.nan, 1e-39, -1e-39, 0.0,
                     1.17e-38, 1.1754944e-38, 255.0, 257.0], np.float32)
    wanted = [1, 1 + 2**-6, 1 + 2**-7, 1, -1, 3.3895314e38, np.inf, np.inf, -np.inf, np.nan, 0,
              -0.0, 0, 0, 1.1754944e-38, 255, 256]
    np.testing.assert_array_equal(rounded(ties), np.float32(wanted))
    for values in (ties, ties[::-1]):
        core, (w,), _ = linear(_dispatch.load("bfloat16", isa), [1, len(ties)])
        core.parameters[...] = 0
        w[...] = values[:, None]
        for m in (1, 3, 30):
            np.testing.assert_array_equal(core.feedforward(np.ones((m, 1), np.float32)),
                                          np.tile(rounded(values), (m, 1)))


@pytest.mark.parametrize("isa", LEVELS)
def test_bytes_are_exact_and_scaled_afterwards(isa):
    core, (w,), (b,) = linear(_dispatch.load("bfloat16", isa), [40, 6], 1 / 255)
    rng = np.random.default_rng(0)
    w[...], b[...] = rng.standard_normal(w.shape), 0
    x = rng.integers(0, 256, (12, 40), np.uint8)
    wanted = np.float32(1 / 255) * product(x.astype(np.float32), w.T)
    np.testing.assert_array_equal(core.feedforward(x), wanted)


# ---- gradients ----


class Rounding(Reference):
    """The reference, but what the three products multiply is rounded."""

    def gradient(self, x, y):
        zs, a = [], [np.asarray(x, float)]
        for w, b, activation in zip(self.weights, self.biases, self.activations, strict=True):
            zs.append(np.float64(rounded(a[-1])) @ np.float64(rounded(w)).T + b.T)
            a.append(ACTIVATIONS[activation][0](zs[-1]))
        delta = (a[-1] - y) / len(x) * ACTIVATIONS[self.activations[-1]][1](zs[-1])
        nabla_w, nabla_b = [], []
        for layer in reversed(range(len(zs))):
            nabla_b.insert(0, delta.sum(0)[:, None])
            nabla_w.insert(0, np.float64(rounded(delta)).T @ np.float64(rounded(a[layer])))
            if layer:
                delta = np.float64(rounded(delta)) @ np.float64(rounded(self.weights[layer]))
                delta = delta * ACTIVATIONS[self.activations[layer - 1]][1](zs[layer - 1])
        return [*nabla_w, *nabla_b]


def apart(ours, others):
    """The difference of two gradients, as a part of the second."""
    ours, others = (np.concatenate([np.ravel(part) for part in parts]) for parts in (ours, others))
    return np.linalg.norm(ours - others) / np.linalg.norm(others)


@pytest.mark.parametrize("activation", [name for name in DEEP if name != "softmax"])
@pytest.mark.parametrize(("sizes", "m"), [((20, 30, 17, 5), 7), ((33, 40, 40, 3), 64)])
def test_gradients_of_every_activation(activation, sizes, m):
    net = network(sizes, activation=activation, output_activation="tanh")
    x, _ = data(m, sizes[0])
    y = np.random.default_rng(2).uniform(-0.9, 0.9, (m, sizes[-1]))
    nabla_b, nabla_w = net.backprop(x, y)
    arguments = (net.weights, net.biases, [activation] * (len(sizes) - 2) + ["tanh"], "quadratic")
    ours = [*nabla_w, *nabla_b]
    # A rounded number may fall on the other side of a tie: then it differs by 2^-8.
    assert apart(ours, Rounding(*arguments).gradient(x, y)) < 1e-3
    exact_b, exact_w = Network(**net.settings() | {"dtype": "float64", "compute_dtype": None},
                               initializer=(list(net.weights), list(net.biases))).backprop(x, y)
    assert 1e-4 < apart(ours, [*exact_w, *exact_b]) < 3e-2  # hard_tanh' jumps


def test_zeros_are_skipped_with_the_same_roundings():
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    x, y = data(130, 100)
    x[np.random.default_rng(3).random(x.shape) < 0.8] = 0
    steps = []
    for rows, skip, given in ((x, False, {"compute_dtype": None}), (x, False, {}), (x, True, {}),
                              (sparse.csr_matrix(x), False, {})):
        net = network([100, 30, 3], seed=4, **given)
        before = parameters(net)
        net.SGD((rows, y), 2, 65, 0.5, skip_zeros=skip)
        steps.append([parameters(net) - before])
    exact, dense, *others = steps
    for other in others:
        assert apart(other, dense) < 1e-4 < 5e-4 < apart(dense, exact)


@pytest.mark.parametrize("optimizer", sorted(optimizers.KNOWN))
def test_every_optimizer_learns(optimizer):
    x, y = data(200)
    y = (x[:, :3]).argmax(1)
    eta = {"sgd": 1.0, "momentum": 0.3, "nesterov": 0.3, "adagrad": 0.1}.get(optimizer, 0.01)
    nets = [network([20, 30, 3], cost="cross_entropy", compute_dtype=t) for t in ("bfloat16", None)]
    for net in nets:
        net.SGD((x, y), 30, 20, eta, optimizer=optimizer, dropout=0.1)
    ours, exact = (net.accuracy((x, y)) for net in nets)
    assert ours > 0.8
    assert abs(ours - exact) < 0.05


def test_the_hessian_and_the_check_of_the_gradient():
    net, exact = (network([6, 5, 3], activation="tanh", compute_dtype=t, seed=3)
                  for t in ("bfloat16", None))
    x, y = data(9, 6)
    direction = [np.random.default_rng(0).standard_normal(w.shape) for w in net.weights]
    none = [np.zeros_like(b) for b in net.biases]
    ours, other = (cbackprop.inspect.hessian_vector(each, x, np.eye(3)[y], (none, direction))
                   for each in (net, exact))
    assert apart(list(itertools.chain(*ours)), list(itertools.chain(*other))) < 2e-2
    assert cbackprop.inspect.gradient_check(net, x, np.eye(3)[y]).passed


# ---- around it ----


def test_results_do_not_depend_on_the_chunks_or_copies():
    x, y = data(700)
    nets = [network(), network(), network()]
    nets[1] = pickle.loads(pickle.dumps(nets[1]))
    nets[2] = nets[2].copy()
    for net in nets:
        assert net.compute_dtype == "bfloat16"
        net.SGD((x, y), 2, 600, 0.5)
        assert parameters(net).tobytes() == parameters(nets[0]).tobytes()


@pytest.mark.parametrize("name", ["net.npz", "net.safetensors"])
def test_a_file_does_not_know(tmp_path, name):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    x, y = data()
    net = network(output_activation="sigmoid")
    net.SGD((x, y), 1, 7, 0.1, optimizer="adam")
    net.save(tmp_path / name)
    plain = Network.load(tmp_path / name)
    assert plain.compute_dtype == "float32"
    assert "compute_dtype" not in repr(plain)
    assert parameters(plain).tobytes() == parameters(net).tobytes()
    again = Network.load(tmp_path / name, compute_dtype="bfloat16")
    assert "compute_dtype='bfloat16'" in repr(again)
    for each in (net, plain, again):
        each.SGD((x, y), 1, 7, 0.1, optimizer="adam")
    assert parameters(again).tobytes() == parameters(net).tobytes()
    assert 0 < apart([parameters(plain)], [parameters(net)]) < 1e-2
    with pytest.raises(ValueError, match="compute_dtype must be one of"):
        Network.load(tmp_path / name, compute_dtype="float16")


class Stop(Callback):
    def __init__(self, steps):
        self.every, self.steps = 1, steps

    def on_batches(self, network, history, step):
        if step >= self.steps:
            raise RuntimeError("enough")


def test_goes_on_from_a_checkpoint(tmp_path):
    x, y = data()
    whole, first, second = network(), network(), network()
    whole.SGD((x, y), 4, 7, 0.5, optimizer="momentum")
    path = tmp_path / "last.npz"
    given = {"optimizer": "momentum", "callbacks": [Checkpoint(last=path, every_steps=5), Stop(13)]}
    with pytest.raises(RuntimeError, match="enough"):
        first.SGD((x, y), 4, 7, 0.5, **given)
    with pytest.raises(ValueError, match="compute_dtype = 'bfloat16', got 'float32'"):
        network(compute_dtype=None).SGD((x, y), 4, 7, 0.5, optimizer="momentum", resume=path)
    second.SGD((x, y), 4, 7, 0.5, optimizer="momentum", resume=path)
    assert parameters(second).tobytes() == parameters(whole).tobytes()


def test_lanes_leave_it_to_single_training():
    x, y = data()
    with pytest.raises(ValueError, match="compute_dtype='bfloat16'"):
        Ensemble([network(), network(seed=1)])
    nets, alone = [network(seed=s) for s in range(3)], [network(seed=s) for s in range(3)]
    given = {"training_data": (x, y), "epochs": 1, "mini_batch_size": 10, "eta": 0.5}
    train_many([(net, given) for net in nets])
    for net, other in zip(nets, alone, strict=True):
        other.SGD(**given)
        assert parameters(net).tobytes() == parameters(other).tobytes()


@pytest.mark.parametrize(("given", "line"), [
    ({"compute_dtype": "bf16"}, r"compute_dtype must be one of .*, got 'bf16'"),
    ({"compute_dtype": "float16"}, r"compute_dtype must be one of .*, got 'float16'"),
    ({"compute_dtype": 16}, r"compute_dtype must be one of .*, got 16"),
    ({"compute_dtype": "float64"},
     r'compute_dtype must be dtype, or "bfloat16" with dtype="float32", got '
     r"compute_dtype='float64' and dtype='float32'"),
    ({"dtype": "float64"}, r"got compute_dtype='bfloat16' and dtype='float64'"),
])
def test_refused(given, line):
    with pytest.raises(ValueError, match=line):
        network(**given)


def test_it_is_fixed_and_said():
    net = network()
    with pytest.raises(AttributeError, match="compute_dtype is fixed"):
        net.compute_dtype = "float32"
    assert Network([2, 1]).compute_dtype == "float32"
    assert Network([2, 1], dtype="float64", compute_dtype="float64").compute_dtype == "float64"
    assert cbackprop.config.config()["bfloat16"] == precision.how_bfloat16()


@pytest.mark.parametrize(("isa", "dtype", "sizes", "chosen"), [
    ("v4bf16", "float32", (64, 64, 64, 8), "bfloat16"),
    ("v4bf16", "float32", (8, 16, 16, 1), "float32"),
    ("v4bf16", "float64", (784, 512, 10), "float64"),
    ("v4", "float32", (784, 512, 10), "float32"),
    ("v3", "float32", (784, 512, 10), "float32"),
])
def test_auto(isa, dtype, sizes, chosen, monkeypatch):
    monkeypatch.setattr(_dispatch, "ISA", isa)
    assert precision.compute_dtype("auto", dtype, sizes) == chosen


@pytest.mark.slow
def test_mnist_is_learned_as_well(mnist_folder):
    (x, y), test = cbackprop.datasets.load_mnist(mnist_folder)
    found = {None: [], "bfloat16": []}
    for compute_dtype, seed in itertools.product(found, range(5)):
        net = Network([784, 100, 10], input_scale=1 / 255, cost="cross_entropy", seed=seed,
                      compute_dtype=compute_dtype)
        net.SGD((x[:20_000], y[:20_000]), 5, 10, 0.5)
        found[compute_dtype].append(net.accuracy(test))
    ours, exact = np.array(found["bfloat16"]), np.array(found[None])
    assert exact.mean() > 0.95
    assert abs(ours.mean() - exact.mean()) < exact.std() + 0.002


def test_a_regression_is_learned_as_well():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 8)).astype(np.float32)
    y = (np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.standard_normal(900))[:, None]
    training, test = (x[:600], y[:600]), (x[600:], y[600:])
    found = {None: [], "bfloat16": []}
    for compute_dtype, seed in itertools.product(found, range(5)):
        net = Network([8, 40, 40, 1], activation="tanh", output_activation="identity", seed=seed,
                      compute_dtype=compute_dtype)
        net.SGD(training, 60, 20, 0.003, optimizer="adam")
        found[compute_dtype].append(net.measure(test)["r2"])
    ours, exact = np.array(found["bfloat16"]), np.array(found[None])
    assert exact.mean() > 0.85
    assert abs(ours.mean() - exact.mean()) < exact.std()
