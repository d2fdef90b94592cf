"""Family calls: earlier calls that must leave no trace."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalogue.draft import Draft, Draw, Family

_SHAPES = {"large": (7, 3), "small": (3, 3), "other-channels": (8, 4)}


def _drafts() -> Iterator[Draft]:
    for operation in ("train", "infer", "grad", "grad-infer"):
        for how, shape in _SHAPES.items():
            yield _draft(operation, how, shape, [])
        for first, then in (
            ("large", "small"),
            ("small", "large"),
            ("other-channels", "large"),
            ("large", "large-again"),
        ):
            shape = _SHAPES.get(then, _SHAPES["large"])
            before = [f"calls/{operation}-{first}"]
            yield _draft(operation, f"{then}-after-{first}", shape, before)
        other = "infer" if operation == "train" else "train"
        before = [f"calls/{other}-large", f"calls/{operation}-small", f"calls/{other}-small"]
        yield _draft(operation, f"large-after-{other}", _SHAPES["large"], before)


def _draft(operation: str, how: str, shape: tuple[int, ...], before: list[str]) -> Draft:
    name = f"{operation}-{how}"
    draw = Draw(f"calls/{name}")
    inputs = {
        "x": draw.activations(shape),
        **(draw.statistics(shape[-1]) if "infer" in operation else {}),
        **draw.affine(shape[-1]),
        **({"dy": draw.bell(shape) + 0.3} if "grad" in operation else {}),
    }
    comment = f"asked after {', '.join(before)}" if before else "asked on its own"
    attributes = {"preceded_by": before} if before else {}
    return Draft(name, operation, "float32", "NC", 1e-3, comment, inputs, attributes=attributes)


FAMILY = Family(
    "calls",
    "The same call after others: of another shape, of other channels, in another mode. None leaves a trace.",
    _drafts,
)
