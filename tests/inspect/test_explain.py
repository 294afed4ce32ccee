"""What explain writes: by hand, against the reference, and sums that are read back from it."""

import contextlib
import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from reference import Reference, jacobian
from refusals import one_line

import cbackprop
from cbackprop import Activation, Cost, Network, chapter2
from cbackprop.inspect import _equations, explain, trace

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"
CUBE = Activation(lambda z: z**3, lambda z: 3 * z**2, name=r"cube_{x} \ 50 % of #1 & $2 ~ ^")
FOURTH = Cost(lambda a, y: ((a - y)**4).sum(axis=1), lambda a, y: 4 * (a - y)**3)

# sigma(0) = 1/2 and sigma'(0) = 1/4, so that every number can be found in the head.
BY_HAND = """\
Layer 2: 3 neurons, sigmoid
  z^l_j = sum_k w^l_jk a^(l-1)_k + b^l_j,  (25) a^l = sigma(z^l)
    z^2_1 = 1 * 1 - 1 * 1 + 0 = 0
    a^2_1 = sigma(0) = 0.5
    z^2_2 = 2 * 1 + 0 * 1 - 2 = 0
    a^2_2 = sigma(0) = 0.5
    z^2_3 = 0 * 1 + 1 * 1 - 1 = 0
    a^2_3 = sigma(0) = 0.5

Layer 3 = L: 1 neuron, sigmoid
  z^l_j = sum_k w^l_jk a^(l-1)_k + b^l_j,  (25) a^l = sigma(z^l)
    z^3_1 = 2 * 0.5 - 4 * 0.5 + 6 * 0.5 - 2 = 0
    a^3_1 = sigma(0) = 0.5

The cost, quadratic
  C = sum_j (a_j - y_j)^2 / 2
    C = (0.5 - 1)^2 / 2 = 0.125

BP1: the error of layer 3 = L
  delta^L_j = dC/da^L_j sigma'(z^L_j)
    dC/da^3_1 = 0.5 - 1 = -0.5
    sigma'(z^3_1) = 0.25
    delta^3_1 = -0.5 * 0.25 = -0.125
  (33)  delta^L = Sigma'(z^L) grad_a C, as a matrix times a vector
    [0.25] [-0.5] = [-0.125]

BP2: the error of layer 2
  delta^l_j = (sum_k w^(l+1)_kj delta^(l+1)_k) sigma'(z^l_j)
  The bracket is dC/da^l_j.
    dC/da^2_1 = 2 * (-0.125) = -0.25
    sigma'(z^2_1) = 0.25
    delta^2_1 = -0.25 * 0.25 = -0.0625
    dC/da^2_2 = -4 * (-0.125) = 0.5
    sigma'(z^2_2) = 0.25
    delta^2_2 = 0.5 * 0.25 = 0.125
    dC/da^2_3 = 6 * (-0.125) = -0.75
    sigma'(z^2_3) = 0.25
    delta^2_3 = -0.75 * 0.25 = -0.1875
  (34)  delta^l = Sigma'(z^l) (w^(l+1))^T delta^(l+1), as matrices times a vector
    [0.25     0     0] [ 2]            [-0.0625]
    [   0  0.25     0] [-4] [-0.125] = [  0.125]
    [   0     0  0.25] [ 6]            [-0.1875]

BP3: the biases of layer 2
  dC/db^l_j = delta^l_j; as vectors, dC/db^l = delta^l
    dC/db^2_1 = delta^2_1 = -0.0625
    dC/db^2_2 = delta^2_2 = 0.125
    dC/db^2_3 = delta^2_3 = -0.1875

BP4: the weights of layer 3 = L
  dC/dw^l_jk = a^(l-1)_k delta^l_j
    dC/dw^3_11 = 0.5 * (-0.125) = -0.0625
    dC/dw^3_12 = 0.5 * (-0.125) = -0.0625
    dC/dw^3_13 = 0.5 * (-0.125) = -0.0625
  dC/dw^l = delta^l (a^(l-1))^T, as a column times a row
    [-0.125] [0.5  0.5  0.5] = [-0.0625  -0.0625  -0.0625]

The update of layer 3 = L, eta = 8
  w -> w - eta dC/dw,  b -> b - eta dC/db
    w^3_11 -> 2 - 8 * (-0.0625) = 2.5
    w^3_12 -> -4 - 8 * (-0.0625) = -3.5
    w^3_13 -> 6 - 8 * (-0.0625) = 6.5
    b^3_1 -> -2 - 8 * (-0.125) = -1
"""


def by_hand():
    return Network([2, 3, 1], initializer=([[[1, -1], [2, 0], [0, 1]], [[2, -4, 6]]],
                                           [[[0], [-2], [-1]], [[-2]]]))


def networks():
    """Networks with an example each, of all kinds that are written in their own way."""
    yield "sigmoid", Network([3, 4, 2], seed=0), [0.5, -1, 2], [1, 0]
    yield "softmax", Network([3, 4, 3], cost="log_likelihood", seed=1), [0.5, -1, 2], [0, 1, 0]
    yield "softmax quadratic", Network([3, 5, 4], output_activation="softmax", seed=2), \
        [0.5, -1, 2], [0.1, 0.2, 0.3, 0.4]
    yield "wide", Network([40, 12, 11], cost="cross_entropy", activation="tanh", seed=3,
                          input_scale=0.25), np.arange(40) - 20, np.eye(11)[4]
    yield "mixed", Network([4, 7, 8, 2], activation=[{"tanh": 3, "relu": 4}, "softmax", "identity"],
                           cost=("huber", 0.5), input_scale=[1, 2, 3, 4], seed=4), [1, 2, 0, -1], \
        [0.5, 3]
    yield "own", Network([4, 3, 2], activation=CUBE, output_activation="sigmoid", cost=FOURTH,
                         seed=5), [1, 0.5, 0, -1], [0, 1]


@pytest.fixture(params=networks(), ids=lambda case: case[0])
def case(request):
    return request.param[1:]


def test_2_3_1_by_hand():
    explained = explain(by_hand(), [1, 1], [1], eta=8)
    text = str(explained)
    for section in BY_HAND.strip().split("\n\n"):
        assert f"\n\n{section}\n" in text
    assert [step.equation for step in explained.steps[:6]] == ["x", "x", "z", "(25)", "z", "(25)"]
    step = explained["delta^2_3"]
    assert (step.equation, step.value, step.note) == ("BP2", -0.1875, "")
    ((rate, slope),) = (term.factors for term in step.terms)
    assert rate == (("dC/da", 2, (3,)), -0.75)
    assert slope == (("sigma'", 2, (3,)), 0.25)
    assert explained["w^3_12"].value == -3.5
    assert explained["dC/dz^3_1"].equation == "(29)"
    assert explained["dC/dz^3_1"].value == pytest.approx(-0.125, rel=1e-7)
    with pytest.raises(KeyError, match="no equation for 'delta"):
        explained["delta^2_4"]


def test_values_are_the_cores_and_the_references(case):
    net, x, y = case
    double = Network(**net.settings() | {"dtype": "float64"},
                     initializer=(list(net.weights), list(net.biases)))
    explained, traced = explain(net, x, y, eta=0.5, most=50), trace(double, x, y)
    nabla_b, nabla_w = double.backprop(x, y)
    arrays = {"z": traced.z, "a": traced.a, "delta": traced.delta, "dC/db": nabla_b,
              "dC/dw": nabla_w, "dC/da": traced.nabla_a, "sigma'": traced.sigma_prime}
    found = dict.fromkeys(arrays, 0)
    for step in explained.steps:
        assert not step.note
        name, layer, neurons = step.symbol
        if name in arrays and layer > 1:
            values = arrays[name][layer - 2]
            place = tuple(j - 1 for j in neurons)
            place = {"dC/db": (*place, 0), "dC/dw": place}.get(name, (0, *place))
            assert step.value == pytest.approx(values[place], rel=1e-12, abs=1e-14)
            found[name] += step.equation != "(29)"
        elif name == "dC/dz":
            assert step.value == pytest.approx(traced.delta[-1][0, neurons[0] - 1], rel=1e-5,
                                               abs=1e-8)
    assert explained["C"].value == pytest.approx(traced.cost, rel=1e-12)
    neurons = sum(net.sizes[1:])
    weights = sum(w.size for w in net.weights)
    softmax = [size for size, activation in zip(net.sizes[1:], traced.activations, strict=True)
               if activation == "softmax"]
    assert found == {"z": neurons, "a": neurons, "delta": neurons + net.sizes[-1],
                     "dC/db": neurons, "dC/dw": weights, "dC/da": neurons,
                     "sigma'": neurons - sum(softmax)}
    assert len([step for step in explained.steps if step.symbol.name == "da/dz"]) == sum(
        size**2 for size in softmax)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_numbers_are_those_of_numpy_and_of_the_reading_copy(output):
    rng = np.random.default_rng(0)
    net = Network([5, 4, 3], output_activation=output, dtype="float64", seed=0)
    x, y = rng.random(5), rng.random(3)
    explained = explain(net, x, y, eta=0.25)
    reference = Reference(net.weights, net.biases, ["sigmoid", output], "quadratic")
    zs, activations = reference.forward(x[None])
    nabla_b, nabla_w = reference.backprop(x[None], y[None])
    delta, before = nabla_b[-1][:, 0], activations[-2][0]
    rates = jacobian(output, zs[-1])[0]
    for j in range(3):
        assert explained[f"z^3_{j + 1}"].value == pytest.approx(zs[-1][0, j])
        assert explained[f"dC/da^3_{j + 1}"].value == pytest.approx(activations[-1][0, j] - y[j])
        assert explained[f"delta^3_{j + 1}"].value == pytest.approx(delta[j])
        assert explained[f"dC/dw^3_{j + 1}2"].value == pytest.approx(delta[j] * before[1])
        for k in range(3) if output == "softmax" else ():
            assert explained[f"da^3_{k + 1}/dz^3_{j + 1}"].value == pytest.approx(rates[k, j])
    weights, biases = net.weights, net.biases
    if output == "sigmoid":
        z, _ = chapter2.feedforward(weights, biases, x)
        nabla_b, nabla_w = chapter2.backprop(weights, biases, x, y)
        weights, biases = chapter2.update_mini_batch(weights, biases, x, y, eta=0.25)
        assert explained["z^2_3"].value == pytest.approx(z[0][0, 2], rel=1e-14)
        assert explained["w^2_34"].value == pytest.approx(weights[0][2, 3], rel=1e-14)
        assert explained["b^3_1"].value == pytest.approx(biases[1][0, 0], rel=1e-14)
    assert explained["dC/db^2_3"].value == pytest.approx(nabla_b[0][2, 0])
    assert explained["dC/dw^2_34"].value == pytest.approx(nabla_w[0][2, 3])


def equations(text):
    """Return the sums that are written in a text, and the numbers that are said to be theirs."""
    lines = re.sub(r"\n {5,}", " ", text).splitlines()
    for line in lines:
        written = re.fullmatch(r"    (\S+) (?:=|->) (.*) = (\S+)", line)
        if written and not re.search(r"sigma|ln|e\^|delta", written[2]):
            yield (written[1], re.sub(r" \[[\d,]+ others?\]", "", written[2]).replace("^", "**"),
                   float(written[3]))


@pytest.mark.parametrize("most", [2, 6])
def test_written_sums_add_up(case, most):
    net, x, y = case
    text = str(explain(net, x, y, most=most))
    found = list(equations(text))
    assert {symbol.split("^")[0] for symbol, *_ in found} >= {"z", "delta", "dC/dw", "w", "b"}
    for symbol, written, value in found:
        size = sum(abs(eval(term)) for term in re.split(r" [+-] (?![^(]*\))", written))
        assert eval(written) == pytest.approx(value, abs=2e-4 * size), symbol
    if max(net.sizes) > most:
        assert re.search(r"\[\d+ others?\]", text)
        assert f"the {most} with the largest abs(delta) are written" in text
    assert max(map(len, text.splitlines())) <= 100


def test_wide_sums_fold_to_the_terms_that_count():
    w = np.zeros((1, 1200))
    w[0, [7, 100, 900]] = 5, -3, 0.5
    w[0, 1000:] = 0.01
    net = Network([1200, 1], dtype="float64", output_activation="identity",
                  initializer=([w], [[[0.25]]]))
    explained = explain(net, np.ones(1200), [0.0], most=3)
    assert str(explained["z^2_1"]).count("*") == 1200
    assert "    z^2_1 = 5 * 1 - 3 * 1 + 0.25 + 2.5 [1,198 others] = 4.75\n" in str(explained)
    assert r"+ 0.25 + \underbrace{2.5}_{\text{1,198 others}} = 4.75" in explained.latex()
    terms = _equations.folded(explained["z^2_1"].terms, 3)
    assert [len(part) for part in terms] == [3, 1198]
    # Terms that are 0 do not count.
    net.weights = [w * (w > 4)]
    assert "z^2_1 = 5 * 1 + 0.25 + 0 [1,199 others] = 5.25\n" in str(
        explain(net, np.ones(1200), [0.0], most=3))


def test_the_sum_over_k_has_the_jacobian():
    net = Network([1, 3], output_activation="softmax", initializer=(
        [np.zeros((3, 1))], [np.log([[1], [2], [5]])]), dtype="float64")
    text = str(explain(net, [0], [0, 0, 1]))  # a = 1/8, 1/4, 5/8
    assert """
    da^2_1/dz^2_1 = 0.125 * (1 - 0.125) = 0.10938
    da^2_2/dz^2_1 = -0.25 * 0.125 = -0.03125
    da^2_3/dz^2_1 = -0.625 * 0.125 = -0.078125
    delta^2_1 = 0.125 * 0.10938 + 0.25 * (-0.03125) - 0.375 * (-0.078125) = 0.035156
""" in text
    assert """
    [  0.10938  -0.03125  -0.078125] [ 0.125]   [0.035156]
    [ -0.03125    0.1875   -0.15625] [  0.25] = [ 0.10156]
    [-0.078125  -0.15625    0.23438] [-0.375]   [-0.13672]
""" in text
    assert "The term k = j alone" in " ".join(text.split())
    assert "One term is left, and this is BP1" in " ".join(
        str(explain(by_hand(), [1, 1], [1])).split())


def test_a_last_layer_without_biases_is_measured():
    net = Network([2, 3, 1], bias=[True, False], seed=0)
    explained = explain(net, [0.5, 1.0], [1.0])
    assert explained["dC/dz^3_1"].value == pytest.approx(explained["delta^3_1"].value, rel=1e-6)
    assert not net.biases[1].any()


def test_terms_that_overflow_are_not_written():
    """Where sigma' is 0 and dC/da infinite, their product is not what the core computes."""
    net = Network([1, 2], cost="cross_entropy", dtype="float64",
                  initializer=([[[800.0], [-800.0]]], [[[0.0], [0.0]]]))
    explained = explain(net, [1.0], [0, 1])
    assert [explained[f"delta^2_{j}"].value for j in (1, 2)] == [1, -1]
    assert explained["C"].value == 1600
    text = str(explained)
    assert f"    delta^2_1 = 1  ({_equations.CORES})\n" in text
    assert "(33)" not in text
    assert "nan" not in text + explained.latex()
    smoothed = Network([2, 3], cost=("log_likelihood", {"label_smoothing": 0.1}), seed=0)
    assert not explain(smoothed, [1, 2], [0, 0, 1])["C"].terms


def test_latex_is_whole(case):
    net, x, y = case
    explained = explain(net, x, y)
    assert explained._repr_latex_() == explained.latex()
    assert explained._repr_markdown_() == explained.markdown()
    for written in (explained.latex(), explained.markdown()):
        assert written.count("$$") % 2 == 0
        blocks = re.findall(r"\$\$(.*?)\$\$", written, re.DOTALL)
        assert len([block for block in blocks if "aligned" in block]) == len(explained.sections)
        for block in blocks:
            is_whole(block)


def is_whole(block):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", block):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    begun = re.findall(r"\\(begin|end)\{(\w+)\}", block)
    assert [name for which, name in begun if which == "begin"].count("aligned") == \
        [name for which, name in begun if which == "end"].count("aligned")
    assert block.count(r"\begin{pmatrix}") == block.count(r"\end{pmatrix}")
    for row in block.split("\\\\\n"):
        if "aligned" in block and "pmatrix" not in row:
            assert len(re.findall(r"(?<!\\)&", row)) == 1
    words = re.findall(r"\\text\{((?:[^{}\\]|\\.|\{\})*)\}", block)
    assert len(words) == block.count(r"\text{")
    for text in words:
        assert not re.search(r"(?<!\\)[_^#$%&~<>]", text)
    assert not re.search(r"(?<!\\)[#$%~]|\d[eE][+-]?\d|nan|inf(?!ty)|\*", block)


def test_one_number_has_one_spelling():
    text, latex = _equations.TEXT, _equations.LATEX
    for value, as_text, as_latex in [
            (-0.0, "0", "0"), (1.5e-7, "1.5e-07", r"1.5 \times 10^{-7}"),
            (-123456, "-1.2346e+05", r"-1.2346 \times 10^{5}"), (math.inf, "inf", r"\infty"),
            (-math.inf, "-inf", r"-\infty"), (math.nan, "nan", r"\text{nan}")]:
        assert (text.number(value), latex.number(value)) == (as_text, as_latex)
    assert str(_equations.Symbol("w", 2, (1, 12))) == "w^2_1,12"
    assert latex.symbol(_equations.Symbol("dC/dw", 3, (1, 2))) == \
        r"\frac{\partial C}{\partial w^{3}_{12}}"


def test_estimators_and_classes():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3))
    names = np.array(["left", "right", "up"])[np.arange(20) % 3]
    found = cbackprop.sklearn.MLPClassifier((4,), max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        found.fit(x, names)
    assert explain(found, x[:1], ["up"])["C"].value == pytest.approx(
        -np.log(found.predict_proba(x[:1])[0, 2]), rel=1e-6)
    net = found.network_.copy()
    net.classes = [5, 6, 7]  # read once, and not again as classes
    explained = explain(net, x[:1], [7])
    assert explained["C"].value == explain(found, x[:1], ["up"])["C"].value
    assert explained["delta^3_3"].value == pytest.approx(
        cbackprop.inspect.demon(net, x[:1], [7], 1, 2, 1e-6).measured / 1e-6, rel=1e-4)
    assert cbackprop.inspect.gradient_check(net, x[:2], [7, 5]).passed
    assert cbackprop.inspect.paths(net, x[:1], [7], 1, 2, 0).total == pytest.approx(
        explained["dC/dw^3_31"].value)


@pytest.mark.parametrize(("error", "match", "given"), [
    (ValueError, "^x must be one example, got 2 rows$", {"x": np.ones((2, 2)), "y": [[1], [0]]}),
    (ValueError, r"^x must have sizes\[0\] = 2 columns", {"x": [1, 2, 3]}),
    (TypeError, "^net must be a Network, got 3$", {"net": 3}),
    (ValueError, "^eta must be a number of at least 0, got -1$", {"eta": -1}),
    (TypeError, "^eta must be a number of at least 0, got 'a'$", {"eta": "a"}),
    (ValueError, "^most must be an integer of at least 2, got 1$", {"most": 1})])
def test_refusals(error, match, given):
    with one_line(error, match):
        explain(**{"net": by_hand(), "x": [1, 1], "y": [1]} | given)


def test_network_is_not_changed():
    net = by_hand()
    before = [w.copy() for w in [*net.weights, *net.biases]]
    explain(net, [1, 1], [1], eta=3)
    for a, b in zip([*net.weights, *net.biases], before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_trace_has_parameters_rates_and_labels():
    net = Network([3, 4, 5, 2], output_activation="softmax", cost="quadratic", seed=0,
                  activation="tanh", dtype="float64")
    x, y = np.random.default_rng(0).random((2, 6, 3))
    traced = trace(net, x, y[:, :2])
    assert traced.labels == ["2", "3", "L"]
    for copied, own in zip(traced.w + traced.b, [*net.weights, *net.biases], strict=True):
        np.testing.assert_array_equal(copied, own)
        assert not np.shares_memory(copied, own)
    np.testing.assert_allclose(traced.nabla_a[-1], traced.a[-1] - y[:, :2])
    for layer in (0, 1):
        np.testing.assert_allclose(traced.nabla_a[layer] * traced.sigma_prime[layer],
                                   traced.delta[layer], rtol=1e-12, atol=1e-15)
    single = trace(Network([3, 2], seed=0), x, y[:, :2])
    assert single.labels == ["L"]
    assert single.nabla_a[0].dtype == "float32"


@pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside the tests")
def test_page_shows_what_its_code_prints():
    page, names = PAGE.read_text(encoding="utf-8"), {}
    code = re.compile(r"```python\n(.*?)```\n\n(?:```text|<!--.*?-->)\n(.*?)\n(?:```|<!--)",
                      re.DOTALL)
    found = code.findall(page)
    assert len(found) == page.count("```python") == 6
    for program, shown in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        assert printed.getvalue().rstrip() == shown
