"""What compiled code gets: the numbers of the network itself, and memory that stays."""

import ctypes
import gc
import shutil
import subprocess
import sys
import sysconfig
import weakref
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop.core import _dispatch

EXAMPLE = Path(__file__).parents[2] / "examples" / "control_loop"
ADDRESS = ctypes.pythonapi.PyCapsule_GetPointer
ADDRESS.restype, ADDRESS.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class Handle(ctypes.Structure):
    """Network32 and Network64 of core/__init__.pxd."""

    _fields_ = [
        ("feedforward", ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 3, ctypes.c_ssize_t)),
        ("sgd_step", ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_void_p] * 3, ctypes.c_ssize_t,
                                      ctypes.c_double)),
        ("inputs", ctypes.c_ssize_t), ("outputs", ctypes.c_ssize_t),
        ("mini_batch_size", ctypes.c_ssize_t),
    ]


def pointed(capsule, dtype):
    at = ADDRESS(capsule, f"cbackprop.network{dtype[-2:]}.1".encode())
    return ctypes.cast(at, ctypes.POINTER(Handle))


def feedforward(core, x, outputs):
    a = np.full((len(x), outputs), np.nan, x.dtype)
    return core.contents.feedforward(core, a.ctypes.data, x.ctypes.data, len(x)), a


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("settings", [
    {}, {"activation": "gelu", "output_activation": "softmax", "cost": "log_likelihood"},
    {"input_scale": 0.5, "cost": "cross_entropy"}, {"input_scale": [1.0, 2.0, 0.0, 4.0, 5.0]},
], ids=["plain", "softmax", "scale", "scales"])
@pytest.mark.parametrize("sizes", [[5, 7, 3], [5, 20, 30, 2], [5, 40]])
def test_the_same_bits_as_from_python(sizes, settings, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1300, 5)).astype(dtype)
    y = rng.random((1300, sizes[-1])).astype(dtype)
    net = cbackprop.Network(sizes, dtype=dtype, seed=0, threads=1, **settings)
    other, capsule = net.copy(), net.c_handle(1300)
    core = pointed(capsule, dtype)
    handle = core.contents
    assert (handle.inputs, handle.outputs, handle.mini_batch_size) == (5, sizes[-1], 1300)
    for m in (1, 10, 3, 512, 1300, 2):
        finite, a = feedforward(core, x[:m], sizes[-1])
        assert finite == 1
        np.testing.assert_array_equal(a, net.feedforward(x[:m]))
        expected = other.SGD((x[:m], y[:m]), 1, m, 0.5).cost[0] if m == 1 else None
        cost = handle.sgd_step(core, x.ctypes.data, y.ctypes.data, m, 0.5)
        if m == 1:  # SGD would draw an order of more
            assert cost == expected
        else:
            other.update_mini_batch((x[:m], y[:m]), 0.5)
        for w, b, w_other, b_other in zip(net.weights, net.biases, other.weights, other.biases,
                                          strict=True):
            np.testing.assert_array_equal(w, w_other)
            np.testing.assert_array_equal(b, b_other)


def test_the_mean_cost(dtype):
    net = cbackprop.Network([2, 3, 2], dtype=dtype, seed=0)
    x, y = np.eye(2, dtype=dtype), np.eye(2, dtype=dtype)
    expected = np.mean(np.sum((net.feedforward(x) - y)**2, axis=1)) / 2
    capsule = net.c_handle(2)
    core = pointed(capsule, dtype)
    cost = core.contents.sgd_step(core, x.ctypes.data, y.ctypes.data, 2, 0.0)
    assert cost == pytest.approx(expected, rel=1e-6)


def test_more_rows_than_a_mini_batch(dtype):
    net = cbackprop.Network([5, 4, 3], dtype=dtype, seed=0)
    x = np.random.default_rng(0).standard_normal((1001, 5)).astype(dtype)
    capsule = net.c_handle()
    finite, a = feedforward(pointed(capsule, dtype), x, 3)
    assert finite == 1
    np.testing.assert_allclose(a, net.feedforward(x), rtol=1e-5)


@pytest.mark.parametrize("m", [-1, 0, 3])
def test_a_step_of_another_size_does_nothing(m, dtype):
    net = cbackprop.Network([2, 2], dtype=dtype, seed=0)
    before = net.copy()
    x, capsule = np.ones((3, 2), dtype), net.c_handle(2)
    core = pointed(capsule, dtype)
    assert np.isnan(core.contents.sgd_step(core, x.ctypes.data, x.ctypes.data, m, 1.0))
    np.testing.assert_array_equal(net.weights[0], before.weights[0])


def test_what_is_not_finite_is_said(dtype):
    net = cbackprop.Network([2, 2], dtype=dtype, seed=0)
    capsule = net.c_handle()
    core = pointed(capsule, dtype)
    x = np.array([[1, np.nan]], dtype)
    assert feedforward(core, x, 2)[0] == 0
    assert not np.isfinite(core.contents.sgd_step(core, x.ctypes.data, x.ctypes.data, 1, 1.0))
    assert np.isnan(net.weights[0]).any()


def test_it_outlives_the_network_and_lets_go(dtype):
    net = cbackprop.Network([5, 4, 3], dtype=dtype, seed=0)
    x = np.ones((1, 5), dtype)
    expected, capsule = net.feedforward(x), net.c_handle()
    gone = weakref.ref(net)
    arena = weakref.ref(net.engine.core.parameters)
    del net
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(feedforward(pointed(capsule, dtype), x, 3)[1], expected)
    del capsule
    gc.collect()
    assert arena() is None


def test_bad_arguments():
    net = cbackprop.Network([2, 2])
    with pytest.raises(ValueError, match=r"^mini_batch_size must be an integer of at least 1"):
        net.c_handle(0)
    with pytest.raises(TypeError, match=r"^mini_batch_size must be an integer of at least 1"):
        net.c_handle("many")
    cube = cbackprop.Activation(lambda z: z**3, lambda z: 3 * z**2)
    with pytest.raises(ValueError, match=r"^c_handle needs compiled functions"):
        cbackprop.Network([2, 2], activation=cube).c_handle()


def test_its_version_is_that_of_every_build(build):
    core = build.Core([2, 2], ["sigmoid"], "quadratic", 1.0)
    assert f'"cbackprop.network{build.REAL[-2:]}.1"' in repr(build.handle(core, 1))


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the tests")
def test_the_control_loop(tmp_path):
    pytest.importorskip("Cython", reason="Cython, which compiles the example, is not installed")
    pytest.importorskip("setuptools", reason="setuptools, which builds it, is not installed")
    compiler = (sysconfig.get_config_var("CC") or "clang-cl").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"the compiler {compiler} is not installed")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("Python.h is not installed")
    for file in EXAMPLE.glob("*.py*"):
        shutil.copy(file, tmp_path)
    for command in (["setup.py", "-q", "build_ext", "--inplace"], ["drive.py"]):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True,
                              text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "a step of the loop" in done.stdout
    wrong = ("import cbackprop, control\n"
             "control.follow(cbackprop.Network([2, 1], dtype='float64'), 1, 0.1)")
    done = subprocess.run([sys.executable, "-c", wrong], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-1].startswith(
        "TypeError: network32 takes what Network.c_handle gives for float32")


def test_the_declarations_are_installed():
    folder = Path(_dispatch.__file__).parent
    assert (folder / "__init__.pxd").exists()
    stubs = {path.stem for path in folder.glob("builds/*.pyi")}
    assert {f"_{isa}_{real}" for isa in _dispatch.BUILT
            for real in _dispatch.OWN.get(isa, _dispatch.TYPES)} <= stubs
    assert (folder.parent / "py.typed").exists()
