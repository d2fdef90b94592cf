"""Which implementations a call names, and which of them can run here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from conformance.environment import child_environment
from conformance.errors import UserError
from conformance.implementations import registry
from conformance.implementations.registry import Chosen
from conformance.probe import MARK
from conformance.workers import TIME_TO_START


def choose(selectors: Sequence[str], device: str) -> tuple[list[Chosen], tuple[str, ...]]:
    """The implementations to run, and a line for those that were meant and cannot be, by reason.

    Without selectors: all of this package, and installed plug-ins, that this machine can run.
    Raises UserError where a selector names none that can.
    """
    built_in = registry.built_in()
    groups = [registry.matching(selector) or [selector] for selector in selectors]
    chosen: list[Chosen] = []
    left_out: dict[str, list[str]] = {}
    available = _Availability(device)
    for specs in groups or [[*built_in, *registry.entry_points()]]:
        before = len(chosen)
        for spec in specs:
            try:
                chosen.append(available(spec))
            except UserError as error:
                if selectors and specs == [spec]:
                    raise
                reason = error.reason if isinstance(error, Unavailable) else str(error)
                left_out.setdefault(reason, []).append(spec)
        if len(chosen) == before:
            reasons = (f"{', '.join(names)}: {reason}" for reason, names in left_out.items())
            raise UserError(f"nothing to run on {device}: {'; '.join(reasons)}")
    lines = (f"{', '.join(names)}: {reason}" for reason, names in left_out.items())
    return registry.unique(chosen), tuple(lines)


class Unavailable(UserError):
    """An implementation cannot be run here, for a reason that others may share."""

    def __init__(self, spec: str, reason: str) -> None:
        super().__init__(f"{spec}: {reason}")
        self.reason = reason


class _Availability:
    """What can run on a device; a framework is asked once whether it finds that."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._reasons: dict[str, str] = {}

    def __call__(self, spec: str) -> Chosen:
        """Raises Unavailable for what this package has and cannot run here, else UserError."""
        implementation = registry.built_in().get(spec)
        if implementation is None:
            return _probe(spec, self._device)
        framework = implementation.framework
        if self._device not in implementation.devices:
            on = ", ".join(implementation.devices)
            raise Unavailable(spec, f"runs on {on}, not on {self._device}")
        if not registry.is_installed(implementation):
            how = f"pip install 'batchnorm-conformance[{framework}]' brings it"
            raise Unavailable(spec, f"{framework} is not installed; {how}")
        if self._device != "cpu" and framework not in self._reasons:
            try:
                _probe(spec, self._device)
                self._reasons[framework] = ""
            except UserError as error:
                self._reasons[framework] = str(error)
        if reason := self._reasons.get(framework):
            raise Unavailable(spec, reason)
        return registry.describe(spec)


def _probe(spec: str, device: str) -> Chosen:
    """Load it in a process of its own, so that whatever loading it does stays there."""
    command = [sys.executable, "-m", "conformance.probe", spec, device]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            timeout=TIME_TO_START,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"--impl {spec}: was not imported within {TIME_TO_START:g} s; mend the file"
        ) from None
    lines = [line for line in answer.stdout.splitlines() if line.startswith(MARK)]
    if not lines:
        raise UserError(
            f"--impl {spec}: the process that imports it died (exit status {answer.returncode})"
        )
    fields = json.loads(lines[-1].removeprefix(MARK))
    if "error" in fields:
        raise UserError(fields["error"])
    return Chosen(**{**fields, "packages": tuple(fields["packages"])})
