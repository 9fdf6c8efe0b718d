"""Numbers of the vertebra template that are not in a morphometry table, and the facet joint shared by two vertebrae."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from spinefix.errors import MeshError
from spinefix.mesh.core import F64

REQUIRED = ("EPWu", "EPDu", "EPWl", "EPDl", "VBHp", "SCW", "SCD", "PDW", "PDH", "SPL", "TPW")
"""Dimensions without which no vertebra can be built [mm] (Panjabi 1992); VBHa falls back to VBHp."""


def _par(value: float, unit: str, low: float, high: float, source: str, *, assumed: bool = True) -> Any:
    """Field of `ShapeParameters` that carries unit, plausible range, source and whether the value is assumed."""
    meta = {"unit": unit, "range": (low, high), "source": source, "assumed": assumed}
    return field(default=value, metadata=meta)


@dataclass(frozen=True)
class ShapeParameters:
    """Shape of a lumbar vertebra beyond the level table; every field's metadata hold unit, range, source, assumed.

    Lengths are in mm, angles in rad, fractions dimensionless. Defaults are those of L3 where a value changes with the
    level. ``assumed=True`` marks values chosen by eye on lumbar surfaces (Remus 2021, BSD-3) or taken from memory.
    """

    cortical_thickness: float = _par(0.35, "mm", 0.2, 0.8, "Silva 1994 Bone 15:409", assumed=False)
    endplate_thickness: float = _par(0.5, "mm", 0.2, 1.2, "Silva 1994; models use 0.25-1.0")
    concavity_superior: float = _par(0.7, "mm", 0.0, 3.0, "Wang 2012 Eur Spine J 21:2316", assumed=False)
    concavity_inferior: float = _par(1.5, "mm", 0.0, 4.0, "Wang 2012 Eur Spine J 21:2316", assumed=False)
    rim_width: float = _par(4.5, "mm", 3.0, 7.0, "epiphyseal rim 3-7 mm, Wang 2012", assumed=False)
    crest_superior: float = _par(0.7, "mm", 0.0, 1.5, "crest of the rim above its rounded edge; see the template page")
    crest_inferior: float = _par(1.5, "mm", 0.0, 2.5, "crest of the rim above its rounded edge; see the template page")
    crest_inset: float = _par(2.5, "mm", 1.5, 5.0, "outer edge to crest; lumbar surfaces of Remus 2021")
    waist_lateral: float = _par(0.11, "-", 0.0, 0.25, "body width lost at mid height; assumed")
    waist_anterior: float = _par(0.08, "-", 0.0, 0.25, "depth lost in front at mid height; assumed")
    waist_posterior: float = _par(0.02, "-", 0.0, 0.1, "depth lost behind at mid height; assumed")
    posterior_flattening: float = _par(0.045, "-", 0.0, 0.25, "dorsal concavity over depth; assumed")
    nucleus_area: float = _par(0.40, "-", 0.21, 0.60, "Zhong 2014 length 64 % squared; Yang 2019", assumed=False)
    nucleus_offset: float = _par(0.0245, "-", 0.0, 0.08, "Zhong 2014, over the depth, to the back", assumed=False)

    pedicle_angle: float = _par(math.radians(14.4), "rad", 0.0, 0.75, "Zindrick 1987 (L3), from memory")
    pedicle_slope: float = _par(math.radians(3.0), "rad", -0.2, 0.3, "caudal slope of the axis to the back; assumed")
    pedicle_length: float = _par(7.5, "mm", 4.0, 16.0, "posterior wall to articular pillar; assumed")
    pedicle_drop: float = _par(0.24, "-", 0.0, 1.0, "share of the free body height above the pedicle; assumed")
    pedicle_fillet: float = _par(1.5, "mm", 0.0, 4.0, "body wall drawn out towards the pedicle; assumed")
    pillar_depth: float = _par(11.0, "mm", 8.0, 16.0, "front to back at the pedicle; assumed")
    pars_width: float = _par(11.0, "mm", 6.0, 18.0, "assumed")
    pars_length: float = _par(7.0, "mm", 4.0, 14.0, "least height between pedicle and inferior facet; assumed")
    pars_thickness: float = _par(7.5, "mm", 4.0, 12.0, "assumed")
    articular_thickness: float = _par(8.0, "mm", 4.0, 14.0, "assumed")
    mammillary_bulge: float = _par(6.0, "mm", 0.0, 8.0, "mammillary process behind the pillar; assumed")

    lamina_thickness: float = _par(6.5, "mm", 4.0, 10.0, "Egwu 2019 (T9: 7.3), taken over to lumbar")
    lamina_height: float = _par(21.0, "mm", 15.0, 30.0, "midline; assumed")
    lamina_top: float = _par(0.54, "-", 0.0, 0.8, "upper midline edge below upper endplate, over VBHp; assumed")
    lamina_slope: float = _par(math.radians(20.0), "rad", 0.0, 0.6, "canal roof leans backwards going down; assumed")

    spinous_angle: float = _par(
        math.radians(38.0), "rad", 0.2, 0.9, "SPL below the horizontal; AP extents Clouthier 2023"
    )
    spinous_height: float = _par(25.0, "mm", 12.0, 32.0, "at the tip; Clouthier 2023 mean 23.5")
    spinous_thickness: float = _par(6.5, "mm", 4.0, 12.0, "assumed")
    spinous_tip_thickness: float = _par(8.5, "mm", 4.0, 14.0, "assumed")

    transverse_height: float = _par(9.5, "mm", 5.0, 18.0, "assumed")
    transverse_thickness: float = _par(5.0, "mm", 3.0, 12.0, "assumed")
    transverse_lead: float = _par(4.0, "mm", 0.0, 8.0, "root before the middle of the pillar; assumed")
    transverse_sweep: float = _par(9.0, "mm", -5.0, 25.0, "tip behind the posterior wall; assumed")
    transverse_rise: float = _par(0.0, "mm", -8.0, 8.0, "tip above the pedicle axis; assumed")

    @classmethod
    def from_table(cls, table: Mapping[str, float], base: ShapeParameters | None = None) -> ShapeParameters:
        """Return `base` with values of a table whose keys end in ``_mm``, ``_deg``, ``_pct``; others are ignored."""
        scale = {"mm": 1.0, "deg": math.pi / 180.0, "pct": 0.01}
        names = {f.name for f in fields(cls)}
        found = {}
        for key, value in table.items():
            name, _, unit = key.rpartition("_")
            if name in names and unit in scale:
                found[name] = float(value) * scale[unit]
        return replace(base or cls(), **found)

    def check(self) -> None:
        """Raise `MeshError` that names the first parameter outside its plausible range."""
        for f in fields(self):
            low, high = f.metadata["range"]
            if not low <= getattr(self, f.name) <= high:
                raise MeshError(
                    f"{f.name} = {getattr(self, f.name):g} {f.metadata['unit']} is outside {low:g}..{high:g}"
                )


_BY_LEVEL: dict[str, dict[str, float]] = {
    # Pedicle angle [deg]: Zindrick 1987, from memory. Spinous angle [deg] and height [mm]: so that the front-to-back
    # extent comes near Clouthier 2023 (L2-L5 87.8, 89.8, 88.8, 83.1 mm) and neighbours in lordosis stay apart.
    "T12": {"pedicle_angle": 0.0, "spinous_angle": 33.0, "spinous_height": 20.0, "transverse_sweep": 14.0},
    "L1": {"pedicle_angle": 10.9, "spinous_angle": 33.0, "spinous_height": 20.0, "transverse_sweep": 14.0},
    "L2": {"pedicle_angle": 12.0, "spinous_angle": 35.0, "spinous_height": 19.0, "transverse_sweep": 11.0},
    "L3": {"pedicle_angle": 14.4, "spinous_angle": 37.0, "spinous_height": 17.0, "transverse_sweep": 9.0},
    "L4": {"pedicle_angle": 17.7, "spinous_angle": 39.0, "spinous_height": 14.0, "transverse_sweep": 10.0},
    "L5": {
        "pedicle_angle": 29.8,
        "spinous_angle": 40.0,
        "spinous_height": 12.0,
        "transverse_sweep": 6.0,
        "lamina_height": 18.0,
        "lamina_slope": 12.0,
        "transverse_lead": 0.0,
        "transverse_height": 12.0,
        "transverse_thickness": 8.0,
    },
}


def shape_of(level: str) -> ShapeParameters:
    """Return the default shape of a level (``L1``..``L5``, ``T12``); other levels get that of L3."""
    values = {
        k: math.radians(v) if k.endswith(("_angle", "_slope")) else v
        for k, v in _BY_LEVEL.get(level, _BY_LEVEL["L3"]).items()
    }
    return replace(ShapeParameters(), **values)


@dataclass(frozen=True)
class FacetJoint:
    """A pair of facet joints, described once for the vertebra above and the one below so that both surfaces match.

    The joint frame sits at the dorsal end of the disc's mid-plane: x forward in that plane, y left, z up. In it the
    middle of the left joint is at ``(-setback, half_distance, -drop)``, and the joint surface is a cylinder about z
    whose normal there points ``angle`` from left towards the front: the lower vertebra's superior facet is concave and
    looks backwards and to the midline.

    Parameters
    ----------
    half_distance, setback, drop : float [mm]
        Middle of the joint.
    angle : float [rad]
        Between the joint surface and the sagittal plane (0 sagittal, pi/2 coronal).
    radius : float [mm]
        Of the joint cylinder.
    width, height : float [mm]
        Of the articular surfaces, along the arc and along z.
    space : float [mm]
        Between the bone surfaces, room for two layers of cartilage and the free gap.
    disc_posterior, disc_wedge : float [mm], [rad]
        Posterior disc height and opening to the front, which place the joint frame on either vertebra.
    """

    half_distance: float
    setback: float
    drop: float
    angle: float
    radius: float
    width: float
    height: float
    space: float = 1.6
    disc_posterior: float = 7.6
    disc_wedge: float = 0.12


_DEFAULT_ANGLE = math.radians(35.0)


def facet_joint(
    upper: Mapping[str, Any],
    lower: Mapping[str, Any],
    *,
    angle: float = _DEFAULT_ANGLE,
    disc_posterior: float = 7.6,
    disc_wedge: float = 0.12,
    space: float = 1.6,
) -> FacetJoint:
    """Place the facet joint between two vertebrae from their dimensions [mm].

    The medial edge of the joint lies at the lateral border of the canal (mean SCW) and the surface runs outwards and
    backwards from there, so that joints that are more coronal are further apart, as measured (interfacet width grows
    from about 26 mm at L1-2 to 40 mm at L5-S1, Panjabi 1993). Width and height are those of the upper vertebra's
    inferior facet, made smaller together until the rectangle has the measured area.
    """
    width, height, area = upper.get("inferior_facet_w_h_area") or (13.5, 15.7, 155.0)
    shrink = 1.06 * math.sqrt(area / (width * height))
    width, height = width * shrink, height * shrink
    canal = 0.25 * (float(upper["SCW"]) + float(lower["SCW"]))
    return FacetJoint(
        half_distance=canal - 0.5 + 0.5 * width * math.sin(angle),
        setback=8.5 + 0.5 * width * math.cos(angle),
        drop=6.0,
        angle=angle,
        radius=1.5 * width,
        width=width,
        height=height,
        space=space,
        disc_posterior=disc_posterior,
        disc_wedge=disc_wedge,
    )


def half_wedge(dimensions: Mapping[str, float]) -> float:
    """Slope of either endplate in the local frame, half the body's angle, positive if the front is higher [rad]."""
    front, back = float(dimensions.get("VBHa", dimensions["VBHp"])), float(dimensions["VBHp"])
    return math.atan((front - back) / (float(dimensions["EPDu"]) + float(dimensions["EPDl"])))


@dataclass(frozen=True)
class JointFrame:
    """Joint frame of one side of a vertebra in its local frame: origin (3,) [mm] and axes (3, 3) in columns."""

    origin: F64
    axes: F64


def joint_frame(dimensions: Mapping[str, float], joint: FacetJoint, side: int) -> JointFrame:
    """Return the joint frame in the rim-centred frame of a vertebra: side +1 is the joint above, -1 the one below."""
    beta = half_wedge(dimensions)
    tilt = side * (beta + 0.5 * joint.disc_wedge)
    axes = np.array([[math.cos(tilt), 0.0, -math.sin(tilt)], [0.0, 1.0, 0.0], [math.sin(tilt), 0.0, math.cos(tilt)]])
    depth = float(dimensions["EPDu" if side > 0 else "EPDl"])
    rim = np.array([-0.5 * depth, 0.0, side * 0.5 * float(dimensions["VBHp"])])
    return JointFrame(rim + side * 0.5 * joint.disc_posterior * axes[:, 2], axes)


def checked(dimensions: Mapping[str, Any]) -> dict[str, float]:
    """Return the scalar dimensions [mm] as floats.

    Raises
    ------
    MeshError
        A required dimension is missing or not positive.
    """
    missing = [k for k in REQUIRED if k not in dimensions]
    if missing:
        raise MeshError(f"vertebra needs the dimensions {', '.join(missing)} [mm]")
    out = {k: float(v) for k, v in dimensions.items() if isinstance(v, int | float)}
    out.setdefault("VBHa", out["VBHp"])
    bad = [k for k in (*REQUIRED, "VBHa") if not out[k] > 0.0]
    if bad:
        raise MeshError(f"dimension {bad[0]} = {out[bad[0]]:g} mm must be positive")
    return out
