// Two implementations side by side: what to change when a model goes from one to the other.

function compareView([a, b]) {
  const pick = (at, other) => (value) => go(at ? to("compare", other, value) : to("compare", value, other));
  const some = somePair();
  const [from, onto] = [byId.get(a) || some[0], byId.get(b) || some[1]];
  const unknown = [a, b].filter((id) => id !== undefined && !byId.has(id));
  return {
    title: `${from.id} and ${onto.id}`,
    up: "#/",
    content: [
      trail(["Matrix", "#/"]),
      el("h1", {}, "From ", named(from.id), " to ", named(onto.id)),
      unknown.length ? el("p", { role: "alert" }, `Not in these results: ${unknown.join(", ")}.`) : null,
      el("div", { class: "filters" },
        choice("compare-from", "From", optionsOfImplementations(), from.id, pick(0, onto.id)),
        choice("compare-onto", "To", optionsOfImplementations(), onto.id, pick(1, from.id)),
        el("a", { class: "button", href: to("compare", onto.id, from.id) }, "Swap")),
      from === onto ? el("p", {}, "Choose two that differ.") : comparison(from, onto),
    ],
  };
}

function comparison(from, onto) {
  const pairs = cases.map((which) => ({ which, a: resultOf(from, which), b: resultOf(onto, which) })).filter(({ a, b }) => a && b);
  const kinds = grouped(pairs, kindOf);
  const differ = kinds.get("differs") || [];
  return [
    summary(pairs),
    toSet(from, onto),
    el("h2", {}, differ.length ? `Where they differ: ${count(differ.length, "case")}` : "They differ nowhere"),
    pairGroups(differ, from, onto),
    kinds.has("same") ? el("details", {}, el("summary", {}, `Alike, and not the formula: ${count(kinds.get("same").length, "case")}`), pairGroups(kinds.get("same"), from, onto)) : null,
    kinds.has("one") ? el("details", {}, el("summary", {}, `Offered by one of them only: ${count(kinds.get("one").length, "case")}`), pairGroups(kinds.get("one"), from, onto)) : null,
  ];
}

/** rounding: both conform; same: the same verdict and name; one, none: not offered; else differs. */
function kindOf({ a, b }) {
  const offered = [a, b].filter((result) => result.verdict !== "unsupported").length;
  if (offered < 2) return offered ? "one" : "none";
  if (a.verdict === "conforms" && b.verdict === "conforms") return "rounding";
  return a.verdict === b.verdict && a.name === b.name ? "same" : "differs";
}

/** For each operation: is it rounding alone, and if not, what. */
function summary(pairs) {
  const rows = [...grouped(pairs, ({ which }) => which.operation)].map(([operation, members]) => {
    const kinds = grouped(members, kindOf);
    const number = (kind) => kinds.get(kind)?.length || 0;
    const both = members.length - number("one") - number("none");
    const counts = worse(kinds.get("differs") || []);
    const ordinary = members.filter((pair) => !["one", "none"].includes(kindOf(pair)) && isOrdinary(pair.which));
    const strange = ordinary.filter((pair) => kindOf(pair) === "differs");
    const answer = !both ? "not offered by both"
      : !number("differs") ? (number("same") ? "rounding, or the same deviation in both" : "rounding alone")
      : strange.length ? `${word(worse(strange))} on ${strange.length} of ${count(ordinary.length, "ordinary input")}`
      : ordinary.length ? `rounding on ordinary inputs; on hard ones ${word(counts)}`
      : word(counts);
    return [
      operation,
      el("b", {}, answer),
      both ? `${number("rounding")} of ${both}` : "–",
      GRAVITY.map((verdict, at) => (counts[at] ? [el("span", { class: "nowrap" }, sign(verdict), ` ${counts[at]}`), " "] : null)),
    ];
  });
  return [
    el("h2", {}, "In short"),
    table("In short", ["operation", "the difference is", "cases where it is rounding", "where it is more"], rows, { class: "list", rowHeads: true }),
    el("p", { class: "note" }, "Ordinary inputs: float32, normal activations around zero, no extreme shape, scale or epsilon (families typical, exact, channels, dense and running-statistics, and gradients of such inputs)."),
  ];
}

/** How many pairs there are of each verdict, the graver of the two, in the order of GRAVITY. */
function worse(pairs) {
  const counts = new Array(GRAVITY.length).fill(0);
  for (const { a, b } of pairs) counts[Math.min(GRAVITY.indexOf(a.verdict), GRAVITY.indexOf(b.verdict))]++;
  return counts;
}

/** What a difference comes to, by the gravest verdict of either side; `counts` are in the order of GRAVITY. */
function word(counts) {
  const words = { convention: "a convention", policy: "another acceptable answer", inaccurate: "lost digits" };
  return words[GRAVITY[counts.findIndex(Boolean)]] || "a bug";
}

/** float32, and nothing hard about the inputs. */
function isOrdinary({ family, dtype, name }) {
  if (dtype !== "float32" || /large-mean|from-far|one-value|offset|two-rows/.test(name)) return false;
  return ["typical", "exact", "channels", "dense", "running-statistics"].includes(family) || (family === "gradients" && /-N[CDHWL]+-[\dx]+$/.test(name));
}

/** What the two layers do by default, differences first, and what to set in the second. */
function toSet(from, onto) {
  const [a, b] = [from.conventions, onto.conventions];
  if (!a || !b) {
    const functions = [from, onto].filter((one) => !one.conventions).map((one) => one.id).join(" and ");
    return el("p", { class: "note" }, `${functions}: a function without defaults of its own, so there are no conventions of layers to compare.`);
  }
  const rows = Object.entries(CONVENTIONS).map(([key, label]) => [label, a[key], b[key], a[key] === b[key] ? "" : advice(key, a, b)]);
  const sorted = [...rows.filter((row) => row[1] !== row[2]), ...rows.filter((row) => row[1] === row[2])];
  return [
    el("h2", {}, "What to set"),
    table("Defaults of the layers, differences first", ["default", from.id, onto.id, `in ${onto.id}`],
      sorted.map((row) => row.map((cell, at) => (at && row[1] !== row[2] ? el("b", {}, cell) : cell))), { class: "list conventions", rowHeads: true }),
  ];
}

function advice(key, a, b) {
  const [epsilon, rate, , variance] = a.numbers;
  const [, otherRate, weighs, otherVariance] = b.numbers;
  if (key === "epsilon") return `set epsilon to ${epsilon}`;
  if (key === "momentum") {
    if (rate === null) return "set momentum to what was used";
    const momentum = weighs === "new" ? Number(rate) : Number((1 - rate).toPrecision(6));
    return rate === otherRate ? "the same weight, written the other way round: nothing to set" : `set momentum to ${momentum}`;
  }
  if (key === "variance" && variance !== otherVariance) {
    return variance === "unbiased"
      ? "nothing to set: in inference the converted value serves; trained further, it averages population variances, (n-1)/n of those before"
      : "nothing to set: in inference the converted value serves; trained further, it averages unbiased variances, n/(n-1) of those before";
  }
  return "mind the difference";
}

/** Pairs of explanations, the gravest first. */
function pairGroups(pairs, from, onto) {
  const groups = [...grouped(pairs, ({ a, b }) => `${a.explanation} ${b.explanation}`).values()];
  const grave = ([{ a, b }]) => Math.min(GRAVITY.indexOf(a.verdict), GRAVITY.indexOf(b.verdict));
  groups.sort((p, q) => grave(p) - grave(q) || q.length - p.length);
  return groups.map((group) => pairGroup(group, from, onto));
}

function pairGroup(group, from, onto) {
  const { a, b } = group[0];
  const side = (one, result) => el("div", {}, explanation(result, one.id, "h3"));
  const operationsSeen = [...grouped(group, ({ which }) => which.operation)].map(([operation, members]) => `${members.length} ${operation}`).join(", ");
  const families = [...new Set(group.map(({ which }) => which.family))].join(", ");
  const rows = group.toSorted((p, q) => Math.max(q.a.ratio ?? 0, q.b.ratio ?? 0) - Math.max(p.a.ratio ?? 0, p.b.ratio ?? 0)).map(({ which, a: left, b: right }) => [
    el("a", { href: to("case", which.family, which.name) }, which.id),
    el("a", { href: to("case", which.family, which.name, from.id), "aria-label": `${which.id}, ${from.id}: ratio ${ratioText(left.ratio)}` }, ratioText(left.ratio)),
    el("a", { href: to("case", which.family, which.name, onto.id), "aria-label": `${which.id}, ${onto.id}: ratio ${ratioText(right.ratio)}` }, ratioText(right.ratio)),
    which.comment,
  ]);
  return el("section", { class: "answer" },
    el("div", { class: "sides" }, side(from, a), side(onto, b)),
    el("details", {}, el("summary", {}, `${count(group.length, "case")}: ${operationsSeen} in ${families}`),
      table("Cases", ["case", from.id, onto.id, "what it asks"], rows, { class: "list" })));
}
