"""What an implementation of batch normalization looks like to the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

TIMEOUT = 60.0  # seconds for one case


class Unsupported(Exception):
    """Raised by an implementation for what it does not offer: why, and a link where there is one."""

    def __init__(self, why: str, link: str | None = None) -> None:
        super().__init__(why if link is None else f"{why} ({link})")


class Crashed(Exception):
    """Raised by an implementation whose answers come from another process, when that died."""


class TimedOut(Exception):
    """Raised by an implementation whose answers come from another process, when none came in time."""


class Malformed(Exception):
    """Raised by an implementation whose answers come from another process, for one that makes no sense."""


@dataclass(frozen=True)
class Conventions:
    """What a layer of the library does where its user says nothing. The cases of `conventions` check it."""

    epsilon: float
    momentum: float | None
    """The default, as the library's users write it; None where they have to give one."""
    momentum_weighs: Literal["new", "old"]
    """Whether that is the weight of the new batch or of the old statistic."""
    running_variance: Literal["population", "unbiased"]
    half_output: Literal["x", "float32"]
    """The dtype of y for bfloat16 x: its own, or float32."""
    half_statistics: Literal["x", "float32"]
    """The dtype of the running statistics for bfloat16 x."""
    fresh: Literal["initial-statistics", "zero-mean-and-variance", "batch-statistics", "raises"]
    """What normalizes in inference where the layer was never trained; the initial statistics are mean
    0, variance 1."""
    frozen: Literal["running-statistics", "batch-statistics", "none"]
    """What normalizes in training where the layer was made untrainable; none: nothing is called so."""

    @property
    def rate(self) -> float:
        """The weight of the new batch."""
        assert self.momentum is not None
        return self.momentum if self.momentum_weighs == "new" else 1 - self.momentum


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
    modules: ClassVar[tuple[str, ...]] = ()
    """What it imports, if that is more than the framework: it is installed if all of them are."""
    process: ClassVar[str] = ""
    """Implementations with the same may share a process; the framework's name if left empty."""
    conventions: ClassVar[Conventions | None] = None
    """Of a layer: what it does by default."""
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
    timeout: float = TIMEOUT
    """Seconds that a case may take, after which the process is ended; set before the first call."""
    takes_generators: bool = False
    """Whether a tensor that is given by a generator may come as that, and not as an array."""

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

    layer: Callable[..., Any] | None = None
    """layer(x, modes, frozen) -> y, running_mean, running_var: a new layer as it comes, made for the
    channels of x and called on x in each of the modes ("train", "infer") in turn; y of the last call,
    and the running statistics after it, in the dtypes that the library gives them. frozen: made
    untrainable, in the way that the library documents, before the first call; Unsupported where
    there is none"""

    def start(self) -> None:
        """Import the framework and choose the device; called once, before the first case.

        Raises UserError where the framework has no such device.
        """
