"""Haiku: hk.BatchNorm, on its own and with statistics over a named axis."""

from __future__ import annotations

from typing import Any

from conformance.implementations.base import Conventions, Unsupported
from conformance.implementations.jax import JaxLayer, OverReplicas

_LONG_AGO = 2**30


class BatchNorm(JaxLayer):
    """Its average is divided by the weight of the batches so far, which is 1 after many.

    Statistics to start with are loaded as those of many batches: they then count as they are.
    """

    name = "haiku.BatchNorm"
    framework = "haiku"
    modules = ("haiku", "jax")
    packages = ("dm-haiku", "jax", "jaxlib")
    conventions = Conventions(
        epsilon=1e-5,
        momentum=None,
        momentum_weighs="old",
        running_variance="population",
        half_output="x",
        half_statistics="x",
        fresh="batch-statistics",  # of the batch that init was called on: hk.BatchNorm counts it
        frozen="none",
    )

    def start(self) -> None:
        import haiku

        self.haiku = haiku
        super().start()

    def _run(
        self,
        x: Any,
        modes: Any,
        parameters: Any = None,
        statistics: Any = None,
        momentum: float = 0.9,
        **how: Any,
    ) -> Any:
        if momentum >= 1:
            raise Unsupported("decay_rate must be below 1: the average is divided by 1 - decay**k")
        if "epsilon" in how:
            how["eps"] = how.pop("epsilon")

        def call(x: Any, is_training: bool) -> Any:
            layer = self.haiku.BatchNorm(
                True, True, momentum, cross_replica_axis=self.axis_name, **how
            )
            return layer(x, is_training)

        functions = self.haiku.transform_with_state(call)
        variables, state = functions.init(None, x, True)
        ahead = tuple(range(x.ndim - 1))
        if parameters is not None:
            scale, offset = (self.numpy.expand_dims(a, ahead) for a in parameters)
            variables = {"batch_norm": {"scale": scale, "offset": offset}}
        if statistics is not None:
            state = {
                f"batch_norm/~/{name}_ema": {
                    "counter": self.numpy.int32(_LONG_AGO),
                    "hidden": self.numpy.expand_dims(average, ahead),
                    "average": self.numpy.expand_dims(average, ahead),
                }
                for name, average in zip(("mean", "var"), statistics, strict=True)
            }
        for mode in modes:
            y, state = functions.apply(variables, state, None, x, mode == "train")
        mean, var = (state[f"batch_norm/~/{name}_ema"]["average"] for name in ("mean", "var"))
        return y, self.numpy.squeeze(mean, ahead), self.numpy.squeeze(var, ahead)

    def _linear(self, x: Any, w: Any) -> Any:
        def call(x: Any) -> Any:
            return self.haiku.Linear(w.shape[1], with_bias=False)(x)

        return self.haiku.transform(call).apply({"linear": {"w": w}}, None, x)


class BatchNormCrossReplica(OverReplicas, BatchNorm):
    name = "haiku.BatchNorm-cross_replica_axis"
