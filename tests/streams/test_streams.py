"""Streams: rows in blocks, of files and iterables, trained on as if they were in arrays."""

import pickle
import sys
import threading
import time

import numpy as np
import pytest
from refusals import one_line

from cbackprop import Network, RowSource, callbacks, inspect, streams
from cbackprop.streams.examples import BufferedExamples

N, K, J = 1003, 7, 3


@pytest.fixture(scope="module", params=["float64", "float32", "uint8", "int32"])
def arrays(request):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 200, (N, K)).astype(request.param)
    return x, rng.integers(0, J, N), rng.uniform(0.5, 2, N)


@pytest.fixture
def data():
    rng = np.random.default_rng(2)
    return rng.standard_normal((N, K)), rng.integers(0, J, N)


def npy(folder, x, y, w, **given):
    for name, values in zip("xyw", (x, y, w), strict=True):
        np.save(folder / f"{name}.npy", values)
    return streams.open(folder / "x.npy", str(folder / "y.npy"), sample_weight=folder / "w.npy",
                        **given)


def several_npy(folder, x, y, w, **given):
    cuts = [0, 300, 301, 301, N]  # one row, and none
    for at, (a, b) in enumerate(zip(cuts, cuts[1:], strict=False)):
        for name, values in zip("xyw", (x, y, w), strict=True):
            np.save(folder / f"{name}-{at}.npy", values[a:b])
    return streams.open(folder / "x-*.npy", folder / "y-?.npy", sample_weight=folder / "w-*.npy",
                        **given)


def one_npy(folder, x, y, w, **given):
    np.save(folder / "all.npy", np.insert(x, 2, y.astype(x.dtype), axis=1))
    np.save(folder / "w.npy", w)
    return streams.open(folder / "all.npy", target=2, sample_weight=folder / "w.npy", **given)


def npz(folder, x, y, w, **given):
    np.savez(folder / "all.npz", x=x, y=y, w=w)
    return streams.open(folder / "all.npz", sample_weight="w", **given)


def hdf5(folder, x, y, w, **given):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "all.h5", "w") as file:
        file.create_dataset("group/pixels", data=x, chunks=(64, K))
        file["label"], file["w"] = y, w
    return streams.open(folder / "all.h5", columns="group/pixels", target="label",
                        sample_weight="w", **given)


def table(x, y, w):
    pa = pytest.importorskip("pyarrow")
    columns = {f"c{at}": x[:, at] for at in range(2)}
    rest = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(x[:, 2:])), K - 2)
    return pa.table({**columns, "label": y, "rest": rest, "w": w})


def parquet(folder, x, y, w, **given):
    made = table(x, y, w)
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(made[:600], folder / "part-0.parquet", row_group_size=250)
    pq.write_table(made[600:], folder / "part-1.parquet", row_group_size=N)
    return streams.open(folder / "part-*.parquet", target="label", sample_weight="w", **given)


def feather(folder, x, y, w, **given):
    made = table(x, y, w)
    pytest.importorskip("pyarrow.feather").write_feather(
        made, folder / "all.feather", chunksize=100)
    return streams.open(folder / "all.feather", target="label", sample_weight="w", **given)


def batches(folder, x, y, w, **given):
    def made():
        first = 0
        while first < N:
            part = slice(first, first + 1 + first % 97)
            yield x[part], y[part], w[part]
            first = part.stop
    return streams.batches(made, **given)


def a_list(folder, x, y, w, **given):
    return streams.batches([(x[:500], y[:500], w[:500]), (x[500:], y[500:], w[500:])], rows=N,
                           **given)


class Blocks(streams.Stream):
    def __init__(self, x, y, w=None, rows=40, memory=streams.Stream.memory):
        self.x, self.y, self.w, self.memory = x, y, w, memory
        self.n = np.append(np.arange(0, len(x), rows), len(x))

    @property
    def bounds(self):
        return self.n

    def read(self, block):
        part = slice(*self.n[block:block + 2])
        return self.x[part], self.y[part], *([] if self.w is None else [self.w[part]])


def own(folder, x, y, w, memory=2**28, **given):
    return Blocks(x, y, w, memory=streams.stream.size("memory", memory))


FORMS = [npy, several_npy, one_npy, npz, hdf5, parquet, feather, batches, a_list, own]


def network(dtype="float32", **settings):
    return Network([K, 5, J], seed=3, dtype=dtype, input_scale=0.01, **settings)


def same(net, twin):
    return (net.engine.core.parameters == twin.engine.core.parameters).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_that_fits_in_memory_trains_as_arrays(form, arrays, tmp_path):
    x, y, w = arrays
    stream = form(tmp_path, x, y, w)
    assert len(stream) == N
    assert (stream.width, stream.dtype) == (K, {"int32": "float64"}.get(str(x.dtype), x.dtype))
    for dtype in ("float32", "float64"):
        net, twin = network(dtype), network(dtype)
        history = net.SGD(stream, 2, 10, 0.5, test_data=stream, optimizer="momentum")
        wanted = twin.SGD((x, y), 2, 10, 0.5, test_data=(x, y), sample_weight=w,
                          optimizer="momentum")
        assert same(net, twin)
        assert history.cost == wanted.cost
        assert history.test_accuracy == wanted.test_accuracy
        assert history.rows == N
        # Parts weigh the examples, which arrays do not here.
        assert net.total_cost(stream) == pytest.approx(
            twin.total_cost((x, y), sample_weight=w), rel=1e-6)
        assert net.evaluate(stream) == twin.evaluate((x, y))


@pytest.mark.parametrize("form", FORMS)
def test_in_their_order_rows_are_trained_on_as_in_arrays(form, arrays, tmp_path):
    x, y, w = arrays
    stream = form(tmp_path, x, y, w, memory="9KB")
    net, twin = network(), network()
    net.SGD(stream, 2, 9, 0.5, shuffle=False)
    twin.SGD((x, y), 2, 9, 0.5, shuffle=False, sample_weight=w)
    assert same(net, twin)
    assert examples_of(stream).order(0, 9).size < 200  # several buffers
    assert threading.active_count() == 1


def examples_of(stream, check=False):
    return network().engine.examples(stream, "data", check)
