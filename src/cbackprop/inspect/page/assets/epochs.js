// The epochs that are stored: the cost over them, saturation by layer, and the way back to one.

import { el, show, percent, plural } from "./dom.js";
import { curves } from "./plots.js";

export class Epochs {
  constructor(place, { onEpoch }) {
    this.at = null; // the epoch that is looked at; null is the last
    this.slider = el("input", {
      type: "range", min: 0, id: "epoch",
      on: { input: () => this.go(Number(this.slider.value), onEpoch) },
    });
    this.shown = el("span", { class: "count" });
    this.picture = el("div");
    this.layers = el("div");
    place.append(
      el("h3", { text: "The cost" }), this.picture,
      el("div", { class: "bar" }, el("label", { for: "epoch", text: "Look at epoch" }), this.slider, this.shown),
      el("h3", { text: "Saturation by layer" }), this.layers);
    new ResizeObserver(() => { if (this.frames) this.draw(); }).observe(this.picture);
  }

  set({ frames, most_frames: most }) {
    [this.frames, this.most, this.at] = [frames, most, null];
    this.draw();
  }

  // Where they are too many, every second one is dropped, as where they are stored.
  add(frame) {
    if (frame.epoch <= this.frames.at(-1).epoch) return;
    this.frames.push(frame);
    if (this.frames.length > this.most) {
      this.frames = this.frames.filter((_, at) => at % 2 === 0 || at === this.frames.length - 1);
    }
    this.draw();
  }

  go(at, onEpoch) {
    this.at = at === this.frames.length - 1 ? null : this.frames[at].epoch;
    this.draw();
    onEpoch(this.at);
  }

  draw() {
    const { frames } = this;
    const [first, last] = [frames[0], frames.at(-1)];
    const at = this.at === null ? frames.length - 1 : frames.findLastIndex(({ epoch }) => epoch <= this.at);
    const shown = frames[at];
    this.slider.max = frames.length - 1;
    this.slider.value = at;
    this.slider.setAttribute("aria-valuetext", `epoch ${shown.epoch}, cost ${show(shown.cost)}`);
    this.shown.textContent = `${shown.epoch} of ${last.epoch}`;
    curves(this.picture,
      `The cost over ${plural(last.epoch, "epoch")}: at first ${show(first.cost)}, now ${show(last.cost)}.`,
      [{ name: "cost", points: frames.map(({ epoch: x, cost: y }) => ({ x, y })) }],
      { xName: "epoch", yName: "C, mean", log: true, marks: [{ x: shown.epoch, y: shown.cost, name: "measured" }] });
    this.layers.replaceChildren(el("table", {},
      el("caption", { text: "The share of neurons and examples with σ′ < 0.01, and the length of δ (BP1, BP2)" }),
      el("thead", {}, el("tr", {}, ["layer", "saturated", "length of δ"].map((text) => el("th", { text, scope: "col" })))),
      el("tbody", {}, shown.share.map((share, layer) => el("tr", {}, el("th", { scope: "row", text: layer + 2 }),
        el("td", {}, el("meter", { min: 0, max: 1, value: share, "aria-label": `layer ${layer + 2}: ${percent(share)} saturated` }), ` ${percent(share)}`),
        el("td", { text: show(shown.speed[layer]) }))))));
  }
}
