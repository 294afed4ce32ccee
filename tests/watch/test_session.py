"""What the page is told: every message, right and wrong, and a training that others look at."""

import base64
import gzip
import json
import re
import threading
import time

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network, inspect
from cbackprop.inspect.page import answers
from cbackprop.watch import PROBLEMS, Problem, Session
from cbackprop.watch import session as sessions

LONG = 30  # seconds until a test gives up


@pytest.fixture
def session():
    made = Session()
    yield made
    made.close()


def ask(session, what, **details):
    return session.answer({"ask": what, **details})


def stored_in(html):
    """Return what a file has of answers, unpacked."""
    told = json.loads(re.search(r'id="told">(.*?)</script>', html, re.S)[1])
    packed = json.loads(gzip.decompress(base64.b64decode(told["answers"])))
    return told | {"answers": packed["questions"]}


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_example_is_what_the_core_says(session):
    session.eta = 3.0
    found = ask(session, "example", row=1)
    traced = inspect.trace(session.net, [0.0, 1.0], [1.0])
    assert found["cost"] == pytest.approx(traced.cost, rel=1e-5)
    for layer, told in enumerate(found["layers"][1:]):
        for name in ("z", "a", "delta"):
            np.testing.assert_allclose(told[name], getattr(traced, name)[layer][0], rtol=1e-5)
        np.testing.assert_allclose(told["w"], traced.w[layer], rtol=1e-3)
        np.testing.assert_allclose(told["nabla_w"], traced.nabla_w[layer], rtol=1e-3, atol=1e-9)
    explained = inspect.explain(session.net, [0.0, 1.0], [1.0], eta=3.0, most=10)
    steps = [step for section in found["sections"] for step in section["steps"]]
    assert [step["symbol"][0] for step in steps] == [step.symbol.name for step in explained.steps]
    assert "<mn>3</mn><mo>·</mo>" in steps[-1]["terms"][-1]  # the update's eta


def test_an_edge_has_three_equal_derivatives(session):
    found = ask(session, "edge", row=1, layer=2, j=3, k=2)
    (gradient,) = inspect.trace(session.net, [0.0, 1.0], [1.0]).nabla_w[0][2:3, 1]
    assert found["bp4"] == pytest.approx(gradient, rel=1e-5)
    assert found["measured"] == pytest.approx(gradient, rel=1e-5)
    assert found["total"] == pytest.approx(gradient, rel=1e-5)
    assert found["count"] == len(found["paths"]) == 1
    assert found["measured"] == pytest.approx(
        (found["costs"][0] - found["costs"][1]) / (2 * found["h"]), rel=1e-4)


def test_paths_are_counted_or_summed(monkeypatch):
    net = Network([2, 3, 4, 2], seed=0)
    problem = Problem("mine", lambda: (np.eye(2), np.eye(2)), [3, 4], 1.0, 1, 0)
    session = Session(problem, net)
    found = ask(session, "edge", row=0, layer=2, j=1, k=1)
    assert (found["count"], len(found["paths"])) == (8, 8)
    assert sum(path["factor"] for path in found["paths"]) == pytest.approx(found["bp4"], rel=1e-2)
    sizes = [abs(path["factor"]) for path in found["paths"]]
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(answers, "MAX_PATHS", 7)
    summed = ask(session, "edge", row=0, layer=2, j=1, k=1)
    assert (summed["count"], summed["paths"]) == (8, [])
    assert summed["total"] == pytest.approx(found["bp4"], rel=1e-4)


def test_the_demon_at_each_dz(session):
    found = ask(session, "demon", row=2, layer=2, j=4)
    for at in (0, 20, 33):
        measured, predicted = inspect.demon(
            session.net, [1.0, 0.0], [1.0], layer=0, neuron=3, dz=found["dz"][at])
        assert found["measured"][at] == pytest.approx(measured, rel=1e-4, abs=1e-12)
        assert found["delta"] * found["dz"][at] == pytest.approx(predicted, rel=1e-5, abs=1e-12)
    assert found["dz"][20] == found["measured"][20] == 0


def test_the_plane_is_the_output(session):
    found = ask(session, "plane")
    side = found["side"]
    across = np.linspace(found["low"][0], found["high"][0], side)
    above = np.linspace(found["low"][1], found["high"][1], side)
    for row, column in ((0, 0), (3, 40), (47, 5)):
        output = session.net.feedforward([across[column], above[row]])
        assert found["values"][row * side + column] == pytest.approx(float(output[0]), abs=1e-4)


def test_the_page_as_a_file_has_the_epochs_until_the_one_at_hand(session):
    for epoch in range(1, 6):
        session.net.SGD((session.x, session.y), 1, 4, 2.0)
        session.add_frame(epoch)
    told = stored_in(ask(session, "page", row=2, epoch=3)["html"])
    state, answers = told["state"], told["answers"]
    assert state["frames"] == [frame.told for frame in session.frames[:4]]
    assert (state["title"], state["rows"]) == ("XOR", 1)
    for at in range(4):
        shown = ask(session, "example", row=2, epoch=at)
        assert answers["example"]["cost"]["="][at] == shown["cost"]
        assert answers["plane"]["values"][0]["="][at] == ask(session, "plane", epoch=at)[
            "values"][0]
    given = {"x": [0.5, 0.5], "y": [1.0]}
    drawn = stored_in(ask(session, "page", given=given)["html"])
    assert drawn["state"]["points"] == {"x": [[0.5, 0.5]], "y": [[1.0]]}
    assert len(drawn["state"]["frames"]) == 6


def test_a_drawn_digit_and_its_gradient():
    session = Session(PROBLEMS[-1])
    x = np.zeros(784)
    x[300:340] = 255
    given = {"x": x.tolist(), "y": [0.0] * 3 + [1.0] + [0.0] * 6}
    found = ask(session, "example", given=given)
    np.testing.assert_allclose(found["output"], session.net.feedforward(x), rtol=1e-4)
    assert [layer["size"] for layer in found["layers"]] == [784, 30, 10]
    assert [len(layer["drawn"]) for layer in found["layers"]] == [10, 10, 10]
    gradient = inspect.input_gradient(session.net, x, np.array(given["y"]))
    np.testing.assert_allclose(ask(session, "pixels", given=given)["gradient"],
                               100 * gradient.ravel() / abs(gradient).max(), atol=0.51)
    assert ask(session, "state")["side"] == 28


@pytest.mark.parametrize(("message", "rule"), [
    ([], "a message must be an object, got []"),
    ("x" * 500, "a message must be an object"),
    ({}, "ask must be one of state, example"),
    ({"ask": ["state"]}, "ask must be one of"),
    ({"ask": "__init__"}, "ask must be one of"),
    ({"ask": "close"}, "ask must be one of"),
    ({"ask": "state", "row": 1}, "state: got an unexpected keyword argument 'row'"),
    ({"ask": "edge", "row": 0}, "edge: missing a required argument: 'layer'"),
    ({"ask": "example", "row": 4}, "row must be an integer in 0..3"),
    ({"ask": "example", "row": -1}, "row must be an integer in 0..3"),
    ({"ask": "example", "row": "../x"}, "row must be an integer in 0..3"),
    ({"ask": "example", "row": 0, "epoch": -1}, "epoch must be an integer of at least 0"),
    ({"ask": "example", "given": [1, 2]}, "given must have x and y"),
    ({"ask": "example", "given": {"x": [1.0], "y": [1.0]}}, "x must have"),
    ({"ask": "example", "given": {"x": ["a", "b"], "y": [1.0]}}, "x must"),
    ({"ask": "edge", "row": 0, "layer": 1, "j": 1, "k": 1}, "layer must be an integer"),
    ({"ask": "edge", "row": 0, "layer": 4, "j": 1, "k": 1}, "layer must be an integer"),
    ({"ask": "edge", "row": 0, "layer": 2, "j": 0, "k": 1}, "j must be an integer of at least 1"),
    ({"ask": "edge", "row": 0, "layer": 2, "j": 1, "k": 9}, "k must be an integer"),
    ({"ask": "demon", "row": 0, "layer": 2, "j": 9}, "neuron must be an integer"),
    ({"ask": "data", "name": "/etc/passwd"}, "name must be one of"),
    ({"ask": "network", "hidden": "4, x"}, "hidden layers must be at most 8 numbers"),
    ({"ask": "network", "hidden": "100000"}, "hidden layers must be at most 8 numbers"),
    ({"ask": "network", "hidden": "1," * 9}, "hidden layers must be at most 8 numbers"),
    ({"ask": "network", "hidden": 4}, "hidden layers must be at most 8 numbers"),
    ({"ask": "activation", "name": "sigmund"}, "activation"),
    ({"ask": "activation", "name": "softmax", "layer": 2, "j": 1}, "softmax"),
    ({"ask": "activation", "name": "tanh", "layer": 1, "j": 1}, "layer must be an integer"),
    ({"ask": "activation", "name": "tanh", "layer": 2, "j": 9}, "j must be an integer"),
    ({"ask": "cost", "name": "log_likelihood"}, "softmax"),
    ({"ask": "settings", "eta": 0, "batch": 1, "pace": 1}, "eta must be a number above 0"),
    ({"ask": "settings", "eta": 1, "batch": 5, "pace": 1}, "batch must be an integer"),
    ({"ask": "settings", "eta": 1, "batch": 1, "pace": -1}, "pace must be an integer"),
    ({"ask": "page", "row": 4}, "row must be an integer in 0..3"),
    ({"ask": "page", "row": 0, "epoch": -1}, "epoch must be an integer of at least 0"),
    ({"ask": "page", "row": 0, "path": "x"}, "page: got an unexpected keyword argument 'path'"),
    ({"ask": "train", "epochs": 0}, "epochs must be an integer of at least 1"),
])
def test_a_wrong_message_changes_nothing(session, message, rule):
    before = ask(session, "state")
    with one_line((TypeError, ValueError), re.escape(rule)):
        session.answer(message)
    assert ask(session, "state") == before


def test_training_leaves_frames_that_can_be_looked_at(session):
    with session.listener() as events:
        ask(session, "settings", eta=2.0, batch=4, pace=0)
        ask(session, "train")
        ask(session, "train")  # a second press changes nothing
        until(lambda: len(session.frames) >= 4)
        ask(session, "stop")
        kinds = [events.get_nowait()["event"] for _ in range(events.qsize())]
    assert kinds[:2] == ["settings", "training"]
    assert kinds[-1] == "training"
    assert kinds.count("frame") == len(session.frames) - 1
    state = ask(session, "state")
    assert not state["training"]
    first, last = state["frames"][0], state["frames"][-1]
    assert first["epoch"] == 0
    assert last["epoch"] > 3
    assert last["cost"] < first["cost"]
    # The last frame is the network, and the first is where it began.
    example = ask(session, "example", row=1)
    assert example["output"][0] == pytest.approx(
        float(session.net.feedforward([0.0, 1.0])[0]), rel=1e-4)
    began = ask(session, "example", row=1, epoch=0)
    assert began["output"] == ask(Session(), "example", row=1)["output"]
    assert ask(session, "example", row=1, epoch=last["epoch"]) == example


def test_an_epoch_is_the_cores_epoch():
    """The page's one epoch leaves the bits that SGD leaves."""
    session = Session()
    alone = session.net.copy()
    with session.listener():
        ask(session, "train", epochs=1)
        until(lambda: not session.trains)
    alone.SGD((session.x, session.y), 1, session.batch, session.eta)
    for ours, theirs in zip(session.net.weights, alone.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [frame.epoch for frame in session.frames] == [0, 1]


def test_training_ends_when_no_page_listens(session, monkeypatch):
    monkeypatch.setattr(sessions, "ALONE_SECONDS", 0.2)
    ask(session, "train")
    until(lambda: not session.trains)
    assert session.frames[-1].epoch > 0


def test_a_divergence_is_told_and_undone(session):
    ask(session, "cost", name="quadratic")
    ask(session, "activation", name="identity")
    ask(session, "activation", name="identity", layer=3, j=1)
    ask(session, "settings", eta=1e6, batch=4, pace=0)
    with session.listener() as events:
        ask(session, "train")
        until(lambda: not session.trains)
        said = [events.get_nowait() for _ in range(events.qsize())]
    assert "diverged" in [each for each in said if each["event"] == "training"][-1]["said"]
    assert all(np.isfinite(w).all() for w in session.net.weights)
    np.testing.assert_array_equal(session.net.weights[0], session.frames[-1].weights[0])


def test_one_neuron_is_modified_and_the_weights_stay(session):
    before = [w.copy() for w in session.net.weights]
    ask(session, "activation", name="tanh", layer=2, j=3)
    state = ask(session, "state")
    assert state["activations"] == [["sigmoid", "sigmoid", "tanh", "sigmoid"], ["sigmoid"]]
    for now, then in zip(session.net.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)
    found = ask(session, "example", row=3)["layers"][1]
    assert found["a"][2] == pytest.approx(np.tanh(found["z"][2]), rel=1e-4)
    assert found["a"][0] == pytest.approx(1 / (1 + np.exp(-found["z"][0])), rel=1e-4)
    ask(session, "activation", name="relu")
    assert ask(session, "state")["activations"] == [["relu"] * 4, ["sigmoid"]]


def test_a_cost_brings_its_output(session):
    ask(session, "data", name="digits (MNIST)")
    ask(session, "cost", name="log_likelihood")
    assert ask(session, "state")["activations"][-1] == ["softmax"] * 10
    assert session.net.cost == "log_likelihood"
    ask(session, "network", hidden="5, 4")
    assert session.net.sizes == (784, 5, 4, 10)
    assert session.net.settings()["input_scale"] == pytest.approx(1 / 255)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_each_problem_is_learned(problem, session):
    ask(session, "data", name=problem.name)
    epochs = 2 if len(session.x) > 1000 else 500
    session.net.SGD((session.x, session.y), epochs, session.batch, session.eta)
    assert session.net.accuracy((session.x, session.y)) > 0.9


def test_frames_are_thinned_and_the_ends_stay(session, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_FRAMES", 10)
    for epoch in range(1, 40):
        session.add_frame(epoch)
    epochs = [frame.epoch for frame in session.frames]
    assert len(epochs) <= 10
    assert (epochs[0], epochs[-1]) == (0, 39)
    assert epochs == sorted(epochs)
    assert ask(session, "example", row=0, epoch=38)  # the last before it


def test_two_pages_hear_the_same_and_a_slow_one_is_not_waited_for(session, monkeypatch):
    monkeypatch.setattr(sessions, "QUEUED", 4)
    settings = {"eta": 1.0, "batch": 4, "pace": 0}
    with session.listener() as fast, session.listener() as slow:
        for _ in range(5):
            ask(session, "settings", **settings)
            assert fast.get_nowait() == {"event": "settings", "settings": settings}
        assert session.listeners == 2
        # What it has missed is not told one by one: it has to look at everything.
        assert slow.get_nowait() == {"event": "changed"}
        assert slow.get_nowait()["event"] == "settings"
        assert slow.empty()
        for _ in range(4):
            ask(session, "settings", **settings)
        session.close()  # though its queue is full
        assert [slow.get_nowait() for _ in range(2)] == [{"event": "changed"}, None]
    assert session.listeners == 0


def test_changes_from_two_pages_at_once(session):
    errors = []

    def page(name):
        try:
            for _ in range(5):
                ask(session, "train")
                ask(session, "activation", name=name)
                ask(session, "example", row=0)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=page, args=(name,)) for name in ("tanh", "relu")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    ask(session, "stop")
    assert not errors
    assert set(ask(session, "state")["activations"][0]) in ({"tanh"}, {"relu"})


def test_the_users_network_is_copied():
    net = Network([2, 5, 3], cost="log_likelihood", seed=1)
    net.classes = ("ant", "bee", "cat")
    problem = Problem("mine", lambda: (np.eye(2), np.eye(3)[:2]), [5], None, 10, 0,
                      classes=net.classes)
    session = Session(problem, net)
    before = [w.copy() for w in net.weights]
    with session.listener():
        ask(session, "train", epochs=2)
        until(lambda: not session.trains)
    for now, then in zip(net.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)
    state = ask(session, "state")
    assert state["classes"] == ("ant", "bee", "cat")
    assert state["choices"]["data"][0] == ["mine", "mine"]
    assert state["eta"] == cbackprop.default_eta.for_training(
        net.engine, net.engine.examples(problem.make(), ""), cbackprop.optimizers.SGD(), 2)


def test_data_that_do_not_fit_a_network_are_refused():
    problem = Problem("mine", lambda: (np.eye(3), np.eye(3)), [5], None, 10, 0)
    with pytest.raises(ValueError, match="x must have"):
        Session(problem, Network([2, 5, 3], seed=1))
