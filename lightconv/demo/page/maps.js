// Arrays of the network as pictures.
import { GRAYS, RAMP } from "./colours.js";

const [NARROWEST, WIDEST, GAP] = [240, 350, 26]; // pixels of a block's picture, and between two
const SHAPELY = 1.25; // of a block's picture: width to height

/** The picture that the network reads, white on black. */
export function paintGray(canvas, { shape: [height, width], data }) {
  const values = bytes(data);
  paint(canvas, width, height, (i) => GRAYS[values[i]]);
  canvas.style.aspectRatio = `${width} / ${height}`;
}

export class Maps {
  constructor(place, readout) {
    this.place = place;
    this.readout = readout;
    new ResizeObserver(() => this.#fit()).observe(place);
  }

  prepare({ nodes }) {
    const ends = nodes.filter((node) => node.block !== null).sort((a, b) => a.block - b.block);
    let after = 0;
    this.blocks = ends.map((node, i) => {
      const last = nodes.indexOf(node);
      const from = nodes.findIndex(({ operator }, k) => k >= after && operator.startsWith("Conv"));
      after = last + 1;
      const steps = nodes.slice(from, last + 1).map(({ operator }) => operator);
      return this.#block(i, node.shape, steps);
    });
    this.place.replaceChildren(...this.blocks.map(({ figure }) => figure));
    this.readout.textContent = "";
    this.clear();
    this.#fit();
  }

  #block(i, shape, steps) {
    const figure = document.createElement("figure");
    const [channels, ...sizes] = shape;
    figure.innerHTML = "<figcaption><strong></strong> <span></span><br><span></span></figcaption><canvas role='img'></canvas>";
    const [size, chain] = figure.querySelectorAll("span");
    figure.querySelector("strong").textContent = `Block ${i + 1}`;
    size.textContent = sizes.length === 1 ? `${channels} channels of ${sizes[0]} samples` : `${channels} maps of ${sizes.join(" × ")}`;
    chain.textContent = steps.join(" → ");
    const canvas = figure.querySelector("canvas");
    canvas.setAttribute("aria-label", `Block ${i + 1}: ${size.textContent}`);
    const block = { figure, canvas, shape, array: null, ...layout(shape) };
    canvas.addEventListener("pointermove", (event) => this.#read(block, i, event));
    canvas.addEventListener("pointerleave", () => (this.readout.textContent = ""));
    return block;
  }

  show(arrays) {
    for (const [i, array] of arrays.entries()) {
      this.#fill(this.blocks[i], { ...array, values: bytes(array.data) });
    }
  }

  /** Make every pixel of an array the same whole number of pixels of the screen. */
  #fit() {
    const all = this.place.clientWidth;
    const count = this.blocks?.length ?? 1;
    const room = Math.min(all, WIDEST, Math.max(NARROWEST, (1.06 * (all - GAP * (count - 1))) / count));
    for (const { canvas } of this.blocks ?? []) {
      canvas.style.width = `${canvas.width * Math.max(1, Math.floor(room / canvas.width))}px`;
    }
  }

  clear() {
    for (const block of this.blocks ?? []) {
      this.#fill(block, { shape: block.shape, values: new Uint8Array(product(block.shape)), smallest: 0, largest: 0 });
    }
  }

  #fill(block, array) {
    block.array = array;
    paint(block.canvas, block.wide, block.high, (i) => (block.places[i] < 0 ? 0 : RAMP[array.values[block.places[i]]]));
  }

  #read({ canvas, array, wide, high, places }, i, event) {
    const box = canvas.getBoundingClientRect();
    const x = Math.min(Math.floor(((event.clientX - box.left) / box.width) * wide), wide - 1);
    const y = Math.min(Math.floor(((event.clientY - box.top) / box.height) * high), high - 1);
    const index = places[y * wide + x] ?? -1;
    if (index < 0) return (this.readout.textContent = "");
    const value = array.smallest + (array.values[index] / 255) * (array.largest - array.smallest);
    const channel = Math.floor(index / product(array.shape.slice(1))) + 1;
    this.readout.textContent = `Block ${i + 1}, channel ${channel}: ${value.toFixed(2)} here, ${array.largest.toFixed(2)} at most`;
  }
}

/** Where the values of an array go: channels side by side with gaps; those of a signal as rows of one picture. */
function layout(shape) {
  const signal = shape.length === 2;
  const [channels, height, width] = signal ? [1, ...shape] : shape;
  const gap = signal ? 0 : 1;
  const [across, down] = columns(channels, width + gap, height + gap);
  const [wide, high] = [across * (width + gap) - gap, down * (height + gap) - gap];
  const places = new Int32Array(wide * high).fill(-1);
  for (let channel = 0; channel < channels; channel++) {
    const left = (channel % across) * (width + gap);
    const top = Math.floor(channel / across) * (height + gap);
    for (let i = 0; i < height * width; i++) {
      places[(top + Math.floor(i / width)) * wide + left + (i % width)] = channel * height * width + i;
    }
  }
  return { wide, high, places };
}

/** How many columns and rows make a shapely picture with few empty places. */
function columns(count, width, height) {
  const ways = Array.from({ length: count }, (_, i) => [i + 1, Math.ceil(count / (i + 1))]);
  const unlike = ([across, down]) => Math.abs(Math.log((across * width) / (down * height) / SHAPELY)) + (5 * across * down) / count;
  return ways.reduce((best, way) => (unlike(way) < unlike(best) ? way : best));
}

function paint(canvas, width, height, colour) {
  const pixels = Uint32Array.from({ length: width * height }, (_, i) => colour(i));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
}

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
