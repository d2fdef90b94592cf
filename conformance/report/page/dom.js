// Elements, made without markup: text from files only ever becomes text.

/** An element. Properties: class, on* listeners, and attributes; children: nodes, texts, lists, null. */
function el(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A link to another host, if it is https; else the text alone. */
function outward(url, text) {
  if (!/^https:\/\/[^\s]+$/.test(url)) return document.createTextNode(text || url);
  return el("a", { href: url, rel: "noopener noreferrer", class: "outward" }, text || shortened(url));
}

function shortened(url) {
  const bare = url.replace(/^https:\/\/(www\.)?/, "");
  return bare.length > 60 ? bare.slice(0, 40) + "…" + bare.slice(-18) : bare;
}

/** Text in which the https addresses are links. */
function withLinks(text) {
  return text
    .split(/(https:\/\/[^\s()<>"']+)/)
    .map((part, at) => (at % 2 ? outward(part) : document.createTextNode(part)));
}

/** The sign of a verdict: a shape and, unless `bare`, its word. */
function sign(verdict, bare) {
  const shape = el("i", { class: "shape " + verdict, "aria-hidden": "true" });
  return bare ? shape : el("span", { class: "verdict v-" + verdict }, shape, verdict);
}

/** A name that breaks after its dots, dashes and underscores rather than anywhere. */
function named(name) {
  return name.split(/(?<=[._/-])/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]));
}

/** A command with a button that copies it. */
function command(text) {
  const copy = async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.previousSibling);
      button.textContent = "Selected";
    }
    say(button.textContent);
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  return el("div", { class: "command" }, el("code", {}, text), el("button", { type: "button", onclick: copy, "aria-label": "Copy the command" }, "Copy"));
}

/** A word for the shell, quoted where it has to be. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\"'\"'") + "'";
}

/** A table that scrolls sideways if it has to, also by keyboard. `rows` hold cells: nodes or texts. */
function table(caption, heads, rows, properties) {
  const row = (cells) =>
    el("tr", {}, cells.map((cell, at) => (at === 0 && properties?.rowHeads ? el("th", { scope: "row" }, cell) : el("td", { "data-head": heads?.[at] || null }, cell))));
  return scrolling(
    caption,
    el("table", { class: properties?.class },
      el("caption", { class: properties?.shown ? null : "hidden" }, caption),
      heads ? el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))) : null,
      el("tbody", {}, rows.map(row))),
  );
}

function scrolling(label, content) {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, content);
}

/** A ratio as it is read: "0.18", "4,100", "1.1e6". */
function ratioText(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  if (!Number.isFinite(ratio)) return "not finite";
  if (ratio >= 1e6) return short(ratio);
  return ratio >= 100 ? Math.round(ratio).toLocaleString("en") : String(Number(ratio.toPrecision(2)));
}

function short(number) {
  if (number === null || number === undefined) return "–";
  if (!Number.isFinite(number)) return "not finite";
  return number === 0 ? "0" : number >= 1e-3 && number < 1e4 ? String(Number(number.toPrecision(3))) : number.toExponential(1);
}

/** "1 case", "12 cases" */
function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Tell a screen reader. */
function say(text) {
  document.getElementById("status").textContent = text;
}

/** A select element with a label. `options` are [value, text] or {group, options}. */
function choice(id, label, options, selected, onchange) {
  const option = ([value, text]) => el("option", { value, selected: value === selected }, text);
  const items = options.map((o) => (o.group ? el("optgroup", { label: o.group }, o.options.map(option)) : option(o)));
  return el("div", { class: "choice" }, el("label", { for: id }, label), el("select", { id, onchange: (e) => onchange(e.target.value) }, items));
}
