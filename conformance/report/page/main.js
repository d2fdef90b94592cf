// Which view is shown: the address after "#" says it, so every view can be linked to.

const VIEWS = {
  "": (parts, filters) => matrixView(filters),
  cell: cellView,
  case: caseView,
  implementation: implementationView,
  compare: compareView,
  pictures: picturesView,
};

let up = null;

/** Go to an address; `keep` is the id's beginning of the control that keeps the focus. */
function go(address, keep) {
  const focused = keep && document.activeElement?.id;
  if (focused) {
    history.replaceState(null, "", address);
    show(false);
    document.getElementById(focused)?.focus();
  } else {
    location.hash = address;
  }
}

function show(moveFocus) {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = ["?"];
  }
  const filters = filtersOf(search || "");
  const known = Object.hasOwn(VIEWS, parts[0] ?? "");
  const view = known ? VIEWS[parts[0] ?? ""](parts.slice(1), filters) : missing("There is no such view.");
  up = view.up || null;
  const main = document.getElementById("view");
  main.replaceChildren(...view.content.flat(Infinity).filter(Boolean));
  document.title = `${view.title} · Batch normalization compatibility`;
  for (const link of document.querySelectorAll(".top nav a")) {
    const here = link.getAttribute("href").replace(/^#\/?/, "") === (parts[0] ?? "");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const query = document.getElementById("query");
  if (document.activeElement !== query) query.value = filters.query;
  if (moveFocus) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    say(view.title);
  }
}

addEventListener("hashchange", () => show(true));

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !up) return;
  if (["INPUT", "SELECT"].includes(event.target.tagName)) return;
  location.hash = up;
});

const search = document.getElementById("search");
let waiting;
function searched() {
  clearTimeout(waiting);
  const text = document.getElementById("query").value.trim();
  const inMatrix = /^(#\/?(\?.*)?)?$/.test(location.hash);
  const filters = filtersOf(inMatrix ? location.hash.split("?")[1] || "" : "");
  go(addressOf({ ...filters, query: text }), inMatrix ? "query" : null);
}
search.addEventListener("submit", (event) => {
  event.preventDefault();
  searched();
});
search.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(searched, 250);
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("view").focus();
});

const THEMES = { auto: "light dark", light: "light", dark: "dark" };
const theme = document.getElementById("theme");
function setTheme(name) {
  document.documentElement.style.colorScheme = THEMES[name];
  document.querySelector('meta[name="color-scheme"]').content = THEMES[name];
  theme.textContent = `Theme: ${name}`;
  theme.dataset.name = name;
}
theme.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(theme.dataset.name) + 1) % names.length]);
  try {
    localStorage.setItem("theme", theme.dataset.name);
  } catch {
    // Some browsers keep nothing for pages opened from a file.
  }
});
let kept = "auto";
try {
  kept = localStorage.getItem("theme");
} catch {
  // As above.
}
setTheme(Object.hasOwn(THEMES, kept) ? kept : "auto");

show(false);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
