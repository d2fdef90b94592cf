// What of the results is looked at: chosen in the form, kept in the address after "?".

const FILTERS = ["framework", "verdict", "operation", "family", "dtype", "device"];
const LABELS = { framework: "Framework", verdict: "Verdict", operation: "Operation", family: "Family", dtype: "Number format", device: "Device" };
const VALUES = {
  framework: frameworks,
  verdict: verdicts.filter((_, v) => report.explanations.some(([verdict]) => verdict === v)),
  operation: report.operations,
  family: familyNames,
  dtype: report.dtypes,
  device: devices,
};

/** The filters of an address: {framework, ..., query, columns}. */
function filtersOf(search) {
  const parameters = new URLSearchParams(search);
  const chosen = {};
  for (const name of FILTERS) {
    const value = parameters.get(name);
    chosen[name] = VALUES[name].includes(value) ? value : "";
  }
  return { ...chosen, query: (parameters.get("q") || "").slice(0, 200), columns: parameters.get("columns") === "families" ? "families" : "" };
}

/** The address of the matrix with these filters. */
function addressOf(filters) {
  const parameters = new URLSearchParams();
  for (const name of FILTERS) if (filters[name]) parameters.set(name, filters[name]);
  if (filters.query) parameters.set("q", filters.query);
  if (filters.columns) parameters.set("columns", filters.columns);
  const text = parameters.toString();
  return text ? "#/?" + text : "#/";
}

/** Which results pass: {implementations, cases, passes(one, case, explanation)}. */
function selection(filters) {
  const words = filters.query.toLowerCase().split(/\s+/).filter(Boolean).slice(0, 30);
  const hits = (text) => words.reduce((bits, word, at) => (text.toLowerCase().includes(word) ? bits | (1 << at) : bits), 0);
  const all = words.length ? 2 ** words.length - 1 : 0;
  const byImplementation = implementations.map((one) => hits(`${one.id} ${one.framework} ${one.version}`));
  const byCase = cases.map((one) => hits(`${one.id} ${one.operation} ${one.dtype} ${one.comment}`));
  const byExplanation = report.explanations.map(([verdict, name, sentence]) => hits(`${verdicts[verdict]} ${name} ${sentence}`));
  const verdict = verdicts.indexOf(filters.verdict);
  return {
    implementations: implementations.filter(
      (one) => (!filters.framework || one.framework === filters.framework) && (!filters.device || one.device === filters.device),
    ),
    cases: cases.filter(
      (one) =>
        (!filters.operation || one.operation === filters.operation) &&
        (!filters.family || one.family === filters.family) &&
        (!filters.dtype || one.dtype === filters.dtype),
    ),
    passes: (one, which, explanation) =>
      (verdict < 0 || report.explanations[explanation][0] === verdict) &&
      ((byImplementation[one.number] | byCase[which.number] | byExplanation[explanation]) & all) === all,
  };
}

/** The form of filters; `change` gets the new filters. */
function filterForm(filters, change) {
  const shown = FILTERS.filter((name) => VALUES[name].length > 1);
  const active = FILTERS.some((name) => filters[name]) || filters.query;
  const changed = (name) => (value) => change({ ...filters, [name]: value });
  return el("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    shown.map((name) =>
      choice("filter-" + name, LABELS[name], [["", "all"], ...VALUES[name].map((value) => [value, value])], filters[name], changed(name)),
    ),
    choice("filter-columns", "Columns", [["", "operations"], ["families", "families of each operation"]], filters.columns, changed("columns")),
    active ? el("a", { class: "button", href: "#/" }, "Clear") : null,
  );
}
