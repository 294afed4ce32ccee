"""Sweeps, ensembles and searches in joblib's workers: as in this process, and data goes once."""

import os
import threading

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import joblib  # it comes with scikit-learn
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from cbackprop import _joblib, lanes, sweep
from cbackprop.callbacks import Callback, Checkpoint
from cbackprop.sklearn import MLPClassifier, MLPEnsembleClassifier

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.parametrize("workers", [
    "loky", "dask", pytest.param("ray", marks=pytest.mark.slow)], indirect=True)]

X, Y = (array[:300] for array in load_digits(return_X_y=True))


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0,
            ) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    yield ray
    ray.shutdown()


@pytest.fixture
def workers(request):
    """Configure joblib for workers of one kind."""
    if request.param != "loky":
        request.getfixturevalue(request.param)
    with joblib.parallel_config(request.param, n_jobs=2):
        yield request.param


def without_times(found):
    return [{name: value for name, value in row.items() if name not in ("seconds", "note")}
            for row in found]


def test_sweeps_are_the_same(workers, monkeypatch):
    monkeypatch.setattr(lanes, "worthwhile", lambda trainings, threads: 0)  # it rounds otherwise

    def tell(network, history):
        network.trained_by = os.getpid()

    grid = {"eta": [0.5, 1e200], "hidden": [3, [4, 3]], "seed": [0, 1]}
    found, here = (sweep(grid, (X, Y), epochs=2, mini_batch_size=30, callbacks=[tell],
                         threads=threads) for threads in (None, 1))
    assert repr(without_times(found)) == repr(without_times(here))
    np.testing.assert_array_equal(found.best.feedforward(X), here.best.feedforward(X))
    trained_by = {net.trained_by for row, nets in zip(found, found.networks, strict=True)
                  for net in nets if row["score"] == row["score"]}
    assert os.getpid() not in trained_by
    assert found.best.history.evaluation_accuracy == here.best.history.evaluation_accuracy


def test_bad_settings_are_told_before_anything_is_sent(workers, monkeypatch):
    monkeypatch.setattr(_joblib, "sent", lambda data: pytest.fail("it was sent"))
    with pytest.raises(ValueError, match=r"^eta must be a number of at least 0, got -1$"):
        sweep({"eta": [0.5, -1]}, (X, Y), hidden=3, epochs=2, mini_batch_size=30)
    with pytest.raises(ValueError, match=r"must name files of each network's own, got .* twice"):
        tried(Checkpoint(last="one.npz"))
    with pytest.raises(TypeError, match=r"^callbacks must be what can be pickled, .* got "
                                        r"<test_clusters.Locks object .* cannot pickle .*lock"):
        tried(Locks())


class Locks(Callback):
    """Cannot be sent."""

    def __init__(self):
        self.lock = threading.Lock()


class OddError(Exception):
    """Can be sent, but not received."""

    def __init__(self, one, two):
        super().__init__(one + two)


def tried(*callbacks):
    return sweep({"eta": [0.5, 1]}, (X, Y), hidden=3, epochs=2, mini_batch_size=30,
                 callbacks=callbacks)


def test_an_odd_error_of_a_callback_comes_back(workers):
    def fail(network, history):
        raise OddError("one", " and two")

    with pytest.raises((RuntimeError, OddError), match=r"one and two$"):
        tried(fail)


def test_data_is_sent_once(workers, monkeypatch):
    pickled, scattered = [], []

    class Data:
        def __init__(self):
            self.x = np.arange(200_000.0)

        def __getstate__(self):
            pickled.append(1)
            return self.__dict__

    def work(job, *sent):
        data = _joblib.received(*sent)
        return job, type(data.x).__name__, data.x.flags.writeable, data.x.sum()

    if workers == "dask":
        from distributed import Client
        scatter = Client.scatter
        monkeypatch.setattr(Client, "scatter", lambda self, data, **given: scattered.append(
            len(data)) or scatter(self, data, **given))
    data = Data()
    sent = _joblib.sent(data)
    found = joblib.Parallel(2)(joblib.delayed(work)(job, *sent) for job in range(8))
    kind = "memmap" if workers == "loky" else "ndarray"
    assert {(name, total) for _, name, _, total in found} == {(kind, data.x.sum())}
    assert [job for job, *_ in found] == list(range(8))
    assert len(pickled) == 1
    if workers == "dask":
        assert scattered.count(200_000) == 1
    else:  # mapped, or in Ray's store
        assert not any(writeable for _, _, writeable, _ in found)


def test_ensembles_and_searches_are_the_same(workers):
    ensemble = MLPEnsembleClassifier((5,), max_iter=3, n_estimators=2, bootstrap=True,
                                     random_state=0)
    search = GridSearchCV(MLPClassifier((5,), max_iter=3, random_state=0),
                          {"learning_rate_init": [0.001, 0.1]}, cv=2)
    found = ensemble.fit(X, Y).predict_proba(X)
    scores = search.fit(X, Y).cv_results_["mean_test_score"]
    with joblib.parallel_config("sequential"):
        np.testing.assert_array_equal(ensemble.fit(X, Y).predict_proba(X), found)
        np.testing.assert_array_equal(
            search.fit(X, Y).cv_results_["mean_test_score"], scores)


def test_workers_do_not_crowd_the_cores(workers):
    def threads():
        from cbackprop import thread_choice
        return thread_choice.most()

    (count,) = set(joblib.Parallel(2)(joblib.delayed(threads)() for _ in range(4)))
    assert count == (max(1, joblib.cpu_count() // 2) if workers == "loky" else 1)
