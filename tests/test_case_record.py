"""What a case may not say, though each of its fields is well formed: others rely on it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from bad_files import seeds

from conformance.cases import load_cases
from conformance.errors import UserError

CASE_FILES = seeds.case_files()

Change = Callable[[dict[str, Any]], object]


def x(case: dict[str, Any]) -> dict[str, Any]:
    return case["inputs"]["x"]


def at_position(case: dict[str, Any], beyond: int) -> int:
    """One number is checked of y, and it is the last, or one beyond it. How many y has."""
    size = x(case)["shape"][0] * case["inputs"]["w"]["shape"][1]
    case["positions"] = [size - 1 + beyond]
    for outputs in case["expected"].values():
        outputs["y"] = {field: numbers[-1:] for field, numbers in outputs["y"].items()}
    return size


def layer_of_rank_3(case: dict[str, Any]) -> None:
    x(case)["shape"].append(1)
    case.update(layer="training", layout="NCL")


def integers(case: dict[str, Any]) -> None:
    x(case).update(dtype="int32", values=list(range(len(x(case)["values"]))))


# kind of the seed, what is changed in it, words of the message
REFUSED: dict[str, tuple[str, Change, str]] = {
    # Attributes of other operations
    "a train with batches": ("train", lambda c: c.update(batches=[2]), "batches is nothing that"),
    "a train with rates": ("train", lambda c: c.update(rates=[0.1]), "rates is nothing that"),
    "a train with an activation": ("train", lambda c: c.update(activation="relu"), "activation is"),
    "a train that calls": ("train", lambda c: c.update(call="infer"), "call is nothing that"),
    "an update at positions": ("update", lambda c: c.update(positions=[0]), "positions is nothing"),
    "an update without rates": ("update", lambda c: c.pop("rates"), "rates is missing"),
    "a gradient of a layer": (
        "undefined",
        lambda c: c.update(layer="training"),
        "layer is nothing",
    ),
    "a layer in another layout": (
        "train",
        layer_of_rank_3,
        "a layer takes one x of layout NC",
    ),
    "a layer in two batches": (
        "update",
        lambda c: c.update(layer="training"),
        "a layer takes one x of layout NC",
    ),
    "a dense without an activation": ("dense", lambda c: c.pop("activation"), "is missing"),
    "a dense of another layout": ("dense", lambda c: c.update(layout="NCL"), "none of a dense"),
    "a dense at a position outside y": ("dense", lambda c: at_position(c, 1), "indices of y, from"),
    # An error that the suite itself makes would be taken for the refusal that is due
    "a reject without a call": ("reject", lambda c: c.pop("call"), "call is missing"),
    "a reject of an update": ("reject", lambda c: c.update(call="update"), "takes more than"),
    "a reject of a dense": ("reject", lambda c: c.update(call="dense"), "takes more than"),
    "a reject of a reject": ("reject", lambda c: c.update(call="reject"), "inputs must be"),
    "a reject of a layer": ("reject", lambda c: c.update(layer="inference"), "layer is nothing"),
    # Dtypes
    "integers for x": ("train", integers, "x and dy must be float"),
    "another dtype for x": ("train", lambda c: x(c).update(dtype="float64"), "x and dy must be"),
    "another dtype for dy": (
        "undefined",
        lambda c: c["inputs"]["dy"].update(dtype="bfloat16"),
        "x and dy must be",
    ),
    "a wider gamma": (
        "train",
        lambda c: c["inputs"]["gamma"].update(dtype="float64"),
        "all but x and dy must be",
    ),
    "a gamma alone in float32": (
        "half",
        lambda c: c["inputs"]["gamma"].pop("dtype"),
        "all but x and dy must be",
    ),
    # Numbers
    "an epsilon below 0": ("train", lambda c: c.update(epsilon=-1e-3), "must not be below 0"),
    "an infinite value": (
        "train",
        lambda c: c["expected"]["reference"]["y"]["value"].__setitem__(0, "Infinity"),
        "is not a number that may stand here",
    ),
    "a position twice": (
        "generated",
        lambda c: c["positions"].__setitem__(1, c["positions"][0]),
        "an index stands twice",
    ),
    # Words
    "a flag twice": ("reject", lambda c: c["flags"].append(c["flags"][0]), "a flag stands twice"),
    "no ids before it": ("two", lambda c: c.update(preceded_by=[]), "one at least"),
    "an unknown id before it": (
        "two",
        lambda c: c.update(preceded_by=["seed/\x1b"]),
        "is preceded by 'seed/\\x1b', which does not exist",
    ),
    "a comment of two lines": ("train", lambda c: c.update(comment="a\nb"), "the comment must be"),
    "a comment that turns the direction": (
        "train",
        lambda c: c.update(comment="a\u202eb"),
        "the comment must be",
    ),
    "no comment": ("train", lambda c: c.update(comment=""), "the comment must be"),
    "an id with HTML": ("train", lambda c: c.update(id="seed/<b>"), "the id must be"),
    "an id with a second slash": ("train", lambda c: c.update(id="seed/a/b"), "the id must be"),
}


def refusal(folder, document: dict[str, Any]) -> str:
    path = folder / f"{seeds.FAMILY}.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        load_cases(folder)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize(("kind", "change", "words"), REFUSED.values(), ids=REFUSED)
def test_what_others_rely_on_is_checked(tmp_path, kind, change, words):
    document = copy.deepcopy(CASE_FILES[kind])
    change(document["cases"][0])
    message = refusal(tmp_path, document)
    assert ": case seed/" in message
    assert words in message


FILES: dict[str, tuple[Change, str]] = {
    "no cases": (lambda file: file.update(cases=[], number_of_cases=0), "holds no cases"),
    "a formula that conforms": (
        lambda file: next(iter(file["formulas"].values())).update(verdict="conforms"),
        "unknown verdict 'conforms'",
    ),
    "a formula for the reference": (
        lambda file: file["formulas"].update(reference=next(iter(file["formulas"].values()))),
        "not reference",
    ),
    "a formula with HTML for a name": (
        lambda file: next(iter(file["formulas"].values())).update(name="<b>"),
        "a formula's name must be",
    ),
    "a formula with HTML for a key": (
        lambda file: file["formulas"].update({"<b>": next(iter(file["formulas"].values()))}),
        "a formula's key must be",
    ),
    "a flag with an escape sequence": (
        lambda file: file["notes"].update(
            {"\x1b[2J": {"effect": "x", "policies": [], "links": []}}
        ),
        "a flag must be",
    ),
    "a policy twice": (
        lambda file: file["notes"].update(
            a={"effect": "x", "policies": ["nan", "nan"], "links": ["https://a.example"]}
        ),
        "a policy stands twice",
    ),
    "a link that runs": (
        lambda file: file["notes"].update(
            a={"effect": "x", "policies": [], "links": ["javascript:alert(1)"]}
        ),
        "https addresses",
    ),
    "a description of two lines": (lambda file: file.update(description="a\nb"), "the description"),
}


@pytest.mark.parametrize(("change", "words"), FILES.values(), ids=FILES)
def test_what_a_file_may_not_say(tmp_path, change, words):
    document = copy.deepcopy(CASE_FILES["train"])
    change(document)
    assert words in refusal(tmp_path, document)


def test_the_largest_numbers_of_binary64_are_read(tmp_path):
    """Also where a whole number or a name of what is not finite stands beside them."""
    document = copy.deepcopy(CASE_FILES["train"])
    (case,) = document["cases"]
    largest = 1.7976931348623157e308
    y = case["expected"]["reference"]["y"]
    for first in (largest, 1, "NaN"):
        y["value"][:3] = [first, largest, -largest]
        path = tmp_path / f"{seeds.FAMILY}.json"
        path.write_text(json.dumps(document))
        (read,) = load_cases(tmp_path).values()
        assert read.question.expected["reference"]["y"].value.reshape(-1)[1:3].tolist() == [
            largest,
            -largest,
        ]


def test_positions_of_a_dense_are_those_of_y(tmp_path):
    document = copy.deepcopy(CASE_FILES["dense"])
    size = at_position(document["cases"][0], 0)
    assert size != math.prod(x(document["cases"][0])["shape"])
    (tmp_path / f"{seeds.FAMILY}.json").write_text(json.dumps(document))
    (read,) = load_cases(tmp_path).values()
    assert read.positions == (size - 1,)
    assert read.question.expected["reference"]["y"].value.shape == (1,)
