"""What a rung is, the register of rungs, and how they are run."""

from __future__ import annotations

import difflib
import importlib
import math
import pkgutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import SpinefixError, UsageError

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One quantity of a problem, compared.

    Parameters
    ----------
    quantity : str
        With the element or law that it was found with.
    reference, ours : float
        In the units of the problem (N, mm, MPa, rad).
    tolerance : float
        Greatest `error` that passes.
    scale : float, optional
        What the difference is divided by; |reference| by default, 1 where that is zero.
    order : float or None
        Observed order of convergence.
    """

    quantity: str
    reference: float
    ours: float
    tolerance: float
    scale: float | None = None
    order: float | None = None

    @property
    def error(self) -> float:
        """Difference over scale; NaN never passes."""
        scale = abs(self.reference) if self.scale is None else self.scale
        return abs(self.ours - self.reference) / (scale or 1.0)

    @property
    def passed(self) -> bool:
        """Whether the error keeps to its tolerance."""
        return bool(self.error <= self.tolerance)


def largest(quantity: str, differences: F64, tolerance: float, scale: float = 1.0) -> Row:
    """Return the row of a quantity that should vanish: the largest of `differences` over `scale`."""
    return Row(quantity, 0.0, float(np.abs(differences).max()) / scale, tolerance)


def convergence(quantity: str, expected: float, errors: Sequence[float], tolerance: float, ratio: float = 2.0) -> Row:
    """Return the row of an order of convergence between the last two meshes; a higher one than expected passes too.

    Parameters
    ----------
    errors : two or more floats
        From coarse to fine.
    ratio : float
        Of the mesh sizes.
    """
    order = math.log(errors[-2] / errors[-1]) / math.log(ratio)
    return Row(quantity, expected, min(order, expected), tolerance, scale=1.0, order=order)


@dataclass(frozen=True)
class Rung:
    """A problem with known answers.

    Parameters
    ----------
    name : str
        For ``--only``.
    title : str
    source : str
        Of the reference solution.
    solve : callable
        Returns the rows.
    """

    name: str
    title: str
    source: str
    solve: Callable[[], Iterable[Row]]


@dataclass(frozen=True)
class Outcome:
    """A rung that was run.

    Parameters
    ----------
    rung : Rung
    rows : tuple of Row
        Those found before a failure, if there was one.
    seconds : float
    failure : str
        Message of the error that stopped the rung; empty if none did.
    """

    rung: Rung
    rows: tuple[Row, ...]
    seconds: float
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether there are rows and all passed."""
        return not self.failure and bool(self.rows) and all(row.passed for row in self.rows)


_RUNGS: dict[str, Rung] = {}


def rung(title: str, source: str) -> Callable[[Callable[[], Iterable[Row]]], Callable[[], Iterable[Row]]]:
    """Register a function as a rung; its name, underscores as hyphens, is the rung's."""

    def register(solve: Callable[[], Iterable[Row]]) -> Callable[[], Iterable[Row]]:
        name = solve.__name__.replace("_", "-")
        if name in _RUNGS:
            raise ValueError(f"two rungs are called {name!r}")
        _RUNGS[name] = Rung(name, title, source, solve)
        return solve

    return register


def all_rungs() -> tuple[Rung, ...]:
    """Return all rungs, those of each file in their order there."""
    from spinefix.verification import rungs as package

    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"{package.__name__}.{module}")
    return tuple(_RUNGS.values())


def find(names: Sequence[str]) -> tuple[Rung, ...]:
    """Return rungs by name, or by the beginning of their names.

    Raises
    ------
    UsageError
        A name fits none.
    """
    known = all_rungs()
    out: dict[str, Rung] = {}
    for name in names:
        hits = [r for r in known if r.name == name] or [r for r in known if r.name.startswith(name)]
        if not hits:
            close = difflib.get_close_matches(name, [r.name for r in known], n=2)
            hint = f"; did you mean {' or '.join(close)}?" if close else "; see spinefix verify --list"
            raise UsageError(f"no rung {name!r}{hint}")
        out.update((r.name, r) for r in hits)
    return tuple(out.values())


def climb(chosen: Sequence[Rung]) -> Iterator[Outcome]:
    """Run rungs one after the other; errors of the core end a rung, not the ladder."""
    for one in chosen:
        began = time.perf_counter()
        rows: list[Row] = []
        failure = ""
        try:
            rows.extend(one.solve())
        except (SpinefixError, ArithmeticError, np.linalg.LinAlgError, AssertionError, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
        yield Outcome(one, tuple(rows), time.perf_counter() - began, failure)
