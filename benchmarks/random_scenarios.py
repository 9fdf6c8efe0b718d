"""Run scenarios drawn at random over the whole schema and tell how many converge.

Run: python benchmarks/random_scenarios.py [--count 100] [--seed 1] [--resolution coarse]. Each scenario has one arm and
one load protocol with one direction; everything else is drawn: levels, tissues, lesions, construct, implants,
interfaces, loads, linear or nonlinear mechanics. Numbers come from the plausible ranges of the schema. A scenario that
contradicts itself (a prosthesis wider than the endplate, crossing screws) may be refused with exit code 2; all others
converge with exit code 0 or say where and why they have no solution with exit code 3. Anything else is a defect and
ends the script with exit code 1. The outcomes go to benchmarks/results/random_scenarios.json.
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from spinefix.errors import SpinefixError
from spinefix.scenario.schema import Study
from spinefix.study.run import run_study

LEVELS = ("L1", "L2", "L3", "L4", "L5")
TO_FILE = Path(__file__).parent / "results" / "random_scenarios.json"
REFUSED, CONVERGED, UNSOLVED = 2, 0, 3

Draw = dict[str, Any]


class Dice:
    """Draws of one scenario."""

    def __init__(self, seed: tuple[int, int]) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, *choices: Any) -> Any:
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, part: float) -> bool:
        """True in this part of the cases."""
        return bool(self.rng.random() < part)

    def between(self, low: float, high: float) -> float:
        """A number with three digits."""
        return float(f"{self.rng.uniform(low, high):.3g}")

    def run(self, names: tuple[str, ...], least: int, most: int) -> tuple[str, ...]:
        """Consecutive names."""
        n = int(self.rng.integers(least, most + 1))
        first = int(self.rng.integers(len(names) - n + 1))
        return names[first : first + n]


def scenario(dice: Dice, name: str, resolution: str) -> Draw:
    """Draw a scenario."""
    kind = dice.one("intact", "untreated", "posterior", "posterior", "anterior", "posterior_prosthesis", "combined")
    levels = dice.run(LEVELS, 3 if kind in ("anterior", "posterior_prosthesis", "combined") else 2, 5)
    nonlinear = dice.chance(0.7)
    inner = levels[1:-1] or levels
    diseased = dice.run(inner, 1, min(2, len(inner)))
    out: Draw = {
        "schema_version": 1,
        "name": name,
        "segment": {"kind": "spine", "levels": list(levels), "resolution": resolution},
        "tissues": dice.one("normal", "osteopenic", "osteoporotic"),
        "lesions": [lesion(dice, level) for level in diseased],
        "references": [kind] if kind in ("intact", "untreated") else [],
        "arms": {} if kind in ("intact", "untreated") else {"arm": construct(dice, kind, levels, diseased, nonlinear)},
        "loads": [load(dice, nonlinear)],
        "analysis": {"kind": "nonlinear" if nonlinear else "linear"},
        "outputs": {"vtu": False, "pictures": False, "mesh_check": "none"},
    }
    if nonlinear and dice.chance(0.15):
        out["analysis"] |= {"load_pct": [50, 100], "cycle": dice.one("load_unload", "full")}
    return out


def lesion(dice: Dice, level: str) -> Draw:
    """Draw a lesion."""
    out: Draw = {
        "level": level,
        "kind": dice.one("lytic", "lytic", "blastic"),
        "volume_pct": dice.between(5, 55),
        "centre_pct": [dice.between(35, 65) for _ in range(3)],
        "pedicle": dice.one("none", "none", "none", "left", "both"),
    }
    if dice.chance(0.3):
        out["cortical_breach"] = [dice.one("posterior", "anterior", "left", "right")]
    return out


def construct(dice: Dice, kind: str, levels: tuple[str, ...], diseased: tuple[str, ...], nonlinear: bool) -> Draw:
    """Draw a fixation of the levels beside the diseased ones."""
    first, last = levels.index(diseased[0]), levels.index(diseased[-1])
    around = [levels[max(first - 1, 0)], levels[min(last + 1, len(levels) - 1)]]
    if dice.chance(0.3):
        around = [*levels[max(first - 2, 0) : first], *levels[last + 1 : last + 3]] or around
    out: Draw = {"kind": kind}
    if kind != "posterior":
        interface = dice.one("bonded", "bonded", "no_tension", "friction") if nonlinear else "bonded"
        out["resect"] = list(diseased)
        out["prosthesis"] = {
            "material": dice.one("titanium_mesh", "alumina", "pmma", "peek"),
            "footprint": {"width_mm": dice.between(16, 30), "depth_mm": dice.between(16, 26)},
            "interface": interface,
        }
        if dice.chance(0.5):
            out["prosthesis"]["footprint"]["wall_mm"] = dice.between(1, 4)
    if kind != "anterior":
        out["screws"] = {
            "levels": sorted(set(around)),
            "diameter_mm": dice.between(4.5, 7.0),
            "interface": dice.one("normal", "osteopenic", "osteoporotic", "loose", "bonded"),
        }
        out["rods"] = {"diameter_mm": dice.between(4.75, 6.35), "material": dice.one("ti6al4v", "cocr", "peek")}
        if dice.chance(0.2):
            out["crosslinks"] = [{}]
    if kind in ("anterior", "combined"):
        out["plate"] = dice.one(
            {"kind": "rods", "side": dice.one("left", "right"), "diameter_mm": dice.between(4.75, 6.35)},
            {"kind": "plate", "side": dice.one("left", "right"), "thickness_mm": dice.between(2, 6)},
        )
    return out


def load(dice: Dice, nonlinear: bool) -> Draw:
    """Draw a load protocol."""
    kind = dice.one("pure_moment", "pure_moment", "pure_moment", "compression", "shear")
    if kind == "pure_moment":
        motion = dice.one("flexion", "extension", "lateral_left", "lateral_right", "axial_left", "axial_right")
        out: Draw = {"kind": kind, "directions": [motion], "moment_Nm": dice.between(0.5, 15)}
        if nonlinear and dice.chance(0.5):
            out["follower_N"] = dice.between(50, 1200)
        return out
    if kind == "compression":
        path = "follower" if nonlinear and dice.chance(0.7) else "straight"
        return {"kind": kind, "path": path, "force_N": dice.between(50, 1000 if path == "follower" else 200)}
    return {"kind": kind, "directions": [dice.one("anterior", "posterior")], "force_N": dice.between(20, 300)}


def outcome(data: Draw) -> tuple[int, str]:
    """Run a scenario: exit code, and what was said where it is not zero."""
    try:
        study = Study.model_validate(data)
    except ValueError as error:
        return REFUSED, str(error)
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = run_study(study, Path(f"{study.name}.yaml"), Path(folder) / "out")
        except SpinefixError as error:
            return error.exit_code, str(error)
    return run.exit_code, "; ".join(run.warnings) if run.exit_code else ""


def main() -> int:
    """Run all and print the rate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resolution", default="coarse")
    asked = parser.parse_args()
    rows = []
    for i in range(asked.first, asked.first + asked.count):
        data = scenario(Dice((asked.seed, i)), f"random_{i}", asked.resolution)
        began = time.perf_counter()
        code, said = outcome(data)
        seconds = time.perf_counter() - began
        what = next(iter(data["arms"].values()), {"kind": data["references"]})["kind"]
        print(f"{i:4d}  exit {code}  {seconds:6.1f} s  {data['analysis']['kind']:9s}  {what}  {said[:300]}", flush=True)
        rows.append({"scenario": data, "exit_code": code, "said": said, "seconds": round(seconds, 1)})
    count = collections.Counter(row["exit_code"] for row in rows)
    tried = len(rows) - count[REFUSED]
    print(f"{len(rows)} scenarios: {count[REFUSED]} contradict themselves and are refused; of {tried} others")
    print(
        f"{count[CONVERGED]} converge ({100 * count[CONVERGED] / max(tried, 1):.0f} %), {count[UNSOLVED]} say why not"
    )
    TO_FILE.write_text(json.dumps({"seed": asked.seed, "exit_codes": dict(count), "scenarios": rows}, indent=1))
    return int(not set(count) <= {CONVERGED, REFUSED, UNSOLVED})


if __name__ == "__main__":
    raise SystemExit(main())
