"""Results files: written and read, damaged ones refused, several merged."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import results
from conformance.errors import UserError
from conformance.results import (
    BrokenResults,
    DifferentCases,
    Header,
    MissingFooter,
    MissingHeader,
    Result,
    Run,
    SameImplementationTwice,
    SameResultTwice,
    UnknownImplementation,
    UnreadableResults,
    WrongCount,
)

HEADER = Header(
    suite="0.1.0",
    cases="ab" * 32,
    packages={"numpy": "2.4.6"},
    python="3.11.7",
    machine="x86_64, Ångström 3000, Linux",
    device="cpu",
    driver=None,
    implementations={"mine": "numpy"},
)
RIGHT = Result("a/1", "mine", "conforms", "accurate", 0.5, {"y": {"ratio": 0.5, "ulp": 1.0}})
RESULTS = [
    RIGHT,
    Result(
        "a/2", "mine", "wrong", "unexplained", math.inf, {"y": {"ratio": math.inf}}, "no\nnumber"
    ),
    Result("a/3", "mine", "unsupported", "unsupported", None, {}, "does not offer “train”", 0.25),
    Result("a/4", "mine", "crashed", "crashed", message="\ud800\u2028\x85"),
]


def run_of(*implementations: str, device: str = "cpu", cases: str = HEADER.cases) -> Run:
    header = replace(
        HEADER, device=device, cases=cases, implementations=dict.fromkeys(implementations, "numpy")
    )
    return Run(header, [replace(RIGHT, implementation=name) for name in implementations])


def write(path: Path, *runs: Run) -> Path:
    results.write(path, runs)
    return path


def unfinished(path: Path, run: Run) -> None:
    """Write what a run leaves that does not come to its end."""
    with results.Growing(path, run.header) as file:
        for result in run.results:
            file.add(result)


def refusal(kind: type[UserError], *paths: Path) -> str:
    """The message with which the files are refused: one line that names one of them."""
    with pytest.raises(UserError) as caught:
        results.merge(paths)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert any(message.startswith(f"{path}: ") for path in paths)
    return message


# Written and read


def test_what_was_written_is_read(tmp_path):
    run = Run(HEADER, RESULTS)
    assert results.read(write(tmp_path / "r.jsonl", run)) == [run]


def test_several_runs_in_one_file_are_read(tmp_path):
    runs = [run_of("a"), run_of("b", "c"), run_of("a", device="cuda: one")]
    assert results.read(write(tmp_path / "r.jsonl", *runs)) == runs


def test_every_line_is_plain_json_of_a_kind(tmp_path):
    lines = write(tmp_path / "r.jsonl", Run(HEADER, RESULTS)).read_text("ascii").splitlines()

    def no_constant(text):
        raise AssertionError(text)

    kinds = [json.loads(line, parse_constant=no_constant)["kind"] for line in lines]
    assert kinds == ["header", *["result"] * 4, "footer"]
    assert json.loads(lines[2])["ratio"] == "Infinity"
    assert json.loads(lines[3])["ratio"] is None
    assert json.loads(lines[-1])["count"] == 4


def test_a_run_that_was_not_completed_has_no_footer(tmp_path):
    unfinished(tmp_path / "r.jsonl", Run(HEADER, RESULTS[:2]))
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 3
    assert "make it again" in refusal(MissingFooter, tmp_path / "r.jsonl")


def test_what_a_run_left_is_read_wherever_it_was_cut(tmp_path):
    """Every result before the cut, but for one that was cut itself; the header is the least."""
    path = tmp_path / "r.jsonl"
    unfinished(path, Run(HEADER, RESULTS))
    text = path.read_bytes()
    starts = [place + 1 for place, byte in enumerate(text) if byte == ord("\n")]
    for end in range(len(text) + 1):
        path.write_bytes(text[:end])
        whole = sum(start - 1 <= end for start in starts)
        if not whole:
            with pytest.raises(BrokenResults):
                results.read_unfinished(path)
        else:
            assert results.read_unfinished(path) == Run(HEADER, RESULTS[: whole - 1])


def test_a_complete_run_is_gone_on_with_as_it_is(tmp_path):
    run = Run(replace(HEADER, request={"impl": ["a"], "timeout": 3.0}), RESULTS)
    assert results.read_unfinished(write(tmp_path / "r.jsonl", run)) == run


def test_two_runs_in_one_file_cannot_be_gone_on_with(tmp_path):
    path = write(tmp_path / "r.jsonl", run_of("a"), run_of("b"))
    with pytest.raises(BrokenResults, match="holds 2 runs"):
        results.read_unfinished(path)


@pytest.mark.parametrize("request_", [[], "a", {"impl": "a"}, {"case": [1]}, {"timeout": "3"}])
def test_a_request_of_the_wrong_type_is_refused(tmp_path, request_):
    refusal(BrokenResults, write(tmp_path / "r.jsonl", Run(replace(HEADER, request=request_), [])))


def test_the_same_runs_give_the_same_bytes(tmp_path):
    run = Run(HEADER, RESULTS)
    first, second = write(tmp_path / "1", run), write(tmp_path / "2", run)
    assert first.read_bytes() == second.read_bytes()
    again = write(tmp_path / "3", *results.read(first))
    assert again.read_bytes() == first.read_bytes()


# Merged


def test_the_order_of_the_files_does_not_matter(tmp_path):
    paths = [
        write(tmp_path / "1", run_of("b", "a")),
        write(tmp_path / "2", run_of("c"), run_of("c", device="cuda: one")),
        write(tmp_path / "3", run_of("a", device="cuda: one")),
    ]
    merged = results.merge(paths)
    assert len(merged) == 4
    assert results.merge(paths[::-1]) == results.merge([paths[1], paths[0], paths[2]]) == merged


def test_the_same_implementation_twice_on_one_device_is_refused(tmp_path):
    first, second = write(tmp_path / "1", run_of("a", "b")), write(tmp_path / "2", run_of("b"))
    message = refusal(SameImplementationTwice, first, second)
    assert "holds b on cpu" in message
    assert str(first) in message
    refusal(SameImplementationTwice, first, first)
    refusal(SameImplementationTwice, write(tmp_path / "3", run_of("a"), run_of("a")))


def test_different_cases_are_refused(tmp_path):
    first, second = write(tmp_path / "1", run_of("a")), write(tmp_path / "2", run_of("b", cases=""))
    assert str(first) in refusal(DifferentCases, first, second)


def test_a_footer_that_counts_otherwise_is_refused(tmp_path):
    path = write(tmp_path / "r.jsonl", Run(HEADER, RESULTS))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:1] + lines[2:]))
    assert "counts 4 results, the file holds 3" in refusal(WrongCount, path)


@pytest.mark.parametrize("count", [3, None, "4", [4], 4.0, 10**400, [[[[4]]]]])
def test_a_count_of_another_value_or_type_is_refused(tmp_path, count):
    path = write(tmp_path / "r.jsonl", Run(HEADER, RESULTS))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], json.dumps({"kind": "footer", "count": count})]))
    refusal(WrongCount, path)


def test_a_count_is_not_a_boolean(tmp_path):
    path = write(tmp_path / "r.jsonl", run_of("a"))
    path.write_text(path.read_text().replace('"count": 1', '"count": true'))
    refusal(WrongCount, path)


@pytest.mark.parametrize(
    "footer", ['{"kind": "footer"}', '{"kind": "footer", "count": 1, "note": ""}']
)
def test_a_footer_of_other_fields_is_broken(tmp_path, footer):
    path = write(tmp_path / "r.jsonl", run_of("a"))
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], footer]))
    refusal(BrokenResults, path)


def test_every_way_to_fail_says_what_it_is():
    kinds = [
        kind
        for kind in vars(results).values()
        if isinstance(kind, type) and issubclass(kind, UserError) and kind is not UserError
    ]
    assert len(kinds) == 9
    assert all(kind.__doc__ and "\n" not in kind.__doc__ for kind in kinds)
    assert len({kind.__doc__ for kind in kinds}) == len(kinds)


# Truncated and damaged


def test_a_file_cut_after_any_line_lacks_its_footer(tmp_path):
    lines = write(tmp_path / "whole", Run(HEADER, RESULTS)).read_text().splitlines(keepends=True)
    path = tmp_path / "r.jsonl"
    for count in range(len(lines)):
        path.write_text("".join(lines[:count]))
        refusal(MissingFooter, path)


def test_a_file_cut_inside_any_line_is_broken(tmp_path):
    lines = write(tmp_path / "whole", Run(HEADER, RESULTS)).read_text().splitlines()
    path = tmp_path / "r.jsonl"
    for count, line in enumerate(lines):
        for end in (1, len(line) // 2, len(line) - 1):
            path.write_text("\n".join([*lines[:count], line[:end]]))
            assert f"line {count + 1}: " in refusal(BrokenResults, path)


def test_a_run_cut_off_before_another_lacks_its_footer(tmp_path):
    unfinished(tmp_path / "1", run_of("a"))
    write(tmp_path / "2", run_of("b"))
    (tmp_path / "1").write_text((tmp_path / "1").read_text() + (tmp_path / "2").read_text())
    refusal(MissingFooter, tmp_path / "1")


def test_what_is_no_file_of_text_cannot_be_read(tmp_path):
    refusal(UnreadableResults, tmp_path / "missing")
    refusal(UnreadableResults, tmp_path)
    (tmp_path / "latin").write_bytes(b"\xff")
    refusal(UnreadableResults, tmp_path / "latin")
    os.mkfifo(tmp_path / "pipe")
    refusal(UnreadableResults, tmp_path / "pipe")
    refusal(UnreadableResults, Path("/dev/zero"))


def test_a_file_larger_than_results_are_is_not_read(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(results.LARGEST_FILE + 1)
    assert "split it" in refusal(UnreadableResults, tmp_path / "large")


def test_a_line_longer_than_results_are_is_broken(tmp_path):
    path = write(tmp_path / "r.jsonl", Run(HEADER, [replace(RIGHT, message="x" * 2**20)]))
    assert "longer than any result" in refusal(BrokenResults, path)


def test_characters_that_end_a_line_elsewhere_do_not_end_one_of_json(tmp_path):
    path = write(tmp_path / "r.jsonl", Run(HEADER, [replace(RIGHT, message="a\u2028b\x85c")]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    assert results.read(path)[0].results[0].message == "a\u2028b\x85c"


BROKEN_LINES = {
    "not JSON": "x",
    "blank": "",
    "a list": "[]",
    "null": "null",
    "a number": "1",
    "nested too deeply": "[" * 100_000,
    "no kind": '{"case": "a/1"}',
    "unknown kind": '{"kind": "note"}',
    "kind a list": '{"kind": []}',
    "key twice": '{"kind": "result", "case": "a/1", "case": "a/2"}',
    "NaN": '{"kind": "result", "ratio": NaN}',
    "an integer of 5000 digits": '{"kind": "result", "ratio": ' + "1" * 5000 + "}",
}


@pytest.mark.parametrize("line", BROKEN_LINES.values(), ids=BROKEN_LINES)
def test_a_broken_line_is_refused(tmp_path, line):
    path = write(tmp_path / "r.jsonl", Run(HEADER, RESULTS))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]))
    assert "line 3: " in refusal(BrokenResults, path)


@pytest.mark.parametrize("index", [1, -1], ids=["a result", "a footer"])
def test_anything_before_the_header_lacks_it(tmp_path, index):
    path = write(tmp_path / "r.jsonl", Run(HEADER, RESULTS))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[index], *lines]))
    assert "where a header is due" in refusal(MissingHeader, path)


MISSING = object()
WRONG_FIELDS: dict[str, tuple[int, str, Any]] = {
    "header without cases": (0, "cases", MISSING),
    "header with another field": (0, "note", "x"),
    "suite a number": (0, "suite", 1),
    "cases a number": (0, "cases", 1),
    "packages a list": (0, "packages", ["numpy"]),
    "packages of numbers": (0, "packages", {"numpy": 2.4}),
    "python a number": (0, "python", 3.11),
    "machine null": (0, "machine", None),
    "device a list": (0, "device", ["cpu"]),
    "device null": (0, "device", None),
    "driver a number": (0, "driver", 580),
    "implementations a list": (0, "implementations", ["mine"]),
    "implementations a text": (0, "implementations", "mine"),
    "implementations of null": (0, "implementations", {"mine": None}),
    "result without a verdict": (1, "verdict", MISSING),
    "result with another field": (1, "note", "x"),
    "case a number": (1, "case", 1),
    "case null": (1, "case", None),
    "implementation a list": (1, "implementation", ["mine"]),
    "unknown verdict": (1, "verdict", "fine"),
    "verdict a list": (1, "verdict", ["conforms"]),
    "name null": (1, "name", None),
    "message a number": (1, "message", 1),
    "ratio a list": (1, "ratio", [0.5]),
    "ratio an unknown text": (1, "ratio", "large"),
    "ratio a boolean": (1, "ratio", True),
    "ratio NaN": (1, "ratio", math.nan),
    "outputs a text": (1, "outputs", "y"),
    "outputs a list": (1, "outputs", []),
    "outputs null": (1, "outputs", None),
    "outputs of numbers": (1, "outputs", {"y": 0.5}),
    "outputs of texts": (1, "outputs", {"y": {"ratio": "large"}}),
    "outputs of lists": (1, "outputs", {"y": {"ratio": []}}),
    "seconds a text": (1, "seconds", "1"),
    "seconds null": (1, "seconds", None),
    "ratio negative": (1, "ratio", -0.5),
    "ratio -Infinity": (1, "ratio", "-Infinity"),
    "ratio a number beyond binary64": (1, "ratio", 10**400),
    "seconds beyond binary64": (1, "seconds", 10**400),
    "outputs of an unknown name": (1, "outputs", {"z": {"ratio": 0.5}}),
    "outputs of an unknown error": (1, "outputs", {"y": {"mean": 0.5}}),
    "case of two lines": (1, "case", "a\nb"),
    "implementation with an escape sequence": (1, "implementation", "mine\x1b[2J"),
    "name that turns the direction": (1, "name", "a\u202eb"),
    "name with a lone surrogate": (1, "name", "\ud800"),
    "machine of two lines": (0, "machine", "a\nb"),
    "package that turns the direction": (0, "packages", {"a\u202e": "1"}),
    "implementation in the header with an escape sequence": (
        0,
        "implementations",
        {"mine": "numpy", "\x1b[2J": "numpy"},
    ),
}


@pytest.mark.parametrize(("line", "field", "value"), WRONG_FIELDS.values(), ids=WRONG_FIELDS)
def test_a_field_of_the_wrong_type_is_refused(tmp_path, line, field, value):
    path = write(tmp_path / "r.jsonl", Run(HEADER, RESULTS))
    lines = path.read_text().splitlines()
    record = json.loads(lines[line])
    record[field] = value
    if value is MISSING:
        del record[field]
    path.write_text("\n".join([*lines[:line], json.dumps(record), *lines[line + 1 :]]))
    assert f"line {line + 1}: " in refusal(BrokenResults, path)


def test_a_result_of_an_implementation_that_the_header_does_not_name_is_refused(tmp_path):
    path = write(tmp_path / "r.jsonl", Run(HEADER, [replace(RIGHT, implementation="other")]))
    assert "a result of other" in refusal(UnknownImplementation, path)


def test_the_same_check_twice_in_one_run_is_refused(tmp_path):
    path = write(tmp_path / "r.jsonl", Run(HEADER, [RIGHT, RIGHT]))
    assert "a second result of mine on a/1" in refusal(SameResultTwice, path)
