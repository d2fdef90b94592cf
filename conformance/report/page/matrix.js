// The first view: what to do with a difference, and the matrix of implementations by operation and family.

function matrixView(filters) {
  const chosen = selection(filters);
  const columns = columnsOf(chosen.cases, filters.columns || filters.operation ? "families" : "");
  const rows = chosen.implementations
    .map((one) => ({ one, cells: columns.map((column) => tally(one, column.cases, chosen.passes)) }))
    .filter((row) => row.cells.some((cell) => cell.total));
  const total = rows.reduce((sum, row) => sum + row.cells.reduce((s, cell) => s + cell.total, 0), 0);
  const filtered = addressOf({ ...filters, columns: "" }) !== "#/";
  const found = `${count(total, "result")} of ${count(rows.length, "implementation")}`;
  if (filtered) say(found);
  return {
    title: filters.query ? `Search: ${filters.query}` : "Matrix",
    content: [
      el("h1", {}, "Is it rounding, a convention, or a bug?"),
      filtered ? null : triage(),
      el("h2", { id: "matrix-title" }, "Implementations by operation", columns.some((c) => c.family) ? " and family" : ""),
      filterForm(filters, (changed) => go(addressOf(changed), "filter")),
      legend(),
      el("p", { class: "note" }, filtered ? found + ". " : null,
        "A cell shows the gravest verdict among its cases; open it for the cases. Arrow keys move between cells, Enter opens one, Escape goes back."),
      rows.length ? grid(rows, columns, filters) : el("p", { class: "empty" }, "Nothing passes these filters. ", el("a", { href: "#/" }, "Clear them")),
      filters.query ? matches(chosen, rows) : null,
      report.notRun.length && !filtered ? el("p", { class: "note" }, "Not run: " + report.notRun.join(", ") + ".") : null,
    ],
  };
}

/** For a person whose port differs: both implementations, and on to their comparison. */
function triage() {
  const choose = (id, label, one) => choice(id, label, optionsOfImplementations(), one.id, () => {});
  const compare = (event) => {
    event.preventDefault();
    go(to("compare", document.getElementById("from").value, document.getElementById("onto").value));
  };
  const [from, onto] = somePair();
  return el("section", { class: "triage", "aria-labelledby": "triage-title" },
    el("h2", { id: "triage-title" }, "You ported a model, and its outputs differ?"),
    el("form", { onsubmit: compare },
      choose("from", "from", from),
      choose("onto", "to", onto),
      el("button", { type: "submit" }, "What differs?")),
    el("dl", { class: "meanings" },
      [["rounding", "conforms", "Both conform: nothing to change. The bound follows from the very input; 1e-4 can be rounding where digits cancel."],
       ["a convention", "convention", "Epsilon, momentum or the running variance are defined otherwise: convert the number."],
       ["a bug", "wrong", "Digits are lost, or another formula is computed: what to do instead stands at each."]].map(
        ([term, verdict, text]) => el("div", {}, el("dt", {}, sign(verdict, true), term), el("dd", {}, text)))),
  );
}

/** Two to begin with: layers of different frameworks, if there are. */
function somePair() {
  const layers = implementations.filter((one) => one.conventions);
  const some = layers.length ? layers : implementations;
  return [some[0], some.find((one) => one.framework !== some[0].framework) || some[0]];
}

function optionsOfImplementations() {
  return [...grouped(implementations, (one) => one.framework)].map(([framework, members]) => ({
    group: framework,
    options: members.map((one) => [one.id, one.id]),
  }));
}

/** The signs with their words, and what they mean where that is asked for. */
function legend() {
  return el("details", { class: "legend" },
    el("summary", {}, el("span", { class: "hidden" }, "What the signs mean: "), VALUES.verdict.map((verdict) => [sign(verdict), " "])),
    el("dl", {}, VALUES.verdict.map((verdict) =>
      el("div", {}, el("dt", {}, sign(verdict)), el("dd", {}, report.verdicts.find(([name]) => name === verdict)[1])))),
  );
}

/** The columns: {operation, family or null, cases}. */
function columnsOf(shown, by) {
  return report.operations.flatMap((operation) => {
    const ofOperation = shown.filter((one) => one.operation === operation);
    if (!ofOperation.length) return [];
    if (by !== "families") return [{ operation, family: null, cases: ofOperation }];
    return [...grouped(ofOperation, (one) => one.family)].map(([family, members]) => ({ operation, family, cases: members }));
  });
}

/** How often each verdict stands in a cell: {counts, total, verdict}. */
function tally(one, shown, passes) {
  const counts = new Array(verdicts.length).fill(0);
  let total = 0;
  for (const which of shown) {
    const explanation = explanationOf(one, which);
    if (explanation < 0 || !passes(one, which, explanation)) continue;
    counts[report.explanations[explanation][0]]++;
    total++;
  }
  const found = gravest(counts);
  return { counts, total, verdict: found < 0 ? null : verdicts[found] };
}

function grid(rows, columns, filters) {
  const narrow = columns.some((column) => column.family);
  const heads = narrow
    ? [el("tr", {}, el("td", {}), [...grouped(columns, (c) => c.operation)].map(([operation, members]) =>
        el("th", { scope: "colgroup", colspan: members.length, class: "operation" }, el("span", {}, operation)))),
       el("tr", {}, el("td", {}), columns.map((column, at) =>
        el("th", { scope: "col", class: "family" + starts(columns, at) }, el("span", {}, column.family))))]
    : [el("tr", {}, el("td", {}), columns.map((column) => el("th", { scope: "col" }, column.operation)))];
  let first = true;
  const bodies = [...grouped(rows, (row) => row.one.framework)].map(([framework, members]) =>
    el("tbody", {},
      el("tr", { class: "framework" }, el("th", { scope: "rowgroup", colspan: columns.length + 1 }, el("span", {}, framework, " ", el("small", {}, members[0].one.version)))),
      members.map((row) =>
        el("tr", {},
          el("th", { scope: "row" }, el("a", { href: to("implementation", row.one.id), title: row.one.id }, named(row.one.id))),
          row.cells.map((cell, at) => {
            const link = cell.total ? cellLink(row.one, columns[at], cell, filters, narrow) : null;
            if (link) {
              link.tabIndex = first ? 0 : -1;
              first = false;
            }
            return el("td", { class: narrow ? starts(columns, at) : null }, link);
          })))));
  const made = el("table", { class: "matrix " + (narrow ? "narrow" : "wide"), "aria-labelledby": "matrix-title", onkeydown: moveInGrid, onfocusin: remember },
    el("thead", {}, heads), bodies);
  return el("div", { class: "scroll" }, made);
}

function starts(columns, at) {
  return at && columns[at].operation !== columns[at - 1].operation ? " starts" : "";
}

/** What leads from the matrix to the cases: the sign of the gravest verdict, and in a wide cell its word. */
function cellLink(one, column, cell, filters, narrow) {
  const query = addressOf({ verdict: filters.verdict, dtype: filters.dtype, query: filters.query }).slice(2);
  const href = to("cell", one.id, column.family || "*", column.operation) + query;
  const what = `${one.id}, ${column.operation}${column.family ? ", " + column.family : ""}: ${spelled(cell.counts)}`;
  const number = cell.counts[verdicts.indexOf(cell.verdict)];
  return el("a", { href, "aria-label": what, title: what },
    sign(cell.verdict, true),
    narrow ? null : el("span", { class: "v-" + cell.verdict }, cell.verdict === "conforms" || cell.verdict === "unsupported" ? "" : number + " ", cell.verdict));
}

/** Only one cell is reached by Tab: the one that was looked at last. */
function remember(event) {
  const link = event.target.closest("td a");
  if (!link) return;
  for (const other of event.currentTarget.querySelectorAll('td a[tabindex="0"]')) other.tabIndex = -1;
  link.tabIndex = 0;
}

function moveInGrid(event) {
  const link = event.target.closest("td a");
  if (!link || event.altKey || event.ctrlKey || event.metaKey) return;
  const rows = [...event.currentTarget.querySelectorAll("tbody tr:not(.framework)")];
  const cells = (row) => [...row.children].slice(1).map((cell) => cell.querySelector("a"));
  const row = rows.indexOf(link.closest("tr"));
  const column = cells(rows[row]).indexOf(link);
  const along = (step) => {
    const line = cells(rows[row]);
    for (let at = column + step; at >= 0 && at < line.length; at += step) if (line[at]) return line[at];
  };
  const across = (step) => {
    for (let at = row + step; at >= 0 && at < rows.length; at += step) {
      const target = cells(rows[at])[column];
      if (target) return target;
    }
  };
  const line = cells(rows[row]).filter(Boolean);
  const moves = {
    ArrowRight: () => along(1), ArrowLeft: () => along(-1), ArrowDown: () => across(1), ArrowUp: () => across(-1),
    Home: () => line[0], End: () => line.at(-1),
  };
  const target = moves[event.key]?.();
  if (!moves[event.key]) return;
  event.preventDefault();
  if (target) {
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** The cases that a search finds, beside the implementations in the matrix. */
function matches(chosen, rows) {
  const found = chosen.cases.filter((which) =>
    rows.some(({ one }) => {
      const explanation = explanationOf(one, which);
      return explanation >= 0 && chosen.passes(one, which, explanation);
    }));
  const shown = found.slice(0, 40);
  return el("section", {},
    el("h2", {}, count(found.length, "case")),
    el("ul", { class: "plain" }, shown.map((which) => el("li", {}, el("a", { href: to("case", which.family, which.name) }, which.id), " ", which.comment))),
    found.length > shown.length ? el("p", { class: "note" }, `and ${found.length - shown.length} more; narrow the search`) : null);
}
