"""Networks out of other libraries and into them: the same outputs, or a line that says why not."""

import importlib
import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from cbackprop import Activation, Network, convert, datasets
from cbackprop.core import _dispatch

REALS = ["float32", "float64"]
TOLERANCES = {"float32": {"rtol": 1e-5, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}
ACTIVATIONS = [*_dispatch.load("float64").ACTIVATIONS, ("leaky_relu", 0.2), ("leaky_relu", 1.5),
               ("elu", 0.7)]
CUBE = Activation(lambda z: z**3, lambda z: 3 * z**2, name="cube")


def rows(real="float64", columns=7):
    rng = np.random.default_rng(0)
    spread = np.logspace(-6, 0.5, 40)[:, None]
    return (rng.standard_normal((40, columns)) * spread).astype(real)


def network(activation, real="float64", sizes=(7, 9, 4)):
    return Network(sizes, activation=activation, dtype=real, seed=1,
                   input_scale=np.linspace(0.5, 1.5, 7))


def assert_close(found, net, x):
    expected = net.feedforward(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, **TOLERANCES[net.dtype])


def refused(match, call, error=ValueError):
    with pytest.raises(error, match=match) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


# ---- ONNX ----

@pytest.fixture
def onnx_run(tmp_path):
    """Export a network, check the file, and run it in ONNX Runtime."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")

    def run(net, x):
        path = str(tmp_path / "net.onnx")
        convert.export_onnx(net, path)
        onnx.checker.check_model(path, full_check=True)
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(["a"], {"x": x})[0]

    return run


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onnx_of_every_activation(activation, real, onnx_run):
    x = rows(real)
    for layers in ([activation, "identity"], ["identity", activation]):
        net = network(layers, real)
        assert_close(onnx_run(net, x), net, x)
        assert_close(onnx_run(net, x[:1]), net, x[:1])


@pytest.mark.parametrize("real", REALS)
def test_onnx_of_neurons_that_differ(real, onnx_run):
    names = [each for each in ACTIVATIONS if each != "softmax"]
    x = rows(real)
    net = network([{"relu": 3, ("elu", 0.5): 2, "gelu": 4}, ["sine", "tanh", "tanh", "identity"]],
                  real)
    assert_close(onnx_run(net, x), net, x)
    net = network([dict.fromkeys(names, 2), "softmax"], real, (7, 2 * len(names), 4))
    assert_close(onnx_run(net, x), net, x)


@pytest.mark.parametrize("scale", [1.0, 1 / 255, np.linspace(-1, 1, 7)])
def test_onnx_scales_inputs(scale, onnx_run):
    net, x = Network([7, 3], seed=0, input_scale=scale), rows("float32")
    assert_close(onnx_run(net, x), net, x)


@pytest.mark.parametrize("activation", ["gelu", "softplus", "softmax", "elu", "gaussian", "silu"])
def test_onnx_far_out(activation, onnx_run):
    net = Network([7, 7], activation=activation, dtype="float64",
                  initializer=([np.eye(7)], [np.zeros((7, 1))]))
    x = np.array([-1e200, -1e4, -30, -6.0, 6, 30, 300.0])[None].repeat(2, axis=0)
    x[1] = [-1e4, -100, -8, 8, 100, 1e4, 1e300]
    found = onnx_run(net, x)
    np.testing.assert_allclose(found, net.feedforward(x), 1e-12, 1e-13)


def test_onnx_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    path, net = tmp_path / "net.onnx", network("tanh")
    convert.export_onnx(net, path)
    before = path.read_bytes()

    def fail(*_args):
        raise OSError("full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="full"):
        convert.export_onnx(network("relu"), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_onnx_refuses(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    path = tmp_path / "net.onnx"
    refused("^export_onnx needs activations known by name, got activation 'cube'$",
            lambda: convert.export_onnx(network([CUBE, "tanh"]), path))
    refused("activation 'cube'", lambda: convert.export_onnx(
        network([{"relu": 3, CUBE: 6}, "tanh"]), path))
    refused("^export_onnx takes a cbackprop.Network, got 3$",
            lambda: convert.export_onnx(3, path), TypeError)
    monkeypatch.setattr(importlib.import_module("cbackprop.convert.onnx"), "MOST_BYTES", 100)
    refused("less than 2 GB", lambda: convert.export_onnx(network("tanh"), path))
    assert not path.exists()


# ---- PyTorch ----

NOT_IN_TORCH = ("exponential", "gaussian", "sine")


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("activation", [a for a in ACTIVATIONS if a not in NOT_IN_TORCH])
def test_torch_there_and_back(activation, real):
    torch = pytest.importorskip("torch")
    net, x = network([activation, "identity"], real), rows(real)
    module = convert.to_torch(net)
    assert_close(module(torch.from_numpy(x)).detach().numpy(), net, x)
    back = convert.from_torch(module)
    assert (back.sizes, back.dtype, back.input_scale) == (net.sizes, real, 1.0)
    assert_close(back.feedforward(x), net, x)


def test_torch_module_is_a_copy_that_trains():
    torch = pytest.importorskip("torch")
    net, x = network("tanh", "float32"), rows("float32")
    expected = net.feedforward(x)
    state = torch.get_rng_state()
    module = convert.to_torch(net)
    assert torch.equal(torch.get_rng_state(), state)
    module(torch.from_numpy(x)).sum().backward()
    torch.optim.SGD(module.parameters(), 0.1).step()
    assert np.array_equal(net.feedforward(x), expected)
    back = convert.from_torch(module)
    assert not np.allclose(back.feedforward(x), expected)
    weight = module[0].weight.detach().clone()
    back.weights[0][...] = 0
    assert torch.equal(module[0].weight, weight)


def test_from_torch():
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Own(nn.Sequential):
        """As torchvision's MLP: a Sequential by another name."""

    module = Own(nn.Flatten(), nn.Sequential(nn.Linear(7, 5, bias=False), nn.Dropout(0.5)),
                 nn.Linear(5, 4), nn.Softplus(), nn.Identity(), nn.Linear(4, 3), nn.Softmax(dim=1))
    net = convert.from_torch(module.eval(), seed=0)
    assert net.activation == ["identity", "softplus", "softmax"]
    assert net.cost == "log_likelihood"
    x = rows("float32")
    assert_close(module(torch.from_numpy(x)).detach().numpy(), net, x)
    assert len(net.SGD((x, np.arange(40) % 3), 2, 7, 0.1)) == 2
    assert convert.from_torch(nn.Linear(7, 2)).sizes == (7, 2)
    assert convert.from_torch(module, cost="quadratic").cost == "quadratic"
    half = convert.from_torch(nn.Sequential(nn.Linear(7, 2), nn.Sigmoid()).bfloat16())
    assert (half.dtype, half.cost) == ("float32", "cross_entropy")


def test_torch_refuses():
    torch = pytest.importorskip("torch")
    nn, to, of = torch.nn, convert.to_torch, convert.from_torch
    linear = nn.Linear(7, 7)

    class Own(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    for name in NOT_IN_TORCH:
        refused(f"^to_torch: activation '{name}' has no equal there$",
                lambda name=name: to(network([name, "tanh"])))
    refused("activation 'cube'$", lambda: to(network([CUBE, "tanh"])))
    refused("^to_torch needs one activation for each layer, got one with relu, tanh$",
            lambda: to(network([{"relu": 3, "tanh": 6}, "tanh"])))
    refused("^to_torch takes a cbackprop.Network, got ", lambda: to(linear), TypeError)
    refused("^from_torch takes a torch.nn.Module, got 3$", lambda: of(3), TypeError)
    refused("^from_torch needs at least one layer of weights", lambda: of(nn.Sequential()))
    for modules, match in [
        ([linear, nn.Mish()], r"^from_torch: Mish\(\) has no equal in cbackprop$"),
        ([nn.Conv1d(1, 1, 1)], r"^from_torch: Conv1d\(.*has no equal"),
        ([linear, nn.BatchNorm1d(7)], "BatchNorm1d.*has no equal"),
        ([linear, nn.Softplus(beta=2)], r"Softplus\(beta=2.*has no equal"),
        ([linear, nn.Softmax(dim=0)], "Softmax.*has no equal"),
        ([nn.ReLU(), linear], r"ReLU\(\) must follow a layer of weights"),
        ([linear, nn.ReLU(), nn.Tanh()], r"Tanh\(\) must follow a layer of weights"),
        ([linear, nn.Flatten()], "Flatten.*must be the first layer"),
        ([nn.Linear(7, 7, device="meta")], "Linear.*on the device 'meta'"),
        ([linear, nn.LeakyReLU(-0.1)], "alpha of 'leaky_relu' must be"),
        ([linear, Own(linear)], r"Own\( .*has no equal"),
        ([linear.half(), nn.LazyLinear(7)], "LazyLinear.*has no equal"),
    ]:
        refused(match, lambda modules=modules: of(nn.Sequential(*modules)))


# ---- Keras ----

def test_keras():
    """In a process of its own: Keras imports JAX, whose threads make every later fork a warning."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs Keras")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider",
         str(Path(__file__).with_name("keras_models.py"))],
        env=os.environ | {"KERAS_BACKEND": "numpy"}, capture_output=True, text=True, timeout=300,
        check=False)
    assert run.returncode == 0, run.stdout + run.stderr


# ---- scikit-learn ----

@pytest.fixture(scope="module")
def neural():
    return pytest.importorskip("sklearn.neural_network")


def iris():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def fitted(mlp, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        return mlp.set_params(max_iter=20, random_state=0).fit(x, y)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])
def test_classifiers_there_and_back(activation, neural):
    x, y = iris()
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    mlp = fitted(neural.MLPClassifier((5, 4), activation), x, names)
    net = convert.from_sklearn(mlp)
    np.testing.assert_allclose(net.feedforward(x), mlp.predict_proba(x), 1e-12)
    assert net.cost == "log_likelihood"
    back = convert.to_sklearn(net, mlp.classes_)
    assert back.predict(x).tolist() == mlp.predict(x).tolist()
    np.testing.assert_allclose(back.predict_proba(x), mlp.predict_proba(x), 1e-12)
    assert back.score(x, names) == net.accuracy((x, y)) == mlp.score(x, names)


def test_two_classes_and_several_labels(neural):
    x, y = iris()
    mlp = fitted(neural.MLPClassifier((5,)), x.astype("float32"), y > 0)
    net = convert.from_sklearn(mlp)
    assert (net.sizes, net.dtype, net.cost) == ((4, 5, 1), "float32", "cross_entropy")
    np.testing.assert_allclose(net.feedforward(x.astype("float32"))[:, 0],
                               mlp.predict_proba(x.astype("float32"))[:, 1], 1e-5)
    back = convert.to_sklearn(net, [False, True])
    assert np.array_equal(back.predict(x), mlp.predict(x))
    several = fitted(neural.MLPClassifier((5,)), x, np.eye(3, dtype=int)[y])
    np.testing.assert_allclose(convert.from_sklearn(several).feedforward(x),
                               several.predict_proba(x), 1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors_there_and_back(outputs, neural):
    x, _ = iris()
    y = x[:, 0] if outputs == 1 else x[:, :2]
    mlp = fitted(neural.MLPRegressor(hidden_layer_sizes=(5,), activation="tanh"), x, y)
    net = convert.from_sklearn(mlp)
    expected = mlp.predict(x)
    np.testing.assert_allclose(net.feedforward(x), expected.reshape(len(x), -1), 1e-12)
    back = convert.to_sklearn(net)
    assert type(back) is neural.MLPRegressor
    np.testing.assert_allclose(back.predict(x), expected, 1e-12)


def test_the_books_network_in_scikit_learn(neural):
    from sklearn.base import clone

    (x, y), test_data = datasets.load_mnist()
    net = Network([784, 30, 10], input_scale=1 / 255, seed=0)
    net.SGD((x, y), 2, 10, 3.0)
    mlp = convert.to_sklearn(net)
    assert mlp.score(*test_data) == net.accuracy(test_data) > 0.7
    assert np.array_equal(mlp.predict(test_data[0]),
                          net.feedforward(test_data[0]).argmax(axis=1))
    assert not hasattr(clone(mlp), "coefs_")


def test_what_scikit_learn_goes_on_training(neural):
    x, y = iris()
    net = Network([4, 8, 3], activation=["tanh", "softmax"], cost="log_likelihood", seed=0)
    net.SGD((x, y), 50, 10, 0.05)
    for mlp in (convert.to_sklearn(net), convert.to_sklearn(net).set_params(warm_start=True)):
        before = mlp.score(x, y)
        if mlp.warm_start:
            fitted(mlp, x, y)
        else:
            mlp.partial_fit(x, y)
        assert before > 0.8
        assert mlp.score(x, y) > 0.8  # it began where the network was
        assert mlp.n_iter_ >= 1
        assert net.accuracy((x, y)) == before


def test_no_hidden_layers(neural):
    x, _ = iris()
    net = Network([4, 2], output_activation="identity", seed=0, dtype="float64")
    np.testing.assert_allclose(convert.to_sklearn(net).predict(x), net.feedforward(x), 1e-12)


def test_poisson_there_and_back(neural):
    if "loss" not in neural.MLPRegressor().get_params():
        pytest.skip("scikit-learn has the loss poisson from 1.7 on")
    x, y = iris()
    theirs = fitted(neural.MLPRegressor(loss="poisson"), x, y)
    net = convert.from_sklearn(theirs)
    assert (net.activation[-1], net.cost) == ("exponential", ("poisson", 1.0))
    np.testing.assert_allclose(net.feedforward(x)[:, 0], theirs.predict(x), 1e-12)
    back = convert.to_sklearn(net)
    np.testing.assert_allclose(back.predict(x), theirs.predict(x), 1e-12)
    assert fitted(back, x, y).out_activation_ == "exp"


def test_estimators_there_and_back(neural):
    ours = pytest.importorskip("cbackprop.sklearn")
    x, y = iris()
    names, several = np.array(["a", "b", "c"])[y], (x > x.mean(axis=0)).astype(int)
    for kind, targets in ((ours.MLPClassifier, names), (ours.MLPClassifier, several),
                          (ours.MLPClassifier, names == "a"), (ours.MLPRegressor, several)):
        own = fitted(kind(hidden_layer_sizes=(5,)), x, targets)
        net = convert.from_sklearn(own)
        np.testing.assert_array_equal(net.feedforward(x), own.network_.feedforward(x))
        assert (net.cost, net.activation) == (own.network_.cost, own.network_.activation)
        assert convert.from_sklearn(own, cost="quadratic").cost == "quadratic"
        found, expected = convert.to_sklearn(own).predict(x), own.predict(x)
        if kind is ours.MLPClassifier:
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, 1e-12)
        net.weights[0][...] = 0  # a copy
        assert (own.coefs_[0] != 0).all()
    with pytest.raises(ValueError, match="is not fitted yet"):
        convert.from_sklearn(ours.MLPRegressor())


def test_estimators_leave(onnx_run):
    ours, torch = pytest.importorskip("cbackprop.sklearn"), pytest.importorskip("torch")
    x, y = iris()
    own = fitted(ours.MLPRegressor(hidden_layer_sizes=(5,)), x, y)
    np.testing.assert_allclose(onnx_run(own, x)[:, 0], own.predict(x), 1e-12)
    module = convert.to_torch(own)
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach()[:, 0], own.predict(x), 1e-12)
    with pytest.raises(ValueError, match="is not fitted yet"):
        convert.to_torch(ours.MLPRegressor())


# ---- skl2onnx ----

@pytest.fixture
def skl2onnx_run():
    """Fit an estimator, alone or scaled, convert it by skl2onnx, and run it in ONNX Runtime."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    pytest.importorskip("cbackprop.sklearn")

    def run(estimator, x, y, real, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            estimator.fit(x, y)
        model = skl2onnx.to_onnx(estimator, x[:1].astype(real), **options)
        onnx.checker.check_model(model, full_check=True)
        session = runtime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"X": x.astype(real)})

    return run


def scaled(estimator):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), estimator)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("targets", [
    lambda x, y: y, lambda x, y: np.array(["a", "b", "c"])[y], lambda x, y: y == 1,
    lambda x, y: np.where(y == 1, 7, -3), lambda x, y: np.where(y == 1, "one", "other"),
    lambda x, y: 0 * y, lambda x, y: (x > x.mean(axis=0)).astype(int),
], ids=["three", "names", "bool", "two", "two names", "one", "several"])
def test_skl2onnx_of_classifiers(targets, real, skl2onnx_run):
    from cbackprop.sklearn import MLPClassifier

    x, y = iris()
    y, close = targets(x, y), {"float32": 2e-6, "float64": 1e-12}[real]
    for settings in ({}, {"activation": ["gelu", ("elu", 0.5)], "hidden_layer_sizes": (6, 4)}):
        own = MLPClassifier(**{"hidden_layer_sizes": 5, "random_state": 0, "max_iter": 20,
                               **settings})
        for one in (own, scaled(own)):
            labels, probabilities = skl2onnx_run(one, x, y, real)
            expected = one.predict_proba(x.astype(real))
            assert probabilities.dtype == real
            np.testing.assert_allclose(probabilities, expected, atol=close, rtol=0)
            sure = (abs(expected - 0.5) > 1e-4).all(axis=1)
            assert sure.sum() > 100
            np.testing.assert_array_equal(labels[sure], one.predict(x.astype(real))[sure])
            assert labels.shape == y.shape
    found = skl2onnx_run(own, x, y, real, options={"zipmap": False})
    np.testing.assert_allclose(found[1], own.predict_proba(x), atol=100 * close)


@pytest.mark.parametrize("real", REALS)
def test_skl2onnx_of_regressors(real, skl2onnx_run):
    from cbackprop.sklearn import MLPRegressor

    x, y = iris()
    for targets, loss in ((y, "squared_error"), (x[:, :3], "huber"), (y, "poisson")):
        one = scaled(MLPRegressor(loss, (5,), random_state=0, max_iter=20))
        found, = skl2onnx_run(one, x, targets, real)
        expected = one.predict(x)
        assert found.shape == (len(x), expected[0].size)
        assert found.dtype == real
        np.testing.assert_allclose(found.reshape(expected.shape), expected,
                                   **{"float32": {"rtol": 1e-4, "atol": 1e-5},
                                      "float64": {"rtol": 1e-12}}[real])


def test_skl2onnx_of_sums_searches_and_ensembles(skl2onnx_run):
    from sklearn.ensemble import BaggingClassifier
    from sklearn.model_selection import GridSearchCV

    from cbackprop.convert.skl2onnx import register
    from cbackprop.sklearn import MLPClassifier

    x, y = iris()
    for classes in (y, y == 1):
        hinge = MLPClassifier((5,), loss="hinge", random_state=0, max_iter=20)
        labels, sums = skl2onnx_run(hinge, x, classes, "float64")
        expected = hinge.decision_function(x)
        if expected.ndim == 1:
            expected = np.stack([-expected, expected], axis=1)
        np.testing.assert_allclose(sums, expected, atol=1e-12)
        np.testing.assert_array_equal(labels, hinge.predict(x))
    register()
    for one in (GridSearchCV(MLPClassifier(max_iter=3), {"alpha": [0.1, 0.2]}, cv=2),
                BaggingClassifier(MLPClassifier(max_iter=3), 2)):
        found = skl2onnx_run(one, x, y, "float64", options={"zipmap": False})
        np.testing.assert_allclose(found[1], one.predict_proba(x), atol=1e-5)


def test_skl2onnx_refuses(skl2onnx_run):
    from cbackprop.sklearn import MLPClassifier

    x, y = iris()
    refused("^skl2onnx needs activations known by name, got activation 'cube'$",
            lambda: skl2onnx_run(MLPClassifier((5,), CUBE, max_iter=2), x, y, "float32"))


def test_skl2onnx_is_imported_by_who_asks_for_it():
    pytest.importorskip("cbackprop.sklearn")
    code = "import sys, cbackprop.sklearn, cbackprop.convert; sys.exit('skl2onnx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scikit_learn_refuses(neural):
    to, of = convert.to_sklearn, convert.from_sklearn
    refused(r"^from_sklearn: MLPRegressor\(\) must be fitted$", lambda: of(neural.MLPRegressor()))
    refused("^from_sklearn takes an MLPClassifier or MLPRegressor, got 3$", lambda: of(3),
            TypeError)
    hidden = r"^to_sklearn needs one of \['identity', 'relu', 'sigmoid', 'tanh'\] in all hidden"
    for activations, match in [
        (["gelu", "softmax"], f"{hidden} layers, got \\['gelu'\\]$"),
        (["tanh", "tanh"], r"^to_sklearn needs one of \['exponential', 'identity', 'sigmoid', "
                           r"'softmax'\] at the output, got 'tanh'$"),
        ([{"relu": 3, "tanh": 6}, "softmax"], "^to_sklearn needs one activation for each layer"),
        ([CUBE, "softmax"], "activation 'cube'$"),
    ]:
        refused(match, lambda activations=activations: to(network(activations)))
    deep = Network([4, 3, 3, 2], activation=["relu", "tanh", "softmax"])
    refused(rf"{hidden} layers, got \['relu', 'tanh'\]$", lambda: to(deep))
    net = Network([4, 3])
    for classes in ([1], [2, 1, 0], [1, 1, 2], [[1, 2, 3]]):
        refused("^to_sklearn: classes must be 3 labels in rising order, got ",
                lambda classes=classes: to(net, classes))
    refused("^to_sklearn: classes must be None where outputs are numbers",
            lambda: to(Network([4, 3], output_activation="identity"), [1, 2, 3]))
    refused("^to_sklearn takes a cbackprop.Network, got 3$", lambda: to(3), TypeError)


# ---- all of them ----

@pytest.mark.parametrize(("function", "module", "extra"), [
    (convert.export_onnx, "onnx", "onnx"),
    (convert.to_torch, "torch", "torch"),
    (convert.from_torch, "torch", "torch"),
    (convert.from_keras, "keras", "keras"),
    (convert.from_sklearn, "sklearn.neural_network", "sklearn"),
    (convert.to_sklearn, "sklearn.neural_network", "sklearn"),
])
def test_a_library_that_is_missing_is_named(function, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    arguments = (Network([2, 2]), "x.onnx")[:2 if function is convert.export_onnx else 1]
    refused(rf"^{function.__name__} needs {module}: pip install 'cbackprop\[{extra}\]'$",
            lambda: function(*arguments), ModuleNotFoundError)


def test_importing_convert_imports_none_of_them():
    code = ("import sys, numpy; before = {*sys.modules}; import cbackprop.convert; "
            "late = {'torch', 'keras', 'sklearn', 'onnx', 'pandas', 'numpy.random'}; "
            "print(late & ({*sys.modules} - before))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         timeout=60)
    assert run.stdout == "set()\n"
