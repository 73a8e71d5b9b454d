// Probabilities as bars: ten columns; for the numbers 00 to 99 ten for the tens and ten for the units; rows where
// classes have long names.
export class Bars {
  constructor(place) {
    this.place = place;
  }

  prepare(classes) {
    const pairs = classes.length === 100 && classes.every((name, i) => Number(name) === i);
    this.place.replaceChildren();
    this.place.classList.toggle("two", pairs);
    const digits = "0123456789".split("");
    this.charts = pairs
      ? [chart(this.place, digits, "Tens"), chart(this.place, digits, "Units")]
      : [chart(this.place, classes, "")];
    this.sums = pairs
      ? [(p) => digits.map((_, d) => total(p.slice(10 * d, 10 * d + 10))), (p) => digits.map((_, d) => total(p.filter((_, i) => i % 10 === d)))]
      : [(p) => p];
  }

  show(probabilities) {
    const words = this.charts.map(({ title, bars }, i) => {
      const shares = this.sums[i](probabilities);
      const top = shares.indexOf(Math.max(...shares));
      for (const [k, bar] of bars.entries()) {
        bar.classList.toggle("top", k === top);
        bar.querySelector("i").style.setProperty("--p", shares[k]);
        bar.querySelector("span").textContent = shares[k] >= 0.005 ? Math.round(100 * shares[k]) : "";
      }
      const said = bars.map((bar, k) => [shares[k], bar.dataset.name]).filter(([p]) => p >= 0.005).sort((a, b) => b[0] - a[0]);
      return `${title || "Probabilities"}: ${said.map(([p, name]) => `${name} ${Math.round(100 * p)} %`).join(", ")}`;
    });
    this.place.setAttribute("aria-label", words.join(". "));
  }

  clear() {
    for (const { bars } of this.charts ?? []) {
      for (const bar of bars) {
        bar.classList.remove("top");
        bar.querySelector("i").style.setProperty("--p", 0);
        bar.querySelector("span").textContent = "";
      }
    }
    this.place.setAttribute("aria-label", "Probabilities: nothing drawn yet");
  }
}

const total = (list) => list.reduce((a, b) => a + b, 0);

function chart(place, names, title) {
  const element = document.createElement("div");
  element.className = names.some((name) => name.length > 2) ? "rows" : "chart";
  if (title) {
    const heading = document.createElement("span");
    heading.className = "name";
    heading.textContent = title;
    element.append(heading);
  }
  const bars = names.map((name) => {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.dataset.name = name;
    bar.innerHTML = "<span></span><i></i><b></b>";
    bar.querySelector("b").textContent = name;
    return bar;
  });
  element.append(...bars);
  place.append(element);
  return { title, bars };
}
