// The exported model: what its card says, and its graph, node by node.
const TIMES = "\u202f×\u202f";
const NODE_X = 48;
const LANE = 12;

export function showModel(place, model) {
  place.querySelector(".lead").textContent =
    `The page asks ${model.file}, the exported file itself, run by onnxruntime. Its graph is all there is.`;
  facts(place.querySelector(".facts"), model);
  const graph = place.querySelector(".graph");
  const rows = [
    row({ operator: model.input.name, settings: model.input.type, shape: model.input.shape, terminal: true }),
    ...model.nodes.map(row),
  ];
  graph.querySelector("ol").replaceChildren(...rows);
  new ResizeObserver(() => wires(graph, rows, model.nodes)).observe(graph);
}

function facts(place, model) {
  const test = model.scores?.test;
  const data = model.provenance?.data;
  const list = [
    ["Network", model.network, model.version && `lightconv ${model.version}`],
    ["Parameters", model.parameters && Number(model.parameters).toLocaleString("en")],
    ["Test accuracy", test && `${(100 * test.accuracy).toFixed(2)} %`, test && `${test.samples.toLocaleString("en")} samples`],
    ["Trained on", data?.title, model.provenance?.epochs && `${model.provenance.epochs} epochs`],
    ["File", model.file, `${model.bytes.toLocaleString("en")} bytes`],
    ["Graph", `${model.nodes.length} nodes`, `opset ${model.opset}`],
    ["Classes", String(model.classes.length), `${model.classes[0]} to ${model.classes.at(-1)}`],
  ];
  place.replaceChildren();
  for (const [name, value, note] of list.filter(([, value]) => value)) {
    const item = document.createElement("div");
    item.innerHTML = "<dt></dt><dd></dd>";
    item.querySelector("dt").textContent = name;
    item.querySelector("dd").textContent = value;
    if (note) {
      const small = document.createElement("small");
      small.textContent = ` ${note}`;
      item.querySelector("dd").append(small);
    }
    place.append(item);
  }
}

function row({ operator, settings, shape, weights, block, gives, terminal }) {
  const item = document.createElement("li");
  item.classList.toggle("terminal", Boolean(terminal));
  item.innerHTML = "<code></code><span class='settings'></span><span class='shape'></span><span class='weights'></span>";
  item.querySelector("code").textContent = operator;
  item.querySelector(".settings").textContent = settings;
  item.querySelector(".shape").textContent = shape.length ? shape.map((size) => size || "?").join(TIMES) : "1";
  item.querySelector(".weights").textContent = weights > 1 ? `${weights.toLocaleString("en")} weights` : "";
  for (const label of [gives, Number.isInteger(block) && `block ${block + 1}`].filter(Boolean)) {
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = label;
    item.querySelector(".settings").append(item.querySelector(".settings").textContent ? " " : "", tag);
  }
  return item;
}

/** Draw the graph's edges beside its rows: straight to the next node, in a bow past others. */
function wires(graph, rows, nodes) {
  const svg = graph.querySelector("svg");
  const x = Math.min(NODE_X, svg.clientWidth - 14);
  const y = rows.map((element) => element.offsetTop + Math.min(element.offsetHeight, 34) / 2);
  const parts = [];
  const circle = (i, end) => parts.push(draw("circle", { cx: x, cy: y[i], r: end ? 6 : 5, class: end ? "end" : "" }));
  const lanes = [];
  for (const [i, node] of nodes.entries()) {
    for (const from of node.reads) {
      const [start, end] = [from + 1, i + 1];
      if (end === start + 1) {
        parts.push(draw("path", { d: `M${x} ${y[start]}V${y[end]}` }));
      } else {
        let lane = lanes.findIndex((free) => free <= start);
        if (lane < 0) lane = lanes.push(0) - 1;
        lanes[lane] = end;
        const out = x - LANE * (lane + 1) - 8;
        parts.push(draw("path", { d: `M${x} ${y[start]}C${out} ${y[start] + 14} ${out} ${y[end] - 14} ${x} ${y[end]}` }));
      }
    }
  }
  circle(0, false);
  nodes.forEach((node, i) => circle(i + 1, Number.isInteger(node.block)));
  svg.replaceChildren(...parts);
}

function draw(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
