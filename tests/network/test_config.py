"""Which build of the core is loaded and why, what is said of it, and what an import costs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop.core import _dispatch

RUNNABLE = [isa for isa in _dispatch.LEVELS
            if isa in _dispatch.BUILT and isa in _dispatch.SUPPORTED]

TRAIN = """
import json, sys
import numpy as np
import cbackprop
from cbackprop.core import _dispatch
rng = np.random.default_rng(0)
x, y = rng.standard_normal((300, 20)), rng.integers(0, 3, 300)
costs = {}
for real in ("float32", "float64"):
    net = cbackprop.Network([20, 17, 3], dtype=real, seed=0)
    costs[real] = net.SGD((x, y), 3, 10, 0.5).cost
cores = [name for name in sys.modules if name.startswith("cbackprop.core.builds._")]
print(json.dumps(dict(isa=_dispatch.ISA, why=_dispatch.WHY, costs=costs, cores=sorted(cores),
                      file=cbackprop.__file__)))
"""


def cores(isa):
    """The builds that TRAIN loads."""
    isa = "v4" if isa == "v4bf16" else isa  # which adds only to bfloat16
    return [f"cbackprop.core.builds._{isa}_{real}" for real in _dispatch.REALS]


def run(program, isa=None, *options, path=None):
    """Run a program in a new interpreter, with CBACKPROP_ISA and PYTHONPATH as given."""
    environment = {name: value for name, value in os.environ.items() if name != "CBACKPROP_ISA"}
    if isa is not None:
        environment["CBACKPROP_ISA"] = isa
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run([sys.executable, *options, "-c", program], env=environment,
                          capture_output=True, text=True, timeout=120, check=False)


def answer(program, isa=None, **settings):
    done = run(program, isa, "-W", "error", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def refusal(isa, **settings):
    """The last line of an import that must fail."""
    done = run("import cbackprop", isa, **settings)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr.strip().splitlines()[-1]


@pytest.fixture
def installed(tmp_path):
    """A copy of the installed package, to take builds of the core from."""
    package = Path(cbackprop.__file__).parent
    shutil.copytree(package, tmp_path / "cbackprop", symlinks=True, ignore=shutil.ignore_patterns(
        "*.c", "*.pyx", "*.pxi", "*.h", "__pycache__", "*.npz"))
    libraries = package.with_name("cbackprop.libs")  # where a repaired wheel has OpenMP's
    if libraries.exists():
        (tmp_path / libraries.name).symlink_to(libraries)
    return tmp_path


def remove(installed, isa, real="*"):
    found = list((installed / "cbackprop" / "core" / "builds").glob(f"_{isa}_{real}.*"))
    assert found
    for file in found:
        file.unlink()


# ---- the choice ----


def test_the_highest_level_is_the_default():
    for asked in (None, ""):
        chosen = answer(TRAIN, asked)
        assert chosen["isa"] == RUNNABLE[-1]
        assert chosen["cores"] == cores(RUNNABLE[-1])


@pytest.mark.parametrize("isa", _dispatch.LEVELS)
def test_a_level_can_be_asked_for(isa):
    if isa not in RUNNABLE:
        with pytest.raises(ImportError, match=f"^CBACKPROP_ISA={isa} "):
            _dispatch.choose(isa)
        return
    chosen, usual = answer(TRAIN, isa), answer(TRAIN)
    assert chosen["isa"] == isa
    assert "CBACKPROP_ISA" in chosen["why"]
    assert chosen["cores"] == cores(isa)
    np.testing.assert_allclose(chosen["costs"]["float64"], usual["costs"]["float64"], 1e-12)
    np.testing.assert_allclose(chosen["costs"]["float32"], usual["costs"]["float32"], 1e-5)


def test_a_build_repeats_its_bits():
    assert answer(TRAIN)["costs"] == answer(TRAIN)["costs"]


@pytest.mark.parametrize("isa", ["v5", "avx2", "V3", " v3", "0"])
def test_an_unknown_level(isa):
    line = refusal(isa)
    assert line.startswith("ImportError: CBACKPROP_ISA must be one of "
                           "['baseline', 'v3', 'v4', 'v4bf16'], ")
    assert line.endswith(f"got {isa!r}")


@pytest.mark.skipif("v3" not in RUNNABLE, reason="only the baseline runs here")
@pytest.mark.parametrize("real", ["*", "float64", "bfloat16"])
def test_a_level_that_was_not_built(real, installed):
    remove(installed, "v3", real)
    built = [isa for isa in _dispatch.BUILT if isa != "v3"]
    assert refusal("v3", path=installed) == (
        f"ImportError: CBACKPROP_ISA=v3 was not built: this installation has {built}")
    chosen = answer(TRAIN, path=installed)
    assert Path(chosen["file"]).is_relative_to(installed)
    assert chosen["isa"] == [isa for isa in RUNNABLE if isa != "v3"][-1]


@pytest.mark.skipif("v3" not in RUNNABLE, reason="only the baseline runs here")
def test_only_the_baseline_was_built(installed):
    for isa in set(_dispatch.BUILT) - {"baseline"}:
        remove(installed, isa)
    assert answer(TRAIN, path=installed)["isa"] == "baseline"


@pytest.mark.parametrize(("supported", "chosen"), [(["baseline"], "baseline"),
                                                   (["baseline", "v3"], "v3")])
def test_an_older_cpu(supported, chosen):
    if chosen not in RUNNABLE:
        pytest.skip(f"{chosen} does not run here")
    older = ("import sys, types\n"
             "sys.modules['cbackprop.core._cpu'] = types.SimpleNamespace("
             f"supported=lambda: {supported})\n")
    got = answer(older + TRAIN)
    assert got["isa"] == chosen
    assert got["cores"] == cores(chosen)
    done = run(older + "import cbackprop", "v4")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("ImportError: CBACKPROP_ISA=v4 ")


@pytest.mark.parametrize(("built", "supported", "asked", "chosen"), [
    (["baseline", "v3", "v4"], ["baseline", "v3", "v4"], None, "v4"),
    (["baseline", "v3", "v4", "v4bf16"], ["baseline", "v3", "v4"], None, "v4"),
    (["baseline", "v3", "v4", "v4bf16"], ["baseline", "v3", "v4", "v4bf16"], None, "v4bf16"),
    (["baseline", "v3", "v4", "v4bf16"], ["baseline", "v3", "v4", "v4bf16"], "v4", "v4"),
    (["baseline", "v3", "v4"], ["baseline", "v3"], None, "v3"),
    (["baseline", "v4"], ["baseline", "v3"], None, "baseline"),
    (["baseline"], ["baseline", "v3", "v4"], None, "baseline"),
    (["baseline", "v3"], ["baseline", "v3", "v4"], "", "v3"),
    (["baseline", "v3", "v4"], ["baseline", "v3", "v4"], "v3", "v3"),
    (["baseline", "v3", "v4"], ["baseline", "v3", "v4"], "baseline", "baseline"),
    (["baseline", "v3", "v4"], ["baseline"], "baseline", "baseline"),
])
def test_choose(built, supported, asked, chosen, monkeypatch):
    monkeypatch.setattr(_dispatch, "BUILT", built)
    monkeypatch.setattr(_dispatch, "SUPPORTED", supported)
    isa, why = _dispatch.choose(asked)
    assert isa == chosen
    assert ("CBACKPROP_ISA" in why) == bool(asked)


@pytest.mark.parametrize(("real", "isa", "loaded"), [
    ("float32", "v4bf16", "_v4_float32"), ("float64", "v4bf16", "_v4_float64"),
    ("bfloat16", "v4bf16", "_v4bf16_bfloat16"), ("bfloat16", "v4", "_v4_bfloat16"),
    ("float32", "v3", "_v3_float32")])
def test_a_level_that_adds_to_one_type(real, isa, loaded, monkeypatch):
    monkeypatch.setattr(_dispatch, "BUILT", list(_dispatch.LEVELS))
    monkeypatch.setattr(_dispatch, "LOADED", [])
    monkeypatch.setattr(_dispatch.importlib, "import_module", str)
    assert _dispatch.load.__wrapped__(real, isa) == f"cbackprop.core.builds.{loaded}"


@pytest.mark.parametrize(("built", "supported", "asked", "match"), [
    (["baseline", "v3"], ["baseline", "v3", "v4"], "v4",
     r"^CBACKPROP_ISA=v4 was not built: this installation has \['baseline', 'v3'\]$"),
    (["baseline", "v3", "v4"], ["baseline", "v3"], "v4",
     r"^CBACKPROP_ISA=v4 is not supported by this CPU, which runs \['baseline', 'v3'\]$"),
    (["baseline"], ["baseline"], "v3", "^CBACKPROP_ISA=v3 "),
    (["baseline", "v3", "v4"], ["baseline"], "v3", "^CBACKPROP_ISA=v3 is not supported"),
    (["baseline", "v3", "v4"], ["baseline", "v3", "v4"], "v2", "^CBACKPROP_ISA must be one of "),
])
def test_choose_refuses(built, supported, asked, match, monkeypatch):
    monkeypatch.setattr(_dispatch, "BUILT", built)
    monkeypatch.setattr(_dispatch, "SUPPORTED", supported)
    with pytest.raises(ImportError, match=match):
        _dispatch.choose(asked)


# ---- what is said of it ----


def test_show_config(capsys):
    assert cbackprop.show_config() is None
    out, err = capsys.readouterr()
    assert err == ""
    for word in (cbackprop.__version__, np.__version__, _dispatch.ISA, _dispatch.WHY,
                 "instruction set", "built", "CPU", ".".join(map(str, sys.version_info[:3]))):
        assert word in out
    for isa in _dispatch.BUILT + _dispatch.SUPPORTED:
        assert isa in out


def test_show_config_says_who_lowered_the_level():
    done = run("import cbackprop; cbackprop.show_config()", "baseline")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith("instruction set"))
    assert "baseline" in line
    assert "CBACKPROP_ISA" in line


def test_version():
    major, minor, patch = cbackprop.__version__.split(".")[:3]
    assert major.isdigit()
    assert minor.isdigit()
    assert patch


def test_public_names():
    assert set(cbackprop.__all__) == {
        "Activation", "Cost", "DivergenceError", "Ensemble", "History", "Network", "RowSource",
        "book", "callbacks", "chapter2", "convert", "datasets", "inspect", "loggers",
        "mean_output", "metrics", "optimizers", "plot", "schedules", "show_config", "streams",
        "sweep", "tables", "train_many", "train_table"}
    assert all(hasattr(cbackprop, name) for name in cbackprop.__all__)


def test_packages_are_imported_when_they_are_used():
    program = """
import json, sys
import cbackprop
lazy = ["book", "convert", "inspect", "plot", "sklearn"]
assert set(lazy) <= set(dir(cbackprop))
before = [name for name in lazy if f"cbackprop.{name}" in sys.modules]
cbackprop.book.network.Network([2, 1]), cbackprop.convert.to_torch, cbackprop.inspect.trace
after = [name for name in lazy if f"cbackprop.{name}" in sys.modules]
sys.modules["sklearn"] = None
try:
    cbackprop.sklearn
except AttributeError as error:
    said = str(error)
print(json.dumps([before, after, hasattr(cbackprop, "sklearn"), said]))
"""
    before, after, has, said = answer(program)
    assert (before, has) == ([], False)
    assert set(after) >= {"book", "convert", "inspect"}
    assert said.startswith("cbackprop.sklearn needs scikit-learn: pip install 'cbackprop[sklearn]'")


def test_sklearn_is_found_after_import_cbackprop():
    pytest.importorskip("sklearn")
    assert cbackprop.sklearn.MLPClassifier.__module__ == "cbackprop.sklearn"


# ---- what an import costs ----


def test_import_needs_numpy_alone():
    program = """
import json, sys
before = set(sys.modules)
import cbackprop
net = cbackprop.Network([3, 2], seed=0)
net.SGD(([[0, 1, 2]], [1]), 1, 1, 0.1, ([[0, 1, 2]], [1]))
names = {sys.modules[name].__name__.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(names)))
"""
    names = set(answer(program)) - sys.stdlib_module_names
    names -= {name for name in names if name.startswith(("_cython_", "cython_runtime"))}
    assert names == {"cbackprop", "numpy"}


def test_import_without_extras():
    program = """
import json, sys
sys.modules["tqdm"] = sys.modules["threadpoolctl"] = None  # not importable
import cbackprop
net = cbackprop.Network([3, 2], seed=0)
data = [[0, 1, 2]], [1]
try:
    net.SGD(data, 1, 1, 0.1, progress=True)
except ModuleNotFoundError as error:
    said = str(error)
(x, y), _ = cbackprop.datasets.load_mnist()
print(json.dumps(dict(said=said, epochs=len(net.SGD(data, 2, 1, 0.1)), rows=len(x))))
"""
    got = answer(program)
    assert "tqdm" in got["said"]
    assert "cbackprop[progress]" in got["said"]
    assert (got["epochs"], got["rows"]) == (2, 5000)


def test_import_takes_little_beyond_numpys():
    program = "import numpy, cbackprop"
    best = 1.0
    for _ in range(5):  # the machine may be busy: the best of some
        done = run(program, None, "-X", "importtime")
        assert done.returncode == 0
        total = {}  # of a package and what it imports, in seconds
        for line in done.stderr.splitlines():
            _, cumulative, name = line.split("|")
            if cumulative.strip().isdigit():
                total[name.strip()] = int(cumulative) / 1e6
        best = min(best, total["cbackprop"])
    assert best < 0.3


def test_import_does_not_change_the_floating_point_mode():
    program = """
import json
import numpy as np
tiny = np.full(64, np.finfo(np.float32).tiny, np.float32)
before = (tiny / 4).tolist()
import cbackprop
for real in ("float32", "float64"):
    net = cbackprop.Network([3, 2], dtype=real, seed=0)
    net.SGD(([[0, 1, 2]], [1]), 1, 1, 0.1)
print(json.dumps(before == (tiny / 4).tolist() and before[0] > 0))
"""
    assert answer(program) is True
