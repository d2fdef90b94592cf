"""ONNX: the operator BatchNormalization as its own reference evaluator computes it, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations._onnx_operator import Operator


class BatchNormalization9(Operator):
    name = "onnx.reference.BatchNormalization-9"
    framework = "onnx"
    opset = 9
    dtypes = ("float16", "float32", "float64")
    conventions = None  # a node that trains has five outputs, and the evaluator gives y alone
    update = None  # type: ignore[assignment]
    layer = None  # type: ignore[assignment]

    def start(self) -> None:
        from onnx.reference import ReferenceEvaluator

        self.evaluator = ReferenceEvaluator

    def run(self, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(output) for output in self.evaluator(model).run(None, feeds)]


class BatchNormalization15(BatchNormalization9):
    name = "onnx.reference.BatchNormalization-15"
    opset = 15
    conventions = Operator.conventions
    update = Operator.update
    layer = Operator.layer
    dtypes = ("float16", "bfloat16", "float32", "float64")
