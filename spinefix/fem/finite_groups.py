"""Groups of finite-strain and co-rotational solids: kinds, formulations, laws, state, and their failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import ConvergenceError, MaterialError
from spinefix.fem.assembly import KernelTables, SolidGroup, kernel_array, kernel_elasticity, kernel_tables
from spinefix.fem.kernels_enhanced import N_MODES, mode_shapes
from spinefix.mesh.elements import ELEMENTS, gradient

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

FINITE_FORMULATIONS: dict[str, tuple[str, ...]] = {
    "standard": ("hex8", "hex20", "tet4", "tet10", "wedge6"),
    "mean_dilatation": ("hex8", "hex20", "tet10", "wedge6"),
    "enhanced": ("hex8",),
    "corotational": ("hex8", "hex20", "tet4", "tet10", "wedge6"),
    "corotational_bbar": ("hex8", "hex20", "wedge6"),
}
"""Element kinds of each formulation.

``standard`` integrates the law as it is; ``mean_dilatation`` takes the volume change of the whole element (nearly
incompressible material: Q1/P0 for hex8, P2/P0 for tet10); ``enhanced`` adds modes that free hex8 from locking in
bending and at constant volume alike, with three to seven evaluations of the law in place of one and five to eleven
times the time of assembly (4096 elements under random strains of 2 %; with a bulk modulus above 1000 shear moduli it
may need small increments, where ``mean_dilatation`` is safer); ``corotational`` turns the linear element, for hex8 with
incompatible modes (bending of stiff material at large rotation and small strain),
``corotational_bbar`` the one with B-bar. Co-rotational elements use the elasticity of the law at rest.

The quadratic elements with mean dilatation leave the special conformal maps ``2 x (a . x) - a |x|^2`` (nearly) without
energy while an element is alone or a free body is one element thick: they neither distort nor change the mean volume.
Supports and neighbours in all directions stop them.
"""


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

    @property
    def spatial(self) -> Callable[..., int] | None:
        """The same for Kirchhoff stress and spatial tangent, where the law has it."""

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

    def take(self, rows: I32) -> FiniteGroup:
        """Return some of the elements."""
        of_element = ("cells", "conn", "param_id", "axes", "scale")
        return replace(self, **{name: getattr(self, name)[rows] for name in of_element})

    @property
    def n_state(self) -> int:
        """Number of state variables at an integration point (none where co-rotational)."""
        return 0 if self.corotational else len(self.law.virgin)

    @property
    def corotational(self) -> bool:
        """Whether the group is linear in a frame that turns."""
        return self.formulation.startswith("corotational")

    @property
    def enhanced(self) -> bool:
        """Whether elements carry amplitudes of enhanced modes."""
        return self.formulation == "enhanced"

    @property
    def n_modes(self) -> int:
        """Number of amplitudes of enhanced modes of an element."""
        return N_MODES if self.enhanced else 0

    @cached_property
    def tables(self) -> tuple[F64, F64]:
        """Reference gradients dN (q, 3, m) and weights (q,)."""
        element = ELEMENTS[self.kind]
        return kernel_array(element.dN.transpose(0, 2, 1), np.float64), kernel_array(element.weights, np.float64)

    @cached_property
    def centre(self) -> F64:
        """Reference gradients (3, m) at the centre."""
        return kernel_array(gradient(self.kind, np.zeros((1, 3)))[0].T, np.float64)

    @cached_property
    def modes(self) -> F64:
        """Shapes (q, 6) of the enhanced modes."""
        return kernel_array(mode_shapes(ELEMENTS[self.kind].points), np.float64)

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
        return kernel_tables(self.linear), *kernel_elasticity(self.linear)


@dataclass(frozen=True)
class FiniteState:
    """History of one group; `assemble_finite` and `internal_force` read the old and write the new one.

    Attributes
    ----------
    old, new : (e, q, s) float64
        State variables of the law at the last accepted increment, and at the displacements of the last evaluation.
    old_modes, new_modes : (e, k) float64 [1]
        The same of the amplitudes of enhanced modes. Old ones only start the search for new ones.
    """

    old: F64
    new: F64
    old_modes: F64
    new_modes: F64

    @classmethod
    def virgin(cls, group: FiniteGroup) -> FiniteState:
        """Return the state of unloaded material."""
        virgin = np.array(group.law.virgin if group.n_state else (), np.float64)
        return cls.after(
            np.broadcast_to(virgin, (*group.scale.shape, group.n_state)), np.zeros((len(group), group.n_modes))
        )

    @classmethod
    def after(cls, old: F64, old_modes: F64) -> FiniteState:
        """Return a state with a given past."""
        return cls(*(kernel_array(a, np.float64) for a in (old, old, old_modes, old_modes)))

    @classmethod
    def take(cls, group: FiniteGroup, history: Iterator[F64]) -> FiniteState:
        """Return a state whose past is the next of several `history` of groups in a row."""
        old = next(history) if group.n_state else np.zeros((*group.scale.shape, 0))
        return cls.after(old, next(history) if group.n_modes else np.zeros((len(group), 0)))

    def history(self) -> tuple[F64, ...]:
        """Return what the next increment must know: new states and amplitudes, where there are any."""
        return tuple(a for a in (self.new, self.new_modes) if a.shape[-1])

    def commit(self) -> None:
        """Accept the increment: the new state becomes the old one."""
        self.old[...], self.old_modes[...] = self.new, self.new_modes


def elasticity_at_rest(law: Law, params: F64, rows: I32, axes: F64) -> F64:
    """Return the tangents (n, 6, 6) [MPa] of a law at F = I for parameter rows (n,) and directions (n, f, 3)."""
    n = len(rows)
    F = np.tile(np.eye(3), (n, 1, 1))
    state = np.tile(np.array(law.virgin, np.float64), (n, 1))
    W, S, C, new = np.empty(n), np.empty((n, 6)), np.empty((n, 6, 6)), np.empty_like(state)
    law.update(F, kernel_array(rows, np.int32), params, kernel_array(axes, np.float64), state, 1, W, S, C, new)
    return C


def place(points: F64, group: FiniteGroup, i: int) -> str:
    """Return a name of element `i` for messages."""
    where = ", ".join(f"{x:.4g}" for x in points[group.conn[i]].mean(axis=0))
    return f"element {group.cells[i]} ({group.kind}) near ({where}) mm"


def inverted(points: F64, group: FiniteGroup, u: F64, i: int) -> InvertedElement:
    """Return the error of element `i`, inside out at displacements `u` (n, 3) or at rest."""
    X = points[group.conn[i]]
    dN = group.tables[0]
    rest, now = (np.linalg.det(dN @ x).min() for x in (X, X + u[group.conn[i]]))
    return InvertedElement(
        f"{place(points, group, i)} is inside out or degenerate: least Jacobian at its integration points "
        f"{now:.3g} mm^3, at rest {rest:.3g} mm^3",
        int(group.cells[i]),
        group.kind,
    )


def without_answer(points: F64, group: FiniteGroup, i: int) -> ElementFailure:
    """Return the error of element `i`, whose law has no answer."""
    return ElementFailure(
        f"{place(points, group, i)}: the law {group.law.name!r} has no finite stress at this deformation",
        int(group.cells[i]),
        group.kind,
    )


def unsettled(points: F64, group: FiniteGroup, i: int) -> ElementFailure:
    """Return the error of element `i`, whose enhanced modes find no balance."""
    return ElementFailure(
        f"{place(points, group, i)}: no amplitudes of the enhanced modes balance the law {group.law.name!r}",
        int(group.cells[i]),
        group.kind,
    )
