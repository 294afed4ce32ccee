// The example at hand: chosen by its number or in the plane, or drawn by hand.

import { el, replace, show, button, choice, labelled, percent } from "./dom.js";
import { ask, live } from "./core.js";
import { plane, image, hinton } from "./plots.js";

export class Inputs {
  constructor(place, { onRow, onDrawn, onData, asked }) {
    Object.assign(this, { place, onRow, onDrawn, onData, asked });
    this.turn = 0;
    this.view = el("div", { class: "view" });
    this.answerPlace = el("div", { class: "answer" });
    this.label = 0;
    this.ink = null;
  }

  // The controls, when there is another network or other data.
  set(state) {
    this.state = state;
    this.ink = null;
    const controls = [];
    if (live) {
      controls.push(labelled("Data", choice(state.choices.data, state.data, this.onData)));
    }
    this.row = el("input", {
      type: "number", min: 1, max: state.rows, value: 1,
      on: { change: () => this.pick(Number(this.row.value) - 1) },
    });
    if (state.rows > 1) {
      controls.push(labelled(`Example, 1 to ${state.rows.toLocaleString("en")}`, this.row));
      controls.push(el("div", { class: "field" }, el("div", { class: "bar" },
        button("Previous", () => this.pick(this.at - 1)), button("Next example", () => this.pick(this.at + 1)))));
    }
    if (live && state.side) {
      this.target = choice((state.classes ?? []).map((name, at) => [at, name]), 0, (value) => {
        this.label = Number(value);
        if (this.ink) this.drawn();
      });
      controls.push(el("div", { class: "field" }, button("Draw one by hand", () => this.startDrawing())),
        labelled("What is drawn is a", this.target));
    }
    this.at = 0;
    replace(this.place, el("div", { class: "fields" }, controls), this.view, this.answerPlace);
  }

  pick(row) {
    this.ink = null;
    this.at = Math.min(this.state.rows - 1, Math.max(0, Math.round(row) || 0));
    this.row.value = this.at + 1;
    this.onRow(this.at);
  }

  async show(example) {
    this.turn += 1;
    const turn = this.turn;
    this.answer(example);
    const { side, points } = this.state;
    if (points) {
      const found = await ask("plane", this.asked());
      if (turn !== this.turn) return;
      const targets = points.y.flat();
      const levels = this.state.classes || found.outputs > 1 ? [Math.min(...targets), Math.max(...targets)]
        : [Math.min(...targets, ...found.values), Math.max(...targets, ...found.values)];
      this.view.replaceChildren(plane(found, points, this.ink ? -1 : this.at, { levels, pick: (row) => this.pick(row) }),
        el("p", { class: "legend", text: found.outputs > 1 ? "Shades are the largest output; the line is where it changes. Shapes are the examples' classes." : "Shades are the output; the line is its middle. ○ and ■ are the examples, the chosen one is larger." }));
      return;
    }
    if (!side) return;
    const found = await ask("pixels", this.asked());
    if (turn !== this.turn) return;
    const pictures = [this.ink ? this.board() : image(example.x, side, `Example ${this.at + 1} as an image`),
      hinton(found.gradient, side, "The gradient of the cost by each pixel")];
    const captions = [this.ink ? "Draw here: with the pointer, or by arrow keys and space." : "The example.",
      "∂C/∂x: full squares are pixels where more ink raises the cost, hollow ones where it lowers it."];
    replace(this.view, pictures.map((picture, at) => el("figure", {}, picture, el("figcaption", { text: captions[at] }))));
  }

  answer(example) {
    const { classes } = this.state;
    const names = classes ?? example.output.map((_, at) => `output ${at + 1}`);
    const single = example.output.length === 1;
    const rows = example.output.map((value, at) => [single ? "output" : names[at], value, example.y[at]]);
    if (rows.length > 12) rows.splice(12);
    this.answerPlace.replaceChildren(el("table", {},
      el("caption", { text: `The network's answer; the cost is ${show(example.cost, 5)}` }),
      el("thead", {}, el("tr", {}, ["", "a", "y"].map((text, at) => el(at ? "th" : "td", at ? { text, scope: "col" } : {})))),
      el("tbody", {}, rows.map(([name, value, target]) => el("tr", {},
        el("th", { text: name, scope: "row" }),
        el("td", {}, el("meter", { min: 0, max: 1, value: Math.min(1, Math.max(0, value ?? 0)), "aria-label": `${name}: ${show(value)}` }), ` ${show(value)}`),
        el("td", { text: show(target) }))))));
    if (single && classes?.length === 2) {
      this.answerPlace.append(el("p", { class: "legend", text: `0 is ${classes[0]}, 1 is ${classes[1]}: ${percent(Math.min(1, Math.max(0, example.output[0])))} for ${classes[1]}.` }));
    }
  }

  // ---- by hand ----

  startDrawing() {
    this.ink = new Array(this.state.side ** 2).fill(0);
    this.cursor = Math.floor(this.ink.length / 2 + this.state.side / 2);
    this.drawn();
    queueMicrotask(() => this.view.scrollIntoView({ block: "nearest" }));
  }

  drawn() {
    const y = (this.state.classes ?? [0]).map((_, at) => Number(at === this.label));
    this.onDrawn({ x: this.ink.map((value) => value * this.state.full), y });
  }

  board() {
    const n = this.state.side;
    const made = image(this.ink, n, "A board to draw a digit on. Arrow keys move, space draws.");
    const pen = made.getContext("2d");
    const mark = () => {
      pen.globalAlpha = 1;
      pen.lineWidth = 2;
      pen.strokeStyle = getComputedStyle(made).outlineColor;
      pen.strokeRect((this.cursor % n) * 10 + 1, Math.floor(this.cursor / n) * 10 + 1, 8, 8);
    };
    mark();
    const spot = (x, y) => {
      for (const [dx, dy, amount] of [[0, 0, 1], [1, 0, 0.6], [-1, 0, 0.6], [0, 1, 0.6], [0, -1, 0.6]]) {
        const [column, row] = [x + dx, y + dy];
        if (column < 0 || row < 0 || column >= n || row >= n) continue;
        const at = row * n + column;
        this.ink[at] = Math.max(this.ink[at], amount);
        pen.globalAlpha = this.ink[at];
        pen.fillStyle = getComputedStyle(made).color;
        pen.clearRect(column * 10, row * 10, 10, 10);
        pen.fillRect(column * 10, row * 10, 10, 10);
      }
    };
    let last = null;
    const stroke = (event) => {
      const box = made.getBoundingClientRect();
      const to = [(event.clientX - box.left) * n / box.width, (event.clientY - box.top) * n / box.height];
      const from = last ?? to;
      const count = Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])) || 1;
      for (let step = 1; step <= count; step += 1) {
        const [x, y] = [0, 1].map((at) => Math.floor(from[at] + (to[at] - from[at]) * step / count));
        this.cursor = Math.min(n - 1, Math.max(0, y)) * n + Math.min(n - 1, Math.max(0, x));
        spot(x, y);
      }
      last = to;
    };
    const end = () => {
      if (last) this.drawn();
      last = null;
    };
    made.classList.add("board");
    made.tabIndex = 0;
    made.setAttribute("role", "application");
    made.setAttribute("aria-roledescription", "drawing board");
    made.addEventListener("pointerdown", (event) => {
      made.setPointerCapture(event.pointerId);
      stroke(event);
    });
    made.addEventListener("pointermove", (event) => { if (last) stroke(event); });
    made.addEventListener("pointerup", end);
    made.addEventListener("pointercancel", end);
    made.addEventListener("keydown", (event) => {
      const moves = { ArrowUp: -n, ArrowDown: n, ArrowLeft: -1, ArrowRight: 1 };
      if (event.key in moves) {
        this.cursor = (this.cursor + moves[event.key] + n * n) % (n * n);
        pen.clearRect(0, 0, n * 10, n * 10);
        pen.fillStyle = getComputedStyle(made).color;
        this.ink.forEach((value, at) => {
          pen.globalAlpha = value;
          pen.fillRect((at % n) * 10, Math.floor(at / n) * 10, 10, 10);
        });
        mark();
      } else if (event.key === " ") {
        spot(this.cursor % n, Math.floor(this.cursor / n));
        this.drawn();
      } else return;
      event.preventDefault();
    });
    return made;
  }
}
