// Elements and numbers.

const SVG = "http://www.w3.org/2000/svg";

// Texts are set as text. `html` takes MathML that the core wrote, and nothing else.
function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "html") node.innerHTML = value;
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const el = (name, properties = {}, ...children) =>
  fill(document.createElement(name), properties, children);

export const svg = (name, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, name), properties, children);

export const byId = (id) => document.getElementById(id);

// A number as people read it: few figures, a true minus.
export function show(value, figures = 3) {
  if (value === null || value === undefined) return "—";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const plain = size >= 1e-3 && size < 1e5;
  const text = plain ? String(Number(value.toPrecision(figures))) : value.toExponential(figures - 1);
  return text.replace(/-/g, "−");
}

export const percent = (share) => `${Math.round(100 * share)} %`;

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

let names = 0;

// A control under its label.
export function labelled(label, control, hint) {
  control.id ||= `control-${++names}`;
  return el("div", { class: "field" },
    el("label", { for: control.id, text: label }), control,
    hint ? el("small", { text: hint }) : null);
}

export function choice(options, value, listener) {
  const control = el("select", { on: { change: () => listener(control.value) } },
    options.map(([key, text]) => el("option", { value: key, text })));
  control.value = value;
  return control;
}

// Makes a drawing like another one, of the nodes that it has: what is pressed or focused stays.
export function redraw(drawn, like) {
  if (drawn.nodeName !== like.nodeName) {
    drawn.replaceWith(like);
    return;
  }
  if (drawn.nodeType === Node.TEXT_NODE) {
    if (drawn.data !== like.data) drawn.data = like.data;
    return;
  }
  for (const { name } of [...drawn.attributes]) if (!like.hasAttribute(name)) drawn.removeAttribute(name);
  for (const { name, value } of like.attributes) if (drawn.getAttribute(name) !== value) drawn.setAttribute(name, value);
  const [now, then] = [[...drawn.childNodes], [...like.childNodes]];
  then.forEach((child, at) => (at < now.length ? redraw(now[at], child) : drawn.append(child)));
  for (const child of now.slice(then.length)) child.remove();
}

// Replaces what is in a place. The focus stays on what stands where it stood.
export function replace(place, ...children) {
  const controls = () => [...place.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const held = controls().indexOf(document.activeElement);
  place.replaceChildren(...children.flat().filter(Boolean));
  if (held >= 0) controls()[held]?.focus();
}

export const button = (text, listener, more = {}) =>
  el("button", { type: "button", text, on: { click: listener }, ...more });
