"""A plain stand-in for a lumbar segment: boxes with concave endplates, pedicles, frames, landmarks and names."""

import numpy as np
import pytest

from spinefix.anatomy.segment import Frame, Segment, Vertebra
from spinefix.mesh.core import Mesh, keep_cells, merge
from spinefix.mesh.generate import grid

HEIGHT, DISC, TILT = 28.0, 10.0, np.radians(7.0)
HALF_DEPTH, HALF_WIDTH, DISH = 17.0, 24.0, 1.5
PEDICLE = {"y": (9.0, 17.0), "z": (0.0, 12.0), "x": (-37.0, -17.0)}


def _vertebra_mesh(level):
    x = np.unique(np.r_[np.linspace(-37, -17, 7), np.linspace(-17, 17, 13)])
    y = np.unique(np.r_[-24, -17, np.linspace(-17, -9, 4), np.linspace(-9, 9, 7), np.linspace(9, 17, 4), 24])
    z = np.unique(np.r_[-14, -12, np.linspace(-12, 0, 4), np.linspace(0, 12, 5), 14])
    box = grid(x, y, z, name="b")
    c = box.points[box.blocks[0].conn].mean(axis=1)
    body = c[:, 0] > -17
    arm = (c[:, 0] < -17) & (np.abs(np.abs(c[:, 1]) - 13) < 4) & (c[:, 2] > 0) & (c[:, 2] < 12)
    mesh, _ = keep_cells(box, body | arm)
    c = c[body | arm]
    body = c[:, 0] > -17
    names = {
        f"{level}.endplate.superior": body & (c[:, 2] > 12),
        f"{level}.endplate.inferior": body & (c[:, 2] < -12),
        f"{level}.body.cancellous": body & (np.abs(c[:, 2]) < 12),
        f"{level}.pedicle.left": ~body & (c[:, 1] > 0),
        f"{level}.pedicle.right": ~body & (c[:, 1] < 0),
    }
    top = np.flatnonzero(names[f"{level}.endplate.superior"])
    bottom = np.flatnonzero(names[f"{level}.endplate.inferior"])
    points = mesh.points.copy()
    inside = points[:, 0] >= -HALF_DEPTH
    dish = (1 - (points[:, 0] / HALF_DEPTH) ** 2) * (1 - (points[:, 1] / HALF_WIDTH) ** 2)
    points[inside, 2] *= 1 - DISH / 14 * dish[inside] * (points[inside, 2] / 14) ** 2
    facets = {
        f"{level}.endplate.superior": np.column_stack([top, np.full(len(top), 5)]),
        f"{level}.endplate.inferior": np.column_stack([bottom, np.full(len(bottom), 4)]),
    }
    return Mesh(points, mesh.blocks, {k: np.flatnonzero(v) for k, v in names.items()}, facets)


def _disc_mesh(name):
    box = grid(np.linspace(-15, 15, 3), np.linspace(-20, 20, 3), np.linspace(-4, 4, 3), name="b")
    return Mesh(box.points, box.blocks, {f"{name}.disc.nucleus": box.cells["b"]})


def _landmarks(frame):
    local = {
        "endplate.superior.centre": [0, 0, 14 - DISH],
        "endplate.inferior.centre": [0, 0, -14 + DISH],
        "pedicle.left.centre": [-27, 13, 6],
        "pedicle.right.centre": [-27, -13, 6],
        "pedicle.left.entry": [-37, 13 + 10 * np.tan(np.radians(5)), 6],
        "pedicle.right.entry": [-37, -13 - 10 * np.tan(np.radians(5)), 6],
    }
    return {k: frame.to_global(np.array(v, float)) for k, v in local.items()}


def build_standin(levels=("L1", "L2", "L3", "L4", "L5")):
    meshes, vertebrae = [], {}
    for i, level in enumerate(levels):
        place = len(levels) // 2 - i
        angle = -TILT * place  # lordosis: upper vertebrae lean back
        c, s = np.cos(angle), np.sin(angle)
        axes = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        radius = (HEIGHT + DISC) / TILT
        origin = np.array([radius * (np.cos(angle) - 1), 0, -radius * np.sin(angle)])
        frame = Frame(origin, axes)
        meshes.append(_vertebra_mesh(level))
        meshes[-1] = Mesh(frame.to_global(meshes[-1].points), meshes[-1].blocks, meshes[-1].cells, meshes[-1].facets)
        toe = np.radians(5)
        directions = {
            "pedicle.left.axis": frame.vector_to_global(np.array([np.cos(toe), -np.sin(toe), 0])),
            "pedicle.right.axis": frame.vector_to_global(np.array([np.cos(toe), np.sin(toe), 0])),
        }
        vertebrae[level] = Vertebra(level, frame, _landmarks(frame), directions, {"PDW": 8.0, "PDH": 12.0})
        if i + 1 < len(levels):
            meshes.append(_disc_mesh(f"{level}-{levels[i + 1]}"))
    mesh, _, _ = merge(meshes)
    return Segment(mesh, tuple(levels), vertebrae, np.zeros((mesh.n_cells, 2, 3)), (), ())


@pytest.fixture(scope="session")
def segment():
    return build_standin()
