"""Solve a case with sfepy and pypardiso: python run_sfepy.py case.npz answer.npy [tolerance=1e-8].

sfepy brings elements, laws and assembly; Newton's loop stands here because the one of sfepy stops by absolute norms.
"""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter()

import numpy as np  # noqa: E402
import pypardiso  # noqa: E402
import sfepy  # noqa: E402
from clock import arguments, finish  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from problems import Case  # noqa: E402
from sfepy.base.base import output  # noqa: E402
from sfepy.discrete import Equation, Equations, FieldVariable, Function, Integral, Material, Problem  # noqa: E402
from sfepy.discrete.conditions import Conditions, EssentialBC  # noqa: E402
from sfepy.discrete.fem import FEDomain, Field, Mesh  # noqa: E402
from sfepy.terms import Term  # noqa: E402

output.set_output(quiet=True)


class Balance:
    """Residual and tangent of a case on the free dofs."""

    def __init__(self, case: Case) -> None:
        mesh = Mesh.from_data("m", case.points, None, [case.conn], [np.zeros(len(case.conn), np.int32)], ["3_8"])
        domain = FEDomain("d", mesh)
        omega = domain.create_region("Omega", "all")
        held = ", ".join(map(str, np.unique(case.fixed // 3)))
        support = domain.create_region("Held", f"vertex {held}", "vertex")
        field = Field.from_args("u", np.float64, "vector", omega, approx_order=1)
        u = FieldVariable("u", "unknown", field)
        v = FieldVariable("v", "test", field, primary_var_name="u")

        def values(ts, coors, mode=None, **_):
            if mode != "qp":
                return None
            points = len(coors) // len(case.conn)
            row = np.repeat(case.material, points)
            return {"mu": case.mu[row].reshape(-1, 1, 1), "K": case.K[row].reshape(-1, 1, 1)}

        m, integral = Material("m", function=Function("values", values)), Integral("i", order=2)
        shear = Term.new("dw_tl_he_neohook(m.mu, v, u)", integral, omega, m=m, v=v, u=u)
        bulk = Term.new("dw_tl_bulk_penalty(m.K, v, u)", integral, omega, m=m, v=v, u=u)
        self.problem = Problem("p", equations=Equations([Equation("balance", shear + bulk)]))
        self.problem.set_bcs(ebcs=Conditions([EssentialBC("held", support, {"u.all": 0.0})]))
        self.problem.time_update()
        self.problem.update_materials()
        self.problem.get_initial_state()
        self.free = u.eq_map.eqi

    def residual(self, full: NDArray[np.float64]) -> NDArray[np.float64]:
        """Internal forces on the free dofs."""
        return self.problem.equations.eval_residuals(full)

    def tangent(self, full: NDArray[np.float64]):
        """Tangent on the free dofs."""
        return self.problem.equations.eval_tangent_matrices(full, self.problem.mtx_a)


def main() -> None:
    """Solve and report."""
    path, answer, options = arguments(sys.argv)
    tolerance = float(options.get("tolerance", "1e-8"))
    case = Case.load(path)
    ready = time.perf_counter()
    balance = Balance(case)
    free, force = balance.free, case.force.ravel()
    full = np.zeros(case.points.size)
    if case.motion.any():  # the first guess: the motion spread evenly along z
        part = case.points / np.ptp(case.points, axis=0)
        full = (part[:, 2:] * case.motion.reshape(-1, 3)[-1] / case.increments).ravel()
    iterations = []
    for k in range(case.increments):
        load = (k + 1.0) / case.increments
        full[case.fixed] = load * case.motion
        scale = float(np.abs(force).max())
        for count in range(30):
            r = balance.residual(full) - load * force[free]
            scale = max(scale, float(np.abs(r).max()) if count == 0 and not force.any() else 0.0)
            if np.abs(r).max() <= tolerance * scale:
                break
            full[free] -= pypardiso.spsolve(balance.tangent(full).tocsr(), r)
        else:
            raise SystemExit(f"no equilibrium at load {load:g}")
        iterations.append(count)
        if not force.any():
            full *= (k + 2.0) / (k + 1.0) if k + 1 < case.increments else 1.0
    finish(answer, full.reshape(-1, 3), BEGAN, ready, iterations=iterations, version=sfepy.__version__)


if __name__ == "__main__":
    main()
