"""Which parts of a model are linear but for their rotation, and what of them the rest of the model touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from spinefix.fem import assembly, links
from spinefix.fem.beams import BeamGroup, beam_blocks
from spinefix.fem.finite import FiniteGroup
from spinefix.fem.items import Configuration
from spinefix.fem.superelement import Superelement, condense
from spinefix.fem.turning_frame import TurningFrame
from spinefix.mesh.core import I32, Bool
from spinefix.mesh.topology import facet_corners
from spinefix.model.core import Model

WORTH = 0.7
"""A part is condensed if it keeps no more than this share of its blocks: a full matrix of more costs more than it
saves. A choice."""

LEAST = 200
"""Blocks of the smallest part that is condensed. A choice: below, there is nothing to save."""


@dataclass(frozen=True)
class Condensation:
    """Parts of a model that became superelements.

    Parameters
    ----------
    items : tuple of Superelement
    cells : (n_cells,) bool
        Elements inside them.
    embeddings : frozenset of str
        Names of the embeddings inside them.
    """

    items: tuple[Superelement, ...]
    cells: Bool
    embeddings: frozenset[str]

    @classmethod
    def none(cls, n_cells: int) -> Condensation:
        """Nothing is condensed."""
        return cls((), np.zeros(n_cells, bool), frozenset())


def condensation(
    model: Model,
    index: I32,
    solids: Sequence[FiniteGroup],
    beams: Sequence[BeamGroup],
    rows: dict[str, links.EmbeddedLinks],
    touched_points: I32,
    solver: str = "auto",
) -> Condensation:
    """Find the connected parts of co-rotational solids, with the screws they hold, and condense them.

    Parameters
    ----------
    index : (n_points,) int32
        Numbers of rotations.
    solids : all groups of solids
    beams : all groups of beams
    rows : mapping, name of an embedding -> its links
    touched_points : nodes of loads and other items that the model does not hold

    Raises
    ------
    MeshError, NotPositiveDefinite
        An element is inside out, or a part falls to pieces.
    """
    n = model.mesh.n_points
    linear = [g for g in solids if g.corotational]
    label = _parts(n, linear)
    held = {name: _part_of(label, link, n) for name, link in rows.items()}
    yields = np.array([m.law == "plastic_j2" for m in model.materials])
    stays = {e.name for e in model.embeddings if not yields[model.material_id[e.beams]].any()}
    held = {name: part for name, part in held.items() if part >= 0 and name in stays}
    inner = np.zeros(model.mesh.n_cells, bool)
    for group in linear:
        inner[group.cells] = True
    for e in model.embeddings:
        if e.name in held:
            inner[e.beams] = True
            label[model.mesh.cell_nodes(e.beams)] = held[e.name]
    touched = _touched(model, index, solids, beams, rows, inner, set(held), touched_points)
    owner = np.concatenate([label, label[np.flatnonzero(index >= 0)]])  # of all blocks
    is_inner_rotation = np.zeros(len(owner) - n, bool)
    screws = [_some(g, inner[g.cells]) for g in beams]
    for g in screws:
        is_inner_rotation[index[g.conn]] = True
    owner[n:][~is_inner_rotation] = -1
    K = sp.csr_array(assembly.assemble(model.mesh.points, [g.linear for g in linear], screws, index))
    K = K + links.link_stiffness([rows[name] for name in held], 3 * len(owner))
    items, condensed = [], np.zeros(int(label.max(initial=-1)) + 1, bool)
    for part in range(len(condensed)):
        own = np.flatnonzero(owner == part)
        kept, inside = (own[touched[own]].astype(np.int32), own[~touched[own]].astype(np.int32))
        if len(own) < LEAST or len(kept) > WORTH * len(own) or (kept < n).sum() < 3:
            continue
        name = f"part {part}"
        item = condense(sp.csr_array(K), _dofs(kept), _dofs(inside), solver)
        items.append(Superelement(name, TurningFrame(name, model.mesh.points, kept), item, inside))
        condensed[part] = True
    cells = np.zeros(model.mesh.n_cells, bool)
    for conn, ids in [*((g.conn, g.cells) for g in linear), *((b.conn, b.cells) for b in screws)]:
        of_cell = label[conn[:, 0]]
        cells[ids] = (of_cell >= 0) & condensed[of_cell]
    return Condensation(tuple(items), cells, frozenset(k for k, part in held.items() if condensed[part]))


def _dofs(blocks: I32) -> I32:
    return np.asarray(3 * blocks[:, None] + np.arange(3), np.int32).ravel()


def _some(group: BeamGroup, keep: Bool) -> BeamGroup:
    return group.take(np.flatnonzero(keep).astype(np.int32))


def _parts(n: int, groups: Sequence[FiniteGroup]) -> I32:
    """Number of the connected part of each node (n,), -1 outside all groups."""
    first = np.concatenate([np.repeat(g.conn[:, 0], g.conn.shape[1]) for g in groups] or [np.zeros(0, np.int32)])
    other = np.concatenate([g.conn.ravel() for g in groups] or [np.zeros(0, np.int32)])
    graph = sp.coo_array((np.ones(len(first)), (first, other)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    used = np.zeros(n, bool)
    used[other] = True
    out = np.full(n, -1, np.int32)
    out[used] = np.unique(label[used], return_inverse=True)[1]
    return out


def _part_of(label: I32, link: links.EmbeddedLinks, n: int) -> int:
    """The one part whose solids hold an embedded beam; -1 if several do."""
    blocks = np.unique(link.rows.indices // 3)
    parts = np.unique(label[blocks[blocks < n]])
    parts = parts[parts >= 0]
    return int(parts[0]) if len(parts) == 1 else -1


def _touched(
    model: Model,
    index: I32,
    solids: Sequence[FiniteGroup],
    beams: Sequence[BeamGroup],
    rows: dict[str, links.EmbeddedLinks],
    inner: Bool,
    held: set[str],
    more: I32,
) -> Bool:
    """Blocks (n_blocks,) that something outside the linear parts acts on."""
    n, mesh = model.mesh.n_points, model.mesh
    out = np.zeros(n + int(index.max(initial=-1)) + 1, bool)
    for g in solids:
        out[g.conn[~inner[g.cells]]] = True
    for b in beams:
        out[beam_blocks(_some(b, ~inner[b.cells]), index, n)] = True
    for name, link in rows.items():
        if name not in held:
            out[link.rows.indices // 3] = True
    nodes: list[I32] = [more]
    nodes += [s.nodes.ravel() for s in model.point_springs]
    sides = [f for s in model.surface_springs for f in (s.facets, s.onto)]
    sides += [f for pair in model.contact_pairs for f in (pair.facets, pair.onto)]
    nodes += [facet_corners(mesh, f).ravel() for f in sides]
    for tie in model.ties:
        nodes += [tie.nodes, mesh.cell_nodes(np.unique(tie.facets[:, 0]))]  # slaves may follow all nodes of an element
    for coupling in model.couplings:
        nodes += [coupling.nodes, np.array([coupling.reference], np.int32)]
    nodes += [s.nodes for s in model.supports] + [g.nodes for g in model.guides]
    every = np.unique(np.concatenate(nodes)).astype(np.int32)
    out[every] = True
    out[n + index[every[index[every] >= 0]]] = True
    return out


def expanded(items: Sequence[Superelement], x: Configuration) -> Configuration:
    """Return a configuration with what is inside superelements in place."""
    u, R = x.u.copy(), x.R.copy()
    for item in items:
        nodes = item.inside[item.inside < len(u)]
        u[nodes], R[item.inside[len(nodes) :] - len(u)] = item.expand(x)
    return Configuration(u, R)
