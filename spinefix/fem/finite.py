"""Finite-strain solid elements: internal force, consistent tangent, stress and energy.

Total Lagrangian and quasi-static. Elements are visited in chunks: kinematics, then the constitutive law over all
integration points of the chunk, then forces and tangents, which go into the block pattern of the linear core. Each
thread owns a range of rows, so results are bitwise the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from spinefix.fem import kernels_finite as kernels
from spinefix.fem.assembly import SolidGroup, kernel_array, solid_response
from spinefix.fem.finite_groups import (
    FINITE_FORMULATIONS,
    ElementFailure,
    FiniteGroup,
    FiniteState,
    InvertedElement,
    Law,
    elasticity_at_rest,
    inverted,
    unsettled,
)
from spinefix.fem.finite_points import CHUNK, Chunk, chunks, formulation_code
from spinefix.fem.kernels_corotational import assemble_corotational, corotational_frames, linear_stiffness
from spinefix.fem.kernels_enhanced import assemble_enhanced
from spinefix.fem.pattern import BlockPattern, Share
from spinefix.fem.voigt import stress_tensor, stress_vector

__all__ = [
    "FINITE_FORMULATIONS",
    "ElementFailure",
    "FiniteGroup",
    "FiniteState",
    "InvertedElement",
    "Law",
    "assemble_finite",
    "elasticity_at_rest",
    "finite_stress",
    "internal_force",
    "strain_energy",
]

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def assemble_finite(
    points: F64,
    groups: Sequence[FiniteGroup],
    u: F64,
    states: Sequence[FiniteState],
    pattern: BlockPattern,
    data_out: F64,
    force_out: F64,
    *,
    tables: Sequence[int] | None = None,
    add: bool = False,
) -> None:
    """Assemble internal force and consistent tangent at the displacements `u`.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
        At rest.
    groups : sequence of FiniteGroup
    u : (n_blocks, 3) float64 [mm]
        Displacements; rows beyond the points (rotations) are ignored.
    states : sequence of FiniteState
        One per group; `new` is written.
    pattern : BlockPattern
        Holds the connectivities of the groups.
    data_out : (nb, 3, 3) float64 [N/mm]
        Tangent in the blocks of `pattern`; exactly symmetric.
    force_out : (n_blocks, 3) float64 [N]
        Forces that the nodes exert on the elements.
    tables : sequence of int, optional
        Number of each group's connectivity in the pattern; 0, 1, 2, ... by default.
    add : bool
        Add to what `data_out` and `force_out` hold (parts that are linear) instead of starting from zero.

    Raises
    ------
    InvertedElement
        An element is inside out.
    ElementFailure
        A law has no finite stress. Outputs are undefined after either.
    """
    _assemble(points, groups, u, states, pattern, data_out, force_out, tables, add, tangent=1)


def internal_force(
    points: F64,
    groups: Sequence[FiniteGroup],
    u: F64,
    states: Sequence[FiniteState],
    pattern: BlockPattern,
    force_out: F64,
    *,
    tables: Sequence[int] | None = None,
    add: bool = False,
) -> None:
    """Assemble the internal force only, bitwise that of `assemble_finite`; arguments and errors as there."""
    _assemble(points, groups, u, states, pattern, np.empty((0, 3, 3)), force_out, tables, add, tangent=0)


def _assemble(
    points: F64,
    groups: Sequence[FiniteGroup],
    u: F64,
    states: Sequence[FiniteState],
    pattern: BlockPattern,
    data: F64,
    force: F64,
    tables: Sequence[int] | None,
    add: bool,
    *,
    tangent: int,
) -> None:
    points = kernel_array(points, np.float64)
    u = kernel_array(u[: len(points)], np.float64)
    numbers = list(range(len(groups))) if tables is None else list(tables)

    def fill(share: Share) -> None:
        if not add:
            force[share.first : share.last] = 0.0
            data[pattern.indptr[share.first] : pattern.indptr[share.last]] = 0.0
        for i, group, state in zip(numbers, groups, states, strict=True):
            elements, bmap = share.elements[i], pattern.maps[i]
            run = _add_corotational if group.corotational else _add_finite_strain
            run(points, group, u, state, elements, (share.first, share.last), bmap, data, force, tangent)

    if len(pattern.shares) == 1:
        fill(pattern.shares[0])
    else:
        with ThreadPoolExecutor(len(pattern.shares)) as pool:
            list(pool.map(fill, pattern.shares))


def _add_finite_strain(
    points: F64,
    group: FiniteGroup,
    u: F64,
    state: FiniteState,
    elements: I32,
    rows: tuple[int, int],
    bmap: I32,
    data: F64,
    force: F64,
    tangent: int,
) -> None:
    """Add elements of finite strain. An element at the border of two shares is evaluated by both, to the same bits."""
    for c in chunks(points, group, u, state, elements, tangent, keep=True, spatial=True):
        if c.modes is None:
            kernels.assemble_finite(
                group.conn, c.g, c.F, c.S, c.C, c.dv, c.dv_now, group.scale, formulation_code(group), c.spatial,
                tangent, c.elements, *rows, bmap, data, force,
            )  # fmt: skip
            continue
        k = c.modes
        status = assemble_enhanced(
            group.conn, c.g, k.F0, c.F, c.S, c.C, c.dv, group.scale, k.G0, k.base, k.shape, tangent,
            c.elements, *rows, bmap, data, force,
        )  # fmt: skip
        if status != 0:
            raise unsettled(points, group, status - 1)


def _add_corotational(
    points: F64,
    group: FiniteGroup,
    u: F64,
    state: FiniteState,
    elements: I32,
    rows: tuple[int, int],
    bmap: I32,
    data: F64,
    force: F64,
    tangent: int,
) -> None:
    """Add co-rotational elements."""
    t, C, Q, kappa = group.linear_tables
    linear = group.linear
    n = 3 * group.conn.shape[1]
    K = np.empty((min(CHUNK, len(elements)), n, n))
    for start in range(0, len(elements), CHUNK):
        some = elements[start : start + CHUNK]
        status = linear_stiffness(
            points, group.conn, C, Q, kappa, linear.d_id, linear.scale, t.dN, t.w, t.dN0, t.bubble, t.formulation,
            some, K,
        )  # fmt: skip
        status = status or assemble_corotational(
            points, group.conn, u, t.dN0, K, tangent, some, *rows, bmap, data, force
        )
        if status != 0:
            raise inverted(points, group, u, status - 1)


def strain_energy(points: F64, group: FiniteGroup, u: F64, state: FiniteState) -> F64:
    """Return the energy (e,) [N mm] of each element; for plasticity elastic energy plus plastic work.

    Raises
    ------
    InvertedElement, ElementFailure
    """
    points = kernel_array(points, np.float64)
    if group.corotational:
        eps, sig, dv, _, _ = _corotational_response(points, group, u)
        return np.asarray(0.5 * np.einsum("eqi,eqi,eq->e", eps, sig, dv))
    out = np.empty(len(group))
    for c in _evaluate(points, group, u, state):
        out[c.elements] = (c.W * c.dv * group.scale[c.elements]).sum(axis=1)
    return out


def finite_stress(points: F64, group: FiniteGroup, u: F64, state: FiniteState) -> F64:
    """Return the Cauchy stress (e, q, 6) [MPa] at the integration points, order xx yy zz xy yz xz.

    With mean dilatation the mean stress is that of the element, so that these stresses balance the nodal forces over
    the current volume. Co-rotational elements give the stress of their linear element, turned.

    Raises
    ------
    InvertedElement, ElementFailure
    """
    points = kernel_array(points, np.float64)
    if group.corotational:
        _, sig, _, _, R = _corotational_response(points, group, u)
        R = R[:, None]
        return stress_vector(R @ stress_tensor(sig) @ R.swapaxes(-1, -2))
    out = np.empty((*group.scale.shape, 6))
    for c in _evaluate(points, group, u, state):
        weight = (group.scale[c.elements] * c.dv)[..., None]
        tau = weight * stress_vector(c.F @ stress_tensor(c.S) @ c.F.swapaxes(-1, -2))
        sigma = tau / c.dv_now[..., None]
        if group.formulation == "mean_dilatation":
            mean = tau[..., :3].sum(axis=(1, 2)) / 3.0 / c.dv_now.sum(axis=1)
            sigma[..., :3] += (mean[:, None] - sigma[..., :3].mean(axis=2))[..., None]
        out[c.elements] = sigma
    return out


def _evaluate(points: F64, group: FiniteGroup, u: F64, state: FiniteState) -> Iterator[Chunk]:
    u = kernel_array(u[: len(points)], np.float64)
    return chunks(points, group, u, state, np.arange(len(group), dtype=np.int32), 0, keep=False)


def _corotational_response(points: F64, group: FiniteGroup, u: F64) -> tuple[F64, F64, F64, F64, F64]:
    """Strain, stress, volume and nodal force in the frames, and the frames R (e, 3, 3)."""
    t = group.linear_tables[0]
    e, m = group.conn.shape
    R, d = np.empty((e, 3, 3)), np.empty((e, m, 3))
    every = np.arange(e, dtype=np.int32)
    u = kernel_array(u[: len(points)], np.float64)
    status = corotational_frames(points, group.conn, u, t.dN0, every, R, d)
    if status != 0:
        raise inverted(points, group, u, status - 1)
    # The frames differ, so elements are cut apart: each gets nodes of its own.
    linear = group.linear
    apart = SolidGroup(
        linear.kind, linear.formulation, linear.cells, np.arange(e * m, dtype=np.int32).reshape(e, m), linear.D,
        linear.d_id, linear.scale,
    )  # fmt: skip
    return *solid_response(points[group.conn].reshape(-1, 3), apart, d.reshape(-1, 3)), R
