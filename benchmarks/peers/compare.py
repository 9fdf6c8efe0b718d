"""Compare speed, memory and answers with peers; one command, under ten minutes on a quiet machine of two cores:

    python benchmarks/peers/compare.py --out benchmarks/results/speed_peers.json

Needs CalculiX (Debian: calculix-ccx) and, in the Python that runs this, felupe, sfepy, scikit-fem and pypardiso beside
spinefix (benchmarks/peers/README.md). A code that is missing is left out, and the result says so. Every run is a
process of its own; each code runs once before it is measured, so compiled kernels and files are at hand. Rounds
alternate between the codes, and ratios are taken within a round, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from problems import column, cube

HERE = Path(__file__).resolve().parent
PEERS = {"calculix": None, "felupe": "felupe", "sfepy": "sfepy", "scikit-fem": "skfem"}
ONCE = ("sfepy", "scikit-fem")
"""Slow ones, measured in the first round only."""


def run(arguments: list[str], threads: int) -> dict[str, Any]:
    """Run a script of this folder; return what it printed, with wall and processor seconds and greatest memory."""
    env = os.environ | {
        name: str(threads)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    }
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen([sys.executable, *arguments], cwd=HERE, env=env, stdout=out, stderr=errors, text=True)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = out.read().splitlines()
        if child.returncode:
            errors.seek(0)
            return {"failed": (errors.read().splitlines() or ["no message"])[-1]}
    report: dict[str, Any] = json.loads(lines[-1])
    report |= {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_MB": usage.ru_maxrss / 1024.0}
    if "process_s" in report:  # CalculiX without the script that writes its deck
        report["wall_s"] = report["process_s"]
    return report


def present() -> list[str]:
    """Return the codes that can be run here."""
    have = ["spinefix"]
    for name, module in PEERS.items():
        found = shutil.which("ccx") if module is None else importlib.util.find_spec(module)
        have += [name] if found else []
    return have


def ratios(rounds: list[dict[str, dict[str, Any]]], key: str) -> dict[str, float]:
    """Median over the rounds of the peers' figure over ours."""
    out = {}
    for name in rounds[0]:
        both = [r for r in rounds if name in r and key in r[name] and key in r["spinefix"]]
        if name != "spinefix" and both:
            out[name] = round(statistics.median(r[name][key] / r["spinefix"][key] for r in both), 2)
    return out


def figures(rounds: list[dict[str, dict[str, Any]]], keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Median figures of each code, and what its first run said."""
    out: dict[str, dict[str, Any]] = {}
    for name in rounds[0]:
        runs = [r[name] for r in rounds if name in r]
        out[name] = dict(runs[0]) | {
            k: round(statistics.median(r[k] for r in runs), 4) for k in keys if all(k in r for r in runs)
        }
        out[name]["runs"] = len(runs)
    return out


def solves(name: str, case: Path, options: argparse.Namespace, codes: list[str]) -> dict[str, Any]:
    """Whole solves of one case by all codes."""
    rounds: list[dict[str, dict[str, Any]]] = []
    answers = {code: case.with_name(f"{name}.{code}.npy") for code in codes}
    arguments = {
        code: [
            f"run_{code}.py", str(case), str(answers[code]), f"threads={options.threads}",
            f"parallel={int(options.threads > 1)}", f"tolerance={options.tolerance}",
        ]
        for code in codes
    }  # fmt: skip
    for i in range(options.rounds):
        rounds.append({})
        for code in codes:
            if i == 0 or code not in ONCE:
                rounds[-1][code] = run(arguments[code], options.threads)
                told = rounds[-1][code]
                print(name, code, told.get("failed") or f"{told['wall_s']:.2f} s", flush=True)
    ours = np.load(answers["spinefix"])
    found = figures(rounds, ("wall_s", "cpu_s", "import_s", "solve_s", "peak_MB"))
    for code in codes:
        if "failed" not in found[code]:
            found[code]["difference"] = float(np.abs(np.load(answers[code]) - ours).max() / np.abs(ours).max())
    return {
        "codes": found,
        "times_spinefix": {k: ratios(rounds, k) for k in ("wall_s", "cpu_s", "solve_s", "peak_MB")},
        "largest_displacement_mm": float(np.abs(ours).max()),
    }


def assemblies(options: argparse.Namespace, codes: list[str]) -> dict[str, Any]:
    """Tangents of one mesh by all codes, by their best number of threads, and the limits of the memory."""
    rounds: list[dict[str, dict[str, Any]]] = []
    for i in range(options.rounds):
        rounds.append({})
        for code in codes:
            if code == "calculix" or (i > 0 and code in ONCE):
                continue
            counts = (1, options.threads) if code in ("spinefix", "felupe") and options.threads > 1 else (1,)
            tried = {n: run(["assemble.py", code, str(options.side), "3", str(n)], n) for n in counts}
            tried = {n: r for n, r in tried.items() if "failed" not in r}
            if not tried:
                continue
            best = min(tried, key=lambda n: tried[n]["seconds"])
            one = tried[1]["cpu_seconds"] if 1 in tried else float("nan")
            rounds[-1][code] = tried[best] | {"threads": best, "cpu_seconds": one}
            print("assembly", code, f"{tried[best]['seconds']:.3f} s", flush=True)
    limit = run(["assemble.py", "limit", str(options.side), "5", "1"], 1)
    found = figures(rounds, ("seconds", "cpu_seconds", "peak_MB"))
    for told in found.values():
        told["us_per_hex8"] = round(1e6 * told["seconds"] / told["hex8"], 3)
        told["times_writing_the_values"] = round(told["seconds"] / limit["write_values_s"], 1)
    return {
        "codes": found,
        "times_spinefix": {k: ratios(rounds, k) for k in ("seconds", "cpu_seconds", "peak_MB")},
        "limit": limit,
    }


def machine() -> dict[str, Any]:
    """Return what a reader needs to know about the machine."""
    cpu = Path("/proc/cpuinfo")
    model = next((s for s in cpu.read_text().splitlines() if s.startswith("model name")), ":") if cpu.exists() else ":"
    packages = ("spinefix", "numpy", "scipy", "numba", "mkl", "pypardiso", "felupe", "sfepy", "scikit-fem")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "missing"
    return {
        "processor": model.split(":")[1].strip() or platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_before": os.getloadavg(),
        "versions": versions,
    }


def main() -> None:
    """Run all and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tolerance", default="1e-8", help="relative residual; CalculiX has 1e-6 of the average force")
    parser.add_argument("--cube", type=int, default=20, help="cells per side")
    parser.add_argument("--column", type=int, default=12, help="cells across")
    parser.add_argument("--side", type=int, default=40, help="cells per side of the cube that is assembled")
    parser.add_argument("--codes", nargs="*", help="all that are installed by default")
    options = parser.parse_args()
    codes = [c for c in present() if not options.codes or c in ("spinefix", *options.codes)]
    report: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/peers/compare.py", *sys.argv[1:]]),
        "machine": machine(),
        "threads": options.threads,
        "missing": [c for c in ("spinefix", *PEERS) if c not in present()],
        "warm": "every code ran before it was measured; kernels of spinefix were compiled and cached",
        "relative_residual": options.tolerance,
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, case in (("cube", cube(options.cube)), ("column", column(options.column))):
            path = Path(folder) / f"{name}.npz"
            case.save(path)
            solvers = [c for c in codes if c != "scikit-fem"]
            small = Path(folder) / "small.npz"  # what warms up: same laws, same elements
            (cube(3) if name == "cube" else column(6, increments=1, moment=10.0)).save(small)
            for code in solvers:
                run([f"run_{code}.py", str(small), str(small.with_suffix(".npy"))], options.threads)
            report[name] = {"unknowns": case.unknowns, "hex8": len(case.conn), "increments": case.increments}
            report[name] |= solves(name, path, options, solvers)
    report["assembly"] = assemblies(options, codes)
    report["machine"]["load_average_after"] = os.getloadavg()
    report["seconds"] = round(time.perf_counter() - BEGAN, 1)
    text = json.dumps(report, indent=2) + "\n"
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    for name in ("cube", "column", "assembly"):
        print(name, "times spinefix:", json.dumps(report[name]["times_spinefix"]))


if __name__ == "__main__":
    BEGAN = time.perf_counter()
    main()
