"""The record of known deviations, and what a verdict is held against: as recorded, or not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase, translate
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from conformance.errors import UserError
from conformance.files import read_text
from conformance.judge import ACCEPTABLE, CONFORMS, UNSUPPORTED, VERDICTS
from conformance.text import shown

LARGEST_RECORD = 2**22  # bytes
_LINK = re.compile(r"https://[^\s<>\"'`|]+")
_LISTS = ("implementation", "case", "name")
_FLAGS = ("borderline", "sometimes")
RECORD = Path(__file__).resolve().parent / "deviations.toml"


@dataclass(frozen=True)
class Deviation:
    """One entry. `implementation` and `case` hold globs; `versions` is of the implementation's framework.

    `name` holds more than one where the order of operations decides between them.

    `borderline`: some of its cases conform, or may on another machine, where sums run in another order.
    `sometimes`: any of its cases may conform in one run and not in the next, as memory decides that was
    never written; no run can tell that it is over, so that `versions` has to.
    """

    implementation: tuple[str, ...]
    case: tuple[str, ...]
    verdict: str
    name: tuple[str, ...]
    reason: str
    versions: str = ""
    device: str = "*"
    link: str = ""
    borderline: bool = False
    sometimes: bool = False
    number: int = 0

    def __str__(self) -> str:
        names = ", ".join(self.implementation)
        return f"deviation {self.number} ({names}; {', '.join(self.case)})"

    @cached_property
    def _cases(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, self.case)))

    def covers(self, case: str) -> bool:
        return self._cases.match(case) is not None

    def applies(self, device: str, version: str | None) -> bool:
        if not fnmatchcase(device, self.device):
            return False
        if not self.versions or version is None:
            return True
        try:
            return SpecifierSet(self.versions).contains(version, prereleases=True)
        except ValueError:  # packaging has not always taken any text for a version
            return False

    def allows(self, verdict: str, name: str) -> bool:
        if (self.borderline or self.sometimes) and verdict == CONFORMS:
            return True
        return verdict == self.verdict and name in self.name


def load_deviations(path: Path = RECORD) -> tuple[Deviation, ...]:
    """The entries of a record. Raises UserError naming the entry and the field."""
    text = read_text(path, LARGEST_RECORD, "TOML")
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    entries = content.get("deviation", [])
    if set(content) - {"deviation"} or not isinstance(entries, list):
        raise UserError(f"{path}: holds only entries [[deviation]]")
    return tuple(_entry(entry, number, path) for number, entry in enumerate(entries, 1))


def _entry(entry: Any, number: int, path: Path) -> Deviation:
    where = f"{path}: deviation {number}"
    if not isinstance(entry, dict):
        raise UserError(f"{where}: must be a table")
    known = {field.name: str(field.type) for field in fields(Deviation) if field.name != "number"}
    for name, value in entry.items():
        if name not in known:
            raise UserError(f"{where}: unknown field {shown(name)}; known: {', '.join(known)}")
        kinds = (str, list) if name in _LISTS else (bool,) if name in _FLAGS else (str,)
        if not isinstance(value, kinds):
            raise UserError(f"{where}: {name} is of the wrong type")
        if isinstance(value, str) and not value.isprintable():
            raise UserError(f"{where}: {name} must be one line of printable characters")
    for name in ("implementation", "case", "verdict", "name", "reason"):
        value = entry.get(name)
        if not value or (isinstance(value, str) and not value.strip()):
            raise UserError(f"{where}: {name} is missing")
    if entry["verdict"] not in set(VERDICTS) - {CONFORMS}:
        raise UserError(f"{where}: {shown(entry['verdict'])} is not the verdict of a deviation")
    if entry.get("link") and not _LINK.fullmatch(entry["link"]):
        raise UserError(f"{where}: link must be an https address")
    try:
        SpecifierSet(entry.get("versions", ""))
    except InvalidSpecifier as error:
        raise UserError(f"{where}: versions: {error}") from None
    if entry.get("sometimes") and not entry.get("versions"):
        raise UserError(
            f"{where}: what happens sometimes needs versions, after which it is looked at anew"
        )
    lists = {field: _texts(entry[field], f"{where}: {field}") for field in _LISTS}
    return Deviation(**{**entry, **lists, "number": number})


def _texts(value: str | list[Any], where: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(text, str) and text and text.isprintable() for text in texts):
        raise UserError(f"{where} must be a text or a list of texts, each a printable line")
    return texts


@dataclass(frozen=True)
class Record:
    """The deviations that apply on one device with the given versions of the frameworks.

    `implementations` gives the framework of each implementation that is held to the record; any
    other is an outsider's, whose conventions and policies nobody has to write down first.
    """

    deviations: Sequence[Deviation]
    implementations: Mapping[str, str]
    versions: Mapping[str, str]
    device: str
    _applying: dict[str, list[Deviation]] = field(default_factory=dict, compare=False)

    def find(self, implementation: str, case: str) -> Deviation | None:
        """The first entry that covers this implementation and case, and applies here."""
        return next(self._covering(implementation, case), None)

    def known(self, implementation: str) -> frozenset[tuple[str, str]]:
        """Verdict and name of all that is on record of an implementation, in whatever case."""
        if implementation not in self.implementations:
            return frozenset()
        applying = self._applying_to(implementation)
        return frozenset((one.verdict, name) for one in applying for name in one.name)

    def _applying_to(self, implementation: str) -> list[Deviation]:
        if implementation not in self._applying:
            version = self.versions.get(self.implementations.get(implementation, ""))
            self._applying[implementation] = [
                deviation
                for deviation in self.deviations
                if any(fnmatchcase(implementation, p) for p in deviation.implementation)
                and deviation.applies(self.device, version)
            ]
        return self._applying[implementation]

    def _covering(self, implementation: str, case: str) -> Iterator[Deviation]:
        for deviation in self._applying_to(implementation):
            if deviation.covers(case):
                yield deviation

    def entry_for(
        self, implementation: str, case: str, verdict: str, name: str
    ) -> Deviation | None:
        """The entry that records this verdict. What is not offered may be on record behind an entry
        for those that offer it."""
        covering = list(self._covering(implementation, case))
        counting = covering if verdict == UNSUPPORTED else covering[:1]
        return next((d for d in counting if d.allows(verdict, name)), None)

    def is_as_recorded(self, implementation: str, case: str, verdict: str, name: str) -> bool:
        if self.entry_for(implementation, case, verdict, name) is not None:
            return True
        if implementation in self.implementations:
            return verdict == CONFORMS and self.find(implementation, case) is None
        return verdict in ACCEPTABLE

    def expected(self, implementation: str, case: str) -> str:
        """What is on record, in words."""
        if implementation not in self.implementations:
            return "anything acceptable"
        deviation = self.find(implementation, case)
        if deviation is None:
            return CONFORMS
        return f"{deviation.verdict}, {' or '.join(deviation.name)}"


def matches_nothing(
    deviations: Iterable[Deviation], implementations: Iterable[str], cases: Iterable[str]
) -> Iterator[Deviation]:
    """Entries whose globs match no implementation of the package, or no case of the catalogue."""
    names, ids = tuple(implementations), tuple(cases)
    for deviation in deviations:
        every_name = all(
            any(fnmatchcase(name, pattern) for name in names)
            for pattern in deviation.implementation
        )
        every_glob = all(
            any(fnmatchcase(case, pattern) for case in ids) for pattern in deviation.case
        )
        if not (every_name and every_glob):
            yield deviation


def no_longer_happens(
    record: Record,
    cases: Iterable[str],
    verdicts: Mapping[tuple[str, str], tuple[str, str]],
) -> Iterator[Deviation]:
    """Borderline entries all of whose cases were run, and none showed what they record.

    (Any other entry is held to each of its cases.) What an implementation does not offer says
    nothing of an entry for something else. `verdicts` gives (verdict, name) by (implementation, case).
    """

    def offers(implementation: str, case: str) -> bool:
        return verdicts.get((implementation, case), ("",))[0] != UNSUPPORTED

    ids = tuple(cases)
    covered: dict[Deviation, list[tuple[str, str]]] = {}
    for implementation in {name for name, _ in verdicts}:
        for case in ids:
            deviation = record.find(implementation, case)
            if deviation is None or not deviation.borderline:
                continue
            if deviation.verdict == UNSUPPORTED or offers(implementation, case):
                covered.setdefault(deviation, []).append((implementation, case))
    for deviation, pairs in covered.items():
        if all(pair in verdicts for pair in pairs) and not any(
            verdicts[pair][0] == deviation.verdict and verdicts[pair][1] in deviation.name
            for pair in pairs
        ):
            yield deviation
