"""What a bad file says reaches neither the terminal nor the report as it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest
from bad_files import mutators, seeds
from bad_files.timing import ends  # noqa: F401

from conformance.cases import cases_digest
from conformance.cli import main

CASE_FILES = seeds.case_files()
EDITS = 400


def place(folder: Path) -> Path:
    """A folder of good cases."""
    (folder / "cases").mkdir()
    (folder / "cases" / f"{seeds.FAMILY}.json").write_text(json.dumps(seeds.two_cases()))
    return folder / "cases"


def statuses(
    capsys: pytest.CaptureFixture[str],
    path: Path,
    contents: Iterable[bytes],
    *calls: tuple[str, ...],
) -> set[int]:
    """The exit statuses of the calls on files of these contents; what they print is held to be printable."""
    found = set()
    for content in contents:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        for call in calls:
            status = main(call)
            out, err = capsys.readouterr()
            assert all(line.isprintable() for line in (out + err).split("\n"))
            if status == 2:
                assert err.count("\n") == 1
                assert err.startswith(f"bnconf: {path}: ")
                assert not out
            else:
                assert not err
            found.add(status)
    return found


def test_bad_cases_on_the_command_line(tmp_path, capsys):
    folder, random = place(tmp_path), Random("command line")
    kinds = list(CASE_FILES)
    edited = (
        mutators.edited(CASE_FILES[kinds[number % len(kinds)]], random) for number in range(EDITS)
    )
    path = folder / f"{seeds.FAMILY}.json"
    calls = [("cases", command, "--cases", str(folder)) for command in ("list", "show")]
    assert statuses(capsys, path, edited, *calls) == {0, 2}


def is_unescaped(report: str) -> list[str]:
    """Lines of a Markdown report in which something could act, or break out of its place."""
    found, columns = [], 0
    for line in report.split("\n"):
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        text = re.sub(
            r"<https://[^<>\s]+>", "", re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        )
        links = re.findall(r"(?<!\\)\]\(([^)]*)\)", text)
        columns = (columns or cells) if cells else 0
        if (
            not line.isprintable()
            or re.search(r"<(?!https://)", text)
            or cells != columns
            or any(not re.fullmatch(r"#[\w-]+|[\w./-]+\.md", link) for link in links)
        ):
            found.append(line)
    return found


def test_bad_results_on_the_command_line(tmp_path, capsys):
    folder, path, out = place(tmp_path), tmp_path / "results.jsonl", tmp_path / "report.md"
    (tmp_path / "record.toml").write_text("")
    digest, random = cases_digest(folder), Random("report")
    good = seeds.results_file(digest)

    def edited() -> Iterator[bytes]:
        for _ in range(EDITS):
            at = random.choice((0, 0, 0, 1, 2, 4, 5))
            yield b"\n".join(
                mutators.edited(record, random) if number == at else json.dumps(record).encode()
                for number, record in enumerate(good)
            )

    merge = ("merge", str(path), "--out", str(tmp_path / "merged.jsonl"))
    report = ("report", str(path), "--cases", str(folder), "--out", str(out))
    report += ("--deviations", str(tmp_path / "record.toml"))
    seen = 0
    for number, content in enumerate(edited()):
        out.unlink(missing_ok=True)
        calls = (merge, report) if number % 4 == 0 else (merge,)
        assert statuses(capsys, path, [content], *calls) <= {0, 2}
        if out.exists():
            assert not is_unescaped(out.read_text())
            seen += 1
    assert seen > EDITS // 20


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b",
    "a\\| b",
    "[x](javascript:alert(1))",
    "`a` <b> ``c``",
    "](javascript:alert(1)) [",
    "x; rm -rf ~",
    "# a",
    "&lt;",
    "*a* _b_ ~~c~~",
    "\\",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_do_not_reach_the_report_as_they_are(tmp_path, text):
    """In every field of a header and a result that may hold any printable text."""
    folder, path, out = place(tmp_path), tmp_path / "results.jsonl", tmp_path / "report.md"
    (tmp_path / "record.toml").write_text("")
    records = seeds.results_file(cases_digest(folder))[:4]
    header = records[0]
    header.update(dict.fromkeys(("suite", "python", "machine", "device", "driver"), text))
    header.update(packages={text: text}, implementations={text: text, "numpy": text})
    records[1].update(implementation=text, name=text, message=text)
    path.write_bytes(seeds.lines(records))
    report = ("report", str(path), "--cases", str(folder), "--out", str(out))
    assert main([*report, "--deviations", str(tmp_path / "record.toml")]) == 0
    made = out.read_text()
    assert is_unescaped(made) == []
    repeats = re.findall(r"To repeat: (`+) ?(bnconf run --impl .*?) ?\1\.\n", made)
    assert text in [shlex.split(command, comments=True)[3] for _, command in repeats]


def test_the_check_of_the_report_sees_what_is_not_escaped():
    """Nothing, in the report of this repository; and each hostile text, where it stands as it is."""
    assert (
        is_unescaped("| a | b |\n| --- | --- |\n| [c](#1-c) | `<d>` <https://a.example/> |") == []
    )
    bad = ("<script>", "| a |", "[x](javascript:alert(1))", "\x1b[2J", "a\u202eb", "| a | b | c |")
    for text in bad:
        assert is_unescaped(f"| a | b |\n| --- | --- |\n{text}\n") == [text]


def test_the_program_itself_refuses_in_one_line(tmp_path):
    """In processes of their own: nothing hangs that no signal of this one would end."""
    folder = place(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bad.jsonl").write_bytes(b'{"kind": "\x1b[2J\xe2\x80\xae"}')
    (folder / "link.json").symlink_to("/dev/zero")
    calls = (
        ["cases", "list", "--cases", str(folder)],
        ["merge", str(tmp_path / "pipe"), "--out", str(tmp_path / "out")],
        ["merge", str(tmp_path / "bad.jsonl"), "--out", str(tmp_path / "out")],
        ["report", "/dev/zero", "--out", str(tmp_path / "out")],
    )
    for call in calls:
        done = subprocess.run(
            [sys.executable, "-m", "conformance", *call],
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.removesuffix("\n").isprintable()
        assert not (tmp_path / "out").exists()
