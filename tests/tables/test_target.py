"""Which column is the target, of what kind it is, and what is said of both."""

import doctest
import io
from pathlib import Path

import numpy as np
import pytest
import refusals

from cbackprop import tables
from cbackprop.datasets import load_mnist
from cbackprop.tables import Table, choose

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"

def read(content):
    return tables.read(io.BytesIO(content.encode()))


def table_of(**columns):
    return tables.from_frame(columns, "data.csv")


# ---------------------------------------------------------------- which column


@pytest.mark.parametrize("head", ["label", "Label", "LABEL", "Class", "labels", "digit", "Target",
                                  "Outcome", "y", "Species", "DIAGNOSIS", "Survived",
                                  "class label"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_by_its_name(head, at):
    names = ["a", "b"]
    names.insert(at, head)
    found = choose(read(f"{','.join(names)}\n5,5,5\n0,0,0\n"))
    assert found.name == head
    assert found.why == f"target: column {head!r}, whose name means target"
    assert found.y.tolist() == [1, 0]
    assert found.classes == (0, 5)


@pytest.mark.parametrize(("names", "name"), [
    ("label,class,y", "label"),
    ("survived,pclass,class", "survived"),  # Titanic
    ("carat,price,x,y,z", "price"),  # diamonds, whose y is a length
    ("x,y", "y"),
    ("y,x", "y"),
    ("x,y,z", "z"),
    ("mpg,cylinders,origin", "mpg"),
    ("Pclass,classroom,yield", "yield"),
    ("label,b,c,target", "label"),
    ("income,food", "food"),  # numbers of people are what they have
])
def test_ambiguous_names(names, name):
    names = names.split(",")
    table = table_of(**{one: [0.0, 1.0, 1.0, 0.0, 2.5] for one in names})
    assert choose(table).name == name


def test_others_that_might_be_meant_are_said():
    table = table_of(Class=[1, 0, 1], a=[1, 2, 4], survived=[0, 1, 1])
    assert choose(table).why == (
        "target: column 'survived', whose name means target (so may 'Class')")


def test_a_name_does_not_make_a_target_of_dates_or_names():
    rows = [f"r{at}" for at in range(30)]
    days = np.array(["2020-01-01"] * 30, "M8[D]")
    for column in (rows, days):
        table = table_of(label=column, a=list(range(30)), y=["x", "y", "z"] * 10, b=[1.5] * 30)
        found = choose(table)
        assert (found.name, found.why) == ("y", "target: column 'y', whose name means target")
    with refusals.one_line(ValueError, "column 'label': classes must have several rows each"):
        choose(table_of(label=rows, kind=["x", "y", "z"] * 10))


def test_digits_without_header_have_their_labels_first():
    x, y = (part[:200] for part in load_mnist()[0])
    found = choose(tables.from_frame(np.column_stack([y, x])))
    assert found.name == "column 1"
    assert found.why == ("target: column 1, the first, since it alone is integers of few values "
                         "and all others are pixels")
    np.testing.assert_array_equal(found.y, y)
    assert (found.kind, found.classes) == ("classes", tuple(range(10)))
    few = choose(tables.from_frame(np.column_stack([[5, 0], x[:2]])))
    assert (few.name, few.classes) == ("column 1", (0, 5))
    scaled = choose(tables.from_frame(np.column_stack([y, x / 255])))
    assert (scaled.name, scaled.classes) == ("column 1", tuple(range(10)))
    last = choose(tables.from_frame(np.column_stack([x, y])))
    assert last.why == "target: column 785, the last, since columns have no names"
    np.testing.assert_array_equal(last.y, y)
    assert choose(tables.from_frame(np.column_stack([y, x / 255, y]))).name == "column 786"
    indexed = choose(tables.from_frame(np.column_stack([np.arange(200), y, x])))
    assert (indexed.name, list(indexed.left_out)) == ("column 2", ["column 1"])


def test_digits_with_other_names():
    x, y = (part[:200] for part in load_mnist()[0])
    names = ["what", *(f"{row}x{column}" for row in range(28) for column in range(28))]
    found = choose(table_of(**dict(zip(names, np.column_stack([y, x]).T, strict=True))))
    assert found.name == "what"
    assert found.why.startswith("target: column 'what', the first, since it alone")


@pytest.mark.parametrize(("first", "others"), [
    (np.full(50, 7), np.full((50, 20), 255)),  # it is the same in every row
    (np.arange(50) % 10, np.full((50, 10), 255)),  # too few to be pixels
    (np.arange(50) % 10, np.full((50, 20), 9)),  # no brighter than labels
    (np.arange(50) % 10 / 2, np.full((50, 20), 255)),
    (np.arange(50) % 10, np.full((50, 20), 256)),
    (np.arange(50) % 10, np.full((50, 20), 0.5)),
    (np.arange(50) % 10 - 1, np.full((50, 20), 255)),
    (np.arange(50) + 99, np.full((50, 20), 255)),
    (np.arange(50)[::-1], np.full((50, 20), 255)),
])
def test_not_all_first_columns_are_labels_of_images(first, others):
    last = np.r_[np.ones(45), np.zeros(5)]
    assert choose(tables.from_frame(np.column_stack([first, others, last]))).name == (
        f"column {others.shape[1] + 2}")


def test_the_last_otherwise():
    found = choose(read("a,b,c\n1,2,x\n3,4,y\n"))
    assert found.why == "target: column 'c', the last, since no column's name means target"
    found = choose(read("1,2,x\n3,4,y\n"))
    assert found.why == "target: column 3, the last, since columns have no names"
    found = choose(read("b,a,id\n1,1.5,1\n3,2.5,2\n"))
    assert (found.name, list(found.left_out)) == ("a", ["id"])


@pytest.mark.parametrize(("last", "why"), [
    (["year"], "'c', the last before 'year', whose name means a time or an identity,"),
    (["End Date"], "'c', the last before 'End Date', whose name means"),
    (["month", "Year"], "'c', the last before 'month', 'Year', whose names mean a time or an"),
    (["id"], "'c', the last, "),  # which is left out
    (["user_id"], "'c', the last before 'user_id', whose name means"),
    (["survival_time"], "'survival_time', the last, "),
])
def test_times_and_identities_are_no_targets(last, why):
    rng = np.random.default_rng(0)
    table = Table({name: rng.normal(size=30) for name in ("a", "c")}, "f.csv")
    for name in last:
        whole = np.arange(30) if name == "id" else rng.integers(2000, 2009, 30)
        table.columns[name] = whole.astype(float)
    assert choose(table).why.startswith(f"target: column {why}")
    only = Table({name: table.columns[name] for name in [*last, *last]} | {
        "month": table.columns["a"]}, "f.csv")
    if last == ["year"]:  # where there is nothing else, the last it is
        assert choose(only).name == "month"


@pytest.mark.parametrize(("target", "name"), [
    ("b", "b"), ("B", "b"), (0, "a"), (-1, "c"), ("-2", "b"), ("2", "c"), (np.int64(1), "b"),
])
def test_as_asked_for(target, name):
    table = read("a,b,c\n1,2,3\n2,3,4\n")
    found = choose(table, target)
    assert (found.name, found.why) == (name, f"target: column {name!r}, as asked for")


def test_a_name_comes_before_an_index():
    assert choose(read("label,1,0\n3,4,5\n6,7,8\n"), "0").name == "0"
    assert choose(read("label,1,0\n3,4,5\n6,7,8\n"), 0).name == "label"
    assert choose(read("1,2,x\n3,4,y\n"), 1).why == "target: column 2, as asked for"


@pytest.mark.parametrize(("target", "error", "message"), [
    ("lable", ValueError, r"target must be a column of data.csv \('label', 'a', 'b'\), "
                          r"got 'lable': did you mean 'label'\?"),
    ("q", ValueError, "got 'q'$"),
    (3, ValueError, "target must be an index from -3 to 2, for the 3 columns of data.csv, got 3"),
    ("-4", ValueError, "got -4"),
    (1.0, TypeError, "target must be a column's name or index, got 1.0"),
    (True, TypeError, "got True"),
    (["a", 1], ValueError, "target must name different columns, got 'a' twice"),
    ([], ValueError, "target must name a column or more, got none"),
    (["a", "b", "label"], ValueError, "data.csv must have a column beside the target"),
])
def test_other_columns_are_refused(target, error, message):
    with refusals.one_line(error, message):
        choose(table_of(label=[1, 0], a=[1, 2], b=[1, 3]), target)


def test_what_the_file_keeps_apart():
    file = io.BytesIO()
    np.savez(file, X=np.eye(3), Y=["b", "a", "b"])
    file.seek(0)
    found = choose(tables.read(file))
    assert (found.names, found.why) == (("Y",), "target: 'Y', which the file stores separately")
    assert (found.y.tolist(), found.classes) == ([1, 0, 1], ("a", "b"))
    file = io.BytesIO()
    np.savez(file, x=np.eye(3), y=[[0, 1], [1, 0], [0, 1]])
    file.seek(0)
    found = choose(tables.read(file))
    assert (found.kind, found.y.tolist()) == ("classes", [1, 0, 1])


# ---------------------------------------------------------------- what is no feature


@pytest.mark.parametrize(("name", "column", "words"), [
    ("", [0, 1, 2], "the first column, without a name, which counts the rows"),
    ("Unnamed: 0", [0, 1, 2], "the first column, without a name, which counts the rows"),
    ("", [1, 2, 3], "the first column, without a name, which counts the rows"),
    ("", [7, 3, 5], "the first column, without a name, which numbers the rows"),
    ("index", [0, 1, 2], "column 'index', which counts the rows"),
    ("PassengerId", [1, 2, 3], "column 'PassengerId', which counts the rows"),
    ("row_id", [1, 2, 3], "column 'row_id', which counts the rows"),
    ("rownames", [1, 2, 3], "column 'rownames', which counts the rows"),
    ("Id", list("abc" * 10), None),
    ("Id", [f"n{at}" for at in range(30)], "column 'Id', which identifies the rows"),
    ("id", [at * at for at in range(30)], "column 'id', which identifies the rows"),
    ("id", [at / 7 for at in range(30)], None),
    ("", [0.5, 1.5, 2.5], None),
    ("", [5, 5, 6], None),
    ("age", [0, 1, 2], None),
    ("paid", [1, 2, 3], None),
    ("index", [3, 1, 2], None),
    ("index", [2, 3, 4], None),
])
def test_an_index_is_left_out_and_said(name, column, words):
    n = len(column)
    table = table_of(**{name: column, "a": np.arange(n) / 3, "label": (["x", "y", "x"] * n)[:n]})
    found = choose(table)
    assert found.left_out == ({} if words is None else {name: f"left out: {words}"})
    if n == 3:
        assert choose(table, name, "regression").left_out == {}


def test_an_index_in_a_file_without_names():
    column = np.arange(1, 13)
    found = choose(tables.from_frame(np.column_stack([column, column / 7, column % 3])))
    assert found.left_out == {"column 1": "left out: column 1, which counts the rows"}
    column = np.arange(1, 6)
    assert not choose(tables.from_frame(np.column_stack([column, column / 7, column]))).left_out


# ---------------------------------------------------------------- of what kind


def values(n, low, high, seed=0):
    return np.random.default_rng(seed).integers(low, high, n)


@pytest.mark.parametrize(("name", "column", "kind", "reason"), [
    ("t", ["b", "a", "b"], "classes", "2 classes (a, b), since they are words"),
    ("t", [True, False, True], "classes", "2 classes (False, True), since they are true or false"),
    ("t", [1, -1, 1], "classes", "2 classes (-1, 1), since there are two of them"),
    ("t", [0.0, 255.0, 0.0], "classes", "2 classes (0, 255), since there are two of them"),
    ("t", [1, 2, 3] * 3, "classes", "3 classes (1, 2, 3), since they are whole numbers of 3 v"),
    ("quality", values(200, 3, 9), "classes",
     "6 classes (3, 4, ..., 8), since they are whole numbers of 6 values"),
    ("t", values(2600, 0, 26), "classes",
     "26 classes (0, 1, ..., 25), since they are the whole numbers from 0 to 25"),
    ("digit", [7, 1, 9], "classes", "3 classes (1, 7, 9), since the name 'digit' says so"),
    ("t", [0.5, 1.5, 0.5], "numbers", "numbers, since not all are whole"),
    ("t", [1, 2.5, 3], "numbers", "numbers, since not all are whole"),
    ("t", values(442, 25, 347), "numbers", "numbers, since they are whole numbers of 244 values"),
    ("label", values(100, 0, 10**6), "numbers", "numbers, since they are whole numbers of 100 v"),
    ("age", values(500, 17, 91), "numbers", "numbers, since they are whole numbers of 74 values"),
    ("t", [10, 20, 30, 40], "numbers", "numbers, since they are whole numbers of 4 values"),
    ("visits", [0, 3, 1, 0, 2], "counts", "counts, since the name 'visits' says so"),
    ("num_claims", [0, 3, 1, 0, 2], "counts", "counts, since the name 'num_claims' says so"),
    ("t", np.random.default_rng(0).geometric(0.15, 500) - 1, "counts",
     "counts, since they are whole, from 0 up, and mostly small"),
    ("affairs", [0] * 30 + [1, 2, 3, 7, 12] * 4, "counts",
     "counts, since they are whole, from 0 up, and mostly small"),
    ("t", [0, 1, 2, 4] * 20, "classes", "4 classes (0, 1, 2, 4), since they are whole numbers"),
    ("country", values(100, 3, 8), "classes", "5 classes (3, 4, 5, 6, 7), since they are whole"),
])
def test_the_guess_is_said(name, column, kind, reason):
    n = len(column)
    found = choose(table_of(a=np.arange(n) / 7, **{name: column}), name)
    assert found.kind == kind
    assert found.kind_why.startswith(f"kind: {reason}")
    assert "\n" not in found.kind_why
    if kind == "classes":
        assert found.y.dtype == np.int64
        assert [found.classes[at] for at in found.y] == list(column)
        assert len(found.classes) == len(set(column))
    else:
        assert found.classes is None
        assert found.y.dtype == np.float64
        np.testing.assert_array_equal(found.y, column)


@pytest.mark.parametrize(("column", "classes"), [
    (["b", "a", "c", "a"], ("a", "b", "c")),
    ([10.0, 9.0, 10.0, 2.0], (2, 9, 10)),
    (["b", "10", "9", "b"], ("9", "10", "b")),
    ([True, False, False, True], (False, True)),
    ([1.5, 0.5, 1.5, 1.5], (0.5, 1.5)),
])
def test_classes_are_sorted_by_value(column, classes):
    found = choose(table_of(a=np.arange(4) / 7, b=column), "b", "classification")
    assert found.classes == classes
    assert list(map(type, found.classes)) == list(map(type, classes))
    assert [found.classes[at] for at in found.y] == column


@pytest.mark.parametrize(("column", "kind", "found_kind", "why"), [
    ([1, 0, 1], "regression", "numbers", "numbers, as asked for, not classes, as there are two"),
    ([1, 0, 1], "classification", "classes", "2 classes (0, 1), as asked for"),
    ([1.5, 0.5, 1.5], "classification", "classes", "2 classes (0.5, 1.5), as asked for, not num"),
    ([1, 0, 1], "counts", "counts", "counts, as asked for, not classes"),
    ([True, False, True], "numbers", "numbers", "numbers, as asked for, not classes"),
])
def test_a_kind_that_is_asked_for_overrides_the_guess(column, kind, found_kind, why):
    found = choose(table_of(a=[1, 2, 4], b=column), kind=kind)
    assert found.kind == found_kind
    assert found.kind_why.startswith(f"kind: {why}")
    if found_kind != "classes":
        assert found.y.tolist() == [float(value) for value in column]


def test_several_targets():
    table = table_of(a=[1.5, 2, 3], b=[0, 1, 1], c=[True, False, True], d=[0.5, 1, 2])
    found = choose(table, ["b", "c"])
    assert (found.kind, found.classes, found.name) == ("labels", ("b", "c"), "b, c")
    assert found.y.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert found.kind_why == "kind: 2 labels, since all columns are 0 or 1"
    assert choose(table, ["b", "c"], "regression").kind == "numbers"
    found = choose(table, [-1, "a"])
    assert (found.kind, found.y.tolist()) == ("numbers", [[0.5, 1.5], [1, 2], [2, 3]])
    hot = table_of(a=[1, 2, 4], b=[0, 1, 0], c=[1, 0, 1])
    found = choose(hot, ["b", "c"])
    assert (found.kind, found.classes, found.y.tolist()) == ("classes", ("b", "c"), [1, 0, 1])
    assert choose(hot, ["b", "c"], "labels").kind == "labels"


@pytest.mark.parametrize(("columns", "target", "kind", "message"), [
    ({"a": [1, 2], "b": ["x", "y"], "c": [1, 2]}, ["a", "b"], None,
     "row 0, column 'b': several targets must each be numbers, got 'x'"),
    ({"a": [1, 2], "b": [0, 3], "c": [1, 2]}, ["a", "b"], "labels",
     "row 1, column 'a': several targets of classes must be 0 or 1, got 2"),
    ({"a": [1, 1], "b": [0, 1], "c": [1, 2]}, ["a", "b"], "classes",
     "row 1: several columns of classes must have one 1 in each row, got 2"),
    ({"a": [1, 1], "b": [0, 0], "c": [1, 2]}, ["a", "b"], None,
     r"data.csv: targets must differ, got \[1.0, 0.0\] in all 2 rows"),
    ({"a": [1, 2], "b": [0, 1]}, "b", "labels", "kind 'labels' must have several columns"),
    ({"a": [1, 2], "b": [0, -1]}, "b", "counts", "row 1, column 'b': counts must be whole numbers"),
    ({"a": [1, 2], "b": [0, 0.5]}, "b", "counts", "at least 0, got 0.5"),
    ({"a": ["x", "y"], "b": [0, 1]}, "a", "regression", "row 0, column 'a': a target of numbers"),
    ({"a": [1, 1], "b": [0, 1]}, "a", None, "column 'a': targets must differ, got 1 in all 2 rows"),
    ({"a": ["x"] * 3, "b": [0, 1, 2]}, "a", None, "targets must differ, got 'x' in all 3 rows"),
    ({"a": [1, 2], "b": [0, None]}, "b", None, "row 1, column 'b': every row must have a target"),
    ({"a": [1, 2], "b": [None, None]}, "b", None, r"got none \(nor in 1 more rows\)"),
    ({"a": [1, 2], "b": ["x", "?"]}, "b", None, "row 1, column 'b': every row must have a target"),
    ({"a": [1, 2]}, None, None, "data.csv must have a column beside the target 'a', got none"),
    ({"id": [1, 2], "b": [1, 2]}, None, None, "beside the target 'b' and the index, got none"),
    ({"a": [1, 2], "b": [0, 1]}, None, "klass", "kind must be one of .*'classification'.*'klass'"),
    ({"a": np.zeros(2, "M8[D]"), "b": [0, 1]}, "a", None, "a target must be classes or numbers"),
    ({"a": [], "b": []}, None, None, "data.csv must have rows, got none"),
    ({"a": [f"{at}x" for at in range(99)], "b": [0, 1, 2] * 33}, "a", None,
     "classes must have several rows each, got 99 different values in 99 rows; choose another"),
    ({"a": np.arange(99) / 7, "b": [0, 1, 2] * 33}, "a", "classification", "got 99 different"),
])
def test_targets_are_refused_in_one_line(columns, target, kind, message):
    with refusals.one_line(ValueError, message):
        choose(table_of(**columns), target, kind)


def test_a_missing_target_is_named_by_its_line():
    with refusals.one_line(ValueError, "BytesIO, line 5, column 'label': every row must have a"):
        choose(read('a,label\n\n"1\n",x\n2,NA\n'))


def test_a_table_keeps_what_it_was_given():
    table = Table({"a": np.array([1.0, 2.0]), "b": np.array(["x", "y"], object)}, "data.csv")
    found = choose(table)
    assert list(table.without({*found.names, *found.left_out}).columns) == ["a"]
    assert list(table.columns) == ["a", "b"]


@pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside the tests")
def test_the_page_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted
    assert not results.failed
