"""The report: results of the benchmarks as tables and figures, made up here or run tiny."""

import importlib.util
import itertools
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import drawn
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PAGE = FOLDER.parent / "docs" / "benchmarks.md"
if not (FOLDER / "report.py").exists():
    pytest.skip("benchmarks/ is not beside the tests", allow_module_level=True)

WORKS = {  # times of cbackprop in float32, ms
    (784, 30, 10): (10, 10_000, 7.6), (784, 100, 10): (10, 10_000, 19.0),
    (784, 512, 512, 10): (128, 12_800, 188.0), (784, 2048, 2048, 10): (256, 5_120, 850.0),
    (64, 64, 64, 8): (64, 32_000, 10.2), (8, 16, 16, 1): (32, 32_000, 1.65),
    (4, 32, 16, 4): (10_000, 10_000, 2.4), (784, 128, 32, 128, 784): (64, 10_000, 61.0),
}
FACTORS = {
    "plain loops": 50.0, "the book's loop": 90.0, "NumPy": 3.1, "scikit-learn": 9.0,
    "PyTorch eager": 21.0, "PyTorch compiled": 7.0, "JAX": 2.2, "Numba": 2.1,
}
MARKERS = ("speed", "epochs", "inference", "growth", "passes", "differences", "lanes", "ensembles",
           "bfloat16")


def made_up():
    """Results of peers.py, as it would write them; JAX is absent."""
    works = {}
    for at, (sizes, (m, rows, ms)) in enumerate(WORKS.items()):
        name = "-".join(map(str, sizes))
        products = [j * k for j, k in itertools.pairwise(sizes)]
        flops = 4 * sum(products) + 2 * sum(products[1:])
        contestants = {}

        def add(opponent, real, of_rows, factor, of_work=(flops, rows, ms, contestants)):
            flops, rows, ms, contestants = of_work
            best = 1e-3 * ms * factor
            speed = rows * flops / best
            contestants[f"{opponent} {real}, {of_rows} rows"] = {
                "name": opponent, "opponent": opponent, "form": "", "real": real, "rows": of_rows,
                "rows_timed": rows, "best": best, "median": 1.1 * best,
                "rounds": 3, "flops_per_second": speed,
                "share_of_peak": speed / (256e9 if real == "float32" else 128e9),
                "times_cbackprop": factor}

        for real, slower in (("float32", 1.0), ("float64", 2.0)):
            add("cbackprop", real, real, slower)
            for opponent, factor in FACTORS.items():
                if opponent != "JAX" and ("loop" not in opponent or real == "float64"):
                    add(opponent, real, real, slower * factor / (1 + 0.3 * at))
        add("cbackprop", "float32", "uint8", 0.83)
        fastest = FACTORS["Numba"] / (1 + 0.3 * at)
        works[name] = {
            "name": name, "sizes": sizes, "mini_batch_size": m, "rows": rows, "eta": 1.0,
            "activation": "sigmoid", "flops_per_row": flops, "check": {"refused": {}},
            "peak_flops_per_second": {"float32": 256e9, "float64": 128e9},
            "roofline": {real: {"seconds": rows * flops / peak, "bytes": rows * flops / (3.0 + at),
                                "bound": "FMA", "level": "L2", "flops_per_byte": 3.0 + at}
                         for real, peak in (("float32", 256e9), ("float64", 128e9))},
            "contestants": contestants, "forms": list(contestants.values()),
            "fastest_opponent": {real: {"name": f"Numba {real}", "form": "", "ratio": fastest}
                                 for real in ("float32", "float64")}}
    calls = {}
    for sizes, rows in (((784, 30, 10), 1), ((784, 30, 10), 10_000), ((784, 512, 512, 10), 10_000)):
        best = 1.3e-6 * rows
        calls[f"{rows} {sizes}"] = {
            "sizes": sizes, "rows": rows, "flops_per_row": 48_000, "contestants": {
                name: {"opponent": name, "best": best * factor, "median": best * factor,
                       "share_of_peak": 0.5 / factor,
                       "times_cbackprop": factor}
                for name, factor in (("cbackprop", 1.0), ("NumPy", 5.2), ("ONNX Runtime", 4.1))}}
    return {
        "benchmark": "peers", "tiny": False, "repeat": 3, "absent": {"JAX": "not installed"},
        "environment": {
            "date": "2026-01-02T03:04:05+00:00", "cpu": "AMD EPYC 9B45 (x)", "threads": 1,
            "system": "Linux x86_64", "cores": [1], "load": 0.1, "python": "3.12.1",
            "numpy": "2.4.0", "cbackprop": "0.1.0", "variant": "v4", "why": "the highest",
            "blas": [], "cleared": {}, "packages": {"torch": "2.13.0", "numba": "0.66.0"}},
        "limits": {"peak_flops_per_second": {"float32": 256e9, "float64": 128e9},
                   "bytes_per_second": {"L1": 430e9, "L2": 160e9, "L3": 95e9, "memory": 35e9}},
        "works": works, "inference": calls, "bounds": []}


def python(*args):
    return subprocess.run([sys.executable, "-W", "error", *map(str, args)], capture_output=True,
                          text=True, timeout=120)


@cache
def run_tiny(kind):
    """Run a benchmark at tiny size, once, and return the text of its JSON."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder, "results.json")
        done = python(FOLDER / f"{kind}.py", "--tiny", "--json", path,
                      *ARGUMENTS.get(kind, []))
        assert (done.returncode, done.stderr) == (0, "")
        return path.read_text()


def results_of(kind):
    return made_up() if kind == "peers" else json.loads(run_tiny(kind))


ARGUMENTS = {"ensembles": ["--sweeps"], "bfloat16": ["--work", "784-30-10"]}
KINDS = ("peers", "growth", "backprop_vs_differences", "ensembles", "bfloat16")


@pytest.fixture(scope="module")
def report():
    """Import report.py, which finds its own modules beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        spec = importlib.util.spec_from_file_location("report", FOLDER / "report.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "report", module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def places(tmp_path):
    """Files for the report to read and to write, apart from the project's."""
    for name in ("README.md", "page.md"):
        markers = "".join(f"<!-- {one} -->\nold\n<!-- /{one} -->\n" for one in MARKERS)
        (tmp_path / name).write_text(f"before\n{markers}after\n")
    (tmp_path / "figures").mkdir()
    return ["--readme", tmp_path / "README.md", "--page", tmp_path / "page.md",
            "--figures", tmp_path / "figures"]


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


# ---- tables ----


def test_epochs_of_all_works(report):
    results = made_up()
    lines = [cells(line) for line in report.tables.epochs(results).splitlines()]
    header, rows = lines[0], {line[0]: line[1:] for line in lines[2:]}
    assert header[:2] == ["epoch in float32, ms", "784-30-10 x10"]
    assert "4-32-16-4 x10,000" in header
    assert list(rows)[:8] == [
        "plain loops, float64", "the book's loop, float64", "NumPy", "scikit-learn",
        "PyTorch eager", "PyTorch compiled", "JAX", "Numba"]
    assert rows["**cbackprop**"][:3] == ["7.60", "19.0", "188"]
    assert rows["cbackprop, from uint8 rows"][0] == "6.31"
    assert rows["plain loops, float64"][0] == "760"
    assert rows["the book's loop, float64"][0] == "1,368"
    assert rows["the fastest opponent takes"][0] == "2.10 x (Numba)"
    share = results["works"]["784-30-10"]["contestants"]["cbackprop float32, float32 rows"]
    assert rows["cbackprop's share of the peak"][0] == f"{100 * share['share_of_peak']:.0f} %"
    assert {len(line) for line in lines} == {len(WORKS) + 1}


def test_readme_has_three_figures(report):
    """Each is our time, and how many times as long the others take."""
    results = made_up()
    table = report.tables.speed(results).partition("\n\n")[2]
    header, _, *lines = map(cells, table.splitlines())
    assert [line[0] for line in lines] == [
        f"{work['rows']:,} rows of {report.tables.work_name(work)}"
        for work in map(results["works"].get, report.tables.IN_README) if work]
    first = dict(zip(header, lines[0], strict=True))
    assert first["cbackprop"] == "7.60 ms"
    assert first["the fastest other takes"] == "2.10 x (Numba)"
    assert first["the book's loop"] == "180 x"  # 1,368 ms, in float64
    assert len(lines[0]) == len(lines[-1]) == 3 + len(report.tables.BESIDE)


def test_who_is_absent_is_shown(report):
    results = made_up()
    assert set(cells(next(line for line in report.tables.epochs(results).splitlines()
                          if line.startswith("| JAX |")))[1:]) == {"absent"}
    assert "Absent: JAX (not installed)." in report.tables.speed(results).replace("\n", " ")
    assert "| JAX | absent | absent | absent |" in report.tables.inference(results)


def test_who_was_not_measured_on_a_work_is_shown(report):
    results = made_up()
    del results["works"]["784-30-10"]["contestants"]["Numba float32, float32 rows"]
    results["works"]["784-30-10"]["check"]["refused"] = {"Numba": "Numba float32 differs by 2"}
    line = next(line for line in report.tables.epochs(results).splitlines()
                if line.startswith("| Numba |"))
    assert cells(line)[1] == "-"
    assert "Refused: Numba float32 differs by 2." in report.tables.speed(results).replace("\n", " ")


def test_machine_and_variant_are_named(report):
    brief = ("AMD EPYC 9B45", "variant v4", "256 GFLOP/s in float32", "cbackprop 0.1.0",
             "2026-01-02")
    for table, parts in (
            (report.tables.speed, brief),
            (report.tables.all_epochs, (*brief, "torch 2.13.0", "best of 3 interleaved rounds"))):
        text = table(made_up()).partition("\n\n")[0]
        assert max(map(len, text.splitlines())) <= 120
        for what in parts:
            assert what in text.replace("\n", " ")


@pytest.mark.parametrize(("seconds", "text"), [
    (1.6849, "1,685"), (0.09996, "100"), (0.0999, "99.9"), (0.0099951, "10.0"), (0.00999, "9.99"),
    (0.00165, "1.65"), (0.000123, "0.123")])
def test_milliseconds(report, seconds, text):
    assert report.tables.milliseconds(seconds) == text


def test_differences_in_a_table(report):
    results = results_of("backprop_vs_differences")
    lines = report.tables.differences(results).splitlines()
    assert len(lines) == 2 + len(results["differences"])
    assert f"| {results['differences'][0]['times_backprop']:,.0f} |" in lines[2]
    assert len(report.tables.passes(results).splitlines()) > 4


def test_many_networks_in_tables(report):
    results = results_of("ensembles")
    (work,) = results["works"].values()
    lines = [cells(line) for line in report.tables.ensembles(results).splitlines()
             if line.startswith("|")]
    shown = {line[0]: line[1] for line in lines}
    own = work["seconds"]["lanes, own order"]["best"]
    assert shown["an epoch, ms"] == "3 of 2-3-1 x4"
    assert shown["**lanes, own order**"] == report.tables.milliseconds(own)
    peak = results["peak_flops_per_second"]["float32"]
    assert shown["share of the peak"] == f"{100 * work['flops'] / own / peak:.0f} %"
    text = report.tables.lanes(results)
    assert f"variant {results['environment']['variant']}" in text.replace("\n", " ")
    header, _, line = text.splitlines()[-3:]
    singles = work["seconds"]["one after another"]["best"] / own
    assert dict(zip(cells(header), cells(line), strict=True))[
        "one after another"] == report.tables.times(singles)


def test_bfloat16_in_a_table(report):
    results = results_of("bfloat16")
    text = report.tables.bfloat16(results)
    assert results["bfloat16"] in text.replace("\n", " ")
    seconds = {who: timing["best"]
               for who, timing in results["works"]["784-30-10"]["seconds"].items()}
    gain = seconds["cbackprop float32"] / seconds["cbackprop bfloat16"]
    lines = [cells(line) for line in text.splitlines() if line.startswith("|")]
    header, last = lines[0], lines[-1]
    assert last[header.index("784-30-10 x10")] == f"{gain:.2f}"


def test_lanes_in_a_figure(report):
    figure = report.figures.lanes(results_of("ensembles"))
    panels = {axes.get_xlabel(): axes for axes in figure.axes}
    assert list(panels) == ["networks", "width", "mini-batch"]
    for name, points in results_of("ensembles")["sweeps"].items():
        curve = panels[name].lines[0]
        assert list(curve.get_ydata()) == list(points.values())


# ---- what the benchmarks measure ----


def test_growth_derives_its_numbers_from_its_times():
    results = results_of("growth")
    assert {sweep["axis"] for sweep in results["sweeps"]} == {
        "width", "mini-batch", "depth", "rows"}
    peak = results["peak_flops_per_second"]["float32"]
    points = [point for sweep in results["sweeps"] for point in sweep["points"]]
    for point in points:
        sizes = point["sizes"]
        products = [j * k for j, k in itertools.pairwise(sizes)]
        assert point["flops_per_row"] == 4 * sum(products) + 2 * sum(products[1:])
        assert point["seconds_per_row"] == pytest.approx(point["best"] / point["rows"])
        assert point["share_of_peak"] == pytest.approx(
            point["flops_per_row"] / point["seconds_per_row"] / peak)
    assert results["line_share_of_peak"] == max(point["share_of_peak"] for point in points)


def test_differences_agree_and_are_scaled():
    results = results_of("backprop_vs_differences")
    for one in results["differences"]:
        assert one["largest_difference"] < 1e-5
        each = one["differences_of_timed"]["best"] / one["timed"]
        assert one["differences_seconds"] == pytest.approx(
            one["weights"] * each + one["cost"]["best"])
    for one in results["forward_passes"]:
        assert one["forward_passes"] == pytest.approx(
            one["backprop"]["best"] / one["forward"]["best"])
        assert 2 <= one["flops"] < 3


def test_a_wrong_gradient_is_not_timed():
    done = python("-c", "\n".join((
        f"import sys; sys.path.insert(0, {str(FOLDER)!r})",
        "import backprop_vs_differences as benchmark, cbackprop",
        "right = cbackprop.Network.backprop",
        "def wrong(self, x, y):",
        "    nabla_b, nabla_w = right(self, x, y)",
        "    return nabla_b, [1.001 * nabla for nabla in nabla_w]",
        "cbackprop.Network.backprop = wrong",
        "benchmark.main(['--tiny'])")))
    assert done.returncode == 1
    assert re.search(r"\(46\) differs from backpropagation by \S+ of the largest derivative, "
                     r"1e-04 allowed: nothing is timed", done.stderr)


@pytest.mark.parametrize("kind", KINDS[1:3])
def test_repeat_must_be_positive(kind):
    done = python(FOLDER / f"{kind}.py", "--repeat", "0")
    assert done.returncode == 2
    assert "--repeat: must be at least 1, got 0" in done.stderr


# ---- files ----


def test_kept_names(report):
    results = made_up()
    assert report.kept_name(results) == "0.1.0-amd-epyc-9b45-x.json"
    results["environment"] |= {"why": "CBACKPROP_ISA asks for it", "variant": "v3", "threads": 2}
    results["benchmark"] = "growth"
    assert report.kept_name(results) == "0.1.0-amd-epyc-9b45-x-v3-2-threads-growth.json"


def test_the_newest_kept_results_count(report, tmp_path):
    old, new, lowered = made_up(), made_up(), made_up()
    new["environment"]["date"] = "2026-02-02T03:04:05+00:00"
    lowered["environment"] |= {"why": "CBACKPROP_ISA asks for it",
                               "date": "2026-03-02T03:04:05+00:00"}
    for name, results in (("a", new), ("b", old), ("c", lowered)):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    assert report.newest(tmp_path)["peers"]["environment"] == new["environment"]


def test_only_what_is_between_the_markers_changes(report, tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    for text in ("new", "newer"):
        report.rewrite(page, "speed", text)
        assert page.read_text() == f"before\n<!-- speed -->\n{text}\n<!-- /speed -->\nafter\n"


@pytest.mark.parametrize("text", [
    "", "<!-- speed -->", "<!-- /speed -->\n<!-- speed -->",
    "<!-- speed --><!-- /speed --><!-- speed --><!-- /speed -->"])
def test_markers_must_be_there(report, tmp_path, text):
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(SystemExit, match="must have <!-- speed --> and <!-- /speed --> once each"):
        report.rewrite(page, "speed", "new")
    assert page.read_text() == text


@pytest.mark.parametrize(("text", "message"), [
    ("{", "Expecting property name"), ("[]", '"benchmark" must be one of'),
    ('{"benchmark": "sgd"}', "got 'sgd'")])
def test_other_files_are_refused(report, tmp_path, text, message):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match=re.escape(message)):
        report.read(path)


def test_a_tiny_run_is_not_reported(report, tmp_path, places, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(made_up() | {"tiny": True}))
    with pytest.raises(SystemExit):
        report.main([str(path), *map(str, places)])
    assert "a tiny run says nothing" in capsys.readouterr().err
    assert "old" in (tmp_path / "README.md").read_text()


def test_a_run_in_part_is_not_reported(report, tmp_path, places, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(made_up() | {"inference": {}}))
    with pytest.raises(SystemExit):
        report.main([str(path), *map(str, places)])
    assert "a run of some works only" in capsys.readouterr().err
    assert "old" in (tmp_path / "README.md").read_text()


def test_the_page_has_the_markers_and_the_figures(report):
    page = PAGE.read_text()
    for parts in report.REPORTS.values():
        for marker in parts.page:
            assert page.count(f"<!-- {marker} -->\n") == page.count(f"<!-- /{marker} -->\n") == 1
        for name in parts.figures:
            assert f"](figures/{name}.svg)" in page
    for letter in report.figures.LETTERS:
        assert page.count(f"\n- **{letter}** ") == 1


# ---- figures ----


@pytest.mark.parametrize("kind", [  # peers take 20 s; nox -s docs draws them, too
    pytest.param(kind, marks=[pytest.mark.slow] * (kind == "peers")) for kind in KINDS])
def test_report_on_a_file(report, tmp_path, places, kind, monkeypatch):
    pytest.importorskip("matplotlib", reason="figures need the extra bench")
    monkeypatch.setattr(report, "KEPT", tmp_path / "results")
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of(kind) | {"tiny": False}))
    report.main([str(path), "--keep", *map(str, places)])
    parts = report.REPORTS[kind]
    assert json.loads(next((tmp_path / "results").iterdir()).read_text())["benchmark"] == kind
    for name, markers in (("README.md", parts.readme), ("page.md", parts.page)):
        text = (tmp_path / name).read_text()
        assert text.count("\nold\n") == len(MARKERS) - len(markers)
        assert text.startswith("before\n")
        assert text.endswith("after\n")
    figures = {figure.name: figure.read_bytes() for figure in (tmp_path / "figures").iterdir()}
    assert set(figures) == {f"{name}{of}.svg" for name in parts.figures for of in ("", "-dark")}
    assert max(map(len, figures.values()), default=0) < 150_000
    for name, drawn_as in figures.items():
        assert (b"#14181e" in drawn_as) == ("-dark" in name)
    report.main([*map(str, places)])  # what was kept
    for name, before in figures.items():
        assert (tmp_path / "figures" / name).read_bytes() == before


@pytest.mark.parametrize(("kind", "name"), [
    ("peers", "epochs"), ("peers", "inference"), ("peers", "roofline"), ("growth", "growth"),
    ("backprop_vs_differences", "differences"), ("ensembles", "lanes")])
def test_labels_are_whole_and_apart(report, kind, name):
    pytest.importorskip("matplotlib", reason="figures need the extra bench")
    kept = report.newest(report.KEPT)  # not a tiny run: its noise throws letters anywhere
    assert set(KINDS[1:]) <= set(kept)
    for results in filter(None, (made_up() if kind == "peers" else None, kept.get(kind))):
        drawn.check_labels(report.REPORTS[kind].figures[name](results), least=7)


def test_on_dark_pages_text_and_marks_are_light(report, tmp_path):
    pytest.importorskip("matplotlib", reason="figures need the extra bench")
    from matplotlib.colors import to_rgb

    for path in report.figures.pair(tmp_path / "epochs.svg"):
        figure = report.figures.epochs(made_up())
        paper = sum(to_rgb(figure.get_facecolor())) / 3
        assert (paper < 0.1) == ("-dark" in path.name)
        for axes in figure.axes:
            marks = [*axes.texts, axes.xaxis.label, *axes.get_yticklabels(), axes.title]
            assert all(abs(sum(to_rgb(mark.get_color())) / 3 - paper) > 0.6 for mark in marks)
            assert all(abs(sum(to_rgb(line.get_color())[:3]) / 3 - paper) > 0.15
                       for line in axes.lines)


def test_figures_name_who_is_absent(report):
    pytest.importorskip("matplotlib", reason="figures need the extra bench")
    results = made_up()
    results["absent"]["ONNX Runtime"] = "not installed"
    for draw, onnx in ((report.figures.epochs, False), (report.figures.inference, True)):
        texts = {text for text, _ in drawn.texts_of(draw(results))}
        assert "JAX (absent)" in texts
        assert ("ONNX Runtime (absent)" in texts) == onnx  # it does not train


def test_without_matplotlib_the_extra_is_named(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"figures need matplotlib: pip install 'cbackprop"):
        report.figures.epochs(made_up())


@pytest.mark.slow
def test_tiny_runs_into_a_temporary_folder(report, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="figures need the extra bench")
    monkeypatch.setattr(report, "KEPT", tmp_path)
    for kind in set(KINDS) - {"backprop_vs_differences", "ensembles"}:
        (tmp_path / f"{kind}.json").write_text(json.dumps(results_of(kind)))
    report.main(["--tiny"])  # the two are run
    out = capsys.readouterr().out
    assert "differences.svg" in out
    assert "lanes.svg" in out
    assert len(list(tmp_path.iterdir())) == len(KINDS) - 2
