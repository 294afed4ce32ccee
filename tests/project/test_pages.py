"""The code and commands on README and on every page of docs/ run, and print what stands there."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("README.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/how_to/*.md")])
NEEDS = {  # what a page imports, of what not everybody has
    "sklearn": "sklearn", "regression": "sklearn", "settings": "sklearn",
    "from_keras_and_pytorch": "torch", "deploy": "onnxruntime",
    "clusters": "distributed", "categories": "sklearn",
    "sparse": "sklearn",
    "mpi": "mpi4py.MPI",
}


ALONE = [page for page in PAGES if page.stem not in NEEDS]
NEEDY = [page for page in PAGES if page.stem in NEEDS]


@pytest.mark.skipif(not PAGES, reason="docs/ is not beside the tests")
@pytest.mark.parametrize("page", ALONE, ids=lambda page: page.stem)
def test_the_code_of_a_page(page, tmp_path, monkeypatch, request):
    text = page.read_text("utf-8")
    if "```python" not in text and "```console" not in text:
        return
    if re.search(r"\bplot\b", text):
        request.getfixturevalue("pyplot")
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delenv("CBACKPROP_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    _, wrong = importlib.import_module("run_pages").run(page)
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not PAGES, reason="docs/ is not beside the tests")
@pytest.mark.parametrize("page", NEEDY, ids=lambda page: page.stem)
def test_the_code_of_a_page_that_imports_others(page, tmp_path, monkeypatch, request):
    pytest.importorskip(NEEDS[page.stem], reason=f"{NEEDS[page.stem]} is not installed")
    test_the_code_of_a_page(page, tmp_path, monkeypatch, request)
