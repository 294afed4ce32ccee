"""Arrows among the package's files run one way, and nobody reaches into another file's objects."""

import ast
import graphlib
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

import cbackprop

ROOT = Path(cbackprop.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
THEIRS = {  # private names of other libraries, which have no public one
    "_getframe", "_Unpickler", "_exit", "_asdict", "_replace",  # Python's
    "_bit_generator",  # NumPy's
    "_backend",  # joblib's
    "_parse_sklearn_simple_model",  # skl2onnx's
    "_parameter_constraints", "_validate_data",  # scikit-learn's
    "_no_improvement_count", "_label_binarizer",
    "_forward_pre_hooks", "_forward_hooks", "_orig_mod",  # PyTorch's
}


def module(path):
    """Return a file's name as a module."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, modules):
    """Return the modules of ours that a file imports: anywhere, for types only, by a string."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            of = node.module if node.level == 0 else ".".join(
                filter(None, [module(path.parents[node.level - 1]), node.module]))
            names = [f"{of}.{alias.name}" for alias in node.names]
            names = [name if name in modules else of for name in names]
        elif isinstance(node, ast.Call):
            names = [word.value for word in node.args
                     if isinstance(word, ast.Constant) and str(word.value).startswith("cbackprop.")]
        else:
            continue
        found.update(name for name in names if name in modules)
    return found - {module(path)}


def circle(graph):
    """Return the modules of one circle, or None."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def test_a_circle_is_found():
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert circle({"a": {"b", "c"}, "b": {"c"}}) is None


def test_no_circle_among_files():
    modules = {module(path) for path in FILES}
    graph = {module(path): imported(path, modules) for path in FILES}
    assert sum(map(len, graph.values())) > 100  # they were read
    assert circle(graph) is None


@pytest.mark.parametrize(("module", "name", "file"), [
    ("cbackprop.thread_choice", "LINE_BYTES", "vocabulary/types.pxi"),
    ("cbackprop.thread_choice", "MAX_THREADS", "vocabulary/threads.pxi"),
    ("cbackprop.inspect.trace", "SLICE", "engine/layout.pxi"),
])
def test_constants_agree_with_the_core(module, name, file):
    path = ROOT / "core" / file
    if not path.exists():
        pytest.skip("a wheel is without the core's source")
    (in_core,) = re.findall(rf"^    {name} = (\d+)", path.read_text(), re.MULTILINE)
    assert int(in_core) == getattr(importlib.import_module(module), name)


def private(tree):
    """Return the attributes with one leading underscore of anything but self and cls."""
    return [(node.lineno, node.attr) for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr.startswith("_")
            and not node.attr.startswith("__") and not (
                isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))]


@cache
def own(path):
    """Return the names that a file defines, or sets on self or cls."""
    tree = ast.parse(path.read_text())
    names = {node.name for node in ast.walk(tree)
             if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names |= {node.id for node in ast.walk(tree)
              if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.attr for node in ast.walk(tree)
                    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
                    and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}


def test_a_reach_is_seen():
    tree = ast.parse("def f(net):\n    return net._core + self._mine\n")
    assert private(tree) == [(2, "_core")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_reaches_into_objects_of_another_file(path):
    tree = ast.parse(path.read_text())
    room = [path] if path.parent == ROOT else sorted(path.parent.glob("*.py"))
    allowed = THEIRS.union(*map(own, room))
    assert [reach for reach in private(tree) if reach[1] not in allowed] == []
