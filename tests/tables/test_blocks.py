"""Tables in files that are read block by block, as if they were in memory."""

import json
import re

import numpy as np
import pytest

from cbackprop import Network
from cbackprop.cli import streamed
from cbackprop.tables import blocks
from cbackprop.tables.frame import from_frame
from cbackprop.tables.preprocessing import Preprocessing
from cbackprop.tables.target import choose

N = 3000


def columns(seed=0, n=N):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(3, 2, (2, n))
    return {"a": a, "b": b, "town": np.array(["Rome", "Oslo", "Bonn"])[rng.integers(0, 3, n)],
            "hot": rng.random(n) < 0.5, "label": np.where((a > 3) == (b > 3), "yes", "no")}


def write(folder, tables, kind="parquet"):
    pa = pytest.importorskip("pyarrow")
    folder.mkdir(exist_ok=True)
    for at, table in enumerate(tables):
        path, made = str(folder / f"part-{at}"), pa.table(table)
        if kind == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(made, path, row_group_size=700)
        else:
            pytest.importorskip("pyarrow.feather").write_feather(made, path, chunksize=500)
    return folder


def numbers(folder, kind, target=None):
    """Write a table of numbers, the last one a class, and return its path."""
    table = columns()
    x = np.stack([table["a"], table["b"], table["hot"]], axis=1)
    y = (table["label"] == "yes").astype(int) if target is None else target
    if kind == "npy":
        path = folder / "all.npy"
        np.save(path, np.column_stack([x, y]))
    elif kind == "npz":
        path = folder / "all.npz"
        np.savez(path, x=x.astype("float32"), y=y)
    else:
        path = folder / "all.h5"
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["x"], file["y"] = x, y
    return path


def whole(stream):
    return [np.concatenate(part) for part in zip(
        *(stream.read(block) for block in range(len(stream.bounds) - 1)), strict=True)]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_rows_are_those_of_the_table(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BATCH", 4000)  # of which 100 rows are read at a time
    tables = [columns(0), columns(1, 500)]
    tables[1]["a"][7] = np.nan
    parts = blocks.parts(str(write(tmp_path / "table", tables, kind)), 2**20)
    joined = from_frame({name: np.concatenate([table[name] for table in tables])
                         for name in tables[0]})
    target = choose(joined)
    fitted = Preprocessing.fit(joined, target=target.names)
    stream = blocks.stream(parts, fitted, target, "float64", 2**20, set())
    x, y = whole(stream)
    np.testing.assert_array_equal(x, fitted.transform(joined, "float64"))
    np.testing.assert_array_equal(y, target.y)
    assert (len(stream), stream.width) == (N + 500, len(fitted.columns))
    assert re.fullmatch("row 7 of .*part-1", stream.where(N + 7))
    assert stream.column(0) == "column 'a'"
    assert [len(part) for part in stream.apart(350, spread=True)] == [N + 150, 350]


@pytest.mark.parametrize("kind", ["npy", "npz", "hdf5", "parquet", "feather"])
def test_the_command_line_trains_on_blocks(kind, cli, tmp_path):
    of_records = kind in ("parquet", "feather")
    path = write(tmp_path / "table", [columns(), columns(1)], kind) if of_records else numbers(
        tmp_path, kind)
    saved = str(tmp_path / "net.npz")
    status, out, err = cli("train", str(path), "--memory", "500KB", "--epochs", "8", "--hidden",
                           "10", "--json", "--save", saved, "--eta", "0.01")
    assert (status, err) == (0, "")
    found, n = json.loads(out), 2 * N if of_records else N
    assert found["rows"] == {"training": n - n // 5, "test": n // 5}
    assert found["metrics"]["accuracy"] > 0.9
    assert found["classes"] == (["no", "yes"] if of_records else [0, 1])
    assert "evaluation_cost" in found["history"]
    assert any(line.endswith("block by block") for line in found["lines"])
    net = Network.load(saved)
    table = columns(2)
    given = table if of_records else np.stack([table["a"], table["b"], table["hot"]], axis=1)
    x = net.preprocessing.transform(given)
    right = net.feedforward(x).argmax(axis=1) == (table["label"] == "yes")
    assert right.mean() > 0.9


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_numbers_are_learned_in_their_unit(kind, cli, tmp_path):
    table = columns()
    path = numbers(tmp_path, kind, 1000 + 500 * table["a"])
    status, out, _ = cli("train", str(path), "--memory", "500KB", "--epochs", "8", "--json",
                         "--hidden", "10", "--eta", "0.01", "--save", str(tmp_path / "net.npz"))
    assert status == 0
    assert json.loads(out)["metrics"]["r2"] > 0.95
    net = Network.load(tmp_path / "net.npz")
    x = net.preprocessing.transform(np.array([[3.0, 3.0, 1.0]]))
    assert net.feedforward(x).item() == pytest.approx(2500, rel=0.05)


def changed(name, row, value, table=1):
    tables = [columns(at) for at in range(3)]
    for each in tables if not isinstance(value, float) else []:
        each[name] = each[name].astype(object)
    tables[table][name][row] = value
    return tables


@pytest.mark.parametrize(("tables", "said"), [
    (changed("label", 2999, None), "part-1, row 2999, column 'label': every row must have a targ"),
    (changed("b", 2990, np.inf), "part-1, row 2990, column 'b': must be a finite number, got inf"),
    ([columns(), {**columns(), "b": columns()["town"]}],
     "part-1 must have the columns of .*part-0, got column 'b' of string for column 'b' of double"),
    ([columns(), {"a": [1.0]}], "part-1 must have the columns of .*, got none for column 'b'"),
    ([{**columns(), "label": ["yes"] * N}], "targets must differ")])
def test_what_is_wrong_is_said_with_its_place(tables, said, cli, tmp_path):
    folder = write(tmp_path / "table", tables)
    status, out, err = cli("train", str(folder), "--memory", "1MB", "--epochs", "1", "--quiet")
    assert (status, out) == (1, "")
    assert re.search(said, err), err
    assert err.count("\n") == 1


def test_a_class_that_the_sample_lacks_is_found(cli, tmp_path):
    folder = write(tmp_path / "table", changed("label", 2990, "maybe"))
    status, out, _ = cli("train", str(folder), "--memory", "1MB", "--epochs", "1", "--json")
    assert status == 0
    assert json.loads(out)["classes"] == ["maybe", "no", "yes"]


def test_a_gap_that_no_row_of_the_sample_has_is_told_once(cli, tmp_path):
    folder = write(tmp_path / "table", changed("b", 2990, np.nan))
    status, _, err = cli("train", str(folder), "--memory", "1MB", "--epochs", "3", "--quiet")
    assert status == 0
    said = "cbackprop: warning: .*part-1 misses values .* in 'b': the median .*\n"
    assert re.fullmatch(said, err)


@pytest.mark.parametrize(("args", "said"), [
    (["t.csv", "--memory", "1MB"], "t.csv must be a file of .npy, .npz, Parquet, Arrow"),
    (["all.npy", "--memory", "much"], "--memory must be a number of bytes, .* got 'much'"),
    (["all.npy", "--memory", "1MB", "--book"], "--book needs images of bytes, .* block by block"),
    (["none-*.npy"], "DATA must match a file, got 'none-")])
def test_bad_arguments(args, said, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers(tmp_path, "npy")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    status, _, err = cli("train", *args)
    assert status == 1
    assert re.match(f"cbackprop: error: {said}", err), err


def test_which_data_is_read_in_blocks(tmp_path, monkeypatch):
    path, text = numbers(tmp_path, "npy"), tmp_path / "t.csv"
    text.write_text("a,b\n1,2\n")
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "x.npy", np.zeros(3))
    (tmp_path / "empty").mkdir()
    (tmp_path / "saved").mkdir()
    Network([2, 1]).save(tmp_path / "saved" / "net.npz")
    asked = streamed.is_in_blocks
    names = [path, text, tmp_path, *(tmp_path / name for name in ("folder", "empty", "saved"))]
    assert [asked(str(each)) for each in names] == [False, False, False, True, False, False]
    assert asked(str(tmp_path / "*.npy"))
    assert not asked("mnist")
    monkeypatch.setattr(streamed, "machine_memory", lambda: 1000)
    assert asked(str(path))
    assert not asked(str(text))  # which `tables.read` refuses
