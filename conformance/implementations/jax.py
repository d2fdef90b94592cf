"""JAX: the formula in jax.numpy (eager, jit, over several devices) and jax.nn.standardize; and what all libraries on JAX share."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from conformance import formula
from conformance.errors import UserError
from conformance.implementations.base import Implementation, Unsupported


class JaxImplementation(Implementation):
    """Functions of JAX arrays, compiled once for each operation, shape and dtype, and float64 where it is due.

    A subclass defines _train (y first), _infer and _update; gradients are those of jax.vjp.
    """

    framework = "jax"
    packages: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    channel_axis = -1
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    static: ClassVar[Mapping[str, tuple[str, ...]]] = {"dense": ("activation",)}
    """Arguments of an operation that are no tensors, each value of which is compiled anew."""

    _train: Any
    _infer: Any
    _update: Any

    def start(self) -> None:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        try:
            self.where = jax.devices(self.device)[0]
        except RuntimeError:
            raise UserError(
                f"jax {jax.__version__} finds no {self.device} device; use --device cpu"
            ) from None
        self.jax, self.numpy = jax, jax.numpy
        self.functions = {
            name: self.compiled(name, getattr(self, f"_{name}"))
            for name in ("train", "infer", "update", "grad", "grad_infer", "dense", "layer")
            if hasattr(self, f"_{name}")
        }

    def compiled(self, name: str, function: Any) -> Any:
        return self.jax.jit(function, static_argnames=self.static.get(name, ()))

    def _grad(self, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        def forward(x: Any, gamma: Any, beta: Any) -> Any:
            return self._train(x, gamma, beta, epsilon)[0]

        return self._vjp(forward, x, gamma, beta, dy)

    def _grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any
    ) -> Any:
        def forward(x: Any, gamma: Any, beta: Any) -> Any:
            return self._infer(x, mean, var, gamma, beta, epsilon)

        return self._vjp(forward, x, gamma, beta, dy)

    def _vjp(self, forward: Any, x: Any, gamma: Any, beta: Any, dy: Any) -> Any:
        """y may be wider than x, if gamma is; dy comes in the dtype of x."""
        y, backward = self.jax.vjp(forward, x, gamma, beta)
        return backward(dy.astype(y.dtype))

    def _dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: Any, activation: str) -> Any:
        y = self._train(self._linear(x, w), gamma, beta, epsilon)[0]
        return y if activation == "identity" else getattr(self.jax.nn, activation)(y)

    def _linear(self, x: Any, w: Any) -> Any:
        return self.numpy.matmul(x, w)

    def train(self, *arguments: Any) -> Any:
        return self._call("train", *arguments)

    def infer(self, *arguments: Any) -> Any:
        return self._call("infer", *arguments)

    def update(self, *arguments: Any) -> Any:
        return self._call("update", *arguments)

    def grad(self, *arguments: Any) -> Any:
        return self._call("grad", *arguments)

    def grad_infer(self, *arguments: Any) -> Any:
        return self._call("grad_infer", *arguments)

    def dense(self, *arguments: Any) -> Any:
        return self._call("dense", *arguments)

    def _call(self, name: str, *arguments: Any) -> Any:
        wide = any(getattr(a, "dtype", None) == np.float64 for a in arguments)
        x64 = self.jax.enable_x64(True) if wide else contextlib.nullcontext()
        with x64, self.jax.default_device(self.where):
            arrays = [self.numpy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
            return self.jax.tree.map(np.asarray, self.functions[name](*arrays))


class JaxLayer(JaxImplementation):
    """A layer of a library, made and called within a compiled function, as a training step does.

    A subclass defines _run(x, modes, parameters, statistics, **how): a new layer, called on x in each
    of the modes; y of the last call, and the running statistics after it. parameters are gamma and
    beta, statistics the ones to start with, the layer's own where they are None; `how` is what differs
    from the layer's defaults. The rate is a number, as users give it: 1 - rate of a traced one would
    be rounded where theirs is not.
    """

    static: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "update": ("rate",),
        "dense": ("activation",),
        "layer": ("modes",),
    }
    axis_name: str | None = None
    """The axis that its statistics are averaged over."""

    _run: Any

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return self._run(x, ("train",), (gamma, beta), epsilon=epsilon)[:1]

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return self._run(x, ("infer",), (gamma, beta), (mean, var), epsilon=epsilon)[0]

    def _update(self, x: Any, mean: Any, var: Any, epsilon: Any, rate: float) -> Any:
        how = {"epsilon": epsilon, "momentum": 1 - rate}
        return self._run(x, ("train",), None, (mean, var), **how)[1:]

    def _layer(self, x: Any, modes: tuple[str, ...]) -> Any:
        return self._run(x, modes)

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        if frozen:
            raise Unsupported(
                "a layer is not frozen: its user leaves the parameters out of the update, "
                "or calls it as in inference"
            )
        return self._call("layer", x, tuple(modes))


class OverReplicas(JaxLayer):
    """Before a layer's class: replicas under jax.vmap share the rows equally, two or as few as can."""

    axis_name = "replicas"

    def _run(self, x: Any, *arguments: Any, **how: Any) -> Any:
        rows = x.shape[0]
        replicas = next((k for k in range(2, rows) if rows % k == 0), rows or 2)
        shares = x.reshape(replicas, rows // replicas, *x.shape[1:])
        run = super()._run

        def replica(x: Any) -> Any:
            return run(x, *arguments, **how)

        mapped = self.jax.vmap(replica, out_axes=(0, None, None), axis_name=self.axis_name)
        y, mean, var = mapped(shares)
        return y.reshape(x.shape), mean, var


class FormulaJit(JaxImplementation):
    name = "jax.numpy-jit"

    def start(self) -> None:
        super().start()
        self.xp: Any = self.numpy

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        outputs = formula.train(self.xp, x, gamma, beta, epsilon)
        return outputs["y"], outputs["mean"], outputs["var"]

    def _infer(self, *arguments: Any) -> Any:
        return formula.infer(self.xp, *arguments)["y"]

    def _update(self, x: Any, mean: Any, var: Any, epsilon: Any, rate: Any) -> Any:
        return formula.update_once(self.xp, x, mean, var, rate)


class Formula(FormulaJit):
    name = "jax.numpy"

    def compiled(self, name: str, function: Any) -> Any:
        return function


class FormulaShardMap(FormulaJit):
    """x lies on two devices in halves, or in as few equal shares as one of its axes allows."""

    name = "jax.numpy-shard_map"
    process = "jax-shard_map"
    devices = ("cpu",)
    most = 7

    def start(self) -> None:
        import jax

        with contextlib.suppress(RuntimeError):  # too late, but there may be enough already
            jax.config.update("jax_num_cpu_devices", self.most)
        super().start()
        self.places = jax.devices("cpu")
        if len(self.places) < self.most:
            raise UserError(f"{self.name}: JAX has started with fewer devices; run it on its own")
        self.xp = SimpleNamespace(square=jax.numpy.square, sqrt=jax.numpy.sqrt, mean=self._mean)

    def _mean(self, x: Any, axis: Any) -> Any:
        return self.jax.lax.pmean(self.numpy.mean(x, axis=axis), "shares")

    def _train(self, *arguments: Any) -> Any:
        return self._shared(super()._train, arguments, "x", "", "")

    def _infer(self, *arguments: Any) -> Any:
        return self._shared(super()._infer, arguments, "x")

    def _update(self, *arguments: Any) -> Any:
        return self._shared(super()._update, arguments, "", "")

    def _shared(self, function: Any, arguments: Any, *outputs: str) -> Any:
        """outputs: "x" for what is shared out as x is, "" for what is the same on all devices."""
        sizes = arguments[0].shape[:-1] or (0,)
        ways = [(k, axis) for k in range(2, self.most + 1) for axis in range(len(sizes))]
        fitting = [(k, axis) for k, axis in ways if sizes[axis] % k == 0]
        if not fitting:
            raise Unsupported("shard_map needs an axis that devices can share equally")
        count, axis = fitting[0]
        whole = self.jax.sharding.PartitionSpec()
        shared = self.jax.sharding.PartitionSpec(*[None] * axis, "shares")
        specs = tuple(shared if output else whole for output in outputs)
        return self.jax.shard_map(
            function,
            mesh=self.jax.sharding.Mesh(np.array(self.places[:count]), ("shares",)),
            in_specs=(shared, *[whole] * (len(arguments) - 1)),
            out_specs=specs if len(specs) > 1 else specs[0],
        )(*arguments)


class Standardize(JaxImplementation):
    name = "jax.nn.standardize"
    algorithm: ClassVar[Mapping[str, str]] = {}
    update = None  # type: ignore[assignment]  # it keeps no running statistics

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        axes = tuple(range(x.ndim - 1))
        return (gamma * self._standardize(x, axis=axes, epsilon=epsilon) + beta,)

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return gamma * self._standardize(x, mean=mean, variance=var, epsilon=epsilon) + beta

    def _standardize(self, x: Any, **how: Any) -> Any:
        standardize = self.jax.nn.standardize
        if not set(self.algorithm) <= set(inspect.signature(standardize).parameters):
            raise Unsupported(f"jax {self.jax.__version__} has one algorithm and no choice of it")
        return standardize(x, **how, **self.algorithm)


class StandardizeStable(Standardize):
    name = "jax.nn.standardize-stable"
    algorithm: ClassVar[Mapping[str, str]] = {"algorithm": "stable"}
