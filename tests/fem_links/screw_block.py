"""A screw in a block of bone, meshed in full and as an embedded beam (shared by a test and a benchmark).

The screw is a cylinder along z, 6.5 mm thick, from its head at z = -8 mm to its tip at z = 30 mm; the block is
30 x 30 x 40 mm from z = 0, held at z = 40 mm. It is loaded at the head by a force along x and by a pull along -z.
"""

from dataclasses import dataclass

import numpy as np

from spinefix.fem.assembly import SolidGroup, assemble
from spinefix.fem.beams import BeamGroup, beam_axes
from spinefix.fem.constraints import build_elimination
from spinefix.fem.links import embedded_links, link_stiffness
from spinefix.fem.linsolve import factorize
from spinefix.mesh import generate
from spinefix.mesh.core import CellBlock, Mesh, merge
from spinefix.model.core import Coupling, Embedding, Support

RADIUS, HEAD, TIP = 3.25, -8.0, 30.0  # mm
WIDTH, LENGTH = 30.0, 40.0  # mm
E_BONE, E_SCREW, NU = 200.0, 110e3, 0.3  # MPa; trabecular block and titanium, round numbers for verification only


def isotropic(E):
    D = np.zeros((6, 6))
    D[:3, :3] = NU / ((1 + NU) * (1 - 2 * NU))
    D[range(3), range(3)] += 1 / (1 + NU)
    D[range(3, 6), range(3, 6)] = 0.5 / (1 + NU)
    return E * D


@dataclass
class Answer:
    """Displacement of the head per newton [mm/N]: along x by a force along x, along -z by a pull."""

    lateral: float
    axial: float
    unknowns: int


def solids(conn, material, moduli):
    D = np.array([isotropic(E) for E in moduli])
    n = len(conn)
    return SolidGroup("hex8", "incompatible", np.arange(n), conn, D, material, np.ones((n, 8)))


def answer(K, elimination, node, links=None, share=1.0):
    f = np.zeros((elimination.n_dof, 2))
    f[3 * node, 0] = share
    f[3 * node + 2, 1] = -share
    with factorize(elimination.reduce(K, links)) as factor:
        u = elimination.expand(factor.solve(elimination.reduce_force(f)))
    return Answer(u[3 * node, 0], -u[3 * node + 2, 1], len(elimination.free))


def full(n_core=6, n_screw=3, n_bone=8, dz=1.0):
    """Screw and block as one conforming mesh; the half y > 0 by symmetry."""
    core = 0.6 * generate.square_loop(*[0.55 * RADIUS / np.sqrt(2)] * 2, n_core)
    core += 0.4 * generate.circle_loop(0.55 * RADIUS, n_core)
    loops = [core, generate.circle_loop(RADIUS, n_core), generate.square_loop(WIDTH / 2, WIDTH / 2, n_core)]
    stops = (HEAD, 0.0, TIP, LENGTH)
    layers = [generate.graded(a, b, int(np.ceil((b - a) / dz)))[1:] for a, b in zip(stops[:-1], stops[1:], strict=True)]
    z = np.concatenate([[HEAD], *layers])
    whole = generate.extruded_ogrid(loops, [n_screw, n_bone], z, bias=[1.0, 5.0], name="part")
    centre = whole.points[whole.blocks[0].conn].mean(axis=1)
    inside = np.ones(whole.n_cells, bool)
    inside[whole.cells["part.2"]] = False
    keep = (inside | (centre[:, 2] > 0.0)) & (centre[:, 1] > 0.0)
    screw = (inside & (centre[:, 2] < TIP))[keep]
    used, conn = np.unique(whole.blocks[0].conn[keep], return_inverse=True)
    points = np.vstack([whole.points[used], [[0.0, 0.0, HEAD]]])
    mesh = Mesh(points, (CellBlock("hex8", conn.reshape(-1, 8)),))
    head = mesh.n_points - 1
    index = np.full(mesh.n_points, -1, np.int32)
    index[head] = 0
    x, y, z = points[:-1].T
    at_head = np.flatnonzero(z < HEAD + 1e-6)
    supports = [
        Support("far side", np.flatnonzero(z > LENGTH - 1e-6)),
        Support("symmetry", np.flatnonzero((np.abs(y) < 1e-6) & (z > HEAD + 1e-6)), (False, True, False)),
        Support("symmetry of the head", np.array([head]), (False, True, False), (True, False, True)),
    ]
    active = np.ones(mesh.n_points + 1, bool)
    active[[head, -1]] = False
    elimination = build_elimination(mesh, index, active, supports=supports, couplings=[Coupling("head", head, at_head)])
    group = solids(mesh.blocks[0].conn, screw.astype(np.int32), (E_BONE, E_SCREW))
    return answer(assemble(mesh.points, [group], [], index), elimination, head, share=0.5)


def embedded(size, *, shift=0.0, stiffness=1e6, build=embedded_links):
    """Screw as a beam in a regular block of elements of `size`, moved sideways by `shift` elements."""
    n = [round(WIDTH / size), round(WIDTH / size), round(LENGTH / size)]
    corner = -WIDTH / 2 + shift * WIDTH / n[0]
    block = generate.box((WIDTH, WIDTH, LENGTH), n, origin=(corner, corner, 0.0))
    beam = generate.polyline(np.array([[0, 0, HEAD], [0, 0, 0], [0, 0, TIP]]), min(size, 3.0), name="screw")
    mesh, (_, head), _ = merge([block, beam])
    index = np.full(mesh.n_points, -1, np.int32)
    index[head:] = np.arange(beam.n_points)
    conn = mesh.blocks[1].conn
    one = np.ones(len(conn))
    area, inertia = np.pi * RADIUS**2, np.pi * RADIUS**4 / 4
    shear = 6 * (1 + NU) / (7 + 6 * NU)  # round section, Cowper 1966
    axes = beam_axes(mesh.points, conn, np.zeros((len(conn), 3)))
    constants = (E_SCREW, E_SCREW / (2 + 2 * NU), area, inertia, inertia, 2 * inertia, shear, shear)
    beams = BeamGroup(mesh.cells["screw"], conn, *(one * c for c in constants), axes)
    group = solids(mesh.blocks[0].conn, np.zeros(block.n_cells, np.int32), (E_BONE,))
    K = assemble(mesh.points, [group], [beams], index)
    embedding = Embedding("screw", mesh.cells["screw"], mesh.cells["block"], RADIUS, stiffness, stiffness)
    links = build(mesh, index, embedding, K.shape[0])
    support = Support("far side", mesh.nodes["block.zmax"])
    elimination = build_elimination(mesh, index, np.ones(K.shape[0] // 3, bool), supports=[support])
    return answer(K, elimination, head, link_stiffness([links], K.shape[0]))
