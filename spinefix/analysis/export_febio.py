"""Write a model as an FEBio 4 input file.

Never run: no FEBio was at hand where this was written, so the file follows the format by the book alone, and the tests
check its structure, its numbers and that it is well-formed. `docs/how-to/export.md` tells what differs in FEBio.

Source: FEBio User Manual, version 4 (free format input, febio_spec 4.0), from memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from spinefix.analysis.deck import Deck, Substance, build_deck, with_formulation
from spinefix.errors import UsageError
from spinefix.fem.voigt import rotate_elasticity
from spinefix.mesh.core import F64, I32
from spinefix.mesh.elements import FACETS
from spinefix.model.core import LoadCase, Model

ELEMENT_TYPE: Mapping[str, str] = {
    "hex8": "hex8",
    "hex20": "hex20",
    "tet4": "tet4",
    "tet10": "tet10",
    "wedge6": "penta6",
}
_FACET_TYPE = {3: "tri3", 4: "quad4", 6: "tri6", 8: "quad8"}
_ISOTROPIC: tuple[str, ...] = ("E", "v")
_ORTHOTROPIC = ("E1", "E2", "E3", "G12", "G23", "G31", "v12", "v23", "v31")
_DOF = "xyz"


def write_febio(path: str | Path, model: Model, cases: Sequence[LoadCase], *, title: str = "spinefix model") -> Path:
    """Write ``*.feb``: mesh, sets, materials, linear constraints, springs, supports and one step per load case.

    FEBio is geometrically nonlinear and has neither incompatible modes nor B-bar for compressible laws, so all solids
    are standard ones. Ligaments are discrete springs; beams, joints, screws and rigid ends are linear constraints,
    which hold for small rotations.

    Parameters
    ----------
    path : path
    model : Model
    cases : sequence of LoadCase
    title : str

    Raises
    ------
    MeshError, MaterialError, ConstraintError
        The model is unusable.
    UsageError
        A material is not orthotropic in any axes, or a load case has no load.
    """
    deck = build_deck(with_formulation(model, "standard"), cases)
    parts = _parts(deck)
    ids = _Ids(deck)
    path = Path(path)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in _document(deck, parts, ids, title))
    return path


@dataclass(frozen=True)
class Part:
    """Elements of one kind and one material.

    Parameters
    ----------
    name : str
    kind : str
    cells : (e,) int32
    conn : (e, m) int32
    law : str
        FEBio's name.
    values : (e, p) float64
        Constants per element, in the order of `names`.
    names : tuple of str
    axes : (e, 3, 3) float64 or None
        Rows are the material axes.
    """

    name: str
    kind: str
    cells: I32
    conn: I32
    law: str
    values: F64
    names: tuple[str, ...]
    axes: F64 | None


class _Ids:
    """Node ids: blocks (the rotations last), scalar nodes of links, then a ground beside each rotation and each link.

    A rotation has no element of its own and FEBio leaves nodes without elements out, so it gets a spring of no
    stiffness.
    """

    def __init__(self, deck: Deck) -> None:
        natural = {s.name for s in deck.model.point_springs}
        spans = [np.arange(a, b) for name, a, b in deck.row_names if name not in natural]
        self.rows = np.concatenate([np.zeros(0, np.int64), *spans])
        n = deck.model.mesh.n_points
        self.rotations = np.arange(n, len(deck.block_points)) + 1
        self.links = len(deck.block_points) + 1 + np.arange(len(self.rows))
        first = len(deck.block_points) + len(self.rows) + 1
        self.grounds = first + np.arange(len(self.rotations) + len(self.links))
        self.points = np.concatenate(
            [deck.block_points, deck.block_points[deck.rows.indices[deck.rows.indptr[self.rows]] // 3]]
        )
        self.points = np.concatenate([self.points, self.points[n:] - [1.0, 0.0, 0.0]])


def _document(deck: Deck, parts: Sequence[Part], ids: _Ids, title: str) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<febio_spec version="4.0">'
    notes = (title, *deck.facts(), "FEBio is geometrically nonlinear; the constraints hold for small rotations.")
    yield from (f"<!-- {escape(note).replace('--', '- -')} -->" for note in notes)
    yield '<Module type="solid"/>'
    yield from _section("Material", _materials(parts))
    yield from _section("Mesh", _mesh(deck, parts, ids))
    yield from _section("MeshDomains", (f'<SolidDomain name="{p.name}" mat="{p.name}"/>' for p in parts))
    yield from _section("MeshData", _mesh_data(parts))
    yield from _section("Boundary", _boundary(deck, ids))
    yield from _section("Discrete", _discrete(deck))
    yield from _section("Step", _steps(deck))
    yield from _section("LoadData", _load_curves(deck))
    yield from _section("Output", _output())
    yield "</febio_spec>"


def _section(name: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"<{name}>"
    yield from lines
    yield f"</{name}>"


# --- materials ---


def _parts(deck: Deck) -> list[Part]:
    """Unite the substances of one material and one solid group; their constants become maps over elements."""
    families: dict[tuple[str, int], list[Substance]] = {}
    for substance in deck.substances:
        families.setdefault((substance.name, substance.solids), []).append(substance)
    out = []
    for number, ((name, solids), members) in enumerate(families.items(), 1):
        group = deck.solids[solids]
        rows = np.concatenate([s.members for s in members])
        counts = [len(s.members) for s in members]
        plain = [s.isotropic for s in members if s.isotropic is not None]
        axes, names = None, _ISOTROPIC
        if len(plain) == len(members):
            law, values = "isotropic elastic", np.array(plain)
        else:
            law, names = "orthotropic elastic", _ORTHOTROPIC
            fibres = deck.model.fibres[[group.cells[s.members[0]] for s in members]]
            frames = material_axes(fibres)
            values = orthotropic_constants(np.array([s.D for s in members]), frames, name)
            axes = np.repeat(frames, counts, axis=0)
        label = f"{number}_{re.sub(r'[^A-Za-z0-9]+', '_', name)}"
        cells, conn = group.cells[rows], group.conn[rows]
        out.append(Part(label, group.kind, cells, conn, law, np.repeat(values, counts, axis=0), names, axes))
    return out


def material_axes(fibres: F64) -> F64:
    """Axes in which an isotropic ground with two equal fibre families is orthotropic, rows of (e, 3, 3).

    The bisectors of the two directions and their normal; the global axes where there are no fibres.

    Parameters
    ----------
    fibres : (e, 2, 3) float64
    """
    out = np.broadcast_to(np.eye(3), (len(fibres), 3, 3)).copy()
    for i, (a, b) in enumerate(fibres):
        if not (a.any() or b.any()):
            continue
        first, second = (a + b, a - b) if (a + b) @ (a + b) >= (a - b) @ (a - b) else (a - b, a + b)
        first = first / np.linalg.norm(first)
        second = second - (second @ first) * first
        if np.linalg.norm(second) < 1e-9:  # one family, or two alike: any perpendicular will do
            second = np.cross(first, np.eye(3)[np.argmin(np.abs(first))])
        second = second / np.linalg.norm(second)
        out[i] = [first, second, np.cross(first, second)]
    return out


def orthotropic_constants(D: F64, axes: F64, name: str) -> F64:
    """Nine constants (k, 9) [MPa, 1] of elasticity matrices D (k, 6, 6) in the given axes (k, 3, 3).

    Raises
    ------
    UsageError
        A matrix is not orthotropic in these axes.
    """
    local = rotate_elasticity(D, axes)  # row i of axes is the direction that becomes axis i
    shear = local.copy()
    shear[:, :3, :3] = 0.0
    shear[:, np.arange(3, 6), np.arange(3, 6)] = 0.0
    if np.abs(shear).max() > 1e-9 * np.abs(local).max():
        raise UsageError(f"material {name!r} is not orthotropic in its fibre axes; FEBio has no law for it")
    S = np.linalg.inv(local)
    E = 1.0 / S[:, [0, 1, 2], [0, 1, 2]]
    G = 1.0 / S[:, [3, 4, 5], [3, 4, 5]]
    nu = -S[:, [0, 1, 2], [1, 2, 0]] * E
    return np.concatenate([E, G, nu], axis=1)


def _uniform(column: F64) -> bool:
    return bool(np.ptp(column) <= 1e-12 * np.abs(column).max())


def _materials(parts: Sequence[Part]) -> Iterator[str]:
    for number, part in enumerate(parts, 1):
        yield f'<material id="{number}" name={quoteattr(part.name)} type="{part.law}">'
        yield "<density>1e-9</density>"
        for name, column in zip(part.names, part.values.T, strict=True):
            if _uniform(column):
                yield f"<{name}>{column[0]:.12g}</{name}>"
            else:
                yield f'<{name} type="map">{name}_{part.name}</{name}>'
        yield "</material>"


def _mesh_data(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        for name, column in zip(part.names, part.values.T, strict=True):
            if not _uniform(column):
                yield f'<ElementData name="{name}_{part.name}" data_type="scalar" elem_set="set_{part.name}">'
                yield from (f'<e lid="{i}">{v:.12g}</e>' for i, v in enumerate(column.tolist(), 1))
                yield "</ElementData>"
        if part.axes is not None:
            yield f'<ElementData type="mat_axis" elem_set="set_{part.name}">'
            for i, axes in enumerate(part.axes, 1):
                yield f'<e lid="{i}"><a>{_vector(axes[0])}</a><d>{_vector(axes[1])}</d></e>'
            yield "</ElementData>"


# --- mesh ---


def _mesh(deck: Deck, parts: Sequence[Part], ids: _Ids) -> Iterator[str]:
    yield '<Nodes name="nodes">'
    yield from (f'<node id="{i}">{_vector(x)}</node>' for i, x in enumerate(ids.points, 1))
    yield "</Nodes>"
    for part in parts:
        yield f'<Elements type="{ELEMENT_TYPE[part.kind]}" name={quoteattr(part.name)}>'
        for cell, nodes in zip(part.cells.tolist(), part.conn.tolist(), strict=True):
            yield f'<elem id="{cell + 1}">{_list(nodes, 1)}</elem>'
        yield "</Elements>"
    yield from _sets(deck, parts, ids)
    turning = len(ids.rotations)
    yield from _pairs("carriers", np.column_stack([ids.grounds[:turning], ids.rotations]))
    yield from _pairs("springs_to_ground", np.column_stack([ids.grounds[turning:], ids.links]))
    for i, springs in enumerate(deck.model.point_springs):
        for j, k in enumerate(np.unique(springs.stiffness)):
            yield from _pairs(f"ligament_{i}_{j}", springs.nodes[springs.stiffness == k] + 1, springs.name)


def _sets(deck: Deck, parts: Sequence[Part], ids: _Ids) -> Iterator[str]:
    mesh = deck.model.mesh
    for name, nodes in mesh.nodes.items():
        yield f"<NodeSet name={quoteattr(name)}>{_list(nodes.tolist(), 1)}</NodeSet>"
    for name, numbers in (("links", ids.links), ("grounds", ids.grounds), ("watched", deck.watched() + 1)):
        if len(numbers):
            yield f'<NodeSet name="{name}">{_list(numbers.tolist())}</NodeSet>'
    for name, nodes in _held(deck).items():
        yield f'<NodeSet name="{name}">{_list(nodes.tolist(), 1)}</NodeSet>'
    for case in deck.cases:
        for block, _ in _loads(deck, case):
            yield f'<NodeSet name="{_load_set(case, block)}">{block + 1}</NodeSet>'
    for part in parts:
        yield f'<ElementSet name="set_{part.name}">{_list(part.cells.tolist(), 1)}</ElementSet>'
    solid = np.concatenate([p.cells for p in parts])
    for name, cells in mesh.cells.items():
        inside = np.intersect1d(cells, solid)
        if len(inside):
            yield f"<ElementSet name={quoteattr(name)}>{_list(inside.tolist(), 1)}</ElementSet>"
    for name, facets in mesh.facets.items():
        yield f"<Surface name={quoteattr(name)}>"
        number = 0
        for elements, local, where in mesh.split(facets[:, 0]):
            for cell, facet in zip(local, facets[where, 1], strict=True):
                number += 1
                corners = elements.conn[cell][list(FACETS[elements.kind][facet])].tolist()
                tag = _FACET_TYPE[len(corners)]
                yield f'<{tag} id="{number}">{_list(corners, 1)}</{tag}>'
        yield "</Surface>"


def _pairs(name: str, pairs: NDArray[np.integer[Any]], comment: str = "") -> Iterator[str]:
    lines = [f"<delem>{a},{b}</delem>" for a, b in pairs.tolist()]
    if lines:
        yield f'<DiscreteSet name="{name}">' + (f"<!-- {escape(comment)} -->" if comment else "")
        yield from lines
        yield "</DiscreteSet>"


def _held(deck: Deck) -> dict[str, I32]:
    """Blocks held in the same components, by the name of their set."""
    held = deck.held()
    mask = np.zeros((len(deck.block_points), 3), bool)
    mask.reshape(-1)[held] = True
    code = mask @ np.array([1, 2, 4])
    return {f"held_{_components(c)}": np.flatnonzero(code == c).astype(np.int32) for c in range(1, 8) if c in code}


def _components(code: int) -> str:
    return "".join(axis for i, axis in enumerate(_DOF) if code >> i & 1)


# --- constraints, springs, loads ---


def _boundary(deck: Deck, ids: _Ids) -> Iterator[str]:
    for name in _held(deck):
        yield from _zero(name, name.removeprefix("held_"))
    if len(ids.grounds):
        yield from _zero("grounds", _DOF)
    if len(ids.links):
        yield from _zero("links", "yz")
    C = deck.elimination.slave_map
    for row, dof in enumerate(deck.elimination.slave.tolist()):
        span = slice(C.indptr[row], C.indptr[row + 1])
        yield from _constraint(dof // 3 + 1, dof % 3, C.indices[span], C.data[span])
    B = deck.rows
    for node, row in zip(ids.links.tolist(), ids.rows.tolist(), strict=True):
        span = slice(B.indptr[row], B.indptr[row + 1])
        yield from _constraint(node, 0, B.indices[span], B.data[span])


def _zero(node_set: str, axes: str) -> Iterator[str]:
    yield f'<bc name="{node_set}" node_set="{node_set}" type="zero displacement">'
    yield from (f"<{axis}_dof>{int(axis in axes)}</{axis}_dof>" for axis in _DOF)
    yield "</bc>"


def _constraint(node: int, component: int, columns: I32, values: F64) -> Iterator[str]:
    """Dof of `node` = sum of values times dofs (`columns`)."""
    yield f'<bc type="linear constraint"><node>{node}</node><dof>{_DOF[component]}</dof><offset>0</offset>'
    for dof, value in zip(columns.tolist(), values.tolist(), strict=True):
        where = f"<node>{dof // 3 + 1}</node><dof>{_DOF[dof % 3]}</dof>"
        yield f"<child_dof>{where}<value>{value:.12g}</value></child_dof>"
    yield "</bc>"


def _discrete(deck: Deck) -> Iterator[str]:
    """Unit springs of links, springs of no stiffness that give rotation nodes their dofs, ligaments."""
    springs = [("springs_to_ground", 1.0)] if deck.rows.shape[0] else []
    springs += [("carriers", 0.0)] if len(deck.rotation_nodes) else []
    for i, bundle in enumerate(deck.model.point_springs):
        springs += [(f"ligament_{i}_{j}", float(k)) for j, k in enumerate(np.unique(bundle.stiffness))]
    for number, (name, k) in enumerate(springs, 1):
        yield f'<discrete_material id="{number}" name="{name}" type="linear spring"><E>{k:.12g}</E></discrete_material>'
    for number, (name, _) in enumerate(springs, 1):
        yield f'<discrete dmat="{number}" discrete_set="{name}"/>'


def _loads(deck: Deck, case: LoadCase) -> list[tuple[int, F64]]:
    loads = [(int(node), force) for node, force in case.forces.items()]
    loads += [(deck.rotation_block(node), moment) for node, moment in case.moments.items()]
    if not any(np.any(vector) for _, vector in loads):
        raise UsageError(f"load case {case.name!r} has no load")
    return loads


def _load_set(case: LoadCase, block: int) -> str:
    return f"load_{case.name}_{block + 1}"


def _steps(deck: Deck) -> Iterator[str]:
    """One step per load case; its loads grow from nothing and end with it."""
    for number, case in enumerate(deck.cases, 1):
        yield f'<step id="{number}" name={quoteattr(case.name)}>'
        yield "<Control><analysis>STATIC</analysis><time_steps>10</time_steps><step_size>0.1</step_size>"
        yield '<solver type="solid"><symmetric_stiffness>symmetric</symmetric_stiffness></solver>'
        yield "</Control><Loads>"
        for block, vector in _loads(deck, case):
            for axis, value in zip(_DOF, np.asarray(vector).tolist(), strict=True):
                if value:
                    yield f'<nodal_load node_set="{_load_set(case, block)}" type="nodal_load"><dof>{axis}</dof>'
                    yield f'<scale lc="{number}">{value:.12g}</scale><relative>0</relative></nodal_load>'
        yield "</Loads></step>"


def _load_curves(deck: Deck) -> Iterator[str]:
    for number in range(1, len(deck.cases) + 1):
        yield f'<load_controller id="{number}" type="loadcurve"><interpolate>LINEAR</interpolate>'
        yield f"<extend>CONSTANT</extend><points><pt>{number - 1},0</pt><pt>{number},1</pt></points></load_controller>"


def _output() -> Iterator[str]:
    yield '<plotfile type="febio"><var type="displacement"/><var type="stress"/></plotfile>'
    yield '<logfile><node_data data="ux;uy;uz" node_set="watched" file="watched.txt"/></logfile>'


def _vector(v: F64) -> str:
    return ",".join(f"{x:.12g}" for x in v.tolist())


def _list(numbers: Sequence[int], shift: int = 0) -> str:
    return ",".join(str(n + shift) for n in numbers)
