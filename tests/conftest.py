"""Fixtures that more than one test file uses."""

import os
from pathlib import Path

import pytest

from cbackprop.cli import main
from cbackprop.core import _dispatch

BUILDS = [(isa, real) for isa in _dispatch.LEVELS if isa not in _dispatch.OWN
          for real in _dispatch.REALS]
RUNNABLE = [(isa, real) for isa, real in BUILDS
            if isa in _dispatch.BUILT and isa in _dispatch.SUPPORTED]


def pytest_generate_tests(metafunc):
    """
    Run every test that asks for `build` on every variant of the core that runs here.

    One asks for `any_build`, and is skipped for the others: thousands that only say so take time.
    """
    for name, builds in (("build", RUNNABLE), ("any_build", BUILDS)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, builds, indirect=True, ids=["-".join(b) for b in builds])


@pytest.fixture
def build(request):
    """One build of the core that runs here."""
    isa, real = request.param
    return _dispatch.load(real, isa)


@pytest.fixture
def any_build(request):
    """One build of the core; skipped, with the reason, where it does not exist or cannot run."""
    isa, real = request.param
    if isa not in _dispatch.BUILT:
        pytest.skip(f"{isa} was not built: no test of a build is tried with it")
    if isa not in _dispatch.SUPPORTED:
        pytest.skip(f"this CPU does not run {isa}: no test of a build is tried with it")
    return isa, real


@pytest.fixture
def pyplot():
    """Return matplotlib's pyplot, where it is; no figure of a test is left open."""
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra plot")
    matplotlib.use("agg")
    from matplotlib import pyplot
    pyplot.close("all")  # what an example in a docstring has drawn
    yield pyplot
    pyplot.close("all")


@pytest.fixture
def cli(capsys):
    """Run in this process: (status, stdout, stderr)."""
    def call(*args):
        try:
            status = main(args)
        except SystemExit as leave:
            status = leave.code
        return status, *capsys.readouterr()
    return call


@pytest.fixture(scope="session")
def mnist_folder():
    """Return the folder of the full MNIST, where there is one."""
    places = [os.environ.get("CBACKPROP_DATA"), Path(__file__).parents[2] / "shared/data/mnist"]
    for place in filter(None, places):
        for folder in (Path(place), Path(place, "mnist")):
            if (folder / "train-images-idx3-ubyte.gz").exists():
                return folder
    pytest.skip("the full MNIST is neither in $CBACKPROP_DATA nor in ../shared/data/mnist")
