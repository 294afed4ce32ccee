"""Files and frames as tables: every dialect, written by the standard library, with known values."""

import base64
import csv
import datetime
import decimal
import gzip
import importlib.util
import io
import random
import sys
import zipfile
import zlib

import numpy as np
import pytest
import refusals

from cbackprop import tables
from cbackprop.tables import text

AGE, HEIGHT = [31.0, np.nan, 40.0], [1.7, 1.85, -2e-3]
TOWN, MARRIED = ["Ulm", None, "Bad Ems, Lahn"], [True, False, True]
ROWS = [["age", "height", "town", "married"], ["31", "1.7", "Ulm", "True"],
        ["", "1.85", "NA", "false"], ["40", "-2e-3", "Bad Ems, Lahn", "TRUE"]]


@pytest.fixture(params=["csv", "polars", "numpy"])
def way(request, monkeypatch):
    """Each way to read a text: the csv module, and what is faster where it can."""
    monkeypatch.setattr(text, "LARGE", 10**9 if request.param == "csv" else 0)
    if request.param == "polars":
        pytest.importorskip("polars")
    else:
        monkeypatch.setitem(sys.modules, "polars", None)
    return request.param


def written(rows=ROWS, **dialect):
    file = io.StringIO()
    csv.writer(file, **{"lineterminator": "\n"} | dialect).writerows(rows)
    return file.getvalue()


def read(content, **options):
    return tables.read(io.BytesIO(content if isinstance(content, bytes) else content.encode()),
                       **options)


def put(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def same(table, columns, lines=None):
    """See that a table is these columns, of these types."""
    assert list(table.columns) == list(columns)
    for name, values in columns.items():
        column = table.columns[name]
        kind = {bool: "b", str: "O", float: "f"}[type(next(v for v in values if v is not None))]
        assert column.dtype.kind == kind
        assert column.ndim == 1
        if kind == "f":
            assert column.dtype == np.float64
            np.testing.assert_array_equal(column, values)
        else:
            assert column.tolist() == values
    if lines is not None:
        assert [table.where(row) for row in range(len(table))] == [
            f"{table.source}, line {line}" for line in lines]


def people(table, lines=None):
    same(table, {"age": AGE, "height": HEIGHT, "town": TOWN, "married": MARRIED}, lines)


# ---------------------------------------------------------------- dialects of text


@pytest.mark.parametrize("dialect", [
    {}, {"delimiter": "\t"}, {"delimiter": ";"}, {"delimiter": "|"}, {"quoting": csv.QUOTE_ALL},
    {"lineterminator": "\r\n"}, {"lineterminator": "\r"},
], ids=str)
@pytest.mark.parametrize("encode", [
    str.encode, lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-16-le"), lambda text: text.encode("utf-16-be"),
    lambda text: b"\xfe\xff" + text.encode("utf-16-be"), lambda text: text.encode("utf-32"),
    lambda text: gzip.compress(text.encode()), lambda text: text.rstrip("\r\n").encode(),
], ids=["utf-8", "BOM", "utf-16", "utf-16-le", "utf-16-be", "BOM utf-16-be", "utf-32", "gzip",
        "no last newline"])
def test_dialects(way, dialect, encode):
    table = read(encode(written(**dialect)))
    people(table, [2, 3, 4])
    assert table.named
    assert table.notes == ()


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_single_quotes_in_pairs_around_fields_are_quotes(way, separator):
    rows = ["'age' 'town' 'note'", "'31' 'Ulm' 'a, b'", "40 'Bad Ems' 'the \"c\"'"]
    table = read("\n".join(rows).replace("' ", f"'{separator}").replace("40 ", f"40{separator}"))
    same(table, {"age": [31.0, 40.0], "town": ["Ulm", "Bad Ems"], "note": ["a, b", 'the "c"']})


@pytest.mark.parametrize("content", [
    "name,age\n'tis,3\nd'Arc,4\n", "name,age\nO'Neil,3\n'Bob' Ray,4\n",
    "\"a'b\",c\n'x',2\n'y',3\n"])
def test_apostrophes_are_letters_otherwise(way, content):
    rows = list(csv.reader(content.splitlines()))
    table = read(content)
    assert list(table.columns) == rows[0]
    assert table.columns[rows[0][0]].tolist() == [row[0] for row in rows[1:]]


def test_blanks_between_fields(way):
    same(read(" 0.1  2.5   3\n 4.0  -5 6\n"),
         {"column 1": [0.1, 4.0], "column 2": [2.5, -5.0], "column 3": [3.0, 6.0]}, [1, 2])
    same(read("a, b\n 1, x y \n2 ,  \"y, z\"\n"), {"a": [1.0, 2.0], "b": ["x y", "y, z"]})


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_latin_1_is_read_and_said(way, encoding):
    euro = "€" if encoding == "cp1252" else "e"
    table = read(f"Größe,Art\n1,ü\n2,{euro}\n".encode(encoding))
    same(table, {"Größe": [1.0, 2.0], "Art": ["ü", euro]})
    assert table.notes == ("a BytesIO: read as Latin-1, since it is not UTF-8",)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas_are_read_and_said(way, separator):
    table = read("a;b;c\n1,5;2;x\n-2,25;3;y\n,5;3;z\n7;;1,5,2\n".replace(";", separator))
    same(table, {"a": [1.5, -2.25, 0.5, 7.0], "b": [2.0, 3.0, 3.0, np.nan],
                 "c": ["x", "y", "z", "1,5,2"]})
    (note,) = table.notes
    assert "decimal commas" in note
    assert note.endswith("first in column 'a'")
    late = f"a{separator}b\n" + f"1{separator}2\n" * 300 + f"1,5{separator}3\n"
    assert read(late).columns["a"][-1] == 1.5


def test_decimal_points_beside_commas_are_refused(way):
    with refusals.one_line(ValueError, "line 3, column 'b': must have a decimal comma"):
        read("a;b\n1,5;2\n2,5;2.5\n")
    same(read("a;b\n1.5;1,2,3\n2.5;4,5,6\n"), {"a": [1.5, 2.5], "b": ["1,2,3", "4,5,6"]})


def test_lines_are_those_of_the_file(way):
    table = read('# of May, by hand\n\na,b\n# as said\n1,"x,\n\n# y"\n  \n2,"say ""z"""\n')
    same(table, {"a": [1.0, 2.0], "b": ["x,\n\n# y", 'say "z"']}, [5, 9])
    assert table.where(1, "b") == "a BytesIO, line 9, column 'b'"
    assert read("1,2\n3,4\n").where(1, "column 2") == "a BytesIO, line 2, column 2"


def test_what_begins_with_a_hash_is_a_row_if_it_is_as_wide(way):
    same(read("#chrom\tend\nx\t1\n#ff0000\t2\n#only a word\n"),
         {"chrom": ["x", "#ff0000"], "end": [1.0, 2.0]}, [2, 3])


@pytest.mark.parametrize(("content", "names"), [
    ("1,2,x\n3,4,y\n", None),
    ("5.1,setosa\n4.9,setosa\n", None),
    ("p,x\nq,y\np,y\n", None),  # mushrooms: letters in all rows
    ("2020-01-01,x\n2020-01-02,y\n", None),
    ("1,2,y\n3,4,n\n5,6,y\n", None),
    ("1,NA\n2,3\n", None),
    ("a,b\nx,y\nz,w\n", ["a", "b"]),
    ("label,0,1\n7,2,0\n", ["label", "0", "1"]),
    ("country,1990,2000\nx,1,2\ny,3,4\n", None),
    ("country,code,1960,1961,1962\nAruba,ABW,4.8,4.6,\nAngola,AGO,7.3,7.4,7.4\n",
     ["country", "code", "1960", "1961", "1962"]),
    ("x,1,2,3\nx,2,3,4\ny,5,2,1\n", None),
    ("n,1990,2000\n3,1,2\n", ["n", "1990", "2000"]),
    ("0,1,2\n5,5,1\n", ["0", "1", "2"]),  # pandas' own names
    (",0,1,2\n0,5,5,1\n", ["Unnamed: 0", "0", "1", "2"]),
    (",a\n0,5\n", ["Unnamed: 0", "a"]),
    (" a  b ,\"c\nd\"\n1,2\n", ["a b", "c d"]),
])
def test_header_or_none(way, content, names):
    table = read(content)
    assert table.named is (names is not None)
    assert list(table.columns) == (
        names or [f"column {at + 1}" for at in range(len(table.columns))])
    whole = read(content, header=False)
    assert len(whole) == len(table) + table.named
    assert not whole.named


def test_header_and_separator_as_asked_for(way):
    same(read("1;2\n3;4\n", header=True), {"1": [3.0], "2": [4.0]})
    same(read("1x2\n3x4\n", separator="x"), {"column 1": [1.0, 3.0], "column 2": [2.0, 4.0]})
    same(read("sep=x\naxb\n1x2\n"), {"a": [1.0], "b": [2.0]}, [3])  # Excel's
    same(read("sep=;\r\na;b\r\n1,5;2\r\n"), {"a": [1.5], "b": [2.0]}, [3])
    assert "separated by 'x'" in read("1,5x2\n3,5x4\n", separator="x").notes[0]
    for separator in ("", ",,", "\n", 3):
        with refusals.one_line(ValueError, "separator must be one character, got"):
            read("1,2\n", separator=separator)


@pytest.mark.parametrize("word", ["", "NA", "na", "N/A", "NaN", "nan", "null", "NULL", "None", "?",
                                  "-", " NA ", '""', "#N/A", "<NA>"])
def test_missing_values(way, word):
    table = read(f"a,b,c\n1,{word},x\n{word},5,{word}\n3,6,y\n")
    same(table, {"a": [1.0, np.nan, 3.0], "b": [np.nan, 5.0, 6.0], "c": ["x", None, "y"]})
    assert list(table.lines) == [2, 3, 4]
    late = "a,b\n" + "1,2\n" * 300 + f"3,{word}\n"
    assert np.isnan(read(late).columns["b"]).tolist() == [False] * 300 + [True]


def test_types_of_columns(way):
    table = read("i,t,d,z,e,q,v\n1,true,2020-01-02,2020-01-02T03:04:05Z,NA,yes,1e5\n"
                 "+2.,True,1999-12-31,2020-01-02T03:04:06Z,,no,.5\n")
    assert table.columns["i"].tolist() == [1, 2]
    assert table.columns["t"].tolist() == [True, True]
    assert table.columns["d"].tolist() == [datetime.datetime(2020, 1, 2),
                                           datetime.datetime(1999, 12, 31)]
    assert table.columns["z"].astype("datetime64[s]").astype(str).tolist() == [
        "2020-01-02T03:04:05", "2020-01-02T03:04:06"]
    assert np.isnan(table.columns["e"]).all()
    assert table.columns["q"].tolist() == ["yes", "no"]
    assert table.columns["v"].tolist() == [1e5, 0.5]
    for words, day in ((("3.2.2021", "28.2.2021"), 3), (("2/3/2021", "2/28/2021"), 3),
                       (("3/2/2021", "28/2/2021"), 3)):
        column = read(f"day,n\n{words[0]},1\n{words[1]},2\nNA,3\n").columns["day"]
        assert column[:2].astype("datetime64[D]").astype(str).tolist() == [
            f"2021-02-0{day}", "2021-02-28"]
        assert np.isnat(column[2])
    same(read("t,n\ntrue,1\nNA,2\n"), {"t": ["true", None], "n": [1.0, 2.0]})


def test_numbers_with_groups_of_digits_and_units(way):
    same(read('a,b,c,d\n"1,234",$5,45%,"€ 1,000,000.5"\n950,-$7.5,5 %,-2 €\n,"$1,000",NA,€3\n'),
         {"a": [1234.0, 950.0, np.nan], "b": [5.0, -7.5, 1000.0], "c": [45.0, 5.0, np.nan],
          "d": [1000000.5, -2.0, 3.0]})
    same(read("a;b\n1.234,5;7 €\n2,5;1.000,50 €\n"), {"a": [1234.5, 2.5], "b": [7.0, 1000.5]})
    same(read('a,b\n"1,23",$\n"12,34",--5\n'), {"a": ["1,23", "12,34"], "b": ["$", "--5"]})


def test_columns_of_nothing_are_left_out_and_said(way):
    table = read("a,b,\n1,2,\n3,4,\n")
    same(table, {"a": [1.0, 3.0], "b": [2.0, 4.0]})
    assert "left out 1 column" in table.notes[0]


def test_a_few_words_among_numbers_are_slips(way):
    with refusals.one_line(ValueError, "BytesIO, line 5, column 'age': must be a number like the "
                                       "rest of its column, got 'four'"):
        read("age,b\n1,1\n2,2\n3,3\nfour,4\n")
    late = "a,b\n" + "1,2\n" * 299 + "o1,3\n1,2\n"
    with refusals.one_line(ValueError, "line 301, column 'a': must be a number.*'o1'"):
        read(late)
    assert read(late, text=["a"]).columns["a"][-2:].tolist() == ["o1", "1"]
    with refusals.one_line(ValueError, "columns in text= stay words"):
        read(late, text=["b"])
    same(read("doors,n\n2,1\n3,2\n4,3\n5more,4\n5more,5\n"),
         {"doors": ["2", "3", "4", "5more", "5more"], "n": [1.0, 2, 3, 4, 5]})


@pytest.mark.parametrize(("content", "message"), [
    ("", "a BytesIO: must hold rows of values, got nothing"),
    (" \n\n", "must hold rows of values, got an empty file"),
    ("\ufeff", "must hold rows of values, got an empty file"),
    ("# nothing\n", "must hold rows of values, got nothing but comments"),
    ("a,b,c\n", "must hold rows below its header, got the header alone"),
    ("a,b\n1,2\n\n3\n", "line 4: must have 2 fields like the first row, got 1"),
    ("a,b\n1,2\n3,4,5\n", "line 3: must have 2 fields like the first row, got 3"),
    ("a,b\n1,2\n3,4,5\n6\n", "line 3: must have 2 fields like the first row, got 3"),
    ("a,b\n1,2\n3\n4,5,6\n", "line 3: must have 2 fields like the first row, got 1"),
    ("a,b\n1,x\n2,\"y\n\"\n3\n", "line 5: must have 2 fields like the first row, got 1"),
    ("a,b,a\n1,2,3\n", "line 1: must name each column differently, got 'a' 2 times"),
    ("\na,b\n1,2\n3,inf\n", "line 4, column 'b': must be a finite number, got 'inf'"),
    ("a,b\n1,2\n3,-1e999\n", "line 3, column 'b': must be a finite number, got '-1e999'"),
    ('a,b\n1,2\n3,"4\n5,6\n', "line 3: must have quotes in pairs around whole fields, got"),
    ('a,b\n1,x\n3,"4"5\n', "line 3: must have quotes in pairs around whole fields, got"),
    ("a,b\n1_0,x\n2,y\n3,z\n", "line 2, column 'a': must be a number like .*, got '1_0'"),
    ("\n<!doctype html>\n<title>404</title>\n", "must be a table, got a page of HTML or XML"),
    ('{"a": [1, 2],\n "b": [3, 4]}\n', "must be a table, got JSON: pandas.read_json makes"),
    ("[[1, 2],\n [3, 4]]\n", "must be a table, got JSON"),
])
def test_text_is_refused_in_one_line(way, content, message):
    with refusals.one_line(ValueError, message):
        read(content)


@pytest.mark.parametrize("content", [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF", b"a,b\n1,\0\n",
    random.Random(0).randbytes(2000), b"\x7fELF\2\1\1" + bytes(9),
    b"%PDF-1.7\n%\xb5\xed\xae\xfb\1"])
def test_binary_files_are_refused(tmp_path, way, content):
    with refusals.one_line(ValueError, "data.csv: must be a table of text, or .*, got a binary "
                                       f"file that begins with {content[:4].hex(' ')}"):
        tables.read(put(tmp_path / "data.csv", content))


def test_damaged_utf_16_is_refused(way):
    with refusals.one_line(ValueError, "must be text in utf-16, as its first bytes say"):
        read("a,b\n1,2\n".encode("utf-16")[:-1])


def test_the_ways_agree(monkeypatch):
    """Tables drawn at random are the same whichever way they are read; so is what is refused."""
    pytest.importorskip("polars")
    draw, seen = random.Random(1), {"read": 0, "refused": 0}
    cells = [["1", "2.5", "-3", "NA", ""], ["x", "y z", '"a,b"', '"q""r"', "?"], ["5", "6"],
             ["True", "false"], ["1", "2", '"3"', "4 ", "nan", "x"], ["2020-01-02", "2020-02-03"]]
    for _ in range(150):
        kinds = draw.choices(cells, k=draw.randint(1, 4))
        lines = [",".join(f"c{at}" for at in range(len(kinds)))] * draw.randint(0, 1)
        lines += [",".join(map(draw.choice, kinds)) for _ in range(draw.randint(1, 12))]
        if draw.random() < 0.3:
            lines.insert(draw.randrange(len(lines) + 1), draw.choice(
                ["", " ", "# c", "1", ",", "1,2,3,4,5", '"', 'x"y,1', '1, "2"', "inf,1", "\t"]))
        content, found = "\n".join(lines), []
        for large, polars in ((10**9, None), (0, sys.modules["polars"]), (0, None)):
            monkeypatch.setattr(text, "LARGE", large)
            monkeypatch.setitem(sys.modules, "polars", polars)
            try:
                table = read(content)
            except ValueError as error:
                found.append(str(error))
            else:
                found.append([table.notes, table.named, list(table.lines), *(
                    (name, str(column.dtype), str(column.tolist()))
                    for name, column in table.columns.items())])
        assert found[0] == found[1] == found[2], content
        seen["refused" if isinstance(found[0], str) else "read"] += 1
    assert min(seen.values()) > 20


def test_large_plain_texts_are_read_the_fast_way(monkeypatch):
    """Otherwise the tests above compare the csv module with itself."""
    monkeypatch.setattr(text, "LARGE", 0)
    monkeypatch.setattr(text.Lines, "columns", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    same(read("a,b\n1,2\n3,\"4\"\n"), {"a": [1.0, 3.0], "b": [2.0, 4.0]}, [2, 3])
    monkeypatch.undo()
    pytest.importorskip("polars")
    monkeypatch.setattr(text, "LARGE", 0)
    monkeypatch.setattr(text.Lines, "columns", None)
    people(read(written()), [2, 3, 4])


# ---------------------------------------------------------------- where files come from


def test_gzip_is_bounded_and_whole(tmp_path):
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)
    path = put(tmp_path / "table.csv", packed)  # whatever its name is
    assert len(tables.read(path)) == 100_000
    with refusals.one_line(ValueError, "table.csv: a gzip file must unpack whole, got more than "
                                       "max_bytes = 1,000 bytes; give a larger"):
        tables.read(path, max_bytes=1000)
    with refusals.one_line(ValueError, "table.csv: a gzip file must unpack whole, got"):
        tables.read(put(path, packed[:-20]))
    with refusals.one_line(TypeError, "max_bytes must be an integer"):
        tables.read(path, max_bytes="all")


def test_absent_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        tables.read(tmp_path / "absent.csv")
    with pytest.raises(OSError, match=tmp_path.name):
        tables.read(tmp_path)
    with pytest.raises(TypeError, match="path must be a path, or a file object"):
        tables.read(3)


@pytest.mark.parametrize("content", [written().encode(), gzip.compress(written().encode()), b""])
def test_standard_input(content, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    if content:
        people(table := tables.read("-"), [2, 3, 4])
        assert table.where(2, "age") == "standard input, line 4, column 'age'"
    else:
        with refusals.one_line(ValueError, "standard input: must hold rows of values, got nothing"):
            tables.read("-")


def test_file_objects(tmp_path):
    with open(put(tmp_path / "people.csv", written()), "rb") as file:
        table = tables.read(file)
    people(table)
    assert table.source == str(tmp_path / "people.csv")
    with refusals.one_line(ValueError, "BytesIO: must be read whole, got more than max_bytes = 9 "):
        read(written(), max_bytes=9)
    with refusals.one_line(TypeError, "or a file object that can read bytes, got a StringIO"):
        tables.read(io.StringIO(written()))


# ---------------------------------------------------------------- NumPy's files


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_npy():
    same(read(npy(np.array([[1, 2], [3, 4]], np.int16))),
         {"column 1": [1.0, 3.0], "column 2": [2.0, 4.0]})
    same(read(gzip.compress(npy(np.array([(1, "x"), (2, "?")], [("a", "u1"), ("b", "U3")])))),
         {"a": [1.0, 2.0], "b": ["x", None]})
    assert list(read(npy(np.zeros((2, 3, 3)))).columns) == [f"column {at}" for at in range(1, 10)]
    with refusals.one_line(ValueError, r"^a BytesIO: must hold an array of shape \(n, k\), got"):
        read(npy(np.arange(3)))
    with refusals.one_line(ValueError, "a BytesIO: must hold a whole numeric array, got"):
        read(npy(np.array([[1, "x"]], object)))
    with refusals.one_line(ValueError, "a BytesIO: must hold a whole numeric array, got"):
        read(npy(np.zeros((50, 2)))[:-1])
    with refusals.one_line(ValueError, "^a BytesIO, row 1, column 2: must be a finite number"):
        read(npy(np.array([[1, 2], [3, np.inf]])))


@pytest.mark.parametrize("pair", [
    "x y", "X Y", "X y", "X_train y_train", "x_train y_train", "data target", "data labels",
    "images labels", "features labels", "features targets", "arr_0 arr_1", "train_images "
    "train_labels", "inputs outputs", "Data Labels"])
def test_npz_of_every_usual_pair(pair):
    x, y = pair.split()
    table = read(npz(**{x: [[1, 2], [3, 4]], y: [7, 8]}))
    same(table, {"column 1": [1.0, 3.0], "column 2": [2.0, 4.0], y: [7.0, 8.0]})
    assert table.where(1, "column 2") == "a BytesIO, row 1, column 2"
    assert table.target == (y,)
    assert table.where(1, y) == f"a BytesIO, row 1, column '{y}'"


def test_npz_of_other_shapes():
    images = np.arange(8).reshape(2, 2, 2)
    table = read(npz(x_test=images, y_test=[1, 1], x_train=images, y_train=["a", "b"]))
    assert list(table.columns) == ["column 1", "column 2", "column 3", "column 4", "y_train"]
    assert table.columns["column 3"].tolist() == [2, 6]
    assert table.columns["y_train"].tolist() == ["a", "b"]
    assert table.notes == ("a BytesIO: read x_train and y_train, and left out x_test, y_test",)
    assert read(npz(x=images, y=[[1, 0], [0, 1]])).target == ("y 1", "y 2")
    assert read(npz(x=images, y=[[1], [0]])).target == ("y",)
    alone = read(npz(x=images))
    assert (alone.target, len(alone.columns)) == ((), 4)
    same(read(npz(age=[1, 2], town=["a", "b"])), {"age": [1.0, 2.0], "town": ["a", "b"]})


@pytest.mark.parametrize(("content", "message"), [
    (npz(x=np.zeros((3, 2)), y=np.zeros(2)), r"x and y must be of shape \(n, ...\) and \(n,\)"),
    (npz(weights=np.zeros((2, 2)), b=[1]), "must hold x and y, or another usual pair of names"),
    (npz(x=np.array([[None]], object), y=[1]), "must hold whole numeric arrays, got Object arrays"),
    (npz(x=np.zeros((2, 2)), y=[1, 2])[:-30], "must hold whole numeric arrays, got"),
])
def test_npz_is_refused_in_one_line(content, message):
    with refusals.one_line(ValueError, f"a BytesIO: {message}"):
        read(content)


def test_archives(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
    with refusals.one_line(ValueError, "got a zip archive of 'a.csv': unpack it first"):
        read(file.getvalue())
    with refusals.one_line(ValueError, "max_bytes = 2,000 bytes; give a larger max_bytes"):
        read(npz(x=np.zeros((1000, 9)), y=np.zeros(1000)), max_bytes=2000)


# ---------------------------------------------------------------- Parquet, Arrow, Excel


def as_file(kind):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"age": [31, None, 40], "height": HEIGHT, "town": TOWN,
                              "married": MARRIED})
    file = io.BytesIO()
    getattr(frame, f"write_{kind}")(file)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "ipc", "ipc_stream"])
def test_parquet_and_arrow(kind, monkeypatch):
    content = as_file(kind)
    people(read(content))
    people(read(gzip.compress(content)))
    draw = random.Random(0)
    for _ in range(30):
        damaged = bytearray(content)
        for _ in range(5):
            damaged[draw.randrange(6, len(damaged))] = draw.randrange(256)
        try:
            read(bytes(damaged))
        except (TypeError, ValueError) as error:
            assert "\n" not in str(error)  # noqa: PT017
    with refusals.one_line(ValueError, "a BytesIO: must be a whole file of (Parquet|Arrow), got"):
        read(content[:len(content) // 2])
    monkeypatch.setitem(sys.modules, "polars", None)
    with refusals.one_line(ModuleNotFoundError, r"polars: pip install 'cbackprop\[tables\]'"):
        read(content)


def test_parquet_is_bounded():
    polars = pytest.importorskip("polars")
    file = io.BytesIO()
    polars.DataFrame({"a": [0.0] * 100_000}).write_parquet(file)
    with refusals.one_line(ValueError, "about 800,000 bytes, more than max_bytes = 500,000"):
        read(file.getvalue(), max_bytes=500_000)


def workbook():
    """An Excel file of one sheet, with no more in it than there has to be."""
    sheet = [[("inlineStr", "<is><t>age</t></is>"), ("inlineStr", "<is><t>town</t></is>")],
             [("n", "<v>31</v>"), ("inlineStr", "<is><t>Ulm</t></is>")],
             [("n", "<v>40.5</v>"), ("inlineStr", "<is><t>?</t></is>")]]
    cells = "".join("<row>" + "".join(f'<c t="{kind}">{cell}</c>' for kind, cell in row) + "</row>"
                    for row in sheet)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image", bytes(100_000))
        for name, content in {
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension='
            '"rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/>'
            "</Types>",
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet '
            'name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
            "</Relationships>",
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData>'
            "</worksheet>"}.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_excel():
    pytest.importorskip("polars")
    pytest.importorskip("fastexcel")
    same(read(workbook()), {"age": [31.0, 40.5], "town": ["Ulm", None]})
    with refusals.one_line(ValueError, "must unpack to at most max_bytes = 50,000 bytes, got 10"):
        read(workbook(), max_bytes=50_000)


XLS = zlib.decompress(base64.b64decode(  # age, town, born: 31, Ulm, nothing; 40.5, nothing, nothing
    "eNrtWE1oE0EU/maTND+0aVJToRVKKFi19iJevNRVQXsQSxVEEUGTGkQaE4kF0UOt1hwFwZPipdCLl6oXf9CDevIgVP"
    "QgCEKiR0+Cgoc265tvd9tEPTSgQWW+Zd68efPezNudN29n99VCsjJ7r7eKH7AdAdScKNrqZEpK1G8kIP2Oo1m/jkhx"
    "DP4pRCOykG0hPO54GdZrqNe7Cgt3g8+EAh+kHMUZjBYLuXQLsYs+ZJT2YViowi2RxNFDr7pIx0nXkN6h5hPSHZRcJR"
    "0W3Yo6ggV7dHCbF8WHrX72xaHHfUCbd5RsQTde6Ci+eE25uiHsLJ3K5P/Ojr5gO+Yg6zaSK+RKmXwFKVnAOXx10sAX"
    "f6c+TRt5a+UKIv/WKA//Qn7dCgLTcI4zwMuSXJ8H3AU+u4h+SCeLyDInc8JNFs8VpMoWSwWRHcyfjumMzB2caNjBHY"
    "zsdqEn0Ek+yfhOSI5evP359b7smH2MkmlmbTe3r9fuwMElbSHGcfYElukgLTaTXuao68j3kqYkKqUeGOv2mD0z1LnC"
    "3gGZZyvxxt5Qx28Uvvxp/8O+8kd7k/DzI9ULqfm39qzcf1S8V7xmMKSG1M0bGo9sv1ZeHnhP2vNTTohYCc93x3uBdW"
    "IJMbJJUreln45ablnes9LWiu0V6ykrRlkSU56+onXA07c4WqO+Rf29trxTrS7c103JUCuIwcDAwMDAwMDAwKBVcE+4"
    "7vlen/5D3hdE2PuvsySlZn6T/Lc4gKJck/JhuhsFqUs431T8rEVI+WOpVdr4/ws1DsnsJUwgSz8mmo5f+QJU9fezas"
    "PE79tCzc5fa8bPPzz/d6jww6A="))


@pytest.mark.parametrize("packed", [False, True])
def test_excel_of_before_2004(packed, monkeypatch):
    pytest.importorskip("polars")
    content = gzip.compress(XLS) if packed else XLS
    with monkeypatch.context() as without:  # openpyxl does not read it
        without.setitem(sys.modules, "fastexcel", None)
        without.setattr(importlib.util, "find_spec", {"openpyxl": True}.get)
        with refusals.one_line(ModuleNotFoundError, "to read Excel needs fastexcel: pip install"):
            read(content)
    pytest.importorskip("fastexcel")
    same(read(content), {"age": [31.0, 40.5], "town": ["Ulm", None], "born": [np.nan, np.nan]})


def test_packed_excel():
    pytest.importorskip("polars")
    pytest.importorskip("fastexcel")
    same(read(gzip.compress(workbook())), {"age": [31.0, 40.5], "town": ["Ulm", None]})


def test_excel_without_its_library(monkeypatch):
    for library in ("polars", "fastexcel", "openpyxl"):
        monkeypatch.setitem(sys.modules, library, None)
    for content in (workbook(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99)):
        with refusals.one_line(ModuleNotFoundError, r"needs .*: pip install 'cbackprop\[tables\]'"):
            read(content)


# ---------------------------------------------------------------- frames


def of_dict():
    return {"age": [31, None, 40], "height": HEIGHT, "town": np.array(TOWN, object),
            "married": MARRIED}


def of_pandas():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"age": pd.array([31, None, 40], "Int64"), "height": HEIGHT, "town": TOWN,
                         "married": MARRIED}, index=[9, 8, 7])


def of_pandas_objects():
    return of_pandas().astype(object)


def of_pandas_categories():
    frame = of_pandas()
    return frame.assign(town=frame["town"].astype("category"), age=frame["age"].astype("float32"),
                        married=frame["married"].astype("boolean"))


def of_polars():
    return pytest.importorskip("polars").DataFrame(of_dict() | {"town": TOWN})


def of_polars_categories():
    pl = pytest.importorskip("polars")
    return of_polars().with_columns(pl.col("town").cast(pl.Categorical),
                                    pl.col("height").cast(pl.Decimal(10, 6)))


def of_pyarrow():
    return pytest.importorskip("pyarrow").table(of_dict() | {"town": TOWN})


@pytest.mark.parametrize("make", [of_dict, of_pandas, of_pandas_objects, of_pandas_categories,
                                  of_polars, of_polars_categories, of_pyarrow])
def test_frames(make):
    table = tables.from_frame(make())
    people(table)
    assert table.named
    assert table.where(1, "age").endswith(", row 1, column 'age'")
    assert tables.from_frame(table) is table


def test_arrays():
    rows = np.array([[1, 2], [3, 4]], np.uint8)
    for array in (rows, rows.tolist(), np.asfortranarray(rows)):
        table = tables.from_frame(array, "these")
        same(table, {"column 1": [1.0, 3.0], "column 2": [2.0, 4.0]})
        assert (table.named, table.where(1, "column 2")) == (False, "these, row 1, column 2")
    masked = np.ma.array([[1.0, 2.0]], mask=[[True, False]])
    assert np.isnan(tables.from_frame(masked).columns["column 1"]).all()
    pd = pytest.importorskip("pandas")
    assert list(tables.from_frame(pd.DataFrame(rows)).columns) == ["column 1", "column 2"]


def test_columns_of_objects():
    table = tables.from_frame({
        "n": [decimal.Decimal("1.5"), None], "s": ["1", " 2.5"], "t": [True, None],
        "d": [datetime.date(2020, 1, 2), None], "m": [5, "five"], "l": np.array(["a", "n/a"])})
    assert table.columns["n"].tolist()[0] == 1.5
    assert table.columns["s"].tolist() == [1.0, 2.5]
    assert table.columns["t"].tolist() == ["True", None]
    assert table.columns["d"].dtype.kind == "M"
    assert table.columns["m"].tolist() == ["5", "five"]
    assert table.columns["l"].tolist() == ["a", None]
    pd = pytest.importorskip("pandas")
    days = pd.DataFrame({"d": pd.to_datetime(["2020-01-02", None]),
                         "z": pd.to_datetime(["2020-01-02", None]).tz_localize("UTC")})
    for column in tables.from_frame(days).columns.values():
        assert column.astype("datetime64[D]").astype(str).tolist() == ["2020-01-02", "NaT"]


@pytest.mark.parametrize(("frame", "error", "message"), [
    ({"a": [1, 2], "b": [1]}, ValueError, r"dict must have columns of one length, got \[1, 2\]"),
    ({}, ValueError, "the dict must have columns of one length, got no column"),
    ({"a": [[1, 2], [3, 4]]}, ValueError, "column 'a': must have one value in each row, got shape"),
    ({"a": 1.5, "b": 2}, ValueError, "'a': must be a list of values, one for each row, got 1.5"),
    ({"a": [1, np.inf]}, ValueError, "dict, row 1, column 'a': must be a finite number, got inf"),
    ({"a": [1j]}, TypeError, "column 'a': must hold numbers, booleans, text or dates, got dtype"),
    ({"a": [{}, 1]}, TypeError, "row 0, column 'a': must be a number, a boolean, text or a date"),
    ({"a": np.array([1, 2], "m8[s]")}, TypeError, "column 'a': must hold numbers"),
    (np.zeros(3), ValueError, r"an array must be of shape \(n, k\), got shape \(3,\)"),
    ([[1], [2, 3]], ValueError, r"an array must be of shape \(n, k\), got"),
    ({1: [1], "1": [2]}, ValueError, "must name each column differently, got '1' 2 times"),
])
def test_frames_are_refused_in_one_line(frame, error, message):
    with refusals.one_line(error, message):
        tables.from_frame(frame)


def test_frames_not_in_memory_and_series():
    pl = pytest.importorskip("polars")
    with refusals.one_line(TypeError, r"must be in memory: call collect\(\)"):
        tables.from_frame(pl.LazyFrame({"a": [1]}))
    with refusals.one_line(TypeError, r"a table must have columns, got a Series .*to_frame\(\)"):
        tables.from_frame(pl.Series([1]))


# ---------------------------------------------------------------- tables


def test_rows_and_columns_of_a_table():
    table = read("a,b,c\n1,2,x\n\n3,4,y\n5,6,z\n")
    some = table.rows(np.array([2, 0]))
    same(some, {"a": [5.0, 1.0], "b": [6.0, 2.0], "c": ["z", "x"]}, [5, 2])
    assert [len(table.rows(slice(1, None))), len(table.rows(table.columns["a"] > 3))] == [2, 1]
    less = table.without({"b"})
    assert list(less.columns) == ["a", "c"]
    assert less.columns["a"] is table.columns["a"]
    assert less.where(1, "c") == "a BytesIO, line 4, column 'c'"
    frame = tables.from_frame({"a": [1, 2], "b": [3, 4]}).rows([1])
    assert frame.where(0, "a") == "the dict, row 0, column 'a'"
