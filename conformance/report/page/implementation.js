// One implementation: what it is, what differs, its conventions, where it is most accurate and least.

const CONVENTIONS = {
  epsilon: "default epsilon",
  momentum: "default momentum",
  variance: "running variance",
  output: "y of bfloat16 x",
  statistics: "running statistics of bfloat16 x",
  fresh: "never trained, in inference: normalized by",
  frozen: "made untrainable, in training: normalized by",
};

function implementationView([id]) {
  const one = byId.get(id);
  if (!one) return missing("This implementation is not in these results.");
  const answers = cases.map((which) => ({ which, result: resultOf(one, which) })).filter(({ result }) => result);
  const counts = tally(one, cases, () => true).counts;
  const groups = byExplanation(answers).filter(([{ result }]) => result.verdict !== "conforms");
  const offered = groups.filter(([{ result }]) => result.verdict !== "unsupported");
  const refused = groups.filter(([{ result }]) => result.verdict === "unsupported");
  const facts = [
    ["framework", `${one.framework} ${one.version}`], ["device", one.device], ["driver", one.driver], ["machine", one.machine],
    ["Python", one.python], ["packages", one.packages],
  ].filter(([, text]) => text);
  return {
    title: one.id,
    up: "#/",
    content: [
      trail(["Matrix", "#/"]),
      el("h1", {}, named(one.id), el("small", {}, `${one.framework} ${one.version}`)),
      el("p", { class: "counts" }, counted(counts).map(([verdict, number]) => [el("span", {}, sign(verdict), " ", String(number)), " "])),
      choice("against", "Compare with", [["", "choose"], ...optionsOfImplementations()], "", (value) => value && go(to("compare", one.id, value))),
      el("h2", {}, "By operation"),
      operations(one),
      el("h2", {}, "What differs"),
      offered.length ? offered.map((group) => differing(one, group)) : el("p", {}, "Nothing: every answer conforms."),
      refused.length ? el("details", {}, el("summary", {}, `Not offered: ${count(refused.flat().length, "case")}`), refused.map((group) => differing(one, group))) : null,
      one.conventions ? [
        el("h2", {}, "Conventions"),
        el("p", { class: "note" }, "What the layer does where its user says nothing, as the cases of the family conventions showed."),
        table("Conventions", null, Object.entries(CONVENTIONS).map(([key, label]) => [label, one.conventions[key]]), { class: "list", rowHeads: true })] : null,
      accuracy(one, answers),
      el("h2", {}, "Where this was run"),
      el("dl", { class: "facts" }, facts.map(([term, text]) => el("div", {}, el("dt", {}, term), el("dd", {}, text)))),
      el("h2", {}, "Repeat it"),
      command(one.repeat),
    ],
  };
}

/** The implementation's own row of the matrix, a line for each operation. */
function operations(one) {
  const rows = report.operations.map((operation) => {
    const ofOperation = cases.filter((which) => which.operation === operation);
    const { counts, total } = tally(one, ofOperation, () => true);
    return [
      total ? el("a", { href: to("cell", one.id, "*", operation) }, operation) : operation,
      counted(counts).map(([verdict, number]) => [el("span", { class: "nowrap" }, sign(verdict), ` ${number}`), " "]),
      [...grouped(ofOperation, (which) => which.family)].map(([family, members]) => {
        const cell = tally(one, members, () => true);
        if (!cell.total || ["conforms", "unsupported"].includes(cell.verdict)) return null;
        return [el("a", { class: "family", href: to("cell", one.id, family, operation), title: spelled(cell.counts) }, sign(cell.verdict, true), family, el("span", { class: "hidden" }, ` (${cell.verdict})`)), " "];
      }),
    ];
  });
  return table("Verdicts by operation", ["operation", "verdicts", "families that do not conform"], rows, { class: "list", rowHeads: true });
}

function differing(one, group) {
  const places = [...grouped(group, ({ which }) => `${which.operation} ${which.family}`).values()];
  return el("section", { class: "answer" },
    explanation(group[0].result, count(group.length, "case"), "h3"),
    el("ul", { class: "names" }, places.map((members) => {
      const { family, operation } = members[0].which;
      return el("li", {}, el("a", { href: to("cell", one.id, family, operation) }, `${operation}, ${family}`), ` ${members.length}`);
    })));
}

/** Families and operations by their largest ratio: the least accurate and the most. */
function accuracy(one, answers) {
  const measured = answers.filter(({ result }) => result.ratio !== null && result.verdict !== "policy" && result.verdict !== "convention");
  const places = [...grouped(measured, ({ which }) => `${which.operation} ${which.family}`).values()].map((members) => {
    const sorted = members.toSorted((a, b) => a.result.ratio - b.result.ratio);
    return { worst: sorted.at(-1), median: sorted[sorted.length >> 1].result.ratio, count: members.length };
  });
  places.sort((a, b) => b.worst.result.ratio - a.worst.result.ratio);
  const half = Math.min(6, Math.ceil(places.length / 2));
  const rows = (some) => some.map(({ worst, median }) => {
    const { family, operation, name } = worst.which;
    return [
      el("a", { href: to("cell", one.id, family, operation) }, `${operation}, ${family}`),
      ratioBar(worst.result.ratio, worst.result.verdict),
      ratioText(median),
      el("a", { href: to("case", family, name, one.id) }, name),
    ];
  });
  const heads = ["operation, family", "largest ratio", "median", "its case"];
  return places.length ? [
    el("h2", {}, "Where it is least accurate, and where most"),
    el("p", { class: "note" }, "Ratio 1 is one rounding at each step; what is a policy or a convention is left out."),
    table("Least accurate", heads, rows(places.slice(0, half)), { class: "list", shown: true }),
    table("Most accurate", heads, rows(places.slice(-half).reverse()), { class: "list", shown: true }),
  ] : null;
}
