// Live training on the core: its controls, the cost, saturation by layer, the stored epochs.

import { el, show, button, choice, labelled, percent, plural } from "./dom.js";
import { curves } from "./plots.js";

const PACES = [[1, "1 epoch a second"], [5, "5 epochs a second"], [25, "25 epochs a second"],
  [250, "250 epochs a second"], [0, "as fast as it can"]];

const QUIET = 2000; // between two readings of the cost aloud, in milliseconds

export class Training {
  constructor(place, { send, onEpoch }) {
    Object.assign(this, { place, send, onEpoch });
    this.picture = el("div");
    this.status = el("p", { class: "legend", role: "status" });
    this.layers = el("div");
  }

  set(state) {
    this.state = state;
    this.frames = state.frames;
    const names = (list) => list.map((name) => [name, name]);
    const { choices } = state;
    this.eta = el("input", { type: "number", min: 0, step: "any", value: state.eta, on: { change: () => this.settings() } });
    this.batch = el("input", { type: "number", min: 1, max: state.rows, value: state.batch, on: { change: () => this.settings() } });
    this.pace = choice(PACES, state.pace, () => this.settings());
    const hidden = el("input", { value: state.sizes.slice(1, -1).join(", "), on: { change: () => this.send("network", { hidden: hidden.value }) } });
    this.start = button("Train", () => this.send(this.state.training ? "stop" : "train"), { class: "main" });
    this.epoch = el("input", {
      type: "range", min: 0, value: 0, "aria-label": "Stored epoch",
      on: { input: () => this.onEpoch(this.frames[Number(this.epoch.value)].epoch) },
    });
    this.shown = el("span", { class: "count" });
    const mixed = new Set(state.activations[0]).size > 1 || !choices.hidden.includes(state.activations[0][0]);
    const activation = mixed ? [["", state.activations[0].length > 1 && new Set(state.activations[0]).size > 1 ? "several" : state.activations[0][0]], ...names(choices.hidden)] : names(choices.hidden);
    this.place.replaceChildren(
      el("div", { class: "bar" }, this.start, button("One epoch", () => this.send("train", { epochs: 1 })),
        button("New weights", () => this.send("network", {}))),
      this.status,
      el("div", { class: "fields" },
        labelled("Learning rate eta", this.eta), labelled("Mini-batch", this.batch), labelled("Pace", this.pace),
        labelled("Hidden layers", hidden),
        state.sizes.length > 2 ? labelled("Hidden activation", choice(activation, mixed ? "" : state.activations[0][0], (value) => value && this.send("activation", { name: value }))) : null,
        labelled("Cost", choice(names(choices.costs), state.cost, (value) => this.send("cost", { name: value })))),
      el("h3", { text: "The cost" }), this.picture,
      el("div", { class: "bar" }, el("label", { for: "epochs", text: "Look at epoch" }), this.epoch, this.shown),
      el("h3", { text: "Saturation by layer" }), this.layers);
    this.epoch.id = "epochs";
    this.epoch.removeAttribute("aria-label");
    this.draw(null);
    this.running(state.training);
  }

  settings() {
    this.send("settings", { eta: Number(this.eta.value), batch: Number(this.batch.value), pace: Number(this.pace.value) });
  }

  running(training, said = "") {
    this.state.training = training;
    this.start.textContent = training ? "Stop" : "Train";
    if (said) this.status.textContent = said;
    else this.say();
  }

  frame(frame) {
    if (frame.epoch <= (this.frames.at(-1)?.epoch ?? -1)) return;
    this.frames.push(frame);
    this.draw(null);
  }

  say() {
    const now = performance.now();
    if (this.state.training && now - (this.lastSaid ?? -QUIET) < QUIET) return;
    this.lastSaid = now;
    const last = this.frames.at(-1);
    const accuracy = last.accuracy === null ? "" : `, ${percent(last.accuracy)} right`;
    this.status.textContent = `${this.state.training ? "Training: " : ""}${plural(last.epoch, "epoch")}, cost ${show(last.cost)}${accuracy}.`;
  }

  // The stored epoch that is looked at; null is the last.
  draw(epoch) {
    const at = epoch === null ? this.frames.length - 1 : this.frames.findIndex((frame) => frame.epoch === epoch);
    const shown = this.frames[at];
    this.epoch.max = this.frames.length - 1;
    this.epoch.value = at;
    this.epoch.setAttribute("aria-valuetext", `epoch ${shown.epoch}`);
    this.shown.textContent = `${shown.epoch} of ${this.frames.at(-1).epoch}`;
    this.picture.replaceChildren(curves(
      `The cost over ${plural(this.frames.at(-1).epoch, "epoch")}: at first ${show(this.frames[0].cost)}, now ${show(this.frames.at(-1).cost)}.`,
      [{ name: "cost", points: this.frames.map(({ epoch: x, cost: y }) => ({ x, y })) }],
      { xName: "epoch", yName: "C, mean", log: true, marks: [{ x: shown.epoch, y: shown.cost, name: "measured" }] }));
    this.layers.replaceChildren(el("table", {},
      el("caption", { text: "The share of neurons and examples with sigma' < 0.01, and the length of delta (BP1, BP2)" }),
      el("thead", {}, el("tr", {}, ["layer", "saturated", "length of delta"].map((text) => el("th", { text, scope: "col" })))),
      el("tbody", {}, shown.share.map((share, layer) => el("tr", {}, el("th", { scope: "row", text: layer + 2 }),
        el("td", {}, el("meter", { min: 0, max: 1, value: share, "aria-label": `layer ${layer + 2}: ${percent(share)} saturated` }), ` ${percent(share)}`),
        el("td", { text: show(shown.speed[layer]) }))))));
    this.say();
  }
}
