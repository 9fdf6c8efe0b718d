"""Measure the mesh error of every stiffness ratio of a scenario: its middle mesh against its fine one.

Usage: python benchmarks/mesh_error.py [SCENARIO] [--json FILE]

Solves the coarse, the middle and the fine mesh of the scenario (default: l3_lytic), each in a process of its own so
that its peak memory can be told, and applies the mesh check of `spinefix run`: ``fine`` measures the error of the
middle mesh, ``coarse`` is the estimate that a run prints by default. Writes the ratios, errors, seconds, peak memory,
machine and versions as JSON and prints them as a table. Ends with 1 if an error exceeds five percent.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

from spinefix.anatomy.builder import REFINEMENTS
from spinefix.results import provenance
from spinefix.scenario.loader import load_study
from spinefix.scenario.schema import Study
from spinefix.study.mesh_error import add_mesh_error
from spinefix.study.outcome import ArmOutcome
from spinefix.study.run import solve_comparison

SCENARIO = Path(__file__).parents[1] / "scenarios" / "l3_lytic.yaml"
RESULTS = Path(__file__).parent / "results" / "mesh_error.json"
TOLERANCE = 5.0
"""Largest error of a ratio [%]."""
PAIRS = {"flexion, extension": "flexion", "lateral": "lateral_left", "axial": "axial_left"}
"""Columns of the table, each with the direction that it starts with: the linear law is the same both ways."""


def solve_mesh(scenario: Path, n: int) -> dict[str, Any]:
    """Solve all arms on one mesh: rows of the comparison, size, seconds and peak memory [GB = 1e9 bytes]."""
    start = time.perf_counter()
    outcomes = solve_comparison(load_study(scenario).with_refinement(n))
    failed = [f"{o.name}: {o.error}" for o in outcomes if o.error]
    if failed:
        raise RuntimeError("; ".join(failed))
    intact = outcomes[0].record
    return {
        "n": n,
        "hexahedra": intact["elements"]["hex8"],
        "nodes": intact["nodes"],
        "seconds": round(time.perf_counter() - start, 1),
        "peak_memory_GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
        "solver": intact["solver"],
        "rows": [row for o in outcomes for row in o.comparison],
    }


def outcomes_of(mesh: dict[str, Any]) -> list[ArmOutcome]:
    """The rows of a solved mesh by arm, as a run has them."""
    names = dict.fromkeys(row["arm"] for row in mesh["rows"])
    return [ArmOutcome(name, [dict(r) for r in mesh["rows"] if r["arm"] == name]) for name in names]


def errors(study: Study, middle: dict[str, Any], other: dict[str, Any], check: str) -> dict[tuple[str, str], float]:
    """Mesh error [%] of every ratio of the middle mesh by the given check of `spinefix run`."""
    asked = study.model_copy(update={"outputs": study.outputs.model_copy(update={"mesh_check": check})})
    outcomes = outcomes_of(middle)
    add_mesh_error(asked, outcomes, lambda _: outcomes_of(other))
    return {(str(r["arm"]), str(r["case"])): cast(float, r["mesh_error_pct"]) for o in outcomes for r in o.comparison}


def compare(scenario: Path) -> dict[str, Any]:
    """Solve the three meshes one after the other and compare their ratios."""
    study = load_study(scenario)
    meshes = {}
    for name, n in REFINEMENTS.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            meshes[name] = alone.submit(solve_mesh, scenario, n).result()
        print({k: v for k, v in meshes[name].items() if k != "rows"}, file=sys.stderr, flush=True)
    measured = errors(study, meshes["middle"], meshes["fine"], "fine")
    estimated = errors(study, meshes["middle"], meshes["coarse"], "coarse")
    key = "stiffness_ratio_to_intact"
    ratio = {name: {(r["arm"], r["case"]): r for r in mesh.pop("rows")} for name, mesh in meshes.items()}
    return {
        "created": provenance.now(),
        "command": "python benchmarks/mesh_error.py",
        "scenario": study.name,
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "machine": provenance.machine(),
        "meshes": meshes,
        "ratios": [
            {
                "arm": arm,
                "direction": direction,
                **{name: ratio[name][arm, direction][key] for name in meshes},
                "middle_rom_deg": ratio["middle"][arm, direction]["rom_deg"],
                "fine_rom_deg": ratio["fine"][arm, direction]["rom_deg"],
                "error_pct": error,
                "estimate_pct": estimated[arm, direction],
            }
            for (arm, direction), error in measured.items()
        ],
    }


def table(record: dict[str, Any], column: str) -> Iterable[str]:
    """Lines of a Markdown table: the ratios of the middle mesh with one of their errors."""
    found = {(r["arm"], r["direction"]): r for r in record["ratios"]}
    yield f"| arm | {' | '.join(PAIRS)} |"
    yield "|---|" + "---|" * len(PAIRS)
    for arm in dict.fromkeys(arm for arm, _ in found if arm != "intact"):
        cells = (found[arm, direction] for direction in PAIRS.values())
        yield f"| {arm} | " + " | ".join(f"{c['middle']:.3f} ({c[column]:.1f} %)" for c in cells) + " |"


def sizes(record: dict[str, Any]) -> Iterable[str]:
    """Lines of a Markdown table: what each mesh costs, all arms and load cases together."""
    yield "| mesh | n | hexahedra | unknowns | seconds | peak memory [GB] |"
    yield "|---|---|---|---|---|---|"
    for name, m in record["meshes"].items():
        row = (name, m["n"], m["hexahedra"], 3 * m["nodes"], round(m["seconds"]), m["peak_memory_GB"])
        yield "| " + " | ".join(str(value) for value in row) + " |"


def main() -> int:
    """Compare, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", type=Path, default=SCENARIO)
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    record = compare(args.scenario)
    args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("\n".join([*sizes(record), "", "measured against the fine mesh:", "", *table(record, "error_pct")]))
    print("\n".join(["", "estimated from the coarse mesh:", "", *table(record, "estimate_pct")]))
    return int(max(r["error_pct"] for r in record["ratios"]) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
