"""Examples in docstrings and in README run, and print what they say."""

import doctest
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import cbackprop
from cbackprop.cli.parser import parse

README = Path(__file__).parents[2] / "README.md"
MODULES = [m.name for m in pkgutil.walk_packages(cbackprop.__path__, "cbackprop.")
           if not m.name.startswith(("cbackprop.core._", "cbackprop.core.builds._"))
           and m.name not in ("cbackprop.__main__", "cbackprop.convert.keras")]
NEEDS = {"cbackprop.convert.torch": "torch", "cbackprop.convert.sklearn": "sklearn",
         "cbackprop.convert.onnx": "onnx", "cbackprop.convert.skl2onnx": "skl2onnx",
         "cbackprop.convert._skl2onnx": "skl2onnx",
         "cbackprop.sklearn": "sklearn"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, request):
    for needing, library in NEEDS.items():
        if name.startswith(needing):
            pytest.importorskip(library, reason=f"{library} is not installed")
    if name.startswith("cbackprop.plot"):
        request.getfixturevalue("pyplot")
    module = importlib.import_module(name)
    assert not doctest.testmod(module, globs={**vars(module), "cbackprop": cbackprop}).failed


def test_public_names_have_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in ("feedforward", "backprop", "SGD", "evaluate", "load", "cost_derivative"):
        found = finder.find(getattr(cbackprop.Network, name), name)
        assert any(test.examples for test in found), name


@pytest.mark.skipif(not README.exists(), reason="docs/ is not beside the tests")
def test_every_format_of_files_is_in_their_page():
    page = (README.parent / "docs" / "files.md").read_text("utf-8")
    assert all(f'"net{ending}"' in page for ending in cbackprop.files.FORMATS if ending)


@pytest.mark.skipif(not README.exists(), reason="docs/ is not beside the tests")
def test_every_public_name_is_in_the_reference():
    """Of the modules that say which of their names are public."""
    page = (README.parent / "docs" / "reference.md").read_text("utf-8")
    listed = {}
    for name, names in re.findall(r"currentmodule:: (\S+)\n(.*?)```", page, re.S):
        listed.setdefault(name, set()).update(re.findall(r"^   (\w+)$", names, re.M))
    assert len(listed) > 10
    for name, names in listed.items():
        if name == "cbackprop.sklearn":
            pytest.importorskip("sklearn", reason="scikit-learn is not installed")
        module = importlib.import_module(name)
        public = {each for each in getattr(module, "__all__", ())
                  if callable(getattr(module, each))}
        assert public - names == set(), name
        assert all(hasattr(module, each) for each in names), name


CALL = re.compile(r"^(?:\$ |    |.* && |.*\| )?cbackprop "
                  r"((?:train|evaluate|predict|bench|info|gradcheck|watch)(?=[ \n])[^|&\n]*)", re.M)


@pytest.mark.skipif(not README.exists(), reason="docs/ is not beside the tests")
@pytest.mark.parametrize("page", ["README.md", "docs/first_hour.md", "docs/command_line.md",
                                  "docs/watch.md"])
def test_commands_of_a_page_exist(page, capsys):
    """They are taken as usage, but for those that a page shows being refused."""
    text = (README.parent / page).read_text("utf-8")
    calls = [shlex.split(call) for call in CALL.findall(text)]
    assert len(calls) >= 2
    refused = []
    for words in calls:
        try:
            parse(words)
        except SystemExit:
            refused.append(words)
    assert all(f"$ cbackprop {shlex.join(words)}\nusage: cbackprop" in text for words in refused)
    capsys.readouterr()


@pytest.mark.skipif(not README.exists(), reason="docs/ is not beside the tests")
def test_the_first_hour_is_what_was_filmed(monkeypatch):
    """The page has the commands that the script runs, README's first, and no others."""
    monkeypatch.syspath_prepend(str(README.parent / "tools"))
    film = importlib.import_module("film_readme")
    page = film.PAGE.read_text("utf-8")
    assert re.findall(r"^\$ (.*)", page, re.M) == film.commands()
    assert film.commands()[0] == "pip install . && cbackprop train --book"
    assert film.shown("epoch 1  0.01 s, 99,999 rows per second") == (
        "epoch 1  ... s, ... rows per second")


@pytest.mark.skipif(not README.exists(), reason="README.md is not beside the tests")
def test_readme_is_short_and_stands_alone():
    """The package index shows it without the repository: links are absolute, and files exist."""
    text = README.read_text("utf-8")
    assert text.count("\n") <= 100
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert links
    assert all(link.startswith(("http://", "https://")) for link in links)
    named = re.findall(r"`((?:docs|examples|src)/[^`]*)`", text)
    assert len(named) > 5
    assert [name for name in named if not (README.parent / name).exists()] == []


@pytest.mark.skipif(not README.exists(), reason="README.md is not beside the tests")
def test_readme_shows_what_was_filmed(monkeypatch):
    monkeypatch.syspath_prepend(str(README.parent / "tools"))
    filmed = importlib.import_module("film_readme").PAGE.read_text("utf-8").splitlines()
    shown = re.search(r"^```sh\n.*?^```text\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    lines = shown[1].splitlines()
    assert len(lines) > 3
    assert [line for line in lines if line not in filmed] == []
