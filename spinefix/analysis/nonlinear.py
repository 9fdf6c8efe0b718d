"""Solve a model at finite rotation through a list of load steps.

What the linear analysis does in one go, this one does in increments on the deforming structure. Solids with a linear
law become co-rotational (large rotation, small strain, the same stiffness as in the linear analysis); those with a law
of `spinefix.materials.finite` follow it at finite strain. Beams are co-rotational, springs act along their current
axis (ligaments pull only), couplings turn, elastic foundations and embedded screws are carried along by the parts they
join, layers that can only be pressed let their surfaces part and slide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from spinefix.analysis.condensation import Condensation, condensation, expanded
from spinefix.analysis.contacts import contact_pairs, layers
from spinefix.analysis.groups import finite_groups
from spinefix.analysis.solve import Stopwatch
from spinefix.analysis.system import active_blocks, beam_groups, beam_yielding, rotation_index
from spinefix.errors import CheckError, ConstraintError, UsageError
from spinefix.fem import augmentation, links, newton, rotations
from spinefix.fem.assembly import kernel_array
from spinefix.fem.beams import BeamGroup
from spinefix.fem.beams_finite import FiniteBeams
from spinefix.fem.cables import Cables, FollowerLoad, ForceCurve
from spinefix.fem.couplings_finite import DistributedLoad, FiniteConstraints, Motion, finite_constraints
from spinefix.fem.directions import Direction
from spinefix.fem.equilibrium import Problem
from spinefix.fem.finite import FiniteGroup
from spinefix.fem.items import Configuration, Item, PointLoads, Program
from spinefix.fem.links_finite import CorotatedLinks
from spinefix.fem.solids_finite import FiniteSolids
from spinefix.fem.superelement import Superelement
from spinefix.mesh.core import F64, I32, Bool, Mesh
from spinefix.model.core import LoadCase, Model, PointSprings
from spinefix.results.solution import Check

TOLERANCE = 1e-6
"""Relative bound of the equilibrium checks; increments are solved to 1e-8 by default."""

POWER_TOLERANCE = 1e-4
"""Relative bound of the energy check; its difference quotient is good to 1e-5 where increments turn parts far."""


@dataclass(frozen=True)
class Spread:
    """A distributing coupling: a reference point whose loads go to nodes that stay free to deform.

    Parameters
    ----------
    name : str
    reference : int
        A point of the mesh that nothing else uses.
    nodes : (k,) int32
    weights : (k,) float64
        Positive; area shares for a surface.
    """

    name: str
    reference: int
    nodes: I32
    weights: F64


@dataclass(frozen=True)
class Step:
    """A stretch of the load program; loads go linearly from where the last step left them to the values given here.

    Parameters
    ----------
    name : str
    case : LoadCase
        All loads at the end of the step; what is not named goes to zero.
    tension : mapping, name of a follower path -> float [N]
        At the end of the step.
    motions : mapping, node -> (translation (3,) [mm], rotation vector (3,) [rad])
        Prescribed at the end of the step, on supported dofs.
    factors : tuple of float
        Parts of the step at which results are kept, ascending, the last one 1.
    """

    name: str
    case: LoadCase
    tension: Mapping[str, float] = field(default_factory=dict)
    motions: Mapping[int, tuple[F64, F64]] = field(default_factory=dict)
    factors: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        f = np.array(self.factors)
        if not len(f) or f[0] <= 0.0 or f[-1] != 1.0 or (np.diff(f) <= 0.0).any():
            raise UsageError(f"step {self.name!r}: factors must ascend from above 0 to 1, got {self.factors}")


@dataclass(frozen=True)
class Extras:
    """What a nonlinear analysis has beyond the model.

    Parameters
    ----------
    curves : mapping, name of point springs -> ForceCurve
        Force per unit of the springs' `stiffness` [N per N/mm], in place of their own `Pull`. Springs with neither are
        linear both ways.
    paths : mapping, name -> csr (g, n_points)
        Follower load paths, see `FollowerLoad`.
    spreads : tuple of Spread
    items : tuple of Item
        Anything else, such as contact (`spinefix.analysis.contacts`), which is settled at every factor asked for.
    following_moments : bool
        Moments turn with their nodes instead of keeping their axes.
    """

    curves: Mapping[str, ForceCurve] = field(default_factory=dict)
    paths: Mapping[str, csr_array] = field(default_factory=dict)
    spreads: tuple[Spread, ...] = ()
    items: tuple[Item, ...] = ()
    following_moments: bool = False


@dataclass(frozen=True)
class NonlinearSolution:
    """Results at the factors asked for, and what vouches for them.

    Parameters
    ----------
    steps : tuple of str
        Step of each increment.
    times : (n_inc,) float64
        Pseudo-time; step k runs from k to k + 1.
    u : (n_inc, n_blocks, 3) float64 [mm, rad]
        Displacements, then rotation vectors (continued beyond half a turn).
    loads, reactions : (n_inc, n_blocks, 3) float64 [N, N mm]
    spreads : mapping, name -> (n_inc, 2, 3) float64 [mm, rad]
        Displacement and rotation vector of the reference point of each distributing coupling.
    energy, work : (n_inc,) float64 [N mm]
        Stored; done by loads and supports (trapezoidal rule over the increments that were taken).
    rotation_index : (n_points,) int32
    increments : tuple of Increment
        For `solve(start=...)`.
    history : tuple of Attempt
        Every increment tried, with iterations, seconds and why it failed.
    checks : tuple of Check
    solver, seconds : mappings
    """

    steps: tuple[str, ...]
    times: F64
    u: F64
    loads: F64
    reactions: F64
    spreads: Mapping[str, F64]
    energy: F64
    work: F64
    rotation_index: I32
    increments: tuple[newton.Increment, ...]
    history: tuple[newton.Attempt, ...]
    checks: tuple[Check, ...] = ()
    solver: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def rotation(self, node: int) -> F64:
        """Rotation vectors (n_inc, 3) [rad] of a node that has rotations."""
        row = int(self.rotation_index[node])
        if row < 0:
            raise KeyError(f"node {node} has no rotations")
        return np.asarray(self.u[:, len(self.rotation_index) + row])

    def displacement(self, node: int) -> F64:
        """Displacements (n_inc, 3) [mm] of a node."""
        return np.asarray(self.u[:, node])


def solve(
    model: Model,
    steps: Sequence[Step],
    extras: Extras | None = None,
    control: newton.Control | None = None,
    *,
    start: newton.Increment | None = None,
) -> NonlinearSolution:
    """Follow the load steps.

    Parameters
    ----------
    model : Model
    steps : sequence of Step
        Preload first, then moments, unloading, ...; history variables carry over.
    extras : Extras
    control : newton.Control
    start : Increment, optional
        Continue from an increment of an earlier solution of the same model and steps.

    Raises
    ------
    NotConverged
        `partial` is the NonlinearSolution so far, `worst` the worst regions.
    CheckError
        Equilibrium or the balance of energy failed.
    MeshError, MaterialError, ConstraintError, UsageError
        The model is unusable.
    """
    return Structure(model, extras).solve(steps, control, start=start)


class Structure:
    """A model made ready for nonlinear analysis once, then led through as many load programs as wanted.

    Parameters
    ----------
    model : Model
    extras : Extras
    loaded : (k,) int32, optional
        The only nodes that loads of the model act on. Given, linear parts (vertebrae with their screws, prostheses) are
        condensed to the nodes where others touch them (`spinefix.fem.superelement`).

    Attributes
    ----------
    items : tuple of Item
        What is solved for, without loads.
    inside : tuple of Item
        What superelements stand for; not solved for.
    superelements : tuple of Superelement

    Raises
    ------
    MeshError, MaterialError, ConstraintError, UsageError
        The model is unusable.
    """

    def __init__(self, model: Model, extras: Extras | None = None, *, loaded: I32 | None = None) -> None:
        self.model, self.extras = model, extras or Extras()
        self.rotation_index = index = rotation_index(model)
        if loaded is not None and (self.extras.items or self.extras.spreads or self.extras.paths):
            raise UsageError("with extra items, spread loads or paths nothing can be condensed; leave out `loaded`")
        self.loaded = loaded
        groups, beams = finite_groups(model), tuple(b for g in beam_groups(model) for b in _by_yield(model, g))
        embedded = {e.name: links.embedded_links(model.mesh, index, e, _n_dof(index)) for e in model.embeddings}
        parts = Condensation.none(model.mesh.n_cells)
        if loaded is not None:
            parts = condensation(model, index, groups, beams, embedded, loaded)
        self.superelements = parts.items
        solids = [(g, parts.cells[g.cells]) for g in groups]
        rods = [(b, parts.cells[b.cells]) for b in beams]
        held = {name: name in parts.embeddings for name in embedded}

        def part(condensed: bool) -> list[Item]:
            """Solids, beams and embeddings on one side."""
            own = [g.take(_rows(inner == condensed)) for g, inner in solids if (inner == condensed).any()]
            bars = [b.take(_rows(inner == condensed)) for b, inner in rods if (inner == condensed).any()]
            out: list[Item] = [FiniteSolids(model.mesh.points, tuple(own))] if own else []
            out += [
                FiniteBeams(model.mesh.points, b, index, f"beams.{i}", beam_yielding(model, b))
                for i, b in enumerate(bars)
            ]
            rows = [embedded[name] for name, inner in held.items() if inner == condensed]
            return [*out, *(CorotatedLinks(model.mesh.points, r) for r in rows)]

        self.inside = tuple(part(condensed=True))
        self.items = (*part(condensed=False), *self.superelements, *_joint_items(model, self.extras, index, groups))
        self._base: Problem | None = None

    def problem(self, steps: Sequence[Step]) -> Problem:
        """Compose the problem of some load steps; those without prescribed motions share pattern and constraints."""
        loads = _loads(self.model, self.rotation_index, steps, self.extras)
        motions = _motions(steps)
        if self.loaded is not None:
            acting = {k for s in steps for k in (*s.case.forces, *s.case.moments, *s.motions)}
            if not acting <= set(self.loaded.tolist()):
                raise UsageError(f"node {min(acting - set(self.loaded.tolist()))} is not among the loaded nodes")
        if motions:
            return self._compose(motions).with_loads(loads)
        if self._base is None:
            self._base = self._compose(())
        return self._base.with_loads(loads)

    def _compose(self, motions: Sequence[Motion]) -> Problem:
        model, index = self.model, self.rotation_index
        active = active_blocks((), tuple(i.group for i in self.items if isinstance(i, FiniteBeams)), index)
        for item in self.items:
            for group in item.groups if isinstance(item, FiniteSolids) else ():
                active[group.conn] = True
            if isinstance(item, Superelement):
                active[item.frame.blocks] = True
        constraints = finite_constraints(
            model.mesh, index, active,
            supports=model.supports, couplings=model.couplings, ties=model.ties, motions=motions,
        )  # fmt: skip
        _no_loose_masters(constraints, active)
        return Problem(model.mesh.points, index, constraints, self.items, soft=self._soft(constraints.n_blocks))

    def _soft(self, n_blocks: int) -> Bool:
        """Blocks of solids with a law of finite strain alone."""
        groups = [g for i in self.items if isinstance(i, FiniteSolids) for g in i.groups]
        out = np.zeros(n_blocks, bool)
        for g in sorted(groups, key=lambda g: g.corotational):
            out[g.conn] = not g.corotational
        return out

    def solve(
        self,
        steps: Sequence[Step],
        control: newton.Control | None = None,
        *,
        start: newton.Increment | None = None,
        guesses: Mapping[float, Configuration] | None = None,
        direction: Direction | None = None,
    ) -> NonlinearSolution:
        """Follow load steps; arguments and errors as in `solve`.

        Parameters
        ----------
        start : newton.Increment, optional
            May come from other steps of this structure that were the same up to its time.
        guesses : mapping, pseudo-time -> Configuration, optional
            See `spinefix.fem.newton.solve`.
        direction : Direction, optional
            Finds the steps in place of the structure's own, see `spinefix.fem.lockstep`.
        """
        watch = Stopwatch()
        problem = self.problem(steps)
        if direction is not None:
            problem = problem.with_direction(direction, control or newton.Control())
        if start is not None:  # loads have no history, and other steps may have had other loads
            own = start.states[: len(self.items)]
            start = replace(start, states=(*own, *(item.start() for item in problem.items[len(own) :])))
        watch.lap("build")
        try:
            return self._whole(_follow(self.model, problem, steps, control, start, watch, guesses))
        except newton.NotConverged as error:
            if isinstance(error.partial, NonlinearSolution):
                error.partial = self._whole(error.partial)
            raise

    def _whole(self, solution: NonlinearSolution) -> NonlinearSolution:
        """Put what is inside superelements in place."""
        if not self.superelements or not solution.increments:
            return solution
        increments = []
        for inc in solution.increments:
            x = expanded(self.superelements, inc.x)
            increments.append(replace(inc, x=x, blocks=x.vectors(inc.blocks)))
        return replace(solution, u=np.array([i.blocks for i in increments]), increments=tuple(increments))


def _no_loose_masters(constraints: FiniteConstraints, active: Bool) -> None:
    """Refuse constraints whose slaves follow blocks that nothing holds: their forces would be lost."""
    rows = constraints.tie_map[constraints.tie_nodes]
    masters = np.unique(rows.indices[rows.data != 0.0])
    lost = masters[~active[masters]]
    if len(lost):
        raise ConstraintError(f"tied nodes follow node {int(lost[0])}, which no element holds")


def _follow(
    model: Model,
    problem: Problem,
    steps: Sequence[Step],
    control: newton.Control | None,
    start: newton.Increment | None,
    watch: Stopwatch,
    guesses: Mapping[float, Configuration] | None,
) -> NonlinearSolution:
    times = np.concatenate([k + np.array(s.factors) for k, s in enumerate(steps)])
    left = times if start is None else times[times > start.time]
    names = _RegionNames(model.mesh, problem.rotation_index)
    try:
        path = augmentation.follow(problem, left.tolist(), control, start=start, worst=names.worst, guesses=guesses)
    except newton.NotConverged as error:
        watch.lap("solve")
        error.partial = _collect(problem, steps, error.partial, watch, start)
        raise
    watch.lap("solve")
    solution = _collect(problem, steps, path, watch, start)
    failed = [c for c in solution.checks if not c.passed]
    if failed:
        lines = [f"{c.name}: {c.value:.3g} > {c.tolerance:.3g}" for c in failed]
        raise CheckError("self-check failed, the solution is not reported: " + "; ".join(lines))
    return solution


def build_problem(model: Model, steps: Sequence[Step], extras: Extras | None = None) -> Problem:
    """Compose items and constraints of a model; arguments and errors as in `solve`."""
    return Structure(model, extras).problem(steps)


# --- items ---


def _joint_items(model: Model, extras: Extras, index: I32, groups: Sequence[FiniteGroup]) -> tuple[Item, ...]:
    """Ligaments, facing surfaces and extra items."""
    points, joints = model.mesh.points, model.surface_springs
    items: list[Item] = [_cables(model, s, extras.curves.get(s.name)) for s in model.point_springs]
    glued = [links.surface_links(model.mesh, s, _n_dof(index)) for s in joints if s.press is None]
    items += [CorotatedLinks(points, rows) for rows in glued]
    return (*items, *layers(model), *contact_pairs(model, groups), *extras.items)


def _n_dof(index: I32) -> int:
    return 3 * (len(index) + int(index.max(initial=-1)) + 1)


def _rows(chosen: Bool) -> I32:
    return np.flatnonzero(chosen).astype(np.int32)


def _by_yield(model: Model, group: BeamGroup) -> tuple[BeamGroup, ...]:
    """Elastic beams of a group and those that may yield, where there are any."""
    yielding = beam_yielding(model, group)
    if yielding is None:
        return (group,)
    yields = np.isfinite(yielding.yield_MPa)
    return tuple(group.take(_rows(mine)) for mine in (~yields, yields) if mine.any())


def _cables(model: Model, springs: PointSprings, curve: ForceCurve | None) -> Cables:
    nodes, pull = kernel_array(springs.nodes, np.int32), springs.pull
    if curve is None and pull is not None:
        law = ForceCurve(pull.strain, pull.stress)
        return Cables(springs.name, model.mesh.points, nodes, law, pull.area, gauge=pull.gauge)
    line = ForceCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), tension_only=False)
    return Cables(springs.name, model.mesh.points, nodes, curve or line, np.asarray(springs.stiffness, np.float64))


def _program(steps: Sequence[Step], values: Sequence[F64]) -> Program:
    """Zero at time 0, then the value at the end of each step."""
    first = np.asarray(values[0], np.float64)
    return Program(np.arange(len(steps) + 1.0), np.stack([np.zeros_like(first), *values]))


def _loads(model: Model, index: I32, steps: Sequence[Step], extras: Extras) -> list[Item]:
    """Point loads, spread loads and follower loads."""
    n, zero = model.mesh.n_points, np.zeros(3)
    spread = {s.reference for s in extras.spreads}
    out: list[Item] = []

    def nodes_of(what: str) -> list[int]:
        return sorted({node for s in steps for node in getattr(s.case, what)} - spread)

    def values(what: str, nodes: list[int]) -> Program:
        return _program(
            steps, [np.array([getattr(s.case, what).get(k, zero) for k in nodes]).reshape(-1, 3) for s in steps]
        )

    pushed, turned = nodes_of("forces"), nodes_of("moments")
    bare = [k for k in turned if index[k] < 0]
    if bare:
        raise UsageError(f"node {bare[0]} has no rotations to carry a moment")
    if pushed or turned:
        blocks = (n + index[turned]).astype(np.int32) if turned else np.zeros(0, np.int32)
        forces, moments = values("forces", pushed), values("moments", turned)
        out.append(
            PointLoads(
                "loads", np.array(pushed, np.int32), forces, blocks, moments, n, follows=extras.following_moments
            )
        )
    for s in extras.spreads:
        force, moment = (
            _program(steps, [np.asarray(getattr(t.case, what).get(s.reference, zero)) for t in steps])
            for what in ("forces", "moments")
        )
        here = model.mesh.points[s.reference]
        out.append(
            DistributedLoad(
                s.name, s.nodes, s.weights, model.mesh.points, here, force, moment, extras.following_moments
            )
        )
    unknown = {name for s in steps for name in s.tension} - set(extras.paths)
    if unknown:
        raise UsageError(f"no follower path {sorted(unknown)[0]!r}; known: {', '.join(sorted(extras.paths)) or 'none'}")
    if any(s.case.follower for s in steps):
        if not model.guides:
            raise UsageError("the model has no guides for a follower load")
        tension = _program(steps, [np.array(s.case.follower) for s in steps])
        out.append(FollowerLoad("follower load", model.mesh.points, guide_weights(model), tension))
    for name, guides in extras.paths.items():
        tension = _program(steps, [np.array(s.tension.get(name, 0.0)) for s in steps])
        out.append(FollowerLoad(name, model.mesh.points, guides, tension))
    return out


def guide_weights(model: Model) -> csr_array:
    """Return the guides of a model as weighted means of its points, csr (g, n_points)."""
    row = np.repeat(np.arange(len(model.guides)), [len(g.nodes) for g in model.guides])
    nodes, weights = (np.concatenate([getattr(g, name) for g in model.guides]) for name in ("nodes", "weights"))
    return csr_array((weights, (row, nodes)), shape=(len(model.guides), model.mesh.n_points))


def _motions(steps: Sequence[Step]) -> tuple[Motion, ...]:
    rest = (np.zeros(3), np.zeros(3))
    out = []
    for node in sorted({k for s in steps for k in s.motions}):
        shift, turn = (_program(steps, [np.asarray(s.motions.get(node, rest)[i]) for s in steps]) for i in (0, 1))
        out.append(Motion(node, shift, turn if turn.values.any() else None))
    return tuple(out)


# --- results ---


def _collect(
    problem: Problem,
    steps: Sequence[Step],
    path: newton.Path,
    watch: Stopwatch,
    start: newton.Increment | None,
) -> NonlinearSolution:
    incs = path.increments
    last = len(steps) - 1
    checks = (*equilibrium(problem, incs if start is None else (start, *incs)), *power(problem, incs))
    watch.lap("checks")
    spreads = {i.name: _motion_of(i, incs) for i in problem.items if isinstance(i, DistributedLoad)}
    return NonlinearSolution(
        steps=tuple(steps[min(int(np.ceil(i.time)) - 1, last)].name if i.time > 0.0 else "" for i in incs),
        times=np.array([i.time for i in incs]),
        u=np.array([i.blocks for i in incs]),
        loads=np.array([i.external for i in incs]),
        reactions=np.array([i.reactions for i in incs]),
        spreads=spreads,
        energy=np.array([i.energy for i in incs]),
        work=np.array([i.work for i in incs]),
        rotation_index=problem.rotation_index,
        increments=incs,
        history=path.history,
        checks=checks,
        solver={
            "factorizations": sum(a.factorizations for a in path.history),
            "solves": sum(a.solves for a in path.history),
            "iterations": sum(a.iterations for a in path.history),
            "cutbacks": sum(not a.converged for a in path.history),
        },
        seconds=watch.seconds,
    )


def _motion_of(load: DistributedLoad, incs: Sequence[newton.Increment]) -> F64:
    """Displacement and rotation vector of a spread load's reference point at each increment."""
    out = np.zeros((len(incs), 2, 3))
    before = np.zeros(3)
    for i, inc in enumerate(incs):
        R, shift = load.motion(inc.x)
        before = rotations.log_near(R, before)
        out[i] = shift, before
    return out


def equilibrium(problem: Problem, increments: Sequence[newton.Increment]) -> tuple[Check, Check]:
    """Balance of force and moment of loads and reactions in the deformed configuration, worst increment."""
    n = len(problem.points)
    centre = problem.points.mean(axis=0)
    worst = np.zeros(2)
    scale = 0.0
    for inc in increments:  # unloaded increments are measured by those before them
        for f in (inc.external, inc.reactions):
            scale = max(scale, np.abs(f[:n]).max(initial=0.0) + np.abs(f[n:]).max(initial=0.0) / problem.size)
        if scale == 0.0:
            continue
        total = inc.external + inc.reactions
        arm = problem.points + inc.x.u - centre
        moment = np.cross(arm, total[:n]).sum(axis=0) + total[n:].sum(axis=0)
        found = np.abs(total[:n].sum(axis=0)).max(), np.abs(moment).max() / problem.size
        worst = np.maximum(worst, np.array(found) / scale)
    return (
        Check("equilibrium_force", float(worst[0]), TOLERANCE),
        Check("equilibrium_moment", float(worst[1]), TOLERANCE),
    )


def power(problem: Problem, increments: Sequence[newton.Increment]) -> tuple[Check, ...]:
    """Change of the stored energy along the last motion against the power of loads and reactions.

    Only where nothing has history: there the energy is a function of the configuration.
    """
    incs = [i for i in increments if i.before is not None]
    if not incs or any(state for state in incs[-1].states):
        return ()
    inc = incs[-1]
    before: Configuration = inc.before if inc.before is not None else inc.x
    step = 1e-4 * inc.x.step_from(before)
    none = np.zeros(len(problem.free))
    plus, minus = (problem.moved(inc.x, none, s * step) for s in (1.0, -1.0))
    stored = problem.energy(plus, inc.states) - problem.energy(minus, inc.states)
    forces = inc.external + inc.reactions
    moved = plus.step_from(minus)
    done = float(np.sum(forces * moved))
    size = float(np.abs(forces * moved).sum())
    return (Check("energy_rate_against_power", abs(stored - done) / size if size > 0.0 else 0.0, POWER_TOLERANCE),)


class _RegionNames:
    """Says where residuals are."""

    def __init__(self, mesh: Mesh, index: I32) -> None:
        self.mesh, self.index = mesh, index

    def worst(self, residual: F64) -> list[str]:
        """Return up to three regions with the greatest residuals (n_blocks,), worst first."""
        n = self.mesh.n_points
        at_node = residual[:n].copy()
        turning = np.flatnonzero(self.index >= 0)
        at_node[turning] = np.maximum(at_node[turning], residual[n + self.index[turning]])
        nodes = {name: self.mesh.cell_nodes(ids) for name, ids in self.mesh.cells.items()}
        out: list[str] = []
        while len(out) < 3 and at_node.max(initial=0.0) > 0.0:
            node = int(np.argmax(at_node))
            here = [name for name, ids in nodes.items() if node in ids]
            name = min(here, key=lambda k: len(nodes[k])) if here else f"node {node}"
            at_node[nodes[name] if here else node] = 0.0
            out.append(name)
        return out
