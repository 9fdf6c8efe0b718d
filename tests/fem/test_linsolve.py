"""Direct solvers: agreement, reuse, refusal."""

import numpy as np
import pytest
import scipy.sparse as sp

from spinefix.errors import UsageError
from spinefix.fem import linsolve


def laplacian(n=12, shift=0.0):
    """Positive definite, 3D grid, with uneven coefficients."""
    rng = np.random.default_rng(5)
    line = sp.diags_array([-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    eye = sp.eye_array(n)
    K = sp.kron(sp.kron(line, eye), eye) + sp.kron(sp.kron(eye, line), eye) + sp.kron(sp.kron(eye, eye), line)
    d = sp.diags_array(10.0 ** rng.uniform(-2, 2, n**3))
    return sp.csr_array(d @ (K + shift * sp.eye_array(n**3)) @ d)


@pytest.mark.parametrize("solver", linsolve.available())
def test_backends_agree_with_the_truth(solver):
    K = laplacian()
    exact = np.random.default_rng(6).normal(size=(K.shape[0], 3))
    with linsolve.factorize(K, solver) as factor:
        x = factor.solve(K @ exact)
        assert np.abs(x - exact).max() < 1e-8 * np.abs(exact).max()
        one = factor.solve((K @ exact)[:, 1])
        np.testing.assert_allclose(one, x[:, 1], rtol=1e-8, atol=1e-10)
        assert factor.report.residual < 1e-12
        assert factor.report.n == K.shape[0]
        assert factor.report.as_dict()["method"].startswith(solver)
        factor.refactorize(sp.csr_array(2.0 * K))
        np.testing.assert_allclose(factor.solve(K @ exact), exact / 2, rtol=1e-7, atol=1e-9)
        with pytest.raises(ValueError, match="same pattern"):
            factor.refactorize(sp.csr_array(K + sp.eye_array(K.shape[0], k=5) + sp.eye_array(K.shape[0], k=-5)))
        assert not factor.solve(np.zeros(K.shape[0])).any()
    with pytest.raises(ValueError, match="released"):
        factor.solve(exact)


@pytest.mark.parametrize("solver", linsolve.available())
def test_indefinite_and_singular_matrices_are_refused(solver):
    with pytest.raises(linsolve.NotPositiveDefinite):
        linsolve.factorize(laplacian(shift=-2.0), solver)
    n = 30
    diagonal = np.full(n, 2.0)
    diagonal[[0, -1]] = 1.0
    floating = sp.diags_array([-np.ones(n - 1), diagonal, -np.ones(n - 1)], offsets=[-1, 0, 1])
    held = laplacian(4)
    both = sp.csr_array(sp.block_diag([held, floating]))
    with pytest.raises(linsolve.NotPositiveDefinite) as caught:
        linsolve.factorize(both, solver)
    assert caught.value.row == -1 or caught.value.row >= held.shape[0]


@pytest.mark.parametrize("solver", linsolve.available())
def test_a_wrong_factor_is_never_trusted(solver):
    """If the factorization belonged to another matrix, refinement would stall, and the answer must be refused."""
    K = laplacian(6)
    with linsolve.factorize(K, solver) as factor:
        factor._K = sp.csr_array(K * 3.0)
        factor.solve(np.zeros(K.shape[0]))
        with pytest.raises(linsolve.InaccurateSolution):
            factor.solve(np.ones(K.shape[0]))


def test_fall_back_to_indefinite_is_asked_for_and_reported():
    if "pardiso" not in linsolve.available():
        pytest.skip("PARDISO is not installed")
    K = laplacian(shift=-2.0)
    exact = np.random.default_rng(7).normal(size=K.shape[0])
    with linsolve.factorize(K, "pardiso", allow_indefinite=True) as factor:
        np.testing.assert_allclose(factor.solve(K @ exact), exact, rtol=1e-6, atol=1e-8)
        assert "fell back" in factor.report.note
        assert "-2" in factor.report.method


def test_positive_definite_call_is_the_cheap_one():
    """Factor entries of the triangle, about half of what an unsymmetric factorization holds."""
    if "pardiso" not in linsolve.available():
        pytest.skip("PARDISO is not installed")
    from pypardiso import PyPardisoSolver

    K = laplacian(16)
    general = PyPardisoSolver(mtype=11)
    general.set_iparm(1, 1)
    general.set_iparm(2, 2)
    general.set_iparm(18, -1)
    general.factorize(sp.csr_matrix(K))
    with linsolve.factorize(K, "pardiso") as factor:
        assert 0 < factor.report.nnz_factor < 0.65 * general.get_iparm(18)
    general.free_memory(everything=True)


def test_unusable_requests():
    with pytest.raises(UsageError, match="not available"):
        linsolve.factorize(laplacian(3), "mumps")
    K = laplacian(3)
    K.data[0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        linsolve.factorize(K)
    with pytest.raises(linsolve.NotPositiveDefinite, match="unknown 1"):
        linsolve.factorize(sp.csr_array((np.ones(2), ([0, 2], [0, 2])), shape=(3, 3)))


def test_worth_of_a_factorization_is_a_count():
    if "pardiso" not in linsolve.available():
        pytest.skip("counts need PARDISO")
    cube = laplacian()
    with linsolve.factorize(cube, "pardiso") as first, linsolve.factorize(cube, "pardiso") as again:
        assert first.worth == again.worth > 0.5
        assert first.worth == first.report.flops / (linsolve.FLOPS_PER_ENTRY * first.report.nnz_factor)
    with linsolve.factorize(cube, "superlu") as other:
        assert other.worth == linsolve.USUAL_WORTH
