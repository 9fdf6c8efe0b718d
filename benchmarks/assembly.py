"""Time the pattern, the assembly and stress recovery of 100k hex8; print JSON.

    python benchmarks/assembly.py [--cells-per-side 47] [--repeats 5]

For scale, the time to write the matrix values once to memory (a limit that no assembly can beat), and felupe on
the same mesh where it is installed.
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
import scipy.sparse as sp

from spinefix import materials
from spinefix.fem import assembly, recover
from spinefix.fem.pattern import BlockPattern
from spinefix.mesh.generate import box

FORMULATIONS = ("standard", "bbar", "incompatible")


def best(function: Callable[[], object], repeats: int) -> float:
    """Least wall time of several calls [s], after one call that compiles."""
    function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def spinefix_times(side: int, repeats: int) -> dict[str, float]:
    """Seconds by phase."""
    mesh = box((1.0, 1.0, 1.0), (side,) * 3)
    conn = mesh.blocks[0].conn
    n = len(conn)
    D = materials.elasticity("isotropic", {"E_MPa": 1000.0, "nu": 0.3})
    index = np.full(mesh.n_points, -1, np.int32)
    u = np.random.default_rng(0).normal(size=(mesh.n_points, 3))
    groups = {
        f: assembly.SolidGroup("hex8", f, np.arange(n), conn, D, np.zeros(n, np.int32), np.ones((n, 8)))
        for f in FORMULATIONS
    }

    def pattern() -> BlockPattern:
        return assembly.build_pattern(mesh.n_points, [groups["standard"]], [], index)

    once = pattern()

    def assemble(formulation: str) -> sp.bsr_array:
        return assembly.assemble(mesh.points, [groups[formulation]], [], index, pattern=once)

    K = assemble("standard")
    values = np.empty_like(K.data)
    out = {
        "limit_write_values": best(lambda: values.fill(0.0), repeats),
        "pattern": best(pattern, repeats),
        "block_to_csr": best(K.tocsr, repeats),
    }
    for f, g in groups.items():
        out[f"assemble_{f}"] = best(partial(assemble, f), repeats)
        out[f"stress_{f}"] = best(partial(recover.stress, mesh.points, g, u), repeats)
    return out


def felupe_time(side: int, repeats: int) -> float | None:
    """Seconds of felupe for the linear-elastic stiffness, None where it is not installed."""
    if importlib.util.find_spec("felupe") is None:
        return None
    import felupe

    mesh = felupe.Cube(n=side + 1)
    field = felupe.FieldContainer([felupe.Field(felupe.RegionHexahedron(mesh), dim=3)])
    body = felupe.SolidBody(felupe.LinearElastic(E=1000.0, nu=0.3), field)
    return best(lambda: body.assemble.matrix(), repeats)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells-per-side", type=int, default=47)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cells = options.cells_per_side**3
    times = spinefix_times(options.cells_per_side, options.repeats)
    felupe = felupe_time(options.cells_per_side, options.repeats)
    report = {
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{p: version(p) for p in ("numpy", "scipy", "numba")}},
        "threads": numba.get_num_threads(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "hex8": cells,
        "seconds": {k: round(v, 4) for k, v in times.items()},
        "seconds_per_100k_hex8": {k: round(v * 1e5 / cells, 4) for k, v in times.items()},
        "felupe_seconds": felupe,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
