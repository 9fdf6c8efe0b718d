"""Contact: derivatives, transmission of pressure, Hertz, Coulomb."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spinefix.analysis.nonlinear import Extras, Step, build_problem
from spinefix.fem import augmentation, newton, rotations
from spinefix.fem.contact import Contact, Interface
from spinefix.fem.contact_gap import surfaces
from spinefix.fem.equilibrium import Problem
from spinefix.fem.items import Configuration, State
from spinefix.mesh import generate
from spinefix.mesh.core import F64, Mesh, merge
from spinefix.mesh.topology import facet_corners
from spinefix.model.core import Coupling, LoadCase, Support
from spinefix.verification.differences import differences, evaluate, some_dofs
from spinefix.verification.ladder import Row, largest, rung
from spinefix.verification.models import linear, model_of

COULOMB = "Coulomb's law: the limit is friction times normal force"


def blocks(
    upper: Sequence[int] = (1, 1, 1),
    lower: Sequence[int] = (2, 1, 1),
    *,
    kind: str = "hex8",
    gap: float = 0.0,
    inset: float = 0.3,
    side: float = 2.0,
    height: float = 1.0,
) -> Mesh:
    """Return a box on a larger one; facets up.zmin and low.zmax face each other."""
    low = generate.box((side, side, height), lower, name="low", kind=kind)
    wide = side - 2 * inset
    up = generate.box((wide, wide, height), upper, origin=(inset, inset, height + gap), name="up", kind=kind)
    return merge([low, up])[0]


def pressed(mesh: Mesh, depth: float = 0.1, seed: int = 0) -> Configuration:
    """Return displacements that press the upper box into the lower one on warped, turned facets."""
    rng = np.random.default_rng(seed)
    u = 0.03 * rng.uniform(-1, 1, mesh.points.shape)
    u[mesh.nodes["up.zmin"], 2] -= depth
    Q = rotations.exp(np.array([0.7, -0.4, 1.1]))
    return Configuration((mesh.points + u) @ Q.T - mesh.points, np.zeros((0, 3, 3)))


def pair(mesh: Mesh, law: Interface | None = None, *, modulus: float = 1.0, per_side: int = 4) -> Contact:
    """Return the contact of the two boxes of `blocks`."""
    surf = surfaces(mesh, mesh.facets["up.zmin"], mesh.facets["low.zmax"], per_side=per_side)
    return Contact("touch", surf, np.full(len(surf), modulus), law or Interface())


def imbalance(mesh: Mesh, x: Configuration, r: F64) -> float:
    """Return the largest component of the sums of forces and moments."""
    f = r.reshape(-1, 3)
    return float(max(np.abs(f.sum(axis=0)).max(), np.abs(np.cross(mesh.points + x.u, f).sum(axis=0)).max()))


@rung("Force and tangent of contact", "central differences, step 1e-6; statics")
def contact_tangent() -> Iterator[Row]:
    """Pressure on warped facets is the derivative of an energy, its tangent exact, with and without lambda."""
    for kind in ("hex8", "tet4"):
        mesh = blocks(kind=kind)
        item = pair(mesh, Interface(stiffness=2.0))
        x = pressed(mesh)
        start = item.start()
        lam = np.random.default_rng(1).uniform(0.0, 0.3, len(item.surfaces))
        states: dict[str, State] = {"penalty": start, "augmented": (lam, lam, *start[2:])}
        for name, state in states.items():
            r, K, _ = evaluate(item, x, tangent=True, state=state)
            columns = some_dofs(x, 72)
            K_fd, g = differences(item, x, columns, state=state)
            yield largest(f"force, {name}, {kind}", r[columns] - g, 1e-7, np.abs(r).max())
            yield largest(f"tangent, {name}, {kind}", K[:, columns] - K_fd, 1e-7, np.abs(K).max())
            yield Row(f"balance, {name}, {kind}", 0.0, imbalance(mesh, x, r), 1e-13)


@rung("Force and tangent beyond the border", "central differences, step 1e-6; statics")
def contact_fading() -> Iterator[Row]:
    """A slave side that overhangs a master side that fades; the tangent leaves out the second derivative of feet."""
    for kind in ("hex8", "tet4"):
        mesh = blocks(kind=kind, upper=(3, 3, 1), inset=-0.3)
        item = pair(mesh, Interface(stiffness=2.0, fade=0.8))
        x = pressed(mesh, depth=0.05)
        r, K, _ = evaluate(item, x, tangent=True)
        columns = some_dofs(x, 72)
        K_fd, g = differences(item, x, columns)
        yield largest(f"force, {kind}", r[columns] - g, 1e-7, np.abs(r).max())
        yield largest(f"tangent, {kind}", K[:, columns] - K_fd, 0.02, np.abs(K).max())
        yield Row(f"balance, {kind}", 0.0, imbalance(mesh, x, r), 1e-13)


@rung("Force and tangent of friction", "central differences, step 1e-6; statics")
def friction_tangent() -> Iterator[Row]:
    """Forces balance; the tangent leaves out the change of the foot's path, so 3 % at 1 % slip.

    Where points stick it is symmetric; where they slip the limit follows the pressure.
    """
    mesh = blocks()
    x = pressed(mesh, depth=0.02)
    x.u[mesh.nodes["up.zmin"]] += [0.02, 0.01, 0.0]
    for name, mu in (("sticking", 5.0), ("slipping", 0.1)):
        item = pair(mesh, Interface("friction", mu), per_side=2)
        r, K, _ = evaluate(item, x, tangent=True)
        yield Row(f"balance, {name}", 0.0, imbalance(mesh, x, r), 1e-13)
        columns = (3 * np.unique(item.surfaces.nodes)[:, None] + np.arange(3)).ravel().astype(np.int32)
        K_fd, _ = differences(item, x, columns)
        yield largest(f"tangent, {name}", K[:, columns] - K_fd, 0.03, np.abs(K).max())
        if name == "sticking":
            yield largest("symmetry of the tangent, sticking", K - K.T, 1e-13, np.abs(K).max())


def stacked(
    upper: Sequence[int],
    lower: Sequence[int],
    law: Interface | None = None,
    *,
    E: tuple[float, float] = (1.0, 1.0),
    nu: float = 0.3,
    force: float = 0.05,
    unit: float = 1.0,
    per_side: int = 4,
) -> tuple[Problem, Contact]:
    """Return two boxes of the same section, one on the other, free to widen, under a uniform traction.

    Parameters
    ----------
    force : float
        Force per area.
    unit : float
        Length of what is a millimetre otherwise.
    """
    mesh = blocks(upper, lower, inset=0.0)
    mesh = Mesh(mesh.points * unit, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    supports = [Support("foot", mesh.nodes["low.zmin"], (False, False, True))]
    for name in ("up", "low"):
        supports.append(Support(f"{name}.x", mesh.nodes[f"{name}.xmin"], (True, False, False)))
        supports.append(Support(f"{name}.y", mesh.nodes[f"{name}.ymin"], (False, True, False)))
    n_up = int(np.prod(upper))
    material = np.repeat([0, 1], [mesh.n_cells - n_up, n_up]).astype(np.int32)
    model = model_of(mesh, [linear(E[0], nu), linear(E[1], nu, name="other")], material, supports=tuple(supports))
    top = mesh.facets["up.zmax"]
    corners = facet_corners(mesh, top)
    share = np.bincount(corners.ravel(), minlength=mesh.n_points) / (4 * len(top))
    total = np.array([0.0, 0.0, -force * 4.0 * unit**2])
    load = LoadCase("press", forces={int(k): share[k] * total for k in np.flatnonzero(share)})
    item = pair(mesh, law, modulus=E[1], per_side=per_side)
    return build_problem(model, [Step("press", load), Step("free", LoadCase("free"))], Extras(items=(item,))), item


@rung("Contact patch test", "uniform traction")
def contact_patch() -> Iterator[Row]:
    """A traction of 0.05 MPa passes matching facets exactly, others within 4 % of each facet's mean."""
    cases = (
        ((3, 3, 2), 2, 1e-9, "matching facets"),
        ((2, 2, 2), 4, 0.04, "coarser below"),
        ((5, 5, 2), 4, 0.04, "finer below"),
    )
    for lower, per_side, tolerance, name in cases:
        problem, item = stacked((3, 3, 2), lower, per_side=per_side)
        report = augmentation.solve(problem, [1.0]).reports[0]["touch"]
        pressure = item.facet_pressure(report)
        worst = pressure[np.argmax(np.abs(pressure - 0.05))]
        yield Row(f"worst mean pressure of a facet, {name}", 0.05, float(worst), tolerance)
        yield Row(f"force, {name}", 0.2, float(report.force[2]), 1e-7)


@rung("Hertz, cylinders", "Johnson KL (1985), Contact mechanics, Cambridge University Press, section 4.2")
def hertz_cylinders() -> Iterator[Row]:
    """Two elastic parabolic cylinders in line contact, plane strain, half by symmetry.

    Half-width b = sqrt(4 F' R / (pi E*)), greatest pressure 2 F' / (pi b), F' the force per length.
    """
    E, nu, R, width = 1000.0, 0.3, 10.0, 4.0
    problem, item = _cylinders(E, nu, R, width)
    report = augmentation.solve(problem, [0.5, 1.0]).reports[-1]["touch"]
    line_load = 2.0 * report.force[2] / 0.1
    b = np.sqrt(4 * line_load * R / (np.pi * E / (2 * (1 - nu**2))))
    peak = 2 * line_load / (np.pi * b)
    area, facet = item.surfaces.area, item.surfaces.facet
    p = peak * np.sqrt(np.maximum(1 - (report.position[:, 0] / b) ** 2, 0.0))
    exact = np.bincount(facet, area * p) / np.bincount(facet, area)
    ours = item.facet_pressure(report)
    order = np.argsort(np.bincount(facet, area * report.position[:, 0]) / np.bincount(facet, area))
    yield Row("half-width", float(b), report.area / 0.1, 0.05)
    yield Row("pressure beside the middle", float(exact[order[0]]), float(ours[order[0]]), 0.02)
    yield largest("pressure of facets, over the peak", ours - exact, 0.05, peak)
    # int p x dx over the half width = peak b^2 / 3: the moment of the pressure needs no zone to be told
    moment = float((area * report.pressure * report.position[:, 0]).sum() / 0.1)
    yield Row("first moment of the pressure", float(peak * b**2 / 3), moment, 0.01)


def _cylinders(E: float, nu: float, R: float, width: float) -> tuple[Problem, Contact]:
    """The upper cylinder (parabola of radius R) is pressed on a flat one by 0.035 mm."""
    x = np.concatenate([np.linspace(0.0, 0.6, 13), generate.graded(0.6, width, 8, 8.0)[1:]])
    z = np.concatenate([np.linspace(0.0, 0.3, 5), generate.graded(0.3, width, 9, 10.0)[1:]])
    thick = np.array([0.0, 0.1])
    low = generate.grid(x, thick, -z[::-1], name="low")
    up = generate.grid(x * 0.97, thick, z, name="up")
    mesh, _, _ = merge([low, up])
    points = mesh.points.copy()
    above = points[:, 2] > 0.0
    above[mesh.nodes["up.zmin"]] = True
    points[above, 2] += points[above, 0] ** 2 / (2 * R) * (1.0 - points[above, 2] / width)
    points = np.vstack([points, [[0.0, 0.0, width]]])
    mesh = Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    top, lid = mesh.n_points - 1, mesh.nodes["up.zmax"]
    sides = [mesh.nodes[f"{b}.{s}"] for b in ("low", "up") for s in ("ymin", "ymax")]
    flat = np.setdiff1d(np.unique(np.concatenate(sides)), lid)
    middle = np.setdiff1d(np.union1d(mesh.nodes["up.xmin"], mesh.nodes["low.xmin"]), lid)
    supports = (
        Support("foot", mesh.nodes["low.zmin"], (False, False, True)),
        Support("plane", flat, (False, True, False)),
        Support("middle", middle, (True, False, False)),
        Support("lid", np.array([top], np.int32), rotations=(True, True, True)),
    )
    couplings = (Coupling("lid", top, lid),)
    material = np.zeros(mesh.n_cells, np.int32)
    model = model_of(mesh, [linear(E, nu)], material, supports=supports, couplings=couplings)
    item = pair(mesh, modulus=E, per_side=3)
    down = Step("down", LoadCase("none"), motions={top: (np.array([0.0, 0.0, -0.035]), np.zeros(3))})
    return build_problem(model, [down], Extras(items=(item,))), item


def sled(mu: float = 0.3, normal: float = 0.05, *, pull: float = 0.0, shift: float | None = None) -> Problem:
    """Return a block on a plate, pressed, then pulled or moved sideways at a rigid top that does not turn."""
    mesh = blocks((2, 2, 1), (3, 3, 1), side=3.0, inset=0.8)
    top = mesh.n_points
    mesh = Mesh(np.vstack([mesh.points, [[1.5, 1.5, 2.0]]]), mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    supports = (
        Support("foot", mesh.nodes["low.zmin"]),
        Support("top", np.array([top], np.int32), (shift is not None, True, False), (True, True, True)),
    )
    couplings = (Coupling("top", top, mesh.nodes["up.zmax"]),)
    material = np.repeat([0, 1], [9, 4]).astype(np.int32)
    model = model_of(mesh, [linear(1e3, 0.0), linear(1.0, 0.0)], material, supports=supports, couplings=couplings)
    item = pair(mesh, Interface("friction", mu), per_side=3)
    down = np.array([0.0, 0.0, -normal])
    press = LoadCase("press", forces={top: down})
    draw = LoadCase("pull", forces={top: down + [pull, 0.0, 0.0]})
    motions = {} if shift is None else {top: (np.array([shift, 0.0, 0.0]), np.zeros(3))}
    return build_problem(model, [Step("press", press), Step("pull", draw, motions=motions)], Extras(items=(item,)))


@rung("Coulomb slider", COULOMB)
def coulomb_slider() -> Iterator[Row]:
    """A block on a plate sticks below the limit of 0.015 N, has no equilibrium above, and drags at it over facets."""
    mu, normal = 0.3, 0.05
    limit = mu * normal
    for part in (0.9, 0.999):
        report = augmentation.solve(sled(mu, normal, pull=part * limit), [1.0, 2.0]).reports[-1]["touch"]
        yield Row(f"friction at {part:g} of the limit", -part * limit, float(report.force[0]), 1e-6)
    held = 1.0
    try:
        augmentation.solve(sled(mu, normal, pull=1.001 * limit), [1.0, 2.0], newton.Control(max_cutbacks=1))
    except newton.NotConverged:
        held = 0.0
    yield Row("equilibrium exists at 1.001 of the limit (0: none)", 0.0, held, 0.0)
    found = augmentation.solve(sled(mu, normal, shift=0.6), [1.0, *np.linspace(1.25, 2.0, 4)])
    for time, at_time in zip((1.25, 1.5, 1.75, 2.0), found.reports[1:], strict=True):
        force = at_time["touch"].force
        yield Row(f"drag at shift {0.6 * (time - 1):.2f} mm", -limit, float(force[0]), 1e-4)
        yield Row(f"normal force at shift {0.6 * (time - 1):.2f} mm", normal, float(force[2]), 1e-6)
