"""Makes bad files of good ones: cut off, with bits flipped, and with one thing of their structure changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

TEXTS = (
    "",
    " ",
    "a\nb",
    "a\r\nb\tc",
    "\x1b[2J\x1b]0;owned\x07",
    "\x00",
    "\x7f\x85\x9b31m",
    "a\u2028b\u2029c",
    "a\u202eb\u2066c\u200f",
    "\ufeff",
    "\ud800",
    "\udc80x\udfff",
    "\U0001f600",
    "Å\u0301",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt; & <!-- -->",
    "a | b \\| c",
    "](javascript:alert(1)) [x",
    "`a` ``b``",
    "$(reboot); reboot #",
    "../../etc/passwd",
    "%s {} {0.__class__} ${x}",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "1e5",
    "reference",
    "__class__",
    "train",
    "reject",
    "float64",
    "int64",
    "bfloat16",
    "NHWC",
    "x" * 20_000,
)
NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 255, 2**31, 2**32, 2**53, 2**53 + 1, 2**63, -(2**63), 2**64, 2**70),
    *(10**18, 10**308, 10**309, 10**400, -(10**400), 10**4000),
    *(
        0.0,
        -0.0,
        0.1,
        0.5,
        1.0,
        1.5,
        -2.5,
        5e-324,
        2.2e-308,
        65520.0,
        3.5e38,
        1.7976931348623157e308,
    ),
    *(2.0**-149, 2.0**-150, 1 + 2.0**-23, 1 + 2.0**-24),
)
RAW = (
    "1e400",
    "-1e400",
    "1e-400",
    "-0",
    "1E+2",
    "NaN",
    "Infinity",
    "-Infinity",
    "1" * 4301,
    "0." + "1" * 5000,
    "[" * 900 + "]" * 900,
    '{"a":' * 900 + "1" + "}" * 900,
    "[" * 5000 + "]" * 5000,
    "01",
    ".5",
    "+1",
    "'a'",
    '"\\x41"',
    "/* */ 1",
    '{"a": 1, "a": 1}',
    "undefined",
)
"""Not what `json.dumps` would write."""
OTHERS = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [{}],
    [0],
    ["a"],
    [None],
    [1.0] * 100,
    {"a": 1},
    {"": ""},
)

_MARK = "@raw-{}@"


def truncated(content: bytes) -> Iterator[bytes]:
    """The file cut off after each of its bytes."""
    return (content[:length] for length in range(len(content)))


def flipped(content: bytes, random: Random) -> bytes:
    """The file with some bits flipped, or bytes changed, put in, left out or doubled."""
    damaged = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at = random.randrange(len(damaged))
        end = at + random.choice((1, 1, 2, 16, 200))
        kind = random.randrange(5)
        if kind == 0:
            damaged[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            damaged[at] = random.choice(
                b'\x00\n\r\t "\\{}[],:0123456789-+.eEtfnNI\x7f\x80\xc3\xed\xff'
            )
        elif kind == 2:
            damaged[at:at] = random.choice(
                (b"\x00", b'"', b"[", b"{", b",", b"9", b"\xed\xa0\x80", b"\n")
            )
        elif kind == 3 and len(damaged) > end:
            del damaged[at:end]
        else:
            damaged[at:at] = damaged[at:end]
    return bytes(damaged)


def edited(document: Any, random: Random) -> bytes:
    """The JSON document with one thing changed, or two or three."""
    changed = copy.deepcopy(document)
    raw: list[str] = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        changed = _edit(changed, document, random, raw)
    text = json.dumps(changed, ensure_ascii=random.random() < 0.8)
    for number, fragment in enumerate(raw):
        text = text.replace(json.dumps(_MARK.format(number)), fragment)
    return text.encode("utf-8", "surrogatepass")


def _edit(document: Any, original: Any, random: Random, raw: list[str]) -> Any:
    """Walks down to some container, and changes something in it."""
    here = document
    while True:
        inside = [
            v
            for v in (here.values() if isinstance(here, dict) else here)
            if v and isinstance(v, dict | list)
        ]
        if not inside or random.random() < 0.15:
            break
        here = random.choice(inside)
    if isinstance(here, dict):
        _edit_object(here, original, random, raw)
    else:
        _edit_list(here, original, random, raw)
    return document


def _edit_object(here: dict[str, Any], original: Any, random: Random, raw: list[str]) -> None:
    key = random.choice(list(here)) if here else "a"
    kind = random.randrange(8)
    if kind == 0:
        here.pop(key, None)
    elif kind == 1:
        here[random.choice(TEXTS)] = _nasty(here.get(key), original, random, raw)
    elif kind == 2 and here:
        here[random.choice(TEXTS)] = here.pop(key)
    elif kind == 3 and here:
        here[key] = here.pop(key)
    elif kind == 4 and here:  # the same key twice, as no dict can hold it
        raw.append(f"0, {json.dumps(key)}: {json.dumps(here[key])}")
        here[key] = _MARK.format(len(raw) - 1)
    else:
        here[key] = _nasty(here.get(key), original, random, raw)


def _edit_list(here: list[Any], original: Any, random: Random, raw: list[str]) -> None:
    at = random.randrange(len(here)) if here else 0
    kind = random.randrange(6)
    if kind == 0 and here:
        del here[at]
    elif kind == 1 and here:
        here.insert(random.randrange(len(here)), copy.deepcopy(here[at]))
    elif kind == 2:
        random.shuffle(here)
    elif kind == 3:
        here.append(_nasty(here[at] if here else None, original, random, raw))
    elif here:
        here[at] = _nasty(here[at], original, random, raw)


def _nasty(instead_of: Any, original: Any, random: Random, raw: list[str]) -> Any:
    """A value for the place of another: often of its type, else of any, or one from elsewhere in the file."""
    kind = random.randrange(10)
    if kind < 4:
        if isinstance(instead_of, str):
            return random.choice((random.choice(TEXTS), instead_of + random.choice(TEXTS)))
        if type(instead_of) in (int, float) and abs(instead_of) < 1e300:
            near = (
                instead_of + 1,
                -instead_of,
                2 * instead_of,
                float(instead_of),
                instead_of + 0.5,
            )
            return random.choice((random.choice(NUMBERS), random.choice(near)))
        if isinstance(instead_of, list):
            return random.choice((instead_of * 2, instead_of[1:], [instead_of], instead_of[::-1]))
    if kind == 4:
        raw.append(random.choice(RAW))
        return _MARK.format(len(raw) - 1)
    if kind == 5:
        return _somewhere(original, random)
    return random.choice((random.choice(TEXTS), random.choice(NUMBERS), random.choice(OTHERS)))


def _somewhere(document: Any, random: Random) -> Any:
    while isinstance(document, dict | list) and document and random.random() < 0.8:
        document = random.choice(
            list(document.values()) if isinstance(document, dict) else document
        )
    return copy.deepcopy(document)
