"""Keras 3: the layer BatchNormalization on TensorFlow, PyTorch and JAX; each in a process of its own."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any, ClassVar

import numpy as np

from conformance.errors import UserError
from conformance.implementations.base import Conventions, Implementation


class BatchNormalization(Implementation):
    """A new layer for each call, of the dtype that its parameters have. Where x has a half precision and
    the parameters float32, its dtype policy is mixed_float16 or mixed_bfloat16.
    """

    framework = "keras"
    channel_axis = -1
    devices = ("cpu", "cuda")
    backend: ClassVar[str]
    conventions = Conventions(
        epsilon=1e-3,
        momentum=0.99,
        momentum_weighs="old",
        running_variance="population",
        half_output="float32",
        half_statistics="float32",
        fresh="initial-statistics",
        frozen="running-statistics",
    )

    def start(self) -> None:
        os.environ["KERAS_BACKEND"] = self.backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import keras

        if (other := keras.backend.backend()) != self.backend:
            raise UserError(
                f"keras has been imported with the backend {other} in this process; "
                f"run {self.name} in another"
            )
        if self.device == "cuda" and not self.has_gpu():
            raise UserError(
                f"keras {keras.__version__} on {self.backend} finds no CUDA device; use --device cpu"
            )
        self.keras = keras
        self.where = "gpu" if self.device == "cuda" else "cpu"

    def has_gpu(self) -> bool:
        raise NotImplementedError

    def call(self, layer: Any, x: Any, training: bool) -> Any:
        """y, and the moving statistics after the call."""
        y = layer(x, training=training)
        return y, layer.moving_mean, layer.moving_variance

    def gradients(self, layer: Any, x: Any, dy: Any, training: bool) -> Any:
        """Those of x, gamma and beta, by the backend's own differentiation."""
        raise NotImplementedError

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        with self.keras.device(self.where):
            layer = self._made(x, epsilon, gamma=gamma, beta=beta)
            return self._array(self.call(layer, x, training=True)[0])

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        with self.keras.device(self.where):
            layer = self._made(x, epsilon, mean, var, gamma=gamma, beta=beta)
            return self._array(self.call(layer, x, training=False)[0])

    def update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        with self.keras.device(self.where):
            layer = self._made(x, epsilon, mean, var, momentum=1 - rate)
            return tuple(map(self._array, self.call(layer, x, training=True)[1:]))

    def grad(self, x: Any, gamma: Any, beta: Any, epsilon: float, dy: Any) -> Any:
        with self.keras.device(self.where):
            layer = self._made(x, epsilon, gamma=gamma, beta=beta)
            return tuple(map(self._array, self.gradients(layer, x, dy, training=True)))

    def grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float, dy: Any
    ) -> Any:
        with self.keras.device(self.where):
            layer = self._made(x, epsilon, mean, var, gamma=gamma, beta=beta)
            return tuple(map(self._array, self.gradients(layer, x, dy, training=False)))

    def dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: float, activation: str) -> Any:
        layers, dtype = self.keras.layers, x.dtype.name
        with self.keras.device(self.where):
            dense = layers.Dense(w.shape[1], use_bias=False, dtype=dtype)
            dense.build(x.shape)
            dense.kernel.assign(w)
            z = dense(x)
            layer = self._made(z, epsilon, gamma=gamma, beta=beta)
            y, *_ = self.call(layer, z, training=True)
            named = "linear" if activation == "identity" else activation
            return self._array(layers.Activation(named, dtype=dtype)(y))

    def layer(self, x: Any, modes: Any, frozen: bool) -> Any:
        with self.keras.device(self.where):
            layer = self.keras.layers.BatchNormalization()
            layer.build(x.shape)
            layer.trainable = not frozen
            for mode in modes:
                y = layer(x, training=mode == "train")
            return tuple(map(self._array, (y, layer.moving_mean, layer.moving_variance)))

    def _made(
        self,
        x: Any,
        epsilon: float,
        mean: Any = None,
        var: Any = None,
        momentum: float = 0.99,
        **parameters: Any,
    ) -> Any:
        values = {"moving_mean": mean, "moving_variance": var, **parameters}
        values = {name: value for name, value in values.items() if value is not None}
        dtype = next(iter(values.values())).dtype.name
        given = self.keras.backend.standardize_dtype(x.dtype)
        if dtype == "float32" and given in ("float16", "bfloat16"):
            dtype = f"mixed_{given}"
        layer = self.keras.layers.BatchNormalization(
            momentum=momentum, epsilon=epsilon, dtype=dtype
        )
        layer.build(x.shape)
        for name, value in values.items():
            getattr(layer, name).assign(value)
        return layer

    def _array(self, tensor: Any) -> np.ndarray:
        array: np.ndarray = self.keras.ops.convert_to_numpy(tensor)
        return array


class OnTensorFlow(BatchNormalization):
    name = "keras.BatchNormalization-tensorflow"
    backend = "tensorflow"
    modules = packages = ("keras", "tensorflow")
    process = "keras-tensorflow"

    def has_gpu(self) -> bool:
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))

    def gradients(self, layer: Any, x: Any, dy: Any, training: bool) -> Any:
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
        wanted = (x, layer.gamma.value, layer.beta.value)
        return tape.gradient(y, wanted, output_gradients=dy)


class OnTorch(BatchNormalization):
    name = "keras.BatchNormalization-torch"
    backend = "torch"
    modules = packages = ("keras", "torch")
    process = "keras-torch"

    def has_gpu(self) -> bool:
        import torch

        return bool(torch.cuda.is_available())

    def gradients(self, layer: Any, x: Any, dy: Any, training: bool) -> Any:
        import torch

        x, dy = map(self.keras.ops.convert_to_tensor, (x, dy))
        wanted = (x.requires_grad_(), layer.gamma.value, layer.beta.value)
        return torch.autograd.grad(layer(x, training=training), wanted, dy)


class OnJax(BatchNormalization):
    """As `fit` does it: the stateless call under jit. Epsilon and momentum are compiled in."""

    name = "keras.BatchNormalization-jax"
    backend = "jax"
    modules = ("keras", "jax")
    packages = ("keras", "jax", "jaxlib")
    process = "keras-jax"

    def start(self) -> None:
        super().start()
        import jax

        jax.config.update("jax_enable_x64", True)  # without it JAX has no float64
        self.compiled: dict[Any, Any] = {}

    def has_gpu(self) -> bool:
        import jax

        with contextlib.suppress(RuntimeError):
            return bool(jax.devices("cuda"))
        return False

    def call(self, layer: Any, x: Any, training: bool) -> Any:
        def call(layer: Any, parameters: Any, statistics: Any, x: Any) -> Any:
            return layer.stateless_call(parameters, statistics, x, training=training)

        y, statistics = self._jit(call, training, layer, x)
        return y, *statistics

    def gradients(self, layer: Any, x: Any, dy: Any, training: bool) -> Any:
        import jax

        def gradients(layer: Any, parameters: Any, statistics: Any, x: Any, dy: Any) -> Any:
            def forward(parameters: Any, x: Any) -> Any:
                return layer.stateless_call(parameters, statistics, x, training=training)[0]

            _, backward = jax.vjp(forward, parameters, x)
            return backward(dy)

        (dgamma, dbeta), dx = self._jit(gradients, training, layer, x, dy)
        return dx, dgamma, dbeta

    def _jit(self, function: Any, training: bool, layer: Any, x: Any, *others: Any) -> Any:
        """The compiled function is that of the first layer made in the same way."""
        import jax

        made = (layer.epsilon, layer.momentum, layer.dtype_policy.name)
        key = (function.__name__, training, made, x.shape)
        if key not in self.compiled:
            self.compiled[key] = jax.jit(functools.partial(function, layer))
        parameters = [variable.value for variable in layer.trainable_variables]
        statistics = [variable.value for variable in layer.non_trainable_variables]
        return self.compiled[key](parameters, statistics, x, *others)
