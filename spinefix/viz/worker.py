"""Draw in a child process: a crash of the renderer costs a warning, never a run.

The child is ``python -m spinefix.viz.worker FOLDER`` with a JSON list of jobs on its standard input. It reports one
JSON line per job on standard output; what it did not report when it died is what it could not draw.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spinefix.viz.probe import HOW_TO_INSTALL, Probe, child_environment, forget, probe

if TYPE_CHECKING:
    from spinefix.viz.folder import RunFolder
    from spinefix.viz.scene import Scales

SECONDS_PER_JOB = 120
JOBS_PER_CHILD = 2
"""Below that a second child costs more for its start and the common scales than it saves."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture.

    Parameters
    ----------
    target : str
        File to write.
    direction : str
    arms : tuple of str
        Empty: all arms side by side.
    surface : {'implants', 'bone'}
        What is coloured by stress.
    views : tuple of str
        Names of `scene.VIEWS`; empty: the usual ones.
    single : bool
        A sheet of one arm (the first of `arms`) instead of a comparison.
    """

    target: str
    direction: str
    arms: tuple[str, ...] = ()
    surface: Literal["implants", "bone"] = "implants"
    views: tuple[str, ...] = ()
    single: bool = False

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Job:
        """Return a job from its JSON form."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()}
        return cls(**values)


def draw_jobs(folder: Path, jobs: Sequence[Job]) -> list[str]:
    """Draw all jobs in children, one per core; return one warning per thing that went wrong (none: all is drawn)."""
    if not jobs:
        return []
    answer = probe()
    if not answer.ok:
        return [answer.message]
    children = max(1, min(os.cpu_count() or 1, len(jobs) // JOBS_PER_CHILD, 4))
    with ThreadPoolExecutor(children) as pool:
        parts = [pool.submit(_draw_in_child, folder, jobs[i::children], answer) for i in range(children)]
        return [line for part in parts for line in part.result()]


def _draw_in_child(folder: Path, jobs: Sequence[Job], answer: Probe) -> list[str]:
    """Draw jobs in one child process."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "spinefix.viz.worker", str(folder)],
            input=json.dumps([asdict(j) for j in jobs]),
            env=child_environment(answer.environment),
            capture_output=True,
            text=True,
            timeout=60 + SECONDS_PER_JOB * len(jobs),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"3D pictures skipped: the drawing process did not finish ({type(error).__name__})"]
    reports = {r["target"]: r["error"] for r in _reports(child.stdout)}
    warnings = [f"{Path(t).name}: {e}" for t, e in reports.items() if e]
    lost = [Path(j.target).name for j in jobs if j.target not in reports]
    if lost:
        lines = child.stderr.strip().splitlines()
        reason = lines[-1] if lines else "no message"
        if child.returncode < 0:  # the renderer crashed although it once worked
            forget()
            reason = f"signal {-child.returncode}; if this happens again: {HOW_TO_INSTALL}"
        warnings.append(f"3D pictures not drawn: {', '.join(lost)}: the drawing process ended early ({reason})")
    return warnings


def show_window(folder: Path, job: Job) -> str:
    """Open an interactive window in a child and wait until it is closed; return what went wrong, or nothing."""
    child = subprocess.run(
        [sys.executable, "-m", "spinefix.viz.worker", str(folder), "--window"],
        input=json.dumps([asdict(job)]),
        env=child_environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode == 0:
        return ""
    lines = child.stderr.strip().splitlines()
    reason = f"signal {-child.returncode}" if child.returncode < 0 else (lines[-1] if lines else "no message")
    return f"the window could not be opened ({reason}); write a picture instead (a screenshot file)"


def _reports(output: str) -> list[dict[str, str]]:
    found = []
    for line in output.splitlines():
        try:
            report = json.loads(line)
        except ValueError:
            continue  # libraries may print
        if isinstance(report, dict) and "target" in report:
            found.append(report)
    return found


def _draw(run: RunFolder, scales: Scales, job: Job) -> None:
    from spinefix.viz import sheet

    target = Path(job.target)
    if job.single:
        sheet.draw_case(run, scales, job.arms[0], job.direction, target, surface=job.surface, views=job.views)
    else:
        sheet.draw_comparison(run, scales, job.direction, target, arms=job.arms, surface=job.surface, views=job.views)


def main(arguments: Sequence[str]) -> int:
    """Draw what standard input asks for, in this process."""
    from spinefix.errors import SpinefixError
    from spinefix.viz import scene
    from spinefix.viz.folder import read_run

    run = read_run(arguments[0])
    jobs = [Job.from_dict(j) for j in json.load(sys.stdin)]
    if "--window" in arguments:
        for job in jobs:
            scene.show(run, job.arms, job.direction, surface=job.surface)
        return 0
    scales = scene.find_scales(run)
    for job in jobs:
        error = ""
        try:
            _draw(run, scales, job)
        except SpinefixError as problem:
            error = str(problem)
        except OSError as problem:
            error = problem.strerror or str(problem)
        except (ValueError, KeyError, RuntimeError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        sys.stdout.write(json.dumps({"target": job.target, "error": error}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
