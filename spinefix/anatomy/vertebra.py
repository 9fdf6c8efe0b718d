"""A lumbar vertebra as one structured hexahedral mesh, from its morphometry and one refinement integer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from spinefix.anatomy.vertebra_arch import Plan, build_arch
from spinefix.anatomy.vertebra_body import body_points, build_body
from spinefix.anatomy.vertebra_landmarks import landmarks
from spinefix.anatomy.vertebra_lattice import lattice_of, sample
from spinefix.anatomy.vertebra_section import Section, build_section, divisions
from spinefix.anatomy.vertebra_shape import FacetJoint, ShapeParameters, checked, facet_joint
from spinefix.anatomy.vertebra_topology import both_sides, topology
from spinefix.mesh.core import F64, I32, CellBlock, Mesh
from spinefix.mesh.quality import check

_Key = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class VertebraMesh:
    """One vertebra in its local frame: origin midway between the endplate centres, z through them, x forward, y left.

    Parameters
    ----------
    mesh : Mesh
        One hex8 block [mm]; region names without the level.
    superior_nodes, inferior_nodes : (s,) int32
        Nodes of the upper and lower endplate surface in the order of `Section` nodes.
    section : Section
    landmarks : mapping of str to (3,) float64 [mm]
    directions : mapping of str to (3,) float64, unit vectors
    """

    mesh: Mesh
    superior_nodes: I32
    inferior_nodes: I32
    section: Section
    landmarks: Mapping[str, F64]
    directions: Mapping[str, F64]


def build_vertebra(
    dimensions: Mapping[str, Any],
    n: int,
    shape: ShapeParameters | None = None,
    above: FacetJoint | None = None,
    below: FacetJoint | None = None,
) -> VertebraMesh:
    """Build a vertebra.

    Parameters
    ----------
    dimensions : mapping of str to float [mm]
        EPWu, EPDu, EPWl, EPDl, VBHp, VBHa (optional), SCW, SCD, PDW, PDH, SPL, TPW after Panjabi 1992, and optionally
        ``inferior_facet_w_h_area``. SPL is taken as the distance in the midline from the dorsal edge of the upper
        endplate to the farthest point of the spinous process; SCW and SCD are the clear opening of the canal seen
        along z; PDW and PDH are measured across the pedicle's axis at its isthmus.
    n : int
        Refinement, 2 coarse, 3 middle, 5 fine. The shape does not depend on it.
    shape : ShapeParameters, optional
        See `spinefix.anatomy.vertebra_shape.shape_of` for the defaults of a level.
    above, below : FacetJoint, optional
        Facet joints with the neighbours; by default as if the neighbour had the same dimensions.

    Raises
    ------
    MeshError
        A dimension or shape parameter is missing or out of range, `n` is, or the dimensions together leave an element
        inside out.
    """
    scalars = checked(dimensions)
    shape = shape or ShapeParameters()
    shape.check()
    own = facet_joint(dimensions, dimensions)
    key = tuple(sorted(scalars.items()))
    return _build(key, n, shape, above or own, below or own)


@lru_cache(maxsize=64)
def _shape(key: _Key, shape: ShapeParameters, above: FacetJoint, below: FacetJoint) -> tuple[Plan, F64]:
    """What the vertebra is drawn from and its arch on the reference lattice, free of any mesh."""
    dims = dict(key)
    plan = Plan(dims, shape, build_body(dims, shape), above, below)
    return plan, build_arch(plan)


@lru_cache(maxsize=64)
def _build(key: _Key, n: int, shape: ShapeParameters, above: FacetJoint, below: FacetJoint) -> VertebraMesh:
    plan, arch = _shape(key, shape, above, below)
    d, t = divisions(n), topology(n)
    lattice = sample(arch, lattice_of(d))
    points = np.concatenate([body_points(plan.body, d, n).reshape(-1, 3), both_sides(lattice)[t.new]])
    marks, directions = landmarks(plan, arch)
    marks["endplate.superior.centre"], marks["endplate.inferior.centre"] = plan.body.centres()
    # From the frame centred between the rims to the one centred between the hollow endplates.
    origin = 0.5 * (marks["endplate.superior.centre"] + marks["endplate.inferior.centre"])
    mesh = Mesh(
        points - origin,
        (CellBlock("hex8", t.conn),),
        {k: v.astype(np.int32) for k, v in t.cells.items()},
        {k: v.astype(np.int32) for k, v in t.facets.items()},
        {k: v.astype(np.int32) for k, v in t.nodes.items()},
    )
    check(mesh)
    marks = {name: point - origin for name, point in marks.items()}
    return VertebraMesh(mesh, t.superior, t.inferior, build_section(n), marks, directions)


def measure(vertebra: VertebraMesh) -> dict[str, float]:
    """Measure the morphometry back on the mesh [mm], with the same keys as the table it was built from."""
    x = vertebra.mesh.points
    loop = vertebra.section.boundary
    upper, lower = x[vertebra.superior_nodes[loop]], x[vertebra.inferior_nodes[loop]]
    half = len(loop) // 2
    nodes = vertebra.mesh.nodes
    wall = x[nodes["posterior_wall"]]
    midline = wall[np.abs(wall[:, 1]) < 1e-9]
    roof = x[nodes["canal_roof"]]
    roof = roof[np.abs(roof[:, 1]) < 1e-9]
    isthmus = x[nodes["pedicle.isthmus.left"]]
    axis = vertebra.directions["pedicle.left.axis"]
    lateral = np.array([-axis[1], axis[0], 0.0]) / np.hypot(axis[0], axis[1])
    spinous = x[nodes["spinous.ridge"]]
    return {
        "EPWu": float(np.ptp(upper[:, 1])),
        "EPWl": float(np.ptp(lower[:, 1])),
        "EPDu": float(np.linalg.norm(upper[0] - upper[half])),
        "EPDl": float(np.linalg.norm(lower[0] - lower[half])),
        "VBHa": float(np.linalg.norm(upper[0] - lower[0])),
        "VBHp": float(np.linalg.norm(upper[half] - lower[half])),
        "SCW": 2.0 * float(x[nodes["pedicle.medial.left"], 1].min()),
        "SCD": float(midline[:, 0].min() - roof[:, 0].max()),
        "PDW": float(np.ptp(isthmus @ lateral)),
        "PDH": float(np.ptp(isthmus @ np.cross(axis, lateral))),
        "TPW": float(np.ptp(x[:, 1])),
        "SPL": float(np.linalg.norm(spinous - upper[half], axis=1).max()),
    }
