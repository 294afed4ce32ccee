"""DataFrames, tensors and DLPack: taken wherever arrays are, in place where they can be."""

import datetime
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from cbackprop import Network, data

N, NAMES = 30, ["a", "b", "c", "d"]


def rows():
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, 4)), rng.integers(0, 3, N)


def network(**settings):
    return Network([4, 5, 3], **{"dtype": "float64", "seed": 0} | settings)


# ---- kinds of frames, each made of rows and labels ----

def of_pandas(x, y):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(x, columns=NAMES, index=range(100, 100 + N)), pd.Series(y)


def of_pandas_nullable(x, y):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(x, columns=NAMES).convert_dtypes()
    return frame, pd.DataFrame({"label": pd.array(y, "Int64")})


def of_pandas_categories(x, y):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(x, columns=["same"] * 4), pd.Series(y, dtype="category")


def of_polars(x, y):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(x, schema=NAMES), pl.Series(y)


def of_polars_frames(x, y):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(x, schema=NAMES), pl.DataFrame({"label": y})


def of_torch(x, y):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(x), torch.from_numpy(y)


def of_torch_transposed(x, y):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(np.ascontiguousarray(x.T)).T, torch.from_numpy(y)


class DLPack:
    """What offers DLPack and no more."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def of_dlpack(x, y):
    return DLPack(x), DLPack(y)


KINDS = [of_pandas, of_pandas_nullable, of_pandas_categories, of_polars, of_polars_frames,
         of_torch, of_torch_transposed, of_dlpack]


@pytest.mark.parametrize("kind", KINDS)
def test_taken_wherever_arrays_are(kind):
    x, y = rows()
    xs, ys = kind(x.copy(), y.copy())
    net, other = network(), network()
    weight = np.linspace(0.5, 1, N)
    weights = weight if kind in (of_pandas_nullable, of_polars_frames) else kind(x, weight)[1]
    one = net.SGD((x, y), 2, 7, 0.5, (x, y), evaluation_data=(x, y), sample_weight=weight)
    two = other.SGD((xs, ys), 2, 7, 0.5, (xs, ys), evaluation_data=(xs, ys), sample_weight=weights)
    assert (one.cost, one.accuracy, one.evaluation_cost) == (
        two.cost, two.accuracy, two.evaluation_cost)
    assert np.array_equal(net.feedforward(x), other.feedforward(xs))
    assert net.evaluate((x, y)) == other.evaluate((xs, ys))
    assert net.total_cost((x, y)) == other.total_cost((xs, ys))
    for a, b in zip(net.backprop(x, y)[1], other.backprop(xs, ys)[1], strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("kind", [of_torch, of_pandas, of_polars])
def test_one_hot_targets_and_parameters(kind):
    x, y = rows()
    xs, targets = kind(x, y)[0], np.eye(4)[y]
    net, other = (Network([4, 4], seed=0, dtype="float64") for _ in range(2))
    assert net.total_cost((x, targets)) == other.total_cost((xs, kind(targets, y)[0]))
    other.weights[0] = kind(x, y)[0][:4] if kind is not of_polars else xs[:4]
    assert np.array_equal(other.weights[0], x[:4])


def test_one_example_of_a_series_or_a_tensor():
    torch, pd = pytest.importorskip("torch"), pytest.importorskip("pandas")
    x, _ = rows()
    net = network()
    expected = net.feedforward(x[0])
    assert np.array_equal(net.feedforward(pd.Series(x[0])), expected)
    assert np.array_equal(net.feedforward(torch.from_numpy(x[0])), expected)
    column = net.feedforward(torch.from_numpy(x[:1].T))
    assert np.array_equal(column, expected[:, None])
    pairs = [(torch.from_numpy(each), 1) for each in x]
    assert net.evaluate(pairs) == net.evaluate((x, np.ones(N, int)))


# ---- without a copy ----

@pytest.mark.parametrize("real", ["float32", "float64", "uint8"])
def test_rows_of_tensors_are_not_copied(real):
    torch = pytest.importorskip("torch")
    x = abs(rows()[0] * 10).astype(real)
    assert np.shares_memory(data.rows(torch.from_numpy(x), 4), x)
    assert np.shares_memory(data.rows(DLPack(x), 4), x)


JAX = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, jax
from cbackprop import Network, data
from test_frames import refused, rows
x, y = abs(rows()[0]).astype("float32"), rows()[1]
for each in (x, x.astype("uint8")):
    array = jax.numpy.asarray(each)
    assert data.rows(array, 4).ctypes.data == array.unsafe_buffer_pointer()
net, other = (Network([4, 5, 3], seed=0) for _ in range(2))
xs, ys = jax.numpy.asarray(x), jax.numpy.asarray(y)
assert net.SGD((x, y), 2, 7, 0.5).cost == other.SGD((xs, ys), 2, 7, 0.5).cost
assert np.array_equal(net.feedforward(x), other.feedforward(xs))
refused(TypeError, "^a must hold real numbers, got dtype bfloat16",
        lambda: net.feedforward(jax.numpy.ones(4, "bfloat16")))
refused(TypeError, "^a must be readable by NumPy, got a .*Tracer: ",
        lambda: jax.jit(net.feedforward)(jax.numpy.ones(4)))
print("done")
"""


def test_jax():
    """In a process of its own: JAX's threads make every later fork a warning."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs JAX")
    run = subprocess.run([sys.executable, "-c", JAX, os.path.dirname(__file__)],
                         capture_output=True, text=True, timeout=120, check=False)
    assert (run.stdout, run.returncode) == ("done\n", 0), run.stderr


def test_training_reads_a_tensor_in_place():
    torch = pytest.importorskip("torch")
    x, y = rows()
    tensor, net, seen = torch.from_numpy(x.copy()), network(), []

    def change(_net, history):
        seen.append(history.cost[-1])
        tensor.zero_()

    net.SGD((tensor, y), 2, N, 0.0, callbacks=[change])
    assert seen[0] != seen[1] == pytest.approx(net.total_cost((np.zeros((N, 4)), y)))


def test_a_frame_of_one_column_is_not_copied():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": np.arange(10.0)})
    assert np.shares_memory(data.rows(frame, 1), data.rows(frame, 1))


# ---- refused, in one line ----

def refused(error, match, call):
    with pytest.raises(error, match=match) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


BAD = {
    "missing number": ({"a": [1.0, None], "b": [1, 2]}, ValueError,
                       "^x must not have missing values, got one in row 1 of column 'a'$"),
    "strings": ({"a": [1.0, 2.0], "b": ["u", "v"]}, TypeError,
                r"^x must hold real numbers, got .* in column 'b'$"),
    "dates": ({"a": [1.0, 2.0], "b": [datetime.datetime(2020, 1, 1)] * 2}, TypeError,
              r"^x must hold real numbers, got dtype datetime64.* in column 'b'$"),
    "columns": ({"a": [1.0, 2.0, 3.0]}, ValueError,
                r"^x must have sizes\[0\] = 2 columns, got shape \(3, 1\)$"),
    "nothing": ({}, ValueError, r"^x must have sizes\[0\] = 2 columns, got shape \(0, 0\)$"),
}


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("bad", BAD)
def test_bad_frames(library, bad):
    frames = pytest.importorskip(library)
    contents, error, match = BAD[bad]
    refused(error, match, lambda: data.rows(frames.DataFrame(contents), 2))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_bad_series_of_labels(library):
    frames = pytest.importorskip(library)
    net, x = Network([4, 3], seed=0), rows()[0][:3]
    for values, error, match in [
        (["u", "v", "w"], TypeError, "^y of test_data must hold real numbers, got "),
        ([1, None, 2], ValueError, "^y of test_data must not have missing values, .* row 1"),
        ([True, None, False], ValueError, "^y of test_data must not have missing values"),
        ([0.0, 1.0, 2.0], TypeError, "^y of test_data must hold integers where it holds labels"),
        ([0, 1, 3], ValueError, r"^y of test_data must hold labels in 0\.\.2, got 3$"),
    ]:
        for y in (frames.Series(values), frames.DataFrame({"y": values})):
            refused(error, match, lambda y=y: net.evaluate((x, y)))


def test_bad_kinds_of_pandas():
    pd = pytest.importorskip("pandas")
    mixed = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [1.5, 2.0]})
    refused(ValueError, "^x must not have .* row 1 of column 'a'$", lambda: data.rows(mixed, 2))
    refused(ValueError, "^x must not have .* row 1$",
            lambda: data.rows(pd.array([1, None], "Int64"), 2))
    words = pd.DataFrame({"a": pd.Categorical(["u", "v"]), "b": [1.5, 2.0]})
    refused(TypeError, "^x must hold real numbers, got 'u' in column 'a'$",
            lambda: data.rows(words, 2))


def test_mixed_types_of_columns():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    contents = {"a": [True, False], "b": [1.5, 2.0], "c": [1, 2]}
    for frame in (pd.DataFrame(contents), pl.DataFrame(contents),
                  pd.DataFrame(contents).astype({"c": "Int64"})):
        assert data.rows(frame, 3).tolist() == [[1, 1.5, 1], [0, 2, 2]]


def test_a_lazy_frame():
    pl = pytest.importorskip("polars")
    refused(TypeError, "^x must be in memory, got LazyFrame",
            lambda: data.rows(pl.LazyFrame({"a": [1]}), 1))


def test_tensors_that_numpy_cannot_read():
    torch = pytest.importorskip("torch")
    net, ones = network(), torch.ones(4)
    for tensor, match in [
        (ones.clone().requires_grad_(), "^a must be readable by NumPy, got a Tensor: .*grad"),
        (ones.bfloat16(), "^a must be readable by NumPy, got a Tensor: .*BFloat16"),
        (ones.to("meta"), "^a must be readable by NumPy, got a Tensor: .*meta device"),
        (torch.eye(4).to_sparse(), "^a must be readable by NumPy, got a Tensor: .*Sparse"),
        ([ones.clone().requires_grad_()], "^a must be readable by NumPy, got a list: .*grad"),
        (ones.to(torch.complex64), "^a must hold real numbers, got dtype complex64"),
    ]:
        refused(TypeError, match, lambda tensor=tensor: net.feedforward(tensor))


def test_dlpack_that_cannot_be_read():
    class Elsewhere(DLPack):
        def __dlpack_device__(self):
            return 2, 0  # CUDA

        def __dlpack__(self, **_kwargs):
            raise BufferError("it is on a GPU")

    refused(TypeError, "^x must be readable by NumPy, got a Elsewhere: ",
            lambda: data.rows(Elsewhere(np.ones((2, 2))), 2))
