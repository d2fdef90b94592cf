"""Small good files to begin with: a case of each kind, and results with everything that they may hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from conformance.cases import cases_folder

FAMILY = "seed"

Case = dict[str, Any]
_KINDS: dict[str, tuple[str, Callable[[Case], bool]]] = {
    "train": (
        "tiny-batches",
        lambda case: case["operation"] == "train" and "preceded_by" not in case,
    ),
    "half": ("dtypes", lambda case: "mixed-precision" in case["flags"]),
    "undefined": ("empty", lambda case: case["operation"] == "grad"),
    "infer": ("layouts", lambda case: case["operation"] == "infer" and "memory" in case),
    "update": ("running-statistics", lambda case: len(case["batches"]) > 1),
    "grad-infer": ("gradients", lambda case: case["operation"] == "grad-infer"),
    "dense": ("dense", lambda case: len(set(case["inputs"]["w"]["shape"])) == 2),
    "layer": ("conventions", lambda case: case["operation"] == "infer"),
    "reject": ("reject", lambda case: "dtype" in case["inputs"]["x"]),
    "generated": ("typical", lambda case: "generator" in case["inputs"]["x"]),
    "staircase": (
        "large-batch",
        lambda case: case["inputs"]["x"].get("generator", {}).get("name") == "staircase",
    ),
}


@cache
def _envelope(family: str) -> str:
    return (cases_folder() / f"{family}.json").read_text(encoding="utf-8")


def case_file(kind: str) -> dict[str, Any]:
    """A case file with the smallest frozen case of a kind: the reference and two other formulas."""
    family, chosen = _KINDS[kind]
    envelope = json.loads(_envelope(family))
    case = min(filter(chosen, envelope["cases"]), key=lambda case: len(json.dumps(case)))
    case["id"] = f"{FAMILY}/{kind}"
    case["expected"] = {key: case["expected"][key] for key in list(case["expected"])[:3]}
    if "positions" in case:
        _keep_positions(case, 3)
    used = {key: envelope["formulas"][key] for key in list(case["expected"])[1:]}
    notes = {flag: envelope["notes"][flag] for flag in case["flags"]}
    changed = {"family": FAMILY, "cases": [case], "number_of_cases": 1, "formulas": used}
    return {**envelope, **changed, "notes": notes}


def _keep_positions(case: Case, count: int) -> None:
    case["positions"] = case["positions"][:count]
    for outputs in case["expected"].values():
        for name in {"y", "dx"} & set(outputs):
            outputs[name] = {field: numbers[:count] for field, numbers in outputs[name].items()}


def two_cases() -> dict[str, Any]:
    """A file of two, one of which is asked before the other."""
    envelope = case_file("train")
    (case,) = envelope["cases"]
    other = {**case, "id": f"{FAMILY}/again", "preceded_by": [case["id"]]}
    return {**envelope, "cases": [case, other], "number_of_cases": 2}


def case_files() -> dict[str, dict[str, Any]]:
    return {kind: case_file(kind) for kind in _KINDS} | {"two": two_cases()}


def results_file(digest: str = "ab" * 32) -> list[dict[str, Any]]:
    """The lines of a results file of two runs."""
    header = {
        "kind": "header",
        "suite": "0.1.0",
        "cases": digest,
        "packages": {"numpy": "2.4.6", "mine": "1.0rc1"},
        "python": "3.11.7",
        "machine": "x86_64, some processor, Linux",
        "device": "cpu",
        "driver": None,
        "implementations": {"mine.batch_norm": "mine", "numpy": "numpy"},
    }
    result = {
        "kind": "result",
        "case": f"{FAMILY}/train",
        "implementation": "mine.batch_norm",
        "verdict": "inaccurate",
        "name": "single-pass-variance",
        "ratio": 120.5,
        "outputs": {"y": {"ratio": 120.5, "ulp": 3, "abs": 0.25, "rel": "Infinity"}, "var": {}},
        "message": "E[x²] - E[x]²",
        "seconds": 0.00025,
    }
    other = {**result, "implementation": "numpy", "verdict": "conforms", "name": "accurate"}
    refused = {**result, "verdict": "wrong", "name": "raises", "message": "a\n\x1b[31mb"}
    cuda = {"device": "cuda: some card", "driver": "580.1", "implementations": {"numpy": "numpy"}}
    return [
        header,
        result,
        {**other, "ratio": None, "outputs": {}, "case": f"{FAMILY}/again"},
        {"kind": "footer", "count": 2},
        {**header, **cuda},
        {**other, "ratio": "Infinity"},
        {**refused, "implementation": "numpy", "case": f"{FAMILY}/again"},
        {"kind": "footer", "count": 2},
    ]


def lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()
