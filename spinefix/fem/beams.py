"""Straight two-node Timoshenko beams, exact for end loads.

Local axes: rows of the rotation ``R`` are the unit vectors x (from node 0 to node 1), y and z, so ``v_local = R v``.
``Iy`` governs bending about local y (deflection along z), ``Iz`` bending about local z (deflection along y).

Source: Przemieniecki JS (1968), Theory of Matrix Structural Analysis, section 5.6 (stiffness with shear deformation).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MeshError

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class BeamGroup:
    """Beam elements with their section constants.

    Parameters
    ----------
    cells : (b,) int32
        Global element ids.
    conn : (b, 2) int32
    E, G : (b,) float64 [MPa]
    A : (b,) float64 [mm^2]
    Iy, Iz, J : (b,) float64 [mm^4]
    ky, kz : (b,) float64 [1]
        Shear correction factors of forces along y and z.
    axes : (b, 3, 3) float64
        Rows are the local x, y, z (`beam_axes`).
    """

    cells: I32
    conn: I32
    E: F64
    G: F64
    A: F64
    Iy: F64
    Iz: F64
    J: F64
    ky: F64
    kz: F64
    axes: F64

    def __len__(self) -> int:
        return len(self.conn)

    def take(self, rows: I32) -> BeamGroup:
        """Return some of the beams."""
        return BeamGroup(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def beam_axes(points: F64, conn: I32, orientation: F64) -> F64:
    """Local axes of beams.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    conn : (b, 2) int32
    orientation : (b, 3) float64
        Direction near local y; made perpendicular to the beam. Zero: any perpendicular (round sections).

    Returns
    -------
    (b, 3, 3) float64
        Rows are the unit vectors x, y, z.

    Raises
    ------
    MeshError
        A beam has no length, or its orientation lies along it.
    """
    x = points[conn[:, 1]] - points[conn[:, 0]]
    length = np.linalg.norm(x, axis=1)
    if (length <= 0.0).any():
        raise MeshError(f"beam {int(np.argmin(length))} of its block has no length")
    x = x / length[:, None]
    y = np.array(orientation, np.float64)
    free = ~y.any(axis=1)
    y[free] = np.eye(3)[np.argmin(np.abs(x[free]), axis=1)]
    y /= np.linalg.norm(y, axis=1)[:, None]
    y -= np.einsum("bi,bi->b", x, y)[:, None] * x
    size = np.linalg.norm(y, axis=1)
    if (size < 1e-6).any():
        raise MeshError(f"beam {int(np.argmin(size))} of its block has its orientation along its axis")
    y /= size[:, None]
    return np.ascontiguousarray(np.stack([x, y, np.cross(x, y)], axis=1))


def beam_lengths(points: F64, group: BeamGroup) -> F64:
    """Return the lengths (b,) [mm]."""
    return np.asarray(np.linalg.norm(points[group.conn[:, 1]] - points[group.conn[:, 0]], axis=1))


def beam_blocks(group: BeamGroup, rotation_index: I32, n_points: int) -> I32:
    """Return the four blocks (b, 4) of each beam: translation and rotation of node 0, then of node 1.

    Raises
    ------
    MeshError
        A beam node has no rotations.
    """
    turn = rotation_index[group.conn]
    if turn.size and turn.min() < 0:
        raise MeshError(f"beam element {int(group.cells[np.argmin(turn.min(axis=1))])} has a node without rotations")
    turn = turn + n_points
    return np.stack([group.conn[:, 0], turn[:, 0], group.conn[:, 1], turn[:, 1]], axis=1).astype(np.int32)


def local_stiffness(points: F64, group: BeamGroup) -> F64:
    """Stiffness (b, 12, 12) in local axes; dofs u, v, w, rx, ry, rz of node 0, then of node 1."""
    g = group
    L = beam_lengths(points, g)
    K = np.zeros((len(g), 12, 12))

    def pair(i: int, j: int, value: F64) -> None:
        K[:, i, j] = value
        K[:, j, i] = value

    for dof, k in ((0, g.E * g.A / L), (3, g.G * g.J / L)):
        K[:, dof, dof] = K[:, dof + 6, dof + 6] = k
        pair(dof, dof + 6, -k)
    # Bending in the x-y plane (v, rz), then in the x-z plane (w, ry), where a positive ry lowers w.
    for v, r, sign, inertia, shear in ((1, 5, 1.0, g.Iz, g.ky), (2, 4, -1.0, g.Iy, g.kz)):
        phi = 12.0 * g.E * inertia / (shear * g.G * g.A * L**2)
        k = g.E * inertia / (L**3 * (1.0 + phi))
        K[:, v, v] = K[:, v + 6, v + 6] = 12.0 * k
        pair(v, v + 6, -12.0 * k)
        K[:, r, r] = K[:, r + 6, r + 6] = (4.0 + phi) * L**2 * k
        pair(r, r + 6, (2.0 - phi) * L**2 * k)
        for rotation in (r, r + 6):
            pair(v, rotation, sign * 6.0 * L * k)
            pair(v + 6, rotation, -sign * 6.0 * L * k)
    return K


def beam_stiffness(points: F64, group: BeamGroup) -> F64:
    """Stiffness blocks (b, 4, 4, 3, 3) in global axes, in the order of `beam_blocks`."""
    local = local_stiffness(points, group).reshape(-1, 4, 3, 4, 3)
    K = np.einsum("bji,bxjyl,blk->bxyik", group.axes, local, group.axes, optimize=True)
    return np.ascontiguousarray((K + K.transpose(0, 2, 1, 4, 3)) / 2.0)


def beam_end_forces(points: F64, group: BeamGroup, rotation_index: I32, u: F64) -> F64:
    """Section forces at both ends of each beam in local axes.

    Parameters
    ----------
    u : (n_blocks, 3) float64 [mm, rad]

    Returns
    -------
    (b, 2, 6) float64 [N, N mm]
        N, Vy, Vz, T, My, Mz that the part beyond the section (towards +x) exerts on the part before it, so that
        N > 0 is tension.
    """
    blocks = beam_blocks(group, rotation_index, len(points))
    local_u = np.einsum("bij,bxj->bxi", group.axes, u[blocks]).reshape(-1, 12)
    forces = np.einsum("bij,bj->bi", local_stiffness(points, group), local_u).reshape(-1, 2, 6)
    forces[:, 0] *= -1.0
    return np.asarray(forces)


def beam_stress(forces: F64, group: BeamGroup, extent_y: F64, extent_z: F64, circular: NDArray[np.bool_]) -> F64:
    """Greatest von Mises stress at the outer fibre of each section.

    Axial and bending stress are added at the worst fibre, bending vectorially where the section is circular; torsion
    adds a shear of ``T r / J``. In a rectangle that uses the full short side in place of r, which is never too small
    (Saint-Venant torsion; exact for a thin strip). Transverse shear is left out, as it vanishes at the outer fibre.

    Parameters
    ----------
    forces : (b, 2, 6) float64 [N, N mm]
        From `beam_end_forces`.
    extent_y, extent_z : (b,) float64 [mm]
        Half depths; the radius where the section is circular.
    circular : (b,) bool

    Returns
    -------
    (b, 2) float64 [MPa]
    """
    N, T, My, Mz = (np.abs(forces[:, :, i]) for i in (0, 3, 4, 5))
    about_y = My * (extent_z / group.Iy)[:, None]
    about_z = Mz * (extent_y / group.Iz)[:, None]
    bending = np.where(circular[:, None], np.hypot(about_y, about_z), about_y + about_z)
    radius = np.where(circular, extent_y, 2.0 * np.minimum(extent_y, extent_z))
    shear = T * (radius / group.J)[:, None]
    return np.sqrt((N / group.A[:, None] + bending) ** 2 + 3.0 * shear**2)
