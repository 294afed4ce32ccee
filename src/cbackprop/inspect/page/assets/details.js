// A closer look at one neuron, with its demon, or at one weight, with its paths.

import { el, replace, show, button, choice, labelled, plural } from "./dom.js";
import { equation } from "./equations.js";
import { curves } from "./plots.js";
import { ask, live } from "./core.js";

const line = (words, step) => (step ? el("div", { class: "line" }, el("span", { class: "why", text: words }), equation(step)) : null);

const FIRST = "Choose a neuron or a weight in the network: click it, or press Enter on a neuron.";

const pair = (name, value) => [el("dt", { text: name }), el("dd", { text: value })];

export class Details {
  constructor(place, { equations, onEdge, onNeuron, onPath, onActivation, onDemon, asked }) {
    Object.assign(this, { place, equations, onEdge, onNeuron, onPath, onActivation, onDemon, asked });
    this.shown = undefined; // what is looked at
    this.dz = 6; // what the demon adds, in steps
    this.moved = false; // whether it is told in the drawing, too
    this.turn = 0;
    this.opened = new Set(); // lists of weights that a refresh must not close
  }

  // Only the last of several answers that are under way is shown.
  async answer(what, details, then) {
    this.turn += 1;
    const turn = this.turn;
    try {
      const found = await ask(what, { ...this.asked(), ...details });
      if (turn === this.turn) then(found);
    } catch (error) {
      if (turn === this.turn) then(null, error.message);
    }
  }

  show(selected, example, state) {
    this.example = example;
    this.state = state;
    // A refresh keeps what may be held, the slider.
    const held = this.place.contains(document.activeElement);
    const other = String(this.shown) !== String(selected);
    if (other) {
      this.shown = selected;
      this.found = null;
      this.moved = false;
      [this.lines, this.answered] = [el("div"), el("div")];
      this.place.replaceChildren(this.lines, this.answered);
    }
    if (selected === null) {
      this.turn += 1;
      replace(this.lines, el("p", { class: "muted", text: FIRST }));
    } else if (selected.length === 2) this.neuron(...selected);
    else this.edge(...selected);
    if (other && held) this.lines.querySelector("h3")?.focus();
  }

  neuron(layer, j) {
    const step = (name, ...neurons) => this.equations.find(name, layer, ...neurons);
    const last = this.example.layers.length;
    if (layer === 1) {
      this.turn += 1;
      replace(this.lines, el("h3", { tabindex: -1, text: `Input ${j}${this.name(this.state.inputs, j)}` }), line("its activation", step("a", j)), this.outgoing(layer, j));
      return;
    }
    const softmax = !step("sigma'", j);
    replace(this.lines,
      el("h3", { tabindex: -1, text: `Neuron ${j} of layer ${layer}${layer === last ? ` = L${this.name(this.state.sizes.at(-1) > 1 && this.state.classes, j)}` : ""}` }),
      this.activation(layer, j),
      line("z is a sum", step("z", j)), line("(25)", step("a", j)),
      line(layer === last ? "BP1: the cost's rate" : "BP2: the errors behind it, through its weights", step("dC/da", j)),
      line("times the slope", step("sigma'", j)), line(softmax ? "(37): δ is a sum" : "is δ", step("delta", j)),
      line("BP3", step("dC/db", j)), this.incoming(layer, j), this.outgoing(layer, j));
    this.answer("demon", { layer, j }, (found, error) => this.demon(layer, j, found, error));
  }

  name(names, j) {
    return names ? `: ${names[j - 1]}` : "";
  }

  activation(layer, j) {
    const now = this.state.activations[layer - 2][j - 1];
    if (!live) return el("p", { class: "muted", text: `Activation: ${now}` });
    const names = [...new Set([now, ...this.state.choices.neurons])];
    const control = choice(names.map((name) => [name, name]), now, (value) => this.onActivation(layer, j, value));
    if (this.state.activations[layer - 2][0] === "softmax") control.disabled = true;
    return labelled("Activation of this neuron alone", control);
  }

  weights(way, buttons) {
    if (!buttons.length) return null;
    const list = el("details", { open: this.opened.has(way) },
      el("summary", { text: `${plural(buttons.length, "weight")} ${way} it` }), el("div", { class: "weights" }, buttons));
    list.addEventListener("toggle", () => this.opened[list.open ? "add" : "delete"](way));
    return list;
  }

  incoming(layer, j) {
    const here = this.example.layers[layer - 1];
    const row = here.drawn.indexOf(j);
    const before = this.example.layers[layer - 2].drawn;
    return this.weights("into", before.map((k, column) =>
      button(`from ${k}: ${show(here.w[row][column])}`, () => this.onEdge(layer, j, k))));
  }

  outgoing(layer, k) {
    const next = this.example.layers[layer];
    if (!next) return null;
    const column = this.example.layers[layer - 1].drawn.indexOf(k);
    return this.weights("out of", next.drawn.map((j, row) =>
      button(`to ${j}: ${show(next.w[row][column])}`, () => this.onEdge(layer + 1, j, k))));
  }

  demon(layer, j, found, error) {
    this.found = found;
    if (error) {
      this.onDemon(null);
      this.answered.replaceChildren(el("p", { class: "error", text: error }));
      return;
    }
    if (!this.answered.contains(this.slider)) {
      const end = (found.dz.length - 1) / 2;
      this.slider = el("input", { type: "range", min: -end, max: end, value: this.dz, on: { input: () => this.move(Number(this.slider.value)) } });
      this.picture = el("div");
      this.numbers = el("dl", { class: "numbers" });
      this.answered.replaceChildren(el("h4", { text: "The demon at this neuron" }), el("div", { class: "demon" },
        el("p", { class: "prose", text: "The demon adds dz to z. Near 0, the cost changes by δ dz: this is what δ means. Drag the slider, or the neuron itself." }),
        labelled(`Drag z of neuron ${j} of layer ${layer}: dz`, this.slider), this.picture, this.numbers));
    }
    this.drawDemon();
  }

  // So many steps of dz, as far as the scale goes.
  move(dz) {
    this.dz = dz;
    this.moved = true;
    if (this.found) this.drawDemon();
  }

  drawDemon() {
    const { found } = this;
    this.slider.value = this.dz; // within its ends
    this.dz = Number(this.slider.value);
    const at = this.dz + (found.dz.length - 1) / 2;
    const straight = found.dz.map((x) => ({ x, y: found.delta * x }));
    const [{ x: dz, y: predicted }, measured] = [straight[at], found.measured[at]];
    this.slider.setAttribute("aria-valuetext", `dz = ${show(dz)}, the cost changes by ${show(measured)}`);
    curves(this.picture,
      `The change of the cost over dz, and the line δ dz. At dz = ${show(dz)}: measured ${show(measured)}, δ dz ${show(predicted)}.`,
      [{ name: "measured", points: found.dz.map((x, i) => ({ x, y: found.measured[i] })) },
        { name: "predicted", points: straight }],
      { xName: "dz", yName: "change of C", zero: true,
        marks: [{ x: dz, y: predicted, name: "predicted" }, { x: dz, y: measured, name: "measured" }] });
    this.numbers.replaceChildren(...pair("dz", show(dz)), ...pair("● C(z + dz) − C(z), measured", show(measured, 5)),
      ...pair("■ δ · dz, predicted (29)", show(predicted, 5)));
    if (this.moved) this.onDemon({ dz, measured, predicted });
  }

  edge(layer, j, k) {
    const step = (name, ...neurons) => this.equations.find(name, layer, ...neurons);
    replace(this.lines,
      el("h3", { tabindex: -1, text: `The weight from neuron ${k} to neuron ${j} of layer ${layer}` }),
      line("BP4: a times δ", step("dC/dw", j, k)), line("the update", step("w", j, k)),
      el("p", {}, button(`Neuron ${k} of layer ${layer - 1}`, () => this.onNeuron(layer - 1, k)), " ",
        button(`Neuron ${j} of layer ${layer}`, () => this.onNeuron(layer, j))));
    this.answer("edge", { layer, j, k }, (found, error) => this.checks(layer, j, k, found, error));
  }

  checks(layer, j, k, found, error) {
    if (error) {
      replace(this.answered, el("p", { class: "error", text: error }));
      return;
    }
    replace(this.answered,
      el("h4", { text: "Beside it, (46) measured" }),
      el("dl", { class: "numbers" },
        pair(`C(w + ${show(found.h)})`, String(found.costs[0]).replace("-", "−")),
        pair(`C(w − ${show(found.h)})`, String(found.costs[1]).replace("-", "−")),
        pair("(46): their difference over 2ε", show(found.measured, 6)), pair("BP4: a · δ", show(found.bp4, 6))),
      el("h4", { text: "(53): every path from the weight to the cost" }), this.paths(layer, j, k, found));
  }

  paths(layer, j, k, found) {
    const sum = el("p", { class: "prose", text: `Their rates add up to ${show(found.total, 6)}; BP4 says ${show(found.bp4, 6)}.` });
    if (!found.paths.length) {
      return el("div", {}, el("p", { class: "prose", text: `There are ${found.count.toLocaleString("en")} paths: too many to be listed. They are summed layer by layer.` }), sum);
    }
    const rest = found.count - found.paths.length;
    return el("div", {},
      el("p", { class: "prose", text: `${plural(found.count, "path")}${rest ? `, of which the ${found.paths.length} largest are listed` : ""}. Choose ${found.count === 1 ? "it" : "one"}, and it is lit.` }),
      el("ul", { class: "paths" }, found.paths.map((path) => el("li", {}, button(
        `${found.steps.map((name, at) => `${name[0]}${raised(Number(name.slice(2, -1)) + 2)}${lowered(path.neurons[at])}`).join(" → ")} → C:  ${show(path.factor)}`,
        () => this.onPath(layer, j, k, found.steps.map((name, at) => [Number(name.slice(2, -1)) + 2, path.neurons[at]])))))), sum);
  }
}

const raised = (number) => String(number).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
const lowered = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
