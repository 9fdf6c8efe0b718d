"""Forces against differences of energy, tangents against differences of forces, objectivity: all that is assembled.

Tangents are taken in displacements and spins. Items add only the symmetric part; the skew part of an energy's second
derivative in spins is -[m] / 2 at each rotation (`spinefix.fem.items`), and that is what the differences must show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from spinefix.fem import newton, rotations
from spinefix.fem.cables import Cables, FollowerLoad, ForceCurve
from spinefix.fem.couplings_finite import DistributedLoad, finite_constraints
from spinefix.fem.items import Configuration, Item, Program, State, Terms
from spinefix.fem.kinematics import cross_matrix
from spinefix.fem.links import embedded_links, surface_links
from spinefix.fem.links_finite import CorotatedLinks
from spinefix.fem.pattern import BlockPattern
from spinefix.fem.solids_finite import FiniteSolids
from spinefix.materials.finite import FINITE_LAWS
from spinefix.mesh import generate
from spinefix.mesh.core import F64, I32, Mesh, merge
from spinefix.mesh.elements import ELEMENTS
from spinefix.model.core import Coupling, Embedding, SurfaceSprings, Tie
from spinefix.verification.bodies import FINITE, TIGHT, Bar, beams, cantilever, chain, finite_group
from spinefix.verification.differences import STEP, differences, evaluate, random_configuration, some_dofs, turned
from spinefix.verification.ladder import Row, largest, rung
from spinefix.verification.meshes import distorted
from spinefix.verification.samples import rotation

Q = rotations.exp(np.array([1.0, -2.0, 0.7]))
"""A large rotation."""

DIFFERENCES = "central differences, step 1e-6"


def _rows(
    name: str,
    item: Item,
    x: Configuration,
    tolerance: float = 1e-8,
    *,
    energy: bool = True,
    state: State | None = None,
) -> Iterator[Row]:
    """Force against energy and tangent against force."""
    r, K, _ = evaluate(item, x, tangent=True, state=state)
    columns = some_dofs(x)
    K_fd, g = differences(item, x, columns, state=state)
    if energy:
        yield largest(f"force, {name}", r[columns] - g, tolerance, np.abs(r).max())
    yield largest(f"tangent, {name}", K[:, columns] - K_fd, tolerance, np.abs(K).max())


def _objective(name: str, item: Item, x: Configuration, tolerance: float = 1e-10) -> Row:
    """A rotation on top turns the forces and keeps the energy."""
    r, _, e = evaluate(item, x)
    points: F64 = item.points  # type: ignore[attr-defined]
    r2, _, e2 = evaluate(item, turned(points, x, Q, 3.0))
    gap = np.abs(r2.reshape(-1, 3) - r.reshape(-1, 3) @ Q.T).max() / np.abs(r).max()
    return Row(f"force and energy, {name}", 0.0, max(gap, abs(e2 - e) / max(abs(e), 1e-300) if e else 0.0), tolerance)


def _solids(
    kind: str, formulation: str, law: str = "neo_hookean", *, seed: int = 2, uneven: float = 0.5
) -> tuple[FiniteSolids, Configuration]:
    """A distorted element (six tets, two wedges), its stiffness `uneven` by so much of it, far from rest."""
    points, conn = distorted(kind)
    scale = 1.0 + uneven * np.random.default_rng(1).uniform(-1, 1, (len(conn), ELEMENTS[kind].n_points))
    item = FiniteSolids(points, (finite_group(kind, formulation, conn, law, scale=scale),))
    rng = np.random.default_rng(seed)
    F = rotation(5) @ (np.eye(3) + 0.08 * rng.uniform(-1, 1, (3, 3)))
    u = points @ (F - np.eye(3)).T + 0.04 * rng.uniform(-1, 1, points.shape)
    return item, Configuration(u, np.zeros((0, 3, 3)))


@rung("Force and tangent of every solid", DIFFERENCES)
def solid_tangent() -> Iterator[Row]:
    """Every kind and formulation, and every law in every formulation of hex8 that uses it, after its history.

    All are roughened, turned and stretched.
    """
    for kind, formulation in FINITE:
        yield from _rows(f"{kind} {formulation}", *_solids(kind, formulation))
    for law in FINITE_LAWS:
        for kind, formulation in FINITE:
            if kind == "hex8" and not formulation.startswith("corotational"):
                item, x = _solids(kind, formulation, law, uneven=0.0)  # softening would gather in the weakest point
                state = _history(item, _solids(kind, formulation, law, seed=4)[1])
                yield from _rows(f"{law}, {formulation}", item, x, state=state)


def _history(item: FiniteSolids, x: Configuration) -> State:
    """State after an increment to a configuration."""
    pattern = BlockPattern.build(x.n_blocks, item.cliques(), threads=1)
    return item.evaluate(x, 1.0, item.start(), Terms.zeros(pattern, tangent=False), 0)


@rung("Objectivity of every solid", "superposed rigid motion")
def solid_objectivity() -> Iterator[Row]:
    """A rigid motion on top turns the forces and keeps the energy."""
    for kind, formulation in FINITE:
        yield _objective(f"{kind} {formulation}", *_solids(kind, formulation))


POINTS = np.array([[0.0, 0, 0], [1.3, 0.2, -0.1], [2.0, 0.9, 0.4]])


@rung("Force, tangent and objectivity of co-rotational beams", DIFFERENCES)
def beam_tangent() -> Iterator[Row]:
    """Two beams, displaced and turned; the skew part of the differences is -[m] / 2 at each rotation."""
    item = beams(POINTS, chain(3), Bar())
    x = random_configuration(3, 3)
    x = Configuration((POINTS + x.u) @ rotations.exp(np.array([0.5, -0.3, 0.8])).T - POINTS, x.R)
    r, K, _ = evaluate(item, x, tangent=True)
    K_fd, g = differences(item, x, some_dofs(x))
    yield largest("force, beam2", r - g, 1e-7, np.abs(r).max())
    yield largest("symmetric tangent, beam2", K - (K_fd + K_fd.T) / 2, 1e-7, np.abs(K).max())
    yield largest("skew tangent, beam2", _skew(r, 3) - (K_fd - K_fd.T) / 2, 1e-7, np.abs(K).max())
    yield _objective("beam2", item, random_configuration(3, 3, amount=0.2, turn=0.0))


def _skew(r: F64, first_rotation: int) -> F64:
    """-[m] / 2 in the blocks of rotations."""
    out = np.zeros((len(r), len(r)))
    for block in range(first_rotation, len(r) // 3):
        own = slice(3 * block, 3 * block + 3)
        out[own, own] = -0.5 * cross_matrix(r[own])
    return out


@rung("Tangent of an end moment in equilibrium", DIFFERENCES)
def moment_tangent() -> Iterator[Row]:
    """The unsymmetric tangent of beams under a moment of fixed axis, and under one that follows its node."""
    slender = Bar(E=12.0e4, nu=0.0, A=1.0, Iy=1 / 12.0e4, Iz=1 / 12.0e4, J=2 / 12.0e4, k=1.0)
    points = np.linspace(0.0, 1.0, 4)[:, None] * np.array([1.0, 0.0, 0.0])
    for follows in (False, True):
        problem = cantilever(points, slender, moment=(0.4, 0.5, 0.6), force=(0.2, 0.3, 0.1), follows=follows)
        found = newton.solve(problem, [1.0], TIGHT).increments[-1]
        K = problem.tangent(found.x, 1.0, found.states) @ np.eye(len(problem.free))
        K_fd = np.empty_like(K)
        for i, e in enumerate(np.eye(len(K))):
            plus, minus = (
                problem.evaluate(problem.moved(found.x, s * STEP * e), 1.0, found.states).residual for s in (1, -1)
            )
            K_fd[:, i] = (plus - minus) / (2 * STEP)
        name = "following" if follows else "fixed axis"
        yield largest(f"tangent, moment {name}", K - K_fd, 1e-7, np.abs(K).max())


# --- cables and loads ---

CLOUD = np.random.default_rng(1).uniform(-2, 2, (7, 3))
FACTOR = np.array([1.0, 0.5, 2.0])


def _cables(
    *, smooth: bool = False, tension_only: bool = True, slack: F64 | None = None, strain: bool = False
) -> Cables:
    nodes = np.array([[0, 1], [1, 3], [2, 6]], np.int32)
    table = np.array([0.0, 0.5, 1.0, 2.0]), np.array([0.0, 2.0, 10.0, 40.0])
    curve = ForceCurve(*table, smooth=smooth, tension_only=tension_only)
    gauge = np.linalg.norm(CLOUD[nodes[:, 1]] - CLOUD[nodes[:, 0]], axis=1) if strain else None
    return Cables("ligament", CLOUD, nodes, curve, FACTOR, slack, gauge)


@rung("Force, tangent and objectivity of cables", DIFFERENCES)
def cable_tangent() -> Iterator[Row]:
    """Tabulated curves of force over elongation or strain, with and without slack and compression."""
    cases = {
        "table": _cables(),
        "smooth, over strain": _cables(smooth=True, strain=True),
        "both ways": _cables(tension_only=False),
        "slack and pretension": _cables(slack=np.array([-0.3, -0.2, 0.1])),
    }
    x = random_configuration(7, 0, amount=0.5, turn=0.0)
    for name, item in cases.items():
        yield from _rows(name, item, x, 2e-7)
        yield _objective(name, item, x)


@rung("Tangent and objectivity of the follower load", DIFFERENCES)
def follower_tangent() -> Iterator[Row]:
    """A path of four guides; the load balances itself and keeps its tension."""
    guides = np.zeros((4, 7))
    guides[0, :2], guides[1, 2], guides[2, 3:6], guides[3, [5, 6]] = [0.3, 0.7], 1.0, [0.5, 0.7, -0.2], [0.1, 0.9]
    item = FollowerLoad("follower", CLOUD, csr_array(guides), Program.ramp(np.array(5.0)))
    x = random_configuration(7, 0, amount=0.5)
    yield from _rows("follower load", item, x, 1e-7, energy=False)
    yield _objective("follower load", item, x)
    f = evaluate(item, x)[0].reshape(-1, 3)
    first = np.diff(item.path(x), axis=0)[0]
    part = -evaluate(item, x, 0.6)[0].reshape(-1, 3)[0] / 0.3
    yield largest("force of the first guide at time 0.6", part - 3.0 * first / np.linalg.norm(first), 1e-13, 3.0)
    yield largest("sum of forces", f.sum(axis=0), 1e-14, 5.0)
    yield largest("sum of moments", np.cross(CLOUD + x.u, f).sum(axis=0), 1e-13, 5.0)


@rung("Distributing coupling", DIFFERENCES + "; statics")
def distributing_coupling() -> Iterator[Row]:
    """Forces sum up to force and moment of the reference point, and do its work; the tangent is exact."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (9, 3)) * [2.0, 1.5, 0.2]
    weights, place = rng.uniform(0.5, 1.5, 6), np.array([0.3, 0.2, 1.0])
    force, moment = np.array([1.0, -2.0, 0.5]), np.array([0.7, -0.4, 1.1])
    x = random_configuration(9, 0)
    x = Configuration((points + x.u) @ rotations.exp(np.array([1.0, 2.0, -0.5])).T - points, x.R)
    for follows in (False, True):
        item = DistributedLoad(
            "load", np.arange(2, 8, dtype=np.int32), weights, points, place, Program.ramp(force), Program.ramp(moment),
            follows,
        )  # fmt: skip
        name = "moment that follows" if follows else "moment of fixed axis"
        yield from _rows(name, item, x, 1e-7, energy=False)
        f = -evaluate(item, x)[0].reshape(-1, 3)
        R, shift = item.motion(x)
        arm = points + x.u - place - shift
        yield largest(f"force, {name}", f.sum(axis=0) - force, 1e-13)
        yield largest(f"moment, {name}", np.cross(arm, f).sum(axis=0) - (R @ moment if follows else moment), 1e-13)
        step = 1e-5 * np.random.default_rng(4).normal(size=(9, 3))
        y, z = x.moved(step), x.moved(-step)
        (R1, u1), (R0, u0) = item.motion(y), item.motion(z)
        turn = rotations.log(R1 @ R0.T) @ (R @ moment if follows else moment)
        yield Row(f"work, {name}", float(force @ (u1 - u0) + turn), float((f * (y.u - z.u)).sum()), 1e-7)


# --- constraints ---


def _two_boxes(gap: float) -> tuple[Mesh, I32]:
    """Two boxes, the upper one across a gap, and two reference points."""
    low = generate.box((2.0, 2.0, 2.0), (2, 2, 2), name="low")
    up = generate.box((1.4, 1.4, 1.0), (3, 3, 1), origin=(0.3, 0.2, 2.0 + gap), name="up")
    mesh, _, _ = merge([low, up])
    points = np.vstack([mesh.points, [[1.0, 1.0, -1.0], [4.0, 0.0, 0.0]]])
    mesh = Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    index = np.full(mesh.n_points, -1, np.int32)
    index[-2:] = [0, 1]
    return mesh, index


@rung("Rigid couplings and ties at finite rotation", DIFFERENCES + "; rigid motion")
def constraint_tangent() -> Iterator[Row]:
    """Nested couplings and a tie across a gap: slaves follow a rigid motion; slave map and its change are exact."""
    mesh, index = _two_boxes(0.3)
    n, inner, outer = mesh.n_points, mesh.n_points - 2, mesh.n_points - 1
    active = np.ones(n + 2, bool)
    active[-4:] = False
    couplings = (
        Coupling("inner", inner, mesh.nodes["low.zmin"]),
        Coupling("outer", outer, np.array([inner], np.int32)),
    )
    tie = Tie("bond", mesh.nodes["up.zmin"], mesh.facets["low.zmax"], 0.5)
    c = finite_constraints(mesh, index, active, couplings=couplings, ties=(tie,))
    rigid = mesh.points @ Q.T + 2.0 - mesh.points
    u = rigid.copy()
    slaves = np.unique(c.dofs.slave // 3)
    u[slaves[slaves < n]] = 7.0
    followed = c.place(Configuration(u, np.stack([np.eye(3), Q])))
    yield largest("position of slaves after a rigid motion", followed.u - rigid, 1e-12)

    def full_map(x: Configuration) -> F64:
        T = np.zeros((3 * c.n_blocks, 3 * c.n_blocks))
        T[c.dofs.free, c.dofs.free] = 1.0
        T[c.dofs.slave] = c.slave_map(x).toarray()
        return T[:, c.dofs.free]

    x = c.place(random_configuration(n, 2))
    force = np.random.default_rng(3).normal(size=(c.n_blocks, 3))  # a dead load: conservative
    force[n:] = 0.0
    free = c.dofs.free
    T = full_map(x)
    G = c.geometric(x, force).toarray()[np.ix_(free, free)]
    G[-3:, -3:] -= 0.5 * cross_matrix((T.T @ force.ravel())[-3:])
    columns = np.searchsorted(free, some_dofs(x, 40, free))
    rate, change = np.empty((len(T), len(columns))), np.empty((len(G), len(columns)))
    for i, dof in enumerate(free[columns]):
        step = np.zeros(3 * c.n_blocks)
        step[dof] = STEP
        plus, minus = (c.place(x.moved(s * step.reshape(-1, 3))) for s in (1.0, -1.0))
        rate[:, i] = plus.step_from(minus).ravel() / (2 * STEP)
        change[:, i] = (full_map(plus) - full_map(minus)).T @ force.ravel() / (2 * STEP)
    yield largest("slave map", T[:, columns] - rate, 1e-8, np.abs(T).max())
    yield largest("geometric stiffness", G[:, columns] - change, 1e-7, np.abs(G).max())


def _embedded() -> tuple[CorotatedLinks, int]:
    """A screw of two beams in a block."""
    block = generate.box((6.0, 6.0, 6.0), (3, 3, 3), name="block")
    beam = generate.polyline(np.array([[3.0, 3.0, -2.0], [3.0, 3.0, 0.0], [3.0, 3.0, 5.0]]), 2.5, name="screw")
    mesh, (_, head), _ = merge([block, beam])
    index = np.full(mesh.n_points, -1, np.int32)
    index[head:] = np.arange(beam.n_points)
    embedding = Embedding("screw", mesh.cells["screw"], mesh.cells["block"], 1.0, 300.0, 100.0)
    n_dof = 3 * (mesh.n_points + beam.n_points)
    return CorotatedLinks(mesh.points, embedded_links(mesh, index, embedding, n_dof)), beam.n_points


def _foundation() -> tuple[CorotatedLinks, int]:
    """Two boxes with an elastic foundation between them."""
    low = generate.box((2.0, 2.0, 1.0), (2, 2, 1), name="low")
    up = generate.box((1.2, 1.1, 1.0), (2, 2, 1), origin=(0.4, 0.5, 1.4), name="up")
    mesh, _, _ = merge([low, up])
    springs = SurfaceSprings("joint", mesh.facets["up.zmin"], mesh.facets["low.zmax"], 10.0, 3.0)
    return CorotatedLinks(mesh.points, surface_links(mesh, springs, 3 * mesh.n_points)), 0


@rung("Embedded screws and elastic foundations at finite rotation", DIFFERENCES + "; rigid motion")
def link_tangent() -> Iterator[Row]:
    """Forces are exact gradients everywhere; the tangent is exact where nothing has moved relatively."""
    for name, (item, n_rotations) in {"embedded screw": _embedded(), "foundation": _foundation()}.items():
        none = np.zeros_like(item.points)
        eyes = np.tile(np.eye(3), (n_rotations, 1, 1))
        rigid = turned(item.points, Configuration(none, eyes), Q, 2.0)
        rng = np.random.default_rng(0)
        bent = Configuration(
            0.1 * rng.uniform(-1, 1, none.shape), rotations.exp(0.1 * rng.uniform(-1, 1, (n_rotations, 3)))
        )
        x = turned(item.points, bent, Q, 2.0)
        r, _, _ = evaluate(item, x)
        columns = some_dofs(x)
        yield largest(f"force, {name}", r[columns] - differences(item, x, columns)[1], 1e-8, np.abs(r).max())
        yield _objective(name, item, bent, 1e-9)
        _, K, _ = evaluate(item, rigid, tangent=True)
        K_fd = differences(item, rigid, columns)[0]
        yield largest(f"tangent after a rigid motion, {name}", K[:, columns] - K_fd, 1e-8, np.abs(K).max())
