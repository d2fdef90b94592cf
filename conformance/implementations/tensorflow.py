"""TensorFlow: tf.nn.moments and tf.nn.batch_normalization, eager, as a graph, and compiled by XLA;
a dense layer made of them. tensorflow_fused.py has the fused operation."""

from __future__ import annotations

import os
from typing import Any

from conformance.errors import UserError
from conformance.implementations.base import Implementation


class BatchNormalization(Implementation):
    name = "tf.nn.batch_normalization"
    framework = "tensorflow"
    channel_axis = -1
    devices = ("cpu", "cuda")
    # TensorFlow's functions keep no running statistics; its layers do.

    def start(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if self.device == "cuda" and not gpus:
            raise UserError(f"tensorflow {tf.__version__} finds no CUDA device; use --device cpu")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        self.tf = tf
        self.where = "/GPU:0" if self.device == "cuda" else "/CPU:0"
        self.functions = {
            name: self.compiled(getattr(self, name))
            for name in ("_train", "_infer", "_update", "_grad", "_grad_infer", "_dense")
            if hasattr(self, name)
        }

    def compiled(self, function: Any) -> Any:
        return function

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        mean, var = self.tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        y = self.tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon)
        return y, mean, var

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return (self.tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon),)

    def _grad(self, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        with self.tf.GradientTape() as tape:
            tape.watch((x, gamma, beta))
            y, _, _ = self._train(x, gamma, beta, epsilon)
        return tape.gradient(y, (x, gamma, beta), output_gradients=dy)

    def _grad_infer(
        self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any
    ) -> Any:
        with self.tf.GradientTape() as tape:
            tape.watch((x, gamma, beta))
            (y,) = self._infer(x, mean, var, gamma, beta, epsilon)
        return tape.gradient(y, (x, gamma, beta), output_gradients=dy)

    def _dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: Any, activation: str) -> Any:
        y, _, _ = self._train(self.tf.matmul(x, w), gamma, beta, epsilon)
        return (y if activation == "identity" else getattr(self.tf.nn, activation)(y),)

    def train(self, *arguments: Any) -> Any:
        return self._call("_train", *arguments)

    def infer(self, *arguments: Any) -> Any:
        return self._call("_infer", *arguments)[0]

    def grad(self, *arguments: Any) -> Any:
        return self._call("_grad", *arguments)

    def grad_infer(self, *arguments: Any) -> Any:
        return self._call("_grad_infer", *arguments)

    def dense(self, *arguments: Any) -> Any:
        return self._call("_dense", *arguments)[0]

    def _call(self, name: str, x: Any, *others: Any) -> Any:
        """Epsilon goes in as a tensor, so that a new one does not trace and compile anew."""
        with self.tf.device(self.where):
            tensors = [self._tensor(value, x.dtype) for value in (x, *others)]
            return tuple(output.numpy() for output in self.functions[name](*tensors))

    def _tensor(self, value: Any, dtype: Any) -> Any:
        if isinstance(value, str):
            return value
        return self.tf.constant(value, dtype=dtype if isinstance(value, float) else value.dtype)


class BatchNormalizationFunction(BatchNormalization):
    name = "tf.nn.batch_normalization-function"

    def compiled(self, function: Any) -> Any:
        return self.tf.function(function)


class BatchNormalizationXla(BatchNormalization):
    name = "tf.nn.batch_normalization-xla"

    def compiled(self, function: Any) -> Any:
        return self.tf.function(function, jit_compile=True)


class DenseLayer(BatchNormalization):
    """A layer as tutorials write it: initialized weights, variables gamma and beta of shape (1, n).

    `train` and `grad` ask for what comes after the matrix product. It knows no inference.
    """

    name = "tf.nn.batch_normalization-dense-layer"
    packages = ("tensorflow", "keras")
    ranks = (2,)
    infer = None  # type: ignore[assignment]
    grad_infer = None  # type: ignore[assignment]

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        gamma, beta = self._variables(gamma, beta)
        return self._normalize(x, gamma, beta, epsilon)

    def _grad(self, x: Any, gamma: Any, beta: Any, epsilon: Any, dy: Any) -> Any:
        gamma, beta = self._variables(gamma, beta)
        with self.tf.GradientTape() as tape:
            tape.watch(x)
            y, _, _ = self._normalize(x, gamma, beta, epsilon)
        dx, *parameters = tape.gradient(y, (x, gamma, beta), output_gradients=dy)
        return dx, *(self.tf.reshape(gradient, [-1]) for gradient in parameters)

    def _dense(self, x: Any, w: Any, gamma: Any, beta: Any, epsilon: Any, activation: str) -> Any:
        initializer = self.tf.keras.initializers.VarianceScaling(mode="fan_avg")
        kernel = self.tf.Variable(initializer(w.shape, dtype=w.dtype.name))
        kernel.assign(w)
        y, _, _ = self._train(self.tf.matmul(x, kernel), gamma, beta, epsilon)
        return (y if activation == "identity" else getattr(self.tf.nn, activation)(y),)

    def _variables(self, gamma: Any, beta: Any) -> Any:
        tf = self.tf
        variables = (
            tf.Variable(tf.ones([1, gamma.shape[0]], gamma.dtype)),
            tf.Variable(tf.zeros([1, beta.shape[0]], beta.dtype)),
        )
        for variable, value in zip(variables, (gamma, beta), strict=True):
            variable.assign(tf.reshape(value, [1, -1]))
        return variables

    def _normalize(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        mean, var = self.tf.nn.moments(x, axes=[0])
        return self.tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon), mean, var
