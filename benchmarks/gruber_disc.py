"""An L4/5 disc with exponential fibres in 25 regions: its six motions under pure moments, beside what it was fitted to.

    python benchmarks/gruber_disc.py FOLDER [--mesh hex8|hex20] [--direction flexion ...] [--json FILE]

FOLDER holds `gruber_L45_disc_hgo.npz` and `heuer_L4L5_isolated_disc_rom.csv`: the Holzapfel-Gasser-Ogden model of the
comparative study of Gruber G et al., Front Bioeng Biotechnol 2024 (doi 10.3389/fbioe.2024.1391957; MIT licence), 21 362
hex20 with two fibre directions each, and the range of motion of the isolated disc (Heuer F et al., J Biomech 2007;40:
271-280) that its constants were calibrated on. None of its constants is changed here.

- **hex8** is the same elements without their mid-side nodes.
- **Law.** The constants C10, D, k1, k2, kappa are those of Abaqus, W = C10 (I1 - 3) + 1/D ((J^2 - 1)/2 - ln J) +
  k1/(2 k2) sum_f (exp(k2 <E_f>^2) - 1): our `holzapfel_gasser_ogden` with volumetric energy `mixed` and K = 2/D. N, mm,
  MPa. The nucleus is Mooney-Rivlin (C10, C01, D).
- **D = 0** means incompressible there, with the pressure as an unknown of its own. Here K is `--bulk` times the shear
  modulus at rest; `--bulk` shows whether that matters.
- **Ends.** The nodes of the lower face are held, those of the upper one follow a reference point rigidly. A pure moment
  acts there, its axis fixed in space; where the point lies does not matter then.
- **Axes.** Flexion turns about x. Axial rotation turns about the mean normal of the two end faces (`--axes disc`), or
  about the line between the two reference points of the file (`vertebral`), or about y of the file (`file`).
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinefix.analysis import nonlinear
from spinefix.fem.newton import Control
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.mesh.topology import boundary_facets, facet_corners, facet_points
from spinefix.model.core import Coupling, LoadCase, Material, Model, Support
from spinefix.results import provenance

RESULTS = Path(__file__).parent / "results" / "gruber_disc.json"
MESH_FILE, ROM_FILE = "gruber_L45_disc_hgo.npz", "heuer_L4L5_isolated_disc_rom.csv"
NUCLEUS = "Material-Nucleus"
MOMENTS = (1.0, 2.5, 5.0, 7.5)  # N m, those of the datum
BULK = 1000.0
"""K over the shear modulus at rest where D = 0: Poisson's ratio 0.4995."""

DIRECTIONS: dict[str, tuple[int, float, str]] = {
    "flexion": (0, 1.0, "flexion_deg"),
    "extension": (0, -1.0, "extension_deg"),
    "lateral_right": (2, 1.0, "right_lateral_bending_deg"),
    "lateral_left": (2, -1.0, "right_lateral_bending_deg"),
    "axial_left": (1, 1.0, "left_axial_rotation_deg"),
    "axial_right": (1, -1.0, "left_axial_rotation_deg"),
}
"""Row of the axes (left, up, front), sign, column of the datum; it has one side only of the last four."""


@dataclass(frozen=True)
class Disc:
    """The disc as its authors made it.

    Parameters
    ----------
    mesh : Mesh
        The last point is the reference point.
    region : (e,) int
        Row of `constants` of each element.
    names : tuple of str
        Of the regions.
    constants : (regions, 5) float64
        C10 [MPa], D [1/MPa], k1 [MPa], k2 [1], kappa [1]; of the nucleus C10, C01 [MPa], D [1/MPa].
    fibres : (e, 2, 3) float64
        Unit directions, zero in the nucleus.
    top, bottom : (k,) int
    frames : mapping, name -> (3, 3) float64
        Rows left, up, front.
    """

    mesh: Mesh
    region: np.ndarray
    names: tuple[str, ...]
    constants: np.ndarray
    fibres: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    frames: Mapping[str, np.ndarray]

    @property
    def reference(self) -> int:
        """The reference point."""
        return self.mesh.n_points - 1


def read_disc(folder: Path, kind: str) -> Disc:
    """Read the disc as ``hex20``, or as ``hex8``: the same elements without mid-side nodes."""
    with np.load(folder / MESH_FILE) as data:
        points, conn, region, names, constants, top, bottom, up, down = (
            data[k] for k in ("X", "hex20", "region", "names", "mat", "top", "bot", "rp_load", "rp_fix")
        )
        fibres = np.nan_to_num(np.stack([data["fib1"], data["fib2"]], axis=1).astype(np.float64))
    if kind == "hex8":
        used, corners = np.unique(conn[:, :8], return_inverse=True)
        top, bottom = (np.flatnonzero(np.isin(used, nodes)) for nodes in (top, bottom))
        points, conn = points[used], corners.reshape(-1, 8)
    length = np.linalg.norm(fibres, axis=2, keepdims=True)
    fibres = np.divide(fibres, length, out=np.zeros_like(fibres), where=length > 0.0)
    cells = {str(name): np.flatnonzero(region == i) for i, name in enumerate(names)}
    mesh = Mesh(np.vstack([points, up]), (CellBlock(kind, conn),), cells=cells)
    frames = {
        "disc": frame(mean_normal(mesh, top) - mean_normal(mesh, bottom)),
        "vertebral": frame(up - down),
        "file": np.eye(3),
    }
    return Disc(mesh, region, tuple(map(str, names)), constants, fibres, top, bottom, frames)


def mean_normal(mesh: Mesh, nodes: np.ndarray) -> np.ndarray:
    """Mean outward normal (3,) of the boundary facets whose corners are all among `nodes`."""
    facets = boundary_facets(mesh)
    on = facet_points(mesh, facets[np.isin(facet_corners(mesh, facets), nodes).all(axis=1)])
    mean = on.area @ on.normal
    return mean / np.linalg.norm(mean)


def frame(up: np.ndarray) -> np.ndarray:
    """Left, up and front (3, 3): up as given, left as close to x as that allows (in the file x is left, z is front)."""
    up = up / np.linalg.norm(up)
    front = np.cross([1.0, 0.0, 0.0], up)
    front /= np.linalg.norm(front)
    return np.array([np.cross(up, front), up, front])


def material(
    name: str, constants: Sequence[float], *, bulk: float = BULK, formulation: str = "incompatible"
) -> Material:
    """Return a region's material; `bulk` over the shear modulus stands for D = 0."""

    def modulus(D: float, shear: float) -> float:
        return 2.0 / D if D > 0.0 else bulk * shear

    if name == NUCLEUS:
        C10, C01, D = (float(x) for x in constants[:3])
        numbers: dict[str, Any] = {"C10_MPa": C10, "C01_MPa": C01, "K_MPa": modulus(D, 2.0 * (C10 + C01))}
        return Material(name, "mooney_rivlin", {**numbers, "volumetric": "mixed"}, formulation)
    C10, D, k1, k2, kappa = (float(x) for x in constants)
    numbers = {"C10_MPa": C10, "K_MPa": modulus(D, 2.0 * C10), "k1_MPa": k1, "k2": k2, "kappa": kappa}
    return Material(name, "holzapfel_gasser_ogden", {**numbers, "volumetric": "mixed"}, formulation)


def build(disc: Disc, *, bulk: float = BULK, formulation: str = "incompatible") -> Model:
    """Return the model, its lower face held and its upper one rigid."""
    n = disc.mesh.n_cells
    return Model(
        mesh=disc.mesh,
        materials=tuple(
            material(name, row, bulk=bulk, formulation=formulation)
            for name, row in zip(disc.names, disc.constants, strict=True)
        ),
        material_id=disc.region.astype(np.int32),
        scale=np.ones((n, 8)),
        fibres=disc.fibres,
        sections=(),
        section_id=np.full(n, -1, np.int32),
        orientation=np.zeros((n, 3)),
        couplings=(Coupling("top", disc.reference, disc.top.astype(np.int32)),),
        supports=(Support("bottom", disc.bottom.astype(np.int32)),),
    )


def run(model: Model, disc: Disc, direction: str, axes: np.ndarray, control: Control) -> dict[str, Any]:
    """Load in one direction; return rotations [deg] about the axis of the moment at `MOMENTS`, and the cost."""
    row, sign, _ = DIRECTIONS[direction]
    axis = sign * axes[row]
    load = LoadCase(direction, moments={disc.reference: 1000.0 * MOMENTS[-1] * axis})
    step = nonlinear.Step(direction, load, factors=tuple(m / MOMENTS[-1] for m in MOMENTS))
    began = time.perf_counter()
    solution = nonlinear.solve(model, [step], control=control)
    seconds = time.perf_counter() - began
    turned = np.degrees(solution.rotation(disc.reference) @ np.vstack([axis, axes]).T)
    return {
        "moment_Nm": list(MOMENTS),
        "rotation_deg": turned[:, 0].tolist(),
        "rotation_vector_deg": turned[:, 1:].tolist(),
        "unknowns": int(3 * (disc.mesh.n_points - 1 - len(disc.bottom) - len(disc.top)) + 6),
        **solution.solver,
        "increments": len(solution.history),
        "seconds": round(seconds, 1),
        "peak_rss_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def read_datum(folder: Path) -> dict[str, list[float]]:
    """Rotations [deg] at `MOMENTS` by column."""
    with (folder / ROM_FILE).open() as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    at = {float(row["moment_Nm"]): row for row in rows}
    return {key: [float(at[m][key]) for m in MOMENTS] for key in rows[0] if key != "moment_Nm"}


def agreement(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Coefficient of determination and root mean square error [deg] over the measured directions that were run."""
    sides = [r for name, r in rows.items() if not name.endswith(("lateral_left", "axial_right"))]
    if not sides:
        return {}
    model, datum = (np.concatenate([r[key] for r in sides]) for key in ("rotation_deg", "datum_deg"))
    rest = float(((model - datum) ** 2).sum())
    return {
        "r2": 1.0 - rest / float(((datum - datum.mean()) ** 2).sum()),
        "rms_deg": (rest / len(datum)) ** 0.5,
        "directions": len(sides),
    }


def lines(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table of one direction."""
    for M, found, datum in zip(row["moment_Nm"], row["rotation_deg"], row["datum_deg"], strict=True):
        off = found - datum
        yield f"| {name} | {M:g} | {found:.2f} | {datum:.2f} | {off:+.2f} | {100 * off / datum:+.0f} |"


def main() -> None:
    """Print the table and write it beside."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--mesh", choices=("hex8", "hex20"), default="hex8")
    options.add_argument("--direction", nargs="*", choices=list(DIRECTIONS), default=list(DIRECTIONS))
    options.add_argument("--axes", choices=("disc", "vertebral", "file"), default="disc")
    options.add_argument("--bulk", type=float, default=BULK, help="K over the shear modulus where D = 0")
    options.add_argument("--formulation", default="incompatible", help="e.g. mean_dilatation for hex20")
    options.add_argument("--strategy", default=Control().strategy)
    options.add_argument("--json", type=Path, default=RESULTS, help="results are added to what it holds")
    args = options.parse_args()
    missing = [f for f in (MESH_FILE, ROM_FILE) if not (args.folder / f).exists()]
    if missing:
        print(f"nothing to do: {args.folder} lacks {', '.join(missing)}")
        return
    disc, datum = read_disc(args.folder, args.mesh), read_datum(args.folder)
    model = build(disc, bulk=args.bulk, formulation=args.formulation)
    about = {k: getattr(args, k) for k in ("mesh", "axes", "bulk", "formulation", "strategy")}
    rows: dict[str, dict[str, Any]] = {}
    size = f"{disc.mesh.n_cells} elements, {disc.mesh.n_points - 1} nodes"
    print(f"{args.mesh}: {size}; axes {args.axes}, K/mu {args.bulk:g}")
    print("| direction | moment N m | spinefix deg | datum deg | difference deg | % |\n|---|---|---|---|---|---|")
    for name in args.direction:
        rows[name] = run(model, disc, name, disc.frames[args.axes], Control(strategy=args.strategy))
        rows[name]["datum_deg"] = datum[DIRECTIONS[name][2]]
        print("\n".join(lines(name, rows[name])), flush=True)
        print("  ", {k: rows[name][k] for k in ("seconds", "iterations", "factorizations", "solves", "cutbacks")})
    keep(args.json, about, rows)


def keep(path: Path, about: Mapping[str, Any], rows: Mapping[str, dict[str, Any]]) -> None:
    """Add directions to the run with the same options in a file of results."""
    stamp = {"written": provenance.now(), "commit": provenance.commit()}
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    same = next((r for r in runs if {k: r[k] for k in about} == about), {**about, "directions": {}})
    same |= {"machine": provenance.machine(), "versions": provenance.versions()}
    found = same["directions"] | {name: {**row, **stamp} for name, row in rows.items()}
    same["directions"] = {name: found[name] for name in DIRECTIONS if name in found}
    same["agreement"] = agreement(same["directions"])
    print("agreement with the datum:", same["agreement"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": [r for r in runs if r is not same] + [same]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
