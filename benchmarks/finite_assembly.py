"""Time finite-strain assembly of 100k hex8; print JSON.

    python benchmarks/finite_assembly.py [--cells-per-side 47] [--repeats 3] [--threads 2]

Wall time tells what a user waits for; processor time, of one thread, is nearly free of what else the machine does. For
scale: the time to write the matrix values once to memory (a limit that no assembly can beat), the linear elements on
the same mesh, and felupe where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import numba
import numpy as np

from spinefix import materials
from spinefix.fem.assembly import SolidGroup, assemble
from spinefix.fem.finite import FiniteGroup, FiniteState, assemble_finite, finite_stress, internal_force
from spinefix.fem.pattern import BlockPattern
from spinefix.materials.finite import FINITE_LAWS, parameter_rows
from spinefix.mesh.generate import box

CASES = {
    "neo_hookean": ("standard", "neo_hookean", {"mu_MPa": 1.0, "K_MPa": 20.0}),
    "neo_hookean_mean_dilatation": ("mean_dilatation", "neo_hookean", {"mu_MPa": 1.0, "K_MPa": 2000.0}),
    "holzapfel_two_families": (
        "mean_dilatation",
        "holzapfel_gasser_ogden",
        {"C10_MPa": 0.2, "K_MPa": 200.0, "k1_MPa": 2.0, "k2": 10.0, "kappa": 0.1},
    ),
    "plastic_j2": ("mean_dilatation", "plastic_j2", {"E_MPa": 110e3, "nu": 0.3, "yield_MPa": 800.0}),
    "corotational": ("corotational", "hencky", {"E_MPa": 12e3, "nu": 0.3}),
}
"""Formulation, law and numbers of the order of tissue and titanium; timing only."""


def best(function: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """Least time of several calls [s], after one call that compiles."""
    function()
    times = []
    for _ in range(repeats):
        began = clock()
        function()
        times.append(clock() - began)
    return min(times)


def times(side: int, repeats: int, threads: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds by case."""
    mesh = box((1.0, 1.0, 1.0), (side,) * 3)
    conn, points = mesh.blocks[0].conn, mesh.points
    n = len(conn)
    u = 0.02 / side * np.random.default_rng(0).uniform(-1, 1, points.shape)
    pattern = BlockPattern.build(len(points), [conn], threads=threads)
    data, force = np.empty((len(pattern.indices), 3, 3)), np.empty((len(points), 3))
    out = {"limit_write_values": best(lambda: data.fill(0.0), repeats, clock)}
    D = materials.elasticity("isotropic", {"E_MPa": 1000.0, "nu": 0.3})
    linear = SolidGroup("hex8", "standard", np.arange(n), conn, D, np.zeros(n, np.int32), np.ones((n, 8)))
    index = np.full(len(points), -1, np.int32)
    out["linear_standard"] = best(lambda: assemble(points, [linear], [], index, pattern=pattern), repeats, clock)
    for name, (formulation, law_name, numbers) in CASES.items():
        law = FINITE_LAWS[law_name]
        axes = np.tile(np.eye(3)[:2], (n, 1, 1)) if law.axes != "none" else np.zeros((n, 0, 3))
        g = FiniteGroup(
            "hex8", formulation, np.arange(n), conn, law, parameter_rows(law, [numbers]), np.zeros(n, np.int32), axes,
            np.ones((n, 8)),
        )  # fmt: skip
        s = FiniteState.virgin(g)
        whole = partial(assemble_finite, points, [g], u, [s], pattern, data, force)
        out[name] = best(whole, repeats, clock)
        out[f"{name}_force_only"] = best(partial(internal_force, points, [g], u, [s], pattern, force), repeats, clock)
        out[f"{name}_stress"] = best(partial(finite_stress, points, g, u, s), repeats, clock)
    return out


def felupe_time(side: int, repeats: int) -> float | None:
    """Seconds of felupe for residual and tangent of neo-Hookean hex8, None where it is not installed."""
    if importlib.util.find_spec("felupe") is None:
        return None
    import felupe

    mesh = felupe.Cube(n=side + 1)
    field = felupe.FieldContainer([felupe.Field(felupe.RegionHexahedron(mesh), dim=3)])
    field[0].values += 0.02 / side * np.random.default_rng(0).uniform(-1, 1, mesh.points.shape)
    body = felupe.SolidBody(felupe.NeoHooke(mu=1.0, bulk=20.0), field)
    return best(lambda: (body.assemble.vector(), body.assemble.matrix()), repeats, time.perf_counter)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells-per-side", type=int, default=47)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=numba.get_num_threads())
    options = parser.parse_args()
    side, cells = options.cells_per_side, options.cells_per_side**3
    wall = times(side, options.repeats, options.threads, time.perf_counter)
    processor = times(side, options.repeats, 1, time.process_time)
    felupe = felupe_time(side, options.repeats)
    report = {
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{p: version(p) for p in ("numpy", "scipy", "numba")}},
        "threads": options.threads,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "hex8": cells,
        "wall_ms_per_100k_hex8": {k: round(v * 1e8 / cells, 1) for k, v in wall.items()},
        "processor_ms_per_100k_hex8": {k: round(v * 1e8 / cells, 1) for k, v in processor.items()},
        "wall_ratio_to_limit": {k: round(v / wall["limit_write_values"], 1) for k, v in wall.items()},
        "processor_ratio_to_linear": {k: round(v / processor["linear_standard"], 2) for k, v in processor.items()},
        "felupe_seconds": felupe,
        "felupe_over_spinefix": None if felupe is None else round(felupe / wall["neo_hookean"], 1),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
