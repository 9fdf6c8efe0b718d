"""What the written files say, read back and held against the model and its solution."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from decks import feb_constraints, read_inp
from export_models import COARSE, SCENARIO, everything

from spinefix import materials
from spinefix.analysis.deck import averaged, beam_links, build_deck, with_formulation
from spinefix.analysis.export_abaqus import FACES, write_abaqus
from spinefix.analysis.export_febio import material_axes, orthotropic_constants, write_febio
from spinefix.analysis.export_vtu import write_model_vtu
from spinefix.analysis.solve import solve
from spinefix.analysis.system import System
from spinefix.cli.app import run_command
from spinefix.errors import UsageError
from spinefix.fem.beams import BeamGroup, beam_axes, beam_blocks, beam_stiffness
from spinefix.fem.voigt import elasticity_tensor
from spinefix.mesh.elements import FACETS
from spinefix.results.solution import Solution


@pytest.fixture(scope="module")
def solved() -> tuple[System, Solution]:
    model, cases, _ = everything()
    return solve(averaged(model)[0], cases)


def test_a_beam_is_six_springs() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-20, 20, (6, 3))
    conn = np.arange(6, dtype=np.int32).reshape(3, 2)
    E, A, Iy, Iz, J = (rng.uniform(1, 9, 3) for _ in range(5))
    axes = beam_axes(points, conn, rng.normal(size=(3, 3)))
    group = BeamGroup(np.arange(3), conn, E, 0.4 * E, A, Iy, Iz, J, np.full(3, 0.8), np.full(3, 0.9), axes)
    links = beam_links(points, group, np.arange(6, dtype=np.int32), 36)
    B = links.rows.toarray()
    K = B.T @ np.diag(links.stiffness) @ B
    expected = np.zeros((36, 36))
    for nodes, blocks in zip(conn, beam_stiffness(points, group), strict=True):
        at = [nodes[0], 6 + nodes[0], nodes[1], 6 + nodes[1]]
        dofs = (3 * np.array(at)[:, None] + np.arange(3)).ravel()
        expected[np.ix_(dofs, dofs)] = blocks.transpose(0, 2, 1, 3).reshape(12, 12)
    assert np.abs(K - expected).max() < 1e-12 * np.abs(expected).max()


# --- input deck ---


def test_the_deck_holds_the_model(tmp_path: Path) -> None:
    model, cases, reference = everything("bbar")
    deck = read_inp(write_abaqus(tmp_path / "m.inp", model, cases))
    mesh = model.mesh
    assert np.allclose([deck.nodes[i + 1] for i in range(mesh.n_points)], mesh.points, atol=1e-12)
    assert np.array_equal([deck.elements["C3D8"][i + 1] for i in range(146)], mesh_conn(mesh)[:146] + 1)
    assert deck.sets["ELSET CAP"] == (mesh.cells["cap"] + 1).tolist()
    assert deck.sets["NSET ROD"] == (mesh.cell_nodes(mesh.cells["rod"]) + 1).tolist()
    assert len(deck.surfaces["LOW_ZMAX"]) == 16
    held = {(n, d) for n, d in deck.fixed if n <= mesh.n_points}
    assert held == {(int(n) + 1, d) for n in mesh.nodes["low.zmin"] for d in (1, 2, 3)}
    turn = mesh.n_points + 1 + int(build_deck(model, cases).rotation_index[reference])
    assert deck.steps[0] == {(reference + 1, 1): 5.0, (reference + 1, 2): 2.0, (reference + 1, 3): -30.0}
    assert deck.steps[1] == {(turn, 1): 300.0, (turn, 2): 500.0, (turn, 3): 200.0}


def mesh_conn(mesh: object) -> np.ndarray:
    return np.concatenate([b.conn for b in mesh.blocks if b.kind == "hex8"])


def test_every_element_has_its_elasticity(tmp_path: Path) -> None:
    model, cases, _ = everything()
    deck = read_inp(write_abaqus(tmp_path / "m.inp", model, cases))
    of_element = {e: deck.elastic[m] for name, m in deck.sections.items() for e in deck.sets[f"ELSET {name}"]}
    assert sorted(of_element) == list(range(1, 147))
    assert of_element[1] == pytest.approx([300.0 * np.linspace(0.2, 0.9, 8).mean(), 0.25])
    assert of_element[100] == pytest.approx([300.0, 0.25])
    cap = int(model.mesh.cells["cap"][0])
    C = elasticity_tensor(materials.elasticity("fibre_reinforced", model.materials[1].parameters, model.fibres[[cap]]))[
        0
    ]
    order = "1111 1122 2222 1133 2233 3333 1112 2212 3312 1212 1113 2213 3313 1213 1313 1123 2223 3323 1223 1323 2323"
    assert of_element[cap + 1] == pytest.approx([C[tuple(int(i) - 1 for i in ijkl)] for ijkl in order.split()])


def test_the_solution_satisfies_the_equations_of_the_deck(tmp_path: Path, solved: tuple[System, Solution]) -> None:
    system, solution = solved
    model, cases, _ = everything()
    deck = read_inp(write_abaqus(tmp_path / "m.inp", model, cases))
    assert sorted(deck.elements["SPRING1"].values()) == [[n] for n in sorted(deck.sets["LINKS"])]
    for case in solution.cases:
        u = solution.blocks(case)
        assert stored_energy(deck.equations, u) == pytest.approx(spring_energy(system, u), rel=1e-9)


def stored_energy(equations: list[list[tuple[int, int, float]]], u: np.ndarray) -> float:
    """Energy of unit springs on the scalar nodes, after a check that the constraints hold for the blocks u."""
    energy = 0.0
    for (node, dof, minus), *terms in equations:
        value = sum(c * u[i - 1, d - 1] for i, d, c in terms)
        assert minus == -1.0
        if node <= len(u):
            assert value == pytest.approx(u[node - 1, dof - 1], rel=1e-9, abs=1e-12)
        else:
            energy += 0.5 * value**2
    return energy


def spring_energy(system: System, u: np.ndarray) -> float:
    """Energy of all links and beams."""
    group = system.beams[0]
    ends = u[beam_blocks(group, system.rotation_index, system.model.mesh.n_points)]
    beams = 0.5 * np.einsum("bxi,bxyij,byj->", ends, beam_stiffness(system.model.mesh.points, group), ends)
    return float(beams + 0.5 * u.ravel() @ system.link_stiffness @ u.ravel())


def test_faces_are_those_of_the_manual() -> None:
    corners = {"hex8": 8, "hex20": 8, "tet4": 4, "tet10": 4, "wedge6": 6}
    for kind, n in corners.items():
        faces = FACES[kind.rstrip("0123456789")]
        ours = {frozenset(i for i in facet if i < n) for facet in FACETS[kind]}
        assert ours == {frozenset(face) for face in faces}


def test_names_of_element_types_follow_the_code(tmp_path: Path) -> None:
    model, cases, _ = everything("bbar")
    assert "C3D8" in read_inp(write_abaqus(tmp_path / "a.inp", model, cases)).elements
    assert "C3D8I" in read_inp(write_abaqus(tmp_path / "b.inp", model, cases, code="calculix")).elements
    with pytest.raises(UsageError, match="nastran"):
        write_abaqus(tmp_path / "c.inp", model, cases, code="nastran")


# --- FEBio ---


@pytest.fixture(scope="module")
def feb(tmp_path_factory: pytest.TempPathFactory) -> ET.Element:
    model, cases, _ = everything("incompatible")
    path = write_febio(tmp_path_factory.mktemp("feb") / "m.feb", model, cases)
    return ET.parse(path).getroot()


def test_febio_refers_only_to_what_it_defines(feb: ET.Element) -> None:
    nodes = {int(n.get("id")) for n in feb.iter("node") if n.get("id")}
    used = [n for e in feb.iter("elem") for n in e.text.split(",")]
    used += [n for e in feb.iter("delem") for n in e.text.split(",")]
    used += [n for s in feb.iter("NodeSet") for n in s.text.split(",")]
    assert {int(n) for n in used} <= nodes
    defined = {
        tag: [e.get("name") for e in feb.iter(tag)] for tag in ("NodeSet", "ElementSet", "DiscreteSet", "Elements")
    }
    for names in defined.values():
        assert len(set(names)) == len(names)
    assert {e.get("node_set") for e in feb.iter() if e.get("node_set")} <= set(defined["NodeSet"])
    assert {e.get("elem_set") for e in feb.iter() if e.get("elem_set")} <= set(defined["ElementSet"])
    assert {e.get("discrete_set") for e in feb.iter("discrete")} == set(defined["DiscreteSet"])
    parts = {m.get("name") for m in feb.iter("material")}
    assert parts == {d.get("mat") for d in feb.iter("SolidDomain")} == set(defined["Elements"])
    assert {e.get("lc") for e in feb.iter() if e.get("lc")} == {c.get("id") for c in feb.iter("load_controller")}


def test_febio_maps_cover_their_elements(feb: ET.Element) -> None:
    sizes = {s.get("name"): len(s.text.split(",")) for s in feb.iter("ElementSet")}
    maps = list(feb.iter("ElementData"))
    assert {m.get("type") or "scalar" for m in maps} == {"scalar", "mat_axis"}
    for data in maps:
        assert [int(e.get("lid")) for e in data] == list(range(1, sizes[data.get("elem_set")] + 1))
    E = [float(e.text) for m in maps if (m.get("name") or "").startswith("E_") for e in m]
    assert min(E) == pytest.approx(300 * 0.55) and max(E) == pytest.approx(300)


def test_the_solution_satisfies_the_constraints_of_febio(feb: ET.Element, solved: tuple[System, Solution]) -> None:
    system, solution = solved
    u = solution.blocks("turn")
    ligament = system.links[0].energy(u.ravel())  # discrete springs in FEBio
    expected = spring_energy(system, u) - ligament
    assert 0.0 < ligament < expected
    assert stored_energy(feb_constraints(feb), u) == pytest.approx(expected, rel=1e-9)


def test_two_equal_fibre_families_are_orthotropic() -> None:
    rng = np.random.default_rng(3)
    fibres = rng.normal(size=(4, 2, 3))
    fibres /= np.linalg.norm(fibres, axis=2, keepdims=True)
    fibres[1, 1] = 0.0
    fibres[2, 1] = fibres[2, 0]
    numbers = {"E_MPa": 4.0, "nu": 0.4, "fibre_MPa": 90.0}
    D = materials.elasticity("fibre_reinforced", numbers, fibres)
    axes = material_axes(fibres)
    constants = orthotropic_constants(D, axes, "annulus")
    for i in range(4):
        names = ("E1_MPa", "E2_MPa", "E3_MPa", "G12_MPa", "G23_MPa", "G31_MPa", "nu12", "nu23", "nu31")
        local = materials.elasticity("orthotropic", dict(zip(names, constants[i], strict=True)))
        C = np.einsum("ai,bj,ck,dl,abcd->ijkl", *[axes[i]] * 4, elasticity_tensor(local)[0])
        assert np.allclose(C, elasticity_tensor(D)[i], atol=1e-9)
    with pytest.raises(UsageError, match="annulus"):
        orthotropic_constants(D[:1], axes[2:3], "annulus")


# --- VTU and command line ---


def test_vtu_shows_regions_loads_and_ligaments(tmp_path: Path) -> None:
    model, cases, reference = everything()
    grid = pv.read(write_model_vtu(tmp_path / "m.vtu", model, cases))
    assert grid.n_cells == model.mesh.n_cells + 2
    assert np.allclose(grid.point_data["moment_turn"][reference], [300, 500, 200])
    assert set(np.flatnonzero(grid.point_data["held"] == 7)) == set(model.mesh.nodes["low.zmin"])
    assert (tmp_path / "m.names.json").read_text().count("ligament") == 1


@pytest.mark.parametrize(("target", "suffix"), [("vtu", "vtu"), ("calculix", "inp"), ("febio", "feb")])
def test_command(tmp_path: Path, target: str, suffix: str) -> None:
    out = tmp_path / "deep" / f"m.{suffix}"
    options = [o for s in COARSE for o in ("--set", s)]
    assert run_command(["export", str(SCENARIO), "--to", target, "--arm", "intact", "--out", str(out), *options]) == 0
    assert out.stat().st_size > 1e5


def test_command_names_the_arms(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", str(SCENARIO), "--to", "vtu", "--arm", "nothing"]) == 2
    assert "posterior_prosthesis" in capsys.readouterr().err
    with pytest.raises(UsageError, match="enhanced"):
        with_formulation(everything()[0], "enhanced")
