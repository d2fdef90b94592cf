"""A kernel of which it is known what the suite has to find: the base of the wrong ones and the right ones."""

from __future__ import annotations

from typing import ClassVar

from conformance import Implementation


class Known(Implementation):
    """`verdicts` are those of which the kernel must earn one: none for a right one.

    `due` is a name that at least one case must give; with `only`, no case may find anything else.
    `declines` are the flags of cases on which a right kernel may raise. `largest` is the size of the
    largest x that it is asked: loops over rows take their time.
    """

    framework = "numpy"
    channel_axis = -1
    verdicts: ClassVar[frozenset[str]] = frozenset()
    due: ClassVar[str | None] = None
    only: ClassVar[bool] = False
    declines: ClassVar[frozenset[str]] = frozenset()
    largest: ClassVar[int] = 2**25
