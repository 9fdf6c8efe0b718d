"""Solids and beams of one solved case as coloured surfaces, and pictures of them. The only module that meets pyvista.

Nothing here may run in the process of a user's run: VTK can take it down. `spinefix.viz.figures` is the guarded way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from spinefix.errors import UsageError
from spinefix.viz import style
from spinefix.viz.folder import RunFolder

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]
Surface = Literal["implants", "bone"]

BONE, DISC, IMPLANT_SOLID, IMPLANT_BEAM = 0, 1, 2, 3
"""Values of the cell array ``part``."""

LYTIC_BELOW, BLASTIC_ABOVE = 0.9, 1.1
"""Stiffness scale of a cell (1: healthy) from which it is drawn as lesion."""

TUBE_SIDES = 24
FEATURE_ANGLE_DEG = 50.0
_FACETED = "dataset_surface"  # extract_surface: no silent subdivision, and immune to a change of the default

OPACITY = {"bone": 0.30, "disc": 0.22, "lesion": 0.65, "metal": 0.45}


@dataclass(frozen=True, slots=True)
class View:
    """A direction of sight.

    Parameters
    ----------
    name : str
    sight : (3,) tuple
        From the camera to the spine; x anterior, y left, z up.
    """

    name: str
    sight: tuple[float, float, float]

    @property
    def axes(self) -> tuple[F64, F64]:
        """Unit vectors to the right and to the top of the picture."""
        sight = np.asarray(self.sight) / np.linalg.norm(self.sight)
        right = np.cross(sight, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return right, np.cross(right, sight)

    @property
    def sides(self) -> tuple[str, str]:
        """What lies to the left and to the right of the picture, empty if the view is oblique."""
        right, _ = self.axes
        axis = int(np.argmax(np.abs(right)))
        if abs(right[axis]) < 0.99:
            return "", ""
        pair = (("posterior", "anterior"), ("right", "left"))[axis]
        return (pair[0], pair[1]) if right[axis] > 0.0 else (pair[1], pair[0])


VIEWS: dict[str, View] = {
    "lateral": View("lateral", (0.0, -1.0, 0.0)),
    "posterior": View("posterior", (1.0, 0.0, 0.0)),
    "anterior": View("anterior", (-1.0, 0.0, 0.0)),
    "oblique": View("oblique", (0.75, -1.0, -0.45)),
}
"""Seen from the patient's left, from behind, from the front, and from behind, left and above."""


@dataclass(frozen=True, slots=True)
class Scales:
    """What all pictures of a comparison share, so that they can be held side by side.

    Parameters
    ----------
    deformation : float
        Factor on the displacements.
    implant_MPa, bone_MPa : float
        Top of the colour range of von Mises stress: the 99th percentile over the cells of all arms and directions,
        for implants the larger one of solids and beams (the many cells of a prosthesis would hide a few screws).
    corners : (2, 3) float64 [mm]
        Box around all drawn shapes.
    """

    deformation: float
    implant_MPa: float
    bone_MPa: float
    corners: F64 = field(repr=False)

    def limits(self, surface: Surface) -> tuple[float, float]:
        """Colour range [MPa]; two decades for bone: its shell carries a hundred times the stress of its core."""
        return (0.0, self.implant_MPa) if surface == "implants" else (0.01 * self.bone_MPa, self.bone_MPa)


def nice_factor(limit: float) -> float:
    """Largest of 1, 2, 5, 10, 20, 50, ... that is not above `limit`, at least 1."""
    if not limit >= 1.0 or not math.isfinite(limit):
        return 1.0
    decade = 10.0 ** math.floor(math.log10(limit) + 1e-12)
    return decade * max(m for m in (1.0, 2.0, 5.0) if m * decade <= limit * (1.0 + 1e-12))


def read_grid(run: RunFolder, arm: str, direction: str) -> Any:
    """Read the field of one case as a pyvista unstructured grid.

    Raises
    ------
    UsageError
        There is no such field, or it lacks an array of the contract.
    """
    path = run.field_file(arm, direction)
    if not path.is_file():
        known = ", ".join(f"{a} {d}" for a, d in run.cases()) or "none"
        raise UsageError(f"{path}: no field of arm {arm!r}, direction {direction!r}; there are: {known}")
    grid = pv.read(path)
    missing = [n for n in ("part", "von_mises") if n not in grid.cell_data]
    missing += [n for n in ("displacement",) if n not in grid.point_data]
    if missing:
        raise UsageError(f"{path}: array {missing[0]!r} is missing")
    return grid


def find_scales(run: RunFolder, cases: Sequence[tuple[str, str]] | None = None, *, swing: float = 0.12) -> Scales:
    """Choose, once for `cases` (default: all of the folder), deformation factor, colour ranges and picture frame.

    Parameters
    ----------
    swing : float
        Largest drawn displacement, as a part of the diagonal of the undeformed model.
    """
    stress: dict[int, list[F64]] = {BONE: [], IMPLANT_SOLID: [], IMPLANT_BEAM: []}
    undeformed: list[F64] = []
    reach: list[tuple[F64, F64]] = []
    largest = 0.0
    for grid in (read_grid(run, *case) for case in cases or run.cases()):
        part, von_mises = np.asarray(grid["part"]), np.asarray(grid["von_mises"], float)
        for kind, values in stress.items():
            values.append(von_mises[part == kind])
        used = np.unique(grid.cell_connectivity)  # resection leaves points behind
        points, u = np.asarray(grid.points, float)[used], np.asarray(grid["displacement"], float)[used]
        undeformed += [points.min(axis=0), points.max(axis=0)]
        reach.append((points, u))
        largest = max(largest, float(np.linalg.norm(u, axis=1).max(initial=0.0)))
    if not reach:
        raise UsageError(f"{run.path}: no fields to draw")
    diagonal = float(np.linalg.norm(np.ptp(undeformed, axis=0)))
    factor = nice_factor(swing * diagonal / largest) if largest > 0.0 else 1.0
    corners = np.array([p for x, u in reach for p in ((x + factor * u).min(axis=0), (x + factor * u).max(axis=0))])
    radius = 4.0  # room for the thickness of beams at the border [mm]
    box = np.array([corners.min(axis=0) - radius, corners.max(axis=0) + radius])
    top = {kind: _percentile(values) for kind, values in stress.items()}
    implant = max(top[IMPLANT_SOLID], top[IMPLANT_BEAM])
    return Scales(factor, implant or 1.0, top[BONE] or 1.0, box)


def _percentile(parts: list[F64]) -> float:
    """99th percentile of all finite values, 0 if there are none."""
    values = np.concatenate(parts) if parts else np.zeros(0)
    values = values[np.isfinite(values)]
    return float(np.percentile(values, 99.0)) if values.size else 0.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One coloured surface of a scene; `colour` None means coloured by von Mises stress."""

    surface: Any
    colour: str | None
    opacity: float


def layers(grid: Any, factor: float, surface: Surface) -> Iterator[Layer]:
    """Yield the surfaces of one case in deformed shape.

    Coincident faces flicker, so every face is drawn once: bone and discs share one outer skin, and where a lesion
    reaches that skin the skin is left out.

    Parameters
    ----------
    grid : pyvista.UnstructuredGrid
    factor : float
        Factor on the displacements.
    surface : {'implants', 'bone'}
        Which is coloured by stress. ``bone`` takes the left half away and shows the cut.
    """
    grid = grid.copy(deep=False)
    grid.cell_data["cell"] = np.arange(grid.n_cells)
    part = np.asarray(grid["part"])
    if surface == "bone":
        yield from _cut_bone(grid, part, factor)
    else:
        yield from _translucent_bone(grid, part, factor)
    metal, opacity = (None, 1.0) if surface == "implants" else (style.METAL, OPACITY["metal"])
    if (part == IMPLANT_SOLID).any():
        yield Layer(_skin(_deformed(grid.extract_cells(part == IMPLANT_SOLID), factor)), metal, opacity)
    if (part == IMPLANT_BEAM).any():
        yield Layer(bars(grid.extract_cells(part == IMPLANT_BEAM), factor), metal, opacity)


def _translucent_bone(grid: Any, part: NDArray[np.int_], factor: float) -> Iterator[Layer]:
    tissue = part <= DISC
    if not tissue.any():
        return
    scale = np.asarray(grid["scale"]) if "scale" in grid.cell_data else np.ones(grid.n_cells)
    lytic, blastic = tissue & (scale < LYTIC_BELOW), tissue & (scale > BLASTIC_ABOVE)
    skin = _skin(_deformed(grid.extract_cells(tissue), factor))
    cell = np.asarray(skin["cell"])
    healthy = ~(lytic | blastic)[cell]
    for name, colour, chosen in (("bone", style.BONE, BONE), ("disc", style.DISC, DISC)):
        faces = healthy & (part[cell] == chosen)
        if faces.any():
            yield Layer(_faces(skin, faces), colour, OPACITY[name])
    for chosen_cells, colour in ((lytic, style.LESION_LYTIC), (blastic, style.LESION_BLASTIC)):
        if chosen_cells.any():
            yield Layer(_skin(_deformed(grid.extract_cells(chosen_cells), factor)), colour, OPACITY["lesion"])


def _cut_bone(grid: Any, part: NDArray[np.int_], factor: float) -> Iterator[Layer]:
    bone = part == BONE
    if not bone.any():
        return
    # cut by the undeformed y, so that the cut follows the material and not the plane
    bounds = grid.extract_cells(bone).bounds
    grid.point_data["y"] = np.asarray(grid.points, float)[:, 1] - 0.5 * (bounds[2] + bounds[3])
    for chosen in (BONE, DISC):
        if (part == chosen).any():
            half = _deformed(grid.extract_cells(part == chosen), factor).clip_scalar(scalars="y", value=0.0)
            if half.n_cells:
                yield Layer(_skin(half), None if chosen == BONE else style.DISC, 1.0)


def _deformed(grid: Any, factor: float) -> Any:
    out = grid.copy(deep=False)
    # new points, never ``out.points = ...``: that writes into the points which the shallow copy shares with its origin
    out.SetPoints(pv.vtk_points(np.asarray(grid.points, float) + factor * np.asarray(grid["displacement"], float)))
    return out


def _skin(grid: Any) -> Any:
    """Outer faces with smooth normals that break at sharp edges; keeps cell data."""
    faces = grid.extract_surface(algorithm=_FACETED)
    return faces.compute_normals(
        cell_normals=False, point_normals=True, split_vertices=True, feature_angle=FEATURE_ANGLE_DEG
    )


def _faces(skin: Any, chosen: NDArray[np.bool_]) -> Any:
    """Keep some faces of a skin with the normals they have."""
    return skin.extract_cells(chosen).extract_surface(algorithm=_FACETED)


def bars(beams: Any, factor: float) -> Any:
    """Beams at their real thickness, round or flat; each cell is a piece of its own, so that it keeps its own stress.

    Parameters
    ----------
    beams : pyvista.UnstructuredGrid
        Lines with cell data ``radius`` (half the thickness) and, where there are plates, ``half_width`` (vectors) [mm].
    """
    beams = _deformed(beams, factor)
    conn = np.asarray(beams.cells).reshape(-1, 3)[:, 1:]
    joints = np.bincount(conn.ravel(), minlength=beams.n_points)
    at_end = (joints[conn] == 1).any(axis=1)  # caps inside a bent rod would poke through its side
    radius = np.asarray(beams["radius"], float) if "radius" in beams.cell_data else np.ones(len(conn))
    stress = np.asarray(beams["von_mises"], float)
    width = np.asarray(beams["half_width"], float) if "half_width" in beams.cell_data else np.zeros((len(conn), 3))
    flat = width.any(axis=1)
    points = np.asarray(beams.points)
    chosen = [m for m in (at_end & ~flat, ~at_end & ~flat) if m.any()]
    pieces = [_tubes(points, conn[m], radius[m], stress[m], bool(at_end[m].all())) for m in chosen]
    if flat.any():
        pieces.append(_boxes(points[conn[flat]], width[flat], radius[flat], stress[flat]))
    return pieces[0].append_polydata(*pieces[1:]) if len(pieces) > 1 else pieces[0]


def _boxes(ends: F64, width: F64, thickness: F64, stress: F64) -> Any:
    """Flat bars (n) from end to end (n, 2, 3), of half `width` (n, 3) and half `thickness` (n,)."""
    axis = ends[:, 1] - ends[:, 0]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    across = width - np.einsum("ni,ni->n", width, axis)[:, None] * axis
    out = np.cross(across, axis)
    out *= (thickness / np.linalg.norm(out, axis=1))[:, None]
    corners = np.stack([ends[:, e] + s * across + t * out for e in (0, 1) for s in (-1, 1) for t in (-1, 1)], axis=1)
    faces = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    quads = corners[:, faces].reshape(-1, 3)  # corners of its own for each face keep the edges sharp
    numbers = np.arange(len(quads)).reshape(-1, 4)
    boxes = pv.PolyData(quads, faces=np.column_stack([np.full(len(numbers), 4), numbers]).ravel())
    boxes.cell_data["von_mises"] = np.repeat(stress, len(faces))
    return boxes


def _tubes(points: F64, conn: NDArray[np.int_], radius: F64, stress: F64, capped: bool) -> Any:
    n = len(conn)
    ends = np.column_stack([np.full(n, 2), np.arange(2 * n).reshape(n, 2)])
    lines = pv.PolyData(points[conn].reshape(-1, 3), lines=ends.ravel())
    lines.point_data["radius"] = np.repeat(np.where(radius > 0.0, radius, 0.5), 2)
    lines.cell_data["von_mises"] = stress
    return lines.tube(scalars="radius", absolute=True, n_sides=TUBE_SIDES, capping=capped)


def populate(plotter: Any, grid: Any, scales: Scales, surface: Surface = "implants") -> None:
    """Put the surfaces of one case into a plotter."""
    cmap = style.STRESS_MAP if surface == "implants" else style.BONE_STRESS_MAP
    for layer in layers(grid, scales.deformation, surface):
        common = {"opacity": layer.opacity, "smooth_shading": True, "show_scalar_bar": False}
        if layer.colour is None:
            actor = plotter.add_mesh(
                layer.surface,
                scalars="von_mises",
                preference="cell",
                clim=scales.limits(surface),
                log_scale=surface == "bone",
                cmap=cmap,
                specular=0.2,
                ambient=0.25,
                **common,
            )
        else:
            actor = plotter.add_mesh(layer.surface, color=layer.colour, scalars=None, ambient=0.15, **common)
        if layer.opacity == 1.0:
            _bring_forward(actor)
    # order matters: with the default multi-sampling, depth peeling loses translucent surfaces on Mesa
    plotter.enable_anti_aliasing("ssaa", multi_samples=4)
    plotter.enable_depth_peeling(number_of_peels=8)


def _bring_forward(actor: Any) -> None:
    """Let an opaque surface win over a translucent one in the same place (an implant that touches bone)."""
    actor.mapper.SetResolveCoincidentTopologyToPolygonOffset()
    actor.mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(-2.0, -8.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """A rendered picture and how to find places in it.

    Parameters
    ----------
    image : (h, w, 3) uint8
    view : View
    centre : (3,) float64 [mm]
        Point in the middle of the picture.
    pixel_mm : float
        Millimetres per pixel (parallel projection).
    """

    image: Image
    view: View
    centre: F64
    pixel_mm: float

    def pixel(self, point: F64) -> tuple[float, float]:
        """Column and row of a point [mm]."""
        right, up = self.view.axes
        h, w = self.image.shape[:2]
        d = (np.asarray(point) - self.centre) / self.pixel_mm
        return 0.5 * w + float(d @ right), 0.5 * h - float(d @ up)


def panels(
    grid: Any, scales: Scales, views: Sequence[View], *, surface: Surface = "implants", height: int = 640
) -> list[Panel]:
    """Render one case from several sides in parallel projection, all at one magnification, on white.

    Parameters
    ----------
    height : int [pixel]
        Height of a picture of the full box seen from the side.
    """
    corners = scales.corners
    pixel_mm = float(corners[1, 2] - corners[0, 2]) / height
    centre = corners.mean(axis=0)
    eight = np.array([[corners[i, 0], corners[j, 1], corners[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    out = []
    for view in views:
        right, up = view.axes
        size = [2 * math.ceil(np.abs((eight - centre) @ axis).max() / pixel_mm) for axis in (right, up)]
        plotter = pv.Plotter(off_screen=True, window_size=tuple(size))
        try:
            plotter.background_color = style.PAPER
            populate(plotter, grid, scales, surface)
            aim(plotter, view, centre, 0.5 * size[1] * pixel_mm, float(np.linalg.norm(np.ptp(corners, axis=0))))
            image = np.asarray(plotter.screenshot(return_img=True))[:, :, :3]
        finally:
            plotter.close()
        out.append(Panel(image, view, centre, pixel_mm * size[1] / image.shape[0]))
    return out


def aim(plotter: Any, view: View, centre: F64, half_height: float, distance: float) -> None:
    """Point a parallel-projection camera at `centre`; `half_height` [mm] of the picture."""
    sight = np.asarray(view.sight) / np.linalg.norm(view.sight)
    camera = plotter.camera
    camera.focal_point = tuple(centre)
    camera.position = tuple(centre - 3.0 * distance * sight)
    camera.up = tuple(view.axes[1])
    camera.parallel_projection = True
    camera.parallel_scale = half_height
    plotter.reset_camera_clipping_range()


def show(run: RunFolder, arms: Sequence[str], direction: str, *, surface: Surface = "implants") -> None:
    """Open a window with the arms side by side, turned together; returns when it is closed."""
    scales = find_scales(run, [(a, d) for a, d in run.cases() if d == direction])
    plotter = pv.Plotter(shape=(1, len(arms)), window_size=(min(1800, 600 * len(arms)), 900))
    for i, arm in enumerate(arms):
        plotter.subplot(0, i)
        plotter.background_color = style.PAPER
        populate(plotter, read_grid(run, arm, direction), scales, surface)
        plotter.add_text(f"{style.label(arm)}\n{style.label(direction)}", font_size=11, color=style.INK)
        plotter.add_axes(xlabel="anterior", ylabel="left", zlabel="up", color=style.INK)
        corners = scales.corners
        half = 0.6 * float(corners[1, 2] - corners[0, 2])
        aim(plotter, VIEWS["oblique"], corners.mean(axis=0), half, float(np.linalg.norm(np.ptp(corners, axis=0))))
    bar = pv.LookupTable(cmap=style.STRESS_MAP if surface == "implants" else style.BONE_STRESS_MAP)
    bar.scalar_range = scales.limits(surface)
    bar.log_scale = surface == "bone"
    plotter.subplot(0, len(arms) - 1)
    _add_bar(plotter, bar)
    note = f"von Mises stress of the {surface}, deformation x {scales.deformation:g}"
    plotter.add_text(note, position="lower_left", font_size=9, color=style.INK)
    plotter.link_views()
    plotter.show(title=f"{run.title}: {style.label(direction)}")


def _add_bar(plotter: Any, table: Any) -> None:
    carrier = pv.PolyData(np.zeros((1, 3)))
    actor = plotter.add_mesh(carrier, opacity=0.0, show_scalar_bar=False)
    actor.mapper.lookup_table = table
    plotter.add_scalar_bar(
        title="MPa",
        mapper=actor.mapper,
        color=style.INK,
        vertical=True,
        title_font_size=18,
        label_font_size=15,
        fmt="%.3g",
        position_x=0.86,
        position_y=0.25,
        height=0.5,
        width=0.08,
    )
