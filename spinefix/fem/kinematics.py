"""Small kinematics shared by constraints and links: cross-product matrices and the motion of a facet."""

from __future__ import annotations

import numpy as np

from spinefix.mesh.core import F64, I32


def cross_matrix(v: F64) -> F64:
    """Return the matrices [v] with [v] a = v x a, (..., 3, 3)."""
    v = np.asarray(v, np.float64)
    out = np.zeros((*v.shape, 3))
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    out[..., 0, 1], out[..., 0, 2] = -z, y
    out[..., 1, 0], out[..., 1, 2] = z, -x
    out[..., 2, 0], out[..., 2, 1] = -y, x
    return out


def facet_rotation(points: F64, nodes: I32, gradients: F64) -> F64:
    """Return the rotation of a facet as a linear function of its nodal displacements.

    The tilt is that of the normal, n x dn, the spin about the normal half the surface curl; both are exact for rigid
    motion.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    nodes : (p, m) int32
        Nodes of the facet that holds each point.
    gradients : (p, m, 2) float64 [1]
        Derivatives of the shape functions with respect to the facet coordinates at the point.

    Returns
    -------
    W : (p, m, 3, 3) float64 [1/mm]
        Rotation = sum over nodes of W u.
    """
    tangents = np.einsum("pma,pmi->pai", gradients, points[nodes])
    metric = np.einsum("pai,pbi->pab", tangents, tangents)
    dual = np.einsum("pab,pbi->pai", np.linalg.inv(metric), tangents)
    surface_gradient = np.einsum("pma,pai->pmi", gradients, dual)
    n = np.cross(tangents[:, 0], tangents[:, 1])
    n = (n / np.linalg.norm(n, axis=1, keepdims=True))[:, None]
    turn = np.cross(n, surface_gradient)
    # dn = -grad_j (n . u_j), so n x dn = -(n x grad_j) n^T u_j; n . curl / 2 = (n x grad_j) . u_j / 2.
    return np.asarray(0.5 * n[..., :, None] * turn[..., None, :] - turn[..., :, None] * n[..., None, :])


def facet_motion(points: F64, nodes: I32, weights: F64, gradients: F64, offset: F64) -> F64:
    """Return the displacement of points carried by a facet at an offset, as a function of nodal displacements.

    Parameters
    ----------
    points, nodes, gradients
        As in `facet_rotation`.
    weights : (p, m) float64 [1]
        Shape functions at the foot of each point.
    offset : (p, 3) float64 [mm]
        From the foot to the point; it turns with the facet.

    Returns
    -------
    A : (p, m, 3, 3) float64 [1]
        Displacement = sum over nodes of A u; rigid motion of the facet moves the point rigidly.
    """
    A = weights[..., None, None] * np.eye(3)
    away = np.linalg.norm(offset, axis=1) > 0.0
    if away.any():
        W = facet_rotation(points, nodes[away], gradients[away])
        A[away] -= np.einsum("pik,pmkj->pmij", cross_matrix(offset[away]), W)
    return np.asarray(A)
