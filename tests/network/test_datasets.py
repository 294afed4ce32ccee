"""The bundled data, the readers, and where the full MNIST is looked for."""

import gzip
import io
import os
import pickle
import random
import socket
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cbackprop.datasets import (
    load,
    load_mnist,
    mnist,
    one_hot,
    read_csv,
    read_idx,
    read_mnist_pickle,
    read_npz,
)

FULL_SET = os.environ.get("CBACKPROP_DATA")  # before `empty_home` hides it
IDX_CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array):
    """The array as the bytes of an IDX file."""
    dtype = array.dtype.newbyteorder(">")
    header = bytes([0, 0, IDX_CODES[array.dtype.str[1:]], array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(dtype).tobytes()


def write(path, data):
    path.write_bytes(data)
    return path


def digits(n, seed):
    """Images and labels of the right types, small enough to be told apart at a glance."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8)


def idx_files():
    """The four files of a small MNIST: name -> bytes."""
    contents = digits(4, 0) + digits(2, 1)
    return {name: idx(array) for name, array in zip(mnist.FILES, contents, strict=True)}


def assert_is_small_mnist(sets):
    for (x, y), (images, labels) in zip(sets, (digits(4, 0), digits(2, 1)), strict=True):
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x, images.reshape(-1, 784))
        np.testing.assert_array_equal(y, labels)


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    """No data anywhere that the tests did not put there; gives the cache's folder."""
    home = tmp_path / "home"
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.delenv("CBACKPROP_DATA", raising=False)
    return mnist._cache()


@pytest.fixture
def no_download(monkeypatch):
    def refuse(folder):
        raise AssertionError(f"a download into {folder} was tried")

    monkeypatch.setattr(mnist, "_download", refuse)


# ---------------------------------------------------------------- one_hot


def test_one_hot():
    vectors = one_hot([2, 0, 2], 3)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[0, 0, 1], [1, 0, 0], [0, 0, 1]])


def test_one_hot_of_nothing():
    assert one_hot(np.empty(0, np.uint8), 10).shape == (0, 10)


@pytest.mark.parametrize(("y", "got"), [([9, 10], "10"), ([-1, 3], "-1")])
def test_one_hot_refuses_labels_outside_the_classes(y, got):
    with pytest.raises(ValueError, match=rf"^labels must lie in 0\.\.9, got {got}$"):
        one_hot(y, 10)


@pytest.mark.parametrize("y", [[1.0, 2.0], [[1], [2]], [True, False], 3])
def test_one_hot_refuses_what_is_not_a_row_of_integers(y):
    with pytest.raises(ValueError, match=r"labels must be integers of shape \(n,\), got"):
        one_hot(y, 10)


# ---------------------------------------------------------------- the bundled subset


def test_subset_is_balanced():
    for (x, y), per_digit in zip(load_mnist(), (500, 100), strict=True):
        assert (x.dtype, x.shape) == (np.uint8, (10 * per_digit, 784))
        assert (y.dtype, y.shape) == (np.int64, (10 * per_digit,))
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(np.bincount(y), [per_digit] * 10)
        assert len(np.unique(x, axis=0)) == len(x)
        assert (y[:100] != np.sort(y[:100])).any()  # in no order of the digits


def test_subset_is_small():
    assert mnist.SUBSET.stat().st_size <= 1_200_000


def test_subset_comes_with_its_licence():
    note = mnist.SUBSET.with_name("LICENSE-MNIST.md").read_text("utf-8")
    for word in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", "NIST"):
        assert word in note


def test_import_needs_numpy_alone():
    code = ("import sys, cbackprop.datasets; "
            "print({'urllib.request', 'requests'} & sys.modules.keys())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- the full set


def test_full_set():
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
    folders = [Path(folder) for folder in (FULL_SET, beside) if folder]
    folders += [folder / "mnist" for folder in folders]
    found = next((folder for folder in folders if not mnist._missing(folder)), None)
    if found is None:
        pytest.skip("the full MNIST is not here: name its folder in CBACKPROP_DATA")
    (x_train, y_train), (x_test, y_test) = load_mnist(found)
    assert (x_train.dtype, x_train.shape) == (np.uint8, (60_000, 784))
    assert (x_test.dtype, x_test.shape) == (np.uint8, (10_000, 784))
    assert y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    for (x, y), full_x, full_y in zip(
        load_mnist(), (x_train, x_test), (y_train, y_test), strict=True
    ):
        labels = {row.tobytes(): label for row, label in zip(full_x, full_y, strict=True)}
        assert [labels[row.tobytes()] for row in x] == y.tolist()


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dot", [False, True])
def test_folder_under_every_spelling(tmp_path, ending, dot):
    for name, data in idx_files().items():
        spelling = name.replace("-idx", ".idx") if dot else name
        write(tmp_path / (spelling + ending), gzip.compress(data) if ending else data)
    assert_is_small_mnist(load_mnist(tmp_path))
    assert_is_small_mnist(load_mnist(str(tmp_path), full=True))
    assert_is_small_mnist(load(tmp_path))


def put_small_mnist(folder):
    folder.mkdir(parents=True)
    for name, data in idx_files().items():
        write(folder / name, data)
    return folder


@pytest.mark.parametrize("subfolder", [".", "mnist"])
def test_full_set_in_the_folder_of_the_environment(tmp_path, monkeypatch, no_download, subfolder):
    put_small_mnist(tmp_path / "data" / subfolder)
    monkeypatch.setenv("CBACKPROP_DATA", str(tmp_path / "data"))
    assert_is_small_mnist(load_mnist(full=True))
    assert_is_small_mnist(load("mnist-full"))


def test_full_set_in_the_cache(tmp_path, monkeypatch, no_download, empty_home):
    put_small_mnist(empty_home)
    monkeypatch.setenv("CBACKPROP_DATA", str(tmp_path / "nowhere"))
    assert_is_small_mnist(load_mnist(full=True))


def test_environment_comes_before_the_cache(tmp_path, monkeypatch, no_download, empty_home):
    put_small_mnist(empty_home).joinpath("train-images-idx3-ubyte").write_bytes(b"")
    monkeypatch.setenv("CBACKPROP_DATA", str(put_small_mnist(tmp_path / "data")))
    assert_is_small_mnist(load_mnist(full=True))


@pytest.mark.parametrize(
    ("platform", "variable", "cache"),
    [
        ("linux", "XDG_CACHE_HOME", "chosen"),
        ("linux", None, "home/.cache"),
        ("darwin", None, "home/Library/Caches"),
        ("win32", "LOCALAPPDATA", "chosen"),
        ("win32", None, "home/AppData/Local"),
    ],
)
def test_cache_of_each_system(tmp_path, monkeypatch, platform, variable, cache):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "chosen"))
    monkeypatch.setattr(sys, "platform", platform)
    assert mnist._cache() == tmp_path / cache / "cbackprop" / "mnist"


def test_a_path_is_the_only_place_searched(tmp_path, no_download, empty_home):
    put_small_mnist(empty_home)
    with pytest.raises(FileNotFoundError, match=r"nowhere: must hold MNIST's four files"):
        load_mnist(tmp_path / "nowhere", full=True)


def test_missing_file_is_named(tmp_path):
    folder = put_small_mnist(tmp_path / "data")
    folder.joinpath("t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing t10k-labels-idx1-ubyte$"):
        load_mnist(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(3, "u1"), r"got uint8 \(4, 28, 28\) and uint8 \(3,\)"),
        ("train-images-idx3-ubyte", np.zeros(4, "u1"), r"got uint8 \(4,\) and"),
        ("t10k-images-idx3-ubyte", np.zeros((2, 8, 8), "u1"), "got uint8 of 64 pixels"),
        ("t10k-images-idx3-ubyte", np.zeros((2, 28, 28), "f4"), "got float32 of 784 pixels"),
        ("t10k-labels-idx1-ubyte", np.zeros(2, "f4"), "of 784 pixels and float32"),
    ],
)
def test_files_that_do_not_match_are_refused(tmp_path, name, array, message):
    folder = put_small_mnist(tmp_path / "data")
    write(folder / name, idx(array))
    with pytest.raises(ValueError, match=message):
        load_mnist(folder)


# ---------------------------------------------------------------- downloads


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server on this machine with a small MNIST; gives its address and its folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    hashes = {}
    for name, data in idx_files().items():
        packed = gzip.compress(data)
        write(folder / f"{name}.gz", packed)
        hashes[name] = sha256(packed).hexdigest()
    monkeypatch.setattr(mnist, "FILES", hashes)
    monkeypatch.setenv("NO_PROXY", "*")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()
        thread.join()


@pytest.fixture
def dead():
    """An address where nobody listens: bound, so that no one else can take it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"


def test_download_from_the_second_mirror(monkeypatch, mirror, dead, empty_home, capsys):
    address, served = mirror
    monkeypatch.setattr(mnist, "MIRRORS", (dead, address))
    assert_is_small_mnist(load_mnist(full=True))
    assert sorted(empty_home.iterdir()) == sorted(empty_home / f"{name}.gz" for name in mnist.FILES)
    assert capsys.readouterr().err == f"downloading MNIST (11 MB) into {empty_home}\n"
    for file in served.iterdir():
        file.unlink()
    assert_is_small_mnist(load_mnist(full=True))  # now from the cache
    assert capsys.readouterr().err == ""


def test_download_goes_on_with_what_is_missing(monkeypatch, mirror, empty_home):
    address, served = mirror
    name = "train-images-idx3-ubyte.gz"
    empty_home.mkdir(parents=True)
    served.joinpath(name).rename(empty_home / name)  # no longer to be had
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    assert_is_small_mnist(load_mnist(full=True))


def test_download_of_other_bytes_is_refused(monkeypatch, mirror, empty_home):
    address, served = mirror
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    other = gzip.compress(idx(np.ones((4, 28, 28), "u1")))
    write(served / "train-images-idx3-ubyte.gz", other)
    with pytest.raises(FileNotFoundError,
                       match=f"its SHA-256 must be [0-9a-f]+, got {sha256(other).hexdigest()}"):
        load_mnist(full=True)
    assert list(empty_home.iterdir()) == []


def test_download_of_other_bytes_from_one_mirror_alone(monkeypatch, mirror, empty_home):
    address, served = mirror
    (served / "odd").mkdir()
    for name in mnist.FILES:
        write(served / "odd" / f"{name}.gz", b"<html>log in first</html>")
    monkeypatch.setattr(mnist, "MIRRORS", (f"{address}odd/", address))
    assert_is_small_mnist(load_mnist(full=True))


def test_download_without_an_end_is_refused(monkeypatch, mirror):
    address, served = mirror
    write(served / "train-images-idx3-ubyte.gz", bytes(4 * 2**20))
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    monkeypatch.setattr(mnist, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(FileNotFoundError, match=r"got [0-9a-f]{64} of 2,097,152 bytes"):
        load_mnist(full=True)


def test_download_that_breaks_off_is_refused(monkeypatch, empty_home):
    """A server that says more than it sends, one that talks otherwise, and one that is silent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        ended = threading.Event()

        def serve():
            while not ended.is_set():
                with listening.accept()[0] as client:
                    asked = client.recv(4096)
                    if b"/silent/" in asked:
                        ended.wait(0.6)
                    elif b"/odd/" in asked:
                        client.sendall(b"hello\r\n")
                    elif asked:
                        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew")

        thread = threading.Thread(target=serve)
        thread.start()
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr(mnist, "TIMEOUT", 0.3)
        monkeypatch.setattr(mnist, "MIRRORS", (address, f"{address}odd/", f"{address}silent/"))
        with pytest.raises(FileNotFoundError,
                           match=r"of 3 bytes; .*BadStatusLine hello.*; .*silent.*timed "):
            load_mnist(full=True)
        ended.set()
        socket.create_connection(listening.getsockname()).close()
        thread.join()
    assert list(empty_home.iterdir()) == []


def test_download_lacking_a_file_is_refused(monkeypatch, mirror):
    address, served = mirror
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    served.joinpath("t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="404"):
        load_mnist(full=True)


def test_nothing_reachable(monkeypatch, dead, empty_home):
    monkeypatch.setattr(mnist, "MIRRORS", (dead, dead + "second/"))
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(full=True)
    for name in mnist.FILES:
        assert f"{name}.gz" in str(caught.value)
    for part in (*mnist.MIRRORS, "CBACKPROP_DATA", str(empty_home)):
        assert part in str(caught.value)


def test_the_books_loader_falls_back_on_the_digits_of_the_package(monkeypatch, tmp_path):
    from cbackprop.book import mnist_loader

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    with pytest.warns(UserWarning, match="^MNIST is neither found nor downloaded: ") as one:
        parts = mnist_loader.load_data()
    assert [warning.filename for warning in one] == [__file__]
    (x, y), (x_test, y_test) = load_mnist()
    for (images, labels), pixels, digits in zip(
            parts, (x[:4000], x[4000:], x_test), (y[:4000], y[4000:], y_test), strict=True):
        np.testing.assert_array_equal(images, pixels / np.float32(256))
        np.testing.assert_array_equal(labels, digits)


# ---------------------------------------------------------------- read_idx


@given(
    st.sampled_from(list(IDX_CODES)).flatmap(
        lambda code: arrays(code, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    ),
    st.booleans(),
)
def test_idx_round_trip(tmp_path_factory, array, packed):
    data = idx(array)
    path = tmp_path_factory.getbasetemp() / "array.idx"
    read = read_idx(write(path, gzip.compress(data) if packed else data))
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must begin with 00 00, a type .* and a rank, got an empty file"),
        (b"\0\0\x08", "got 00 00 08$"),
        (b"PK\3\4....", "got 50 4b 03 04$"),
        (b"\0\0\x0a\1\0\0\0\0", "got 00 00 0a 01$"),
        (b"\0\0\x08\3\0\0\0\1", "header of rank 3 must take 16 bytes, got 8"),
        (idx(np.zeros((2, 3), "f4"))[:-1], r"float32 \(2, 3\) must take 36 bytes, got 35"),
        (idx(np.zeros((2, 3), "f4")) + b"\0", r"float32 \(2, 3\) must take 36 bytes, got 37"),
        (b"\0\0\x08\4" + b"\xff" * 16, r"must take \d+ bytes, got 20"),
    ],
)
def test_idx_refuses(tmp_path, data, message):
    path = write(tmp_path / "file", data)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def damaged_gzips():
    data = gzip.compress(idx(digits(4, 0)[0]))
    yield "cut in the data", data[: len(data) // 2]
    yield "cut in the checksum", data[:-1]
    yield "cut in the header", data[:5]
    yield "wrong checksum", data[:-8] + b"\0" * 8
    yield "followed by something", data + b"trailing"
    yield "damaged", data[:10] + b"\xff" * 30 + data[40:]


@pytest.mark.parametrize("data", [pytest.param(data, id=what) for what, data in damaged_gzips()])
@pytest.mark.parametrize("reader", [read_idx, read_csv, read_mnist_pickle])
def test_damaged_gzip_is_refused(tmp_path, reader, data):
    path = write(tmp_path / "file.gz", data)
    with pytest.raises(ValueError, match=r"file\.gz: a gzip file must unpack whole, got"):
        reader(path)


@pytest.mark.parametrize("reader", [read_idx, read_csv, read_mnist_pickle, read_npz])
def test_absent_file(tmp_path, reader):
    with pytest.raises(FileNotFoundError):
        reader(tmp_path / "absent")


# ---------------------------------------------------------------- read_mnist_pickle


def python2_array(array):
    """The opcodes by which Python 2 pickles an array (protocol 2, bytes as str)."""
    raw = array.tobytes()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in array.shape) + b"t"
    code = array.dtype.str[1:].encode()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01" + shape
        + b"cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R"
        + b"(K\x03U\x01" + array.dtype.newbyteorder("<").str[:1].encode() + b"NNN"
        + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
        + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip


def book_parts():
    rng = np.random.default_rng(3)
    return tuple(
        (rng.random((n, 784), np.float32), rng.integers(0, 10, n, np.int64)) for n in (5, 2, 3)
    )


def python2_pickle(parts):
    pairs = [b"(" + python2_array(x) + python2_array(y) + b"t" for x, y in parts]
    return b"\x80\x02(" + b"".join(pairs) + b"t."


def assert_is_book(read):
    for (x, y), (images, labels) in zip(read, book_parts(), strict=True):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.flags.c_contiguous
        assert x.flags.writeable
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_pickle_of_python_2(tmp_path, pack):
    data = python2_pickle(book_parts())
    pairs = pickle.loads(data, encoding="latin1")  # the helper is right in NumPy's own eyes
    np.testing.assert_array_equal(pairs[2][0], book_parts()[2][0])
    assert_is_book(read_mnist_pickle(write(tmp_path / "mnist.pkl", pack(data))))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_pickle_of_python_3(tmp_path, protocol):
    data = pickle.dumps(book_parts(), protocol)
    assert_is_book(read_mnist_pickle(write(tmp_path / "mnist.pkl", data)))
    renamed = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    if protocol < 4:  # from 4 on, names carry their length
        assert_is_book(read_mnist_pickle(write(tmp_path / "mnist.pkl", renamed)))


def test_pickle_in_fortran_order_and_big_endian(tmp_path):
    parts = [(np.asfortranarray(x.astype(">f8")), y.astype(">i4")) for x, y in book_parts()]
    data = pickle.dumps(parts, protocol=2)
    assert_is_book(read_mnist_pickle(write(tmp_path / "mnist.pkl", data)))


class Call:
    """Pickles as a call of the function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickle_runs_nothing(tmp_path, protocol):
    target = tmp_path / "made"
    data = pickle.dumps(Call(os.mkdir, str(target)), protocol)
    pickle.loads(data)
    target.rmdir()  # so the attack works on those who trust it
    with pytest.raises(ValueError, match=r"arrays, got a reference to .*\.mkdir"):
        read_mnist_pickle(write(tmp_path / "evil.pkl", data))
    assert not target.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "numpy\nload", "numpy.core.multiarray\nscalar"])
def test_pickle_imports_nothing(tmp_path, name):
    data = b"\x80\x02c" + name.encode() + b"\nU\x011\x85R."
    with pytest.raises(ValueError, match=f"a reference to {name}".replace("\n", r"\.")):
        read_mnist_pickle(write(tmp_path / "evil.pkl", data))


def pairs_with(x=None, y=None):
    good = np.zeros((2, 784), np.float32), np.zeros(2, np.int64)
    return good, good, (good[0] if x is None else x, good[1] if y is None else y)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (7, "must hold three .* pairs, got another int"),
        (pairs_with()[:2], "must hold three .* pairs, got another tuple"),
        ([(1, 2)] * 3, "must hold three .* pairs, got another list"),
        (pairs_with(x=np.array([[{}], [{}]])), "arrays, got the opcode '}'"),
        (pairs_with(x=np.zeros((3, 784), "f4")), r"got float32 \(3, 784\) and int64 \(2,\)"),
        (pairs_with(x=np.zeros(2, "f4")), r"got float32 \(2,\) and int64"),
        (pairs_with(x=np.zeros((2, 784), "u1")), "x must be floats"),
        (pairs_with(y=np.zeros(2, "f4")), "y integers"),
        (pairs_with(y=np.zeros((2, 2), "i8")), r"got float32 and int64 \(2, 2\)"),
        (pairs_with(x=np.zeros((2, 1), "f4,f4")), "arrays, got the opcode '}'"),
    ],
)
def test_pickle_refuses(tmp_path, content, message):
    path = write(tmp_path / "mnist.pkl", pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match=message) as caught:
        read_mnist_pickle(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_pickle_with_pointers_for_objects_is_refused(tmp_path):
    x = python2_array(np.zeros((2, 2), "f8")).replace(b"f8", b"O8")
    data = b"\x80\x02((" + x + x + b"tNNt."
    with pytest.raises(ValueError, match="must be a pickle of numeric arrays, got an array of"):
        read_mnist_pickle(write(tmp_path / "evil.pkl", data))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x80\x02(", python2_pickle(book_parts())[:-900]])
def test_broken_pickle_is_refused(tmp_path, data):
    with pytest.raises(ValueError, match=r"broken\.pkl: must be a pickle of numeric arrays, got"):
        read_mnist_pickle(write(tmp_path / "broken.pkl", data))


BOMBS = {  # a few bytes, and what they would lead to
    "memo of 2^27": (b"\x80\x02K\x00r" + struct.pack("<I", 2**27) + b".", "another int"),
    "frame of 2^40": (b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.", "another NoneType"),
    "2^40 bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".", "arrays, got"),
    "bytearray of 2^30": (b"\x80\x05\x96" + struct.pack("<Q", 2**30) + b".", "the opcode"),
    "2^31 characters": (b"\x80\x02X" + struct.pack("<I", 2**31) + b".", "arrays, got"),
    "lists in lists": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "more than arrays"),
    "tuples in tuples": (b"\x80\x02)" + b"\x85" * 9_000 + b".", "another tuple"),
    "billion laughs": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01)cnumpy\ndtype\n)"
        + b"q\x00h\x00\x86" * 200 + b"\x85R\x89U\x00tb.", "an array of type"),
    "another codec": (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x08\x00\x00\x00punycode\x86R.",
        "arrays, got the encoding 'punycode'"),
    "laughs as a codec": (
        b"\x80\x02c_codecs\nencode\nU\x01a)" + b"q\x00h\x00\x86" * 200 + b"\x86R.",
        "arrays, got the encoding"),
    "a codec to import": (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00this\x86R.",
        "arrays, got the encoding 'this'"),
    "a function changed": (
        b"\x80\x02c_codecs\nencode\nNU\x0c__defaults__K\x01\x85\x86\x86b.", "arrays, got"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pickle_takes_no_more_than_its_bytes(tmp_path, name, pack):
    data, message = BOMBS[name]
    path = write(tmp_path / "evil.pkl", pack(data))
    imported = set(sys.modules)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read_mnist_pickle(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000
    assert set(sys.modules) == imported
    assert_is_book(read_mnist_pickle(write(path, pickle.dumps(book_parts(), 2))))


def test_array_that_never_got_its_state_is_refused(tmp_path):
    array = b"cnumpy.core.multiarray\n_reconstruct\n)R"
    data = b"\x80\x02(" + (b"(" + array * 2 + b"t") * 3 + b"t."
    with pytest.raises(ValueError, match="x and y must be numbers"):
        read_mnist_pickle(write(tmp_path / "evil.pkl", data))


# ---------------------------------------------------------------- read_npz


def test_npz_with_a_test_set(tmp_path):
    (x_train, y_train), (x_test, y_test) = digits(4, 0), digits(2, 1)
    np.savez(tmp_path / "keras.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    assert_is_small_mnist(read_npz(tmp_path / "keras.npz"))
    assert_is_small_mnist(load(tmp_path / "keras.npz"))


def test_npz_without_a_test_set(tmp_path):
    x = np.asfortranarray(np.arange(6, dtype=">f8").reshape(3, 2))
    np.savez_compressed(tmp_path / "xy.npz", x=x, y=np.array([[2], [0], [1]], "u1"))
    (read_x, read_y), test = read_npz(tmp_path / "xy.npz")
    assert test is None
    assert read_x.dtype == np.float64
    assert read_x.dtype.isnative
    assert read_x.flags.c_contiguous
    np.testing.assert_array_equal(read_x, x)
    np.testing.assert_array_equal(read_y, [2, 0, 1])
    assert read_y.dtype == np.int64


def test_npz_keeps_vectors_and_floats(tmp_path):
    for y in (np.eye(3, dtype=np.uint8), np.array([0.5, 1, 2])):
        np.savez(tmp_path / "xy.npz", x=np.ones((3, 2)), y=y)
        (_, read_y), _ = read_npz(tmp_path / "xy.npz")
        assert read_y.dtype == y.dtype
        np.testing.assert_array_equal(read_y, y)


def test_npz_of_nothing(tmp_path):
    np.savez(tmp_path / "xy.npz", x=np.ones((0, 28, 28)), y=np.ones(0, int))
    (x, y), _ = read_npz(tmp_path / "xy.npz")
    assert (x.shape, y.shape) == ((0, 784), (0,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": [1], "x": [1]}, "must hold x_train, .* or x and y, got 'a, x'$"),
        ({}, "got nothing$"),
        ({"x": [[1], [2]], "y": [1, 2, 3]}, r"got int64 \(2, 1\) and int64 \(3,\)"),
        ({"x": [1, 2], "y": [1, 2]}, r"got int64 \(2,\)"),
        ({"x": [[1], [2]], "y": 3}, r"and int64 \(\)"),
        ({"x": [[1], [2]], "y": ["a", "b"]}, "must be numbers"),
        ({"x": np.array([[{}]]), "y": [1]}, "must hold whole numeric arrays, got Object arrays"),
    ],
)
def test_npz_refuses(tmp_path, content, message):
    path = tmp_path / "xy.npz"
    np.savez(path, **{name: np.array(value) for name, value in content.items()})
    with pytest.raises(ValueError, match=message) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_npz_that_is_none_is_refused(tmp_path):
    np.savez(tmp_path / "xy.npz", x=np.ones((3, 2)), y=np.ones(3))
    whole = (tmp_path / "xy.npz").read_bytes()
    np.save(tmp_path / "x.npy", np.ones(3))
    for data in (b"", b"hello", whole[: len(whole) // 2], (tmp_path / "x.npy").read_bytes()):
        with pytest.raises(ValueError, match=r"must be an archive as numpy\.savez"):
            read_npz(write(tmp_path / "foreign.npz", data))


def test_damaged_npz_is_refused(tmp_path):
    np.savez(tmp_path / "xy.npz", x=np.ones((3, 2)), y=np.ones(3))
    data = (tmp_path / "xy.npz").read_bytes()
    data = data.replace(np.float64(1).tobytes(), np.float64(2).tobytes(), 1)
    with pytest.raises(ValueError, match="must hold whole numeric arrays, got Bad CRC-32"):
        read_npz(write(tmp_path / "xy.npz", data))


def test_npz_unpacks_what_is_needed_and_within_a_limit(tmp_path):
    path, x, y = tmp_path / "xy.npz", np.zeros((1000, 100)), np.zeros(1000, int)
    np.savez_compressed(path, x=x[:2], y=y[:2], spare=x)
    (read_x, _), _ = read_npz(path, max_bytes=10_000)
    assert read_x.shape == (2, 100)
    np.savez_compressed(path, x=x, y=y)
    with pytest.raises(ValueError, match=r"xy\.npz: .* more than max_bytes = 10,000 bytes"):
        read_npz(path, max_bytes=10_000)
    with pytest.raises(ValueError, match="more than max_bytes"):
        load(path, max_bytes=10_000)
    np.savez(path, x=x, y=y)  # it is as large itself
    read_npz(path, max_bytes=10_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_packed_without_a_limit_is_refused(tmp_path, method):
    array = io.BytesIO()
    np.save(array, np.zeros((2, 2)))
    with zipfile.ZipFile(tmp_path / "xy.npz", "w", method) as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, array.getvalue())
    with pytest.raises(ValueError, match=f"xy.npz: .*packed by method {method}"):
        read_npz(tmp_path / "xy.npz")


@pytest.mark.parametrize(("shape", "more"), [((10**6, 10**6), b""), ((1, 1), bytes(800)),
                                             ((-1, -2), b""), ((2**62, 4), b"")])
def test_npz_whose_arrays_claim_another_shape_is_refused(tmp_path, shape, more):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "xy.npz", "w") as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, header.getvalue() + bytes(8) + more)
    with pytest.raises(ValueError, match=r"xy\.npz: must hold whole numeric arrays, got"):
        read_npz(tmp_path / "xy.npz")


@pytest.mark.parametrize("reader", [read_idx, read_csv, read_mnist_pickle])
def test_gzip_unpacks_within_a_limit(tmp_path, reader):
    path = write(tmp_path / "bomb.gz", gzip.compress(bytes(1_000_000)) * 3)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"bomb\.gz: a gzip file must unpack whole, got more "
                                             r"than max_bytes = 2,000,000 bytes; give a larger"):
            reader(path, max_bytes=2_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(TypeError, match="max_bytes must be an integer"):
        reader(path, max_bytes="all")


# ---------------------------------------------------------------- read_csv


@pytest.mark.parametrize(
    ("text", "label", "x", "y"),
    [
        ("1,2,0\n3,4,1\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("1,2,0\r\n\r\n3,4,1", None, [[1, 2], [3, 4]], [0, 1]),
        ("1,2,0\n3,4,1\n", 0, [[2, 0], [4, 1]], [1, 3]),
        ("1,2,0\n3,4,1\n", -2, [[1, 0], [3, 1]], [2, 4]),
        ("a,b,c\n1,2,0\n", None, [[1, 2]], [0]),
        ("a,class,c\n1,2,0\n", None, [[1, 0]], [2]),
        ("y,label,c\n1,2,0\n", None, [[1, 0]], [2]),
        ("labels,b,c\n1,2,0\n", None, [[2, 0]], [1]),
        ("Digit,LABEL,c\n1,2,0\n", None, [[1, 0]], [2]),
        ("bottle,b,c\n1,2,0\n", None, [[1, 2]], [0]),
        (",a,b,label\n0,5,6,1\n1,7,8,0\n", None, [[5, 6], [7, 8]], [1, 0]),  # pandas' index
        ("Unnamed: 0,a,b\n0,5,6\n1,7,8\n", None, [[5], [7]], [6, 8]),
        (",a,b\n0,5,6\n1,7,8\n", 0, [[5, 6], [7, 8]], [0, 1]),
        (",a,b\n9,5,6\n9,7,8\n", None, [[9, 5], [9, 7]], [6, 8]),
        ("id,a,b\n1,5,6\n2,7,8\n", None, [[1, 5], [2, 7]], [6, 8]),
        ("a,b,c\n1,2,0\n", "a", [[2, 0]], [1]),
        ("label,0,1\n7,2,0\n", None, [[2, 0]], [7]),
        ('\ufeff"target", "b"\n"1","2"\n', None, [[2]], [1]),
        ("5,1\n", None, [[5]], [1]),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_csv(tmp_path, text, label, x, y, pack):
    read_x, read_y = read_csv(write(tmp_path / "table.csv", pack(text.encode())), label)
    assert (read_x.dtype, read_y.dtype) == (np.uint8, np.int64)
    assert read_x.flags.c_contiguous
    np.testing.assert_array_equal(read_x, x)
    np.testing.assert_array_equal(read_y, y)


@pytest.mark.parametrize(
    ("row", "x_type", "y_type"),
    [
        ("255,0,9", np.uint8, np.int64),
        ("256,0,9", np.float32, np.int64),
        ("-1,0,9", np.float32, np.int64),
        ("0.5,0,-9", np.float32, np.int64),
        ("1e1,0,9.0", np.uint8, np.int64),
        ("1,3.4028235e38,0.5", np.float32, np.float64),  # float32's largest, as it is printed
        ("1,2,1e300", np.uint8, np.float64),
    ],
)
def test_csv_types(tmp_path, row, x_type, y_type):
    x, y = read_csv(write(tmp_path / "table.csv", row.encode()))
    *features, label = map(float, row.split(","))
    assert (x.dtype, y.dtype) == (x_type, y_type)
    np.testing.assert_array_equal(x, np.array([features], x_type))
    np.testing.assert_array_equal(y, [label])


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_csv_round_trip(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    np.savetxt(path, table, delimiter=",", header="a,b,c,d", comments="")
    x, y = read_csv(path)
    np.testing.assert_array_equal(x, table[:, :3])
    np.testing.assert_array_equal(y, table[:, 3])


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("", None, "must hold rows of two numbers or more, got 0 rows of 0 fields"),
        ("a,b\n\n", None, "got 0 rows of 2 fields"),
        ("1,2\n\n3,4\n5\n", None, "line 4 must have 2 fields like the first, got 1"),
        ("a,b,c\n1,2\n", None, "line 2 must have 3 fields like the first, got 2"),
        ("1,2\n3,\n", None, "line 2 must hold numbers, got ''"),
        ("a,b\n1,2\n3,four\n", None, "line 3 must hold numbers, got 'four'"),
        ("1,two\n3,4\n", None, "line 1 must hold numbers, got 'two'"),
        ("1,2\n# 3,4\n", None, "line 2 must hold numbers, got '# 3'"),
        ("1,2\n3,1_0\n", None, "1_0"),
        ("1,2\n", 2, "must be a name in the header or an index below 2, got 2$"),
        ("1,2\n", -3, "got -3$"),
        ("1,2\n", "y", "got 'y'$"),
        ("a,b\n1,2\n", "c", "got 'c'$"),
        ("1\n2\n", None, "got 2 rows of 1 fields"),
        ("1\n" * 5000, None, "got 1000 or more rows of 1 fields"),
        ("<html>\n<body>\n", None, "got 1 rows of 1 fields"),
        ("Dear Sir,\nyours,\n", None, "line 2 must hold numbers, got 'yours'"),
    ],
)
def test_csv_refuses(tmp_path, text, label, message):
    path = write(tmp_path / "table.csv", text.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_csv(path, label)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,0\n1,nan,0\n", "line 2, column 2 must hold finite numbers, got 'nan'"),
        ("a,b,c\n\n1,2,0\n\n-Infinity,2,0\n", "line 5, column 1 must hold finite .*'-Infinity'"),
        ("a,b,c\n1,2,NaN\n", "line 2, column 3 must hold finite numbers, got 'NaN'"),
        ("1,2,0\n1,1e300,nan\n", "line 2, column 2 must hold numbers within float32, got '1e300'"),
        ("label,a\n1e300,2\n0,-3.5e38\n", "line 3, column 2 must hold numbers within float32"),
        ("1,2\r\n1,1e999\r\n", "line 2, column 2 must hold finite numbers, got '1e999'"),
        ("1,2\r3,inf\r", "line 2, column 2 must hold finite"),
    ],
)
def test_csv_refuses_what_is_not_finite(tmp_path, text, message):
    path = write(tmp_path / "table.csv", text.encode())
    with pytest.raises(ValueError, match=rf"table\.csv: {message}"):
        read_csv(path)


@pytest.mark.parametrize("head", ["label", "Label", "LABEL", "Class", "labels", "digit", "Target",
                                  "Outcome", "Species", " y "])
def test_csv_label_is_found_by_its_name(tmp_path, head):
    x, y = read_csv(write(tmp_path / "table.csv", f"{head},a,b\n5,1,2\n0,3,4\n".encode()))
    assert (x.tolist(), y.tolist()) == ([[1, 2], [3, 4]], [5, 0])


def test_csv_of_mnist_has_its_labels_first(tmp_path):
    x, y = (part[:300] for part in load_mnist()[0])
    path = tmp_path / "mnist.csv"
    for columns, same in (((y, x), True), ((x, y), True), ((y / 2, x), False)):
        np.savetxt(path, np.column_stack(columns), "%g", delimiter=",")
        read_x, read_y = read_csv(path)
        assert np.array_equal(read_y, y) is same
        assert (read_x.shape == x.shape and np.array_equal(read_x, x)) is same


def test_csv_that_is_not_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"table\.csv: a CSV file must be text, got"):
        read_csv(write(tmp_path / "table.csv", b"\x89PNG\r\n\xff\xfe"))


# ---------------------------------------------------------------- load


def test_load_by_name():
    for (x, y), (other_x, other_y) in zip(load("mnist"), load_mnist(), strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


@pytest.mark.parametrize("name", ["table.csv", "TABLE.CSV", "table.csv.gz"])
def test_load_csv(tmp_path, name):
    data = b"1,2,0\n3,4,1\n"
    path = write(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    (x, y), test = load(str(path))
    assert test is None
    assert (x.tolist(), y.tolist()) == ([[1, 2], [3, 4]], [0, 1])


@pytest.mark.parametrize("name", ["mnist.pkl", "mnist.pkl.gz"])
def test_load_pickle_leaves_the_validation_part_out(tmp_path, name):
    data = python2_pickle(book_parts())
    sets = load(write(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data))
    for (x, y), part in zip(sets, (0, 2), strict=True):
        np.testing.assert_array_equal(x, book_parts()[part][0])
        np.testing.assert_array_equal(y, book_parts()[part][1])


@pytest.mark.parametrize("images", ["train-images-idx3-ubyte", "train-images.idx3-ubyte"])
@pytest.mark.parametrize("packed", ["", "images", "labels"])
def test_load_images_with_the_labels_beside_them(tmp_path, images, packed):
    labels = images.replace("images", "labels").replace("idx3", "idx1")
    x, y = digits(4, 0)
    paths = []
    for name, array in ((images, x), (labels, y)):
        data = idx(array)
        if packed and packed in name:
            paths.append(write(tmp_path / f"{name}.gz", gzip.compress(data)))
        else:
            paths.append(write(tmp_path / name, data))
    (read_x, read_y), test = load(paths[0])
    assert test is None
    np.testing.assert_array_equal(read_x, x.reshape(4, 784))
    np.testing.assert_array_equal(read_y, y)
    paths[1].unlink()
    with pytest.raises(FileNotFoundError, match="must have its labels beside it, missing train-la"):
        load(paths[0])


@pytest.mark.parametrize("source", ["minst", "data.parquet", "labels-idx1-ubyte"])
def test_load_refuses_what_it_does_not_know(source):
    with pytest.raises(ValueError, match=r"one of mnist, mnist-full, a folder, .*\.npz, \.csv"):
        load(source)


def test_load_of_an_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.npz")


# ---------------------------------------------------------------- damaged files of every kind


def damage(draw, content):
    """Change a few bytes, or how many there are."""
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(len(content) + 1)
        content[at : at + draw.choice([0, 1, 1, 4])] = draw.choice(
            [b"", b"\xff" * 4, b"\xff\xff\xff\x7f", b"nan", draw.randbytes(1), draw.randbytes(4)]
        )
    return bytes(content)


def archive_of(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


TINY = ((np.zeros((2, 3), np.float32), np.arange(2)),) * 3
KINDS = {
    "idx": (read_idx, lambda damage: damage(idx(np.arange(24, dtype=">i4").reshape(2, 3, 4)))),
    "idx.gz": (read_idx, lambda damage: damage(gzip.compress(idx(np.arange(6, dtype="u1"))))),
    "csv": (read_csv, lambda damage: damage(b'label,"a",b\n3,0.5,1\n\n1,"2",-2.5e-3\n')),
    "npz": (
        read_npz, lambda damage: damage(archive_of({"x.npy": npy([[1.0]]), "y.npy": npy([1])}))),
    "npy in npz": (
        read_npz, lambda damage: archive_of({"x.npy": damage(npy([[1.0]])), "y.npy": npy([1])})),
    **{
        f"pickle {protocol}": (
            read_mnist_pickle,
            lambda damage, p=protocol: damage(pickle.dumps(TINY, p)),
        ) for protocol in (0, 2, 4)
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Reading `.npy`")
def test_damage_is_harmless_or_an_error_of_one_line(tmp_path, kind):
    reader, make = KINDS[kind]
    draw, refused = random.Random(3), []
    reader(write(tmp_path / "whole", make(bytes)))
    for _ in range(300):
        path = write(tmp_path / "damaged", make(lambda content: damage(draw, content)))
        try:
            reader(path)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in refused)


def test_blank_lines_are_counted_and_cost_nothing(tmp_path):
    path, events = tmp_path / "blank.csv", 0

    def count(*_):
        nonlocal events
        events += 1
        return count

    before = sys.gettrace()
    for newline in ("\n", "\r\n", "\r", " \t\n"):
        blank = newline * 100_000
        path.write_text(f"\ufeff{blank}a,b{newline}{blank}1,2{newline}3,x", "utf-8", newline="")
        sys.settrace(count)
        try:
            with pytest.raises(ValueError, match=r"line 200003 must hold .*'x'$"):
                read_csv(path)
        finally:
            sys.settrace(before)
        path.write_text(f"{blank}a,b{newline}{blank}1,2{newline}3,4{blank}", "utf-8", newline="")
        x, y = read_csv(path)
        assert (x.tolist(), y.tolist()) == ([[1], [3]], [2, 4])
    assert events < 10_000  # one for every blank line would be more
