// The view of J.widget(): a grid to move about in, and beside it what is known of one entry.
// It asks the kernel by `fixed`, `offset` and `focus`, and shows the answers `window` and `detail`.

const COLOURS = { positive: "214,64,69", negative: "52,116,214", complex: "146,82,196", nan: "240,160,0" };
const FAINTEST = 0.22; // opacity of the smallest number: still no zero
const MOST_WITH_NUMBERS = 8; // columns of a window whose cells bear their numbers
const HOVER = 40; // milliseconds that a pointer rests before the kernel is asked
const OURS = { "data-lm-suppress-shortcuts": "true" }; // keys pressed here are not JupyterLab's; must be on what has the focus
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = attributes.xmlns ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (name !== "xmlns") element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const draw = (tag, attributes, ...children) => make(tag, { xmlns: SVG, ...attributes }, ...children);
const short = (value) => (value === null ? "not defined" : String(Number(value.toPrecision(5))).replace("-", "−"));

function labelOf(head, row, col) {
  const [above, below] = head.denominator ? [col, row] : [row, col];
  const sign = above.length || below.length ? "∂" : "d";
  const indexed = (name, vector) => name + (vector.length ? `[${vector.join(",")}]` : "");
  return `${sign}${indexed(head.names[0], above)}/${sign}${indexed(head.names[1], below)}`;
}

function colourOf([, strength, kind]) {
  if (kind === "nan") return `rgb(${COLOURS.nan})`;
  if (kind !== "value" && kind !== "complex") return "";
  const hue = kind === "complex" ? COLOURS.complex : strength < 0 ? COLOURS.negative : COLOURS.positive;
  return `rgba(${hue},${FAINTEST + (1 - FAINTEST) * Math.abs(strength)})`;
}

// A slider with its name before it and its value behind it.
function slider(name, min, max, value, say, changed) {
  const told = make("output", {}, say(value));
  const input = make("input", { type: "range", min, max, value, step: 1, "aria-label": name, "aria-valuetext": say(value), ...OURS });
  input.addEventListener("input", () => {
    told.textContent = say(+input.value);
    input.setAttribute("aria-valuetext", say(+input.value));
    changed(+input.value);
  });
  return make("label", { class: "slider" }, make("span", {}, name), input, told);
}

function render({ model, el }) {
  const head = model.get("head");
  const [cuts, moves] = [make("div", { class: "controls" }), make("div", { class: "controls" })];
  const table = make("table", { role: "grid", "aria-label": `${head.quotient}: rows are ${head.rows}, columns ${head.columns}` });
  const status = make("div", { class: "entry", role: "status" });
  const more = make("div", { class: "more" });
  const hint = `Rows are ${head.rows}, columns ${head.columns}. Hover an entry, or walk with the arrow keys; Enter keeps it, Escape lets go.`;
  const root = make(
    "div", { class: "jacobian-widget" },
    make("div", { class: "title" }, make("strong", {}, head.title)),
    make("div", { class: "formula" }, make("code", {}, head.formula), ` · ${head.structure}`),
    make("p", { class: "hint" }, hint),
    cuts, moves,
    make("div", { class: "body" },
      make("div", { class: "map" }, table),
      make("section", { class: "detail", "aria-label": "The entry" }, status, more)),
  );
  el.append(root);

  const state = { pinned: false, at: [0, 0], wanted: null, timer: 0, step: 0.8 };
  const cell = (r, c) => table.querySelector(`td[data-r="${r}"][data-c="${c}"]`);

  function send(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  function ask(r, c, wait) {
    const view = model.get("window");
    if (!view.rows[r] || !view.cols[c]) return;
    state.at = [r, c];
    mark();
    clearTimeout(state.timer);
    state.timer = setTimeout(() => send({ focus: [view.rows[r].at, view.cols[c].at] }), wait);
  }

  // The row of the entry and, in the heads of the columns, everything its output depends on.
  function mark() {
    const [r, c] = state.at;
    const view = model.get("window");
    for (const one of table.querySelectorAll("td")) {
      const here = +one.dataset.r === r && +one.dataset.c === c;
      one.tabIndex = here ? 0 : -1;
      one.classList.toggle("here", here);
      one.classList.toggle("row", +one.dataset.r === r);
      one.setAttribute("aria-selected", String(here && state.pinned));
    }
    for (const one of table.querySelectorAll("tbody th")) one.classList.toggle("on", +one.dataset.r === r);
    for (const one of table.querySelectorAll("thead th")) {
      const kind = view.cells[r]?.[+one.dataset.c]?.[2];
      one.classList.toggle("feeds", kind !== undefined && kind !== "zero");
    }
    root.classList.toggle("pinned", state.pinned);
  }

  function showWindow() {
    const view = model.get("window");
    const numbers = view.cols.length <= MOST_WITH_NUMBERS;
    const hadFocus = table.contains(document.activeElement);
    const tall = view.cols.some((col) => col.index.some((n) => n > 999)); // too wide to stand above a cell
    const rule = (line) => (line.rule ? ` rule${line.rule}` : "");
    const heads = view.cols.map((col, c) =>
      make("th", { scope: "col", "data-c": c, class: rule(col).trim() }, 
        ...(tall ? [col.index.join(",")] : col.index.flatMap((n, k) => (k ? [make("br"), n] : [n])))));
    const lines = view.rows.map((row, r) =>
      make("tr", { class: row.rule ? `rule${row.rule}` : "" },
        make("th", { scope: "row", "data-r": r }, row.index.join(",")),
        ...view.cols.map((col, c) => {
          const found = view.cells[r][c];
          const text = numbers ? (found[2] === "zero" ? "" : found[0]) : "";
          const means = { zero: "0 by structure", unknown: "not computed" }[found[2]] ?? found[0];
          const one = make("td", {
            ...OURS, role: "gridcell", "data-r": r, "data-c": c, class: found[2] + rule(col),
            "aria-label": `${labelOf(head, row.index, col.index)} = ${means}`,
          }, text);
          one.style.backgroundColor = colourOf(found);
          return one;
        })));
    table.classList.toggle("numbers", numbers);
    table.classList.toggle("tall", tall && !numbers);
    const corner = make("td", { class: "corner", role: "presentation" }, head.corner);
    table.replaceChildren(make("thead", {}, make("tr", {}, corner, ...heads)), make("tbody", {}, ...lines));
    const { wanted } = state;
    state.wanted = null;
    state.at = wanted ?? [Math.min(state.at[0], view.rows.length - 1), Math.min(state.at[1], view.cols.length - 1)];
    mark();
    if (wanted || hadFocus) { cell(...state.at)?.focus(); ask(...state.at, 0); }
    showMoves(view);
  }

  // Sliders that cut axes: they stay as they are while one is dragged.
  head.axes.forEach((axis, k) => {
    const alone = head.axes.filter((other) => other.side === axis.side).length < 2;
    if (alone || axis.size < 2) return;
    const say = (place) => (place < 0 ? "all" : String(place));
    cuts.append(slider(`${axis.side} axis ${axis.letter}`, -1, axis.size - 1, model.get("fixed")[k], say, (place) => {
      const fixed = [...model.get("fixed")];
      fixed[k] = place;
      send({ fixed, offset: [0, 0] });
    }));
  });

  // Sliders that move the window; rebuilt only when the cut leaves another matrix.
  function showMoves(view) {
    const key = view.count.join();
    if (moves.dataset.key === key) {
      for (const side of [0, 1]) {
        const input = moves.querySelector(`[data-side="${side}"] input`);
        if (input) { input.value = view.offset[side]; input.dispatchEvent(new CustomEvent("told")); }
      }
      return;
    }
    moves.dataset.key = key;
    moves.replaceChildren();
    [["rows", view.rows.length], ["columns", view.cols.length]].forEach(([name, length], side) => {
      if (view.count[side] <= length) return;
      const say = (first) => `${first} to ${first + length - 1} of ${view.count[side].toLocaleString("en")}`;
      const made = slider(name, 0, view.count[side] - length, view.offset[side], say, (first) => {
        const offset = [...model.get("offset")];
        offset[side] = first;
        send({ offset });
      });
      made.dataset.side = side;
      const [input, told] = [made.querySelector("input"), made.querySelector("output")];
      input.addEventListener("told", () => {
        told.textContent = say(+input.value);
        input.setAttribute("aria-valuetext", say(+input.value));
      });
      moves.append(made);
    });
  }

  function showDetail() {
    const told = model.get("detail");
    if (!told || !told.label) {
      status.replaceChildren(make("p", { class: "hint" }, "No entry yet."));
      more.replaceChildren();
      return;
    }
    status.replaceChildren(
      make("div", { class: "label" }, `${told.label} = ${told.value.replace("-", "−")}`),
      make("div", {}, make("code", {}, `= ${told.formula}`)));
    more.replaceChildren(...dependence(told.inputs), ...paths(told.paths), ...(told.nudge ? approximation(told) : []));
  }

  function dependence(inputs) {
    if (!inputs) return [];
    const rest = inputs.count - inputs.named.length;
    const named = inputs.named.length ? `: ${inputs.named.join(", ")}${rest ? `, and ${rest.toLocaleString("en")} more` : ""}` : "";
    const on = `${inputs.of} depends on ${inputs.count.toLocaleString("en")} of ${inputs.total.toLocaleString("en")}`;
    return [make("p", { class: "inputs" }, on + named)];
  }

  function paths(found) {
    if (!found) return [];
    if (!found.paths.length) {
      return found.more ? [make("p", {}, `${found.more.toLocaleString("en")} paths feed it.`)] : [];
    }
    const lines = found.paths.map(({ share, steps }) => {
      const way = steps.flatMap(({ name, op }, k) => (k ? [make("span", { class: "op" }, ` ${op} → `), make("code", {}, name)] : [make("code", {}, name)]));
      return make("li", {}, ...way, make("span", { class: "share" }, ` gives ${share.replace("-", "−")}`));
    });
    const all = found.paths.length + found.more;
    const title = all === 1 ? "One path feeds it" : `${all} paths feed it`;
    const rest = found.more ? [make("p", {}, `and ${found.more} weaker ones`)] : [];
    return [make("h4", {}, title), make("ol", { class: "paths" }, ...lines), ...rest];
  }

  // f(x+Δx) as a curve, y + J·Δx as its tangent, and Δx to be dragged.
  function approximation(told) {
    const { dx, linear, actual } = told.nudge;
    const [W, H, M] = [280, 130, 8];
    const known = [...linear, ...actual.filter((value) => value !== null)];
    let [low, high] = [Math.min(...known), Math.max(...known)];
    if (high - low < 1e-12 * Math.max(1, Math.abs(high))) { low -= 1; high += 1; }
    const X = (k) => M + (k * (W - 2 * M)) / (dx.length - 1);
    const Y = (value) => H - M - ((value - low) * (H - 2 * M)) / (high - low);
    let pen = "M";
    const curve = actual.map((value, k) => {
      if (value === null) { pen = "M"; return ""; }
      const piece = `${pen}${X(k).toFixed(1)},${Y(value).toFixed(1)}`;
      pen = "L";
      return piece;
    }).join("");
    const middle = (dx.length - 1) / 2;
    const [gap, onLine, onCurve] = [draw("line", { class: "gap" }), draw("circle", { class: "linear", r: 4 }), draw("circle", { class: "actual", r: 4 })];
    const [output, input] = told.label.split("/").map((part) => part.slice(1));
    const alt = `${output} while ${input} moves by Δx: the curve is f(x+Δx), the dashed line y + J·Δx`;
    const plot = draw("svg", { viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: "img", "aria-label": alt },
      draw("line", { class: "axis", x1: X(middle), x2: X(middle), y1: M, y2: H - M }),
      draw("path", { class: "actual", d: curve }),
      draw("line", { class: "linear", x1: X(0), y1: Y(linear[0]), x2: X(dx.length - 1), y2: Y(linear.at(-1)) }),
      gap, onLine, onCurve);
    const numbers = make("dl", {});
    const show = (k) => {
      state.step = k / (dx.length - 1);
      const off = actual[k] === null ? null : actual[k] - linear[k];
      onLine.setAttribute("cx", X(k)); onLine.setAttribute("cy", Y(linear[k]));
      onCurve.style.display = gap.style.display = actual[k] === null ? "none" : "";
      if (actual[k] !== null) {
        onCurve.setAttribute("cx", X(k)); onCurve.setAttribute("cy", Y(actual[k]));
        for (const [name, value] of [["x1", X(k)], ["x2", X(k)], ["y1", Y(linear[k])], ["y2", Y(actual[k])]]) gap.setAttribute(name, value);
      }
      const rows = [["linear", "y + J·Δx", linear[k]], ["actual", "f(x+Δx)", actual[k]], ["gap", "apart by", off]];
      numbers.replaceChildren(...rows.flatMap(([kind, name, value]) => [make("dt", { class: kind }, name), make("dd", {}, short(value))]));
    };
    const start = Math.round(state.step * (dx.length - 1));
    const drag = slider(`Δ${input}`, 0, dx.length - 1, start, (k) => short(dx[k]), show);
    const range = drag.querySelector("input");
    plot.addEventListener("pointerdown", (event) => { plot.setPointerCapture(event.pointerId); follow(event); });
    plot.addEventListener("pointermove", (event) => { if (plot.hasPointerCapture(event.pointerId)) follow(event); });
    const follow = (event) => {
      const box = plot.getBoundingClientRect();
      const share = ((event.clientX - box.left) * W / box.width - M) / (W - 2 * M);
      range.value = Math.round(share * (dx.length - 1));
      range.dispatchEvent(new Event("input"));
    };
    show(start);
    return [make("h4", {}, "Drag Δx"), plot, drag, numbers];
  }

  table.addEventListener("pointerover", (event) => {
    const one = event.target.closest("td[data-r]");
    if (one && !state.pinned) ask(+one.dataset.r, +one.dataset.c, HOVER);
  });
  table.addEventListener("focusin", (event) => {
    const one = event.target.closest("td[data-r]");
    if (one && (+one.dataset.r !== state.at[0] || +one.dataset.c !== state.at[1])) ask(+one.dataset.r, +one.dataset.c, HOVER);
  });
  table.addEventListener("click", (event) => {
    const one = event.target.closest("td[data-r]");
    if (!one) return;
    const same = +one.dataset.r === state.at[0] && +one.dataset.c === state.at[1];
    state.pinned = !(state.pinned && same);
    one.focus();
    ask(+one.dataset.r, +one.dataset.c, 0);
  });
  table.addEventListener("keydown", (event) => {
    const view = model.get("window");
    const [r, c] = state.at;
    const [rows, cols] = [view.rows.length, view.cols.length];
    const end = event.ctrlKey || event.metaKey;
    const to = {
      ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1],
      PageUp: [r - rows, c], PageDown: [r + rows, c],
      Home: [end ? -view.offset[0] : r, -view.offset[1]],
      End: [end ? view.count[0] - 1 - view.offset[0] : r, view.count[1] - 1 - view.offset[1]],
    }[event.key];
    if (event.key === "Enter" || event.key === " ") state.pinned = !state.pinned;
    else if (event.key === "Escape") state.pinned = false;
    else if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    if (!to) { ask(r, c, 0); return; }
    const offset = [0, 1].map((side) => {
      const length = [rows, cols][side];
      const beyond = to[side] < 0 ? to[side] : Math.max(0, to[side] - length + 1);
      return Math.max(0, Math.min(view.offset[side] + beyond, view.count[side] - length));
    });
    const target = [0, 1].map((side) => {
      const place = Math.max(0, Math.min(to[side] + view.offset[side], view.count[side] - 1));
      return place - offset[side];
    });
    if (offset[0] !== view.offset[0] || offset[1] !== view.offset[1]) { state.wanted = target; send({ offset }); }
    else { ask(...target, 0); cell(...target)?.focus(); }
  });

  const listening = [["change:window", showWindow], ["change:detail", showDetail]];
  for (const [name, listener] of listening) model.on(name, listener);
  showWindow();
  showDetail();
  return () => {
    clearTimeout(state.timer);
    for (const [name, listener] of listening) model.off(name, listener);
  };
}

export default { render };
