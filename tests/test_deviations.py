"""The record of deviations: loaded, applied to verdicts, and found stale."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from conformance.cases import cases_folder, load_cases
from conformance.deviations import (
    Deviation,
    Record,
    load_deviations,
    matches_nothing,
    no_longer_happens,
)
from conformance.errors import UserError
from conformance.implementations import registry

ENTRY = """
[[deviation]]
implementation = "mine"
case = "a/*"
verdict = "wrong"
name = "odd"
reason = "Whoever divides by it."
"""


def load(folder: Path, text: str) -> tuple[Deviation, ...]:
    path = folder / "record.toml"
    path.write_text(text, encoding="utf-8")
    return load_deviations(path)


def deviation(implementation="mine", case="a/*", verdict="wrong", name="odd", **others):
    return Deviation((implementation,), (case,), verdict, (name,), "A reason.", **others)


def record(*deviations, versions=None, device="cpu") -> Record:
    """One that holds `mine` and `yours`, of the framework `frame`, to the deviations."""
    implementations = {"mine": "frame", "yours": "frame"}
    return Record(deviations, implementations, versions or {"frame": "2.1"}, device)


# Loading


def test_an_entry_is_loaded_with_its_defaults(tmp_path):
    assert load(tmp_path, ENTRY) == (
        Deviation(("mine",), ("a/*",), "wrong", ("odd",), "Whoever divides by it.", number=1),
    )


def test_case_and_name_may_be_lists(tmp_path):
    text = ENTRY.replace('"a/*"', '["a/*", "b/1"]').replace('"odd"', '["odd", "nan"]')
    (entry,) = load(tmp_path, text)
    assert (entry.case, entry.name) == (("a/*", "b/1"), ("odd", "nan"))


def test_entries_are_numbered_and_say_what_they_are_about(tmp_path):
    entries = load(tmp_path, ENTRY + ENTRY)
    assert [str(entry) for entry in entries] == [
        "deviation 1 (mine; a/*)",
        "deviation 2 (mine; a/*)",
    ]


def test_an_empty_record_holds_nothing(tmp_path):
    assert load(tmp_path, "") == ()


BROKEN = {
    "not TOML": ("deviation", "not TOML"),
    "not TOML of two lines": ("a = '''\n", "not TOML"),
    "nested too deeply": ("a = " + "[" * 100_000, "not TOML"),
    "key twice": (ENTRY + 'name = "even"', "not TOML"),
    "another table": ("[other]\n", "holds only entries [[deviation]]"),
    "one table": (ENTRY.replace("[[deviation]]", "[deviation]"), "holds only entries"),
    "a list of numbers": ("deviation = [1]", "deviation 1: must be a table"),
    "unknown field": (ENTRY + "note = 1", "deviation 1: unknown field 'note'"),
    "number is no field": (ENTRY + "number = 7", "deviation 1: unknown field 'number'"),
    "unknown field of two lines": (ENTRY + '"a\\nb" = 1', "deviation 1: unknown field 'a\\nb'"),
    "second entry": (ENTRY + ENTRY + "note = 1", "deviation 2: unknown field 'note'"),
    "verdict conforms": (ENTRY.replace("wrong", "conforms"), "deviation 1: 'conforms' is not"),
    "unknown verdict": (ENTRY.replace("wrong", "worse"), "deviation 1: 'worse' is not"),
    "bad versions": (ENTRY + 'versions = "2.x"', "deviation 1: versions: "),
    "versions a number": (ENTRY + "versions = 2.0", "deviation 1: versions is of the wrong type"),
    "device a list": (ENTRY + 'device = ["cpu"]', "deviation 1: device is of the wrong type"),
    "borderline a text": (ENTRY + 'borderline = "yes"', "deviation 1: borderline is of the wrong"),
    "sometimes a text": (ENTRY + 'sometimes = "yes"', "deviation 1: sometimes is of the wrong"),
    "sometimes for ever": (ENTRY + "sometimes = true", "deviation 1: what happens sometimes needs"),
    "link a number": (ENTRY + "link = 1", "deviation 1: link is of the wrong type"),
    "case a number": (ENTRY.replace('"a/*"', "1"), "deviation 1: case is of the wrong type"),
    "case of numbers": (ENTRY.replace('"a/*"', "[1]"), "deviation 1: case must be a text"),
    "name of empty texts": (ENTRY.replace('"odd"', '["odd", ""]'), "deviation 1: name must be"),
    "no case in the list": (ENTRY.replace('"a/*"', "[]"), "deviation 1: case is missing"),
    "empty reason": (ENTRY.replace("Whoever divides by it.", ""), "deviation 1: reason is missing"),
    "blank reason": (ENTRY.replace("Whoever divides by it.", " "), "deviation 1: reason"),
    **{
        f"no {field}": (
            "\n".join(line for line in ENTRY.splitlines() if not line.startswith(field)),
            f"deviation 1: {field} is missing",
        )
        for field in ("implementation", "case", "verdict", "name", "reason")
    },
}


@pytest.mark.parametrize(("text", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_record_is_refused_in_one_line(tmp_path, text, words):
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'record.toml'}: {words}")
    assert "\n" not in message


def test_a_record_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_deviations(tmp_path / "missing.toml")
    with pytest.raises(UserError, match="cannot be read"):
        load_deviations(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(UserError, match="not TOML"):
        load_deviations(tmp_path / "latin.toml")


# What a verdict is held against


def test_without_an_entry_only_conforming_is_as_recorded():
    empty = record()
    assert empty.is_as_recorded("mine", "a/1", "conforms", "stable")
    for verdict in ("convention", "policy", "unsupported", "inaccurate", "wrong", "crashed"):
        assert not empty.is_as_recorded("mine", "a/1", verdict, verdict)
    assert empty.expected("mine", "a/1") == "conforms"


def test_with_an_entry_only_its_verdict_and_one_of_its_names_are_as_recorded():
    entry = Deviation(("mine",), ("a/*",), "policy", ("nan", "beta"), "A reason.")
    held = record(entry)
    assert held.is_as_recorded("mine", "a/1", "policy", "nan")
    assert held.is_as_recorded("mine", "a/1", "policy", "beta")
    assert not held.is_as_recorded("mine", "a/1", "policy", "raises")
    assert not held.is_as_recorded("mine", "a/1", "wrong", "nan")
    assert not held.is_as_recorded("mine", "a/1", "conforms", "accurate")
    assert held.is_as_recorded("yours", "a/1", "conforms", "accurate")
    assert held.is_as_recorded("mine", "b/1", "conforms", "accurate")
    assert held.expected("mine", "a/1") == "policy, nan or beta"


def test_the_first_entry_that_covers_a_case_counts():
    first, second = deviation(case="a/1", name="first"), deviation(name="second")
    held = record(first, second)
    assert held.find("mine", "a/1") is first
    assert held.find("mine", "a/2") is second
    assert not held.is_as_recorded("mine", "a/1", "wrong", "second")
    assert held.find("mine", "b/1") is None
    assert held.find("yours", "a/1") is None


def test_globs_match_implementations_and_cases():
    held = record(deviation(implementation="*s", case="*/1"))
    assert held.find("yours", "b/1") is not None
    assert held.find("mine", "b/1") is None
    assert held.find("yours", "b/2") is None


@pytest.mark.parametrize(
    ("versions", "installed", "applies"),
    [
        ("", "2.1", True),
        (">=2", "2.1", True),
        (">=2", "1.9", False),
        (">=2,<2.1", "2.1", False),
        ("==2.1.*", "2.1.0+cpu", True),
        (">=2", "2.1.0.dev20260101+cu128", True),
        (">=2", "2.2rc1", True),
        (">=2", "not a version", False),
    ],
)
def test_versions_restrict_an_entry(versions, installed, applies):
    held = record(deviation(versions=versions), versions={"frame": installed})
    assert (held.find("mine", "a/1") is not None) == applies


def test_an_entry_with_versions_applies_where_no_version_is_known():
    held = record(deviation(versions=">=2"), versions={"other": "1"})
    assert held.find("mine", "a/1") is not None


def test_an_entry_that_does_not_apply_leaves_the_next_one():
    old, new = deviation(versions="<2", name="old"), deviation(name="new")
    assert record(old, new).find("mine", "a/1") is new
    assert record(old, new, versions={"frame": "1.9"}).find("mine", "a/1") is old


@pytest.mark.parametrize(("of_entry", "applies"), [("*", True), ("cpu", True), ("cuda", False)])
def test_the_device_restricts_an_entry(of_entry, applies):
    held = record(deviation(device=of_entry))
    assert (held.find("mine", "a/1") is not None) == applies


def test_a_borderline_entry_lets_its_cases_conform():
    held = record(deviation(borderline=True))
    assert held.is_as_recorded("mine", "a/1", "wrong", "odd")
    assert held.is_as_recorded("mine", "a/1", "conforms", "stable")
    assert not held.is_as_recorded("mine", "a/1", "wrong", "unexplained")
    assert not held.is_as_recorded("mine", "a/1", "policy", "odd")


def test_what_happens_sometimes_may_not_happen_at_all():
    entry = deviation(sometimes=True, versions="==2.*")
    held = record(entry, versions={"frame": "2.0"})
    assert held.is_as_recorded("mine", "a/1", "wrong", "odd")
    assert held.is_as_recorded("mine", "a/1", "conforms", "stable")
    assert not held.is_as_recorded("mine", "a/1", "policy", "odd")
    found = dict.fromkeys((("mine", "a/1"), ("mine", "a/2")), ("conforms", "stable"))
    assert list(no_longer_happens(held, CASES, found)) == []
    newer = record(entry, versions={"frame": "3.0"})
    assert not newer.is_as_recorded("mine", "a/1", "wrong", "odd")


def test_an_outsider_is_as_recorded_with_anything_acceptable():
    held = record()
    for verdict in ("conforms", "convention", "policy", "unsupported"):
        assert held.is_as_recorded("outsider", "a/1", verdict, verdict)
    for verdict in ("inaccurate", "wrong", "crashed", "timeout"):
        assert not held.is_as_recorded("outsider", "a/1", verdict, verdict)
    assert held.expected("outsider", "a/1") == "anything acceptable"


# Stale entries


def test_an_entry_whose_globs_match_nothing_is_found():
    fine = deviation()
    unknown_name = deviation(implementation="theirs")
    unknown_case = deviation(case="b/*")
    one_glob_of_two = Deviation(("mine",), ("a/1", "a/3"), "wrong", ("odd",), "A reason.")
    entries = (fine, unknown_name, unknown_case, one_glob_of_two)
    stale = list(matches_nothing(entries, ["mine", "yours"], ["a/1", "a/2"]))
    assert stale == [unknown_name, unknown_case, one_glob_of_two]


CASES = ("a/1", "a/2", "b/1")


def stale(entry: Deviation, verdicts: dict[str, str]) -> bool:
    """Whether the entry no longer happens, by the verdicts of `mine` on cases; all named odd."""
    found = {("mine", case): (verdict, "odd") for case, verdict in verdicts.items()}
    return list(no_longer_happens(record(entry), CASES, found)) == [entry]


def test_a_borderline_entry_none_of_whose_cases_shows_it_no_longer_happens():
    entry = deviation(borderline=True)
    assert stale(entry, {"a/1": "conforms", "a/2": "conforms"})
    assert stale(entry, {"a/1": "conforms", "a/2": "policy", "b/1": "wrong"})
    assert not stale(entry, {"a/1": "conforms", "a/2": "wrong"})


def test_a_borderline_entry_is_left_alone_until_all_its_cases_were_run():
    assert not stale(deviation(borderline=True), {"a/1": "conforms", "b/1": "conforms"})
    assert not stale(deviation(borderline=True), {})


def test_an_entry_that_is_not_borderline_is_held_to_each_case_instead():
    assert not stale(deviation(), {"a/1": "conforms", "a/2": "conforms"})


def test_a_borderline_entry_that_happens_to_one_implementation_of_its_glob_is_not_stale():
    entry = deviation(implementation="*", case="a/1", borderline=True)
    found = {("mine", "a/1"): ("conforms", "accurate"), ("yours", "a/1"): ("wrong", "odd")}
    assert list(no_longer_happens(record(entry), CASES, found)) == []
    found["yours", "a/1"] = ("conforms", "accurate")
    assert list(no_longer_happens(record(entry), CASES, found)) == [entry]


# The record of this package


def test_the_record_says_why_and_matches_something():
    entries = load_deviations()
    cases = load_cases(cases_folder())
    assert entries
    assert list(matches_nothing(entries, registry.built_in(), cases)) == []
    for entry in entries:
        assert len(entry.reason.split()) >= 5, str(entry)
        assert not entry.link or entry.link.startswith("https://"), str(entry)


def test_no_entry_of_the_record_is_hidden_behind_others():
    entries = load_deviations()
    cases = load_cases(cases_folder())
    for index, entry in enumerate(entries):
        pairs = {
            (name, case)
            for name in registry.built_in()
            for case in cases
            if any(fnmatchcase(name, glob) for glob in entry.implementation)
            and any(fnmatchcase(case, glob) for glob in entry.case)
        }
        for other in entries[:index]:
            if other.versions in ("", entry.versions) and other.device in ("*", entry.device):
                pairs -= {
                    (name, case)
                    for name, case in pairs
                    if any(fnmatchcase(name, glob) for glob in other.implementation)
                    and any(fnmatchcase(case, glob) for glob in other.case)
                }
        assert pairs, str(entry)
