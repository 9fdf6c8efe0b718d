"""All figures of a run folder; whatever cannot be drawn becomes a warning."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from spinefix.errors import SpinefixError, UsageError, suggestion
from spinefix.viz import charts, worker
from spinefix.viz.folder import RunFolder, read_run
from spinefix.viz.probe import has_screen
from spinefix.viz.style import label

FIELDS: tuple[str, ...] = ("von_mises", "bone_von_mises")
"""What can be coloured: von Mises stress of the implants, or of the bone cut open along the midplane."""

VIEW_NAMES: tuple[str, ...] = ("lateral", "posterior", "anterior", "oblique")


def render_figures(folder: Path | str) -> list[str]:
    """Draw the charts and, where 3D rendering works, one comparison of all arms per direction.

    Writes ``figures/*.png``: ``stiffness_ratio``, ``rom``, ``load_sharing_*``, ``implant_stress``,
    ``scene_{direction}`` and, for the first direction only (they take as long), ``bone_{direction}``. Of two opposite
    directions with the same stresses in all arms (a linear solution) the first is drawn.

    Returns
    -------
    list of str
        What could not be drawn and why; empty if all is there. Nothing about drawing raises.

    Raises
    ------
    UsageError
        `folder` is not a run folder.
    """
    run = read_run(folder)
    directions = distinct(run)
    jobs = [worker.Job(str(run.figure(f"scene_{d}")), d) for d in directions]
    jobs += [worker.Job(str(run.figure(f"bone_{d}")), d, surface="bone") for d in directions[:1]]
    with ThreadPoolExecutor(1) as pool:  # the charts are drawn here while children draw the scenes
        scenes = pool.submit(worker.draw_jobs, run.path, jobs)
        return charts.draw_all(run) + scenes.result()


def distinct(run: RunFolder) -> list[str]:
    """Directions to draw: each that differs from its opposite by more than the sign."""
    seen: set[tuple[tuple[str, str, float], ...]] = set()
    out = []
    for direction in run.drawn_directions:
        lines = run.select("von_mises_max", direction=direction)
        mark = tuple((m.arm, m.region, m.value) for m in lines)
        if not mark or mark not in seen:
            out.append(direction)
        seen.add(mark)
    return out


def draw(
    folder: Path | str,
    arm: str,
    direction: str,
    field: str = "von_mises",
    screenshot: Path | str | None = None,
    *,
    views: Sequence[str] = (),
) -> Path:
    """Draw one arm under one load, seen from several sides; return the PNG.

    Parameters
    ----------
    field : {'von_mises', 'bone_von_mises'}
    screenshot : Path, optional
        Where to write; default ``figures/{arm}_{direction}.png`` in the folder.
    views : sequence of str
        Of `VIEW_NAMES`; default lateral, posterior (not for bone, of which the left half is cut away), oblique.

    Raises
    ------
    UsageError
        Unknown folder, arm, direction, field or view.
    SpinefixError
        3D rendering is not possible here; the message says what to install.
    """
    run = read_run(folder)
    _known_case(run, arm, direction)
    target = Path(screenshot) if screenshot else run.figure(f"{arm}_{direction}")
    job = worker.Job(str(target.absolute()), direction, (arm,), _surface(field), _known_views(views), single=True)
    return _drawn(run, job)


def comparison_figure(
    folder: Path | str,
    direction: str,
    field: str = "von_mises",
    screenshot: Path | str | None = None,
    *,
    arms: Sequence[str] = (),
    views: Sequence[str] = (),
) -> Path:
    """Draw all arms (or some) side by side under one load, with one camera, factor and colour range; return the PNG.

    Raises
    ------
    UsageError
        Unknown folder, arm, direction, field or view.
    SpinefixError
        3D rendering is not possible here; the message says what to install.
    """
    run = read_run(folder)
    for arm in arms or [a for a, d in run.cases() if d == direction][:1] or run.arms[:1]:
        _known_case(run, arm, direction)
    kind = "bone" if field == "bone_von_mises" else "scene"
    target = Path(screenshot) if screenshot else run.figure(f"{kind}_{direction}")
    return _drawn(run, worker.Job(str(target.absolute()), direction, tuple(arms), _surface(field), _known_views(views)))


def view(folder: Path | str, direction: str, arms: Sequence[str] = (), field: str = "von_mises") -> None:
    """Open a window with the arms side by side, turned together; returns when it is closed.

    Raises
    ------
    UsageError
        Unknown folder, arm, direction or field, or no screen here.
    SpinefixError
        The window's process ended badly.
    """
    run = read_run(folder)
    shown = list(arms) or [a for a, d in run.cases() if d == direction]
    for arm in shown or run.arms[:1]:
        _known_case(run, arm, direction)
    if not has_screen():
        raise UsageError("no screen here to open a window on; write a picture instead (a screenshot file)")
    problem = worker.show_window(run.path, worker.Job("", direction, tuple(shown), _surface(field)))
    if problem:
        raise SpinefixError(problem)


def _drawn(run: RunFolder, job: worker.Job) -> Path:
    warnings = worker.draw_jobs(run.path, [job])
    if warnings:
        raise SpinefixError("; ".join(warnings))
    return Path(job.target)


def _known_case(run: RunFolder, arm: str, direction: str) -> None:
    if (arm, direction) in run.cases():
        return
    if arm not in run.arms:
        raise UsageError(
            f"{run.path}: no arm {arm!r}; there are: {', '.join(run.arms)}{suggestion(arm, run.arms)}",
        )
    here = [d for a, d in run.cases() if a == arm]
    raise UsageError(
        f"{run.path}: no field of {label(arm)} in {direction!r}; there are: {', '.join(here) or 'none'}"
        f"{suggestion(direction, here)}"
    )


def _surface(field: str) -> Literal["implants", "bone"]:
    if field not in FIELDS:
        raise UsageError(f"unknown field {field!r}; known: {', '.join(FIELDS)}{suggestion(field, FIELDS)}")
    return "bone" if field == "bone_von_mises" else "implants"


def _known_views(views: Sequence[str]) -> tuple[str, ...]:
    unknown = [v for v in views if v not in VIEW_NAMES]
    if unknown:
        raise UsageError(f"unknown view {unknown[0]!r}; known: {', '.join(VIEW_NAMES)}")
    return tuple(views)
