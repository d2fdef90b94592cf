"""Family dtypes: half precisions, on ordinary and on hard inputs, and with float32 parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.catalogue.draft import Draft, Draw, Family, to_layout

_HALVES = ("float16", "bfloat16")
_OPERATIONS = ("train", "infer", "grad", "grad-infer", "update")
_EPSILON = 0.0625  # a smaller one is lost beside a variance of 1 in bfloat16
_PARAMETERS = ("gamma", "beta", "mean", "var", "running_mean", "running_var")


def _drafts() -> Iterator[Draft]:
    for dtype in _HALVES:
        for operation in _OPERATIONS:
            for mixed in (False, True):
                yield _draft(operation, dtype, "NC", mixed)
                yield _draft(operation, dtype, "NCHW", mixed)
        for operation in ("train", "infer", "grad"):
            for mean in (8, 64):
                yield _draft(operation, dtype, "NC", True, offset=mean)
        for operation in ("train", "grad"):
            yield _draft(operation, dtype, "NC", True, scale=300.0)
            yield _draft(operation, dtype, "NC", True, scale=0.01)
        for activation in ("identity", "relu"):
            yield _dense(dtype, activation)
        yield _pair(dtype)
    yield from _at_the_ends_of_the_range()


def _at_the_ends_of_the_range() -> Iterator[Draft]:
    for dtype in _HALVES:
        for how in ({"scale": 300.0}, {"offset": 64.0}, {"scale": 0.01}):
            yield _draft("update", dtype, "NC", True, **how)
        # The sum of eight such values is more than float16 can hold; none of them is.
        for operation in ("train", "grad", "update"):
            yield _draft(operation, dtype, "NC", True, offset=16384.0, scale=300.0)
        yield _dense(
            dtype, "sigmoid", epsilon=0.5
        )  # whose absence bfloat16's own errors are not like
    yield _dense("float16", "tanh")
    # Beyond the range of float16, and far within that of bfloat16.
    for operation in ("train", "infer", "update"):
        yield _draft(operation, "bfloat16", "NC", True, scale=1e6)
    yield _draft("infer", "bfloat16", "NCHW", True, scale=1e6)
    for dtype in _HALVES:
        for operation in ("train", "infer", "grad", "grad-infer"):
            yield _small_epsilon(operation, dtype)


def _draft(
    operation: str, dtype: str, layout: str, mixed: bool, offset: float = 0.0, scale: float = 1.0
) -> Draft:
    what = f"-mean-{offset}" * bool(offset) + f"-scale-{scale:g}" * (scale != 1)
    name = f"{operation}-{dtype}-{layout}{what}{'-float32-parameters' * mixed}"
    draw = Draw(f"dtypes/{name}")
    shape = (8, 4) if layout == "NC" else (2, 4, 3, 5)
    channels = shape[-1]
    sign = np.where(np.arange(channels) % 2 == 1, -1.0, 1.0)
    x = scale * draw.activations(shape) + offset * sign
    given = draw.statistics(channels)
    given["mean"] = given["mean"] + offset * sign
    inputs: dict[str, np.ndarray] = {"x": to_layout(x, layout)}
    if operation == "update":
        inputs |= {f"running_{key}": array for key, array in given.items()}
    else:
        inputs |= (given if "infer" in operation else {}) | draw.affine(channels)
    if "grad" in operation:
        inputs["dy"] = to_layout(draw.bell(shape) + 0.3, layout)
    return Draft(
        name,
        operation,
        dtype,
        layout,
        _EPSILON,
        f"{dtype} x{', parameters in float32' * mixed}",
        inputs,
        attributes={"batches": [shape[0]], "rates": [0.1]} if operation == "update" else {},
        dtypes={key: "float32" for key in inputs if mixed and key in _PARAMETERS},
    )


def _small_epsilon(operation: str, dtype: str) -> Draft:
    """An epsilon that the half precision does not hold: for float16 it is 0."""
    epsilon = 1e-8 if dtype == "float16" else 3e-5
    draft = _draft(operation, dtype, "NC", True, scale=0.01)
    inputs = dict(draft.inputs)
    inputs["x"] = inputs["x"].copy()
    inputs["x"][:, 1] = 0.5
    if "var" in inputs:
        inputs["var"] = np.array([1e-5, 2e-5, 1e-4, 0.25])
    return replace(
        draft,
        name=f"{operation}-{dtype}-epsilon-{epsilon:g}",
        epsilon=epsilon,
        comment=f"{dtype} x, parameters in float32, a channel constant, epsilon {epsilon:g}",
        inputs=inputs,
    )


def _dense(dtype: str, activation: str, epsilon: float = _EPSILON) -> Draft:
    name = f"dense-{dtype}-{activation}"
    draw = Draw(f"dtypes/{name}")
    inputs = {
        "x": draw.activations((8, 4)),
        "w": draw.bell((4, 3)) / 2,
        **draw.affine(3),
    }
    comment = f"a dense layer in {dtype}, {activation}"
    attributes = {"activation": activation}
    return Draft(name, "dense", dtype, "NC", epsilon, comment, inputs, attributes=attributes)


def _pair(dtype: str) -> Draft:
    """Two values whose deviation rounds: https://github.com/pytorch/pytorch/issues/140112."""
    inputs = {
        "x": np.array([[1.3047], [0.8789]]),
        "gamma": np.array([0.75]),
        "beta": np.array([0.125]),
    }
    name = f"train-{dtype}-pair-float32-parameters"
    wide = {"gamma": "float32", "beta": "float32"}
    return Draft(name, "train", dtype, "NC", 1e-5, "two values", inputs, dtypes=wide)


FAMILY = Family(
    "dtypes",
    "float16 and bfloat16, with parameters in the same dtype and in float32.",
    _drafts,
)
