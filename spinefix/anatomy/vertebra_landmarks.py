"""Landmarks of the vertebra template."""

from __future__ import annotations

import numpy as np

from spinefix.anatomy.vertebra_arch import Plan, pedicle_axes
from spinefix.anatomy.vertebra_lattice import reference_lattice
from spinefix.mesh.core import F64


def landmarks(plan: Plan, arch: F64) -> tuple[dict[str, F64], dict[str, F64]]:
    """Return landmarks [mm] and directions in the rim-centred frame, from the reference shape of the left half.

    Taken from the shape and not from a mesh, they do not depend on the refinement.
    """
    reference = reference_lattice()
    q = reference.starts["root"][0]
    rows = reference.nodes("low", "high")
    left: dict[str, F64] = {}
    isthmus = arch[reference.nodes("column"), q, rows].reshape(-1, 3)
    left["pedicle.left.centre"] = 0.5 * (isthmus.min(axis=0) + isthmus.max(axis=0))
    _, axis, _ = pedicle_axes(plan.shape)
    column = reference.nodes("column")
    back = arch[column, reference.starts["arch"][0], reference.nodes("low", "high", "rise")]
    left["pedicle.left.entry"] = _pierce(left["pedicle.left.centre"], -axis, back)
    tip = arch[-1, reference.nodes("arch"), rows].reshape(-1, 3)
    left["transverse.left.tip"] = tip[np.argmax(tip[:, 1])]
    medial, lateral = reference.starts["column"]
    for name, p, bands in (("superior", medial, ("high", "rise")), ("inferior", lateral, ("tip", "shelf"))):
        face = arch[p, reference.nodes("arch"), reference.nodes(*bands)]
        left[f"facet.{name}.left.centre"] = face[face.shape[0] // 2, face.shape[1] // 2]
    left["mammillary.left"] = arch[lateral, reference.starts["arch"][0], reference.starts["rise"][0] + 3]
    ridge = arch[0, reference.nodes("spinous")].reshape(-1, 3)
    ridge = ridge[np.isfinite(ridge[:, 0])]
    dims = plan.dimensions
    corner = np.array([-0.5 * dims["EPDu"], 0.0, 0.5 * dims["VBHp"]])
    out = {"spinous.tip": ridge[np.argmax(np.linalg.norm(ridge - corner, axis=1))]}
    flip = np.array([1.0, -1.0, 1.0])
    for name, point in left.items():
        out[name] = point
        out[name.replace("left", "right")] = point * flip
    return out, {"pedicle.left.axis": axis, "pedicle.right.axis": axis * flip}


def _pierce(origin: F64, direction: F64, surface: F64) -> F64:
    """Where a ray meets a structured surface (i, j, 3); the nearest surface point to the ray if it misses."""
    a, b, c, d = surface[:-1, :-1], surface[1:, :-1], surface[1:, 1:], surface[:-1, 1:]
    triangles = np.concatenate([np.stack(t, axis=-2).reshape(-1, 3, 3) for t in ((a, b, c), (a, c, d))])
    e1, e2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    p = np.cross(direction, e2)
    det = (e1 * p).sum(axis=1)
    s = origin - triangles[:, 0]
    u = (s * p).sum(axis=1) / det
    k = np.cross(s, e1)
    v = (k @ direction) / det
    t = (e2 * k).sum(axis=1) / det
    hit = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (t > 0)
    if hit.any():
        return np.asarray(origin + t[hit].min() * direction)
    flat = surface.reshape(-1, 3) - origin
    away = np.linalg.norm(np.cross(flat, direction), axis=1)
    return np.asarray(surface.reshape(-1, 3)[np.argmin(away)])
