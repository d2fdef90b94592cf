"""Family large-batch: a thousand to sixteen million values per channel, by rows and by spatial size."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalogue.draft import DTYPES, Draft, Draw, Family, rounded
from conformance.generator import Random, Staircase

_RANDOM = Random(seed=1502, bits=10, offset=-440, exponent=-8)
# At 2^24 an ulp of a float32 sum is as large as what is added: only small integers stay unbiased.
_COIN = Random(seed=2402, bits=1, offset=-1, exponent=0)
_TAILS = Random(seed=3167, bits=6, offset=-29, exponent=-9, power=3)
# Few distinct pairs of x and dy, so that certifying them stays quick.
_COARSE = Random(seed=1607, bits=8, offset=-110, exponent=-6)
_UPSTREAM = Random(seed=1410, bits=3, offset=-3, exponent=-2)
_NARROW = Random(seed=1502, bits=6, offset=-25, exponent=-4)  # a half precision holds them
_ROWS = 10008


def _adversaries(rows: int) -> dict[str, Random | Staircase]:
    return {
        "heavy-tails": _TAILS,
        "halves": Staircase(times=2, per=rows, modulus=2, offset=3, step=-2, exponent=0),
        "ramp": Staircase(times=500, per=rows, modulus=1000, offset=512, step=1, exponent=-9),
        "alternating": Staircase(times=1, per=1, modulus=2, offset=-3, step=7, exponent=-1),
    }


def _drafts() -> Iterator[Draft]:
    for dtype in DTYPES:
        for rows in (2053, 70001):
            yield _draft("train", dtype, "rows", rows, 3, _RANDOM)
            yield _draft("train", dtype, "length", rows, 3, _RANDOM)
            yield _draft("grad", dtype, "rows", rows, 3, _COARSE)
            yield _draft("update", dtype, "rows", rows, 3, _RANDOM)
        for how, generator in _adversaries(_ROWS).items():
            yield _draft("train", dtype, how, _ROWS, 1, generator)
            yield _draft("grad", dtype, how, _ROWS, 1, generator)
    yield _draft("infer", "float32", "rows", 70001, 3, _RANDOM)
    for dtype in ("float16", "bfloat16"):
        yield _draft("train", dtype, "rows", 70001, 1, _NARROW)
    yield _draft("train", "float32", "rows", 2**20, 1, _RANDOM)
    yield _draft("train", "float32", "length-coin", 2**24, 1, _COIN)
    yield _draft("train", "float32", "coin", 2**24, 1, _COIN)
    for dtype in DTYPES:
        for rows in (2053, 70001):
            yield _draft("grad-infer", dtype, "rows", rows, 3, _COARSE)
    yield _draft("infer", "float64", "rows", 70001, 3, _RANDOM)
    for dtype in ("float16", "bfloat16"):
        for operation in ("infer", "grad", "grad-infer"):
            yield _draft(operation, dtype, "rows", 70001, 1, _NARROW)
        yield _draft("update", dtype, "rows", 70001, 3, _NARROW)


def _draft(
    operation: str, dtype: str, how: str, values: int, channels: int, generator: Random | Staircase
) -> Draft:
    name = f"{operation}-{dtype}-{how}-{values}"
    draw = Draw(f"large-batch/{name}")
    layout = "NCL" if how.startswith("length") else "NC"
    shape = (1, channels, values) if how.startswith("length") else (values, channels)
    size = values * channels
    middle = [int(p) for p in draw.uniform(0, size, (32,))]
    inputs = {"x": generator.values(size).reshape(shape)}
    statistics = draw.statistics(channels)
    generated: dict[str, Random | Staircase] = {"x": generator}
    if operation == "update":
        inputs |= {f"running_{key}": array for key, array in statistics.items()}
    else:
        inputs |= (statistics if "infer" in operation else {}) | draw.affine(channels)
    if "grad" in operation:
        inputs["dy"] = _UPSTREAM.values(size).reshape(shape)
        generated["dy"] = _UPSTREAM
    positions = sorted({*range(6), *range(size - 12, size), *middle})
    return Draft(
        name,
        operation,
        dtype,
        layout,
        2e-2,
        f"{values} values per channel ({how}), generated",
        {key: rounded(array, dtype) for key, array in inputs.items()},
        generated=generated,
        attributes={"batches": [values], "rates": [0.1]}
        if operation == "update"
        else {"positions": positions},
    )


FAMILY = Family(
    "large-batch",
    "Two thousand to 2^24 values per channel: random, heavy-tailed, half 3s and half 1s, slowly growing, alternating.",
    _drafts,
)
