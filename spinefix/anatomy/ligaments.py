"""The seven ligaments of a motion segment as bundles of springs, and the facet joints as elastic foundations.

Every strand runs between two nodes that lie nearest to fixed anatomical points, so its ends converge as the mesh is
refined; the cross-section of a bundle does not depend on the number of nodes. Strands are chosen on the left side and
mirrored, so a symmetric segment stays symmetric to the last digit.

Every bundle has two laws. The linear one is the toe modulus of the library's bilinear law times area over length, in
both directions: a bundle then also resists being shortened. Nonlinear analysis takes the bilinear law itself, which
pulls only. Facet joints likewise resist opening in linear analysis and part in nonlinear analysis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinefix import library
from spinefix.anatomy.segment import Vertebra
from spinefix.errors import MeshError, UsageError
from spinefix.mesh.core import F64, I32, Bool, Mesh
from spinefix.mesh.mirror import images
from spinefix.mesh.topology import boundary_facets, facet_areas, facet_corners, facet_normals
from spinefix.model.core import PointSprings, Pull, SurfaceSprings

SIDES = ("left", "right")

Strand = tuple[int, int, float]
"""Node on the upper vertebra, node on the lower one, share of the bundle."""

_LAW = "linear analysis: toe modulus, tension and compression; nonlinear: bilinear, tension only"


@dataclass(frozen=True)
class Surface:
    """The outer surface of a segment, with what is needed to find insertions on it.

    Parameters
    ----------
    mesh : Mesh
    vertebrae : mapping, level -> Vertebra
    mirror : (n_points,) int32
        Node on the other side of the sagittal plane.
    normals : (n_points, 3) float64
        Unit outward normals of surface nodes; zero inside.
    """

    mesh: Mesh
    vertebrae: Mapping[str, Vertebra]
    mirror: I32
    normals: F64

    @classmethod
    def of(cls, mesh: Mesh, vertebrae: Mapping[str, Vertebra]) -> Surface:
        """Find the surface of `mesh`."""
        facets = boundary_facets(mesh)
        corners = facet_corners(mesh, facets)
        normals = np.zeros((mesh.n_points, 3))
        weighted = facet_normals(mesh, facets) * facet_areas(mesh, facets)[:, None]
        for i in range(4):
            np.add.at(normals, corners[:, i], weighted)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        return cls(mesh, vertebrae, mirror_nodes(mesh), normals / np.where(length > 0.0, length, 1.0))

    @property
    def outside(self) -> Bool:
        """Flags (n_points,) of the nodes on the surface."""
        return np.asarray(self.normals.any(axis=1))

    def local(self, level: str, nodes: I32) -> F64:
        """Return the positions (k, 3) [mm] of nodes in the frame of a level."""
        return self.vertebrae[level].frame.to_local(self.mesh.points[nodes])

    def pick(self, level: str, nodes: I32, target: Sequence[float], weights: Sequence[float]) -> int:
        """Return the node on the left or in the midplane that is nearest to `target` in the frame of a level.

        `weights` says which coordinates count.
        """
        points = self.local(level, nodes)
        gap = ((points - np.asarray(target)) ** 2) @ np.asarray(weights, float)
        return int(nodes[np.argmin(np.where(points[:, 1] > -1e-6, gap, np.inf))])

    def facing(self, level: str, part: str, direction: Sequence[float]) -> I32:
        """Return the surface nodes of a part of a vertebra that face `direction` in its frame within 60 degrees.

        Raises
        ------
        MeshError
            No node does.
        """
        nodes = self.mesh.cell_nodes(self.mesh.select(f"{level}.{part}"))
        wanted = self.vertebrae[level].frame.vector_to_global(np.asarray(direction, float))
        hits = nodes[self.normals[nodes] @ wanted > 0.5]
        if not len(hits):
            raise MeshError(f"{level}.{part}: no surface faces {tuple(direction)} in its frame")
        return hits


def mirror_nodes(mesh: Mesh, tolerance: float = 1e-6) -> I32:
    """Return for each node the one on the other side of the plane y = 0.

    Raises
    ------
    MeshError
        A node has no partner within `tolerance` [mm].
    """
    gap, partner = images(mesh.points)
    if gap.max(initial=0.0) > tolerance:
        worst = int(np.argmax(gap))
        raise MeshError(f"the segment is not symmetric: node {worst} is {gap[worst]:.3g} mm off its mirror image")
    return partner


# --- ligaments ---


def build_ligaments(surface: Surface, levels: Sequence[str], linear_share: float = 1.0) -> tuple[PointSprings, ...]:
    """Return the ligaments between all neighbours of `levels` (cranial to caudal).

    Names are ``Lm-Ln.ligament.<name>`` with the library's names; ``facet_capsule`` and ``intertransverse`` have a
    bundle on each side. Stiffnesses are multiplied by `linear_share`.

    Raises
    ------
    UsageError
        `linear_share` is not in (0, 1].
    """
    _check_share("ligament_share", linear_share)
    out = []
    for u, l in zip(levels[:-1], levels[1:], strict=True):
        midline = {
            "anterior_longitudinal": _longitudinal(surface, u, l, front=True, stations=(0.0, 0.25, 0.5)),
            "posterior_longitudinal": _longitudinal(surface, u, l, front=False, stations=(0.0, 0.2)),
            "flavum": _flavum(surface, u, l),
            "interspinous": _interspinous(surface, u, l),
            "supraspinous": _supraspinous(surface, u, l),
        }
        for name, half in midline.items():
            out.append(_bundle(surface.mesh, f"{u}-{l}", name, _both_sides(surface.mirror, half)))
        paired = {"facet_capsule": _capsule(surface, u, l), "intertransverse": _intertransverse(surface, u, l)}
        for name, left in paired.items():
            right = [(int(surface.mirror[a]), int(surface.mirror[b]), share) for a, b, share in left]
            out.append(_bundle(surface.mesh, f"{u}-{l}", name, left, "left"))
            out.append(_bundle(surface.mesh, f"{u}-{l}", name, right, "right"))
    if linear_share == 1.0:
        return tuple(out)
    note = f" (times {linear_share:g} for a linear law)"
    return tuple(replace(b, stiffness=linear_share * b.stiffness, source=b.source + note) for b in out)


def _check_share(name: str, share: float) -> None:
    if not 0.0 < share <= 1.0:
        raise UsageError(f"{name} = {share:g}: must be more than 0 and at most 1")


def _bundle(mesh: Mesh, disc: str, name: str, strands: Sequence[Strand], side: str = "") -> PointSprings:
    """Give strands their stiffness: the share of E A / L, or of the measured stiffness of the joint capsule."""
    data = library.ligament(name)
    nodes = np.array([s[:2] for s in strands], np.int32)
    share = np.array([s[2] for s in strands])
    if name == "facet_capsule":
        # Its strands start at the rim of the articular surfaces, real fibres beyond it: the drawn length is not theirs.
        used = [data["stiffness"]]
        stiffness = share * data["stiffness"].internal
        law = (
            "linear analysis: measured, tension and compression; nonlinear: bilinear from that stiffness, tension only"
        )
        used += [data["E_low"], data["area"]]
        # The gauge length at which the bilinear law starts with the measured stiffness.
        gauge = np.full(len(strands), data["E_low"].internal * data["area"].internal / data["stiffness"].internal)
    else:
        used = [data["E_low"], data["area"]]
        length = np.linalg.norm(mesh.points[nodes[:, 0]] - mesh.points[nodes[:, 1]], axis=1)
        if "length" in data:  # of fibres that insert beyond the edges between which they are drawn
            used.append(data["length"])
            length = np.maximum(length, data["length"].internal)
        stiffness = share * data["E_low"].internal * data["area"].internal / length
        law, gauge = _LAW, length
    used += [data["E_high"], data["switch_strain"]]
    pull = Pull(*_bilinear(data), area=share * data["area"].internal, gauge=gauge)
    source = "; ".join(library.citations({d.source for d in used}))
    full = f"{disc}.ligament.{name}" + (f".{side}" if side else "")
    return PointSprings(full, nodes, stiffness, f"{source} ({law})", pull)


def _bilinear(data: Mapping[str, library.Datum]) -> tuple[F64, F64]:
    """Strain [1] and nominal stress [MPa] of the toe and of the stiff range."""
    switch, low, high = (data[name].internal for name in ("switch_strain", "E_low", "E_high"))
    return np.array([0.0, switch, 1.0]), np.array([0.0, low * switch, low * switch + high * (1.0 - switch)])


def _both_sides(mirror: I32, half: Sequence[Strand]) -> list[Strand]:
    """Complete the left half of a bundle; strands that fall on each other become one."""
    shares: dict[tuple[int, int], float] = {}
    for a, b, share in half:
        for pair in ((a, b), (int(mirror[a]), int(mirror[b]))):
            shares[pair] = shares.get(pair, 0.0) + share / 2.0
    total = sum(shares.values())
    return [(a, b, share / total) for (a, b), share in shares.items()]


def _longitudinal(surface: Surface, u: str, l: str, *, front: bool, stations: Sequence[float]) -> list[Strand]:
    """From rim to rim over the disc, at `stations` from the midline in half widths of the endplate."""
    sign = 1.0 if front else -1.0
    ends = []
    for level, endplate, width in ((u, "inferior", "EPWl"), (l, "superior", "EPWu")):
        nodes = surface.mesh.nodes[f"{level}.endplate.{endplate}"]
        rim = nodes[surface.outside[nodes]]
        x = surface.local(level, rim)[:, 0]
        rim = rim[sign * (x - (x.min() + x.max()) / 2.0) > 0.0]
        half = surface.vertebrae[level].dimensions[width] / 2.0
        ends.append([surface.pick(level, rim, (0.0, f * half, 0.0), (0, 1, 0)) for f in stations])
    weights = [1.0 if f == 0.0 else 2.0 for f in stations]
    return [(a, b, w) for a, b, w in zip(*ends, weights, strict=True)]


def _flavum(surface: Surface, u: str, l: str) -> list[Strand]:
    """From mid-height of the canal roof to the upper edge of the next one, at two distances from the midline."""
    ends = []
    for level, lower in ((u, False), (l, True)):
        nodes = surface.mesh.nodes[f"{level}.canal_roof"]
        z = surface.local(level, nodes)[:, 2]
        height = z.max() if lower else (z.min() + z.max()) / 2.0
        half = surface.vertebrae[level].dimensions["SCW"] / 2.0
        ends.append([surface.pick(level, nodes, (0.0, f * half, height), (0, 1, 1)) for f in (0.15, 0.45)])
    return [(a, b, 1.0) for a, b in zip(*ends, strict=True)]


def _interspinous(surface: Surface, u: str, l: str) -> list[Strand]:
    """From the upper edge of a spinous process backwards and up to the lower edge of the one above, in four places.

    The fibres fan out to the back on their way up: the upper insertions lie a quarter of the process further back.
    """
    ends = []
    for level, edge, places in ((u, "inferior", (0.3, 0.5, 0.7, 0.9)), (l, "superior", (0.05, 0.25, 0.45, 0.65))):
        nodes = surface.mesh.nodes[f"{level}.spinous.{edge}_edge"]
        x = surface.local(level, nodes)[:, 0]
        ends.append([surface.pick(level, nodes, (x.max() - f * np.ptp(x), 0.0, 0.0), (1, 1, 0)) for f in places])
    return [(a, b, 1.0) for a, b in zip(*ends, strict=True)]


def _supraspinous(surface: Surface, u: str, l: str) -> list[Strand]:
    """From the tip of a spinous process to the tip of the next, at a third and two thirds of their heights."""
    ends = []
    for level in (u, l):
        nodes = surface.facing(level, "spinous", (-1.0, 0.0, 0.0))
        points = surface.local(level, nodes)
        tip = points[:, 0].min()
        heights = points[:, 2].min() + np.array([1.0, 2.0]) / 3.0 * np.ptp(points[:, 2])
        ends.append([surface.pick(level, nodes, (tip, 0.0, z), (1, 1, 1)) for z in heights])
    return [(a, b, 1.0) for a, b in zip(*ends, strict=True)]


def _intertransverse(surface: Surface, u: str, l: str) -> list[Strand]:
    """From the lower edge of the left transverse process to the upper edge of the next, at two places along it."""
    ends = []
    for level, down in ((u, -1.0), (l, 1.0)):
        nodes = surface.facing(level, "transverse.left", (0.0, 0.0, down))
        points = surface.local(level, nodes)
        y = points[:, 1].min() + np.array([0.5, 0.8]) * np.ptp(points[:, 1])
        ends.append([surface.pick(level, nodes, (points[:, 0].mean(), place, 0.0), (1, 1, 0)) for place in y])
    return [(a, b, 0.5) for a, b in zip(*ends, strict=True)]


def _capsule(surface: Surface, u: str, l: str, strands: int = 8) -> list[Strand]:
    """From margin to margin of the two left articular surfaces, all round the joint."""
    mesh = surface.mesh
    upper, lower = mesh.facets[f"{u}.facet.inferior.left"], mesh.facets[f"{l}.facet.superior.left"]
    normal = facet_normals(mesh, lower).T @ facet_areas(mesh, lower)
    normal /= np.linalg.norm(normal)
    up = np.array([0.0, 0.0, 1.0]) - normal[2] * normal
    up /= np.linalg.norm(up)
    turn = 2.0 * np.pi * (np.arange(strands) + 0.5) / strands
    rays = np.outer(np.cos(turn), up) + np.outer(np.sin(turn), np.cross(normal, up))
    ends = []
    for patch in (upper, lower):
        nodes = margin(mesh, patch)
        arm = mesh.points[nodes] - mesh.points[np.unique(facet_corners(mesh, patch))].mean(axis=0)
        arm -= np.outer(arm @ normal, normal)
        arm /= np.linalg.norm(arm, axis=1, keepdims=True)
        ends.append(nodes[np.argmax(rays @ arm.T, axis=1)])
    return [(int(a), int(b), 1.0 / strands) for a, b in zip(*ends, strict=True)]


def margin(mesh: Mesh, facets: I32) -> I32:
    """Return the nodes on the border of a patch of quadrilateral facets."""
    corners = facet_corners(mesh, facets)
    edges = np.sort(np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return np.unique(unique[count == 1]).astype(np.int32)


# --- facet joints ---


def build_facet_joints(mesh: Mesh, levels: Sequence[str], linear_share: float = 1.0) -> tuple[SurfaceSprings, ...]:
    """Return the facet joints between all neighbours of `levels` as elastic foundations without friction.

    The two cartilage layers are a thin sheet that cannot move sideways: its foundation modulus is the aggregate modulus
    over the joint thickness, E (1 - nu) / ((1 + nu) (1 - 2 nu)) / (2 t). In linear analysis it also resists opening of
    the joint; `linear_share` says how much of the modulus acts there. Nonlinear analysis has the whole modulus in
    pressure and nothing in opening.

    Raises
    ------
    UsageError
        `linear_share` is not in (0, 1].
    """
    _check_share("facet_share", linear_share)
    cartilage = library.tissue_set("normal")["facet_cartilage"]
    thickness = library.shape_parameters()["facet_cartilage_thickness"]
    E, nu = cartilage["E"].internal, cartilage["nu"].internal
    aggregate = E * (1.0 - nu) / ((1.0 + nu) * (1.0 - 2.0 * nu))
    keys = {cartilage["E"].source, cartilage["nu"].source, thickness.source}
    source = "; ".join(library.citations(keys)) + " (linear, frictionless; resists opening in linear analysis)"
    return tuple(
        SurfaceSprings(
            name=f"{u}-{l}.facet_joint.{side}",
            facets=mesh.facets[f"{u}.facet.inferior.{side}"],
            onto=mesh.facets[f"{l}.facet.superior.{side}"],
            stiffness_normal=linear_share * aggregate / (2.0 * thickness.internal),
            stiffness_tangential=0.0,
            source=source,
            press=aggregate / (2.0 * thickness.internal),
        )
        for u, l in zip(levels[:-1], levels[1:], strict=True)
        for side in SIDES
    )
