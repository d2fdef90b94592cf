// One case: what goes in, what is due, and what every implementation answered.

function caseView([family, name, id]) {
  const which = caseById.get(`${family}/${name}`);
  const one = id === undefined ? null : byId.get(id);
  if (!which || (id !== undefined && !one)) return missing("This case does not exist in these results.");
  const place = el("div", {}, el("p", { class: "note" }, "Loading the case's numbers…"));
  const view = {
    title: which.id,
    up: one ? to("cell", one.id, which.family, which.operation) : "#/",
    content: [
      trail(["Matrix", "#/"], one ? [one.id, to("implementation", one.id)] : null, one ? [`${which.operation}, ${which.family}`, to("cell", one.id, which.family, which.operation)] : null),
      el("h1", {}, named(which.id), el("small", {}, which.comment)),
      place,
    ],
  };
  detailsOf(which.family).then(
    (details) => place.replaceChildren(...caseContent(which, one, details)),
    (error) => place.replaceChildren(el("p", { role: "alert" }, error.message)),
  );
  return view;
}

function caseContent(which, one, details) {
  const told = details.cases[which.name];
  const facts = [
    ["operation", which.operation], ["number format", which.dtype], ["layout", told.layout], ["epsilon", told.epsilon],
    ...told.attributes,
    ["bound", told.limit ? `ratio up to ${ratioText(told.limit)}` : "a clear error is due"],
  ];
  return [
    one ? ownAnswer(which, one, told) : null,
    el("h2", {}, "What goes in"),
    el("dl", { class: "facts" }, facts.map(([term, text]) => el("div", {}, el("dt", {}, term), el("dd", {}, text)))),
    told.flags.map((flag) => el("p", { class: "note" }, el("b", {}, flag), ": ", details.flags[flag][0], details.flags[flag][1].map((url) => [" ", outward(url)]))),
    tensors(told.inputs),
    told.expected.length ? [
      el("h2", {}, "What is due"),
      el("p", { class: "note" }, "The reference formula in exact arithmetic, rounded once. Beside each output: the error that a ratio of 1 stands for, what one rounding at each step can cause."),
      tensors(told.expected)] : null,
    told.formulas.length ? [el("h2", {}, "Where other formulas differ most"),
      el("p", { class: "note" }, "In exact arithmetic, and the error that one rounding at each step can cause in each: a formula may be right on paper and lose its digits all the same."),
      formulas(told.formulas)] : null,
    el("h2", {}, "What was answered"),
    everyAnswer(which, one, told),
    one ? null : [el("h2", {}, "Repeat it"), command(`bnconf run --case ${quoted(which.id)}`)],
    el("p", { class: "note" }, "All numbers of the case: ", el("code", {}, `bnconf cases show ${quoted(which.id)}`)),
  ].flat(Infinity).filter(Boolean);
}

function ownAnswer(which, one, told) {
  const result = resultOf(one, which);
  if (!result) return el("p", {}, `${one.id} was not asked this.`);
  const errors = told.errors[result.outcome];
  return el("section", { class: "answer own" },
    explanation(result, one.id),
    errors.length ? table("The errors of its outputs", ["output", "ratio", "largest absolute error"],
      errors.map(([output, ratio, absolute]) => [output, ratioBar(ratio ?? 0, result.verdict), short(absolute)]), { class: "numbers", rowHeads: true }) : null,
    command(`${one.repeat} --case ${quoted(which.id)}`));
}

/** Tensors of one number a channel in one table, all others each in its own. */
function tensors(all) {
  const perChannel = all.filter(([, shape, rows]) => shape.length === 1 && rows.length === 1);
  const others = all.filter((tensor) => !perChannel.includes(tensor));
  const wide = Math.max(0, ...perChannel.map(([, , [row]]) => row.split(" ").length));
  const bounded = perChannel.some((tensor) => tensor[3]);
  const cut = perChannel.some(([, shape, [row]]) => shape[0] > row.split(" ").length);
  const line = ([name, shape, [row], bound]) => {
    const numbers = row.split(" ");
    return [name, ...numbers, ...new Array(wide - numbers.length).fill(""), ...(cut ? [shape[0] > numbers.length ? "…" : ""] : []), ...(bounded ? [boundText(bound)] : [])];
  };
  return [
    others.map(tensor),
    perChannel.length ? table("One number a channel", ["tensor", ...Array.from({ length: wide }, (_, c) => `C ${c}`), ...(cut ? ["…"] : []), ...(bounded ? ["ratio 1 is"] : [])], perChannel.map(line), { class: "numbers", rowHeads: true, shown: true }) : null,
  ];
}

function tensor([name, shape, rows, bound, positions]) {
  const size = `${name}, ${shape.length ? shape.join(" × ") : "a number"}`;
  const lines = rows.map((row) => row.split(" "));
  if (!lines.length || !lines[0][0]) return el("p", {}, el("b", {}, size), ": no elements");
  const sampled = positions?.length;
  const elements = shape.reduce((a, b) => a * b, 1);
  const shown = lines.length * lines[0].length;
  const some = shown < elements ? `, the first ${shown} of ${elements.toLocaleString("en")}` : "";
  const title = size + some + (bound?.length ? `; ratio 1 is ${boundText(bound)}` : "");
  const heads = sampled ? ["at", ...positions.map(String)] : ["row", ...lines[0].map((_, c) => `C ${c}`)];
  return table(title, heads, lines.map((line, at) => [sampled ? name : String(at), ...line]), { class: "numbers", rowHeads: true, shown: true });
}

function boundText(bound) {
  if (!bound?.length) return "–";
  const [low, high] = bound.map(short);
  return low === high ? low : `${low} to ${high}`;
}

function formulas(all) {
  const rows = all.map(([name, verdict, meaning, output, index, reference, value, bound, own]) => [
    el("span", {}, sign(verdict), " ", el("b", {}, name)), meaning, output + index, reference, value, short(bound), short(own)]);
  return table("Other formulas", ["formula", "what it does", "at", "due", "it gives", "rounding in the reference", "rounding in it"], rows, { class: "list" });
}

/** Implementations with the same explanation together; each with its ratio. */
function everyAnswer(which, chosen) {
  const answers = implementations.map((one) => ({ one, result: resultOf(one, which) })).filter(({ result }) => result);
  return byExplanation(answers.map((answer) => ({ ...answer, which }))).map((group) =>
    el("section", { class: "answer" },
      explanation(group[0].result, count(group.length, "implementation"), "h3"),
      el("ul", { class: "names" }, group.toSorted((a, b) => (b.result.ratio ?? -1) - (a.result.ratio ?? -1)).map(({ one, result }) =>
        el("li", {}, el("a", { href: to("case", which.family, which.name, one.id), "aria-current": one === chosen ? "true" : null }, one.id),
          result.ratio === null ? null : [" ", el("span", { class: "number" }, ratioText(result.ratio))])))));
}
