"""Direct solution of symmetric sparse systems: factorize once, solve for many right-hand sides, check every answer.

Three backends with one interface, the first available by default: MKL PARDISO through pypardiso (called as symmetric
positive definite on the upper triangle, which is more than twice as fast and half as large as its default), CHOLMOD
through scikit-sparse 0.4, and SuperLU of SciPy, which needs nothing extra and is meant for small models.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinefix.errors import ConvergenceError, UsageError

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

RESIDUAL_LIMIT = 1e-8
"""Greatest relative residual |b - K x| / |b| of an answer that is returned."""

ENERGY_LIMIT = 1e-7
"""Greatest last correction in the energy norm, relative to the solution: the stored energy is then known to 1e-14. In
long thin bodies round-off alone makes it some 1e-8."""

MAX_REFINEMENTS = 4
"""Steps of iterative refinement before an answer is refused; a rigid block beside a soft joint needs two."""


FLOPS_PER_ENTRY = 30.0
"""Operations of a factorization in the time that a solution takes for one entry of the factor. Measured with PARDISO on
one core: 29 to 32 for cubes, columns and L1-L5 spines of 25 to 106 thousand unknowns (docs/explanation/performance.md).
"""

USUAL_WORTH = 40.0
"""Solutions in the time of a factorization, where the backend does not count its operations."""

CHUNK = 192
"""Right-hand sides that are solved for at a time where there are thousands; bounds the memory."""

CONDITION_LIMIT = 1e12
"""Greatest estimated condition number after scaling to a unit diagonal: four digits are left there. A part that nothing
holds gives more than 1e14, limited by round-off only."""


_limit = threading.local()


def current_limit() -> int:
    """Return the limit of `thread_limit` in this Python thread; very large without one."""
    return int(getattr(_limit, "threads", 1 << 16))


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Let factorizations that this Python thread starts use at most `threads` threads each (PARDISO)."""
    before = getattr(_limit, "threads", None)
    _limit.threads = threads
    try:
        yield
    finally:
        if before is None:
            del _limit.threads
        else:
            _limit.threads = before


class NotPositiveDefinite(ConvergenceError):
    """The matrix is singular or indefinite: a part that nothing holds, or a wrong sign.

    Attributes
    ----------
    row : int
        Row where the factorization broke down, -1 if the backend does not tell. With a mechanism it lies in the part
        that moves.
    """

    def __init__(self, message: str, row: int = -1) -> None:
        super().__init__(message)
        self.row = row


class InaccurateSolution(ConvergenceError):
    """The residual stays above `RESIDUAL_LIMIT` after refinement."""


@dataclass(frozen=True)
class SolverReport:
    """What was done, for the manifest.

    Attributes
    ----------
    method : str
        Backend and kind of factorization.
    n, nnz : int
        Unknowns and stored entries of the full matrix.
    nnz_factor : int
        Entries of the factor; 0 if the backend does not tell.
    flops : float
        Operations of the factorization; 0 if the backend does not tell.
    seconds_analyse, seconds_factorize, seconds_solve : float
        Wall time of the last phase of each kind.
    condition : float
        Estimate from below of the condition number of the matrix scaled to a unit diagonal.
    residual : float
        Greatest relative residual of the last solve.
    refinements : int
        Steps of iterative refinement in the last solve.
    threads : int
    note : str
        Anything a reader should know, such as a fall-back.
    """

    method: str
    n: int
    nnz: int
    nnz_factor: int = 0
    flops: float = 0.0
    seconds_analyse: float = 0.0
    seconds_factorize: float = 0.0
    seconds_solve: float = 0.0
    condition: float = 0.0
    residual: float = 0.0
    refinements: int = 0
    threads: int = 1
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)


class _Backend(ABC):
    """A factorization in some library."""

    method: str
    threads: int = 1
    nnz_factor: int = 0
    flops: float = 0.0
    note: str = ""

    @abstractmethod
    def analyse(self, K: sp.csr_array) -> None:
        """Order the unknowns; depends on the pattern only."""

    @abstractmethod
    def factorize(self, K: sp.csr_array) -> None:
        """Compute the factor of a matrix with the analysed pattern."""

    @abstractmethod
    def solve(self, b: F64) -> F64:
        """Solve for right-hand sides (n, k)."""

    def schur(self, K: sp.csr_array, n_inside: int) -> F64:
        """Return the Schur complement on the unknowns behind the first `n_inside`; spoils the factorization."""
        inside, kept = slice(0, n_inside), slice(n_inside, None)
        coupling = sp.csr_array(K[inside, kept])
        back = sp.csr_array(coupling.T)
        S = K[kept, kept].toarray()
        self.analyse(sp.csr_array(K[inside, inside]))
        self.factorize(sp.csr_array(K[inside, inside]))
        for first in range(0, coupling.shape[1], CHUNK):
            part = slice(first, min(first + CHUNK, coupling.shape[1]))
            S[:, part] -= back @ self.solve(coupling[:, part].toarray())
        return np.asarray(0.5 * (S + S.T))

    def release(self) -> None:
        """Free what the library holds outside Python."""
        return


class _Pardiso(_Backend):
    """MKL PARDISO; matrix type 2 (positive definite) or -2 (indefinite), upper triangle, indices from 0."""

    def __init__(self, mtype: int = 2, *, rough: bool = False) -> None:
        self._number: type[np.floating[Any]] = np.float32 if rough else np.float64
        self._mkl = _load_mkl()
        self._call_mkl = self._mkl.pardiso
        self._call_mkl.argtypes = None
        self._call_mkl.restype = None
        self.threads = min(int(self._mkl.MKL_Get_Max_Threads()), current_limit())
        self.mtype = mtype
        self.method = f"pardiso mtype {mtype}"
        self._handle = np.zeros(64, np.int64)
        self._iparm = np.zeros(64, np.int32)
        self._iparm[[0, 34]] = 1  # own settings; indices from 0
        self._iparm[1] = 0 if rough else 2  # minimum degree, or nested dissection (METIS)
        self._iparm[27] = int(rough)  # single precision
        self._iparm[9] = 8  # mtype -2 replaces pivots below 10^-8
        self._iparm[[17, 18]] = -1  # report the size of the factor and the operations it takes
        self._iparm[20] = 1  # 1 x 1 and 2 x 2 pivots for -2
        self._empty: NDArray[Any] = np.zeros(1)
        self._perm: I32 | None = None
        # Also frees a factorization that was dropped without `release`, and runs before the interpreter goes down.
        self._free = weakref.finalize(self, _release_pardiso, self._call_mkl, self._handle, self._iparm, mtype)

    def analyse(self, K: sp.csr_array) -> None:
        self._upper = _UpperTriangle(K)
        self._data = self._upper.data(K, self._number)
        self._phase(11)
        self.nnz_factor = int(self._iparm[17])

    def factorize(self, K: sp.csr_array) -> None:
        self._data = self._upper.data(K, self._number)
        self._phase(22)
        self.flops = 1e6 * max(int(self._iparm[18]), 0)
        if self.mtype == -2 and self._iparm[13] > 0:
            raise NotPositiveDefinite(f"the matrix is singular: {self._iparm[13]} pivots had to be replaced")

    def solve(self, b: F64) -> F64:
        columns = np.asfortranarray(b, self._number)
        x = np.empty_like(columns, order="F")
        self._phase(33, columns, x)
        return np.asarray(x, np.float64)

    def schur(self, K: sp.csr_array, n_inside: int) -> F64:
        """Stop the factorization before the last unknowns (iparm 36 of the reference manual): a fifth of the time."""
        n = K.shape[0]
        S = np.zeros((n - n_inside, n - n_inside))
        self._iparm[35] = 1
        self._perm = (np.arange(n) >= n_inside).astype(np.int32)
        self.analyse(K)
        self._phase(22, x=S)
        return S

    def release(self) -> None:
        self._free()

    def _phase(self, phase: int, b: NDArray[Any] | None = None, x: NDArray[Any] | None = None) -> None:
        u = self._upper
        b, x = self._empty if b is None else b, self._empty if x is None else x
        matrix = (u.n, self._data, u.indptr, u.indices)
        self._mkl.MKL_Set_Num_Threads_Local(ctypes.c_int(self.threads))
        try:
            error = _call_pardiso(
                self._call_mkl, self._handle, self._iparm, self.mtype, phase, matrix, b, x, self._perm
            )
        finally:
            self._mkl.MKL_Set_Num_Threads_Local(ctypes.c_int(0))
        if error == -4:
            row = int(self._iparm[29]) - 1
            raise NotPositiveDefinite(f"the matrix is not positive definite (breakdown at unknown {row} of {u.n})", row)
        if error == -2:
            raise MemoryError(f"not enough memory to factorize {u.n} unknowns")
        if error != 0:
            raise ConvergenceError(f"PARDISO failed in phase {phase} with error {error}")


@functools.cache
def _load_mkl() -> Any:
    """Return MKL as a ctypes library.

    The packages of MKL put it beside the other libraries of the interpreter. Elsewhere pypardiso finds it, which takes
    half a second or more (it walks through all files of the environment); its own calls, which copy and compare the
    matrix at each use, are not used.
    """
    for pattern in ("lib/libmkl_rt.so*", "lib/libmkl_rt*.dylib", "Library/bin/mkl_rt*.dll"):
        for path in sorted(Path(sys.prefix).glob(pattern), reverse=True):
            try:
                return ctypes.CDLL(str(path))
            except OSError:
                continue
    from pypardiso import PyPardisoSolver

    return PyPardisoSolver(mtype=2).libmkl


def _call_pardiso(
    call: Any,
    handle: I64,
    iparm: I32,
    mtype: int,
    phase: int,
    matrix: tuple[int, NDArray[Any], I32, I32],
    b: NDArray[Any],
    x: NDArray[Any],
    perm: I32 | None = None,
) -> int:
    """Call ``pardiso`` of MKL (arguments as in its reference manual) and return its error code."""

    def integer(value: int) -> Any:
        return ctypes.byref(ctypes.c_int32(value))

    def pointer(a: NDArray[Any]) -> ctypes.c_void_p:
        return ctypes.c_void_p(a.ctypes.data)

    n, data, indptr, indices = matrix
    columns = b.shape[1] if b.ndim == 2 and phase == 33 else 1
    error = ctypes.c_int32(0)
    call(
        pointer(handle), integer(1), integer(1), integer(mtype), integer(phase), integer(n),
        pointer(data), pointer(indptr), pointer(indices), None if perm is None else pointer(perm), integer(columns),
        pointer(iparm), integer(0), pointer(b), pointer(x), ctypes.byref(error),
    )  # fmt: skip
    return int(error.value)


def _release_pardiso(call: Any, handle: I64, iparm: I32, mtype: int) -> None:
    """Free the memory of a PARDISO handle (phase -1); an empty handle is left alone."""
    if handle.any():
        nothing, index = np.zeros(1), np.zeros(1, np.int32)
        _call_pardiso(call, handle, iparm, mtype, -1, (0, nothing, index, index), nothing, nothing)
        handle[:] = 0


class _UpperTriangle:
    """Upper triangle of a symmetric CSR pattern with sorted columns, and where its entries lie in the full data."""

    def __init__(self, K: sp.csr_array) -> None:
        self.n = K.shape[0]
        row = np.repeat(np.arange(self.n, dtype=np.int32), np.diff(K.indptr))
        self._where = np.flatnonzero(K.indices >= row)
        self.indices = np.ascontiguousarray(K.indices[self._where], np.int32)
        counts = np.bincount(row[self._where], minlength=self.n)
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        missing = counts == 0
        present = np.flatnonzero(~missing)
        missing[present] = self.indices[self.indptr[present]] != present  # columns are sorted: the diagonal comes first
        if missing.any():
            bad = int(np.argmax(missing))
            raise NotPositiveDefinite(f"unknown {bad} has no stiffness of its own (no diagonal entry)", bad)

    def data(self, K: sp.csr_array, number: type[np.floating[Any]]) -> NDArray[Any]:
        """Return the values of the upper triangle."""
        return np.ascontiguousarray(K.data[self._where], number)


class _Cholmod(_Backend):
    """CHOLMOD through scikit-sparse 0.4 (0.5 has another interface)."""

    method = "cholmod"

    def __init__(self) -> None:
        self._cholmod = importlib.import_module("sksparse.cholmod")

    def analyse(self, K: sp.csr_array) -> None:
        self._factor = self._cholmod.analyze(sp.csc_matrix(K))

    def factorize(self, K: sp.csr_array) -> None:
        try:
            self._factor.cholesky_inplace(sp.csc_matrix(K))
        except self._cholmod.CholmodNotPositiveDefiniteError as error:
            row = int(getattr(error, "column", -1))
            raise NotPositiveDefinite("the matrix is not positive definite", row) from error

    def solve(self, b: F64) -> F64:
        return np.asarray(self._factor(b))


class _SuperLU(_Backend):
    """SuperLU in symmetric mode: pivots stay on the diagonal, so their signs tell whether K is positive definite."""

    method = "superlu"
    note = "SciPy SuperLU: several times slower and larger than PARDISO (pip install pypardiso)"

    def analyse(self, K: sp.csr_array) -> None:
        return

    def factorize(self, K: sp.csr_array) -> None:
        from scipy.sparse.linalg import splu

        try:
            self._factor = splu(
                sp.csc_array(K),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise NotPositiveDefinite(f"the matrix is singular ({error})") from error
        pivots = self._factor.U.diagonal()
        self.nnz_factor = int(self._factor.nnz)
        if not (pivots > 0.0).all():
            column = int(np.argmin(pivots))
            row = int(np.flatnonzero(self._factor.perm_c == column)[0])
            raise NotPositiveDefinite(f"the matrix is not positive definite (pivot {pivots[column]:.3g})", row)

    def solve(self, b: F64) -> F64:
        return np.asarray(self._factor.solve(np.ascontiguousarray(b)))


def available() -> tuple[str, ...]:
    """Return the solvers that can be used here, best first."""
    pardiso = ("pardiso",) if importlib.util.find_spec("pypardiso") else ()
    try:
        cholmod = ("cholmod",) if importlib.metadata.version("scikit-sparse").startswith("0.4.") else ()
    except importlib.metadata.PackageNotFoundError:
        cholmod = ()
    return (*pardiso, *cholmod, "superlu")


INSTALL = {
    "pardiso": "pip install pypardiso (x86 only)",
    "cholmod": 'pip install "scikit-sparse<0.5", which needs SuiteSparse (Debian: libsuitesparse-dev)',
}
"""What to install for a solver that SciPy does not bring."""


def require(solver: str) -> None:
    """Check that a solver, or ``auto``, can be used here.

    Raises
    ------
    UsageError
        It cannot; says what to install.
    """
    _backend(solver).release()


def _backend(solver: str, *, rough: bool = False) -> _Backend:
    """Return a backend by name; for ``auto`` the first of `available` whose library can be loaded."""
    have = available()
    makers: dict[str, Callable[[], _Backend]] = {
        "pardiso": lambda: _Pardiso(rough=rough),
        "cholmod": _Cholmod,
        "superlu": _SuperLU,
    }
    if solver not in (*have, "auto"):
        cure = f"; {INSTALL[solver]}" if solver in INSTALL else ""
        raise UsageError(f"linear solver {solver!r} is not available here (there are: auto, {', '.join(have)}){cure}")
    for chosen in have[:-1] if solver == "auto" else [solver]:
        try:
            return makers[chosen]()
        except (ImportError, OSError) as error:  # the package is there, the library behind it is not
            if solver != "auto":
                raise UsageError(f"linear solver {chosen!r} cannot be loaded: {error}; {INSTALL[chosen]}") from error
    return makers[have[-1]]()


class Factor:
    """A factorized symmetric matrix.

    Use it as a context manager or call `release`, since some backends hold memory outside Python.
    """

    def __init__(self, K: sp.csr_array, backend: _Backend, *, allow_indefinite: bool, rough: bool) -> None:
        self.allow_indefinite, self._rough = allow_indefinite, rough
        self._backend = backend
        self._released = False
        self._K = _checked(K)
        began = time.perf_counter()
        self._backend.analyse(self._K)
        self._report = self._factorize(time.perf_counter() - began)

    @property
    def report(self) -> SolverReport:
        """What was done so far."""
        return self._report

    def solve(self, b: F64) -> F64:
        """Solve K x = b.

        Parameters
        ----------
        b : (n,) or (n, k) float64

        Returns
        -------
        float64, shape of b

        Raises
        ------
        InaccurateSolution
            After `MAX_REFINEMENTS` steps the residual is still above `RESIDUAL_LIMIT`, and the last correction above
            `ENERGY_LIMIT` in the energy norm; nothing is returned. (Where stiff parts move far as rigid bodies,
            round-off of K x alone may exceed the limit; the correction, the error to first order, then decides.)
        """
        if self._released:
            raise ValueError("this factorization was released")
        began = time.perf_counter()
        columns = np.asarray(b, np.float64).reshape(len(b), -1)
        x = self._backend.solve(columns)
        rest, residual = self._residual(columns, x)
        error, refinements = residual, 0
        while refinements < MAX_REFINEMENTS and not error <= RESIDUAL_LIMIT and np.isfinite(rest).all():
            refinements += 1
            correction = self._backend.solve(rest)
            in_energy = _energy_ratio(correction, rest, x, columns)
            x = x + correction
            rest, residual = self._residual(columns, x)
            error = min(residual, in_energy * RESIDUAL_LIMIT / ENERGY_LIMIT)
        seconds = time.perf_counter() - began
        self._report = replace(self._report, residual=residual, refinements=refinements, seconds_solve=seconds)
        if not error <= RESIDUAL_LIMIT:
            raise InaccurateSolution(
                f"{self._report.method}: relative residual {residual:.3g} exceeds {RESIDUAL_LIMIT:g}; "
                "the matrix is close to singular"
            )
        return np.ascontiguousarray(x).reshape(np.shape(b))

    def apply(self, b: F64) -> F64:
        """Return the factor's answer to K x = b as it is, neither checked nor refined: for preconditioners."""
        if self._released:
            raise ValueError("this factorization was released")
        columns = np.asarray(b, np.float64).reshape(len(b), -1)
        return np.ascontiguousarray(self._backend.solve(columns)).reshape(np.shape(b))

    def refactorize(self, K: sp.csr_array) -> None:
        """Factorize another matrix with the same pattern, keeping the analysis.

        Raises
        ------
        ValueError
            The pattern differs.
        NotPositiveDefinite
            Breakdown.
        """
        K = _checked(K)
        same = K.shape == self._K.shape and np.array_equal(K.indptr, self._K.indptr)
        if not (same and np.array_equal(K.indices, self._K.indices)):
            raise ValueError("refactorize needs a matrix with the same pattern")
        self._K = K
        self._report = self._factorize(self._report.seconds_analyse)

    @property
    def worth(self) -> float:
        """Solutions that take as long as a factorization, by counts of operations: the same on any machine."""
        r = self._report
        return r.flops / (FLOPS_PER_ENTRY * r.nnz_factor) if r.flops and r.nnz_factor else USUAL_WORTH

    def release(self) -> None:
        """Free the factorization."""
        self._backend.release()
        self._released = True

    def __enter__(self) -> Factor:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _factorize(self, seconds_analyse: float) -> SolverReport:
        K, back = self._K, self._backend
        began = time.perf_counter()
        note = back.note
        try:
            back.factorize(K)
        except NotPositiveDefinite as error:
            if not (self.allow_indefinite and isinstance(back, _Pardiso) and back.mtype == 2):
                raise
            back.release()
            back = self._backend = _Pardiso(-2)
            back.analyse(K)
            back.factorize(K)
            note = f"fell back from a positive definite factorization: {error}"
        seconds = time.perf_counter() - began
        condition = 0.0 if self._rough else self._require_regular()
        return SolverReport(
            method=back.method,
            n=K.shape[0],
            nnz=int(K.nnz),
            nnz_factor=back.nnz_factor,
            flops=back.flops,
            seconds_analyse=seconds_analyse,
            seconds_factorize=seconds,
            condition=condition,
            threads=back.threads,
            note=note,
        )

    def _require_regular(self) -> float:
        """Refuse a matrix that is singular but for round-off, which a factorization may well get through.

        With A = S K S of unit diagonal, the norm of A^-1 r for random signs r is about the inverse of the least
        eigenvalue; two vectors, lest one misses that mode. Costs a few percent of the factorization.
        """
        K = self._K
        scaling = np.sqrt(np.abs(K.diagonal()))[:, None]
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (K.shape[0], 2))
        x = scaling * self._backend.solve(scaling * signs)
        norms = np.linalg.norm(x, axis=0)
        condition = float(norms.max(initial=0.0))
        if not condition < CONDITION_LIMIT:
            row = int(np.argmax(np.abs(x[:, np.argmax(norms)]))) if np.isfinite(x).all() else -1
            raise NotPositiveDefinite(
                f"the matrix is singular to working precision (scaled condition number above {condition:.1g}): "
                f"something around unknown {row} of {K.shape[0]} can move freely",
                row,
            )
        return condition

    def _residual(self, b: F64, x: F64) -> tuple[F64, float]:
        rest = b - self._K @ x
        size = np.linalg.norm(b, axis=0)
        error = np.linalg.norm(rest, axis=0)
        relative = np.divide(error, size, out=np.where(error == 0.0, 0.0, np.inf), where=size > 0.0)
        return rest, float(relative.max(initial=0.0))


def _energy_ratio(correction: F64, rest: F64, x: F64, b: F64) -> float:
    """Greatest energy norm of a correction K^-1 r relative to that of the solution."""
    squares = np.einsum("ij,ij->j", correction, rest) / np.einsum("ij,ij->j", x, b)
    return float(np.sqrt(np.abs(squares)).max(initial=0.0)) if np.isfinite(squares).all() else np.inf


def _checked(K: sp.csr_array) -> sp.csr_array:
    """CSR with sorted, summed columns and finite values."""
    K = sp.csr_array(K)
    if K.shape[0] != K.shape[1]:
        raise ValueError(f"the matrix must be square, got {K.shape}")
    if not np.isfinite(K.data).all():
        raise ValueError("the matrix holds NaN or infinity")
    if not K.has_canonical_format:
        K = K.copy()
        K.sum_duplicates()
    return K


def schur_complement(K: sp.csr_array, n_inside: int, solver: str = "auto") -> F64:
    """Return what is left of a symmetric matrix when its first `n_inside` unknowns are eliminated.

    Parameters
    ----------
    K : sparse (n, n), both triangles stored, every diagonal entry present
    n_inside : int
        The block of these unknowns must be positive definite.
    solver : str
        See `factorize`.

    Returns
    -------
    (n - n_inside, n - n_inside) float64, symmetric

    Raises
    ------
    UsageError
        The solver is unknown or not installed.
    NotPositiveDefinite
        The block to be eliminated is singular or indefinite.
    """
    backend = _backend(solver)
    try:
        return backend.schur(_checked(K), n_inside)
    finally:
        backend.release()


def factorize(K: sp.csr_array, solver: str = "auto", *, allow_indefinite: bool = False, rough: bool = False) -> Factor:
    """Factorize a symmetric matrix.

    Parameters
    ----------
    K : sparse (n, n), both triangles stored, every diagonal entry present
    solver : str
        ``auto`` (first of `available`), ``pardiso``, ``cholmod`` or ``superlu``.
    allow_indefinite : bool
        Let PARDISO fall back to a symmetric indefinite factorization when K is not positive definite; the report says
        so.
    rough : bool
        For preconditioners of matrices that are dense in parts: single precision and a quick ordering where the solver
        has them (half the time and memory), and no look at the condition of the matrix.

    Returns
    -------
    Factor

    Raises
    ------
    UsageError
        The solver is unknown or not installed.
    NotPositiveDefinite
        K is singular or indefinite; the error names the unknown where it broke down.
    """
    return Factor(K, _backend(solver, rough=rough), allow_indefinite=allow_indefinite, rough=rough)
