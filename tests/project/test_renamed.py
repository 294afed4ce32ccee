"""Public names of 0.6.0 work for one more version, and warn of what takes their place."""

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import cbackprop
from cbackprop import _renamed

OLD = {module: names.split() for module, names in re.findall(
    r"^(\S+):((?:.|\n )*)$", (Path(__file__).parent / "names_0_6_0.txt").read_text(), re.MULTILINE)}
WITHOUT_SUCCESSOR = {
    # Ranges, and what activations are called elsewhere, are columns of core/table.py.
    "cbackprop.convert.keras": {"LAYERS"}, "cbackprop.convert.layers": {"GOES_WITH", "Table"},
    "cbackprop.convert.onnx": {"FLOAT32"}, "cbackprop.convert.sklearn": {"ACTIVATIONS"},
    "cbackprop.convert.torch": {"MODULES"}, "cbackprop.schedules": {"RULES", "Rule"},
    # A subclass of the book's networks may use any name that is not the book's.
    "cbackprop.book.learner": {"Learner.large_weight_initializer"},
    "cbackprop.book.network2": {"KNOWN", "QuadraticCost.terms", "CrossEntropyCost.terms"},
    "cbackprop.book.mnist_loader": {"BOOK"},  # one path; PLACES has several
    # The loop of training, and names of private attributes.
    "cbackprop.lbfgs": {"train"}, "cbackprop.network": {"OWN"},
    "cbackprop.training": {"Training.order", "Training.train"},
    # Names of columns, and of what should fall, are of tables and of metrics now.
    "cbackprop.datasets.readers": {"LABEL_NAMES"}, "cbackprop.history": {"smaller_is_better"},
    "cbackprop.functions": {"plain"},
    "cbackprop.plot.canvas": {"INK"},  # the style in use decides
    "cbackprop.plot.inside": {"FEW"},  # the room in a picture decides
    "cbackprop.plot.mistakes": {"MOST_COUNTED"},
}


def find(module, name):
    """Return what a name of 0.6.0 stands for, after what was warned of on the way."""
    first, _, attribute = name.partition(".")
    found = getattr(importlib.import_module(module), first)
    return getattr(found, attribute) if attribute else found


@pytest.mark.parametrize("module", OLD)
def test_public_names_of_0_6_0_work(module):
    if "sklearn" in module:
        pytest.importorskip("sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        gone = set()
        for name in OLD[module]:
            try:
                find(module, name)
            except AttributeError:
                gone.add(name)
    assert gone == WITHOUT_SUCCESSOR.get(module, set())


def test_the_list_is_whole():
    assert len(OLD) > 40
    assert sum(map(len, OLD.values())) > 400
    assert OLD.keys() >= _renamed.MODULES.keys() | _renamed.NAMES.keys()


@pytest.mark.parametrize(("old", "new"), _renamed.MODULES.items())
def test_old_modules_warn(old, new):
    importlib.import_module(new)
    sys.modules.pop(old, None)
    package, _, name = old.rpartition(".")
    said = f"^{re.escape(old)} is deprecated, and will be removed in the next version: use {new}$"
    with pytest.warns(DeprecationWarning, match=said) as warned:
        exec(f"import {old}", {})
    assert warned[0].filename == "<string>"
    vars(sys.modules[package]).pop(name)
    with pytest.warns(DeprecationWarning, match=said) as warned:  # by its package
        getattr(sys.modules[package], name)
    assert warned[0].filename == __file__


@pytest.mark.parametrize(("module", "name", "new"), [
    (module, name, new) for module, names in _renamed.NAMES.items() for name, new in names.items()])
def test_old_names_warn(module, name, new):
    if "sklearn" in module:
        pytest.importorskip("sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        home = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"^{module}\.{name} is .*: use {new}$") as warned:
        found = getattr(home, name)
    assert warned[0].filename == __file__
    assert found is find(*new.rsplit(".", 1))


@pytest.mark.parametrize("module", ["cbackprop", "cbackprop.inspect", "cbackprop.optimizers"])
def test_names_that_never_were_are_missed(module):
    with pytest.raises(AttributeError, match=rf"^module '{module}' has no attribute 'nothing'$"):
        find(module, "nothing")


@pytest.mark.parametrize(("optimizer", "numbers"), [
    (cbackprop.optimizers.SGD(), (0, 0, 0, 0)),
    (cbackprop.optimizers.Momentum(0.8), (0.8, 0, 0, 0)),
    (cbackprop.optimizers.RMSprop(rho=0.7, epsilon=0.1), (0, 0.7, 0.1, 0)),
    (cbackprop.optimizers.Adam(beta1=0.5), (0.5, 0.999, 1e-8, 0)),
    (cbackprop.optimizers.Rprop(), (0.5, 1.2, 1e-6, 50)),
])
def test_decays(optimizer, numbers):
    with pytest.warns(DeprecationWarning, match="use Optimizer.hyperparameters$"):
        assert optimizer.decays() == numbers


def test_network_handle():
    net = cbackprop.Network([2, 3, 1])
    with pytest.warns(DeprecationWarning, match="^Network.handle is deprecated, .*: use "
                                                "Network.c_handle$") as warned:
        assert repr(net.handle(2)).startswith('<capsule object "cbackprop.network32')
    assert warned[0].filename == __file__


def test_functions_take_their_old_arguments():
    from cbackprop import functions
    from cbackprop.core import _dispatch

    build = _dispatch.load("float64")
    with pytest.warns(DeprecationWarning, match=r"use cbackprop\.layers\.resolve_function$"):
        assert functions.one("cost", "huber", build.COSTS, build, cbackprop.Cost) == "huber"
    with pytest.warns(DeprecationWarning, match=r"use cbackprop\.layers\.resolve_layer$"):
        assert functions.layer("activation", ["tanh", "relu"], 2, build) == [
            ("tanh", 1), ("relu", 1)]
    with pytest.warns(DeprecationWarning, match=r"use cbackprop\.layers\.resolve_layers$"):
        assert functions.layers("tanh", None, "log_likelihood", [2, 3, 2], build) == (
            ["tanh", "softmax"], "softmax")


def test_nobody_of_ours_uses_them():
    code = ("import warnings; warnings.simplefilter('error'); import pkgutil, importlib, cbackprop;"
            "import cbackprop.book.network2, cbackprop.inspect, cbackprop.convert, cbackprop.cli")
    subprocess.run([sys.executable, "-c", code], check=True)
