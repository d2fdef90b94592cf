"""Equinox: eqx.nn.BatchNorm in both of its modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from conformance.implementations.base import Conventions
from conformance.implementations.jax import JaxLayer

_LONG_AGO = 2**30


class BatchNorm(JaxLayer):
    """mode="batch". In inference its average is divided by the weight of the batches so far, which is 1
    after many. Statistics to start with are loaded as those of many batches: they then count as they are.
    """

    name = "equinox.nn.BatchNorm"
    framework = "equinox"
    modules = ("equinox", "jax")
    packages = ("equinox", "jax", "jaxlib")
    channel_axis = 1
    static: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train": ("epsilon",),
        "infer": ("epsilon",),
        "update": ("epsilon", "rate"),
        "grad": ("epsilon",),
        "grad_infer": ("epsilon",),
        "dense": ("epsilon", "activation"),
        "layer": ("modes",),
    }
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
    mode = "batch"

    def start(self) -> None:
        import equinox

        self.equinox = equinox
        super().start()

    def _run(
        self, x: Any, modes: Any, parameters: Any = None, statistics: Any = None, **how: Any
    ) -> Any:
        nn = self.equinox.nn
        if "epsilon" in how:
            how["eps"] = how.pop("epsilon")
        if given := statistics or parameters:
            how["dtype"] = given[0].dtype
        layer, state = nn.make_with_state(nn.BatchNorm)(x.shape[1], "rows", mode=self.mode, **how)
        if parameters is not None:
            layer = self.equinox.tree_at(lambda one: (one.weight, one.bias), layer, parameters)
        if statistics is not None:
            state = self._loaded(layer, state, statistics)
        for mode in modes:
            layer = nn.inference_mode(layer, mode == "infer")
            mapped = self.jax.vmap(layer, (0, None), (0, None), axis_name="rows")
            y, state = mapped(x, state)
        return y, *self._statistics(layer, state)

    def _loaded(self, layer: Any, state: Any, statistics: Any) -> Any:
        counter = self.numpy.full_like(state.get(layer.batch_counter), _LONG_AGO)
        return state.set(layer.batch_counter, counter).set(layer.batch_state_index, statistics)

    def _statistics(self, layer: Any, state: Any) -> Any:
        return state.get(layer.batch_state_index)

    def _linear(self, x: Any, w: Any) -> Any:
        layer = self.equinox.nn.Linear(*w.shape, use_bias=False, key=self.jax.random.key(0))
        return self.jax.vmap(self.equinox.tree_at(lambda one: one.weight, layer, w.T))(x)


class BatchNormEma(BatchNorm):
    """mode="ema", the default so far: the running statistics normalize in training too.

    A new layer takes its first batch for the running statistics: training is that of a first batch,
    which is batch normalization as all know it. Later batches are normalized otherwise.
    """

    name = "equinox.nn.BatchNorm-ema"
    mode = "ema"
    conventions = replace(BatchNorm.conventions, fresh="zero-mean-and-variance")

    def _loaded(self, layer: Any, state: Any, statistics: Any) -> Any:
        first = self.numpy.array(False)
        return state.set(layer.ema_first_time_index, first).set(layer.ema_state_index, statistics)

    def _statistics(self, layer: Any, state: Any) -> Any:
        return state.get(layer.ema_state_index)
