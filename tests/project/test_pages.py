"""The code and commands on README and on every page of docs/ run, and print what stands there."""

import importlib
import re
import subprocess
import sys
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


def libraries(page):
    """List what the page imports, and what blocks of it need: libraries are in small letters."""
    blocks = re.findall("<!-- needs (.*?) -->", page.read_text("utf-8"))
    named = [NEEDS.get(page.stem, ""), *" ".join(blocks).split()]
    return [name for name in dict.fromkeys(named) if name and name != name.upper()]


@pytest.mark.skipif(not PAGES, reason="docs/ is not beside the tests")
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem not in NEEDS],
                         ids=lambda page: page.stem)
def test_the_code_of_a_page(page, tmp_path, monkeypatch, request):
    text = page.read_text("utf-8")
    if "```python" not in text and "```console" not in text:
        return
    if re.search(r"\bplot\b", text):
        request.getfixturevalue("pyplot")
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    if "needs CBACKPROP_DATA" in text:
        monkeypatch.setenv("CBACKPROP_DATA", str(request.getfixturevalue("mnist_folder")))
    else:
        monkeypatch.delenv("CBACKPROP_DATA", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())  # files, no database
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    # In a process of its own: Keras keeps its backend and imports JAX, MLflow changes scikit-learn.
    if re.search("^import (keras|mlflow)$", text, re.M):
        program = [sys.executable, "-W", "error", str(ROOT / "tools" / "run_pages.py"), str(page)]
        run = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return
    _, wrong = importlib.import_module("run_pages").run(page)
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not PAGES, reason="docs/ is not beside the tests")
@pytest.mark.parametrize("page", list(filter(libraries, PAGES)), ids=lambda page: page.stem)
def test_the_code_of_a_page_that_imports_others(page, tmp_path, monkeypatch, request):
    for name in libraries(page):
        pytest.importorskip(name, reason=f"{name} is not installed")
    test_the_code_of_a_page(page, tmp_path, monkeypatch, request)
