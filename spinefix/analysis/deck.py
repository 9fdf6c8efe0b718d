"""A linear model in terms that other codes understand: solids, unit springs and scalar equations.

Every interface of a model is a row ``B u`` with a stiffness k, and so are the six deformation modes of a straight
Timoshenko beam. A code that knows linear equations and grounded springs can hold all of them exactly: a new
scalar dof ``e = sqrt(k) B u`` by equation, and a spring of stiffness one from it to the ground, whose energy is
``k (B u)^2 / 2``. Constraints are written as they were eliminated, in independent dofs only, so that no code has to
resolve chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array, vstack

from spinefix.analysis.system import (
    active_blocks,
    beam_groups,
    link_rows,
    refuse_contact,
    rotation_index,
    solid_groups,
)
from spinefix.errors import UsageError
from spinefix.fem import assembly
from spinefix.fem.beams import BeamGroup, beam_blocks, beam_lengths
from spinefix.fem.constraints import Elimination, build_elimination
from spinefix.fem.links import Links
from spinefix.mesh.core import F64, I32
from spinefix.model.core import LoadCase, Model


@dataclass(frozen=True)
class Substance:
    """Elements that share one elasticity.

    Parameters
    ----------
    name : str
        Of the material; several substances may share it.
    solids : int
        Number of the solid group (`Deck.solids`).
    members : (k,) int32
        Rows of that group.
    D : (6, 6) float64 [MPa]
        Elasticity, times the stiffness scale of the lesion; order xx yy zz xy yz xz, engineering shear.
    isotropic : (E, nu) [MPa, 1] or None
    """

    name: str
    solids: int
    members: I32
    D: F64
    isotropic: tuple[float, float] | None


@dataclass(frozen=True)
class Deck:
    """What a writer needs.

    Parameters
    ----------
    model : Model
        With one stiffness scale per element (`averaged`).
    cases : tuple of LoadCase
    solids : tuple of SolidGroup
    substances : tuple of Substance
    rotation_index : (n_points,) int32
    elimination : Elimination
    constraints : tuple of (name, (k,) int32)
        Rows of `elimination.slave_map` that each coupling or tie made.
    rows : csr (n_rows, n_dof)
        Elongations of the unit springs, ``sqrt(k) B``, in independent dofs.
    row_names : tuple of (name, start, stop)
        Which rows belong to which beams, ligament, joint or embedding.
    averaged : int
        Elements whose stiffness scale varied over their integration points.
    """

    model: Model
    cases: tuple[LoadCase, ...]
    solids: tuple[assembly.SolidGroup, ...]
    substances: tuple[Substance, ...]
    rotation_index: I32
    elimination: Elimination
    constraints: tuple[tuple[str, I32], ...]
    rows: csr_array
    row_names: tuple[tuple[str, int, int], ...]
    averaged: int

    @property
    def block_points(self) -> F64:
        """Position of every block (n_blocks, 3) [mm]: of the nodes, then of the nodes whose rotation a block is."""
        points = self.model.mesh.points
        return np.concatenate([points, points[self.rotation_nodes]])

    @property
    def rotation_nodes(self) -> I32:
        """Node of each rotation block (r,)."""
        turning = np.flatnonzero(self.rotation_index >= 0)
        return turning[np.argsort(self.rotation_index[turning])].astype(np.int32)

    def rotation_block(self, node: int) -> int:
        """Block that holds the rotation of a node.

        Raises
        ------
        UsageError
            The node has no rotations.
        """
        if self.rotation_index[node] < 0:
            raise UsageError(f"node {node} has no rotations to carry a moment")
        return self.model.mesh.n_points + int(self.rotation_index[node])

    def held(self) -> I32:
        """Dofs to fix: the supports, and dofs of equations that have no stiffness of their own."""
        used = np.union1d(self.rows.indices, self.elimination.slave_map.indices)
        loose = np.intersect1d(self.elimination.orphan, used)
        return np.union1d(self.elimination.fixed, loose).astype(np.int32)

    def watched(self) -> I32:
        """Blocks whose motion is worth printing: loaded nodes and reference points, with their rotations."""
        nodes = {int(c.reference) for c in self.model.couplings}
        for case in self.cases:
            nodes |= {int(n) for n in (*case.forces, *case.moments)}
        turning = [self.rotation_block(n) for n in sorted(nodes) if self.rotation_index[n] >= 0]
        return np.array([*sorted(nodes), *turning], np.int32)

    def facts(self) -> list[str]:
        """What a reader of the exported file must know, one sentence each."""
        out = [
            "Units: N, mm, MPa. Axes: x anterior, y left, z up.",
            "Linear, small strain. Written by spinefix from a built model; no result is in this file.",
            "Rotations are displacements 1 to 3 [rad] of extra nodes where the node is that turns (set ROTATIONS).",
            "Beams, ligaments, joints and embedded screws: unit springs to ground on extra scalar nodes (set LINKS).",
            "An equation e = sqrt(k) B u ties each of those to the model; exact for the Timoshenko beam.",
        ]
        if self.averaged:
            out.append(
                f"The lesion's stiffness scale varies inside {self.averaged} elements; here each has the mean of its "
                "integration points."
            )
        return out


def averaged(model: Model) -> tuple[Model, int]:
    """Give every element one stiffness scale, the mean of its integration points; also count those that varied."""
    scale = np.ones_like(model.scale)
    offset = 0
    varied = 0
    for block in model.mesh.blocks:
        cells = slice(offset, offset + len(block))
        offset += len(block)
        if block.kind == "beam2" or not len(block):
            continue
        points = assembly.point_scale(block.kind, model.scale[cells])
        varied += int((np.ptp(points, axis=1) > 1e-12).sum())
        scale[cells] = points.mean(axis=1, keepdims=True)
    return replace(model, scale=scale), varied


def with_formulation(model: Model, formulation: str) -> Model:
    """Return the model with one element formulation for all hexahedra, e.g. ``standard``, which every code has."""
    if formulation not in assembly.FORMULATIONS:
        raise UsageError(f"no element formulation {formulation!r}; known: {', '.join(assembly.FORMULATIONS)}")
    return replace(model, materials=tuple(replace(m, formulation=formulation) for m in model.materials))


def build_deck(model: Model, cases: Sequence[LoadCase]) -> Deck:
    """Translate a model; nothing is assembled or solved.

    Raises
    ------
    MeshError, MaterialError, ConstraintError
        The model is unusable; the message names the region, element or node.
    UsageError
        The model has contact pairs.
    """
    refuse_contact(model)
    model, varied = averaged(model)
    index = rotation_index(model)
    solids, beams = solid_groups(model), beam_groups(model)
    active = active_blocks(solids, beams, index)
    n_dof = 3 * len(active)
    elimination = build_elimination(
        model.mesh, index, active, supports=model.supports, couplings=model.couplings, ties=model.ties
    )
    links = [beam_links(model.mesh.points, g, index, n_dof) for g in beams]
    links += link_rows(model, n_dof)
    rows, names = _unit_rows(links, elimination)
    return Deck(
        model=model,
        cases=tuple(cases),
        solids=solids,
        substances=tuple(_substances(model, solids)),
        rotation_index=index,
        elimination=elimination,
        constraints=_constraint_rows(model, elimination, index),
        rows=rows,
        row_names=names,
        averaged=varied,
    )


def beam_links(points: F64, group: BeamGroup, index: I32, n_dof: int) -> Links:
    """Timoshenko beams as six springs each: stretch, twist, and in both planes curvature and shear deflection.

    With ``phi = 12 E I / (k G A L^2)`` the bending stiffness of a plane is that of two independent springs,
    ``E I / L`` on the difference of the end rotations and ``12 E I / (L^3 (1 + phi))`` on the transverse displacement
    less what the mean rotation brings; for end loads these are constant curvature and constant shear force.

    Source: Przemieniecki (1968), section 5.6 (the stiffness that the modes diagonalize).
    """
    g, b = group, len(group)
    L = beam_lengths(points, g)
    x, y, z = g.axes.transpose(1, 0, 2)
    values = np.zeros((b, 6, 4, 3))  # link, block (u0, turn 0, u1, turn 1), component
    values[:, 0, 0], values[:, 0, 2] = -x, x
    values[:, 1, 1], values[:, 1, 3] = -x, x
    k = [g.E * g.A / L, g.G * g.J / L]
    half = L[:, None] / 2.0
    for link, across, about, inertia, shear in ((2, y, z, g.Iz, g.ky), (4, z, -y, g.Iy, g.kz)):
        values[:, link, 1], values[:, link, 3] = -about, about
        values[:, link + 1, 0], values[:, link + 1, 2] = -across, across
        values[:, link + 1, 1] = values[:, link + 1, 3] = -half * about
        phi = 12.0 * g.E * inertia / (shear * g.G * g.A * L**2)
        k += [g.E * inertia / L, 12.0 * g.E * inertia / (L**3 * (1.0 + phi))]
    blocks = beam_blocks(g, index, len(points)).astype(np.int64)
    col = np.broadcast_to(3 * blocks[:, None, :, None] + np.arange(3), values.shape)
    row = np.broadcast_to(np.arange(6 * b).reshape(b, 6, 1, 1), values.shape)
    keep = values != 0.0
    rows = csr_array(coo_array((values[keep], (row[keep], col[keep])), shape=(6 * b, n_dof)))
    return Links("beams", rows, np.stack(k, axis=1).ravel())


def _unit_rows(links: Sequence[Links], elimination: Elimination) -> tuple[csr_array, tuple[tuple[str, int, int], ...]]:
    """Rows of unit springs in independent dofs, without those of no stiffness, and what each belongs to."""
    n = elimination.n_dof
    keep = np.ones(n)
    keep[elimination.slave] = 0.0
    parts, names = [csr_array((0, n))], []
    start = 0
    for link in links:
        stiff = np.flatnonzero(link.stiffness > 1e-12 * link.stiffness.max(initial=0.0))
        rows = csr_array(diags_array(np.sqrt(link.stiffness[stiff])) @ link.rows[stiff])
        rows = csr_array(rows.multiply(keep[None, :]) + rows[:, elimination.slave] @ elimination.slave_map)
        greatest = abs(rows).max(axis=1).toarray().ravel() if len(stiff) else np.zeros(0)
        rows.data[np.abs(rows.data) < 1e-14 * np.repeat(greatest, np.diff(rows.indptr))] = 0.0
        rows.eliminate_zeros()
        rows = rows[np.flatnonzero(np.diff(rows.indptr))]  # springs inside one rigid body have no terms left
        parts.append(rows)
        names.append((link.name, start, start + rows.shape[0]))
        start += rows.shape[0]
    return csr_array(vstack(parts)), tuple(names)


def _constraint_rows(model: Model, elimination: Elimination, index: I32) -> tuple[tuple[str, I32], ...]:
    """Rows of the slave map by the coupling or tie that made them."""
    out = []
    for kind, constraints in (("coupling", model.couplings), ("tie", model.ties)):
        for constraint in constraints:
            nodes = np.asarray(constraint.nodes)
            blocks = nodes
            if kind == "coupling":
                blocks = np.concatenate([nodes, model.mesh.n_points + index[nodes[index[nodes] >= 0]]])
            dofs = (3 * blocks[:, None] + np.arange(3)).ravel()
            out.append((f"{kind} {constraint.name}", np.flatnonzero(np.isin(elimination.slave, dofs)).astype(np.int32)))
    return tuple(out)


def _substances(model: Model, solids: Sequence[assembly.SolidGroup]) -> list[Substance]:
    """Group elements by material, fibre directions and stiffness scale."""
    out = []
    for number, group in enumerate(solids):
        scale = group.scale.mean(axis=1)
        keys = np.column_stack([model.material_id[group.cells], group.d_id, np.round(scale, 12)])
        unique, first, member = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(member.ravel(), kind="stable").astype(np.int32)
        ends = np.cumsum(np.bincount(member.ravel(), minlength=len(unique)))
        for i, members in zip(first, np.split(order, ends[:-1]), strict=True):
            material = model.materials[model.material_id[group.cells[i]]]
            p = material.parameters
            plain = (p["E_MPa"] * float(scale[i]), p["nu"]) if material.law == "isotropic" else None
            out.append(Substance(material.name, number, members, group.D[group.d_id[i]] * scale[i], plain))
    return out
