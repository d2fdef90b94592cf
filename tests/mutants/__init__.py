"""Deliberately wrong kernels, each with one mistake, that prove that the suite sees it."""

from mutants import formula, operations, precision, results, shapes

MUTANTS = formula.MUTANTS + shapes.MUTANTS + precision.MUTANTS + results.MUTANTS
MUTANTS += operations.MUTANTS
