"""Which structure carries the load across a section: a free-body cut through the whole model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spinefix.mesh.core import F64, I32, Bool


def crossing(conn: I32, above: Bool) -> Bool:
    """Elements that have nodes on both sides of the cut, (e,) bool, from connectivity (e, m) and node flags (n,)."""
    side = above[conn]
    return side.any(axis=1) & ~side.all(axis=1)


def resultant(nodal: Iterable[tuple[I32, F64, F64]], above: Bool, centre: F64) -> tuple[F64, F64]:
    """Force and moment that parts exert on the nodes above the cut.

    Parameters
    ----------
    nodal : iterable of (nodes (k,), points (k, 3) [mm], forces (k, 6) [N, N mm])
        Internal forces and moments that act on nodes, force on the structure with the sign of K u.
    above : (n_points,) bool
    centre : (3,) float64 [mm]
        Where the moment is taken.

    Returns
    -------
    force, moment : (3,) float64 [N], [N mm]
        What the part transmits from the load above to the rest below.
    """
    force = np.zeros(3)
    moment = np.zeros(3)
    for nodes, points, f in nodal:
        keep = above[nodes]
        force += f[keep, :3].sum(axis=0)
        moment += (np.cross(points[keep] - centre, f[keep, :3]) + f[keep, 3:]).sum(axis=0)
    return force, moment
