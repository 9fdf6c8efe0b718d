"""What must not matter: the units, the number of threads, an interruption."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np

from spinefix.analysis import nonlinear
from spinefix.analysis.nonlinear import Step
from spinefix.fem import augmentation, newton
from spinefix.fem.contact import Interface
from spinefix.fem.substructures import STRATEGIES
from spinefix.mesh.core import F64
from spinefix.model.core import LoadCase
from spinefix.verification.bodies import FINITE, body_problem, finite_group
from spinefix.verification.ladder import Row, largest, rung
from spinefix.verification.meshes import distorted, roughened, solid_box
from spinefix.verification.models import in_units, sandwich
from spinefix.verification.rungs.contacts import stacked
from spinefix.verification.small import SMALL, isotropic, small_group, stiffness


@rung("Unit systems", "the same problem in newton and millimetre, kilonewton and metre")
def units() -> Iterator[Row]:
    """A soft layer between stiff parts under force and moment, by every strategy; contact; stiffness matrices.

    Direct solvers round as the addresses of their arrays have it, so the same numbers need not give the same digits
    twice. Newton's method does not mind. BFGS amplifies round-off (of its 50 iterations, those after the tenth share no
    digit when one number is rounded otherwise), so only its answer is compared; Krylov iterations may stop a step
    earlier or later: their count is held to a tenth.
    """
    model, top = sandwich()
    push, turn = np.array([0.0, 0.0, -1.0]), np.array([0.0, 50.0, 0.0])
    n = model.mesh.n_points
    for strategy in STRATEGIES:
        control = newton.Control(strategy=strategy, max_iterations=60)
        case = LoadCase("both", forces={top: push}, moments={top: turn})
        thin = LoadCase("both", forces={top: 1e-3 * push}, moments={top: 1e-6 * turn})
        a = nonlinear.solve(model, [Step("both", case)], control=control)
        b = nonlinear.solve(in_units(model, 1e-3, 1e-3), [Step("both", thin)], control=control)
        gap = max(_gap(a.u[0, :n], 1e3 * b.u[0, :n]), _gap(a.u[0, n:], b.u[0, n:]))
        yield Row(f"displacement, {strategy}", 0.0, gap, 1e-8 if strategy == "bfgs" else 1e-9)
        counts = [sum(t.iterations for t in s.history) for s in (a, b)]
        if strategy != "bfgs":
            yield Row(f"iterations, {strategy}", counts[0], counts[1], 0.0 if strategy == "newton" else 0.1)
    runs = []
    for unit, stress in ((1.0, 1.0), (1e-3, 1e3)):  # MPa are kN / mm^2 / 1000 and kN / m^2 times 1000
        problem, _ = stacked((3, 3, 2), (2, 2, 2), E=(stress, 2 * stress), force=0.05 * stress, unit=unit)
        runs.append((unit, augmentation.solve(problem, [1.0])))
    (_, first), (small, other) = runs
    yield Row("displacement, contact", 0.0, _gap(_end(first), _end(other) / small), 1e-9)
    counts = [sum(t.iterations for t in r.path.history) for _, r in runs]
    yield Row("iterations, contact", counts[0], counts[1], 0.0)
    for kind, formulation in SMALL:
        points, conn = distorted(kind, divisions=(2, 2, 2), amount=0.06)
        K = stiffness(points, small_group(kind, formulation, conn, isotropic(50.0, 0.3)))
        L = stiffness(1e-3 * points, small_group(kind, formulation, conn, isotropic(5e4, 0.3)))
        yield largest(f"stiffness, {kind} {formulation}", (K - L).data, 1e-13, abs(K).max())


def _end(found: augmentation.Settled) -> F64:
    return found.path.increments[-1].x.u


def _gap(a: F64, b: F64) -> float:
    return float(np.abs(a - b).max() / np.abs(a).max())


@rung("Threads", "bitwise equality for one, two and three threads")
def threads() -> Iterator[Row]:
    """Force, tangent and history of solids with plasticity, and a solved increment, with Numba's threads and shares."""
    before = numba.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS
    for kind, formulation in FINITE:
        points, conn = solid_box(kind, divisions=(5, 4, 9) if kind == "hex8" else (2, 2, 3))
        points = roughened(points, conn, kind, 0.02)
        rng = np.random.default_rng(3)
        u = 0.1 * points @ rng.uniform(-1, 1, (3, 3)) + 0.004 * rng.uniform(-1, 1, points.shape)
        u *= points[:, 2:]  # grows from the clamp
        fixed = np.repeat((points[:, 2] < 0.1)[:, None], 3, axis=1)
        out = []
        try:
            for count in (1, 2, 3):
                numba.set_num_threads(min(count, most))
                group = finite_group(kind, formulation, conn, "plastic_j2")
                problem = body_problem(points, [group], fixed, threads=count)
                x, states = problem.start()
                x = problem.moved(x, u.ravel()[problem.free])
                balance = problem.evaluate(x, 0.0, states)
                K = problem.tangent(x, 0.0, states).matrix
                out.append(np.concatenate([balance.residual, K.data, *(s.ravel() for s in _flat(balance.states))]))
        finally:
            numba.set_num_threads(before)
        different = sum(int((a != out[0]).sum()) for a in out[1:])
        yield Row(f"numbers that differ, {kind} {formulation}", 0.0, different, 0.0)


def _flat(states: tuple[tuple[F64, ...], ...]) -> list[F64]:
    return [array for state in states for array in state]


@rung("Restart", "the uninterrupted run")
def restart() -> Iterator[Row]:
    """Two steps, continued from the middle of the second; to round-off by Newton, who keeps no factorization.

    Not bitwise: direct solvers round as the addresses of their arrays have it.
    """
    model, top = sandwich()
    down = np.array([0.0, 0.0, -2.0])
    bent = LoadCase("bend", forces={top: down}, moments={top: np.array([30.0, 60.0, 0.0])})
    steps = [Step("press", LoadCase("press", forces={top: down})), Step("bend", bent, factors=(0.5, 1.0))]
    for strategy, tolerance in (("newton", 1e-12), ("krylov", 1e-8)):
        control = newton.Control(strategy=strategy)
        whole = nonlinear.solve(model, steps, control=control)
        rest = nonlinear.solve(model, steps, control=control, start=whole.increments[1])
        yield Row(f"displacement, {strategy}", 0.0, _gap(whole.u[-1], rest.u[-1]), tolerance)
    problem, _ = stacked((3, 3, 2), (2, 2, 2), Interface("friction", 0.3))
    control = newton.Control(strategy="newton")
    once = augmentation.solve(problem, [0.5, 1.0], control)
    again = augmentation.solve(problem, [1.0], control, start=once.path.increments[0])
    yield Row("displacement, contact with friction", 0.0, _gap(_end(once), _end(again)), 1e-11)
