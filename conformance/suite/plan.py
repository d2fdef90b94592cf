"""What all workers of a run are told: the cases, read and checked once, and how to run them.

It lies in a file without a name, which a worker maps into its memory and which is gone when the last
process that uses it is. Large tensors are generated once and lie there as they are, never copied.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np

from conformance.case import Case
from conformance.generator import Deferred

_SIZE = struct.Struct("<Q")
_ALIGNMENT = 64


@dataclass(frozen=True)
class Plan:
    """`specs` is how each implementation is loaded, by name; `guarded` are those from outside the package."""

    cases: Mapping[str, Case]
    specs: Mapping[str, str]
    guarded: frozenset[str]
    device: str
    timeout: float


def share(plan: Plan) -> IO[bytes]:
    """The file with the plan in it. Raises UserError for a large tensor that is not what its case says."""
    made: dict[str, np.ndarray] = {}
    plan = replace(plan, cases={name: _made(case, made) for name, case in plan.cases.items()})
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(plan, protocol=5, buffer_callback=buffers.append)
    file = tempfile.TemporaryFile(prefix="bnconf-")  # noqa: SIM115
    blocks: list[Any] = [pickled, *(buffer.raw() for buffer in buffers)]
    for block in blocks:
        file.write(_SIZE.pack(len(block)))
        file.write(bytes(-file.tell() % _ALIGNMENT))
        file.write(block)
    file.flush()
    return file


def shared(file: int) -> Plan:
    """The plan in the file that was inherited under this number; its tensors cannot be written to."""
    memory = memoryview(mmap.mmap(file, 0, access=mmap.ACCESS_READ))
    os.close(file)
    blocks, place = [], 0
    while place < len(memory):
        (size,) = _SIZE.unpack_from(memory, place)
        place += _SIZE.size
        place += -place % _ALIGNMENT
        blocks.append(memory[place : place + size])
        place += size
    plan: Plan = pickle.loads(blocks[0], buffers=blocks[1:])
    return plan


def _made(case: Case, made: dict[str, np.ndarray]) -> Case:
    """The case with its large tensors generated, each once."""
    inputs = dict(case.inputs)
    for name, tensor in inputs.items():
        if isinstance(tensor, Deferred):
            key = f"{tensor.sha256} {tensor.dtype}"
            if key not in made:
                made[key] = np.asarray(tensor)
            inputs[name] = replace(tensor, made=made[key].reshape(tensor.shape))
    return replace(case, inputs=inputs)
