"""From groups of elements to the global stiffness matrix in 3 x 3 blocks.

Block numbering: the translation of node i is block i, its rotation is block ``n_points + rotation_index[i]``. Vectors
are (n_blocks, 3); the flat dof number is ``3 * block + component``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinefix.errors import MaterialError, MeshError
from spinefix.fem import kernels_solid as kernels
from spinefix.fem.beams import BeamGroup, beam_blocks, beam_stiffness
from spinefix.fem.kernels_pattern import scatter_blocks
from spinefix.fem.pattern import BlockPattern, Share
from spinefix.fem.voigt import elasticity_tensor
from spinefix.mesh.elements import ELEMENTS, gradient

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

FORMULATIONS: dict[str, int] = {
    "standard": kernels.STANDARD,
    "bbar": kernels.BBAR,
    "incompatible": kernels.INCOMPATIBLE,
}

KINDS: dict[str, tuple[str, ...]] = {
    "standard": ("hex8", "hex20", "tet4", "tet10", "wedge6"),
    "bbar": ("hex8", "hex20", "wedge6"),
    "incompatible": ("hex8",),
}
"""Element kinds of each formulation.

One tet10 with B-bar would leave three motions without energy, whatever its rule of integration: the special conformal
maps ``2 x (a . x) - a |x|^2`` are quadratic, shear nothing and keep the mean volume.
"""

_CENTRE = np.zeros((1, 3))


def kernel_array(a: NDArray[Any], dtype: type) -> NDArray[Any]:
    """Return a contiguous, writable copy: Numba compiles a kernel once more for read-only arrays."""
    return np.array(a, dtype, order="C", copy=True)


@dataclass(frozen=True)
class SolidGroup:
    """Solid elements of one kind and one formulation.

    Parameters
    ----------
    kind : str
        Key of `spinefix.mesh.elements.ELEMENTS`.
    formulation : str
        ``standard``, ``bbar`` (mean dilatation) or ``incompatible`` (bending modes), for the kinds in `KINDS`.
    cells : (e,) int32
        Global element ids, for messages and for writing results back.
    conn : (e, m) int32
    D : (k, 6, 6) float64 [MPa]
        Elasticity matrices, order xx yy zz xy yz xz, engineering shear.
    d_id : (e,) int32
        Row of `D` of each element.
    scale : (e, q) float64 [1]
        Positive factor on the stiffness at the integration points.

    Raises
    ------
    MaterialError
        A scale is not positive (remove cells instead of giving them no stiffness).
    ValueError
        Shapes do not fit.
    """

    kind: str
    formulation: str
    cells: I32
    conn: I32
    D: F64
    d_id: I32
    scale: F64

    def __post_init__(self) -> None:
        for name, dtype in (
            ("cells", np.int32),
            ("conn", np.int32),
            ("d_id", np.int32),
            ("D", np.float64),
            ("scale", np.float64),
        ):
            object.__setattr__(self, name, kernel_array(getattr(self, name), dtype))
        element = ELEMENTS[self.kind]
        e = len(self.conn)
        if self.kind not in KINDS.get(self.formulation, ()):
            raise ValueError(f"no formulation {self.formulation!r} for {self.kind}")
        wanted = {"cells": (e,), "conn": (e, element.n_nodes), "d_id": (e,), "scale": (e, element.n_points)}
        wanted["D"] = (len(self.D), 6, 6)
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{self.kind} group: {name} has shape {getattr(self, name).shape}, needs {shape}")
        if e and (self.d_id.min() < 0 or self.d_id.max() >= len(self.D)):
            raise ValueError(f"{self.kind} group: d_id refers to row {int(self.d_id.max())} of {len(self.D)}")
        bad = ~(self.scale > 0.0) | ~np.isfinite(self.scale)
        if bad.any():
            i, q = np.argwhere(bad)[0]
            raise MaterialError(
                f"element {self.cells[i]} ({self.kind}) has stiffness scale {self.scale[i, q]:g} at point {q}; "
                "it must be positive: remove the element or leave it a little stiffness"
            )

    def __len__(self) -> int:
        return len(self.conn)


@dataclass(frozen=True)
class KernelTables:
    """What the solid kernels need besides the group itself; see `kernels_solid`."""

    dN: F64
    w: F64
    dN0: F64
    bubble: F64
    formulation: int


def formulation_of(kind: str, wanted: str) -> str:
    """Return the formulation `wanted` where `kind` has it, else ``standard``."""
    return wanted if kind in KINDS[wanted] else "standard"


def n_quadrature(kind: str) -> int:
    """Return the number of integration points of an element kind."""
    return ELEMENTS[kind].n_points


def point_scale(kind: str, scale: F64) -> F64:
    """Return the stiffness scale at the integration points of `kind` from eight values per element.

    Elements with fewer than eight points take the first ones; the six face points of hex20 take the mean of the four
    nearest corners.

    Parameters
    ----------
    scale : (e, 8) float64 [1]

    Returns
    -------
    (e, q) float64
    """
    points = ELEMENTS[kind].points
    if len(points) <= 8:
        return np.ascontiguousarray(scale[:, : len(points)])
    near = points[8:] @ points[:8].T > 0.0
    return np.hstack([scale, scale @ near.T / near.sum(axis=1)])


def kernel_tables(group: SolidGroup) -> KernelTables:
    """Return the reference tables of a group."""
    element = ELEMENTS[group.kind]
    incompatible = group.formulation == "incompatible"
    bubble = np.ascontiguousarray(-2.0 * element.points) if incompatible else np.zeros((element.n_points, 0))
    dN = kernel_array(element.dN.transpose(0, 2, 1), np.float64)
    dN0 = kernel_array(gradient(group.kind, _CENTRE)[0].T, np.float64)
    return KernelTables(dN, kernel_array(element.weights, np.float64), dN0, bubble, FORMULATIONS[group.formulation])


def build_pattern(
    n_points: int,
    solids: Sequence[SolidGroup],
    beams: Sequence[BeamGroup],
    rotation_index: I32,
    extra: Sequence[I32] = (),
    *,
    threads: int | None = None,
) -> BlockPattern:
    """Build the block pattern of a model; its maps follow the order solids, beams, extra.

    Parameters
    ----------
    rotation_index : (n_points,) int32
        Number of the rotation of each node, -1 if it has none.
    extra : sequence of (c, s) int32
        More tables of coupled blocks (springs, foundations).
    """
    n_blocks = n_points + int(np.max(rotation_index, initial=-1)) + 1
    cliques = [g.conn for g in solids] + [beam_blocks(g, rotation_index, n_points) for g in beams] + list(extra)
    return BlockPattern.build(n_blocks, cliques, threads=threads)


def assemble(
    points: F64,
    solids: Sequence[SolidGroup],
    beams: Sequence[BeamGroup],
    rotation_index: I32,
    *,
    pattern: BlockPattern | None = None,
) -> sp.bsr_array:
    """Assemble the global stiffness matrix.

    The matrix is exactly symmetric, and bitwise the same for any number of threads.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    solids, beams : sequences of groups
    rotation_index : (n,) int32
    pattern : BlockPattern, optional
        From `build_pattern` with the same groups; built here otherwise.

    Returns
    -------
    bsr_array (3 n_blocks, 3 n_blocks), blocks 3 x 3 [N/mm, N, N mm]

    Raises
    ------
    MeshError
        An element is inside out or degenerate.
    """
    points = kernel_array(points, np.float64)
    if pattern is None:
        pattern = build_pattern(len(points), solids, beams, rotation_index)
    data = np.empty((len(pattern.indices), 3, 3))
    work = [(i, g, kernel_tables(g), *kernel_elasticity(g)) for i, g in enumerate(solids)]

    def fill(share: Share) -> None:
        data[pattern.indptr[share.first] : pattern.indptr[share.last]] = 0.0
        for i, g, t, C, Q, kappa in work:
            status = kernels.assemble_solids(
                points, g.conn, C, Q, kappa, g.d_id, g.scale, t.dN, t.w, t.dN0, t.bubble, t.formulation,
                share.elements[i], share.first, share.last, pattern.maps[i], data,
            )  # fmt: skip
            raise_bad_element(points, g, status)

    if len(pattern.shares) == 1:
        fill(pattern.shares[0])
    else:
        with ThreadPoolExecutor(len(pattern.shares)) as pool:
            list(pool.map(fill, pattern.shares))
    for i, beam in enumerate(beams, start=len(solids)):
        scatter_blocks(beam_stiffness(points, beam), pattern.maps[i], data)
    size = 3 * pattern.n_blocks
    return sp.bsr_array((data, pattern.indices, pattern.indptr), shape=(size, size))


def kernel_elasticity(group: SolidGroup) -> tuple[F64, F64, F64]:
    """Elasticity as the kernels want it: C (k, 9, 9), and Q (k, 3, 3), kappa (k,) of `add_mean_dilatation`."""
    C = elasticity_tensor(group.D)
    d = np.einsum("nijkk->nij", C)
    kappa = np.einsum("nii->n", d)
    Q = d / 3.0 - kappa[:, None, None] / 9.0 * np.eye(3)
    if group.formulation == "bbar":
        C = elasticity_tensor(deviatoric(group.D))
    return np.ascontiguousarray(C.reshape(-1, 9, 9)), np.ascontiguousarray(Q), kappa


def deviatoric(D: F64) -> F64:
    """Return P D P (k, 6, 6), the elasticity that acts from deviatoric strains to deviatoric stresses."""
    P = np.eye(6)
    P[:3, :3] -= 1.0 / 3.0
    return np.asarray(P @ D @ P)


def raise_bad_element(points: F64, group: SolidGroup, status: int) -> None:
    """Turn the status of a solid kernel into an error that names the element.

    Raises
    ------
    MeshError
        The status is not 0.
    """
    if status == 0:
        return
    i = status - 1
    X = points[group.conn[i]]
    det = float(np.linalg.det(np.einsum("qmd,mi->qdi", ELEMENTS[group.kind].dN, X)).min())
    where = ", ".join(f"{x:.4g}" for x in X.mean(axis=0))
    raise MeshError(
        f"element {group.cells[i]} ({group.kind}) near ({where}) mm is inside out, degenerate or without stiffness: "
        f"least Jacobian at its integration points {det:.3g} mm^3"
    )


def element_forces(points: F64, group: SolidGroup, u: F64, subset: I32 | None = None) -> F64:
    """Return the forces (t, m, 3) [N] that nodes must exert on elements to hold them in the displacements `u`.

    Parameters
    ----------
    u : (n_blocks, 3) float64 [mm]
    subset : (t,) int32, optional
        Rows of the group; all by default.
    """
    return solid_response(points, group, u, subset)[3]


def solid_response(points: F64, group: SolidGroup, u: F64, subset: I32 | None = None) -> tuple[F64, F64, F64, F64]:
    """Return strain (t, q, 6), stress (t, q, 6) [MPa], volume (t, q) [mm^3] and nodal force (t, m, 3) [N]."""
    points = kernel_array(points, np.float64)
    elements = np.arange(len(group), dtype=np.int32) if subset is None else kernel_array(subset, np.int32)
    t = kernel_tables(group)
    n, q, m = len(elements), len(t.w), group.conn.shape[1]
    strain, stress, volume, force = np.empty((n, q, 6)), np.empty((n, q, 6)), np.empty((n, q)), np.empty((n, m, 3))
    displacement = kernel_array(u[: len(points)], np.float64)
    status = kernels.solid_response(
        points, group.conn, kernel_elasticity(group)[0], group.D, group.d_id, group.scale,
        t.dN, t.w, t.dN0, t.bubble, t.formulation, elements, displacement, strain, stress, volume, force,
    )  # fmt: skip
    raise_bad_element(points, group, status)
    return strain, stress, volume, force
