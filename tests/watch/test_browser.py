"""
The page in a real browser: each control, by pointer and by keyboard, and what axe-core says.

It needs playwright and a Chromium: Debian's, or the one in CBACKPROP_CHROMIUM. axe-core's file is
named by CBACKPROP_AXE (`npm install axe-core` brings it, as node_modules/axe-core/axe.min.js).
"""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cbackprop import Network, callbacks, inspect
from cbackprop.watch import PROBLEMS, Problem, Server, Session

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = api.expect

CHROMIUM = next(filter(None, (
    os.environ.get("CBACKPROP_CHROMIUM"), *map(shutil.which, ("chromium", "google-chrome")))), None)
TIMEOUT = 60_000  # milliseconds, where other programs have the cores
AXE = os.environ.get("CBACKPROP_AXE")
expect.set_options(timeout=TIMEOUT)
SIZES = {"phone": (390, 800), "tablet": (1024, 800), "wide": (1600, 1000)}
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser):
    """Open an address; whatever a page complains of, or asks of another host, fails the test."""
    contexts, said = [], []

    def call(address, size="wide", *, settles=True, **given):
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **given)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text)
                if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith(
            (address.rpartition("/")[0], "file:", "data:", "blob:")) else None)
        page.goto(address)
        expect(page.locator("#drawing .node").first).to_be_visible()
        return settled(page) if settles else page

    yield call
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def served(session):
    with Server(session) as made:
        yield made


@pytest.fixture
def page(served, tab):
    return tab(served.address)


@pytest.fixture
def served_digits():
    with Server(Session(PROBLEMS[-1])) as made:
        yield made


@pytest.fixture
def digits(served_digits, tab):
    return tab(served_digits.address)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def node(page, layer, j):
    return page.locator(f'[data-place="{layer} {j}"]')


def details(page):
    return page.locator("#chosen")


def settled(page):
    """Wait until the page has shown all that it was told; return it."""
    expect(page.locator("main:not([data-waits])")).to_be_attached()
    return page


def spoken(step):
    """Return a step as the page says it: in one line, with the signs of its formulas."""
    text = " ".join(str(step).split())
    text = re.sub(r"e([-+])0?(\d+)", " \N{MULTIPLICATION SIGN} 10^\\1\\2", text).replace("^+", "^")
    for name, sign in (("dC/d", "∂C/∂"), ("delta", "δ"), ("'", "\N{PRIME}"), ("eta", "η"),
                       ("sigma", "\N{GREEK SMALL LETTER SIGMA}"), ("*", "·"), ("->", "→"),
                       ("ln(", "ln ("), ("-", "\N{MINUS SIGN}")):
        text = text.replace(name, sign)
    return text


def number(text):
    """Return the last number of a text."""
    found = re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text.replace("\N{MINUS SIGN}", "-"))
    return float(found[-1])


def numbers(locator):
    """Return the last number of each text."""
    return [number(text) for text in locator.all_text_contents()]


# ---- one example ----


def test_the_network_is_drawn(page, session):
    assert page.locator("#drawing .node").count() == 2 + 4 + 1
    assert page.locator("#drawing .edge").count() == 2 * 4 + 4
    negative = sum(int((w < 0).sum()) for w in session.net.weights)
    assert page.locator("#drawing .edge.minus").count() == negative
    page.get_by_label("Edges show the").select_option("gradient ∂C/∂w")  # this asks for nothing
    gradient = inspect.trace(session.net, [0.0, 0.0], [0.0]).nabla_w
    expect(page.locator("#drawing .edge.minus")).to_have_count(
        sum(int((w < 0).sum()) for w in gradient))
    expect(page.locator("#drawing .legend")).to_contain_text("gradient")


@pytest.fixture
def served_table():
    problem = Problem("a table", lambda: (np.eye(4), np.eye(4)[:, :2]), [2], 1.0, 4, 0,
                      {"cost": "quadratic"}, classes=("no", "yes, or more than once a year"),
                      inputs=("age", "city = Oslo", "city = Rome", "x" * 60))
    with Server(Session(problem)) as made:
        yield made


@pytest.mark.parametrize("size", SIZES)
def test_names_of_inputs_and_classes(served_table, tab, size):
    """As long as there is room; and whole for those who hear or point."""
    page = tab(served_table.address, size)
    for place, name in (("1 3", "city = Rome"), ("1 4", "x" * 60),
                        ("3 2", "yes, or more than once a year")):
        one = page.locator(f'[data-place="{place}"]')
        assert f", {name}, a = " in one.get_attribute("aria-label")
        assert one.locator("title").text_content() == name
    shown = page.locator("#drawing .neuron .name").all_text_contents()
    assert shown[0] == "age"
    assert shown[1].startswith("city = O")
    assert shown[3].endswith("x…")
    outside = page.evaluate("""() => {
      const box = document.querySelector("#drawing svg").getBoundingClientRect();
      return [...document.querySelectorAll("#drawing svg text")].filter((text) => {
        const { left, right } = text.getBoundingClientRect();
        return left < box.left - 1 || right > box.right + 1;
      }).map((text) => text.textContent);
    }""")
    assert outside == []
    page.locator('[data-place="1 3"]').click()
    expect(details(page).locator("h3")).to_have_text("Input 3: city = Rome")


def test_forwards_and_backwards_step_by_step(page, session):
    """Every step of explain is reached, in its order, and lights what it speaks of."""
    explained = inspect.explain(session.net, [0.0, 0.0], [0.0], eta=session.eta, most=10)
    slider = page.get_by_role("slider", name="Step")
    button(page, "First").click()
    for at, step in enumerate(explained.steps):
        assert slider.get_attribute("aria-valuetext") == spoken(step)
        assert page.locator("[aria-current=step].step").count() == 1
        if step.symbol.name in ("z", "a", "delta"):
            layer, j = step.symbol.layer, step.symbol.neurons[0]
            lit = page.locator("#drawing .neuron.lit", has=node(page, layer, j))
            assert lit.count() == 1, step
        if at + 1 < len(explained.steps):
            button(page, "Next").click()
    button(page, "Back").click()
    assert slider.get_attribute("aria-valuetext") == spoken(explained.steps[-2])
    expect(page.locator("#drawing .neuron .error").first).to_contain_text("δ")
    chips = page.locator(".chip")
    assert [chip.replace("\n", "") for chip in chips.all_inner_texts()] == [
        "x", "(25)2", "(25)3", "C", "BP13", "(29)", "BP22", "BP33", "BP32", "BP43", "BP42",
        "update3", "update2"]
    chips.nth(6).click()
    expect(page.locator("#steps h3")).to_have_text("BP2: the error of layer 2")
    bracket = page.locator("#steps .prose", has_text="The bracket is")
    expect(bracket.locator("math mfrac")).to_have_text("∂C∂ajl")  # set as the other formulas
    page.locator(".step").nth(2).click()
    assert slider.get_attribute("aria-valuetext").startswith("δ^2_1 = ")


def test_play_and_pause(page):
    page.clock.install(time=0)
    page.clock.pause_at(3600)
    slider = page.get_by_role("slider", name="Step")
    before = int(slider.input_value())
    button(page, "Play").click()
    page.clock.run_for(3500)
    assert int(slider.input_value()) == before + 3
    button(page, "Pause").click()
    page.clock.run_for(3500)
    assert int(slider.input_value()) == before + 3


def test_without_motion_a_play_is_one_step(served, tab):
    page = tab(served.address, reduced_motion="reduce")
    slider = page.get_by_role("slider", name="Step")
    before = int(slider.input_value())
    button(page, "Play").click()
    assert int(slider.input_value()) == before + 1
    expect(button(page, "Play")).to_be_visible()


def test_a_neuron_is_two_sums(page, session):
    node(page, 2, 3).click()
    explained = inspect.explain(session.net, [0.0, 0.0], [0.0], eta=session.eta, most=10)
    values = numbers(settled(page).locator("#chosen div.line"))
    symbols = ("z^2_3", "a^2_3", "dC/da^2_3", "sigma'(z^2_3)", "delta^2_3", "dC/db^2_3")
    assert values == pytest.approx([explained[symbol].value for symbol in symbols], rel=1e-4)
    expect(node(page, 2, 3)).to_have_attribute("aria-pressed", "true")
    details(page).get_by_text("2 weights into it").click()
    details(page).get_by_role("button", name=re.compile("^from 2:")).click()
    expect(details(page).locator("h3")).to_have_text(
        "The weight from neuron 2 to neuron 3 of layer 2")


def test_the_demon_is_dragged(page, session):
    node(page, 2, 3).click()
    slider = details(settled(page)).get_by_role("slider")
    slider.focus()
    for key, dz in (("End", 2.0), ("Home", -2.0), ("ArrowRight", -1.9)):
        page.keyboard.press(key)
        measured, predicted = inspect.demon(
            session.net, [0.0, 0.0], [0.0], layer=0, neuron=2, dz=dz)
        values = numbers(details(page).locator(".demon dd"))
        np.testing.assert_allclose(values, [dz, measured, predicted], rtol=1e-3)
        assert numbers(page.locator("#drawing .beside text")) == pytest.approx(values, rel=1e-2)
    assert details(page).locator(".demon svg").get_attribute("aria-label").startswith(
        "The change of the cost over dz")


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_neuron_is_dragged_in_the_drawing(page, session):
    """The demon adds dz, up for more; what it does to the cost is beside delta dz."""
    x, y = middle(node(page, 2, 3))
    page.mouse.move(x, y)
    page.mouse.down()
    for pixels, dz in ((-20, 0.4), (-35, 0.7), (15, -0.3), (900, -2.0)):
        page.mouse.move(x + 3, y + pixels, steps=3)
        measured, predicted = inspect.demon(
            session.net, [0.0, 0.0], [0.0], layer=0, neuron=2, dz=dz)
        found = numbers(settled(page).locator("#drawing .beside text"))
        np.testing.assert_allclose(found, [dz, measured, predicted], rtol=1e-2)
        np.testing.assert_allclose(
            numbers(details(page).locator(".demon dd")), [dz, measured, predicted], rtol=1e-3)
    page.mouse.up()
    page.mouse.move(x, y)  # let go, it stays
    assert numbers(page.locator("#drawing .beside text"))[0] == -2.0
    button(page, "Next example").click()  # the same dz, of another example
    measured, predicted = inspect.demon(
        session.net, [0.0, 1.0], [1.0], layer=0, neuron=2, dz=-2.0)
    found = numbers(settled(page).locator("#drawing .beside text"))
    np.testing.assert_allclose(found, [-2.0, measured, predicted], rtol=1e-2)
    node(page, 2, 2).click()
    expect(page.locator("#drawing .beside")).to_have_count(0)


def test_a_neuron_is_dragged_by_a_finger(served, tab):
    page = tab(served.address, "phone", has_touch=True)
    node(page, 2, 3).scroll_into_view_if_needed()
    x, y = middle(node(page, 2, 3))
    finger = page.context.new_cdp_session(page)
    for kind, at in (("touchStart", y), ("touchMove", y - 10), ("touchMove", y - 30)):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": at}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#drawing .beside text").first).to_have_text("▲ 0.6")
    assert middle(node(page, 2, 3))[1] == pytest.approx(y, abs=1)  # nothing was scrolled


def test_an_edge_has_bp4_beside_46_and_53(page, session):
    page.get_by_label("Example, 1 to 4").fill("4")
    page.get_by_label("Example, 1 to 4").press("Enter")
    expect(node(page, 1, 1)).to_have_attribute("aria-label", "input 1, a = 1")
    # Where no other line lies above it.
    settled(page).locator("#drawing .edge .hit").nth(9).dispatch_event("click")
    expect(details(settled(page)).locator("h3")).to_have_text(
        "The weight from neuron 2 to neuron 1 of layer 3")
    gradient = float(inspect.trace(session.net, [1.0, 1.0], [0.0]).nabla_w[1][0, 1])
    values = numbers(details(page).locator(".numbers dd"))
    assert values[2] == pytest.approx(gradient, rel=1e-4)
    assert values[3] == pytest.approx(gradient, rel=1e-4)
    assert numbers(details(page).locator("div.line"))[0] == pytest.approx(gradient, rel=1e-4)
    path = details(page).locator(".paths button")
    expect(path).to_have_count(1)
    path.click()
    expect(page.locator("#drawing .edge.lit")).to_have_count(1)
    details(page).get_by_role("button", name="Neuron 2 of layer 2").click()
    expect(details(page).locator("h3")).to_have_text("Neuron 2 of layer 2")


def test_an_example_is_chosen_in_the_plane(page):
    canvas = page.locator("#inputs canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.88, "y": box["height"] * 0.88})
    expect(page.get_by_label("Example, 1 to 4")).to_have_value("3")  # (1, 0)
    button(page, "Next example").click()
    expect(node(page, 1, 2)).to_have_attribute("aria-label", "input 2, a = 1")
    button(page, "Previous").click()
    button(page, "Previous").click()
    expect(page.get_by_label("Example, 1 to 4")).to_have_value("2")


# ---- by keyboard alone ----


def test_by_keyboard_alone(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the equations")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#equations")).to_be_focused()
    focused = page.locator(":focus")
    for _ in range(60):  # back to the drawing, which is one stop
        page.keyboard.press("Shift+Tab")
        if focused.get_attribute("data-place"):
            break
    assert focused.get_attribute("data-place") == "1 1"
    for key, place in (("ArrowRight", "2 1"), ("ArrowDown", "2 2"), ("ArrowDown", "2 3"),
                       ("ArrowUp", "2 2"), ("ArrowRight", "3 1"), ("ArrowRight", "3 1"),
                       ("ArrowLeft", "2 1"), ("ArrowUp", "2 1")):
        page.keyboard.press(key)
        assert focused.get_attribute("data-place") == place
    halo = "document.activeElement.querySelector('.halo')"
    assert page.evaluate(f"getComputedStyle({halo}).stroke") != "none"
    page.keyboard.press("Enter")
    expect(details(page).locator("h3")).to_have_text("Neuron 1 of layer 2")
    assert focused.get_attribute("data-place") == "2 1"
    assert page.locator("#drawing [tabindex='0']").count() == 1


def test_the_focus_stays(page):
    """What is drawn anew while a control is in use leaves the focus on it."""
    node(page, 2, 3).click()
    own = details(settled(page)).get_by_label("Activation of this neuron alone")
    own.focus()
    own.select_option("relu")
    expect(page.locator("#drawing .heading").nth(1)).to_contain_text("relu")
    expect(details(settled(page)).get_by_label("Activation of this neuron alone")).to_be_focused()
    cost = page.get_by_label("Cost", exact=True)
    cost.focus()
    cost.select_option("quadratic")
    expect(page.locator("#what")).to_contain_text("cost quadratic")
    expect(settled(page).get_by_label("Cost", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    details(page).get_by_text("2 weights into it").click()
    details(page).get_by_role("button", name=re.compile("^from 2:")).press("Enter")
    expect(details(page).locator("h3")).to_be_focused()


# ---- training ----


def answered(page, what):
    """Wait within this context for the answer to a question."""
    return page.expect_response(
        lambda response: f'"ask":"{what}"' in (response.request.post_data or ""))


def test_training_and_looking_back(page, session):
    page.get_by_label("Pace").select_option("as fast as it can")
    button(page, "Train").click()
    status = page.locator("#controls [role=status]")
    expect(status).to_contain_text("100 % right")
    button(page, "Stop").click()
    expect(button(page, "Train")).to_be_visible()
    settled(page)
    last = session.frames[-1]
    expect(status).to_have_text(re.compile(rf"^{last.epoch:,} epochs, cost"))
    label = page.locator("#epochs .plot").get_attribute("aria-label")
    assert f"{last.epoch:,} epochs" in label
    after = node(page, 3, 1).get_attribute("aria-label")
    epoch = page.get_by_label("Look at epoch")
    epoch.focus()
    page.keyboard.press("Home")
    expect(page.locator("#epochs .count")).to_have_text(f"0 of {last.epoch}")
    expect(node(page, 3, 1)).not_to_have_attribute("aria-label", after)
    assert epoch.get_attribute("aria-valuetext").startswith("epoch 0, cost ")
    page.keyboard.press("End")
    expect(node(page, 3, 1)).to_have_attribute("aria-label", after)
    assert page.locator("#epochs tbody tr").count() == 2  # saturation by layer


def test_an_earlier_epoch_is_looked_at_while_it_trains(page, session, monkeypatch):
    """It stays, though later ones come; and the slider has the epochs that the server has."""
    monkeypatch.setattr("cbackprop.watch.session.MAX_FRAMES", 12)
    page.reload()
    settled(page).get_by_label("Pace").select_option("25 epochs a second")
    button(page, "Train").click()
    count = page.locator("#epochs .count")
    expect(count).to_have_text(re.compile("^([2-9]|[1-9][0-9]+) of"))
    epoch = page.get_by_label("Look at epoch")
    epoch.press("Home")
    expect(count).to_have_text(re.compile(r"^0 of [0-9]{3}"))
    button(page, "Stop").click()
    expect(button(page, "Train")).to_be_visible()
    expect(count).to_have_text(re.compile("^0 of"))
    began = inspect.trace(session._at(0), [0.0, 0.0], [0.0])
    assert f"a = {began.a[1][0, 0]:.3g}" in node(settled(page), 3, 1).get_attribute("aria-label")
    epochs = [frame.epoch for frame in session.frames]
    assert int(epoch.get_attribute("max")) == len(epochs) - 1
    for at in epochs[1:]:
        epoch.press("ArrowRight")
        expect(count).to_have_text(f"{at} of {epochs[-1]}")


def test_what_is_pressed_waits_for_its_release(page):
    """A button that is made anew between press and release would not be clicked."""
    node(page, 2, 4).click()
    details(settled(page)).get_by_text("2 weights into it").click()
    page.get_by_label("Pace").select_option("25 epochs a second")
    button(page, "Train").click()
    count = page.locator("#epochs .count")
    expect(count).to_have_text(re.compile("^[1-9]"))
    page.mouse.move(*middle(details(page).get_by_role("button", name=re.compile("^from 2:"))))
    page.mouse.down()
    now = int(count.text_content().split()[0])
    expect(count).not_to_have_text(re.compile(f"^({'|'.join(map(str, range(now + 30)))}) "))
    page.mouse.up()
    expect(details(page).locator("h3")).to_have_text(
        "The weight from neuron 2 to neuron 4 of layer 2")
    button(page, "Stop").click()
    expect(button(page, "Train")).to_be_visible()
    settled(page)


def test_one_epoch(page, session):
    button(page, "One epoch").click()
    expect(page.locator("#controls [role=status]")).to_contain_text("1 epoch,")
    assert session.frames[-1].epoch == 1


@pytest.mark.parametrize(("label", "value", "found"), [
    ("Learning rate eta", "0.25", lambda session: session.eta == 0.25),
    ("Mini-batch", "2", lambda session: session.batch == 2),
    ("Hidden layers", "3, 2", lambda session: session.net.sizes == (2, 3, 2, 1)),
])
def test_a_field(page, session, label, value, found):
    field = page.get_by_label(label)
    field.fill(value)
    with answered(page, "network" if label == "Hidden layers" else "settings"):
        field.press("Tab")
    assert found(session)
    expect(page.locator("#problem")).to_be_hidden()


def test_activations_and_cost(page, session):
    page.get_by_label("Hidden activation").select_option("tanh")
    expect(page.locator("#drawing .heading").nth(1)).to_contain_text("tanh")
    node(settled(page), 2, 3).click()
    settled(page).get_by_label("Activation of this neuron alone").select_option("relu")
    expect(page.locator("#drawing .heading").nth(1)).to_contain_text("2 tanh, 1 relu, 1 tanh")
    expect(page.get_by_label("Activation of this neuron alone")).to_have_value("relu")
    assert session.net.engine.activations[0] == [("tanh", 2), ("relu", 1), ("tanh", 1)]
    settled(page).get_by_label("Cost", exact=True).select_option("quadratic")
    expect(page.locator("#what")).to_contain_text("cost quadratic")
    weights = session.net.weights[0].copy()
    with answered(settled(page), "network"):
        button(page, "New weights").click()
    assert not np.array_equal(session.net.weights[0], weights)


def test_what_cannot_be_is_told(served, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.address)
    expect(page.locator("#drawing .node").first).to_be_visible()
    page.get_by_label("Hidden layers").fill("many")
    page.get_by_label("Hidden layers").press("Tab")
    expect(page.get_by_role("alert")).to_contain_text("hidden layers must be at most 8 numbers")
    page.get_by_label("Cost", exact=True).select_option("log_likelihood")
    expect(page.get_by_role("alert")).to_contain_text("softmax")
    button(page, "One epoch").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("name", [problem.name for problem in PROBLEMS[1:3]])
def test_other_data(page, name):
    page.get_by_label("Data").select_option(name)
    expect(page.locator("#what")).to_contain_text(name)
    expect(page.get_by_label("Example, 1 to 200")).to_be_visible()
    expect(page.locator("#inputs canvas")).to_be_visible()


# ---- digits ----


def test_digits_fold(digits):
    assert digits.locator("#drawing .node").count() == 30
    legend = digits.locator("#drawing .legend")
    expect(legend).to_contain_text("10 of 784 inputs")
    expect(legend).to_contain_text("10 of 30 neurons of layer 2")
    assert digits.locator("#inputs canvas").count() == 2
    assert digits.locator("#inputs tbody tr").count() == 10


def test_a_digit_drawn_by_hand(digits):
    button(digits, "Draw one by hand").click()
    board = settled(digits).locator(".board")
    before = digits.locator("#inputs caption").inner_text()
    box = board.bounding_box()
    at = [(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.5)
          for share in (0.3, 0.7)]
    digits.mouse.move(*at[0])
    digits.mouse.down()
    digits.mouse.move(*at[1], steps=8)
    digits.mouse.up()
    expect(settled(digits).locator("#inputs caption")).not_to_have_text(before)
    drawn = digits.locator("#inputs caption").inner_text()
    digits.get_by_label("What is drawn is a").select_option("7")
    expect(digits.locator("#inputs caption")).not_to_have_text(drawn)
    expect(digits.locator("#inputs tbody tr").nth(7).locator("td").last).to_have_text("1")


def test_a_digit_drawn_by_keyboard(digits):
    button(digits, "Draw one by hand").click()
    board = settled(digits).locator(".board")
    before = digits.locator("#inputs caption").inner_text()
    board.focus()
    digits.keyboard.press("ArrowUp")
    digits.keyboard.press("Space")
    expect(settled(digits).locator("#inputs caption")).not_to_have_text(before)
    expect(board).to_be_focused()


# ---- tabs, and the end ----


def test_the_page_is_kept_as_a_file(page, tab, tmp_path):
    button(page, "One epoch").click()
    expect(page.locator("#controls [role=status]")).to_contain_text("1 epoch,")
    button(settled(page), "Next example").click()
    label = node(settled(page), 3, 1).get_attribute("aria-label")
    path = tmp_path / "kept.html"
    with page.expect_download() as downloading:
        button(page, "Keep this example as a file").click()
    downloading.value.save_as(path)
    kept = tab(f"file://{path}")
    assert node(kept, 3, 1).get_attribute("aria-label") == label
    expect(kept.locator("#what")).to_have_text(re.compile("^A picture of XOR 2"))
    kept.get_by_label("Look at epoch").press("Home")
    page.get_by_label("Look at epoch").press("Home")
    before = node(settled(page), 3, 1).get_attribute("aria-label")
    assert before != label
    assert node(settled(kept), 3, 1).get_attribute("aria-label") == before


def test_a_digit_drawn_by_hand_is_kept(digits, tab, tmp_path):
    button(digits, "Draw one by hand").click()
    settled(digits).locator(".board").press("Space")
    caption = settled(digits).locator("#inputs caption").inner_text()
    with digits.expect_download() as downloading:
        button(digits, "Keep this example as a file").click()
    downloading.value.save_as(tmp_path / "kept.html")
    kept = tab(f"file://{tmp_path / 'kept.html'}")
    assert kept.locator("#inputs caption").inner_text() == caption


def test_two_tabs_show_the_same(served, tab):
    first, second = tab(served.address), tab(served.address)
    first.get_by_label("Data").select_option("two moons")
    expect(second.locator("#what")).to_contain_text("two moons")
    button(settled(second), "One epoch").click()
    expect(first.locator("#controls [role=status]")).to_contain_text("1 epoch,")
    settled(second).get_by_label("Learning rate eta").fill("0.75")
    second.get_by_label("Learning rate eta").press("Tab")
    expect(first.get_by_label("Learning rate eta")).to_have_value("0.75")


def test_a_tab_that_comes_while_it_trains(page, served, tab):
    page.get_by_label("Pace").select_option("25 epochs a second")
    for _ in range(3):
        button(page, "Train").click()
        expect(button(page, "Stop")).to_be_visible()
        other = tab(served.address, settles=False)
        expect(button(other, "Stop")).to_be_visible()
        button(page, "Stop").click()
        for each in (page, other):
            expect(button(each, "Train")).to_be_visible()
        last = node(settled(page), 3, 1).get_attribute("aria-label")
        assert node(settled(other), 3, 1).get_attribute("aria-label") == last
        other.close()


def test_a_closed_tab_ends_the_training(served, session, tab, monkeypatch):
    monkeypatch.setattr("cbackprop.watch.session.ALONE_SECONDS", 0.2)
    page = tab(served.address)
    page.get_by_label("Pace").select_option("5 epochs a second")
    button(page, "Train").click()
    expect(button(page, "Stop")).to_be_visible()
    assert session.trains
    page.close()
    thread = session._thread
    if thread is not None:
        thread.join(60)
    assert not session.trains
    assert session.listeners == 0


def test_the_end_of_the_program_is_told(session, browser):
    context = browser.new_context()
    page = context.new_page()
    with Server(session) as served:
        page.goto(served.address)
        expect(page.locator("#drawing .node").first).to_be_visible()
    button(page, "One epoch").click()
    expect(page.get_by_role("alert")).to_contain_text("has ended")
    context.close()


def test_the_end_of_the_program_is_seen(session, browser):
    context = browser.new_context()
    page = context.new_page()
    with Server(session) as served:
        page.goto(served.address)
        expect(page.locator("#drawing .node").first).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("has ended")
    context.close()


# ---- the page as a file ----


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    net = Network([2, 3, 3], activation="tanh", cost="log_likelihood", seed=2)
    net.classes = ("ant", "</script><b>bee", "cat")
    inspect.page(net, [[0.5, 1.0], [-1.0, 0.25]], ["ant", "cat"], path, eta=3.0)
    return path, net


def test_a_file_works_without_a_server(file, tab):
    path, net = file
    page = tab(f"file://{path}")
    assert len(path.read_bytes()) < 300_000
    assert page.locator("#training").is_hidden()
    button(page, "First").click()
    for _ in range(4):
        button(page, "Next").click()
    node(page, 3, 2).click()
    expect(details(page).locator(".demon svg")).to_be_visible()
    page.locator("#drawing .edge .hit").first.dispatch_event("click")
    expect(details(page).locator(".paths button")).to_have_count(9)
    button(page, "Next example").click()
    label = node(settled(page), 3, 3).get_attribute("aria-label")
    assert "target 1" in label
    output = net.feedforward([-1.0, 0.25])[2]
    assert f"a = {output:.3g}" in label
    expect(page.locator("#inputs tbody th").nth(1)).to_have_text("</script><b>bee")


def test_a_file_has_the_epochs_of_snapshots(tab, tmp_path):
    x, y = [[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]]
    net, seen = Network([2, 3, 1], cost="cross_entropy", seed=0), callbacks.Snapshots(every=4)
    net.SGD((x, y), 8, 2, 2.0, callbacks=[seen])
    inspect.page(seen, x, y, tmp_path / "page.html")
    page = tab(f"file://{tmp_path / 'page.html'}")
    node(page, 2, 1).click()
    for key, epoch in (("End", 8), ("ArrowLeft", 4), ("Home", 0)):
        page.get_by_label("Look at epoch").press(key)
        expect(page.locator("#epochs .count")).to_have_text(f"{epoch} of 8")
        at = seen.networks[epoch // 4]
        traced = inspect.trace(at, x[0], y[0])
        assert f"a = {traced.a[1][0, 0]:.3g}," in node(settled(page), 3, 1).get_attribute(
            "aria-label")
        slider = details(page).get_by_role("slider")
        slider.press("End")
        measured, predicted = inspect.demon(at, x[0], y[0], layer=0, neuron=0, dz=2.0)
        np.testing.assert_allclose(
            numbers(details(page).locator(".demon dd")), [2.0, measured, predicted], rtol=1e-3)
        said = page.get_by_label("Look at epoch").get_attribute("aria-valuetext")
        assert number(said) == pytest.approx(at.total_cost((x, y)), rel=1e-2)
    assert page.locator("#controls").inner_text() == ""


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(file, served, tab, size):
    for address in (f"file://{file[0]}", served.address):
        page = tab(address, size)
        node(page, 2, 1).click()
        expect(details(page).locator(".demon svg")).to_be_visible()
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]


@pytest.mark.skipif(AXE is None, reason="CBACKPROP_AXE does not name axe-core's file")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "wide"])
def test_axe_finds_nothing(served, tab, size, scheme):
    page = tab(served.address, size, color_scheme=scheme)
    page.evaluate(Path(AXE).read_text("utf-8"))

    def found():
        return [(rule["id"], rule["nodes"][0]["html"])
                for rule in page.evaluate("axe.run()")["violations"]]

    assert found() == []
    node(page, 2, 2).click()
    details(settled(page)).get_by_role("slider").press("End")  # the demon is in the drawing, too
    assert found() == []
    page.locator("#drawing .edge .hit").first.dispatch_event("click")
    expect(details(settled(page)).locator(".paths")).to_be_visible()
    page.locator(".chip").nth(6).click()
    assert found() == []
    if size == "wide":
        page.get_by_label("Data").select_option("digits (MNIST)")
        expect(page.locator("#inputs canvas")).to_have_count(2)
        button(settled(page), "Draw one by hand").click()
        expect(settled(page).locator(".board")).to_be_visible()
        assert found() == []


CONTRASTS = """() => {
  const parts = (color) => {
    const found = color.match(/[\\d.]+/g).map(Number);
    return found.length === 3 ? [...found, 1] : found;
  };
  const light = (color) => color.slice(0, 3)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const mixed = (over, under, share) => over.slice(0, 3).map(
    (part, at) => share * part + (1 - share) * under[at]);
  return [...document.querySelectorAll("svg text")].map((text) => {
    const style = getComputedStyle(text);
    let [shown, paper] = [1, null];
    for (let at = text; at; at = at.parentElement) {
      shown *= Number(getComputedStyle(at).opacity);
      const behind = parts(getComputedStyle(at).backgroundColor);
      if (paper === null && behind[3] === 1) paper = behind;
    }
    const [ink, under] = [light(mixed(parts(style.fill), paper, shown)), light(paper)];
    const ratio = (Math.max(ink, under) + 0.05) / (Math.min(ink, under) + 0.05);
    return [text.textContent, ratio, parseFloat(style.fontSize)];
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_in_drawings_have_contrast(served, tab, scheme):
    """WCAG's AA, 4.5 to 1, which axe-core does not measure within SVG."""
    page = tab(served.address, color_scheme=scheme)
    button(page, "One epoch").click()
    expect(page.locator("#controls [role=status]")).to_contain_text("1 epoch,")
    node(settled(page), 2, 2).click()
    details(settled(page)).get_by_role("slider").press("End")
    page.locator(".chip").nth(6).click()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 30
    assert [each for each in found if each[1] < 4.5 or each[2] < 11] == []
