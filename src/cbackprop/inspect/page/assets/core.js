// Where answers come from: the server, or the page itself if it was written to a file.

import { byId } from "./dom.js";

export const told = JSON.parse(byId("told").textContent);
export const live = !told.answers;

export async function ask(what, details = {}) {
  if (!live) {
    const { row, layer, j, k } = details;
    const key = [what, row, layer, j, k].filter((part) => part !== undefined).join(" ");
    if (!(key in told.answers)) throw new Error(`This page has no numbers for ${key}.`);
    return told.answers[key];
  }
  let response;
  try {
    response = await fetch("ask", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ask: what, ...details }),
    });
  } catch {
    throw new Error("The program that serves this page has ended. Start cbackprop watch again.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
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
