"""Element quality: Jacobians, scaled Jacobian, volumes, and a check that names what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spinefix.errors import MeshError
from spinefix.mesh.core import F64, Mesh
from spinefix.mesh.elements import ELEMENTS, gradient

# Corners and the three neighbours that make a right-handed trihedron in an undistorted element.
_TRIHEDRA = {
    "hex8": [
        (0, 1, 3, 4),
        (1, 2, 0, 5),
        (2, 3, 1, 6),
        (3, 0, 2, 7),
        (4, 7, 5, 0),
        (5, 4, 6, 1),
        (6, 5, 7, 2),
        (7, 6, 4, 3),
    ],
    "tet4": [(0, 1, 2, 3), (1, 2, 0, 3), (2, 0, 1, 3), (3, 0, 2, 1)],
    "wedge6": [(0, 1, 2, 3), (1, 2, 0, 4), (2, 0, 1, 5), (3, 5, 4, 0), (4, 3, 5, 1), (5, 4, 3, 2)],
}
_TRIHEDRA["hex20"] = _TRIHEDRA["hex8"]
_TRIHEDRA["tet10"] = _TRIHEDRA["tet4"]
# Scaled Jacobian of the ideal element (cube; regular tetrahedron; equilateral right prism), to which it is normalized.
_IDEAL = {"hex8": 1.0, "hex20": 1.0, "tet4": np.sqrt(0.5), "tet10": np.sqrt(0.5), "wedge6": np.sqrt(0.75)}


def jacobians(mesh: Mesh, *, corners: bool = False) -> list[F64]:
    """Return det J of each block at its integration points, (e, q) [mm^3], or at its corner nodes.

    Beams have none: (e, 0).
    """
    out = []
    for block in mesh.blocks:
        if block.kind == "beam2":
            out.append(np.zeros((len(block), 0)))
            continue
        element = ELEMENTS[block.kind]
        n_corners = len(_TRIHEDRA[block.kind])
        dN = gradient(block.kind, element.nodes[:n_corners]) if corners else element.dN
        columns = np.einsum("qmd,emi->deqi", dN, mesh.points[block.conn], optimize=True)
        out.append(_triple(columns[0], columns[1], columns[2]))
    return out


def volumes(mesh: Mesh) -> F64:
    """Return the volume of each element, (n_cells,) [mm^3]; zero for beams."""
    parts = [
        det @ ELEMENTS[block.kind].weights if det.shape[1] else np.zeros(len(block))
        for block, det in zip(mesh.blocks, jacobians(mesh), strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def scaled_jacobian(mesh: Mesh) -> F64:
    """Return the scaled Jacobian of each element, (n_cells,) [1]; 1 is ideal, 0 or less unusable; 1 for beams.

    The least triple product of unit edge vectors over the corners, for hexahedra also of the unit principal axes;
    divided by its value in the ideal element. Quadratic elements are judged by their corners.

    Source: Stimpson, Ernst, Knupp, Pébay, Thompson (2007), The Verdict library reference manual, Sandia National
    Laboratories, hexahedron metric "scaled Jacobian".
    """
    parts = []
    for block in mesh.blocks:
        if block.kind == "beam2":
            parts.append(np.ones(len(block)))
            continue
        x = mesh.points[block.conn]
        o, a, b, c = np.array(_TRIHEDRA[block.kind]).T
        least = _triple(_unit(x[:, a] - x[:, o]), _unit(x[:, b] - x[:, o]), _unit(x[:, c] - x[:, o])).min(axis=1)
        if block.kind.startswith("hex"):
            axes = np.einsum("md,emi->dei", ELEMENTS["hex8"].nodes, x[:, :8])
            least = np.minimum(least, _triple(_unit(axes[0]), _unit(axes[1]), _unit(axes[2])))
        parts.append(least / _IDEAL[block.kind])
    return np.concatenate(parts) if parts else np.zeros(0)


@dataclass(frozen=True, slots=True)
class Quality:
    """Scaled Jacobian of the elements of a region: least, first percentile, median, and how many are not positive."""

    elements: int
    minimum: float
    percentile_1: float
    median: float
    negative: int
    volume_mm3: float


def summary(mesh: Mesh) -> Mapping[str, Quality]:
    """Return the quality of the whole mesh (key ``""``) and of each cell region."""
    quality, volume = scaled_jacobian(mesh), volumes(mesh)
    regions = {"": np.arange(mesh.n_cells, dtype=np.int32), **mesh.cells}
    return {name: _summarize(quality[ids], volume[ids]) for name, ids in regions.items() if len(ids)}


def check(mesh: Mesh) -> None:
    """Raise if an element is inside out or flat at an integration point or a corner.

    Raises
    ------
    MeshError
        Names the worst element, its regions, its kind and det J, and counts the others.
    """
    at_points, at_corners = jacobians(mesh), jacobians(mesh, corners=True)
    both = [np.concatenate([a, b], axis=1) for a, b in zip(at_points, at_corners, strict=True)]
    least = np.concatenate([det.min(axis=1, initial=np.inf) for det in both]) if both else np.zeros(0)
    bad = np.flatnonzero(~(least > 0.0))
    if not bad.size:
        return
    worst = int(bad[np.argmin(least[bad])])
    kind = next(b.kind for b, end in zip(mesh.blocks, mesh.offsets[1:], strict=True) if worst < end)
    regions = [name for name, ids in mesh.cells.items() if np.isin(worst, ids)] or ["no region"]
    raise MeshError(
        f"{kind} element {worst} ({', '.join(regions)}) has det J = {least[worst]:.3g} mm^3; "
        f"{bad.size} of {mesh.n_cells} elements are inside out or flat"
    )


def _summarize(quality: F64, volume: F64) -> Quality:
    low, middle = np.percentile(quality, [1.0, 50.0])
    negative = int((quality <= 0.0).sum())
    return Quality(len(quality), float(quality.min()), float(low), float(middle), negative, float(volume.sum()))


def _triple(a: F64, b: F64, c: F64) -> F64:
    return np.asarray(np.einsum("...i,...i->...", a, np.cross(b, c)))


def _unit(v: F64) -> F64:
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.asarray(v / np.where(length > 0.0, length, 1.0))
