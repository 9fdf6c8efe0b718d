"""The posterior arch as blocks of one index lattice: occupancy, sampling at any refinement, smoothing.

The left half is a lattice of bands. Across (p, midline to the left): base, lamina, column, transverse. Forwards (q,
from behind): spinous, arch, neck, root. Upwards (r): tip, shelf, pars, low, high, rise. Most of the products are empty:
canal, foramina and the outside. A surface is shared by blocks because it is one index plane, so every refinement
conforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import splu

from spinefix.anatomy.vertebra_section import Divisions
from spinefix.mesh.core import F64, Bool

Int = NDArray[np.intp]

ACROSS = ("base", "lamina", "column", "transverse")
FORWARD = ("spinous", "arch", "neck", "root")
UPWARD = ("tip", "shelf", "pars", "low", "high", "rise")

REFERENCE = {
    **{"base": 4, "lamina": 6, "column": 6, "transverse": 12},
    **{"spinous": 12, "arch": 6, "neck": 4, "root": 4},
    **{"tip": 6, "shelf": 4, "pars": 4, "low": 4, "high": 4, "rise": 10},
}
"""Subdivision of the lattice on which the shape is made once; a mesh of any refinement is sampled from it."""

_LAMINA_ROWS = ("shelf", "pars", "low")
BLOCKS: tuple[tuple[str, str, str], ...] = (
    *(("column", "arch", r) for r in UPWARD),
    *product(("column",), ("neck", "root"), ("low", "high")),
    *(("transverse", "arch", r) for r in ("low", "high")),
    *(("lamina", "arch", r) for r in _LAMINA_ROWS),
    *(("base", "arch", r) for r in _LAMINA_ROWS),
    *(("base", "spinous", r) for r in _LAMINA_ROWS),
)
"""The occupied products of bands."""


@dataclass(frozen=True)
class Lattice:
    """Index ranges of the bands for one subdivision.

    Parameters
    ----------
    starts : mapping of band name to (first, last) node index along its axis
    shape : (3,) int
        Number of nodes across, forwards, upwards.
    """

    starts: dict[str, tuple[int, int]]
    shape: tuple[int, int, int]

    def nodes(self, *bands: str) -> slice:
        """Node range of neighbouring bands of one axis, both ends included."""
        return slice(min(self.starts[b][0] for b in bands), max(self.starts[b][1] for b in bands) + 1)

    def cells(self, band: str) -> slice:
        """Cell range of a band."""
        return slice(*self.starts[band])

    def block(self, block: tuple[str, str, str]) -> tuple[slice, slice, slice]:
        """Node ranges of one block."""
        p, q, r = block
        return self.nodes(p), self.nodes(q), self.nodes(r)

    def occupied_cells(self) -> Bool:
        """Mask of occupied cells, one less than `shape` along each axis."""
        mask = np.zeros([k - 1 for k in self.shape], np.bool_)
        for p, q, r in BLOCKS:
            mask[self.cells(p), self.cells(q), self.cells(r)] = True
        return mask

    def occupied_nodes(self) -> Bool:
        """Mask of nodes of occupied cells."""
        mask = np.zeros(self.shape, np.bool_)
        for block in BLOCKS:
            mask[self.block(block)] = True
        return mask


def build_lattice(counts: dict[str, int]) -> Lattice:
    """Return the lattice with the given number of elements per band."""
    starts: dict[str, tuple[int, int]] = {}
    shape = []
    for axis in (ACROSS, FORWARD, UPWARD):
        at = 0
        for band in axis:
            starts[band] = (at, at + counts[band])
            at += counts[band]
        shape.append(at + 1)
    return Lattice(starts, (shape[0], shape[1], shape[2]))


@lru_cache(maxsize=1)
def reference_lattice() -> Lattice:
    """The lattice on which the shape is made."""
    return build_lattice(REFERENCE)


def lattice_of(d: Divisions) -> Lattice:
    """The lattice of one refinement."""
    bands = [b for b in (*ACROSS, *FORWARD, *UPWARD) if b != "column"]
    return build_lattice({"column": d.pedicle, **{b: getattr(d, b) for b in bands}})


def sample(points: F64, lattice: Lattice) -> F64:
    """Interpolate reference points trilinearly, block by block.

    A face of a block takes its values from that face alone, so neighbours agree; nodes outside all blocks are NaN.
    """
    reference = reference_lattice()
    out = np.full((*lattice.shape, 3), np.nan)
    for block in BLOCKS:
        values = points[reference.block(block)]
        for axis, band in enumerate(block):
            first, last = lattice.starts[band]
            values = _stretch(values, last - first, axis)
        out[lattice.block(block)] = values
    return out


def _stretch(values: F64, count: int, axis: int) -> F64:
    """Resample linearly to `count` intervals along one axis."""
    old = values.shape[axis] - 1
    at = np.arange(count + 1) * old / count
    low = np.minimum(at.astype(int), old - 1)
    t = (at - low).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.asarray((1.0 - t) * np.take(values, low, axis) + t * np.take(values, low + 1, axis))


# --- smoothing on the reference lattice ---


@lru_cache(maxsize=1)
def fixed_nodes() -> Bool:
    """Mask of reference nodes that stay as drawn: the inside of the articular surfaces and the pedicle's root."""
    lattice = reference_lattice()
    fixed = np.zeros(lattice.shape, np.bool_)
    medial, lateral = lattice.starts["column"]
    q = lattice.nodes("arch")
    for p, rows in ((lateral, lattice.nodes("tip", "shelf")), (medial, lattice.nodes("high", "rise"))):
        fixed[p, q.start + 1 : q.stop - 1, rows.start + 1 : rows.stop - 1] = True
    fixed[:, -1] = True
    return fixed


@dataclass(frozen=True)
class Smoother:
    """Neighbour averages of the reference lattice as sparse matrices over its occupied nodes.

    Parameters
    ----------
    index : (P, Q, R) int
        Row of each lattice node, -1 outside.
    surface : (k,) bool
        Nodes on the outer surface (the body's wall and the midline plane are no surface: they are inside the bone).
    average : csr_array (k, k)
        Row-normalised mean over surface neighbours, the midline mirrored.
    held : (k,) bool
        Nodes on the surface or fixed, whose shifts are given when those of the others are sought.
    coupling : csr_array (free, held)
        Rows of the graph Laplacian (over all lattice neighbours) of the other nodes, columns of held ones.
    factor : SuperLU
        Factors of the remaining columns.
    """

    index: Int
    surface: Bool
    average: csr_array
    held: Bool
    coupling: csr_array
    factor: Any


@lru_cache(maxsize=1)
def smoother() -> Smoother:
    """Build the averages once."""
    lattice = reference_lattice()
    occupied = lattice.occupied_nodes()
    index = np.full(lattice.shape, -1)
    index[occupied] = np.arange(int(occupied.sum()))
    cells = lattice.occupied_cells()
    k = int(occupied.sum())
    pairs = _surface_edges(lattice, cells, index)
    # A surface node on the midline also has the mirror image of its neighbour off the midline.
    midline = index[0][index[0] >= 0]
    on_midline = np.zeros(k, np.bool_)
    on_midline[midline] = True
    weight = np.where(on_midline[pairs[:, 0]] & ~on_midline[pairs[:, 1]], 2.0, 1.0)
    adjacency = csr_array((weight, (pairs[:, 0], pairs[:, 1])), shape=(k, k))
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    surface = degree > 0
    average = diags_array(1.0 / np.where(surface, degree, 1.0)) @ adjacency
    held = surface | fixed_nodes()[occupied]
    rows = _graph_laplacian(index, occupied)[~held]
    return Smoother(index, surface, csr_array(average), held, rows[:, held], splu(rows[:, ~held].tocsc()))


def _surface_edges(lattice: Lattice, cells: Bool, index: Int) -> Int:
    """Directed edges (e, 2) of outer quadrilaterals, each pair of neighbours once per direction."""
    padded = np.pad(cells, 1)
    padded[0] = padded[1]  # the midline plane is inside
    root = lattice.cells("root").stop
    padded[:, root + 1] |= padded[:, root]  # so is the wall of the body
    edges = []
    for axis in range(3):
        a = np.moveaxis(padded, axis, 0)
        change = (a[1:] != a[:-1])[:, 1:-1, 1:-1]
        nodes = np.moveaxis(index, axis, 0)
        k, i, j = np.nonzero(change)
        ring = [nodes[k, i, j], nodes[k, i + 1, j], nodes[k, i + 1, j + 1], nodes[k, i, j + 1]]
        for s, e in zip(ring, [*ring[1:], ring[0]], strict=True):
            edges += [np.stack([s, e], 1), np.stack([e, s], 1)]
    found = np.unique(np.concatenate(edges), axis=0)
    return np.asarray(found[(found >= 0).all(axis=1)])


def _graph_laplacian(index: Int, occupied: Bool) -> csr_array:
    """Graph Laplacian over lattice neighbours inside the bone."""
    k = int(occupied.sum())
    rows, cols = [], []
    for axis in range(3):
        a = np.moveaxis(index, axis, 0)
        both = (a[1:] >= 0) & (a[:-1] >= 0)
        rows += [a[1:][both], a[:-1][both]]
        cols += [a[:-1][both], a[1:][both]]
    r, c = np.concatenate(rows), np.concatenate(cols)
    adjacency = csr_array((np.ones(len(r)), (r, c)), shape=(k, k))
    return csr_array(diags_array(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency)


def smooth(points: F64, passes: int) -> F64:
    """Round off edges and creases: Taubin's low-pass on the outer surface, then carry the shift inwards.

    Parameters
    ----------
    points : (P, Q, R, 3) float64 [mm]
        `fixed_nodes` stay, and the midline plane keeps y = 0.
    passes : int
        Pairs of shrinking and swelling steps (Taubin 1995, lambda 0.6, mu -0.62).
    """
    s = smoother()
    inside = s.index >= 0
    x = points[inside]
    start = x.copy()
    free = s.surface & ~fixed_nodes()[inside]
    midline = np.zeros(s.index.shape, np.bool_)
    midline[0] = True
    flat = midline[inside]
    for factor in [0.5] * 8 + [0.6, -0.62] * passes:
        shift = factor * (s.average @ x - x)
        shift[~free] = 0.0
        shift[flat, 1] = 0.0
        x = x + shift
    moved = x - start
    moved[~s.held] = -s.factor.solve(s.coupling @ moved[s.held])
    moved[flat, 1] = 0.0
    out = points.copy()
    out[inside] = start + moved
    return out
