"""The O-grid cross-section shared by vertebral body and disc: topology, and the map from an outline to its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MeshError
from spinefix.mesh.core import F64, I32, frozen

Int = NDArray[np.intp]


@dataclass(frozen=True)
class Divisions:
    """How many elements lie along each direction of the vertebra template for one refinement integer.

    Section: `canal` over half the posterior wall, `pedicle` over a pedicle's width, `flank` over the side of the body,
    `core` rings between the inner square and the nucleus boundary, `annulus` rings outside it (the last one thin).
    Height of the body: `below`, `low`, `high` (pedicle's lower and upper half), `above`, and one layer per endplate.
    Arch: `base` over half the spinous process, `lamina`, `transverse`, `spinous` along these, `arch` through the
    thickness, `neck` and `root` along the pedicle behind and before its isthmus, `tip`, `shelf`, `pars`, `rise` along
    the articular pillar from below.
    """

    canal: int
    pedicle: int
    flank: int
    core: int
    annulus: int
    below: int
    low: int
    high: int
    above: int
    base: int
    lamina: int
    transverse: int
    spinous: int
    arch: int
    neck: int
    root: int
    tip: int
    shelf: int
    pars: int
    rise: int


def divisions(n: int) -> Divisions:
    """Return the divisions of refinement `n`: about 2000, 6000 and 30 000 elements with a disc for n = 2, 3 and 5.

    The pedicle's width and height always get an even number with a node line in the middle, so that its greatest
    width and height are sampled exactly.

    Raises
    ------
    MeshError
        `n` is less than 2 or more than 12.
    """
    if not 2 <= n <= 12:
        raise MeshError(f"refinement n = {n} is outside 2..12 (2 coarse, 3 middle, 5 fine)")
    half = (n + 1) // 2
    return Divisions(
        canal=n,
        pedicle=2 * half,
        flank=2 * n,
        core=(2 * n - 1) // 3,
        annulus=(4 * n + 1) // 3,
        below=n,
        low=n,
        high=n,
        above=(2 * n - 1) // 3,
        base=half,
        lamina=n,
        transverse=2 * n,
        spinous=2 * n,
        arch=n + 1,
        neck=half,
        root=half,
        tip=n,
        shelf=max(1, n - 1),
        pars=max(1, n - 1),
        rise=2 * n,
    )


@dataclass(frozen=True)
class Section:
    """O-grid cross-section shared by body and discs, left-right symmetric.

    Parameters
    ----------
    quads : (m, 4) int32
        Cells, counterclockwise seen from above.
    ring : (m,) int32
        0 inside the nucleus boundary, 1..n_rings outwards; the last one lies over the cortical shell.
    n_nodes, n_rings : int
    angle : (m,) float64 [rad]
        Circumferential position of the cell by its place along the outline: 0 ventral, + to the left, +-pi dorsal.
    boundary : (c,) int32
        Outer node loop, from the ventral midline counterclockwise seen from above (towards the left).
    pedicle : (p + 1,) int32
        Outer nodes from the medial to the lateral edge of the left pedicle's root.
    mirror : (n_nodes,) int32
        Node at the mirrored place across the midline.
    """

    quads: I32
    ring: I32
    n_nodes: int
    n_rings: int
    angle: F64
    boundary: I32
    pedicle: I32
    mirror: I32

    def __post_init__(self) -> None:
        for name in ("quads", "ring", "boundary", "pedicle", "mirror"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int32))
        object.__setattr__(self, "angle", frozen(self.angle, np.float64))


@lru_cache(maxsize=8)
def build_section(n: int) -> Section:
    """Build the section's topology for refinement `n`."""
    d = divisions(n)
    grid = core_grid(d)
    loop = core_loop(d)
    c = len(loop)
    n_core, n_ring = grid.size, d.core + d.annulus
    loops = np.vstack([loop, n_core + np.arange(n_ring * c).reshape(n_ring, c)])

    lower, upper = grid[:-1], grid[1:]  # first index backwards to forwards, second right to left
    core = np.stack([lower[:, :-1], upper[:, :-1], upper[:, 1:], lower[:, 1:]], axis=-1).reshape(-1, 4)
    nxt = np.roll(loops, -1, axis=1)
    around = np.stack([loops[:-1], loops[1:], nxt[1:], nxt[:-1]], axis=-1).reshape(-1, 4)
    ring = np.concatenate([np.zeros(len(core)), np.repeat(np.maximum(np.arange(n_ring) - d.core + 1, 0), c)])

    flip = (-np.arange(c)) % c
    mirror = np.concatenate([grid[:, ::-1].ravel(), loops[1:, flip].ravel()])
    start = c // 2 - d.canal
    return Section(
        quads=np.vstack([core, around]).astype(np.int32),
        ring=ring.astype(np.int32),
        n_nodes=n_core + n_ring * c,
        n_rings=d.annulus,
        angle=_cell_angles(d, len(core), c, n_ring),
        boundary=loops[-1].astype(np.int32),
        pedicle=loops[-1][start - np.arange(d.pedicle + 1)].astype(np.int32),
        mirror=mirror.astype(np.int32),
    )


def core_grid(d: Divisions) -> Int:
    """Node ids of the inner square, (flank + 1, 2 (pedicle + canal) + 1): back to front, right to left."""
    shape = (d.flank + 1, 2 * (d.pedicle + d.canal) + 1)
    return np.arange(shape[0] * shape[1]).reshape(shape)


def core_loop(d: Divisions) -> Int:
    """Return the edge of the inner square from the ventral midline counterclockwise (towards the left)."""
    grid = core_grid(d)
    half = d.pedicle + d.canal
    left_front, left = grid[-1, half:], grid[-2::-1, -1]
    back, right, right_front = grid[0, -2::-1], grid[1:, 0], grid[-1, 1:half]
    return np.concatenate([left_front, left, back, right, right_front])


def _cell_angles(d: Divisions, n_core: int, c: int, n_ring: int) -> F64:
    """Circumferential angle of ring cells by place along the outline; core cells get that of their row and column."""
    width, depth = 2 * (d.pedicle + d.canal), d.flank
    y, x = np.meshgrid((np.arange(width) + 0.5) * 2 / width - 1, (np.arange(depth) + 0.5) * 2 / depth - 1)
    core = np.arctan2(y, x).ravel()
    step = (np.arange(c) + 0.5) / c * 2.0 * np.pi
    step = np.where(step > np.pi, step - 2.0 * np.pi, step)
    return np.concatenate([core, np.tile(step, n_ring)])


def place_section(d: Divisions, outline: F64, shell: float, nucleus_area: float, nucleus_offset: float) -> F64:
    """Map outlines to section nodes.

    Parameters
    ----------
    outline : (l, c, 2) float64 [mm]
        Outer loop of l sections, in the order of `Section.boundary`; x forward, y left.
    shell : float [mm]
        Thickness of the outermost ring.
    nucleus_area : float
        Area inside the nucleus boundary over that of the section.
    nucleus_offset : float
        Shift of the nucleus backwards, over the depth of the section.

    Returns
    -------
    (l, n_nodes, 2) float64 [mm]
    """
    n_layers, c = outline.shape[:2]
    inner = outline - shell * _normals(outline)
    depth = outline[:, 0, 0] - outline[:, c // 2, 0]
    centre = np.zeros((n_layers, 1, 2))
    centre[:, 0, 0] = 0.5 * (outline[:, 0, 0] + outline[:, c // 2, 0]) - nucleus_offset * depth
    nucleus = centre + np.sqrt(nucleus_area) * (outline - outline.mean(axis=1, keepdims=True))
    # The dorsal concavity fades towards the nucleus.
    nucleus = 0.5 * nucleus + 0.5 * _ellipse(nucleus, centre)
    core, loop = _inner_square(d, centre + 0.72 * (nucleus - centre))
    parts = [core]
    for i in range(1, d.core + 1):
        t = i / d.core
        parts.append((1 - t) * loop + t * nucleus)
    for i in range(1, d.annulus):
        t = i / (d.annulus - 1)
        parts.append((1 - t) * nucleus + t * inner)
    return np.concatenate([*parts, outline], axis=1)


def _normals(outline: F64) -> F64:
    """Outward unit normals of closed counterclockwise loops (l, c, 2)."""
    tangent = np.roll(outline, -1, axis=1) - np.roll(outline, 1, axis=1)
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], axis=-1)
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))


def _ellipse(loop: F64, centre: F64) -> F64:
    """Project loops on ellipses of the same half axes about `centre`, keeping the direction of each node."""
    arm = loop - centre
    half = np.abs(arm).max(axis=1, keepdims=True)
    return np.asarray(centre + arm / np.linalg.norm(arm / half, axis=-1, keepdims=True))


def _inner_square(d: Divisions, loop: F64) -> tuple[F64, F64]:
    """Rounded square with corners on `loop` (l, c, 2): its nodes by Coons interpolation, and its edge loop."""
    half, flank = d.pedicle + d.canal, d.flank
    bend = 0.35
    corners = [-half, half, half + flank, 3 * half + flank, 3 * half + 2 * flank]
    sides = []
    for a, b in zip(corners[:-1], corners[1:], strict=True):
        arc = loop[:, np.arange(a, b + 1) % loop.shape[1]]
        t = _chord_parameter(arc)
        chord = (1 - t) * arc[:, :1] + t * arc[:, -1:]
        sides.append(bend * arc + (1 - bend) * chord)
    front, left, back, right = sides  # counterclockwise: right to left, front to back, left to right, back to front
    u = np.linspace(0, 1, 2 * half + 1)[None, None, :, None]  # right to left
    v = np.linspace(0, 1, flank + 1)[None, :, None, None]  # back to front
    south, north, west, east = back[:, None, ::-1], front[:, None], right[:, :, None], left[:, ::-1, None]
    grid = (1 - v) * south + v * north + (1 - u) * west + u * east
    grid = grid - (1 - u) * (1 - v) * south[:, :, :1] - u * (1 - v) * south[:, :, -1:]
    grid = grid - (1 - u) * v * north[:, :, :1] - u * v * north[:, :, -1:]
    flat = grid.reshape(len(loop), -1, 2)
    return flat, flat[:, core_loop(d)]


def _chord_parameter(arc: F64) -> F64:
    """Arc-length parameter (l, k, 1) in [0, 1] of polylines (l, k, 2)."""
    step = np.linalg.norm(np.diff(arc, axis=1), axis=-1)
    s = np.concatenate([np.zeros((len(arc), 1)), np.cumsum(step, axis=1)], axis=1)
    return np.asarray((s / s[:, -1:])[..., None])
