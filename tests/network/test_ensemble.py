"""Ensembles: what their networks become, say and refuse; and train_many in lanes."""

import copy
import io
import pickle
import zipfile

import numpy as np
import pytest

import cbackprop
from cbackprop import (
    DivergenceError,
    Ensemble,
    Network,
    callbacks,
    lanes,
    lockstep,
    schedules,
    train_many,
)

REALS = ("float32", "float64")


def data(n=61, inputs=4, classes=3, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, inputs)).astype(dtype), rng.integers(0, classes, n)


def networks(count, dtype="float32", sizes=(4, 9, 3), **settings):
    return [Network(sizes, dtype=dtype, cost="log_likelihood", seed=seed, **settings)
            for seed in range(count)]


def alone(nets, training_data, each=None, **common):
    """Train each by its own SGD; each's divergence in its place."""
    found = []
    for at, net in enumerate(nets):
        own = {name: values[at] for name, values in (each or {}).items()}
        try:
            found.append(net.SGD(training_data, **common, **own))
        except DivergenceError as error:
            found.append(error)
    return found


def close(nets, twins, histories, expected, dtype="float32"):
    bound = 1e-11 if dtype == "float64" else 2e-4
    for net, twin, history, wanted in zip(nets, twins, histories, expected, strict=True):
        assert type(history) is type(wanted)
        if isinstance(wanted, DivergenceError):
            assert str(history) == str(wanted)
        else:
            assert (history.recorded, history.eta, history.steps, history.seed) == (
                wanted.recorded, wanted.eta, wanted.steps, wanted.seed)
            for name in set(wanted.recorded) - {"seconds", "rows_per_second"}:
                np.testing.assert_allclose(history.series(name), wanted.series(name),
                                           rtol=20 * bound, atol=20 * bound)
        for view, other in zip([*net.weights, *net.biases], [*twin.weights, *twin.biases],
                               strict=True):
            np.testing.assert_allclose(view, other, rtol=0, atol=bound * 10)
        assert net.engine.random.bit_generator.state == twin.engine.random.bit_generator.state


CASES = {
    "plain": {"eta": 0.1},
    "adam": {"eta": 0.01, "optimizer": "adam", "lmbda": 0.1, "monitor": ["training_cost"]},
    "held out": {"eta": 0.1, "validation_split": 0.2},
    "in order": {"eta": 0.1, "shuffle": False},
    "dropout": {"eta": 0.1, "dropout": 0.2, "noise": 0.1},
    "schedule": {"eta": schedules.Exponential(0.2, every=8)},
    "chosen eta": {},
    "weights": {"eta": 0.1, "class_weight": "balanced"},
}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_each_gets_what_its_own_sgd_gives(arguments, dtype):
    training_data = data(dtype=dtype)
    nets, twins = networks(5, dtype), networks(5, dtype)
    common = {"epochs": 3, "mini_batch_size": 8, **arguments}
    histories = Ensemble(nets).SGD(training_data, **common)
    close(nets, twins, histories, alone(twins, training_data, **common), dtype)


def test_values_of_each_network():
    training_data, eta = data(), [0.1, 1e38, 0.3, 0.2]
    nets, twins = networks(4), networks(4)
    each = {"eta": eta, "epochs": [2, 3, 0, 5], "lmbda": [0.0, 0.1, 0.2, 0.3]}
    common = {"mini_batch_size": 8, "test_data": training_data}
    histories = Ensemble(nets).SGD(training_data, **common, **each)
    expected = alone(twins, training_data, each, **common)
    assert [isinstance(each, DivergenceError) for each in histories] == [False, True, False, False]
    close(nets, twins, histories, expected)


@pytest.mark.parametrize("kind", [tuple, np.array, iter, lambda values: dict.fromkeys(values, 0)])
def test_any_iterable_has_values_of_each_network(kind):
    histories = Ensemble(networks(3)).SGD(data(), 1, 8, kind([0.1, 0.2, 0.3]))
    assert [history.eta for history in histories] == [[0.1], [0.2], [0.3]]
    assert len(Ensemble(networks(3)).SGD(data(), 1, 8, np.array(0.1))) == 3


def test_iterators_are_read_for_all_networks():
    x, y = data()
    histories = Ensemble(networks(3)).SGD(
        zip(x, y, strict=True), 1, 8, 0.1, zip(x, y, strict=True),
        evaluation_data=zip(x, y, strict=True), monitor=iter(["cost", "accuracy"]))
    wanted = Ensemble(networks(3)).SGD((x, y), 1, 8, 0.1, (x, y), evaluation_data=(x, y),
                                       monitor=["cost", "accuracy"])
    for history, other in zip(histories, wanted, strict=True):
        assert history.recorded == other.recorded
        assert history.series("test_cost") == other.series("test_cost")


def test_attributes_that_only_networks_have():
    ensemble = Ensemble(networks(2))
    with pytest.raises(AttributeError, match=r"no attribute 'predict': each of its networks has "):
        ensemble.predict(data()[0])
    with pytest.raises(AttributeError, match=r"no attribute 'fit': SGD trains"):
        ensemble.fit(*data())
    with pytest.raises(AttributeError, match=r"^'Ensemble' object has no attribute 'nonsense'$"):
        ensemble.nonsense()
    assert len(copy.deepcopy(ensemble)) == len(pickle.loads(pickle.dumps(ensemble))) == 2


def test_bags():
    x, y = data()
    weights = np.random.default_rng(1).integers(0, 3, (4, len(x)))
    nets, twins = networks(4), networks(4)
    histories = Ensemble(nets).SGD((x, y), 2, 8, 0.1, sample_weight=weights)
    expected = [twin.SGD((x, y), 2, 8, 0.1, sample_weight=own)
                for twin, own in zip(twins, weights, strict=True)]
    close(nets, twins, histories, expected)


def test_a_callback_stops_its_network_alone():
    training_data = data()
    stop = callbacks.EarlyStopping("evaluation_cost", patience=1)
    nets, twins = networks(6), networks(6)
    common = {"epochs": 9, "mini_batch_size": 8, "eta": 3.0, "evaluation_data": data(20)}
    histories = Ensemble(nets).SGD(training_data, **common, callbacks=[stop])
    expected = [twin.SGD(training_data, **common, callbacks=[
        callbacks.EarlyStopping("evaluation_cost", patience=1)]) for twin in twins]
    assert len({len(history) for history in histories}) > 1
    close(nets, twins, histories, expected)


def test_a_callback_that_fails_ends_all_trainings():
    def fail(network, history):
        raise ArithmeticError("enough")

    ensemble = Ensemble(networks(3))
    with pytest.raises(ArithmeticError, match="enough"):
        ensemble.SGD(data(), 3, 8, 0.1, callbacks=[fail])
    assert [len(history) for history in ensemble.SGD(data(), 3, 8, 0.1)] == [3, 3, 3]


@pytest.mark.parametrize("method", ["on_train_begin", "on_epoch_begin", "on_measure", "eta"])
def test_stop_training_ends_its_network_alone(method):
    class Stop(callbacks.Callback):
        pass

    def stop(self, network, history):
        if len(history) == (2 if method != "on_train_begin" else 0) and network.stops:
            raise callbacks.StopTraining

    setattr(Stop, method, stop)
    eta = schedules.HalveOnStall(3.0, patience=1, stop=0.5) if method == "eta" else 0.1
    common = {"epochs": 6, "mini_batch_size": 8, "eta": eta, "test_data": data(20)}
    nets, twins = networks(5), networks(5)
    for each in (nets, twins):
        for seed, net in enumerate(each):
            net.stops = seed in (0, 3)
    histories = Ensemble(nets).SGD(data(), callbacks=[Stop()], **common)
    expected = [twin.SGD(data(), callbacks=[Stop()], **common) for twin in twins]
    assert len({len(history) for history in histories}) > 1
    close(nets, twins, histories, expected)
    assert len(train_many(networks(5), data(), in_lanes=True, **common)) == 5


def test_after_an_error_every_network_has_whole_epochs():
    def fail(network, history):
        if network is nets[1] and len(history) == 2:
            raise ArithmeticError("enough")
        if network is nets[2] and len(history) == 2:
            raise KeyboardInterrupt

    nets, twins = networks(4), networks(4)
    with pytest.raises(KeyboardInterrupt):
        Ensemble(nets).SGD(data(), 3, 8, 0.1, callbacks=[fail])
    close(nets, twins, [net.history for net in nets],
          alone(twins, data(), epochs=2, mini_batch_size=8, eta=0.1))


def test_a_network_without_epochs_keeps_another_optimizers_state():
    nets = networks(3)
    nets[0].SGD(data(), 2, 8, 0.01, optimizer="adam")
    before, state = nets[0].engine.core.parameters.copy(), nets[0].engine.optimizer_state
    histories = Ensemble(nets).SGD(data(), [0, 2, 2], 8, 0.01, optimizer="momentum")
    assert [len(history) for history in histories] == [0, 2, 2]
    assert np.array_equal(nets[0].engine.core.parameters, before)
    assert nets[0].engine.optimizer_state is state


def test_training_goes_on_where_it_was():
    training_data = data()
    nets, twins = networks(3), networks(3)
    for epochs in (1, 2):
        Ensemble(nets).SGD(training_data, epochs, 8, 0.01, optimizer="adam", resume=epochs == 2)
    (first, *_) = twins
    first.SGD(training_data, 3, 8, 0.01, optimizer="adam")
    close(nets[:1], [first], [nets[0].history], [first.history])
    assert nets[0].engine.optimizer_state.in_core.steps == 24


def test_the_same_order_for_all():
    x, y = data()
    nets = networks(3)
    for net in nets[1:]:
        net.weights, net.biases = nets[0].weights, nets[0].biases
    Ensemble(nets).SGD((x, y), 2, 8, 0.3, same_order=True)
    for net in nets[1:]:
        assert np.array_equal(net.engine.core.parameters, nets[0].engine.core.parameters)
    Ensemble(nets).SGD((x, y), 1, 8, 0.3)
    assert not np.array_equal(nets[1].engine.core.parameters, nets[0].engine.core.parameters)


def test_what_networks_say_together():
    x, _ = data()
    nets = networks(9)
    ensemble = Ensemble(nets)
    each = np.array([net.feedforward(x) for net in nets])
    np.testing.assert_allclose(ensemble.feedforward(x, "all"), each, atol=1e-6)
    np.testing.assert_allclose(ensemble.feedforward(x), each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(ensemble.feedforward(x, 0.5), np.median(each, axis=0), atol=1e-6)
    assert ensemble.feedforward(x, [0.1, 0.5, 0.9]).shape == (3, 61, 3)
    votes = np.array([(each.argmax(axis=2) == j).mean(axis=0) for j in range(3)]).T
    np.testing.assert_allclose(ensemble.feedforward(x, "vote"), votes, atol=1e-6)
    assert ensemble.feedforward(x[0]).shape == (3,)
    assert ensemble.feedforward(x[0][:, None], "all").shape == (9, 3, 1)
    single = [Network([4, 5, 1], seed=seed) for seed in range(4)]
    above = np.mean([net.feedforward(x) > 0.5 for net in single], axis=0)
    np.testing.assert_allclose(Ensemble(single).feedforward(x, "vote"), above)


def test_measures_are_of_the_mean_output():
    test_data = data()
    ensemble = Ensemble(networks(5))
    ensemble.SGD(test_data, 5, 8, 1.0)
    expected = (ensemble.feedforward(test_data[0]).argmax(axis=1) == test_data[1]).mean()
    assert ensemble.measure(test_data)["accuracy"] == expected


def test_files(tmp_path):
    ensemble = Ensemble(networks(3))
    ensemble.SGD(data(), 2, 8, 0.1, optimizer="momentum")
    ensemble.save(tmp_path / "three.zip")
    copy = Ensemble.load(tmp_path / "three.zip")
    for each in (ensemble, copy):
        each.SGD(data(), 1, 8, 0.1, optimizer="momentum", resume=True)
    for net, twin in zip(ensemble, copy, strict=True):
        assert np.array_equal(net.engine.core.parameters, twin.engine.core.parameters)
        assert net.history.cost == twin.history.cost
    for content, error in ((b"no zip", "is not a usable ensemble"), (b"", "bytes left to read")):
        with pytest.raises(ValueError, match=error):
            Ensemble.load(io.BytesIO(content))
    with pytest.raises(ValueError, match="more than max_bytes = 100 bytes"):
        Ensemble.load(tmp_path / "three.zip", max_bytes=100)


def own_activation():
    return cbackprop.Activation(lambda z: z, lambda z: np.ones_like(z))


REFUSED = {
    "none": (list, TypeError, "networks must be a list of networks"),
    "no network": (lambda: [1], TypeError, "networks must be a list of networks"),
    "twice": (lambda: networks(1) * 2, ValueError, "got one twice"),
    "sizes": (lambda: [*networks(1), *networks(1, sizes=(4, 3))], ValueError,
              r"must have the same sizes, got \(4, 9, 3\) and, in networks\[1\], \(4, 3\)"),
    "cost": (lambda: [*networks(1), Network([4, 9, 3], output_activation="softmax")], ValueError,
             r"must have the same cost, got 'log_likelihood' and, in networks\[1\], 'quadratic'"),
    "scale": (lambda: [*networks(1), *networks(1, input_scale=2.0)], ValueError,
              r"must have the same input_scale, got 1.0 and, in networks\[1\], 2.0"),
    "own": (lambda: networks(2, activation=own_activation()), ValueError, "of the user's own"),
    "bfloat16": (lambda: [*networks(1), *networks(1, compute_dtype="bfloat16")], ValueError,
                 r"^an Ensemble cannot have compute_dtype='bfloat16', got it in networks\[1\]"),
}


@pytest.mark.parametrize(("nets", "kind", "error"), REFUSED.values(), ids=REFUSED)
def test_networks_that_are_refused(nets, kind, error):
    with pytest.raises(kind, match=error) as found:
        Ensemble(nets())
    assert "\n" not in str(found.value)


BAD = {
    "too few": ({"eta": [0.1, 0.2]}, ValueError, "eta must be one value, or one for each of 3"),
    "optimizers": ({"optimizer": ["sgd", "adam", "adam"]}, ValueError, "must have one optimizer"),
    "weights": ({"sample_weight": np.ones((2, 61))}, ValueError, r"must be \(n,\), or \(3, n\)"),
    "ragged": ({"sample_weight": [[1.0] * 61, [1.0], [1.0]]}, ValueError,
               "sample_weight must be rows of equal length"),
    "factors": ({"eta_factors": [1, 0]}, ValueError, "cannot train with eta_factors"),
    "nonnegative": ({"nonnegative": True}, ValueError, "cannot train with nonnegative"),
    "progress": ({"progress": lambda *_: None}, ValueError, "called during an epoch"),
    "split": ({"validation_split": 0.1, "same_order": True}, ValueError,
              "same_order must be False"),
    "output": ({"callbacks": 1}, TypeError, "callbacks must be a list"),
    "word": ({"momentun": 1}, TypeError, "momentun"),
    "later": ({"lmbda": [0, 0, -1]}, ValueError, r"^networks\[2\]: lmbda must be"),
    "nothing": ({"sample_weight": np.eye(3)[[0, 2, 1]].repeat(61, 1)[:, 61:122]}, ValueError,
                r"^networks\[0\]: training_data must not all weigh 0"),
    "all": ({"lmbda": -1}, ValueError, "^lmbda must be"),
}


@pytest.mark.parametrize(("change", "kind", "error"), BAD.values(), ids=BAD)
def test_arguments_that_are_refused_change_nothing(change, kind, error):
    nets = networks(3)
    before = [net.engine.core.parameters.copy() for net in nets]
    states = [net.engine.random.bit_generator.state for net in nets]
    with pytest.raises(kind, match=error) as found:
        Ensemble(nets).SGD(data(), **{"epochs": 2, "mini_batch_size": 8, "eta": 0.1, **change})
    assert "\n" not in str(found.value)
    for net, parameters, state in zip(nets, before, states, strict=True):
        assert np.array_equal(net.engine.core.parameters, parameters)
        assert net.engine.random.bit_generator.state == state
        assert net.history is None


@pytest.mark.parametrize("output", ["means", -0.1, [0.5, 1.5], [[0.5]]])
def test_outputs_that_are_refused(output):
    with pytest.raises(ValueError, match=r"^output must be one of"):
        Ensemble(networks(2)).feedforward(data()[0], output)
    with pytest.raises(ValueError, match=r"^a "):
        Ensemble(networks(2)).feedforward(np.full((1, 4), np.nan))


# ---- train_many ----


def test_train_many_takes_lanes_where_they_fit(monkeypatch):
    taken = []
    run = lockstep.run
    monkeypatch.setattr(lockstep, "run", lambda trainings, *args: taken.append(
        [training.network for training in trainings]) or run(trainings, *args))
    x, y = data()
    small, other = networks(6), networks(3, sizes=(4, 5, 3))
    odd = networks(1, activation=own_activation())
    jobs = [(net, {"eta": 0.1 * at}) for at, net in enumerate([*small, *odd, *other], 1)]
    twins = [net.copy() for net, _ in jobs]
    histories = train_many(jobs, (x, y), 2, 8, test_data=(x, y), in_lanes=True)
    assert taken == [small, other]
    expected = [twin.SGD((x, y), 2, 8, own["eta"], test_data=(x, y))
                for twin, (_, own) in zip(twins, jobs, strict=True)]
    close([net for net, _ in jobs], twins, histories, expected)
    taken.clear()
    train_many(networks(6), (x, y), 1, 8, 0.1, in_lanes=False)
    train_many(networks(6, sizes=(4, 200, 200, 3)), (x, y), 1, 8, 0.1)
    assert taken == []


def test_train_many_keeps_data_apart():
    (x, y), (other_x, other_y) = data(), data(n=61, classes=2)
    nets, twins = networks(4), networks(4)
    given = [(x, y), (other_x, other_y), (x.copy(), y.copy()), (x + 1, y)]
    histories = train_many(
        [(net, {"training_data": own}) for net, own in zip(nets, given, strict=True)],
        epochs=2, mini_batch_size=8, eta=0.1, in_lanes=True)
    expected = [twin.SGD(own, 2, 8, 0.1) for twin, own in zip(twins, given, strict=True)]
    close(nets, twins, histories, expected)


@pytest.mark.parametrize(("sizes", "count", "threads", "expected"), [
    ([2, 8, 1], 8, 1, 8), ([2, 8, 1], 64, 1, 64), ([2, 8, 1], 1, 1, 0),
    ([2, 8, 1], 8, 8, 0),  # a core for each is quicker
    ([784, 800, 800, 10], 64, 1, 0),
])
def test_lanes_are_taken_where_they_are_quicker(monkeypatch, sizes, count, threads, expected):
    nets = [Network(sizes, seed=seed) for seed in range(count)]
    monkeypatch.setattr(nets[0].engine.build, "group_size", lambda: 8)
    x = np.zeros((4, sizes[0]), np.float32)
    trainings = [net.prepare((x, np.zeros((4, sizes[-1]))), 1, 2, 0.1) for net in nets]
    assert lanes.worthwhile(trainings, threads) == expected


def test_a_network_that_is_not_there(tmp_path):
    ensemble = Ensemble([Network([2, 1], seed=seed) for seed in (1, 2)])
    with pytest.raises(IndexError, match=r"^there are 2 networks, got the index 9$"):
        ensemble[9]
    with pytest.raises(TypeError, match=r"^the index of a network must be an integer, got 'a'; "):
        ensemble["a"]
    with pytest.raises(ValueError, match=r"or quantiles between 0 and 1, got \[\]$"):
        ensemble.feedforward([[0.0, 1.0]], [])
    ensemble[-1].save(tmp_path / "one.npz")
    with pytest.raises(ValueError, match=r"usable ensemble: it holds one network: Network\.load"):
        Ensemble.load(tmp_path / "one.npz")
    ensemble.save(tmp_path / "two.zip")
    with pytest.raises(ValueError, match=r"it holds several networks: Ensemble\.load reads it"):
        Network.load(tmp_path / "two.zip")


VOTES = {  # what the targets are, and what a network says by its outputs
    "-1 and 1": ((4, 1), "tanh", lambda y: 2.0 * (y > 0) - 1, lambda a: a > 0),
    "3 and 7": ((4, 1), "identity", lambda y: 3 + 4.0 * (y > 0), lambda a: a > 5),
    "labels": ((4, 2), "sigmoid", lambda y: np.stack([y > 0, y > 1], 1) * 1.0, lambda a: a > 0.5),
    "classes": ((4, 3), "identity", lambda y: y, lambda a: a == a.max(1, keepdims=True)),
}


@pytest.mark.parametrize(("sizes", "output", "targets", "says"), VOTES.values(), ids=VOTES)
def test_votes_are_what_each_network_predicts(sizes, output, targets, says):
    x, y = data()
    nets = [Network(sizes, output_activation=output, seed=seed) for seed in range(5)]
    ensemble = Ensemble(nets)
    t = targets(y)
    ensemble.SGD((x, t if sizes[1] != 1 else t[:, None]), 5, 8, 0.1)
    shares = np.mean([says(net.feedforward(x)) for net in nets], axis=0)
    assert 0 < shares.mean() < 1
    np.testing.assert_allclose(ensemble.feedforward(x, "vote"), shares, atol=1e-6)


def test_numbers_and_nan_do_not_vote():
    x = data()[0]
    nets = [Network([4, 2], output_activation="identity", seed=seed) for seed in range(3)]
    Ensemble(nets).SGD((x, x[:, :2]), 1, 8, 0.1)
    with pytest.raises(ValueError, match=r"^output 'vote' needs networks of classes or .* numbers"):
        Ensemble(nets).feedforward(x, "vote")
    nets = networks(2, activation="identity")
    nets[0].weights[0][:] = 3e38
    votes = Ensemble(nets).feedforward(np.full((1, 4), 1e30), "vote")
    assert np.isnan(nets[0].feedforward(np.full((1, 4), 1e30))).any()
    assert votes.sum() == 0.5


def test_networks_that_read_tables_in_another_way():
    tables = [{"a": np.arange(8.0) + shift, "b": np.arange(8.0) % 3} for shift in (0, 5)]
    nets = [Network([2, 3, 2], seed=seed) for seed in range(2)]
    for net in nets:
        net.preprocessing = cbackprop.tables.Preprocessing.fit(tables[0])
    ensemble = Ensemble(nets)
    np.testing.assert_allclose(ensemble.feedforward(tables[1], "all"),
                               [net.feedforward(tables[1]) for net in nets], rtol=1e-5)
    nets[1].preprocessing = cbackprop.tables.Preprocessing.fit(tables[1])
    y = np.arange(8) % 2
    for use in (lambda: Ensemble(nets), lambda: ensemble.feedforward(tables[1]),
                lambda: ensemble.SGD((tables[1], y), 1, 2, 0.1),
                lambda: ensemble.measure((tables[1], y))):
        with pytest.raises(ValueError, match=r"^networks must have the same preprocessing and cl"):
            use()


def test_damaged_files(tmp_path):
    path, content = tmp_path / "three.zip", io.BytesIO()
    Ensemble(networks(3)).save(content)
    whole = content.getvalue()
    for length in [1, len(whole) // 2, len(whole) - 100, len(whole) - 22, len(whole) - 1]:
        path.write_bytes(whole[:length])
        for read in (Ensemble.load, Network.load):  # the end of a part is a whole archive
            with pytest.raises(ValueError, match=r"not whole|not a zip file"):
                read(path)
    content = io.BytesIO()
    networks(1)[0].save(content)
    for name, method, error in [("0.npz", zipfile.ZIP_LZMA, "0.npz packed by method 14"),
                                ("../0.npz", zipfile.ZIP_STORED, "parts must be 0.npz, 1.npz, ")]:
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(name, content.getvalue())
        with pytest.raises(ValueError, match=error):
            Ensemble.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.npz", b"nothing")
    with pytest.raises(ValueError, match=r"three\.zip is not a usable ensemble: 0\.npz is not a "):
        Ensemble.load(path)
