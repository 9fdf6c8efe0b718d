"""Render the vertebra template beside closed surfaces of real vertebrae and compare their extents.

Usage: python benchmarks/vertebra_pictures.py SURFACES OUT [LEVEL ...]

SURFACES holds L1.obj to L5.obj in metres, x forward, y left, z up (RemusR9, Visible Human male; Remus 2021, PLoS ONE
16(4):e0250456, BSD-3). Needs no display (EGL). Writes one JPG per level (template above, real one below, six views at
one scale), the segment as a whole and cut open, and prints extents, rims and element quality.
"""

from __future__ import annotations

import os
import sys
from itertools import product
from pathlib import Path

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import numpy as np
import pyvista as pv

from spinefix.anatomy.builder import SUPPORTED, build_segment
from spinefix.mesh import quality, topology
from spinefix.mesh.core import Mesh

CLOUTHIER_MEAN = {
    "L2": (87.8, 83.1, 51.2),
    "L3": (89.8, 92.7, 50.1),
    "L4": (88.8, 89.8, 45.7),
    "L5": (83.1, 94.8, 51.8),
}
"""Front-to-back, transverse and vertical extent [mm] of the mean lumbar shape (Clouthier 2023, 87 subjects)."""

VIEWS = {
    "lateral": ((0, 1, 0), (0, 0, 1)),
    "posterior": ((-1, 0, 0), (0, 0, 1)),
    "axial": ((0, 0, 1), (1, 0, 0)),
    "oblique": ((-1, 1, 0.6), (0, 0, 1)),
    "anterior": ((1, 0, 0), (0, 0, 1)),
    "from below": ((0, 0, -1), (1, 0, 0)),
}


def surface(mesh: Mesh, cells: np.ndarray) -> pv.PolyData:
    """Outer quadrilaterals of some cells."""
    quads = topology.facet_corners(mesh, topology.boundary_facets(mesh, cells))
    return pv.PolyData(mesh.points, np.insert(quads, 0, 4, axis=1).ravel()).clean()


def look(
    plot: pv.Plotter, thing: pv.PolyData, direction: tuple[float, ...], up: tuple[float, ...], half: float
) -> None:
    """Point the camera at a thing; `half` the height of the picture [mm]."""
    centre = np.array(thing.center)
    plot.camera_position = [tuple(centre + 300.0 * np.array(direction)), tuple(centre), up]
    plot.camera.parallel_projection = True
    plot.camera.parallel_scale = half


def compare(name: str, ours: pv.PolyData, real: pv.PolyData, target: Path) -> None:
    """Six views of the template above the same views of the real vertebra."""
    plot = pv.Plotter(shape=(4, 3), window_size=(1100, 1467), off_screen=True)
    for block, (title, thing) in enumerate((("template", ours), ("real", real))):
        for i, (view, (direction, up)) in enumerate(VIEWS.items()):
            plot.subplot(2 * block + i // 3, i % 3)
            plot.add_mesh(thing, color="ivory", smooth_shading=True, split_sharp_edges=True)
            plot.add_text(f"{name} {title}, {view}", font_size=8)
            look(plot, thing, direction, up, 50.0)
    plot.screenshot(target)
    plot.close()


def rounding(real: pv.PolyData) -> dict[str, float]:
    """How far the rims of a real body stand above its widest points [mm], upper and lower endplate.

    Median over both sides of three frontal sections through the middle of the body. These surfaces round every edge,
    so this is an upper bound.
    """
    section = np.asarray(real.slice(normal=(0, 1, 0), origin=(0, 0, 0)).points)
    front = section[:, 0].max()
    rises: dict[str, list[float]] = {"superior": [], "inferior": []}
    for behind in (14.0, 17.0, 20.0):
        cut = np.asarray(real.slice(normal=(1, 0, 0), origin=(front - behind, 0, 0)).points)[:, [1, 2]]
        cut = cut[np.abs(cut[:, 0]) < 30.0]
        middle = cut[np.abs(cut[:, 0]) < 5.0, 1]
        for (end, up), side in product((("superior", 1.0), ("inferior", -1.0)), (1.0, -1.0)):
            height = up * (cut[:, 1] - (middle.min() + middle.max()) / 2.0)
            part = (height > 8.0) & (height < 25.0) & (side * cut[:, 0] > 0.0)
            rises[end].append(height[part].max() - height[part][np.abs(cut[part, 0]).argmax()])
    return {end: float(np.median(found)) for end, found in rises.items()}


def whole(bone: pv.PolyData, discs: pv.PolyData, target: Path) -> None:
    """The segment from the side, from behind and obliquely."""
    plot = pv.Plotter(shape=(1, 3), window_size=(1100, 733), off_screen=True)
    for i, view in enumerate(("lateral", "posterior", "oblique")):
        plot.subplot(0, i)
        plot.add_mesh(bone, color="ivory", smooth_shading=True, split_sharp_edges=True)
        plot.add_mesh(discs, color="steelblue")
        look(plot, bone, *VIEWS[view], 112.0)
    plot.screenshot(target)
    plot.close()


def sections(mesh: Mesh, target: Path) -> None:
    """The mesh cut in the sagittal and in a frontal plane: endplates, annulus and nucleus in colours."""
    grid = pv.UnstructuredGrid({pv.CellType.HEXAHEDRON: mesh.blocks[0].conn}, mesh.points)
    part = np.zeros(mesh.n_cells)
    for value, word in enumerate((".disc.annulus", ".disc.nucleus", ".endplate."), start=1):
        part[mesh.select(*[k for k in mesh.cells if word in k])] = value
    grid.cell_data["part"] = part
    plot = pv.Plotter(shape=(1, 2), window_size=(1100, 1030), off_screen=True)
    for i, (normal, view) in enumerate((((0, 1, 0), "lateral"), ((1, 0, 0), "anterior"))):
        plot.subplot(0, i)
        half = grid.clip(normal=normal, origin=(0, 0, 0), crinkle=view == "lateral")
        plot.add_mesh(
            half,
            scalars="part",
            cmap=["ivory", "steelblue", "navy", "orange"],
            clim=(-0.5, 3.5),
            show_edges=view == "lateral",
            show_scalar_bar=False,
        )
        direction, up = VIEWS[view]
        plot.camera_position = [tuple(300.0 * np.array(direction)), (0.0, 0.0, 0.0), up]
        plot.camera.parallel_projection = True
        plot.camera.parallel_scale = 92.0
    plot.screenshot(target)
    plot.close()


def main(surfaces: Path, out: Path, levels: tuple[str, ...]) -> None:
    """Render `levels` and print how they compare."""
    out.mkdir(parents=True, exist_ok=True)
    segment = build_segment(SUPPORTED, 5)
    mesh = segment.mesh
    bone = {level: mesh.select(*[k for k in mesh.cells if k.startswith(f"{level}.")]) for level in SUPPORTED}
    disc = mesh.select(*[k for k in mesh.cells if ".disc." in k])
    whole(surface(mesh, np.concatenate(list(bone.values()))), surface(mesh, disc), out / "template_segment.jpg")
    sections(build_segment(SUPPORTED, "middle").mesh, out / "template_section.jpg")
    worst = quality.scaled_jacobian(mesh)
    print("level   extents of the template / one real vertebra / mean of 87 [mm]      scaled Jacobian: least, 1 %")
    for level in levels:
        ours = surface(mesh, bone[level])
        ours.points = segment.vertebrae[level].frame.to_local(ours.points)
        real = pv.read(surfaces / f"{level}.obj").clean()
        real.points *= 1000.0
        compare(level, ours, real, out / f"template_{level}.jpg")
        extents = [np.ptp(np.asarray(s.points), axis=0).round(1).tolist() for s in (ours, real)]
        low = worst[bone[level]]
        rims = {end: round(rise, 1) for end, rise in rounding(real).items()}
        print(level, "rims of the real body above its widest points [mm]:", rims)
        print(level, *extents, CLOUTHIER_MEAN.get(level, ""), f"{low.min():.2f} {np.percentile(low, 1):.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]) or SUPPORTED)
