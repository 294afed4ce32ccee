"""Networks out of other libraries and into them: the same outputs, or a line that says why not."""

import importlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from conversions import (
    ACTIVATIONS,
    BIASES,
    REALS,
    SCALES,
    TOLERANCES,
    assert_close,
    assert_same,
    network,
    refused,
    rows,
)

from cbackprop import Activation, Network, _words, convert, datasets
from cbackprop.core import table
from cbackprop.layers import NAMES

CUBE = Activation(lambda z: z**3, lambda z: 3 * z**2, name="cube")


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


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("scale", SCALES, ids=["1", "1/255", "each"])
def test_onnx_scales_inputs(scale, real, onnx_run, tmp_path):
    net, x = Network([7, 3], seed=0, input_scale=scale, dtype=real), rows(real)
    assert_close(onnx_run(net, x), net, x)
    assert_same(convert.from_onnx(tmp_path / "net.onnx"), net)


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_onnx_of_layers_without_biases(bias, onnx_run, tmp_path):
    import onnx

    net, x = network(["tanh", "identity"], bias=bias), rows()
    assert_close(onnx_run(net, x), net, x)
    names = [each.name for each in onnx.load(tmp_path / "net.onnx").graph.initializer]
    assert [f"biases_{at}" in names for at in (0, 1)] == list(np.broadcast_to(bias, 2))
    assert_same(convert.from_onnx(tmp_path / "net.onnx"), net)


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


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("activation", [
    *ACTIVATIONS, ("relu6", 0.7), [("relu6", 0.7), "tanh", "gelu", "gelu", *["identity"] * 5],
    [("leaky_relu", 1.5), "gelu", ("elu", 9.0), "elu", "selu", "relu6", "silu", "gelu_tanh",
     "hard_sigmoid"]], ids=str)
def test_onnx_there_and_back(activation, real, tmp_path):
    pytest.importorskip("onnx")
    net = Network((7, 9, 9), activation=[activation, activation], dtype=real, seed=1)
    convert.export_onnx(net, tmp_path / "net.onnx")
    back = convert.from_onnx(tmp_path / "net.onnx")
    assert all(map(np.array_equal, [*net.weights, *net.biases], [*back.weights, *back.biases]))
    assert np.array_equal(back.feedforward(rows(real)), net.feedforward(rows(real)))
    assert (back.dtype, back.sizes) == (real, net.sizes)


def onnx_model(nodes, constants=(), columns=(7,), outputs=("y",), real="float64", opset=18):
    """Make a model of x; nodes are (operator, inputs, output, attributes)."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(real))
    inputs, given = [helper.make_tensor_value_info("x", kind, ["n", *columns])], []
    for name, array in dict(constants).items():
        given.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    made = [helper.make_node(operator, inputs.split(), output.split(), **dict(*attributes))
            for operator, inputs, output, *attributes in nodes]
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    return helper.make_model(
        helper.make_graph(made, "g", inputs, outputs, given), ir_version=8,
        opset_imports=[helper.make_opsetid("", opset)])


def drawn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


@pytest.mark.parametrize(("nodes", "columns"), [
    ([("Gemm", "x w b", "z", {"transB": 1, "alpha": 0.5, "beta": 2.0}), ("Relu", "z", "y")], (7,)),
    ([("Gemm", "x wt", "z"), ("Tanh", "z", "a"), ("Dropout", "a", "y")], (7,)),
    ([("MatMul", "x wt", "z"), ("Add", "b z", "s"), ("Sub", "s b", "t"), ("Div", "t b", "u"),
      ("Sub", "one u", "v"), ("Neg", "v", "r"), ("Sigmoid", "r", "y")], (7,)),
    ([("Gemm", "x wt b", "z"), ("BatchNormalization", "z s b m v", "n", {"epsilon": 0.25}),
      ("Clip", "n zero six", "a"), ("BatchNormalization", "a s b m v", "k"),
      ("Gemm", "k square row", "y")], (7,)),
    ([("Gemm", "x wt b", "z"), ("Mish", "z", "y")], (7,)),
    ([("Div", "x x7", "u"), ("MatMul", "u wt", "z"), ("PRelu", "z slopes", "y")], (7,)),
    ([("BatchNormalization", "x s3 s3 s3 v3", "k"), ("Flatten", "k", "f"),
      ("MatMul", "f w12", "y")], (3, 4)),
    ([("Shape", "x", "shape"), ("Gather", "shape i0", "n"), ("Unsqueeze", "n axes", "n1"),
      ("Concat", "n1 minus", "to", {"axis": 0}), ("Mul", "x third", "u"), ("Reshape", "u to", "f"),
      ("Cast", "w12", "w", {"to": 11}), ("MatMul", "f w", "z"), ("Identity", "z", "y")], (3, 4)),
], ids=lambda value: value[0][0] if isinstance(value, list) else str(value))
def test_from_onnx(nodes, columns):
    """Against ONNX's reference implementation."""
    reference = pytest.importorskip("onnx.reference")
    constants = {
        "w": drawn(5, 7), "wt": drawn(7, 5), "b": drawn(5), "s": drawn(5), "m": drawn(5),
        "v": drawn(5)**2, "one": 1.0, "zero": 0.0, "six": 6.0, "square": drawn(5, 5),
        "row": drawn(1, 5), "slopes": drawn(5)**2, "s3": drawn(3), "v3": drawn(3)**2,
        "w12": drawn(12, 5), "i0": np.array(0), "axes": np.array([0]), "minus": np.array([-1]),
        "third": np.array([[1 / 3]]), "x7": drawn(1, 7)}
    if "w" in [output for _, _, output, *_ in nodes]:
        del constants["w"]
    model = onnx_model(nodes, constants, columns)
    x = 3 * drawn(9, *columns)
    expected = reference.ReferenceEvaluator(model).run(None, {"x": x})[0]
    found = convert.from_onnx(model).feedforward(x.reshape(9, -1))
    np.testing.assert_allclose(found, expected, 1e-12, 1e-12)


def test_from_onnx_leaves_columns():
    reference = pytest.importorskip("onnx.reference")
    nodes = [("MatMul", "x w", "z"), ("Exp", "z", "a"), ("Squeeze", "a axes", "y")]
    model = onnx_model(nodes, {"w": drawn(7, 1), "axes": np.array([1])})
    expected = reference.ReferenceEvaluator(model).run(None, {"x": rows()})[0]
    np.testing.assert_allclose(convert.from_onnx(model).feedforward(rows())[:, 0], expected, 1e-12)
    refused("Squeeze 'y' takes rows of 1, and gets rows of 7$", lambda: convert.from_onnx(
        onnx_model(nodes, {"w": drawn(7, 7), "axes": np.array([1])})))


def test_from_onnx_refuses(tmp_path):
    pytest.importorskip("onnx")
    of, dense, relu = convert.from_onnx, ("MatMul", "x w", "z"), ("Relu", "z", "a")
    w = {"w": drawn(7, 7), "u": drawn(7, 7), "one": 1.0, "flat": np.array([-1]), "long": drawn(6)}
    for nodes, match in [
        ([dense, ("Sign", "z", "y")], "^from_onnx: Sign 'y' has no equal in cbackprop$"),
        ([dense, ("Add", "x z", "y")], "^from_onnx: Add 'y' joins branches"),
        ([dense, relu, ("Add", "z a", "y")], "^from_onnx: Add 'y' has no equal"),
        ([dense, relu, ("Mul", "a one", "b"), ("Relu", "b", "y")], "Mul 'b' must be beside a l"),
        ([dense, ("LogSoftmax", "z", "a"), ("MatMul", "a u", "y")], "LogSoftmax 'a' must be the "),
        ([dense, ("Softmax", "z", "y", {"axis": 0})], "Softmax 'y' has no equal"),
        ([dense, ("Reshape", "z flat", "y")], r"Reshape 'y' must make rows, as \(-1, columns\)$"),
        ([("Gemm", "x w", "y", {"transA": 1})], "Gemm 'y' transposes the examples$"),
        ([("MatMul", "w x", "y")], "MatMul 'y' has no equal"),
        ([("Gemm", "x w long", "y")], "Gemm 'y' must have one bias for each neuron, or one, got"),
        ([dense, ("Add", "z long", "y")], "Add 'y' takes rows of 6, and gets rows of 7$"),
        ([dense, ("ArgMax", "z", "y")], "ArgMax 'y' has no equal"),
        ([dense, ("Add", "z q", "y")], "Add 'y' reads 'q', which nothing gives$"),
        ([("Identity", "w", "y")], r"model must have one input, got \[\]$"),
        ([dense, ("Cast", "z", "y", {"to": 6})], "Cast 'y' has no equal"),
        ([("Identity", "x", "y")], "^from_onnx needs at least one layer of weights"),
    ]:
        refused(match, lambda nodes=nodes: of(onnx_model(nodes, w)))
    refused("MatMul 'y' must follow Flatten, for its inputs are not rows$",
            lambda: of(onnx_model([("MatMul", "x w", "y")], w, (3, 7))))
    refused(r"model must have one output that is of floats, got \['y', 'z'\]$",
            lambda: of(onnx_model([dense, ("Relu", "z", "y")], w, outputs=("y", "z"))))
    refused("MatMul 'y' has a NaN or an infinity among its numbers$",
            lambda: of(onnx_model([("MatMul", "x w", "y")], {"w": w["w"] * np.nan})))
    refused("must be of opset 7 or later, got 6$",
            lambda: of(onnx_model([("MatMul", "x w", "y")], w, opset=6)))
    for wrong in (3, b"model", io.StringIO()):
        refused("^from_onnx takes a path, a binary file object or an onnx.ModelProto, got ",
                lambda wrong=wrong: of(wrong), TypeError)
    refused("^from_onnx: a BytesIO is damaged, or no ONNX", lambda: of(io.BytesIO(b"x")))
    with pytest.raises(FileNotFoundError):
        of(tmp_path / "none.onnx")
    many = [("MatMul", "x w", "a0"), *[("Add", f"a{i} one", f"a{i + 1}") for i in range(300)]]
    refused("is made of more than 200 operators$", lambda: of(onnx_model(
        [*many, ("Relu", "a300", "y")], w)))


def test_from_onnx_refuses_layers_that_share_their_weights():
    w, last = {"w": drawn(7, 7), "b": np.zeros(7), "one": 1.0}, ("Gemm", "a u b", "y")
    first = [("Gemm", "x w b", "z"), ("Mul", "z one", "s"), ("Relu", "s", "a")]
    match = "^from_onnx: Gemm 'y' shares its weights with a layer before it$"
    for nodes in ([("Gemm", "a w b", "y")], [("Gemm", "a w b", "y", {"transB": 1})],
                  [("Transpose", "w", "u"), last], [("Identity", "w", "u"), last]):
        refused(match, lambda nodes=nodes: convert.from_onnx(onnx_model([*first, *nodes], w)))
    net = convert.from_onnx(onnx_model(
        [*first, ("Gemm", "a u b", "t"), ("Mul", "t one", "y")], w | {"u": drawn(7, 7)}))
    assert net.sizes == (7, 7, 7)  # biases and numbers may be the same


def test_onnx_of_shared_layers_that_pytorch_exports(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    nn, path = torch.nn, str(tmp_path / "net.onnx")

    def exported(*modules):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this exporter grows old
            torch.onnx.export(nn.Sequential(*modules).eval(), (torch.ones(2, 4),), path,
                              dynamo=False)
        return convert.from_onnx(path)

    def norm():
        return nn.BatchNorm1d(4)

    linear = nn.Linear(4, 4)
    refused("^from_onnx: Gemm '.*' shares its weights with a layer before it$",
            lambda: exported(linear, nn.ReLU(), linear))
    others = [nn.Linear(4, 4) for _ in range(2)]
    for each in others:
        nn.init.zeros_(each.bias)
    # The exporter merges what is equal: these biases and norms.
    assert exported(others[0], nn.ReLU(), others[1]).sizes == (4, 4, 4)
    assert exported(norm(), others[0], nn.ReLU(), norm(), others[1]).sizes == (4, 4, 4)


def test_from_onnx_reads_file_objects(tmp_path):
    pytest.importorskip("onnx")
    net, written = network("tanh"), io.BytesIO()
    convert.export_onnx(net, tmp_path / "net.onnx")
    convert.export_onnx(net, written)
    with open(tmp_path / "net.onnx", "rb") as file:
        for given in (file, io.BytesIO(written.getvalue())):
            np.testing.assert_allclose(convert.from_onnx(given).feedforward(rows()),
                                       net.feedforward(rows()), 1e-13)


def test_a_damaged_onnx_file_is_a_value_error(tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "net.onnx"
    convert.export_onnx(Network((3, 5, 2), activation=[{"elu": 3, "tanh": 2}, "softmax"]), path)
    whole, rng, kinds = path.read_bytes(), np.random.default_rng(0), set()
    for size in range(0, len(whole), 40):
        path.write_bytes(whole[:size])
        refused("^from_onnx", lambda: convert.from_onnx(path))
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[at] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        path.write_bytes(damaged)
        try:
            convert.from_onnx(path)
            kinds.add("read")
        except ValueError as error:
            kinds.add(str(error)[:9])
    assert kinds == {"read", "from_onnx"}


@pytest.mark.parametrize("real", REALS)
def test_onnx_that_pytorch_exports(real, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    nn = torch.nn
    module = drawn_norms(nn.Sequential(
        nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.GELU("tanh"), nn.Linear(6, 6),
        nn.SiLU(), nn.Linear(6, 5), nn.Softsign(), nn.Dropout(), nn.Linear(5, 5), nn.PReLU(),
        nn.Linear(5, 4), nn.Mish(), nn.Linear(4, 4), nn.Hardtanh(), nn.Linear(4, 4),
        nn.LogSoftmax(dim=1))).to(getattr(torch, real))
    x = torch.from_numpy(drawn(9, 3, 4).astype(real))
    for opset in (14, 20):
        path = str(tmp_path / f"{opset}.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this exporter grows old
            torch.onnx.export(module, (x,), path, dynamo=False, opset_version=opset,
                              input_names=["x"], dynamic_axes={"x": {0: "n"}})
        net = convert.from_onnx(path)
        assert net.activation == ["gelu_tanh", "silu", "softsign", ("leaky_relu", 0.25), "mish",
                                  "hard_tanh", "softmax"]
        assert net.dtype == real
        np.testing.assert_allclose(np.log(net.feedforward(x.numpy().reshape(9, -1))),
                                   module(x).detach().numpy(), **TOLERANCES[real])


def test_onnx_that_scikit_learns_converter_exports(neural):
    to_onnx = pytest.importorskip("skl2onnx").to_onnx
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = iris()
    for target, mlp in [(np.array(list("abc"))[y], neural.MLPClassifier((5, 4), "tanh")),
                        (y > 0, neural.MLPClassifier((5,))),
                        (np.eye(3, dtype=int)[y], neural.MLPClassifier((5,), "logistic"))]:
        scaled = StandardScaler().fit(x)
        fitted(mlp, scaled.transform(x), target)
        expected = mlp.predict_proba(scaled.transform(x))
        for given, tolerance in ((x, 1e-10), (x.astype("float32"), 1e-4)):
            net = convert.from_onnx(to_onnx(make_pipeline(scaled, mlp), given[:1]))
            np.testing.assert_allclose(net.feedforward(given), expected[:, -net.sizes[-1]:],
                                       tolerance)


# ---- PyTorch ----

NOT_IN_TORCH = [row.name for row in table.ACTIVATIONS if not (row.torch and row.torch[0].kind)]


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("activation", [a for a in ACTIVATIONS if a not in NOT_IN_TORCH])
def test_torch_there_and_back(activation, real):
    torch = pytest.importorskip("torch")
    net, x = network([activation, "identity"], real), rows(real)
    module = convert.to_torch(net)
    assert_close(module(torch.from_numpy(x)).detach().numpy(), net, x)
    back = convert.from_torch(module)
    assert_same(back, net)
    assert_close(back.feedforward(x), net, x)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("scale", SCALES, ids=["1", "1/255", "each"])
def test_torch_scales_inputs(scale, real):
    torch = pytest.importorskip("torch")
    net, x = Network([7, 3, 2], seed=0, input_scale=scale, dtype=real), rows(real)
    for module in (convert.to_torch(net), pickle.loads(pickle.dumps(convert.to_torch(net)))):
        assert_close(module(torch.from_numpy(x)).detach().numpy(), net, x)
        assert_same(convert.from_torch(module), net)
    assert len(list(module.parameters())) == 4  # the scale is not trained
    again = convert.to_torch(Network([7, 3, 2], input_scale=0 * scale + 2, dtype=real))
    if isinstance(scale, np.ndarray):
        again.load_state_dict(module.state_dict())
        assert_same(convert.from_torch(again), net)


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_torch_of_layers_without_biases(bias):
    torch = pytest.importorskip("torch")
    net, x = network(["tanh", "identity"], bias=bias), rows()
    module = convert.to_torch(net)
    assert [module[at].bias is not None for at in (1, 3)] == list(np.broadcast_to(bias, 2))
    assert_close(module(torch.from_numpy(x)).detach().numpy(), net, x)
    assert_same(convert.from_torch(module), net)


def test_torch_shifts_become_biases():
    """What is merged into a layer without biases: it has them then, though they may be zero."""
    torch = pytest.importorskip("torch")
    nn, x = torch.nn, rows("float32")

    class Shifted(nn.Module):
        def __init__(self, first, last):
            super().__init__()
            self.one, self.two = (nn.Linear(*each, bias=False) for each in ((7, 5), (5, 3)))
            self.first, self.last = first, last

        def forward(self, x):
            return self.two(torch.tanh(self.one(x + self.first))) * 2 + self.last

    for first, last, bias in ((0.5, np.zeros(3, "f4"), True), (0.0, 0.0, False),
                              (0.0, np.ones(3, "f4"), (False, True)), (1.0, 0.0, (True, False))):
        shifted = last if isinstance(last, float) else torch.from_numpy(last)
        module = Shifted(first, shifted)
        net = convert.from_torch(module)
        assert net.bias == bias
        assert_close(module(torch.from_numpy(x)).detach().numpy(), net, x)


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
    weight = module[1].weight.detach().clone()
    back.weights[0][...] = 0
    assert torch.equal(module[1].weight, weight)


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
    linear, tied, lost, hooked = (nn.Linear(7, 7) for _ in range(4))
    tied.weight = linear.weight
    torch.nn.init.constant_(lost.bias, float("nan"))
    hooked.register_forward_hook(lambda *_: None)

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
        ([linear, nn.Tanhshrink()], r"^from_torch: Tanhshrink\(\) has no equal in cbackprop$"),
        ([nn.Conv1d(1, 1, 1)], r"^from_torch: Conv1d\(.*has no equal"),
        ([linear, nn.BatchNorm1d(7)], r"BatchNorm1d.*must be in evaluation mode: call eval\(\)"),
        ([linear, nn.BatchNorm1d(7, track_running_stats=False)], "has no running statistics"),
        ([linear, nn.ReLU(), nn.BatchNorm1d(7).eval()], "BatchNorm1d.*must be beside a layer of"),
        ([linear, nn.ReLU(), nn.BatchNorm1d(7).eval(), nn.ReLU()], "BatchNorm1d.*must be beside"),
        ([linear, nn.BatchNorm1d(6).eval()], "BatchNorm1d.*takes rows of 6, and gets rows of 7"),
        ([linear, nn.LayerNorm(7)], "LayerNorm.*has no equal"),
        ([linear, nn.Hardtanh(-2, 1)], "Hardtanh.*has no equal"),
        ([linear, nn.CELU(0.5)], r"CELU\(alpha=0.5\) has no equal"),
        ([linear, nn.LogSoftmax(1), nn.Linear(7, 2)], r"LogSoftmax\(dim=1\) must be the output$"),
        ([linear, nn.ReLU(), linear], "Linear.*shares its weights with a layer before it"),
        ([linear, tied], "Linear.*shares its weights with a layer before it"),
        ([linear, nn.Linear(6, 7)], "Linear.*takes rows of 6, and gets rows of 7"),
        ([lost], "Linear.*has a NaN or an infinity among its numbers"),
        ([hooked], "Linear.*has hooks, which may change what it gives"),
        ([linear, nn.Flatten(0)], r"Flatten\(start_dim=0, .*has no equal"),
        ([linear, nn.Softplus(beta=2)], r"Softplus\(beta=2.*has no equal"),
        ([linear, nn.Softmax(dim=0)], "Softmax.*has no equal"),
        ([nn.ReLU(), linear], r"ReLU\(\) must follow a layer of weights"),
        ([linear, nn.ReLU(), nn.Tanh()], r"Tanh\(\) must follow a layer of weights"),
        ([nn.BatchNorm1d(7).eval(), nn.Flatten()], "Flatten.*must be the first layer"),
        ([nn.Linear(7, 7, device="meta")], "Linear.*on the device 'meta'"),
        ([linear, nn.LeakyReLU(-0.1)], "alpha of 'leaky_relu' must be"),
        ([linear, Own(nn.Linear(7, 7))], r"^from_torch: add in Own.forward must take what the step "
                                         "before it gives, alone"),
        ([linear.half(), nn.LazyLinear(7)], "LazyLinear.*has no weights yet: call it once"),
    ]:
        refused(match, lambda modules=modules: of(nn.Sequential(*modules)))


def drawn_norms(module):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(3)
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm1d):
            each.running_mean.normal_(generator=generator)
            each.running_var.uniform_(0.2, 3, generator=generator)
            if each.affine:
                torch.nn.init.normal_(each.weight, generator=generator)
                torch.nn.init.normal_(each.bias, generator=generator)
    return module.double().eval()


def same_as(module, x, log=False):
    torch = pytest.importorskip("torch")
    net = convert.from_torch(module)
    expected = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(net.feedforward(x.reshape(len(x), -1)),
                               np.exp(expected) if log else expected, 1e-12, 1e-13)
    return net


def test_torch_batch_norm_becomes_a_part_of_the_layer_beside():
    nn, x = pytest.importorskip("torch").nn, rows()
    net = same_as(drawn_norms(nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.ReLU(),
                                            nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4))), x)
    assert net.sizes == (7, 5, 4)
    same_as(drawn_norms(nn.Sequential(
        nn.BatchNorm1d(7), nn.Linear(7, 5), nn.ReLU(), nn.BatchNorm1d(5, affine=False),
        nn.Dropout(), nn.Linear(5, 4), nn.Tanh())), x)


def test_torch_activations_by_other_names():
    nn, x = pytest.importorskip("torch").nn, 3 * rows()
    slopes = nn.PReLU(4)
    nn.init.constant_(slopes.weight, 0.4)
    nn.init.constant_(slopes.weight[1:3], 0.7)
    net = same_as(drawn_norms(nn.Sequential(
        nn.Linear(7, 5), nn.ReLU6(), nn.Linear(5, 5), nn.PReLU(), nn.Linear(5, 4), slopes,
        nn.Linear(4, 4), nn.CELU(), nn.Linear(4, 4), nn.Hardtanh(0, 0.2), nn.Flatten(),
        nn.Linear(4, 4), nn.Hardtanh(), nn.Linear(4, 3), nn.LogSoftmax(dim=1))), x, log=True)
    assert net.activation[0] == "relu6"
    assert net.activation[1] == ("leaky_relu", 0.25)
    assert net.activation[3:] == ["elu", ("relu6", 0.2), "hard_tanh", "softmax"]
    assert net.cost == "log_likelihood"  # NLLLoss


def test_torch_forward():
    torch = pytest.importorskip("torch")
    nn, F = torch.nn, torch.nn.functional

    class Usual(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.linspace(-1, 1, 12))
            self.fc1, self.bn, self.fc2 = nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, 5)
            self.act, self.more = nn.ELU(), nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)])
            self.w = nn.Parameter(torch.ones(3, 5) / 3)

        def forward(self, x):
            x = x.view(x.size(0), -1)
            x = (x - self.mean) / 0.3081
            x = F.dropout(self.act(self.bn(self.fc1(x))), 0.5, training=self.training)
            x = F.leaky_relu(self.fc2(x), 0.3).relu_() if self.training else self.fc2(x).sigmoid()
            for layer in self.more:
                x = 1 - torch.tanh(layer(x)) * 2
            return F.log_softmax(F.linear(x.reshape(x.shape[0], -1), self.w), dim=1)

    images = np.random.default_rng(0).standard_normal((9, 3, 4))
    net = same_as(drawn_norms(Usual()), images, log=True)
    assert net.activation == [("elu", 1.0), "sigmoid", "tanh", "tanh", "softmax"]
    nested = drawn_norms(nn.Sequential(nn.Flatten(), nn.Linear(12, 12), nn.ReLU(), Usual()))
    assert same_as(nested, images, log=True).sizes == (12, 12, 6, 5, 5, 5, 3)
    class One(nn.Linear):
        def forward(self, x):
            return super().forward(x).squeeze(-1)

    one = One(7, 1).double()
    expected = one(torch.from_numpy(rows())).detach().numpy()
    np.testing.assert_allclose(convert.from_torch(one).feedforward(rows())[:, 0], expected, 1e-12)
    module = Usual()
    module.bn.eval()
    convert.from_torch(module)
    assert module.training  # as it was
    assert not module.bn.training


def test_torch_forward_refuses():
    torch = pytest.importorskip("torch")
    nn, F = torch.nn, torch.nn.functional
    for forward, match in [
        (lambda s, x: x + s.b(s.a(x)), "^from_torch: add in Own.forward must take what the step"),
        (lambda s, x: s.a(s.b(s.a(x))), "Linear.*shares its weights with a layer before it"),
        (lambda s, x: F.linear(F.linear(x, s.w), s.w), "linear in Own.forward shares its weigh"),
        (lambda s, x: F.linear(s.b(s.a(x)), s.a.weight), "linear in Own.forward shares its weigh"),
        (lambda s, x: (s.a(x), x), "Own.forward must return what its last layer gives, alone$"),
        (lambda s, x: s.a(x) if x.sum() > 0 else x, "Own.forward cannot be read by torch.fx: "),
        (lambda s, x: F.dropout(s.a(x)), "dropout in Own.forward drops at inference too"),
        (lambda s, x: s.a(x).squeeze(1), "squeeze in Own.forward takes rows of 1, and gets rows "),
        (lambda s, x: s.b(s.one(x).squeeze(1)), "squeeze in Own.forward must be the output$"),
        (lambda s, x: F.tanhshrink(s.a(x)), "tanhshrink in Own.forward has no equal"),
        (lambda s, x: s.a(x).view(-1), r"view in Own.forward must make rows: \(-1, columns\)"),
        (lambda s, x: s.a(x) * x.size(1), "mul in Own.forward has no equal"),
        (lambda s, x: s.b(s.a(x).T), "getattr in Own.forward has no equal"),
        (lambda s, x: F.softmax(s.a(x), dim=0), r"Softmax\(dim=0\) has no equal"),
        (lambda s, x: F.log_softmax(s.a(x), 1).exp(), "LogSoftmax.*must be the output$"),
        (lambda s, x: torch.flatten(s.a(x)), r"Flatten\(start_dim=0, .*has no equal"),
        (lambda s, x, y: s.a(x) + y, "Own.forward must take one argument$"),
    ]:
        own = type("Own", (nn.Module,), {"forward": forward})()
        own.a, own.b, own.one = nn.Linear(7, 5), nn.Linear(5, 7), nn.Linear(7, 1)
        own.w = nn.Parameter(torch.ones(7, 7))
        refused(match, lambda own=own: convert.from_torch(own.eval()))


def test_torch_compiled():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    linear, last = nn.Linear(7, 5), nn.Linear(5, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch imports then
        module = torch.compile(nn.Sequential(torch.compile(linear), nn.Tanh(), last))
    assert_close(nn.Sequential(linear, nn.Tanh(), last)(torch.from_numpy(rows("float32")))
                 .detach().numpy(), convert.from_torch(module), rows("float32"))
    module.register_forward_hook(lambda *_: None)
    refused("has hooks, which may change", lambda: convert.from_torch(module))


# ---- Keras ----

def test_keras():
    """In a process of its own: Keras imports JAX, whose threads make every later fork a warning."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs Keras")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider",
         str(Path(__file__).with_name("keras_models.py"))],
        env=os.environ | {"KERAS_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=300, check=False)
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


def test_layers_without_biases_in_scikit_learn(neural):
    net = Network([4, 9, 3], activation=["tanh", "identity"], seed=0, bias=False)
    x, _ = iris()
    mlp = convert.to_sklearn(net)
    np.testing.assert_allclose(mlp.predict(x), net.feedforward(x), rtol=1e-5, atol=1e-6)
    assert not any(b.any() for b in mlp.intercepts_)
    assert convert.from_sklearn(mlp).bias is True  # theirs are trained


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
    (convert.from_onnx, "onnx", "onnx"),
    (convert.from_keras, "keras", "keras"),
    (convert.to_keras, "keras", "keras"),
    (convert.from_sklearn, "sklearn.neural_network", "sklearn"),
    (convert.to_sklearn, "sklearn.neural_network", "sklearn"),
])
def test_a_library_that_is_missing_is_named(function, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    arguments = (Network([2, 2]), "x.onnx")[:2 if function is convert.export_onnx else 1]
    refused(rf"^{function.__name__} needs {module}: pip install 'cbackprop\[{extra}\]'$",
            lambda: function(*arguments), ModuleNotFoundError)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_backend_of_keras_that_is_missing_is_named(backend):
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs Keras")
    code = (f"import sys; sys.modules['{backend}'] = None; import cbackprop.convert; "
            "cbackprop.convert.to_keras(cbackprop.Network([2, 2]))")
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | {"KERAS_BACKEND": backend},
                         capture_output=True, text=True, check=False, timeout=120)
    assert run.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: to_keras needs a backend of Keras, and {backend} is not installed: "
        "start Python with KERAS_BACKEND=torch or jax, or pip install one")


def test_importing_convert_imports_none_of_them():
    code = ("import sys, numpy; before = {*sys.modules}; import cbackprop.convert; "
            "late = {'torch', 'keras', 'sklearn', 'onnx', 'pandas', 'numpy.random'}; "
            "print(late & ({*sys.modules} - before))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         timeout=60)
    assert run.stdout == "set()\n"


# ---- the names of torch.nn in Network ----


def test_names_mean_the_same_activations():
    """Whatever spelling `Network` takes of a name that torch.nn has is that module's function."""
    torch = pytest.importorskip("torch")
    z = np.linspace(-7, 7, 60).reshape(20, 3)
    theirs = {_words.plain(name): getattr(torch.nn, name) for name in dir(torch.nn)}
    known = {row.name for row in table.ACTIVATIONS}
    names = [name for name, ours in NAMES.items()
             if ours in known and name in theirs and name != "linear"]  # a layer of weights there
    assert len(names) > 12
    for name in names:
        net = Network([3, 3], activation=[name], dtype="float64", initializer=(
            [np.eye(3)], [np.zeros((3, 1))]))
        module = theirs[name](*[1] * (name == "softmax"))
        expected = module(torch.from_numpy(z)).numpy()
        np.testing.assert_allclose(net.feedforward(z), expected, 1e-8, 1e-12, err_msg=name)


def test_names_mean_the_same_costs():
    """Their derivatives by the weighted inputs are the same but for a factor: torch's mean."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((1, 3)), np.array([[0.0, 1.0, 0.0]])
    outputs = {  # of a network with the default output for the cost, as torch takes them
        "bceloss": torch.sigmoid, "nllloss": lambda z: torch.log_softmax(z, 1),
        "kldivloss": lambda z: torch.log_softmax(z, 1)}
    theirs = {_words.plain(name): getattr(torch.nn, name) for name in dir(torch.nn)}
    known = {row.name for row in table.COSTS}
    names = [name for name, ours in NAMES.items()
             if ours in known and name in theirs and name.endswith("loss")]
    assert {"mseloss", "crossentropyloss", "bcewithlogitsloss", "l1loss", "huberloss"} <= {*names}
    for name in names:
        net = Network([3, 3], activation="identity", cost=name, dtype="float64", initializer=(
            [np.eye(3)], [np.zeros((3, 1))]))
        nabla = net.backprop(z, y)[0][0].ravel()
        leaf = torch.from_numpy(z.copy()).requires_grad_()
        given = torch.tensor([1]) if name in ("nllloss", "crossentropyloss") else torch.tensor(y)
        loss = theirs[name](reduction="sum")(outputs.get(name, lambda z: z)(leaf), given)
        expected = torch.autograd.grad(loss, leaf)[0].numpy().ravel()
        factor = 2 if name == "mseloss" else 1  # the book halves the square
        np.testing.assert_allclose(factor * nabla, expected, 1e-9, err_msg=name)
