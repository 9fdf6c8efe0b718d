"""Self-checks that run at every solve and can fail it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from spinefix.analysis.system import System
from spinefix.errors import CheckError
from spinefix.fem.linsolve import CONDITION_LIMIT
from spinefix.mesh.core import F64, I32
from spinefix.mesh.mirror import images
from spinefix.model.core import LoadCase
from spinefix.results.solution import Check

OPPOSITE = (("flexion", "extension"), ("lateral_left", "lateral_right"), ("axial_left", "axial_right"))
"""Opposite load cases: a linear model must answer each pair with opposite displacements."""

TOLERANCE = 1e-6
"""Relative bound of equilibrium, energy, reciprocity and mirror checks. Round-off of a direct solution stays below
1e-8 for the stiffness contrast of a spine (titanium to nucleus, 1e5); a wrong constraint or assembly shows as 1e-2."""


def unrestrained(system: System) -> None:
    """Refuse a model with a part that no support holds.

    Connected parts are found on the reduced pattern; a part is held when it contains a dof with a support or is
    coupled to one. This catches floating parts by name before the factorization turns them into huge numbers.

    Raises
    ------
    CheckError
        Names the regions of the floating part.
    """
    mesh = system.model.mesh
    n = mesh.n_points
    n_blocks = system.n_blocks
    pairs: list[I32] = []
    for conn in system.connectivity():
        first = np.repeat(conn[:, :1], conn.shape[1] - 1, axis=1)
        pairs.append(np.stack([first.ravel(), conn[:, 1:].ravel()]))
    for links in system.links:
        pairs.append(joined_blocks(links.rows, system.rotation_index))
    for tie in system.model.ties:
        masters = np.unique(np.concatenate([mesh.cell_nodes(np.unique(tie.facets[:, 0]))]))
        pairs.append(np.stack([np.full(len(tie.nodes), masters[0]), tie.nodes]))
    for coupling in system.model.couplings:
        pairs.append(np.stack([np.full(len(coupling.nodes), coupling.reference), coupling.nodes]))
    i, j = np.concatenate(pairs, axis=1).astype(np.int64)
    graph = sp.coo_array((np.ones(len(i)), (i, j)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    used = np.unique(np.concatenate([np.unique(conn) for conn in system.connectivity()]))
    held = [label[s.nodes] for s in system.model.supports]
    floating = used[~np.isin(label[used], np.concatenate(held))] if held else used
    if len(floating):
        names = [k for k, v in mesh.cells.items() if np.isin(mesh.cell_nodes(v), floating).any()]
        raise CheckError(
            f"{len(floating)} of {n_blocks} nodes belong to parts that no support holds: {', '.join(names[:6])}"
        )


def joined_blocks(rows: sp.csr_array, rotation_index: I32) -> I32:
    """Pairs of nodes (2, k) that spring rows join: the first node of each row with all others of the row."""
    n = len(rotation_index)
    owner = np.concatenate([np.arange(n), np.flatnonzero(rotation_index >= 0)])
    table = sp.coo_array(rows)
    node = owner[table.col // 3]
    first = np.full(rows.shape[0], n)
    np.minimum.at(first, table.row, node)
    return np.stack([first[table.row], node])


def all_checks(
    system: System,
    cases: Sequence[LoadCase],
    u: F64,
    loads: F64,
    reactions: F64,
    internal: F64,
    condition: float,
) -> tuple[Check, ...]:
    """Run all checks on the displacements of all cases.

    Parameters
    ----------
    u, loads, reactions, internal : (n_cases, n_blocks, 3) float64
        Displacements, applied loads, support reactions, K u [mm, rad; N, N mm].
    condition : float
        Scaled condition number that the factorization has estimated.

    Returns
    -------
    tuple of Check
    """
    return (
        *equilibrium(system, u, loads, reactions),
        energy(u, loads, internal),
        reciprocity(u, loads),
        *opposite(cases, u),
        *reflection(system, u, loads),
        rigid_motion(system, u, condition),
    )


def equilibrium(system: System, u: F64, loads: F64, reactions: F64) -> tuple[Check, Check]:
    """Global balance of force and moment of loads and reactions, relative to the largest load of each case."""
    mesh = system.model.mesh
    n = mesh.n_points
    size = float(np.ptp(mesh.points, axis=0).max())
    centre = mesh.points.mean(axis=0)
    arm = mesh.points - centre
    force_error = moment_error = 0.0
    for f, r in zip(loads, reactions, strict=True):
        total = f + r
        force = total[:n].sum(axis=0)
        moment = np.cross(arm, total[:n]).sum(axis=0) + total[n:].sum(axis=0)
        scale = np.abs(f[:n]).max() + np.abs(f[n:]).max(initial=0.0) / size + 1e-300
        force_error = max(force_error, float(np.abs(force).max() / scale))
        moment_error = max(moment_error, float(np.abs(moment).max() / (scale * size)))
    return Check("equilibrium_force", force_error, TOLERANCE), Check("equilibrium_moment", moment_error, TOLERANCE)


def energy(u: F64, loads: F64, internal: F64) -> Check:
    """Strain energy against external work: u.K.u = u.f for each case."""
    stored = np.einsum("cbi,cbi->c", u, internal)
    work = np.einsum("cbi,cbi->c", u, loads)
    bad = np.where(work > 0, np.abs(stored - work) / np.abs(work), np.where(np.abs(loads).sum((1, 2)) > 0, np.inf, 0.0))
    return Check("energy_against_work", float(bad.max(initial=0.0)), TOLERANCE)


def reciprocity(u: F64, loads: F64) -> Check:
    """Betti: the work of loads i on displacements j equals that of j on i, relative to their own works."""
    work = np.einsum("ibk,jbk->ij", loads, u)
    own = np.sqrt(np.abs(np.outer(np.diag(work), np.diag(work)))) + 1e-300
    return Check("reciprocity", float((np.abs(work - work.T) / own).max(initial=0.0)), TOLERANCE)


def opposite(cases: Sequence[LoadCase], u: F64) -> tuple[Check, ...]:
    """Opposite moments must give opposite displacements: a bookkeeping check of load cases and right-hand sides."""
    names = [c.name for c in cases]
    out = []
    for a, b in OPPOSITE:
        if a in names and b in names:
            ua, ub = u[names.index(a)], u[names.index(b)]
            error = float(np.abs(ua + ub).max() / (np.abs(ua).max() + 1e-300))
            out.append(Check(f"opposite_{a}_{b}", error, TOLERANCE))
    return tuple(out)


def reflection(system: System, u: F64, loads: F64) -> tuple[Check, ...]:
    """A left-right symmetric model must answer mirrored loads with mirrored displacements.

    Runs where every node has a partner across the sagittal plane y = 0 and every element one of the same material and
    stiffness scale; otherwise the model is not symmetric and nothing is checked. Loads that are their own mirror image
    (flexion, compression) or its opposite (lateral bending, axial rotation) are looked at.
    """
    partner = mirror_partners(system)
    if partner is None:
        return ()
    n, index = system.model.mesh.n_points, system.rotation_index
    rotational = np.flatnonzero(index >= 0)
    blocks = np.arange(u.shape[1])
    blocks[:n] = partner
    blocks[n + index[rotational]] = n + index[partner[rotational]]
    sign = np.ones((u.shape[1], 3))
    sign[:n, 1] = -1.0
    sign[n:, [0, 2]] = -1.0  # rotations are axial vectors
    worst = 0.0
    for f, d in zip(loads, u, strict=True):
        for s in (1.0, -1.0):
            if np.allclose(f[blocks] * sign, s * f, atol=1e-9 * np.abs(f).max()):
                worst = max(worst, float(np.abs(d[blocks] * sign - s * d).max() / (np.abs(d).max() + 1e-300)))
    return (Check("left_right_symmetry", worst, TOLERANCE),)


def mirror_partners(system: System) -> I32 | None:
    """Node across the sagittal plane of each node (n_points,), or None if the model is not symmetric."""
    model, mesh = system.model, system.model.mesh
    size = float(np.ptp(mesh.points, axis=0).max())
    used = np.zeros(mesh.n_points, bool)
    for conn in system.connectivity():
        used[conn] = True
    used[list({c.reference for c in model.couplings})] = True
    nodes = np.flatnonzero(used)
    distance, row = images(mesh.points[nodes], system.rotation_index[nodes] >= 0)
    if distance.max(initial=0.0) > 1e-6 * size or len(np.unique(row)) < len(nodes):
        return None
    partner = np.arange(mesh.n_points)
    partner[nodes] = nodes[row]
    for block, cells in zip(mesh.blocks, np.split(np.arange(mesh.n_cells), mesh.offsets[1:-1]), strict=True):
        if not len(block):
            continue
        centre = mesh.points[block.conn].mean(axis=1)
        gap, other = images(centre)
        scale = model.scale[cells].mean(axis=1)
        same = (model.material_id[cells] == model.material_id[cells[other]]) & np.isclose(scale, scale[other])
        if gap.max() > 1e-6 * size or not same.all():
            return None
    return partner.astype(np.int32)


def rigid_motion(system: System, u: F64, condition: float) -> Check:
    """No rigid mode or mechanism left.

    The factorization estimates the scaled condition number (`spinefix.fem.linsolve`): a free motion makes it infinite
    but for round-off. Displacements out of all proportion, a hundred times the model size, fail the check as well.
    """
    size = float(np.ptp(system.model.mesh.points, axis=0).max())
    n = system.model.mesh.n_points
    largest = float(np.abs(u[:, :n]).max(initial=0.0))
    moved = largest / (100.0 * size) if np.isfinite(largest) else np.inf
    return Check("rigid_mode", max(moved, condition / CONDITION_LIMIT), 1.0)
