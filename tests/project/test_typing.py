"""The stubs say what the compiled modules have; the public names are typed for callers."""

import json
import subprocess
import sys

import pytest

from cbackprop.core import _dispatch

CALLER = """
import numpy as np
import cbackprop

net = cbackprop.Network([4, 3, 2], activation="relu", seed=0)
x, y = np.zeros((8, 4), np.float32), np.zeros(8, np.intp)
history = net.SGD((x, y), 2, 4, 0.1, optimizer=cbackprop.optimizers.Adam())
reveal_type(history)
reveal_type(history.cost)
reveal_type(net.feedforward(x))
reveal_type(net.backprop(x, y))
reveal_type(net.evaluate((x, y)))
reveal_type(cbackprop.Network.load("net.npz"))
reveal_type(net.weights[0])
reveal_type(net.biases[1:])
net.SGD((x, y), 2, 4, momentum=0.5)
net.SGD((x, y), 2, 4, 0.1, optimizer="adm")
net.SGD((x, y), 2, 4, 0.1, monitor=["costs"])
cbackprop.Network([4, 2], activation="rleu")
cbackprop.Network([4, 2], cost="crossentropi")
cbackprop.Network([4, 2], cost=("hubert", 0.5))
cbackprop.Network([4, 2], initializer="he")
net.fit(x, y)

cbackprop.Network([4, 2, 2], activation=["relu", ("leaky_relu", 0.1)], cost=("huber", 0.5))
cbackprop.Network([4, 2, 2], activation=[{"relu": 1, "tanh": 1}, "softmax"], initializer="zeros")
cbackprop.Network([4, 2, 2], activation=[["relu", "tanh"], "softmax"], cost="log_likelihood")
cbackprop.Network([4, 2], output_activation="softmax", cost=("log_likelihood", {"a_min": 0.1}))
net.SGD((x, y), 2, 4, 0.1, optimizer="adam", monitor=["training_cost"], verbose=True)
net.weights = [w * 2 for w in net.weights]
"""


def mypy(*arguments):
    pytest.importorskip("mypy", reason="mypy is not installed")
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True,
                          timeout=240, check=False)


def test_stubs(tmp_path):
    """Those of the builds that this CPU can import."""
    modules = ["cbackprop.chapter2.chapter2", "cbackprop.core._cpu", *(
        f"cbackprop.core.builds._{isa}_{real}" for isa in _dispatch.BUILT
        if isa in _dispatch.SUPPORTED for real in _dispatch.OWN.get(isa, _dispatch.TYPES))]
    allowed = tmp_path / "allowed"      # what Cython adds to a module
    allowed.write_text(r".*\.__(reduce_cython|setstate_cython|test)__")
    done = mypy("mypy.stubtest", "--concise", "--ignore-disjoint-bases", "--allowlist",
                str(allowed), *modules)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_caller(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    done = mypy("mypy", "--config-file", str(tmp_path / "mypy.ini"), "--cache-dir",
                str(tmp_path / "cache"), "--no-error-summary", str(tmp_path / "caller.py"))
    lines = [line.split(": ", 2)[1:] for line in done.stdout.splitlines()]
    revealed = [text.split('"')[1] for _, text in lines if text.startswith("Revealed type")]
    array = "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]"
    assert [text.replace("builtins.", "") for text in revealed] == [
        "cbackprop.history.History", "list[float]", array,
        f"tuple[list[{array}], list[{array}]]", "int", "cbackprop.network.Network",
        array, f"list[{array}]"]
    errors = [text for kind, text in lines if kind == "error"]
    assert [(text.split(" has")[0].split(" for ")[0], text.split()[-1]) for text in errors] == [
        ('Unexpected keyword argument "momentum"', "[call-arg]"),
        ('Argument "optimizer" to "SGD" of "Network"', "[arg-type]"),
        ("List item 0", "[list-item]"),
        ('Argument "activation" to "Network"', "[arg-type]"),
        ('Argument "cost" to "Network"', "[arg-type]"),
        ('Argument "cost" to "Network"', "[arg-type]"),
        ('Argument "initializer" to "Network"', "[arg-type]"),
        ('"Network"', "[attr-defined]")]


def test_pyright_finds_the_same_errors(tmp_path):
    """It brings Node.js, and fetches itself at its first run: it is no part of the extras."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    (tmp_path / "caller.py").write_text(CALLER)
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable,
         "caller.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    found = [one for one in json.loads(done.stdout)["generalDiagnostics"]
             if one["severity"] == "error"]
    lines = CALLER.splitlines()
    last = lines.index("net.fit(x, y)")
    wrong = [at for at, line in enumerate(lines[:last + 1])
             if line.startswith(("net.SGD", "cbackprop.", "net.fit"))]
    assert [one["range"]["start"]["line"] for one in found] == wrong
