"""What a run prints at its end."""

from dataclasses import replace

import pytest

from conformance import summary
from conformance.deviations import Record
from conformance.results import Header, Result, Run
from conformance.run import Outcome

HEADER = Header("0", "0" * 64, {}, "3.11", "here", "cpu", None, {"mine": "numpy"})


def outcome(results, implementations=("mine",), **changes):
    header = replace(HEADER, implementations={name: name[:4] for name in implementations})
    return Outcome(
        run=Run(header, results),
        specs={name: f"{name}.py:X" for name in implementations},
        repeat_options="",
        record=Record((), {}, {}, "cpu"),
        **{"stale": (), "left_out": (), "complete": True, **changes},
    )


def wrong(case, implementation="mine", name="odd"):
    return Result(case, implementation, "wrong", name, ratio=5.0)


@pytest.mark.parametrize("count", [0, 1, 8])
def test_few_failures_are_a_line_each_and_no_more(count):
    lines = summary.of(outcome([wrong(f"a/{i}") for i in range(count)]), None).splitlines()
    assert sum(line.startswith("FAIL ") for line in lines) == count
    assert len(lines) == count + 2
    assert lines[-1].startswith(f"{count} checks: ")


def test_many_failures_are_told_again_by_kind_at_the_end():
    results = [wrong(f"a/{i}", name="often") for i in range(30)] + [wrong("a/x", name="once")]
    text = summary.of(outcome(results), None)
    screen = text.splitlines()[-24:]
    assert text.count("FAIL ") == 31
    assert screen[-5:-1] == [
        "not as recorded:",
        "  30 on mine: wrong, often",
        "  1 on mine: wrong, once",
        "mine  31 wrong",
    ]


def test_the_end_fits_on_a_screen_whatever_was_run():
    names = [f"{framework}{i}" for framework in ("abcd", "efgh") for i in range(25)]
    results = [wrong("a/1", name, f"kind{i}") for i, name in enumerate(names)]
    made = outcome(results, names, left_out=tuple(f"{i}: not installed" for i in range(20)))
    lines = summary.of(made, None).splitlines()
    end = lines[lines.index("") + 1 :]
    assert len(end) <= 24
    assert "  and 42 more kinds" in end
    assert "and 17 more" in end
    assert end[-3:] == ["abcd  25 wrong", "efgh  25 wrong", "50 checks: 50 not as recorded"]


def test_an_interrupted_run_says_how_to_go_on(tmp_path):
    made = outcome([wrong("a/1")], complete=False)
    last = summary.of(made, tmp_path / "r.jsonl").splitlines()[-1]
    assert last == (
        f"interrupted: 1 results kept; bnconf run --resume {tmp_path}/r.jsonl finishes the rest"
    )
    assert summary.of(made, None).splitlines()[-1] == "interrupted: 1 results kept"
