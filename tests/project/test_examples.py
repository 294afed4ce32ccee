"""The examples run, on the digits that come with the package."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cbackprop import Network

FOLDER = Path(__file__).parents[2] / "examples"
# No full MNIST: nothing to be found, and nothing to download it with.
RUN = ("import runpy, sys; from cbackprop.datasets import mnist; mnist.MIRRORS = (); "
       "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])")


@pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not beside the tests")
@pytest.mark.parametrize(("name", "argument"), [
    ("chapter1", "eta"), ("chapter3", "lmbda"), ("expanded", "dropout")])
def test_example(name, argument, tmp_path, monkeypatch):
    if argument not in inspect.signature(Network.SGD).parameters:
        pytest.skip(f"SGD does not take {argument} yet")
    monkeypatch.delenv("CBACKPROP_DATA", raising=False)
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    done = subprocess.run([sys.executable, "-W", "error", "-c", RUN, str(FOLDER / f"{name}.py"),
                           "2"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr.startswith("downloading MNIST (11 MB) into ")
    assert done.stderr.count("\n") == 1
    first, *epochs, last = done.stdout.splitlines()
    assert first.startswith("no full MNIST here: the digits that come with the package, about ")
    assert [line[:9] for line in epochs] == ["epoch  1 ", "epoch  2 "]
    assert " images: " in last
    assert "after 2 epochs" in last


@pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not beside the tests")
@pytest.mark.parametrize("name", ["saturated", "vanishing", "softmax_sum"])
def test_inside(name):
    """They print what their README says they print."""
    readme = (FOLDER / "inside" / "README.md").read_text(encoding="utf-8")
    printed = re.search(rf"{name}\.py\n\n```text\n(.*?)```", readme, re.DOTALL).group(1)
    done = subprocess.run([sys.executable, "-W", "error", str(FOLDER / "inside" / f"{name}.py")],
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed
