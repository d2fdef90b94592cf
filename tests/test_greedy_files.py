"""Files that ask for too much memory or time, and what is no file at all: refused before that."""

from __future__ import annotations

import json
import os
import socket
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_files import oracle, seeds
from bad_files.timing import ends  # noqa: F401

from conformance import cases, results
from conformance.cases import cases_digest, load_cases
from conformance.catalogue import build
from conformance.deviations import load_deviations
from conformance.errors import UserError
from conformance.fields import LARGEST_FILE
from conformance.results import UnreadableResults

CASE_FILES = seeds.case_files()
LONGEST = 20.0  # seconds of the processor for one file; to trace the memory takes most of them
MOST_MEMORY = 16 * 2**20  # bytes, and thirty for each byte of the file


def measured(folder: Path, content: bytes | str) -> tuple[str, int]:
    """How a case file is refused, and the most memory that reading it took, in bytes."""
    path = folder / f"{seeds.FAMILY}.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            load_cases(folder)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < LONGEST
    assert oracle.is_one_line(str(caught.value), path)
    return str(caught.value), most


def changed(kind: str, change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(json.dumps(CASE_FILES[kind]))
    change(document["cases"][0])
    return json.dumps(document)


def of_shape(*shape: int) -> Callable[[dict[str, Any]], object]:
    return lambda case: case["inputs"]["x"].update(shape=list(shape))


DEEP = "[" * 900 + "]" * 900
GREEDY = {
    "a huge shape": (changed("generated", of_shape(2**40, 3)), "at most"),
    "a shape of 4000 digits": (changed("generated", of_shape(10**4000, 10**4000)), "at most"),
    "a shape of a million axes": (changed("generated", of_shape(*[1] * 10**6)), "has rank"),
    "an empty shape with a huge axis": (changed("generated", of_shape(0, 2**62)), "at most"),
    "a deep list": ("[" * 10**6, "not a JSON file"),
    "a deep object": ('{"a":' * 10**6, "not a JSON file"),
    "a list that is just not too deep": (f'{{"schema": {DEEP}}}', "is missing"),
    "a flag that is just not too deep": (
        changed("train", lambda case: case["flags"].append("@")).replace('"@"', DEEP),
        "unknown flag",
    ),
    "a million empty lists": ("[" + "[]," * 10**6 + "[]]", "not a JSON object"),
    "a hundred thousand keys, and then one twice": (
        "{" + "".join(f'"{n}": 0, ' for n in range(10**5)) + '"99999": 0}',
        "'99999' stands twice",
    ),
    "an integer of a million digits": ("1" * 10**6, "not a JSON file"),
    "a fraction of a million digits": (f"0.{'1' * 10**6}", "not a JSON object"),
    "a text of a million characters for a flag": (
        changed("train", lambda case: case["flags"].append("x" * 10**6)),
        "unknown flag 'xxx",
    ),
    "a name of a million characters": (
        changed("train", lambda case: case.update({"\x1b" * 10**6: 0})),
        "unknown field '\\x1b",
    ),
    "an id of a million characters": (
        changed("train", lambda case: case.update(id=f"seed/{'x' * 10**6}")),
        "the id must",
    ),
    "two hundred thousand flags": (
        changed("train", lambda case: case.update(flags=["x"] * 2 * 10**5)),
        "unknown flag",
    ),
    "a huge batch": (
        changed("update", lambda case: case["batches"].__setitem__(0, 10**4000)),
        "add up to",
    ),
    "a huge position": (
        changed("generated", lambda case: case["positions"].__setitem__(0, 10**4000)),
        "positions",
    ),
    "a huge seed": (
        changed("generated", lambda case: case["inputs"]["x"]["generator"].update(seed=10**4000)),
        "seed is 1000",
    ),
    "powers that no 64 bits hold": (
        changed(
            "generated",
            lambda case: case["inputs"]["x"]["generator"].update(bits=31, offset=2**31, power=3),
        ),
        "above 2^53",
    ),
    "numbers that no binary64 holds": (
        changed(
            "generated",
            lambda case: (
                case.update(dtype="float64"),
                case["inputs"]["x"]["generator"].update(bits=31, exponent=1000),
            ),
        ),
        "cannot represent",
    ),
    "an integer that float64 does not have": (
        changed(
            "reject",
            lambda case: case["inputs"]["x"].update(
                dtype="int64", shape=[1, 3], values=[1, 2, 2**53 + 1]
            ),
        ),
        "int64 cannot represent",
    ),
    "an infinity in integers": (
        changed(
            "reject",
            lambda case: case["inputs"]["x"].update(shape=[1, 3], values=[1, 2, "Infinity"]),
        ),
        "int32 cannot represent",
    ),
}


@pytest.mark.parametrize(("content", "words"), GREEDY.values(), ids=GREEDY)
def test_a_greedy_file_takes_neither_memory_nor_time(tmp_path, content, words):
    message, most = measured(tmp_path, content)
    assert words in message
    assert most < MOST_MEMORY + 30 * len(content)


def test_a_file_larger_than_case_files_are_is_not_read(tmp_path):
    with open(tmp_path / f"{seeds.FAMILY}.json", "wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(UserError, match="more than the"):
        load_cases(tmp_path)
    with pytest.raises(UserError, match="more than the"):
        cases_digest(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system has no /proc")
def test_a_file_that_is_longer_than_it_says_is_not_read(tmp_path):
    with pytest.raises(UnreadableResults, match="its size changed"):
        results.read(Path("/proc/self/maps"))


def many_generated(count: int, shape: tuple[int, int]) -> str:
    document = json.loads(json.dumps(CASE_FILES["generated"]))
    (case,) = document["cases"]
    case["inputs"]["x"]["shape"] = shape
    made = document["cases"] = [{**case, "id": f"seed/{number}"} for number in range(count)]
    document["number_of_cases"] = len(made)
    return json.dumps(document)


def test_small_tensors_that_are_many_are_refused(tmp_path, monkeypatch):
    """Two hundred bytes of a file may ask for 2^16 numbers: a bound on each tensor is none on all."""
    monkeypatch.setattr(cases, "MOST_HELD", 10_000)
    monkeypatch.setattr(
        "conformance.generator.digest",
        lambda _: CASE_FILES["generated"]["cases"][0]["inputs"]["x"]["sha256"],
    )
    message, _ = measured(tmp_path, many_generated(5, (1031, 3)))
    assert "case seed/3: no more than" in message


def test_large_tensors_that_are_many_are_refused(tmp_path):
    message, most = measured(tmp_path, many_generated(100, (2**24, 3)))
    assert "case seed/5: no more than" in message
    assert most < MOST_MEMORY


# What is no file of the folder


def special(folder: Path, name: str) -> Path:
    """Something other than a file of the folder, under the name of a case file in it."""
    at = folder / "cases" / f"{seeds.FAMILY}.json"
    at.parent.mkdir()
    outside = folder / "outside.json"
    outside.write_text(json.dumps(CASE_FILES["train"]))
    targets = {
        "a link to a file elsewhere": outside,
        "a link to a device": Path("/dev/zero"),
        "a link to a secret": Path("/etc/passwd"),
        "a link to itself": at,
        "a link to nothing": folder / "nothing",
        "a link to a folder": folder,
    }
    if name in targets:
        at.symlink_to(targets[name])
    elif name == "a pipe":
        os.mkfifo(at)
    elif name == "a folder":
        at.mkdir()
    elif name == "a socket":
        with socket.socket(socket.AF_UNIX) as one:
            here = os.getcwd()
            os.chdir(at.parent)  # the whole path may be too long for a socket
            one.bind(at.name)
            os.chdir(here)
    elif name == "a link to a pipe beside it":
        os.mkfifo(at.parent / "pipe")
        at.symlink_to("pipe")
    return at


SPECIAL = {
    "a link to a file elsewhere": "is a link out of the folder",
    "a link to a device": "is a link out of the folder",
    "a link to a secret": "is a link out of the folder",
    "a link to itself": "cannot be read",
    "a link to nothing": "is a link out of the folder",
    "a link to a folder": "is a link out of the folder",
    "a link to a pipe beside it": "cannot be read: it is not a regular file",
    "a pipe": "cannot be read: it is not a regular file",
    "a folder": "cannot be read: it is not a regular file",
    "a socket": "cannot be read: it is not a regular file",
}


@pytest.mark.parametrize(("name", "words"), SPECIAL.items(), ids=SPECIAL)
@pytest.mark.parametrize("read", [load_cases, cases_digest])
def test_what_is_no_file_of_the_folder_is_refused(tmp_path, read, name, words):
    path = special(tmp_path, name)
    with pytest.raises(UserError) as caught:
        read(path.parent)
    assert str(caught.value).startswith(f"{path}: {words}")
    with pytest.raises(UserError):
        results.read(path)
    with pytest.raises(UserError):
        load_deviations(path)


def test_a_link_to_the_folder_and_one_within_it_are_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "hidden").write_text(json.dumps(CASE_FILES["train"]))
    (tmp_path / "there" / f"{seeds.FAMILY}.json").symlink_to("hidden")
    (tmp_path / "here").symlink_to("there")
    assert list(load_cases(tmp_path / "here")) == ["seed/train"]


def test_bad_files_are_not_certified(tmp_path):
    """`bnconf cases verify` refuses as all others do, before the schema is looked at."""
    path = special(tmp_path, "a file")
    path.write_text("{")
    schema = path.with_name("schema.json")
    for text, words in (
        ("{}", "seed.json: not a JSON file"),
        ("[", "schema.json: not a JSON file"),
    ):
        schema.write_text(text)
        with pytest.raises(UserError, match=words):
            list(build.verify(path.parent))
    schema.unlink()
    with pytest.raises(UserError, match=r"schema\.json: cannot be read"):
        list(build.verify(path.parent))
