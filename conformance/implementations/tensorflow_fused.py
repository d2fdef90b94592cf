"""TensorFlow's fused operation, tf.compat.v1.nn.fused_batch_norm: NHWC, NCHW, and compiled by XLA."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations.base import Unsupported
from conformance.implementations.tensorflow import BatchNormalization


class FusedBatchNorm(BatchNormalization):
    """It takes images and volumes; rows (N, C) go in as images of one pixel, as tf.contrib.layers did it.

    Epsilon and the rate are attributes of the operation, so that a compiled one is compiled for each value.
    """

    name = "tf.compat.v1.nn.fused_batch_norm"
    dtypes = ("float16", "bfloat16", "float32")
    ranks = (2, 4, 5)
    data_formats = ("NHWC", "NDHWC")

    def _train(self, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        return self._fused(x, gamma, beta, epsilon=epsilon)

    def _infer(self, x: Any, mean: Any, var: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        y, _, _ = self._fused(x, gamma, beta, mean, var, epsilon=epsilon, is_training=False)
        return (y,)

    def _update(self, x: Any, mean: Any, var: Any, epsilon: float, rate: float) -> Any:
        gamma, beta = self.tf.ones_like(mean), self.tf.zeros_like(mean)
        how = {"epsilon": epsilon, "exponential_avg_factor": rate}
        return self._fused(x, gamma, beta, mean, var, **how)[1:]

    def update(self, *arguments: Any) -> Any:
        return self._call("_update", *arguments)

    def _fused(self, x: Any, gamma: Any, *others: Any, **how: Any) -> Any:
        shape = x.shape
        if shape.rank == 2:
            one_pixel = (1, 1)
            last = self.channel_axis == -1
            x = self.tf.reshape(
                x, (shape[0], *one_pixel, shape[1]) if last else (*shape, *one_pixel)
            )
        image, volume = self.data_formats
        y, mean, var = self.tf.compat.v1.nn.fused_batch_norm(
            x, gamma, *others, data_format=volume if shape.rank == 5 else image, **how
        )
        return self.tf.reshape(y, shape) if shape.rank == 2 else y, mean, var

    def _call(self, name: str, x: Any, *others: Any) -> Any:
        if any(other.dtype.itemsize == 2 for other in others if np.ndim(other) == 1):
            raise Unsupported(
                "its parameters and statistics are in float32 beside a half-precision x"
            )
        return super()._call(name, x, *others)

    def _tensor(self, value: Any, dtype: Any) -> Any:
        return value if isinstance(value, float) else super()._tensor(value, dtype)


class FusedBatchNormChannelsFirst(FusedBatchNorm):
    name = "tf.compat.v1.nn.fused_batch_norm-NCHW"
    channel_axis = 1
    data_formats = ("NCHW", "NCDHW")


class FusedBatchNormXla(FusedBatchNorm):
    name = "tf.compat.v1.nn.fused_batch_norm-xla"

    def compiled(self, function: Any) -> Any:
        return self.tf.function(function, jit_compile=True)
