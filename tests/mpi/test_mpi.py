"""Several ranks train one network: over a real MPI, which these tests start."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop import mpi
from cbackprop.mpi.exchange import rounded, widened
from cbackprop.mpi.shares import Deal

PROGRAMS = Path(__file__).with_name("programs.py")
SECONDS = 240  # far beyond what any takes: one that hangs is ended
ENVIRONMENT = os.environ | {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",  # in a container
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


@pytest.fixture(scope="session")
def mpiexec():
    """Return a function that runs a command in so many processes."""
    pytest.importorskip("mpi4py", reason="MPI needs the extra mpi")
    beside = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    launcher = shutil.which("mpiexec", path=beside)
    if launcher is None:
        pytest.skip("there is no mpiexec: pip install mpich")

    def run(ranks, *command, cwd=None):
        start = time.monotonic()
        done = subprocess.run(
            [launcher, "-n", str(ranks), sys.executable, *map(str, command)], env=ENVIRONMENT,
            capture_output=True, text=True, timeout=SECONDS, cwd=cwd)
        done.seconds = time.monotonic() - start
        return done

    return run


def passes(done):
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout == "done\n"


# ---- which rows form a mini-batch ----


def test_ranks_deal_their_rows_in_turn():
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows = rng.integers(1, 12, rng.integers(1, 6)).tolist()
        m, left, dealt = int(rng.integers(1, sum(rows) + 1)), list(rows), []
        while any(left):
            for rank in range(len(rows)):
                if left[rank]:
                    left[rank] -= 1
                    dealt.append(rank)
        counts = [[dealt[first:first + m].count(rank) for rank in range(len(rows))]
                  for first in range(0, len(dealt), m)]
        assert mpi.deal(rows, m).tolist() == counts
        for rank in range(len(rows)):
            before = Deal(rows, m).of(rank)[1]
            assert before.tolist() == [sum(each[:rank]) for each in counts]


def test_deal_of_more_rows_than_an_int_holds():
    starts, before = Deal([2**40, 2**41 + 1], 2**39).of(1)
    assert starts[-1] == 2**41 + 1
    assert before[0] == 2**38
    assert starts[-1] - starts[-2] == 1


def test_share_is_a_view():
    x, y = np.arange(14.0).reshape(7, 2), np.arange(7)
    parts = [mpi.share((x, y), rank, 3) for rank in range(3)]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), x)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), y)
    assert all(np.shares_memory(part[0], x) for part in parts)
    assert [len(part[1]) for part in parts] == [2, 2, 3]


@pytest.mark.parametrize(("call", "error", "line"), [
    (lambda: mpi.share(np.zeros((3, 2)), 0, 4), ValueError,
     "data must have a row for each of 4 ranks, got 3"),
    (lambda: mpi.share(np.zeros((3, 2)), 2, 2), ValueError,
     "rank must be an integer in 0..1, for ranks, got 2"),
    (lambda: mpi.share(5, 0, 2), TypeError, "data must have rows to share, got 5"),
    (lambda: mpi.share(np.array(5), 0, 2), TypeError,
     "data must have rows to share, got array(5)"),
    (lambda: mpi.share({"a": 1, "b": 2}, 0, 2), TypeError,
     "data must have rows to share, got {'a': 1, 'b': 2}"),
    (lambda: mpi.share((np.zeros((7, 2)), np.zeros(6)), 1, 3), ValueError,
     "data must have as many rows in each of its arrays, got [6, 7]"),
    (lambda: mpi.deal([3, 0], 2), ValueError, r"rows[1] must be an integer of at least 1, got 0"),
    (lambda: mpi.deal([3, 1], 0), ValueError,
     "mini_batch_size must be an integer of at least 1, got 0"),
    (lambda: sgd(comm=5), TypeError,
     "comm must be an intracommunicator of mpi4py, such as MPI.COMM_WORLD, got 5"),
    (lambda: sgd(average_every=2), ValueError, "average_every must be None without comm, got 2"),
    (lambda: sgd(reduce_dtype="bfloat16"), ValueError,
     "reduce_dtype must be None without comm, got 'bfloat16'"),
])
def test_refuses_in_one_line(call, error, line):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == line


def sgd(**given):
    return cbackprop.Network([2, 1]).SGD(([[0.0, 1.0]], [[1.0]]), 1, 1, 0.1, **given)


def test_without_mpi4py_says_what_brings_it(monkeypatch, cli):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    status, out, err = cli("train", "mnist", "--distributed")
    assert (status, out) == (1, "")
    assert err == ("cbackprop: error: --distributed needs mpi4py: "
                   "pip install 'cbackprop[mpi]'\n")


# ---- numbers that travel ----


def test_rounds_to_bfloat16_as_others_do():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 is compared with ml_dtypes'")
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    x = np.concatenate([bits.view(np.float32), np.float32([0, -0.0, np.inf, -np.inf, 3.4e38])])
    with np.errstate(invalid="ignore"):
        expected = x.astype(ml_dtypes.bfloat16).view(np.uint16)
    is_nan = np.isnan(x)
    np.testing.assert_array_equal(rounded(x)[~is_nan], expected[~is_nan])
    assert np.isnan(widened(rounded(x)[is_nan])).all()


def test_rounds_to_bfloat16_by_hand():
    x = np.float32([1, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 3 * 2**-8])
    nearest = [1, 1, 1 + 2**-6, 1 + 2**-7, -1 - 2**-6]  # ties go to the even one
    np.testing.assert_array_equal(widened(rounded(x)), np.float32(nearest))


# ---- over MPI ----


@pytest.mark.parametrize("ranks", [
    1, 2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_take_the_weights_of_one_process(mpiexec, ranks):
    passes(mpiexec(ranks, "-m", "mpi4py", PROGRAMS, "same_weights"))


@pytest.mark.parametrize("program", ["together", "averages", "rounding", "errors"])
def test_ranks(mpiexec, program, tmp_path):
    passes(mpiexec(3 if program == "averages" else 2, "-m", "mpi4py", PROGRAMS, program, tmp_path))


def test_an_error_is_printed_once(mpiexec):
    done = mpiexec(3, PROGRAMS, "uncaught")
    assert done.returncode not in (0, None)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if "Error" in line]
    assert lines == ["ValueError: rank 2: x of training_data must be finite, got nan at [7, 3]"]
    assert done.stderr.count("Traceback") == 1


def test_a_rank_that_is_killed_ends_the_job(mpiexec):
    done = mpiexec(3, PROGRAMS, "dies")
    assert done.returncode != 0
    # The launcher may be quicker than rank 0, and end it before it says which rank it was.
    said = r"cbackprop: error: rank 2 has died, process \d+ on .*: the job ends|[Kk]ill"
    assert re.search(said, done.stderr), done.stderr
    assert done.seconds < SECONDS / 3


def test_ctrl_c_on_one_rank_interrupts_all(mpiexec):
    done = mpiexec(3, PROGRAMS, "is_interrupted")
    assert done.returncode != 0
    assert done.stderr.count("KeyboardInterrupt") >= 1
    assert done.stderr.count("Traceback") == 1


EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm" / "train.py"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the tests")
def test_the_example_for_slurm_goes_on_from_its_checkpoint(mpiexec, tmp_path):
    (x, y), _ = cbackprop.datasets.load_mnist()
    np.save(tmp_path / "x.npy", x[:600])
    np.save(tmp_path / "y.npy", y[:600])
    for _ in range(2):  # the second has nothing left to do
        done = mpiexec(2, "-m", "mpi4py", EXAMPLE, tmp_path, 1, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(cbackprop.Network.load(tmp_path / "net.npz").history) == 1


# ---- the command line ----


def table(path, rows=200):
    rng = np.random.default_rng(0)
    lines = [f"{a:.4f},{b:.4f},{'xyz'[int(c)]},{3 * a + b:.4f}"
             for a, b, c in zip(*rng.random((2, rows)), rng.integers(0, 3, rows), strict=True)]
    path.write_text("\n".join(["a,b,c,price", *lines]))
    return path


def test_the_command_line_trains_on_all_ranks(mpiexec, tmp_path):
    args = "-m", "cbackprop", "train", table(tmp_path / "t.csv"), "--epochs", "3"
    alone = mpiexec(1, *args, cwd=tmp_path)
    done = mpiexec(2, *args, "--distributed", "--save", "net.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    until = alone.stdout.index("epoch 1")
    assert done.stdout[:until] == alone.stdout[:until]
    assert done.stdout.count("epoch 1 ") == done.stdout.count("saved: net.npz") == 1
    assert len(cbackprop.Network.load(tmp_path / "net.npz").history) == 3


def test_the_command_line_gives_each_rank_its_blocks(mpiexec, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4))
    np.save(tmp_path / "all.npy", np.column_stack([x, x[:, 0] > x[:, 1]]))
    args = ("-m", "cbackprop", "train", "all.npy", "--distributed", "--memory", "100KB",
            "--epochs", "2", "--save", "net.npz")
    done = mpiexec(2, *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("read: all.npy, 2,000 rows, 5 columns, block by block") == 1
    net = cbackprop.Network.load(tmp_path / "net.npz")
    assert net.history.rows == 1440  # a fifth is for the test, and a tenth of the rest held out
    given = net.preprocessing.transform(x)
    assert (net.feedforward(given).argmax(axis=1) == (x[:, 0] > x[:, 1])).mean() > 0.8


def test_the_command_line_fails_in_one_line(mpiexec, tmp_path):
    done = mpiexec(2, "-m", "cbackprop", "train", "nosuch.csv", "--distributed", cwd=tmp_path)
    said = [line for line in done.stderr.splitlines() if line.startswith("cbackprop")]
    assert said == ["cbackprop: error: nosuch.csv: No such file or directory"]
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_the_command_line_warns_of_processes_that_train_alone(name, monkeypatch, cli):
    args = "train", "mnist", "--epochs", "1", "--hidden", "5", "--quiet"
    for count, said in ((1, ""), (4, "cbackprop: warning: mpiexec has started 4 processes, and each"
                                     " trains a network of its own: --distributed trains one\n")):
        monkeypatch.setenv(name, str(count))
        status, _, err = cli(*args)
        assert (status, err) == (0, said)
