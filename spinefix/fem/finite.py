"""Finite-strain solid elements: internal force, consistent tangent, stress and energy.

Total Lagrangian and quasi-static. Elements are visited in chunks: kinematics, then the constitutive law over all
integration points of the chunk, then forces and tangents, which go into the block pattern of the linear core. Each
thread owns a range of rows, so results are bitwise the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import ConvergenceError, MaterialError
from spinefix.fem import kernels_finite as kernels
from spinefix.fem.assembly import (
    KernelTables,
    SolidGroup,
    _kernel_elasticity,
    kernel_array,
    kernel_tables,
    solid_response,
)
from spinefix.fem.kernels_corotational import assemble_corotational, corotational_frames, linear_stiffness
from spinefix.fem.pattern import BlockPattern, Share
from spinefix.fem.voigt import stress_tensor, stress_vector
from spinefix.mesh.elements import ELEMENTS

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

FINITE_FORMULATIONS: dict[str, tuple[str, ...]] = {
    "standard": ("hex8", "hex20", "tet4", "tet10", "wedge6"),
    "mean_dilatation": ("hex8", "hex20", "tet10", "wedge6"),
    "corotational": ("hex8", "hex20", "tet4", "tet10", "wedge6"),
    "corotational_bbar": ("hex8", "hex20", "wedge6"),
}
"""Element kinds of each formulation.

``standard`` integrates the law as it is; ``mean_dilatation`` takes the volume change of the whole element (nearly
incompressible material: Q1/P0 for hex8, P2/P0 for tet10); ``corotational`` turns the linear element, for hex8 with
incompatible modes (bending of stiff material at large rotation and small strain), ``corotational_bbar`` the one with
B-bar. Co-rotational elements use the elasticity of the law at rest.

The quadratic elements with mean dilatation leave the special conformal maps ``2 x (a . x) - a |x|^2`` (nearly) without
energy while an element is alone or a free body is one element thick: they neither distort nor change the mean volume.
Supports and neighbours in all directions stop them.
"""

CHUNK = 256
"""Elements whose integration points go through the law together: small enough for the cache."""


class Law(Protocol):
    """What a group needs of a constitutive law; see `spinefix.materials.finite.FiniteLaw`."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def virgin(self) -> tuple[float, ...]:
        """State of unloaded material at one integration point."""

    @property
    def update(self) -> Callable[..., int]:
        """Kernel over integration points."""

    def check_axes(self, axes: F64) -> None:
        """Raise MaterialError where the law cannot use the directions."""


class ElementFailure(ConvergenceError):
    """An element has no answer at these displacements: a solver should cut back.

    Attributes
    ----------
    element : int
        Global id of the element.
    kind : str
        Its kind.
    """

    def __init__(self, message: str, element: int, kind: str) -> None:
        super().__init__(message)
        self.element = element
        self.kind = kind


class InvertedElement(ElementFailure):
    """An element is inside out: det F is not positive at an integration point (or at rest)."""


@dataclass(frozen=True)
class FiniteGroup:
    """Solid elements of one kind, one formulation and one law.

    Parameters
    ----------
    kind : str
        Key of `spinefix.mesh.elements.ELEMENTS`.
    formulation : str
        Key of `FINITE_FORMULATIONS`.
    cells : (e,) int32
        Global element ids, for messages and for writing results back.
    conn : (e, m) int32
    law : Law
        One of `spinefix.materials.finite.FINITE_LAWS`.
    params : (k, p) float64
        From `spinefix.materials.finite.parameter_rows`.
    param_id : (e,) int32
        Row of `params` of each element.
    axes : (e, f, 3) float64
        Unit directions at rest: fibre families (zeros where absent) or material axes, as the law asks; f may be 0.
    scale : (e, q) float64 [1]
        Positive factor on the energy density at the integration points, hence on stress and tangent.

    Raises
    ------
    MaterialError
        Directions do not suit the law, or a scale is not positive.
    ValueError
        Shapes do not fit, or the kind lacks the formulation.
    """

    kind: str
    formulation: str
    cells: I32
    conn: I32
    law: Law
    params: F64
    param_id: I32
    axes: F64
    scale: F64

    def __post_init__(self) -> None:
        for name, dtype in (
            ("cells", np.int32),
            ("conn", np.int32),
            ("param_id", np.int32),
            ("params", np.float64),
            ("axes", np.float64),
            ("scale", np.float64),
        ):
            object.__setattr__(self, name, kernel_array(getattr(self, name), dtype))
        if self.kind not in FINITE_FORMULATIONS.get(self.formulation, ()):
            raise ValueError(f"no formulation {self.formulation!r} for {self.kind}")
        e = len(self.conn)
        wanted = {
            "cells": (e,),
            "conn": (e, ELEMENTS[self.kind].n_nodes),
            "param_id": (e,),
            "axes": (e, *self.axes.shape[1:2], 3),
            "scale": (e, ELEMENTS[self.kind].n_points),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{self.kind} group: {name} has shape {getattr(self, name).shape}, needs {shape}")
        if not ((self.scale > 0.0) & np.isfinite(self.scale)).all():
            i, q = np.argwhere(~((self.scale > 0.0) & np.isfinite(self.scale)))[0]
            raise MaterialError(f"element {self.cells[i]} ({self.kind}): scale {self.scale[i, q]:g} must be positive")
        if e and (self.param_id.min() < 0 or self.param_id.max() >= len(self.params)):
            raise ValueError(f"{self.kind} group: param_id refers to row {int(self.param_id.max())}")
        self.law.check_axes(self.axes)
        _ = self.linear if self.corotational else None

    def __len__(self) -> int:
        return len(self.conn)

    @property
    def n_state(self) -> int:
        """Number of state variables at an integration point (none where co-rotational)."""
        return 0 if self.corotational else len(self.law.virgin)

    @property
    def corotational(self) -> bool:
        """Whether the group is linear in a frame that turns."""
        return self.formulation.startswith("corotational")

    @cached_property
    def tables(self) -> tuple[F64, F64]:
        """Reference gradients dN (q, 3, m) and weights (q,)."""
        element = ELEMENTS[self.kind]
        return kernel_array(element.dN.transpose(0, 2, 1), np.float64), kernel_array(element.weights, np.float64)

    @cached_property
    def linear(self) -> SolidGroup:
        """The linear elements that a co-rotational group turns, with the elasticity of the law at rest."""
        rows, inverse = np.arange(len(self.params), dtype=np.int32), self.param_id
        axes = np.zeros((len(rows), 0, 3))
        if self.axes.shape[1]:  # every element has its own directions
            rows, inverse, axes = self.param_id, np.arange(len(self), dtype=np.int32), self.axes
        D = elasticity_at_rest(self.law, self.params, rows, axes)
        formulation = "bbar" if self.formulation == "corotational_bbar" else "standard"
        if self.formulation == "corotational" and self.kind == "hex8":
            formulation = "incompatible"
        return SolidGroup(self.kind, formulation, self.cells, self.conn, D, inverse, self.scale)

    @cached_property
    def linear_tables(self) -> tuple[KernelTables, F64, F64, F64]:
        """Tables and elasticity of `linear` as its kernels want them."""
        return kernel_tables(self.linear), *_kernel_elasticity(self.linear)


@dataclass(frozen=True)
class FiniteState:
    """State variables of one group; `assemble_finite` and `internal_force` read `old` and write `new`.

    Attributes
    ----------
    old, new : (e, q, s) float64
        At the last accepted increment, and at the displacements of the last evaluation.
    """

    old: F64
    new: F64

    @classmethod
    def virgin(cls, group: FiniteGroup) -> FiniteState:
        """Return the state of unloaded material."""
        virgin = np.array(group.law.virgin if group.n_state else (), np.float64)
        old = np.broadcast_to(virgin, (*group.scale.shape, group.n_state))
        return cls(kernel_array(old, np.float64), kernel_array(old, np.float64))

    def commit(self) -> None:
        """Accept the increment: the new state becomes the old one."""
        self.old[...] = self.new


def elasticity_at_rest(law: Law, params: F64, rows: I32, axes: F64) -> F64:
    """Return the tangents (n, 6, 6) [MPa] of a law at F = I for parameter rows (n,) and directions (n, f, 3)."""
    n = len(rows)
    F = np.tile(np.eye(3), (n, 1, 1))
    state = np.tile(np.array(law.virgin, np.float64), (n, 1))
    W, S, C, new = np.empty(n), np.empty((n, 6)), np.empty((n, 6, 6)), np.empty_like(state)
    law.update(F, kernel_array(rows, np.int32), params, kernel_array(axes, np.float64), state, 1, W, S, C, new)
    return C


@dataclass(frozen=True)
class _Chunk:
    """Kinematics and response of some elements: views into work arrays that the next chunk overwrites."""

    elements: I32
    g: F64
    F: F64
    dv: F64
    dv_now: F64
    W: F64
    S: F64
    C: F64


def _chunks(
    points: F64, group: FiniteGroup, u: F64, state: FiniteState, elements: I32, tangent: int, new: F64 | None
) -> Iterator[_Chunk]:
    """Evaluate the law over `elements`, some at a time; the new state goes to `new` if given.

    Raises
    ------
    InvertedElement, ElementFailure
    """
    dN, w = group.tables
    q, m, s = len(w), group.conn.shape[1], group.n_state
    size = min(CHUNK, len(elements))
    g = np.zeros((size, 4 * ((3 * q + 3) // 4), m))
    F, S, C = np.empty((size, q, 3, 3)), np.empty((size, q, 6)), np.empty((size if tangent else 1, q, 6, 6))
    dv, dv_now, W = np.empty((size, q)), np.empty((size, q)), np.empty((size, q))
    out_state = np.empty((size * q, s))
    C_flat = C.reshape(-1, 6, 6) if tangent else np.empty((size * q, 6, 6))
    formulation = kernels.MEAN_DILATATION if group.formulation == "mean_dilatation" else kernels.STANDARD
    for start in range(0, len(elements), size or 1):
        some = elements[start : start + size]
        n = len(some)
        status = kernels.finite_kinematics(
            points, group.conn, u, dN, w, formulation, some, g[:n], F[:n], dv[:n], dv_now[:n]
        )
        if status != 0:
            raise _inverted(points, group, u, status - 1)
        rows = np.repeat(group.param_id[some], q)
        axes = np.repeat(group.axes[some], q, axis=0)
        status = group.law.update(
            F[:n].reshape(-1, 3, 3), rows, group.params, axes, state.old[some].reshape(n * q, s), tangent,
            W[:n].reshape(-1), S[:n].reshape(-1, 6), C_flat[: n * q], out_state[: n * q],
        )  # fmt: skip
        if status != 0:
            raise _without_answer(points, group, int(some[(status - 1) // q]))
        if s and new is not None:
            new[some] = out_state[: n * q].reshape(n, q, s)
        yield _Chunk(some, g[:n], F[:n], dv[:n], dv_now[:n], W[:n], S[:n], C[:n])


def _place(points: F64, group: FiniteGroup, i: int) -> str:
    where = ", ".join(f"{x:.4g}" for x in points[group.conn[i]].mean(axis=0))
    return f"element {group.cells[i]} ({group.kind}) near ({where}) mm"


def _inverted(points: F64, group: FiniteGroup, u: F64, i: int) -> InvertedElement:
    X = points[group.conn[i]]
    dN = group.tables[0]
    rest, now = (np.linalg.det(dN @ x).min() for x in (X, X + u[group.conn[i]]))
    return InvertedElement(
        f"{_place(points, group, i)} is inside out or degenerate: least Jacobian at its integration points "
        f"{now:.3g} mm^3, at rest {rest:.3g} mm^3",
        int(group.cells[i]),
        group.kind,
    )


def _without_answer(points: F64, group: FiniteGroup, i: int) -> ElementFailure:
    return ElementFailure(
        f"{_place(points, group, i)}: the law {group.law.name!r} has no finite stress at this deformation",
        int(group.cells[i]),
        group.kind,
    )


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
    formulation = kernels.MEAN_DILATATION if group.formulation == "mean_dilatation" else kernels.STANDARD
    for c in _chunks(points, group, u, state, elements, tangent, state.new):
        kernels.assemble_finite(
            group.conn, c.g, c.F, c.S, c.C, c.dv, c.dv_now, group.scale, formulation, tangent, c.elements, *rows,
            bmap, data, force,
        )  # fmt: skip


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
            raise _inverted(points, group, u, status - 1)


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


def _evaluate(points: F64, group: FiniteGroup, u: F64, state: FiniteState) -> Iterator[_Chunk]:
    u = kernel_array(u[: len(points)], np.float64)
    return _chunks(points, group, u, state, np.arange(len(group), dtype=np.int32), 0, None)


def _corotational_response(points: F64, group: FiniteGroup, u: F64) -> tuple[F64, F64, F64, F64, F64]:
    """Strain, stress, volume and nodal force in the frames, and the frames R (e, 3, 3)."""
    t = group.linear_tables[0]
    e, m = group.conn.shape
    R, d = np.empty((e, 3, 3)), np.empty((e, m, 3))
    every = np.arange(e, dtype=np.int32)
    u = kernel_array(u[: len(points)], np.float64)
    status = corotational_frames(points, group.conn, u, t.dN0, every, R, d)
    if status != 0:
        raise _inverted(points, group, u, status - 1)
    # The frames differ, so elements are cut apart: each gets nodes of its own.
    linear = group.linear
    apart = SolidGroup(
        linear.kind, linear.formulation, linear.cells, np.arange(e * m, dtype=np.int32).reshape(e, m), linear.D,
        linear.d_id, linear.scale,
    )  # fmt: skip
    return *solid_response(points[group.conn].reshape(-1, 3), apart, d.reshape(-1, 3)), R
