"""The vertebrectomy specimen of ASTM F1717: two polyethylene blocks joined by the construct alone.

The blocks stand in for vertebrae, so that the same posterior construct is built on them as on a spine. They are hinged
on pins about the lateral axis y and pushed together along the line through both pins (the load line, the z axis of the
specimen). What the hinge lets free matters: pin and ball blocks differ (Dunbar WL et al., ASTM STP 1431, 2003, 209-16);
here each pin turns about y only.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from spinefix.anatomy.segment import Frame, Segment, Vertebra
from spinefix.errors import UsageError
from spinefix.mesh.core import F64, Mesh, merge
from spinefix.mesh.generate import grid

LEVELS = ("upper", "lower")

ACTIVE_LENGTH_MM = 76.0
"""Between the screws of the two blocks along the rod, lumbar. Source: Foltz MH et al., Spine 2019;44(18):1270-1278."""

BLOCK_ARM_MM = 40.0
"""From the load line to the block face that the screws enter, lumbar. ASTM F1717, from memory."""

SCREW_SPACING_MM = 40.0
"""Between left and right screw. ASTM F1717, from memory; without effect on compression bending."""

_FRONT_MM = 15.0
_HALF_WIDTH_MM = 30.0
_HALF_HEIGHT_MM = 15.0
"""Block in front of the load line and on either side of screws and pin. Assumed; blocks are nearly rigid."""

SOURCES = ("ASTM F1717, Standard test methods for spinal implant constructs in a vertebrectomy model (from memory)",)


def build_f1717_blocks(
    *,
    active_length_mm: float = ACTIVE_LENGTH_MM,
    block_arm_mm: float = BLOCK_ARM_MM,
    screw_spacing_mm: float = SCREW_SPACING_MM,
    element_size_mm: float = 5.0,
) -> Segment:
    """Return the two blocks as a segment with levels ``upper`` and ``lower``.

    The load line is the z axis, mid-height is z = 0; x is anterior, so that the screws enter the faces x = -block_arm
    along +x at z = +- active_length / 2. Pins lie on the load line at the height of the screws (their height is without
    effect as long as the blocks are rigid).

    Parameters
    ----------
    active_length_mm : float [mm]
        Between the screw axes of upper and lower block.
    block_arm_mm : float [mm]
        From load line to screw entry; the arm to the rod axis is this plus the head offset of the screws.
    screw_spacing_mm : float [mm]
        Between left and right screw.
    element_size_mm : float [mm]

    Returns
    -------
    Segment
        Cells ``upper.block``, ``lower.block``; nodes ``upper.pin``, ``lower.pin`` (a line along y: hold them without
        holding the turn about it); landmarks ``pin`` and
        ``pedicle.<side>.entry``, directions ``pedicle.<side>.axis``. Hinged, no ligaments.

    Raises
    ------
    UsageError
        The blocks would meet, or the screws miss them.
    """
    if block_arm_mm <= 0.0 or element_size_mm <= 0.0:
        raise UsageError(f"block_arm_mm = {block_arm_mm:g} and element_size_mm = {element_size_mm:g} must be positive")
    if active_length_mm <= 2 * _HALF_HEIGHT_MM:
        raise UsageError(
            f"{active_length_mm:g}: the blocks meet; more than {2 * _HALF_HEIGHT_MM:g}", key=("active_length_mm",)
        )
    if not 0.0 < screw_spacing_mm < 2 * _HALF_WIDTH_MM:
        raise UsageError(
            f"{screw_spacing_mm:g}: must be within the block, {2 * _HALF_WIDTH_MM:g} wide", key=("screw_spacing_mm",)
        )
    heights = {"upper": active_length_mm / 2, "lower": -active_length_mm / 2}
    blocks = [_block(level, z, block_arm_mm, element_size_mm) for level, z in heights.items()]
    mesh, _, _ = merge(blocks)
    return Segment(
        mesh=mesh,
        levels=LEVELS,
        vertebrae={level: _holder(level, z, block_arm_mm, screw_spacing_mm) for level, z in heights.items()},
        fibres=np.zeros((mesh.n_cells, 2, 3)),
        ligaments=(),
        facet_joints=(),
        sources=SOURCES,
        ends=("upper.pin", "lower.pin"),
        hinged=True,
    )


def f1717_closed_form(
    *,
    arm: float,
    free_length: float,
    rod_diameter: float,
    E_rod: float,
    screw_free_length: float,
    screw_core: float,
    E_screw: float,
) -> float:
    """Stiffness [N/mm] of a bilateral construct in compression bending, blocks and hinges rigid.

    By Castigliano's theorem, each of two rods carries F / 2 and the constant moment F a / 2, each of four screws is a
    cantilever that carries F / 2 over its free length s::

        1/k = a^2 L / (2 E I) + L / (2 E A) + [a^3 - (a - s)^3] / (3 E_s I_s)

    Shear of the screws adds less than 0.1 %.

    Parameters
    ----------
    arm : float [mm]
        a, from the load line to the rod axis.
    free_length : float [mm]
        L, active length of the rods.
    rod_diameter, screw_core : float [mm]
        Solid round sections.
    E_rod, E_screw : float [MPa]
    screw_free_length : float [mm]
        s, from the block face to the rod axis.

    Source: elementary beam theory; 37.3 N/mm for a = 51, L = 76, s = 11 mm, 5.5 mm titanium rods and a 5 mm core, both
    E = 110 GPa. Measured on standard constructs: 43 N/mm (Foltz MH et al., Spine 2019;44(18):1270-1278).
    """
    inertia = math.pi * rod_diameter**4 / 64
    area = math.pi * rod_diameter**2 / 4
    screw = math.pi * screw_core**4 / 64
    rods = arm**2 * free_length / (2 * E_rod * inertia) + free_length / (2 * E_rod * area)
    screws = (arm**3 - (arm - screw_free_length) ** 3) / (3 * E_screw * screw)
    return 1.0 / (rods + screws)


def _block(level: str, z: float, arm: float, size: float) -> Mesh:
    """One block; a line of nodes lies on the pin."""
    x = _steps([-arm, 0.0, _FRONT_MM], size)
    y = _steps([-_HALF_WIDTH_MM, _HALF_WIDTH_MM], size)
    h = z + _steps([-_HALF_HEIGHT_MM, 0.0, _HALF_HEIGHT_MM], size)
    box = grid(x, y, h, name="b")
    on_pin = np.flatnonzero((np.abs(box.points - [0.0, 0.0, z]) < 1e-6)[:, [0, 2]].all(axis=1))
    return Mesh(
        box.points, box.blocks, {f"{level}.block": box.cells["b"]}, nodes={f"{level}.pin": on_pin.astype(np.int32)}
    )


def _steps(stops: list[float], size: float) -> F64:
    """Coordinates through all `stops`, evenly spaced between them by about `size`."""
    parts = [
        np.linspace(a, b, max(1, round((b - a) / size)) + 1)[:-1] for a, b in zip(stops[:-1], stops[1:], strict=True)
    ]
    return np.asarray(np.append(np.concatenate(parts), stops[-1]), np.float64)


def _holder(level: str, z: float, arm: float, spacing: float) -> Vertebra:
    """Frame at the pin, and where screws enter."""
    landmarks = {"pin": np.array([0.0, 0.0, z])}
    directions = {}
    sides: tuple[tuple[Literal["left", "right"], float], ...] = (("left", 1.0), ("right", -1.0))
    for side, sign in sides:
        landmarks[f"pedicle.{side}.entry"] = np.array([-arm, sign * spacing / 2, z])
        directions[f"pedicle.{side}.axis"] = np.array([1.0, 0.0, 0.0])
    return Vertebra(level, Frame(landmarks["pin"], np.eye(3)), landmarks, directions, {})
