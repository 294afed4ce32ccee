"""The command line on real tables: what it says, what it answers, and every way it refuses."""

import csv
import json
import os
import re
import subprocess
import sys

import first_tables
import numpy as np
import pytest

from cbackprop import Network, tables

QUICK = "--seed", "0", "--epochs", "15"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def put(name, form="csv", without_target=False, rows=None):
    """Write a table and return it."""
    real = first_tables.real(name)
    at = real.header.index(real.target)
    header, cells = real.header, real.rows[:rows]
    if without_target:
        header = header[:at] + header[at + 1:]
        cells = [row[:at] + row[at + 1:] for row in cells]
    with open(f"{name}.txt", "wb") as file:
        file.write(first_tables.FORMS[form](header, cells))
    return real


def process(*args, **options):
    return subprocess.run([sys.executable, "-W", "error", "-m", "cbackprop", *args],
                          capture_output=True, text=True, timeout=60, encoding="utf-8", **options)


@pytest.mark.parametrize("name", [name for name in first_tables.MADE
                                  if name not in ("digits", "label_first")])
def test_train_evaluate_predict(cli, name):
    real = put(name)
    asked = ("--target", real.target) * real.asked
    status, out, err = cli("train", f"{name}.txt", *asked, *QUICK, "--json", "--save", "net.npz")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["lines"][0] == (
        f"read: {name}.txt, {len(real.rows):,} rows, {len(real.header)} columns")
    assert (told["target"], told["kind"]) == (real.target, real.kind)
    assert told["classes"] == (None if real.classes is None else list(real.classes))
    assert told["rows"]["test"] == round(0.2 * len(real.rows))
    assert sum(told["rows"].values()) == len(real.rows)
    net = Network.load("net.npz")

    status, out, err = cli("evaluate", "net.npz", f"{name}.txt", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["rows"] == len(real.rows)

    put(name, "tsv", without_target=True)
    status, out, err = cli("predict", "net.npz", f"{name}.txt")
    assert (status, err) == (0, "")
    answers = out.splitlines()
    assert len(answers) == len(real.rows)
    if real.kind == "classes":
        right = sum(answer == str(type(real.classes[0])(float(cell)) if isinstance(
            real.classes[0], int) else cell) for answer, cell in zip(answers, real.y, strict=True))
        assert found["correct"] == right
        assert found["metrics"]["accuracy"] == pytest.approx(right / len(answers))
    else:
        a, y = np.array(answers, float), np.array(real.y, float)
        assert found["metrics"]["r2"] == pytest.approx(
            1 - np.square(a - y).sum() / np.square(y - y.mean()).sum(), abs=1e-3)
        assert net.predict(tables.read(f"{name}.txt")).tolist() == pytest.approx(a.tolist())


def test_everything_is_said(cli):
    put("shop")
    status, out, err = cli("train", "shop.txt", "--seed", "0")
    assert (status, err) == (0, "")
    for line in ("target: column 'outcome', whose name means target",
                 "kind: 2 classes (no, yes), since they are words",
                 "left out: the first column, without a name, which counts the rows",
                 "rows: 192 for training, 48 for validation, 60 for test"):
        assert line in out.splitlines()
    decided = [line.split()[0] for line in out.splitlines() if line.startswith("--")]
    assert decided == [
        "--sizes", "--activation", "--cost", "--output-activation", "--initializer", "--optimizer",
        "--validation-split", "--batch", "--eta", "--epochs", "--patience", "--lmbda"]
    assert "next: cbackprop train shop.txt" in out
    typed = [word for line in out.splitlines() if line.startswith("--")
             for word in line.partition(":")[0].split(" ", 1)]
    again = cli("train", "shop.txt", "--seed", "0", *typed)[1]
    assert [line for line in out.splitlines() if "test rows" in line] == [
        line for line in again.splitlines() if "test rows" in line]


def test_shares_and_files(cli):
    real = put("unicode_names")
    cli("train", "unicode_names.txt", *QUICK, "--save", "net.npz")
    status, _, err = cli(
        "predict", "net.npz", "unicode_names.txt", "--proba", "--output", "a.csv")
    assert (status, err) == (0, "")
    with open("a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["état", "p of 冷", "p of 熱"]
    assert len(rows) == len(real.rows)
    for row in rows:
        shares = {name: float(row[f"p of {name}"]) for name in real.classes}
        assert max(shares, key=shares.get) == row["état"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


# ---------------------------------------------------------------- real processes


def test_standard_input_and_output():
    put("iris", rows=150)
    with open("iris.txt", encoding="utf-8") as file:
        done = process("train", "-", *QUICK, "--save", "net.npz", stdin=file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("read: standard input, 150 rows, 5 columns\n")
    put("iris", without_target=True, rows=3)
    with open("iris.txt", encoding="utf-8") as file:
        done = process("predict", "net.npz", "-", stdin=file)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "setosa\n" * 3)


def test_a_wrong_instruction_set_is_one_line():
    done = process("info", env=os.environ | {"CBACKPROP_ISA": "v9"})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "CBACKPROP_ISA" in done.stderr
    assert "v9" in done.stderr
    assert done.stdout == ""


# ---------------------------------------------------------------- refusals


def lines(head, line, n=30):
    return head + "\n" + "".join(line(at) + "\n" for at in range(n))


BAD = {
    "empty": ("", "must hold rows of values, got an empty file"),
    "blank": ("\n \n", "must hold rows of values"),
    "comments": ("# a\n# b\n", "got nothing but comments"),
    "header": ("a,b,label\n", "got the header alone"),
    "ragged": (lines("a,label", lambda at: f"{at},{at % 2}" + ",9" * (at == 28)),
               "line 30: must have 2 fields like the first row, got 3"),
    "quote": ('a,label\n1,"x\n2,y\n', "line 2: must have quotes in pairs"),
    "duplicate": ("a,a,label\n1,2,x\n", "must name each column differently, got 'a' 2 times"),
    "equal": (lines("a,label", lambda at: f"{at},x"),
              "column 'label': targets must differ, got 'x' in all 30 rows"),
    "equal numbers": (lines("a,target", lambda at: f"{at * at},3.5"), "targets must differ"),
    "one row": ("a,label\n1,x\n", "targets must differ, got 'x' in the only row"),
    "classes": (lines("a,label", lambda at: f"{at * at},name{at}", 50),
                "classes must have several rows each, got 50 different values in 50 rows"),
    "one column": (lines("label", lambda at: f"{at % 2}"), "must have a column beside the target"),
    "dates": (lines("when,label", lambda at: f"2020-01-{at % 28 + 1:02d},{at % 2}"),
              "column 'when' of bad.txt holds dates"),
    "date target": (lines("a,label", lambda at: f"{at},2020-01-{at % 28 + 1:02d}"),
                    "column 'label': a target must be classes or numbers, got dates"),
    "no target": (lines("a,target", lambda at: f"{at},{'' if at == 7 else at * 1.5}"),
                  "line 9, column 'target': every row must have a target, got none"),
    "nan target": (lines("a,target", lambda at: f"{at},{'NaN' if at > 27 else at * 1.5}"),
                   r"line 30, column 'target': .* got none \(nor in 1 more rows\)"),
    "infinite": (lines("a,target", lambda at: f"{'inf' if at == 7 else at},{at * 1.5}"),
                 "line 9, column 'a': must be a finite number, got 'inf'"),
    "slip": (lines("a,target", lambda at: f"{'oops' if at == 99 else at},{at * 1.5}", 200),
             "line 101, column 'a': must be a number like the rest of its column, got 'oops'"),
    "beyond": (lines("a,target", lambda at: f"{at},{at}.5e39"),
               "line 2, column 'target': a target must be within float32, got 5e\\+38: scale"),
    "too small": (lines("a,target", lambda at: f"{at},{at}.5e-300"),
                  "column 'target': targets must differ in float32, got 0 in all 30 rows"),
    "html": ("<!DOCTYPE html>\n<html><body>404</body></html>\n", "must be a table, got a page of"),
    "json": ('[{"a": 1, "b": 2},\n {"a": 3, "b": 5}]\n', "must be a table, got JSON"),
    "binary": (bytes(range(256)) * 16, "must be a table of text, or .* got a binary file"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "begins with 89 50 4e 47"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "a gzip file must unpack whole"),
    "zip": (b"PK\3\4" + bytes(20), "must hold whole numeric arrays"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16")[:-1], "must be text in utf-16"),
    "decimals": ("a;b\n1,5;2\n2.5;3,5\n1,5;2\n", "must have a decimal comma|must be a number"),
    "words only": (lines("name,label", lambda at: f"person{at},{at % 2}"),
                   "must have a column that a network can take"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_one_line(cli, kind):
    content, message = BAD[kind]
    with open("bad.txt", "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    refused(cli, message, "train", "bad.txt")


def refused(cli, message, *args, status=1):
    found, out, err = cli(*args)
    assert found == status
    *usage, error = err.splitlines()
    assert len(usage) == (status == 2)
    assert "error: " in error
    assert len(error) < 500
    assert re.search(message, error), error
    assert "Traceback" not in out + err


@pytest.mark.parametrize(("args", "message"), [
    (["none.csv"], "none.csv: No such file or directory"),
    (["no/none.csv"], "no/none.csv: No such file or directory"),
    (["."], r"\.: (?:must hold MNIST's four files|Is a directory)"),
    (["iris.txt", "--target", "specie"], "got 'specie': did you mean 'species'"),
    (["iris.txt", "--target", "7"], "an index from -5 to 4, .* got 7"),
    (["iris.txt", "--left-out", "specie"], "left.out must name columns .* did you mean 'species'"),
    (["iris.txt", "--target", "species", "--left-out", "species"], "must not name the target"),
    (["iris.txt", "--regression"], "a target of numbers must be a column of numbers, got 'setosa'"),
    (["iris.txt", "--batch", "1000"], "at most the 96 examples, got 1000"),
    (["iris.txt", "--eta", "-1"], "eta must be a number of at least 0, got -1"),
    (["iris.txt", "--sizes", "3,5,3"], "sizes must begin with 4"),
    (["iris.txt", "--test-split", "2"], "test_split must be a number"),
    (["iris.txt", "--validation-split", "1"], "validation_split must be a number"),
    (["iris.txt", "--epochs", "-1"], "epochs must be an integer of at least 0"),
    (["iris.txt", "--save", "no/net.npz"], "--save must name a file in a folder that exists"),
    (["iris.txt", "--save", "."], "--save must name a file"),
    (["iris.txt", "--eta", "1e9", "--optimizer", "sgd", "--seed", "0"], "training diverged"),
])
def test_wrong_training_is_refused_in_one_line(cli, args, message):
    put("iris")
    refused(cli, message, "train", *args)


@pytest.mark.parametrize(("args", "message"), [
    (["predict", "none.npz", "iris.txt"], "none.npz: No such file or directory"),
    (["predict", "iris.txt", "iris.txt"], "iris.txt is not a whole cbackprop network file"),
    (["predict", "new.csv", "net.npz"], "network comes first: cbackprop predict net.npz new.csv$"),
    (["gradcheck", "new.csv", "net.npz"], "comes first: cbackprop gradcheck net.npz new.csv$"),
    (["net.npz"], "did you mean 'cbackprop info net.npz'"),
    (["predict", "net.npz", "none.csv"], "none.csv: No such file"),
    (["predict", "net.npz", "other.csv"], "other.csv must have the columns of the training, lacks"),
    (["predict", "net.npz", "words.csv"], "words.csv, line 3, .* must be a number, .* got 'x'"),
    (["predict", "net.npz", "new.csv", "--output", "no/a.csv"], "no"),
    (["evaluate", "net.npz", "new.csv"], "new.csv must hold targets to be evaluated"),
    (["evaluate", "net.npz", "classes.csv"], "classes of the network.* got 'rose'"),
])
def test_wrong_use_of_a_network_is_refused_in_one_line(cli, args, message):
    real = put("iris")
    assert cli("train", "iris.txt", *QUICK, "--save", "net.npz")[0] == 0
    head = ",".join(real.header[:4])
    for name, content in {
            "other.csv": "a,b\n1,2\n", "new.csv": f"{head}\n1,2,3,4\n",
            "words.csv": f"{head}\n1,2,3,4\n1,x,3,4\n1,y,3,4\n1,z,3,4\n",
            "classes.csv": f"{head},species\n1,2,3,4,setosa\n1,2,3,4,rose\n"}.items():
        with open(name, "w") as file:
            file.write(content)
    refused(cli, message, *args, status=2 if len(args) == 1 else 1)


@pytest.mark.parametrize(("args", "message"), [
    (["train", "iris.txt", "--lr", "1"], "did you mean --eta"),
    (["train", "iris.txt", "--activation", "rleu"], "did you mean 'relu'"),
    (["train", "iris.txt", "--seed", "-1"], "invalid seed value: '-1'"),
    (["trian", "iris.txt"], "got 'trian'; did you mean 'train'"),
    (["iris.txt"], "got 'iris.txt'; did you mean 'cbackprop train iris.txt'"),
    (["mnist"], "did you mean 'cbackprop train mnist'"),
    ([], "required: COMMAND"),
])
def test_wrong_usage_exits_with_2(cli, args, message):
    put("iris")
    refused(cli, message, *args, status=2)


def test_a_gap_far_down_is_named_by_its_line(cli):
    """In a file that is read the fast way, in its 200,000th row."""
    rows = ["1.5,2.5"] * 200_000
    rows[::2] = ["2.5,1.5"] * 100_000
    rows[-1] = "1.5,nan"
    with open("long.csv", "w") as file:
        file.write("a,target\n" + "\n".join(rows))
    refused(cli, "long.csv, line 200001, column 'target': every row must have a target",
            "train", "long.csv")


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_few_rows(cli, rows):
    with open("few.csv", "w") as file:
        file.write(lines("a,b,label", lambda at: f"{at},{at * at},{'xy'[at % 2]}", rows))
    status, out, err = cli("train", "few.csv", "--seed", "0")
    assert (status, err) == (0, "")
    assert f"rows: {rows} for training" in out
    assert f"of {rows} training rows" in out
