"""Rods: smooth curves through screw heads, and the cross-links between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.interpolate import CubicSpline

from spinefix.errors import UsageError
from spinefix.implants.assembly import Assembly
from spinefix.implants.sections import round_section
from spinefix.mesh.core import F64
from spinefix.spec import Spec

BEAM_MM = 4.5
"""Greatest length of a rod beam; beams follow the curve as chords."""

OVERHANG_MM = 5.0
"""Free end beyond the first and last screw. Assumed; it carries no load."""


class Rods(Spec):
    """The longitudinal members of a screw and rod construct, one on each instrumented side."""

    diameter_mm: Annotated[float, Field(gt=1.0, lt=12.0, json_schema_extra={"plausible": [4.75, 6.35]})] = 5.5
    """Diameter."""
    material: str = "ti6al4v"
    """Implant material of the library."""


class CrossLink(Spec):
    """A transverse connector between the left and the right rod."""

    between: tuple[str, str] | None = None
    """Two instrumented levels; left out: the first and the last."""
    fraction_1: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Place on the rod between these two screws, from the upper (0) to the lower (1)."""
    diameter_mm: Annotated[float, Field(gt=1.0, lt=12.0, json_schema_extra={"plausible": [3.5, 6.35]})] = 5.5
    """Diameter."""
    material: str = "ti6al4v"
    """Implant material of the library."""


@dataclass(frozen=True, slots=True)
class Rod:
    """A placed rod: its region, all nodes in order, and the nodes at the stations that were asked for."""

    region: str
    nodes: tuple[int, ...]
    stations: tuple[int, ...]


def rod_curve(heads: F64) -> tuple[Callable[[float], F64], F64]:
    """Natural cubic spline through screw heads, prolonged straight.

    A rod is bent by hand to pass through the heads; of all curves that do, the natural spline is the one that needs
    the least bending energy (for small slopes), and its ends have no curvature.

    Parameters
    ----------
    heads : (m, 3) float64 [mm]
        From cranial to caudal, m >= 2.

    Returns
    -------
    curve : callable
        Parameter -> (3,) [mm].
    knots : (m,) float64
        Parameters of the heads (cumulative chord length [mm]).
    """
    chords = np.linalg.norm(np.diff(heads, axis=0), axis=1)
    knots = np.concatenate([[0.0], np.cumsum(chords)])
    spline = CubicSpline(knots, heads, bc_type="natural")
    first, last = spline(knots[0], 1), spline(knots[-1], 1)

    def curve(t: float) -> F64:
        if t < knots[0]:
            return np.asarray(heads[0] + (t - knots[0]) * first)
        if t > knots[-1]:
            return np.asarray(heads[-1] + (t - knots[-1]) * last)
        return np.asarray(spline(t))

    return curve, knots


def place_rod(
    assembly: Assembly,
    region: str,
    heads: Sequence[int],
    *,
    diameter: float,
    material: str,
    stations: Sequence[tuple[int, float]] = (),
) -> Rod:
    """Add a rod through the head nodes `heads`, which it shares with the screws.

    Parameters
    ----------
    heads : sequence of int
        Nodes from cranial to caudal.
    stations : sequence of (int, float)
        Places where a node is needed: index of a head, and the fraction [1] of the way to the next one.
    """
    curve, knots = rod_curve(np.array([assembly.point(h) for h in heads]))
    nodes = dict(zip(knots.tolist(), heads, strict=True))
    wanted = []
    for i, fraction in stations:
        t = float(knots[i] + fraction * (knots[i + 1] - knots[i])) if i + 1 < len(knots) else float(knots[i])
        near = [k for k in nodes if abs(k - t) < 1e-6]
        t = near[0] if near else t
        if not near:
            nodes[t] = assembly.node(curve(t))
        wanted.append(nodes[t])
    fixed = sorted([knots[0] - OVERHANG_MM, *nodes, knots[-1] + OVERHANG_MM])
    passed: list[int] = []
    for a, b in zip(fixed[:-1], fixed[1:], strict=True):
        n = max(1, int(np.ceil((b - a) / BEAM_MM - 1e-9)))
        for t in np.linspace(a, b, n + 1)[:-1]:
            passed.append(nodes[t] if t in nodes else assembly.node(curve(float(t))))
    passed.append(assembly.node(curve(float(fixed[-1]))))
    assembly.chain((region,), passed, np.inf)
    assembly.beam_part(region, material, round_section(f"rod {diameter:g} mm", diameter))
    steps = np.diff([assembly.point(n) for n in passed], axis=0)
    assembly.record(f"{region.removeprefix('implant.')}.length_mm", float(np.linalg.norm(steps, axis=1).sum()))
    return Rod(region, tuple(passed), tuple(wanted))


def place_crosslinks(
    assembly: Assembly, region: str, rods: Sequence[Rod], links: Sequence[tuple[float, str]]
) -> list[list[int]]:
    """Join two rods at their stations by straight beams ``<region>.1``, ``.2`` ...; return the nodes of each.

    Parameters
    ----------
    links : sequence of (diameter [mm], material), one for each station of the rods
    """
    passed = []
    for i, (diameter, material) in enumerate(links):
        name = f"{region}.{i + 1}"
        passed.append(assembly.chain((name,), [rod.stations[i] for rod in rods], BEAM_MM))
        assembly.beam_part(name, material, round_section(f"cross-link {diameter:g} mm", diameter))
        ends = [assembly.point(rod.stations[i]) for rod in rods]
        assembly.record(f"{name.removeprefix('implant.')}.length_mm", float(np.linalg.norm(ends[1] - ends[0])))
    return passed


def link_station(link: CrossLink, levels: Sequence[str]) -> tuple[int, float]:
    """Place of a cross-link on a rod: index of the screw above it and fraction of the way to the next screw.

    The asked fraction runs between any two instrumented levels; stations run between neighbouring screws, evenly.

    Raises
    ------
    UsageError
        A level carries no screw, or both are the same.
    """
    upper, lower = link.between or (levels[0], levels[-1])
    for level in (upper, lower):
        if level not in levels:
            raise UsageError(f"{level} has no screw; instrumented levels: {', '.join(levels)}", key=("between",))
    i, j = sorted((levels.index(upper), levels.index(lower)))
    if i == j:
        raise UsageError(f"needs two different levels, got {upper} twice", key=("between",))
    place = i + link.fraction_1 * (j - i)
    whole = min(int(place), len(levels) - 1)
    return whole, place - whole
