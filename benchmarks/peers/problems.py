"""The two problems that all codes solve, as plain arrays: mesh, materials, supports, loads.

Both are made of hex8 with eight integration points and nothing else (no B-bar, no incompatible modes), of the
neo-Hookean energy W = mu / 2 (J^(-2/3) tr C - 3) + K / 2 (J - 1)^2, with dead loads: every code has exactly that.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Case:
    """A boundary value problem.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    conn : (e, 8) int32
        Hexahedra, nodes counter-clockwise at the bottom, then at the top (VTK, Abaqus).
    material : (e,) int32
        Row of `mu` and `K`.
    mu, K : (k,) float64 [MPa]
    fixed : (c,) int32
        Supported dofs, 3 node + component.
    motion : (c,) float64 [mm]
        Their displacement at the end; it grows linearly.
    force : (n, 3) float64 [N]
        Dead nodal forces at the end; they grow linearly.
    increments : () int
        Equal increments of load in which every code goes there.
    """

    points: F64
    conn: I32
    material: I32
    mu: F64
    K: F64
    fixed: I32
    motion: F64
    force: F64
    increments: int

    @property
    def unknowns(self) -> int:
        """Number of dofs that are not supported."""
        return self.points.size - len(self.fixed)

    def save(self, path: Path) -> None:
        """Write all arrays to an npz file."""
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path | str) -> Case:
        """Read what `save` wrote."""
        with np.load(path) as data:
            arrays = {f.name: data[f.name] for f in fields(cls)}
        return cls(**(arrays | {"increments": int(arrays["increments"])}))


def grid(lengths: tuple[float, float, float], divisions: tuple[int, int, int]) -> tuple[F64, I32]:
    """Return points (n, 3) and hexahedra (e, 8) of a box of equal cells, x running fastest."""
    x, y, z = (np.linspace(0.0, l, d + 1) for l, d in zip(lengths, divisions, strict=True))
    Z, Y, X = np.meshgrid(z, y, x, indexing="ij")
    points = np.stack([X.ravel(), Y.ravel(), Z.ravel()], axis=1)
    nx, ny, nz = divisions
    k, j, i = np.meshgrid(np.arange(nz), np.arange(ny), np.arange(nx), indexing="ij")
    row, layer = nx + 1, (nx + 1) * (ny + 1)
    corner = (i + row * j + layer * k).ravel()
    conn = corner[:, None] + np.array([0, 1, row + 1, row, layer, layer + 1, layer + row + 1, layer + row])
    return points, conn.astype(np.int32)


def cube(n: int = 20, increments: int = 5) -> Case:
    """Cube of 20 mm, n^3 cells, mu 1 MPa, K 10 MPa: ends held sideways, compressed by a fifth of its height."""
    points, conn = grid((20.0, 20.0, 20.0), (n, n, n))
    bottom, top = (np.flatnonzero(points[:, 2] == z) for z in (0.0, 20.0))
    held = np.concatenate([bottom, top])
    motion = np.zeros((len(held), 3))
    motion[len(bottom) :, 2] = -4.0
    fixed = (3 * held[:, None] + np.arange(3)).ravel().astype(np.int32)
    return Case(
        points, conn, np.zeros(len(conn), np.int32), np.array([1.0]), np.array([10.0]), fixed, motion.ravel(),
        np.zeros_like(points), increments,
    )  # fmt: skip


BONE_MM, DISC_MM, WIDTH_MM = 20.0, 12.5, 30.0


def column(n: int = 12, increments: int = 5, moment: float = 1000.0) -> Case:
    """Five bones and four discs in turn, 30 x 30 x 150 mm, n x n x 5 n cells, bent by a couple on the top.

    Bones have a core of 100 MPa within a layer of 12 GPa one cell thick (round the sides and at the end plates); discs
    1 MPa and nu 0.45. The bottom is held; forces along z that vary linearly across the top add up to `moment` [N mm].
    """
    height = 5.0 * BONE_MM + 4.0 * DISC_MM
    points, conn = grid((WIDTH_MM, WIDTH_MM, height), (n, n, 5 * n))
    centre = points[conn].mean(axis=1)
    size = WIDTH_MM / n
    along = centre[:, 2] % (BONE_MM + DISC_MM)
    bone = along < BONE_MM
    side = np.minimum(centre[:, :2], WIDTH_MM - centre[:, :2]).min(axis=1) < size
    plate = (along < size) | (along > BONE_MM - size)
    material = np.where(bone, np.where(side | plate, 0, 1), 2).astype(np.int32)
    E, nu = np.array([12e3, 100.0, 1.0]), np.array([0.3, 0.3, 0.45])
    bottom, top = (np.flatnonzero(np.isclose(points[:, 2], z)) for z in (0.0, height))
    lever = points[top, 0] - WIDTH_MM / 2.0
    force = np.zeros_like(points)
    force[top, 2] = moment * lever / (lever @ lever)
    fixed = (3 * bottom[:, None] + np.arange(3)).ravel().astype(np.int32)
    return Case(
        points, conn, material, E / (2.0 * (1.0 + nu)), E / (3.0 * (1.0 - 2.0 * nu)), fixed, np.zeros(len(fixed)),
        force, increments,
    )  # fmt: skip


CASES = {"cube": cube, "column": column}
