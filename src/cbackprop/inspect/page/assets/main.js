// The page: what is looked at, and who is told when that changes.

import { byId, el } from "./dom.js";
import { told, live, ask, listen } from "./core.js";
import { Drawing } from "./drawing.js";
import { Equations } from "./equations.js";
import { Details } from "./details.js";
import { Inputs } from "./inputs.js";
import { Training } from "./training.js";

const FRAME = 250; // between two looks at a network that trains, in milliseconds

const view = { row: 0, epoch: null, drawn: null, selected: null };
let state;
let turn = 0;

// Which example of which epoch is asked about.
const asked = () => ({
  ...(view.drawn ? { given: view.drawn } : { row: view.row }),
  ...(live ? { epoch: view.epoch } : {}),
});

function problem(message) {
  byId("problem").hidden = !message;
  byId("problem").textContent = message ?? "";
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    problem(error.message);
  }
}

function select(...place) {
  view.selected = place;
  drawing.select(place);
  details.show(view.selected, example, state);
}

let example;
const keep = el("a", { text: "Keep this example as a file", download: "backpropagation.html" });

// Ask for the example, and show it everywhere.
async function look() {
  turn += 1;
  const mine = turn;
  await attempt(async () => {
    const found = await ask("example", asked());
    if (mine !== turn) return;
    example = found;
    problem(null);
    keep.setAttribute("href", `page.html?row=${view.row}${view.epoch === null ? "" : `&epoch=${view.epoch}`}`);
    const names = { inputs: state.inputs, outputs: state.sizes.at(-1) > 1 ? state.classes : null };
    drawing.show(example, names);
    equations.show(example);
    if (view.selected && !isDrawn(view.selected)) {
      view.selected = null;
      drawing.select(null);
    }
    if (!byId("chosen").contains(document.activeElement) || document.activeElement.tagName === "SELECT") {
      details.show(view.selected, example, state);
    }
    await inputs.show(example);
  });
}

function isDrawn([layer, j, k]) {
  const here = example.layers[layer - 1];
  return here?.drawn.includes(j) && (k === undefined || example.layers[layer - 2].drawn.includes(k));
}

const equations = new Equations(byId("steps"), {
  onStep: ({ symbols, stage }) => drawing.light(symbols, stage),
});

const drawing = new Drawing(byId("drawing"), { onNeuron: select, onEdge: select });

const details = new Details(byId("chosen"), {
  equations, asked, onEdge: select, onNeuron: select,
  onPath: (layer, j, k, path) => drawing.light(
    [["w", layer, j, k], ["a", layer - 1, k], ...path.map(([at, neuron]) => ["a", at, neuron]),
      ...path.slice(1).map(([at, neuron], before) => ["w", at, neuron, path[before][1]])],
    { forward: Infinity, backward: 2 }),
  onActivation: (layer, j, name) => send("activation", { layer, j, name }),
});

const inputs = new Inputs(byId("example"), {
  asked,
  onRow: (row) => {
    view.row = row;
    view.drawn = null;
    look();
  },
  onDrawn: (given) => {
    view.drawn = given;
    look();
  },
  onData: (name) => send("data", { name }),
});

const training = new Training(byId("controls"), {
  send,
  onEpoch: (epoch) => {
    view.epoch = epoch === training.frames.at(-1).epoch ? null : epoch;
    training.draw(epoch);
    look();
  },
});

function send(what, more = {}) {
  return attempt(async () => {
    await ask(what, more);
    problem(null);
  });
}

async function renew() {
  await attempt(async () => {
    const other = live ? await ask("state") : told.state;
    const same = state && other.data === state.data && String(other.sizes) === String(state.sizes);
    state = other;
    if (!same) {
      view.row = 0;
      view.drawn = null;
      view.selected = null;
      drawing.select(null);
      inputs.set(state);
      equations.at = null;
    }
    view.epoch = null;
    inputs.state = state;
    byId("what").textContent = `${live ? "" : "A picture of "}${state.title ?? "a network"} ${state.sizes.join("–")}, cost ${state.cost}`;
    if (live) training.set(state);
    await look();
  });
}

// A network that trains is looked at again once the last look is over, unless an earlier epoch is.
let looking = false;
let again = false;

async function lookSoon() {
  again = true;
  if (looking) return;
  looking = true;
  while (again && view.epoch === null) {
    again = false;
    await new Promise((done) => { setTimeout(done, FRAME); });
    await look();
  }
  looking = false;
}

listen((message) => {
  if (message.event === "changed") renew();
  else if (message.event === "gone") problem("The program that serves this page has ended. Start cbackprop watch again.");
  else if (message.event === "training") training.running(message.training, message.said);
  else if (message.event === "settings") Object.assign(state, message.settings);
  else if (message.event === "frame") {
    training.frame(message.frame);
    lookSoon();
  }
});

byId("training").hidden = !live;
byId("made").textContent = `Made by cbackprop ${told.version}. Every number is its core's${live ? "" : ", as it was when this file was written"}. `;
if (live) byId("made").append(keep);
renew();
