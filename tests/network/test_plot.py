"""Pictures: what is drawn is what was given, on the Axes that were given, and can be read."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import drawn
import numpy as np
import pytest

from cbackprop import History, Network, RowSource, inspect, plot
from cbackprop.history import MONITORS
from cbackprop.plot import _axes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pictures.md"
pytestmark = pytest.mark.usefixtures("pyplot")


def network(sizes=(64, 30, 4), **settings):
    return Network(sizes, seed=0, **{"dtype": "float64", **settings})


def examples(n=60, inputs=64, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, inputs)), rng.integers(0, classes, n)


def history(epochs=4):
    return network().SGD(examples(), epochs, 10, 0.5, examples(9, seed=1),
                         evaluation_data=examples(11, seed=2), monitor=MONITORS)


def trained(record, sizes=(64, 30, 4), epochs=3):
    network(sizes).SGD(examples(), epochs, 10, 0.5, callbacks=[record])
    return record


def check(sizes=(64, 30, 4), sample=200):
    return inspect.gradient_check(network(sizes), *examples(5), sample=sample)


TRACES = {sizes: inspect.trace(network(sizes), *examples(3, sizes[0], sizes[-1]))
          for sizes in ((64, 30, 4), (3, 1), (64, 20, 20, 20, 20, 4))}
EVERY = {  # each picture, in the forms that look different
    "learning_curves": lambda **ax: plot.learning_curves(history(), **ax),
    "learning_curves of many epochs": lambda **ax: plot.learning_curves(history(200), **ax),
    "find_eta": lambda **ax: plot.find_eta(inspect.find_eta(network(), examples()), **ax),
    "weights": lambda **ax: plot.weights(network(), **ax),
    "weights of 256": lambda **ax: plot.weights(network((64, 256, 4)), **ax),
    "weights of 3": lambda **ax: plot.weights(network(), neurons=(3, 7, 29), **ax),
    "flow": lambda **ax: plot.flow(TRACES[64, 30, 4], **ax),
    "flow of little": lambda **ax: plot.flow(TRACES[3, 1], **ax),
    "flow through many": lambda **ax: plot.flow(TRACES[64, 20, 20, 20, 20, 4], **ax),
    "confusion": lambda **ax: plot.confusion(network(), examples(), **ax),
    "confusion of ten": lambda **ax: plot.confusion(
        network((64, 10)), examples(30_000, classes=10),
        names=["Ankle boot", "T-shirt/top", *"01234567"], **ax),
    "confusion with 40 mistakes": lambda **ax: plot.confusion(
        network(), examples(100), mistakes=40, **ax),
    "confusion of many": lambda **ax: plot.confusion(
        network((64, 40)), examples(classes=40), **ax),
    "saturation": lambda **ax: plot.saturation(
        trained(inspect.Saturation(*examples())), **ax),
    "saturation of many": lambda **ax: plot.saturation(
        trained(inspect.Saturation(*examples()), (64, *[9] * 8, 4), epochs=30), **ax),
    "gradient_check": lambda **ax: plot.gradient_check(check(), **ax),
    "network": lambda **ax: plot.network(network((3, *[2] * 7)), **ax),
    "network of a trace": lambda **ax: plot.network(
        TRACES[64, 30, 4], edges="nabla_w", **ax),
    "decision_boundary": lambda **ax: plot.decision_boundary(
        network((2, 9, 4)), examples(inputs=2), **ax),
    "decision_boundary of numbers": lambda **ax: plot.decision_boundary(
        network((2, 9, 1), output_activation="identity"), PLANE, **ax),
    "gradient_check of many": lambda **ax: plot.gradient_check(check((64, *[9] * 8, 4)), **ax),
}
PLANE = (examples(inputs=2)[0], examples(inputs=2)[0].sum(axis=1))
every = pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)


def figure_of(result):
    return np.ravel(result)[0].figure


# ---- all ----


def test_every_function_is_drawn():
    assert {name.split()[0] for name in EVERY} | {"animate"} == set(plot.__all__)


@every
def test_labels_are_whole_and_apart_and_no_ink_is_lost_on_a_dark_page(draw, pyplot):
    """All text is drawn in what the style in use calls text, or in its colours."""
    from matplotlib import colors, text

    with pyplot.style.context("dark_background"):  # which changes colours alone
        figure = figure_of(draw())
        drawn.check_labels(figure, least=8)
    for one in figure.findobj(lambda each: isinstance(each, text.Text) and each.get_text()):
        on_dark = one.axes is None or not one.axes.images
        assert not on_dark or lightness([colors.to_rgb(one.get_color())])[0] > 0.3


@every
def test_axes_of_the_caller(draw, pyplot):
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(24, 10), layout="constrained")
    found = np.ravel(draw(ax=right))
    drawn.check_labels(figure, least=8)
    assert pyplot.get_fignums() == [figure.number]
    assert all(ax.figure is figure for ax in found)
    assert all(ax.get_position().x0 > left.get_position().x1 for ax in found)
    assert not left.has_data()
    assert len(found) > 1 or found[0] is right
    assert all(ax.has_data() or not ax.axison for ax in found)


@pytest.mark.parametrize("name", [
    "confusion", "flow", "gradient_check", "learning_curves of many epochs", "network of a trace",
    "saturation of many"])
def test_labels_in_a_figure_of_matplotlibs_size(name, pyplot):
    figure, ax = pyplot.subplots(layout="constrained")
    assert tuple(figure.get_size_inches()) == (6.4, 4.8)
    EVERY[name](ax=ax)
    drawn.check_labels(figure, least=4)


def test_neurons_shrink_where_there_is_no_room(pyplot):
    """And have no numbers, which would lie on them."""
    for height, numbered in ((4.8, True), (2.5, False)):
        figure, ax = pyplot.subplots(figsize=(4, height))
        plot.network(TRACES[64, 30, 4], ax=ax)
        figure.draw_without_rendering()
        dots = ax.collections[1]
        places = ax.transData.transform(dots.get_offsets())[:, 1]
        size = dots.get_sizes()[0]**0.5 * figure.dpi / 72
        assert np.diff(np.sort(places)).min() > 1.2 * size
        assert any(text.get_text().startswith("0.") for text in ax.texts) == numbered


def test_names_of_classes_lie_where_there_is_room(pyplot):
    for names, angle in ((["ant", "bumblebee"], 0), (["ant", "bumblebee " * 3], 90)):
        (matrix,) = plot.confusion(network((2, 2)), (np.eye(2), [0, 1]), names=names)
        assert {label.get_rotation() for label in matrix.get_xticklabels()} == {angle}


def test_counts_that_would_touch_are_a_scale(pyplot):
    (matrix,) = plot.confusion(
        network((64, 10)), examples(12_000, classes=10), mistakes=0,
        ax=pyplot.subplots(figsize=(2.5, 2.5))[1])
    assert not matrix.texts
    assert len(matrix.get_yticks()) == 10
    assert "share" in matrix.child_axes[0].get_ylabel()


def test_axes_that_no_grid_has_placed(pyplot):
    ax = pyplot.figure().add_axes((0.5, 0.5, 0.4, 0.4))
    for panel in plot.flow(TRACES[64, 30, 4], ax=ax).flat:
        box = panel.get_position()
        assert min(box.x0, box.y0) >= 0.5 - 1e-9
        assert max(box.x1, box.y1) <= 0.9 + 1e-9


@every
@pytest.mark.parametrize("ax", [3, [[]]])
def test_bad_axes(draw, ax):
    with pytest.raises(TypeError, match=r"^ax must be a matplotlib Axes, got "):
        draw(ax=ax)


@every
def test_without_matplotlib(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError,
                       match=r"^plot needs matplotlib: pip install 'cbackprop\[plot\]'$"):
        draw()


def lightness(colours):
    return np.asarray(colours)[:, :3] ** 2.2 @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", ["cividis", "greys"])
def test_maps_of_images_are_readable_without_colour(name, style, pyplot):
    with pyplot.style.context(style):
        shades = pyplot.get_cmap(name) if name == "cividis" else _axes.greys()
        found = lightness(shades(np.linspace(0, 1, 256)))
    steps = np.diff(found)
    assert (steps <= 1e-3).all() or (steps >= -1e-3).all()
    assert abs(found[-1] - found[0]) > 0.6


@pytest.mark.parametrize("style", ["default", "dark_background", "tableau-colorblind10"])
def test_lines_stand_out_from_the_background(style, pyplot):
    from matplotlib import colors

    with pyplot.style.context(style):
        back, *tones = lightness(list(map(colors.to_rgb, [
            pyplot.rcParams["axes.facecolor"], _axes.ink(), *_axes.colors(6)])))
    contrasts = [(max(back, tone) + 0.05) / (min(back, tone) + 0.05) for tone in tones]
    assert min(contrasts) > (2 if style == "tableau-colorblind10" else 2.5)  # the style's own
    assert contrasts[0] > 15


@pytest.mark.parametrize(("call", "what"), [
    (lambda: plot.learning_curves([0.1]), "history must be a History"),
    (lambda: plot.weights([0.1]), "net must be a Network"),
    (lambda: plot.flow([0.1]), "trace must be a Trace"),
    (lambda: plot.confusion([0.1], examples()), "net must be a Network"),
    (lambda: plot.saturation([0.1]), "record must be a Saturation"),
    (lambda: plot.gradient_check([0.1]), "result must be a GradientCheck")])
def test_something_else(call, what):
    with pytest.raises(TypeError, match=rf"^{what}, got \[0.1\]$"):
        call()


# ---- learning curves ----


def is_ring(line):
    return line.get_markersize() == 12


def test_learning_curves():
    given = history()
    panels = plot.learning_curves(given)
    assert [panel.get_ylabel() for panel in panels] == ["cost", "accuracy"]
    curves = {}
    for panel in panels:
        for line in panel.lines:
            if not is_ring(line):
                name = line.get_label().partition(":")[0].replace(" ", "_")
                curves[name] = line
                assert name.endswith(panel.get_ylabel())
                assert list(line.get_xdata()) == [1, 2, 3, 4]
    assert {name: list(line.get_ydata()) for name, line in curves.items()} == {
        name: given.series(name) for name in ("cost", "accuracy", *MONITORS, "test_cost")}
    # Without colour:
    assert len({(str(one._dash_pattern), one.get_marker()) for one in curves.values()}) == 7


def test_the_best_epoch_is_marked():
    given = history()
    for panel in plot.learning_curves(given):
        said = [text.get_text() for text in panel.get_legend().get_texts()]
        rings = [tuple(np.ravel(line.get_data())) for line in panel.lines
                 if is_ring(line)]
        kind = panel.get_ylabel()
        names = [name for name in given.recorded
                 if name in (f"evaluation_{kind}", f"test_{kind}") or name == kind == "accuracy"]
        assert rings == [given.best(name) for name in names]
        for name in names:
            epoch, best = given.best(name)
            assert f"{name.replace('_', ' ')}: {best:.4g} in epoch {epoch}" in said


def test_metrics_of_one_unit_share_a_panel():
    net = network((2, 5, 1), output_activation="identity")
    given = net.SGD(PLANE, 3, 10, 0.01, PLANE)
    assert [panel.get_ylabel() for panel in plot.learning_curves(given)] == [
        "cost", "r2", "mae and rmse"]


def test_learning_curves_of_costs_alone():
    assert len(plot.learning_curves(network().SGD(examples(), 2, 10, 0.5))) == 1


@pytest.mark.parametrize("given", [History(), network().SGD(examples(), 0, 10, 0.5)])
def test_learning_curves_of_nothing(given):
    plot.learning_curves(given)[0].figure.canvas.draw()


# ---- networks and planes ----


@pytest.mark.parametrize("given", [network((3, 5, 2)), TRACES[3, 1]])
def test_edges_of_a_network(given):
    ax = plot.network(given)
    w = given.w if isinstance(given, inspect.Trace) else given.weights
    edges = ax.collections[0]
    largest = [abs(matrix).max() for matrix in w]
    wanted = [(value, limit) for matrix, limit in zip(w, largest, strict=True)
              for value in np.ravel(matrix) if abs(value) >= 0.02 * limit]
    assert np.allclose(edges.get_linewidths(), [3 * abs(v) / limit for v, limit in wanted])
    dashed = [pattern is not None for _, pattern in edges.get_linestyles()]
    assert dashed == [value < 0 for value, _ in wanted]
    sizes = [w[0].shape[1], *map(len, w)]
    assert [len(dots.get_offsets()) for dots in ax.collections[1:]] == sizes


def test_a_wide_layer_shows_its_largest_edges():
    net = network()
    net.weights[0][:, 7] = 100
    ax = plot.network(net, most=3)
    assert [len(dots.get_offsets()) for dots in ax.collections[1:]] == [3, 3, 3]
    words = [text.get_text() for text in ax.texts]
    assert words == ["inputs\n3 of 64", "layer 2\n3 of 30", "layer 3\n3 of 4"]
    thick = ax.collections[0].get_linewidths() > 2.9
    starts = {segment[0][1] for segment in np.array(ax.collections[0].get_segments())[thick]
              if segment[0][0] == 0}
    assert len(starts) == 1  # input 7


def test_neurons_have_their_activations():
    trace = TRACES[3, 1]
    words = [text.get_text() for text in plot.network(trace, example=2).texts]
    assert words[:3] == [f"{value:.2g}" for value in trace.x[2]]
    assert words[4] == f"{trace.a[0][2, 0]:.2g}"


@pytest.mark.parametrize(("call", "what"), [
    (lambda: plot.network(network(), edges="nabla_w"),
     r"edges must be 'w' without a trace, got 'nabla_w': inspect\.trace"),
    (lambda: plot.network(network(), edges="b"), "edges must be "),
    (lambda: plot.network(TRACES[3, 1], example=3), "example must be an integer"),
    (lambda: plot.network(network(), most=1), "most must be an integer"),
    (lambda: plot.decision_boundary(network(), examples()), "net must have two inputs, got 64"),
    (lambda: plot.animate(print, []), "networks must be a sequence of at least one network"),
    (lambda: plot.animate(print, [network()], titles=[]), "titles must be 1, as the networks"),
    (lambda: plot.animate(3, [network()]), r"draw must be a callable \(network, ax\), got 3")])
def test_bad_networks_and_planes(call, what):
    with pytest.raises((TypeError, ValueError), match=f"^{what}"):
        call()


def test_the_boundary_is_where_the_answer_changes():
    net = network((2, 2), output_activation="identity")
    net.weights, net.biases = [[[1.0, 0.0], [-1.0, 0.0]]], [[[-0.5], [0.5]]]  # class 0: x[0] > 1/2
    ax = plot.decision_boundary(net, examples(40, 2, 2), points=101)
    (border,) = ax.collections[1].get_paths()
    assert np.allclose(border.vertices[:, 0], 0.5, atol=0.01)
    marks = {tuple(np.round(dots.get_offsets(), 6)[0]) for dots in ax.collections[2:]}
    assert len(marks) == 2


def test_a_film_has_a_picture_of_each_network():
    drawn_ones = []
    nets = [network(), network((3, 1))]
    film = plot.animate(lambda net, ax: drawn_ones.append((net, ax)), nets, titles=["a", "b"])
    (first, ax), = drawn_ones
    assert (first, ax.get_title("left")) == (nets[0], "a")
    assert film.to_jshtml().count("frames[") >= 2
    assert [net for net, _ in drawn_ones[-2:]] == nets
    ax.figure.canvas.draw()  # as for a file: the last picture, and not the first one again
    assert ax.get_title("left") == "b"


def test_ticks_of_long_numbers_are_apart():
    from matplotlib import rc_context

    result = check()
    with rc_context({"font.size": 12}):
        left, _ = plot.gradient_check(replace(result, differences=0.0055 * np.sign(
            result.differences), backprop=0.0055 * np.sign(result.backprop)))
        drawn.check_labels(left.figure, least=8)


# ---- weights ----


def tiles(ax, height, width):
    """Cut the picture into images, and see that nothing is between them."""
    whole = ax.images[0].get_array()
    padded = np.ma.masked_all((whole.shape[0] + 1, whole.shape[1] + 1))
    padded[:-1, :-1] = whole
    assert padded.mask[height::height + 1].all()
    assert padded.mask[:, width::width + 1].all()
    rows, columns = padded.shape[0] // (height + 1), padded.shape[1] // (width + 1)
    cut = padded.reshape(rows, height + 1, columns, width + 1)[:, :-1, :, :-1]
    return cut.swapaxes(1, 2).reshape(-1, height * width)


def labels_of(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.mark.parametrize(("sizes", "layer", "shape", "rows", "columns"), [
    ((64, 30, 4), 0, None, 3, 10), ((64, 3, 4), 0, None, 1, 3), ((64, 13, 4), 0, (16, 4), 2, 10),
    ((64, 30, 4), 1, (5, 6), 1, 4), ((5, 36, 1), 1, None, 1, 1)])
def test_weights(sizes, layer, shape, rows, columns):
    net = network(sizes)
    ax = plot.weights(net, layer, shape=shape)
    w = net.weights[layer]
    height, width = shape or (int(w.shape[1]**0.5),) * 2
    found = tiles(ax, height, width)
    assert np.array_equal(found[:len(w)], w)
    assert found.mask[len(w):].all()
    assert len(found) == rows * columns
    assert labels_of(ax.xaxis) == [str(j) for j in range(columns)]
    assert labels_of(ax.yaxis) == ([str(10 * row) for row in range(rows)] if rows > 1 else [])
    assert ax.get_xlabel().startswith(f"neuron of layer {layer}")
    assert ax.child_axes[0].get_ylabel() == "weight"


def test_scale_of_weights_is_symmetric():
    net = network()
    net.weights[0][0, 0] = 1000
    low, high = plot.weights(net).images[0].get_clim()
    assert low == -high
    assert np.mean(np.abs(net.weights[0]) <= high) == pytest.approx(0.995, abs=1e-3)


def test_weights_of_zeros():
    ax = plot.weights(network(initializer="zeros"))
    ax.figure.canvas.draw()
    assert ax.images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize("neurons", [[3], [29, 0, 3], np.array([5, 6]), range(0, 30, 7)])
def test_weights_of_some_neurons(neurons):
    net = network()
    ax = plot.weights(net, neurons=neurons)
    assert np.array_equal(tiles(ax, 8, 8), net.weights[0][list(neurons)])
    assert labels_of(ax.xaxis) == [str(j) for j in neurons]


def test_numbers_of_many_neurons_are_thinned():
    ax = plot.weights(network((64, 900, 4)))
    assert labels_of(ax.xaxis)[:3] == ["0", "2", "4"]
    assert labels_of(ax.yaxis)[:3] == ["0", "60", "120"]


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"layer": 2}, ValueError, r"layer must be an integer in 0\.\.1, .*, got 2"),
    ({"layer": "0"}, TypeError, r"layer must be an integer in 0\.\.1, .*, got '0'"),
    ({"layer": 1}, ValueError, "shape must be given where inputs are no square, got None for the "
                               "30 of layer 1"),
    ({"shape": (8, 9)}, ValueError,
     r"shape must be two positive integers with the product 64, got \(8, 9\)"),
    ({"shape": (-8, -8)}, ValueError,
     r"shape must be two positive integers with the product 64, got \(-8, -8\)"),
    ({"shape": 8}, TypeError, "shape must be two positive integers with the product 64, got 8"),
    ({"shape": (4, 4, 4)}, TypeError, "shape must be two positive integers .*, got .*"),
    ({"neurons": [0, 30]}, ValueError,
     r"each of neurons must be an integer in 0\.\.29, for layer 0 has 30 neurons, got 30"),
    ({"neurons": [0.5]}, TypeError, r"each of neurons must be an integer in 0\.\.29, .*, got 0.5"),
    ({"neurons": 3}, TypeError, "neurons must be a sequence of at least one integer, got 3"),
    ({"neurons": []}, TypeError, r"neurons must be a sequence of at least one integer, got \[\]"),
])
def test_bad_weights(arguments, error, rule, pyplot):
    with pytest.raises(error, match=f"^{rule}$"):
        plot.weights(network(), **arguments)
    assert not pyplot.get_fignums()


# ---- flow ----


def bars(ax):
    """Return the lengths of the bars, from the first neuron's, which is on top."""
    (patch,) = ax.patches
    lengths, edges, _ = patch.get_data()
    assert np.allclose((edges[::2] + edges[1::2]) / 2, np.arange(len(edges) // 2))
    assert ax.yaxis.get_inverted()
    assert np.isnan(lengths[1::2]).all()
    return lengths[::2]


@pytest.mark.parametrize("sizes", TRACES)
@pytest.mark.parametrize("example", [0, 2])
def test_flow(sizes, example):
    trace = TRACES[sizes]
    panels = plot.flow(trace, example)
    assert panels.shape == (5, len(sizes))
    x, last = panels[2, 0], panels[2, -1]
    assert x.get_title(loc="left") == f"x[{example}]"
    if sizes[0] == 64:
        assert np.array_equal(x.images[0].get_array(), trace.x[example].reshape(8, 8))
    else:
        assert np.array_equal(bars(x), trace.x[example])
    for name, row in (("z", panels[1, 1:]), ("a", panels[2, 1:]), ("delta", panels[3, 1:])):
        for layer, (ax, values) in enumerate(zip(row, getattr(trace, name), strict=True)):
            assert np.array_equal(bars(ax), values[example])
            assert ax.get_title(loc="left") == f"{name}[{layer}]"
            low, high = sorted(ax.get_xlim())
            assert low <= values[example].min() <= values[example].max() <= high
    assert np.array_equal(last.lines[0].get_xdata(), trace.y[example])
    length = np.linalg.norm(trace.delta[0][example])
    assert panels[3, 1].get_xlabel() == f"length {length:.2g}"
    alone = inspect.trace(network(sizes), trace.x[example], trace.y[example])
    for layer in range(len(trace.a)):
        assert np.array_equal(panels[0, layer + 1].images[0].get_array(), trace.w[layer])
        assert np.allclose(panels[4, layer + 1].images[0].get_array(), alone.nabla_w[layer])


def test_the_gradient_of_flow_has_the_scale_of_inputs():
    net = network(input_scale=1 / 255)
    x, y = examples(1)
    panels = plot.flow(inspect.trace(net, 255 * x, y))
    assert np.allclose(panels[4, 1].images[0].get_array(), net.backprop(255 * x, y)[1][0])


def words(trace, **arguments):
    return plot.flow(trace, **arguments)[3, 0].texts[0].get_text().splitlines()


def test_words_of_flow():
    net, (x, y) = network(), examples(2)
    trace = inspect.trace(net, x[0], y[0])
    a = net.feedforward(x[0])
    outputs = [f"target {y[0]} (circles)", f"output {a.argmax()}: {a.max():.3g}"]
    assert words(trace) == [*outputs, f"cost {trace.cost:.3g}"]
    trace = inspect.trace(net, x, y)
    assert words(trace) == [*outputs, f"cost {trace.cost:.3g},", "mean of 2"]
    assert words(inspect.trace(net, x[0], [0.5] * 4))[0].startswith("cost ")
    one = network((3, 1))
    assert words(inspect.trace(one, [1.0, 2.0, 3.0], [0.25]))[:2] == [
        "target (circle) 0.25", f"output {one.feedforward([1.0, 2.0, 3.0])[0]:.3g}"]


def test_flow_of_the_callers_shape():
    assert plot.flow(TRACES[64, 30, 4], shape=(4, 16))[2, 0].images[0].get_array().shape == (4, 16)
    assert plot.flow(TRACES[3, 1], shape=(3, 1))[2, 0].images[0].get_array().shape == (3, 1)


def test_flow_where_nothing_flows():
    net = network(activation="relu", output_activation="identity", initializer="zeros")
    panels = plot.flow(inspect.trace(net, np.zeros(64), np.zeros(4)))
    panels[0, 0].figure.canvas.draw()
    assert panels[3, 1].get_xlim() == (-1, 1)


@pytest.mark.parametrize(("value", "bound"), [
    (0.0, 1), (0.02, 0.02), (0.0201, 0.03), (9.5, 10), (3e-40, 3e-40), (7e8, 7e8)])
def test_bound_of_errors(value, bound):
    trace = TRACES[3, 1]
    changed = replace(trace, delta=[np.full((3, 1), -value)])
    assert plot.flow(changed)[3, 1].get_xlim() == pytest.approx((-bound, bound))


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"example": 3}, ValueError,
     r"example must be an integer in 0\.\.2, for there are 3 examples, got 3"),
    ({"example": None}, TypeError, r"example must be an integer in 0\.\.2, .*, got None"),
    ({"shape": (8, 7)}, ValueError, "shape must be two positive integers .*"),
])
def test_bad_flow(arguments, error, rule, pyplot):
    with pytest.raises(error, match=f"^{rule}$"):
        plot.flow(TRACES[64, 30, 4], **arguments)
    assert not pyplot.get_fignums()


# ---- confusion ----


class Source(RowSource):
    def __len__(self):
        return 300

    def take(self, indices):
        x, y = examples(300)
        return x[indices], y[indices]


def counted(net, x, y):
    """Return the counts, and the indices of the mistakes, from the surest on."""
    a = net.feedforward(x)
    seen = a.argmax(axis=1)
    counts = np.zeros((a.shape[1], a.shape[1]), int)
    for actual, wrong in zip(y, seen, strict=True):
        counts[actual, wrong] += 1
    mistakes = [i for i in range(len(y)) if seen[i] != y[i]]
    return counts, sorted(mistakes, key=lambda i: -a[i, seen[i]])


def written(ax):
    """Return the counts that stand in a matrix."""
    size = len(ax.get_xticks())
    counts = np.zeros((size, size), int)
    for text in ax.texts:
        column, row = text.get_position()
        counts[row, column] = int(text.get_text())
    return counts


@pytest.mark.parametrize("form", ["labels", "one-hot", "pairs", "source"])
def test_confusion(form):
    net, (x, y) = network(), examples(300)
    given = {"labels": (x, y), "one-hot": (x, np.eye(4)[y]), "source": Source(),
             "pairs": [(row[:, None], label) for row, label in zip(x, y, strict=True)]}[form]
    matrix, *spots = plot.confusion(net, given)
    counts, mistakes = counted(net, x, y)
    assert np.array_equal(written(matrix), counts)
    assert counts.trace() == net.evaluate(given)
    assert matrix.get_title(loc="center") == f"{counts.trace()} of 300 right"
    shares = counts / counts.sum(axis=1, keepdims=True) * (1 - np.eye(4))
    assert np.allclose(matrix.images[0].get_array(), shares)
    assert matrix.images[0].get_clim() == (0, shares.max())  # the mistakes have the whole scale
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("class that the network sees", "class")
    assert len(spots) == 12
    a = net.feedforward(x)
    for spot, i in zip(spots, mistakes[:12], strict=True):
        assert np.array_equal(spot.images[0].get_array(), x[i].reshape(8, 8))
        assert spot.get_xlabel().splitlines() == [
            f"x[{i}]: {y[i]}", f"seen as {a[i].argmax()}", f"{a[i].max():.3f}"]


def test_confusion_of_parts_of_a_source(monkeypatch):
    monkeypatch.setattr("cbackprop.sources.PART_BYTES", 7 * 64 * 8)
    matrix, spot = plot.confusion(network(), Source(), mistakes=1)
    counts, mistakes = counted(network(), *examples(300))
    assert np.array_equal(written(matrix), counts)
    assert spot.get_xlabel().startswith(f"x[{mistakes[0]}]:")


def test_confusion_of_a_single_output():
    net = network((64, 5, 1))
    x, y = examples(50, classes=2)
    matrix, spot = plot.confusion(net, (x, y), mistakes=1)
    a = net.feedforward(x)[:, 0]
    counts = [[np.count_nonzero((y == j) & ((a > 0.5) == k)) for k in (0, 1)] for j in (0, 1)]
    assert written(matrix).tolist() == counts
    sure = np.where(a > 0.5, a, 1 - a)
    worst = max((i for i in range(50) if (a[i] > 0.5) != y[i]), key=lambda i: sure[i])
    assert spot.get_xlabel().splitlines() == [
        f"x[{worst}]: {y[worst]}", f"seen as {1 - y[worst]}", f"{sure[worst]:.3f}"]


def test_confusion_without_mistakes():
    net, (x, _) = network(), examples()
    (matrix,) = plot.confusion(net, (x, net.feedforward(x).argmax(axis=1)))
    assert matrix.get_title(loc="center") == "60 of 60 right"


def test_a_class_without_examples_is_no_division_by_zero():
    matrix = plot.confusion(network(), (examples()[0], np.zeros(60, int)))[0]
    assert not matrix.images[0].get_array()[1:].any()


def test_names_of_classes():
    matrix, spot = plot.confusion(network(), examples(), mistakes=1, names=["a", "bcde", "f", "g"])
    assert labels_of(matrix.xaxis) == labels_of(matrix.yaxis) == ["a", "bcde", "f", "g"]
    _, mistakes = counted(network(), *examples())
    assert spot.get_xlabel().startswith(
        f"x[{mistakes[0]}]: {['a', 'bcde', 'f', 'g'][examples()[1][mistakes[0]]]}\n")


def test_inputs_that_are_no_image():
    net, few = network((3, 4)), examples(inputs=3)
    assert len(plot.confusion(net, few)) == 1
    with pytest.raises(ValueError, match=r"^shape must be given where the 3 inputs are no square "
                                         "of 64 or more, got None$"):
        plot.confusion(net, few, mistakes=2)
    assert len(plot.confusion(net, few, mistakes=2, shape=(1, 3))) == 3


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"mistakes": -1}, ValueError, "mistakes must be an integer of at least 0, got -1"),
    ({"mistakes": "all"}, TypeError, "mistakes must be an integer of at least 0, got 'all'"),
    ({"names": ["a", "b"]}, ValueError, "names must be 4, one for each class, got 2"),
    ({"test_data": 3}, TypeError, "test_data must be .*, got int"),
    ({"test_data": (np.zeros((2, 63)), [0, 1])}, ValueError, "x of test_data must have .*"),
    ({"test_data": (np.full((2, 64), np.nan), [0, 1])}, ValueError,
     "x of test_data must be finite, got nan .*"),
    ({"test_data": (np.zeros((2, 64)), [0, 4])}, ValueError, "y of test_data must hold labels .*"),
    ({"shape": (3, 3)}, ValueError, "shape must be two positive integers with the product 64, .*"),
])
def test_bad_confusion(arguments, error, rule, pyplot):
    with pytest.raises(error, match=f"^{rule}$"):
        plot.confusion(network(), **{"test_data": examples(), **arguments})
    assert not pyplot.get_fignums()


# ---- saturation ----


def test_saturation():
    record = trained(inspect.Saturation(*examples()))
    panels = plot.saturation(record)
    for ax, values in zip(panels, (record.share, record.speed), strict=True):
        assert [list(line.get_ydata()) for line in ax.lines] == np.transpose(values).tolist()
        assert all(list(line.get_xdata()) == [0, 1, 2, 3] for line in ax.lines)
        assert ax.get_xlabel() == "epoch"
    assert [ax.get_ylabel() for ax in panels] == ["share of sigma'(z) below 0.01",
                                                  "length of delta"]
    assert [ax.get_yscale() for ax in panels] == ["linear", "log"]
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == [
        "layer 0", "layer 1"]


def test_lines_of_many_layers_differ_without_colour():
    lines = plot.saturation(
        trained(inspect.Saturation(examples()[0]), (64, *[5] * 20, 4)))[0].lines
    assert len({(str(line._dash_pattern), line.get_marker()) for line in lines}) == 21


def test_saturation_without_targets():
    assert len(plot.saturation(trained(inspect.Saturation(examples()[0])))) == 1


def test_saturation_where_nothing_learns():
    record = inspect.Saturation(*examples())
    net = network(activation="relu", initializer="zeros")
    net.biases = [np.full((30, 1), -1.0), np.full((4, 1), -1.0)]
    net.SGD(examples(), 2, 10, 0.5, callbacks=[record])
    assert not np.any(record.speed)
    plot.saturation(record)[1].figure.canvas.draw()


def test_saturation_before_training():
    with pytest.raises(ValueError, match=r"^record must have been in the callbacks of a training, "
                                         "got an empty one$"):
        plot.saturation(inspect.Saturation(*examples()))


# ---- gradient check ----


def test_gradient_check():
    result = check()
    left, right = plot.gradient_check(result)
    layers = np.array([place.layer for place in result.places])
    for layer in (0, 1):
        of = layers == layer
        line, errors = left.lines[layer], right.lines[layer]
        assert line.get_label() == errors.get_label() == f"layer {layer}"
        assert np.array_equal(line.get_xdata(), result.differences[of])
        assert np.array_equal(line.get_ydata(), result.backprop[of])
        assert np.array_equal(errors.get_ydata(), result.errors[of & (result.errors > 0)])
    assert left.lines[0].get_marker() != left.lines[1].get_marker()
    worst = int(result.errors.argmax())
    assert left.lines[2].get_xydata().tolist() == [[result.differences[worst],
                                                    result.backprop[worst]]]
    assert right.lines[2].get_ydata().tolist() == [result.worst]
    assert f"worst: {result.where}, {result.worst:.1e}" in {
        text.get_text() for text in right.get_legend().get_texts()}
    assert set(right.lines[3].get_ydata()) == {result.tolerance}
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")


def test_a_wrong_derivative_stands_out():
    result = check()
    backprop, errors = result.backprop.copy(), result.errors.copy()
    at = int(np.abs(backprop).argmax())
    backprop[at], errors[at] = -backprop[at], 2.0
    wrong = replace(result, backprop=backprop, errors=errors, worst=2.0, where=result.places[at],
                    passed=False)
    left, right = plot.gradient_check(wrong)
    ring = next(line for line in left.lines if line.get_label().startswith("worst"))
    assert ring.get_xydata()[0] == pytest.approx((-backprop[at], backprop[at]))
    low, high = right.get_ylim()
    assert low < result.tolerance < 2 < high


def test_errors_of_zero_are_counted():
    result = check()
    none = np.zeros_like(result.errors)
    panels = plot.gradient_check(replace(result, errors=none, worst=0.0))
    panels[0].figure.canvas.draw()
    assert panels[1].get_xlabel() == f"size of the derivative\n({len(none)} have no error)"
    none[3] = 1e-9
    text = plot.gradient_check(replace(result, errors=none, worst=1e-9))[1].get_xlabel()
    assert text.endswith(f"({len(none) - 1} have no error)")


# ---- docs/pictures.md ----


@pytest.mark.slow  # nox -s docs draws them, too
@pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside the tests")
def test_the_page_and_its_pictures(tmp_path, monkeypatch):
    monkeypatch.delenv("CBACKPROP_DATA", raising=False)
    done = subprocess.run([sys.executable, "-W", "error", ROOT / "tools" / "make_pictures.py",
                           tmp_path], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    made = {path.name for path in tmp_path.iterdir()}
    page = PAGE.read_text()
    assert len(made) == 2 * page.count("![") == 2 * len(plot.__all__)  # for light and dark pages
    for name in made:
        assert page.count(f"](figures/{name.replace('-dark', '')})") == 1
        assert 5_000 < (tmp_path / name).stat().st_size < 200_000
    for name in (name for name in made if name.endswith(".svg")):
        assert ("#14181e" in (tmp_path / name).read_text()) == ("-dark" in name)
    assert all(f"plot.{name}(" in page for name in plot.__all__)


@pytest.mark.parametrize("cost", ["hinge", "squared_hinge", "quadratic"])
@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_one_output_is_judged_against_the_middle(cost, low):
    net = Network([1, 1], cost=cost, output_activation="identity", dtype="float64",
                  initializer=([[[1.0]]], [[[0.0]]]))
    x = np.array([[-2.0], [-0.1], [0.3], [0.7], [0.0], [0.4], [0.2]])  # and so are the outputs
    y = np.array([low, 1, 1, 1, low, low, 1])
    by_half = cost == "quadratic" and low == 0  # the middle of 0 and 1; of -1 and 1 it is 0
    right, counts = (4, [[3, 0], [3, 1]]) if by_half else (5, [[2, 1], [1, 3]])
    assert net.evaluate((x, y)) == right
    assert net.accuracy((x, y)) == right / 7
    history = net.SGD((x, y), 1, 7, 0.0, (x, y))
    assert history.accuracy == [right / 7]
    matrix, *_ = plot.confusion(net, (x, y))
    shares = np.array(counts) / np.sum(counts, axis=1, keepdims=True) * (1 - np.eye(2))
    np.testing.assert_allclose(matrix.images[0].get_array(), shares)
    assert matrix.get_title() == f"{right} of 7 right"


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_hinge_agrees_with_the_estimator():
    ours = pytest.importorskip("cbackprop.sklearn")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2))
    y = (x[:, 0] + 0.3 * rng.standard_normal(200) > 0).astype(int)
    own = ours.MLPClassifier((4,), loss="hinge", max_iter=20, learning_rate_init=0.05,
                             random_state=0).fit(x, y)
    score = own.score(x, y)
    assert np.mean(own.network_.feedforward(x)[:, 0] > 0.5) != np.mean(own.predict(x))
    assert own.network_.accuracy((x, y)) == score
    matrix, *_ = plot.confusion(own, (x, y))
    assert matrix.get_title() == f"{round(200 * score)} of 200 right"
