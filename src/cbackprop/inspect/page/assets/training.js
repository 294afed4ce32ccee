// Live training on the core: its controls, and how far it has come.

import { el, replace, show, button, choice, labelled, percent, plural } from "./dom.js";

const PACES = [[1, "1 epoch a second"], [5, "5 epochs a second"], [25, "25 epochs a second"],
  [250, "250 epochs a second"], [0, "as fast as it can"]];

const QUIET = 2000; // between two readings of the cost aloud, in milliseconds

export class Training {
  constructor(place, { send }) {
    Object.assign(this, { place, send });
    this.status = el("p", { class: "legend", role: "status" });
  }

  set(state) {
    this.state = state;
    this.last = state.frames.at(-1);
    const names = (list) => list.map((name) => [name, name]);
    const { choices } = state;
    this.eta = el("input", { type: "number", min: 0, step: "any", value: state.eta, on: { change: () => this.settings() } });
    this.batch = el("input", { type: "number", min: 1, max: state.rows, value: state.batch, on: { change: () => this.settings() } });
    this.pace = choice(PACES, state.pace, () => this.settings());
    const hidden = el("input", { value: state.sizes.slice(1, -1).join(", "), on: { change: () => this.send("network", { hidden: hidden.value }) } });
    this.start = button("Train", () => this.send(this.state.training ? "stop" : "train"), { class: "main" });
    const mixed = new Set(state.activations[0]).size > 1 || !choices.hidden.includes(state.activations[0][0]);
    const activation = mixed ? [["", state.activations[0].length > 1 && new Set(state.activations[0]).size > 1 ? "several" : state.activations[0][0]], ...names(choices.hidden)] : names(choices.hidden);
    replace(this.place,
      el("div", { class: "bar" }, this.start, button("One epoch", () => this.send("train", { epochs: 1 })),
        button("New weights", () => this.send("network", {}))),
      this.status,
      el("div", { class: "fields" },
        labelled("Learning rate eta", this.eta), labelled("Mini-batch", this.batch), labelled("Pace", this.pace),
        labelled("Hidden layers", hidden),
        state.sizes.length > 2 ? labelled("Hidden activation", choice(activation, mixed ? "" : state.activations[0][0], (value) => value && this.send("activation", { name: value }))) : null,
        labelled("Cost", choice(names(choices.costs), state.cost, (value) => this.send("cost", { name: value })))));
    this.running(state.training);
  }

  settings() {
    this.send("settings", { eta: Number(this.eta.value), batch: Number(this.batch.value), pace: Number(this.pace.value) });
  }

  // Another page may have set them.
  settled(settings) {
    Object.assign(this.state, settings);
    for (const name of ["eta", "batch", "pace"]) this[name].value = settings[name];
  }

  running(training, said = "") {
    this.state.training = training;
    this.start.textContent = training ? "Stop" : "Train";
    if (said) this.status.textContent = said;
    else this.say(this.last);
  }

  say(frame) {
    this.last = frame;
    const now = performance.now();
    if (this.state.training && now - (this.lastSaid ?? -QUIET) < QUIET) return;
    this.lastSaid = now;
    const accuracy = frame.accuracy === null ? "" : `, ${percent(frame.accuracy)} right`;
    this.status.textContent = `${this.state.training ? "Training: " : ""}${plural(frame.epoch, "epoch")}, cost ${show(frame.cost)}${accuracy}.`;
  }
}
