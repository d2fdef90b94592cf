"""Results of runs: JSON lines of one header, a result per case and implementation, and a footer."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.errors import UserError
from conformance.fields import decode
from conformance.files import read_text
from conformance.judge import VERDICTS, Judgement
from conformance.operations import OPERATIONS
from conformance.text import shown

LARGEST_FILE = 2**27  # bytes; all that is in reports/ takes an eighth of it
LONGEST_LINE = 2**20  # characters


class UnreadableResults(UserError):
    """It is no file, is larger than results are, or holds no text."""


class BrokenResults(UserError):
    """A line is not what the format says."""


class MissingHeader(UserError):
    """A result or a footer stands where no header came before it."""


class MissingFooter(UserError):
    """The file ends before its footer: the run was interrupted, or the file is truncated."""


class WrongCount(UserError):
    """The footer counts other results than the file holds."""


class UnknownImplementation(UserError):
    """A result is of an implementation that its header does not name."""


class SameResultTwice(UserError):
    """A run holds two results of the same implementation on the same case."""


class DifferentCases(UserError):
    """The files were made from different cases."""


class SameImplementationTwice(UserError):
    """Two files hold the same implementation on the same device."""


@dataclass(frozen=True)
class Header:
    """Where a run took place. `cases` is the SHA-256 of the case files."""

    suite: str
    cases: str
    packages: Mapping[str, str]
    python: str
    machine: str
    device: str
    driver: str | None
    implementations: Mapping[str, str]
    """The framework of each implementation that was run."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for, as the options of `bnconf run`; what is not there had its default."""


@dataclass(frozen=True)
class Result:
    """The verdict on one implementation's answer to one case."""

    case: str
    implementation: str
    verdict: str
    name: str
    ratio: float | None = None
    outputs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    message: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, case: str, implementation: str, judged: Judgement, seconds: float) -> Result:
        return cls(case=case, implementation=implementation, seconds=seconds, **vars(judged))


@dataclass(frozen=True)
class Run:
    """One results file's worth: a header and the results under it."""

    header: Header
    results: Sequence[Result]


def to_line(kind: str, record: Any) -> str:
    fields = record if isinstance(record, dict) else vars(record)
    return json.dumps({"kind": kind, **_named(fields)}, allow_nan=False)


def write(path: Path, runs: Iterable[Run]) -> None:
    """Write runs one after another, each with its footer, in place of what was there.

    Raises UserError where that is not possible.
    """
    lines = []
    for run in runs:
        lines.append(to_line("header", run.header))
        lines += [to_line("result", result) for result in run.results]
        lines.append(to_line("footer", {"count": len(run.results)}))
    text = "\n".join(lines) + "\n"
    place = path.resolve()
    new = place.with_name(place.name + ".new")
    try:
        if place.is_file() or not place.exists():
            new.write_text(text, encoding="utf-8")
            new.replace(place)
        else:
            place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


class Growing:
    """The results file of a run that goes on: its header, and results in the order in which they come.

    It has no footer: `write` takes its place when all is done. Raises UserError where it cannot be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
            self._file.write(to_line("header", header) + "\n")
        except OSError as error:
            raise _unwritable(path, error) from None

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        try:
            self._file.write(to_line("result", result) + "\n")
        except OSError as error:
            raise _unwritable(self._path, error) from None


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"--out {path}: cannot be written: {error.strerror}; name another file")


def read_unfinished(path: Path) -> Run:
    """The one run of a file that may lack its footer, and the end of its last line.

    Raises UserError as `read` does for all else.
    """
    lines = _lines(path)
    if not lines or not lines[0]:
        raise BrokenResults(f"{path}: holds nothing to go on with; make the run anew")
    if not _is_whole(lines[-1]):
        del lines[-1]
    if not lines:
        raise BrokenResults(f"{path}: line 1: not a whole header; make the run anew")
    *_, last = lines
    if '"kind": "footer"' not in last:
        lines.append(to_line("footer", {"count": len(lines) - 1}))
    runs = _runs(lines, path)
    if len(runs) != 1:
        raise BrokenResults(f"{path}: holds {len(runs)} runs, of which none can be gone on with")
    return runs[0]


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def read(path: Path) -> list[Run]:
    """The runs of a file. Raises UserError of the kind that says what is wrong with it."""
    return _runs(_lines(path), path)


def _lines(path: Path) -> list[str]:
    lines = read_text(path, LARGEST_FILE, "a results file", UnreadableResults).split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _runs(lines: Sequence[str], path: Path) -> list[Run]:
    runs: list[Run] = []
    header: Header | None = None
    results: list[Result] = []
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, 1):
        where = f"{path}: line {number}"
        kind, fields = _parse(line, where)
        if kind == "header" and header is None:
            header, results, seen = _header(fields, where), [], set()
        elif kind == "result" and header is not None:
            result = parse_result(fields, where)
            check = (result.implementation, result.case)
            if result.implementation not in header.implementations:
                raise UnknownImplementation(
                    f"{where}: a result of {result.implementation}, which the header does not "
                    "name; make the run again"
                )
            if check in seen:
                raise SameResultTwice(
                    f"{where}: a second result of {' on '.join(check)}; make the run again"
                )
            seen.add(check)
            results.append(result)
        elif kind == "footer" and header is not None:
            if list(fields) != ["count"]:
                raise BrokenResults(f"{where}: a footer has a count and nothing else")
            if type(fields["count"]) is not int or fields["count"] != len(results):
                raise WrongCount(
                    f"{where}: the footer counts {shown(fields['count'])} results, "
                    f"the file holds {len(results)}; make the run again"
                )
            runs.append(Run(header, results))
            header = None
        elif kind == "header":
            raise MissingFooter(f"{where}: a header before the footer of the run above it")
        else:
            raise MissingHeader(f"{where}: a {kind} where a header is due; make the run again")
    if header is not None or not runs:
        raise MissingFooter(f"{path}: no footer: the run was not completed; make it again")
    return runs


def merge(paths: Sequence[Path]) -> list[Run]:
    """The runs of several files, in the order of device and implementation.

    Raises DifferentCases and SameImplementationTwice, and what `read` raises.
    """
    placed = [(path, run) for path in paths for run in read(path)]
    seen: dict[tuple[str, str], Path] = {}
    for path, run in placed:
        if run.header.cases != placed[0][1].header.cases:
            raise DifferentCases(
                f"{path}: was run on other cases than {placed[0][0]}; run both on the same"
            )
        for name in run.header.implementations:
            key = (name, run.header.device)
            if key in seen:
                raise SameImplementationTwice(
                    f"{path}: holds {name} on {key[1]}, and so does {seen[key]}; leave one out"
                )
            seen[key] = path
    return sorted(
        (run for _, run in placed),
        key=lambda run: (run.header.device, sorted(run.header.implementations)),
    )


def _parse(line: str, where: str) -> tuple[str, dict[str, Any]]:
    if len(line) > LONGEST_LINE:
        raise BrokenResults(f"{where}: longer than any result; make the run again")
    try:
        record = decode(line)
    except (ValueError, RecursionError) as error:
        raise BrokenResults(
            f"{where}: not JSON: {error}; the file is damaged, make the run again"
        ) from None
    if not isinstance(record, dict) or record.get("kind") not in ("header", "result", "footer"):
        raise BrokenResults(f"{where}: neither a header, a result nor a footer")
    return record.pop("kind"), record


def _record(cls: Any, fields: dict[str, Any], where: str) -> Any:
    try:
        return cls(**fields)
    except TypeError as error:
        text = str(error).partition("__init__() ")[2]
        raise BrokenResults(f"{where}: {cls.__name__.lower()} {text}") from None


def _header(fields: dict[str, Any], where: str) -> Header:
    header: Header = _record(Header, fields, where)
    texts: list[Any] = [header.suite, header.cases, header.python, header.machine, header.device]
    texts += [] if header.driver is None else [header.driver]
    for mapping in (header.packages, header.implementations):
        texts += [*mapping, *mapping.values()] if isinstance(mapping, dict) else [None]
    if not all(map(_is_name, texts)) or not _is_request(header.request):
        raise BrokenResults(
            f"{where}: a field of the header is of the wrong type, or not a printable line"
        )
    return header


def _is_request(request: Any) -> bool:
    kinds: dict[str, Any] = {"impl": list, "case": list, "timeout": (int, float)}
    if not isinstance(request, dict):
        return False
    texts = [
        text
        for value in request.values()
        for text in (value if isinstance(value, list) else [value])
        if not isinstance(text, int | float) or isinstance(value, list)
    ]
    return all(map(_is_name, texts)) and all(
        isinstance(value, kinds.get(name, str)) for name, value in request.items()
    )


def _is_name(item: Any) -> bool:
    return isinstance(item, str) and item.isprintable()


def parse_result(fields: dict[str, Any], where: str) -> Result:
    """A result from its parsed line, without the kind. Raises BrokenResults.

    Its message may be any text at all: it was written by the implementation, or by its framework.
    """
    if fields.get("ratio") is not None:
        fields["ratio"] = _number(fields["ratio"], where)
    if "outputs" in fields:
        fields["outputs"] = _errors(fields["outputs"], where)
    if "seconds" in fields:
        fields["seconds"] = _number(fields["seconds"], where)
    result: Result = _record(Result, fields, where)
    if result.verdict not in VERDICTS:
        raise BrokenResults(f"{where}: unknown verdict {shown(result.verdict)}")
    names = (result.case, result.implementation, result.name)
    if not all(map(_is_name, names)) or not isinstance(result.message, str):
        raise BrokenResults(
            f"{where}: case, implementation, name or message is no text, or not a printable line"
        )
    return result


def _errors(outputs: Any, where: str) -> dict[str, dict[str, float]]:
    known = isinstance(outputs, dict) and all(
        name in _OUTPUTS and isinstance(errors, dict) and errors.keys() <= _ERRORS
        for name, errors in outputs.items()
    )
    if not known:
        raise BrokenResults(
            f"{where}: outputs must hold {', '.join(sorted(_ERRORS))} of {', '.join(_OUTPUTS)}"
        )
    return {
        name: {error: _number(number, where) for error, number in errors.items()}
        for name, errors in outputs.items()
    }


def _number(item: Any, where: str) -> float:
    if item == "Infinity":
        return math.inf
    if type(item) not in (int, float) or not 0 <= item <= sys.float_info.max:
        raise BrokenResults(f"{where}: ratio, outputs or seconds is no number from 0 up")
    return float(item)


_OUTPUTS = tuple(dict.fromkeys(name for o in OPERATIONS.values() for name in o.outputs))
_ERRORS = frozenset({"ratio", "ulp", "abs", "rel"})
_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}


def _named(item: Any) -> Any:
    """JSON has no infinity: it is written by name. Errors and seconds need no more than six digits."""
    if isinstance(item, dict):
        return {key: _named(value) for key, value in item.items()}
    return _NAMES.get(item, float(f"{item:.6g}")) if isinstance(item, float) else item
