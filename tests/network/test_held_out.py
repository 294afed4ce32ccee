"""`validation_split` and `shuffle`: which rows are held out, and that nothing else is different."""

from collections import Counter

import numpy as np
import pytest
from memory import peak

from cbackprop import Network, RowSource
from cbackprop.callbacks import EarlyStopping

SIZES = [6, 4, 3]


def network(sizes=SIZES, **settings):
    return Network(sizes, **{"seed": 0, "dtype": "float64"} | settings)


def data(n=61, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6)) * (rng.random((n, 6)) < 0.5)
    return x, np.minimum(rng.integers(0, 5, n), 2)


def split(net, examples, share=0.2, **arguments):
    """Return what was trained on, what was held out, and the history."""
    training = net.prepare(examples, 2, 5, 0.5, validation_split=share, **arguments)
    history = training.run()
    return training.split.training.numbers, training.split.held_out.numbers, history


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


class Source(RowSource):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y)

    def take(self, indices):
        return self.x[indices], self.y[indices]


def frame(x, y):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(x), pandas.Series(y)


def sparse(x, y):
    return pytest.importorskip("scipy.sparse").csr_matrix(x), y


def sparse_targets(x, y):
    return x, pytest.importorskip("scipy.sparse").csr_matrix(np.eye(3)[y])


def loader(x, y):
    torch = pytest.importorskip("torch")
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), batch_size=7)


FORMS = {
    "arrays": lambda x, y: (x, y),
    "float32": lambda x, y: (x.astype(np.float32), y),
    "uint8": lambda x, y: ((50 * np.abs(x)).astype(np.uint8), y),
    "one-hot": lambda x, y: (x, np.eye(3)[y]),
    "pairs": lambda x, y: [(row[:, None], np.eye(3)[label][:, None])
                           for row, label in zip(x, y, strict=True)],
    "frames": frame,
    "sparse": sparse,
    "sparse targets": sparse_targets,
    "loader": loader,
    "source": Source,
}


@pytest.mark.filterwarnings("ignore:x of training_data holds bytes")
@pytest.mark.parametrize("form", FORMS)
def test_it_is_training_on_the_other_rows(form):
    x, y = data()
    net, twin = network(), network()
    kept, held, history = split(net, FORMS[form](x, y))
    if form in ("float32", "uint8"):
        x, _ = FORMS[form](x, y)
    twin.engine.seed()  # what the split was drawn from
    wanted = twin.SGD((x[kept], y[kept]), 2, 5, 0.5, evaluation_data=(x[held], y[held]))
    assert sorted([*kept, *held]) == list(range(61))
    assert len(held) == 12
    assert history.rows == 49
    if form.startswith("sparse"):  # zeros are left out of the sums
        np.testing.assert_allclose(parameters(net), parameters(twin), rtol=1e-12)
    else:
        assert np.array_equal(parameters(net), parameters(twin))
    np.testing.assert_allclose(history.evaluation_cost, wanted.evaluation_cost, rtol=1e-12)
    assert history.evaluation_accuracy == wanted.evaluation_accuracy
    if form != "source":  # whose classes nobody knows
        assert_alike(y[kept], y[held])


def assert_alike(kept, held):
    for label, count in Counter([*kept, *held]).items():
        exact = count * len(held) / (len(kept) + len(held))
        assert abs(np.sum(held == label) - exact) < 1


def test_weights_go_with_their_rows():
    x, y = data()
    weight = np.random.default_rng(1).random(61)
    net, twin = network(), network()
    kept, held, history = split(net, (x, y), sample_weight=weight)
    twin.engine.seed()
    twin.SGD((x[kept], y[kept]), 2, 5, 0.5, sample_weight=weight[kept])
    assert np.array_equal(parameters(net), parameters(twin))
    cost = twin.total_cost((x[held], y[held]), sample_weight=weight[held])
    assert history.evaluation_cost[-1] == pytest.approx(cost, rel=1e-12)


def test_monitors_of_training_are_of_what_is_trained_on():
    x, y = data()
    net = network()
    kept, _, history = split(net, (x, y), monitor=["training_cost", "training_accuracy"])
    assert history.training_cost[-1] == pytest.approx(net.total_cost((x[kept], y[kept])), rel=1e-12)
    assert history.training_accuracy[-1] == net.accuracy((x[kept], y[kept]))


def test_lmbda_is_divided_by_what_is_trained_on():
    x, y = data()
    net, twin = network(), network()
    kept, _, _ = split(net, (x, y), lmbda=5.0)
    twin.engine.seed()
    twin.SGD((x[kept], y[kept]), 2, 5, 0.5, lmbda=5.0)
    assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize(("outputs", "targets"), [
    (3, lambda y: y), (3, lambda y: np.eye(3)[y]), (3, lambda y: 2 * np.eye(3)[y] - 1),
    (3, lambda y: 0.05 + 0.85 * np.eye(3)[y]), (1, lambda y: (y == 1) * 1.0),
    (1, lambda y: 2.0 * (y == 1) - 1)])
@pytest.mark.parametrize("share", [0.05, 0.1, 1 / 3, 0.5, 0.9])
def test_classes_are_held_out_alike(outputs, targets, share):
    x, y = data(97)
    net = network([6, outputs], output_activation="tanh")
    kept, held, _ = split(net, (x, targets(y)), share)
    assert len(held) == round(97 * share)
    shown = y if outputs == 3 else y == 1
    assert_alike(shown[kept], shown[held])


def test_the_only_one_of_its_class_is_trained_on():
    x, y = data(40)
    y[:] = np.arange(40) % 2
    y[7] = 2
    for seed in range(9):
        kept, _, _ = split(network(seed=seed), (x, y), 0.35)
        assert 7 in kept


def test_numbers_are_held_out_at_random():
    x, _ = data(400)
    y = x[:, :3] ** 2
    drawn = [split(network(seed=seed, output_activation="identity"), (x, y / 50), 0.25)[1]
             for seed in range(20)]
    assert len({tuple(held) for held in drawn}) == 20
    times = np.bincount(np.concatenate(drawn), minlength=400)  # binomial: 20 times 1/4
    assert abs(times.mean() - 5) < 1e-9
    assert 0.7 * 3.75 < times.var() < 1.3 * 3.75


def test_each_call_draws_anew_and_nothing_is_drawn_without():
    net = network()
    _, first, _ = split(net, data())
    _, second, _ = split(net, data())
    assert not np.array_equal(first, second)
    plain, twin = network(), network()
    plain.SGD(data(), 2, 5, 0.5)
    twin.SGD(data(), 2, 5, 0.5, validation_split=0)
    assert np.array_equal(parameters(plain), parameters(twin))


def test_rows_in_their_order():
    x, y = data(23)
    net, twin = network(), network()
    state = net.engine.random.bit_generator.state
    net.SGD((x, y), 2, 5, 0.5, shuffle=False)
    for first in 2 * [0, 5, 10, 15, 20]:
        twin.update_mini_batch((x[first:first + 5], y[first:first + 5]), 0.5)
    assert np.array_equal(parameters(net), parameters(twin))
    assert net.engine.random.bit_generator.state == state


def test_rows_in_their_order_hold_out_the_last():
    kept, held, _ = split(network(), data(), shuffle=False)
    assert np.array_equal(kept, np.arange(49))
    assert np.array_equal(held, np.arange(49, 61))


@pytest.mark.filterwarnings("ignore:after 1 epoch")  # nothing is to be learned
def test_x_is_not_copied():
    x = np.random.default_rng(0).random((20_000, 400), np.float32)
    y = np.arange(20_000) % 2
    net = network([400, 2], dtype="float32")
    assert peak(lambda: net.SGD((x, y), 1, 100, 0.1, validation_split=0.5)) < x.nbytes / 4


def test_early_stopping_keeps_the_best_on_it():
    net = network()
    stopping = EarlyStopping("evaluation_cost", patience=3)
    training = net.prepare(data(), 500, 5, 3.0, validation_split=0.3, callbacks=[stopping])
    history = training.run()
    assert len(history) == stopping.best_epoch + 3 < 500
    x, y = data()
    held = training.split.held_out.numbers
    assert net.total_cost((x[held], y[held])) == pytest.approx(min(history.evaluation_cost))


def test_preparing_changes_nothing():
    net, twin = network(), network()
    net.prepare(data(), 2, 5, 0.5, validation_split=0.2)
    assert np.array_equal(split(net, data())[1], split(twin, data())[1])


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"validation_split": 1}, ValueError, "^validation_split must be a number of at least 0 and b"),
    ({"validation_split": -0.1}, ValueError, "^validation_split must be a number of at least 0"),
    ({"validation_split": "0.1"}, TypeError, "^validation_split must be a number of at least 0"),
    ({"validation_split": np.nan}, ValueError, "^validation_split must be a number of at least 0"),
    ({"validation_split": 0.1, "evaluation_data": data()}, ValueError,
     "^validation_split must be None where there is evaluation_data, got 0.1$"),
    ({"validation_split": 0.99}, ValueError, "^validation_split must leave an example to train o"),
    ({"validation_split": 0.9}, ValueError, "^mini_batch_size must be an integer of at least 1 an"),
    ({"shuffle": 1}, TypeError, "^shuffle must be True or False, got 1$"),
    ({"shuffle": None}, TypeError, "^shuffle must be True or False, got None$"),
])
def test_bad_splits(arguments, error, rule):
    net, twin = network(), network()
    with pytest.raises(error, match=rule) as raised:
        net.SGD(data(23), 2, 5, 0.5, **arguments)
    assert "\n" not in str(raised.value)
    assert net.SGD(data(), 1, 5, 0.5).cost == twin.SGD(data(), 1, 5, 0.5).cost


@pytest.mark.parametrize("form", [lambda x, y: (x, y), sparse_targets])
@pytest.mark.parametrize(("weighs", "arguments", "rule"), [
    (lambda at: at < 0, {}, "^training_data must not all weigh 0: sample_weight and class_weight"),
    (lambda at: at < 40, {"validation_split": 0.2, "shuffle": False},
     "^the rows held out for validation must not all weigh 0: .* leave nothing of 12 rows$"),
    (lambda at: at >= 50, {"validation_split": 0.2, "shuffle": False}, "^the rows to train on mus"),
    (lambda at: at == 0, {"validation_split": 0.2}, "^the rows .* must not all weigh 0"),
])
def test_what_is_held_out_and_the_rest_must_weigh_something(weighs, arguments, rule, form):
    net, untrained = network(), network()
    with pytest.raises(ValueError, match=rule):
        net.SGD(form(*data()), 2, 5, 0.5, **arguments, sample_weight=weighs(np.arange(61)) * 1.0)
    assert np.array_equal(parameters(net), parameters(untrained))


def test_lbfgs_needs_rows_that_weigh_something():
    with pytest.raises(ValueError, match=r"^training_data must not all weigh 0"):
        network().LBFGS(data(), 2, class_weight=dict.fromkeys(range(3), 0))


def test_what_is_held_out_must_be_finite():
    x, y = data()
    x[-1, 2] = np.nan
    with pytest.raises(ValueError, match=r"^x of training_data must be finite, got nan at \[60, 2"):
        network().SGD((x, y), 2, 5, 0.5, validation_split=0.1, shuffle=False)
