"""The core: the smallest set of cases that still notices every mutant, as a fast run for kernel authors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.case import Case
from conformance.errors import UserError

if TYPE_CHECKING:  # a run of the core needs no kernels
    from conformance.proof.prove import Trial

CORE = Path(__file__).resolve().parent / "core.txt"


def read() -> list[str]:
    """The ids of the core's cases."""
    return CORE.read_text(encoding="utf-8").split()


def write(path: Path, names: Sequence[str]) -> None:
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def smallest(trials: Sequence[Trial], cases: Mapping[str, Case]) -> list[str]:
    """The ids, in the order of the cases, of as few as can notice every mutant under its name.

    Of all smallest sets it is the one that comes first if cases are ordered by the size of x, and by
    their place where that is equal; so it does not depend on the solver. Raises UserError where
    SciPy is missing, and where a mutant survives.
    """
    needed = {t.kernel: frozenset(f.case for f in t.telling) for t in trials if t.wrong}
    surviving = [kernel for kernel, some in needed.items() if not some]
    if surviving:
        raise UserError(f"no set of cases notices {', '.join(surviving)}; write a case that does")
    rows = _minimal(set(needed.values()))
    places = {name: place for place, name in enumerate(cases)}
    order = sorted(places, key=lambda name: (cases[name].inputs["x"].size, places[name]))
    columns = _undominated(order, rows)
    chosen = _first_of_the_smallest(columns, rows)
    return sorted(chosen, key=places.__getitem__)


def _minimal(rows: set[frozenset[str]]) -> list[frozenset[str]]:
    """Without those that hold another: whatever meets the smaller one meets them."""
    kept: list[frozenset[str]] = []
    for row in sorted(rows, key=lambda row: (len(row), sorted(row))):
        if not any(other <= row for other in kept):
            kept.append(row)
    return kept


def _undominated(order: Sequence[str], rows: Sequence[frozenset[str]]) -> list[str]:
    """Without the cases that meet no more rows than one that comes before them."""
    meets = {name: frozenset(k for k, row in enumerate(rows) if name in row) for name in order}
    kept: list[str] = []
    for name in order:
        if meets[name] and not any(meets[name] <= meets[other] for other in kept):
            kept.append(name)
    return kept


def _first_of_the_smallest(columns: Sequence[str], rows: Sequence[frozenset[str]]) -> list[str]:
    """Each case in turn is kept if a smallest set with it, and with those kept before, exists."""
    best = _cover(columns, rows, [], [])
    kept: list[str] = []
    left_out: list[str] = []
    for name in columns:
        if len(kept) == len(best):
            break
        if name not in best:
            other = _cover(columns, rows, [*kept, name], left_out)
            if len(other) > len(best):
                left_out.append(name)
                continue
            best = other
        kept.append(name)
    return kept


def _cover(
    columns: Sequence[str],
    rows: Sequence[frozenset[str]],
    chosen: Sequence[str],
    left_out: Sequence[str],
) -> list[str]:
    """A smallest set with all that are chosen and none that is left out (an exact set cover, by HiGHS)."""
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array
    except ModuleNotFoundError as error:
        raise UserError(
            f"deriving the core needs {error.name}; "
            "pip install 'batchnorm-conformance[proof]' brings it"
        ) from None
    meets = csr_array([[name in row for name in columns] for row in rows], dtype=float)
    found = milp(
        [1.0] * len(columns),
        integrality=[1] * len(columns),
        bounds=Bounds(
            [float(name in chosen) for name in columns],
            [float(name not in left_out) for name in columns],
        ),
        constraints=LinearConstraint(meets, lb=1),
    )
    if not found.success:
        raise UserError(f"the smallest set of cases was not found: {found.message}")
    return [name for name, share in zip(columns, found.x, strict=True) if share > 0.5]
