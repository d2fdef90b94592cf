"""What continuous integration reads: a job summary, JUnit XML, badges, the comparison of two runs."""

from __future__ import annotations

import ast
import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import cli, results
from conformance.cases import cases_digest, cases_folder
from conformance.ci import badge, job_summary, junit, standing
from conformance.ci.comparison import compare
from conformance.ci.standing import Overview
from conformance.ci.text import markdown
from conformance.deviations import Deviation, Record
from conformance.errors import UserError
from conformance.results import Header, Result, Run

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "</failure>\x00\x1b[31m<script>|`x`*_[y](http://z)\u202e]]>&\ud800\uffff\n<!--\r$1$"
HEADER = Header(
    suite="0.1.0",
    cases="ab" * 32,
    packages={"torch": "2.13.0", "numpy": "2.4.6"},
    python="3.11.7",
    machine="x86_64",
    device="cpu",
    driver=None,
    implementations={"torch.batch_norm": "torch"},
)
NAME = "torch.batch_norm"
FOLDED = Deviation(
    (NAME,),
    ("a/3", "a/4"),
    "inaccurate",
    ("folded",),
    "Loses | digits.",
    link="https://x.org/1",
    number=7,
)
OFFERED = Deviation((NAME,), ("a/2",), "unsupported", ("unsupported",), "Not offered.", number=8)
RESULTS = (
    Result("a/1", NAME, "conforms", "accurate", 0.5, seconds=1.25),
    Result("a/2", NAME, "unsupported", "unsupported", message="not <offered>"),
    Result("a/3", NAME, "inaccurate", "folded", 180.0),
    Result("a/4", NAME, "wrong", "unexplained", float("inf"), message=HOSTILE),
)


def run_of(*results: Result, header: Header = HEADER, **changed: Any) -> Run:
    return Run(replace(header, **changed), list(results))


def overview_of(
    run: Run, *deviations: Deviation, outside: bool = False, stale: Any = ()
) -> Overview:
    known = {} if outside else dict(run.header.implementations)
    record = Record(deviations, known, run.header.packages, "cpu")
    specs = {name: name for name in run.header.implementations}
    return Overview(standing.of_run(run, record, specs), stale)


RED = overview_of(run_of(*RESULTS), FOLDED, OFFERED)
GREEN = overview_of(run_of(*RESULTS[:3]), replace(FOLDED, case=("a/3",)), OFFERED)
STALE = replace(GREEN, stale=(replace(FOLDED, number=9),))


# Held against the record


def test_a_result_is_held_against_the_entry_that_covers_it():
    (one,) = RED.standings
    assert [held.is_as_recorded for held in one.held] == [True, True, True, False]
    assert [held.entry.number if held.entry else None for held in one.held] == [None, 8, 7, None]
    assert (RED.total, RED.not_as_recorded) == (4, 1)
    assert str(RED) == "1 of 4 results not as recorded"
    assert str(STALE) == "all 3 results as recorded, 1 stale entry in the record"
    assert one.repeat("a/4") == "bnconf run --impl torch.batch_norm --case a/4"
    outside = overview_of(run_of(*RESULTS[:3]), outside=True)
    assert outside.not_as_recorded == 1  # inaccurate is not acceptable


@pytest.fixture(scope="module")
def numpy_results(tmp_path_factory) -> Path:
    """The record's own results of the NumPy formula, as of the cases of today."""
    path = tmp_path_factory.mktemp("results") / "numpy.jsonl"
    digest = cases_digest(cases_folder())
    runs = results.read(ROOT / "reports/results/numpy.jsonl")
    results.write(path, [replace(r, header=replace(r.header, cases=digest)) for r in runs])
    return path


def test_the_commands_read_what_a_run_wrote(numpy_results, tmp_path, capsys):
    (run,) = results.read(numpy_results)
    file, out = str(numpy_results), tmp_path / "new" / "badges"
    assert cli.main(["summary", file]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# Batch normalization conformance\n")
    assert "numpy.batch_norm-float64" in page
    assert "Not run: " in page
    assert cli.main(["junit", file, "--out", str(tmp_path / "j.xml")]) == 0
    assert len(ET.parse(tmp_path / "j.xml").findall("*/testcase")) >= len(run.results)
    assert cli.main(["badge", file, "--out", str(out)]) == 0
    names = {f"{name}.json" for name in run.header.implementations}
    assert {path.name for path in out.iterdir()} == names
    assert cli.main(["diff", file, file]) == 0
    assert f"{len(run.results):,} verdicts compared, none changed" in capsys.readouterr().out


def test_what_was_not_run_is_named_only_beside_what_is_of_this_package(tmp_path, capsys):
    digest = cases_digest(cases_folder())
    mine = replace(RESULTS[0], implementation="mine", case="typical/train-float32-NC-16x5")
    results.write(tmp_path / "r", [run_of(mine, cases=digest, implementations={"mine": "numpy"})])
    assert cli.main(["summary", str(tmp_path / "r")]) == 0
    assert "Not run" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["summary", "junit", "badge"])
def test_results_of_other_cases_and_broken_files_are_refused(command, tmp_path, capsys):
    out = [] if command == "summary" else ["--out", str(tmp_path / "out")]
    results.write(tmp_path / "r", [run_of(*RESULTS)])
    assert cli.main([command, str(tmp_path / "r"), *out]) == 2
    assert "other cases" in capsys.readouterr().err
    lines = (tmp_path / "r").read_text().splitlines(keepends=True)
    (tmp_path / "r").write_text("".join(lines[:-1]))
    assert cli.main([command, str(tmp_path / "r"), *out]) == 2
    assert "no footer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# The job summary


def test_a_job_summary_leads_with_what_is_wrong():
    page = job_summary.page(RED)
    first = page.splitlines()[2]
    assert first == "**1 of 4 results not as recorded.**"
    assert page.index("## Not as recorded") < page.index("## Implementations")
    assert html.unescape(page).count("bnconf run --impl torch.batch_norm --case a/4") == 2
    assert "inaccurate, folded" in page  # what is on record
    assert job_summary.page(GREEN).splitlines()[2] == "**All 3 results as recorded.**"
    assert "## Not as recorded" not in job_summary.page(GREEN)
    stale = job_summary.page(STALE)
    assert "1 stale entry" in stale.splitlines()[2]
    assert "deviation 9 (torch.batch_norm; a/3, a/4)" in html.unescape(stale)


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading."""
    lines = page[page.index(heading) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append(line)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def test_a_job_summary_counts_each_verdict_and_says_what_is_on_record():
    page = job_summary.page(RED)
    heads, _, row = rows_of(page, "## Implementations")
    counted = dict(zip(heads, row, strict=True))
    assert counted["implementation"] == "torch.batch_norm"
    assert counted["not as recorded"] == "**1**"
    seen = ("conforms", "inaccurate", "wrong", "unsupported")
    assert [counted[verdict] for verdict in seen] == ["1"] * 4
    assert "crashed" not in heads
    kinds = rows_of(page, "On record: 2 kinds")[2:]
    assert [row[:3] for row in kinds] == [
        ["unsupported", "unsupported", "1"],
        ["inaccurate", "folded", "1"],
    ]
    assert html.unescape(kinds[1][4]) == "Loses | digits. [source](<https://x.org/1>)"


def test_nothing_in_a_result_breaks_out_of_its_cell():
    name = "x|<b>\x1b"
    run = run_of(
        *(replace(r, implementation=name) for r in RESULTS),
        implementations={name: "to|rch"},
        machine=HOSTILE,
        packages={"a|b": "<i>"},
    )
    page = job_summary.page(overview_of(run))
    tags = set(re.findall(r"</?[a-zA-Z!][^>]*>", page))
    assert tags <= {
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
        "<code>",
        "</code>",
        "<br>",
    }
    assert page.isascii() or "\u202e" not in page
    assert not re.search("[\x00-\x09\x0b-\x1f\ud800-\udfff]", page)
    for heading, cells in (("## Not", 6), ("Each of", 5), ("## Impl", 8), ("Where it", 5)):
        assert {len(row) for row in rows_of(page, heading)} == {cells}


def test_marks_are_references_and_words_stay_words():
    assert markdown("batch_norm-float64, 1.5 (x)") == "batch_norm-float64, 1.5 (x)"
    escaped = markdown("_a_ *b* `c` [d](e) <f> | $g$ #h @i ~j~ \\k &amp;")
    assert not set(escaped) & set("_*`[]<>|$@~\\")
    assert html.unescape(escaped) == "_a_ *b* `c` [d](e) <f> | $g$ #h @i ~j~ \\k &amp;"


def test_a_job_summary_fits_whatever_went_wrong():
    """Many failures, each different and with a message as long as they come."""
    names = [f"implementation|{number}" for number in range(300)]
    many = [
        Result(f"family/{case}<>", name, "wrong", f"mistake|{name}|{case}", 1.0, message="|" * 500)
        for name in names
        for case in range(20)
    ]
    header = replace(HEADER, implementations=dict.fromkeys(names, "numpy"), machine="|" * 10**5)
    page = job_summary.page(overview_of(run_of(*many, header=header)))
    assert len(page.encode()) <= 2**20
    shown = len(rows_of(page, "## Not as recorded")) - 3
    assert f"| and {len(many) - shown:,} more |" in page
    assert shown > 50


# JUnit

ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, {"name", "tests", "failures", "errors", "time"}),
    "testsuite": (
        {"properties", "testcase"},
        {"name", "package", "tests", "failures", "errors", "skipped", "time"},
    ),
    "properties": ({"property"}, set()),
    "property": (set(), {"name", "value"}),
    "testcase": ({"failure", "skipped", "system-out"}, {"name", "classname", "time"}),
    "failure": (set(), {"type", "message"}),
    "skipped": (set(), {"message"}),
    "system-out": (set(), set()),
}
"""The part of junit-10.xsd that is used: children and attributes of each element."""
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}


def parse(overview: Overview, tmp_path: Path) -> ET.Element:
    junit.write(tmp_path / "junit.xml", overview)
    root = ET.parse(tmp_path / "junit.xml").getroot()
    for element in root.iter():
        children, attributes = ALLOWED[element.tag]
        assert {child.tag for child in element} <= children
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib) <= attributes
        assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.get("time", "0.000"))
    for counted in (root, *root):
        assert int(counted.get("tests", "")) == len(counted.findall(".//testcase"))
        assert int(counted.get("failures", "")) == len(counted.findall(".//failure"))
        if "skipped" in counted.attrib:
            assert int(counted.attrib["skipped"]) == len(counted.findall(".//skipped"))
    return root


def test_junit_has_a_case_for_each_and_a_failure_for_what_is_not_on_record(tmp_path):
    (suite,) = parse(RED, tmp_path)
    assert suite.get("name") == suite.findall("testcase")[0].get("classname") == NAME
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert list(cases) == ["a/1", "a/2", "a/3", "a/4"]
    assert len(cases["a/1"]) == 0
    assert cases["a/1"].get("time") == "1.250"
    assert cases["a/2"].find("skipped").get("message") == "not <offered>"
    assert cases["a/3"].findtext("system-out") == "inaccurate, folded, as recorded: Loses | digits."
    failure = cases["a/4"].find("failure")
    assert failure.get("message") == "wrong, unexplained; on record: inaccurate, folded"
    assert "repeat: bnconf run --impl torch.batch_norm --case a/4" in failure.text
    properties = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert properties["version of torch"] == "2.13.0"
    assert properties["device"] == "cpu"


def test_junit_holds_what_xml_can_hold_of_a_message(tmp_path):
    text = parse(RED, tmp_path).find(".//failure").text
    kept = "</failure>[31m<script>|`x`*_[y](http://z)\u202e]]>&\n<!--\n$1$"
    assert kept in text.replace("\r", "\n")
    run = run_of(*RESULTS, implementations={NAME: HOSTILE}, machine=HOSTILE)
    parse(overview_of(run), tmp_path)


def test_a_stale_entry_and_an_unrecorded_refusal_fail_in_junit(tmp_path):
    root = parse(STALE, tmp_path)
    assert [failure.get("type") for failure in root.iter("failure")] == ["stale"]
    root = parse(overview_of(run_of(RESULTS[1])), tmp_path)
    assert [failure.get("type") for failure in root.iter("failure")] == ["unsupported, unsupported"]
    assert not list(root.iter("skipped"))


def test_seconds_that_are_no_time_are_none(tmp_path):
    odd = [replace(RESULTS[0], seconds=s) for s in (float("inf"), -1.0, 12345.6789)]
    odd = [replace(r, case=f"a/{number}") for number, r in enumerate(odd)]
    times = [
        case.get("time") for case in parse(overview_of(run_of(*odd)), tmp_path).iter("testcase")
    ]
    assert times == ["0.000", "0.000", "12345.679"]


# Badges


@pytest.mark.parametrize(
    ("overview", "message", "color"),
    [
        (RED, "1 not as recorded", "red"),
        (GREEN, "1 of 2 conform", "yellow"),
        (overview_of(run_of(RESULTS[0])), "1 of 1 conform", "brightgreen"),
        (overview_of(run_of(RESULTS[1]), OFFERED), "nothing offered", "lightgrey"),
        (
            overview_of(
                run_of(RESULTS[3]), replace(FOLDED, verdict="wrong", name=("unexplained",))
            ),
            "0 of 1 conform",
            "orange",
        ),
    ],
)
def test_a_badge_is_what_the_endpoint_reads(overview, message, color, tmp_path):
    (path,) = badge.write(tmp_path, overview.standings)
    assert path.name == "torch.batch_norm.json"
    assert json.loads(path.read_text("ascii")) == {
        "schemaVersion": 1,
        "label": NAME,
        "message": message,
        "color": color,
        "isError": color == "red",
    }


def test_badges_lie_in_their_folder_under_names_of_their_own(tmp_path):
    names = [
        "../../etc/x",
        "a/b",
        "a b",
        "A-b",
        "a-b",
        "con",
        ".hidden",
        "",
        "é",
        "\ud800",
        "x" * 300,
    ]
    run = run_of(implementations=dict.fromkeys(names, "numpy"))
    written = badge.write(tmp_path / "badges", overview_of(run).standings)
    found = [path.name for path in (tmp_path / "badges").iterdir()]
    assert len({name.casefold() for name in found}) == len(names) == len(written)
    assert [path.name for path in tmp_path.iterdir()] == ["badges"]
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.json", name) for name in found)
    assert "con.json" not in found


# The comparison


def changed(old: Result, new: Result, factor: float = 2.0, **header: Any) -> Any:
    return compare([run_of(old)], [run_of(new, **header)], factor)


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (("conforms", "accurate"), ("inaccurate", "folded"), "worse"),
        (("conforms", "accurate"), ("unsupported", "unsupported"), "worse"),
        (("conforms", "accurate"), ("convention", "c"), "worse"),
        (("inaccurate", "folded"), ("crashed", "crashed"), "worse"),
        (("wrong", "unexplained"), ("inaccurate", "unexplained"), "better"),
        (("timeout", "timeout"), ("conforms", "stable"), "better"),
        (("conforms", "accurate"), ("conforms", "stable"), "neither"),
        (("convention", "c"), ("policy", "nan"), "neither"),
    ],
)
def test_a_change_is_worse_better_or_neither(before, after, direction):
    found = changed(Result("a/1", NAME, *before), Result("a/1", NAME, *after))
    assert [len(found.of(d)) for d in ("worse", "better", "neither")] == [
        int(direction == d) for d in ("worse", "better", "neither")
    ]


@pytest.mark.parametrize(
    ("before", "after", "is_shown"),
    [
        (1.5, 3.1, True),
        (3.1, 1.5, True),
        (1.5, 2.9, False),
        (0.001, 0.9, False),  # less than a rounding at each step, both
        (0.001, 2.1, True),
        (None, 5.0, True),
        (float("inf"), 5.0, True),
        (float("inf"), float("inf"), False),
    ],
)
def test_a_ratio_that_moved_far_is_shown_where_the_verdict_is_the_same(before, after, is_shown):
    old, new = (Result("a/1", NAME, "inaccurate", "folded", ratio) for ratio in (before, after))
    found = changed(old, new)
    assert not found.verdicts
    assert bool(found.ratios) == is_shown
    assert not changed(old, new, factor=float("inf")).ratios


def test_versions_cases_and_implementations_that_differ_are_named():
    old = run_of(*RESULTS[:2], implementations={NAME: "torch", "gone": "torch"})
    packages = {"torch": "2.14.0", "numpy": "2.4.6", "ml_dtypes": "0.6"}
    new = run_of(*RESULTS[1:3], implementations={NAME: "torch", "new": "x"}, packages=packages)
    found = compare([old], [new], 2.0)
    assert found.compared == 1
    assert list(found.places) == ["torch: 2.13.0 → 2.14.0", "ml_dtypes: none → 0.6"]
    assert (list(found.new), list(found.gone)) == (["new"], ["gone"])
    assert (found.new_cases, found.gone_cases) == ({"a/3": 1}, {"a/1": 1})
    assert not found.different_cases
    assert changed(RESULTS[0], RESULTS[0], cases="cd" * 32).different_cases


def test_a_gpu_is_compared_with_a_cpu_only_where_each_run_has_one_of_them():
    on_gpu = {"device": "cuda: H100"}
    found = changed(RESULTS[0], replace(RESULTS[0], verdict="wrong"), **on_gpu)
    assert found.of("worse")[0].implementation == NAME
    assert "device: cpu → cuda: H100" in found.places
    both = [run_of(RESULTS[0]), run_of(RESULTS[0], **on_gpu)]
    found = compare(both, [run_of(RESULTS[0], **on_gpu)], 2.0)
    assert list(found.gone) == [NAME]
    assert not found.places


def test_nothing_in_common_is_an_error_and_not_a_pass():
    with pytest.raises(UserError, match="in common"):
        changed(RESULTS[0], RESULTS[1])


@pytest.fixture
def diff(tmp_path, capsys) -> Callable[..., tuple[int, str]]:
    def call(old: Run, new: Run, *options: str) -> tuple[int, str]:
        results.write(tmp_path / "old", [old])
        results.write(tmp_path / "new", [new])
        status = cli.main(["diff", str(tmp_path / "old"), str(tmp_path / "new"), *options])
        return status, capsys.readouterr().out

    return call


def test_the_exit_status_says_whether_a_verdict_changed(diff, tmp_path, capsys):
    run, worse = (
        run_of(*RESULTS),
        replace(RESULTS[0], verdict="wrong", name="unexplained", ratio=9e9),
    )
    assert diff(run, run)[0] == 0
    status, text = diff(run, run_of(worse, *RESULTS[1:]))
    assert status == 1
    assert text.splitlines()[:3] == [
        "4 verdicts compared, 1 changed: 1 worse, 0 better, 0 neither",
        "Worse:",
        "  torch.batch_norm: conforms, accurate → wrong, unexplained (ratio 0.5 → 9e+09): a/1",
    ]
    assert diff(run, run_of(replace(RESULTS[0], ratio=3.0), *RESULTS[1:]))[0] == 0
    (tmp_path / "new").write_text("no")
    assert cli.main(["diff", str(tmp_path / "old"), str(tmp_path / "new")]) == 2
    assert cli.main(["diff", str(tmp_path / "none"), str(tmp_path / "old")]) == 2
    capsys.readouterr()


def test_changes_that_are_alike_share_a_line_and_json_has_them_all(diff):
    def all_of(verdict: str, name: str) -> Run:
        return run_of(*(Result(f"a/{n}", NAME, verdict, name, float("inf")) for n in range(50)))

    runs = (all_of("conforms", "accurate"), all_of("wrong", "x|<b>"))
    _, text = diff(*runs)
    line = "  torch.batch_norm: conforms, accurate → wrong, x|<b> (50 cases): a/0, a/1, a/2 and 47 more"
    assert line in text.splitlines()
    status, text = diff(*runs, "--format", "json")
    record = json.loads(text)
    assert (status, record["compared"], len(record["worse"])) == (1, 50, 50)
    assert record["worse"][3]["case"] == "a/3"
    assert record["worse"][3]["new"]["ratio"] == "Infinity"
    _, text = diff(*runs, "--format", "markdown")
    assert text.startswith("**50 verdicts compared")
    assert "\n## Worse\n" in text
    assert "<b>" not in text


# The workflow

WORKFLOW = (ROOT / ".github/workflows/conformance.yml").read_text("utf-8")


def test_the_workflow_runs_every_framework_that_nox_does():
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    (frameworks,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FRAMEWORKS"
    )
    matrix = WORKFLOW.partition("framework:\n")[2].partition("env:")[0]
    assert tuple(re.findall(r"- (\S+)", matrix)) == frameworks


def test_the_workflow_uses_commands_that_exist_and_pinned_actions(capsys):
    commands = set(re.findall(r"bnconf\"? (\w+)", WORKFLOW))
    assert commands == {"summary", "junit", "badge", "report", "diff"}
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
    capsys.readouterr()
    used = re.findall(r"uses: (\S+)", WORKFLOW)
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)
