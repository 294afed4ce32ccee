"""Networks that are copied, pickled, saved and loaded; and files that are damaged, or not ours."""

import copy
import errno
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from cbackprop import DivergenceError, Network

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


@pytest.fixture(params=["net.npz", "net.safetensors"])
def path(request, tmp_path):
    """Where a file of each format goes."""
    if request.param.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    return tmp_path / request.param


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
        net.SGD((data()[0], np.full((40, 3), 1e30)), 2, 7, 1e30)
    assert len(net.history) == 2  # no epoch was finished: the parameters are those it belongs to
    seen = []
    net.SGD(data(), 3, 7, 0.1, callback=lambda *_: (net.save(path),
                                                    seen.append(len(Network.load(path).history))))
    assert seen == [1, 2, 3]
    twin = net.copy()
    twin.SGD(data(), 1, 7, 0.1)
    assert (len(net.history), len(twin.history)) == (3, 1)


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
from cbackprop import DivergenceError, Network
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


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        network().save(tmp_path / "missing" / "net.npz")
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "net.npz").mkdir()
    with pytest.raises(OSError, match=r"net\.npz"):
        network().save(tmp_path / "net.npz")
    assert os.listdir(tmp_path) == ["net.npz"]
    assert os.listdir(tmp_path / "net.npz") == []


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
        for flip in (0x01, 0xFF):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1:])
            try:
                net = Network.load(path)
            except ValueError:
                n_refused += 1
                net = good
            assert_same(net, good)
    assert n_refused > len(whole)


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
    ({"header": '{"format": "cbackprop network", "version": 4}'}, "version 4, .*reads up to 3"),
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


@pytest.mark.parametrize(("version", "without"), [(1, ["optimizer", "random", "history"]),
                                                 (2, ["random", "history"])])
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
