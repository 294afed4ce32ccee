"""Every benchmark, run as a reader runs it but at tiny sizes: they must not rot, nor flatter us."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import cbackprop
from cbackprop.core import _dispatch

FOLDER = Path(__file__).parents[2] / "benchmarks"
if not FOLDER.is_dir():
    pytest.skip("benchmarks/ is not beside the tests", allow_module_level=True)

SMALLEST = ("--tiny", "--work", "8-16-16-1")
BENCHMARKS = {  # by name, and what of each is run here; .ci/run runs more of each
    "peers.py": (*SMALLEST, "inference", "--opponents", "loops", "book", "numpy", "sklearn",
                 "torch", "jax", "numba", "onnxruntime"),  # torch.compile takes too long
    "threads.py": ("--tiny", "--work", "8-16-16-1", "784-30-10", "feedforward of 784-30-10",
                   "train_many, 4 x 784-30-10"),
    "kernels.py": ("--tiny", "--work", "8-16-16-1x32", "--real", "float32"),
    "sklearn_fit.py": ("--tiny", "--work", "tabular-1000", "regression-10000"),
    "first_hour.py": ("--tiny", "--work", "iris", "diabetes", "covertype"),
    "sparse_fit.py": ("--tiny", "--work", "500-65536"),
    "sparse_steps.py": ("--tiny", "--work", "sgd", "lazy_adam"),
    "one_row.py": ("--tiny",),
    "streaming.py": ("--tiny", "--work", "bytes, 784-30-10x10"),
    "book.py": ("--tiny",),
    "ensembles.py": ("--tiny",),
    "bfloat16.py": ("--tiny", "--work", "64-64-64-8"),
    "learning.py": SMALLEST,
}
NUMPY = (*SMALLEST, "--opponents", "numpy")
SLOWING = (  # what must not reach NumPy
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_BLOCK_FACTOR", "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "NVPL_BLAS_DEBUG_CPU_TYPE", "BLIS_ARCH_TYPE",
    "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE",
    "JAX_DISABLE_JIT", "XLA_FLAGS", "NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)
CLEAN = {name: value for name, value in os.environ.items() if name not in SLOWING}


def python(*args, **variables):
    return subprocess.run(
        [sys.executable, "-W", "error", *args], env=CLEAN | variables, capture_output=True,
        text=True, timeout=300)


def run(name, *args, **variables):
    return python(str(FOLDER / name), *args, **variables)


def run_code(*lines):
    """Run lines of Python where `import peers` finds the benchmark."""
    return python("-c", "\n".join(("import sys", f"sys.path.insert(0, {str(FOLDER)!r})", *lines)))


def no_such_number(name):
    raise AssertionError(f"{name} was measured")


@cache
def tiny(name):
    """Run a benchmark at tiny size, once: the process, and the JSON that it wrote."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "results.json")
        done = run(name, *BENCHMARKS[name], "--json", str(path))
        assert (done.returncode, done.stderr) == (0, "")
        return done, json.loads(path.read_text(), parse_constant=no_such_number)


@pytest.fixture
def peers():
    return tiny("peers.py")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs_and_says_where(name):
    if name in {"sklearn_fit.py", "sparse_fit.py", "sparse_steps.py", "one_row.py",
                "first_hour.py"}:
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    if name == "sparse_steps.py":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    done, results = tiny(name)
    about = results["environment"]
    assert about["cbackprop"] == cbackprop.__version__
    assert about["variant"] == _dispatch.ISA
    assert about["threads"] >= 1
    lines = done.stdout.splitlines()
    assert re.match(r"machine +\S", lines[0])
    assert any(re.fullmatch(rf"cbackprop +\S+, {_dispatch.ISA}: .+", line) for line in lines)


def test_threads_are_compared_with_one():
    done, results = tiny("threads.py")
    cores = results["environment"]["threads"]
    assert list(results["works"]) == list(BENCHMARKS["threads.py"][2:])
    for work in results["works"].values():
        assert [one["asked"] for one in work["threads"]] == [*range(1, cores + 1), None]
        alone = work["threads"][0]["best"]
        for one in work["threads"]:
            assert one["speed_up"] == pytest.approx(alone / one["best"])
            assert one["efficiency"] == pytest.approx(one["speed_up"] / (one["asked"] or cores))
            assert one["used"] is None or 1 <= one["used"] <= cores
    assert all(meeting["best"] > 0 for meeting in results["meetings"].values())
    assert "to meet: " in done.stdout


def test_threads_are_timed_only_if_the_bits_are_the_same():
    done = run_code(
        "import threads", "from itertools import count", "numbers = count()",
        "threads.bits_of = lambda *trained: bytes([next(numbers)])",
        "threads.main(['--tiny', '--work', '8-16-16-1'])")
    assert done.returncode == 1
    assert "8-16-16-1: other bits with other numbers of threads: nothing is timed" in done.stderr
    assert "speed-up" not in done.stdout


def test_only_what_was_asked_for_is_run():
    done = run("peers.py", *NUMPY, "--repeat", "3")
    assert done.returncode == 0
    assert "at most 3 rounds of all in turns;" in done.stdout
    assert "[8, 16, 16, 1]" in done.stdout
    assert "[784" not in done.stdout
    assert "feedforward, " not in done.stdout


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_it_runs_on_one_core(peers):
    done, results = peers
    assert len(results["environment"]["cores"]) == 1
    assert "pinned to 1 core " in done.stdout


def test_variables_that_slow_numpy_are_cleared_and_named():
    values = dict.fromkeys(SLOWING, "0") | {"OPENBLAS_CORETYPE": "Prescott"}
    done = run("peers.py", *NUMPY, **values)
    assert (done.returncode, done.stderr) == (0, "")
    for name, value in values.items():
        assert f"cleared    {name}={value}, before NumPy was imported: " in done.stdout
    assert "Prescott kernels" not in done.stdout


def test_it_says_so_where_nothing_had_to_be_cleared(peers):
    done, _ = peers
    assert "cleared    nothing: " in done.stdout


def test_it_says_which_kernels_numpy_has(peers):
    pytest.importorskip("threadpoolctl")
    done, results = peers
    assert re.search(r"^BLAS +\S", done.stdout, re.MULTILINE)
    if isinstance(results["environment"]["blas"], list):
        for pool in results["environment"]["blas"]:
            assert pool["num_threads"] == 1
            assert "filepath" not in pool


def test_it_runs_without_threadpoolctl():
    done = run_code("sys.argv = ['peers.py']", "sys.modules['threadpoolctl'] = None",
                    "import peers", f"peers.main({NUMPY})")
    assert (done.returncode, done.stderr) == (0, "")
    assert "threadpoolctl is not installed: BLAS unknown\n" in done.stdout


def test_numpy_must_not_be_there_before_the_environment_is_clean():
    done = run_code("import numpy", "import peers")
    assert done.returncode == 1
    assert "RuntimeError: before_numpy must be called before NumPy is imported" in done.stderr


# ---- peers.py ----

OPPONENTS = {  # on the command line: as reported, and the package that it needs
    "sklearn": ("scikit-learn", "sklearn"), "torch": ("PyTorch eager", "torch"),
    "torch-compile": ("PyTorch compiled", "torch"), "jax": ("JAX", "jax"),
    "numba": ("Numba", "numba"), "onnxruntime": ("ONNX Runtime", "onnxruntime"),
}


def test_peers_are_measured_or_reported_absent(peers):
    done, results = peers
    absent = set(results["absent"])
    for name, (opponent, package) in OPPONENTS.items():
        if name == "torch-compile":  # not asked for
            assert opponent not in absent
        elif opponent in absent:
            assert f"ABSENT     {opponent}: {results['absent'][opponent]}\n" in done.stdout
        else:
            assert importlib.util.find_spec(package)
    expected = {opponent for opponent, _ in OPPONENTS.values()} - absent - {"PyTorch compiled"}
    expected |= {"NumPy", "cbackprop"}
    (work,) = results["works"].values()
    trained = {one["opponent"] for one in work["contestants"].values()}
    assert trained == (expected | {"plain loops", "the book's loop"}) - {"ONNX Runtime"}
    one_row, *many = results["inference"].values()
    assert set(one_row["contestants"]) == expected
    for call in many:
        assert set(call["contestants"]) == expected - {"Numba"}


def test_peers_derive_their_numbers_from_their_times(peers):
    _, results = peers
    (work,) = results["works"].values()
    for name, found in work["contestants"].items():
        assert found["name"] == name
        forms = [form for form in work["forms"] if form["name"] == name]
        assert found["best"] == min(form["best"] for form in forms) > 0
        assert (found["best"] <= found["lower_quartile"] <= found["median"]
                <= found["upper_quartile"])
        assert found["rounds"] >= 1
        ours = work["contestants"][f"cbackprop {found['real']}"]
        assert found["times_cbackprop"] == pytest.approx(found["best"] / ours["best"])
        done = work["rows"] * work["flops_per_row"]
        peak = work["peak_flops_per_second"][found["real"]]
        assert found["share_of_peak"] == pytest.approx(done / found["best"] / peak)
    for real, fastest in work["fastest_opponent"].items():
        others = [one for one in work["contestants"].values()
                  if one["real"] == real and one["opponent"] != "cbackprop"]
        assert fastest["ratio"] == min(one["times_cbackprop"] for one in others)
    for call in results["inference"].values():
        ours = call["contestants"]["cbackprop"]["best"]
        for found in call["contestants"].values():
            assert found["times_cbackprop"] == pytest.approx(found["best"] / ours)


def test_peers_compare_their_results_first(peers):
    _, results = peers
    (work,) = results["works"].values()
    check = work["check"]
    assert check["refused"] == {}
    for real, most in (("float32", 1e-5), ("float64", 1e-9)):
        found = check["differences"][real]
        forms = {f"{form['name']} {form['form']}".strip() for form in work["forms"]
                 if form["real"] == real}
        assert set(found) == forms
        assert max(found.values()) == check["largest"][real] <= most


def test_peers_print_what_they_keep(peers):
    done, results = peers
    (work,) = results["works"].values()
    for name, found in work["contestants"].items():
        name += f", {found['form']}" * bool(found["form"])
        name += " (*)" * (found["rows_timed"] < work["rows"])
        assert re.search(
            rf"^{re.escape(name)} +{1e3 * found['best']:.2f} +{1e3 * found['median']:.2f} +"
            rf"{found['flops_per_second'] / 1e9:.1f} +{100 * found['share_of_peak']:.1f} +",
            done.stdout, re.MULTILINE)
    for bound in results["bounds"]:
        assert bound["reached"] == (bound["measured"] >= bound["to_reach"])
        word = "reached" if bound["reached"] else "short"
        assert re.search(rf"^{re.escape(bound['what'])} .* {word}$", done.stdout, re.MULTILINE)


def test_the_roofline_is_the_slowest_of_arithmetic_and_memory(peers):
    _, results = peers
    (work,) = results["works"].values()
    assert work["flops_per_row"] == 4 * (8 * 16 + 16 * 16 + 16) + 2 * (16 * 16 + 16)
    flops = work["rows"] * work["flops_per_row"]
    for real, roof in work["roofline"].items():
        speeds = work["bytes_per_second"] | {"FMA": work["peak_flops_per_second"][real]}
        amounts = roof["bytes_by_level"] | {"FMA": flops}
        seconds = {name: amounts[name] / speeds[name] for name in speeds}
        assert roof["seconds"] == pytest.approx(seconds[roof["bound"]])
        assert roof["seconds"] == pytest.approx(max(seconds.values()))
        assert roof["flops_per_byte"] == pytest.approx(flops / roof["bytes"])
    weights = 8 * 16 + 16 * 16 + 16  # read by (25), BP2 but for the first layer's, and BP4; written
    crossing = work["rows"] * (8 + 1) + work["rows"] // 32 * (4 * weights - 8 * 16)
    assert sum(work["roofline"]["float64"]["bytes_by_level"].values()) == 8 * crossing


@pytest.mark.parametrize("name", OPPONENTS)
def test_peers_run_without(name, tmp_path):
    opponent, package = OPPONENTS[name]
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('taken away')\n")
    path = tmp_path / "results.json"
    done = run("peers.py", *SMALLEST, "--opponents", "numpy", name, "--json", str(path),
               PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ABSENT     {opponent}: ImportError: taken away\n" in done.stdout
    results = json.loads(path.read_text())
    assert results["absent"] == {opponent: "ImportError: taken away"}
    (work,) = results["works"].values()
    assert {one["opponent"] for one in work["contestants"].values()} == {"cbackprop", "NumPy"}


def test_peers_run_alone():
    done = run_code("sys.argv = ['peers.py']", "import peers",
                    f"peers.main({(*SMALLEST, '--opponents', 'book')})")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_peer_that_computes_something_else_is_refused():
    done = run_code(
        "sys.argv = ['peers.py']", "import peers",
        "from opponents.book import Book",
        "Book.step = lambda self, nabla_b, nabla_w, m, step=Book.step: "
        "step(self, nabla_b, nabla_w, 1.00001 * m)",
        f"peers.main({(*SMALLEST, '--opponents', 'book', 'numpy')})")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^REFUSED: 8-16-16-1: the book's loop differs from NumPy float64 by \S+ of "
                     r"the update, .+", done.stdout, re.MULTILINE)
    assert not re.search(r"^the book's loop", done.stdout, re.MULTILINE)


def test_if_cbackprop_computes_something_else_nothing_is_timed():
    done = run_code(
        "sys.argv = ['peers.py']", "import peers",
        "peers.Cbackprop.train = lambda self, batches, train=peers.Cbackprop.train: "
        "train(self, batches[::-1])",
        f"peers.main({(*SMALLEST, '--opponents', 'numpy')})")
    assert done.returncode == 1
    assert "8-16-16-1: cbackprop float64 differs from NumPy float64" in done.stderr
    assert "ms min" not in done.stdout


@pytest.mark.parametrize(("args", "message"), [
    (["--work", "784-31-10"], "invalid choice: '784-31-10'"),
    (["--opponents", "fann"], "invalid choice: 'fann'"),
    (["--repeat", "0"], "--repeat: must be at least 1, got 0"),
    (["--threads", "0"], "--threads: must be at least 1, got 0"),
])
def test_bad_arguments_of_peers(args, message):
    done = run("peers.py", *args)
    assert done.returncode == 2
    assert message in done.stderr


# ---- first_hour.py ----


def test_first_hour_prints_what_it_keeps():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    done, results = tiny("first_hour.py")
    for name, work in results["works"].items():
        of = work["sides"]["cbackprop"]
        assert of["mean"] == pytest.approx(sum(of["scores"]) / len(of["scores"]))
        assert f"{name}: {work['rows']:,} rows of {work['columns']}" in done.stdout
        assert f"  {of['mean']:.4f}" in done.stdout
    assert [one["what"] for one in results["bounds"]][1::2] == [
        f"{name}: seconds" for name in results["works"]]


# ---- sparse_fit.py, one_row.py ----


def test_sparse_fit_and_one_row_print_what_they_keep():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    for name in ("sparse_fit.py", "one_row.py"):
        done, results = tiny(name)
        measured = list(results["calls"].values()) if name == "one_row.py" else [
            {"theirs": one["scikit-learn"], **one}
            for kind in results["works"]["500-65536"]["found"].values()
            for one in (kind["fit"], kind["predict_proba"])]
        assert len(measured) == (10 if name == "one_row.py" else 12)
        for one in measured:
            assert one["times"] == pytest.approx(
                one["theirs"]["best"] / one["cbackprop"]["best"])
        (bound,) = results["bounds"]
        assert bound["measured"] == min(one["times"] for one in measured)
        assert "a tiny run says nothing about that" in done.stdout


def test_ensembles_compares_all_contestants():
    done, results = tiny("ensembles.py")
    (one,) = results["works"].values()
    assert one["flops"] == 2 * 3 * 8 * (3 * 9 - 6)
    times = {name: timing["best"] for name, timing in one["seconds"].items()}
    others = [value for name, value in times.items() if not name.startswith("lanes")]
    (bound,) = results["bounds"]
    assert bound["measured"] == pytest.approx(min(others) / times["lanes, own order"])
    assert "a tiny run says nothing about that" in done.stdout


def test_bfloat16_compares_all_contestants():
    done, results = tiny("bfloat16.py")
    (one,) = results["works"].values()
    times = {name: timing["best"] for name, timing in one["seconds"].items()}
    assert 1e-4 < one["off"]["cbackprop bfloat16"] < 2e-2
    assert one["off"]["cbackprop float32"] < 1e-5
    first = results["bounds"][0]
    assert first["measured"] == pytest.approx(
        times["cbackprop float32"] / times["cbackprop bfloat16"])
    assert results["bfloat16"] in done.stdout


def test_sparse_fit_times_nothing_that_computes_something_else():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    done = run_code(
        "sys.argv = ['sparse_fit.py']", "import sparse_fit", "import numpy as np",
        "own = sparse_fit.cbackprop.sklearn.MLPClassifier", "proba = own.predict_proba",
        "own.predict_proba = lambda self, x: proba(self, x) + 1e-3",
        "sparse_fit.main(['--tiny', '--work', '500-65536'])")
    assert done.returncode == 1
    assert re.search(r"adam, float64: .+ differ by .+: not timed", done.stderr)


# ---- streaming.py ----


def test_streaming_times_nothing_that_computes_something_else():
    done, results = tiny("streaming.py")
    (one,) = results["works"].values()
    assert one["share"] == pytest.approx(one["memory"]["best"] / one["stream"]["best"])
    done = run_code(
        "sys.argv = ['streaming.py']", "import streaming", "opened = streaming.opened",
        "streaming.opened = lambda folder, memory: opened(folder, 30_000)",
        "streaming.main(['--tiny', '--work', 'bytes, 784-30-10x10'])")
    assert done.returncode == 1
    assert "gives other weights than arrays: not timed" in done.stderr


# ---- sparse_steps.py ----


def test_sparse_steps_print_what_they_keep():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pytest.importorskip("torch", reason="PyTorch is not installed")
    _, results = tiny("sparse_steps.py")
    assert list(results["works"]) == ["sgd", "lazy_adam"]
    assert len(results["bounds"]) == 6
    for work in results["works"].values():
        ours = work["found"]["cbackprop"]["best"]
        for name, ratio in work["times"].items():
            if "fit" not in name:
                assert ratio == pytest.approx(work["found"][name]["best"] / ours)


# ---- book.py ----


def test_book_prints_what_it_keeps():
    done, results = tiny("book.py")
    assert results["times_book"] == pytest.approx(
        sum(results["book_seconds"]) / results["seconds"][0])
    assert results["correct"] == results["book_correct"]
    assert results["same_lines"] == results["epochs"] == len(results["correct"]) == 2
    assert results["difference"] <= 1e-9
    (bound,) = results["bounds"]
    assert bound["measured"] == results["times_book"]
    assert bound["reached"] == (bound["measured"] >= bound["to_reach"])
    assert "a tiny run says nothing about that" in done.stdout
    assert re.search(rf"^the book's code, NumPy +{sum(results['book_seconds']):.2f} ", done.stdout,
                     re.MULTILINE)


def test_book_times_nothing_that_computes_something_else():
    done = run_code(
        "sys.argv = ['book.py']", "import book", "update = book.Script.update_mini_batch",
        "book.Script.update_mini_batch = lambda self, batch: update(self, batch[1:])",
        "book.main(['--tiny'])")
    assert done.returncode == 1
    assert re.search(r"differs from the book's code by .+: nothing is timed\n", done.stderr)
    assert "whole script" not in done.stdout


def test_bad_arguments_of_book():
    done = run("book.py", "--epochs", "0")
    assert done.returncode == 2
    assert "--epochs: must be at least 1, got 0" in done.stderr
