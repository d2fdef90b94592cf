"""The settings of a process that an implementation may change, and that others are computed under."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]
"""How to read it, and how to set it."""


class Settings:
    """The settings as they are now, of the interpreter and of the frameworks that are imported."""

    def __init__(self) -> None:
        self._kept = [(read, write, read()) for read, write in _all()]

    def restore(self) -> None:
        """Set what has changed since to what it was."""
        for read, write, value in self._kept:
            with contextlib.suppress(Exception):  # what cannot be read or set is left alone
                if read() != value:
                    write(value)


def _all() -> list[Setting]:
    found: list[Setting] = [
        (np.geterr, lambda errors: np.seterr(**errors)),
        (lambda: dict(os.environ), _set_environment),
        (os.getcwd, os.chdir),
        (lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path)),
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (_streams, _set_streams),
    ]
    for module, settings in _OF_FRAMEWORKS.items():
        if module in sys.modules:
            found += settings(sys.modules[module])
    return found


def _set_environment(environment: dict[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _streams() -> tuple[Any, ...]:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return (*streams, *(stream is None or stream.closed for stream in streams))


def _set_streams(kept: tuple[Any, ...]) -> None:
    """The streams of before; one that was closed leads nowhere from now on."""
    for name, stream in zip(("stdin", "stdout", "stderr"), kept[:3], strict=True):
        if stream is not None and stream.closed:
            stream = open(os.devnull, "r" if name == "stdin" else "w")  # noqa: SIM115, PLW2901
        setattr(sys, name, stream)


def _of_torch(torch: Any) -> list[Setting]:
    return [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.get_num_threads, torch.set_num_threads),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _attribute(torch.backends.cudnn, "enabled"),
        _attribute(torch.backends.cudnn, "benchmark"),
    ]


def _of_jax(jax: Any) -> list[Setting]:
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_disable_jit", "jax_debug_nans")
    return [
        (
            lambda name=name: getattr(jax.config, name),  # type: ignore[misc]
            lambda value, name=name: jax.config.update(name, value),  # type: ignore[misc]
        )
        for name in names
    ]


def _of_tensorflow(tensorflow: Any) -> list[Setting]:
    functions = tensorflow.config
    return [
        (
            functions.functions_run_eagerly,
            functions.run_functions_eagerly,
        )
    ]


def _of_keras(keras: Any) -> list[Setting]:
    config = keras.config
    return [
        (config.floatx, config.set_floatx),
        (config.epsilon, config.set_epsilon),
        (config.image_data_format, config.set_image_data_format),
    ]


def _attribute(owner: Any, name: str) -> Setting:
    return (lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


_OF_FRAMEWORKS: dict[str, Callable[[Any], list[Setting]]] = {
    "torch": _of_torch,
    "jax": _of_jax,
    "tensorflow": _of_tensorflow,
    "keras": _of_keras,
}
