// One cell of the matrix: the cases of an operation (and a family) as one implementation answered them.

function cellView([id, family, operation], filters) {
  const one = byId.get(id);
  const ofCell = cases.filter((which) => (family === "*" || which.family === family) && which.operation === operation);
  if (!one || !ofCell.length) return missing("This cell does not exist in these results.");
  const { passes } = selection(filters);
  const answers = ofCell
    .map((which) => ({ which, result: resultOf(one, which) }))
    .filter(({ which, result }) => result && passes(one, which, result.explanation) && (!filters.dtype || which.dtype === filters.dtype));
  const counts = tally(one, ofCell, passes).counts;
  const narrowed = filters.verdict || filters.dtype || filters.query;
  const groups = byExplanation(answers);
  return {
    title: `${one.id}, ${operation}`,
    up: "#/",
    content: [
      trail(["Matrix", "#/"], [one.id, to("implementation", one.id)], family === "*" ? null : [operation, to("cell", one.id, "*", operation)]),
      el("h1", {}, named(one.id), el("small", {}, operation, family === "*" ? "" : `, ${family}`)),
      family === "*" ? null : el("p", {}, describe.get(family)),
      narrowed
        ? el("p", { class: "note" }, `Only what passes the filters (${[filters.verdict, filters.dtype, filters.query].filter(Boolean).join(", ")}). `, el("a", { href: to("cell", id, family, operation) }, "Show all"))
        : el("p", { class: "counts" }, counted(counts).map(([verdict, number]) => [el("span", {}, sign(verdict), " ", String(number)), " "])),
      groups.length ? groups.map((group) => answerGroup(one, group, family === "*")) : el("p", {}, "No case here was put to it."),
      family === "*" ? null : [el("h2", {}, "Repeat it"), command(`${one.repeat} --case ${quoted(family + "/*")}`)],
    ],
  };
}

/** Answers with the same explanation together, the gravest first. */
function byExplanation(answers) {
  return [...grouped(answers, ({ result }) => result.explanation).values()].sort(
    (a, b) => GRAVITY.indexOf(a[0].result.verdict) - GRAVITY.indexOf(b[0].result.verdict) || b.length - a.length,
  );
}

function answerGroup(one, group, withFamily) {
  const { verdict } = group[0].result;
  const rows = group
    .toSorted((a, b) => (b.result.ratio ?? -1) - (a.result.ratio ?? -1))
    .map(({ which, result }) => [
      el("a", { href: to("case", which.family, which.name, one.id) }, withFamily ? which.id : which.name),
      which.dtype,
      which.comment,
      result.ratio === null ? "–" : ratioBar(result.ratio, verdict),
    ]);
  const quiet = verdict === "unsupported" || (verdict === "conforms" && group.length > 12);
  const list = table(`${group[0].result.name}: cases`, ["case", "format", "what it asks", "ratio"], rows, { class: "list" });
  return el("section", { class: "answer" },
    explanation(group[0].result, count(group.length, "case")),
    quiet ? el("details", {}, el("summary", {}, count(group.length, "case")), list) : list);
}

/** A verdict in words: its sign and name, the sentence, what is on record, the link upstream. */
function explanation(result, aside, level) {
  return [
    el(level || "h2", { class: "explanation" }, sign(result.verdict), " ", el("b", {}, result.name === result.verdict ? "" : result.name), aside ? el("small", {}, aside) : null),
    el("p", {}, withLinks(result.sentence)),
    result.reason ? el("p", { class: "reason" }, el("b", {}, "For you: "), withLinks(result.reason)) : null,
    result.link ? el("p", {}, "Upstream: ", outward(result.link)) : null,
    !result.reason && ["wrong", "inaccurate", "crashed", "timeout"].includes(result.verdict) ? el("p", { class: "reason" }, "Not on record.") : null,
  ];
}

/** A ratio as a number and, on a logarithmic scale from 0.1 to 1e8, as a bar. */
function ratioBar(ratio, verdict) {
  const share = ratio > 0 ? Math.min(Math.max((Math.log10(Math.min(ratio, 1e8)) + 1) / 9, 0.02), 1) : 0;
  return el("span", { class: "ratio" }, el("span", { class: "number" }, ratioText(ratio)),
    el("i", { class: "bar v-" + verdict, style: `--share: ${(100 * share).toFixed(1)}%`, "aria-hidden": "true" }));
}

/** The way back: [text, address]... */
function trail(...steps) {
  return el("nav", { class: "trail", "aria-label": "Where you are" }, steps.filter(Boolean).map(([text, href]) => [el("a", { href }, text), " › "]));
}

function missing(text) {
  return { title: "Not found", up: "#/", content: [el("h1", {}, "Not found"), el("p", {}, text, " ", el("a", { href: "#/" }, "To the matrix"))] };
}
