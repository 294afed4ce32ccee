// The page: what is looked at, and who is told when that changes.

import { byId, el, button } from "./dom.js";
import { told, live, ask, waits, listen } from "./core.js";
import { Drawing } from "./drawing.js";
import { Equations } from "./equations.js";
import { Details } from "./details.js";
import { Inputs } from "./inputs.js";
import { Epochs } from "./epochs.js";
import { Training } from "./training.js";

const FRAME = 250; // between two looks at a network that trains, in milliseconds

const view = { row: 0, epoch: null, drawn: null, selected: null };
let state;
let turn = 0;

// Which example of which epoch is asked about.
const asked = () => ({
  ...(view.drawn ? { given: view.drawn } : { row: view.row }), epoch: view.epoch,
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

async function keep(event) {
  const told = event.target;
  told.disabled = true; // it takes seconds, where there are many epochs
  await attempt(save);
  told.disabled = false;
}

async function save() {
  const { html } = await ask("page", asked());
  const href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  el("a", { href, download: "backpropagation.html" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser may ask first where to
}

// Ask for the example, and show it everywhere; unless something better is to be looked at by then.
async function look(wanted = () => true) {
  turn += 1;
  const mine = turn;
  await attempt(async () => {
    const found = await ask("example", asked());
    if (mine !== turn || !wanted()) return;
    example = found;
    problem(null);
    const names = { inputs: state.inputs, outputs: state.sizes.at(-1) > 1 ? state.classes : null };
    if (view.selected && !isDrawn(view.selected)) {
      view.selected = null;
      drawing.select(null);
    }
    drawing.show(example, names);
    equations.show(example);
    details.show(view.selected, example, state);
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

const drawing = new Drawing(byId("drawing"), {
  onNeuron: select, onEdge: select, onDrag: (dz) => details.move(dz),
});

const details = new Details(byId("chosen"), {
  equations, asked, onEdge: select, onNeuron: select, onDemon: (demon) => drawing.tell(demon),
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

const epochs = new Epochs(byId("epochs"), {
  onEpoch: (epoch) => {
    view.epoch = epoch;
    look();
  },
});

const training = new Training(byId("controls"), { send });

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
    byId("training").hidden = !live && state.frames.length === 1;
    epochs.set(state);
    await look();
  });
}

// A network that trains is looked at again once the last look is over, unless an earlier epoch is.
// What is pressed stays as it is until it is let go: a click would be lost with what it began on.
let looking = false;
let again = false;
let pressed = false;
for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "change"]) {
  addEventListener(name, ({ buttons }) => { pressed = buttons > 0; }, true);
}

function unlessPressed() {
  again ||= pressed;
  return !pressed;
}

async function lookSoon() {
  again = true;
  if (looking) return;
  looking = true;
  while (again && view.epoch === null) {
    await new Promise((done) => { setTimeout(done, FRAME); });
    again = pressed;
    if (!pressed) await look(unlessPressed);
  }
  looking = false;
}

function hear(message) {
  if (message.event === "changed") return renew();
  if (message.event === "gone") problem("The program that serves this page has ended. Start cbackprop watch again.");
  else if (message.event === "training") training.running(message.training, message.said);
  else if (message.event === "settings") training.settled(message.settings);
  else if (message.event === "frame") {
    epochs.add(message.frame);
    training.say(message.frame);
    waits(lookSoon);
  }
  return undefined;
}

byId("made").textContent = `Made by cbackprop ${told.version}. Every number is its core's${live ? "" : ", as it was when this file was written"}. `;
if (live) byId("made").append(button("Keep this example as a file", keep));
// One message after the other: none may come between the question for the state and its answer.
let heard = renew();
listen((message) => { heard = heard.then(() => attempt(() => hear(message))); });
