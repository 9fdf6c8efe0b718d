"""Checks of the levels that a construct names against the segment it is built on."""

from __future__ import annotations

from collections.abc import Sequence

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError


def in_order(segment: Segment, levels: Sequence[str], *use: str) -> tuple[str, ...]:
    """Return `levels` from cranial to caudal.

    Raises
    ------
    UsageError
        A level is not in the segment or is named twice; `use` is the key under which it was asked for.
    """
    for level in levels:
        if level not in segment.levels:
            raise UsageError(f"level {level!r} is not in the segment ({', '.join(segment.levels)})", key=use)
    if len(set(levels)) < len(levels):
        raise UsageError(f"a level is named twice in {', '.join(levels)}", key=use)
    return tuple(level for level in segment.levels if level in levels)


def neighbours(segment: Segment, resected: Sequence[str]) -> tuple[str, str]:
    """Return the levels just above and just below one or two consecutive `resected` levels (in cranio-caudal order).

    Raises
    ------
    UsageError
        They are not one or two, not consecutive, or the segment ends at one of them.
    """
    places = [segment.levels.index(level) for level in resected]
    named = ", ".join(resected)
    if not 1 <= len(places) <= 2:
        raise UsageError(f"one or two bodies can be replaced, {len(places)} asked ({named})", key=("resect",))
    if places[-1] - places[0] != len(places) - 1:
        raise UsageError(f"{named} are not consecutive; name neighbouring levels", key=("resect",))
    if places[0] == 0 or places[-1] == len(segment.levels) - 1:
        raise UsageError(
            f"{named} has no neighbour on both sides in the segment ({', '.join(segment.levels)}); "
            "add the level above or below to the segment",
            key=("resect",),
        )
    return segment.levels[places[0] - 1], segment.levels[places[-1] + 1]
