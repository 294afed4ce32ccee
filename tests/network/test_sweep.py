"""`sweep`: each row is a training of its own, the table ranks them, and nothing is lost."""

import math

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network, _joblib, _words, callbacks, lanes, metrics, sweep
from cbackprop.sources import RowSource

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(90, 5))
Y = (X @ RANDOM.normal(size=(5, 3))).argmax(axis=1)
NUMBERS = X @ RANDOM.normal(size=(5, 2))
TRAINING, EVALUATION = (X[:60], Y[:60]), (X[60:], Y[60:])
COMMON = {"epochs": 4, "mini_batch_size": 7}


def without_times(found):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


@pytest.fixture(params=["threads", "lanes"])
def way(request, monkeypatch):
    """Let small networks be trained in one of the two ways that `train_many` has."""
    monkeypatch.setattr(lanes, "worthwhile", lambda trainings, threads: (
        len(trainings) if request.param == "lanes" else 0))
    return request.param


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_trainings_of_their_own(dtype, way):
    found = sweep({"eta": [0.5, 5.0], "sizes": [[5, 4, 3], [5, 2, 2, 3]], "seed": [3, 4]}, TRAINING,
                  evaluation_data=EVALUATION, dtype=dtype, **COMMON)
    assert len(found) == 4
    for row, nets, scores in zip(found, found.networks, found.scores, strict=True):
        own = []
        for seed, net, score in zip((3, 4), nets, scores, strict=True):
            alone = Network(row["sizes"], dtype=dtype, seed=seed)
            history = alone.SGD(TRAINING, eta=row["eta"], evaluation_data=EVALUATION, **COMMON)
            tolerance = 0 if way == "threads" else 1e-5 if dtype == "float32" else 1e-13
            np.testing.assert_allclose(net.engine.core.parameters, alone.engine.core.parameters,
                                       rtol=tolerance, atol=tolerance)
            assert score == history.evaluation_accuracy[-1]
            own.append(score)
        assert row["score"] == pytest.approx(np.mean(own), rel=1e-15)
        assert row["std"] == pytest.approx(np.std(own), rel=1e-15)
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]
    assert found.best_settings == {name: found[0][name] for name in ("eta", "sizes")}
    assert found.best is found.networks[0][int(np.argmax(found.scores[0]))]
    assert found.best.accuracy(EVALUATION) == max(found.scores[0])


@pytest.mark.parametrize("way", ["threads"], indirect=True)
def test_threads_change_nothing(way):
    grid = {"eta": [0.5, 5.0, 50.0], "hidden": [2, [3, 2]]}
    one, two = (sweep(grid, TRAINING, threads=threads, seed=1, **COMMON) for threads in (1, 2))
    assert repr(without_times(one)) == repr(without_times(two))


def test_less_is_better_for_a_cost():
    found = sweep({"eta": [1e-4, 1.0]}, TRAINING, sizes=[5, 3], metric="cost", seed=0,
                  evaluation_data=EVALUATION, **COMMON)
    assert found.metric == "evaluation_cost"
    assert not found.maximize
    assert found.best_settings == {"eta": 1.0}
    assert found[0]["score"] < found[1]["score"]


@pytest.mark.parametrize(("y", "metric"), [(Y, "accuracy"), (NUMBERS, "r2")])
def test_the_metric_follows_the_targets(y, metric):
    found = sweep({"eta": [0.1]}, (X, y), hidden=4, output_activation="identity", seed=0, **COMMON)
    assert found.metric == f"evaluation_{metric}"
    assert found.best.sizes == (5, 4, 3 if y is Y else 2)


def test_metrics_by_name_and_of_ones_own():
    def worst_error(outputs, targets):
        return np.abs(outputs - targets).max()

    common = {"hidden": 4, "output_activation": "identity", "seed": 0, "eta": 0.01, **COMMON}
    for metric in (worst_error, metrics.Metric(worst_error)):
        found = sweep({"lmbda": [0.0]}, (X, NUMBERS), metric=metric, **common)
        assert found.metric == "evaluation_worst_error"
        assert not found.maximize
    found = sweep({"lmbda": [0.0]}, (X, NUMBERS), metric="training_mae", monitor="r2", **common)
    history = found.best.history
    assert found[0]["score"] == history.training_mae[-1]
    assert len(history.evaluation_r2) == 4
    found = sweep({"lmbda": [0.0]}, TRAINING, metric="test_accuracy", test_data=EVALUATION,
                  **(common | {"output_activation": "sigmoid"}))
    assert found[0]["score"] == found.best.accuracy(EVALUATION)


def test_all_hold_out_the_same_rows(way):
    rows = []

    def sum_score(outputs, targets):
        rows.append(targets.ravel().tolist())
        return 0.0

    x, y = np.zeros((50, 1)), np.arange(50.0)[:, None] / 50
    sweep({"hidden": [1, 3], "seed": [0, 1]}, (x, y), metric=sum_score, validation_split=0.3,
          eta=0.1, epochs=1, mini_batch_size=5, output_activation="identity", threads=1)
    assert len(rows) == 4
    assert len(rows[0]) == 15
    assert rows == [rows[0]] * 4
    assert rows[0] != y[-15:, 0].tolist()  # they are drawn


def test_one_that_diverges_is_a_row_with_the_reason(way):
    found = sweep({"eta": [1e200, 0.01], "seed": [0, 1]}, (X, NUMBERS), sizes=[5, 2],
                  output_activation="identity", dtype="float64", **COMMON)
    assert [row["eta"] for row in found] == [0.01, 1e200]
    assert found[0]["note"] is None
    assert math.isnan(found[1]["score"])
    assert found[1]["note"].startswith("training diverged in epoch 1: the cost or a parameter")
    assert found.best_settings == {"eta": 0.01}
    assert "training diverged in epoch 1" in repr(found)


def test_without_a_score_there_is_no_best():
    found = sweep({"eta": [1e200]}, (X, NUMBERS), sizes=[5, 2], output_activation="identity",
                  **COMMON)
    for name in ("best", "best_settings"):
        with one_line(ValueError, "^the best of a sweep must have a score, got none in 1 row.*: t"):
            getattr(found, name)
    found = sweep({"eta": [0.1]}, TRAINING, sizes=[5, 3], epochs=0, mini_batch_size=7)
    assert found[0]["note"] == "no epoch was completed"


def test_the_score_is_of_the_epoch_whose_parameters_are_kept():
    stopping = callbacks.EarlyStopping("evaluation_cost", patience=2)
    found = sweep({"eta": [20.0, 30.0, 0.1]}, TRAINING, hidden=3, metric="cost", seed=0,
                  epochs=30, mini_batch_size=1, callbacks=[stopping], evaluation_data=EVALUATION)
    assert not hasattr(stopping, "best_epoch")  # each training had a copy
    assert any(len(nets[0].history) < 30 for nets in found.networks)
    for row, (net,) in zip(found, found.networks, strict=True):
        assert row["score"] == min(net.history.evaluation_cost)
        assert net.measure(EVALUATION)["cost"] == pytest.approx(row["score"], rel=1e-12)


def test_grids_of_several_dicts():
    found = sweep([{"optimizer": ["adam"], "eta": [0.01]},
                   {"optimizer": ["sgd"], "eta": [0.1, 1.0], "lmbda": [0.0, 0.1]}],
                  TRAINING, hidden=(), seed=0, **COMMON)
    assert len(found) == 5
    assert {row["lmbda"] for row in found if row["optimizer"] == "adam"} == {None}
    index = next(at for at, row in enumerate(found) if row["optimizer"] == "adam")
    assert found.networks[index][0].sizes == (5, 3)
    assert set(found.best_settings) <= {"optimizer", "eta", "lmbda"}


def test_a_seed_that_is_not_given_is_one_for_all():
    found = sweep({"eta": [0.0, 1e-30]}, TRAINING, sizes=[5, 3], **COMMON)
    first, second = (nets[0].engine.core.parameters for nets in found.networks)
    np.testing.assert_array_equal(first, second)
    again = sweep({"eta": [0.0]}, TRAINING, sizes=[5, 3], seed=np.random.default_rng(3), **COMMON)
    other = sweep({"eta": [0.0]}, TRAINING, sizes=[5, 3], seed=np.random.default_rng(3), **COMMON)
    np.testing.assert_array_equal(
        again.best.engine.core.parameters, other.best.engine.core.parameters)
    assert (again.best.engine.core.parameters != first).any()


def test_warnings_of_one_of_many_are_its_note(way):
    x = np.tile(X, (20, 1)) * 1e4
    with pytest.warns(UserWarning, match="^the first row of the sweep: x of training_data is far "):
        found = sweep({"eta": [0.1, 0.2]}, (x, np.tile(Y, 20)), hidden=3, seed=0, epochs=3,
                      mini_batch_size=1)
    assert all("is far from unit scale" in row["note"] for row in found)
    assert _words.collected_messages.get() is None
    with pytest.warns(UserWarning, match="far from unit scale"):  # others' go where they went
        found.best.copy().SGD((x, np.tile(Y, 20)), 3, 1, 0.1)


def test_data_in_any_form():
    pairs = [(x[:, None], y) for x, y in zip(X, Y, strict=True)]

    class Parts(RowSource):
        def __len__(self):
            return 60

        def take(self, indices):
            return X[indices], Y[indices]

    expected = sweep({"eta": [0.5, 5.0]}, (X, Y), sizes=[5, 3], seed=0, **COMMON)
    for data in (pairs, iter(pairs)):
        found = sweep({"eta": [0.5, 5.0]}, data, sizes=[5, 3], seed=0, **COMMON)
        assert repr(without_times(found)) == repr(without_times(expected))
    whole = sweep({"eta": [0.5]}, TRAINING, sizes=[5, 3], seed=0, evaluation_data=EVALUATION,
                  **COMMON)
    parts = sweep({"eta": [0.5]}, Parts(), sizes=[5, 3], seed=0, evaluation_data=EVALUATION,
                  **COMMON)
    assert without_times(parts) == without_times(whole)


def test_it_shows_itself():
    found = sweep({"eta": [0.5, np.float64(5)], "hidden": [2, [3, 2]], "seed": [0, 1]}, TRAINING,
                  **COMMON)
    lines = repr(found).splitlines()
    assert lines[0] == ("4 combinations by evaluation_accuracy, more is better; the mean of 2 "
                        "seeds")
    assert lines[1].split() == ["eta", "hidden", "score", "std", "seconds"]
    assert len(lines) == 6
    assert found._repr_html_().count("<tr>") == 5
    many = sweep({"eta": list(np.geomspace(0.01, 1, 25))}, TRAINING, sizes=[5, 3], epochs=1,
                 mini_batch_size=20)
    assert len(repr(many).splitlines()) == 22


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library):
    frame = pytest.importorskip(library).DataFrame
    found = sweep([{"eta": [0.5], "hidden": [2, [3, 2]]}, {"hidden": [4], "lmbda": [0.1]}],
                  TRAINING, seed=0, **COMMON)
    table = frame(found)
    assert list(table.columns) == ["eta", "hidden", "lmbda", "score", "std", "seconds", "note"]
    assert list(table["score"]) == [row["score"] for row in found]
    if library == "pandas":
        assert found.to_frame().equals(table)


@pytest.mark.parametrize(("grid", "given", "error", "message"), [
    ({"lr": [0.1]}, {}, TypeError, "argument 'lr' in the grid: did you mean 'eta'"),
    ({"hiden": [0.1]}, {}, TypeError, "argument 'hiden' in the grid: did you mean 'hidden'"),
    ({"seeds": [0]}, {}, TypeError, "argument 'seeds' in the grid: did you mean 'seed'"),
    ({"eta": [0.1]}, {"batch_size": 3}, TypeError, "'batch_size': did you mean 'mini_batch_size'"),
    ({"eta": [0.1]}, {"nonsense": 3}, TypeError, "'nonsense': it takes 'hidden', and arg"),
    ({"callbacks": [[]]}, {}, TypeError, "argument 'callbacks' in the grid: it takes 'hidden', "),
    ({"eta": [0.1]}, {"resume": True}, TypeError, "argument 'resume': "),
    ({"comm": [None]}, {}, TypeError, "argument 'comm' in the grid: "),
    ({3: [0.1]}, {}, TypeError, "argument 3 in the grid: it takes"),
    ({"eta": 0.1}, {}, TypeError, r"^grid\['eta'\] must be a list of values, got 0.1$"),
    ({"optimizer": "adam"}, {}, TypeError, "must be a list of values, got 'adam'$"),
    ({"eta": []}, {}, ValueError, r"^grid\['eta'\] must be a list of values, got none$"),
    ([], {}, ValueError, "^grid must be a dict of settings to lists of values, or a list of such"),
    (3, {}, TypeError, "^grid must be a dict of .*, got 3$"),
    ([{"eta": [1]}, 3], {}, TypeError, "^grid must be a dict of .*, got 3$"),
    ({"eta": [0.1]}, {"eta": 0.2}, TypeError, "^eta must be in the grid or an argument, got both$"),
    ({"hidden": [3]}, {}, TypeError, "^sizes or hidden must be in the grid or .*, got both$"),
    ({"eta": [0.1]}, {"sizes": None}, TypeError, "^sizes or hidden must be in .*, got neither$"),
    ({"eta": [0.1]}, {"epochs": None}, TypeError, "^epochs must be in .*, got neither$"),
    ({"eta": [0.1, -1]}, {}, ValueError, "^eta must be a number of at least 0, got -1$"),
    ({"seed": [-1]}, {}, ValueError, "^seed must be None, a Generator or a non-negative integer"),
    ({"sizes": [[5, 3], [4, 3]]}, {"sizes": None}, ValueError, "must have sizes.0. = 4 columns"),
    ({"hidden": ["3"]}, {"sizes": None}, TypeError, "^hidden must be an integer .* got '3'$"),
    ({"hidden": [[4, 0]]}, {"sizes": None}, ValueError, "^hidden must be .* at least 1, got 0$"),
    ({"eta": [0.1]}, {"metric": 3}, TypeError, "^metric must be a name, a Metric or a function"),
    ({"eta": [0.1]}, {"metric": "acuracy"}, ValueError, "did you mean '(evaluation_)?accuracy'"),
    ({"eta": [0.1]}, {"metric": "r2"}, ValueError, "needs targets that are numbers"),
    ({"eta": [0.1]}, {"evaluation_data": EVALUATION, "validation_split": 0.1}, ValueError,
     "^validation_split must be None where there is evaluation_data, got 0.1$"),
    ({"eta": [0.1]}, {"callbacks": 3}, TypeError, "^callbacks must be a list of callbacks, got 3$"),
    ({"eta": [0.1]}, {"threads": 0}, ValueError, "^threads must be None or an integer from 1"),
])
def test_refusals(grid, given, error, message):
    given = {"sizes": [5, 3], **COMMON, **given}
    given = {name: value for name, value in given.items() if value is not None}
    with one_line(error, message):
        sweep(grid, TRAINING, **given)


@pytest.mark.parametrize(("data", "message"), [
    ([(X[0], 1)], "got a list: give sizes"), ((X[0], Y[:5]), r"got shapes \(5,\) and \(5,\)")])
def test_hidden_needs_arrays(data, message):
    with one_line(ValueError, f"^hidden needs training_data .*, {message}"):
        sweep({"hidden": [3]}, data, **COMMON)


@pytest.mark.parametrize(("y", "outputs"), [
    (Y, 3), (Y.astype(float), 3), (Y > 0, 2), (NUMBERS, 2), (NUMBERS[:, 0], 1),
    (Y[:, None] * 1.0, 1)])
def test_hidden_takes_its_ends_from_the_data(y, outputs):
    found = sweep({"hidden": [3]}, (X, y), eta=0.01, output_activation="identity", **COMMON)
    assert found.best.sizes == (5, 3, outputs)


def test_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    rows = np.where(X > 0.5, X, 0)
    found, dense = (sweep({"hidden": [3]}, (x, Y), eta=0.5, seed=0, **COMMON)
                    for x in (sparse.csr_matrix(rows), rows))
    assert found[0]["score"] == dense[0]["score"]


def test_train_many_has_moved():
    import cbackprop.parallel_training as now

    assert now.train_many is cbackprop.train_many
    assert callable(cbackprop.sweep)


def test_what_joblib_is_configured_for():
    joblib = pytest.importorskip("joblib")

    assert _joblib.asked() == (None, None)
    for backend, n_jobs, asked in [
            ("threading", 2, (2, None)), ("threading", None, (None, None)),
            ("loky", 3, (None, 3)), ("loky", None, (None, -1)), (None, 3, (None, 3)),
            ("sequential", 2, (1, None))]:
        given = {"backend": backend, "n_jobs": n_jobs}
        with joblib.parallel_config(**{name: v for name, v in given.items() if v is not None}):
            assert _joblib.asked() == asked
    assert _joblib.asked() == (None, None)


@pytest.mark.parametrize("option", [
    {"callbacks": [callbacks.Checkpoint(last="same.npz")]}, {"resume": "same.npz"}])
def test_networks_do_not_share_a_file(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nets = [cbackprop.Network([2, 1], seed=seed) for seed in (1, 2)]
    with pytest.raises(ValueError, match=r"^callbacks and resume must name files of each network"):
        cbackprop.train_many(nets, ([[0.0, 1.0]], [[1.0]]), 1, 1, 0.1, **option)
    with pytest.raises(TypeError, match=r"^resume must be True, False or the path of a checkpoint, "
                                        r"got 1$"):
        cbackprop.train_many(nets, ([[0.0, 1.0]], [[1.0]]), 1, 1, 0.1, resume=1)
    assert not list(tmp_path.iterdir())


def test_a_sweep_needs_data_to_judge_by():
    with pytest.raises(ValueError, match=r"^validation_split must be above 0 where there is no "
                                         r"evaluation_data, got 0$"):
        cbackprop.sweep({"hidden": [3]}, ([[0.0, 1.0]] * 9, [[1.0]] * 9), epochs=1,
                        mini_batch_size=1, validation_split=0)


@pytest.mark.parametrize("in_lanes", [False, True])
def test_what_a_callback_remembers_is_of_one_network(in_lanes):
    """One that stops early does not stop the others, and each has its own best epoch."""
    rng = np.random.default_rng(0)
    data = rng.random((60, 2)), rng.integers(0, 2, 60)
    options = {"epochs": 30, "mini_batch_size": 5, "eta": 3.0, "validation_split": 0.3}

    def nets():
        return [cbackprop.Network([2, 3, 2], seed=seed) for seed in range(4)]

    def given():
        return [callbacks.EarlyStopping("evaluation_cost", patience=2)]

    alone = [len(net.SGD(data, callbacks=given(), **options)) for net in nets()]
    together = cbackprop.train_many(nets(), data, callbacks=given(), in_lanes=in_lanes, **options)
    assert list(map(len, together)) == alone
    assert len(set(alone)) > 1
