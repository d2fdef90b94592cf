"""Family gradients: upstream gradients through ordinary and hard inputs, in training and in inference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, layouts_of, rounded, to_layout

_SHAPES = ((16, 5), (4, 7, 3), (2, 4, 3, 5), (2, 3, 2, 3, 2))
_OPERATIONS = ("grad", "grad-infer")


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for operation in _OPERATIONS:
            for shape in _SHAPES:
                for layout in layouts_of(len(shape)):
                    yield _ordinary(operation, dtype, shape, layout)
            for mean in (8, 100, 4096, 100000):
                yield _on(operation, dtype, f"mean-{mean}", _around(mean), "x around a large mean")
            for epsilon in (0.0, 1e-12, 1e-8, 1e-5, 1.0):
                what = f"epsilon {epsilon:g}, x of spread 0.01"
                yield _on(operation, dtype, f"epsilon-{epsilon:g}", _small, what, epsilon)
            for scale in (1e-10, 1e10):
                what = f"x of scale {scale:g}"
                yield _on(operation, dtype, f"scale-{scale:g}", _scaled(scale), what)
            for upstream in ("ones", "first", "parallel", "large", "alternating"):
                yield _upstream(operation, dtype, upstream)
        for constant in (0.1, 2.0, 10000.1):
            for epsilon in (1e-5, 1e-3):
                yield _constant(dtype, constant, epsilon)
        for values in (1, 2, 3):
            yield _tiny(dtype, values)
    yield from _of_few_values()


def _of_few_values() -> Iterator[Draft]:
    for dtype in DTYPES:
        for values in (1, 2, 3):
            yield _tiny(dtype, values, "grad-infer")
    for operation in _OPERATIONS:
        for values in (2, 3):
            yield _one_sample(operation, values)


def _make(
    operation: str,
    dtype: str,
    how: str,
    comment: str,
    x: np.ndarray,
    dy: np.ndarray,
    epsilon: float = 1e-3,
    layout: str = "NC",
    statistics: dict[str, np.ndarray] | None = None,
) -> Draft:
    name = f"{operation}-{dtype}-{how}"
    draw = Draw(f"gradients/{name}/parameters")
    given = statistics or draw.statistics(x.shape[-1])
    return Draft(
        name,
        operation,
        dtype,
        layout,
        epsilon,
        comment,
        {
            "x": to_layout(x, layout),
            **(given if operation == "grad-infer" else {}),
            **draw.affine(x.shape[-1]),
            "dy": to_layout(dy, layout),
        },
    )


def _ordinary(operation: str, dtype: str, shape: tuple[int, ...], layout: str) -> Draft:
    size = "x".join(map(str, to_layout(np.empty(shape), layout).shape))
    draw = Draw(f"gradients/{operation}-{dtype}-{layout}-{size}")
    x, dy = draw.activations(shape), draw.bell(shape) + 0.3
    how = f"{layout}-{size}"
    return _make(operation, dtype, how, f"{layout} activations, {size}", x, dy, layout=layout)


def _around(mean: float):  # type: ignore[no-untyped-def]
    return lambda draw: mean * np.array([1.0, -1.0, 1.0, -1.0]) + draw.bell((8, 4))


def _scaled(scale: float):  # type: ignore[no-untyped-def]
    return lambda draw: scale * draw.activations((8, 4))


def _small(draw: Draw) -> np.ndarray:
    return 0.01 * draw.bell((8, 4))


def _on(  # type: ignore[no-untyped-def]
    operation: str, dtype: str, how: str, inputs, comment: str, epsilon: float = 1e-3
) -> Draft:
    draw = Draw(f"gradients/{operation}-{dtype}-{how}")
    x = inputs(draw)
    statistics = {
        "mean": x.mean(axis=0) + 0.1 * x.std(axis=0),
        "var": x.var(axis=0) * draw.uniform(0.6, 1.6, (4,)),
    }
    dy = draw.bell(x.shape) - 0.2
    return _make(operation, dtype, how, comment, x, dy, epsilon, statistics=statistics)


def _upstream(operation: str, dtype: str, kind: str) -> Draft:
    """Upstream gradients of which part cancels: dgamma for ones, dx for what lies along y."""
    how = f"dy-{kind}"
    draw = Draw(f"gradients/{operation}-{dtype}-{how}")
    x = draw.activations((8, 4))
    dy = {
        "ones": np.ones(x.shape),
        "first": np.eye(8)[:, :1] * np.ones(4),
        "parallel": (x - x.mean(axis=0)) / x.std(axis=0) + 0.5,
        "large": 1e6 * draw.bell(x.shape),
        "alternating": np.where(np.arange(8) % 2 == 0, 1.0, -1.0)[:, None] * (1 + np.arange(4.0)),
    }[kind]
    return _make(operation, dtype, how, f"upstream gradient: {kind}", x, dy)


def _constant(dtype: str, constant: float, epsilon: float) -> Draft:
    how = f"constant-{constant:g}-epsilon-{epsilon:g}"
    draw = Draw(f"gradients/{dtype}-{how}")
    x = draw.activations((7, 3))
    x[:, 1] = rounded(np.full(7, constant), dtype)
    dy = np.vstack([np.ones(3), draw.bell((6, 3))])
    return _make("grad", dtype, how, f"a channel is {constant:g} throughout", x, dy, epsilon)


def _tiny(dtype: str, values: int, operation: str = "grad") -> Draft:
    how = f"values-{values}"
    draw = Draw(f"gradients/{dtype}-{how}")
    shape = (values, 3)
    x, dy = draw.activations(shape), draw.bell(shape) + 0.4
    return _make(operation, dtype, how, f"{values} rows", x, dy)


def _one_sample(operation: str, values: int) -> Draft:
    how = f"one-sample-of-{values}"
    draw = Draw(f"gradients/{operation}-{how}")
    shape = (1, values, 3)
    x, dy = draw.activations(shape), draw.bell(shape) + 0.4
    return _make(operation, "float32", how, f"one sample of {values} places", x, dy, layout="NCL")


FAMILY = Family(
    "gradients",
    "Gradients of x, gamma and beta, through ordinary inputs and through the hard ones of other families.",
    _drafts,
)
