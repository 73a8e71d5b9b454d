// A sheet to draw on with mouse, pen, finger or keyboard. Strokes are kept in heights of the sheet.
import { onThemeChange, themed } from "./colours.js";
import { speak } from "./speak.js";
import { write } from "./handwriting.js";

const WIDTH = 0.07; // of the line, in heights of the sheet
const STEP = 0.03; // of the keyboard's pen
const NEAR = 0.004; // points closer than this add nothing

export class Pen {
  /** Finished strokes and the one being drawn: lists of [x, y]. */
  strokes = [];
  #undone = [];
  #pointer = null;
  #cursor = null;
  #down = false;
  #typed = "";

  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("lostpointercapture", (event) => this.#release(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#lift());
    new ResizeObserver(() => this.draw()).observe(canvas);
    onThemeChange(() => this.draw());
  }

  changed() {
    this.draw();
    this.onChange();
  }

  begin(point) {
    this.#undone = [];
    this.strokes.push([point]);
    this.changed();
  }

  extend(points) {
    const stroke = this.strokes.at(-1);
    if (!stroke) return; // cleared while it was being drawn
    for (const [x, y] of points) {
      const [lastX, lastY] = stroke.at(-1);
      if (Math.hypot(x - lastX, y - lastY) >= NEAR) stroke.push([x, y]);
    }
    this.changed();
  }

  undo() {
    if (!this.strokes.length) return;
    this.#lift();
    this.#undone.push(this.strokes.pop());
    this.changed();
  }

  redo() {
    if (!this.#undone.length) return;
    this.strokes.push(this.#undone.pop());
    this.changed();
  }

  clear() {
    this.#lift();
    this.#typed = "";
    this.#undone = this.strokes.splice(0).reverse();
    this.changed();
  }

  /** How wide the sheet is, in its heights. */
  get span() {
    return this.canvas.clientWidth / this.canvas.clientHeight;
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const round = (value) => Math.round(value * 1e4) / 1e4;
    return [round((event.clientX - box.left) / box.height), round((event.clientY - box.top) / box.height)];
  }

  #press(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.#cursor = null;
    this.#down = false;
    this.#typed = "";
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(this.#place(event));
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.extend((events.length ? events : [event]).map((each) => this.#place(each)));
  }

  #release(event) {
    if (event.pointerId === this.#pointer) this.#pointer = null;
  }

  #lift() {
    this.#down = false;
    this.#cursor = document.activeElement === this.canvas ? this.#cursor : null;
    if (this.#pointer !== null) this.canvas.releasePointerCapture(this.#pointer);
    this.#pointer = null;
    this.draw();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow) {
      const step = event.shiftKey ? 4 * STEP : STEP;
      const [x, y] = this.#cursor ?? [this.span / 2, 0.5];
      const clamp = (value, most) => Math.min(Math.max(value, 0), most);
      this.#cursor = [clamp(x + arrow[0] * step, this.span), clamp(y + arrow[1] * step, 1)];
      if (this.#down) this.extend([this.#cursor]);
      else this.draw();
    } else if (event.key === " " || event.key === "Enter") {
      this.#cursor ??= [this.span / 2, 0.5];
      this.#down = !this.#down;
      if (this.#down) this.begin(this.#cursor);
      else this.draw();
      speak(this.#down ? "Pen down." : "Pen up.");
    } else if (event.key === "Backspace" || event.key === "Delete") {
      this.undo();
    } else if (/^\d$/.test(event.key)) {
      this.#typed = this.#typed.length === 1 ? this.#typed + event.key : event.key;
      write(this, this.#typed);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Put other strokes on the sheet; undo brings back none of the old ones. */
  replace(strokes) {
    this.strokes.splice(0, Infinity, ...strokes);
    this.#undone = [];
    this.changed();
  }

  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (!height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(height, 0, 0, height, 0, 0);
    context.clearRect(0, 0, this.span, 1);
    context.strokeStyle = context.fillStyle = themed("--ink");
    context.lineWidth = WIDTH;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (let i = 1; i < stroke.length - 1; i++) {
        const [x, y] = stroke[i];
        const [nextX, nextY] = stroke[i + 1];
        context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
      }
      context.lineTo(...stroke.at(-1));
      context.stroke();
    }
    if (this.#cursor) {
      const [x, y] = this.#cursor;
      context.beginPath();
      context.arc(x, y, this.#down ? 0.02 : 0.03, 0, 7);
      context.strokeStyle = context.fillStyle = themed("--accent");
      context.lineWidth = 0.008;
      context.stroke();
      if (this.#down) context.fill();
    }
  }
}
