"""Ensembles of perceptrons: each network is one of its own, and together they are means."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from refusals import one_line

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from scipy import sparse  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import (  # noqa: E402
    load_digits,
    make_multilabel_classification,
    make_regression,
)
from sklearn.ensemble import BaggingClassifier  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from cbackprop.callbacks import CSVLog  # noqa: E402
from cbackprop.sklearn import (  # noqa: E402
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS = tuple(array[:400] for array in load_digits(return_X_y=True))
NUMBERS = make_regression(150, 6, n_targets=2, random_state=0)
TASKS = {
    "classes": (MLPEnsembleClassifier, *DIGITS),
    "two classes": (MLPEnsembleClassifier, DIGITS[0], np.where(DIGITS[1] > 4, "high", "low")),
    "labels": (MLPEnsembleClassifier, *make_multilabel_classification(150, 6, random_state=0)),
    "number": (MLPEnsembleRegressor, NUMBERS[0], NUMBERS[1][:, 0] / 100),
    "numbers": (MLPEnsembleRegressor, NUMBERS[0], NUMBERS[1] / 100),
}
FEW = {"hidden_layer_sizes": (8,), "max_iter": 5, "n_estimators": 3, "random_state": 0}
QUICK = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.02, "max_iter": 50,
         "n_estimators": 2}
WEIGHTS = np.random.default_rng(0).integers(0, 3, 400).astype(float)
OWN = {"n_estimators", "bootstrap", "max_samples", "n_jobs"}


def test_networks_do_not_share_a_file(tmp_path):
    given = {**FEW, "callbacks": [CSVLog(tmp_path / "log.csv")]}
    with one_line(ValueError, "^callbacks must write no file, which all .*, got '.*log.csv'$"):
        MLPEnsembleClassifier(**given).fit(*DIGITS)
    with one_line(TypeError, "^callbacks must be a list of callbacks, got 5$"):
        MLPEnsembleClassifier(**given | {"callbacks": 5}).fit(*DIGITS)
    assert not list(tmp_path.iterdir())
    MLPEnsembleClassifier(**given | {"n_estimators": 1}).fit(*DIGITS)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + FEW["max_iter"]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_ends_all_networks(n_jobs):
    def interrupt(network, history):
        begun.add(id(network))
        if len(history) == 2:
            raise KeyboardInterrupt

    begun = set()
    ensemble = MLPEnsembleClassifier(**FEW | {"n_estimators": 20}, n_jobs=n_jobs)
    with pytest.raises(KeyboardInterrupt):
        ensemble.set_params(callbacks=[interrupt]).fit(*DIGITS)
    assert len(begun) < 20
    assert not hasattr(ensemble, "estimators_")
    (member, *_) = ensemble.set_params(callbacks=(), n_estimators=1).fit(*DIGITS).estimators_
    with pytest.warns(UserWarning, match="^Training interrupted by user"):  # one is asked alone
        member.set_params(callbacks=[interrupt]).fit(*DIGITS)


def test_rows_that_weigh_nothing_are_not_drawn():
    weights = np.where(np.arange(400) < 50, 1.0, 0.0)
    with one_line(ValueError, "^max_samples must be at most the 50 rows of weight .*, got 60$"):
        MLPEnsembleClassifier(**FEW, max_samples=60).fit(*DIGITS, weights)
    found = MLPEnsembleClassifier(**FEW, max_samples=60, bootstrap=True).fit(*DIGITS, weights)
    assert len(found.estimators_) == 3


def alone(member, x, y, *weights, **given):
    """Return a fit of its own with a member's parameters."""
    return clone(member).fit(x, y, *weights, **given)


def same(one, other):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_],
                    strict=True):
        np.testing.assert_array_equal(a, b)


def outputs(member, x):
    return member.predict_proba(x) if isinstance(member, MLPClassifier) else member.predict(x)


@parametrize_with_checks([MLPEnsembleClassifier(**QUICK), MLPEnsembleRegressor(**QUICK)])
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.slow
@parametrize_with_checks([MLPEnsembleClassifier(**QUICK, bootstrap=True, n_jobs=2),
                          MLPEnsembleRegressor(**QUICK, bootstrap=True)])
def test_estimator_checks_of_bagging(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "check_sample_weight_equivalence" not in check.func.__name__:
            check(estimator)
            return
        with pytest.raises(AssertionError):  # a row of weight 2 is drawn once, two rows twice
            check(estimator)


@pytest.mark.parametrize(("own", "member"), [
    (MLPEnsembleClassifier, MLPClassifier), (MLPEnsembleRegressor, MLPRegressor)])
def test_constructors_are_the_members_and_more(own, member):
    mine, theirs = (inspect.signature(kind).parameters for kind in (own, member))
    assert list(mine)[:len(theirs)] == list(theirs)
    assert {*mine} - {*theirs} == OWN
    for name, parameter in theirs.items():
        assert (mine[name].default, mine[name].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_members_are_fits_of_their_own_and_outputs_their_means(task, real):
    kind, x, y = TASKS[task]
    x = x.astype(real)
    ensemble = kind(**FEW).fit(x, y)
    assert len({member.random_state for member in ensemble.estimators_}) == 3
    for member in ensemble.estimators_:
        same(member, alone(member, x, y))
    each = np.stack([outputs(member, x) for member in ensemble.estimators_]).astype(np.float64)
    mean, std = (ensemble.predict_proba if kind is MLPEnsembleClassifier else ensemble.predict)(
        x, return_std=True)
    assert mean.dtype == std.dtype == real
    tolerance = 1e-12 if real is np.float64 else 1e-6
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(std, each.std(axis=0), rtol=10 * tolerance, atol=tolerance)
    assert std.min() >= 0
    assert std.max() > 0.001
    if task == "labels":
        np.testing.assert_array_equal(ensemble.predict(x), mean > 0.5)
    elif kind is MLPEnsembleClassifier:
        np.testing.assert_array_equal(ensemble.predict(x), ensemble.classes_[mean.argmax(axis=1)])
    assert ensemble.score(x, y) == pytest.approx(
        ensemble.score(sparse.csr_matrix(x), y), abs=0.01)
    np.testing.assert_array_equal(ensemble.n_iter_, [5, 5, 5])


def test_hinges_have_mean_sums():
    x, y = TASKS["two classes"][1:]
    ensemble = MLPEnsembleClassifier(**FEW, loss="hinge").fit(x, y)
    assert not hasattr(ensemble, "predict_proba")
    sums = ensemble.decision_function(x)
    np.testing.assert_allclose(
        sums, np.mean([member.decision_function(x) for member in ensemble.estimators_], axis=0))
    np.testing.assert_array_equal(ensemble.predict(x), np.where(sums > 0, "low", "high"))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("bootstrap", "max_samples", "count"), [
    (True, 1.0, None), (True, 0.5, 0.5), (False, 0.5, 0.5), (False, 100, 100), (True, 1, 1)])
def test_rows_are_drawn_as_weights(bootstrap, max_samples, count, weights):
    x, y = DIGITS
    seen = []

    class Member(MLPClassifier):
        def fit(self, x, y, weights, **given):
            seen.append(weights)
            return super().fit(x, y, weights, **given)

    class Ensemble(MLPEnsembleClassifier):
        _member = Member

    Ensemble(**FEW, bootstrap=bootstrap, max_samples=max_samples).fit(x, y, weights)
    base = np.ones(400) if weights is None else weights
    rows = np.count_nonzero(base)
    count = rows if count is None else round(count * rows) if count < 1 else count
    for each in seen:
        assert not each[base == 0].any()
        counts = each[base > 0] / base[base > 0]
        assert counts.sum() == count
        assert bootstrap or counts.max() == 1
    assert not np.array_equal(seen[0], seen[1])
    if bootstrap and count == rows:  # 1 - 1/e of the rows, within four standard deviations
        assert np.mean([np.count_nonzero(each) for each in seen]) / rows == pytest.approx(
            0.632, abs=0.06)


def test_every_member_knows_all_classes():
    x, y = DIGITS[0][:60], np.r_[np.zeros(58), 1, 2]
    ensemble = MLPEnsembleClassifier(**FEW, bootstrap=True, max_samples=5).fit(x, y)
    assert ensemble.predict_proba(x).shape == (60, 3)
    assert all(len(member.classes_) == 3 for member in ensemble.estimators_)


def test_early_stopping_by_the_rows_that_are_not_drawn():
    x, y = DIGITS
    seen = []

    class Member(MLPClassifier):
        def fit(self, x, y, weights, **given):
            seen.append((weights, given))
            return super().fit(x, y, weights, **given)

    class Ensemble(MLPEnsembleClassifier):
        _member = Member

    ensemble = Ensemble(**FEW, bootstrap=True, early_stopping=True).fit(x, y, WEIGHTS)
    for weights, given in seen:
        left = (weights == 0) & (WEIGHTS > 0)
        np.testing.assert_array_equal(given["X_val"], x[left])
        np.testing.assert_array_equal(given["y_val"], y[left])
        np.testing.assert_array_equal(given["sample_weight_val"], WEIGHTS[left])
    assert len(ensemble.estimators_[0].validation_scores_) == 5
    seen.clear()
    Ensemble(**FEW, bootstrap=True, early_stopping=True).fit(x, y, X_val=x[:50], y_val=y[:50])
    assert all(len(given["X_val"]) == 50 for _, given in seen)
    one = MLPEnsembleClassifier(**FEW, early_stopping=True).fit(x, y)
    same(one.estimators_[0], alone(one.estimators_[0], x, y))
    with one_line(ValueError, "^early_stopping needs rows that a network does not draw, got 1 "):
        MLPEnsembleRegressor(**FEW, bootstrap=True, early_stopping=True).fit([[1.0]], [1.0])


@pytest.mark.parametrize("bootstrap", [False, True])
def test_partial_fits(bootstrap):
    x, y = DIGITS
    ensemble = MLPEnsembleClassifier(**FEW, bootstrap=bootstrap)
    again = clone(ensemble)
    for part in range(0, 400, 100):
        rows = x[part:part + 100], y[part:part + 100]
        ensemble.partial_fit(*rows, classes=np.arange(10))
        again = pickle.loads(pickle.dumps(again)).partial_fit(*rows, classes=np.arange(10))
    np.testing.assert_array_equal(ensemble.predict_proba(x), again.predict_proba(x))
    single = clone(ensemble.estimators_[0])
    for part in range(0, 400, 100):
        single.partial_fit(x[part:part + 100], y[part:part + 100], classes=np.arange(10))
    if bootstrap:
        with pytest.raises(AssertionError):
            same(single, ensemble.estimators_[0])
    else:
        same(single, ensemble.estimators_[0])
    assert set(ensemble.predict(x)) <= set(range(10))
    row = MLPEnsembleRegressor(**FEW, bootstrap=bootstrap)
    for at in range(20):  # a part of one row is drawn at least once
        row.partial_fit(NUMBERS[0][at:at + 1], NUMBERS[1][at:at + 1])
    assert row.predict(NUMBERS[0]).shape == (150, 2)


def test_warm_starts_go_on_and_grow():
    x, y = DIGITS
    ensemble = MLPEnsembleClassifier(**(FEW | {"warm_start": True})).fit(x, y)
    single = clone(ensemble.estimators_[0]).fit(x, y).fit(x, y)
    ensemble.set_params(n_estimators=4).fit(x, y)
    assert [len(member.loss_curve_) for member in ensemble.estimators_] == [10, 10, 10, 5]
    same(single, ensemble.estimators_[0])
    same(ensemble.estimators_[3], alone(ensemble.estimators_[3], x, y))
    with one_line(ValueError, "^n_estimators must be at least the 4 networks that are the"):
        ensemble.set_params(n_estimators=2).fit(x, y)


def test_parameters_pass_through_clones_pickles_and_searches():
    x, y = DIGITS
    ensemble = MLPEnsembleClassifier(**FEW, alpha=0.3, bootstrap=True, callbacks=[lambda *_: True])
    copy = clone(ensemble).set_params(alpha=0.5, n_estimators=2).fit(x, y)
    assert [(member.alpha, member.n_iter_) for member in copy.estimators_] == [(0.5, 1)] * 2
    assert ensemble.alpha == 0.3
    copy.set_params(callbacks=()).fit(x, y)
    again = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(copy.predict_proba(x), again.predict_proba(x))
    search = GridSearchCV(MLPEnsembleClassifier(**FEW), {"bootstrap": [False, True]}, cv=2)
    assert set(search.fit(x, y).best_params_) == {"bootstrap"}


def test_threads_change_nothing():
    x, y = DIGITS
    one, two = (MLPEnsembleClassifier(**FEW, bootstrap=True, n_jobs=jobs).fit(x, y)
                for jobs in (1, 2))
    for a, b in zip(one.estimators_, two.estimators_, strict=True):
        same(a, b)


def test_it_is_as_good_as_bagging_and_better_than_one():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    settings = {"hidden_layer_sizes": (20,), "max_iter": 20, "learning_rate_init": 0.01}
    (train, y_train), (test, y_test) = (x[:1000], y[:1000]), (x[1000:], y[1000:])
    ensemble = MLPEnsembleClassifier(**settings, bootstrap=True, random_state=0, n_estimators=6)
    bagging = BaggingClassifier(MLPClassifier(**settings), 6, random_state=0)
    scores = [one.fit(train, y_train).score(test, y_test) for one in (ensemble, bagging)]
    assert scores[0] > scores[1] - 0.02
    members = np.mean([one.score(test, y_test) for one in ensemble.estimators_])
    assert scores[0] > members + 0.01


@pytest.mark.parametrize(("settings", "message"), [
    ({"n_estimators": 0}, "n_estimators"), ({"max_samples": 0.0}, "max_samples"),
    ({"max_samples": 1.5}, "max_samples"), ({"bootstrap": "yes"}, "bootstrap"),
    ({"alpha": -1}, "alpha"), ({"max_samples": 401}, "^max_samples must be at most the 400 rows"),
    ({"loss": "nonsense"}, "loss")])
def test_bad_parameters(settings, message):
    with pytest.raises(ValueError, match=message):
        MLPEnsembleClassifier(**(FEW | settings)).fit(*DIGITS)


def test_slips_in_names():
    with one_line(TypeError, "unexpected keyword argument 'lr': did you mean 'learning_rate_init'"):
        MLPEnsembleClassifier(lr=0.1)
    with one_line(ValueError, "^class_weight 'balanced' needs all of y: give partial_fit a dict"):
        MLPEnsembleClassifier(class_weight="balanced").partial_fit(*DIGITS, classes=range(10))


def test_dasks_incremental_fits_block_by_block():
    wrappers = pytest.importorskip("dask_ml.wrappers", reason="dask-ml is not installed")
    import dask
    from dask import array

    x, y = DIGITS
    blocks = array.from_array(x, chunks=(100, 64)), array.from_array(y, chunks=100)
    for estimator in (MLPClassifier((8,), random_state=0), MLPEnsembleClassifier(**FEW)):
        with dask.config.set(scheduler="synchronous"):
            incremental = wrappers.Incremental(clone(estimator), shuffle_blocks=False)
            for _ in range(2):
                incremental.partial_fit(*blocks, classes=np.arange(10))
            predicted = incremental.predict(blocks[0]).compute()
        for at in [*range(0, 400, 100)] * 2:
            estimator.partial_fit(x[at:at + 100], y[at:at + 100], classes=np.arange(10))
        np.testing.assert_array_equal(predicted, estimator.predict(x))
        np.testing.assert_array_equal(
            incremental.estimator_.predict_proba(x), estimator.predict_proba(x))
