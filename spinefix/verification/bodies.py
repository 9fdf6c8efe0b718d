"""Bodies at finite strain and chains of beams, solved by the nonlinear core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinefix.fem import newton
from spinefix.fem.beams import BeamGroup, beam_axes
from spinefix.fem.beams_finite import FiniteBeams
from spinefix.fem.couplings_finite import Motion, finite_constraints
from spinefix.fem.equilibrium import Problem
from spinefix.fem.finite import FINITE_FORMULATIONS, FiniteGroup
from spinefix.fem.items import Item, PointLoads, Program
from spinefix.fem.solids_finite import FiniteSolids
from spinefix.materials.finite import FINITE_LAWS, parameter_rows
from spinefix.materials.finite.law import Value
from spinefix.mesh.core import F64, I32, Bool, CellBlock, Mesh
from spinefix.mesh.elements import ELEMENTS
from spinefix.model.core import Support
from spinefix.verification.samples import directions, sample

FINITE = tuple((kind, formulation) for formulation, kinds in FINITE_FORMULATIONS.items() for kind in kinds)
"""Every solid kind with every finite-strain formulation that it has."""

TIGHT = newton.Control(residual=1e-11, strategy="newton")
"""For answers that should be exact."""


def finite_group(
    kind: str,
    formulation: str,
    conn: I32,
    law: str = "neo_hookean",
    parameters: Mapping[str, Value] | None = None,
    *,
    scale: float | F64 = 1.0,
    axes: F64 | None = None,
) -> FiniteGroup:
    """Return a group of one material, the sample of its law by default."""
    n = len(conn)
    found = FINITE_LAWS[law]
    if axes is None:
        axes = directions(n) if found.axes != "none" else np.zeros((n, 0, 3))
    params = parameter_rows(found, [parameters or sample(law)])
    scales = np.broadcast_to(scale, (n, ELEMENTS[kind].n_points))
    rows = np.zeros(n, np.int32)
    return FiniteGroup(kind, formulation, np.arange(n, dtype=np.int32), conn, found, params, rows, axes, scales)


def _program(values: F64) -> Program:
    """Ramp to (n, 3), or from rest through each of (k, n, 3) in unit times."""
    if values.ndim == 2:
        return Program.ramp(values)
    return Program(np.arange(len(values) + 1.0), np.concatenate([np.zeros_like(values[:1]), values]))


def body_problem(
    points: F64,
    groups: Sequence[FiniteGroup],
    fixed: Bool,
    *,
    values: F64 | None = None,
    load: F64 | None = None,
    threads: int | None = None,
) -> Problem:
    """Return the problem of solids with prescribed displacements and dead nodal forces.

    Parameters
    ----------
    fixed : (n, 3) bool
    values, load : (n, 3) or (k, n, 3) float64 [mm], [N], optional
        Reached at time 1, or at times 1 to k; values count where `fixed`.
    """
    n = len(points)
    mesh = Mesh(points, tuple(CellBlock(g.kind, g.conn) for g in groups))
    masks, which = np.unique(fixed, axis=0, return_inverse=True)
    supports = [
        Support(f"fixed {m.tolist()}", np.flatnonzero(which.ravel() == i).astype(np.int32), tuple(m.tolist()))
        for i, m in enumerate(masks)
        if m.any()
    ]
    motions = []
    if values is not None:
        program = _program(np.where(fixed, values, 0.0))
        moving = np.flatnonzero(program.values.any(axis=(0, 2)))
        motions = [Motion(int(i), Program(program.times, program.values[:, i])) for i in moving]
    index = np.full(n, -1, np.int32)
    active = np.zeros(n, bool)
    for g in groups:
        active[g.conn] = True
    constraints = finite_constraints(mesh, index, active, supports=supports, motions=motions)
    items: list[Item] = [FiniteSolids(points, tuple(groups))]
    if load is not None:
        none = np.zeros((0, 3))
        every = np.arange(n, dtype=np.int32)
        items.append(PointLoads("loads", every, _program(load), every[:0], Program.constant(none), n))
    return Problem(points, index, constraints, items, threads=threads)


@dataclass(frozen=True)
class Bar:
    """Section and material of a beam: E [MPa], nu, A [mm^2], Iy, Iz, J [mm^4] and the shear factor k both ways."""

    E: float = 100.0
    nu: float = 0.3
    A: float = 2.0
    Iy: float = 0.5
    Iz: float = 0.8
    J: float = 0.9
    k: float = 5 / 6

    @property
    def G(self) -> float:
        """Shear modulus [MPa]."""
        return self.E / 2 / (1 + self.nu)


def beams(points: F64, conn: I32, bar: Bar, *, orientation: Sequence[float] = (0.1, 1.0, 0.2)) -> FiniteBeams:
    """Return co-rotational beams of one section; every node has rotations."""
    b = len(conn)
    full = {name: np.full(b, getattr(bar, name)) for name in ("E", "G", "A", "Iy", "Iz", "J")}
    full |= {"ky": np.full(b, bar.k), "kz": np.full(b, bar.k)}
    axes = beam_axes(points, conn, np.tile(np.asarray(orientation, np.float64), (b, 1)))
    group = BeamGroup(cells=np.arange(b, dtype=np.int32), conn=conn, axes=axes, **full)
    return FiniteBeams(points, group, np.arange(len(points), dtype=np.int32))


def chain(n: int) -> I32:
    """Return the connectivity (n - 1, 2) of n nodes in a row."""
    return np.stack([np.arange(n - 1), np.arange(1, n)], axis=1).astype(np.int32)


def cantilever(
    points: F64,
    bar: Bar,
    *,
    force: Sequence[float] = (0.0, 0.0, 0.0),
    moment: Sequence[float] = (0.0, 0.0, 0.0),
    follows: bool = False,
    orientation: Sequence[float] = (0.0, 1.0, 0.0),
) -> Problem:
    """Return a chain of beams clamped at its first node and loaded at its last."""
    n = len(points)
    conn = chain(n)
    item = beams(points, conn, bar, orientation=orientation)
    index = np.arange(n, dtype=np.int32)
    clamp = Support("clamp", np.array([0], np.int32), rotations=(True, True, True))
    mesh = Mesh(points, (CellBlock("beam2", conn),))
    constraints = finite_constraints(mesh, index, np.ones(2 * n, bool), supports=(clamp,))
    last = np.array([n - 1], np.int32)
    push, turn = (Program.ramp(np.array([v], np.float64)) for v in (force, moment))
    loads = PointLoads("loads", last, push, last + np.int32(n), turn, n, follows)
    return Problem(points, index, constraints, (item, loads))
