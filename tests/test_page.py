"""The page that people open: in Chromium, from a file, without a mouse, with nothing asked of the network."""

from __future__ import annotations

import importlib.resources
import io
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from conformance import report, results
from conformance.case import Case
from conformance.cases import cases_digest, cases_folder, load_cases, select
from conformance.report import script_json
from conformance.results import Header, Result, Run

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "reports"
CHROMIUM = shutil.which("chromium")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LARGEST = 3_000_000  # bytes, of the page with all that it loads
READY = 1000  # milliseconds from opening the page until it can be used

FOLDED = (
    "computed as x * factor + (beta - mean * factor), which cancels where x is near a large mean"
)
UNBIASED = "the running variance averages the unbiased variance, n/(n-1) of the population variance"
TORCH, KERAS = "torch.nn.BatchNorm1d", "keras.BatchNormalization-tensorflow"
HOSTILE = "<img src=x onerror=window.owned=1>'\"&`" + "long" * 200
PAYLOAD = "</script><script>window.owned=1</script>\u2028<b>bold</b> javascript:alert(1)"
RECORD = f"""
[[deviation]]
implementation = "torch.*"
case = "offset-ladder/infer-*-mean-100"
verdict = "inaccurate"
name = "folded"
reason = "The same, and less of it."

[[deviation]]
implementation = "torch.*"
case = "offset-ladder/infer-*"
verdict = "inaccurate"
name = "folded"
reason = "Digits are lost near a large mean: subtract it first."
link = "https://github.com/pytorch/pytorch/issues/1410"

[[deviation]]
implementation = "*long*"
case = "*"
verdict = "wrong"
name = "unexplained"
reason = '''{PAYLOAD.replace(chr(0x2028), "")}'''
link = "https://example.com/javascript:window.owned=1"
"""
FAMILIES = ("offset-ladder", "typical", "running-statistics", "gradients", "large-batch")
WHOLE = ("conventions/*", "reject/*")


def answer(implementation: str, case: str) -> Result:
    """What a made-up implementation answered: each has the deviations that the tests look for."""

    def result(verdict: str, name: str, ratio: float | None, message: str = "") -> Result:
        outputs = {} if ratio is None else {"y": {"ratio": ratio, "ulp": 1.0, "abs": 1e-4 * ratio}}
        return Result(case, implementation, verdict, name, ratio, outputs, message)

    if implementation == HOSTILE:
        return result("wrong", "unexplained", float("inf"), PAYLOAD)
    if case.startswith("reject/"):
        return result("conforms", "raises", None, f"ValueError from {implementation}")
    if implementation == TORCH and case.startswith("offset-ladder/infer-float32"):
        mean = int(case.rpartition("-")[2])
        if mean >= 100:
            return result("inaccurate", "folded", 1.0 * mean, FOLDED)
    if implementation == TORCH and case.startswith("running-statistics/"):
        return result("convention", "unbiased-running-variance", 3e4, UNBIASED)
    return result("conforms", "accurate", 0.25 if implementation == KERAS else 0.5)


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return load_cases(cases_folder())


def asked(cases: dict[str, Case], operation: str = "") -> list[str]:
    """The cases that the results hold, or those of them of one operation."""
    chosen = select(cases, [*(f"{family}/*-float32-*" for family in FAMILIES), *WHOLE])
    return [name for name, case in chosen.items() if operation in ("", case.operation)]


@pytest.fixture(scope="module")
def files(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two results files and a record of deviations."""
    folder = tmp_path_factory.mktemp("results")
    digest = cases_digest(cases_folder())
    due = asked(cases)
    (folder / "deviations.toml").write_text(RECORD, encoding="utf-8")
    made = []
    for name, implementations in (
        ("one", {TORCH: "torch", HOSTILE: "numpy"}),
        ("two", {KERAS: "keras"}),
    ):
        packages = {"torch": "2.13.0", "keras": "3.15.1", "numpy": PAYLOAD.replace("\u2028", "")}
        header = Header(
            "0.1.0", digest, packages, "3.11", "a machine", "cpu", None, implementations
        )
        found = [answer(one, case) for one in implementations for case in due]
        results.write(folder / f"{name}.jsonl", [Run(header, found)])
        made.append(folder / f"{name}.jsonl")
    return made


def write(files: list[Path], folder: Path) -> Path:
    report.write(
        files, folder / "compatibility.md", cases_folder(), files[0].parent / "deviations.toml"
    )
    return folder


@pytest.fixture(scope="module")
def folder(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the two."""
    pytest.importorskip("matplotlib", reason="the report's pictures need matplotlib")
    return write(files, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright, of the extra `test`"
    )
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield launched
        launched.close()


class Reader:
    """A window on the page; all that goes wrong in it is kept."""

    def __init__(self, browser: Any, folder: Path, *, width: int = 1440, scheme: str = "light"):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.root = folder.as_uri()
        self.wrong: list[str] = []
        self.page.on(
            "console",
            lambda told: (
                self.wrong.append(told.text) if told.type in ("error", "warning") else None
            ),
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((f"{self.root}/", "data:")):
            self.wrong.append(f"asked for {request.url}")

    def open(self, address: str = "#/") -> Any:
        self.page.goto(f"{self.root}/index.html{address}")
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture
def reader(browser: Any, folder: Path) -> Iterator[Reader]:
    opened = Reader(browser, folder)
    yield opened
    opened.context.close()
    assert opened.wrong == []


def names(page: Any) -> list[str]:
    """The implementations in the matrix."""
    found: list[str] = page.locator(".matrix tbody th[scope=row]").all_inner_texts()
    return found


def cell(page: Any, implementation: str, operation: str) -> Any:
    return page.get_by_role("link", name=f"{implementation}, {operation}:")


# The views


def test_the_matrix_says_the_gravest_verdict_in_a_word_and_a_shape(reader, cases):
    page = reader.open()
    assert {TORCH, KERAS} < set(names(page))
    inference = cell(page, TORCH, "infer")
    assert inference.inner_text() == "6 inaccurate"
    told = f"6 inaccurate, {len(asked(cases, 'infer')) - 6} conforms"
    assert inference.get_attribute("aria-label").endswith(told)
    assert inference.locator(".shape.inaccurate").count() == 1
    assert cell(page, KERAS, "infer").inner_text() == "conforms"
    shapes = page.evaluate(
        "[...document.querySelectorAll('.legend summary .shape')].map((s) => getComputedStyle(s).clipPath + getComputedStyle(s).borderRadius)"
    )
    assert len(shapes) == len(set(shapes)) == 4


def test_the_columns_can_be_the_families_of_each_operation(reader):
    page = reader.open()
    page.get_by_label("Columns").select_option("families")
    where = page.get_by_role("link", name=f"{TORCH}, infer, offset-ladder: 6 inaccurate")
    assert where.locator(".shape.inaccurate").count() == 1
    page.reload()
    where.click()
    assert page.locator("h1").inner_text().startswith(TORCH)


def test_a_filter_leaves_what_passes_it_and_stands_in_the_address(reader, cases):
    page = reader.open()
    page.get_by_label("Framework").select_option("torch")
    assert names(page) == [TORCH]
    page.get_by_label("Verdict", exact=True).select_option("convention")
    updates = [case for case in asked(cases, "update") if case.startswith("running-statistics/")]
    assert cell(page, TORCH, "update").inner_text() == f"{len(updates)} convention"
    assert cell(page, TORCH, "infer").count() == 0
    address = page.evaluate("location.hash")
    assert names(reader.open(address)) == [TORCH]
    assert page.get_by_label("Verdict", exact=True).input_value() == "convention"
    page.get_by_role("link", name="Clear").click()
    assert {TORCH, KERAS} < set(names(page))


def test_a_search_finds_implementations_and_cases(reader):
    page = reader.open("#/pictures")
    page.get_by_role("searchbox").fill("TORCH folded mean-100000")
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_selector(".matrix")
    assert names(page) == [TORCH]
    page.get_by_role("link", name="offset-ladder/infer-float32-mean-100000", exact=True).click()
    assert page.locator("h1").inner_text().startswith("offset-ladder/infer-float32-mean-100000")


def test_a_search_that_finds_nothing_says_so(reader):
    page = reader.open("#/?q=no-such-thing")
    assert "Nothing passes these filters" in page.locator("main").inner_text()


def test_a_cell_is_linked_to_and_leads_to_its_cases(reader):
    page = reader.open(f"#/cell/{TORCH}/offset-ladder/infer")
    shown = page.locator("main").inner_text()
    for words in ("5 cases", "1 case", FOLDED, "subtract it first", "infer-float32-mean-1000000"):
        assert words in shown
    upstream = page.locator("main a.outward")
    assert upstream.get_attribute("href") == "https://github.com/pytorch/pytorch/issues/1410"
    page.get_by_role("link", name="infer-float32-mean-1000", exact=True).click()
    page.wait_for_selector("table.numbers")
    assert page.locator("h1").inner_text().startswith("offset-ladder/infer-float32-mean-1000")


def test_a_case_shows_what_goes_in_what_is_due_and_how_to_repeat_it(reader, cases):
    case = cases["offset-ladder/infer-float32-mean-1000"]
    page = reader.open(f"#/case/{case.id}/{TORCH}")
    page.wait_for_selector("table.numbers")
    shown = page.locator("main").inner_text()
    due = case.question.expected["reference"]["y"].value
    for words in (
        FOLDED,
        f"{case.inputs['x'][0, 1]:.8g}",
        f"{due[0, 1]:.8g}",
        f"{case.inputs['mean'][2]:.8g}",
        "1,000",
        f"bnconf run --impl {TORCH} --case {case.id}",
        KERAS,
    ):
        assert words in shown
    row = page.get_by_role("row", name="folded")
    other = row.inner_text()
    key = next(k for k, named in case.formulas.items() if named.meaning == FOLDED)
    folded = case.question.expected[key]["y"].value
    place = tuple(int(i) for i in other.partition("y[")[2].partition("]")[0].split(", "))
    assert f"{due[place]:.8g}" in other
    assert f"{folded[place]:.8g}" in other
    ours, theirs = (float(one) for one in row.locator("td").all_inner_texts()[-2:])
    assert theirs > 100 * ours


def test_an_implementation_has_a_page_of_its_own(reader):
    page = reader.open(f"#/implementation/{TORCH}")
    shown = page.locator("main").inner_text()
    for words in ("torch 2.13.0", "a machine", "cpu", "0.1, weight of the new", UNBIASED):
        assert words in shown
    least = page.get_by_role("table", name="Least accurate").locator("tbody tr").first
    assert "infer, offset-ladder" in least.inner_text()
    assert "1.0e+6" in least.inner_text()


def test_two_side_by_side_show_their_differences_and_what_to_set(reader):
    page = reader.open()
    page.get_by_label("from", exact=True).select_option(KERAS)
    page.get_by_label("to", exact=True).select_option(TORCH)
    page.get_by_role("button", name="What differs?").click()
    short = page.get_by_role("table", name="In short")
    assert "rounding alone" in short.get_by_role("row", name="train").inner_text()
    inference = short.get_by_role("row", name="infer", exact=False).first.inner_text()
    assert "rounding on ordinary inputs; on hard ones lost digits" in inference
    assert "a convention" in short.get_by_role("row", name="update").inner_text()
    to_set = page.get_by_role("table", name="Defaults of the layers")
    assert to_set.get_by_role("row", name="default epsilon").inner_text().endswith("to 0.001")
    assert to_set.get_by_role("row", name="default momentum").inner_text().endswith("to 0.01")
    first = page.locator(".sides").first.inner_text()
    assert "inaccurate" in first
    assert "subtract it first" in first
    page.get_by_role("link", name="Swap").click()
    page.wait_for_function(f"document.querySelector('h1').innerText.startsWith('From {TORCH}')")
    momentum = page.get_by_role("row", name="default momentum")
    assert momentum.inner_text().endswith("to 0.9")


def test_an_address_that_leads_nowhere_says_so(reader):
    for address in ("#/nowhere", "#/cell/x/y/z", "#/case/a/b", "#/implementation/x", "#/%"):
        assert "Not found" in reader.open(address).locator("h1").inner_text()


def test_the_keyboard_is_enough(reader):
    page = reader.open()
    focused = (
        "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
    )
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Skip to the content"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("!!document.activeElement.closest('.matrix td')"):
            break
    first = page.evaluate(focused)
    assert first.startswith(f"{TORCH}, train:")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused).startswith(f"{TORCH}, infer:")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused).startswith(f"{KERAS}, infer:")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("nav.trail")
    assert page.evaluate("location.hash") == f"#/cell/{TORCH}/*/infer"
    assert page.evaluate("document.activeElement.id") == "view"
    page.keyboard.press("Escape")
    page.wait_for_selector(".matrix")
    page.get_by_label("Framework").focus()
    page.keyboard.type("t")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "filter-framework"
    page.get_by_role("button", name="Theme: auto").press("Enter")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


# What came from files stays text


def test_markup_in_results_stays_text(reader):
    for address in (
        "#/",
        f"#/implementation/{quote(HOSTILE, safe='')}",
        f"#/cell/{quote(HOSTILE, safe='')}/*/train",
    ):
        page = reader.open(address)
        assert HOSTILE in page.locator("main").inner_text()
        assert page.evaluate("window.owned") is None
        assert page.locator("img[onerror], main b:text-is('bold')").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        addresses = page.evaluate("[...document.links].map((link) => link.href)")
        assert all(a.startswith(("https://", f"{reader.root}/")) for a in addresses)
    assert PAYLOAD.partition("\u2028")[0] in page.locator("main").inner_text()


def test_json_in_a_script_cannot_end_it():
    written = script_json.to_json(
        {"</script>": ["<!--", "&\u2028", float("inf"), 1e-7, None, True]}
    )
    assert written == (
        '{"\\u003c/script\\u003e":["\\u003c!--","\\u0026\\u2028",1e999,1e-7,null,true]}'
    )


# The same results, the same bytes


def test_the_same_results_give_the_same_files(files, folder, tmp_path):
    again = write(files[::-1], tmp_path)
    paths = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert paths == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert [p for p in paths if (folder / p).read_bytes() != (again / p).read_bytes()] == []


def test_pictures_are_told_in_words_and_ask_for_nothing(folder):
    drawn = sorted((folder / "pictures").glob("*.svg"))
    found = ["batch-size", "deviations", "gradients", "offset-infer", "offset-train"]
    assert [path.stem for path in drawn] == found
    for path in drawn:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        space = "{http://www.w3.org/2000/svg}"
        assert root.get("role") == "img"
        assert len(root.findtext(f"{space}title") or "") > 10
        assert len(root.findtext(f"{space}desc") or "") > 50
        hrefs = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert all(href.startswith("#") for href in hrefs)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_follow_the_theme_that_is_chosen(browser, folder, scheme):
    image = pytest.importorskip("matplotlib.image")
    other = {"light": "dark", "dark": "light"}[scheme]
    window = Reader(browser, folder, scheme=other)
    page = window.open("#/pictures")
    for _ in range(3):
        page.locator("#theme").click()
        if page.locator("#theme").inner_text() == f"Theme: {scheme}":
            break
    picture = page.locator("#picture-offset-train img")
    page.wait_for_function("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    corner = image.imread(io.BytesIO(picture.screenshot()))[3, 3, :3].mean()
    assert corner > 0.9 if scheme == "light" else corner < 0.2
    window.context.close()
    assert window.wrong == []


# For everyone


VIEWS = (
    "#/",
    "#/?columns=families",
    f"#/cell/{TORCH}/offset-ladder/infer",
    f"#/case/offset-ladder/infer-float32-mean-1000/{TORCH}",
    f"#/implementation/{TORCH}",
    f"#/compare/{KERAS}/{TORCH}",
    "#/pictures",
)


TAGS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.mark.parametrize(
    ("width", "scheme", "rules"),
    [
        (1440, "light", TAGS),
        (1440, "dark", {"runOnly": ["color-contrast"]}),
        (390, "light", {**TAGS, "rules": {"color-contrast": {"enabled": False}}}),
    ],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing(browser, folder, width, scheme, rules):
    """All of axe's rules once; in the dark the colours alone, on a phone all but the colours."""
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    window = Reader(browser, folder, width=width, scheme=scheme)
    found = []
    for view in VIEWS:
        page = window.open(view)
        page.wait_for_timeout(50)
        page.wait_for_function("!document.body.innerText.includes('Loading the case')")
        page.evaluate(axe + "\n;0")
        for violation in page.evaluate("(rules) => axe.run(rules)", rules)["violations"]:
            nodes = [node["html"][:200] for node in violation["nodes"][:2]]
            found.append((view, violation["id"], nodes))
        tallest = "Math.max(0, ...[...document.querySelectorAll('.matrix tbody tr')].map((r) => r.offsetHeight))"
        if page.evaluate(tallest) > 80:
            found.append((view, "a name takes too much room", []))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append((view, "scrolls sideways", []))
    window.context.close()
    assert found == []
    assert window.wrong == []


# The published report


@pytest.fixture(scope="module")
def published() -> Path:
    if not (PUBLISHED / "index.html").is_file():
        pytest.skip("reports/index.html has not been made: bnconf report")
    return PUBLISHED


def test_the_published_page_is_small_enough(published):
    parts = [published / "index.html", *published.glob("data/*"), *published.glob("pictures/*")]
    assert sum(part.stat().st_size for part in parts) <= LARGEST


def test_the_published_page_can_be_used_within_a_second(browser, published):
    """The best of five openings: this machine may be busy with something else."""
    window = Reader(browser, published)
    times = []
    for _ in range(5):
        page = window.open(f"?{len(times)}#/?columns=families")
        assert page.locator(".matrix td a").count() > 1000
        times.append(int(page.evaluate("document.documentElement.dataset.ready")))
    window.context.close()
    assert min(times) <= READY, times
    assert window.wrong == []
