// The page: two tabs, each a sheet to draw on and a reading of what is on it.
import { Asker, fetchJSON } from "./ask.js";
import { any, write } from "./handwriting.js";
import { Pen } from "./pen.js";
import { Reading } from "./reading.js";
import { Wave } from "./wave.js";

const number = document.getElementById("number");
const signal = document.getElementById("signal");

tabs(document.querySelector("[role=tablist]"));
const models = await fetchJSON("/models");
if (models) start(models);

function start(models) {
  document.getElementById("drawing-help").open = matchMedia("(min-width: 861px)").matches;
  startNumber();
  startSignal();
  document.documentElement.dataset.ready = "";

  function startNumber() {
    const reading = new Reading(number, models, models.one ? "one" : "two");
    const asker = new Asker("/drawing", reading.answer, (answer) => reading.show(answer));
    const digits = number.querySelectorAll("[name=digits]");
    const pen = new Pen(document.getElementById("drawing"), () => {
      number.classList.toggle("begun", pen.strokes.length > 0);
      for (const button of number.querySelectorAll("[data-do=undo], [data-do=clear]")) button.disabled = !pen.strokes.length;
      if (pen.strokes.length) {
        asker.ask({ strokes: pen.strokes, digits: Number([...digits].find((choice) => choice.checked).value) });
      } else {
        asker.forget();
        reading.blank();
      }
    });
    if (!models.one || !models.two) {
      for (const choice of digits) choice.disabled = !(choice.value === (models.one ? "1" : "2"));
      for (const choice of digits) choice.checked = !choice.disabled;
    }
    for (const choice of digits) choice.addEventListener("change", () => pen.changed());
    if (!models.one && !models.two) return reading.missing("pictures of digits");

    const wanted = document.getElementById("wanted");
    document.getElementById("write").addEventListener("submit", (event) => {
      event.preventDefault();
      write(pen, wanted.value.match(/^\d{1,2}$/) ? wanted.value : wanted.placeholder);
    });
    act(number, { undo: () => pen.undo(), clear: () => pen.clear(), any: () => write(pen, any(models)) });
    keys(number, pen);
  }

  function startSignal() {
    const reading = new Reading(signal, models, "signal");
    const asker = new Asker("/signal", reading.answer, (answer) => reading.show(answer));
    const wave = new Wave(document.getElementById("wave"), signal.querySelector(".shapes"), () => {
      signal.classList.toggle("begun", wave.begun);
      signal.querySelector("[data-do=undo]").disabled = !wave.begun;
      if (wave.begun) {
        asker.ask({ signal: wave.values });
      } else {
        asker.forget();
        reading.blank();
      }
    });
    if (!models.signal) return reading.missing("signals");
    act(signal, { undo: () => wave.undo(), clear: () => wave.clear() });
    keys(signal, wave);
  }
}

/** Buttons that name what they do. */
function act(panel, actions) {
  for (const button of panel.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
}

/** Keys that work wherever the focus is, while the panel is shown and nobody is typing. */
function keys(panel, sheet) {
  document.addEventListener("keydown", (event) => {
    if (panel.hidden || event.altKey || event.target.matches("input:not([type=radio])")) return;
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (control && key === "z" && !event.shiftKey) sheet.undo();
    else if (control && (key === "y" || key === "z")) sheet.redo();
    else if (!control && key === "escape") sheet.clear();
    else return;
    event.preventDefault();
  });
}

/** Tabs as the ARIA guide describes them: arrow keys move, one stop for the Tab key; the address remembers. */
function tabs(list) {
  const all = [...list.children];
  const select = (chosen) => {
    for (const tab of all) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    history.replaceState(null, "", "#" + chosen.getAttribute("aria-controls"));
  };
  for (const tab of all) tab.addEventListener("click", () => select(tab));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    next.focus();
    select(next);
  });
  const named = all.find((tab) => "#" + tab.getAttribute("aria-controls") === location.hash);
  if (named) select(named);
}
