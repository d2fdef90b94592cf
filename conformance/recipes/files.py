"""The files between the stages: what trained layers hold, and what came of porting them. JSON lines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from conformance.case import NON_FINITE
from conformance.errors import UserError
from conformance.recipes.data import CHANNELS, KINDS
from conformance.recipes.definition import QUANTITIES
from conformance.recipes.layer import LAYERS, ROLES, State

TRAINED, PORTED = "trained", "ported"
_NAMED = {number: name for name, number in NON_FINITE.items() if not math.isnan(number)}


@dataclass(frozen=True)
class Trained:
    """A layer's states by kind of data, the packages it was run with, and the SHA-256 of the file."""

    layer: str
    packages: Mapping[str, str]
    states: Mapping[str, State]
    digest: str = ""


@dataclass(frozen=True)
class Port:
    """What one target came to: the largest ratio of each quantity, or the exception that it raised."""

    source: str
    data: str
    left_out: tuple[str, ...]
    ratios: Mapping[str, float] = field(default_factory=dict)
    raises: str = ""


@dataclass(frozen=True)
class Ported:
    """All that one target did. `sources`: the SHA-256 of the trained file of each."""

    layer: str
    packages: Mapping[str, str]
    sources: Mapping[str, str]
    ports: Sequence[Port]


def path_of(folder: Path, stage: str, layer: str) -> Path:
    return folder / stage / f"{layer}.jsonl"


def write_trained(folder: Path, trained: Trained) -> Path:
    head = {"kind": "header", "layer": trained.layer, "packages": trained.packages}
    return _write(
        path_of(folder, TRAINED, trained.layer),
        head,
        map(_of_state, *zip(*trained.states.items(), strict=True)),
    )


def _of_state(data: str, state: State) -> dict[str, Any]:
    arrays = {role: getattr(state, role).astype(np.float64).tolist() for role in ROLES}
    others = {"epsilon": state.epsilon, "rate": state.rate, "batches": state.batches}
    return {"kind": TRAINED, "data": data, **arrays, **others}


def write_ported(folder: Path, ported: Ported) -> Path:
    head = {
        "kind": "header",
        "layer": ported.layer,
        "packages": ported.packages,
        "sources": ported.sources,
    }
    return _write(path_of(folder, PORTED, ported.layer), head, map(_of_port, ported.ports))


def _of_port(port: Port) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": PORTED,
        "source": port.source,
        "data": port.data,
        "left_out": port.left_out,
    }
    if port.raises:
        return {**record, "raises": port.raises}
    ratios = {n: _NAMED.get(r, float(f"{r:.3g}")) for n, r in port.ratios.items()}
    return {**record, "ratios": ratios}


def _write(path: Path, head: dict[str, Any], records: Any) -> Path:
    lines = [head, *records]
    lines.append({"kind": "footer", "count": len(lines) - 1})
    text = "".join(f"{json.dumps(line, allow_nan=False)}\n" for line in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another") from None
    return path


def read_trained(folder: Path, layer: str) -> Trained:
    """Raises UserError for a file that is not what `write_trained` writes."""
    path = path_of(folder, TRAINED, layer)
    head, records = _read(path, layer, TRAINED)
    states = {}
    kinds = {kind.name: kind for kind in KINDS}
    for number, record in records:
        where = f"{path}: line {number}"
        if record.get("data") not in kinds:
            _refuse(where, f"unknown data {record.get('data')!r}")
        for role in ROLES:
            if not _are_numbers(record.get(role)) or len(record[role]) != CHANNELS:
                _refuse(where, f"{role} must be {CHANNELS} numbers")
        if not _are_numbers([record.get("epsilon"), record.get("rate")]):
            _refuse(where, "epsilon and rate must be numbers")
        if not isinstance(record.get("batches"), int | None):
            _refuse(where, "batches must be a whole number or null")
        fields: dict[str, Any] = {role: np.array(record[role]) for role in ROLES}
        fields |= {name: record[name] for name in ("epsilon", "rate", "batches")}
        state = State(**fields)
        states[record["data"]] = state.astype(kinds[record["data"]].dtype)
    return Trained(layer, head["packages"], states, hashlib.sha256(path.read_bytes()).hexdigest())


def read_ported(folder: Path, layer: str) -> Ported:
    """Raises UserError for a file that is not what `write_ported` writes."""
    path = path_of(folder, PORTED, layer)
    head, records = _read(path, layer, PORTED)
    if not _are_texts(head.get("sources")):
        _refuse(f"{path}: line 1", "sources must be SHA-256s by name")
    ports = []
    for number, record in records:
        where = f"{path}: line {number}"
        if record.get("source") not in LAYERS or not isinstance(record.get("data"), str):
            _refuse(where, "has no source that is known, or no data")
        left_out, ratios = record.get("left_out"), record.get("ratios", {})
        if not isinstance(left_out, list) or not all(isinstance(one, str) for one in left_out):
            _refuse(where, "left_out must be a list of steps")
        if not isinstance(ratios, dict) or not set(ratios) <= set(QUANTITIES):
            _refuse(where, "ratios must be numbers by the name of a quantity")
        numbers: dict[str, Any] = {
            name: NON_FINITE.get(r, r) if isinstance(r, str) else r for name, r in ratios.items()
        }
        if not _are_numbers(list(numbers.values())) or bool(numbers) == ("raises" in record):
            _refuse(where, "needs either ratios, which are numbers, or what it raises")
        ports.append(
            Port(
                record["source"],
                record["data"],
                tuple(left_out),
                numbers,
                str(record.get("raises", "")),
            )
        )
    return Ported(layer, head["packages"], head["sources"], ports)


def _read(
    path: Path, layer: str, kind: str
) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]:
    """The header, and the records between it and the footer with the numbers of their lines."""
    again = (
        f"make it again: bnconf recipes {'train' if kind == TRAINED else 'port'} --layer {layer}"
    )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        _refuse(str(path), f"cannot be read: {error.strerror}; {again}")
    except UnicodeDecodeError:
        _refuse(str(path), f"not UTF-8 text; {again}")
    records: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        due = ("header",) if number == 1 else (kind, "footer")
        if not isinstance(record, dict) or record.get("kind") not in due:
            _refuse(
                f"{path}: line {number}", f"no JSON object of the kind {' or '.join(due)}; {again}"
            )
        records.append((number, record))
    if not records or records[-1][1] != {"kind": "footer", "count": len(records) - 2}:
        _refuse(str(path), f"has no footer that counts its lines; {again}")
    head = records[0][1]
    if head.get("layer") != layer or not _are_texts(head.get("packages")):
        _refuse(f"{path}: line 1", f"not a header of {layer} with its packages; {again}")
    return head, records[1:-1]


def _are_numbers(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) in (int, float) for n in numbers)


def _are_texts(mapping: Any) -> bool:
    return isinstance(mapping, dict) and all(isinstance(text, str) for text in mapping.values())


def _refuse(where: str, what: str) -> NoReturn:
    raise UserError(f"{where}: {what}")


def present(folder: Path, stage: str) -> list[str]:
    """The layers that have a file of this stage. Raises UserError if there is none."""
    found = [layer for layer in LAYERS if path_of(folder, stage, layer).is_file()]
    if not found:
        command = "train" if stage == TRAINED else "port"
        _refuse(
            str(folder / stage),
            f"no layers (*.jsonl) here; run bnconf recipes {command} --layer NAME for each",
        )
    return found
