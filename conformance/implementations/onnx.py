"""ONNX: the operator BatchNormalization as its own reference evaluator computes it, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations._onnx_operator import Operator


class _Evaluated(Operator):
    framework = "onnx"

    def start(self) -> None:
        from onnx.reference import ReferenceEvaluator

        self.evaluator = ReferenceEvaluator

    def run(self, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(output) for output in self.evaluator(model).run(None, feeds)]


class BatchNormalization9(_Evaluated):
    """A node that trains has five outputs here, of which the evaluator gives y alone."""

    name = "onnx.reference.BatchNormalization-9"
    opset = 9
    dtypes = ("float16", "float32", "float64")
    conventions = None
    update = None  # type: ignore[assignment]
    layer = None  # type: ignore[assignment]


class BatchNormalization15(_Evaluated):
    name = "onnx.reference.BatchNormalization-15"
    opset = 15
