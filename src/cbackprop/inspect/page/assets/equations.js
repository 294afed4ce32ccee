// One example forwards through (25) and backwards through BP1 to BP4, step by step.

import { el, replace, button, still } from "./dom.js";

const PAUSE = 1100; // between the steps of a play, in milliseconds

// An equation whose terms can be wrapped, each being a formula of its own.
export function equation(step) {
  const parts = [el("span", { html: step.left }), el("span", { class: "sign", text: step.sign })];
  for (const term of step.terms) parts.push(el("span", { class: "term", html: term }));
  if (step.terms.length) parts.push(el("span", { class: "sign", text: "=" }));
  parts.push(el("span", { class: "result", html: step.value }));
  return el("span", { class: "equation" }, parts);
}

const SPACED = "+−·×/=→";
const grouped = (text) => (text.includes(" ") ? `(${text})` : text);

// A formula in one line, for those who hear the page: "δ^3_1 = 0.5 · (−2) = −1".
function spoken(node) {
  const [text, before] = [node.textContent, node.previousElementSibling];
  const parts = [...node.children].map(spoken);
  const [base, script, above] = parts;
  switch (node.localName) {
    case "mo": return SPACED.includes(text) && before && before.textContent !== "(" ? ` ${text} ` : text;
    case "mspace": return " ";
    case "msup": return `${base}^${script}`;
    case "msub": return `${base}_${script}`;
    case "msubsup": return `${base}^${above}_${script}`;
    case "mfrac": return parts.some((part) => part.includes(" ")) ? parts.map(grouped).join(" / ") : parts.join("/");
    case "munder": return script === "⏟" ? base : `${base} [${script}]`;
    case "span": return (parts.length ? parts.join(" ") : text).replace(/\s+/g, " ").trim();
    default: return parts.length ? parts.join("") : text;
  }
}

// Words, with formulas between dollars and code between backquotes.
function prose(text) {
  const words = (part) => part.split("`").map((each, at) => (at % 2 ? el("code", { text: each }) : each));
  return el("p", { class: "prose" }, text.split("$").map((part, at) => (at % 2 ? el("span", { html: part }) : words(part))).flat());
}

// The name of a section's button, and which way the section goes.
function short(section, at) {
  const equations = new Set(section.steps.map((step) => step.equation));
  const layer = section.title.match(/[Ll]ayer (\d+)/)?.[1] ?? "";
  if (at === 0) return ["x", "", "forward"];
  if (equations.has("(29)")) return ["(29)", "", "backward"];
  if (equations.has("(25)")) return ["(25)", layer, "forward"];
  if (equations.has("C")) return ["C", "", "forward"];
  for (const name of ["BP2", "BP3", "BP4", "update"]) {
    if (equations.has(name)) return [name, layer, "backward"];
  }
  return ["BP1", layer, "backward"];
}

export class Equations {
  constructor(place, { onStep }) {
    this.onStep = onStep;
    this.at = null; // at first the cost, with which the way forwards ends
    this.timer = null;
    this.chips = el("nav", { class: "chips", "aria-label": "Equations" });
    this.slider = el("input", {
      type: "range", min: 0, value: 0, "aria-label": "Step",
      on: { input: () => this.go(Number(this.slider.value)) },
    });
    this.count = el("span", { class: "count" });
    this.said = el("p", { class: "hidden", role: "status" }); // for those who hear the page
    this.playing = button("Play", () => this.play());
    this.body = el("div", { class: "section" });
    place.append(
      el("div", { class: "bar" },
        button("First", () => this.go(0)),
        button("Back", () => this.go(this.at - 1)), button("Next", () => this.go(this.at + 1)),
        this.playing, this.slider, this.count),
      this.said, this.chips, this.body);
  }

  show(example) {
    this.sections = example.sections;
    this.steps = this.sections.flatMap((section, at) => section.steps.map((step) => ({ step, section: at })));
    this.slider.max = this.steps.length - 1;
    this.section = null;
    this.drawChips();
    this.at ??= this.steps.findIndex(({ step }) => step.equation === "C");
    this.go(Math.min(this.at, this.steps.length - 1), false);
  }

  drawChips() {
    let way = "";
    this.chips.replaceChildren();
    this.buttons = this.sections.map((section, at) => {
      const [name, layer, goes] = short(section, at);
      if (goes !== way) {
        way = goes;
        this.chips.append(el("span", { class: "way", text: goes === "forward" ? "forwards →" : "← backwards" }));
      }
      const chip = button("", () => this.go(this.steps.findIndex((each) => each.section === at)), {
        class: `chip ${goes}`, title: section.title.replaceAll("`", ""),
      });
      chip.append(name);
      if (layer) chip.append(el("sub", { text: layer }));
      this.chips.append(chip);
      return chip;
    });
  }

  go(at, move = true) {
    if (at < 0 || at >= this.steps.length) return;
    this.at = at;
    const { step, section } = this.steps[at];
    if (section !== this.section) {
      this.section = section;
      this.drawSection();
    }
    this.slider.value = at;
    this.count.textContent = `${at + 1} of ${this.steps.length}`;
    for (const [which, chip] of this.buttons.entries()) {
      chip.toggleAttribute("aria-current", which === section);
      if (which === section) chip.setAttribute("aria-current", "step");
    }
    const first = this.steps.findIndex((each) => each.section === section);
    const text = spoken(this.items[at - first]);
    this.slider.setAttribute("aria-valuetext", text);
    if (move) this.said.textContent = text;
    for (const [which, item] of this.items.entries()) {
      const current = which === at - first;
      item.toggleAttribute("aria-current", current);
      if (current) {
        item.setAttribute("aria-current", "step");
        const list = item.closest(".steps");
        const top = item.parentElement.offsetTop - list.offsetTop;
        if (move) list.scrollTop = Math.max(0, top - list.clientHeight / 2);
      }
    }
    this.onStep(this.here());
  }

  // The step at hand: what it speaks of, and how far forwards and backwards the pass has come.
  here() {
    const { step, section } = this.steps[this.at];
    const title = this.sections[section].title;
    const [name, , way] = short(this.sections[section], section);
    const layer = Number(title.match(/[Ll]ayer (\d+)/)?.[1] ?? 1);
    const forward = way === "forward" && name !== "C" ? (section === 0 ? 1 : layer) : Infinity;
    let backward = Infinity;
    if (way === "backward") backward = name === "BP1" || name === "BP2" ? layer : name === "(29)" ? this.last() : 2;
    return { symbols: [step.symbol, ...step.refers], stage: { forward, backward } };
  }

  last() {
    return Math.max(...this.steps.map(({ step }) => step.symbol[1] ?? 1));
  }

  find(name, layer, ...neurons) {
    const found = this.steps.find(({ step }) => step.symbol[0] === name && step.symbol[1] === layer
      && neurons.every((neuron, at) => step.symbol[at + 2] === neuron));
    return found?.step;
  }

  drawSection() {
    const section = this.sections[this.section];
    const first = this.steps.findIndex((each) => each.section === this.section);
    this.items = section.steps.map((step, at) => el("button", {
      type: "button", class: "step", on: { click: () => this.go(first + at) },
    }, equation(step)));
    replace(this.body,
      el("h3", { text: section.title.replaceAll("`", "") }),
      section.formula ? el("div", { class: "formula", html: section.formula }) : "",
      section.prose.map(prose),
      el("ol", { class: "steps" }, this.items.map((item) => el("li", {}, item))),
      section.products.map((product) => el("div", { class: "product", tabindex: 0, role: "group", "aria-label": "As matrices" },
        el("div", { html: product.formula }), el("div", { html: product.operands }))));
  }

  play() {
    if (this.timer !== null) return this.pause();
    if (this.at === this.steps.length - 1) this.go(0);
    this.playing.textContent = "Pause";
    // A reader who wants no motion steps by hand: a play would go on by itself.
    if (still()) return this.pause(this.go(this.at + 1));
    this.timer = setInterval(() => {
      if (this.at === this.steps.length - 1) this.pause();
      else this.go(this.at + 1);
    }, PAUSE);
    return undefined;
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.playing.textContent = "Play";
  }
}
