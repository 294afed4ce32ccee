"""DataFrames, tensors and DLPack: taken wherever arrays are, in place where they can be."""

import copy
import datetime
import decimal
import fractions
import importlib.util
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import refusals

from cbackprop import Network, arrays, train_many
from cbackprop.book import network as book_network

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


def of_pandas_objects(x, y):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(x, columns=NAMES).astype(object), pd.Series(y).astype(object)


def of_objects(x, y):
    return x.astype(object), y.astype(object)


def of_decimals(x, y):
    return np.vectorize(decimal.Decimal, otypes=[object])(x), y.astype(object)


def of_polars_objects(x, y):
    pl = pytest.importorskip("polars")
    columns = {name: pl.Series(column.tolist(), dtype=pl.Object)
               for name, column in zip(NAMES, x.T, strict=True)}
    return pl.DataFrame(columns), pl.Series(y.tolist(), dtype=pl.Object)


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


KINDS = [of_pandas, of_pandas_nullable, of_pandas_categories, of_pandas_objects, of_polars,
         of_polars_frames, of_polars_objects, of_objects, of_decimals, of_torch,
         of_torch_transposed, of_dlpack]


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


def test_objects_that_are_numbers():
    third = fractions.Fraction(1, 3)
    for values, expected, kind in [
        ([1, 2.5], [1, 2.5], "float64"), ([third, 2], [1 / 3, 2], "float64"),
        ([decimal.Decimal("0.1"), np.float32(2)], [0.1, 2], "float64"),
        ([True, np.False_, np.int8(3)], [1, 0, 3], "int64"), ([2**63, 1], [2**63, 1], "uint64"),
        ([2**63, -1], [2.0**63, -1], "float64"), ([2**53 + 1], [2**53 + 1], "int64"),
    ]:
        array = arrays.numbers(np.array(values, object), "x")
        assert array.dtype == kind
        assert array.tolist() == expected


# ---- a DataLoader ----

def loader(*arrays, **settings):
    torch = pytest.importorskip("torch").utils.data
    return torch.DataLoader(torch.TensorDataset(*map(pytest.importorskip("torch").from_numpy,
                                                     arrays)), **settings)


@pytest.mark.parametrize("settings", [{"batch_size": 7}, {"batch_size": 1}, {"batch_size": 30},
                                      {"batch_size": None}], ids=str)
def test_a_data_loader_is_read_as_arrays(settings):
    x, y = rows()
    given = loader(x, y, **settings)
    net, other = network(), network()
    one = net.SGD((x, y), 2, 7, 0.5, (x, y), evaluation_data=(x, y), class_weight={1: 2.0})
    two = other.SGD(given, 2, 7, 0.5, given, evaluation_data=given, class_weight={1: 2.0})
    assert (one.cost, one.accuracy, one.evaluation_cost) == (
        two.cost, two.accuracy, two.evaluation_cost)
    assert net.evaluate((x, y)) == other.evaluate(given)
    assert net.total_cost((x, y)) == other.total_cost(given)
    net.update_mini_batch((x, y), 0.5)
    other.update_mini_batch(given, 0.5)
    assert np.array_equal(net.feedforward(x), other.feedforward(x))
    first, second, third = (network() for _ in range(3))
    train_many([first, (second, {"test_data": given})], given, 2, 7, 0.5)
    third.SGD((x, y), 2, 7, 0.5)
    assert np.array_equal(first.feedforward(x), third.feedforward(x))
    assert np.array_equal(second.feedforward(x), third.feedforward(x))


def test_a_data_loader_for_the_book_s_network():
    x, y = rows()
    nets = [book_network.Network([4, 3]) for _ in range(2)]
    nets[1].weights, nets[1].biases = copy.deepcopy((nets[0].weights, nets[0].biases))
    for net, given in zip(nets, (loader(x, np.eye(3)[y], batch_size=7), (x, np.eye(3)[y])),
                          strict=True):
        random.seed(0)
        net.SGD(given, 2, 5, 0.5)
    assert all(map(np.array_equal, nets[0].weights, nets[1].weights))


def test_a_data_loader_of_images_and_of_rows():
    x, y = rows()
    images, targets = x.reshape(N, 1, 2, 2), np.eye(3)[y]
    assert network().total_cost(loader(images, targets, batch_size=8)) == network().total_cost(
        (x, targets))
    single = Network([1, 1], seed=0, dtype="float64")
    assert single.total_cost(loader(x[:, 0], x[:, 1], batch_size=8)) == single.total_cost(
        (x[:, :1], x[:, 1]))


def test_a_data_loader_that_shuffles_is_read_once_for_each_training():
    torch = pytest.importorskip("torch").utils.data
    x, y = rows()

    class Counted(torch.Dataset):
        taken = 0

        def __len__(self):
            return N

        def __getitem__(self, at):
            Counted.taken += 1
            return x[at], y[at]

    net = network()
    history = net.SGD(torch.DataLoader(Counted(), batch_size=4, shuffle=True), 3, 10, 0.0)
    assert Counted.taken == N
    assert (history.rows, history.mini_batch_size) == (N, 10)
    assert history.cost[-1] == pytest.approx(net.total_cost((x, y)), rel=1e-12)


def test_bad_data_loaders():
    torch = pytest.importorskip("torch").utils.data
    x, y = rows()

    class Endless(torch.IterableDataset):
        def __iter__(self):
            while True:
                yield x[0], y[0]

    def made(examples, **settings):
        return torch.DataLoader(examples, **settings)

    ragged = [(np.ones(at % 2 + 3), 1) for at in range(4)]
    for given, error, match in [
        (made(Endless()), TypeError, "DataLoader of .* batches that has a length, .*Endless"),
        (loader(x), TypeError, r"of \(x, y\) batches, got a list of 1$"),
        (loader(x, y, y), TypeError, r"of \(x, y\) batches, got a list of 3$"),
        (made([{"x": 1}]), TypeError, r"of \(x, y\) batches, got a dict$"),
        (loader(x[:0], y[:0]), ValueError, "must hold at least one example, got none$"),
        (loader(x[:, :3], y), ValueError, r"have sizes\[0\] = 4 columns, got shape \(30, 3\)"),
        (made(ragged), ValueError, r"^x of training_data must have one shape in every batch, got"),
        (loader(x, y + 1), ValueError,
         r"^y of training_data must hold labels in 0\.\.2, got 3: labels run from 1: subtract 1$"),
        (loader(x, y + 0.5), TypeError, "^y of training_data must hold integers"),
        (made(["a", "b"]), TypeError, r"of \(x, y\) batches, got a list of 1$"),
    ]:
        refused(error, match, lambda given=given: network().SGD(given, 1, 1, 0.1))
    refused(TypeError, "^sample_weight needs examples in arrays, for a DataLoader may shuffle",
            lambda: network().SGD(loader(x, y), 1, 1, 0.1, sample_weight=np.ones(N)))


# ---- without a copy ----

@pytest.mark.parametrize("real", ["float32", "float64", "uint8"])
def test_rows_of_tensors_are_not_copied(real):
    torch = pytest.importorskip("torch")
    x = abs(rows()[0] * 10).astype(real)
    assert np.shares_memory(arrays.rows(torch.from_numpy(x), 4), x)
    assert np.shares_memory(arrays.rows(DLPack(x), 4), x)


JAX = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, jax
from cbackprop import Network, arrays
from refusals import one_line
rng = np.random.default_rng(0)
x, y = rng.random((30, 4), "float32"), rng.integers(0, 3, 30)
for each in (x, x.astype("uint8")):
    array = jax.numpy.asarray(each)
    assert arrays.rows(array, 4).ctypes.data == array.unsafe_buffer_pointer()
net, other = (Network([4, 5, 3], seed=0) for _ in range(2))
xs, ys = jax.numpy.asarray(x), jax.numpy.asarray(y)
assert net.SGD((x, y), 2, 7, 0.5).cost == other.SGD((xs, ys), 2, 7, 0.5).cost
assert np.array_equal(net.feedforward(x), other.feedforward(xs))
with one_line(TypeError, "^a must hold real numbers, got dtype bfloat16"):
    net.feedforward(jax.numpy.ones(4, "bfloat16"))
with one_line(TypeError, "^a must be readable by NumPy, got a .*Tracer: "):
    jax.jit(net.feedforward)(jax.numpy.ones(4))
print("done")
"""


def test_jax():
    """In a process of its own: JAX's threads make every later fork a warning."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs JAX")
    run = subprocess.run([sys.executable, "-c", JAX, os.path.dirname(refusals.__file__)],
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
    assert np.shares_memory(arrays.rows(frame, 1), arrays.rows(frame, 1))


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
    refused(error, match, lambda: arrays.rows(frames.DataFrame(contents), 2))


def test_a_signaling_nan_is_no_number():
    """Neither pandas nor Python looks at one without an error of its own."""
    pd = pytest.importorskip("pandas")
    values = [decimal.Decimal(1), decimal.Decimal("sNaN")]
    number = r"^x must hold real numbers, got Decimal\('sNaN'\)"
    for others in ([1, 2], values, [1.0, None]):
        frame = pd.DataFrame({"a": values, "b": others})
        refused(TypeError, f"{number} in column 'a'$", lambda frame=frame: arrays.rows(frame, 2))
    refused(TypeError, f"{number}$", lambda: arrays.numbers(pd.Series(values), "x"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_bad_series_of_labels(library):
    frames = pytest.importorskip(library)
    net, x = Network([4, 3], seed=0), rows()[0][:3]
    for values, error, match in [
        (["u", "v", "w"], TypeError, "^y of test_data must hold real numbers, got "),
        ([1, None, 2], ValueError, "^y of test_data must not have missing values, .* row 1"),
        ([True, None, False], ValueError, "^y of test_data must not have missing values"),
        ([0.0, 1.5, 2.0], TypeError, "^y of test_data must hold integers where it holds labels"),
        ([0, 1, 3], ValueError, r"^y of test_data must hold labels in 0\.\.2, got 3$"),
    ]:
        for y in (frames.Series(values), frames.DataFrame({"y": values})):
            refused(error, match, lambda y=y: net.evaluate((x, y)))


def test_bad_kinds_of_pandas():
    pd = pytest.importorskip("pandas")
    mixed = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [1.5, 2.0]})
    refused(ValueError, "^x must not have .* row 1 of column 'a'$", lambda: arrays.rows(mixed, 2))
    refused(ValueError, "^x must not have .* row 1$",
            lambda: arrays.rows(pd.array([1, None], "Int64"), 2))
    words = pd.DataFrame({"a": pd.Categorical(["u", "v"]), "b": [1.5, 2.0]})
    refused(TypeError, "^x must hold real numbers, got 'u' in column 'a'$",
            lambda: arrays.rows(words, 2))


@pytest.mark.parametrize("value", ["v", 1j, np.timedelta64(3), [1.0], 2**64,
                                   fractions.Fraction(10**400)], ids=repr)
def test_objects_that_are_no_numbers(value):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    array = np.empty(2, object)
    array[:] = 1.5, value
    contents = {"a": [1, 2], "b": array}
    match = "^x must hold real numbers, got .* in column 'b'$"
    refused(TypeError, match, lambda: arrays.rows(pd.DataFrame(contents, dtype=object), 2))
    columns = [pl.Series(name, list(column), dtype=pl.Object) for name, column in contents.items()]
    refused(TypeError, match, lambda: arrays.rows(pl.DataFrame(columns), 2))
    refused(TypeError, "^x must hold real numbers, got dtype object, holding ",
            lambda: arrays.numbers(array, "x"))


def test_an_empty_frame_of_objects():
    pd = pytest.importorskip("pandas")
    empty = pd.DataFrame({"a": [], "b": []}, dtype=object)
    refused(ValueError, "^test_data must hold at least one example, got none$",
            lambda: Network([2, 1]).evaluate((empty, [])))


def test_mixed_types_of_columns():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    contents = {"a": [True, False], "b": [1.5, 2.0], "c": [1, 2]}
    for frame in (pd.DataFrame(contents), pl.DataFrame(contents),
                  pd.DataFrame(contents).astype({"c": "Int64"})):
        assert arrays.rows(frame, 3).tolist() == [[1, 1.5, 1], [0, 2, 2]]


def test_a_lazy_frame():
    pl = pytest.importorskip("polars")
    refused(TypeError, "^x must be in memory, got LazyFrame",
            lambda: arrays.rows(pl.LazyFrame({"a": [1]}), 1))


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
            lambda: arrays.rows(Elsewhere(np.ones((2, 2))), 2))
