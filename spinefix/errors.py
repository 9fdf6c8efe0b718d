"""One tree of foreseen errors; each class knows its exit code."""

from __future__ import annotations

from typing import Any, ClassVar


class SpinefixError(Exception):
    """A foreseen error. The message says what, where and how to repair."""

    exit_code: ClassVar[int] = 1


class UsageError(SpinefixError):
    """The request itself is wrong (arguments, files, names)."""

    exit_code: ClassVar[int] = 2


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
        The solution up to the last converged increment.
    worst : list of str
        Regions with the largest residual, worst first.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, partial: Any = None, worst: list[str] | None = None) -> None:
        super().__init__(message)
        self.partial = partial
        self.worst = worst or []


class CheckError(SpinefixError):
    """A self-check failed: a number exists but must not be believed."""

    exit_code: ClassVar[int] = 4


class SweepIncomplete(SpinefixError):
    """A sweep finished with failed points."""

    exit_code: ClassVar[int] = 5
