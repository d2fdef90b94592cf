"""Family zero-variance: a constant channel among normal ones, and a running variance of zero."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, rounded

_CONSTANTS = (0.0, 1.0, 0.1, 10000.1, 3e38)
_EPSILONS = (0.0, 1e-12, 1e-5, 1e-3)
_ROWS, _CHANNELS, _CONSTANT_CHANNEL = 7, 3, 1  # seven: dividing by it rounds


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for constant in _CONSTANTS:
            for epsilon in _EPSILONS:
                yield _train(dtype, constant, epsilon)
        yield _all_constant(dtype)
        for epsilon in _EPSILONS:
            yield _infer(dtype, epsilon)


def _train(dtype: str, constant: float, epsilon: float) -> Draft:
    name = f"train-{dtype}-constant-{constant:g}-epsilon-{epsilon:g}"
    draw = Draw(f"zero-variance/{name}")
    x = draw.activations((_ROWS, _CHANNELS))
    x[:, _CONSTANT_CHANNEL] = constant
    return Draft(
        name,
        "train",
        dtype,
        "NC",
        epsilon,
        f"the second of three channels is {constant:g} throughout",
        {"x": x, **draw.affine(_CHANNELS)},
    )


def _all_constant(dtype: str) -> Draft:
    name = f"train-{dtype}-every-channel-constant"
    draw = Draw(f"zero-variance/{name}")
    x = np.tile([0.5, -3.0, 100.25], (_ROWS, 1))
    return Draft(
        name,
        "train",
        dtype,
        "NC",
        1e-3,
        "every channel is constant, each at a value of its own",
        {"x": x, **draw.affine(_CHANNELS)},
    )


def _infer(dtype: str, epsilon: float) -> Draft:
    """One channel of variance 0: some rows on its mean, where y is beta, and some off it."""
    name = f"infer-{dtype}-epsilon-{epsilon:g}"
    draw = Draw(f"zero-variance/{name}")
    x = rounded(draw.activations((_ROWS, _CHANNELS)), dtype)
    statistics = draw.statistics(_CHANNELS)
    statistics["var"][_CONSTANT_CHANNEL] = 0.0
    x[:4, _CONSTANT_CHANNEL] = rounded(statistics["mean"], dtype)[_CONSTANT_CHANNEL]
    return Draft(
        name,
        "infer",
        dtype,
        "NC",
        epsilon,
        "a running variance of 0 in the second channel, x on the running mean and off it",
        {"x": x, **statistics, **draw.affine(_CHANNELS)},
    )


FAMILY = Family(
    "zero-variance",
    "A constant channel among normal ones, and a running variance of zero, with epsilon from 0 to 1e-3.",
    _drafts,
)
