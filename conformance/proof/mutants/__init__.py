"""Deliberately wrong kernels, each with one mistake, that prove that the suite sees it."""

from conformance.proof.known import Known
from conformance.proof.mutants import (
    algorithms,
    dense,
    formula,
    gradients,
    halves,
    layers,
    memory,
    places,
    precision,
    results,
    running,
    shapes,
    state,
)

MUTANTS: tuple[type[Known], ...] = (
    *formula.MUTANTS,
    *shapes.MUTANTS,
    *places.MUTANTS,
    *memory.MUTANTS,
    *precision.MUTANTS,
    *algorithms.MUTANTS,
    *halves.MUTANTS,
    *results.MUTANTS,
    *state.MUTANTS,
    *running.MUTANTS,
    *gradients.MUTANTS,
    *dense.MUTANTS,
    *layers.MUTANTS,
)
