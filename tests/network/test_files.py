"""Networks that are copied, pickled, saved and loaded; and files that are damaged, or not ours."""

import copy
import errno
import gzip
import io
import itertools
import json
import multiprocessing
import os
import pickle
import random
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest

from cbackprop import DivergenceError, Network, files, storage
from cbackprop.book import network2
from cbackprop.callbacks import Checkpoint
from cbackprop.convert import export_onnx
from cbackprop.tables.preprocessing import Preprocessing

SETTINGS = [
    {},
    {"dtype": "float64", "activation": "tanh"},
    {"activation": "relu", "output_activation": "identity", "input_scale": 0.1},
    {"cost": "cross_entropy", "input_scale": np.linspace(-1, 1, 6)},
    {"cost": "log_likelihood", "dtype": "float64", "input_scale": np.linspace(0.1, 0.7, 6)},
    {"cost": "quadratic", "output_activation": "softmax", "initializer": "large"},
]


def data(n=40):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 6)), rng.integers(0, 3, n)


def network(**settings):
    return Network([6, 5, 3], **{"seed": 0} | settings)


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


def assert_same(net, other):
    """The same settings, the same bits in every parameter."""
    assert repr(net) == repr(other)
    assert net.sizes == other.sizes
    assert np.array_equal(net.input_scale, other.input_scale)
    assert np.asarray(net.input_scale).dtype == np.asarray(other.input_scale).dtype
    for a, b in zip((*net.weights, *net.biases), (*other.weights, *other.biases), strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    x, _ = data()
    assert np.array_equal(net.feedforward(x), other.feedforward(x))


# ---- copies ----

COPIES = {
    "copy method": Network.copy,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    **{f"pickle protocol {p}": lambda net, p=p: pickle.loads(pickle.dumps(net, p))
       for p in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "copy of a copy": lambda net: net.copy().copy(),
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_the_same_and_trains_the_same(how, settings):
    net = network(**settings)
    net.SGD(data(), 1, 7, 0.1)  # the generator is somewhere on its way
    other = COPIES[how](net)
    assert other is not net
    assert_same(net, other)
    first = other.SGD(data(), 2, 7, 0.1)  # the copy first: the original must not notice
    second = net.SGD(data(), 2, 7, 0.1)
    assert first.cost == second.cost
    assert_same(net, other)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_independent(how):
    net = network(input_scale=np.linspace(1, 2, 6))
    before, x = parameters(net), data()[0]
    output = net.feedforward(x)
    other = COPIES[how](net)
    other.SGD(data(), 1, 7, 0.1)
    other.weights[0][...] = 5
    other.biases = [b * 0 for b in other.biases]
    assert np.array_equal(parameters(net), before)
    assert np.array_equal(net.feedforward(x), output)
    kept = parameters(other)
    net.SGD(data(), 1, 7, 0.1)
    assert np.array_equal(parameters(other), kept)


def test_a_copy_has_its_own_generator():
    generator = np.random.default_rng(3)
    net = network(seed=generator)
    other = net.copy()
    state = generator.bit_generator.state
    other.SGD(data(), 1, 7, 0.1)
    assert generator.bit_generator.state == state


class Named(Network):
    """A user's own class, with an __init__ and an attribute of its own."""

    def __init__(self, name):
        super().__init__([6, 5, 3], seed=0)
        self.name = name


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_users_own_class(how):
    net = Named("mine")
    net.SGD(data(), 1, 7, 0.1)
    other = COPIES[how](net)
    assert type(other) is Named
    assert other.name == "mine"
    assert_same(net, other)
    assert net.SGD(data(), 1, 7, 0.1).cost == other.SGD(data(), 1, 7, 0.1).cost


def test_a_copy_survives_the_original():
    net = network()
    other, expected = net.copy(), parameters(net)
    del net
    filler = [network(seed=1) for _ in range(10)]
    assert np.array_equal(parameters(other), expected)
    assert len(filler) == 10


def test_another_process_trains_the_same_bits():
    net = network(dtype="float64", input_scale=np.linspace(1, 2, 6))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        back = processes.submit(Network.copy, net)
        history = processes.submit(Network.SGD, net, data(), 2, 7, 0.1)
        assert_same(back.result(60), net)
        assert history.result(60).cost == net.SGD(data(), 2, 7, 0.1).cost


# ---- save and load ----


@pytest.fixture(params=files.FORMATS)
def path(request, tmp_path):
    """Where a file of each format goes."""
    try:
        files.FORMATS[request.param].need("a test")
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    return tmp_path / f"net{request.param or '.npz'}"


FRAME = {"age": [20.0, 40.0, None, 50.0], "city": ["Rome", "Oslo", None, "Rome"],
         "member": [True, False, True, True]}


def network_of_a_table():
    net = network()  # age, age missing, Oslo, Rome, another city, member
    net.preprocessing = Preprocessing.fit(
        FRAME | {"who": list("abcd"), "joins": [1, 2, 3, 4]}, target="joins",
        left_out={"who": "a name"})
    net.classes = ("no", "perhaps", 3.5)
    return net


def test_columns_and_classes_go_into_a_file(path):
    net = network_of_a_table()
    net.save(path)
    assert_same_tables(net, Network.load(path))


@pytest.mark.parametrize("how", COPIES)
def test_columns_and_classes_go_with_a_copy(how):
    net = network_of_a_table()
    assert_same_tables(net, COPIES[how](net))


def assert_same_tables(net, other):
    assert_same(net, other)
    assert other.preprocessing == net.preprocessing
    assert other.preprocessing.left_out == {"who": "a name"}
    assert other.classes == ("no", "perhaps", 3.5)
    assert np.array_equal(other.feedforward(FRAME), net.feedforward(net.preprocessing.transform(
        FRAME)))
    y = ["no", 3.5, "perhaps", "no"]
    assert other.total_cost((FRAME, y)) == network().total_cost(
        (net.preprocessing.transform(FRAME), [0, 2, 1, 0]))
    other.classes = other.preprocessing = None
    assert net.classes is not None
    assert net.evaluate((FRAME, y)) in range(5)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_file_gives_the_network_back(settings, path):
    net = network(**settings)
    net.SGD(data(), 1, 7, 0.1)
    assert net.save(path) is None
    other = Network.load(path)
    assert_same(net, other)
    assert net.SGD(data(), 2, 7, 0.1).cost == other.SGD(data(), 2, 7, 0.1).cost
    assert_same(net, other)


@pytest.mark.parametrize("optimizer", ["momentum", "adagrad", "adam", "rprop"])
def test_a_loaded_network_goes_on_with_the_same_bits(optimizer, path):
    how = {"optimizer": optimizer, "dropout": 0.2, "noise": 0.1}
    net = network(activation=[{"relu": 2, ("elu", 0.5): 3}, "softmax"])
    net.SGD(data(), 2, 7, 0.01, data(), **how)
    net.save(path)
    other = Network.load(path)
    assert other.history == net.history
    assert len(other.history.accuracy) == 2
    assert net.SGD(data(), 2, 7, 0.01, **how).cost == other.SGD(data(), 2, 7, 0.01, **how).cost
    assert_same(net, other)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_the_random_order_goes_on(kind, path):
    net = network(seed=np.random.Generator(getattr(np.random, kind)(5)))
    net.SGD(data(), 1, 7, 0.1)
    net.save(path)
    assert Network.load(path).SGD(data(), 1, 7, 0.1).cost == net.SGD(data(), 1, 7, 0.1).cost


class Foreign(np.random.PCG64):
    """A bit generator that is not NumPy's."""

    @property
    def state(self):
        return super().state | {"bit_generator": "Foreign"}


def test_a_foreign_random_state_is_left_out(path):
    net = network(seed=np.random.Generator(Foreign(5)))
    net.save(path)
    assert_same(Network.load(path), net)


def test_the_history_is_of_the_last_training(path):
    net = network()
    assert net.history is None
    net.save(path)
    assert Network.load(path).history is None
    assert net.SGD(data(), 2, 7, 0.1) is net.history
    with pytest.raises(DivergenceError):
        net.SGD(data(), 2, 7, 1e300)
    assert len(net.history) == 2  # no epoch was finished: the parameters are those it belongs to
    seen = []
    net.SGD(data(), 3, 7, 0.1, callbacks=[
        lambda *_: (net.save(path), seen.append(len(Network.load(path).history)))])
    assert seen == [1, 2, 3]
    twin = net.copy()
    twin.SGD(data(), 1, 7, 0.1)
    assert (len(net.history), len(twin.history)) == (3, 1)


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1])
def test_a_training_that_drew_any_seed_goes_on_from_a_file(seed, path, monkeypatch):
    net = network()
    monkeypatch.setattr(net.engine, "seed", lambda: seed)
    net.SGD(data(), 2, 7, 0.1, validation_split=0.2, dropout=0.1)
    net.save(path)
    found = Network.load(path)
    assert found.history == net.history
    assert found.history.seed == seed


def test_the_history_of_lbfgs(path):
    pytest.importorskip("scipy")
    net = network(dtype="float64")
    assert net.LBFGS(data(), 5) is net.history
    net.save(path)
    assert Network.load(path).history == net.history


def test_another_library_reads_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    torch = pytest.importorskip("torch")
    from safetensors import safe_open
    from safetensors.torch import load_file

    net = network(dtype="float64", input_scale=np.linspace(1, 2, 6))
    net.SGD(data(), 1, 7, 0.1, optimizer="momentum")
    net.save(tmp_path / "net.safetensors")
    tensors = load_file(tmp_path / "net.safetensors")
    assert sorted(tensors) == ["biases_0", "biases_1", "input_scale", "memory_0", "memory_1",
                               "memory_2", "memory_3", "weights_0", "weights_1"]
    a = torch.from_numpy(data()[0]) * tensors["input_scale"]
    for layer in range(2):
        a = torch.sigmoid(a @ tensors[f"weights_{layer}"].T + tensors[f"biases_{layer}"].T)
    np.testing.assert_allclose(a.numpy(), net.feedforward(data()[0]), 1e-12)
    with safe_open(tmp_path / "net.safetensors", "np") as file:
        header = json.loads(file.metadata()["header"])
    assert header["settings"]["sizes"] == [6, 5, 3]


@pytest.mark.parametrize(
    "name", ["net.npz", "net", "net.bin", "a b.npz", "é.npz", "é.safetensors", "NET.SAFETENSORS"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_path_is_taken_as_it_is(kind, name, tmp_path):
    if name.lower().endswith(".safetensors"):
        pytest.importorskip("safetensors")
    path = kind(tmp_path / name)
    network().save(path)
    assert os.listdir(tmp_path) == [name]
    assert_same(Network.load(path), network())


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network().save("net.npz")
    assert_same(Network.load("net.npz"), network())
    assert os.listdir(tmp_path) == ["net.npz"]


def test_saving_replaces_what_was_there(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(b"x" * 100_000)
    network(seed=1).save(path)
    network(seed=2).save(path)
    assert_same(Network.load(path), network(seed=2))
    assert os.listdir(tmp_path) == ["net.npz"]


def test_a_file_holds_no_pickled_objects(tmp_path):
    network().save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fU" for name in arrays.files)


def test_a_loaded_network_lets_go_of_its_file(tmp_path):
    network().save(tmp_path / "net.npz")
    net = Network.load(tmp_path / "net.npz")
    (tmp_path / "net.npz").unlink()
    assert_same(net, network())


# ---- writing fails ----


def fail(error):
    def failing(*_args, **_kwargs):
        raise error
    return failing


def write_some_and_fail(file, *_args, **_kwargs):
    file.write(b"PK half a file")
    raise OSError(errno.ENOSPC, "No space left on device")


FAILURES = {
    "disk full at fsync": ("os.fsync", fail(OSError(errno.ENOSPC, "No space left on device"))),
    "disk full while writing": ("numpy.savez", write_some_and_fail),
    "rename refused": ("os.replace", fail(OSError(errno.EACCES, "Permission denied"))),
    "Ctrl-C": ("os.fsync", fail(KeyboardInterrupt())),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("there", [True, False])
def test_a_failed_save_leaves_what_was_there(failure, there, tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    if there:
        network(seed=1).save(path)
    before = path.read_bytes() if there else None
    where, replacement = FAILURES[failure]
    with monkeypatch.context() as patched:
        patched.setattr(where, replacement)
        with pytest.raises(KeyboardInterrupt if failure == "Ctrl-C" else OSError):
            network(seed=2).save(path)
    assert os.listdir(tmp_path) == (["net.npz"] if there else [])
    if there:
        assert path.read_bytes() == before
    network(seed=2).save(path)
    assert_same(Network.load(path), network(seed=2))


FULL_DISK = """
import resource, signal, sys
from cbackprop import DivergenceError, Network, storage
from cbackprop.book import network2
from cbackprop.callbacks import Checkpoint
from cbackprop.convert import export_onnx
path, limit = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    Network([50, 40, 10], seed=2).save(path)
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is of POSIX")
@pytest.mark.parametrize("limit", [0, 1, 100, 3000, 9000])
def test_a_file_system_that_takes_no_more(limit, tmp_path):
    path = tmp_path / "net.npz"
    network(seed=1).save(path)
    run = subprocess.run([sys.executable, "-W", "error", "-c", FULL_DISK, str(path), str(limit)],
                         capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr, run.returncode) == ("OSError\n", "", 0)
    assert os.listdir(tmp_path) == ["net.npz"]
    assert_same(Network.load(path), network(seed=1))


# ---- what is in the way ----

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes, fifos and locks are of POSIX")


def checkpoint(path):
    network().SGD(data(), 1, 7, 0.1, callbacks=[Checkpoint(path)])


def exported(path):
    pytest.importorskip("onnx")
    export_onnx(network(), path)


SAVERS = {
    "save": lambda path: network(seed=2).save(path),
    "the book's": lambda path: network2.Network([2, 3, 1]).save(path),
    "checkpoint": checkpoint,
    "onnx": exported,
}
savers = pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)


@savers
def test_a_folder_that_is_not_there(save, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing'$"):
        save(tmp_path / "missing" / "net.npz")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file'$"):
        save(tmp_path / "file" / "net.npz")
    assert os.listdir(tmp_path) == ["file"]


@savers
def test_a_folder_in_the_way(save, tmp_path):
    (tmp_path / "net.npz").mkdir()
    with pytest.raises(IsADirectoryError, match=r"net\.npz"):
        save(tmp_path / "net.npz")
    assert os.listdir(tmp_path) == ["net.npz"]
    assert os.listdir(tmp_path / "net.npz") == []


@POSIX
@savers
def test_a_fifo_or_a_device_is_refused_by_its_name(save, tmp_path):
    os.mkfifo(tmp_path / "net.npz")
    for path in (tmp_path / "net.npz", os.devnull):
        mode = os.stat(path).st_mode
        with pytest.raises(OSError, match=f"Not a regular file.*{path}"):
            save(path)
        assert os.stat(path).st_mode == mode
    assert os.listdir(tmp_path) == ["net.npz"]


@savers
def test_where_nothing_can_be_made_the_name_that_was_given_is_said(save, tmp_path, monkeypatch):
    really = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return really(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=rf"{tmp_path}.net.npz'$"):
        save(tmp_path / "net.npz")
    monkeypatch.undo()
    if os.path.isdir("/proc/self") and os.access("/proc", os.W_OK):
        with pytest.raises(OSError, match=r"'/proc/net.npz'$"):
            save("/proc/net.npz")


def test_a_checkpoint_that_cannot_be_made_is_found_out_before_the_first_epoch(
        tmp_path, monkeypatch):
    monkeypatch.setattr("cbackprop.storage._claimed", lambda *_: os.open(tmp_path / "no/no", 0))
    epochs = []
    with pytest.raises(FileNotFoundError, match=r"net.npz'$"):
        network().SGD(data(), 3, 5, 0.1, callbacks=[
            Checkpoint(tmp_path / "net.npz"), lambda *_: epochs.append(1)])
    assert epochs == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
@savers
def test_a_folder_that_may_not_be_written_to(save, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=f"{tmp_path}'$"):
            save(tmp_path / "net.npz")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(("path", "settings", "error"), [
    ("missing/net.npz", {}, FileNotFoundError),
    ("net.npz", {"activation": None}, TypeError),  # replaced by the user's own
    ("net.safetensors", {}, ModuleNotFoundError),
])
def test_a_checkpoint_is_refused_before_the_first_epoch(path, settings, error, tmp_path,
                                                        monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    if settings:
        from cbackprop import Activation

        settings = {"activation": Activation(np.sin, np.cos)}
    net = network(**settings)
    before = parameters(net)
    with pytest.raises(error):
        net.SGD(data(), 1, 7, 0.1, callbacks=[Checkpoint(tmp_path / path)])
    assert np.array_equal(parameters(net), before)
    assert net.history is None


# ---- what a file is beside its content ----


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
@savers
def test_the_mode_of_what_is_replaced_is_kept(save, mode, tmp_path):
    path = tmp_path / "net.npz"
    path.touch()
    path.chmod(mode)
    save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.stat().st_size > 0


@POSIX
@savers
def test_a_new_file_has_the_mode_that_open_gives(save, tmp_path):
    before = os.umask(0o027)
    try:
        save(tmp_path / "net.npz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == 0o640


@POSIX
def test_what_is_private_is_so_while_it_is_written(tmp_path):
    path = tmp_path / "net.npz"
    path.touch()
    path.chmod(0o600)
    with storage.replacing(path) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives away")
def test_the_owner_of_what_is_replaced_is_kept(tmp_path):
    path = tmp_path / "net.npz"
    path.touch()
    path.chmod(0o4755)
    os.chown(path, 12345, 23456)
    network().save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755  # kept, or taken by chown above


@POSIX
def test_an_owner_that_may_not_be_kept(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    path.touch()
    path.chmod(0o640)
    real, asked = os.stat, []
    monkeypatch.setattr(os, "fchown", lambda *owner: asked.append(owner) or fail(
        PermissionError(errno.EPERM, "not allowed"))())
    monkeypatch.setattr(os, "fstat", lambda file: os.stat_result(
        (*real(file)[:4], 1, 2, *real(file)[6:])))
    network().save(path)
    assert len(asked) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert_same(Network.load(path), network())


@POSIX
def test_a_link_stays_one(tmp_path):
    link = tmp_path / "link.npz"
    link.symlink_to("net.npz")
    network(seed=1).save(link)  # what it points to is made
    network(seed=2).save(link)
    assert link.is_symlink()
    assert_same(Network.load(tmp_path / "net.npz"), network(seed=2))


def test_a_name_as_long_as_a_name_may_be(tmp_path):
    name = "é" * 125 + ".npz"
    network().save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


@POSIX
def test_the_folder_is_synchronised_after_the_name_is_there(tmp_path, monkeypatch):
    seen, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(
        (stat.S_ISDIR(os.fstat(file).st_mode), "net.npz" in os.listdir(tmp_path))) or fsync(file))
    network().save(tmp_path / "net.npz")
    assert seen == [(False, False), (True, True)]


KILLED = """
import os, signal, sys
import numpy as np
from cbackprop import Network
def savez(file, *_, **__):
    file.write(b"PK half a file")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
np.savez = savez
Network([6, 5, 3]).save(sys.argv[1])
"""


@POSIX
def test_what_a_killed_process_left_is_removed_by_the_next_save(tmp_path):
    path = tmp_path / "net.npz"
    network(seed=1).save(path)
    (tmp_path / ".net.npz.mine.tmp").touch()  # of another's making
    run = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    assert run.returncode == -9
    assert len(os.listdir(tmp_path)) == 3
    network().save(tmp_path / "other.npz")
    assert len(os.listdir(tmp_path)) == 4  # which belongs to another path
    assert_same(Network.load(path), network(seed=1))
    network(seed=2).save(path)
    assert sorted(os.listdir(tmp_path)) == [".net.npz.mine.tmp", "net.npz", "other.npz"]


def test_savers_of_one_path_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "net.npz"
    with storage.replacing(path) as file:
        file.write(b"the first")
        network().save(path)
        assert_same(Network.load(path), network())
    assert path.read_bytes() == b"the first"
    assert os.listdir(tmp_path) == ["net.npz"]


# ---- file objects ----


def test_a_file_object_is_written_to_and_read_from_where_it_is():
    net, file = network(), io.BytesIO(b"before")
    file.seek(6)
    net.SGD(data(), 1, 7, 0.1, optimizer="adam")
    net.save(file)
    assert file.getvalue()[:6] == b"before"
    file.seek(6)
    assert_same(Network.load(file), net)
    with np.load(io.BytesIO(file.getvalue()[6:])) as arrays:
        assert "weights_0" in arrays


@pytest.mark.parametrize("open_it", [
    open, partial(open, buffering=0), gzip.open])
def test_files_that_others_opened(open_it, path):
    with open_it(path, "wb") as file:
        network().save(file)
        assert not file.closed
    with open_it(path, "rb") as file:
        assert_same(Network.load(file), network())


def test_a_stream_that_cannot_seek():
    class Stream:
        """All that is asked of one."""

        content = b""

        def write(self, part):
            self.content += bytes(part[:1000])  # as a raw one may
            return len(part[:1000])

        def read(self, size):
            part, self.content = self.content[:size], self.content[size:]
            return part

    stream = Stream()
    network().save(stream)
    assert_same(Network.load(stream), network())


@pytest.mark.parametrize("kind", [io.StringIO, io.BytesIO])
def test_the_books_files_as_objects(kind):
    net, file = network2.Network([2, 3, 1]), kind()
    net.save(file)
    file.seek(0)
    other = network2.load(file)
    assert other.sizes == [2, 3, 1]
    for one, two in zip([*net.weights, *net.biases], [*other.weights, *other.biases], strict=True):
        np.testing.assert_array_equal(one, two)


def test_onnx_into_a_file_object(tmp_path):
    pytest.importorskip("onnx")
    file = io.BytesIO()
    export_onnx(network(), file)
    export_onnx(network(), tmp_path / "net.onnx")
    assert file.getvalue() == (tmp_path / "net.onnx").read_bytes()


@pytest.mark.parametrize("what", [None, 3, io.StringIO(), [1]])
def test_what_is_no_path_and_no_file_object(what):
    with pytest.raises(TypeError, match="path must be a path, or a file object that can write"):
        network().save(what)
    with pytest.raises(TypeError, match="path must be a path, or a file object that can read"):
        Network.load(what)


def test_a_file_object_at_its_end_and_an_empty_path():
    file = io.BytesIO()
    network().save(file)
    with pytest.raises(ValueError, match=r"^a BytesIO must have bytes left to read.*seek\(0\)"):
        Network.load(file)
    for path in ("", b""):
        with pytest.raises(FileNotFoundError, match="The path is empty"):
            network().save(path)


def test_a_failed_save_writes_nothing_to_a_file_object(monkeypatch):
    monkeypatch.setattr(np, "savez", write_some_and_fail)
    file = io.BytesIO()
    with pytest.raises(OSError, match="No space"):
        network().save(file)
    assert file.getvalue() == b""


# ---- reading what is damaged, or not ours ----


@pytest.fixture
def saved(tmp_path):
    """A path, and the bytes of a good file there."""
    path = tmp_path / "net.npz"
    network(input_scale=np.linspace(1, 2, 6)).save(path)
    return path, path.read_bytes()


def refused(path, match="net.npz is not"):
    with pytest.raises(ValueError, match=match) as error:
        Network.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def rewritten(path, change):
    """Write the file again, its arrays changed."""
    with np.load(path) as arrays:
        contents = dict(arrays)
    header = json.loads(str(contents["header"]))
    change(contents, header)
    if "header" in contents:
        contents["header"] = np.array(json.dumps(header))
    np.savez(path, **contents)


STATES = {
    "MT19937": [("pos", 10**9), ("pos", 625), ("pos", -1), ("pos", 0.5), ("pos", None),
                ("key", [0] * 624), ("key", [1] + [0] * 623), ("key", [1] * 625),
                ("key", [-1] * 624)],
    "Philox": [("buffer_pos", 5), ("buffer_pos", -1), ("buffer_pos", 2**31 - 1),
               ("buffer", [1] * 5), ("counter", [1] * 3), ("has_uint32", 7), ("uinteger", 2**32)],
    "PCG64": [("inc", 2), ("inc", 2**128 + 1), ("state", -1), ("has_uint32", 2), ("uinteger", -1)],
    "PCG64DXSM": [("inc", 0), ("state", 2**128)],
    "SFC64": [("state", [1, 2, 3]), ("state", [1, 2, 3, 2**64]), ("has_uint32", -1)],
}


@pytest.mark.parametrize(("kind", "name", "value"), [
    (kind, *change) for kind, changes in STATES.items() for change in changes])
def test_a_random_state_out_of_its_range_is_refused(kind, name, value, tmp_path):
    path = tmp_path / "net.npz"
    network(seed=np.random.Generator(getattr(np.random, kind)(5))).save(path)

    def change(_, header):
        for state in (header["random"], header["random"]["state"]):
            if name in state and not isinstance(state[name], dict):
                state[name] = value

    rewritten(path, lambda *_: None)
    Network.load(path)
    rewritten(path, change)
    refused(path)


@pytest.mark.parametrize(("change", "match"), [
    (lambda arrays, _: arrays["weights_0"].fill(np.nan), r"weights\[0\] must be finite, got nan"),
    (lambda arrays, _: arrays["biases_1"].fill(-np.inf), r"biases\[1\] must be finite, got -inf"),
    (lambda arrays, _: arrays.update(weights_1=np.full((3, 5), 1e300)), r"weights\[1\] must be fi"),
    (lambda arrays, _: arrays.update(memory_0=arrays["memory_0"].astype(str)), "memory must hold"),
    (lambda _, header: header["optimizer"].update(steps=-1), "steps of the optimizer must be"),
    (lambda _, header: header["history"].update(cost=[0.5]), "of the history must be 1 numbers"),
    (lambda _, header: header["history"].update(cost=[0.5, "a"]), "cost of the history must be 2"),
    (lambda _, header: header["history"].update(cost="ab"), "of the history must be 0 numbers"),
    (lambda _, header: header["history"].update(cost=[0.5, [1]]), "cost of the history must be 2"),
    (lambda _, header: header["history"].update(eta=[]), "eta of the history must be 2 numbers"),
    (lambda _, header: header["history"].update(accuracy=[1, 1]), "accuracy of the history must"),
    (lambda _, header: header["history"].update(recorded=["cost", "to_frame"]), "history must be"),
    (lambda _, header: header["history"].update(rows=-1), "rows of the history must be an integer"),
    (lambda _, header: header["history"].update(seed=2**64), "seed of the history must be"),
    (lambda _, header: header["history"].update(seed=-1), "seed of the history must be"),
    (lambda _, header: header["history"].update(seed=True), "seed of the history must be"),
    (lambda _, header: header["history"].update(more=[]), "more"),
    *[(lambda _, header, value=value: header.update(history=value), "")
      for value in ([1], [], "", False)],
    *[(lambda _, header, value=value: header.update(trained_on=value), "")
      for value in ([1], [], "", False)],
    (lambda _, header: header.update(version="3"), "version must be an integer"),
])
def test_numbers_that_no_network_would_have_are_refused(change, match, tmp_path):
    path = tmp_path / "net.npz"
    net = network()
    net.SGD(data(), 2, 7, 0.1, optimizer="momentum")
    net.save(path)
    rewritten(path, change)
    refused(path, f"is not a .*: .*{match}")


@pytest.mark.parametrize(("change", "match"), [
    (lambda arrays, _: arrays.pop("preprocessing"), "preprocessing"),
    (lambda arrays, _: arrays.update(preprocessing=arrays["preprocessing"][:-1]), "three finite"),
    (lambda arrays, _: arrays["preprocessing"].fill(np.nan), "three finite"),
    (lambda arrays, _: arrays["preprocessing"].fill(0), "three finite"),
    (lambda arrays, _: arrays.update(preprocessing=np.array("a")), "three finite"),
    *[(lambda _, header, value=value: header.update(preprocessing=value), "")
      for value in ({}, [], 0, "age", [1], {"columns": ["age"]})],
    *[(lambda _, header, key=key, value=value: header["preprocessing"].update({key: value}), "")
      for key in ("columns", "kinds", "indicators", "categories", "names", "target", "left_out",
                  "named")
      for value in (None, [], [1, 2, 3], ["a", "a", "b"], {"who": 1})],
    (lambda _, header: header["preprocessing"].update(more=1), "as it was saved"),
    (lambda _, header: header["preprocessing"]["categories"][1].insert(0, "Bonn"), r"sizes\[0\]"),
    (lambda _, header: header["preprocessing"]["categories"][0].append("Bonn"), "categories"),
    *[(lambda _, header, value=value: header.update(classes=value), "classes must be 3")
      for value in ([], 3, "abc", ["a", "b"], ["a", "b", "b"], [["a"], "b", "c"], [None, 1, 2])],
])
def test_columns_and_classes_that_are_damaged_are_refused(change, match, tmp_path):
    path = tmp_path / "net.npz"
    network_of_a_table().save(path)
    rewritten(path, lambda *_: None)
    Network.load(path)
    rewritten(path, change)
    refused(path, f"is not a .*: .*{match}")


def test_what_could_not_be_loaded_is_not_saved(path):
    net = network()
    net.save(path)
    net.weights[1][2, 3] = np.nan
    with pytest.raises(ValueError, match=r"^weights\[1\] must be finite, got nan at \[2, 3\]$"):
        net.save(path)
    assert_same(Network.load(path), network())


def book_file(**changes):
    return json.dumps({"sizes": [2, 1], "weights": [[[1.0, 2.0]]], "biases": [[[0.5]]],
                       "cost": "QuadraticCost"} | changes)


@pytest.mark.parametrize(("text", "match"), [
    (book_file(sizes=[20000, 20000]), "weights of shapes .* for sizes"),
    (book_file(sizes=[20000, 20000], weights=[]), "weights of shapes"),
    (book_file(weights=[[[1.0, np.nan]]]), r"weights\[0\] must be finite, got nan"),
    (book_file(biases=[[[np.inf]]]), r"biases\[0\] must be finite, got inf"),
    (book_file(weights=[[[10**400, 1]]]), "too large"),
    (book_file(cost=[]), ""),
    ("[" * 100_000, "recursion"),
    (b"\xff\xfe\xfa", ""),
])
def test_a_book_file_of_a_stranger_is_refused_before_anything_is_drawn(
        text, match, tmp_path, monkeypatch):
    path = tmp_path / "net.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.setattr(np.random, "randn", fail(AssertionError("drawn")))
    with pytest.raises(ValueError, match=f"net.json is not a network of the book's: .*{match}"):
        network2.load(path)


def test_sizes_ask_for_no_memory_before_the_weights_are_seen(saved, monkeypatch):
    path, _ = saved
    rewritten(path, lambda _, header: header["settings"].update(sizes=[20000, 20000, 20000]))
    monkeypatch.setattr(Network, "__init__", fail(AssertionError("made")))
    refused(path, "weights of shapes .* for sizes")


def test_what_a_file_may_unpack_to(saved):
    path, whole = saved
    with np.load(path) as arrays:
        contents = dict(arrays)
    np.savez_compressed(path, spare=np.zeros(300_000), **contents)  # which nobody asks for
    good = Network.load(path, max_bytes=100_000)
    assert len(path.read_bytes()) < 10_000
    contents["weights_0"] = np.zeros((5, 300_000))
    np.savez_compressed(path, **contents)
    with pytest.raises(ValueError, match=r"net\.npz .* more than max_bytes = 100,000 bytes; give a "
                                         r"larger max_bytes"):
        Network.load(path, max_bytes=100_000)
    path.write_bytes(whole)
    assert_same(Network.load(path, max_bytes=0), good)  # not packed
    with pytest.raises(ValueError, match="more than max_bytes = 100 bytes"):
        Network.load(io.BytesIO(whole), max_bytes=100)
    for bad, error in ((-1, ValueError), ("much", TypeError)):
        with pytest.raises(error, match="max_bytes must be an integer"):
            Network.load(path, max_bytes=bad)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_without_a_limit_is_refused(method, saved):
    path, _ = saved
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    refused(path, f"packed by method {method}")


STRANGE = (0, -1, 2**31, 2**64, 10**400, 0.5, float("nan"), "", "relu", None, True, [], {}, [[1]])


def changed_bytes(draw, content):
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 4])):
        at = draw.randrange(len(content))
        content[at:at + draw.choice([0, 1, 4])] = draw.randbytes(draw.choice([0, 1, 4]))
    return bytes(content)


def changed_tree(draw, tree):
    """Change one thing anywhere in what JSON held."""
    places = [(tree, key) for key in (tree if isinstance(tree, dict) else range(len(tree)))]
    for at in itertools.count():
        if at == len(places):
            break
        inner = places[at][0][places[at][1]]
        if isinstance(inner, (dict, list)):
            places += [(inner, key) for key in (inner if isinstance(inner, dict)
                                                else range(len(inner))[:9])]
    of, key = draw.choice(places)
    of[key] = draw.choice(STRANGE)
    return tree


@pytest.mark.parametrize("kind", ["npz", "safetensors", "json"])
def test_whatever_is_in_a_file_it_is_an_error_of_one_line(kind, tmp_path):
    if kind == "safetensors":
        pytest.importorskip("safetensors")
    draw, path = random.Random(5), tmp_path / f"net.{kind}"
    refused = []
    for at in range(100):
        net = network(seed=np.random.Generator([np.random.MT19937, np.random.Philox][at % 2](1)))
        if kind == "json":
            network2.Network([3, 2, 1]).save(path)
            content = (changed_bytes(draw, path.read_bytes()) if at % 3 == 0 else
                       json.dumps(changed_tree(draw, json.loads(path.read_text()))).encode())
            path.write_bytes(content)
        elif kind == "npz":
            net.save(path)
            rewritten(path, lambda arrays, header: arrays.update(
                header=np.array(json.dumps(changed_tree(draw, header)))))
        else:
            net.save(path)
            path.write_bytes(changed_bytes(draw, path.read_bytes()))
        try:
            loaded = network2.load(path) if kind == "json" else Network.load(path)
            if kind != "json":
                loaded.SGD(data(9), 1, 7, 0.1)
        except ValueError as error:
            refused.append(str(error))
        except DivergenceError:
            pass
    assert sum(str(path) in line for line in refused) > 25
    assert not any("\n" in line for line in refused)


def test_a_file_cut_at_any_byte_is_refused(saved):
    path, whole = saved
    assert len(whole) < 10_000
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path)


def test_any_damaged_byte_is_harmless_or_refused(saved):
    path, whole = saved
    good, n_refused = Network.load(path), 0
    for at in range(len(whole)):
        flip = (0x01, 0xFF)[at % 2]
        path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1:])
        try:
            net = Network.load(path)
        except ValueError:
            n_refused += 1
        else:
            assert_same(net, good)
    assert n_refused > len(whole) / 2


FOREIGN = {
    "nothing": b"",
    "text": b"784,30,10\n",
    "a zip without files": b"PK\x05\x06" + bytes(18),
    "a pickle": pickle.dumps({"weights": [1.0]}),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "zeros": bytes(5000),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused(name, tmp_path):
    (tmp_path / "net.npz").write_bytes(FOREIGN[name])
    refused(tmp_path / "net.npz")


def test_a_foreign_npy_is_refused(tmp_path):
    with open(tmp_path / "net.npz", "wb") as file:
        np.save(file, np.arange(5))
    refused(tmp_path / "net.npz")


@pytest.mark.parametrize("contents", [
    {"x": np.arange(5)},
    {"header": np.arange(5)},
    {"header": np.array("{}")},
    {"header": np.array("[1, 2]")},
    {"header": np.array("not JSON")},
    {"header": np.array('{"format": "another", "version": 1, "settings": {}}')},
    {"header": np.array("[" * 100_000)},
])
def test_a_foreign_npz_is_refused(contents, tmp_path):
    np.savez(tmp_path / "net.npz", **contents)
    refused(tmp_path / "net.npz")


def test_a_foreign_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as file:
        file.writestr("header", "text")
        file.writestr("header.npy", "text")
    refused(tmp_path / "net.npz")


def test_a_later_version_is_refused(saved):
    path, _ = saved
    rewritten(path, lambda _, header: header.update(version=999))
    refused(path, "version 999.*reads up to")


@pytest.mark.parametrize("change", [
    lambda arrays, _: arrays.update(weights_0=arrays["weights_0"].T),
    lambda arrays, _: arrays.update(weights_1=arrays["weights_1"][:-1]),
    lambda arrays, _: arrays.update(biases_0=arrays["biases_0"][:, 0]),
    lambda arrays, _: arrays.update(biases_1=np.array(["a", "b", "c"])),
    lambda arrays, _: arrays.update(weights_0=arrays["weights_0"] + 1j),
    lambda arrays, _: arrays.update(input_scale=np.ones(7)),
    lambda arrays, _: arrays.update(input_scale=np.array("a")),
    lambda arrays, _: arrays.update(input_scale=np.array(np.nan)),
    lambda arrays, _: arrays.pop("weights_1"),
    lambda arrays, _: arrays.pop("biases_0"),
    lambda arrays, _: arrays.pop("input_scale"),
    lambda arrays, _: arrays.pop("header"),
    lambda _, header: header.pop("format"),
    lambda _, header: header.pop("version"),
    lambda _, header: header.update(version="1"),
    lambda _, header: header.update(version=None),
    lambda _, header: header.pop("settings"),
    lambda _, header: header.update(settings=[1]),
    lambda _, header: header["settings"].pop("sizes"),
    lambda _, header: header["settings"].update(sizes=[6, 5, 4]),
    lambda _, header: header["settings"].update(sizes=[6]),
    lambda _, header: header["settings"].update(sizes="654"),
    lambda _, header: header["settings"].update(sizes=[6, 5.5, 3]),
    lambda _, header: header["settings"].update(sizes=[6, -5, 3]),
    lambda _, header: header["settings"].update(sizes=[6, 2**70, 3]),
    lambda _, header: header["settings"].update(sizes=[6, 2**40, 3]),
    lambda _, header: header["settings"].update(cost="no such cost"),
    lambda _, header: header["settings"].update(activation=None),
    lambda _, header: header["settings"].update(dtype="int8"),
    lambda _, header: header["settings"].update(unheard_of=1),
    lambda _, header: header["settings"].update(initializer="large"),
    lambda _, header: header.update(random={"bit_generator": "default_rng"}),
    lambda _, header: header.update(random={"bit_generator": "PCG64", "state": 5}),
    lambda _, header: header.update(random=[1]),
    lambda _, header: header.update(history={"cost": [1.0]}),
    lambda _, header: header.update(history={"recorded": [], "unheard_of": 1}),
    lambda _, header: header.update(optimizer={"optimizer": "adam"}),
    lambda _, header: header.update(optimizer={"optimizer": "none", "steps": 1}),
    lambda _, header: header.update(optimizer={"optimizer": "adam", "steps": 2**80}),
    lambda _, header: header.update(optimizer={"optimizer": "adam", "steps": 1}),
])
def test_a_file_that_does_not_fit_together_is_refused(change, saved):
    path, _ = saved
    rewritten(path, change)
    refused(path)


# ---- safetensors that are damaged, or not ours ----


@pytest.fixture
def tensors(tmp_path):
    """Return a path, and the bytes of a good file there."""
    pytest.importorskip("safetensors")
    path = tmp_path / "net.safetensors"
    network(input_scale=np.linspace(1, 2, 6)).save(path)
    return path, path.read_bytes()


def test_safetensors_cut_at_any_byte_are_refused(tensors):
    path, whole = tensors
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, r"net\.safetensors is not a whole")


@pytest.mark.parametrize("content", [*FOREIGN.values(), b"\xff" * 100])
def test_foreign_safetensors_are_refused(content, tensors):
    path, _ = tensors
    path.write_bytes(content)
    refused(path, r"net\.safetensors is not a whole")


@pytest.mark.parametrize(("metadata", "match"), [
    (None, "has no header"),
    ({"format": "pt"}, "has no header"),
    ({"header": "{}"}, "'format'"),
    ({"header": '{"format": "another", "version": 1}'}, "format 'another'"),
    ({"header": '{"format": "cbackprop network", "version": 5}'}, "version 5, .*reads up to 4"),
    ({"header": '{"format": "cbackprop network", "version": 3, "settings": {}}'}, "input_scale"),
])
def test_safetensors_of_others_are_refused(metadata, match, tensors):
    from safetensors.numpy import save_file

    path, _ = tensors
    save_file({"weights_0": np.ones((3, 2))}, path, metadata)
    refused(path, f"net.safetensors is not a whole cbackprop network file: .*{match}")


def test_one_format_under_the_name_of_the_other_is_refused(tensors):
    path, whole = tensors
    other = path.with_suffix(".npz")
    other.write_bytes(whole)
    refused(other)
    network().save(other)
    path.write_bytes(other.read_bytes())
    refused(path, r"net\.safetensors is not a whole")


def test_without_safetensors(tensors, monkeypatch):
    path, _ = tensors
    for module in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    for call in (network().save, Network.load):
        with pytest.raises(ModuleNotFoundError, match=r"^(save|load) needs safetensors.*: pip "
                           r"install 'cbackprop\[safetensors\]'$"):
            call(path)


class Payload:
    """What runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["header", "weights_0", "input_scale"])
def test_a_pickle_inside_is_not_run(name, saved, tmp_path):
    path, _ = saved
    with np.load(path) as arrays:
        contents = dict(arrays)
    contents[name] = np.array([Payload(str(tmp_path / "harm"))], object)
    np.savez(path, **contents)
    refused(path)
    assert not (tmp_path / "harm").exists()


def test_a_bare_pickle_is_not_run(tmp_path):
    (tmp_path / "net.npz").write_bytes(pickle.dumps(Payload(str(tmp_path / "harm"))))
    refused(tmp_path / "net.npz")
    assert not (tmp_path / "harm").exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"net\.npz"):
        Network.load(tmp_path / "net.npz")
    with pytest.raises(OSError, match=str(tmp_path.name)):
        Network.load(tmp_path)


def test_a_compressed_file_is_read(saved):
    path, _ = saved
    good = Network.load(path)
    with np.load(path) as arrays:
        contents = dict(arrays)
    np.savez_compressed(path, **contents)
    assert_same(Network.load(path), good)


NEW = ["preprocessing", "classes"]


@pytest.mark.parametrize(("version", "without"), [
    (1, ["optimizer", "random", "history", *NEW]), (2, ["random", "history", *NEW]), (3, NEW)])
def test_files_of_earlier_versions_still_load(version, without, tmp_path):
    net = Network([3, 4, 2], activation="tanh", seed=1)
    net.save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as saved:
        arrays = dict(saved)
    header = json.loads(str(arrays["header"]))
    for name in without:
        del header[name]
    header["version"] = version
    arrays["header"] = np.array(json.dumps(header))
    np.savez(tmp_path / "old.npz", **arrays)
    loaded = Network.load(tmp_path / "old.npz")
    assert repr(loaded) == repr(net)
    for one, other in zip([*net.weights, *net.biases], [*loaded.weights, *loaded.biases],
                          strict=True):
        np.testing.assert_array_equal(one, other)
    assert (loaded.preprocessing, loaded.classes) == (None, None)
