"""Load protocols: one Spec and one builder each, and one line in the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spinefix.loads.basic import (
    MOMENT_AXES,
    SHEAR_AXES,
    Compression,
    PureMoment,
    Shear,
    build_compression,
    build_pure_moment,
    build_shear,
)
from spinefix.model.core import LoadCase
from spinefix.spec import Spec

LOADS: dict[type[Spec], Callable[[Any, int], tuple[LoadCase, ...]]] = {
    PureMoment: build_pure_moment,
    Compression: build_compression,
    Shear: build_shear,
}
"""Protocol -> builder ``(spec, node id of the loaded reference point) -> load cases``."""


def case_names(load: Spec) -> tuple[str, ...]:
    """Return the names of the load cases that a protocol makes, in order."""
    return tuple(case.name for case in LOADS[type(load)](load, 0))


def direction_of(case: str) -> str:
    """Return the direction of a load case, e.g. ``flexion`` of ``flexion_follower_400N``."""
    return case.partition("_follower_")[0]


__all__ = ["LOADS", "MOMENT_AXES", "SHEAR_AXES", "Compression", "PureMoment", "Shear", "case_names", "direction_of"]
