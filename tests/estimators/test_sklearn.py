"""The perceptrons of `cbackprop.sklearn` beside scikit-learn's own, and what is theirs alone."""

import copy
import inspect
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from refusals import one_line

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import joblib  # noqa: E402  comes with it
from scipy import sparse  # noqa: E402
from sklearn import config_context, neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import (  # noqa: E402
    load_digits,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import cbackprop  # noqa: E402
from cbackprop.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))
DIGITS = tuple(array[:450] for array in load_digits(return_X_y=True))
TARGETS = make_regression(210, 7, n_targets=3, random_state=0)[1] / 100
FEATURES = make_regression(210, 7, n_targets=3, random_state=0)[0]
WEIGHTS = np.random.default_rng(0).random(450) + 0.1
TASKS = {
    "multiclass": (MLPClassifier, *DIGITS, {}),
    "binary": (MLPClassifier, DIGITS[0], np.where(DIGITS[1] > 4, "high", "low"), {}),
    "multilabel": (MLPClassifier, *make_multilabel_classification(210, 7, random_state=0), {}),
    "regression": (MLPRegressor, FEATURES, TARGETS[:, 0], {}),
    "outputs": (MLPRegressor, FEATURES, TARGETS, {}),
    "poisson": (MLPRegressor, FEATURES, np.floor(np.exp(TARGETS[:, :2] / 2)), {"loss": "poisson"}),
}
if VERSION < (1, 7):
    del TASKS["poisson"]
SOLVERS = {
    "adam": {}, "adam, few": {"batch_size": 32, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "nesterov": {"solver": "sgd"},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    "plain": {"solver": "sgd", "momentum": 0, "alpha": 0.1, "batch_size": 64},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1,
                   "power_t": 0.3, "batch_size": 50},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    "in order": {"shuffle": False}, "early": {"early_stopping": True, "n_iter_no_change": 3},
    "lbfgs": {"solver": "lbfgs", "max_iter": 12}, "few calls": {"solver": "lbfgs", "max_fun": 5},
}


def theirs(own):
    return getattr(neural_network, type(own).__name__)(**{
        name: value for name, value in own.get_params().items()
        if name in inspect.signature(getattr(neural_network, type(own).__name__)).parameters})


def agree(own, other, weights=1e-6):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(own, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=weights, atol=weights)
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
    for name, value in vars(other).items():
        if not name.endswith("_") or name.startswith("_") or name in ("coefs_", "intercepts_"):
            continue
        mine = getattr(own, name)
        if isinstance(value, (float, list)):
            np.testing.assert_allclose(mine, value, rtol=1e-8, atol=1e-10, err_msg=name)
        else:
            np.testing.assert_array_equal(mine, value, err_msg=name)


# ---- as scikit-learn's ----


@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


OTHER_SETTINGS = [kind(max_iter=100, **settings) for kind, settings in [
    *((kind, settings) for kind, eta in ((MLPClassifier, 0.05), (MLPRegressor, 0.001))
      for settings in (
        {"solver": "sgd", "learning_rate_init": eta}, {"solver": "lbfgs"}, {"dropout": 0.1},
        {"activation": "gelu"}, {"loss": "huber"}, {"batch_size": 500, "shuffle": False},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": eta},
        {"hidden_layer_sizes": (40, 30), "activation": ["relu", ("leaky_relu", 0.1)]})),
    (MLPClassifier, {"class_weight": "balanced"}), (MLPClassifier, {"class_weight": {1: 2.0}}),
    (MLPClassifier, {"class_weight": "balanced", "solver": "lbfgs"}),
    (MLPClassifier, {"loss": "squared_hinge"}), (MLPRegressor, {"loss": "poisson"}),
    (MLPClassifier, {"dropout": 0.2, "hidden_layer_sizes": (60,)})]]


def not_passed(estimator):
    """Which checks an estimator cannot pass; docs/sklearn.md says why."""
    if estimator.dropout:  # a mask is drawn for a row, so that two rows are not one of weight 2
        return {f"check_sample_weight_equivalence_on_{form}_data" for form in ("dense", "sparse")}
    class_weight = estimator.get_params().get("class_weight")
    if class_weight == "balanced" and estimator.solver != "lbfgs":  # needs all of y
        return {"check_estimators_partial_fit_n_features", "check_fit_score_takes_y",
                "check_n_features_in_after_fitting"}
    if isinstance(class_weight, dict):  # several labels are refused, and keys that are no class
        return {"check_classifiers_multilabel_representation_invariance",
                "check_classifiers_classes",
                *(f"check_classifiers_multilabel_output_format_{method}"
                  for method in ("predict", "predict_proba", "decision_function"))}
    if estimator.loss == "poisson":  # the first is not passed by scikit-learn's; negative y
        return {"check_regressors_train", "check_regressor_multioutput"}
    return set()


@pytest.mark.slow
@parametrize_with_checks(OTHER_SETTINGS)
def test_estimator_checks_of_settings(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if check.func.__name__ not in not_passed(estimator):
            check(estimator)
            return
        with pytest.raises((AssertionError, ValueError)):
            check(estimator)


def test_constructors_are_scikit_learns_and_more():
    for own in (MLPClassifier, MLPRegressor):
        other = inspect.signature(getattr(neural_network, own.__name__)).parameters
        mine = inspect.signature(own).parameters
        if VERSION >= (1, 7):
            assert [name for name in mine if name in other] == list(other)
        for name, parameter in other.items():
            assert mine[name].default == parameter.default
            if VERSION >= (1, 7):
                assert mine[name].kind == parameter.kind


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_fits_agree(task, solver):
    kind, x, y, settings = TASKS[task]
    own = kind(**{"hidden_layer_sizes": (20,), "max_iter": 12, "random_state": 3, **settings,
                  **SOLVERS[solver]})
    if task == "poisson":
        own.set_params(learning_rate_init=1e-4)
    agree(own.fit(x, y), theirs(own).fit(x, y))


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), 9, (15, 6)], ids=str)
def test_activations_and_layers_agree(activation, hidden):
    own = MLPClassifier(hidden, activation, max_iter=8, random_state=1)
    other = theirs(own).fit(*DIGITS)
    agree(own.fit(*DIGITS), other)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        np.testing.assert_allclose(getattr(own, name)(DIGITS[0]), getattr(other, name)(DIGITS[0]),
                                   rtol=1e-9, atol=1e-9)
    assert own.score(*DIGITS) == other.score(*DIGITS)


@pytest.mark.skipif(VERSION < (1, 7), reason="scikit-learn has sample_weight from 1.7 on")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["adam, few", "plain", "early", "lbfgs"])
def test_weighted_fits_agree(task, solver):
    kind, x, y, settings = TASKS[task]
    own = kind(**{"hidden_layer_sizes": (20,), "max_iter": 12, "random_state": 3, **settings,
                  **SOLVERS[solver], "learning_rate_init": 1e-4})
    w = WEIGHTS[:len(x)]
    agree(own.fit(x, y, w), theirs(own).fit(x, y, w))


@pytest.mark.parametrize("solver", ["adam", "invscaling", "adaptive"])
def test_partial_fits_agree_and_survive_pickles(solver):
    own = MLPClassifier((20,), random_state=np.random.RandomState(0), **SOLVERS[solver])
    other = theirs(own).set_params(random_state=np.random.RandomState(0))
    for first in range(0, 450, 150):
        part = DIGITS[0][first:first + 150], DIGITS[1][first:first + 150]
        for one in (own, other):
            one.partial_fit(*part, classes=np.arange(10))
        own = pickle.loads(pickle.dumps(own))
    agree(own, other)


@pytest.mark.parametrize("solver", ["adam", "early", "lbfgs"])
def test_warm_starts_agree(solver):
    own = MLPClassifier((20,), warm_start=True, **{"max_iter": 4, **SOLVERS[solver]})
    own.set_params(random_state=np.random.RandomState(0))
    other = theirs(own).set_params(random_state=np.random.RandomState(0))
    for _ in range(3):
        agree(own.fit(*DIGITS), other.fit(*DIGITS))


@pytest.mark.parametrize("solver", ["adam", "early", "lbfgs"])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_rows_are_the_same_rows(solver, form):
    own = MLPClassifier((20,), random_state=0, **{"max_iter": 5, **SOLVERS[solver]})
    dense, other = clone(own).fit(*DIGITS), own.fit(form(DIGITS[0]), DIGITS[1])
    agree(other, dense, 1e-9)
    np.testing.assert_allclose(other.predict_proba(form(DIGITS[0])), dense.predict_proba(DIGITS[0]))


def test_whoever_keeps_coefs_keeps_them_as_they_are():
    own = MLPRegressor(hidden_layer_sizes=5, max_iter=5, random_state=0).fit(FEATURES, TARGETS)
    kept, first = own.coefs_, own.predict(FEATURES)
    own.coefs_ = [2 * w for w in kept]
    assert not np.allclose(own.predict(FEATURES), first)
    own.coefs_[0][:] = 0  # live again
    np.testing.assert_allclose(np.ptp(own.predict(FEATURES), axis=0), 0, atol=1e-12)
    own.coefs_ = kept
    np.testing.assert_array_equal(own.predict(FEATURES), first)
    own.coefs_ = [w.astype(int) for w in kept]
    own.intercepts_ = [b.astype(np.float32) for b in own.intercepts_]
    assert own.predict(FEATURES).dtype == np.float64


@pytest.mark.parametrize("columns", [1, 7])
def test_rows_to_predict_are_refused_as_scikit_learn_does(columns):
    own = MLPRegressor(hidden_layer_sizes=5, max_iter=2).fit(FEATURES[:, :columns], TARGETS)
    other = theirs(own).fit(FEATURES[:, :columns], TARGETS)
    good = FEATURES[:3, :columns]
    for bad in (good.reshape(-1, 1)[:7] if columns > 1 else good.T, good[0], good[:0], good[:, :0],
                good[None], np.where(good == good[1, 0], np.nan, good),
                np.where(good == good[1, 0], np.inf, good), good.astype(complex),
                np.full_like(good, None, object)):
        with pytest.raises((TypeError, ValueError)) as refused:
            other.predict(bad)
        with pytest.raises(refused.type) as own_refused:
            own.predict(bad)
        assert str(own_refused.value) == str(refused.value)
    for given in (good, good.astype("f4"), abs(good).astype("u1"), good.astype("i8"), good[::-1],
                  np.asfortranarray(good), good.tolist(), good.astype(object)):
        np.testing.assert_array_equal(own.predict(given), own.predict(np.array(given, float)))


def test_sparse_rows_to_predict_are_checked():
    x = sparse.random(50, 9, 0.3, "csr", random_state=0, dtype="f4")
    own = MLPRegressor(hidden_layer_sizes=3, max_iter=2).fit(x, x.sum(axis=1).A1)
    for form in ("csr", "csc", "coo", "lil"):
        np.testing.assert_allclose(own.predict(x.asformat(form)), own.predict(x.toarray()), 1e-5)
    for value, message in ((np.nan, "^Input X contains NaN"), (np.inf, "^Input X contains inf"),
                           (1e300, "^X.* must be finite, got 1e[+]300 at .*, beyond float32")):
        bad = x.astype(float)
        bad.data[5] = value
        for given in (bad, bad.tocsc(), bad.toarray()):
            with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
                own.predict(given)
    for wrong in (x[:0], x[:, :5]):
        with pytest.raises(ValueError, match=r"^Found array with 0 sample|^X has 5 features"):
            own.predict(wrong)


def test_rows_without_names_are_warned_of():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    own = MLPRegressor(hidden_layer_sizes=5, max_iter=2)
    own.fit(pandas.DataFrame(FEATURES, columns=list("abcdefg")), TARGETS)
    with pytest.warns(UserWarning, match="^X does not have valid feature names"):
        own.predict(FEATURES)


def test_an_optimizer_stays_where_coefs_are_replaced():
    own, other = (MLPRegressor(hidden_layer_sizes=5, random_state=np.random.RandomState(0))
                  for _ in range(2))
    for _ in range(3):
        own.partial_fit(FEATURES, TARGETS)
        other.partial_fit(FEATURES, TARGETS)
        own.coefs_ = [w.copy() for w in own.coefs_]
    np.testing.assert_array_equal(own.predict(FEATURES), other.predict(FEATURES))


@pytest.mark.parametrize("solver", SOLVERS)
def test_wide_sparse_rows_are_never_made_dense(monkeypatch, solver):
    x = sparse.random(150, 70_000, 0.001, "csr", random_state=0)
    y = np.arange(150) % 3
    own = MLPClassifier((3,), random_state=0, **{**SOLVERS[solver], "max_iter": 3})
    other = theirs(own).fit(x, y)
    with monkeypatch.context() as patch:
        for kind in (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix):
            patch.setattr(kind, "toarray", None)
        agree(own.fit(x, y), other)
        np.testing.assert_allclose(own.predict_proba(x.tocsc()), other.predict_proba(x), rtol=1e-6)


def test_sparse_rows_in_any_order(monkeypatch):
    x = sparse.csr_matrix(([1.0, 2.0, 3.0, 4.0], [3, 0, 2, 2], [0, 2, 2, 4]), (3, 4))
    before = x.indices.copy()
    net = MLPRegressor(hidden_layer_sizes=5, max_iter=3, random_state=0)
    dense = clone(net).fit(x.toarray(), [0.0, 1.0, 2.0])
    agree(net.fit(x, [0.0, 1.0, 2.0]), dense, 1e-12)
    np.testing.assert_allclose(net.predict(x), dense.predict(x.toarray()))
    np.testing.assert_array_equal(x.indices, before)  # the caller's
    x = sparse.csr_matrix(x.toarray())
    x.indices[-1] = 9
    with pytest.raises(ValueError, match=r"^X must have column indices in 0\.\.3, got 9 in row 2$"):
        net.predict(x)


def test_lazy_adam_leaves_rows_of_absent_columns_alone():
    x = sparse.random(60, 40, 0.1, "csr", random_state=0).tolil()
    x[:, :10] = 0
    x, y = x.tocsr(), np.arange(60) % 3
    begin, lazy, exact = (
        MLPClassifier((5,), solver=solver, alpha=alpha, max_iter=3, random_state=0).fit(x, y)
        for solver, alpha in (("adam", 0.0), ("lazy_adam", 0.5), ("adam", 0.5)))
    assert np.array_equal(begin.coefs_[0][:10], lazy.coefs_[0][:10])  # neither has moved them
    assert (exact.coefs_[0][:10] != lazy.coefs_[0][:10]).all()
    assert (begin.coefs_[0][10:] != lazy.coefs_[0][10:]).all()
    assert abs(exact.coefs_[0] - lazy.coefs_[0]).max() < 0.01
    with one_line(ValueError, "The 'solver' parameter of MLPClassifier must be a str among "):
        MLPClassifier(solver="lazy_sgd").fit(x, y)


def test_float32_trains_in_float32():
    x = DIGITS[0].astype(np.float32)
    own = MLPClassifier((20,), max_iter=5, random_state=0).fit(x, DIGITS[1])
    other = theirs(own).fit(x, DIGITS[1])
    assert own.predict_proba(x).dtype == own.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-4)


def test_printed_lines_are_the_same(capsys):
    for settings in (SOLVERS["adaptive"], SOLVERS["early"], {"tol": 0.5, "n_iter_no_change": 2}):
        own = MLPClassifier((20,), verbose=True, random_state=0, **{"max_iter": 20, **settings})
        own.fit(*DIGITS)
        printed = capsys.readouterr().out
        theirs(own).fit(*DIGITS)
        assert printed == capsys.readouterr().out
        assert "Iteration 2, loss = " in printed


@pytest.mark.filterwarnings("default")
def test_warnings_are_the_same():
    cases = [({"max_iter": 2}, ConvergenceWarning, "^Stochastic Optimizer: Maximum iterations"),
             ({"max_iter": 2, "solver": "lbfgs"}, ConvergenceWarning, "^lbfgs failed to converge"),
             ({"batch_size": 999}, UserWarning, "^Got `batch_size` less than 1 or larger")]
    for settings, kind, message in cases:
        own = MLPClassifier((5,), **settings)
        for one in (own, theirs(own)):
            with pytest.warns(kind, match=message):
                one.fit(DIGITS[0][:100], DIGITS[1][:100])


def test_warnings_go_by_the_name_of_scikit_learns_module():
    for settings in ({"max_iter": 2}, {"max_iter": 2, "solver": "lbfgs"}, {"batch_size": 999},
                     {"early_stopping": True, "max_iter": 1}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", module="sklearn")
            MLPClassifier((5,), **settings).fit(DIGITS[0][:100], DIGITS[1][:100])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        own = MLPClassifier((5,), max_iter=1)
        own.fit(*DIGITS)
        cross_val_score(own, *DIGITS, cv=2)
    assert [warning.filename for warning in caught] == [__file__] * 3  # where it was called


@pytest.mark.filterwarnings("default")
def test_ctrl_c_ends_training_as_it_is():
    def interrupt(network, history):
        raise KeyboardInterrupt

    own = MLPClassifier((5,), callbacks=[interrupt])
    with pytest.warns(UserWarning, match="^Training interrupted by user"):
        own.fit(*DIGITS)
    assert own.n_iter_ == len(own.loss_curve_) == 1
    assert own.predict(DIGITS[0]).shape == (450,)


@pytest.mark.slow
def test_scikit_learns_own_tests_pass(tmp_path):
    """All but those that look at private parts."""
    code = (
        "import sys, pytest, cbackprop.sklearn as ours, sklearn.neural_network as theirs\n"
        "theirs.MLPClassifier, theirs.MLPRegressor = ours.MLPClassifier, ours.MLPRegressor\n"
        "sys.exit(pytest.main(['-q', '-c', '/dev/null', '-p', 'no:cacheprovider', '--pyargs', "
        "'sklearn.neural_network.tests.test_mlp', '-k', 'not test_gradient and not "
        "test_learning_rate_warmstart and not test_adaptive_learning_rate']))\n")
    here = str(Path(cbackprop.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, timeout=300, env={**os.environ, "PYTHONPATH": here})
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


# ---- at home in scikit-learn ----


def test_pipelines_searches_and_scores():
    x, y = make_classification(150, 5, random_state=0)
    pipe = make_pipeline(StandardScaler(), MLPClassifier((9,), max_iter=20, random_state=0))
    grid = {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__activation": ["relu", "gelu"]}
    for backend in ("threading", "loky"):
        with joblib.parallel_backend(backend):
            search = GridSearchCV(pipe, grid, n_jobs=2, cv=2).fit(x, y)
            scores = cross_val_score(search.best_estimator_, x, y, n_jobs=2, cv=2)
        np.testing.assert_array_equal(
            scores, cross_val_score(search.best_estimator_, x, y, cv=2))
    assert search.best_score_ > 0.5


def test_frames_names_and_output():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    x = pandas.DataFrame(FEATURES, columns=list("abcdefg"))
    pipe = make_pipeline(StandardScaler(), MLPRegressor(max_iter=3, random_state=0))
    pipe.set_output(transform="pandas").fit(x, TARGETS)
    assert pipe[-1].feature_names_in_.tolist() == list("abcdefg")
    assert pipe[-1].n_features_in_ == 7
    with pytest.raises(ValueError, match="feature names"):
        pipe[-1].predict(x.rename(columns={"a": "z"}))


def test_metadata_is_routed():
    with config_context(enable_metadata_routing=True):
        own = MLPClassifier((5,), max_iter=3).set_fit_request(sample_weight=True, X_val=True)
        asked = own.get_metadata_routing().fit.requests
        assert asked["sample_weight"] is True
        assert asked["X_val"] is True
        assert own.set_partial_fit_request(classes=True) is own
        own.set_score_request(sample_weight=True)
        scores = cross_val_score(own, *DIGITS, cv=2, params={"sample_weight": WEIGHTS})
    assert len(scores) == 2


def test_parameters_are_live_copied_and_replaced():
    own = MLPClassifier((5,), max_iter=5, random_state=0).fit(*DIGITS)
    before = own.predict_proba(DIGITS[0])
    for other in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        np.testing.assert_array_equal(other.predict_proba(DIGITS[0]), before)
        other.coefs_[1][...] = 0
        other.intercepts_[1][...] = 0
        np.testing.assert_allclose(other.predict_proba(DIGITS[0]), 0.1)
        other.coefs_ = [np.array(w) for w in own.coefs_]
        other.intercepts_[1] = own.intercepts_[1].copy()
        np.testing.assert_array_equal(other.predict_proba(DIGITS[0]), before)
    np.testing.assert_array_equal(own.predict_proba(DIGITS[0]), before)
    assert not hasattr(clone(own), "coefs_")


@pytest.mark.parametrize("solver", ["adam", "momentum"])
def test_parameters_put_in_between_keep_the_optimizer(solver):
    own = MLPClassifier((20,), random_state=np.random.RandomState(0), **SOLVERS[solver])
    other = theirs(own).set_params(random_state=np.random.RandomState(0))
    for part in range(4):
        for one in (own, other):
            one.partial_fit(*DIGITS, classes=np.arange(10))
            if part == 1:
                one.coefs_[0] = one.coefs_[0][:, ::-1]  # a view of what it takes the place of
                one.coefs_ = [0.9 * w for w in one.coefs_]
            if part == 2:
                one.intercepts_[0], one.intercepts_[1] = one.intercepts_[0] + 1, np.zeros(10)
    agree(own, other)
    own.coefs_ = [np.ones((64, 3)), np.ones((3, 10))]  # other neurons: another network
    own.intercepts_ = [np.zeros(3), np.zeros(10)]
    assert own.network_.sizes == (64, 3, 10)


@pytest.mark.parametrize("solver", ["adam", "momentum", "invscaling"])
def test_settings_changed_before_partial_fit_are_obeyed(solver):
    settings = {**SOLVERS[solver], "learning_rate_init": 0.01}
    own = MLPClassifier((20,), random_state=np.random.RandomState(0), **settings)
    other = theirs(own).set_params(random_state=np.random.RandomState(0))
    for rate, activation in ((0.01, "relu"), (0.002, "relu"), (0.002, "tanh"), (0.05, "tanh")):
        own.set_params(learning_rate_init=rate, activation=activation)
        own.partial_fit(*DIGITS, classes=np.arange(10))
        other.set_params(activation=activation)
        if hasattr(other, "_optimizer") and rate != other._optimizer.learning_rate_init:
            other._optimizer.learning_rate_init = rate  # which its own partial_fit would not do
            other._optimizer.learning_rate = rate
            if solver == "invscaling":
                other._optimizer.learning_rate /= (other.t_ + 1) ** own.power_t
        other.partial_fit(*DIGITS, classes=np.arange(10))
    agree(own, other)


def test_whatever_takes_a_network_takes_an_estimator():
    inspect_ = cbackprop.inspect
    x, y = TASKS["binary"][1:3]
    own = MLPClassifier((9,), "tanh", max_iter=5, random_state=0).fit(x, y)
    net, of_net = own.network_, (y == "low").astype(int)
    assert isinstance(net, cbackprop.Network)
    np.testing.assert_array_equal(net.feedforward(x), own.predict_proba(x)[:, 1:])
    mine, its = inspect_.trace(own, x[:5], y[:5]), inspect_.trace(net, x[:5], of_net[:5])
    np.testing.assert_array_equal(mine.nabla_w[0], its.nabla_w[0])
    assert inspect_.gradient_check(own, x[:3], y[:3], sample=50).passed
    for function, arguments in ((inspect_.demon, (0, 1, 1e-3)), (inspect_.paths, (0, 1, 20))):
        found, expected = (repr(function(one, x[0], label, *arguments))
                           for one, label in ((own, y[0]), (net, of_net[0])))
        assert found == expected
    for found, expected in [
        (inspect_.jacobian(own, x[:3]), inspect_.jacobian(net, x[:3])),
        (inspect_.input_gradient(own, x, y), inspect_.input_gradient(net, x, of_net)),
        (inspect_.hessian_vector(own, x, y, net.backprop(x, of_net))[1][1],
         inspect_.hessian_vector(net, x, of_net, net.backprop(x, of_net))[1][1]),
        (inspect_.saturation(own, x, y).speed, inspect_.saturation(net, x, of_net).speed),
    ]:
        np.testing.assert_array_equal(found, expected)
    assert repr(inspect_.Summary(own)) == repr(net.summary())
    outputs = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    outputs.fit(FEATURES, TARGETS)
    assert inspect_.trace(outputs, FEATURES[0], TARGETS[0]).y.shape == (1, 3)
    labels = MLPClassifier((4,), max_iter=2, random_state=0).fit(*TASKS["multilabel"][1:3])
    assert inspect_.trace(labels, *TASKS["multilabel"][1:3]).y.sum() == TASKS["multilabel"][2].sum()
    net.weights[1][...] = 0  # live
    np.testing.assert_allclose(own.predict_proba(x)[:, 1], 1 / (1 + np.exp(-net.biases[1][0, 0])))
    with one_line(ValueError, "^This MLPClassifier instance is not fitted yet"):
        inspect_.jacobian(MLPClassifier(), x)
    with one_line(ValueError, r"^y must have shape \(n\), as the y that the classes are from, got"):
        inspect_.trace(own, x[:2], np.eye(2))
    with one_line(ValueError, "^`y` has classes not in `self.classes_`"):
        inspect_.trace(own, x[:2], ["low", "other"])


def test_pictures_of_estimators(pyplot):
    x, y = TASKS["binary"][1:3]
    own = MLPClassifier((9,), max_iter=5, random_state=0).fit(x, y)
    matrix, *_ = cbackprop.plot.confusion(own, (x, y), mistakes=0)
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["high", "low"]
    right = int((own.predict(x) == y).sum())
    assert matrix.get_title() == f"{right} of {len(y)} right"
    assert len(cbackprop.plot.weights(own).images) == 1


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"dropout": 0.2},
                                      {"solver": "sgd"}, {"solver": "lbfgs"}], ids=str)
def test_equal_fits_hash_equal(settings):
    own = MLPClassifier((9,), max_iter=5, random_state=0, **settings).fit(*DIGITS)
    same = clone(own).fit(*DIGITS)
    for one in (same, copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert joblib.hash(one) == joblib.hash(own)
    same.coefs_[0][0, 0] += 1
    assert joblib.hash(same) != joblib.hash(own)


def test_memory_knows_equal_fits(tmp_path):
    called = []
    predict = joblib.Memory(tmp_path, verbose=0).cache(
        lambda own, x: called.append(1) or own.predict(x))
    for _ in range(2):
        predict(MLPClassifier((5,), max_iter=2, random_state=0).fit(*DIGITS), DIGITS[0])
    assert called == [1]


def test_history_survives_pickles_but_for_the_time_it_took():
    own = MLPClassifier((5,), max_iter=3, random_state=0).fit(*DIGITS)
    history = pickle.loads(pickle.dumps(own)).network_.history
    assert history.cost == own.network_.history.cost == own.loss_curve_
    assert list(history.recorded) == ["eta", "cost"]
    assert len(own.network_.history.seconds) == 3


# ---- what is theirs alone ----


def test_dropout():
    def fitted(seed, dropout):
        return MLPClassifier((30, 20), dropout=dropout, max_iter=40, random_state=seed).fit(*DIGITS)

    some = fitted(0, 0.2)
    assert some.score(*DIGITS) > 0.7
    np.testing.assert_array_equal(fitted(0, 0.2).coefs_[0], some.coefs_[0])
    assert (fitted(0, 0.0).coefs_[0] != some.coefs_[0]).any()
    assert (fitted(0, [0.5, 0, 0]).coefs_[0] != some.coefs_[0]).any()


def test_any_activation_per_layer():
    own = MLPClassifier((12, 8), [("leaky_relu", 0.2), "logistic"], max_iter=4, random_state=0)
    x = own.fit(*DIGITS).predict_proba(DIGITS[0])
    a = DIGITS[0] @ own.coefs_[0] + own.intercepts_[0]
    a = np.where(a > 0, a, 0.2 * a)
    a = 1 / (1 + np.exp(-(a @ own.coefs_[1] + own.intercepts_[1])))
    a = np.exp(a @ own.coefs_[2] + own.intercepts_[2])
    np.testing.assert_allclose(x, a / a.sum(axis=1, keepdims=True))
    bounded = MLPRegressor(hidden_layer_sizes=(5,), activation=["tanh", "sigmoid"], max_iter=3)
    shares = 1 / (1 + np.exp(-9 * TARGETS))
    outputs = bounded.fit(FEATURES, shares).predict(FEATURES)
    assert 0 <= outputs.min() < outputs.max() <= 1
    assert bounded.out_activation_ == "sigmoid"
    for solver in ("adam", "sgd", "lbfgs"):
        with pytest.raises(ValueError, match=r"^y must be from 0 to 1, as outputs of"):
            clone(bounded).set_params(solver=solver).fit(FEATURES, 9 * TARGETS)


def test_given_validation_data():
    train, held = np.arange(100, 450), np.arange(100)
    x, y = DIGITS
    own = MLPClassifier((20,), early_stopping=True, max_iter=10, random_state=0)
    own.fit(x[train], y[train], X_val=x[held], y_val=y[held])
    assert own.best_validation_score_ == max(own.validation_scores_) == own.score(x[held], y[held])
    weighted = clone(own).fit(x[train], y[train], X_val=x[held], y_val=y[held],
                              sample_weight_val=WEIGHTS[:100])
    assert weighted.best_validation_score_ == pytest.approx(
        weighted.score(x[held], y[held], WEIGHTS[:100]))
    plain = MLPClassifier((20,), max_iter=10, random_state=0).fit(x[train], y[train])
    np.testing.assert_array_equal(own.loss_curve_, plain.loss_curve_[:len(own.loss_curve_)])


def test_a_score_of_nan_never_wins(monkeypatch):
    x, y = FEATURES, TARGETS[:, 0]
    own = MLPRegressor(hidden_layer_sizes=(20,), early_stopping=True, max_iter=60, random_state=0,
                       learning_rate_init=0.01)
    with pytest.warns(UndefinedMetricWarning, match=r"^no validation score was finite, of 1 row"):
        own.fit(x, y, X_val=x[:1], y_val=y[:1])
    plain = clone(own).set_params(early_stopping=False).fit(x, y)
    agree_in_parameters(own, plain)  # R^2 of one row is no number: nothing stops it
    assert own.n_iter_ == 60
    assert np.isnan(own.validation_scores_).all()
    scores = iter([0.5, 0.7, *[np.nan] * 50])
    kept = []
    monkeypatch.setattr(MLPRegressor, "_score", lambda self, *_: next(scores))
    own.set_params(n_iter_no_change=3, callbacks=[
        lambda network, history: kept.append(np.array(network.weights[0].T)) or False])
    own.fit(x, y)
    assert own.n_iter_ == len(kept) == 6
    assert own.best_validation_score_ == 0.7
    np.testing.assert_array_equal(own.coefs_[0], kept[1])


def agree_in_parameters(own, other):
    for a, b in zip(own.coefs_ + own.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_warm_starts_look_at_their_own_data():
    rng = np.random.default_rng(0)
    x, again = rng.normal(size=(2, 300, 3))
    y, other = x @ [1., 2, 3], again @ [-1., -2, -3] + 2 * rng.normal(size=300)
    for early in (True, False):
        own = MLPRegressor(hidden_layer_sizes=(20,), early_stopping=early, warm_start=True,
                           max_iter=300, learning_rate_init=0.01, random_state=0).fit(x, y)
        before, epochs = own.score(again, other), len(own.loss_curve_)
        fresh = clone(own).fit(again, other)
        own.fit(again, other)
        assert before < 0 < fresh.score(again, other) - 0.1 < own.score(again, other)
        assert len(own.loss_curve_) == epochs + own.n_iter_  # the curves go on
        if early:
            assert own.best_validation_score_ == max(own.validation_scores_[epochs:])
            assert own.best_validation_score_ < max(own.validation_scores_)


def test_warm_starts_with_another_way_to_stop():
    own = MLPClassifier((9,), solver="lbfgs", warm_start=True, max_iter=3, random_state=0)
    own.fit(*DIGITS)
    for settings in ({"solver": "adam"}, {"early_stopping": True}, {"early_stopping": False}):
        own.set_params(**settings).fit(*DIGITS)
        assert len(own.loss_curve_) >= own.n_iter_ == 3
    own = MLPClassifier((9,), solver="lbfgs", max_iter=3).fit(*DIGITS)
    assert len(own.set_params(solver="sgd").partial_fit(*DIGITS).loss_curve_) == 1


@pytest.mark.parametrize("weights", [None, WEIGHTS[:120]])
def test_one_class_scores_what_score_says(weights):
    x, y = FEATURES[:120], np.full(120, "all")
    own = MLPClassifier((5,), early_stopping=True, max_iter=3, random_state=0).fit(x, y, weights)
    assert own.validation_scores_ == [1.0] * 3
    assert own.score(x, y, weights) == 1.0


def test_sparse_labels_predict_sparse():
    x, y = TASKS["multilabel"][1:3]
    for form in (sparse.csr_matrix, sparse.csc_array):
        own = MLPClassifier((9,), early_stopping=True, max_iter=5, random_state=0)
        found = own.fit(x, form(y)).predict(x)
        expected = theirs(own).fit(x, form(y)).predict(x)
        assert type(found) is type(expected)
        assert sparse.issparse(found)
        np.testing.assert_array_equal(found.toarray(), clone(own).fit(x, y).predict(x))
        assert own.score(x, form(y)) == own.score(x, y)
    own = MLPClassifier((9,)).partial_fit(x, form(y), classes=np.arange(5))
    assert sparse.issparse(own.predict(x))


def test_validation_rows_that_all_weigh_nothing():
    x, y = DIGITS[0][:100], DIGITS[1][:100] % 2
    own = MLPClassifier((4,), max_iter=2, early_stopping=True, random_state=1)
    with one_line(ValueError, "^the rows drawn for validation must not all weigh 0: .* of 10 rows"):
        own.fit(x, y, np.arange(100) < 3)
    with one_line(ValueError, "^X_val must not all weigh 0"):
        clone(own).set_params(class_weight={0: 0.0}).fit(x, y, X_val=x[y == 0], y_val=y[y == 0])
    for settings in ({}, {"solver": "lbfgs"}):
        with one_line(ValueError, "^X must not all weigh 0"):
            MLPClassifier((4,), class_weight={0: 0, 1: 0}, **settings).fit(x, y)


def test_class_weights_of_classes_that_are_not_there():
    x, y = DIGITS[0], DIGITS[1] % 3
    names = np.array(["a", "b", "c"])[y]
    own = MLPClassifier((9,), max_iter=4, random_state=0, class_weight={"a": 2.0, "d": 5.0})
    plain = clone(own).set_params(class_weight=None)
    agree(own.fit(x, names), clone(plain).fit(x, names, np.where(y == 0, 2.0, 1)), 1e-12)
    own, plain = clone(own), clone(plain)
    for rows in (y < 2, y == 1, y > 0):  # not all classes in each part
        own.partial_fit(x[rows], names[rows], classes=["a", "b", "c"])
        plain.partial_fit(x[rows], names[rows], np.where(y[rows] == 0, 2.0, 1),
                          classes=["a", "b", "c"])
    agree(own, plain, 1e-12)
    for bad, error in (({0: -1}, ValueError), ({0: "much"}, TypeError), ({0: np.nan}, ValueError)):
        with one_line(error, r"^class_weight\[0\] must be a number of at least 0, got"):
            MLPClassifier(class_weight=bad).fit(x, y)


def test_class_weights_of_no_class_at_all():
    x, y = DIGITS[0], DIGITS[1] % 3
    rule = r"^class_weight must be for some of the classes \[0, 1, 2\], got {'1': 50}$"
    with one_line(ValueError, rule):
        MLPClassifier(class_weight={"1": 50}).fit(x, y)
    own = MLPClassifier((3,), class_weight={2: 5.0, 7: 1}, max_iter=2)
    own.partial_fit(x[y == 0], y[y == 0], classes=[0, 1, 2])  # 2 is yet to come
    own.set_params(class_weight={}).fit(x, y)
    with one_line(ValueError, r"^class_weight must be for some of the classes \[0, 1\], got"):
        own.set_params(class_weight=[{"1": 2}, {}]).fit(x, np.eye(3, dtype=int)[y][:, :2])


def test_coefs_that_do_not_fit():
    x, y = DIGITS[0], DIGITS[1] % 3
    for layer, shape, rule in ((0, (63, 5), r"\(64, 5\)"), (0, (64, 6), r"\(64, 5\)"),
                               (0, (), r"\(64, 5\)"), (1, (5, 2), r"\(5, 3\)")):
        own = MLPClassifier((5,), max_iter=1).fit(x, y)
        own.coefs_[layer] = np.zeros(shape)
        with one_line(ValueError, rf"^coefs_\[{layer}\] must have shape {rule}, from"):
            own.predict(x)


def test_slips_in_the_first_arguments():
    x, y = DIGITS
    with one_line(ValueError, r"^activation must be .*'logistic'.*'rellu'; did you mean 'relu'\?$"):
        MLPClassifier(activation="rellu").fit(x, y)
    for sizes in (50, (50,), [50, 20], ()):
        with one_line(ValueError, "^loss must be .*; layers are hidden_layer_sizes="):
            MLPRegressor(sizes).fit(x, y)


def test_class_weights_of_several_labels():
    x, y = TASKS["multilabel"][1:3]
    own = MLPClassifier((9,), max_iter=4, random_state=0, class_weight=[{1: 2.0}, *[{}] * 4])
    plain = clone(own).set_params(class_weight=None).fit(x, y, 1.0 + y[:, 0])
    agree(own.fit(x, y), plain, 1e-12)
    weights = sklearn.utils.class_weight.compute_sample_weight("balanced", y)
    agree(own.set_params(class_weight="balanced").fit(x, sparse.csr_matrix(y)),
          plain.fit(x, y, weights), 1e-12)
    for bad in ({1: 2.0}, [{1: 2.0}]):
        with one_line(ValueError, "^class_weight must be 'balanced' or a list of 5 dicts, for y"):
            own.set_params(class_weight=bad).fit(x, y)
    with one_line(ValueError, r"^class_weight must be 'balanced' or a dict {class: weight}, for y"):
        own.set_params(class_weight=[{1: 2.0}]).fit(x, y[:, 0])


def test_balanced_counts_a_row_of_weight_2_twice():
    x, y = TASKS["binary"][1:3]
    times = np.random.default_rng(0).integers(0, 4, len(y))
    own = MLPClassifier((9,), solver="lbfgs", max_iter=5, class_weight="balanced", random_state=0)
    agree(clone(own).fit(x, y, times), own.fit(np.repeat(x, times, 0), np.repeat(y, times)), 1e-6)


def test_class_weights_are_weights():
    x, y = TASKS["binary"][1:3]
    for class_weight in ({"low": 3.0, "high": 0.5}, "balanced"):
        own = MLPClassifier((9,), class_weight=class_weight, max_iter=4, random_state=0).fit(x, y)
        weights = sklearn.utils.class_weight.compute_sample_weight(class_weight, y)
        agree(own, clone(own).set_params(class_weight=None).fit(x, y, weights), 1e-12)


def test_callbacks_watch_and_stop():
    seen = []

    def third(network, history):
        seen.append((network.sizes, history.cost[-1]))
        return len(seen) == 3

    own = MLPClassifier((9,), callbacks=[third, cbackprop.callbacks.Callback()]).fit(*DIGITS)
    assert own.n_iter_ == 3
    assert seen == [((64, 9, 10), loss) for loss in own.loss_curve_]


@pytest.mark.parametrize("loss", ["huber", ("huber", 0.1), "absolute", "log_cosh",
                                  cbackprop.Cost(lambda a, y: ((a - y)**4).sum(axis=1),
                                                 lambda a, y: 4 * (a - y)**3, name="fourth")])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_any_cost_of_a_regression(loss, solver):
    own = MLPRegressor(loss, (9,), solver=solver, max_iter=40, alpha=0.0, random_state=0,
                       learning_rate_init=0.01)
    outputs = own.fit(FEATURES, TARGETS).predict(FEATURES)
    net = cbackprop.Network([7, 9, 3], activation="relu", output_activation="identity", cost=loss,
                            dtype="float64", initializer=([w.T for w in own.coefs_],
                                                          [b[:, None] for b in own.intercepts_]))
    np.testing.assert_allclose(net.feedforward(FEATURES), outputs)
    start = MLPRegressor(loss, (9,), max_iter=1, learning_rate_init=1e-12, alpha=0.0,
                         random_state=0).fit(FEATURES, TARGETS)
    assert net.total_cost((FEATURES, TARGETS)) < 0.9 * start.loss_


@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_hinges_have_sums_for_probabilities(task):
    _, x, y, _ = TASKS[task]
    own = MLPClassifier((30,), loss="squared_hinge", max_iter=60, random_state=0,
                        learning_rate_init=0.01, early_stopping=True).fit(x / 16, y)
    sums = own.decision_function(x / 16)
    expected = own.classes_[(sums > 0).astype(int) if sums.ndim == 1 else sums.argmax(axis=1)]
    np.testing.assert_array_equal(own.predict(x / 16), expected)
    assert own.score(x / 16, y) > 0.8
    assert own.best_validation_score_ > 0.7
    assert not hasattr(own, "predict_proba")
    assert not hasattr(MLPClassifier(), "decision_function")


BAD = {
    "activation": ({"activation": "logistics"},
                   r"^activation must be one of .*'logistics'; did you mean 'logistic'\?$"),
    "list": ({"activation": ["relu"]}, r"^activation must have 2 entries, .*, got 1$"),
    "loss": ({"loss": "log"}, r"^loss must be one of .*'log_loss'.*, got 'log'$"),
    "dropout": ({"dropout": 1.5}, r"^dropout must be a number .* below 1, got 1.5$"),
    "solver": ({"solver": "lbfgs", "dropout": 0.5}, "^callbacks and dropout need solver 'sgd' or"),
    "callbacks": ({"callbacks": [3]}, r"^callbacks must be objects of Callback .*, got 3$"),
    "sizes": ({"hidden_layer_sizes": (3, 0)}, r"^hidden_layer_sizes must be > 0, got \[3, 0\]$"),
    "alpha": ({"alpha": -1}, "^The 'alpha' parameter of MLPClassifier must be a float"),
}


@pytest.mark.parametrize(("settings", "message"), BAD.values(), ids=BAD)
def test_bad_parameters(settings, message):
    own = MLPClassifier(**{"hidden_layer_sizes": (3, 4), **settings})
    with one_line((TypeError, ValueError), message):
        own.fit(*DIGITS)


def test_bad_calls():
    own, (x, y) = MLPClassifier((3,), max_iter=2), DIGITS
    with one_line(ValueError, "^X_val needs early_stopping=True, and solver 'sgd' or 'adam'$"):
        own.fit(x, y, X_val=x, y_val=y)
    own.set_params(early_stopping=True)
    with one_line(ValueError, "^X_val and y_val must come together, got one of them$"):
        own.fit(x, y, X_val=x)
    with one_line(ValueError, "^`y` has classes not in `self.classes_`: must be some of"):
        own.fit(x, y, X_val=x[:50], y_val=y[:50] + 1)
    with one_line(ValueError, "^partial_fit does not support early_stopping=True$"):
        own.partial_fit(x, y, classes=np.arange(10))
    for alone in ({}, {"X_val": None}):
        with one_line(ValueError, "^sample_weight_val must come with X_val and y_val, got it"):
            own.fit(x, y, sample_weight_val="anything", **alone)
    balanced = MLPClassifier(class_weight="balanced")
    with one_line(ValueError, "^class_weight 'balanced' needs all of y: give partial_fit a dict$"):
        balanced.partial_fit(x, y, classes=np.arange(10))
    assert not hasattr(balanced, "classes_")
    own = MLPClassifier((3,), max_iter=2, warm_start=True).fit(x, y)
    with one_line(ValueError, r"^warm_start and partial_fit need the layers that are there, \[64"):
        own.set_params(hidden_layer_sizes=(4,)).fit(x, y)
    for loss in ("poisson", ("poisson", 0.0)):
        with one_line(ValueError, "^y must not be negative for loss 'poisson', got -1$"):
            MLPRegressor(loss).fit(x, y - 1)
    own = MLPClassifier((3,), early_stopping=True, max_iter=2)
    with one_line(ValueError, r"^y must have shape \(n\), as the y that .*, got \(450, 10\)$"):
        own.fit(x, y, X_val=x, y_val=np.eye(10, dtype=int)[y])
    with one_line(AttributeError, "partial_fit"):
        MLPRegressor(solver="lbfgs").partial_fit(x, y)


def test_divergence():
    own = MLPRegressor(solver="sgd", learning_rate_init=1e6, max_iter=9, random_state=0)
    with one_line(ValueError, "^Solver produced non-finite parameter weights"):
        own.fit(FEATURES, 1e9 * TARGETS)
    own.set_params(early_stopping=True, learning_rate_init=1.0, activation="identity")
    own.fit(*load_digits(return_X_y=True))
    assert np.isnan(own.validation_scores_[-1])
    assert all(np.isfinite(w).all() for w in own.coefs_)


def test_validation_rows_that_weigh_nothing():
    x, y = np.arange(80.0).reshape(40, 2) / 80, np.arange(40) % 2
    weights = np.zeros(40)
    weights[:3] = 1
    with one_line(ValueError, "^the rows drawn for validation must not all weigh 0"):
        MLPClassifier((4,), early_stopping=True, random_state=1).fit(x, y, weights)


def test_rows_that_weigh_nothing_are_as_rows_left_out():
    x, y = np.random.default_rng(0).random((30, 3)), np.arange(30) % 2
    weights = np.arange(30) % 3 != 0
    settings = {"hidden_layer_sizes": (4,), "batch_size": 1, "shuffle": False, "max_iter": 3,
                "random_state": 0}
    own = MLPClassifier(**settings).fit(x, y, weights)
    left = MLPClassifier(**settings).fit(x[weights], y[weights])
    for one, other in zip(own.coefs_, left.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(own.loss_curve_, left.loss_curve_, rtol=1e-12)
