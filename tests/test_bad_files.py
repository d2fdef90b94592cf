"""Bad files, more than ten thousand: each is refused in one line, or what it says is read.

`bad_files` makes them of small good ones and says what must hold of one that was read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bad_files import mutators, oracle, seeds
from bad_files.timing import ends  # noqa: F401

from conformance import results
from conformance.cases import load_cases
from conformance.deviations import load_deviations
from conformance.errors import UserError

CASE_FILES = seeds.case_files()
RESULTS = seeds.results_file()
FLIPS = 300  # of each case file, and ten times as many of the results file
EDITS = 400
LONGEST = 5.0  # seconds of the processor for one file, on a machine that does other things

RECORD = '[[deviation]]\nimplementation = ["mine*", "a"]\ncase = "seed/*"\nverdict = "wrong"\nname = "odd"\nreason = "A reason."\nversions = ">=1,<3"\nlink = "https://a.example/1"\n'


def read_all(
    path: Path,
    contents: Iterable[bytes],
    read: Callable[[], Any],
    holds: Callable[[bytes, Any], None],
) -> tuple[int, int]:
    """How many of the contents are refused in one line, and how many read and found right."""
    refused = accepted = 0
    for content in contents:
        path.unlink(
            missing_ok=True
        )  # some file systems flush a file that is cut off and written anew
        path.write_bytes(content)
        began = time.process_time()
        try:
            found = read()
        except UserError as error:
            found, message = None, str(error)
        if found is None:
            assert oracle.is_one_line(message, path), (content[:500], message)
            refused += 1
        else:
            holds(content, found)
            accepted += 1
        assert time.process_time() - began < LONGEST, content[:500]
    return refused, accepted


def read_cases(folder: Path, contents: Iterable[bytes]) -> tuple[int, int]:
    path = folder / f"{seeds.FAMILY}.json"
    return read_all(
        path,
        contents,
        lambda: load_cases(folder),
        lambda content, found: oracle.holds_of_cases(content, path, found),
    )


def read_results(folder: Path, contents: Iterable[bytes]) -> tuple[int, int]:
    path = folder / "results.jsonl"
    return read_all(
        path,
        contents,
        lambda: results.merge([path]),
        lambda content, found: oracle.holds_of_results(content, path, found, folder / "again"),
    )


def edited_results(count: int) -> Iterator[bytes]:
    """Of the results file: some with records changed inside, some with lines moved, left out or doubled."""
    random = Random("results")
    for _ in range(count):
        line = random.randrange(len(RESULTS))
        changed = [json.dumps(record).encode() for record in RESULTS]
        kind = random.randrange(8)
        if kind == 0:
            del changed[line]
        elif kind == 1:
            changed.insert(random.randrange(len(RESULTS)), changed[line])
        elif kind == 2:
            random.shuffle(changed)
        elif kind == 3:
            changed[line] += random.choice((b" ", b"\r", b"\n", b"{}", b"\x00", b","))
        else:
            changed[line] = mutators.edited(RESULTS[line], random)
        yield b"\n".join(changed) + random.choice((b"", b"\n", b"\n", b"\r\n", b"\n\n"))


def number_of_files() -> int:
    texts = [json.dumps(document) for document in CASE_FILES.values()]
    of_cases = len(texts[0]) + len(texts) * (FLIPS + EDITS)
    of_results = len(seeds.lines(RESULTS)) + 10 * FLIPS + 10 * EDITS
    return of_cases + of_results + 2 * len(RECORD)


def test_there_are_ten_thousand_and_more():
    assert number_of_files() > 10_000


# Good files, to begin with


@pytest.mark.parametrize("kind", CASE_FILES)
def test_the_good_case_files_are_read(tmp_path, kind):
    assert read_cases(tmp_path, [json.dumps(CASE_FILES[kind]).encode()]) == (0, 1)


def test_the_good_results_are_read(tmp_path):
    assert read_results(tmp_path, [seeds.lines(RESULTS)]) == (0, 1)


# Thousands of bad ones


def test_case_files_cut_off_anywhere_are_refused(tmp_path):
    content = json.dumps(CASE_FILES["train"]).encode()
    assert read_cases(tmp_path, mutators.truncated(content)) == (len(content), 0)


@pytest.mark.parametrize("kind", CASE_FILES)
def test_case_files_with_damaged_bytes(tmp_path, kind):
    random, content = Random(f"bytes of {kind}"), json.dumps(CASE_FILES[kind]).encode()
    refused, accepted = read_cases(
        tmp_path, (mutators.flipped(content, random) for _ in range(FLIPS))
    )
    assert refused > FLIPS // 2
    assert accepted > 0


@pytest.mark.parametrize("kind", CASE_FILES)
def test_case_files_with_something_changed_in_them(tmp_path, kind):
    random = Random(f"structure of {kind}")
    edited = (mutators.edited(CASE_FILES[kind], random) for _ in range(EDITS))
    refused, accepted = read_cases(tmp_path, edited)
    assert refused > EDITS // 2
    assert accepted > EDITS // 50


def test_results_cut_off_anywhere_are_refused(tmp_path):
    content = seeds.lines(RESULTS)
    whole = len(content) - 1  # the last line may lack its end, and then nothing is missing
    after_a_run = content.index(b'"count": 2}') + len(b'"count": 2}')
    refused, accepted = read_results(tmp_path, mutators.truncated(content))
    assert accepted == len({whole, after_a_run, after_a_run + 1})
    assert refused == len(content) - accepted


def test_results_with_damaged_bytes(tmp_path):
    random, content = Random("bytes of results"), seeds.lines(RESULTS)
    count = 10 * FLIPS
    refused, accepted = read_results(
        tmp_path, (mutators.flipped(content, random) for _ in range(count))
    )
    assert refused > count // 4
    assert accepted > count // 50


def test_results_with_something_changed_in_them(tmp_path):
    count = 10 * EDITS
    refused, accepted = read_results(tmp_path, edited_results(count))
    assert refused > count // 4
    assert accepted > count // 50


def test_records_of_deviations_that_are_damaged(tmp_path):
    path, random, content = tmp_path / "record.toml", Random("record"), RECORD.encode()
    damaged = (mutators.flipped(content, random) for _ in content)

    def holds(content: bytes, found: tuple[Any, ...]) -> None:
        for one in found:
            for text in (*one.implementation, *one.case, *one.name, one.reason, one.link, str(one)):
                assert text.isprintable()
            one.applies("cpu", "2.1")

    refused, accepted = read_all(
        path, (*mutators.truncated(content), *damaged), lambda: load_deviations(path), holds
    )
    assert refused > len(RECORD)
    assert accepted > 0
