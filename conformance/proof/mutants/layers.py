"""Mistakes of layers: what a new one does is not what its library says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.implementations.base import Conventions
from conformance.proof.mutants.kernel import is_plain
from conformance.proof.right.layer import KERAS_LIKE, TORCH_LIKE, Layer


def _layer(name: str, declared: Conventions = KERAS_LIKE, **steps: Any) -> type[Layer]:
    """A layer of which one step is not as declared.

    Its defaults may be those of another library: a `convention`, and not the one that it declares.
    """
    own = {key: staticmethod(v) if is_plain(v) else v for key, v in steps.items()}
    body = {"conventions": declared, "does": declared, **own}
    verdicts = frozenset({"wrong", "inaccurate", "convention"})
    return type(name, (Layer,), {"name": f"mutant-layer-{name}", "verdicts": verdicts, **body})


def _does(name: str, declared: Conventions = KERAS_LIKE, **other: Any) -> type[Layer]:
    return _layer(name, declared, does=replace(declared, **other))


MUTANTS = (
    _does("epsilon-1e-5", epsilon=1e-5),
    _does("epsilon-1e-4", epsilon=1e-4),
    _does("epsilon-1e-3-for-1e-5", TORCH_LIKE, epsilon=1e-3),
    _does("momentum-0.9", momentum=0.9),
    _does("momentum-inverted", momentum_weighs="new"),
    _does("momentum-inverted-of-0.1", TORCH_LIKE, momentum_weighs="old"),
    _does("unbiased-running-variance", running_variance="unbiased"),
    _does("population-running-variance", TORCH_LIKE, running_variance="population"),
    _does("half-output-float32", half_output="float32"),
    _does("half-statistics-half", half_statistics="x"),
    _does("half-statistics-float32", TORCH_LIKE, half_statistics="float32"),
    _does("fresh-by-batch", fresh="batch-statistics"),
    _does("fresh-by-nothing", fresh="zero-mean-and-variance"),
    _does("frozen-by-batch", frozen="batch-statistics"),
    _does("frozen-by-running", TORCH_LIKE, frozen="running-statistics"),
    _layer("frozen-updates-all-the-same", updates=lambda frozen, by_batch: True),
    _layer("frozen-by-batch-not-updated", TORCH_LIKE, updates=lambda frozen, b: b and not frozen),
    _layer("never-updates", updates=lambda frozen, by_batch: False),
    _layer("starts-from-zero", initial=lambda c: (np.zeros(c), np.zeros(c))),
    _layer("starts-from-ones", initial=lambda c: (np.ones(c), np.ones(c))),
    _layer("gamma-starts-at-zero", affine=lambda z: 0 * z),
    _layer("beta-starts-at-one", affine=lambda z: z + 1),
)
