// The network: neurons by activation, edges by weight or by gradient.
//
// Size says how much, and a dash or a hollow disc says that a number is negative: colour only
// repeats it.

import { el, svg, redraw, show, choice, labelled, plural } from "./dom.js";

const RADIUS = 15;
const BESIDE = RADIUS + 13; // pixels that a name beside a neuron leaves free
const STEP = 5; // pixels that a neuron is dragged for each step of the demon
const EDGES = { w: "weight w", nabla_w: "gradient ∂C/∂w" };

function describe(layers, layer, j, name, deltas) {
  const { drawn, a, z, delta } = layers[layer - 1];
  const at = drawn.indexOf(j);
  const words = [layer === 1 ? `input ${j}` : `neuron ${j} of layer ${layer}`, `a = ${show(a[at])}`];
  if (name !== `${j}`) words.splice(1, 0, name);
  if (layer > 1) words.push(`z = ${show(z[at])}`);
  if (layer > 1 && deltas) words.push(`delta = ${show(delta[at])}`);
  return words.join(", ");
}

// The numbers of what is drawn here: layer and neuron, or layer and both neurons of a weight.
const numbersOf = (node, name) => node.closest(`[data-${name}]`)?.dataset[name].split(" ").map(Number);
const placeOf = (node) => numbersOf(node, "place");

const pen = document.createElement("canvas").getContext("2d");

// The length of a text in the drawing, in pixels.
function lengthOf(text) {
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}

function shortened(text, room) {
  if (lengthOf(text) <= room) return text;
  let kept = text;
  while (kept && lengthOf(`${kept}…`) > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}

export class Drawing {
  constructor(place, { onNeuron, onEdge, onDrag }) {
    Object.assign(this, { onNeuron, onEdge, onDrag });
    this.edges = "w";
    this.focus = [1, 0];
    this.lit = [];
    this.stage = { forward: Infinity, backward: Infinity };
    this.selected = null;
    this.demon = null;
    this.canvas = el("div", { class: "canvas" });
    this.legend = el("p", { class: "legend" });
    place.append(
      labelled("Edges show the", choice(Object.entries(EDGES), "w", (value) => {
        this.edges = value;
        this.draw();
      })), this.canvas, this.legend);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.canvas.addEventListener("click", ({ target }) => {
      const [node, edge] = [placeOf(target), numbersOf(target, "edge")];
      if (node) this.take(...node);
      else if (edge) this.onEdge(...edge);
    });
    this.canvas.addEventListener("focusin", ({ target }) => {
      const [layer, j] = placeOf(target);
      this.focus = [layer, this.layers[layer - 1].drawn.indexOf(j)];
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.followPointer();
  }

  // A neuron that is dragged up or down has its z changed by the demon. A click would go to whoever
  // has the pointer, so the canvas takes it when it is moved, and not before.
  followPointer() {
    let from = null;
    const begin = (event) => {
      const [layer, j] = placeOf(event.target) ?? [1];
      from = layer > 1 && event.isPrimary && event.button === 0 ? { layer, j, y: event.clientY } : null;
    };
    const move = (event) => {
      const steps = Math.round((from.y - event.clientY) / STEP);
      if (!from.moves) {
        if (!steps) return;
        from.moves = true;
        this.canvas.setPointerCapture(event.pointerId);
        this.onNeuron(from.layer, from.j);
      }
      this.onDrag(steps);
    };
    this.canvas.addEventListener("pointerdown", begin);
    this.canvas.addEventListener("pointermove", (event) => { if (from) move(event); });
    // A finger would scroll the page: touch-action says nothing of what is within an SVG.
    this.canvas.addEventListener("touchmove", (event) => { if (from) event.preventDefault(); }, { passive: false });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { from = null; });
  }

  show(example, names) {
    this.layers = example.layers;
    this.example = example;
    this.names = names;
    const [layer, at] = this.focus;
    const count = this.layers[layer - 1]?.drawn.length ?? 0;
    if (at >= count) this.focus = [1, 0];
    this.draw();
  }

  // Symbols that the equation at hand speaks of, and how far the pass has come.
  light(symbols, stage) {
    this.lit = symbols;
    this.stage = stage;
    this.draw();
  }

  select(selected) {
    this.selected = selected;
    this.demon = null;
    this.draw();
  }

  // What the demon does to the chosen neuron.
  tell(demon) {
    this.demon = demon;
    this.draw();
  }

  place() {
    const width = Math.max(280, this.canvas.clientWidth);
    const rows = Math.max(...this.layers.map((layer) => layer.drawn.length));
    const step = 70;
    const height = 64 + rows * step;
    const last = this.layers.length - 1;
    const side = (at) => {
      const texts = this.layers[at].drawn.flatMap((j) => [this.nameOf(at, j), at ? this.target(j) : ""]);
      return Math.min(Math.max(BESIDE + Math.max(...texts.map(lengthOf)), Math.min(84, width / 6)), width / 3.4);
    };
    const [left, right] = [side(0), side(last)];
    this.rooms = [left - BESIDE, right - BESIDE];
    const across = (width - left - right) / last;
    this.spots = this.layers.map((layer, at) => layer.drawn.map((_, row) => [
      left + at * across,
      50 + (rows * step) / 2 + (row - (layer.drawn.length - 1) / 2) * step - step / 5,
    ]));
    return { width, height };
  }

  // What a neuron is called: by the data, or by its number.
  nameOf(at, j) {
    const names = at === 0 ? this.names.inputs : at === this.layers.length - 1 ? this.names.outputs : null;
    return names?.[j - 1] ?? `${j}`;
  }

  target(j) {
    return `y ${show(this.example.y[j - 1])}`;
  }

  isLit(...symbol) {
    return this.lit.some(([name, layer, ...neurons]) =>
      symbol.length === neurons.length + 1 && symbol[0] === layer
      && neurons.every((neuron, at) => neuron === symbol[at + 1])
      && (symbol.length === 3 ? ["w", "dC/dw"].includes(name) : !["w", "dC/dw"].includes(name)));
  }

  isSelected(...place) {
    return this.selected !== null && place.length === this.selected.length
      && place.every((part, at) => part === this.selected[at]);
  }

  touchesSelected(layer, j, k) {
    const chosen = this.selected;
    if (chosen === null) return false;
    if (chosen.length === 3) return this.isSelected(layer, j, k);
    return (chosen[0] === layer && chosen[1] === j) || (chosen[0] === layer - 1 && chosen[1] === k);
  }

  draw() {
    if (!this.layers) return;
    const { width, height } = this.place();
    const held = this.canvas.contains(document.activeElement);
    const edges = [];
    const neurons = [];
    for (const [at, layer] of this.layers.entries()) {
      if (at) edges.push(...this.drawEdges(layer, at));
      neurons.push(this.heading(layer, at, height));
      for (const row of layer.drawn.keys()) neurons.push(this.neuron(layer, at, row));
    }
    const like = svg("svg", {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
      "aria-label": "The network. Arrow keys go from neuron to neuron, Enter looks closer.",
    }, svg("g", { class: "edges", "aria-hidden": "true" }, edges), neurons, this.drawDemon(width));
    if (this.root) redraw(this.root, like);
    else this.canvas.append(this.root = like);
    if (held) this.root.querySelector("[tabindex='0']")?.focus();
    this.legend.textContent = this.explain();
  }

  explain() {
    const folded = this.layers.filter((layer) => layer.drawn.length < layer.size)
      .map((layer) => `${layer.drawn.length} of ${layer.size.toLocaleString("en")} `
        + (layer.layer === 1 ? "inputs, the largest" : `neurons of layer ${layer.layer}, `
          + "those with the largest δ"));
    const rule = "A fuller disc is a larger activation, a hollow one is negative. "
      + `A wider line is a larger ${EDGES[this.edges]}, a dashed one is negative. `
      + "A neuron that you drag up or down has its z changed by the demon.";
    return folded.length ? `${rule} Drawn are ${folded.join("; ")}.` : rule;
  }

  heading(layer, at, height) {
    const x = this.spots[at][0][0];
    const last = at === this.layers.length - 1;
    const name = at === 0 ? "layer 1" : last ? `layer ${layer.layer} = L` : `layer ${layer.layer}`;
    const folded = layer.drawn.length < layer.size;
    return svg("g", { class: "heading" },
      svg("text", { x, y: 16, text: name }),
      svg("text", { x, y: 31, class: "muted", text: at ? layer.activation : plural(layer.size, "input") }),
      folded ? svg("text", {
        x, y: height - 4, class: "muted",
        text: `⋮ ${(layer.size - layer.drawn.length).toLocaleString("en")} more`,
      }) : null);
  }

  drawEdges(layer, at) {
    const values = layer[this.edges];
    const most = layer[`most_${this.edges}`] || 1;
    const drawn = [];
    const any = this.lit.length > 0;
    for (const [row, j] of layer.drawn.entries()) {
      for (const [column, k] of this.layers[at - 1].drawn.entries()) {
        const value = values[row][column];
        const [[x1, y1], [x2, y2]] = [this.spots[at - 1][column], this.spots[at][row]];
        const lit = this.isLit(layer.layer, j, k);
        const near = this.touchesSelected(layer.layer, j, k);
        const classes = ["edge", value < 0 ? "minus" : "plus", lit ? "lit" : "", near ? "near" : "",
          (any || this.selected) && !lit && !near ? "far" : ""].join(" ");
        const line = { x1, y1, x2, y2 };
        drawn.push(svg("g", { class: classes, "data-edge": `${layer.layer} ${j} ${k}` },
          svg("title", { text: `w from ${k} to ${j}: ${show(layer.w[row][column])}, gradient ${show(layer.nabla_w[row][column])}` }),
          svg("line", { ...line, class: "hit" }),
          svg("line", { ...line, class: "line", "stroke-width": 0.5 + 5 * Math.min(1, Math.abs(value ?? 0) / most) })));
      }
    }
    return drawn;
  }

  neuron(layer, at, row) {
    const [x, y] = this.spots[at][row];
    const j = layer.drawn[row];
    const a = layer.a[row];
    const reached = layer.layer <= this.stage.forward;
    const back = layer.layer > 1 && layer.layer >= this.stage.backward;
    const chosen = this.isSelected(layer.layer, j);
    const size = (RADIUS - 3) * Math.sqrt(Math.abs(a ?? 0) / Math.max(1, layer.most_a));
    const classes = ["neuron", a < 0 ? "minus" : "plus", reached ? "" : "unreached",
      this.isLit(layer.layer, j) ? "lit" : "", chosen ? "chosen" : ""].join(" ");
    const last = at === this.layers.length - 1;
    const name = this.nameOf(at, j);
    const beside = at === 0 ? { x: x - RADIUS - 7, "text-anchor": "end" }
      : last ? { x: x + RADIUS + 7, "text-anchor": "start" }
        : { x: x - RADIUS - 4, y: y - RADIUS + 2, "text-anchor": "end" };
    const focused = this.focus[0] === layer.layer && this.focus[1] === row;
    // Texts are beside the button, whose name says them in words.
    return svg("g", { class: classes }, svg("g", {
      class: "node", role: "button", tabindex: focused ? 0 : -1, "aria-pressed": String(chosen),
      "aria-label": describe(this.layers, layer.layer, j, name, back) + (last ? `, target ${show(this.example.y[j - 1])}` : ""),
      "data-place": `${layer.layer} ${j}`,
    },
    name === `${j}` ? null : svg("title", { text: name }),
    svg("circle", { cx: x, cy: y, r: RADIUS + 5, class: "halo" }),
    svg("circle", { cx: x, cy: y, r: RADIUS, class: "rim" }),
    reached ? svg("circle", { cx: x, cy: y, r: Math.max(size, a ? 1.5 : 0), class: "disc" }) : null),
    svg("g", { class: "texts", "aria-hidden": "true" }, svg("text", { y: y + (last ? -3 : 4), class: "name", ...beside, text: shortened(name, this.rooms[last ? 1 : 0]) }),
    last ? svg("text", { x: x + RADIUS + 7, y: y + 11, class: "muted start", text: this.target(j) }) : null,
    reached ? svg("text", { x, y: y + RADIUS + 14, class: "value", text: show(a, Math.abs(a) < 1e-3 ? 2 : 3) }) : null,
    back ? svg("text", { x, y: y + RADIUS + 27, class: "error", text: `δ ${show(layer.delta[row])}` }) : null));
  }

  // The change of the chosen neuron's z, and what the cost makes of it.
  drawDemon(width) {
    if (this.demon === null || this.selected?.length !== 2) return null;
    const [layer, j] = this.selected;
    const row = this.layers[layer - 1].drawn.indexOf(j);
    const [x, y] = this.spots[layer - 1][row];
    const { dz, measured, predicted } = this.demon;
    const room = this.spots[1][0][0] - this.spots[0][0][0] - 2 * (RADIUS + 12);
    const [wide, high] = [room < 112 ? 86 : 112, 58];
    const named = (mark, name, value) => (wide < 112 ? `${mark} ${show(value)}` : `${mark} ${name} ${show(value)}`);
    const left = x + RADIUS + 12 + wide < width ? x + RADIUS + 12 : x - RADIUS - 12 - wide;
    const top = Math.max(2, y - high / 2);
    const words = (line, text) => svg("text", { x: left + 8, y: top + 1 + 17 * line, text });
    return svg("g", { class: "beside", "aria-hidden": "true" },
      svg("rect", { x: left, y: top, width: wide, height: high, rx: 6 }),
      words(1, named(dz < 0 ? "▼" : "▲", "dz", dz)), words(2, named("●", "ΔC", measured)),
      words(3, named("■", "δ dz", predicted)));
  }

  take(layer, j) {
    this.focus = [layer, this.layers[layer - 1].drawn.indexOf(j)];
    this.onNeuron(layer, j);
  }

  key(event) {
    const [layer, row] = this.focus;
    const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.take(layer, this.layers[layer - 1].drawn[row]);
    }
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [across, down] = moves[event.key];
    const to = Math.min(this.layers.length, Math.max(1, layer + across));
    const count = this.layers[to - 1].drawn.length;
    this.focus = [to, Math.min(count - 1, Math.max(0, row + down))];
    for (const node of this.root.querySelectorAll(".node")) node.setAttribute("tabindex", -1);
    const j = this.layers[to - 1].drawn[this.focus[1]];
    const node = this.root.querySelector(`[data-place="${to} ${j}"]`);
    node.setAttribute("tabindex", 0);
    node.focus();
  }
}
