"""An ellipsoidal metastasis in a vertebral body, lytic or blastic, as a field of stiffness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from spinefix import library
from spinefix.anatomy.segment import Segment, Vertebra
from spinefix.errors import UsageError
from spinefix.lesions.sampling import Diseased, Samples, sample
from spinefix.mesh.core import F64, Bool
from spinefix.spec import Spec

Side = Literal["anterior", "posterior", "left", "right", "superior", "inferior"]
Percent = Annotated[float, Field(ge=0.0, le=100.0)]

SIDES: dict[str, tuple[int, float]] = {
    "anterior": (0, 1.0),
    "posterior": (0, -1.0),
    "left": (1, 1.0),
    "right": (1, -1.0),
    "superior": (2, 1.0),
    "inferior": (2, -1.0),
}
"""Side of the body -> axis of the vertebral frame and sign of the outward direction."""

BREACH_SHARE = 0.05
"""Assumed: a wall counts as breached when at least this fraction of its shell is replaced, somewhere wholly."""


MOST_SLENDER = 20.0
"""Greatest ratio of two semi-axes, a choice made here: a more slender ellipsoid is thinner than an element."""


class EllipsoidalLesion(Spec):
    """An ellipsoid of tumour in one vertebral body; without a breach it spares cortex and endplates."""

    shape: Literal["ellipsoid"] = "ellipsoid"
    """Geometric form of the lesion."""
    level: str
    """Diseased vertebra, e.g. L3."""
    kind: Literal["lytic", "blastic"] = "lytic"
    """Bone dissolved or bone formed."""
    volume_pct: float = Field(ge=0.1, lt=100.0)
    """Volume of the lesion in the body, in percent of the whole vertebral body with its shell and endplates."""
    centre_pct: tuple[Percent, Percent, Percent] = (50.0, 50.0, 50.0)
    """Centre in the box of the body: posterior-anterior, right-left, inferior-superior. A breach may move it."""
    radii_ratio_1: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Semi-axes (anteroposterior, lateral, vertical) relative to each other, in half-lengths of the body's box."""
    cortical_breach: tuple[Side, ...] = ()
    """Walls through which the lesion breaks; it is moved towards them until it does. Empty: the shell stays whole."""
    pedicle: Literal["none", "left", "right", "both"] = "none"
    """Pedicles into which the lesion grows, from the body backwards."""
    pedicle_pct: float = Field(default=50.0, ge=1.0, le=100.0)
    """Part of the volume of each involved pedicle that is diseased."""
    E_MPa: float | None = Field(default=None, ge=1e-3, le=1e6)
    """Modulus of the lesion's tissue; by default the library's, for a lytic lesion 0.2 MPa (measured)."""
    stiffness_scale_1: float | None = Field(default=None, ge=1e-6, le=1e3)
    """Multiplier of the local bone modulus, in place of E_MPa; by default 4 for a blastic lesion (assumed)."""

    @model_validator(mode="after")
    def _consistent(self) -> EllipsoidalLesion:
        if self.E_MPa is not None and self.stiffness_scale_1 is not None:
            raise ValueError("give E_MPa or stiffness_scale_1, not both")
        if self.kind == "lytic" and (self.stiffness_scale_1 or 0.0) > 1.0:
            raise ValueError("a lytic lesion weakens: stiffness_scale_1 must be at most 1")
        if self.kind == "blastic" and (self.stiffness_scale_1 or 1.0) < 1.0:
            raise ValueError("a blastic lesion stiffens: stiffness_scale_1 must be at least 1")
        least, most = min(self.radii_ratio_1), max(self.radii_ratio_1)
        if not 0.0 < least <= most <= MOST_SLENDER * least:
            raise ValueError(f"radii_ratio_1 must be positive and within a factor of {MOST_SLENDER:g} of each other")
        return self

    def involved_pedicles(self) -> tuple[str, ...]:
        """Return the sides of the involved pedicles."""
        return {"none": (), "both": ("left", "right")}.get(self.pedicle, (self.pedicle,))


@dataclass(frozen=True, slots=True)
class LesionReport:
    """What was reached, for the manifest.

    Attributes
    ----------
    level, kind : str
    volume_fraction, volume_fraction_asked : float [1]
        Part of the vertebral body that is diseased.
    volume : float [mm^3]
        Diseased volume in the body.
    centre : tuple of three float [mm]
        Global centre of the ellipsoid, after a shift for a breach.
    radii : tuple of three float [mm]
        Semi-axes along the axes of the vertebra.
    breach : mapping, side -> float [1]
        Replaced fraction of the shell of each breached wall.
    pedicle : mapping, side -> float [1]
        Diseased fraction of each involved pedicle.
    description : str
    source : str
    """

    level: str
    kind: str
    volume_fraction: float
    volume_fraction_asked: float
    volume: float
    centre: tuple[float, ...]
    radii: tuple[float, ...]
    breach: Mapping[str, float]
    pedicle: Mapping[str, float]
    description: str
    source: str


@dataclass(frozen=True)
class _Body:
    """Samples of one vertebral body and its box in the vertebral frame."""

    vertebra: Vertebra
    samples: Samples
    allowed: Bool  # (e,) where the lesion may be
    wall: Mapping[str, Bool]  # breached side -> (e,) its shell elements
    lower: F64  # (3,) corner of the box [mm]
    upper: F64
    volume: float

    def position(self, pct: F64) -> F64:
        return self.lower + np.asarray(pct) / 100.0 * (self.upper - self.lower)


@dataclass(frozen=True)
class _Ellipsoid:
    centre: F64  # vertebral frame [mm]
    semi: F64  # semi-axes before scaling [mm]

    def distance(self, points: F64) -> F64:
        """Scale factor at which the ellipsoid reaches each point (..., 3) of the vertebral frame."""
        return np.asarray(np.sqrt((((points - self.centre) / self.semi) ** 2).sum(axis=-1)))


def place_ellipsoid(segment: Segment, lesion: EllipsoidalLesion) -> tuple[tuple[Diseased, ...], LesionReport]:
    """Return what is diseased of the body and of each involved pedicle, and what was reached.

    The size follows from the asked volume: it is the weighted quantile of the distance from the centre over samples
    inside the integration points' shares, so the fraction is met at any mesh density.

    Raises
    ------
    UsageError
        Level not in the segment, volume larger than what the lesion may fill, or a wall that cannot be reached.
    """
    if lesion.level not in segment.levels:
        raise UsageError(
            f"{lesion.level!r} is not in the segment; its levels are {', '.join(segment.levels)}", key=("level",)
        )
    body = _body(segment, lesion, samples=500_000)
    ellipsoid = _placed(body, lesion)
    inside, scale = _fill(body, ellipsoid, lesion)
    part = body.samples.coverage(inside)
    breach: dict[str, float] = {side: _share(body, part, side) for side in lesion.cortical_breach}
    pedicles = {side: _fill_pedicle(segment, lesion, side) for side in lesion.involved_pedicles()}
    pedicle = {side: diseased.fraction for side, diseased in pedicles.items()}
    volume = body.samples.covered_volume(part)
    report = LesionReport(
        level=lesion.level,
        kind=lesion.kind,
        volume_fraction=volume / body.volume,
        volume_fraction_asked=lesion.volume_pct / 100.0,
        volume=volume,
        centre=tuple(body.vertebra.frame.to_global(ellipsoid.centre).tolist()),
        radii=tuple((scale * ellipsoid.semi).tolist()),
        breach=breach,
        pedicle=pedicle,
        description=_describe(lesion, volume / body.volume, breach, pedicle),
        source=_source(lesion),
    )
    return (Diseased(f"{lesion.level}.body", body.samples, inside), *pedicles.values()), report


def stiffness_factor(lesion: EllipsoidalLesion, moduli: F64) -> F64:
    """Return the stiffness of fully diseased bone as a multiple of the healthy `moduli` (e,) [MPa].

    A tissue of given modulus has it wherever it grows, but lytic tissue never stiffens and blastic tissue never
    weakens. A multiple by the library never makes bone stiffer than the stiffest bone of the vertebra.
    """
    if lesion.stiffness_scale_1 is not None:
        return np.full(moduli.shape, lesion.stiffness_scale_1)
    tissue = library.tissue_set("normal")[f"tumour_{lesion.kind}"]
    if lesion.E_MPa is None and "stiffness_scale" in tissue:
        ceiling = np.maximum(moduli.max(initial=0.0) / moduli, 1.0)
        return np.asarray(np.minimum(tissue["stiffness_scale"].internal, ceiling))
    factor = (tissue["E"].internal if lesion.E_MPa is None else lesion.E_MPa) / moduli
    return np.asarray(np.minimum(factor, 1.0) if lesion.kind == "lytic" else np.maximum(factor, 1.0))


def _body(segment: Segment, lesion: EllipsoidalLesion, samples: int) -> _Body:
    mesh, level = segment.mesh, lesion.level
    vertebra = segment.vertebrae[level]
    cells = mesh.select(f"{level}.body", f"{level}.endplate")
    per_edge = int(np.clip(np.cbrt(samples / (8 * len(cells))), 2, 6))
    spread = sample(mesh, cells, per_edge)
    spread = replace(spread, points=vertebra.frame.to_local(spread.points))
    nodes = vertebra.frame.to_local(mesh.points[mesh.cell_nodes(cells)])
    lower, upper = nodes.min(axis=0), nodes.max(axis=0)
    centroid = spread.points.mean(axis=(1, 2))
    place = (2.0 * centroid - lower - upper) / (upper - lower)
    allowed = np.isin(cells, mesh.select(f"{level}.body.cancellous"))
    wall: dict[str, Bool] = {}
    for side in lesion.cortical_breach:
        axis, sign = SIDES[side]
        if axis == 2:
            shell = np.isin(cells, mesh.select(f"{level}.endplate.{side}"))
        else:
            cortex = np.isin(cells, mesh.select(f"{level}.body.cortical"))
            shell = cortex & (sign * place[:, axis] >= np.abs(place[:, 1 - axis]))
        wall[side] = shell
        allowed = allowed | shell
    return _Body(vertebra, spread, allowed, wall, lower, upper, spread.volume)


def _fill(body: _Body, ellipsoid: _Ellipsoid, lesion: EllipsoidalLesion) -> tuple[Bool, float]:
    """Grow the ellipsoid to the asked volume: flags (e, 8, s) of the samples inside, and the scale of its semi-axes."""
    target = lesion.volume_pct / 100.0 * body.volume
    room = float(body.samples.weights[body.allowed].sum())
    if target > room:
        where = "cancellous bone" if not body.wall else "cancellous bone and the breached walls"
        raise UsageError(
            f"{lesion.volume_pct:g}: the {where} of {lesion.level} is only {100.0 * room / body.volume:.1f} % of its "
            "body; ask for less or breach more walls",
            key=("volume_pct",),
        )
    distance = ellipsoid.distance(body.samples.points)
    distance[~body.allowed] = np.inf
    scale = body.samples.quantile(distance, target)
    return distance <= scale, scale


def _placed(body: _Body, lesion: EllipsoidalLesion) -> _Ellipsoid:
    """Move the ellipsoid towards the walls it breaks until each has lost `BREACH_SHARE` of its shell.

    Opposite walls pull evenly: the ellipsoid stays in the middle and is stretched along their axis instead.
    """
    half = (body.upper - body.lower) / 2.0
    start = _Ellipsoid(body.position(np.array(lesion.centre_pct)), half * np.array(lesion.radii_ratio_1))
    if not lesion.cortical_breach:
        return start
    pull = np.zeros(3)
    stretch = np.zeros(3)
    for axis in range(3):
        signs = [s for side, (a, s) in SIDES.items() if a == axis and side in lesion.cortical_breach]
        if len(signs) == 2:
            stretch[axis] = 1.0
        elif signs:
            wall = body.upper if signs[0] > 0 else body.lower
            pull[axis] = wall[axis] - start.centre[axis]

    def moved(t: float) -> _Ellipsoid:
        return _Ellipsoid(start.centre + t * pull, start.semi * (1.0 + 9.0 * t * stretch))

    def breached(t: float) -> bool:
        inside, _ = _fill(body, moved(t), lesion)
        part = body.samples.coverage(inside)
        walls = lesion.cortical_breach
        return all(_share(body, part, side) >= BREACH_SHARE and _open(body, part, side) for side in walls)

    if breached(0.0):
        return start
    if not breached(1.0):
        raise UsageError(
            f"{', '.join(lesion.cortical_breach)}: a lesion of {lesion.volume_pct:g} % does not reach; raise "
            "volume_pct or breach fewer walls",
            key=("cortical_breach",),
        )
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2.0
        low, high = (low, middle) if breached(middle) else (middle, high)
    return moved(high)


def _open(body: _Body, part: F64, side: str) -> bool:
    """True when the shell of one wall is replaced through and through somewhere."""
    return bool(part[body.wall[side]].max(initial=0.0) > 1.0 - 1e-9)


def _share(body: _Body, part: F64, side: str) -> float:
    """Replaced fraction of the shell of one wall."""
    weights = body.samples.weights * body.wall[side][:, None]
    return float((part * weights).sum() / weights.sum())


def _fill_pedicle(segment: Segment, lesion: EllipsoidalLesion, side: str) -> Diseased:
    """Grow the lesion into a pedicle from the body backwards by distance along the pedicle axis."""
    vertebra = segment.vertebrae[lesion.level]
    name = f"{lesion.level}.pedicle.{side}"
    samples = sample(segment.mesh, segment.mesh.select(name))
    axis = vertebra.directions[f"pedicle.{side}.axis"]
    distance = -(samples.points @ axis)
    front = samples.quantile(distance, lesion.pedicle_pct / 100.0 * samples.volume)
    return Diseased(name, samples, distance <= front)


def _describe(
    lesion: EllipsoidalLesion, fraction: float, breach: Mapping[str, float], pedicle: Mapping[str, float]
) -> str:
    text = f"{lesion.kind} lesion of {lesion.level}, {100.0 * fraction:.1f} % of the vertebral body"
    if breach:
        text += ", through the " + " and ".join(f"{side} wall ({100.0 * s:.0f} % of it)" for side, s in breach.items())
    else:
        text += ", cortex and endplates intact"
    if pedicle:
        text += ", into the " + " and ".join(f"{side} pedicle ({100.0 * s:.0f} %)" for side, s in pedicle.items())
    return text


def _source(lesion: EllipsoidalLesion) -> str:
    if lesion.stiffness_scale_1 is not None:
        return f"stiffness scale {lesion.stiffness_scale_1:g}, from the scenario"
    if lesion.E_MPa is not None:
        return f"tissue modulus {lesion.E_MPa:g} MPa, from the scenario"
    tissue = library.tissue_set("normal")[f"tumour_{lesion.kind}"]
    name, datum = ("stiffness scale", tissue["stiffness_scale"]) if "stiffness_scale" in tissue else ("E", tissue["E"])
    unit = "" if datum.unit == "1" else f" {datum.unit}"
    assumed = ", assumed" if datum.assumed else ""
    return f"{name} {datum.value:g}{unit}{assumed} ({library.citations([datum.source])[0]})"
