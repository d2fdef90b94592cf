// The report's data: results by number, as conformance/report/encode.py writes them.

const report = JSON.parse(document.getElementById("data").textContent);
const verdicts = report.verdicts.map(([name]) => name);

/** The gravest first; what is not offered says nothing of what is. */
const GRAVITY = ["crashed", "timeout", "wrong", "inaccurate", "convention", "policy", "conforms", "unsupported"];
const gravity = verdicts.map((verdict) => GRAVITY.indexOf(verdict));

const implementations = report.implementations.map((one, number) => ({
  ...one,
  number,
  id: one.device === "cpu" ? one.name : `${one.name}@${one.device}`,
}));
const byId = new Map(implementations.map((one) => [one.id, one]));
const frameworks = [...new Set(implementations.map((one) => one.framework))];
const devices = [...new Set(implementations.map((one) => one.device))];

const cases = report.cases.map(([family, name, operation, dtype, comment], number) => ({
  number,
  family: report.families[family][0],
  operation: report.operations[operation],
  dtype: report.dtypes[dtype],
  name,
  id: `${report.families[family][0]}/${name}`,
  comment,
}));
const caseById = new Map(cases.map((one) => [one.id, one]));
const familyNames = report.families.map(([name]) => name);
const describe = new Map(report.families);

/** Number of the explanation of an answer; -1 where the case was not asked. */
function explanationOf(one, which) {
  const outcome = report.answers[which.number][one.number];
  return outcome < 0 ? -1 : report.outcomes[which.number][2 * outcome];
}

/** {verdict, name, sentence, reason, link, ratio, outcome, explanation}, or null. */
function resultOf(one, which) {
  const outcome = report.answers[which.number][one.number];
  if (outcome < 0) return null;
  const explanation = report.outcomes[which.number][2 * outcome];
  return { ...explain(explanation), ratio: report.outcomes[which.number][2 * outcome + 1], outcome, explanation };
}

function explain(number) {
  const [verdict, name, sentence, deviation] = report.explanations[number];
  const [reason, link] = deviation < 0 ? ["", ""] : report.deviations[deviation];
  return { verdict: verdicts[verdict], name, sentence, reason, link };
}

/** The gravest of the verdicts counted by `counts`, as a number; -1 if there is none. */
function gravest(counts) {
  let found = -1;
  for (let v = 0; v < counts.length; v++) {
    if (counts[v] && (found < 0 || gravity[v] < gravity[found])) found = v;
  }
  return found;
}

/** [[verdict, number]...], the gravest first. */
function counted(counts) {
  return verdicts
    .map((verdict, v) => [verdict, counts[v]])
    .filter(([, number]) => number)
    .sort(([a], [b]) => GRAVITY.indexOf(a) - GRAVITY.indexOf(b));
}

function spelled(counts) {
  return counted(counts).map(([verdict, number]) => `${number} ${verdict}`).join(", ") || "nothing was asked";
}

/** Groups by a key, in the order of first appearance. */
function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    const k = key(item);
    if (groups.has(k)) groups.get(k).push(item);
    else groups.set(k, [item]);
  }
  return groups;
}

const loaded = new Map();
window.family = (name, details) => loaded.get(name)?.resolve(details);

/** The tables of a family's cases, fetched from data/FAMILY.js the first time. */
function detailsOf(family) {
  if (!loaded.has(family)) {
    const entry = {};
    entry.promise = new Promise((resolve, reject) => {
      entry.resolve = resolve;
      const failed = () => reject(new Error(`data/${family}.js could not be loaded; it lies beside this page in the report's folder.`));
      document.head.append(el("script", { src: `data/${encodeURIComponent(family)}.js`, onerror: failed }));
    });
    loaded.set(family, entry);
  }
  return loaded.get(family).promise;
}

/** An address within the page. */
function to(...parts) {
  return "#/" + parts.map(encodeURIComponent).join("/");
}
