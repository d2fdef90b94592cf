"""Ordered pairs of layers, and what was run of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import UserError
from conformance.recipes import files
from conformance.recipes.convert import DTYPE, LAYOUT, steps
from conformance.recipes.data import KINDS, Kind
from conformance.recipes.files import Port, Ported
from conformance.recipes.layer import Layer, layer_of
from conformance.recipes.stages import exceeding


@dataclass(frozen=True)
class Pair:
    """What was run of one ordered pair: a Port for each kind of data and each set of steps left out."""

    source: Layer
    target: Layer
    ports: Mapping[tuple[str, tuple[str, ...]], Port]
    own: Mapping[str, Port]
    """By kind of data: what the source's own library came to, taking the source over."""

    @property
    def title(self) -> str:
        return f"{self.source.title} to {self.target.title}"

    def by_recipe(self, kind: Kind) -> Port | None:
        return self.ports.get((kind.name, ()))

    def naively(self, kind: Kind) -> Port | None:
        rank, dtype = len(kind.shape), kind.dtype
        return self.ports.get((kind.name, steps(self.source, self.target, rank, dtype)))

    def without(self, step: str) -> Port | None:
        """What leaving this step alone out came to, on the data that shows it."""
        kind = {LAYOUT: KINDS[1], DTYPE: KINDS[2]}.get(step, KINDS[0])
        return self.ports.get((kind.name, (step,)))

    def agrees(self, kinds: Sequence[Kind], naive: bool = False) -> bool:
        """Whether the target is within the bound of the source's definition, and so is the source."""
        ports = [
            port for kind in kinds if (port := (self.naively if naive else self.by_recipe)(kind))
        ]
        own = [self.own[kind.name] for kind in kinds if kind.name in self.own]
        return bool(ports) and not any(port.raises or exceeding(port) for port in (*ports, *own))


def pairs_in(folder: Path) -> list[Pair]:
    """All pairs that were run. Raises UserError for files that cannot be read or do not belong together."""
    trained = {
        name: files.read_trained(folder, name) for name in files.present(folder, files.TRAINED)
    }
    ported = {name: files.read_ported(folder, name) for name in files.present(folder, files.PORTED)}
    for one in ported.values():
        _check(folder, one, {source: t.digest for source, t in trained.items()})
    runs: dict[tuple[str, str], dict[tuple[str, tuple[str, ...]], Port]] = {}
    for target, one in ported.items():
        for port in one.ports:
            runs.setdefault((port.source, target), {})[port.data, port.left_out] = port
    pairs = []
    for source in trained:
        own = {data: p for (data, out), p in runs.get((source, source), {}).items() if not out}
        for target in ported:
            if ports := runs.get((source, target)):
                pairs.append(Pair(layer_of(source), layer_of(target), ports, own))
    return pairs


def _check(folder: Path, ported: Ported, digests: Mapping[str, str]) -> None:
    """All sources are those that lie there."""
    for source, digest in ported.sources.items():
        if digests.get(source) != digest:
            raise UserError(
                f"{files.path_of(folder, files.PORTED, ported.layer)}: took over another {source} than that of "
                f"{files.path_of(folder, files.TRAINED, source)}; run bnconf recipes port --layer {ported.layer}"
            )
