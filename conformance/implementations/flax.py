"""Flax: the BatchNorm layers of linen and nnx, with either variance, and with statistics over a named axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.implementations.base import Conventions
from conformance.implementations.jax import JaxLayer, OverReplicas


class _Flax(JaxLayer):
    """Where x is a half precision, the layer is told to answer in it, as mixed-precision models do."""

    framework = "flax"
    modules = ("flax", "jax")
    packages = ("flax", "jax", "jaxlib")
    conventions = Conventions(
        epsilon=1e-5,
        momentum=0.99,
        momentum_weighs="old",
        running_variance="population",
        half_output="float32",
        half_statistics="float32",
        fresh="initial-statistics",
        frozen="none",
    )
    options: ClassVar[Mapping[str, Any]] = {}

    def start(self) -> None:
        from flax import linen, nnx

        self.linen, self.nnx = linen, nnx
        super().start()

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        how = {"epsilon": epsilon, **self.precision(x)}
        return self._run(x, ("train",), (gamma, beta), **how)[:1]

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        how = {"epsilon": epsilon, **self.precision(x)}
        return self._run(x, ("infer",), (gamma, beta), (mean, var), **how)[0]

    def precision(self, x: Any) -> dict[str, Any]:
        return {"dtype": x.dtype} if x.dtype.name in ("float16", "bfloat16") else {}


class Linen(_Flax):
    name = "flax.linen.BatchNorm"

    def _run(
        self, x: Any, modes: Any, parameters: Any = None, statistics: Any = None, **how: Any
    ) -> Any:
        layer = self.linen.BatchNorm(**self.options, **how)
        if parameters is None:
            variables = layer.init(self.jax.random.key(0), x, use_running_average=False)
        else:
            variables = {"params": dict(zip(("scale", "bias"), parameters, strict=True))}
        if statistics is not None:
            variables["batch_stats"] = dict(zip(("mean", "var"), statistics, strict=True))
        for mode in modes:
            y, changed = layer.apply(
                variables, x, use_running_average=mode == "infer", mutable=["batch_stats"]
            )
            variables |= changed
        return y, variables["batch_stats"]["mean"], variables["batch_stats"]["var"]

    def _linear(self, x: Any, w: Any) -> Any:
        layer = self.linen.Dense(w.shape[1], use_bias=False, **self.precision(x))
        return layer.apply({"params": {"kernel": w}}, x)


class LinenStable(Linen):
    name = "flax.linen.BatchNorm-stable"
    options: ClassVar[Mapping[str, Any]] = {"use_fast_variance": False}


class LinenAxisName(OverReplicas, Linen):
    name = "flax.linen.BatchNorm-axis_name"
    options: ClassVar[Mapping[str, Any]] = {"axis_name": OverReplicas.axis_name}


class Nnx(_Flax):
    name = "flax.nnx.BatchNorm"

    def _run(
        self, x: Any, modes: Any, parameters: Any = None, statistics: Any = None, **how: Any
    ) -> Any:
        nnx = self.nnx
        layer = nnx.BatchNorm(x.shape[-1], rngs=nnx.Rngs(0), **self.options, **how)
        if parameters is not None:
            layer.scale, layer.bias = map(nnx.Param, parameters)
        if statistics is not None:
            layer.mean, layer.var = map(nnx.BatchStat, statistics)
        for mode in modes:
            y = layer(x, use_running_average=mode == "infer")
        return y, layer.mean[...], layer.var[...]

    def _linear(self, x: Any, w: Any) -> Any:
        nnx = self.nnx
        layer = nnx.Linear(*w.shape, use_bias=False, rngs=nnx.Rngs(0), **self.precision(x))
        layer.kernel = nnx.Param(w)
        return layer(x)


class NnxStable(Nnx):
    name = "flax.nnx.BatchNorm-stable"
    options: ClassVar[Mapping[str, Any]] = {"use_fast_variance": False}


class NnxAxisName(OverReplicas, Nnx):
    name = "flax.nnx.BatchNorm-axis_name"
    options: ClassVar[Mapping[str, Any]] = {"axis_name": OverReplicas.axis_name}
