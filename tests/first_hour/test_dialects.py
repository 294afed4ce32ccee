"""Twenty tables in every form that people write: the same columns, target, kind and classes."""

import io

import first_tables
import numpy as np
import pytest

import cbackprop
from cbackprop import tables

SMALL = [name for name in first_tables.MADE if name not in ("digits", "label_first", "star98")]


def read(content):
    return tables.read(io.BytesIO(content))


def columns(real):
    """Return the columns as numbers, booleans and words, without this package's reading."""
    made = {}
    for at, name in enumerate(real.header):
        cells = [row[at] for row in real.rows]
        if set(cells) <= {"True", "False"}:
            made[name or "Unnamed: 0"] = [cell == "True" for cell in cells]
            continue
        try:
            made[name or "Unnamed: 0"] = [float(cell) if cell else np.nan for cell in cells]
        except ValueError:
            made[name or "Unnamed: 0"] = [cell.strip() or None for cell in cells]
    return made


def same(found, wanted):
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], np.array(values, found[name].dtype))
        assert found[name].dtype.kind == {bool: "b", float: "f"}.get(type(values[0]), "O")


def is_target(table, real, target=None):
    found = tables.choose(table, target)
    assert (found.names, found.kind, found.classes, tuple(found.left_out)) == (
        (real.target,), real.kind, real.classes, real.left_out)
    y = real.y
    if real.kind == "classes":
        assert [str(real.classes[label]) for label in found.y] == [
            f"{float(cell):g}" if cell.replace(".", "").isdigit() else cell for cell in y]
    else:
        np.testing.assert_array_equal(found.y, np.array(y, float))


@pytest.mark.parametrize("name", first_tables.MADE)
def test_columns_target_kind_and_classes(name):
    real = first_tables.real(name).head(1000 if name != "label_first" else 250)
    table = read(first_tables.FORMS["csv"](real.header, real.rows))
    assert (len(table), table.named) == (len(real.rows), True)
    same(table.columns, columns(real))
    is_target(table, real, real.target if real.asked else None)


@pytest.mark.parametrize("form", first_tables.FORMS)
@pytest.mark.parametrize("name", SMALL)
def test_every_form_is_the_same_table(name, form):
    real = first_tables.real(name).head(60)  # of longer ones these are enough to go wrong
    try:
        content = first_tables.FORMS[form](real.header, real.rows)
    except UnicodeEncodeError:
        pytest.skip("Latin-1 has no such letters")
    table = read(content)
    same(table.columns, columns(real))
    latin = form == "latin-1" and not content.isascii()
    commas = form == "decimal commas" and content != first_tables.FORMS["semicolons"](
        real.header, real.rows)
    assert len(table.notes) == latin + commas


@pytest.mark.parametrize("name", [name for name in first_tables.MADE if name != "visits"])
def test_without_a_header(name):
    real = first_tables.real(name).head(1000 if name != "label_first" else 250)
    table = read(first_tables.as_text((), real.rows).encode())
    assert (len(table), table.named) == (len(real.rows), False)
    at = real.header.index(real.target)
    found = tables.choose(table, at if real.asked else None)
    assert (found.names, found.kind, found.classes) == (
        (f"column {at + 1}",), real.kind, real.classes)
    assert len(found.left_out) == len(real.left_out)


@pytest.mark.parametrize("name", ["iris", "grunfeld", "visits", "shop", "unicode_names"])
def test_parquet_and_arrow(name, tmp_path):
    polars = pytest.importorskip("polars")
    real = first_tables.real(name)
    wanted = columns(real)
    frame = polars.DataFrame({one: [None if value != value else value for value in values]
                              for one, values in wanted.items()})
    frame.write_parquet(tmp_path / "a")
    frame.write_ipc(tmp_path / "b")
    frame.write_ipc_stream(tmp_path / "c")
    for path in "abc":
        table = tables.read(tmp_path / path)
        same(table.columns, wanted)
        is_target(table, real, real.target if real.asked else None)


@pytest.mark.parametrize("name", ["iris", "digits", "diabetes", "label_first", "longley"])
def test_npy_and_npz(name, tmp_path):
    real = first_tables.real(name).head(250)
    at = real.header.index(real.target)
    if real.classes and isinstance(real.classes[0], str):
        numbers = {label: str(place) for place, label in enumerate(real.classes)}
        rows = [(*row[:at], numbers[row[at]], *row[at + 1:]) for row in real.rows]
        real = first_tables.dataclasses.replace(
            real, rows=rows, classes=tuple(range(len(real.classes))))
    whole = np.array(real.rows, float)
    np.save(tmp_path / "a.npy", whole)
    found = tables.choose(tables.read(tmp_path / "a.npy"), at if real.asked else None)
    assert (found.names, found.kind, found.classes) == (
        (f"column {at + 1}",), real.kind, real.classes)
    y = whole[:, at]
    for pair in (("x", "y"), ("X_train", "y_train"), ("data", "target"), ("images", "labels")):
        np.savez(tmp_path / "b.npz", **dict(zip(pair, (np.delete(whole, at, 1), y), strict=True)))
        table = tables.read(tmp_path / "b.npz")
        found = tables.choose(table)
        assert (found.names, found.kind, found.classes) == ((pair[1],), real.kind, real.classes)
        np.testing.assert_array_equal(table.columns["column 1"], np.delete(whole, at, 1)[:, 0])


def test_several_targets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    labels = (x[:, :2] > 0).astype(int)
    table = {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "dry": labels[:, 0], "warm": labels[:, 1]}
    found = tables.choose(tables.from_frame(table), ["dry", "warm"])
    assert (found.kind, found.classes) == ("labels", ("dry", "warm"))
    trained = cbackprop.train_table(table, ["dry", "warm"], test_split=0.25, seed=0)
    net = trained.network
    assert net.trained_on.name == "labels"
    measured = net.measure(trained.part("test"))
    assert measured["label_accuracy"] > 0.93
    answers = net.predict(table)
    assert answers.shape == (400, 2)
    assert (answers == labels).mean() > 0.93
