// A signal of 40 samples to draw: smooth noise, and one of MNIST-1D's shapes put into it.
import { onThemeChange, themed } from "./colours.js";
import { speak } from "./speak.js";

const LENGTH = 40;
const REACH = 4.5; // values shown, up and down
const SHAPE = 9; // samples that a shape is wide, more or less

// Greydanus and Kobak's templates of the ten digits, and what their data set's noise and size come from.
const TEMPLATES = [
  [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
  [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
  [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
  [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
  [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
  [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
  [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
  [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
  [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
  [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
].map((template) => {
  const mean = template.reduce((a, b) => a + b) / template.length;
  const spread = Math.sqrt(template.reduce((sum, v) => sum + (v - mean) ** 2, 0) / template.length);
  return template.map((value) => (value - template[0]) / spread);
});
const DEVIATION = 0.155; // of the data set before it is scaled to 1
const SIZE = 1 / 6 / DEVIATION; // of a template in it
const FINE = 72; // samples that its noise is made of, before they become 40
const BLUR = 2; // standard deviation of the blur that makes the noise smooth
const LOUDNESS = 0.25 / DEVIATION; // of the noise before it is blurred

export class Wave {
  values = [];
  #before = [];
  #after = [];
  #pointer = null;
  #last = null;
  #chosen = null;

  constructor(canvas, shapes, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.values = noise();
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("lostpointercapture", () => (this.#pointer = null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#choose(null));
    new ResizeObserver(() => this.draw()).observe(canvas);
    onThemeChange(() => this.draw());
    for (const [digit, template] of TEMPLATES.entries()) shapes.append(this.#button(digit, template));
  }

  /** Whether anything has been drawn into the noise. */
  get begun() {
    return this.#before.length > 0;
  }

  undo() {
    if (!this.begun) return;
    this.#after.push(this.values);
    this.values = this.#before.pop();
    this.#changed();
  }

  redo() {
    if (!this.#after.length) return;
    this.#before.push(this.values);
    this.values = this.#after.pop();
    this.#changed();
  }

  clear() {
    this.#before = [];
    this.#after = [];
    this.values = noise();
    this.#changed();
  }

  /** Fresh noise with a shape somewhere in it. */
  shape(digit) {
    const between = (low, high) => low + Math.random() * (high - low);
    const width = Math.round(between(SHAPE - 1, SHAPE + 1));
    const start = Math.floor(between(1, LENGTH - width));
    const [size, tilt] = [SIZE * between(0.85, 1.15), between(-1, 1)];
    const values = noise();
    for (let i = 0; i < width; i++) values[start + i] = size * at(TEMPLATES[digit], (i / (width - 1)) * 11);
    this.#remember();
    this.values = values.map((value, i) => round(value + tilt * (i / (LENGTH - 1) - 0.5)));
    this.#changed();
  }

  #remember() {
    this.#before.push([...this.values]);
    this.#after = [];
  }

  #changed() {
    this.draw();
    this.onChange();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const sample = ((event.clientX - box.left) / box.width) * LENGTH - 0.5;
    const value = (0.5 - (event.clientY - box.top) / box.height) * 2 * REACH;
    return [sample, Math.min(Math.max(value, -REACH), REACH)];
  }

  #press(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.#chosen = null;
    this.canvas.setPointerCapture(event.pointerId);
    this.#remember();
    this.#last = this.#place(event);
    this.#pull([this.#last]);
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.#pull((events.length ? events : [event]).map((each) => this.#place(each)));
  }

  /** Set the samples that the pen has passed over. */
  #pull(places) {
    for (const place of places) {
      const [[fromX, fromY], [toX, toY]] = [this.#last, place];
      const [left, right] = [Math.min(fromX, toX), Math.max(fromX, toX)];
      for (let i = Math.max(0, Math.ceil(left)); i <= Math.min(LENGTH - 1, Math.floor(right)); i++) {
        this.values[i] = round(fromX === toX ? toY : fromY + ((toY - fromY) * (i - fromX)) / (toX - fromX));
      }
      if (Math.round(toX) >= 0 && Math.round(toX) < LENGTH && fromX === toX) this.values[Math.round(toX)] = round(toY);
      this.#last = place;
    }
    this.#changed();
  }

  #choose(sample) {
    this.#chosen = sample;
    this.draw();
    if (sample !== null) speak(`Sample ${sample + 1} of ${LENGTH}: ${this.values[sample].toFixed(1)}`);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const up = { ArrowUp: 0.2, ArrowDown: -0.2 }[event.key];
    if (aside) {
      const from = this.#chosen ?? LENGTH / 2 - (aside > 0 ? 1 : 0);
      this.#choose(Math.min(Math.max(from + aside, 0), LENGTH - 1));
    } else if (up) {
      this.#remember();
      const sample = this.#chosen ?? LENGTH / 2;
      this.values[sample] = round(Math.min(Math.max(this.values[sample] + up, -REACH), REACH));
      this.#choose(sample);
      this.#changed();
    } else if (/^\d$/.test(event.key)) {
      this.shape(Number(event.key));
    } else {
      return;
    }
    event.preventDefault();
  }

  #button(digit, template) {
    const button = document.createElement("button");
    button.type = "button";
    const points = template.map((value, i) => `${(i * 60) / 11},${17 - value * 5}`).join(" ");
    button.innerHTML = `<svg viewBox="0 0 60 34" aria-hidden="true"><polyline points="${points}"/></svg>${digit}`;
    button.setAttribute("aria-label", `Draw the shape of ${digit}`);
    button.addEventListener("click", () => this.shape(digit));
    return button;
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!height) return;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const x = (sample) => ((sample + 0.5) * width) / LENGTH;
    const y = (value) => (0.5 - value / 2 / REACH) * height;
    context.strokeStyle = themed("--line");
    context.lineWidth = 1.5;
    line(context, [[0, y(0)], [width, y(0)]]);
    context.strokeStyle = context.fillStyle = themed("--soft");
    const [barLeft, barRight, barY] = [x((LENGTH - SHAPE) / 2), x((LENGTH + SHAPE) / 2), height - 14];
    for (const end of [barLeft, barRight]) line(context, [[end, barY - 4], [end, barY + 4]]);
    line(context, [[barLeft, barY], [barRight, barY]]);
    context.strokeStyle = context.fillStyle = themed("--ink");
    context.lineWidth = Math.max(2, width / 300);
    context.lineJoin = context.lineCap = "round";
    line(context, this.values.map((value, i) => [x(i), y(value)]));
    for (const [i, value] of this.values.entries()) {
      context.beginPath();
      context.fillStyle = themed(i === this.#chosen ? "--accent" : "--ink");
      context.arc(x(i), y(value), i === this.#chosen ? 7 : Math.max(2.5, width / 240), 0, 7);
      context.fill();
    }
  }
}

function line(context, points) {
  context.beginPath();
  for (const point of points) context.lineTo(...point);
  context.stroke();
}

const round = (value) => Math.round(value * 1e3) / 1e3;

/** A value between those of a list. */
function at(list, place) {
  const before = Math.min(Math.floor(place), list.length - 2);
  return list[before] + (list[before + 1] - list[before]) * (place - before);
}

function noise() {
  const loud = Array.from({ length: FINE }, () => LOUDNESS * Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
  const kernel = Array.from({ length: 8 * BLUR + 1 }, (_, i) => Math.exp(-(((i - 4 * BLUR) / BLUR) ** 2) / 2));
  const whole = kernel.reduce((a, b) => a + b);
  const mirror = (i) => (i < 0 ? -1 - i : i >= FINE ? 2 * FINE - 1 - i : i);
  const smooth = loud.map((_, i) => kernel.reduce((sum, k, j) => sum + (k * loud[mirror(i + j - 4 * BLUR)]) / whole, 0));
  return Array.from({ length: LENGTH }, (_, i) => round(at(smooth, (i * (FINE - 1)) / (LENGTH - 1))));
}
