// Where answers come from: the server, or the page itself if it was written to a file.

import { byId } from "./dom.js";

export const told = JSON.parse(byId("told").textContent);
export const live = !told.answers;

// In a file are the answers about all epochs and examples, merged and compressed.
const stored = live ? null : unpack(told.answers);

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

const map = (parts, make) => (Array.isArray(parts) ? parts.map(make)
  : Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, make(part)])));

// One of the values that are merged.
function pick(merged, at, forms) {
  if (!("=" in merged)) return map(merged, (part) => pick(part, at, forms));
  return written(merged["="].at(merged["="].length > 1 ? at : 0), forms);
}

// A value whose texts are the index of their form, and the numbers that fill it.
function written(value, forms) {
  if (typeof value === "string") {
    const [form, ...numbers] = value.split(" ");
    return forms[form].map((part, at) => part + (numbers[at] ?? "")).join("");
  }
  return value instanceof Object ? map(value, (part) => written(part, forms)) : value;
}

async function recall(what, { row, layer, j, k, epoch }) {
  const { rows, frames } = told.state;
  const at = epoch === null ? frames.length - 1 : frames.findIndex((frame) => frame.epoch === epoch);
  const question = [what, layer, j, k].filter((part) => part !== undefined).join(" ");
  const { forms, questions } = await stored;
  const found = question in questions ? pick(questions[question], what === "plane" ? at : at * rows + row, forms) : null;
  if (found === null) throw new Error(`This page has no numbers for ${question}.`);
  return found;
}

// Whoever films or tests the page sees by the attribute that it is not yet what it will be.
let waiting = 0;

export async function waits(work) {
  const count = (more) => {
    waiting += more;
    document.querySelector("main").toggleAttribute("data-waits", waiting > 0);
  };
  count(1);
  try {
    return await work();
  } finally {
    count(-1);
  }
}

export const ask = (what, details = {}) => waits(() => answer(what, details));

async function answer(what, details) {
  if (!live) return recall(what, details);
  let response;
  try {
    response = await fetch("ask", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ask: what, ...details }),
    });
  } catch {
    throw new Error("The program that serves this page has ended. Start cbackprop watch again.");
  }
  const found = await response.json();
  if (!response.ok) throw new Error(found.error);
  return found;
}

export function listen(listener) {
  if (!live) return;
  const events = new EventSource("events");
  let failures = 0;
  events.addEventListener("open", () => { failures = 0; });
  events.addEventListener("message", (event) => listener(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    failures += 1; // a browser tries again by itself
    if (failures < 3 && events.readyState !== EventSource.CLOSED) return;
    events.close();
    listener({ event: "gone" });
  });
  addEventListener("pagehide", () => events.close());
}
