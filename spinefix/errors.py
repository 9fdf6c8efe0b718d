"""One tree of foreseen errors; each class knows its exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""Path of keys and list positions from the top of a value to a part of it."""


def path_text(where: Location) -> str:
    """Return a location as people write it, e.g. ``arms.posterior.screws.levels[0]``."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def suggestion(given: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` where a known name is close to the given one, else nothing."""
    close = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class SpinefixError(Exception):
    """A foreseen error. The message says what, where and how to repair."""

    exit_code: ClassVar[int] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Let errors travel between processes: arguments of their constructors differ from those of `Exception`."""
        return _restored, (type(self), self.args, self._state())

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)


def _restored(kind: type[SpinefixError], args: tuple[Any, ...], state: dict[str, Any]) -> SpinefixError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(SpinefixError):
    """The request itself is wrong (arguments, files, names).

    Attributes
    ----------
    reason : str
        What is wrong.
    key : Location
        Which part of the value at hand is wrong, e.g. ``("screws", "levels")``; written before the reason.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, reason: str, *, key: Location = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key

    def __str__(self) -> str:
        return f"{path_text(self.key)}: {self.reason}" if self.key else self.reason


@contextmanager
def under(*key: str | int) -> Iterator[None]:
    """Put `key` before the key of every usage error from within: the builder of a part need not know its owner."""
    try:
        yield
    except ScenarioError:
        raise  # has its place in the file already
    except UsageError as error:
        error.key = (*key, *error.key)
        raise


class ScenarioError(UsageError):
    """A scenario file is wrong; carries one formatted line per finding (file, line, key path, allowed, suggestion)."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class MeshError(UsageError):
    """A mesh is unusable: names the region and the element."""


class MaterialError(UsageError):
    """Material constants are unusable (not positive definite, out of range)."""


class ConstraintError(SpinefixError):
    """Constraints contradict each other (a dof eliminated twice, a chain of couplings)."""


class ConvergenceError(SpinefixError):
    """No converged solution; carries what was reached.

    Attributes
    ----------
    partial : object or None
        The solution up to the last converged increment. It does not travel between processes.
    worst : list of str
        Regions with the largest residual, worst first.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, partial: Any = None, worst: list[str] | None = None) -> None:
        super().__init__(message)
        self.partial = partial
        self.worst = worst or []

    def _state(self) -> dict[str, Any]:
        """Without the partial solution, which is large."""
        return {**self.__dict__, "partial": None}


class CheckError(SpinefixError):
    """A self-check failed: a number exists but must not be believed."""

    exit_code: ClassVar[int] = 4


class SweepIncomplete(SpinefixError):
    """A sweep finished with failed points."""

    exit_code: ClassVar[int] = 5
