"""The examples run, on the digits that come with the package."""

import inspect
import re
import runpy
import subprocess
import sys
import warnings
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
def test_inside(name, capsys):
    prints_what_its_readme_says("inside", name, capsys)


@pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not beside the tests")
@pytest.mark.parametrize("name", [
    "modified_neuron", "linear_neurons", "sigma_prime_matrix", "matrix_form", "finite_differences",
    "the_demon", "all_paths"])
def test_chapter2(name, capsys):
    prints_what_its_readme_says("chapter2", name, capsys)


@pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not beside the tests")
def test_sparse_text(capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    prints_what_its_readme_says("sparse_text", "hashed_columns", capsys)


def prints_what_its_readme_says(folder, name, capsys):
    """Times, and how they compare, may differ."""
    readme = (FOLDER / folder / "README.md").read_text(encoding="utf-8")
    shown = re.search(rf"{name}\.py\n\n```text\n(.*?)```", readme, re.DOTALL).group(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(FOLDER / folder / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr()
    assert printed.err == ""
    out, shown = (re.sub(r" *[\d.,e+-]+ (us|s|times)\b", r" # \1", text)
                  for text in (printed.out, shown))
    assert out == shown


@pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not beside the tests")
@pytest.mark.parametrize(("name", "library"), [("on_dask", "distributed"), ("on_ray", "ray")])
def test_clusters(name, library):
    """Accuracies may differ by an image or two, for sums depend on the instruction set."""
    pytest.importorskip(library, reason=f"{library} is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    readme = (FOLDER / "clusters" / "README.md").read_text(encoding="utf-8")
    shown = re.search(rf"{name}\.py\n\n```text\n(.*?)```", readme, re.DOTALL).group(1)
    done = subprocess.run([sys.executable, str(FOLDER / "clusters" / f"{name}.py")],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    accuracy = re.compile(r"0\.\d{3}$", re.MULTILINE)
    assert accuracy.sub("", done.stdout) == accuracy.sub("", shown)
    assert [*map(float, accuracy.findall(done.stdout))] == pytest.approx(
        [*map(float, accuracy.findall(shown))], abs=0.01)
