"use strict";
(() => {
  const page = JSON.parse(document.getElementById("payload").textContent);
  const views = new Map();
  const state = { group: 0, cell: null, axis: "x", quantity: null, width: null, unit: "t" };
  const OUTPUTS = { "output/f_rms": ["‖f‖", "var(--o0)"], "output/df_rms": ["‖f − f₀‖", "var(--o1)"], "output/alpha_df_rms": ["α‖f − f₀‖", "var(--o2)"] };
  const GLYPHS = { circle: "●", square: "■", "triangle-up": "▲", diamond: "◆", cross: "✚", "triangle-down": "▼", "triangle-right": "▶" };
  const $ = (id) => document.getElementById(id);
  const short = (v) => v == null ? "–" : v && (Math.abs(v) >= 1e4 || Math.abs(v) < 1e-3) ? Number(v.toPrecision(3)).toExponential().replace("e+", "e") : String(Number(v.toPrecision(3)));
  const percent = (v) => v == null ? "–" : `${(100 * v).toFixed(2)} %`;
  const group = () => page.groups[state.group];
  const make = (tag, text, style = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "" }, { style: Object.entries(style).map(([k, v]) => `${k}:${v}`).join(";") });

  // Rows for the figures.
  function phaseRows() {
    const [left, right, centre] = state.axis === "x" ? ["x0", "x1", "x"] : ["a0", "a1", "alpha"];
    const rows = group().cells.map((c) => ({
      ...c, kind: "cell", left: c[left], right: c[right], centre: c[centre],
      colour: c.regime ? `var(--${c.regime})` : null, strength: c.good ? 1 : 0.3,
    }));
    const scale = (h) => { const c = group().cells.find((c) => c.h === h); return state.axis === "x" ? 1 : c.alpha / c.x; };
    for (const b of group().boundary) rows.push({ ...b, kind: "boundary", left: b.x * scale(b.h), label: `√h·α = ${b.label}` });
    const chosen = rows.find((row) => row.cell === state.cell);
    return chosen ? [...rows, { ...chosen, kind: "chosen" }] : rows;
  }

  function curveRows(curve, name, colour, scale = 1) {
    const { columns, cells } = group(), { h, x } = cells[curve.cell], values = columns[name], rows = [];
    const linear = name in page.linear;
    for (let i = curve.begin; values && i < curve.end; i++) {
      const v = values[i];
      if (v == null || (!linear && v <= 0)) continue;
      rows.push({ t: columns.t[i] / scale, v, h, x, seed: curve.seed, cell: curve.cell, member: curve.seed != null, curve: `${name} ${curve.begin}`, colour });
    }
    return rows;
  }

  function historyRows(names) {
    const found = group().curves.filter((c) => c.cell === state.cell), cell = group().cells[state.cell];
    return found.flatMap((c) => names.flatMap((n) => curveRows(c, n, names.length > 1 ? OUTPUTS[n][1] : `var(--${cell.regime ?? "accent"})`)));
  }

  function halfTime(cell) {
    const known = group().curves.filter((c) => c.cell === cell && c.t_half > 0).map((c) => c.t_half);
    return known.length ? known.reduce((a, b) => a + b) / known.length : null;
  }

  function chosenRows() {
    const { cells, curves } = group();
    return curves.filter((c) => c.seed == null && cells[c.cell].h === state.width).flatMap((c) => {
      const scale = state.unit === "t" ? 1 : halfTime(c.cell);
      return scale ? curveRows(c, state.quantity, cells[c.cell].tint, scale) : [];
    });
  }

  function againstRows(name) {
    const ids = new Map(group().cells.map((c) => [`${c.h} ${c.x}`, c.cell]));
    return (group().against[name] ?? []).map((p) => ({ ...p, cell: ids.get(`${p.h} ${p.x}`) }));
  }

  function rowsOf(name) {
    const [kind, ...rest] = name.split("/");
    if (kind === "phase") return phaseRows();
    if (kind === "against") return againstRows(rest.join("/"));
    if (name === "chosen") return chosenRows();
    if (name === "laws") return group().laws.map((law) => ({ ...law, colour: `var(--${law.verdict === "agrees" ? "good" : "bad"})` }));
    if (state.cell == null) return [];
    return historyRows(kind === "outputs" ? Object.keys(OUTPUTS) : [rest.join("/")]);
  }

  // Figures.
  function specification(name) {
    const [kind, ...rest] = name.split("/");
    if (name === "laws") return { ...page.charts.laws, height: 24 * group().laws.length };
    if (name === "phase/kernel") return centred(titled(page.charts[name], { x: axisTitle() }));
    if (!["chosen", "curves", "outputs"].includes(kind)) return titled(page.charts[name], { x: kind === "phase" ? axisTitle() : null });
    const quantity = kind === "chosen" ? state.quantity : rest.join("/");
    const y = kind === "outputs" ? "output norms" : group().quantities[quantity];
    const spec = titled(page.charts[`curves/${page.linear[quantity] ?? "log"}`], { x: kind === "chosen" && state.unit === "half" ? "t/t½" : null, y });
    return kind === "chosen" ? { ...spec, height: 340 } : spec;
  }

  const axisTitle = () => state.axis === "a" ? "output scale α" : null;

  // The colours of the kernel change, as far below 1 as above, and the same for all kinds of runs.
  function centred(spec) {
    const decades = page.groups.flatMap((g) => g.cells).filter((c) => c.kernel > 0).map((c) => Math.abs(Math.log10(c.kernel)));
    const limit = Math.max(1, ...decades);
    for (const { encoding } of spec.layer) if (encoding?.color?.field === "kernel") encoding.color.scale.domain = [10 ** -limit, 10 ** limit];
    return spec;
  }

  // A copy of a specification with other titles of its axes.
  function titled(chart, titles) {
    const spec = structuredClone(chart);
    for (const { encoding } of spec.layer) for (const [channel, title] of Object.entries(titles)) if (title && encoding?.[channel]?.axis) encoding[channel].axis.title = title;
    return spec;
  }

  async function draw(name, anew = false) {
    const place = document.querySelector(`[data-chart="${name}"]`);
    const rows = rowsOf(name), figure = place.closest("figure");
    figure.hidden = !rows.length && !name.startsWith("phase") && name !== "chosen";
    if (figure.hidden) return;
    if (anew || !views.has(name)) {
      views.get(name)?.finalize();
      // Errors only: a layer without rows is none, since a sweep need not have incomplete cells.
      const options = { renderer: "svg", actions: false, ast: true, logLevel: 1, tooltip: { theme: "custom" } };
      const made = await vegaEmbed(place, { ...specification(name), datasets: { rows } }, options);
      made.view.addEventListener("click", (_, item) => { if (item?.datum?.cell != null) choose(item.datum.cell); });
      views.set(name, made.view);
    } else await views.get(name).data("rows", rows).runAsync();
  }

  const charts = (...kinds) => [...document.querySelectorAll("[data-chart]")].map((e) => e.dataset.chart).filter((n) => kinds.includes(n.split("/")[0]));
  const drawAll = (names, anew) => Promise.all(names.map((name) => draw(name, anew))).catch(trouble);

  // What follows from a choice.
  function choose(cell) {
    state.cell = cell;
    const c = group().cells[cell];
    $("pick-h").value = c.h; $("pick-x").value = c.x;
    const regime = c.regime ? `${c.regime} training, kernel change ${short(c.kernel)}` : "kernel change not known";
    $("cell-title").textContent = `h = ${c.h}, √h·α = ${short(c.x)} (α = ${short(c.alpha)}): ${regime}, test error ${percent(c.error)}; ${c.done} of ${c.asked} runs complete.`;
    members();
    return drawAll(charts("phase", "curves", "outputs"));
  }

  function members() {
    const table = $("members"), head = make("tr");
    table.replaceChildren(head);
    for (const name of ["seed", "outcome", "test error", "kernel change", "t½", "t at the end", "run"]) head.append(make("th", name));
    for (const c of group().curves.filter((c) => c.cell === state.cell && c.seed != null)) {
      const row = make("tr");
      for (const text of [c.seed, c.outcome, percent(c.error), short(c.kernel), short(c.t_half), short(c.t_stop), c.id]) row.append(make("td", text));
      table.append(row);
    }
  }

  function options(select, values, written = String) {
    select.replaceChildren(...values.map((value) => Object.assign(make("option", written(value)), { value })));
  }

  function legends() {
    const { cells } = group(), widths = [...new Map(cells.map((c) => [c.h, c])).values()];
    for (const place of document.querySelectorAll(".legend.widths")) {
      place.replaceChildren(...widths.map((c) => {
        const entry = make("span", ` h = ${c.h}`);
        entry.prepend(make("b", GLYPHS[c.hue.shape], { color: c.hue.colour }));
        return entry;
      }));
    }
    $("tints").replaceChildren(make("span", "√h·α ="), ...cells.filter((c) => c.h === state.width && c.done).map((c) => {
      const entry = Object.assign(make("button", short(c.x)), { type: "button", title: "show this cell above", onclick: () => choose(c.cell) });
      entry.prepend(make("i", "", { background: c.tint }));
      return entry;
    }));
    $("outputs-key").replaceChildren(...Object.values(OUTPUTS).map(([text, colour]) => make("b", `${text}  `, { color: colour })));
    $("over-time-title").textContent = `${group().quantities[state.quantity]} at h = ${state.width}`;
  }

  async function show(index) {
    state.group = index;
    for (const part of document.querySelectorAll("[data-group]")) part.hidden = Number(part.dataset.group) !== index;
    const { cells, quantities, curves } = group();
    $("figures").hidden = !curves.length;
    if (!curves.length) return;
    options($("pick-h"), [...new Set(cells.map((c) => c.h))]);
    options($("pick-x"), [...new Set(cells.map((c) => c.x))].sort((a, b) => a - b), short);
    options($("quantity"), Object.keys(quantities), (name) => quantities[name]);
    options($("width"), [...new Set(cells.filter((c) => c.done).map((c) => c.h))]);
    state.width = Math.max(...cells.filter((c) => c.done).map((c) => c.h));
    state.quantity = "train/loss" in quantities ? "train/loss" : Object.keys(quantities)[0];
    $("width").value = state.width; $("quantity").value = state.quantity;
    legends();
    const first = cells.find((c) => c.best && c.h === state.width) ?? cells.find((c) => c.done);
    await choose(first.cell);
    await drawAll([...charts("against"), ...charts("chosen"), ...charts("laws")], true);
  }

  // Controls.
  function pick(event) {
    const h = Number($("pick-h").value), cells = group().cells.filter((c) => c.h === h), x = Number($("pick-x").value);
    const near = cells.reduce((a, b) => Math.abs(Math.log(a.x / x)) <= Math.abs(Math.log(b.x / x)) ? a : b);
    choose(near.cell);
  }
  function rechoose() {
    Object.assign(state, { quantity: $("quantity").value, width: Number($("width").value), unit: $("unit").value });
    legends();
    return drawAll(["chosen"], true);
  }
  function turn(event) {
    state.axis = event.target.dataset.axis;
    for (const button of document.querySelectorAll("[data-axis]")) button.setAttribute("aria-pressed", String(button.dataset.axis === state.axis));
    return drawAll(charts("phase"), true);
  }
  function theme() {
    const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = (root.dataset.theme ?? (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  }
  function trouble(error) {
    $("trouble").hidden = false;
    $("trouble").textContent = `A figure could not be drawn: ${error.message ?? error}`;
    console.error(error);
  }

  $("theme").onclick = theme;
  for (const id of ["pick-h", "pick-x"]) $(id).onchange = pick;
  for (const id of ["quantity", "width", "unit"]) $(id).onchange = rechoose;
  for (const button of document.querySelectorAll("[data-axis]")) button.onclick = turn;
  if ($("group")) $("group").onchange = () => show(Number($("group").value)).catch(trouble);
  (page.groups.length ? show(0) : Promise.resolve($("figures").hidden = true)).catch(trouble).finally(() => { document.documentElement.dataset.ready = "true"; });
})();
