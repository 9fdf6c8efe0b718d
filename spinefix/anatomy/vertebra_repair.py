"""Lift the worst corners of the reference lattice: small node shifts along the gradient of the scaled Jacobian."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spinefix.anatomy.vertebra_lattice import fixed_nodes, reference_lattice, smoother
from spinefix.mesh.core import F64

Int = NDArray[np.intp]

_CORNERS = ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 1))
_NEIGHBOURS = ((1, 3, 4), (2, 0, 5), (3, 1, 6), (0, 2, 7), (7, 5, 0), (4, 6, 1), (5, 7, 2), (6, 4, 3))
"""Hexahedron corners as lattice offsets (q is x, p is y), and the three neighbours of each, right-handed."""


@lru_cache(maxsize=1)
def _trihedra() -> Int:
    """Rows (8 cells, 4) of each cell corner and its three neighbours among the occupied lattice nodes."""
    index = smoother().index
    cells = np.argwhere(reference_lattice().occupied_cells())
    nodes = np.stack([index[tuple((cells + c).T)] for c in _CORNERS], axis=1)
    return np.concatenate([nodes[:, [i, *around]] for i, around in enumerate(_NEIGHBOURS)])


def scaled_corners(x: F64, trihedra: Int) -> tuple[F64, F64, F64]:
    """Scaled Jacobian (k,) of corners, with unit edges (k, 3, 3) and edge lengths (k, 3)."""
    edges = x[trihedra[:, 1:]] - x[trihedra[:, :1]]
    lengths = np.sqrt(np.einsum("kij,kij->ki", edges, edges))
    unit = edges / lengths[..., None]
    scaled = np.einsum("ki,ki->k", unit[:, 0], np.cross(unit[:, 1], unit[:, 2]))
    return scaled, unit, lengths


def repair(points: F64, target: float = 0.25, passes: int = 120, rate: float = 0.35) -> F64:
    """Move nodes of corners whose scaled Jacobian is below `target` until it is reached.

    Every corner pushes its four nodes along the gradient of its scaled Jacobian by a share `rate` of what it lacks and
    of its shortest edge; a node takes the mean of what is asked of it.

    Parameters
    ----------
    points : (P, Q, R, 3) float64 [mm]
        `fixed_nodes` stay, and the midline plane keeps y = 0.
    """
    s = smoother()
    inside = s.index >= 0
    x = points[inside].copy()
    held = fixed_nodes()[inside]
    flat = s.index[0][s.index[0] >= 0]
    everything = _trihedra()
    for i in range(passes):
        if i % 10 == 0:
            near = everything[scaled_corners(x, everything)[0] < target + 0.1]
        scaled, unit, lengths = scaled_corners(x, near)
        bad = scaled < target
        if not bad.any():
            break
        shift = _pushes(near[bad], scaled[bad], unit[bad], lengths[bad], target, len(x))
        shift[held] = 0.0
        shift[flat, 1] = 0.0
        x = x + rate * shift
    out = points.copy()
    out[inside] = x
    return out


def _pushes(rows: Int, scaled: F64, unit: F64, lengths: F64, target: float, n: int) -> F64:
    """Mean shift (n, 3) asked of each node."""
    across = np.stack([np.cross(unit[:, (i + 1) % 3], unit[:, (i + 2) % 3]) for i in range(3)], axis=1)
    gradient = across - scaled[:, None, None] * unit
    size = (target + 0.05 - scaled) * lengths.min(axis=1)
    arms = size[:, None, None] * gradient
    asked = np.concatenate([-arms.sum(axis=1, keepdims=True), arms], axis=1).reshape(-1, 3)
    flat = rows.ravel()
    count = np.bincount(flat, minlength=n)
    total = np.stack([np.bincount(flat, asked[:, k], minlength=n) for k in range(3)], axis=1)
    return np.asarray(total / np.maximum(count, 1)[:, None])
