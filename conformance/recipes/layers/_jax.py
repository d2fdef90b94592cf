"""What the libraries on JAX have in common."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from conformance.recipes.layer import Called

FLOAT64 = '`jax.config.update("jax_enable_x64", True)` before all else; without it float64 becomes float32'


def start() -> None:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)


def differentiated(forward: Any, x: np.ndarray, gamma: Any, beta: Any, dy: np.ndarray) -> Called:
    """What `forward(x, gamma, beta)` -> y, layer gives, with its gradients by jax.vjp."""
    import jax

    arrays = [jax.numpy.asarray(array) for array in (x, gamma, beta)]
    y, backward, layer = jax.vjp(forward, *arrays, has_aux=True)
    dx, dgamma, dbeta = map(np.asarray, backward(jax.numpy.asarray(dy)))
    return layer, np.asarray(y), (dx, dgamma.reshape(-1), dbeta.reshape(-1))
