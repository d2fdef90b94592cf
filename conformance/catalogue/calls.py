"""Family calls: earlier calls that must leave no trace."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalogue.draft import Draft, Draw, Family

_SHAPES = {"large": (7, 3), "small": (3, 3), "other-channels": (8, 4)}
_OPERATIONS = ("train", "infer", "grad", "grad-infer", "update", "dense")
_UNITS = 3  # of a dense layer


def _drafts() -> Iterator[Draft]:
    for operation in _OPERATIONS[:4]:
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
    for operation in _OPERATIONS[4:]:
        for how in ("large", "small"):
            yield _draft(operation, how, _SHAPES[how], [])
        for first, then in (("large", "small"), ("small", "large"), ("large", "large-again")):
            shape = _SHAPES.get(then, _SHAPES["large"])
            yield _draft(operation, f"{then}-after-{first}", shape, [f"calls/{operation}-{first}"])
    for operation in _OPERATIONS:
        before = [f"calls/{operation}-large"]
        shape = _SHAPES["large"]
        if operation != "update":
            yield _draft(operation, "large-after-large-epsilon-0.5", shape, before, epsilon=0.5)
        yield _draft(operation, "large-after-large-float64", shape, before, dtype="float64")
        before = [f"calls/{operation}-small"]
        shape = _SHAPES["small"]
        yield _draft(operation, "small-again-after-small", shape, before)
        if operation != "update":
            yield _draft(operation, "small-after-small-epsilon-0.25", shape, before, epsilon=0.25)
        yield _draft(operation, "small-after-small-float64", shape, before, dtype="float64")
    for operation, other in (("train", "infer"), ("infer", "train")):
        before = [f"calls/{other}-small", f"calls/{other}-large"]
        yield _draft(operation, f"small-after-{other}", _SHAPES["small"], before)
    before = ["calls/train-large", "calls/grad-large", "calls/infer-large"]
    yield _draft("update", "large-after-others", _SHAPES["large"], before)
    yield _draft("dense", "large-after-others", _SHAPES["large"], before)


def _draft(
    operation: str,
    how: str,
    shape: tuple[int, ...],
    before: list[str],
    epsilon: float = 1e-3,
    dtype: str = "float32",
) -> Draft:
    name = f"{operation}-{how}"
    draw = Draw(f"calls/{name}")
    inputs = {"x": draw.activations(shape)}
    attributes: dict[str, object] = {"preceded_by": before} if before else {}
    if operation == "update":
        given = draw.statistics(shape[-1])
        inputs |= {f"running_{key}": array for key, array in given.items()}
        attributes |= {"batches": [shape[0]], "rates": [0.1]}
    elif operation == "dense":
        inputs |= {"w": draw.bell((shape[-1], _UNITS)), **draw.affine(_UNITS)}
        attributes |= {"activation": "tanh"}
    else:
        inputs |= draw.statistics(shape[-1]) if "infer" in operation else {}
        inputs |= draw.affine(shape[-1])
        inputs |= {"dy": draw.bell(shape) + 0.3} if "grad" in operation else {}
    comment = f"asked after {', '.join(before)}" if before else "asked on its own"
    return Draft(name, operation, dtype, "NC", epsilon, comment, inputs, attributes=attributes)


FAMILY = Family(
    "calls",
    "The same call after others: of another shape, dtype or epsilon, in another mode. None leaves a trace.",
    _drafts,
)
