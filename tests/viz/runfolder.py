"""A small run folder with the contract of a real one: L2 and L3 as boxes, a disc, a lesion, rods as lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import meshio
import numpy as np

ARMS = ("intact", "posterior", "anterior")
DIRECTIONS = ("flexion", "axial_left")
REGIONS = {
    0: "L2.body.cancellous",
    1: "L2-L3.disc.nucleus",
    2: "L3.body.cancellous",
    3: "implant.prosthesis",
    4: "implant.rod.left",
}
PEAK = {
    ("posterior", "flexion"): 200.0,
    ("posterior", "axial_left"): 80.0,
    ("anterior", "flexion"): 120.0,
    ("anterior", "axial_left"): 60.0,
}
TURN = {"intact": 0.10, "posterior": 0.02, "anterior": 0.03}


def write_run(folder: Path) -> Path:
    (folder / "fields").mkdir(parents=True)
    for arm in ARMS:
        for direction in DIRECTIONS:
            write_field(folder / "fields" / f"{arm}_{direction}.vtu", arm, direction)
        (folder / "fields" / f"regions_{arm}.json").write_text(json.dumps(REGIONS))
    write_comparison(folder / "comparison.csv")
    write_metrics(folder / "metrics.csv")
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    return folder


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Points and hexes of a column 34 x 44 x 66 mm."""
    x, y, z = np.linspace(-17, 17, 7), np.linspace(-22, 22, 9), np.linspace(0, 66, 14)
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), -1).reshape(-1, 3)
    ids = np.arange(len(points)).reshape(7, 9, 14)
    corner = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    hexes = np.stack([ids[a : 6 + a, b : 8 + b, c : 13 + c].ravel() for a, b, c in corner], -1)
    return points, hexes


def write_field(path: Path, arm: str, direction: str) -> None:
    points, hexes = _grid()
    centre = points[hexes].mean(axis=1)
    region = np.select([centre[:, 2] < 28, centre[:, 2] < 38], [2, 1], 0)
    part = np.where(region == 1, 1, 0)
    inside = np.linalg.norm(centre - [4.0, 6.0, 13.0], axis=1) < 9.0
    scale = np.where((arm != "intact") & inside, 0.05, 1.0)
    lines, radius = np.zeros((0, 2), int), np.zeros(0)
    if arm == "posterior":
        points, lines, radius = _screws_and_rods(points)
    if arm == "anterior":
        block = (np.abs(centre[:, 0]) < 12) & (np.abs(centre[:, 1]) < 12) & (region != 0) & (centre[:, 2] > 8)
        part, region = np.where(block, 2, part), np.where(block, 3, region)
    peak = PEAK.get((arm, direction), 0.0)
    solid = np.where(part == 2, peak * np.abs(centre[:, 0]) / 12.0, 2.0 + 0.05 * np.abs(centre[:, 0]))
    beam = np.linspace(0.2 * peak, peak, len(lines))
    mesh = meshio.Mesh(
        points,
        [("hexahedron", hexes), ("line", lines)] if len(lines) else [("hexahedron", hexes)],
        point_data={"displacement": _displacement(points, direction, TURN[arm])},
        cell_data={
            "von_mises": _pair(solid, beam),
            "region_id": _pair(region, np.full(len(lines), 4)),
            "part": _pair(part, np.full(len(lines), 3)),
            "scale": _pair(scale, np.ones(len(lines))),
            "radius": _pair(np.zeros(len(hexes)), radius),
        },
    )
    meshio.write(path, mesh)


def _pair(solid: np.ndarray, beam: np.ndarray) -> list[np.ndarray]:
    return [solid, beam.astype(solid.dtype)] if len(beam) else [solid]


def _screws_and_rods(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    extra, lines, radius = [points], [], []
    n = len(points)
    for side in (-1.0, 1.0):
        for z in (13.0, 52.0):
            axis = np.column_stack([np.linspace(-30, 8, 8), np.full(8, 12.0 * side), np.full(8, z)])
            extra.append(axis)
            lines += [[n + i, n + i + 1] for i in range(7)]
            radius += [3.0] * 7
            n += 8
        rod = np.column_stack([np.full(10, -30.0), np.full(10, 12.0 * side), np.linspace(8, 58, 10)])
        extra.append(rod)
        lines += [[n + i, n + i + 1] for i in range(9)]
        radius += [2.75] * 9
        n += 10
    return np.concatenate(extra), np.array(lines), np.array(radius)


def _displacement(points: np.ndarray, direction: str, turn: float) -> np.ndarray:
    angle = turn * (points[:, 2] / 66.0) ** 2
    if direction == "flexion":  # about +y
        return np.column_stack([angle * points[:, 2], 0 * angle, -angle * points[:, 0]])
    return np.column_stack([-angle * points[:, 1], angle * points[:, 0], 0 * angle])


def write_comparison(path: Path) -> None:
    names = [
        "arm",
        "direction",
        "moment_Nm",
        "rom_deg",
        "stiffness_Nm_per_deg",
        "stiffness_ratio_to_intact",
        "converged",
        "mesh_error_pct",
    ]
    rows = []
    for arm in ARMS:
        for direction in DIRECTIONS:
            rom = round(np.degrees(TURN[arm]), 4)
            ratio = TURN["intact"] / TURN[arm]
            rows.append([arm, direction, 7.5, rom, round(7.5 / rom, 4), round(ratio, 4), True, 4.0])
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])


def write_metrics(path: Path) -> None:
    rows: list[list[object]] = [["arm", "direction", "load_factor", "metric", "region", "value", "unit"]]
    for arm in ARMS:
        for direction in DIRECTIONS:
            for factor in (0.5, 1.0):
                total = factor * np.degrees(TURN[arm])
                rows.append([arm, direction, factor, "rom_level", "L2-L3", total, "deg"])
                if arm == "posterior":
                    peak = factor * PEAK[arm, direction]
                    for part, share in (
                        ("rods", 64.0),
                        ("body", 30.0),
                        ("posterior_elements", 11.0),
                        ("ligaments", -5.0),
                    ):
                        rows.append([arm, direction, factor, "load_share_moment", f"L3.{part}", share, "%"])
                    for region in ("implant.rod", "implant.screw", "implant.screw.L2.left"):
                        rows.append([arm, direction, factor, "von_mises_max", region, peak, "MPa"])
                        rows.append([arm, direction, factor, "von_mises_p99", region, 0.9 * peak, "MPa"])
                if arm == "anterior":
                    for part, share in (("prosthesis", 88.0), ("posterior_elements", 12.0)):
                        rows.append([arm, direction, factor, "load_share_moment", f"L3.{part}", share, "%"])
                    rows.append(
                        [
                            arm,
                            direction,
                            factor,
                            "von_mises_p99",
                            "implant.prosthesis",
                            factor * PEAK[arm, direction],
                            "MPa",
                        ]
                    )
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


CHECKS = [{"name": "equilibrium", "value": 3e-12, "tolerance": 1e-8, "passed": True}]
MANIFEST = {
    "created": "2026-11-20T12:00:00+00:00",
    "name": "two_blocks",
    "title": "Two blocks with a lesion",
    "versions": {"spinefix": "0.1.0", "python": "3.11.7", "numpy": "2.4.6"},
    "commit": None,
    "machine": {"system": "Linux", "machine": "x86_64", "cores": 2},
    "scenario": {"name": "two_blocks", "title": "Two blocks with a lesion"},
    "scenario_sha256": "0" * 64,
    "segment": {"levels": ["L2", "L3"], "elements": 624, "nodes": 882, "dimensions_mm": {}, "lesions": []},
    "arms": {
        "intact": {
            "nodes": 882,
            "elements": {"hex8": 624},
            "solver": {"method": "superlu", "n": 2646},
            "checks": CHECKS,
        },
        "posterior": {
            "nodes": 934,
            "elements": {"hex8": 624, "beam2": 46},
            "checks": [*CHECKS, {"name": "energy balance", "value": 2e-3, "tolerance": 1e-6, "passed": False}],
            "measures": {"rod.left.length_mm": 50.0, "rod.right.length_mm": 51.0},
            "resected": [],
        },
        "anterior": {"nodes": 882, "elements": {"hex8": 624}, "checks": CHECKS, "resected": ["L3.body"]},
    },
    "materials": [
        {"name": "rod", "law": "isotropic", "E_MPa": 110000.0, "source": "A handbook <1990>", "assumed": False},
        {"name": "nucleus", "law": "isotropic", "E_MPa": 1.0, "source": "", "assumed": True},
    ],
    "assumed": ["material nucleus"],
    "sources": ["A handbook <1990>"],
    "warnings": ["the screw of L2 left leaves the pedicle by 0.4 mm"],
    "seconds": {"segment": 0.4, "total": 2.9, "arms": {"solve": 2.5}},
    "exit_code": 0,
}
