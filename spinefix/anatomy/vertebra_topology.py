"""Connectivity and named regions of the vertebra template for one refinement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spinefix.anatomy.vertebra_lattice import Lattice, lattice_of
from spinefix.anatomy.vertebra_section import Divisions, Section, build_section, divisions
from spinefix.mesh.core import F64, I32, Bool
from spinefix.mesh.elements import FACETS

Int = NDArray[np.intp]
Tables = dict[str, Int]


@dataclass(frozen=True)
class Topology:
    """Connectivity and regions of a vertebra, the same for all of one refinement.

    Parameters
    ----------
    conn : (e, 8) int
        Body first, layer by layer from below, then the arch in lattice order.
    new : (2 P - 1, Q, R) bool
        Nodes of the whole arch lattice that follow the body's nodes; the pedicles' roots are body nodes.
    superior, inferior : (s,) int32
        Endplate nodes in section order.
    cells, facets, nodes : dict
        Regions by local name.
    """

    conn: I32
    new: Bool
    superior: I32
    inferior: I32
    cells: Tables
    facets: Tables
    nodes: Tables


@lru_cache(maxsize=8)
def topology(n: int) -> Topology:
    """Number the nodes and cells of refinement `n` and name its regions."""
    d = divisions(n)
    section = build_section(n)
    lattice = lattice_of(d)
    layers = d.below + d.low + d.high + d.above + 2
    s = section.n_nodes
    body_conn = np.hstack([section.quads, section.quads + s])[None] + (np.arange(layers) * s)[:, None, None]
    ids, new = _number_arch(d, section, lattice, (layers + 1) * s)
    occupied = _mirrored(lattice.occupied_cells())
    arch_conn = _hexes(ids)[occupied.ravel()]
    conn = np.concatenate([body_conn.reshape(-1, 8), arch_conn])
    first = layers * len(section.quads)
    numbers = np.full(occupied.shape, -1)
    numbers[occupied] = first + np.arange(len(arch_conn))

    cells = {**_body_cells(d, section, layers), **_arch_cells(lattice, numbers)}
    facets = {**_body_facets(d, section, layers), **_arch_facets(lattice, numbers)}
    nodes = {**_body_nodes(d, section, layers), **_arch_nodes(lattice, ids)}
    superior = (layers * s + np.arange(s)).astype(np.int32)
    inferior = np.arange(s, dtype=np.int32)
    return Topology(conn.astype(np.int32), new, superior, inferior, cells, facets, nodes)


def both_sides(left: F64) -> F64:
    """Mirror left-half lattice points (P, Q, R, 3) to the whole lattice (2 P - 1, Q, R, 3)."""
    middle = left[:1].copy()
    middle[..., 1] = 0.0
    return np.concatenate([left[:0:-1] * [1.0, -1.0, 1.0], middle, left[1:]])


def _mirrored(left: Bool) -> Bool:
    """Mirror a cell mask of the left half."""
    return np.concatenate([left[::-1], left])


def _number_arch(d: Divisions, section: Section, lattice: Lattice, first: int) -> tuple[Int, Bool]:
    """Node ids of the whole arch lattice: the pedicles' roots take body nodes, the rest new ones from `first`."""
    left = lattice.occupied_nodes()
    occupied = np.concatenate([left[:0:-1], left])
    ids = np.full(occupied.shape, -1)
    middle = lattice.shape[0] - 1
    rows = np.arange(1 + d.below, 1 + d.below + d.low + d.high + 1) * section.n_nodes
    r = lattice.nodes("low", "high")
    medial, lateral = lattice.starts["column"]
    root = section.pedicle[:, None] + rows
    ids[middle + medial : middle + lateral + 1, -1, r] = root
    ids[middle - lateral : middle - medial + 1, -1, r] = section.mirror[section.pedicle][::-1, None] + rows
    new = occupied & (ids < 0)
    ids[new] = first + np.arange(int(new.sum()))
    return ids, new


def _hexes(ids: Int) -> Int:
    """Connectivity of all lattice cells (cells, 8), in index order; x is the second index, y the first, z the third."""
    a, b = ids[:-1], ids[1:]
    corners = [a[:, :-1], a[:, 1:], b[:, 1:], b[:, :-1]]
    low = [c[..., :-1] for c in corners]
    high = [c[..., 1:] for c in corners]
    return np.stack([*low, *high], axis=-1).reshape(-1, 8)


def _body_cells(d: Divisions, section: Section, layers: int) -> Tables:
    m = len(section.quads)
    ids = np.arange(layers * m).reshape(layers, m)
    shell = section.ring == section.n_rings
    inner = ids[1:-1]
    cortical = np.broadcast_to(shell, inner.shape).copy()
    # Under the pedicles' roots the shell is open: cancellous bone runs on into the pedicle.
    c = len(section.boundary)
    roots = _root_positions(d, c)
    rows = np.arange(d.below, d.below + d.low + d.high)
    cortical[np.ix_(rows, m - c + roots)] = False
    return {
        "endplate.inferior": ids[0],
        "endplate.superior": ids[-1],
        "body.cortical": inner[cortical],
        "body.cancellous": inner[~cortical],
    }


def _root_positions(d: Divisions, c: int) -> Int:
    """Positions along the outer loop of the cells at the pedicles' roots, left then right."""
    left = c // 2 - d.canal - d.pedicle + np.arange(d.pedicle)
    return np.concatenate([left, c - 1 - left])


def _wall_positions(d: Divisions, c: int) -> Int:
    """Positions along the outer loop of the cells that face the canal."""
    return c // 2 - d.canal + np.arange(2 * d.canal)


def _pairs(cells: Int, corners: tuple[int, ...]) -> Int:
    """Facets (k, 2) of cells: the one with these corners."""
    local = next(i for i, f in enumerate(FACETS["hex8"]) if set(f) == set(corners))
    flat = np.asarray(cells).ravel()
    return np.stack([flat, np.full(len(flat), local)], axis=1)


def _body_facets(d: Divisions, section: Section, layers: int) -> Tables:
    m = len(section.quads)
    ids = np.arange(layers * m).reshape(layers, m)
    wall = m - len(section.boundary) + _wall_positions(d, len(section.boundary))
    return {
        "endplate.inferior": _pairs(ids[0], (0, 1, 2, 3)),
        "endplate.superior": _pairs(ids[-1], (4, 5, 6, 7)),
        # Ring cells: corners 1 and 2 lie outside.
        "posterior_wall": _pairs(ids[:, wall], (1, 2, 6, 5)),
    }


def _body_nodes(d: Divisions, section: Section, layers: int) -> Tables:
    s = section.n_nodes
    rows = np.arange(layers + 1)[:, None] * s
    c = len(section.boundary)
    wall = section.boundary[c // 2 - d.canal : c // 2 + d.canal + 1]
    front = section.boundary[np.r_[-(d.canal) : d.canal + 1]]
    return {
        "endplate.inferior": np.arange(s),
        "endplate.superior": layers * s + np.arange(s),
        "posterior_wall": (rows + wall).ravel(),
        "anterior_wall": (rows + front).ravel(),
    }


_PARTS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "pedicle": (
        ("column", "neck", ("low", "high")),
        ("column", "root", ("low", "high")),
        ("column", "arch", ("low", "high")),
    ),
    "pars": (("column", "arch", ("pars",)),),
    "articular.superior": (("column", "arch", ("rise",)),),
    "articular.inferior": (("column", "arch", ("tip", "shelf")),),
    "transverse": (("transverse", "arch", ("low", "high")),),
    "lamina": (("lamina", "arch", ("shelf", "pars", "low")), ("base", "arch", ("shelf", "pars", "low"))),
}


def _arch_cells(lattice: Lattice, numbers: Int) -> Tables:
    middle = lattice.shape[0] - 1
    out: Tables = {}
    for side, view in (("left", numbers[middle:]), ("right", numbers[:middle][::-1])):
        for part, blocks in _PARTS.items():
            found = [view[lattice.cells(p), lattice.cells(q), lattice.cells(r)] for p, q, rows in blocks for r in rows]
            out[f"{part}.{side}"] = np.concatenate([f.ravel() for f in found])
    q = lattice.cells("spinous")
    out["spinous"] = numbers[:, q][numbers[:, q] >= 0]
    return out


def _arch_facets(lattice: Lattice, numbers: Int) -> Tables:
    """Articular surfaces: lateral side of the inferior process, medial side of the superior one."""
    middle = lattice.shape[0] - 1
    first, last = lattice.starts["column"]
    q, low = lattice.cells("arch"), slice(lattice.starts["tip"][0], lattice.starts["shelf"][1])
    up = slice(lattice.starts["high"][0], lattice.starts["rise"][1])
    to_left, to_right = (2, 3, 7, 6), (0, 1, 5, 4)
    return {
        "facet.inferior.left": _pairs(numbers[middle + last - 1, q, low], to_left),
        "facet.inferior.right": _pairs(numbers[middle - last, q, low], to_right),
        "facet.superior.left": _pairs(numbers[middle + first, q, up], to_right),
        "facet.superior.right": _pairs(numbers[middle - first - 1, q, up], to_left),
    }


def _arch_nodes(lattice: Lattice, ids: Int) -> Tables:
    middle = lattice.shape[0] - 1
    plate = lattice.nodes("shelf", "pars", "low")
    medial = lattice.starts["column"][0]
    roof = ids[middle - medial : middle + medial + 1, lattice.starts["arch"][1], plate]
    ridge = ids[middle, lattice.nodes("spinous")]
    rows = lattice.nodes("low", "high")
    isthmus = lattice.starts["root"][0]
    left = ids[middle:]
    out = {
        "canal_roof": roof.ravel(),
        "spinous.ridge": ridge[ridge >= 0],
        "spinous.superior_edge": ids[middle, lattice.nodes("spinous"), plate.stop - 1],
        "spinous.inferior_edge": ids[middle, lattice.nodes("spinous"), plate.start],
        "lamina.superior_edge": ids[middle - medial : middle + medial + 1, lattice.starts["arch"][1], plate.stop - 1],
        "lamina.inferior_edge": ids[middle - medial : middle + medial + 1, lattice.starts["arch"][1], plate.start],
    }
    for side, view in (("left", left), ("right", ids[: middle + 1][::-1])):
        out[f"pedicle.isthmus.{side}"] = view[lattice.nodes("column"), isthmus, rows].ravel()
        out[f"pedicle.medial.{side}"] = view[medial, lattice.nodes("root"), rows].ravel()
        out[f"transverse.tip.{side}"] = view[-1, lattice.nodes("arch"), rows].ravel()
    return out
