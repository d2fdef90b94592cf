"""TensorFlow: tf.nn.moments and tf.nn.batch_normalization, eager, as a graph, and compiled by XLA."""

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
        self.training, self.inference = self.compiled(self._train), self.compiled(self._infer)

    def compiled(self, function: Any) -> Any:
        return function

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        mean, var = self.tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        y = self.tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon)
        return y, mean, var

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
        return (self.tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon),)

    def train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._call(self.training, x, gamma, beta, epsilon)

    def infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._call(self.inference, x, mean, var, gamma, beta, epsilon)

    def _call(self, function: Any, x: Any, *others: Any) -> Any:
        with self.tf.device(self.where):
            # As tensors, so that a new epsilon does not trace and compile the graph anew.
            tensors = [self.tf.constant(array, dtype=x.dtype) for array in (x, *others)]
            return tuple(output.numpy() for output in function(*tensors))


class BatchNormalizationFunction(BatchNormalization):
    name = "tf.nn.batch_normalization-function"

    def compiled(self, function: Any) -> Any:
        return self.tf.function(function)


class BatchNormalizationXla(BatchNormalization):
    name = "tf.nn.batch_normalization-xla"

    def compiled(self, function: Any) -> Any:
        return self.tf.function(function, jit_compile=True)
