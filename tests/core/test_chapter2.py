"""The chapter in plain loops: against differences and the reference; and the core against it."""

import doctest
import importlib.resources
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from equations import LABELS, labels_in_order
from reference import Reference, drawn_order

import cbackprop
from cbackprop import chapter2

SOURCE = importlib.resources.files("cbackprop.chapter2").joinpath("chapter2.pyx")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "chapter2.md"
CORE = ROOT / "src" / "cbackprop" / "core" / "chapter"
SHAPES = [  # sizes, examples
    ((1, 1), 1), ((1, 1, 1), 3), ((3, 1), 2), ((1, 3), 5), ((5, 4, 3), 1), ((5, 4, 6, 3), 7),
    ((17, 9, 1, 33), 13), ((2, 3, 4, 5, 6, 7), 10), ((30, 65, 2), 50)]
IDS = ["-".join(map(str, sizes)) + f" x{n}" for sizes, n in SHAPES]


class Case:
    """Parameters, examples, and the reference with the same parameters."""

    def __init__(self, sizes, n, seed=0):
        rng = np.random.default_rng(seed)
        self.sizes, self.n = sizes, n
        self.weights = [rng.standard_normal((j, k)) / np.sqrt(k)
                        for k, j in itertools.pairwise(sizes)]
        self.biases = [rng.standard_normal((j, 1)) for j in sizes[1:]]
        self.x, self.y = rng.standard_normal((n, sizes[0])), rng.random((n, sizes[-1]))

    @property
    def reference(self):
        return Reference(self.weights, self.biases, ["sigmoid"] * len(self.weights), "quadratic")

    def network(self, **settings):
        net = cbackprop.Network(self.sizes, dtype="float64", seed=5, **settings)
        net.weights, net.biases = self.weights, self.biases
        return net


def close(actual, expected, bound=1e-12):
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        np.testing.assert_allclose(a, e, rtol=bound, atol=bound * max(1.0, np.abs(e).max()))


# ---- against what is known otherwise ----


@pytest.mark.parametrize(("sizes", "n"), SHAPES, ids=IDS)
def test_25_feedforward(sizes, n):
    case = Case(sizes, n)
    z, a = chapter2.feedforward(case.weights, case.biases, case.x)
    expected_z, expected_a = case.reference.forward(case.x)
    close(z, expected_z)
    close(a, expected_a)


@pytest.mark.parametrize(("sizes", "n"), SHAPES[:-1], ids=IDS[:-1])
def test_backprop_against_finite_differences(sizes, n):
    case = Case(sizes, n)
    exact = chapter2.backprop(case.weights, case.biases, case.x, case.y)
    for got, differences in zip(exact, case.reference.finite_differences(case.x, case.y),
                                strict=True):
        close(got, differences, 1e-9)


@pytest.mark.parametrize(("sizes", "n"), SHAPES, ids=IDS)
def test_bp1_to_bp4_against_the_reference(sizes, n):
    case = Case(sizes, n)
    nabla_b, nabla_w = chapter2.backprop(case.weights, case.biases, case.x, case.y)
    expected_b, expected_w = case.reference.backprop(case.x, case.y)
    close(nabla_b, expected_b)
    close(nabla_w, expected_w)


def test_saturated_neurons():
    """sigma'(z) keeps its digits where 1 - sigma(z) would have none; far out it is 0, not NaN."""
    for z, slope in ((-40.0, np.exp(-40.0)), (40.0, np.exp(-40.0)), (800.0, 0), (-800.0, 0)):
        nabla_b, _ = chapter2.backprop([[[1.0]]], [[[0.0]]], [z], [0.5])
        np.testing.assert_allclose(nabla_b[0], [[np.sign(z) * slope / 2]], rtol=1e-14)


def test_worked_example_by_hand():
    """That of test_reference.py."""
    weights = [[[0.15, 0.20], [0.25, 0.30]], [[0.40, 0.45]]]
    biases = [[[0.35], [0.35]], [[0.60]]]
    nabla_b, nabla_w = chapter2.backprop(weights, biases, [0.05, 0.10], [0.01])
    np.testing.assert_allclose(nabla_b[1], [[0.13849856]], rtol=1e-7)
    np.testing.assert_allclose(nabla_w[1], [[0.08216704, 0.08266763]], rtol=1e-6)
    np.testing.assert_allclose(nabla_b[0][0], [0.01336792], rtol=1e-5)
    np.testing.assert_allclose(nabla_w[0][0, 0], 0.000668396, rtol=1e-5)


@pytest.mark.parametrize(("sizes", "n"), SHAPES, ids=IDS)
def test_update_mini_batch_against_the_reference(sizes, n):
    case, reference = Case(sizes, n), Case(sizes, n).reference
    reference.update_mini_batch(case.x, case.y, 0.7)
    weights, biases = chapter2.update_mini_batch(
        case.weights, case.biases, case.x, case.y, 0.7)
    close(weights, reference.weights)
    close(biases, reference.biases)


@pytest.mark.parametrize("mini_batch_size", [1, 4, 13, 100])
def test_epoch_against_the_reference(mini_batch_size):
    """The last mini-batch is shorter, and its step is divided by its own length."""
    case = Case((6, 5, 3), 13)
    reference, order = case.reference, np.random.default_rng(3).permutation(13)
    reference.epoch(case.x, case.y, order, mini_batch_size, 0.7)
    weights, biases = chapter2.sgd(
        case.weights, case.biases, case.x, case.y, order, mini_batch_size, 0.7)
    close(weights, reference.weights)
    close(biases, reference.biases)


# ---- the core against the chapter ----


@pytest.mark.parametrize(("sizes", "n"), SHAPES, ids=IDS)
def test_network_computes_the_same(sizes, n):
    case = Case(sizes, n)
    net = case.network(threads=1)
    close([net.feedforward(case.x)],
          chapter2.feedforward(net.weights, net.biases, case.x)[1][-1:])
    for got, expected in zip(net.backprop(case.x, case.y), chapter2.backprop(
            net.weights, net.biases, case.x, case.y), strict=True):
        close(got, expected)
    weights, biases = chapter2.update_mini_batch(net.weights, net.biases, case.x, case.y, 2.0)
    net.update_mini_batch((case.x, case.y), 2.0)
    close(net.weights, weights)
    close(net.biases, biases)


def test_every_build_trains_the_same(build):
    """Two epochs; slices of a long mini-batch, a narrow output, layers of odd widths."""
    for sizes, n, m in (((9, 17, 5), 23, 4), ((4, 3), 11, 11), ((3, 19, 2, 1), 40, 7),
                        ((2, 9, 8), 700, 600)):
        case = Case(sizes, n)
        core = build.Core(sizes, ["sigmoid"] * (len(sizes) - 1), "quadratic", 1.0)
        views = core.views(core.parameters)
        for view, value in zip([*views[0], *views[1]], case.weights + case.biases, strict=True):
            view[...] = value
        weights, biases = case.weights, case.biases
        for seed in (1, 2):
            order = np.random.default_rng(seed).permutation(n)
            core.sgd(build.Rows(case.x), build.Targets(case.y.astype(build.REAL)), order, m,
                     np.full(n, 0.9), 0, n)
            weights, biases = chapter2.sgd(weights, biases, case.x, case.y, order, m, 0.9)
        bound = 1e-12 if build.REAL == "float64" else 1e-5
        close(views[0], weights, bound)
        close(views[1], biases, bound)


def test_network_trains_the_same():
    case = Case((7, 6, 4), 21)
    net = case.network()
    rng = np.random.default_rng(5)
    rng.bit_generator.state = net.engine.random.bit_generator.state
    net.SGD((case.x, case.y), 2, 4, 0.5)
    weights, biases = case.weights, case.biases
    for _ in range(2):
        weights, biases = chapter2.sgd(
            weights, biases, case.x, case.y, drawn_order(rng, 21), 4, 0.5)
    close(net.weights, weights)
    close(net.biases, biases)


# ---- what may be given ----


def test_one_example_and_labels():
    case = Case((4, 3, 3), 5)
    expected = chapter2.backprop(case.weights, case.biases, case.x[:1], [[0.0, 0.0, 1.0]])
    column = case.x[0].reshape(4, 1)
    for x, y in ((case.x[0], [0, 0, 1]), (column, [[0], [0], [1]]), (case.x[:1], [2])):
        for got, wanted in zip(chapter2.backprop(case.weights, case.biases, x, y), expected,
                               strict=True):
            close(got, wanted, 0)
    labels = [2, 0, 1, 1, 2]
    for got, wanted in zip(
            chapter2.update_mini_batch(case.weights, case.biases, case.x, labels, 0.1),
            chapter2.update_mini_batch(case.weights, case.biases, case.x, np.eye(3)[labels], 0.1),
            strict=True):
        close(got, wanted, 0)


def test_arrays_of_any_kind_and_none_is_changed():
    """Float32, Fortran's order, read-only, a Network's views, rows of uint8."""
    case = Case((4, 6, 3), 5)
    x = np.random.default_rng(1).integers(0, 3, (5, 4), dtype=np.uint8)
    weights = [np.asfortranarray(case.weights[0]), case.weights[1].astype(np.float32)]
    order = np.array([4, 0, 2])
    given = [*weights, *case.biases, x, case.y, order]
    before = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    got = chapter2.sgd(weights, case.biases, x, case.y, order, 2, 1.0)
    plain = [np.array(w, dtype=float, order="C") for w in weights]
    expected = chapter2.sgd(plain, case.biases, x.astype(float), case.y, [4, 0, 2], 2, 1.0)
    for one, other in zip(got, expected, strict=True):
        close(one, other, 0)
    for array, wanted in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, wanted)
    net = case.network()
    for layer, view in zip(chapter2.feedforward(net.weights, net.biases, x)[1],
                           chapter2.feedforward(case.weights, case.biases, x)[1], strict=True):
        close([layer], [view], 0)


W, B = [np.zeros((3, 2)), np.zeros((1, 3))], [np.zeros((3, 1)), np.zeros((1, 1))]
X, Y = np.zeros((4, 2)), np.zeros((4, 1))


@pytest.mark.parametrize(("change", "error", "line"), [
    ({"weights": W[:1]}, ValueError,
     "weights and biases must be as many arrays, at least one of each, got 1 and 2"),
    ({"weights": [], "biases": []}, ValueError,
     "weights and biases must be as many arrays, at least one of each, got 0 and 0"),
    ({"weights": None}, TypeError, "weights must be a list of arrays, got None"),
    ({"weights": [W[0], W[0]]}, ValueError, "weights[1] must have shape (out, 3), got (3, 2)"),
    ({"weights": [np.zeros(6), W[1]]}, ValueError,
     "weights[0] must have shape (out, in), got (6,)"),
    ({"weights": [np.zeros((3, 0)), W[1]]}, ValueError,
     "weights[0] must have shape (out, in), got (3, 0)"),
    ({"weights": [W[0], "w"]}, TypeError, "weights[1] must hold real numbers, got dtype <U1"),
    ({"biases": [B[0], np.zeros(1)]}, ValueError, "biases[1] must have shape (1, 1), got (1,)"),
    ({"biases": [B[0].T, B[1]]}, ValueError, "biases[0] must have shape (3, 1), got (1, 3)"),
    ({"x": np.zeros((4, 3))}, ValueError, "x must have sizes[0] = 2 columns, got shape (4, 3)"),
    ({"x": np.zeros((0, 2))}, ValueError, "x must hold at least one example, got none"),
    ({"x": np.full((4, 2), np.nan)}, ValueError, "x must be finite, got nan at [0, 0]"),
    ({"y": np.zeros((3, 1))}, ValueError,
     "y must be 4 labels or have shape (4, 1), for x has 4 rows, got shape (3, 1)"),
    ({"order": [0, 4]}, ValueError, "order must hold indices in 0..3, got 4"),
    ({"order": [0, -1]}, ValueError, "order must hold indices in 0..3, got -1"),
    ({"order": [0.0]}, TypeError,
     "order must be a sequence of integers, got float64 of shape (1,)"),
    ({"order": np.zeros((1, 1), np.int64)}, TypeError,
     "order must be a sequence of integers, got int64 of shape (1, 1)"),
    ({"mini_batch_size": 0}, ValueError,
     "mini_batch_size must be an integer of at least 1, got 0"),
    ({"eta": np.nan}, ValueError, "eta must be a number of at least 0, got nan"),
    ({"eta": "1"}, TypeError, "eta must be a number of at least 0, got '1'"),
])
def test_bad_input(change, error, line):
    given = {"weights": W, "biases": B, "x": X, "y": Y, "order": range(4), "mini_batch_size": 2,
             "eta": 0.5} | change
    with pytest.raises(error) as raised:
        chapter2.sgd(**given)
    assert str(raised.value) == line
    arguments = list(given.values())
    for function, count in ((chapter2.feedforward, 3), (chapter2.backprop, 4)):
        if list(change)[-1] in list(given)[:count] and not (count == 3 and "none" in line
                                                            and "x" in change):
            with pytest.raises(error) as raised:
                function(*arguments[:count])
            assert str(raised.value) == line


# ---- the source ----


def test_each_equation_is_one_function_in_the_books_order():
    found = labels_in_order(SOURCE.read_text())
    assert found == list(zip(LABELS, [
        "feedforward", "output_error", "backpropagate_error", "add_bias_gradient",
        "add_weight_gradient"], strict=True))


@pytest.mark.skipif(not CORE.exists(), reason="the core's source is not beside the tests")
def test_each_equation_is_one_function_of_the_core():
    source = "\n".join(path.read_text() for path in sorted(CORE.glob("*.pxi")))
    assert [label for label, _ in labels_in_order(source)] == LABELS


def test_labels_are_found_where_they_lead():
    assert labels_in_order("""
cdef struct Layer:      # BP1 is no function
    int l

cdef int feedforward(
    const Network* net,     # IN: a colon, and BP4
) except -1 nogil:
    # (25)  a = sigma(z)
    # BP1 comes later
    pass

cdef inline real twice(real x) noexcept: return x

def bp2(x):
    '''BP3'''
    # BP1, by (29)

def documented(x):
    \"\"\"
    Return something.

    # BP3 in a docstring
    \"\"\"
    # BP3   dC/db = delta

def second(x):
    x = 1
    # BP4 is not its leading comment

def third(x):
    # BP25  is = none
    # BP2   delta = w delta

def backprop(x):
    # BP1 to BP4, a slice at a time

cpdef double fourth(x) noexcept:

    # BP2   delta = w delta
    return x
""") == [("(25)", "feedforward"), ("BP3", "documented"), ("BP2", "fourth")]


def test_the_source_is_a_page_or_two():
    assert len(SOURCE.read_text().splitlines()) <= 200


@pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside the tests")
def test_the_page_includes_the_sources():
    """Every part that it names is there, and all equations of both copies are on it, in order."""
    included = {"chapter2.pyx": "", "backprop.pxi": "", "step.pxi": ""}
    for path, start, end in re.findall(
            r'```{literalinclude} (.*)\n:language: cython\n:start-at: "(.*)"\n'
            r'(?::end-before: "(.*)"\n)?```', PAGE.read_text()):
        source = (PAGE.parent / path).read_text()
        first = source.index(f"\n{start}")
        included[Path(path).name] += source[first:source.index(f"\n{end}", first) if end else None]
    assert [label for label, _ in labels_in_order(included["chapter2.pyx"])] == LABELS
    for label in LABELS:
        assert f"# {label}  " in included["backprop.pxi"], label


@pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside the tests")
def test_the_pages_examples():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted
    assert not results.failed
