"""What an implementation of batch normalization looks like to the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class Unsupported(Exception):
    """Raised by an implementation for what it does not offer: why, and a link where there is one."""

    def __init__(self, why: str, link: str | None = None) -> None:
        super().__init__(why if link is None else f"{why} ({link})")


class Implementation:
    """One implementation. A subclass names itself and defines the operations that it offers.

    Tensors come and go as NumPy arrays (`ml_dtypes.bfloat16` for bfloat16): x and y in the layout
    that `channel_axis` says, gamma, beta, mean and var of shape (C,), all in the dtype of the case.
    An operation left out, set to None, or raising `Unsupported`, is not offered; any other
    exception is an answer. One instance answers all cases of a process, one at a time.
    """

    name: ClassVar[str]
    """Unique, and shown in the report."""
    framework: ClassVar[str]
    """The package that it belongs to."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The distributions whose versions are recorded; the framework's alone if none are named."""
    channel_axis: ClassVar[int] = 1
    """1 for (N, C, *spatial), -1 for (N, *spatial, C)."""
    dtypes: ClassVar[tuple[str, ...]] = ("float16", "bfloat16", "float32", "float64")
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4, 5)
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """The kinds of device that it can run on."""
    device: str = "cpu"
    """The one that it is to run on now; set before the first call."""

    train: Callable[..., Any] | None = None
    """train(x, gamma, beta, epsilon) -> y, or (y, mean, var)"""
    infer: Callable[..., Any] | None = None
    """infer(x, mean, var, gamma, beta, epsilon) -> y"""
    update: Callable[..., Any] | None = None
    """update(x, running_mean, running_var, epsilon, rate) -> running_mean, running_var;
    rate is the weight of the new batch"""
    grad: Callable[..., Any] | None = None
    """grad(x, gamma, beta, epsilon, dy) -> dx, dgamma, dbeta"""
    grad_infer: Callable[..., Any] | None = None
    """grad_infer(x, mean, var, gamma, beta, epsilon, dy) -> dx, dgamma, dbeta"""
    dense: Callable[..., Any] | None = None
    """dense(x, w, gamma, beta, epsilon, activation) -> activation(batch norm of x @ w)"""

    def start(self) -> None:
        """Import the framework and choose the device; called once, before the first case.

        Raises UserError where the framework has no such device.
        """
