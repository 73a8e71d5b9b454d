// What a network says about a drawing: its answer, the probabilities, its maps, and the model itself.
import { Bars } from "./bars.js";
import { paintGray, Maps } from "./maps.js";
import { showModel } from "./model.js";
import { speak } from "./speak.js";

const QUIET = 600; // milliseconds without a new answer before it is spoken

export class Reading {
  #kind = null;

  constructor(panel, models, kind) {
    this.models = models;
    for (const [name, place] of [["reading", panel.querySelector(".work")], ["insight", panel]]) {
      place.append(document.getElementById(name).content.cloneNode(true));
    }
    this.part = (selector) => panel.querySelector(selector);
    this.answer = this.part(".answer");
    this.answer.classList.add("blank");
    this.bars = new Bars(this.part(".bars"));
    this.maps = new Maps(this.part(".maps"), this.part(".readout"));
    this.part(".seen").hidden = kind === "signal";
    if (models[kind]) this.#turnTo(kind);
  }

  /** There is no model: say so in place of an answer. */
  missing(what) {
    for (const selector of [".answer", ".inside", ".model", ".pad"]) this.part(selector).hidden = true;
    const note = document.createElement("p");
    note.className = "trouble";
    note.textContent = `No model of ${what} is loaded. Train one, export it, and name the file: lightconv demo FILE.onnx`;
    this.part(".work").append(note);
  }

  #turnTo(kind) {
    if (kind === this.#kind) return;
    this.#kind = kind;
    const model = this.models[kind];
    this.bars.prepare(model.classes);
    this.maps.prepare(model);
    showModel(this.part(".model"), model);
  }

  blank() {
    this.answer.classList.add("blank");
    this.part(".numeral").textContent = "?";
    for (const selector of [".sure", ".others", ".time"]) this.part(selector).textContent = "";
    this.bars.clear();
    this.maps.clear();
    const seen = this.part(".seen canvas");
    seen.getContext("2d").clearRect(0, 0, seen.width, seen.height);
    speak("");
  }

  show(answer) {
    if (answer.blank) return this.blank();
    this.#turnTo(answer.kind);
    const { classes } = this.models[answer.kind];
    const best = answer.probabilities.map((p, i) => [p, classes[i]]).sort((a, b) => b[0] - a[0]);
    const percent = (p) => `${(100 * p).toFixed(p > 0.9995 ? 0 : 1)}\u00a0%`;
    this.answer.classList.remove("blank");
    this.part(".numeral").textContent = answer.name;
    this.part(".numeral").classList.toggle("long", answer.name.length > 3);
    this.part(".sure").textContent = `${percent(best[0][0])} sure`;
    const others = best.slice(1, 4).filter(([p]) => p >= 0.001).map(([p, name]) => `${name}\u00a0(${percent(p)})`);
    this.part(".others").textContent = others.length ? `or ${others.join(", ")}` : "nothing else comes near";
    this.part(".time").textContent = `read in ${answer.milliseconds.toFixed(1)} ms`;
    this.bars.show(answer.probabilities);
    this.maps.show(answer.maps);
    if (answer.picture) paintGray(this.part(".seen canvas"), answer.picture);
    speak(`The network reads ${answer.name}, ${percent(best[0][0])} sure.`, QUIET);
  }
}
