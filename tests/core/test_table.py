"""The table of functions: rows against blocks, the documentation and each other."""

import dataclasses
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cbackprop import optimizers
from cbackprop.core import table

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src/cbackprop/core"
NAMES = [row.name for row in table.ACTIVATIONS], [row.name for row in table.COSTS]
in_the_sources = pytest.mark.skipif(not (ROOT / "setup.py").exists(),
                                    reason="the sources are not beside the tests")


def test_rows_agree():
    activations, costs = NAMES
    assert len({*activations, *costs}) == len(activations) + len(costs)
    for row in table.ACTIVATIONS:
        assert row.default_cost in costs
        assert row.prime_from in ("a", "z", "1")
        assert len(row.parameters) <= 1
    for row in table.COSTS:
        assert row.default_output is None or row.default_output in activations
        assert set(row.pairs) <= set(activations)
        assert row.logarithms in (0, 1, 2)
        assert row.with_softmax in (None, "minus", "two classes")
    for row in [*table.ACTIVATIONS, *table.COSTS]:
        for parameter in row.parameters:
            assert table.RULES[parameter.rule](parameter.default)


def test_optimizers_have_their_classes():
    assert list(optimizers.KNOWN) == [row.name for row in table.OPTIMIZERS]
    for row in table.OPTIMIZERS:
        assert [field.name for field in dataclasses.fields(optimizers.KNOWN[row.name])] == [
            "lazy", *(number.name for number in row.numbers)]
        assert all(slot < row.n_slots for slot in row.starts_at_eta)


def defined(name):
    """Return the functions that a file of blocks defines."""
    source = (CORE / "functions" / name).read_text()
    return set(re.findall(r"^cdef (?:inline )?\w+ (\w+)\(", source, re.MULTILINE))


@in_the_sources
def test_every_block_has_its_row():
    """What a row does not name is not called: no formula is forgotten that way either."""
    forms = ("sigma_prime", "sigma_second", "sigma", "compare", "below_above", "slope_of_log_below",
             "slope_of_log", "slope", "log_of_output", "log_below_output")
    expected = set()
    for row in table.ACTIVATIONS:
        if row.whole_layer:
            continue
        of = ["sigma", *["sigma_prime"] * (row.prime_from != "1"), *["sigma_second"] * row.curved,
              *(row.from_z or ())]
        expected |= {f"{form}_{row.name}" for form in of}
    possible = {f"{form}_{name}" for form in forms for name in NAMES[0]}
    assert defined("activations.pxi") & possible == expected

    forms = ("cost", "grad_a", "grad_a_prime", "delta", "cost_of_class", "a_grad_a",
             "a_grad_a_below", "equal_share")
    expected = set()
    for row in table.COSTS:
        if not row.by_output:
            expected |= {f"{row.name}_rows", f"{row.name}_curvature_rows"}
            continue
        of = ["cost", "grad_a", "grad_a_prime", *["delta"] * bool(row.logarithms),
              *["cost_of_class"] * row.of_classes,
              *["equal_share"] * ("label_smoothing" in [each.name for each in row.parameters]),
              *["a_grad_a", "a_grad_a_below"] * (row.with_softmax == "two classes")]
        expected |= {f"{form}_{row.name}" for form in of}
        expected |= {f"delta_{row.name}_of_{output}" for output in row.pairs}
    possible = {f"{form}_{name}" for form in forms for name in NAMES[1]} | {
        f"delta_{cost}_of_{output}" for cost in NAMES[1] for output in NAMES[0]} | {
        f"{name}{rows}" for rows in ("_rows", "_curvature_rows") for name in NAMES[1]}
    assert defined("costs.pxi") & possible == expected

    expected = {f"{row.name}_update" for row in table.OPTIMIZERS}
    expected |= {f"{row.name}_prepare" for row in table.OPTIMIZERS if row.derived}
    assert {name for name in defined("optimizers.pxi.tp")
            if name.endswith(("_update", "_prepare"))} == expected


@in_the_sources
def test_the_documentation_has_every_row():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "tools/tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    page = tables.PAGE.read_text(encoding="utf-8")
    assert page == tables.written(page), "run python tools/tables.py"


@pytest.mark.slow
@in_the_sources
@pytest.mark.parametrize(("rows", "like", "missing"), [
    ("ACTIVATIONS", "silu", "sigma_prime_forgotten"), ("COSTS", "huber", "grad_a_forgotten"),
    ("OPTIMIZERS", "adam", "forgotten_prepare")])
def test_a_forgotten_formula_is_an_error_of_the_build(rows, like, missing, tmp_path):
    pytest.importorskip("Cython")
    shutil.copytree(CORE, tmp_path / "core", ignore=shutil.ignore_patterns("*.so", "*.c"))
    with open(tmp_path / "core/table.py", "a") as file:
        file.write(f"\n{rows}.append(next(row for row in {rows} if row.name == {like!r})"
                   f"._replace(name='forgotten'))\n")
    render = ("import sys; sys.path.append(sys.argv[1]); import build_ext; "
              "build_ext.render_templates('core')")
    subprocess.run([sys.executable, "-c", render, ROOT / "tools"], check=True, cwd=tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "cython", "-3", "builds/_v3_float32.pyx", "-o", "out.c"],
        cwd=tmp_path / "core", capture_output=True, text=True)
    assert run.returncode != 0
    assert missing in run.stderr
