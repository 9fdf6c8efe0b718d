"""Time the tangent of one code: python assemble.py code side repeats threads; prints JSON.

Neo-Hookean hex8 in a cube, residual and full matrix; the least of several calls after one that warms up.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from problems import Case, cube

SIDE = 40


def best(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Least wall time and least processor time of several calls [s]."""
    function()
    wall, processor = [], []
    for _ in range(repeats):
        a, b = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - a)
        processor.append(time.process_time() - b)
    return min(wall), min(processor)


def displacements(case: Case) -> np.ndarray:
    """Return small random displacements (n, 3) [mm]."""
    size = 20.0 / round(len(case.conn) ** (1.0 / 3.0))
    return 0.02 * size * np.random.default_rng(0).uniform(-1.0, 1.0, case.points.shape)


def spinefix(case: Case, threads: int) -> Callable[[], object]:
    """Residual and tangent in the kept block pattern."""
    from spinefix.fem.finite import assemble_finite
    from spinefix.fem.finite_groups import FiniteGroup, FiniteState
    from spinefix.fem.pattern import BlockPattern
    from spinefix.materials.finite import FINITE_LAWS, parameter_rows

    law = FINITE_LAWS["neo_hookean"]
    rows = parameter_rows(law, [{"mu_MPa": case.mu[0], "K_MPa": case.K[0], "volumetric": "quadratic"}])
    e = len(case.conn)
    group = FiniteGroup(
        "hex8", "standard", np.arange(e), case.conn, law, rows, np.zeros(e, np.int32), np.zeros((e, 0, 3)),
        np.ones((e, 8)),
    )  # fmt: skip
    state = FiniteState.virgin(group)
    pattern = BlockPattern.build(len(case.points), [case.conn], threads=threads)
    data, force = np.empty((len(pattern.indices), 3, 3)), np.empty((len(case.points), 3))
    u = displacements(case)
    return lambda: assemble_finite(case.points, [group], u, [state], pattern, data, force)


def felupe(case: Case, threads: int) -> Callable[[], object]:
    """SolidBody with the law and the assembly in threads."""
    import felupe

    parallel = threads > 1
    mesh = felupe.Mesh(case.points, case.conn, "hexahedron")
    field = felupe.FieldContainer([felupe.Field(felupe.RegionHexahedron(mesh), dim=3)])
    field[0].values += displacements(case)
    law = felupe.NeoHooke(mu=float(case.mu[0]), bulk=float(case.K[0]), parallel=parallel)
    body = felupe.SolidBody(law, field)
    return lambda: (body.assemble.vector(parallel=parallel), body.assemble.matrix(parallel=parallel))


def sfepy(case: Case, threads: int) -> Callable[[], object]:
    """Two terms, shear and volume, in a matrix whose pattern is kept."""
    from run_sfepy import Balance

    balance = Balance(case)
    full = displacements(case).ravel()
    full[case.fixed] = 0.0
    return lambda: (balance.residual(full), balance.tangent(full))


def skfem(case: Case, threads: int) -> Callable[[], object]:
    """Forms written with its helpers, as in its hyperelastic example."""
    import skfem
    from skfem.helpers import ddot, det, grad, identity, inv, mul, trace, transpose

    order = [0, 1, 3, 4, 2, 5, 7, 6]  # MeshHex numbers its corners otherwise
    mesh = skfem.MeshHex(np.ascontiguousarray(case.points.T), np.ascontiguousarray(case.conn.T[order]))
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex1()), intorder=2)
    mu, K = float(case.mu[0]), float(case.K[0])
    u = displacements(case).ravel()

    @skfem.LinearForm
    def residual(v, w):
        F = grad(w["u"]) + identity(grad(w["u"]))
        J, T = det(F), transpose(inv(F))
        P = mu * J ** (-2.0 / 3.0) * (F - ddot(F, F) / 3.0 * T) + K * (J - 1.0) * J * T
        return ddot(P, grad(v))

    @skfem.BilinearForm
    def tangent(du, v, w):
        F = grad(w["u"]) + identity(grad(w["u"]))
        dF, J, G = grad(du), det(F), inv(F)
        T, GdF = transpose(G), trace(mul(G, dF))
        dT = -transpose(mul(G, mul(dF, G)))
        I1 = ddot(F, F)
        shear = mu * J ** (-2.0 / 3.0)
        dP = shear * (dF - 2.0 / 3.0 * ddot(F, dF) * T - I1 / 3.0 * dT - 2.0 / 3.0 * GdF * (F - I1 / 3.0 * T)) + K * (
            (2.0 * J - 1.0) * J * GdF * T + (J - 1.0) * J * dT
        )
        return ddot(dP, grad(v))

    field = basis.interpolate(u)
    return lambda: (residual.assemble(basis, u=field), tangent.assemble(basis, u=field))


CODES = {"spinefix": spinefix, "felupe": felupe, "sfepy": sfepy, "scikit-fem": skfem}


def limit(case: Case, repeats: int) -> dict[str, float]:
    """Streaming rates [GB/s] of one thread and the time [s] to write the matrix values once."""
    n = 20_000_000
    a, b = np.zeros(n), np.ones(n)
    copy = best(lambda: np.copyto(a, b), repeats)
    blocks = 27 * len(case.points)
    values = np.empty(9 * blocks)
    fill = best(lambda: values.fill(0.0), repeats)
    return {"copy_GB_per_s": 16e-9 * n / copy[0], "write_values_s": fill[0], "write_values_cpu_s": fill[1]}


def main() -> None:
    """Time one code."""
    name, side, repeats, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    case = cube(side)
    report: dict[str, object] = {"code": name, "hex8": len(case.conn)}
    if name == "limit":
        report |= limit(case, repeats)
    else:
        wall, processor = best(CODES[name](case, threads), repeats)
        report |= {"seconds": wall, "cpu_seconds": processor, "version": importlib.metadata.version(name)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
