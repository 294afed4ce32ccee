"""What outputs are worth: the metrics, which of them fit, and what of them training records."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from cbackprop import DivergenceError, Network, RowSource, metrics
from cbackprop.callbacks import EarlyStopping
from cbackprop.metrics import CLASSES, COUNTS, LABELS, NUMBERS, Kind, Metric
from cbackprop.schedules import HalveOnStall, ReduceOnPlateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
NUMBER = 3 * X[:, :1] + 25
TAGS = (X[:, :3] > 0.8).astype(float)  # three labels, each there or not
CLASS = X[:, :3].argmax(axis=1)


def network(width, seed=0, **settings):
    return Network([4, 8, width], **{"dtype": "float64", "seed": seed} | settings)


def regression(width=1, **settings):
    return network(width, **{"activation": "tanh", "output_activation": "identity"} | settings)


def tagging(**settings):
    return network(3, cost="cross_entropy", **settings)


# ---- the metrics themselves ----


def test_of_classes_by_hand():
    a = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    y = np.array([0, 1, 2, 1])
    for targets in (y, np.eye(3)[y], 2 * np.eye(3)[y] - 1):
        assert metrics.accuracy(a, targets) == 3 / 4
        assert metrics.balanced_accuracy(a, targets) == pytest.approx((1 + 1 / 2 + 1) / 3)
        assert metrics.log_loss(a, targets) == pytest.approx(
            -np.log([0.6, 0.5, 0.7, 0.3]).mean())
        assert metrics.f1(a, targets) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
        assert metrics.top_k_accuracy(a, targets, k=1) == 3 / 4
        assert metrics.top_k_accuracy(a, targets, k=2) == 1


def test_of_a_single_output_by_hand():
    a = np.array([-0.5, 0.2, 0.4, 0.7])
    assert metrics.accuracy(a, np.array([-1, -1, 1, 1])) == 3 / 4  # by the sign
    assert metrics.accuracy(a, np.array([0, 0, 1, 1])) == 3 / 4  # by 1/2
    assert metrics.accuracy(a, np.array([1, 1, 2, 2])) == 2 / 4  # by 3/2
    assert metrics.balanced_accuracy(a, np.array([0, 0, 0, 1])) == 1


def test_of_several_labels_by_hand():
    a = np.array([[0.9, 0.2, 0.1], [0.6, 0.7, 0.2], [0.1, 0.4, 0.3]])
    y = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    kind = Kind(LABELS)
    assert metrics.accuracy(a, y, kind) == 1 / 3
    assert metrics.label_accuracy(a, y) == 7 / 9
    assert metrics.f1(a, y, kind) == pytest.approx((2 / 3 + 2 / 3) / 2)  # no third label anywhere


def test_of_numbers_by_hand():
    a, y = np.array([[1.0], [2.0], [5.0]]), np.array([[1.0], [3.0], [2.0]])
    assert metrics.r2(a, y) == 1 - 10 / 2
    assert metrics.mae(a, y) == 4 / 3
    assert metrics.rmse(a, y) == pytest.approx(np.sqrt(10 / 3))
    assert metrics.deviance(a, y) == pytest.approx(
        2 / 3 * (3 * np.log(3 / 2) - 1 + 2 * np.log(2 / 5) + 3))
    assert metrics.deviance(np.array([0.0, 1.0]), np.array([0, 1])) == 0
    assert metrics.deviance(np.array([0.0]), np.array([1])) == np.inf
    assert np.isnan(metrics.deviance(np.array([-1.0]), np.array([1])))
    assert np.isnan(metrics.r2(a[:1], y[:1]))


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_against_scikit_learn(real):
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    a = rng.dirichlet(np.ones(7) / 2, 301).astype(real)
    y = rng.choice([0, 1, 2, 4, 5, 6], 301)  # one class is missing
    found, near = a.argmax(axis=1), {"rel": 1e-12 if real == "float64" else 1e-5}
    assert metrics.accuracy(a, y) == theirs.accuracy_score(y, found)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert metrics.balanced_accuracy(a, y) == pytest.approx(
            theirs.balanced_accuracy_score(y, found), **near)
    assert metrics.log_loss(a, y) == pytest.approx(
        theirs.log_loss(y, a / a.astype(np.float64).sum(axis=1, keepdims=True),
                        labels=range(7)), rel=1e-5)
    assert metrics.f1(a, y) == pytest.approx(theirs.f1_score(y, found, average="macro"), **near)
    assert metrics.top_5_accuracy(a, y) == theirs.top_k_accuracy_score(
        y, a, k=5, labels=range(7))
    tags = rng.random((301, 4)) < [0.1, 0.5, 0.9, 0]
    out = (tags * 0.4 + 0.6 * rng.random((301, 4)) * [1, 1, 1, 0.5]).astype(real)
    kind = Kind(LABELS)
    assert metrics.accuracy(out, tags, kind) == theirs.accuracy_score(tags, out > 0.5)
    assert metrics.label_accuracy(out, tags) == pytest.approx(
        1 - theirs.hamming_loss(tags, out > 0.5))
    assert metrics.f1(out, tags, kind) == pytest.approx(theirs.f1_score(
        tags, out > 0.5, average="macro", zero_division=np.nan))
    for width in (1, 3):
        y = (1e4 + rng.normal(size=(301, width)) * [1, 50, 0][:width]).astype(real)
        a = (y + rng.normal(size=(301, width))).astype(real)
        exact = y.astype(np.float64), a.astype(np.float64)  # theirs would compute in float32
        for ours, other in ((metrics.r2, theirs.r2_score),
                            (metrics.mae, theirs.mean_absolute_error),
                            (metrics.rmse, theirs.root_mean_squared_error)):
            assert ours(a, y) == pytest.approx(other(*exact), rel=1e-12)
    y, a = rng.poisson(2, 301), rng.gamma(2, 1, 301).astype(real)
    assert metrics.deviance(a, y) == pytest.approx(theirs.mean_poisson_deviance(y, a), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in metrics.TABLE if name != "cost"])
def test_parts_make_up_the_whole(name):
    row, rng = metrics.TABLE[name], np.random.default_rng(2)
    a = rng.random((50, 6))
    y = rng.integers(0, 6, 50) if CLASSES in row.fits else np.round(rng.random((50, 6)) * 2) + 1e6
    kind = Kind(row.fits[0])
    if LABELS in row.fits:
        y, kind = (rng.random((50, 6)) < 0.5).astype(float), Kind(LABELS)
    whole = row.value(row.part(a, y, kind))
    parts = [row.part(a[at], y[at], kind) for at in (slice(1), slice(1, 20), slice(20, None))]
    assert row.value(functools.reduce(row.merged, parts)) == pytest.approx(whole, rel=1e-12)


def test_nan_is_never_right():
    nan = np.nan
    a = np.array([[nan, 0.1], [0.9, nan], [0.9, 0.1]])
    assert metrics.accuracy(a, np.zeros(3, int)) == 1 / 3
    assert metrics.accuracy(np.array([nan, nan]), np.array([0, 1])) == 0
    kind = Kind(LABELS)
    a, y = np.array([[nan, 0.1], [0.9, 0.2]]), np.array([[0, 0], [1, 0]])
    assert metrics.accuracy(a, y, kind) == 1 / 2
    assert metrics.label_accuracy(a, y) == 3 / 4
    assert metrics.f1(a, y, kind) == 2 / 3
    assert metrics.top_k_accuracy(np.array([[nan, 0.1]]), np.array([0]), k=2) == 0
    for metric in (metrics.r2, metrics.mae, metrics.rmse, metrics.deviance):
        assert np.isnan(metric(np.array([nan, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])))


@pytest.mark.parametrize("targets", ["classes", "one", "labels"])
def test_a_network_of_nan_is_never_right(targets):
    y = {"classes": CLASS, "one": TAGS[:, 0], "labels": TAGS}[targets]
    net = network(y.shape[1] if y.ndim > 1 else 1 + 2 * (targets == "classes"))
    net.biases[1][...] = np.nan
    assert net.evaluate((X, y)) == net.accuracy((X, y)) == 0
    with pytest.raises(ValueError, match=r"^predict needs outputs .*, got NaN for example 0$"):
        net.predict(X)


# ---- which fit ----


SINGLE = TAGS[:, 0]
CASES = [
    (network(3), CLASS, Kind(CLASSES)),
    (regression(3), CLASS, Kind(CLASSES)),  # labels are what they are
    (network(3), np.eye(3)[CLASS], Kind(CLASSES)),
    (network(3), 0.1 + 0.8 * np.eye(3)[CLASS], Kind(CLASSES, 0.1, 0.9)),
    (regression(3), np.eye(3)[CLASS], Kind(CLASSES)),
    (regression(3), 2 * np.eye(3)[CLASS] - 1, Kind(CLASSES, -1, 1, 0)),
    (network(3, cost="log_likelihood"), RNG.dirichlet(np.ones(3), 200), Kind(CLASSES)),
    (network(3, cost="cross_entropy"), RNG.dirichlet(np.ones(3), 200), Kind(CLASSES)),
    (regression(3), RNG.dirichlet(np.ones(3), 200), Kind(NUMBERS)),
    (tagging(), TAGS, Kind(LABELS)),
    (network(3), TAGS, Kind(LABELS)),
    (network(3, cost="hinge"), TAGS, Kind(LABELS, middle=0)),
    (network(3, cost="hinge"), 2 * TAGS - 1, Kind(LABELS, -1, 1, 0)),
    (tagging(), RNG.random((200, 3)), Kind(NUMBERS)),  # such as images, to be seen again
    (network(1), SINGLE, Kind(CLASSES)),
    (network(1), 0.1 + 0.8 * SINGLE, Kind(CLASSES, 0.1, 0.9)),
    (network(1, cost="cross_entropy"), RNG.random(200), Kind(CLASSES)),
    (network(1), RNG.random(200), Kind(NUMBERS)),
    (network(1, output_activation="tanh"), 2 * SINGLE - 1, Kind(CLASSES, -1, 1, 0)),
    (network(1, output_activation="tanh"), np.ones(200), Kind(CLASSES, -1, 1, 0)),
    (network(1, cost="hinge"), 2 * SINGLE - 1, Kind(CLASSES, -1, 1, 0)),
    (network(1, cost="hinge"), SINGLE, Kind(CLASSES, middle=0)),
    (regression(), SINGLE, Kind(CLASSES)),
    (regression(), 2 * SINGLE - 1, Kind(CLASSES, -1, 1, 0)),
    (regression(), 1 + SINGLE, Kind(CLASSES, 1, 2, 1.5)),
    (regression(), NUMBER, Kind(NUMBERS)),
    (regression(), np.where(SINGLE, 1.25, 7.5), Kind(NUMBERS)),
    (regression(), np.full(200, 7.5), Kind(NUMBERS)),
    (regression(), np.where(SINGLE, 7.5, NUMBER[:, 0]), Kind(NUMBERS)),
    (regression(2), np.hstack((NUMBER, NUMBER)), Kind(NUMBERS)),
    (network(1, cost="poisson"), RNG.poisson(2, 200), Kind(COUNTS)),
    (network(1, cost="poisson"), SINGLE, Kind(COUNTS)),
]


@pytest.mark.parametrize(("net", "y", "kind"), CASES)
def test_kinds_of_targets(net, y, kind):
    found = metrics.kind_of(net.engine, net.engine.examples((X, y), "").targets.y)
    assert (found.name, found[1:]) == (kind.name, pytest.approx(kind[1:]))


@pytest.mark.parametrize(("net", "y", "kind"), CASES)
def test_the_kind_of_shares_is_that_of_all_rows(net, y, kind):
    """Each share, however small, with what the others have."""
    y = net.engine.examples((X, y), "").targets.y
    if y.ndim == 1:
        return
    shares = np.split(y, [1, 3, 150])

    def gathering(share):
        others = [each for each in shares if each is not share]

        def merged(value, merge):
            if isinstance(value, tuple):  # values and their number
                others_have = [(metrics.Values(*net.engine.build.values_of(each)), len(each))
                               for each in others]
            else:
                others_have = [metrics._shares(each) for each in others]
            return functools.reduce(merge, others_have, value)

        return merged

    found = {metrics.kind_of(net.engine, share, merged=gathering(share)) for share in shares}
    assert found == {metrics.kind_of(net.engine, y)}


def test_two_numbers_of_a_few_rows_are_no_classes():
    for net, y in ((regression(), np.array([[3.0], [4.0], [4.0]])),
                   (regression(2), np.array([[1.0, 2.0], [2.0, 1.0]]))):
        assert metrics.kind_of(net.engine, y) == Kind(NUMBERS)


UNASKED = {
    CLASSES: ["cost", "accuracy"],
    LABELS: ["cost", "accuracy", "label_accuracy", "f1"],
    NUMBERS: ["cost", "r2", "mae", "rmse"],
    COUNTS: ["cost", "r2", "mae", "rmse", "deviance"],
}


@pytest.mark.parametrize(("net", "y", "kind"), CASES)
def test_what_is_recorded_unasked(net, y, kind):
    net = net.copy()
    history = net.SGD((X, y), 1, 50, 1e-3, (X, y), evaluation_data=(X, y))
    names = UNASKED[kind.name]
    assert set(history.recorded) == {
        "eta", "cost", "seconds", "rows_per_second", *(f"evaluation_{name}" for name in names),
        *(f"test_{name}" if name != "accuracy" else name for name in names)}
    assert net.trained_on.name == kind.name
    measured = net.measure((X, y))
    for name in names:
        assert history.series(f"test_{name}") == history.series(f"evaluation_{name}")
        assert history.series(f"test_{name}") == [measured[name]]
    assert history.test_cost == [net.total_cost((X, y))]


def test_several_labels():
    net = tagging()
    history = net.SGD((X, TAGS), 30, 10, 0.5, test_data=(X, TAGS))
    right = (net.feedforward(X) > 0.5) == (TAGS > 0.5)
    assert 0.9 < right.all(axis=1).mean() < right.mean() < 1
    assert history.accuracy[-1] == net.accuracy((X, TAGS)) == right.all(axis=1).mean()
    assert history.test_label_accuracy[-1] == right.mean()
    assert net.evaluate((X, TAGS)) == right.all(axis=1).sum()
    alone = TAGS.sum(axis=1) == 1  # of which the network remembers that they may be several
    assert net.accuracy((X[alone], TAGS[alone])) == right[alone].all(axis=1).mean()


@pytest.mark.parametrize(("settings", "y"), [
    ({"output_activation": "tanh"}, 2 * SINGLE - 1), ({"cost": "hinge"}, 2 * SINGLE - 1),
    ({"cost": "hinge"}, SINGLE), ({"cost": "squared_hinge"}, 2 * SINGLE - 1),
    ({"output_activation": "identity"}, 2 * SINGLE - 1)])
def test_a_single_output_by_the_sign(settings, y):
    net = network(1, **settings)
    history = net.SGD((X, y), 50, 5, 0.1, test_data=(X, y))
    right = (net.feedforward(X)[:, 0] > 0) == (SINGLE > 0.5)
    assert history.accuracy[-1] == net.accuracy((X, y)) == right.mean() > 0.9
    assert net.evaluate((X, y)) == right.sum()
    few = X[SINGLE == 1], y[SINGLE == 1]  # of one class alone
    assert net.accuracy(few) == right[SINGLE == 1].mean()
    assert (net.predict(X) == y).mean() == right.mean()


@pytest.mark.parametrize("ask", [
    lambda net: net.accuracy((X, NUMBER)),
    lambda net: net.evaluate((X, NUMBER)),
    lambda net: net.SGD((X, NUMBER), 1, 10, 0.01, monitor="training_accuracy"),
    lambda net: net.SGD((X, NUMBER), 1, 10, 0.01, (X, NUMBER), monitor=["f1"]),
    lambda net: net.SGD((X, NUMBER), 1, 10, 0.01,
                        callbacks=[EarlyStopping((X, NUMBER), "accuracy")]),
])
def test_no_accuracy_of_numbers(ask):
    net, twin = regression(), regression()
    with pytest.raises(ValueError, match=r"needs targets that are classes or several labels, got "
                                         r"numbers, which have cost, r2, mae, rmse$"):
        ask(net)
    assert net.trained_on is None or isinstance(net.trained_on, Kind)
    assert all(map(np.array_equal, net.weights, twin.weights))


def test_one_row_of_a_regression_has_no_accuracy():
    net = regression()
    history = net.SGD((X, NUMBER), 2, 10, 0.01, test_data=(X[:1], [[1.0]]))
    assert history.accuracy == []
    assert np.isnan(history.test_r2).all()
    with pytest.raises(ValueError, match=r"^accuracy needs targets that are classes"):
        net.accuracy((X[:1], [[1.0]]))


@pytest.mark.parametrize(("width", "settings", "y", "name", "rule"), [
    (3, {}, CLASS, "test_r2", "^monitor 'test_r2' needs targets that are numbers or counts, got "),
    (3, {"output_activation": "tanh"}, CLASS, "test_log_loss",
     "^monitor 'test_log_loss' needs outputs that are probabilities, as .*, got 'tanh'$"),
    (3, {}, CLASS, "top_5_accuracy", "needs more than 5 outputs, got 3$"),
    (3, {}, CLASS, "evaluation_f1", "^monitor 'evaluation_f1' needs evaluation_data, got None$"),
    (3, {}, CLASS, "test_f2", r"^monitor must be names out of \[.*\], alone .*, got 'test_f2'; "
     r"did you mean 'test_r2'\?$"),
    (3, {}, CLASS, Metric(lambda a, y: 0, True, "test_f1"), "^monitor needs a new name"),
    (3, {}, CLASS, lambda a, y: 0, "^name must be a word .*, got '<lambda>': use Metric.f, name="),
    (3, {}, CLASS, np.dot, "^maximize must be True or False for a metric whose name"),
    (1, {"cost": "poisson"}, np.ones(200), "accuracy", "got counts, which have .*deviance$"),
])
def test_bad_monitors(width, settings, y, name, rule):
    with pytest.raises(ValueError, match=rule):
        network(width, **settings).SGD((X, y), 1, 10, 0.1, (X, y), monitor=name)


def test_a_monitor_needs_data():
    with pytest.raises(ValueError, match=r"^monitor 'f1' needs test_data or evaluation_data, got"):
        network(3).SGD((X, CLASS), 1, 10, 0.1, monitor="f1")


def test_class_weight_needs_classes():
    for net, y, came in ((tagging(), TAGS, "several labels"), (regression(), NUMBER, "numbers")):
        for train in (lambda net, y: net.SGD((X, y), 1, 10, 0.1, class_weight="balanced"),
                      lambda net, y: net.LBFGS((X, y), 1, class_weight="balanced")):
            with pytest.raises(ValueError, match=f"^class_weight needs targets that are classes, "
                                                 f"got {came}: sample_weight"):
                train(net, y)


@pytest.mark.parametrize("low", [-1, 0, 1])
def test_class_weight_of_two_targets(low):
    y = low + SINGLE * (2 if low == -1 else 1)
    one, two = regression(), regression()
    one.SGD((X, y), 1, 10, 0.1, class_weight={0: 2.0, 1: 0.5})
    two.SGD((X, y), 1, 10, 0.1, sample_weight=np.where(SINGLE, 0.5, 2.0))
    assert all(map(np.array_equal, one.weights, two.weights))


def test_the_page_has_every_metric():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    if not page.exists():
        pytest.skip("docs/metrics.md is not beside the tests")
    text = page.read_text()
    for kind, words in metrics.WORDS.items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {words} | cost"))
        marked = [name.strip() for name in line.split("|")[2].split(",")]
        assert marked == [f"{row.name}{chr(92)}*" if kind in row.unasked else row.name
                          for row in metrics.TABLE.values() if kind in row.fits]


# ---- training ----


def test_names_of_monitors():
    def largest_error(a, y):
        return np.abs(a - y).max()

    mean = Metric(lambda a, y: a.mean(), maximize=True, name="evaluation_mean")
    net, evaluation = regression(), (X[:50], NUMBER[:50])
    history = net.SGD((X, NUMBER), 3, 10, 0.01, test_data=(X[50:], NUMBER[50:]),
                      evaluation_data=evaluation,
                      monitor=["training_r2", "mae", largest_error, mean, metrics.rmse])
    assert set(history.metrics) == {
        "test_cost", "test_r2", "test_mae", "test_rmse", "training_r2", "evaluation_mae",
        "evaluation_rmse", "test_largest_error", "evaluation_largest_error", "evaluation_mean"}
    a = net.feedforward(X)
    errors = np.abs(a - NUMBER)[:, 0]
    assert history.test_mae[-1] == pytest.approx(errors[50:].mean(), rel=1e-12)
    assert history.evaluation_mae[-1] == pytest.approx(errors[:50].mean(), rel=1e-12)
    assert history.test_largest_error[-1] == errors[50:].max()
    assert history.evaluation_mean[-1] == pytest.approx(a[:50].mean())
    assert history.training_r2[-1] == pytest.approx(
        1 - np.square(errors).sum() / np.square(NUMBER - NUMBER.mean()).sum(), rel=1e-12)
    falls = {name for name in history.recorded if history.smaller_is_better(name)}
    assert falls == {"cost", "seconds", *(f"{of}_{name}" for of in ("test", "evaluation")
                                          for name in ("mae", "rmse", "largest_error")),
                     "test_cost"}


def test_of_classes_on_request():
    net = network(7)
    y = RNG.integers(0, 7, 200)
    names = ["balanced_accuracy", "log_loss", "top_5_accuracy", "f1"]
    history = net.SGD((X, y), 2, 10, 1.0, (X, y), monitor=[f"test_{name}" for name in names])
    a = net.feedforward(X)
    for name in names:
        assert history.series(f"test_{name}")[-1] == metrics.TABLE[name](a, y)
    assert history.test_accuracy is history.accuracy
    assert history.accuracy[-1] == metrics.accuracy(a, y)


def test_monitors_change_no_bit():
    for make, y in ((regression, NUMBER), (tagging, TAGS)):
        net, twin = make(), make()
        net.SGD((X, y), 3, 10, 0.01, (X, y), evaluation_data=(X, y))
        twin.SGD((X, y), 3, 10, 0.01)
        assert all(map(np.array_equal, net.weights, twin.weights))


class Counted:
    """A core that counts its passes."""

    def __init__(self, core):
        self.core, self.calls = core, []

    def __getattr__(self, name):
        if name in ("evaluate", "feedforward"):
            self.calls.append(name)
        return getattr(self.core, name)


@pytest.mark.parametrize(("make", "y", "monitor", "calls"), [
    (lambda: network(3), CLASS, None, ["evaluate"]),
    (lambda: network(1), SINGLE, "cost", ["evaluate"]),
    (lambda: network(3), CLASS, ["f1", "log_loss"], ["evaluate", "feedforward"]),
    (regression, NUMBER, None, ["evaluate", "feedforward"]),
])
def test_passes_over_a_set(make, y, monitor, calls):
    net = make()
    examples = net.engine.examples((X, y), "")
    net.SGD((X, y), 1, 10, 0.01)
    kind, asked = net.trained_on, [] if monitor is None else np.atleast_1d(monitor).tolist()
    rows = [*metrics.unasked(kind), *(metrics.TABLE[name] for name in asked)]
    net.engine.core = counted = Counted(net.engine.core)
    metrics.measure(net.engine, examples, rows, kind)
    assert counted.calls == calls


class Rows(RowSource):
    """The same examples, made when they are needed."""

    def __init__(self, y):
        self.y = y

    def __len__(self):
        return len(self.y)

    def take(self, indices):
        return X[indices], self.y[indices]


@pytest.mark.parametrize(("make", "y"), [
    (regression, NUMBER), (tagging, TAGS), (lambda: network(3), CLASS)])
def test_of_a_row_source(make, y):
    one, two = make(), make()
    first = one.SGD(Rows(y), 2, 10, 0.01, test_data=Rows(y))
    second = two.SGD((X, y), 2, 10, 0.01, test_data=(X, y))
    assert first.recorded == second.recorded
    assert one.trained_on == two.trained_on
    for name, values in second.metrics.items():
        assert first.series(name) == pytest.approx(values, rel=1e-12)


def test_of_ones_own_part_by_part(monkeypatch):
    monkeypatch.setattr("cbackprop.sources.PART_BYTES", 1000)  # some 30 rows
    largest = Metric(lambda a, y: np.abs(a - y).max(), maximize=False, name="largest")
    net = regression()
    history = net.SGD(Rows(NUMBER), 1, 10, 0.01, test_data=Rows(NUMBER), monitor=[largest])
    a = net.feedforward(X)
    assert history.test_largest == [np.abs(a - NUMBER).max()]
    assert history.test_r2 == pytest.approx([metrics.r2(a, NUMBER)], rel=1e-12)


def test_of_sparse_targets():
    sparse = pytest.importorskip("scipy.sparse")
    one, two = tagging(), tagging()
    first = one.SGD((X, sparse.csr_array(TAGS)), 2, 10, 0.5, (X, sparse.csr_array(TAGS)))
    second = two.SGD((X, TAGS), 2, 10, 0.5, (X, TAGS))
    assert first.accuracy == second.accuracy
    assert first.test_f1 == pytest.approx(second.test_f1)


# ---- callbacks and schedules ----


@pytest.mark.parametrize(("watched", "falls"), [
    ("test_r2", False), ("test_mae", True), ("test_cost", True), ("test_depth", True)])
def test_early_stopping_on_any_entry(watched, falls):
    depth = Metric(lambda a, y: np.abs(a - y).max(), maximize=False, name="depth")
    stopping = EarlyStopping(watched, patience=3)
    history = regression().SGD((X[:100], NUMBER[:100]), 200, 10, 0.05, callbacks=[stopping],
                               test_data=(X[100:], NUMBER[100:]), monitor=[depth])
    values = history.series(watched)
    best = int(np.argmin(values) if falls else np.argmax(values)) + 1
    assert stopping.best_epoch == best == len(history) - 3
    assert len(history) < 200


@pytest.mark.parametrize("metric", [
    "r2", "mae", metrics.rmse, Metric(lambda a, y: np.abs(a - y).max(), False, "depth")])
def test_early_stopping_on_data_of_its_own(metric):
    held_out = X[100:], NUMBER[100:]
    row = metrics.TABLE[metric] if isinstance(metric, str) else metric
    values = []
    stopping = EarlyStopping(held_out, metric, patience=3)
    net = regression()
    net.SGD((X[:100], NUMBER[:100]), 40, 10, 0.05, callbacks=[
        stopping, lambda net, _: values.append(row(net.feedforward(X[100:]), NUMBER[100:]))])
    assert stopping.best_epoch == 1 + int(np.argmax(values) if row.maximize else np.argmin(values))


def test_nan_is_no_better():
    stopping = EarlyStopping("test_r2", patience=2)
    history = regression().SGD((X, NUMBER), 9, 10, 0.01, (X[:1], NUMBER[:1]), callbacks=[stopping])
    assert (len(history), stopping.best_epoch) == (2, 0)


def test_schedules_watch_metrics():
    for schedule in (ReduceOnPlateau(0.2, "test_mae", patience=2),
                     HalveOnStall(0.2, "test_r2", patience=2, stop=1 / 4)):
        history = regression().SGD((X[:100], NUMBER[:100]), 60, 10, schedule,
                                   (X[100:], NUMBER[100:]))
        stalled = [schedule.watch(history_until(history, n)).rate(0) for n in range(len(history))]
        assert history.eta == stalled
        assert min(history.eta) < 0.2
    with pytest.raises(ValueError, match=r"^the watched entry must be one of .*, got 'test_f1'; t"):
        regression().SGD((X, NUMBER), 1, 10, ReduceOnPlateau(0.1, "test_f1"), (X, NUMBER))


def history_until(history, n):
    """Return the first n epochs, as a training has them then."""
    cut = type(history)(recorded=history.recorded, minimized=history.minimized)
    cut.metrics = {name: values[:n] for name, values in history.metrics.items()}
    return cut


def test_bad_metrics():
    for make, error, rule in (
            (lambda: Metric(3, True), TypeError, "^function must be callable as .outputs, targets"),
            (lambda: Metric(lambda a: 0, True), TypeError, "^function must be callable as"),
            (lambda: Metric(np.dot, True, "a b"), ValueError, "^name must be a word"),
            (lambda: Metric(lambda a, y: 0, True), ValueError, "^name must be a word"),
            (lambda: Metric(np.dot, 1), TypeError, "^maximize must be True, False or None, got 1$"),
            (lambda: Metric(np.dot), ValueError, "^maximize must be True or False for a metric"),
            (lambda: Metric(lambda a, y: "x", True, "x")([1], [1]), TypeError,
             "^metric x must return a number, got 'x'$"),
            (lambda: metrics.cost([1], [1]), TypeError, "^cost is the network's own"),
            (lambda: metrics.r2([[1.0], [2.0]], [[1.0, 2.0]]), ValueError, "^outputs and targets")):
        with pytest.raises(error, match=rule):
            make()


# ---- files ----


@pytest.fixture(params=["net.npz", "net.safetensors"])
def path(request, tmp_path):
    """Where a file of each format goes."""
    if request.param.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    return tmp_path / request.param


@pytest.mark.parametrize(("make", "y"), [
    (regression, NUMBER), (tagging, TAGS), (lambda: network(1, cost="hinge"), 2 * SINGLE - 1)])
def test_files_keep_metrics_and_the_kind(make, y, path):
    net = make()
    net.SGD((X, y), 2, 10, 0.01, (X, y), monitor=["cost"])
    net.save(path)
    for back in (Network.load(path), net.copy()):
        assert back.history == net.history
        assert back.history.test_cost == net.history.test_cost
        assert back.trained_on == net.trained_on
        assert isinstance(back.trained_on, Kind)
        assert np.array_equal(back.predict(X), net.predict(X))


def change_header(path, change):
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    change(header)
    np.savez(path, **arrays | {"header": np.array(json.dumps(header))})


def test_a_file_of_an_older_version(tmp_path):
    net, path = network(3), tmp_path / "net.npz"
    net.SGD((X, CLASS), 2, 10, 0.5, (X, CLASS))
    net.save(path)

    def older(header):
        header["version"] = 3
        del header["trained_on"], header["history"]["metrics"], header["history"]["minimized"]
        header["history"]["recorded"].remove("test_cost")

    change_header(path, older)
    back = Network.load(path)
    assert back.history.accuracy == net.history.accuracy
    assert back.history.metrics == {}
    assert back.trained_on is None
    assert np.array_equal(back.predict(X), net.predict(X))


@pytest.mark.parametrize(("change", "match"), [
    (lambda header: header["history"]["metrics"].update(test_cost=[1]), "test_cost of the history"),
    (lambda header: header["history"]["metrics"].update(test_f1=[1, 1]), "test_f1 of the history"),
    (lambda header: header["history"].update(metrics=[1]), "metrics of the history"),
    (lambda header: header["history"]["metrics"].update(add=[]), "names of their own"),
    (lambda header: header["history"].update(minimized=["f1"]), "minimized of the history"),
    (lambda header: header.update(trained_on=["tags", 0, 1, 0.5]), "kind of targets must be one"),
    (lambda header: header.update(trained_on=["labels", 0, "1", 0.5]), "kind of targets must be a"),
    (lambda header: header.update(trained_on=["labels"]), "three numbers"),
    (lambda header: header.update(trained_on=3), ""),
])
def test_files_that_are_refused(change, match, tmp_path):
    net, path = network(3), tmp_path / "net.npz"
    net.SGD((X, CLASS), 2, 10, 0.5, (X, CLASS))
    net.save(path)
    change_header(path, change)
    with pytest.raises(ValueError, match=f"is not a whole cbackprop network file: .*{match}"):
        Network.load(path)


def test_an_attribute_that_is_not_there():
    history = network(3).SGD((X, CLASS), 1, 10, 0.5, (X, CLASS))
    assert "test_cost" in dir(history)
    with pytest.raises(AttributeError, match=r"^this history has no 'test_f1': it has \['eta', 'c"):
        _ = history.test_f1


# ---- predictions ----


def test_predictions_of_classes():
    net = network(3, cost="log_likelihood")
    net.SGD((X, CLASS), 20, 10, 0.5)
    a = net.feedforward(X)
    found = net.predict(X)
    assert found.tolist() == a.argmax(axis=1).tolist()
    assert (found == CLASS).mean() == net.accuracy((X, CLASS)) > 0.8
    assert np.array_equal(net.predict_proba(X), a)
    net.classes = ("ant", "bee", "cat")
    assert net.predict(X).tolist() == np.array(["ant", "bee", "cat"])[CLASS * 0 + found].tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_sigmoid_outputs(dtype):
    net = network(3, dtype=dtype)
    a, p = net.feedforward(X), net.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(p, a / a.sum(axis=1, keepdims=True), rtol=1e-6)
    net.biases[1][...] = -1e4  # all outputs are 0
    assert np.array_equal(net.predict_proba(X), np.full((200, 3), 1 / 3, dtype))
    one = network(1, dtype=dtype)
    a = one.feedforward(X)
    assert np.array_equal(one.predict_proba(X), np.hstack((1 - a, a)))
    assert np.array_equal(one.predict(X), a[:, 0] > 0.5)


def test_predictions_of_labels():
    net = tagging()
    net.SGD((X, TAGS), 20, 10, 0.5)
    a = net.feedforward(X)
    assert np.array_equal(net.predict(X), a > 0.5)
    assert net.predict(X).dtype == np.intp
    assert np.array_equal(net.predict_proba(X), a)
    by_sign = network(3, cost="hinge")
    by_sign.SGD((X, 2 * TAGS - 1), 2, 10, 0.1)
    assert np.array_equal(by_sign.predict(X), np.sign(by_sign.feedforward(X)))


def test_predictions_of_numbers():
    net = regression()
    net.SGD((X, NUMBER), 1, 10, 0.01)
    assert np.array_equal(net.predict(X), net.feedforward(X)[:, 0])
    two = regression(2)
    assert np.array_equal(two.predict(X), two.feedforward(X))
    bounded = network(2)  # outputs between 0 and 1, which the targets say are no classes
    bounded.SGD((X, RNG.random((200, 2))), 1, 10, 0.1)
    assert np.array_equal(bounded.predict(X), bounded.feedforward(X))
    counts = network(1, cost="poisson")
    assert np.array_equal(counts.predict(X), counts.feedforward(X)[:, 0])
    for each in (net, two, bounded, counts):
        with pytest.raises(ValueError, match=r"^predict_proba needs a network of classes or label"):
            each.predict_proba(X)


def test_one_example_is_one_row():
    net = network(3)
    for one in (X[0], X[0][:, None], X[:1]):
        assert net.predict(one).tolist() == net.predict(X)[:1].tolist()
        assert net.predict_proba(one).shape == (1, 3)
    assert net.predict(X[:0]).shape == (0,)


def test_no_probabilities():
    for settings in ({"cost": "hinge"}, {"output_activation": "tanh", "cost": "cross_entropy"}):
        with pytest.raises(ValueError, match=r"^predict_proba needs outputs that are probabiliti"):
            network(3, **settings).predict_proba(X)


def test_an_estimators_network_knows_its_targets():
    ours = pytest.importorskip("cbackprop.sklearn")
    how = {"max_iter": 2, "random_state": 0, "hidden_layer_sizes": (5,)}
    for estimator, y in (
            (ours.MLPClassifier(**how), TAGS), (ours.MLPClassifier(**how), CLASS),
            (ours.MLPClassifier(**how), SINGLE), (ours.MLPRegressor(**how), NUMBER[:, 0])):
        with pytest.warns(UserWarning, match="Maximum iterations"):
            estimator.fit(X, y)
        assert np.array_equal(estimator.network_.predict(X), estimator.predict(X))


def test_what_diverges_at_once_is_not_remembered():
    pytest.importorskip("scipy", reason="LBFGS needs SciPy")
    net = network(1, output_activation="identity")
    net.SGD((X, SINGLE), 1, 10, 0.01)
    before = net.trained_on
    with pytest.raises(DivergenceError):
        net.SGD((X, NUMBER), 3, 10, 1e200)
    assert net.trained_on == before
    net.LBFGS((X, NUMBER), 2)
    assert net.trained_on == Kind(NUMBERS)
