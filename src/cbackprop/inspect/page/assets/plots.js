// Curves, a plane and images. Each has words beside it that say the same.

import { el, svg, show } from "./dom.js";

const [HEIGHT, LEFT, BOTTOM, TOP, PAD] = [180, 58, 26, 22, 8];
const WIDEST = 480;

// Draws curves over x, each [{x, y}] with a class of its own, in a place; `marks` are points.
export function curves(place, label, lines, { marks = [], xName, yName, log = false, zero = false }) {
  const points = lines.flatMap((line) => line.points).filter(({ y }) => y !== null);
  if (!points.length) return place.replaceChildren(el("p", { class: "muted", text: "Nothing has been measured yet." }));
  const width = Math.min(WIDEST, place.clientWidth || WIDEST); // as wide as it is: no text shrinks
  const up = log && points.every(({ y }) => y > 0) ? Math.log10 : (y) => y;
  const ends = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return high > low ? [low, high] : [low - 0.5 * (Math.abs(low) || 1), high + 0.5 * (Math.abs(high) || 1)];
  };
  const places = points.map(({ x }) => x);
  const [x0, x1] = points.length > 1 ? ends(places) : [places[0], places[0] + 1];
  const [y0, y1] = ends([...points.map(({ y }) => up(y)), ...(zero ? [0] : [])]);
  const across = (x) => LEFT + ((x - x0) / (x1 - x0)) * (width - LEFT - PAD);
  const above = (y) => HEIGHT - BOTTOM - ((up(y) - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - TOP);
  const back = (value) => (up === Math.log10 ? 10 ** value : value);
  const text = (x, y, words, anchor) => svg("text", { x, y, "text-anchor": anchor, text: words });
  return place.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "plot", role: "img", "aria-label": label },
    svg("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${width - PAD}` }),
    zero ? svg("path", { class: "axis faint", d: `M${LEFT} ${above(0)}H${width - PAD}M${across(0)} ${TOP}V${HEIGHT - BOTTOM}` }) : null,
    text(LEFT - 5, TOP + 8, show(back(y1)), "end"), text(LEFT - 5, HEIGHT - BOTTOM, show(back(y0)), "end"),
    text(LEFT, HEIGHT - 8, show(x0), "start"), text(width - PAD, HEIGHT - 8, show(x1), "end"),
    text((LEFT + width) / 2, HEIGHT - 8, xName, "middle"), yName ? text(LEFT, 12, yName, "start") : null,
    lines.map((line) => svg("polyline", {
      class: `line ${line.name}`,
      points: line.points.filter(({ y }) => y !== null).map(({ x, y }) => `${across(x).toFixed(1)},${above(y).toFixed(1)}`).join(" "),
    })),
    marks.filter(({ y }) => y !== null).map(({ x, y, name }) => svg(name === "predicted" ? "rect" : "circle", name === "predicted"
      ? { class: `mark ${name}`, x: across(x) - 4, y: above(y) - 4, width: 8, height: 8 }
      : { class: `mark ${name}`, cx: across(x), cy: above(y), r: 5 }))));
}

// The colour of a name in the style sheet.
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function canvas(side, label) {
  const made = el("canvas", { width: side, height: side, role: "img", "aria-label": label });
  return [made, made.getContext("2d")];
}

const SHAPES = [
  (pen, r) => { pen.arc(0, 0, r, 0, 7); },
  (pen, r) => { pen.rect(-r, -r, 2 * r, 2 * r); },
  (pen, r) => { pen.moveTo(0, -1.3 * r); pen.lineTo(1.2 * r, r); pen.lineTo(-1.2 * r, r); pen.closePath(); },
  (pen, r) => { pen.moveTo(0, -1.4 * r); pen.lineTo(1.4 * r, 0); pen.lineTo(0, 1.4 * r); pen.lineTo(-1.4 * r, 0); pen.closePath(); },
];

// The first output over two inputs; a line where a single output is a half. Returns the canvas.
export function plane(found, points, chosen, { levels, pick }) {
  const side = 320;
  const [made, pen] = canvas(side, "The output over both inputs, with the examples. The list above chooses one.");
  const { low, high, side: n, values, outputs } = found;
  const cell = side / n;
  const [bottom, top] = levels;
  const [small, dots] = canvas(n, "");
  const tints = ["--minus", "--plus", "--accent", "--muted"].map(ink);
  values.forEach((value, at) => {
    const share = (value - bottom) / (top - bottom || 1);
    dots.globalAlpha = outputs > 1 ? 0.22 : 0.5 * Math.min(1, Math.abs(2 * share - 1));
    dots.fillStyle = outputs > 1 ? tints[value % tints.length] : share > 0.5 ? tints[1] : tints[0];
    dots.fillRect(at % n, n - 1 - Math.floor(at / n), 1, 1);
  });
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, side, side);
  pen.strokeStyle = ink("--ink");
  pen.lineWidth = 1.5;
  const middle = (bottom + top) / 2;
  const kind = (at) => (outputs > 1 ? values[at] : values[at] > middle);
  pen.beginPath();
  for (let at = 0; at < values.length; at += 1) {
    const [x, y] = [(at % n) * cell, side - Math.floor(at / n) * cell];
    if (at % n && kind(at) !== kind(at - 1)) { pen.moveTo(x, y); pen.lineTo(x, y - cell); }
    if (at >= n && kind(at) !== kind(at - n)) { pen.moveTo(x, y); pen.lineTo(x + cell, y); }
  }
  pen.stroke();
  const spot = ([x, y]) => [side * (x - low[0]) / (high[0] - low[0]), side * (1 - (y - low[1]) / (high[1] - low[1]))];
  const label = (y) => (y.length > 1 ? y.indexOf(Math.max(...y)) : Number(y[0] > middle));
  points.x.forEach((x, row) => {
    const which = label(points.y[row]);
    const [left, above] = spot(x);
    pen.save();
    pen.translate(left, above);
    pen.beginPath();
    SHAPES[which % SHAPES.length](pen, row === chosen ? 7 : points.x.length > 50 ? 3 : 5);
    pen.fillStyle = which ? ink("--ink") : ink("--paper");
    pen.fill();
    pen.lineWidth = row === chosen ? 3 : 1.2;
    pen.strokeStyle = ink(row === chosen ? "--accent" : "--ink");
    pen.stroke();
    pen.restore();
  });
  made.addEventListener("click", (event) => {
    const box = made.getBoundingClientRect();
    const at = [(event.clientX - box.left) * side / box.width, (event.clientY - box.top) * side / box.height];
    const away = points.x.map((x) => Math.hypot(spot(x)[0] - at[0], spot(x)[1] - at[1]));
    pick(away.indexOf(Math.min(...away)));
  });
  return made;
}

// Pixels as ink, and dC/dx as squares: full where ink raises the cost, hollow where it lowers it.
export function image(x, n, label) {
  const [made, pen] = canvas(n * 10, label);
  const most = Math.max(...x.map(Math.abs), 1e-12);
  pen.fillStyle = ink("--ink");
  x.forEach((value, at) => {
    pen.globalAlpha = Math.abs(value) / most;
    pen.fillRect((at % n) * 10, Math.floor(at / n) * 10, 10, 10);
  });
  return made;
}

export function hinton(gradient, n, label) {
  const [made, pen] = canvas(n * 10, label);
  const most = Math.max(...gradient.map(Math.abs), 1e-300);
  gradient.forEach((value, at) => {
    const size = 9.5 * (Math.abs(value) / most) ** 0.75;
    if (size < 1.2) return;
    const [x, y] = [(at % n) * 10 + 5 - size / 2, Math.floor(at / n) * 10 + 5 - size / 2];
    pen.fillStyle = pen.strokeStyle = ink(value > 0 ? "--plus" : "--minus");
    if (value > 0) pen.fillRect(x, y, size, size);
    else pen.strokeRect(x, y, size, size);
  });
  return made;
}
