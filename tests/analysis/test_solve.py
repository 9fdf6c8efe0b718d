"""A column of hexahedra under reference-point loads: closed forms, and checks that can fail."""

from dataclasses import replace

import numpy as np
import pytest

from spinefix.analysis.checks import energy, equilibrium, opposite, reciprocity, reflection
from spinefix.analysis.solve import solve
from spinefix.errors import CheckError
from spinefix.mesh.core import Mesh, merge
from spinefix.mesh.generate import box
from spinefix.model.core import Coupling, LoadCase, Material, Model, Support

E, NU, L, A = 1000.0, 0.0, 60.0, 100.0


def column(extra: Mesh | None = None, y0: float = 0.0) -> tuple[Model, int]:
    bar = box((10, 10, L), (6, 6, 18), origin=(0.0, y0, 0.0))
    top = np.flatnonzero(np.isclose(bar.points[:, 2], L))
    bottom = np.flatnonzero(np.isclose(bar.points[:, 2], 0))
    reference = Mesh(np.array([[5.0, 5.0 + y0, L]]), ())
    mesh, offset, _ = merge([bar, *([extra] if extra else []), reference])
    n = mesh.n_cells
    model = Model(
        mesh=mesh,
        materials=(Material("m", "isotropic", {"E_MPa": E, "nu": NU}),),
        material_id=np.zeros(n, np.int32),
        scale=np.ones((n, 8)),
        fibres=np.zeros((n, 2, 3)),
        sections=(),
        section_id=np.full(n, -1, np.int32),
        orientation=np.zeros((n, 3)),
        couplings=(Coupling("load", offset[-1], top.astype(np.int32)),),
        supports=(Support("held", bottom.astype(np.int32)),),
    )
    return model, offset[-1]


def moment(name: str, node: int, *m: float) -> LoadCase:
    return LoadCase(name, moments={node: np.array(m, float)})


def test_compression_and_bending_of_a_column() -> None:
    model, ref = column()
    cases = [
        LoadCase("compression", forces={ref: np.array([0.0, 0.0, -50.0])}),
        moment("flexion", ref, 0, 1000, 0),
        moment("extension", ref, 0, -1000, 0),
        moment("axial_left", ref, 0, 0, 1000),
    ]
    _, solution = solve(model, cases)
    assert solution.displacement("compression")[ref, 2] == pytest.approx(-50 * L / (E * A), rel=1e-6)
    inertia = 10.0**4 / 12
    assert solution.rotation("flexion", ref)[1] == pytest.approx(1000 * L / (E * inertia), rel=2e-3)
    # St Venant torsion of a square bar, J = 0.1406 a^4 (Roark's formulas); its ends may not warp, hence stiffer.
    twist = 1000 * L / (E / 2 * 0.1406 * 10.0**4)
    assert 0.93 * twist < solution.rotation("axial_left", ref)[2] < 1.0 * twist
    assert all(c.passed for c in solution.checks)
    assert np.allclose(solution.reactions[1].sum(axis=0), 0, atol=1e-6)


def test_a_part_that_nothing_holds_is_refused_by_name() -> None:
    loose = box((10, 10, 10), (1, 1, 1), origin=(50, 50, 0), name="L9.body")
    model, ref = column(loose)
    with pytest.raises(CheckError, match="L9.body"):
        solve(model, [moment("flexion", ref, 0, 1, 0)])


def test_checks_notice_a_wrong_answer() -> None:
    model, ref = column()
    cases = [moment("flexion", ref, 0, 1000, 0), moment("extension", ref, 0, -1000, 0)]
    system, solution = solve(model, cases)
    u, loads = solution.u, solution.loads
    internal = (system.stiffness @ u.reshape(2, -1).T).T.reshape(u.shape)
    assert all(c.passed for c in equilibrium(system, u, loads, solution.reactions))
    assert not all(c.passed for c in equilibrium(system, u, loads, 1.01 * solution.reactions))
    assert energy(u, loads, internal).passed
    assert not energy(1.01 * u, loads, 1.01 * internal).passed
    assert opposite(cases, u)[0].passed
    twisted = u.copy()
    twisted[1] *= 1.001
    assert not opposite(cases, twisted)[0].passed
    turned = u.copy()
    turned[1] = 0.5 * u[0]
    assert not reciprocity(turned, loads + 0.1 * np.roll(loads, 1, axis=2)).passed


def test_symmetric_model_is_recognized_and_a_skew_answer_is_not_believed() -> None:
    model, ref = column(y0=-5.0)
    cases = [moment("flexion", ref, 0, 1000, 0), moment("axial_left", ref, 0, 0, 1000)]
    system, solution = solve(model, cases)
    assert "left_right_symmetry" in [c.name for c in solution.checks]
    skew = solution.u.copy()
    skew[0, 17, 1] += 1e-4 * np.abs(skew[0]).max()
    assert not reflection(system, skew, solution.loads)[0].passed
    weak = np.ones_like(model.scale)
    weak[: len(weak) // 20] = 0.5  # the first rows of elements lie on one side
    lopsided = replace(model, scale=weak)
    _, other = solve(lopsided, cases)
    assert "left_right_symmetry" not in [c.name for c in other.checks]
