"""What stands in ``metrics.csv``: every quantity by its name there, with unit, regions and meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spinefix.metrics.load_sharing import PARTS

PLACES: dict[str, tuple[str, ...]] = {
    "SIDE": ("left", "right"),
    "FACE": ("superior", "inferior"),
    "TISSUE": ("cancellous", "cortical"),
    "PART": PARTS,
}
"""Word in a region's pattern -> what may stand in its place; LEVEL is any level of the segment, N a number from 1."""

STRESSED = (
    "bone",
    "endplates",
    "LEVEL.body.TISSUE",
    "LEVEL.endplate.FACE",
    "LEVEL.posterior",
    "LEVEL.block",
    "implant.screw",
    "implant.screw.LEVEL.SIDE",
    "implant.rod",
    "implant.crosslink",
    "implant.plate",
    "implant.body_screw",
    "implant.prosthesis",
)
BARS = (
    "implant.screw.LEVEL.SIDE",
    "implant.rod.SIDE",
    "implant.crosslink.N",
    "implant.body_screw.LEVEL.N",
    "implant.plate.bar",
    "implant.plate.arm.LEVEL.N",
    "implant.plate.rod.N",
    "implant.plate.coupler.N",
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One metric.

    Parameters
    ----------
    name, unit : str
        As in the columns ``metric`` and ``unit``.
    regions : tuple of str
        As in the column ``region``; words in capitals stand for what `PLACES` says.
    meaning : str
    """

    name: str
    unit: str
    regions: tuple[str, ...]
    meaning: str

    def covers(self, region: str) -> bool:
        """True when a region of ``metrics.csv`` is one of these."""
        return any(re.fullmatch(_expression(pattern), region) for pattern in self.regions)


def _expression(pattern: str) -> str:
    free = {"LEVEL": "[A-Za-z0-9]+", "N": "[1-9][0-9]*"}
    words = {**free, **{word: f"({'|'.join(choices)})" for word, choices in PLACES.items()}}
    return re.sub("[A-Z]+", lambda word: words[word[0]], re.escape(pattern))


WHOLE, MOTION, CUT = ("whole",), ("LEVEL-LEVEL",), ("LEVEL.PART",)
TOUCH = ("implant.prosthesis.FACE", "LEVEL-LEVEL.facet_joint.SIDE")

QUANTITIES: tuple[Quantity, ...] = (
    Quantity("rom", "deg", WHOLE, "rotation of the loaded end about the axis of the moment"),
    Quantity("secant_stiffness", "Nm/deg", WHOLE, "moment over that rotation"),
    Quantity("residual_rotation", "deg", WHOLE, "rotation left when the moment is gone again; analysis.cycle"),
    Quantity("elastic_zone", "deg", WHOLE, "rotation at full load less the residual rotation, likewise"),
    Quantity("neutral_zone", "deg", WHOLE, "width of the loop at no moment, for analysis.cycle: full"),
    Quantity("lax_zone", "deg", WHOLE, "rotation at which the line through the two highest loads meets no moment"),
    Quantity("rom_level", "deg", MOTION, "rotation between neighbouring vertebrae, main component"),
    Quantity("rom_bridged", "deg", MOTION, "the same between the neighbours of the diseased levels"),
    Quantity("rotation_x", "deg", MOTION, "right lateral bending of the upper vertebra in the axes of the lower"),
    Quantity("rotation_y", "deg", MOTION, "flexion, likewise"),
    Quantity("rotation_z", "deg", MOTION, "left axial rotation, likewise"),
    Quantity("axial_stiffness", "N/mm", WHOLE, "compression over the displacement of the loaded end along it"),
    Quantity("force_stiffness", "N/mm", WHOLE, "the same for shear"),
    Quantity("displacement", "mm", WHOLE, "of the loaded end along the force"),
    Quantity("von_mises_max", "MPa", STRESSED, "largest von Mises stress"),
    Quantity("von_mises_p99", "MPa", STRESSED, "its 99th percentile by volume, the one to compare"),
    Quantity("bending_moment_max", "Nm", BARS, "largest bending moment along a bar"),
    Quantity("torque_max", "Nm", BARS, "largest torque along a bar"),
    Quantity("axial_force_extreme", "N", BARS, "axial force of largest size along a bar, tension positive"),
    Quantity("load_share_moment", "%", CUT, "share of the moment through the middle of a diseased body"),
    Quantity("load_share_force", "%", CUT, "share of the force, likewise"),
    Quantity("section_moment", "Nm", CUT, "that moment itself, about the axis of the applied one"),
    Quantity("section_axial_force", "N", CUT, "axial force through the same section, tension positive"),
    Quantity("contact_force", "N", TOUCH, "sum of the pressure on an interface; nonlinear analysis, if not bonded"),
    Quantity("contact_area_share", "%", TOUCH, "part of the interface that is under pressure, likewise"),
    Quantity("contact_pressure_max", "MPa", TOUCH, "greatest mean over the pressed part of an element face, likewise"),
    Quantity("contact_pressure_mean", "MPa", TOUCH, "mean pressure where there is any, likewise"),
    Quantity("contact_gap_max", "mm", TOUCH, "greatest opening of the interface since rest, likewise"),
    Quantity("contact_slip_max", "mm", TOUCH, "greatest sliding along the interface since rest, likewise"),
    Quantity("posterior_wall_displacement", "mm", ("LEVEL",), "of the diseased body towards the canal"),
    Quantity("canal_narrowing", "%", ("LEVEL",), "loss of the canal's mid-sagittal depth"),
    Quantity("f1717_closed_form_rigid_blocks", "N/mm", WHOLE, "bench test: compression stiffness in closed form"),
    Quantity("f1717_published", "N/mm", WHOLE, "bench test: published stiffness of a standard construct"),
)
"""Everything that `spinefix.metrics.METRICS` may yield."""
