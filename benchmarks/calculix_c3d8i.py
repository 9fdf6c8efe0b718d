"""Which incompatible modes does CalculiX have? One distorted cube, four ways to map the bubbles, and C3D8I itself.

    python benchmarks/calculix_c3d8i.py

Prints the displacement of a loaded corner. CalculiX 2.20 prints the numbers of the modes without the factor
det J0 / det J, so its element fails the patch test, which the last column shows: the error of uniform tension
(Poisson's ratio 0) over the exact answer.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "export"))

import calculix  # noqa: E402

from spinefix import materials  # noqa: E402
from spinefix.analysis.export_abaqus import write_abaqus  # noqa: E402
from spinefix.analysis.solve import solve  # noqa: E402
from spinefix.mesh.core import Mesh  # noqa: E402
from spinefix.mesh.elements import ELEMENTS, gradient  # noqa: E402
from spinefix.mesh.generate import box  # noqa: E402
from spinefix.mesh.topology import facet_points  # noqa: E402
from spinefix.model.core import LoadCase, Material, Model, Support  # noqa: E402

E, NU = 1000.0, 0.3
HEX = ELEMENTS["hex8"]


def cube() -> Mesh:
    """Return 27 cells of a unit cube with shaken inner nodes."""
    mesh = box((1, 1, 1), (3, 3, 3))
    points = mesh.points.copy()
    inner = ((points > 1e-9) & (points < 1 - 1e-9)).all(axis=1)
    points[inner] += np.random.default_rng(0).uniform(-0.1, 0.1, (inner.sum(), 3))
    return replace(mesh, points=points)


def model(mesh: Mesh, nu: float) -> Model:
    """Return the cube, clamped below, of elements with incompatible modes."""
    n = mesh.n_cells
    return Model(
        mesh=mesh,
        materials=(Material("m", "isotropic", {"E_MPa": E, "nu": nu}),),
        material_id=np.zeros(n, np.int32),
        scale=np.ones((n, 8)),
        fibres=np.zeros((n, 2, 3)),
        sections=(),
        section_id=np.full(n, -1, np.int32),
        orientation=np.zeros((n, 3)),
        supports=(Support("held", mesh.nodes["block.zmin"]),),
    )


def strain_matrix(g: np.ndarray) -> np.ndarray:
    """Strain (6, 3 m) from gradients (m, 3)."""
    rows = [[[x, 0, 0], [0, y, 0], [0, 0, z], [y, x, 0], [0, z, y], [z, 0, x]] for x, y, z in g]
    return np.concatenate(np.array(rows), axis=1)


def modes(inverse: np.ndarray, centre: np.ndarray, ratio: float, bubble: np.ndarray) -> dict[str, np.ndarray]:
    """Gradients of the bubbles (3, 3), four ways; `ratio` = det J0 / det J."""
    return {
        "centre, with the factor (spinefix)": bubble @ centre * ratio,
        "centre, without the factor": bubble @ centre,
        "point, with the factor": bubble @ inverse * ratio,
        "point, without the factor": bubble @ inverse,
    }


def stiffness(mesh: Mesh, nu: float, way: str) -> np.ndarray:
    """Dense stiffness of the mesh with one way to map the bubbles."""
    D = materials.elasticity("isotropic", {"E_MPa": E, "nu": nu})[0]
    dN0 = gradient("hex8", np.zeros((1, 3)))[0]
    K = np.zeros((3 * mesh.n_points,) * 2)
    for nodes in mesh.blocks[0].conn:
        X = mesh.points[nodes]
        J0 = X.T @ dN0
        k = np.zeros((33, 33))
        for xi, weight, dN in zip(HEX.points, HEX.weights, HEX.dN, strict=True):
            J = X.T @ dN
            inverse, det = np.linalg.inv(J), np.linalg.det(J)
            ways = modes(inverse, np.linalg.inv(J0), np.linalg.det(J0) / det, np.diag(-2.0 * xi))
            B = strain_matrix(np.vstack([dN @ inverse, ways[way]]))
            k += B.T @ D @ B * det * weight
        k = k[:24, :24] - k[:24, 24:] @ np.linalg.solve(k[24:, 24:], k[24:, :24])
        dofs = (3 * nodes[:, None] + np.arange(3)).ravel()
        K[np.ix_(dofs, dofs)] += k
    return K


def displacement(mesh: Mesh, nu: float, case: LoadCase, way: str) -> np.ndarray:
    """Displacements (n, 3) with one way to map the bubbles, in spinefix, or in CalculiX."""
    if way == "spinefix":
        return solve(model(mesh, nu), [case])[1].displacement(case.name)
    if way == "CalculiX C3D8I":
        with tempfile.TemporaryDirectory() as folder:
            watched = calculix.run(write_abaqus(Path(folder) / "m.inp", model(mesh, nu), [case]))[0]
        u = np.zeros((mesh.n_points, 3))
        for node, value in watched.items():
            u[node - 1] = value
        return u
    free = np.setdiff1d(np.arange(mesh.n_points), mesh.nodes["block.zmin"])
    dofs = (3 * free[:, None] + np.arange(3)).ravel()
    f = np.zeros((mesh.n_points, 3))
    for node, force in case.forces.items():
        f[node] = force
    u = np.zeros(3 * mesh.n_points)
    u[dofs] = np.linalg.solve(stiffness(mesh, nu, way)[np.ix_(dofs, dofs)], f.ravel()[dofs])
    return u.reshape(-1, 3)


def main() -> None:
    """Print one row per way."""
    mesh = cube()
    top = mesh.nodes["block.zmax"]
    corner = int(top[-1])
    pull = LoadCase("corner", forces={corner: np.array([1.0, 2.0, 3.0])})
    side = facet_points(mesh, mesh.facets["block.zmax"])
    share = np.zeros(mesh.n_points)
    np.add.at(share, side.nodes, side.weights * side.area[:, None])
    tension = LoadCase("tension", forces={int(i): np.array([0.0, 0.0, share[i]]) for i in top})
    for way in ("spinefix", "CalculiX C3D8I", *modes(np.eye(3), np.eye(3), 1.0, np.eye(3))):
        u = displacement(mesh, NU, pull, way)[corner]
        error = np.abs(displacement(mesh, 0.0, tension, way)[top, 2] * E - 1.0).max()
        print(f"{way:36s}", " ".join(f"{x:12.6e}" for x in u), f"   patch test {error:.1e}")


if __name__ == "__main__":
    main()
