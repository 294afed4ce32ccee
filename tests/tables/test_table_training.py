"""From a table to a trained network: what is decided, what is kept, what it is worth."""

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, train_table
from cbackprop.table_training import prepare_table

HEADER = "id,width,height,colour,ripe,kind"


def fruit(n=90, seed=0):
    """Return lines of a CSV, in which colour and width tell what it is."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.arange(n) % 3)
    lines = [HEADER]
    for at, kind in enumerate(kinds):
        width = "" if rng.random() < 0.1 else f"{rng.normal(3 * kind, 0.5):.3f}"
        colour = ["red", "green", "green"][kind]
        lines.append(f"{at},{width},{rng.normal():.3f},{colour},{rng.random() < 0.5},"
                     f"{['apple', 'pear', 'plum'][kind]}")
    return "\n".join(lines)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "fruit.csv").write_text(fruit())
    return tmp_path / "fruit.csv"


@pytest.fixture
def trained(path):
    return train_table(path, test_split=0.2, seed=0)


def test_a_file_gives_a_good_network(path, trained):
    net = trained.network
    assert net.accuracy(trained.part("test")) >= 0.9
    assert net.classes == ("apple", "pear", "plum")
    assert net.preprocessing.columns == (
        "width", "width missing", "height", "colour = green", "colour = red", "colour unknown",
        "ripe")
    assert {name: len(rows) for name, rows in trained.rows.items()} == {
        "training": 58, "validation": 14, "test": 18}
    text = str(trained)
    assert text.startswith(f"read: {path}, 90 rows, 6 columns\n")
    assert "\ntarget: column 'kind', the last" in text
    assert "\nleft out: column 'id', " in text
    assert "columns: 4 columns -> 7 inputs: 2 standardised, 1 boolean, 1 one-hot" in text
    assert "--optimizer adam: " in text
    assert repr(trained).startswith(repr(net))


def test_what_is_done_to_columns_is_fitted_on_what_is_trained_on(trained):
    height = trained.table.columns["height"]
    column = next(c for c in trained.network.preprocessing.inputs if c.name == "height")
    training = height[trained.rows["training"]]
    assert (column.mean, column.scale) == pytest.approx((training.mean(), training.std()))
    assert column.mean != pytest.approx(height.mean())


def test_the_parts_are_all_rows_and_every_class_alike(trained):
    parts = trained.rows.values()
    assert sorted(np.concatenate(list(parts)).tolist()) == list(range(90))
    for part in parts:
        counts = np.bincount(trained.target.y[part])
        assert counts.max() - counts.min() <= 1


def test_a_loaded_network_takes_files_as_they_are(trained, tmp_path):
    trained.network.save(tmp_path / "net.npz")
    net = Network.load(tmp_path / "net.npz")
    for rows in ("training", "validation", "test"):
        x, y = trained.part(rows)
        assert np.array_equal(net.feedforward(x), trained.network.feedforward(x))
        assert net.evaluate((x, y)) == trained.network.evaluate((x, y))
    (tmp_path / "more.csv").write_text(fruit(seed=1))
    more = cbackprop.tables.read(tmp_path / "more.csv")
    outputs = net.feedforward(more.without(["kind", "id"]))
    assert np.mean(np.array(net.classes)[outputs.argmax(axis=1)]
                   == more.columns["kind"]) == net.accuracy(more) > 0.9


def test_what_is_unknown_in_training_counts_for_nothing(trained):
    x, _ = trained.part("test")
    x.columns["colour"][:] = "blue"
    net = trained.network
    made = net.preprocessing.transform(x)
    assert made[:, 5].all()
    without = made.copy()
    without[:, 5] = 0
    assert np.array_equal(net.feedforward(x), net.feedforward(without))


def test_the_same_seed_gives_the_same_bits(path):
    one, other, third = (train_table(path, seed=seed, epochs=3, hidden=[5]).network
                         for seed in (1, 1, 2))
    assert one.sizes == (7, 5, 3)
    assert all(map(np.array_equal, one.weights, other.weights))
    assert not np.array_equal(one.weights[0], third.weights[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_come_out_in_their_own_unit(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = 3e6 + 1e5 * (x @ [2.0, -1.0])
    trained = train_table({"a": x[:, 0], "b": x[:, 1] * 1e4, "price": y}, kind="regression",
                          test_split=0.25, seed=0, dtype=dtype)
    given, wanted = trained.part("test")
    found = trained.network.feedforward(given)[:, 0]
    assert np.sqrt(((found - wanted)**2).mean()) < 0.1 * wanted.std()
    assert trained.network.classes is None
    assert trained.network.total_cost((given, wanted)) == pytest.approx(
        ((found - wanted)**2).mean() / 2, 1e-3)


def test_no_memory_of_standardised_targets_is_left():
    """With it, a step of SGD would be by gradients of another unit."""
    x = np.random.default_rng(0).normal(size=(100, 2))
    table = {"a": x[:, 0], "b": x[:, 1], "price": 3e6 + 1e5 * x[:, 0]}
    trained = train_table(table, seed=0, epochs=3, hidden=[5])
    net = trained.network
    fresh = Network(**net.settings(), initializer=(net.weights, net.biases), seed=0)
    net.engine.random = np.random.default_rng(0)
    fresh.engine.random = np.random.default_rng(0)
    data = net.inputs(trained.table), trained.target.y
    for one in (net, fresh):
        one.SGD(data, 1, 10, 1e-3, optimizer="adam")
    assert all(map(np.array_equal, net.weights, fresh.weights))
    before = net.measure(data)["r2"]
    trained.run()
    assert net.measure(data)["r2"] > before - 0.1


def test_counts_and_several_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    rate = np.exp(1 + 0.8 * x[:, 0])
    counts = train_table({"a": x[:, 0], "b": x[:, 1], "visits": rng.poisson(rate)}, seed=0)
    assert (counts.target.kind, counts.network.cost) == ("counts", "poisson")
    found = counts.network.feedforward({"a": x[:, 0], "b": x[:, 1]})[:, 0]
    assert np.corrcoef(np.log(found), np.log(rate))[0, 1] > 0.95
    labels = train_table({"a": x[:, 0], "b": x[:, 1], "is_up": x[:, 0] > 0, "is_far": x[:, 1] > 0},
                         ["is_up", "is_far"], seed=0)
    assert labels.network.classes == ("is_up", "is_far")
    outputs = labels.network.feedforward({"b": x[:, 1], "a": x[:, 0]})
    assert ((outputs > 0.5) == (x > 0)).mean() > 0.95


def test_classes_weigh_by_their_names():
    """Equal to a training of the same network on the same rows, with a weight for each row."""
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=120), "kind": np.array(["rye", "oat", "rye", "rye"] * 30)}
    weights = {"oat": 3.0, "rye": 0.5}
    named, balanced, by_row, equal = (prepare_table(table, seed=0, epochs=3, hidden=[5])
                                      for _ in range(4))
    named.run(class_weight=weights)
    balanced.run(class_weight="balanced")
    by_row.run(sample_weight=[weights[name] for name in by_row.part("training")[1]])
    equal.run()
    assert all(map(np.array_equal, named.network.weights, by_row.network.weights))
    assert not np.array_equal(named.network.weights[0], equal.network.weights[0])
    for weight, other in ((weights, named), ("balanced", balanced)):
        net = train_table(table, seed=0, epochs=3, hidden=[5], class_weight=weight).network
        assert all(map(np.array_equal, net.weights, other.network.weights))


@pytest.mark.parametrize(("arguments", "error", "match"), [
    ({"class_weight": {"fig": 2.0}}, ValueError,
     r"^class_weight must be for classes of the target, \['apple', 'pear', 'plum'\], got 'fig'$"),
    ({"target": "height", "class_weight": {"fig": 2.0}}, ValueError,
     "^class_weight needs targets that are classes"),
    ({"optimiser": "adam"}, TypeError, "'optimiser': did you mean 'optimizer'"),
    ({"target": "sort"}, ValueError, "^target must be a column of .*fruit.csv"),
    ({"left_out": "sort"}, ValueError, "^left_out must name columns of .*fruit.csv.* got 'sort'"),
    ({"test_split": 1}, ValueError, "^test_split must be a number of at least 0 and below 1"),
    ({"test_split": [89, 90]}, ValueError, "^test_split must be a share, or some .* rows below 90"),
    ({"test_split": [1, 1]}, ValueError, "^test_split must be a share, or some different rows"),
    ({"test_split": range(90)}, ValueError, "^test_split must be a share, or some different rows"),
    ({"lr": 0.1}, TypeError, r"^train_table\(\) .* 'lr': did you mean 'eta'"),
    ({"hidden": [5], "sizes": [7, 5, 3]}, TypeError, "^hidden must be left out if sizes"),
    ({"hidden": "30"}, TypeError, "^hidden must be a list of int, got '30'"),
    ({"target": "kind", "left_out": "kind"}, ValueError, "^left_out must not name the target"),
    ({"sizes": [5, 3]}, ValueError, "^sizes must begin with 7"),
    ({"kind": "regression"}, ValueError, "must be a column of numbers, got 'apple'|'p"),
])
def test_what_cannot_be_trained(arguments, error, match, path):
    with pytest.raises(error, match=match):
        train_table(path, **arguments)
