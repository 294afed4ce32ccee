"""The page as a file: it has every number that may be asked of it, and its formulas are MathML."""

import base64
import gzip
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from refusals import one_line

from cbackprop import Cost, Network, callbacks, datasets, inspect
from cbackprop.inspect import _equations
from cbackprop.inspect._mathml import mathml
from cbackprop.inspect.gradient_check import quotient
from cbackprop.inspect.page import answers, file
from cbackprop.inspect.page.document import SCRIPTS, document

FOURTH = Cost(lambda a, y: ((a - y)**4).sum(axis=1), lambda a, y: 4 * (a - y)**3)


def told_in(written):
    """Return the JSON that a file has."""
    return re.search(r'id="told">(.*?)</script>', written.getvalue().decode(), re.S)[1]


def told(net, x, y, **given):
    """Return what a page was told: the state, and the answer to each question."""
    written = io.BytesIO()
    inspect.page(net, x, y, written, **given)
    return unpacked(written)


def unpacked(written):
    """Return what a file tells its page."""
    said = json.loads(told_in(written))
    said |= json.loads(gzip.decompress(base64.b64decode(said.pop("answers"))))
    said["answers"] = said.pop("questions")
    return said


def pick(merged, at):
    """Return one of the values that a file has merged, as the page does."""
    if isinstance(merged, list):
        return [pick(part, at) for part in merged]
    if "=" in merged:
        return merged["="][at if len(merged["="]) > 1 else 0]
    return {name: pick(part, at) for name, part in merged.items()}


def whole(value, forms):
    """Return a value with its texts, each the index of its form and the numbers in it."""
    if isinstance(value, str):
        form, *numbers = value.split(" ")
        return "".join(itertools.chain.from_iterable(
            itertools.zip_longest(forms[int(form)], numbers, fillvalue="")))
    if isinstance(value, dict):
        return {name: whole(part, forms) for name, part in value.items()}
    return [whole(part, forms) for part in value] if isinstance(value, list) else value


def test_every_question_has_its_answer():
    net = Network([2, 3, 2], activation="tanh", cost="log_likelihood", dtype="float64", seed=1)
    x, y = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([1, 0])
    found = told(net, x, y, eta=0.5)
    asked = {"example", "plane"}
    asked |= {f"demon {layer} {j}" for layer, size in ((2, 3), (3, 2)) for j in range(1, size + 1)}
    asked |= {f"edge {layer} {j} {k}" for layer, (out, into) in ((2, (3, 2)), (3, (2, 3)))
              for j in range(1, out + 1) for k in range(1, into + 1)}
    assert set(found["answers"]) == asked
    traced = inspect.trace(net, x[1], np.array([[1.0, 0.0]]))
    edge = pick(found["answers"]["edge 2 3 1"], 1)
    for name in ("bp4", "measured", "total"):
        assert edge[name] == pytest.approx(traced.nabla_w[0][2, 0], rel=1e-5)
    assert edge["count"] == len(edge["paths"]) == 4  # softmax: every z leads to every a
    assert pick(found["answers"]["example"], 1)["cost"] == pytest.approx(traced.cost, rel=1e-5)
    assert found["state"]["eta"] == 0.5
    for at in (0, 1):  # texts come back from their forms and numbers
        assert whole(pick(found["answers"]["example"], at), found["forms"]) == answers.example(
            net, x[at], np.eye(2)[y[at:at + 1]], eta=0.5, most=8)


def test_wide_layers_fold():
    net = Network([100, 40, 12], input_scale=0.1, seed=0)
    x = np.random.default_rng(0).random((1, 100))
    found = told(net, x, [3], most=4)
    example = pick(found["answers"]["example"], 0)
    assert [layer["size"] for layer in example["layers"]] == [100, 40, 12]
    assert [len(layer["drawn"]) for layer in example["layers"]] == [4, 4, 4]
    traced = inspect.trace(net, x, [3])
    largest = np.argsort(-np.abs(traced.delta[0][0]), kind="stable")[:4]
    assert example["layers"][1]["drawn"] == sorted(int(j) + 1 for j in largest)
    np.testing.assert_allclose(example["layers"][1]["delta"], traced.delta[0][0][
        np.sort(largest)], rtol=1e-4)
    j, k = example["layers"][1]["drawn"][2], example["layers"][0]["drawn"][1]
    assert example["layers"][1]["nabla_w"][2][1] == pytest.approx(
        traced.nabla_w[0][j - 1, k - 1], rel=1e-3)
    assert found["state"]["side"] == 10
    assert len(found["answers"]["pixels"]["gradient"]) == 100
    edges = [key for key in found["answers"] if key.startswith("edge")]
    assert len(edges) == 32


@pytest.mark.parametrize("settings", [
    {"sizes": [2, 3, 3], "cost": "log_likelihood"},
    {"sizes": [3, 4, 2], "activation": [["relu", "tanh", "relu", "silu"], "sigmoid"],
     "cost": "cross_entropy"},
    {"sizes": [1, 3, 1], "activation": "softmax", "output_activation": "identity"},
    {"sizes": [2, 9, 2], "cost": FOURTH, "output_activation": "sigmoid"},
    {"sizes": [2, 3, 1], "input_scale": [1e-9, 1e9], "bias": False},
])
def test_all_formulas_are_mathml(settings):
    """What explain writes is known to the converter, and is well-formed."""
    sizes = settings["sizes"]
    net = Network(**settings, seed=3)
    y = np.eye(sizes[-1])[:1]
    found = answers.example(net, np.ones((1, sizes[0])), y, eta=1e-12, most=5)
    formulas = re.findall(r"<math>.*?</math>", json.dumps(found, ensure_ascii=False).replace(
        '\\"', '"'))
    assert len(formulas) > 100
    for formula in formulas:
        ET.fromstring(formula)


@pytest.mark.parametrize(("latex", "expected"), [
    ("a^1 = x", "<msup><mi>a</mi><mn>1</mn></msup><mo>=</mo><mi>x</mi>"),
    (r"w^{l+1}_{kj}", "<msubsup><mi>w</mi><mrow><mi>k</mi><mi>j</mi></mrow><mrow><mi>l</mi>"
     "<mo>+</mo><mn>1</mn></mrow></msubsup>"),
    (r"\frac{\partial C}{\partial b}", "<mfrac><mrow><mo>∂</mo><mi>C</mi></mrow><mrow><mo>∂</mo>"
     "<mi>b</mi></mrow></mfrac>"),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
     "<mrow><mo>(</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd>"
     "<mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr></mtable><mo>)</mo></mrow>"),
    (r"\underbrace{0.4}_{\text{779 others}}",
     "<munder><munder><mrow><mn>0.4</mn></mrow><mo>⏟</mo></munder><mrow><mtext>779 others</mtext>"
     "</mrow></munder>"),
    (rf"\text{{{_equations.escaped('a_{x} & <b> ^ ~ #1 $2 50 %')}}}",
     "<mtext>a_{x} &amp; &lt;b&gt; ^ ~ #1 $2 50 %</mtext>"),
    (r"2.5 \times 10^{-3}", "<mn>2.5</mn><mo>\N{MULTIPLICATION SIGN}</mo><msup><mn>10</mn><mrow>"
     "<mo>\N{MINUS SIGN}</mo><mn>3</mn></mrow></msup>"),
])
def test_mathml_by_hand(latex, expected):
    assert mathml(latex) == f"<math>{expected}</math>"


def test_an_unknown_command_is_no_silence():
    with one_line(ValueError, r"no MathML is known for \\gamma"):
        mathml(r"\gamma^l")


def test_numbers_that_json_has_not():
    net = Network([1, 1], cost="cross_entropy", initializer=([[[900.0]]], [[[0.0]]]))
    found = told(net, [[1.0]], [[0.0]])  # dC/da is infinite
    assert pick(found["answers"]["example"], 0)["layers"][1]["a"] == [1.0]
    assert answers.numbers([np.nan, np.inf, 1 / 3]) == [None, None, 0.333333]


@pytest.mark.parametrize(("args", "rule"), [
    (([[0.0, 1.0]] * 21, [[1.0]] * 21), "x must be at most 20 examples, got 21"),
    (([[0.0]], [[1.0]]), "x must have"),
    (([[0.0, np.nan]], [[1.0]]), "must be finite"),
])
def test_what_a_page_refuses(args, rule, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with one_line(ValueError, rule):
        inspect.page(Network([2, 1], seed=0), *args, path)
    assert path.read_text() == "mine"
    with one_line(ValueError, "most must be an integer of at least 2"):
        inspect.page(Network([2, 1], seed=0), [[0.0, 1.0]], [[1.0]], path, most=1)
    with pytest.raises(OSError, match="nowhere"):
        inspect.page(Network([2, 1], seed=0), [[0.0, 1.0]], [[1.0]], tmp_path / "nowhere" / "p")


XOR = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [1.0], [0.0]]


@pytest.fixture(scope="module")
def seen():
    """Return what Snapshots have of XOR, of every tenth epoch."""
    kept = callbacks.Snapshots(every=10)
    net = Network([2, 4, 1], cost="cross_entropy", seed=0)
    net.SGD(XOR, 200, 4, 2.0, callbacks=[kept])
    return kept


def test_epochs_are_stored(seen):
    """Each has its own answers, of the network as it was."""
    few = callbacks.Snapshots()
    few.networks, few.epochs = seen.networks[::10], seen.epochs[::10]
    x, y = np.array(XOR[0]), np.array(XOR[1])
    found = told(few, x, y)
    frames = found["state"]["frames"]
    assert [frame["epoch"] for frame in frames] == [0, 100, 200]
    for at, net in enumerate(few.networks):
        assert frames[at]["cost"] == pytest.approx(net.total_cost((x, y)), rel=1e-5)
        assert frames[at]["share"] == pytest.approx(inspect.saturation(net, x, y).share, rel=1e-5)
        for row in range(4):
            traced = inspect.trace(net, x[row], y[row])
            edge = pick(found["answers"]["edge 2 3 2"], at * 4 + row)
            assert edge["bp4"] == pytest.approx(traced.nabla_w[0][2, 1], rel=1e-4, abs=1e-9)
            moved = inspect.demon(net, x[row], y[row], layer=1, neuron=0, dz=-2.0)
            demon = pick(found["answers"]["demon 3 1"], at * 4 + row)
            assert demon["measured"][0] == pytest.approx(moved.measured, rel=1e-4)
            assert demon["delta"] * demon["dz"][0] == pytest.approx(moved.predicted, rel=1e-4)
        output = net.feedforward(found["answers"]["plane"]["low"][0]["="] * 2)
        assert pick(found["answers"]["plane"], at)["values"][0] == pytest.approx(
            float(output[0]), abs=1e-3)


@pytest.mark.parametrize(("room", "least", "most"), [(130_000, 3, 10), (1000, 2, 2)])
def test_epochs_are_left_out_to_keep_the_file_small(monkeypatch, seen, room, least, most):
    """Evenly, and never the first and the last."""
    assert file.MAX_BYTES == 300_000
    monkeypatch.setattr(file, "MAX_BYTES", room)
    written = io.BytesIO()
    inspect.page(seen, XOR[0][1], XOR[1][1], written)
    epochs = [frame["epoch"] for frame in json.loads(told_in(written))["state"]["frames"]]
    assert least <= len(epochs) <= most
    assert (epochs[0], epochs[-1]) == (0, 200)
    assert np.ptp(np.diff(epochs)) <= 10
    assert written.tell() < room or len(epochs) == 2


def test_fewer_neurons_are_drawn_to_keep_the_file_small(monkeypatch):
    """Unless it is said how many."""
    net, y = Network([20, 9, 8], seed=0), np.eye(8)[3]
    monkeypatch.setattr(file, "MAX_BYTES", 95_000)
    for most, least, largest in ((None, 3, 7), (8, 8, 8)):
        written = io.BytesIO()
        inspect.page(net, np.eye(20)[5], y, written, most=most)
        layers = pick(unpacked(written)["answers"]["example"], 0)["layers"]
        assert least <= len(layers[0]["drawn"]) == len(layers[2]["drawn"]) <= largest
        assert (written.tell() <= 95_000) == (most is None)
        asked = io.BytesIO()
        inspect.page(net, np.eye(20)[5], y, asked, most=len(layers[0]["drawn"]))
        assert asked.getvalue() == written.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"cost": "log_likelihood", "activation": "relu"}])
def test_a_page_of_ten_digits_is_small_enough(settings):
    (x, y), _ = datasets.load_mnist()
    net = Network([784, 30, 10], input_scale=1 / 255, seed=0, **settings)
    net.SGD((x, y), 3, 10, 0.3)
    written = io.BytesIO()
    inspect.page(net, x[:10], y[:10], written, most=8)
    assert written.tell() <= 300_000


def test_which_training_snapshots_are_of():
    kept = callbacks.Snapshots()
    net = Network([2, 1], cost="cross_entropy", seed=0)
    with one_line(ValueError, "net must be Snapshots of a training, got none of a network"):
        inspect.page(kept, *XOR, io.BytesIO())
    net.SGD(XOR, 3, 4, 1.0, callbacks=[kept])
    net.SGD(XOR, 1, 4, 1.0, callbacks=[kept], resume=True)
    assert kept.epochs == [0, 1, 2, 3, 3, 4]  # one training that went on
    frames = told(kept, *XOR)["state"]["frames"]
    assert [frame["epoch"] for frame in frames] == [0, 1, 2, 3, 4]
    net.SGD(XOR, 2, 4, 1.0, callbacks=[kept])  # and another one
    frames = told(kept, *XOR)["state"]["frames"]
    assert [frame["epoch"] for frame in frames] == [0, 1, 2]
    kept.networks.append(Network([2, 3, 1], seed=0))
    kept.epochs.append(3)
    with one_line(ValueError, "net must be Snapshots of one network, got"):
        inspect.page(kept, *XOR, io.BytesIO())


def test_the_assets_are_small_and_all_are_used():
    folder = Path(inspect.__file__).parent / "page" / "assets"
    files = {path.name for path in folder.iterdir()}
    assert files == {"page.html", "page.css", *(f"{name}.js" for name in SCRIPTS)}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000


def test_one_script_of_all_modules():
    """Modules share one scope: no name is declared twice, and no import is left."""
    html, _ = document({}, connects=False)
    script = re.search(r'<script type="module">(.*?)</script>', html, re.S)[1]
    names = re.findall(r"^(?:async )?(?:const|let|class|function) (\w+)", script, re.M)
    names += re.findall(r"^const \[([\w, ]+)\]", script, re.M)[0].split(", ")
    assert len(names) == len(set(names)) > 20
    assert not re.search(r"^(import|export) ", script, re.M)
    assert "{{" not in html


def test_a_quotient_is_the_gradient():
    net = Network([3, 4, 2], activation="tanh", seed=4)
    x, y = [0.3, -0.2, 0.9], [1.0, 0.0]
    gradient = inspect.trace(net, x, y).nabla_w
    before = [w.copy() for w in net.weights]
    for layer, j, k in ((0, 3, 1), (1, 0, 2)):
        measured, (above, below), eps = quotient(
            net, x, y, layer, j, k)
        assert measured == (above - below) / (2 * eps)
        assert measured == pytest.approx(float(gradient[layer][j, k]), rel=1e-4)
    for now, then in zip(net.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)
