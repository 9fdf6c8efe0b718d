"""The vertebra template: exact dimensions, symmetry, quality, conformity, names, and one shape for all refinements."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from scipy.spatial import cKDTree

from spinefix.anatomy.vertebra import VertebraMesh, build_vertebra, measure
from spinefix.anatomy.vertebra_section import build_section
from spinefix.anatomy.vertebra_shape import ShapeParameters, facet_joint, shape_of
from spinefix.errors import MeshError
from spinefix.mesh import quality, topology

KEYS = ("EPWu", "EPDu", "EPWl", "EPDl", "VBHp", "VBHa", "SCW", "SCD", "PDW", "PDH", "SPL", "TPW")
TABLE = {  # Panjabi 1992 and Bonczar 2024 (VBHa), as in the library
    "L1": (41.2, 34.1, 43.3, 35.3, 23.8, 24.54, 23.7, 19.0, 8.6, 15.9, 67.7, 71.2),
    "L2": (42.6, 34.6, 45.5, 34.9, 24.3, 25.75, 23.8, 18.2, 8.25, 15.0, 71.8, 76.1),
    "L3": (44.1, 35.2, 48.0, 34.8, 23.8, 26.83, 24.3, 17.5, 10.15, 14.4, 70.0, 85.7),
    "L4": (46.6, 35.5, 49.5, 33.9, 24.1, 26.86, 25.4, 18.6, 14.05, 15.5, 66.0, 79.4),
    "L5": (47.3, 34.7, 49.4, 33.2, 22.9, 27.44, 27.1, 19.7, 18.6, 19.6, 55.0, 92.5),
}
LEVELS = tuple(TABLE)
CELLS = ("body.cancellous", "body.cortical", "endplate.superior", "endplate.inferior", "spinous") + tuple(
    f"{part}.{side}"
    for part in ("pedicle", "lamina", "pars", "articular.superior", "articular.inferior", "transverse")
    for side in ("left", "right")
)
FACETS = ("endplate.superior", "endplate.inferior", "posterior_wall") + tuple(
    f"facet.{end}.{side}" for end in ("superior", "inferior") for side in ("left", "right")
)


def dimensions(level: str) -> dict[str, float]:
    return dict(zip(KEYS, TABLE[level], strict=True))


def vertebra(level: str, n: int) -> VertebraMesh:
    return build_vertebra(dimensions(level), n, shape_of(level))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [2, 3])
def test_measured_dimensions_are_those_asked_for(level: str, n: int) -> None:
    got, asked = measure(vertebra(level, n)), dimensions(level)
    for key in KEYS:
        assert got[key] == pytest.approx(asked[key], rel=0.02), key


@pytest.mark.parametrize(("level", "n"), [(k, n) for k in LEVELS for n in (2, 3)] + [("L3", 5)])
def test_all_elements_are_well_shaped(level: str, n: int) -> None:
    mesh = vertebra(level, n).mesh
    assert quality.jacobians(mesh, corners=True)[0].min() > 0.0
    scaled = quality.scaled_jacobian(mesh)
    assert scaled.min() > 0.14
    assert np.percentile(scaled, 1) > 0.24
    assert np.percentile(scaled, 5) > 0.38


@pytest.mark.parametrize("level", ["L1", "L5"])
def test_mirror_image_is_the_same_mesh(level: str) -> None:
    mesh = vertebra(level, 3).mesh
    flipped = mesh.points * [1.0, -1.0, 1.0]
    distance, partner = cKDTree(mesh.points).query(flipped)
    assert distance.max() < 1e-12 * np.ptp(mesh.points)
    assert (np.sort(partner) == np.arange(mesh.n_points)).all()
    for name in ("pedicle", "articular.superior", "transverse"):
        left = np.sort(partner[mesh.cell_nodes(mesh.cells[f"{name}.left"])])
        assert (left == mesh.cell_nodes(mesh.cells[f"{name}.right"])).all()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_mesh_conforms(n: int) -> None:
    mesh = vertebra("L3", n).mesh
    corners = np.sort(mesh.blocks[0].conn[:, np.array(topology.corner_facets("hex8"))].reshape(-1, 4), axis=1)
    _, count = np.unique(corners, axis=0, return_counts=True)
    assert count.max() == 2
    assert cKDTree(mesh.points).query(mesh.points, k=2)[0][:, 1].min() > 0.05
    assert len(np.unique(mesh.blocks[0].conn)) == mesh.n_points
    # A closed surface with the topology of one ring (the vertebral foramen): Euler characteristic 0.
    outer = topology.facet_corners(mesh, topology.boundary_facets(mesh))
    edges = np.unique(np.sort(np.concatenate([outer[:, [i, (i + 1) % 4]] for i in range(4)]), axis=1), axis=0)
    assert len(np.unique(outer)) - len(edges) + len(outer) == 0


def test_regions_are_complete_and_disjoint() -> None:
    v = vertebra("L3", 3)
    mesh = v.mesh
    assert set(mesh.cells) == set(CELLS)
    owned = np.concatenate([mesh.cells[name] for name in CELLS])
    assert np.bincount(owned, minlength=mesh.n_cells).tolist() == [1] * mesh.n_cells
    assert set(mesh.facets) == set(FACETS)
    assert all(len(mesh.facets[name]) for name in FACETS)
    outer = {tuple(f) for f in topology.boundary_facets(mesh).tolist()}
    assert all({tuple(f) for f in mesh.facets[name].tolist()} <= outer for name in FACETS)
    assert {"endplate.superior", "endplate.inferior", "posterior_wall", "canal_roof"} <= set(mesh.nodes)


def test_surfaces_look_the_right_way() -> None:
    mesh = vertebra("L3", 3).mesh

    def normal(name: str) -> np.ndarray:
        return topology.facet_normals(mesh, mesh.facets[name]).mean(axis=0)

    assert normal("endplate.superior")[2] > 0.9
    assert normal("endplate.inferior")[2] < -0.9
    assert normal("posterior_wall")[0] < -0.9
    superior, inferior = normal("facet.superior.left"), normal("facet.inferior.left")
    assert superior[0] < -0.3 and superior[1] < -0.5  # backwards and to the midline
    assert inferior[0] > 0.3 and inferior[1] > 0.5  # forwards and outwards


def test_section_nodes_match_both_endplates() -> None:
    v = vertebra("L2", 3)
    s = build_section(3)
    for nodes, name in ((v.superior_nodes, "superior"), (v.inferior_nodes, "inferior")):
        assert len(nodes) == s.n_nodes
        assert set(nodes.tolist()) == set(v.mesh.nodes[f"endplate.{name}"].tolist())
        xy = v.mesh.points[nodes][:, :2]
        quads = xy[s.quads]
        a, b = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
        area = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
        assert (area > 0.0).all()
        assert area[s.ring == 0].sum() / area.sum() == pytest.approx(0.40, abs=0.03)
        assert np.abs(xy[s.mirror] * [1.0, -1.0] - xy).max() < 1e-12


def test_shape_does_not_depend_on_the_refinement() -> None:
    middle, fine = vertebra("L3", 3), vertebra("L3", 5)
    volume = [float(quality.volumes(v.mesh).sum()) for v in (middle, fine)]
    assert volume[0] == pytest.approx(volume[1], rel=0.01)
    for name, point in middle.landmarks.items():
        assert np.linalg.norm(point - fine.landmarks[name]) < 1e-9
    arch = [
        float(quality.volumes(v.mesh)[v.mesh.select("pedicle", "lamina", "spinous", "articular")].sum())
        for v in (middle, fine)
    ]
    assert arch[0] == pytest.approx(arch[1], rel=0.02)


def test_local_frame_and_landmarks() -> None:
    v = vertebra("L4", 3)
    up, down = v.landmarks["endplate.superior.centre"], v.landmarks["endplate.inferior.centre"]
    assert np.abs(up + down).max() < 1e-12
    assert np.abs(up[:2]).max() < 1e-12
    entry, centre = v.landmarks["pedicle.left.entry"], v.landmarks["pedicle.left.centre"]
    axis = v.directions["pedicle.left.axis"]
    along = centre - entry
    assert along @ axis > 8.0
    assert np.linalg.norm(np.cross(along, axis)) < 1e-9
    # On the surface: no bone further back on the axis, and bone right before it.
    outer = v.mesh.points[np.unique(topology.facet_corners(v.mesh, topology.boundary_facets(v.mesh)))]
    assert cKDTree(outer).query(entry)[0] < 2.5
    assert axis[0] > 0.9 and axis[1] < 0.0
    assert v.landmarks["spinous.tip"][1] == 0.0
    assert np.allclose(v.landmarks["pedicle.right.entry"], entry * [1.0, -1.0, 1.0])


def test_facet_surfaces_of_neighbours_face_each_other_across_the_joint() -> None:
    """Put the upper vertebra on the disc that the joint assumes: bone surfaces run parallel at the joint's space."""
    upper, lower = dimensions("L3"), dimensions("L4")
    joint = facet_joint(upper, lower, angle=0.6, disc_posterior=8.2, disc_wedge=0.12)
    above = build_vertebra(upper, 3, shape_of("L3"), below=joint)
    below = build_vertebra(lower, 3, shape_of("L4"), above=joint)
    rim_u = above.mesh.points[above.inferior_nodes[above.section.boundary]]
    rim_l = below.mesh.points[below.superior_nodes[below.section.boundary]]
    half = len(rim_u) // 2

    def slope(rim: np.ndarray) -> float:
        return float(np.arctan2(*(rim[0] - rim[half])[[2, 0]]))

    tilt = slope(rim_l) + joint.disc_wedge - slope(rim_u)
    c, s = np.cos(tilt), np.sin(tilt)
    turn = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    plane = slope(rim_l) + 0.5 * joint.disc_wedge
    back = rim_l[half] + joint.disc_posterior * np.array([-np.sin(plane), 0.0, np.cos(plane)])
    moved = above.mesh.points @ turn.T + back - turn @ rim_u[half]
    for side in ("left", "right"):
        upper_facets = above.mesh.facets[f"facet.inferior.{side}"]
        lower_facets = below.mesh.facets[f"facet.superior.{side}"]
        points = moved[topology.facet_corners(above.mesh, upper_facets)].mean(axis=1)
        middle = below.mesh.points[topology.facet_corners(below.mesh, lower_facets)].mean(axis=1)
        normals = topology.facet_normals(below.mesh, lower_facets)
        distance, nearest = cKDTree(middle).query(points)
        near = distance < 3.0
        gap = ((points - middle[nearest]) * normals[nearest]).sum(axis=1)[near]
        assert near.mean() > 0.7
        assert gap.min() > 0.3
        assert np.median(gap) == pytest.approx(joint.space, abs=0.3)


def test_smaller_pedicle_moves_nodes_and_keeps_the_topology() -> None:
    dims = dimensions("L3")
    plain = build_vertebra(dims, 2)
    thin = build_vertebra({**dims, "PDW": 8.0}, 2)
    assert (plain.mesh.blocks[0].conn == thin.mesh.blocks[0].conn).all()
    assert measure(thin)["PDW"] == pytest.approx(8.0, rel=0.02)
    step = np.linalg.norm(thin.mesh.points - plain.mesh.points, axis=1).max()
    tiny = build_vertebra({**dims, "PDW": dims["PDW"] + 1e-4}, 2)
    assert step < 5.0
    assert np.linalg.norm(tiny.mesh.points - plain.mesh.points, axis=1).max() < 0.01


def test_wrong_input_is_named() -> None:
    dims = dimensions("L3")
    with pytest.raises(MeshError, match="PDW"):
        build_vertebra({k: v for k, v in dims.items() if k != "PDW"}, 3)
    with pytest.raises(MeshError, match="SCD"):
        build_vertebra({**dims, "SCD": -1.0}, 3)
    with pytest.raises(MeshError, match="refinement"):
        build_vertebra(dims, 1)
    with pytest.raises(MeshError, match="waist_lateral"):
        build_vertebra(dims, 2, ShapeParameters(waist_lateral=0.9))


def test_every_shape_parameter_has_unit_range_and_source() -> None:
    for f in fields(ShapeParameters):
        low, high = f.metadata["range"]
        assert low <= f.default <= high, f.name
        assert f.metadata["unit"] in ("mm", "rad", "-") and f.metadata["source"], f.name
