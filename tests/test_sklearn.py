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
from test_bad_input import one_line

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
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
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
    own = MLPClassifier((9,), random_state=0, **{**SOLVERS[solver], "max_iter": 3})
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
    with pytest.raises(ValueError, match="X must be a sound sparse matrix"):
        net.predict(x)


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
    outputs = bounded.fit(FEATURES, 9 * TARGETS).predict(FEATURES)
    assert 0 <= outputs.min() < outputs.max() <= 1
    assert bounded.out_activation_ == "sigmoid"


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
    "activation": ({"activation": "logistics"}, r"^activation\[0\] must be one of .*'logistics'$"),
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
    with one_line(ValueError, "^class_weight 'balanced' needs all of y: give partial_fit a dict$"):
        MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=np.arange(10))
    own = MLPClassifier((3,), max_iter=2, warm_start=True).fit(x, y)
    with one_line(ValueError, r"^warm_start and partial_fit need the layers that are there, \[64"):
        own.set_params(hidden_layer_sizes=(4,)).fit(x, y)
    with one_line(ValueError, "^y must not be negative for loss 'poisson', got -1$"):
        MLPRegressor("poisson").fit(x, y - 1)
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
