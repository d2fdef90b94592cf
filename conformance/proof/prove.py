"""Holds the kernels known to be wrong, and those known to be right, against every frozen case."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.cases import load_cases
from conformance.conventions import question_for
from conformance.errors import UserError
from conformance.implementations.call import ask_after_others
from conformance.judge import INACCURATE, UNSUPPORTED, WRONG, Answer, Judgement, Question, judge
from conformance.operations import IN_LAYOUT, OPERATIONS
from conformance.precision import HAS_BFLOAT16
from conformance.proof.known import Known
from conformance.proof.mutants import MUTANTS
from conformance.proof.right import RIGHT

KERNELS: dict[str, type[Known]] = {kernel.name: kernel for kernel in (*RIGHT, *MUTANTS)}


@dataclass(frozen=True)
class Finding:
    """What one case found of a kernel."""

    case: str
    verdict: str
    name: str


@dataclass(frozen=True)
class Trial:
    """What all cases found of one kernel, in their order.

    `noticed` are the findings that a mutant is to earn, `strays` those that the kernel must not have.
    """

    kernel: str
    due: str | None
    wrong: bool
    noticed: tuple[Finding, ...]
    strays: tuple[Finding, ...]

    @property
    def telling(self) -> tuple[Finding, ...]:
        """Those that notice the mutant under the name that is due to it, if one is."""
        return tuple(f for f in self.noticed if self.due in (None, f.name))

    @property
    def passes(self) -> bool:
        return not self.strays and (bool(self.telling) or not self.wrong)


def prove(folder: Path, workers: int | None = None, names: Sequence[str] = ()) -> Iterator[Trial]:
    """The trial of every kernel, or of those named, in the order of KERNELS; the slow ones begin.

    Raises UserError where bfloat16 is missing.
    """
    if not HAS_BFLOAT16:
        raise UserError(
            "the proof needs bfloat16; pip install 'batchnorm-conformance[proof]' brings ml_dtypes"
        )
    names = [name for name in KERNELS if name in names] if names else list(KERNELS)
    workers = min(workers or os.cpu_count() or 1, len(names))
    if workers == 1:
        yield from (_try(str(folder), name) for name in names)
        return
    # Spawned: a fork would copy the threads of whatever the caller has imported.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_keep_memory) as pool:
        yield from pool.map(_try, [str(folder)] * len(names), names)


def _keep_memory() -> None:
    """What a large array leaves is used for the next one (glibc): to hand it back to the system and
    to be given it again takes as long as the arithmetic."""
    largest, trim_threshold, mmap_max = 2**31 - 1, -1, -4  # malloc.h
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(trim_threshold, largest)
        libc.mallopt(mmap_max, 0)


def _try(folder: str, name: str) -> Trial:
    return _prover(folder).trial(KERNELS[name])


@cache
def _prover(folder: str) -> Prover:
    return Prover(load_cases(Path(folder)))


class _Made(Mapping[str, Case]):
    """The cases, each with its large tensors made when it is first asked for."""

    def __init__(self, cases: Mapping[str, Case]) -> None:
        self._cases = cases
        self._made: dict[str, Case] = {}

    def __getitem__(self, name: str) -> Case:
        if name not in self._made:
            case = self._cases[name]
            inputs = {key: np.asarray(array) for key, array in case.inputs.items()}
            self._made[name] = replace(case, inputs=inputs)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases)

    def __len__(self) -> int:
        return len(self._cases)


class Prover:
    """Tries kernels, and keeps the cases and the judgements on what they were answered.

    Most mutants answer most cases bit for bit as another kernel does: each answer is judged once.
    """

    def __init__(self, cases: Mapping[str, Case]) -> None:
        self.cases = _Made(cases)
        self._judged: dict[bytes, Judgement] = {}

    def trial(self, kernel: type[Known], names: Iterable[str] | None = None) -> Trial:
        """What the named cases find of the kernel, or all of them."""
        found = list(self.findings(kernel, self.cases if names is None else names))
        return Trial(
            kernel=kernel.name,
            due=kernel.due,
            wrong=bool(kernel.verdicts),
            noticed=tuple(f for f in found if f.verdict in kernel.verdicts),
            strays=tuple(f for f in found if self._is_stray(kernel, f)),
        )

    def findings(self, kernel: type[Known], names: Iterable[str]) -> Iterator[Finding]:
        """Each case is put to a new instance, so that none depends on which others there are."""
        for case in map(self.cases.__getitem__, names):
            if case.inputs["x"].size <= kernel.largest:
                found = self.judged(kernel(), case)
                yield Finding(case.id, found.verdict, found.name)

    def judged(self, kernel: Known, case: Case) -> Judgement:
        question = question_for(kernel, case)
        answer = ask_after_others(kernel, case, self.cases)
        key = _fingerprint(case.id, question, answer)
        if key is None or question is not case.question:
            return judge(question, answer)
        if key not in self._judged:
            self._judged[key] = judge(question, answer)
        return self._judged[key]

    def _is_stray(self, kernel: type[Known], found: Finding) -> bool:
        if kernel.only:
            return found.verdict in (WRONG, INACCURATE) and found.name != kernel.due
        if kernel.verdicts:
            return False
        case = self.cases[found.case]
        if found.verdict == UNSUPPORTED:
            return _offers(kernel, case)
        if found.name == "raises" and case.operation != "reject":
            return not kernel.declines & set(case.flags)
        return found.verdict in (WRONG, INACCURATE)


def _offers(kernel: type[Known], case: Case) -> bool:
    method = OPERATIONS[case.attributes.get("call", case.operation)].method
    fits = case.dtype in kernel.dtypes and len(case.layout) in kernel.ranks
    return getattr(kernel, method) is not None and fits


def _fingerprint(case_id: str, question: Question, answer: Answer) -> bytes | None:
    """A digest of all that the judge looks at; None where there is more than arrays to look at."""
    if not answer.outputs or not all(type(a) is np.ndarray for a in answer.outputs.values()):
        return None
    digest = blake2b(case_id.encode(), digest_size=16)
    for name, array in answer.outputs.items():
        if array.dtype.hasobject:
            return None
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(_looked_at(question, name, array).tobytes())
    return digest.digest()


def _looked_at(question: Question, name: str, array: Any) -> Any:
    """The elements at the case's positions, of an output that has them."""
    if question.positions is None or name not in IN_LAYOUT or array.shape != question.shapes[name]:
        return array
    return array.reshape(-1)[question.positions]


def noticed_by_one_family(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """By family: the mutants that get through where it is left out."""
    alone: dict[str, list[str]] = {}
    for trial in trials:
        families = {finding.case.partition("/")[0] for finding in trial.telling}
        if trial.wrong and len(families) == 1:
            alone.setdefault(families.pop(), []).append(trial.kernel)
    return alone
