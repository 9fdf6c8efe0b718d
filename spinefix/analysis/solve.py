"""Solve a model for all its load cases with one factorization, and check the answer before anyone sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from spinefix.analysis import checks
from spinefix.analysis.system import (
    System,
    active_blocks,
    beam_groups,
    link_rows,
    refuse_contact,
    rotation_index,
    solid_groups,
)
from spinefix.errors import CheckError
from spinefix.fem import assembly, constraints, linsolve
from spinefix.fem.links import link_stiffness
from spinefix.mesh.core import F64
from spinefix.model.core import LoadCase, Model
from spinefix.results.solution import Solution


@dataclass
class Stopwatch:
    """Wall time by phase [s]."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, phase: str) -> None:
        """Book the time since the last lap under `phase`."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now


def build_system(model: Model, watch: Stopwatch | None = None) -> System:
    """Assemble the stiffness of a model and the elimination of its constraints.

    Raises
    ------
    MeshError, MaterialError, ConstraintError
        The model is unusable; the message names the region, element or node.
    UsageError
        The model has contact pairs.
    """
    refuse_contact(model)
    watch = watch or Stopwatch()
    index = rotation_index(model)
    solids, beams = solid_groups(model), beam_groups(model)
    watch.lap("groups")
    pattern = assembly.build_pattern(model.mesh.n_points, solids, beams, index)
    watch.lap("pattern")
    K = assembly.assemble(model.mesh.points, solids, beams, index, pattern=pattern)
    watch.lap("assemble")
    active = active_blocks(solids, beams, index)
    rows = link_rows(model, 3 * len(active))
    springs = link_stiffness(rows, 3 * len(active))
    watch.lap("interfaces")
    elimination = constraints.build_elimination(
        model.mesh, index, active, supports=model.supports, couplings=model.couplings, ties=model.ties
    )
    watch.lap("constraints")
    return System(model, solids, beams, rows, index, K, springs, elimination)


def load_vectors(system: System, cases: Sequence[LoadCase]) -> F64:
    """Load blocks (n_cases, n_blocks, 3) [N, N mm].

    Raises
    ------
    ValueError
        A moment acts on a node without rotations.
    """
    out = np.zeros((len(cases), system.n_blocks, 3))
    n = system.model.mesh.n_points
    for i, case in enumerate(cases):
        for node, force in case.forces.items():
            out[i, node] += force
        for node, moment in case.moments.items():
            row = int(system.rotation_index[node])
            if row < 0:
                raise ValueError(f"load case {case.name!r}: node {node} has no rotations to carry a moment")
            out[i, n + row] += moment
        if case.follower:
            out[i, :n] += follower_forces(system.model, case.follower)
    return out


def follower_forces(model: Model, force: float) -> F64:
    """Forces (n_points, 3) [N] of a follower load on the structure at rest.

    Raises
    ------
    ValueError
        The model has no guides.
    """
    if len(model.guides) < 2:
        raise ValueError("the model has no guides for a follower load")
    path = np.array([g.of(model.mesh.points) for g in model.guides])
    line = np.diff(path, axis=0)
    pull = force * line / np.linalg.norm(line, axis=1, keepdims=True)
    at_guides = np.zeros_like(path)
    at_guides[:-1] += pull
    at_guides[1:] -= pull
    out = np.zeros((model.mesh.n_points, 3))
    for guide, f in zip(model.guides, at_guides, strict=True):
        out[guide.nodes] += guide.weights[:, None] * f
    return out


def solve(model: Model, cases: Sequence[LoadCase], *, linear_solver: str = "auto") -> tuple[System, Solution]:
    """Solve K u = f for all load cases (small strain, linear) with one factorization.

    Parameters
    ----------
    model : Model
    cases : sequence of LoadCase
    linear_solver : str
        ``auto``, ``pardiso``, ``cholmod`` or ``superlu`` (`spinefix.fem.linsolve`).

    Returns
    -------
    system : System
        For recovery of stresses and forces.
    solution : Solution

    Raises
    ------
    CheckError
        Equilibrium, energy, reciprocity or the search for unrestrained motion failed; nothing is returned.
    """
    watch = Stopwatch()
    system = build_system(model, watch)
    T = system.elimination
    checks.unrestrained(system)
    K = T.reduce(system.stiffness, system.link_stiffness)
    watch.lap("reduce")
    loads = load_vectors(system, cases)
    flat = loads.reshape(len(cases), -1).T
    with linsolve.factorize(K, linear_solver) as factor:
        watch.lap("factorize")
        u = T.expand(factor.solve(T.reduce_force(flat)))
        report = factor.report
    watch.lap("solve")
    internal = system.internal(u)
    reactions = np.stack([T.reactions(r) for r in (internal - flat).T])
    shape = loads.shape
    results = checks.all_checks(
        system,
        cases,
        u.T.reshape(shape),
        loads,
        reactions.reshape(shape),
        internal.T.reshape(shape),
        report.condition,
    )
    watch.lap("checks")
    solution = Solution(
        cases=tuple(c.name for c in cases),
        u=np.ascontiguousarray(u.T).reshape(shape),
        loads=loads,
        reactions=reactions.reshape(shape),
        rotation_index=system.rotation_index,
        checks=results,
        solver=report.as_dict(),
        seconds=watch.seconds,
    )
    failed = [c for c in results if not c.passed]
    if failed:
        lines = [f"{c.name}: {c.value:.3g} > {c.tolerance:.3g}" for c in failed]
        raise CheckError("self-check failed, the solution is not reported: " + "; ".join(lines))
    return system, solution
