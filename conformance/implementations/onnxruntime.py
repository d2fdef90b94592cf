"""ONNX Runtime on the CPU: BatchNormalization of ONNX in three versions, with the default optimizations."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.implementations._onnx_operator import Operator


class BatchNormalization9(Operator):
    name = "onnxruntime.BatchNormalization-9"
    framework = "onnxruntime"
    modules = ("onnxruntime", "onnx")
    packages = ("onnxruntime", "onnx")
    opset = 9
    dtypes = ("float16", "float32", "float64")

    def start(self) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession
        self.options = onnxruntime.SessionOptions()
        self.options.log_severity_level = 4  # what is refused is told by the exception

    def run(self, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        session = self.session(
            model.SerializeToString(), self.options, providers=["CPUExecutionProvider"]
        )
        outputs: list[np.ndarray] = session.run(None, feeds)
        return outputs


class BatchNormalization14(BatchNormalization9):
    name = "onnxruntime.BatchNormalization-14"
    opset = 14


class BatchNormalization15(BatchNormalization9):
    name = "onnxruntime.BatchNormalization-15"
    opset = 15
