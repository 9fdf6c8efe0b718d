"""The mesh value: points, blocks of elements of one kind, and named regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MeshError

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

NODES_PER_KIND: dict[str, int] = {"hex8": 8, "tet4": 4, "tet10": 10, "wedge6": 6, "hex20": 20, "beam2": 2}
"""Nodes of each element kind, in VTK order."""


def frozen(array: NDArray[np.generic], dtype: type) -> NDArray[np.generic]:
    """Return `array` as a C-contiguous, read-only array of `dtype`."""
    out: NDArray[np.generic] = np.array(array, dtype=dtype, order="C", copy=True)
    out.flags.writeable = False
    return out


@dataclass(frozen=True, slots=True)
class CellBlock:
    """Elements of one kind.

    Parameters
    ----------
    kind : str
        One of `NODES_PER_KIND`.
    conn : (e, m) int32
        Node ids in VTK order.
    """

    kind: str
    conn: I32

    def __post_init__(self) -> None:
        if self.kind not in NODES_PER_KIND:
            raise MeshError(f"unknown element kind {self.kind!r}; known: {', '.join(NODES_PER_KIND)}")
        conn = np.asarray(self.conn)
        if conn.ndim != 2 or conn.shape[1] != NODES_PER_KIND[self.kind]:
            raise MeshError(f"{self.kind} needs connectivity (e, {NODES_PER_KIND[self.kind]}), got {conn.shape}")
        object.__setattr__(self, "conn", frozen(conn, np.int32))

    def __len__(self) -> int:
        return len(self.conn)


@dataclass(frozen=True)
class Mesh:
    """Points, element blocks and named regions; element ids run on through the blocks.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    blocks : tuple of CellBlock
    cells : mapping, region name -> (k,) int32 sorted unique element ids
    facets : mapping, region name -> (k, 2) int32, element id and local facet (`elements.FACETS`), oriented outward
    nodes : mapping, region name -> (k,) int32 sorted unique node ids

    Region names follow one grammar, ``Level.part[.subpart[.side]]`` for anatomy (``L3.body.cancellous``,
    ``L3-L4.disc.annulus.2``) and ``implant.part[.level][.side]`` for devices. A name selects itself and all below it
    (`select`).
    """

    points: F64
    blocks: tuple[CellBlock, ...]
    cells: Mapping[str, I32] = field(default_factory=dict)
    facets: Mapping[str, I32] = field(default_factory=dict)
    nodes: Mapping[str, I32] = field(default_factory=dict)

    def __post_init__(self) -> None:
        points = np.asarray(self.points)
        if points.ndim != 2 or points.shape[1] != 3:
            raise MeshError(f"points need shape (n, 3), got {points.shape}")
        if not np.isfinite(points).all():
            raise MeshError("points contain NaN or infinity")
        object.__setattr__(self, "points", frozen(points, np.float64))
        for block in self.blocks:
            if block.conn.size and (block.conn.min() < 0 or block.conn.max() >= len(points)):
                raise MeshError(f"a {block.kind} block refers to node {int(block.conn.max())} of {len(points)}")
        cells = {k: frozen(np.unique(v), np.int32) for k, v in self.cells.items()}
        for name, ids in cells.items():
            if ids.size and (ids[0] < 0 or ids[-1] >= self.n_cells):
                raise MeshError(f"region {name!r} refers to element {int(ids[-1])} of {self.n_cells}")
        object.__setattr__(self, "cells", cells)
        facets = {k: frozen(np.reshape(v, (-1, 2)), np.int32) for k, v in self.facets.items()}
        object.__setattr__(self, "facets", facets)
        object.__setattr__(self, "nodes", {k: frozen(np.unique(v), np.int32) for k, v in self.nodes.items()})

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def n_cells(self) -> int:
        """Number of elements over all blocks."""
        return sum(len(b) for b in self.blocks)

    @property
    def offsets(self) -> tuple[int, ...]:
        """First element id of each block, and the total at the end."""
        return tuple(np.concatenate([[0], np.cumsum([len(b) for b in self.blocks])]).astype(int).tolist())

    def select(self, *names: str) -> I32:
        """Return the sorted element ids of all cell regions that are one of `names` or lie below one.

        Raises
        ------
        MeshError
            A name matches no region.
        """
        return _select(self.cells, names)

    def select_nodes(self, *names: str) -> I32:
        """Return the sorted node ids of all node regions that are one of `names` or lie below one."""
        return _select(self.nodes, names)

    def cell_nodes(self, ids: I32) -> I32:
        """Return the sorted unique nodes of the elements `ids`."""
        parts = [np.unique(b.conn[local]) for b, local, _ in self.split(ids) if len(local)]
        return np.unique(np.concatenate(parts)).astype(np.int32) if parts else np.zeros(0, np.int32)

    def split(self, ids: I32) -> list[tuple[CellBlock, I32, I32]]:
        """Split element `ids` by block: (block, local indices, positions in `ids`) for each block."""
        ids = np.asarray(ids)
        off = self.offsets
        out = []
        for i, block in enumerate(self.blocks):
            where = np.flatnonzero((ids >= off[i]) & (ids < off[i + 1])).astype(np.int32)
            out.append((block, (ids[where] - off[i]).astype(np.int32), where))
        return out

    def with_regions(
        self,
        *,
        cells: Mapping[str, I32] | None = None,
        facets: Mapping[str, I32] | None = None,
        nodes: Mapping[str, I32] | None = None,
    ) -> Mesh:
        """Return a copy with regions added or replaced."""
        return replace(
            self,
            cells={**self.cells, **(cells or {})},
            facets={**self.facets, **(facets or {})},
            nodes={**self.nodes, **(nodes or {})},
        )


def _select(table: Mapping[str, I32], names: Sequence[str]) -> I32:
    hits = []
    for name in names:
        found = [v for k, v in table.items() if k == name or k.startswith(name + ".")]
        if not found:
            import difflib

            close = difflib.get_close_matches(name, table, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise MeshError(f"no region {name!r}{hint}")
        hits.extend(found)
    return np.unique(np.concatenate(hits)).astype(np.int32) if hits else np.zeros(0, np.int32)


def merge(meshes: Sequence[Mesh]) -> tuple[Mesh, tuple[int, ...], tuple[int, ...]]:
    """Put meshes side by side without joining nodes.

    Returns
    -------
    mesh : Mesh
        Blocks in the order given; regions of equal name are united.
    point_offsets, cell_offsets : tuple of int
        What to add to node and element ids of each input.
    """
    p_off = [0]
    c_off = [0]
    blocks: list[CellBlock] = []
    cells: dict[str, list[I32]] = {}
    facets: dict[str, list[I32]] = {}
    nodes: dict[str, list[I32]] = {}
    for mesh in meshes:
        p0, c0 = p_off[-1], c_off[-1]
        blocks += [CellBlock(b.kind, b.conn + np.int32(p0)) for b in mesh.blocks]
        for name, ids in mesh.cells.items():
            cells.setdefault(name, []).append(ids + np.int32(c0))
        for name, pairs in mesh.facets.items():
            facets.setdefault(name, []).append(pairs + np.array([c0, 0], np.int32))
        for name, ids in mesh.nodes.items():
            nodes.setdefault(name, []).append(ids + np.int32(p0))
        p_off.append(p0 + mesh.n_points)
        c_off.append(c0 + mesh.n_cells)
    points = np.concatenate([m.points for m in meshes]) if meshes else np.zeros((0, 3))
    merged = Mesh(
        points,
        tuple(blocks),
        {k: np.concatenate(v) for k, v in cells.items()},
        {k: np.concatenate(v) for k, v in facets.items()},
        {k: np.concatenate(v) for k, v in nodes.items()},
    )
    return merged, tuple(p_off[:-1]), tuple(c_off[:-1])


def keep_cells(mesh: Mesh, keep: Bool) -> tuple[Mesh, I32]:
    """Remove elements but keep all points, so that node ids stay the same (resection).

    Parameters
    ----------
    keep : (n_cells,) bool

    Returns
    -------
    mesh : Mesh
        Facets of removed elements are gone, node regions are reduced to nodes still in use; regions left empty are
        dropped.
    new_id : (n_cells,) int32
        New element id, -1 for removed ones.
    """
    keep = np.asarray(keep, bool)
    new_id = np.full(mesh.n_cells, -1, np.int32)
    new_id[keep] = np.arange(int(keep.sum()), dtype=np.int32)
    off = mesh.offsets
    blocks = tuple(CellBlock(b.kind, b.conn[keep[off[i] : off[i + 1]]]) for i, b in enumerate(mesh.blocks))
    cells = {k: new_id[v][new_id[v] >= 0] for k, v in mesh.cells.items()}
    facets = {}
    for name, pairs in mesh.facets.items():
        alive = new_id[pairs[:, 0]] >= 0
        facets[name] = np.stack([new_id[pairs[alive, 0]], pairs[alive, 1]], axis=1).astype(np.int32)
    used = np.zeros(mesh.n_points, bool)
    for b in blocks:
        used[b.conn] = True
    nodes = {k: v[used[v]] for k, v in mesh.nodes.items()}

    def filled(table: Mapping[str, I32]) -> dict[str, I32]:
        return {k: v for k, v in table.items() if len(v)}

    return Mesh(mesh.points, blocks, filled(cells), filled(facets), filled(nodes)), new_id
