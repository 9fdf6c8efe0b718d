"""Load protocols on the reference point of the upper end: pure moments, compression, shear.

Axes: x anterior, y left, z up. Right-hand rotations of the upper vertebra about +x, +y, +z are right lateral bending,
flexion and left axial rotation.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from spinefix.mesh.core import F64
from spinefix.model.core import LoadCase
from spinefix.spec import Spec
from spinefix.units import to_internal

Motion = Literal["flexion", "extension", "lateral_left", "lateral_right", "axial_left", "axial_right"]
Way = Literal["anterior", "posterior", "left", "right"]

MOMENT_AXES: dict[Motion, tuple[float, float, float]] = {
    "flexion": (0.0, 1.0, 0.0),
    "extension": (0.0, -1.0, 0.0),
    "lateral_left": (-1.0, 0.0, 0.0),
    "lateral_right": (1.0, 0.0, 0.0),
    "axial_left": (0.0, 0.0, 1.0),
    "axial_right": (0.0, 0.0, -1.0),
}
"""Motion of the upper vertebra -> unit axis of the moment, global."""

SHEAR_AXES: dict[Way, tuple[float, float, float]] = {
    "anterior": (1.0, 0.0, 0.0),
    "posterior": (-1.0, 0.0, 0.0),
    "left": (0.0, 1.0, 0.0),
    "right": (0.0, -1.0, 0.0),
}
"""Way in which the upper vertebra is pushed -> unit vector of the force, global."""


LEAST = 1e-6
"""Least moment [N m] or force [N]: far below any test, far above where energies, which go with its square, vanish."""


class PureMoment(Spec):
    """A moment on the upper vertebra and nothing else: each level carries the same, so levels can be compared."""

    kind: Literal["pure_moment"] = "pure_moment"
    """Name of the protocol."""
    directions: Annotated[tuple[Motion, ...], Field(min_length=1)] = tuple(MOMENT_AXES)
    """Motions of the upper vertebra; each is a load case of its own."""
    moment_Nm: Annotated[float, Field(ge=LEAST, le=100.0, json_schema_extra={"plausible": [0.5, 15.0]})] = 7.5
    """Size of the moment; 7.5 is customary for the lumbar spine (Wilke 1998, from memory)."""
    follower_N: Annotated[float, Field(ge=0.0, le=5000.0, json_schema_extra={"plausible": [0.0, 1200.0]})] = 0.0
    """Follower load: compression along the curve of the vertebral bodies, applied first and kept (Patwardhan 1999);
    nonlinear analysis only."""


class Compression(Spec):
    """Compression: an axial force on the upper vertebra, straight down or along the curve of the vertebral bodies."""

    kind: Literal["compression"] = "compression"
    """Name of the protocol."""
    force_N: Annotated[float, Field(ge=LEAST, le=10000.0, json_schema_extra={"plausible": [50.0, 2000.0]})] = 400.0
    """Size of the force; straight down it bends a whole lumbar spine, which without muscles gives way at some 100 N."""
    path: Literal["straight", "follower"] = "straight"
    """Straight down on the reference point, or a follower load through the bodies."""


class Shear(Spec):
    """A horizontal force on the upper vertebra."""

    kind: Literal["shear"] = "shear"
    """Name of the protocol."""
    directions: Annotated[tuple[Way, ...], Field(min_length=1)] = ("anterior",)
    """Ways in which the upper vertebra is pushed; each is a load case of its own."""
    force_N: Annotated[float, Field(ge=LEAST, le=5000.0, json_schema_extra={"plausible": [20.0, 500.0]})] = 100.0
    """Size of the force."""


def build_pure_moment(spec: PureMoment, reference: int) -> tuple[LoadCase, ...]:
    """Return one case per direction, named after it, e.g. ``flexion`` or ``flexion_follower_400N``."""
    size = to_internal("moment_Nm", spec.moment_Nm)
    more = f"_follower_{spec.follower_N:g}N".replace(".", "p") if spec.follower_N else ""
    return tuple(
        LoadCase(d + more, moments={reference: size * _vector(MOMENT_AXES[d])}, follower=spec.follower_N)
        for d in spec.directions
    )


def build_compression(spec: Compression, reference: int) -> tuple[LoadCase, ...]:
    """Return the one case ``compression`` or ``compression_follower``."""
    if spec.path == "follower":
        return (LoadCase("compression_follower", follower=spec.force_N),)
    return (LoadCase("compression", forces={reference: spec.force_N * _vector((0.0, 0.0, -1.0))}),)


def build_shear(spec: Shear, reference: int) -> tuple[LoadCase, ...]:
    """Return one case per direction, named ``shear_<direction>``."""
    return tuple(
        LoadCase(f"shear_{d}", forces={reference: spec.force_N * _vector(SHEAR_AXES[d])}) for d in spec.directions
    )


def _vector(xyz: tuple[float, float, float]) -> F64:
    return np.array(xyz, np.float64)
