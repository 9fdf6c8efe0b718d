"""Solve a case with felupe and pypardiso: python run_felupe.py case.npz answer.npy [parallel=1] [tolerance=1e-8]."""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter()

import felupe  # noqa: E402
import numpy as np  # noqa: E402
import pypardiso  # noqa: E402
from clock import arguments, finish  # noqa: E402
from problems import Case  # noqa: E402


def main() -> None:
    """Solve and report."""
    path, answer, options = arguments(sys.argv)
    case = Case.load(path)
    parallel = options.get("parallel", "1") == "1"
    tolerance = float(options.get("tolerance", "1e-8"))
    ready = time.perf_counter()
    field, bodies = solids(case, parallel)
    loaded = np.flatnonzero(case.force.any(axis=1))
    load = felupe.PointLoad(field, loaded, values=np.zeros((len(loaded), 3)))
    held = np.zeros(case.points.size, bool)
    held[case.fixed] = True
    dof0, dof1 = np.flatnonzero(held), np.flatnonzero(~held)
    motion = np.zeros(case.points.size)
    motion[case.fixed] = case.motion
    items = [*bodies, *([load] if len(loaded) else [])]
    iterations = []
    for k in range(case.increments):
        part = (k + 1.0) / case.increments
        load.update(part * case.force[loaded])
        result = felupe.newtonraphson(
            x0=field, items=items, dof0=dof0, dof1=dof1, ext0=part * motion[dof0], solver=pypardiso.spsolve,
            tol=tolerance, kwargs={"parallel": parallel}, verbose=0,
        )  # fmt: skip
        iterations.append(int(result.iterations))
    finish(answer, field[0].values.copy(), BEGAN, ready, iterations=iterations, version=felupe.__version__)


def solids(case: Case, parallel: bool) -> tuple[felupe.FieldContainer, list[felupe.SolidBody]]:
    """Return the field of all points and one body per material."""
    whole = felupe.Mesh(case.points, case.conn, "hexahedron")
    field = felupe.FieldContainer([felupe.Field(felupe.RegionHexahedron(whole), dim=3)])
    bodies = []
    for i, (mu, K) in enumerate(zip(case.mu, case.K, strict=True)):
        own = field
        if len(case.mu) > 1:
            part = felupe.Mesh(case.points, case.conn[case.material == i], "hexahedron")
            own = felupe.FieldContainer([felupe.Field(felupe.RegionHexahedron(part), dim=3)])
        bodies.append(felupe.SolidBody(felupe.NeoHooke(mu=float(mu), bulk=float(K), parallel=parallel), own))
    return field, bodies


if __name__ == "__main__":
    main()
