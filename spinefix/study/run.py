"""Run a study: build each arm, solve, measure, write; keep what was reached whatever happens."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ruamel.yaml import YAML

from spinefix.anatomy.builder import REFINEMENTS
from spinefix.errors import SpinefixError
from spinefix.fem.linsolve import require, thread_limit
from spinefix.loads import direction_of
from spinefix.metrics import Context, Row, evaluate
from spinefix.metrics.stiffness import moment_rotation_curve, work_rotation
from spinefix.metrics.stress import section_forces
from spinefix.results import provenance, table
from spinefix.results.table import BEAM_COLUMNS, COMPARISON_COLUMNS, METRIC_COLUMNS
from spinefix.scenario.build import ArmModel, Specimen, build_arm, build_specimen, located
from spinefix.scenario.schema import plausibility
from spinefix.study import fields
from spinefix.study.arms import LinearArm, NonlinearArm, solve_arm
from spinefix.study.mesh_error import add_mesh_error
from spinefix.study.nested import Trail
from spinefix.study.outcome import ArmOutcome, RunOutcome
from spinefix.study.workers import in_processes, in_threads
from spinefix.units import to_surface

if TYPE_CHECKING:
    from spinefix.scenario.schema import Study

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are."""

COARSE = REFINEMENTS["coarse"]
"""Refinement of the mesh on which a nonlinear study begins."""

SIDE_BY_SIDE = 60_000
"""Elements of the largest segment whose arms are solved side by side: about 1.5 GB each, twice the middle mesh of five
levels."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """A progress callback that says nothing."""


def run_study(study: Study, source: Path, out: Path, progress: Progress = quiet) -> RunOutcome:
    """Run all arms of a study and write the run folder: tables, manifest and fields (`spinefix.report` adds pictures).

    Parameters
    ----------
    study : Study
    source : Path
        The scenario file. The folder gets ``scenario.yaml``, the study as it was run, with defaults and overrides.
    out : Path
        Run folder; created. Files of an earlier run are replaced once the specimen is built.
    progress : callable

    Returns
    -------
    RunOutcome
        An arm that failed carries its error; the others are complete.

    Raises
    ------
    ScenarioError
        The specimen cannot be built, or the solver that is asked for is not installed; nothing was solved.
    """
    start = time.perf_counter()
    with located(study, "solver", "linear_solver"):
        require(study.solver.linear_solver)
    out.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    steps = len(study.arms) + 2
    progress("building the segment", 0, steps)
    lap = time.perf_counter()
    specimen = build_specimen(study)
    seconds["segment"] = time.perf_counter() - lap
    prepare_folder(out, study, source)
    outcomes: list[ArmOutcome] = []
    coarser = study.with_refinement(COARSE)
    first: list[ArmOutcome] = []
    if study.analysis.kind == "nonlinear" and study.segment.refinement() > COARSE:
        progress(f"solving {len(study.arms)} arms on the coarse mesh", 1, steps)
        lap = time.perf_counter()
        first = solve_first(coarser)
        seconds["coarse"] = time.perf_counter() - lap
    trails = {o.name: o.trail for o in first if o.trail is not None}
    progress(f"solving {len(study.arms)} arms", 1, steps)
    for outcome in run_arms(study, specimen, out, trails):
        outcomes.append(outcome)
        progress(f"solved {outcome.name}", len(outcomes), steps)
        write_tables(out, outcomes)
    add_ratios(outcomes)
    progress("estimating the mesh error", steps - 1, steps)
    lap = time.perf_counter()
    warnings = [*plausibility(study), *specimen.warnings(), *(f"{o.name}: {w}" for o in outcomes for w in o.warnings)]
    warnings += add_mesh_error(study, outcomes, lambda s: first if first and s == coarser else solve_comparison(s))
    seconds["mesh_error"] = time.perf_counter() - lap
    write_tables(out, outcomes)
    run = RunOutcome(out, outcomes, warnings)
    write_manifest(study, specimen, run, {**seconds, "total": time.perf_counter() - start})
    progress("done", steps, steps)
    return run


def prepare_folder(out: Path, study: Study, source: Path) -> None:
    """Take what an earlier run has left out of the folder and put the study there as it is run."""
    for folder in ("fields", "figures"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in ("comparison.csv", "metrics.csv", "beams.csv", "manifest.json", "report.html"):
        (out / name).unlink(missing_ok=True)
    text = io.StringIO()
    text.write(f"# The study as it was run, from {source.name}, with all defaults and overrides.\n")
    yaml = YAML()
    yaml.width = 110
    yaml.dump(study.model_dump(mode="json"), text)
    (out / "scenario.yaml").write_text(text.getvalue(), encoding="utf-8")


def run_arms(
    study: Study,
    specimen: Specimen,
    folder: Path | None,
    trails: Mapping[str, Trail] | None = None,
    *,
    keep: bool = False,
) -> Iterator[ArmOutcome]:
    """Run all arms and yield their outcomes in order, as soon as each and all before it are done.

    Small models run side by side with a share of the cores each: assembly, metrics and output of one arm fill the
    time in which another is factorized, and two factorizations of one thread each are faster than two in turn with
    two threads. The memory of a fine mesh allows one at a time. Nonlinear arms run in processes of their own.
    """
    cores = provenance.machine()["cores"]
    small = specimen.segment.mesh.n_cells <= SIDE_BY_SIDE
    workers = max(1, min(cores, len(study.arms), 4)) if small else 1
    known = trails or {}
    if workers > 1 and study.analysis.kind == "nonlinear":
        tasks = [_Task(study, specimen, name, folder, known.get(name), keep) for name in study.arms]
        yield from in_processes(_apart, tasks, workers)
        return

    def one(name: str) -> ArmOutcome:
        with thread_limit(max(1, cores // workers)):
            return run_arm(study, specimen, name, folder, known.get(name), keep=keep)

    yield from in_threads(one, list(study.arms), workers)


class _Task(NamedTuple):
    """An arm for a process of its own; arguments of `run_arm`."""

    study: Study
    specimen: Specimen
    name: str
    folder: Path | None
    coarse: Trail | None
    keep: bool


def _apart(task: _Task) -> ArmOutcome:
    with thread_limit(1):
        return run_arm(task.study, task.specimen, task.name, task.folder, task.coarse, keep=task.keep)


def run_arm(
    study: Study, specimen: Specimen, name: str, folder: Path | None, coarse: Trail | None = None, *, keep: bool = False
) -> ArmOutcome:
    """Build, solve and measure one arm; a foreseen error is kept in the outcome.

    Parameters
    ----------
    folder : Path or None
        Where fields go; None solves for the comparison alone.
    coarse : Trail, optional
        What the same arm has found on a coarser mesh.
    keep : bool
        Keep a trail for a finer mesh.
    """
    outcome = ArmOutcome(name)
    written: list[Path] = []
    start = time.perf_counter()
    try:
        arm = build_arm(study, specimen, name)
        built = time.perf_counter() - start
        outcome.warnings += arm.construct.warnings
        solved = solve_arm(study, arm, coarse, keep=keep)
        cases = {c.name: c for c in arm.cases}
        ctx = Context(solved.response, specimen.segment, arm.reference, cases, arm.diseased, arm.resected)
        seconds = {"build": built, "metrics": 0.0, "write": 0.0}
        for case in cases:
            try:
                solved.follow(case)
            except SpinefixError as error:  # the other cases of the arm may well have a solution
                outcome.error = worse(outcome.error, error)
                outcome.warnings.append(f"{case} has no solution: {error}")
                outcome.comparison += failed_rows(study, name, [case])
                outcome.metrics += [metric_row(name, row) for row in reached(ctx, case)]
                continue
            outcome.comparison += comparison_rows(ctx, name, case)
            if folder is not None:
                try:
                    solved.go_on(case)
                except SpinefixError as error:  # what was found up to full load stands
                    outcome.error = worse(outcome.error, error)
                    outcome.warnings.append(f"{case} has no solution after full load: {error}")
                lap = time.perf_counter()
                outcome.metrics += [metric_row(name, row) for row in evaluate(ctx, case)]
                outcome.beams += beam_rows(ctx, name, case)
                seconds["metrics"] += time.perf_counter() - lap
                lap = time.perf_counter()
                if study.outputs.vtu:
                    written.append(fields.write_case(folder / "fields", name, case, ctx))
                seconds["write"] += time.perf_counter() - lap
            ctx.forget(case)
        outcome.trail = solved.trail
        outcome.record = arm_record(arm, solved, {**seconds, **solved.seconds})
        if outcome.error is not None:
            outcome.record["error"] = str(outcome.error)
    except SpinefixError as error:
        outcome.error = error
        outcome.metrics, outcome.beams = [], []  # no number of an arm that failed
        for path in written:
            path.unlink()
            path.with_suffix(".pvd").unlink(missing_ok=True)
        outcome.record = {"error": str(error), "kind": type(error).__name__, "exit_code": error.exit_code}
        outcome.comparison = failed_rows(study, name, study.moments())
    return outcome


def solve_comparison(study: Study) -> list[ArmOutcome]:
    """Solve all arms for the comparison alone (another mesh of the same study); nothing is written."""
    specimen = build_specimen(study)
    outcomes = list(run_arms(study, specimen, None))
    add_ratios(outcomes)
    return outcomes


def solve_first(study: Study) -> list[ArmOutcome]:
    """Solve all arms on a coarse mesh, with trails for a finer one; nothing if it cannot be built."""
    try:
        specimen = build_specimen(study)
    except SpinefixError:
        return []
    outcomes = list(run_arms(study, specimen, None, keep=True))
    add_ratios(outcomes)
    return outcomes


def comparison_rows(ctx: Context, arm: str, case: str) -> list[dict[str, object]]:
    """The row of one arm and moment direction; none for force cases."""
    moment, rotation = work_rotation(ctx, case)
    if not moment:
        return []
    return [
        {
            "arm": arm,
            "direction": direction_of(case),
            "case": case,
            "follower_load_N": ctx.cases[case].follower,
            "moment_Nm": to_surface("_Nm", moment),
            "rom_deg": to_surface("_deg", rotation),
            "stiffness_Nm_per_deg": to_surface("_Nm_per_deg", moment / rotation),
            "converged": True,
        }
    ]


def failed_rows(study: Study, arm: str, cases: Iterable[str]) -> list[dict[str, object]]:
    """The rows of moment cases that have no solution: no number, converged false."""
    moments = study.moments()
    return [
        {
            "arm": arm,
            "direction": direction_of(case),
            "case": case,
            "follower_load_N": moments[case].follower_N,
            "moment_Nm": moments[case].moment_Nm,
            "converged": False,
        }
        for case in cases
        if case in moments
    ]


def worse(one: SpinefixError | None, other: SpinefixError) -> SpinefixError:
    """The error with the higher exit code, the first of equals."""
    return one if one is not None and one.exit_code >= other.exit_code else other


def reached(ctx: Context, case: str) -> Iterator[Row]:
    """What is known of a nonlinear case that failed: the moment-rotation curve up to there."""
    moment = float(np.linalg.norm(ctx.cases[case].moments.get(ctx.reference, np.zeros(3))))
    if moment and ctx.response.knows(case):
        yield from moment_rotation_curve(ctx, case, moment, last=True)


def add_ratios(outcomes: Iterable[ArmOutcome]) -> None:
    """Fill in the stiffness ratio to the intact arm, where there is one."""
    outcomes = list(outcomes)
    intact = {r["case"]: r.get("stiffness_Nm_per_deg") for o in outcomes if o.name == "intact" for r in o.comparison}
    for outcome in outcomes:
        for row in outcome.comparison:
            base, own = intact.get(row["case"]), row.get("stiffness_Nm_per_deg")
            if isinstance(base, float) and isinstance(own, float):
                row["stiffness_ratio_to_intact"] = own / base


def metric_row(arm: str, row: Row) -> dict[str, object]:
    """A metric as a row of ``metrics.csv``; a linear solution has the one load factor 1."""
    return {"arm": arm, **row._asdict()}


def beam_rows(ctx: Context, arm: str, case: str) -> list[dict[str, object]]:
    """Section forces along every screw, rod and plate, as rows of ``beams.csv``."""
    out: list[dict[str, object]] = []
    for region, _, s, f in section_forces(ctx, case):
        out.append(
            {
                "arm": arm,
                "direction": case,
                "region": region,
                "s_mm": s,
                "axial_N": float(f[0]),
                "shear_N": float(np.hypot(f[1], f[2])),
                "torque_Nm": to_surface("_Nm", float(f[3])),
                "bending_Nm": to_surface("_Nm", float(np.hypot(f[4], f[5]))),
            }
        )
    return out


def arm_record(arm: ArmModel, solution: LinearArm | NonlinearArm, seconds: dict[str, float]) -> dict[str, Any]:
    """What the manifest keeps of one arm."""
    model = arm.model
    return {
        "nodes": model.mesh.n_points,
        "elements": {
            k: sum(len(b) for b in model.mesh.blocks if b.kind == k) for k in {b.kind for b in model.mesh.blocks}
        },
        "solver": dict(solution.solver),
        "checks": [
            {"name": c.name, "value": c.value, "tolerance": c.tolerance, "passed": c.passed} for c in solution.checks
        ],
        "measures": dict(arm.construct.measures),
        "resected": list(arm.construct.remove),
        "assumed": list(arm.construct.assumed),
        "materials": [
            {"name": m.name, "law": m.law, **m.parameters, "source": m.source, "assumed": m.assumed}
            for m in model.materials
        ],
        "seconds": {k: round(v, 4) for k, v in seconds.items()},
        "peak_memory_MB": provenance.peak_memory_MB(),  # of the process, so far
    }


def write_tables(out: Path, outcomes: Iterable[ArmOutcome]) -> None:
    """Write the tables of what is done so far."""
    outcomes = list(outcomes)
    table.write(out / "comparison.csv", COMPARISON_COLUMNS, (r for o in outcomes for r in o.comparison))
    table.write(out / "metrics.csv", METRIC_COLUMNS, (r for o in outcomes for r in o.metrics))
    table.write(out / "beams.csv", BEAM_COLUMNS, (r for o in outcomes for r in o.beams))


def plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON knows them."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def write_manifest(study: Study, specimen: Specimen, run: RunOutcome, seconds: dict[str, float]) -> None:
    """Write ``manifest.json``: versions, machine, scenario and its hash, sources, checks, times, warnings."""
    scenario = study.model_dump(mode="json")
    used = {m["name"]: m for o in run.arms for m in o.record.get("materials", [])}
    phases: dict[str, float] = {}
    for outcome in run.arms:
        for phase, value in outcome.record.get("seconds", {}).items():
            phases[phase] = round(phases.get(phase, 0.0) + value, 4)
    manifest = {
        "created": provenance.now(),
        "name": study.name,
        "title": study.title,
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "machine": provenance.machine(),
        "scenario": scenario,
        "scenario_sha256": provenance.canonical_hash(scenario),
        "segment": specimen.record(),
        "arms": {o.name: {k: v for k, v in o.record.items() if k != "materials"} for o in run.arms},
        "materials": list(used.values()),
        "assumed": [
            *specimen.assumed(),
            *(f"material {m['name']}" for m in used.values() if m["assumed"]),
            *dict.fromkeys(line for o in run.arms for line in o.record.get("assumed", [])),
        ],
        "sources": sorted({s for s in (*specimen.segment.sources, *(m["source"] for m in used.values())) if s}),
        "warnings": run.warnings,
        "peak_memory_MB": provenance.peak_memory_MB(),
        "seconds": {**{k: round(v, 4) for k, v in seconds.items()}, "arms": phases},
        "exit_code": run.exit_code,
    }
    part = run.folder / "manifest.json.part"
    part.write_text(json.dumps(manifest, indent=1, default=plain) + "\n", encoding="utf-8")
    os.replace(part, run.folder / "manifest.json")
