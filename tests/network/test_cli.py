"""The command line, run as users run it, and every way it can refuse."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop import callbacks, inspect
from cbackprop.cli import main, race
from cbackprop.cli import train as train_command
from cbackprop.core import _dispatch
from cbackprop.tables import settings

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
def output(cli):
    """Run what has to succeed in this process: the lines of stdout."""
    def call(*args):
        status, out, err = cli(*args)
        assert (status, err) == (0, "")
        return out.splitlines()
    return call


def as_json(cli, *args):
    """Run what has to succeed in this process: the object on stdout, which has nothing else."""
    status, out, err = cli(*args, "--json")
    assert (status, err) == (0, "")
    assert out.count("\n") == 1
    return json.loads(out)


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
def fruit():
    """A CSV file with names of columns and of classes, which colour and width tell apart."""
    rng = np.random.default_rng(0)
    with open("fruit.csv", "w") as file:
        file.write("width,height,colour,kind\n")
        for kind in rng.permutation(np.arange(90) % 3):
            file.write(f"{rng.normal(3 * kind, 0.5):.3f},{rng.normal():.3f},"
                       f"{['red', 'green', 'green'][kind]},{['apple', 'pear', 'plum'][kind]}\n")
    return "fruit.csv"


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


def test_the_books_run_by_its_name():
    done = run("train", "--book")
    assert (done.returncode, done.stderr) == (0, "")
    read, rows, network, *epochs = done.stdout.splitlines()[:13]
    assert read == "read: mnist, 6,000 images of 784 pixels, 10 classes"
    assert rows == "rows: 5,000 for training, 1,000 for test"
    assert network.startswith("Network([784, 30, 10], activation='sigmoid', ")
    assert network.endswith("cost='quadratic', dtype='float32') on 5000 examples")
    for number, line in enumerate(epochs, 1):
        assert re.fullmatch(rf"epoch {number:>2}  cost 0\.\d+ +accuracy \d\d\.\d\d %  "
                            r"test cost 0\.\d+ +\d+\.\d\d s", line)
    accuracy = re.search(r"^accuracy (\d\d\.\d\d) % of 1000 test rows ", done.stdout, re.M)
    assert float(accuracy[1]) > 90
    assert os.listdir() == []


def test_the_book_with_other_numbers(output):
    """The library's own, to the last bit."""
    lines = output("train", "--book", "--sizes", "784,12,10", "--epochs", "2", "--batch", "25",
                   "--eta", "0.5", "--cost", "cross_entropy", "--activation", "tanh",
                   "--dtype", "float64", "--seed", "3", "--save", "net.npz")
    training, test = cbackprop.datasets.load("mnist")
    net = cbackprop.Network([784, 12, 10], activation="tanh", cost="cross_entropy",
                            dtype="float64", input_scale=1 / 255, seed=3)
    history = net.SGD(training, 2, 25, 0.5, test_data=test, skip_zeros=True)
    assert f"{net} on 5000 examples" in lines
    told = [line for line in lines if line.startswith("epoch ")]
    for line, cost, accuracy in zip(told, history.cost, history.accuracy, strict=True):
        assert f"cost {cost:<7.4g}  accuracy {accuracy * 100:.2f} %" in line
    assert any(line.startswith(
        f"accuracy {net.accuracy(test) * 100:.2f} % of 1000 test rows ({net.evaluate(test)} "
        f"right), cost {net.total_cost(test):.4g}, ") for line in lines)
    assert same_weights(cbackprop.Network.load("net.npz"), net)


def test_train_learns_as_it_is_told(output):
    output("train", "--book", "--sizes", "784,12,10", "--epochs", "1", "--batch", "25", "--eta",
           "0.001", "--optimizer", "Adam", "--lmbda", "0.3", "--dropout", "0.2", "--save",
           "net.npz")
    training, _ = cbackprop.datasets.load("mnist")
    net = cbackprop.Network([784, 12, 10], input_scale=1 / 255, seed=0)
    net.SGD(training, 1, 25, 0.001, optimizer="adam", lmbda=0.3, dropout=0.2)
    assert same_weights(cbackprop.Network.load("net.npz"), net)


def test_a_rare_class_counts_as_much_if_asked_for(output):
    rows = "\n".join(f"{at % 7},{'rare' if at % 10 == 3 else 'usual'}" for at in range(100))
    Path("rare.csv").write_text(f"width,sort\n{rows}\n")
    output("train", "rare.csv", "--epochs", "2", "--class-weight", "balanced", "--save", "net.npz")
    found = cbackprop.Network.load("net.npz")
    balanced, equal = (
        cbackprop.train_table("rare.csv", epochs=2, seed=0, test_split=0.2, class_weight=weight)
        for weight in ("balanced", None))
    assert same_weights(found, balanced.network)
    assert not same_weights(found, equal.network)


def same_weights(net, other):
    return all(np.array_equal(w, v) for w, v in zip(net.weights, other.weights, strict=True))


def test_without_arguments_all_is_decided_for_the_digits(cli):
    found = as_json(cli, "train", "--epochs", "5")
    assert found["source"] == "mnist"
    assert found["rows"] == {"training": 5000, "test": 1000}
    assert found["metrics"]["accuracy"] > 0.92  # eta 3, right for the book's, would be at chance
    chosen = settings.decide("classes", 5000, 784, 10, epochs=5)
    assert found["settings"] == json.loads(json.dumps(chosen.values))
    assert found["lines"][2:] == chosen.lines
    (x, y), test = cbackprop.datasets.load("mnist")
    net = cbackprop.Network(**chosen.network(), input_scale=1 / 255, seed=0)
    history = chosen.train(net, x, y, skip_zeros=True)
    assert found["history"]["cost"] == history.cost
    assert found["metrics"] == net.measure(test)


def test_a_table_is_trained_as_python_trains_it(cli, fruit):
    found = as_json(cli, "train", fruit, "--activation", "tanh", "--epochs", "20", "--seed", "4",
                    "--save", "net.npz")
    trained = cbackprop.train_table(fruit, test_split=0.2, seed=4, activation="tanh", epochs=20)
    assert found["lines"] == trained.lines
    assert found["metrics"] == trained.network.measure(trained.part("test"))
    assert found["metrics"]["accuracy"] >= 0.9
    assert found["classes"] == ["apple", "pear", "plum"]
    assert found["target"] == "kind"
    assert found["rows"] == {name: len(rows) for name, rows in trained.rows.items()}
    net = cbackprop.Network.load("net.npz")
    assert same_weights(net, trained.network)
    assert net.preprocessing == trained.network.preprocessing
    assert net.classes == trained.network.classes


def test_what_was_decided_can_be_typed(output, fruit):
    """As options, the decisions give the same network; of each there is one."""
    lines = output("train", fruit, "--epochs", "3", "--save", "first.npz")
    typed = [word for line in lines if line.startswith("--")
             for word in line.partition(":")[0].split()]
    assert {"--sizes", "--activation", "--cost", "--output-activation", "--initializer",
            "--optimizer", "--validation-split", "--batch", "--eta", "--patience",
            "--lmbda"} == set(typed[::2])
    again = output("train", fruit, "--epochs", "3", *typed, "--save", "second.npz")
    assert not [line for line in again if line.startswith("--")]
    assert same_weights(*map(cbackprop.Network.load, ("first.npz", "second.npz")))


def test_what_it_says_at_the_end(output, fruit):
    lines = output("train", fruit, "--epochs", "3")
    assert lines[0] == f"read: {fruit}, 90 rows, 4 columns"
    assert lines[1].startswith("target: column 'kind', the last")
    at = next(at for at, line in enumerate(lines) if line.startswith("accuracy "))
    assert lines[at - 1].startswith("trained: 3 epochs in ")
    assert lines[at + 1] == "the worst mistakes:"
    mistake = re.fullmatch(r"  fruit.csv, line (\d+): (\w+), taken for (\w+) \(0\.\d\d\)",
                           lines[at + 2])
    with open(fruit) as file:
        row = file.read().splitlines()[int(mistake[1]) - 1]
    assert row.endswith(mistake[2])
    assert mistake[2] != mistake[3]
    assert lines[-1] == f"next: cbackprop train {fruit} --epochs 3 --save net.npz"
    assert output("train", fruit, "--epochs", "1", "--save", "my net.npz")[-2:] == [
        "saved: my net.npz", f"next: cbackprop predict 'my net.npz' {fruit}"]


def test_the_worst_mistakes_of_numbers(cli, numbers):
    found = as_json(cli, "train", numbers, "--save", "net.npz")
    assert found["kind"] == "numbers"
    assert "accuracy" not in found["metrics"]
    assert found["metrics"]["r2"] > 0.8
    trained = cbackprop.train_table(numbers, test_split=0.2, seed=0)
    table, y = trained.part("test")
    off = abs(trained.network.predict(table) - y)
    worst = np.argsort(-off)[:3]
    np.testing.assert_allclose([each["error"] for each in found["mistakes"]], off[worst], 1e-5)
    assert [each["where"] for each in found["mistakes"]] == [table.where(row) for row in worst]


@pytest.mark.parametrize(("flags", "kind"), [
    ([], "classes"), (["--regression"], "numbers"), (["--kind", "counts"], "counts")])
def test_the_kind_as_asked_for(flags, kind, cli):
    x = points()
    data = write_csv("stars.csv", x, np.round(np.clip(2 + x[:, 0], 0, 4)))
    assert as_json(cli, "train", data, "--epochs", "2", *flags)["kind"] == kind


def test_the_target_as_asked_for(cli, fruit):
    assert as_json(cli, "train", fruit, "--target", "width", "--epochs", "2")["target"] == "width"
    assert as_json(cli, "train", fruit, "--target", "1", "--epochs", "2")["target"] == "height"
    labels = (points()[:, :3] > 0).astype(int)
    np.savetxt("labels.csv", np.column_stack([points(), labels]), delimiter=",", fmt="%g",
               header="a,b,c,d,e,f,g,h,i,p,q,r", comments="")
    found = as_json(cli, "train", "labels.csv", "--target", "p", "--target", "q", "--target", "r",
                    "--epochs", "30")
    assert (found["kind"], found["target"]) == ("labels", "p, q, r")
    assert found["metrics"]["label_accuracy"] > 0.7


def test_a_column_left_out(output, fruit):
    assert "left out: column 'height', as asked for" in output(
        "train", fruit, "--left-out", "height", "--epochs", "1")


def test_labels_that_come_first(cli):
    """MNIST's usual file: the label is not the last pixel."""
    (x, y), _ = cbackprop.datasets.load("mnist")
    np.savetxt("digits.csv", np.column_stack([y, x])[:1000], delimiter=",", fmt="%d")
    found = as_json(cli, "train", "digits.csv", "--epochs", "10", "--save", "net.npz")
    assert len(found["classes"]) == 10
    assert 0.75 < found["metrics"]["accuracy"] < 0.99
    bundled = as_json(cli, "evaluate", "net.npz", "mnist")  # whose labels come last
    assert 0.75 < bundled["metrics"]["accuracy"] < 0.99
    assert bundled["rows"] == 1000


def test_epoch_lines_come_while_training_goes_on():
    """Not all at the end: these fit into the buffer of a pipe."""
    with start("train", "--book", "--sizes", "784,300,10", "--epochs", "100", "--eta", "0.5",
               stdout=subprocess.PIPE) as process:
        lines = [process.stdout.readline() for _ in range(5)]
        process.kill()
        lines += process.stdout.readlines()
    assert lines[4].startswith("epoch   2  cost ")
    assert len(lines) < 90


def test_no_epochs(output):
    lines = output("train", "--book", "--epochs", "0")
    assert not any(line.startswith(("epoch", "trained")) for line in lines)
    assert any(line.startswith("accuracy ") for line in lines)


def test_the_seed_decides_everything(output, classes):
    first, same, other = (without_times(output("train", "--data", classes, "--epochs", "2",
                                               "--seed", seed)) for seed in ("1", "1", "2"))
    assert first[:-1] == same[:-1]
    assert first[3] == other[3]  # so many rows are held out, ...
    assert first[:-1] != other[:-1]  # ... but others


def test_test_sets_that_come_with_the_data(cli):
    x = points(12)
    np.savez("sets.npz", x_train=x, y_train=np.arange(12) % 2, x_test=x[:5], y_test=np.arange(5))
    found = as_json(cli, "train", "sets.npz", "--classification", "--epochs", "1")
    assert found["rows"]["test"] == 5
    assert found["classes"] == [0, 1, 2, 3, 4]  # those of the test set count, too


def test_images_of_bytes_stay_bytes(cli):
    x = np.random.default_rng(0).integers(0, 256, (40, 2, 4), np.uint8)
    np.savez("bytes.npz", x=x, y=np.arange(40) % 3)
    found = as_json(cli, "train", "bytes.npz", "--epochs", "1", "--test-split", "0.25",
                    "--hidden", "7", "--save", "net.npz")
    net = cbackprop.Network.load("net.npz")
    assert net.sizes == (8, 7, 3)
    assert net.input_scale == 1 / 255
    assert net.preprocessing is None
    assert found["rows"] == {"training": 30, "test": 10}


def test_few_rows_are_all_trained_on(cli):
    data = write_csv("few.csv", points(6), np.arange(6) % 2)
    found = as_json(cli, "train", data, "--epochs", "1")
    assert found["rows"] == {"training": 6, "validation": 0, "test": 0}
    assert found["measured_on"] == "training"


def test_warnings_are_one_line(cli, fruit, output):
    output("train", fruit, "--epochs", "1", "--save", "net.npz")
    with open(fruit) as file, open("more.csv", "w") as more:
        more.writelines(line.rstrip("\n") + end for line, end in zip(
            file, [",taste\n", *[",sweet\n"] * 90], strict=True))
    status, out, err = cli("predict", "net.npz", "more.csv")
    assert (status, len(out.splitlines())) == (0, 90)
    assert err == ("cbackprop: warning: more.csv has columns that the network was not trained "
                   "with, which are ignored: 'taste'\n")


# ---- the terminal ----


def in_a_terminal(*args, tqdm):
    """Run on a pseudo-terminal of 80 columns: (status, all that it showed)."""
    pytest.importorskip("termios")
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    program = ("import sys; from cbackprop.cli import main\n"
               f"if not {tqdm}: sys.modules['tqdm'] = None\n"
               "sys.exit(main(sys.argv[1:]))")
    with subprocess.Popen([*COMMAND[:-2], "-c", program, *args], stdin=theirs, stdout=theirs,
                          stderr=theirs, env=USUAL) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # how Linux says that nobody is left at the other end
            pass
        os.close(ours)
    return process.returncode, shown.decode()


@pytest.mark.parametrize("tqdm", [True, False])
def test_a_terminal_shows_a_bar(tqdm):
    """With tqdm or without it; and no line for every epoch."""
    if tqdm:
        pytest.importorskip("tqdm")
    status, shown = in_a_terminal("train", "--book", "--epochs", "3", tqdm=tqdm)
    assert status == 0
    bar = r"100%\|.+\| 15\.0k/15\.0k \[" if tqdm else r"\repoch [123]/3 \[#*\.*\] \d+ s left"
    assert re.search(bar, shown)
    assert not re.search(r"^epoch +2  cost", shown, re.M)
    assert "% of 1000 test rows" in shown


# ---- evaluate, predict, info ----


def test_save_evaluate_predict_round_trip():
    trained = run("train", "--book", "--epochs", "2", "--save", "net.npz")
    evaluated, predicted = run("evaluate", "net.npz"), run("predict", "net.npz")
    assert [trained.stderr, evaluated.stderr, predicted.stderr] == ["", "", ""]
    assert evaluated.stdout.splitlines()[0].replace("rows", "test rows") in trained.stdout
    _, (_, y) = cbackprop.datasets.load("mnist")
    classes = np.array(predicted.stdout.split(), int)
    assert f"({np.sum(classes == y)} right)" in evaluated.stdout
    assert os.listdir() == ["net.npz"]


@pytest.fixture
def trained(fruit, output):
    """A network for fruit, as Python has it; and saved as net.npz."""
    output("train", fruit, "--epochs", "5", "--save", "net.npz")
    return cbackprop.Network.load("net.npz")


def test_evaluate_is_a_full_report(cli, output, fruit, trained):
    """Counted by hand from what the network predicts."""
    found = as_json(cli, "evaluate", "net.npz", fruit)
    table = cbackprop.tables.read(fruit)
    y, seen = table.columns["kind"], trained.predict(table)
    assert found["metrics"] == trained.measure(table)
    assert found["correct"] == np.sum(y == seen)
    names = ["apple", "pear", "plum"]
    assert found["confusion"] == [[int(np.sum((y == a) & (seen == b))) for b in names]
                                  for a in names]
    for name, of_class in zip(names, found["classes"], strict=True):
        assert of_class == {
            "class": name, "count": 30, "recall": np.mean(seen[y == name] == name),
            "precision": np.mean(y[seen == name] == name) if np.any(seen == name) else None}
    sure = trained.predict_proba(table).max(axis=1)
    wrong = np.flatnonzero(y != seen)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:10]
    assert [each["where"] for each in found["mistakes"]] == [table.where(row) for row in worst]
    np.testing.assert_allclose([each["output"] for each in found["mistakes"]], sure[worst])
    text = "\n".join(output("evaluate", "net.npz", fruit))
    assert re.search(r"^class +precision +recall +count\napple +\d", text, re.M)
    assert re.search(r"^confusion: .*\n +apple +pear +plum\napple +\d", text, re.M)
    assert "the worst mistakes:\n" in text


def test_evaluate_needs_targets(cli, fruit, trained):
    write_without_target(fruit)
    status, out, err = cli("evaluate", "net.npz", "bare.csv")
    assert (status, out) == (1, "")
    assert "bare.csv must hold targets to be evaluated, got none" in err


def write_without_target(fruit):
    with open(fruit) as file, open("bare.csv", "w") as bare:
        bare.writelines(line.rpartition(",")[0] + "\n" for line in file)


def test_predict_with_targets_or_without(output, fruit, trained):
    predictions = trained.predict(cbackprop.tables.read(fruit)).tolist()
    assert output("predict", "net.npz", fruit) == predictions
    write_without_target(fruit)
    assert output("predict", "net.npz", "--data", "bare.csv") == predictions


def test_predict_probabilities_to_a_file(output, fruit, trained):
    assert output("predict", "net.npz", fruit, "--proba", "--output", "answers.csv") == [
        "90 rows written to answers.csv"]
    answers = cbackprop.tables.read("answers.csv").columns
    assert list(answers) == ["kind", "p of apple", "p of pear", "p of plum"]
    table = cbackprop.tables.read(fruit)
    assert answers["kind"].tolist() == trained.predict(table).tolist()
    shares = np.stack([answers[name] for name in list(answers)[1:]], axis=1)
    np.testing.assert_allclose(shares, trained.predict_proba(table), 1e-6)
    assert output("predict", "net.npz", fruit, "--proba")[0] == (
        "kind,p of apple,p of pear,p of plum")


def test_predict_from_the_standard_input(fruit, trained):
    write_without_target(fruit)
    with open("bare.csv") as file:
        done = subprocess.run([*COMMAND, "predict", "net.npz", "-"], stdin=file, env=USUAL,
                              capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == trained.predict(cbackprop.tables.read(fruit)).tolist()


def test_predict_numbers(output, numbers):
    output("train", numbers, "--epochs", "5", "--save", "net.npz")
    predicted = np.array(output("predict", "net.npz", numbers), float)
    expected = cbackprop.Network.load("net.npz").predict(cbackprop.tables.read(numbers))
    np.testing.assert_allclose(predicted, expected)


def test_a_network_that_knows_no_columns(output, classes):
    """Made in Python, on arrays: a table of so many numbers, and perhaps the target, fits."""
    table = cbackprop.tables.read(classes).columns
    x, y = np.stack(list(table.values())[:-1], axis=1), list(table.values())[-1].astype(int)
    net = cbackprop.Network([9, 2], cost="log_likelihood", seed=0)
    net.SGD((x, y), 3, 10, 0.5)
    net.save("net.npz")
    assert output("predict", "net.npz", classes) == list(map(str, net.predict(x)))
    assert output("evaluate", "net.npz", classes)[0].startswith(
        f"accuracy {net.accuracy((x, y)) * 100:.2f} % of 60 rows ")


# ---- bench ----


def test_the_race_agrees_and_is_timed(cli):
    found = as_json(cli, "bench", "--sizes", "9,7,5,3", "--batch", "4", "--rows", "42",
                    "--repeat", "2", "--dtype", "float64")
    assert found["rows"] == 40  # whole mini-batches
    assert found["apart"] < 1e-12
    assert {name: len(times) for name, times in found["seconds"].items()} == {
        "cbackprop": 2, "NumPy": 2}


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[5, 1], [5, 4, 3], [3, 8, 8, 1]])
def test_numpys_epoch_is_the_books(real, sizes):
    """An epoch from the same parameters, in the order of the rows."""
    found = race.race(sizes, 5, 30, real, 1, 1, seed=1)
    assert found["apart"] < {"float32": 1e-5, "float64": 1e-13}[real]


def test_numpys_epoch_would_be_refused_if_it_were_another(monkeypatch):
    take = race.NumPyNetwork.epoch
    monkeypatch.setattr(race.NumPyNetwork, "epoch",
                        lambda self, x, y, order, eta: take(self, x, y, order, 1.1 * eta))
    with pytest.raises(ValueError, match="cbackprop and NumPy must agree to 1e-09 of the largest"):
        race.race([5, 4, 3], 5, 30, "float64", 1, 1, seed=1)


# ---- info, gradcheck ----


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
    output("train", classes, "--activation", "tanh", "--epochs", "1", "--save", "net.npz")
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
    text = " ".join(text.split())
    for names in (CORE.COSTS, CORE.ACTIVATIONS, CORE.OPTIMIZERS):
        assert ", ".join(names) in text
    assert "{" + ",".join(_dispatch.REALS) + "}" in text


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "bench", "info", "gradcheck"])
def test_help_has_defaults_and_two_examples(command, output):
    lines = output(command, "--help")
    assert len([line for line in lines if line.startswith(f"  cbackprop {command}")]) >= 2
    options = re.split(r"^  (?=-)", "\n".join(lines), flags=re.M)[1:]
    without = {option.split()[0].rstrip(",") for option in options if "default:" not in option}
    assert without <= {"-h", "--json", "--data", "--proba", "--book", "--hidden", "--resume",
                       "--distributed"}


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
@pytest.mark.parametrize("args", [["info"], ["--help"], ["train", "--book", "--epochs", "1000000"]])
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
@pytest.mark.parametrize("json_too", [False, True])
def test_ctrl_c(json_too):
    """An epoch of this takes much longer than stopping may. What it has learned is saved."""
    with start("train", "--sizes", "784,600,600,10", "--batch", "1", "--save", "net.npz",
               *["--json"] * json_too, stdout=subprocess.PIPE) as process:
        if json_too:
            time.sleep(3)
        else:
            assert any(line.startswith("Network(") for line in process.stdout)
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == "cbackprop: interrupted\n"
        said = process.stdout.read()
    if json_too:
        found = json.loads(said)
        assert (found["interrupted"], found["saved"]) == (True, "net.npz")
    else:
        assert said.startswith("interrupted after 0 whole epochs; ")
        assert "\naccuracy " in "\n" + said.split("\n", 1)[1]
        assert said.endswith("saved: net.npz\n")
    assert cbackprop.Network.load("net.npz").sizes == (784, 600, 600, 10)


@pytest.mark.parametrize("kind", ["--regression", "--book"])
def test_resume(kind, cli, monkeypatch):
    """The same command, interrupted twice, saves what an undisturbed one does."""
    x = points(90)
    table = kind == "--regression"
    source = write_csv("numbers.csv", x, 100 + 20 * np.sin(x[:, 0])) if table else "mnist"
    words = ["train", source, kind, "--epochs", "3", "--batch", "7" if table else "100", "--save"]
    assert cli(*words, "whole.npz")[0] == 0
    again = [*words, "resumed.npz", "--checkpoint", "last.npz", "--resume"]
    monkeypatch.setattr(train_command, "CHECKPOINT_SECONDS", 0)
    saved, write = [], callbacks.Checkpoint._write_last

    def write_and_interrupt(checkpoint, network, history):
        write(checkpoint, network, history)
        saved.append(len(history))
        if len(saved) in (1, 3):
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Checkpoint, "_write_last", write_and_interrupt)
    for status, said in [(130, "nothing, for last.npz is not there yet"), (130, "last.npz"),
                         (0, "last.npz"), (0, "last.npz")]:  # the last has nothing to do
        found, out, err = cli(*again)
        assert (found, f"\nresumed: {said}\n" in out) == (status, True), err
        if not status:
            whole, resumed = map(cbackprop.Network.load, ("whole.npz", "resumed.npz"))
            assert whole.history.cost == resumed.history.cost
            for w, v in zip(whole.weights, resumed.weights, strict=True):
                assert np.array_equal(w, v)


def test_resume_without_a_checkpoint(cli, classes):
    assert cli("train", classes, "--resume") == (1, "", (
        "cbackprop: error: --resume needs --checkpoint FILE, the file to go on from, got none\n"))


def test_resume_with_another_option(cli, classes):
    words = "train", classes, "--checkpoint", "last.npz", "--epochs", "2", "--resume"
    assert cli(*words)[0] == 0
    status, _, err = cli(*words, "--eta", "0.5")
    assert status == 1
    assert re.fullmatch(r"cbackprop: error: resume must go on as 'last.npz' began, with "
                        r"eta = 0.001, got 0.5\n", err)



# ---- errors ----


@pytest.mark.parametrize(("args", "message"), [
    (["train", "--sizes", "784"], "sizes must be at least two positive integers"),
    (["train", "--sizes", "784,0,10"], "sizes must be at least two positive integers"),
    (["train", "--sizes", "9,10"], "sizes must begin with 784, the number of inputs"),
    (["train", "--book", "--sizes", "9,10"], "must have sizes[0] = 9 columns, got shape (5000, "),
    (["train", "--book", "--sizes", "784,9"], "must hold labels in 0..8, got 9"),
    (["train", "--book", "numbers.csv"], "--book needs images of bytes, as MNIST's, got numbers"),
    (["train", "numbers.csv", "--target", "label"], "target must be a column of numbers.csv"),
    (["train", "numbers.csv", "--test-split", "1"], "test_split must be"),
    (["train", "--epochs", "-1"], "epochs must be an integer of at least 0, got -1"),
    (["train", "--book", "--batch", "5001"], "at most the 5000 examples, got 5001"),
    (["train", "--eta", "nan"], "eta must be a number of at least 0"),
    (["train", "--lmbda", "-1"], "lmbda must be"),
    (["train", "--dropout", "1"], "dropout must be"),
    (["train", "--book", "--activation", "relu", "--eta", "1e30"], "training diverged"),
    (["train", "--data", "absent.csv"], "absent.csv: No such file or directory"),
    (["train", "--data", "imagenet"], "imagenet: a data set must be one of mnist, mnist-full"),
    (["train", "--data", "."], ".: must hold MNIST's four files"),
    (["train", "--data", "short.csv"], "short.csv, column 2: targets must differ, got 2 in "),
    (["train", "--data", "numbers.csv", "--sizes", "9,2"], "and end with 1 for numbers, got [9,"),
    (["train", "--save", "absent/net.npz"], "--save must name a file in a folder that exists"),
    (["train", "--save", "net.npz/net.npz"], "--save must name a file in a folder that exists"),
    (["train", "--save", "."], "--save must name a file in a folder that exists"),
    (["evaluate", "absent.npz"], "absent.npz: No such file or directory"),
    (["evaluate", "net.npz", "numbers.csv"], "numbers.csv must have 784 columns, the network's"),
    (["predict", "net.npz", "--data", "numbers.csv"], "got 9 beside the target"),
    (["predict", "net.npz", "--output", "absent/out.csv"], "absent: The folder does not exist"),
    (["bench", "--rows", "5"], "--rows must be at least --batch, 10, got 5"),
    (["bench", "--sizes", "9"], "sizes must be at least two positive integers"),
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
    def load(source, **_):
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
    [], ["fly"], ["evaluate"], ["predict"], ["train", "a.csv", "b.csv"],
    ["train", "a.csv", "--data", "b.csv"],
    ["train", "--sizes", "784,x"], ["train", "--sizes", ""], ["train", "--seed", "-1"],
    ["train", "--seed", "1.5"], ["train", "--epochs", "many"], ["train", "--cost", "free"],
    ["train", "--activation", "sofmax"], ["train", "--dtype", "float16"],
])
def test_wrong_usage(args, cli):
    status, out, err = cli(*args)
    assert (status, out) == (2, "")
    usage, error = err.splitlines()
    assert usage.startswith("usage: cbackprop")
    assert ": error: " in error


@pytest.mark.parametrize(("word", "meant"), [
    ("--lr", "--eta"), ("--learning-rate=0.1", "--eta"), ("--learning_rate", "--eta"),
    ("--batch-size", "--batch"), ("--mini-batch-size", "--batch"), ("--max-iter", "--epochs"),
    ("--solver", "--optimizer"), ("--epohcs", "--epochs"), ("--random-state", "--seed"),
    ("--hidden-sizes", "--hidden"), ("--alpha", "--lmbda"), ("--loss", "--cost"),
])
def test_unknown_options_say_what_was_meant(word, meant, cli):
    status, _, err = cli("train", "a.csv", word, "1")
    assert status == 2
    assert err.splitlines()[-1].endswith(f"; did you mean {meant}?")


def test_unknown_names_say_what_was_meant(cli):
    assert cli("train", "--activation", "rleu")[2].endswith("got 'rleu'; did you mean 'relu'?\n")


def test_sizes_or_hidden(cli, fruit):
    status, _, err = cli("train", fruit, "--sizes", "7,9,3", "--hidden", "9")
    assert status == 2
    assert "not allowed with argument --sizes" in err


def test_remedies_are_options(cli, output, fruit):
    """Python's arguments would be of no use; and the remedy works."""
    with open("slip.csv", "w") as file:
        file.write("code,y\n" + "1,a\n2,b\n" * 9 + "x,a\n")
    assert cli("train", "slip.csv")[2].endswith(
        "must be a number like the rest of its column, got 'x'; columns in --text stay words\n")
    assert "columns: 1 columns -> 4 inputs: 1 one-hot" in output(
        "train", "slip.csv", "--text", "code", "--epochs", "1", "--save", "net.npz")
    assert len(output("predict", "net.npz", "slip.csv", "--text", "code")) == 19


@pytest.mark.parametrize("isa", ["v9", "V3"])
def test_an_instruction_set_that_there_is_not(isa):
    done = subprocess.run([*COMMAND, "info"], env=USUAL | {"CBACKPROP_ISA": isa},
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("cbackprop: error: CBACKPROP_ISA must be one of "
                           f"['baseline', 'v3', 'v4', 'v4bf16'], got '{isa}'\n")


@pytest.mark.parametrize(("flag", "value"), [
    ("--dropout", "50"), ("--eta", "-1"), ("--lmbda", "-1"), ("--epochs", "-1"), ("--batch", "0"),
    ("--patience", "0"), ("--test-split", "2"), ("--validation-split", "1"), ("--threads", "0"),
    ("--sizes", "0,3"), ("--hidden", "0"),
])
def test_arguments_are_checked_before_data_are_read(flag, value, cli):
    status, out, err = cli("train", "absent.csv", flag, value)
    assert (status, out) == (1, "")
    assert "must be" in err
    assert "absent.csv" not in err


def test_quiet(cli, fruit):
    status, out, err = cli("train", fruit, "--epochs", "2", "--quiet", "--save", "net.npz")
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert out.startswith("accuracy ")
    assert cli("train", fruit, "--epochs", "2")[1].count("\n") > 10


def test_the_place_to_save_is_checked_before_training(cli, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    status, out, err = cli("train", "--save", "net.npz")
    assert (status, out) == (1, "")
    assert "writable, got 'net.npz'" in err


def test_a_failed_training_keeps_the_file_that_was_there(cli, saved):
    with open(saved, "rb") as file:
        before = file.read()
    assert cli("train", "--book", "--activation", "relu", "--eta", "1e30", "--save", saved)[0] == 1
    with open(saved, "rb") as file:
        assert file.read() == before
    assert os.listdir() == [saved]


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="the system does not say its memory")
def test_a_file_larger_than_the_machines_memory_is_refused_at_once(cli):
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with open("large.csv", "wb") as file:
        file.truncate(memory + 1)  # a hole
    status, out, err = cli("train", "--data", "large.csv")
    assert (status, out) == (1, "")
    assert re.fullmatch(r".*large\.csv must fit in the memory of this machine, [\d.]+ GB, got "
                        r"[\d.]+ GB: .* reads \.npy, Parquet .* block by block, .*\n", err)
