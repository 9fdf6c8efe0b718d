"""An open L4/5 disc in spinefix and in CalculiX: the four motions of its top, ground substance only.

    python benchmarks/remus_disc.py FOLDER [--all-times] [--ccx] [--motions flexion ...] [--json FILE]

FOLDER holds `remus_L45_disc.vtk` (hex8 with `region`), `remus_L45_hex20.npz` and `calculix_reference.csv`: the disc of
the RemusR9 lumbosacral model (Remus R et al., PLoS ONE 2021;16(4):e0250456; BSD-3 licence). The table of the second
code is from CalculiX 2.20 on the hex20 mesh, most of it with reduced integration (C3D20R). `--ccx` writes decks and
runs `ccx` here (Debian package calculix-ccx) for the element types without reduced integration (C3D20, C3D8).

CalculiX takes W = C10 (I1 - 3) + C01 (I2 - 3) + (J - 1)^2 / D1 with isochoric invariants (user's manual,
*HYPERELASTIC), so D1 = 2 / K and the volumetric energy here is `quadratic`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import meshio
import numpy as np

from spinefix.analysis import nonlinear
from spinefix.fem import rotations
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.mesh.elements import shape
from spinefix.model.core import Coupling, LoadCase, Material, Model, Support
from spinefix.results import provenance

RESULTS = Path(__file__).parent / "results" / "remus_disc.json"
AXES = "xyz"
MESHES = ("hex20", "hex8", "hex8_halved")
NUCLEUS_REGION = 5
ANNULUS = {"C10_MPa": 0.18, "C01_MPa": 0.045, "K_MPa": 2.25}
NUCLEUS = {"mu_MPa": 0.4, "K_MPa": 1.8667}  # neo-Hooke, as the reference table states it
TIGHT = {"mu_MPa": 0.4, "K_MPa": 180.0}  # the nearly incompressible variant of the same table


@dataclass(frozen=True)
class Motion:
    """A prescribed motion of the rigid top.

    Compression holds all other dofs of the reference point; the rotations leave its translations free.
    """

    case: str
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def free_to_shift(self) -> bool:
        """Whether the reference point may translate."""
        return any(self.turn)


ANGLE = 0.0698132  # rad, 4 degrees
MOTIONS = {
    "compression": Motion("A_comp", shift=(0.0, 0.0, -1.0)),
    "flexion": Motion("A_flex", turn=(0.0, ANGLE, 0.0)),
    "lateral": Motion("A_lat", turn=(ANGLE, 0.0, 0.0)),
    "axial": Motion("A_axial", turn=(0.0, 0.0, ANGLE)),
    "compression_tight": Motion("B_comp", shift=(0.0, 0.0, -1.0)),
    "flexion_tight": Motion("B_flex", turn=(0.0, ANGLE, 0.0)),
}


@dataclass(frozen=True)
class Disc:
    """A mesh of one kind with what the motions need.

    Parameters
    ----------
    kind : str
    mesh : Mesh
        The last point is the reference point.
    region : (e,) int
        1 to 4 rings of the annulus from the inside, 5 nucleus.
    top, bottom : (k,) int
    """

    kind: str
    mesh: Mesh
    region: np.ndarray
    top: np.ndarray
    bottom: np.ndarray

    @property
    def reference(self) -> int:
        """The reference point."""
        return self.mesh.n_points - 1


def read_discs(folder: Path) -> dict[str, Disc]:
    """Read both meshes; the points of the hex8 mesh are the first ones of the other, and so are its end faces."""
    with np.load(folder / "remus_L45_hex20.npz") as data:
        fine = {k: data[k] for k in data.files}
    coarse = meshio.read(folder / "remus_L45_disc.vtk")
    conn, region = coarse.cells_dict["hexahedron"], coarse.cell_data["region"][0].ravel().astype(int)
    n = len(coarse.points)
    if not np.allclose(fine["X"][:n], coarse.points, atol=1e-4):
        raise ValueError("the points of the two meshes do not match")
    out = {}
    for kind, points, cells, regions in (
        ("hex8", coarse.points, conn, region),
        ("hex20", fine["X"], fine["hex20"], fine["region"]),
    ):
        top, bottom = (fine[name][fine[name] < len(points)] for name in ("top", "bot"))
        block = CellBlock(kind, cells)
        names = {f"disc.region.{r}": np.flatnonzero(regions == r) for r in np.unique(regions)}
        mesh = Mesh(np.vstack([points, fine["ref"]]), (block,), cells=names)
        out[kind] = Disc(kind, mesh, np.asarray(regions), top, bottom)
    return out


def build(disc: Disc, motion: Motion, *, volumetric: str = "quadratic", formulation: str = "standard") -> Model:
    """Return the model of a motion."""
    n = disc.mesh.n_cells
    nucleus = TIGHT if motion.case.startswith("B_") else NUCLEUS
    materials = tuple(
        Material(name, law, {**numbers, "volumetric": volumetric}, formulation)
        for name, law, numbers in (("annulus", "mooney_rivlin", ANNULUS), ("nucleus", "neo_hookean", nucleus))
    )
    moved = (not motion.free_to_shift,) * 3
    return Model(
        mesh=disc.mesh,
        materials=materials,
        material_id=(disc.region == NUCLEUS_REGION).astype(np.int32),
        scale=np.ones((n, 8)),
        fibres=np.zeros((n, 2, 3)),
        sections=(),
        section_id=np.full(n, -1, np.int32),
        orientation=np.zeros((n, 3)),
        couplings=(Coupling("top", disc.reference, disc.top.astype(np.int32)),),
        supports=(
            Support("bottom", disc.bottom.astype(np.int32)),
            Support("grip", np.array([disc.reference], np.int32), moved, (True, True, True)),
        ),
    )


def halved(disc: Disc) -> Disc:
    """Return eight hex8 for each hex20, on its curved geometry.

    A new node is known by the nodes it is interpolated from: itself, the eight of a facet, or all.
    """
    grid = np.array(list(product((-1.0, 0.0, 1.0), repeat=3)))
    N = shape("hex20", grid)
    conn = disc.mesh.blocks[0].conn
    parents = np.where(np.abs(N) > 1e-12, conn[:, None, :], -1).reshape(-1, 20)
    unique, first, ids = np.unique(np.sort(parents, axis=1), axis=0, return_index=True, return_inverse=True)
    points = np.einsum("pm,emd->epd", N, disc.mesh.points[conn]).reshape(-1, 3)[first]
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    local = (np.array(list(product((0, 1), repeat=3)))[:, None] + corners) @ [9, 3, 1]
    cells = ids.reshape(-1, 27)[:, local].reshape(-1, 8)

    def within(nodes: np.ndarray) -> np.ndarray:
        return np.flatnonzero((np.isin(unique, nodes) | (unique < 0)).all(axis=1))

    mesh = Mesh(np.vstack([points, disc.mesh.points[-1:]]), (CellBlock("hex8", cells),))
    return Disc("hex8", mesh, np.repeat(disc.region, 8), within(disc.top), within(disc.bottom))


Row = dict[str, float]
"""Displacement u [mm], force F [N] and moment M [N mm] of the reference point by component, as in ``F_z``.

M is the moment conjugate to the rotation vector, as CalculiX prints it: its work is M . d(rotation vector). About the
axis of the rotation it is the moment itself; across it the two differ by about half the angle times the moment.
"""


def _row(**vectors: np.ndarray) -> Row:
    return {f"{name}_{a}": float(x) for name, v in vectors.items() for a, x in zip(AXES, v, strict=True)}


def run(model: Model, disc: Disc, motion: Motion, times: Sequence[float]) -> tuple[list[Row], dict[str, Any]]:
    """Follow a motion; return the rows of the reference point at `times`, and the cost."""
    step = nonlinear.Step(
        "move",
        LoadCase("none"),
        motions={disc.reference: (np.array(motion.shift), np.array(motion.turn))},
        factors=tuple(times),
    )
    began = time.perf_counter()
    solution = nonlinear.solve(model, [step])
    seconds = time.perf_counter() - began
    turning = disc.mesh.n_points + int(solution.rotation_index[disc.reference])
    rows = [
        _row(u=u[disc.reference], F=f[disc.reference], M=rotations.spin_operator(u[turning]).T @ f[turning])
        for u, f in zip(solution.u, solution.reactions, strict=True)
    ]
    return rows, {"seconds": round(seconds, 2), "iterations": solution.solver["iterations"]}


def read_reference(path: Path) -> dict[tuple[str, str], dict[float, Row]]:
    """Read the table of the second code: (case, element type) -> time -> displacement, force and moment."""
    out: dict[tuple[str, str], dict[float, Row]] = {}
    with path.open() as stream:
        for line in csv.DictReader(stream):
            row = {}
            for a in AXES:
                row[f"u_{a}"] = float(line[f"ref_u{a}_mm"])
                row[f"F_{a}"] = float(line[f"F_ref_{a}_N"])
                row[f"M_{a}"] = float(line[f"M_{a}_Nmm"])
            case = line["case"].removesuffix("_full")
            out.setdefault((case, line["element"]), {})[_time(line, case)] = row
    return out


def _time(line: Mapping[str, str], case: str) -> float:
    """Pseudo-time from the prescribed motion itself; the column is rounded."""
    motion = next(m for m in MOTIONS.values() if m.case == case)
    wanted = np.array([*motion.shift, *motion.turn])
    found = [float(line[f"ref_u{a}_mm"]) for a in AXES] + [float(line[f"rot_{a}_rad"]) for a in AXES]
    i = int(np.argmax(np.abs(wanted)))
    return round(found[i] / float(wanted[i]), 6)


def quantities(motion: Motion) -> list[str]:
    """What a motion is judged by: its own force or moment first, then what it causes besides, as far as symmetric."""
    return {
        "compression": ["F_z", "F_x", "M_y"],
        "flexion": ["M_y", "u_x", "u_z"],
        "lateral": ["M_x", "M_z", "u_y", "u_z"],
        "axial": ["M_z", "M_x", "u_y"],
    }[next(k for k, m in MOTIONS.items() if m == motion).removesuffix("_tight")]


# --- CalculiX here ---

CCX_TYPE = {"hex20": "C3D20", "hex8": "C3D8"}


def write_deck(path: Path, disc: Disc, motion: Motion, element: str) -> Path:
    """Write the same disc for CalculiX, all of the motion in one step from increments of an eighth on."""
    n = disc.mesh.n_points
    nucleus = TIGHT if motion.case.startswith("B_") else NUCLEUS
    lines = ["*NODE, NSET=ALL"]
    lines += [f"{i + 1},{x:.9e},{y:.9e},{z:.9e}" for i, (x, y, z) in enumerate(disc.mesh.points)]
    lines.append(f"{n + 1},{','.join(f'{x:.9e}' for x in disc.mesh.points[-1])}")
    for name, mine in (("ANNULUS", disc.region != NUCLEUS_REGION), ("NUCLEUS", disc.region == NUCLEUS_REGION)):
        lines.append(f"*ELEMENT, TYPE={element}, ELSET={name}")
        for e in np.flatnonzero(mine):
            ids = [str(int(k) + 1) for k in (e, *disc.mesh.blocks[0].conn[e])]
            lines += [
                ",".join(ids[:11]) + ("," if len(ids) > 11 else ""),
                *([",".join(ids[11:])] if len(ids) > 11 else []),
            ]
    for name, nodes in (("TOP", disc.top), ("BOTTOM", disc.bottom)):
        lines += [f"*NSET, NSET={name}", *(f"{int(k) + 1}," for k in nodes)]
    lines += [
        "*MATERIAL, NAME=MA", "*HYPERELASTIC, MOONEY-RIVLIN",
        f"{ANNULUS['C10_MPa']},{ANNULUS['C01_MPa']},{2 / ANNULUS['K_MPa']:.10g}",
        "*MATERIAL, NAME=MN", "*HYPERELASTIC, NEO HOOKE", f"{nucleus['mu_MPa'] / 2},{2 / nucleus['K_MPa']:.10g}",
        "*SOLID SECTION, ELSET=ANNULUS, MATERIAL=MA", "*SOLID SECTION, ELSET=NUCLEUS, MATERIAL=MN",
        f"*RIGID BODY, NSET=TOP, REF NODE={n}, ROT NODE={n + 1}",
        "*BOUNDARY", "BOTTOM,1,3", "*STEP, NLGEOM, INC=200", "*STATIC", "0.125,1.", "*BOUNDARY",
        *(f"{n},{i + 1},{i + 1},{v}" for i, v in enumerate(motion.shift) if not motion.free_to_shift),
        *(f"{n + 1},{i + 1},{i + 1},{v}" for i, v in enumerate(motion.turn)),
        "*NSET, NSET=GRIP", f"{n},{n + 1}", "*NODE PRINT, NSET=GRIP", "U,RF", "*END STEP", "",
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    return path


def run_ccx(disc: Disc, motion: Motion, element: str) -> tuple[dict[float, Row], float]:
    """Run CalculiX; return its rows by pseudo-time, and the seconds it took."""
    ccx = shutil.which("ccx")
    if ccx is None:
        raise SystemExit("no ccx on the path")
    with tempfile.TemporaryDirectory() as folder:
        deck = write_deck(Path(folder) / "disc.inp", disc, motion, element)
        began = time.perf_counter()
        job = subprocess.run(
            [ccx, "disc"], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, timeout=1800, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        if job.returncode or "*ERROR" in job.stdout:
            raise RuntimeError(job.stdout[-2000:])
        return parse_dat(deck.with_suffix(".dat").read_text(), disc.mesh.n_points), seconds


def parse_dat(text: str, reference: int) -> dict[float, Row]:
    """Displacement and force of the node `reference` and force of the one after it (the moment), by pseudo-time."""
    out: dict[float, Row] = {}
    what, row = "", {}
    for line in text.splitlines():
        words = line.split()
        if "time" in words:
            what = "u" if words[0].startswith("displacements") else "F"
            row = out.setdefault(round(float(words[-1]), 6), {})
        elif len(words) == 4:
            name = what if int(words[0]) == reference else {"u": "turn", "F": "M"}[what]
            row.update({f"{name}_{a}": float(v) for a, v in zip(AXES, words[1:], strict=True)})
    return out


# --- the comparison ---


def compare(
    motion: str, ours: Mapping[float, Row], theirs: Mapping[float, Row], **about: Any
) -> Iterator[dict[str, Any]]:
    """Rows of the table: one per quantity, at the end; and the greatest difference over all common times."""
    for q in quantities(MOTIONS[motion]):
        times = sorted(set(ours) & set(theirs))
        largest = max(abs(theirs[t][q]) for t in times)
        worst = max(abs(ours[t][q] - theirs[t][q]) for t in times) / largest
        a, b = theirs[times[-1]][q], ours[times[-1]][q]
        yield {
            "motion": motion, "quantity": q, "calculix": a, "spinefix": b,
            "difference_percent": 100 * (b / a - 1), "worst_percent_of_largest": 100 * worst,
            "times": times, **about,
        }  # fmt: skip


HEAD = ("motion", "mesh", "spinefix element", "CalculiX element", "quantity", "CalculiX", "spinefix", "difference %",
        "iterations", "seconds", "CalculiX seconds")  # fmt: skip


def show(row: Mapping[str, Any]) -> str:
    """One line of the table."""
    ccx = row.get("calculix_seconds")
    cells = (
        row["motion"], row["mesh"], row["formulation"], row["element"], row["quantity"], f"{row['calculix']:.6g}",
        f"{row['spinefix']:.6g}", f"{row['difference_percent']:+.3f}", row["iterations"], f"{row['seconds']:.1f}",
        "" if ccx is None else f"{ccx:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(str(c) for c in cells) + " |"


def main() -> None:
    """Print the table and write it beside."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--motions", nargs="*", default=list(MOTIONS)[:4], choices=list(MOTIONS))
    options.add_argument("--meshes", nargs="*", default=["hex20", "hex8"], choices=MESHES)
    options.add_argument("--formulations", nargs="*", default=["standard", "mean_dilatation"])
    options.add_argument("--volumetric", default="quadratic")
    options.add_argument("--all-times", action="store_true", help="stop at all times of the table, not only at the end")
    options.add_argument("--ccx", action="store_true", help="run CalculiX here too, with the same integration")
    options.add_argument("--json", type=Path, default=RESULTS)
    args = options.parse_args()
    discs, reference = read_discs(args.folder), read_reference(args.folder / "calculix_reference.csv")
    discs["hex8_halved"] = halved(discs["hex20"])
    rows: list[dict[str, Any]] = []
    print("| " + " | ".join(HEAD) + " |")
    print("|---" * len(HEAD) + "|")
    for name in args.motions:
        motion = MOTIONS[name]
        tables = {element.split()[0]: table for (case, element), table in reference.items() if case == motion.case}
        for kind in args.meshes:
            disc = discs[kind]
            others = [(f"{element} (table)", table, None) for element, table in tables.items()]
            if args.ccx:
                others.append((CCX_TYPE[disc.kind], *run_ccx(disc, motion, CCX_TYPE[disc.kind])))
            for formulation in args.formulations:
                wanted = {t for table in tables.values() for t in table} if args.all_times else {1.0}
                model = build(disc, motion, volumetric=args.volumetric, formulation=formulation)
                found, cost = run(model, disc, motion, sorted(wanted))
                ours = dict(zip(sorted(wanted), found, strict=True))
                for element, table, seconds in others:
                    for row in compare(
                        name, ours, table, mesh=kind, formulation=formulation, element=element,
                        volumetric=args.volumetric, calculix_seconds=seconds, **cost,
                    ):  # fmt: skip
                        rows.append(row)
                        print(show(row), flush=True)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "written": provenance.now(),
        "commit": provenance.commit(),
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "rows": rows,
    }
    args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
