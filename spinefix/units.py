"""Unit conversion at the border.

Inside: N, mm, MPa, N·mm, rad. At the surface every key and column ends in its unit. No other module converts.
"""

from __future__ import annotations

import math

SUFFIXES: dict[str, float] = {
    "_mm": 1.0,
    "_mm2": 1.0,
    "_mm3": 1.0,
    "_MPa": 1.0,
    "_GPa": 1000.0,
    "_N": 1.0,
    "_Nm": 1000.0,
    "_N_per_mm": 1.0,
    "_N_per_mm3": 1.0,
    "_Nm_per_deg": 1000.0 * 180.0 / math.pi,
    "_deg": math.pi / 180.0,
    "_pct": 0.01,
    "_1": 1.0,
    "_s": 1.0,
}
"""Legal suffix of a key or column -> factor to the internal unit."""


def suffix_of(name: str) -> str | None:
    """Return the longest legal unit suffix of `name`, or None."""
    hits = [s for s in SUFFIXES if name.endswith(s)]
    return max(hits, key=len) if hits else None


def to_internal(name: str, value: float) -> float:
    """Convert a surface `value` to internal units by the suffix of its `name`."""
    suffix = suffix_of(name)
    if suffix is None:
        raise ValueError(f"{name!r} does not end in a unit; legal suffixes: {', '.join(sorted(SUFFIXES))}")
    return value * SUFFIXES[suffix]


def to_surface(name: str, value: float) -> float:
    """Convert an internal `value` to the unit in which `name` ends."""
    suffix = suffix_of(name)
    if suffix is None:
        raise ValueError(f"{name!r} does not end in a unit; legal suffixes: {', '.join(sorted(SUFFIXES))}")
    return value / SUFFIXES[suffix]
