"""The command line, run as users run it, and every way it can refuse."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np
import pytest

import cbackprop
from cbackprop import inspect
from cbackprop.cli import main
from cbackprop.core import _dispatch

COMMAND = [sys.executable, "-W", "error", "-m", "cbackprop"]
USUAL = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
CORE = _dispatch.load("float32")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*args):
    return subprocess.run(
        [*COMMAND, *args], env=USUAL, capture_output=True, text=True, timeout=60)


def start(*args, stdout):
    return subprocess.Popen(
        [*COMMAND, *args], env=USUAL, stdout=stdout, stderr=subprocess.PIPE, text=True)


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


@pytest.fixture
def output(cli):
    """Run what has to succeed in this process: the lines of stdout."""
    def call(*args):
        status, out, err = cli(*args)
        assert (status, err) == (0, "")
        return out.splitlines()
    return call


def points(n=60):
    return np.random.default_rng(5).normal(size=(n, 9))


def write_csv(name, x, y):
    np.savetxt(name, np.column_stack([x, y]), delimiter=",", fmt="%.4f")
    return name


@pytest.fixture
def classes():
    """A CSV file of two classes that are easy to tell apart."""
    x = points()
    return write_csv("classes.csv", x, x[:, 0] > 0)


@pytest.fixture
def numbers():
    """A CSV file of numbers far outside the range of a sigmoid."""
    x = points()
    return write_csv("numbers.csv", x, 7 + x[:, 0] - x[:, 1])


@pytest.fixture
def saved():
    """A network for MNIST, not trained."""
    cbackprop.Network([784, 5, 10], input_scale=1 / 255, seed=1).save("net.npz")
    return "net.npz"


def without_times(lines):
    return [re.sub(r"[\d.,]+ (s|rows per second)", "", line) for line in lines]


# ---- train ----


def test_without_arguments_it_trains_the_books_network():
    done = run("train")
    assert (done.returncode, done.stderr) == (0, "")
    network, *epochs, score, speed = done.stdout.splitlines()
    assert network.startswith("Network([784, 30, 10], activation='sigmoid', ")
    assert network.endswith("cost='quadratic', dtype='float32') on 5000 examples")
    assert len(epochs) == 10
    for number, line in enumerate(epochs, 1):
        assert re.fullmatch(rf"epoch {number:>2}  cost 0\.\d+ +accuracy \d\d\.\d\d %  \d+\.\d\d s",
                            line)
    accuracy = re.match(r"accuracy (\d\d\.\d\d) % of 1000 test examples, ", score)
    assert float(accuracy[1]) > 90
    assert re.fullmatch(r"\d+\.\d\d s, [\d,]+ rows per second", speed)
    assert os.listdir() == []


def test_train_prints_what_the_library_measures(output):
    lines = output("train", "--sizes", "784,12,10", "--epochs", "2", "--batch", "25",
                   "--eta", "0.5", "--cost", "cross_entropy", "--activation", "tanh",
                   "--dtype", "float64", "--seed", "3", "--save", "net.npz")
    training, test = cbackprop.datasets.load("mnist")
    net = cbackprop.Network([784, 12, 10], activation="tanh", cost="cross_entropy",
                            dtype="float64", input_scale=1 / 255, seed=3)
    history = net.SGD(training, 2, 25, 0.5, test_data=test, skip_zeros=True)
    assert lines[0] == f"{net} on 5000 examples"
    for line, cost, accuracy in zip(lines[1:3], history.cost, history.accuracy, strict=True):
        assert f"cost {cost:<7.4g}  accuracy {accuracy * 100:.2f} %" in line
    assert lines[3] == (f"accuracy {net.accuracy(test) * 100:.2f} % of 1000 test examples, "
                        f"{net.evaluate(test)} correct, mean cost {net.total_cost(test):.4g}")
    for of_file, w in zip(cbackprop.Network.load("net.npz").weights, net.weights, strict=True):
        np.testing.assert_array_equal(of_file, w)


def test_train_learns_as_it_is_told(output):
    output("train", "--sizes", "784,12,10", "--epochs", "1", "--batch", "25", "--eta", "0.001",
           "--optimizer", "adam", "--lmbda", "0.3", "--dropout", "0.2", "--save", "net.npz")
    training, _ = cbackprop.datasets.load("mnist")
    net = cbackprop.Network([784, 12, 10], input_scale=1 / 255, seed=0)
    net.SGD(training, 1, 25, 0.001, optimizer="adam", lmbda=0.3, dropout=0.2)
    for of_file, w in zip(cbackprop.Network.load("net.npz").weights, net.weights, strict=True):
        np.testing.assert_array_equal(of_file, w)


def test_epoch_lines_come_while_training_goes_on():
    """Not all at the end: these fit into the buffer of a pipe."""
    with start("train", "--sizes", "784,300,10", "--epochs", "100", "--eta", "0.5",
               stdout=subprocess.PIPE) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.kill()
        lines += process.stdout.readlines()
    assert lines[2].startswith("epoch   2  cost ")
    assert len(lines) < 90


def test_no_epochs(output):
    lines = output("train", "--epochs", "0")
    assert len(lines) == 2
    assert lines[1].startswith("accuracy ")


def test_the_seed_decides_everything(output, classes):
    first, same, other = (without_times(output("train", "--data", classes, "--seed", seed))
                          for seed in ("1", "1", "2"))
    assert first == same
    assert first[0] == other[0]  # so many rows are held out, ...
    assert first != other  # ... but others


def test_a_file_without_test_set_lends_a_sixth(output, classes):
    lines = output("train", "--data", classes, "--epochs", "40", "--save", "net.npz")
    assert lines[0] == "classes.csv has no test set: 10 of its 60 rows, drawn at random, become one"
    assert lines[1].startswith("Network([9, 30, 2], ")
    assert lines[1].endswith(" on 50 examples")
    correct = re.match(r"accuracy [\d.]+ % of 10 test examples, (\d+) correct", lines[-2])
    assert int(correct[1]) >= 7
    assert cbackprop.Network.load("net.npz").input_scale == 1


def test_rows_held_out_are_not_trained_on(monkeypatch):
    x = np.arange(20.0).reshape(20, 1) * np.ones(9)
    np.savez("rows.npz", x=x, y=np.arange(20) % 2)
    seen = []

    def sgd(net, training, *args, test_data, **kwargs):
        seen.append((training, test_data))
        return cbackprop.History()

    monkeypatch.setattr(cbackprop.Network, "SGD", sgd)
    held_out = set()
    for seed in range(3):
        assert main(["train", "--data", "rows.npz", "--seed", str(seed)]) == 0
        training, test = seen.pop()
        assert sorted(np.concatenate([training[0], test[0]])[:, 0]) == list(range(20))
        assert len(test[0]) == 3
        for part_x, part_y in (training, test):
            np.testing.assert_array_equal(part_x[:, 0] % 2, part_y)
        held_out.add(tuple(sorted(test[0][:, 0])))
    assert len(held_out) == 3


def test_bytes_are_scaled(output):
    np.savez("bytes.npz", x=np.full((12, 8), 255, np.uint8), y=np.arange(12) % 3)
    assert "[8, 30, 3]" in output("train", "--data", "bytes.npz", "--epochs", "1", "--batch", "1",
                                  "--save", "net.npz")[1]
    assert cbackprop.Network.load("net.npz").input_scale == 1 / 255


def test_classes_of_the_test_set_count_too(output):
    x = points(12)
    np.savez("sets.npz", x_train=x, y_train=np.arange(12) % 2, x_test=x, y_test=np.arange(12) % 4)
    assert output("train", "--data", "sets.npz", "--epochs", "1")[0].startswith(
        "Network([9, 30, 4], ")


def test_one_hot_targets(output):
    x = points()
    np.savez("one_hot.npz", x=x, y=np.eye(2)[(x[:, 0] > 0).astype(int)])
    lines = output("train", "--data", "one_hot.npz", "--epochs", "1")
    assert lines[1].startswith("Network([9, 30, 2], ")
    assert lines[-2].startswith("accuracy ")


def test_one_output_for_two_classes(output, classes):
    lines = output("train", "--data", classes, "--sizes", "9,1", "--epochs", "1")
    assert "output_activation='sigmoid'" in lines[1]
    assert lines[-2].startswith("accuracy ")


def test_numbers_as_targets(output, numbers):
    lines = output("train", "--data", numbers, "--eta", "0.1", "--epochs", "30",
                   "--save", "net.npz")
    assert lines[1].startswith("Network([9, 30, 1], activation='sigmoid', "
                               "output_activation='identity', ")
    assert not any("accuracy" in line for line in lines)
    cost = re.fullmatch(r"mean cost ([\d.]+) of 10 test examples", lines[-2])
    assert float(cost[1]) < 0.5  # of 25, that 7 unlearnt would cost
    assert output("evaluate", "net.npz", "--data", numbers)[0].endswith(" of 60 test examples")
    predicted = np.array(output("predict", "net.npz", "--data", numbers), float)
    x, y = cbackprop.datasets.read_csv(numbers)
    np.testing.assert_allclose(predicted, cbackprop.Network.load("net.npz").feedforward(x)[:, 0])
    assert abs(predicted - y).mean() < 1


def test_integers_as_numbers(output):
    x = points()
    data = write_csv("prices.csv", x, np.round(100 + 10 * x[:, 0]))
    lines = output("train", "--data", data, "--sizes", "9,1", "--eta", "0.01", "--epochs", "1")
    assert "output_activation='identity'" in lines[1]
    assert lines[-2].startswith("mean cost ")


# ---- the terminal ----


def in_a_terminal(*args):
    """Run on a pseudo-terminal of 80 columns: (status, all that it showed)."""
    pytest.importorskip("termios")
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with subprocess.Popen([*COMMAND, *args], stdin=theirs, stdout=theirs, stderr=theirs,
                          env=USUAL) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # how Linux says that nobody is left at the other end
            pass
        os.close(ours)
    return process.returncode, shown.decode()


def test_a_terminal_shows_a_bar():
    pytest.importorskip("tqdm")
    status, shown = in_a_terminal("train", "--epochs", "3")
    assert status == 0
    assert re.search(r"100%\|.+\| 15\.0k/15\.0k \[", shown)
    assert len(re.findall(r"epoch \d  cost ", shown)) == 3
    assert "% of 1000 test examples" in shown


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("installed", [True, False])
def test_when_a_bar_is_asked_for(terminal, installed, output, monkeypatch):
    """Never without a terminal or tqdm; the lines are the same in every case."""
    if installed:
        pytest.importorskip("tqdm")
    else:
        for name in ("tqdm", "tqdm.auto"):
            monkeypatch.setitem(sys.modules, name, None)
    asked = []
    sgd = cbackprop.Network.SGD

    def spy(net, *args, progress, **kwargs):
        asked.append(progress)
        return sgd(net, *args, progress=False, **kwargs)

    monkeypatch.setattr(cbackprop.Network, "SGD", spy)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    lines = output("train", "--epochs", "2")
    assert asked == [terminal and installed]
    assert [line[:7] for line in lines[1:3]] == ["epoch 1", "epoch 2"]


# ---- evaluate, predict, info ----


def test_save_evaluate_predict_round_trip():
    trained = run("train", "--epochs", "2", "--save", "net.npz")
    evaluated, predicted = run("evaluate", "net.npz"), run("predict", "net.npz")
    assert [trained.stderr, evaluated.stderr, predicted.stderr] == ["", "", ""]
    assert evaluated.stdout == trained.stdout.splitlines(keepends=True)[-2]
    _, (_, y) = cbackprop.datasets.load("mnist")
    classes = np.array(predicted.stdout.split(), int)
    assert f", {np.sum(classes == y)} correct, " in evaluated.stdout
    assert os.listdir() == ["net.npz"]


def test_a_file_without_test_set_is_taken_whole(output, classes):
    output("train", "--data", classes, "--epochs", "5", "--save", "net.npz")
    evaluated, predicted = (output(command, "net.npz", "--data", classes)
                            for command in ("evaluate", "predict"))
    _, y = cbackprop.datasets.read_csv(classes)
    assert f"% of 60 test examples, {np.sum(np.array(predicted, int) == y)} correct, " in (
        evaluated[0])


def test_info(output, capsys):
    cbackprop.show_config()
    shown = capsys.readouterr().out.splitlines()
    assert output("info") == shown
    assert shown[0] == f"cbackprop        {version('cbackprop')}"


def test_info_of_a_file(output):
    cbackprop.Network([4, 3, 2], activation="tanh", cost="log_likelihood").save("net.npz")
    lines = output("info", "net.npz")
    own = output("info")
    assert lines == [
        *own,
        "",
        "network          net.npz",
        *str(cbackprop.Network.load("net.npz").summary()).splitlines(),
    ]


def test_gradcheck(output):
    cbackprop.Network([4, 3, 2], activation="tanh", cost="log_likelihood", input_scale=0.1,
                      seed=0).save("net.npz")
    assert output("gradcheck", "net.npz")[0].startswith(
        "gradient check passed: worst relative error ")
    assert " of 5 derivatives, at " in output("gradcheck", "net.npz", "--sample", "5")[0]


def test_gradcheck_on_data(output, classes):
    output("train", "--data", classes, "--epochs", "1", "--save", "net.npz")
    assert "passed" in output("gradcheck", "net.npz", "--data", classes, "--rows", "3")[0]


def test_gradcheck_at_a_kink(output):
    """Where relu has its kink, differences lie between its two slopes, and that is said."""
    cbackprop.Network([2, 1, 1], activation="relu", initializer=(
        [[[0, 0]], [[1]]], [[[0]], [[1]]])).save("net.npz")
    assert "at a kink" in output("gradcheck", "net.npz")[-1]


def test_gradcheck_fails(cli, monkeypatch):
    """Differences over a distance as large as the weights are none."""
    cbackprop.Network([2, 3, 1], seed=0).save("net.npz")
    monkeypatch.setattr(inspect.gradient_check, "__kwdefaults__",
                        {**inspect.gradient_check.__kwdefaults__, "eps": 0.9})
    status, out, err = cli("gradcheck", "net.npz")
    assert (status, out) == (1, "")
    assert err.startswith("cbackprop: error: net.npz: gradient check FAILED: worst relative error ")
    assert err.count("\n") == 1


def test_version():
    assert run("--version").stdout == f"cbackprop {version('cbackprop')}\n"


def test_help_knows_the_librarys_names(output):
    text = " ".join(output("train", "--help"))
    for names in (CORE.COSTS, CORE.ACTIVATIONS, CORE.OPTIMIZERS, _dispatch.REALS):
        assert "{" + ",".join(names) + "}" in text


# ---- pipes ----


def test_a_reader_that_stops_early():
    cbackprop.Network([1, 1], seed=0).save("net.npz")
    np.savez("long.npz", x=np.linspace(0, 1, 50_000).reshape(-1, 1), y=np.zeros(50_000))
    with start("predict", "net.npz", "--data", "long.npz", stdout=subprocess.PIPE) as process:
        float(process.stdout.readline())
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe has no error of its own here")
@pytest.mark.parametrize("args", [["info"], ["--help"], ["train", "--epochs", "1000000"]])
def test_a_reader_that_has_gone(args):
    reader, writer = os.pipe()
    os.close(reader)
    with start(*args, stdout=writer) as process:
        os.close(writer)
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_nowhere_to_print():
    with open("/dev/full", "w") as full, start("info", stdout=full) as process:
        assert process.wait(30) == 1
        assert process.stderr.read() == "cbackprop: error: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is not a signal to one process here")
def test_ctrl_c():
    """An epoch of this takes much longer than stopping may."""
    with start("train", "--sizes", "784,2000,2000,10", "--batch", "1", "--save", "net.npz",
               stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith("Network(")
        time.sleep(0.5)
        before = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert time.perf_counter() - before < 1.5
        assert process.stderr.read() == "cbackprop: interrupted\n"
        assert process.stdout.read() == ""
    assert os.listdir() == []


# ---- errors ----


@pytest.mark.parametrize(("args", "message"), [
    (["train", "--sizes", "784"], "sizes must be at least two positive integers"),
    (["train", "--sizes", "784,0,10"], "sizes must be at least two positive integers"),
    (["train", "--sizes", "9,10"], "must have sizes[0] = 9 columns, got shape (5000, 784)"),
    (["train", "--sizes", "784,9"], "must hold labels in 0..8, got 9"),
    (["train", "--epochs", "-1"], "epochs must be an integer of at least 0, got -1"),
    (["train", "--batch", "5001"], "at most the 5000 examples, got 5001"),
    (["train", "--eta", "nan"], "eta must be a number of at least 0"),
    (["train", "--lmbda", "-1"], "lmbda must be"),
    (["train", "--dropout", "1"], "dropout must be"),
    (["train", "--activation", "relu", "--eta", "1e30"], "training diverged"),
    (["train", "--data", "absent.csv"], "absent.csv: No such file or directory"),
    (["train", "--data", "imagenet"], "imagenet: a data set must be one of mnist, mnist-full"),
    (["train", "--data", "."], ".: must hold MNIST's four files"),
    (["train", "--data", "words.csv"], "words.csv: line 2 must hold numbers, got 'b'"),
    (["train", "--data", "short.csv"], "short.csv: must have a test set, or two rows or more"),
    (["train", "--data", "numbers.csv", "--sizes", "9,2"], "must hold integers where it holds"),
    (["train", "--save", "absent/net.npz"], "--save must name a file in a folder that exists"),
    (["train", "--save", "net.npz/net.npz"], "--save must name a file in a folder that exists"),
    (["train", "--save", "."], "--save must name a file in a folder that exists"),
    (["evaluate", "absent.npz"], "absent.npz: No such file or directory"),
    (["evaluate", "net.npz", "--data", "numbers.csv"], "must have sizes[0] = 784 columns"),
    (["predict", "net.npz", "--data", "numbers.csv"], "must have sizes[0] = 784 columns"),
    (["predict", "words.csv"], "words.csv is not a whole cbackprop network file"),
    (["info", "words.csv"], "words.csv is not a whole cbackprop network file"),
    (["gradcheck", "net.npz", "--rows", "0"], "--rows must be an integer of at least 1, got 0"),
])
def test_errors_are_one_line(args, message, cli, saved, numbers):
    with open("words.csv", "w") as words:
        words.write("1,2\n3,b\n")
    with open("short.csv", "w") as short:
        short.write("1,2\n")
    status, _, err = cli(*args)
    assert status == 1
    assert err.startswith("cbackprop: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert err.endswith("\n")


@pytest.mark.parametrize("error", [
    ValueError, TypeError, OSError, ModuleNotFoundError, MemoryError, OverflowError,
    cbackprop.DivergenceError,
])
def test_what_the_library_raises(error, cli, monkeypatch):
    def load(source):
        raise error("the rule, and what came")

    monkeypatch.setattr(cbackprop.datasets, "load", load)
    assert cli("train") == (1, "", "cbackprop: error: the rule, and what came\n")


def test_a_bug_shows_its_traceback(monkeypatch):
    monkeypatch.setattr(cbackprop.datasets, "load", lambda source: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["train"])


def test_ctrl_c_anywhere(cli, monkeypatch):
    def load(source):
        raise KeyboardInterrupt

    monkeypatch.setattr(cbackprop.datasets, "load", load)
    assert cli("train") == (130, "", "cbackprop: interrupted\n")


def test_errors_of_a_real_process():
    done = run("train", "--data", "absent.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cbackprop: error: absent.csv: No such file or directory\n"


@pytest.mark.parametrize("args", [
    [], ["fly"], ["evaluate"], ["predict"], ["train", "net.npz"],
    ["train", "--sizes", "784,x"], ["train", "--sizes", ""], ["train", "--seed", "-1"],
    ["train", "--seed", "1.5"], ["train", "--epochs", "many"], ["train", "--cost", "free"],
    ["train", "--activation", "sofmax"], ["train", "--dtype", "float16"],
])
def test_wrong_usage(args, cli):
    status, out, err = cli(*args)
    assert (status, out) == (2, "")
    assert err.startswith("usage: cbackprop")
    assert ": error: " in err.splitlines()[-1]


def test_the_place_to_save_is_checked_before_training(cli, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    status, out, err = cli("train", "--save", "net.npz")
    assert (status, out) == (1, "")
    assert "writable, got 'net.npz'" in err


def test_a_failed_training_keeps_the_file_that_was_there(cli, saved):
    with open(saved, "rb") as file:
        before = file.read()
    assert cli("train", "--activation", "relu", "--eta", "1e30", "--save", saved)[0] == 1
    with open(saved, "rb") as file:
        assert file.read() == before
    assert os.listdir() == [saved]
