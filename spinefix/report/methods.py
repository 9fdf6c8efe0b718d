"""What was done, in sentences made from the manifest and the tables: nothing is said that the run did not record."""

from __future__ import annotations

import math

from spinefix.report.tables import MISSING, Table, number
from spinefix.results.manifest import ArmRecord, KindRecord, Manifest
from spinefix.units import suffix_of
from spinefix.viz.folder import RunFolder
from spinefix.viz.style import label

CHECKS: dict[str, str] = {
    "equilibrium_force": "sum of all forces",
    "equilibrium_moment": "sum of all moments",
    "energy_against_work": "strain energy against the work of the loads",
    "reciprocity": "reciprocity of load cases (Betti)",
    "rigid_mode": "no unrestrained motion",
}
"""Name of a self-check -> what it compares."""


def ranking(run: RunFolder) -> list[tuple[str, str]]:
    """For each direction the arms from the stiffest to the softest; ``≈`` joins what the mesh error cannot separate."""
    out = []
    for direction in run.directions:
        rows = [r for r in run.rows if r.direction == direction and r.converged]
        rows = [r for r in rows if math.isfinite(r.stiffness_Nm_per_deg)]
        rows.sort(key=lambda r: -r.stiffness_Nm_per_deg)
        text = ""
        for i, row in enumerate(rows):
            if i:
                before = rows[i - 1]
                error = sum(
                    0.01 * r.mesh_error_pct * r.stiffness_Nm_per_deg
                    for r in (before, row)
                    if math.isfinite(r.mesh_error_pct)
                )
                close = before.stiffness_Nm_per_deg - row.stiffness_Nm_per_deg <= error
                text += " ≈ " if close else " > "
            ratio = row.stiffness_ratio_to_intact
            text += label(row.arm) + (f" {number(ratio)}" if math.isfinite(ratio) else "")
        if text:
            out.append((label(direction), text))
    return out


def methods(run: RunFolder) -> list[str]:
    """Paragraphs on model, loads, solution and metrics."""
    manifest = run.manifest
    paragraphs = [_model(manifest), *_lesions(manifest), _loads(run), _solution(run), _metrics(run), _mesh(run)]
    return [p for p in paragraphs if p]


def arms_table(run: RunFolder) -> Table:
    """What each arm is: construct, what was resected, what was built, size of the model."""
    rows = []
    for arm in run.arms:
        record = run.manifest.arms.get(arm, ArmRecord())
        kind = run.manifest.scenario.arms.get(arm, KindRecord()).kind
        elements = ", ".join(f"{v} {k}" for k, v in record.elements.items())
        size = record.reason() if record.nodes is None else f"{record.nodes} nodes; {elements}"
        rows.append((label(arm), label(kind), ", ".join(record.resected) or "nothing", size))
    return Table("Arms", ("arm", "construct", "resected", "model"), tuple(rows))


def built_tables(run: RunFolder) -> list[Table]:
    """The implants of each arm as they were built: one row per part, one column per measure."""
    tables = []
    for arm, record in run.manifest.arms.items():
        parts: dict[str, dict[str, float]] = {}
        for name, value in record.measures.items():
            part, _, measure = name.rpartition(".")
            parts.setdefault(part or "construct", {})[measure] = value
        columns = tuple(dict.fromkeys(m for measures in parts.values() for m in measures))
        rows = tuple((part, *(number(m.get(c, math.nan)) for c in columns)) for part, m in parts.items())
        if rows:
            tables.append(Table(f"{label(arm)}, as built", ("part", *map(_measure, columns)), rows))
    return tables


def checks_table(run: RunFolder) -> tuple[Table, list[str]]:
    """Self-checks of all arms, the worst value of each arm and check, and the names of those that failed."""
    rows, failed = [], []
    for arm, record in run.manifest.arms.items():
        for check in record.checks:
            if not check.passed:
                failed.append(f"{check.name} of {label(arm)}")
            sizes = (MISSING if x is None else f"{x:.1e}" for x in (check.value, check.tolerance))
            title = CHECKS.get(check.name, label(check.name))
            rows.append((label(arm), title, *sizes, "passed" if check.passed else "FAILED"))
    return Table("Self-checks", ("arm", "check", "relative error", "allowed", "result"), tuple(rows), headers=2), failed


def materials_table(run: RunFolder) -> tuple[Table, tuple[bool, ...]]:
    """Materials with their constants and sources, and which are assumed."""
    rows, assumed = [], []
    for entry in run.manifest.materials:
        constants = ", ".join(f"{k} = {v:.4g}" for k, v in entry.constants().items())
        rows.append((entry.name, entry.law, constants, entry.source or MISSING))
        assumed.append(entry.assumed)
    return Table("Materials", ("material", "law", "constants", "source"), tuple(rows), headers=2), tuple(assumed)


def _model(manifest: Manifest) -> str:
    segment = manifest.segment
    if not segment.levels:
        return ""
    elements, nodes = ("?" if n is None else n for n in (segment.elements, segment.nodes))
    return (
        f"The specimen has the levels {', '.join(segment.levels)} and is meshed with {elements} hexahedra and {nodes} "
        "nodes from one parametric template. All arms share this mesh; resection takes named cells away and implants "
        "are added, nothing is remeshed."
    )


def _lesions(manifest: Manifest) -> list[str]:
    out = []
    for lesion in manifest.segment.lesions:
        share, asked = 100.0 * lesion.volume_fraction, 100.0 * lesion.volume_fraction_asked
        breach = [label(k) for k, v in lesion.breach.items() if v]
        pedicles = [label(k) for k, v in lesion.pedicle.items() if v]
        more = f", breaches the {' and '.join(breach)} wall" if breach else ""
        more += f", reaches into the {' and '.join(pedicles)} pedicle" if pedicles else ""
        out.append(
            f"The {lesion.kind} lesion of {lesion.level} takes {share:.1f} % of the body (asked: {asked:.1f} %){more}."
        )
    for union in manifest.segment.lesion_unions:
        if union.overlapping:
            out.append(
                f"Lesions overlap in {100.0 * union.overlap_fraction:.1f} % of {label(union.part)}; there the greatest "
                f"loss of stiffness counts. Together they take {100.0 * union.volume_fraction:.1f} % of it."
            )
    return out


def _loads(run: RunFolder) -> str:
    moments = sorted({r.moment_Nm for r in run.rows if math.isfinite(r.moment_Nm)})
    if not moments:
        return ""
    size = " and ".join(f"{m:g}" for m in moments)
    named = [f"{label(load.kind)} of {load.force_N:g} N" for load in run.loads if load.force_N is not None]
    extra = f" Further load cases: {', '.join(named)}." if named else ""
    return (
        f"Pure moments of {size} N·m act on the upper end, which moves as a rigid plate; the lower end is held. "
        f"Directions: {', '.join(map(label, run.directions))}.{extra}"
    )


def _solution(run: RunFolder) -> str:
    solvers = [arm.solver for arm in run.manifest.arms.values()]
    names = sorted({s.method for s in solvers} - {""})
    by = f" by {', '.join(names)}" if names else ""
    if any(s.analysis == "nonlinear" for s in solvers):
        return (
            "Quasi-static finite elements at finite rotation: disc tissues at finite strain, annulus fibres and "
            "ligaments in tension only, facet joints in contact without friction, bone and implants linear in a "
            "turning frame. Each load case is followed in increments by Newton's method; follower loads are applied "
            f"first and kept, and motions count from there. {_interfaces(run)} Nothing yields."
        )
    sizes = [s.n for s in solvers if s.n is not None]
    large = f" (up to {max(sizes)} unknowns)" if sizes else ""
    return (
        f"Small-strain, linear static finite elements; each arm is factorized once{by}{large} and solved for all load "
        "cases. Contact, plasticity and large rotations are not part of this analysis."
    )


def _interfaces(run: RunFolder) -> str:
    """How implants are joined to bone, in nonlinear analysis."""
    standing = {m.arm: 0.0 for m in run.metrics if m.metric == "contact_force" and m.region.startswith("implant.")}
    if not standing:
        return "Interfaces of implants are bonded."
    for arm in standing:
        standing[arm] = run.manifest.arms.get(arm, ArmRecord()).measures.get("prosthesis.friction_1", 0.0)
    told = (f"{label(arm)} ({f'friction {mu:g}' if mu else 'no friction'})" for arm, mu in standing.items())
    return (
        f"Prostheses press on the endplates, open and slide in {', '.join(told)}; all other interfaces of implants are "
        "bonded. Springs that keep loose parts in place carry less than 0.1 % of the load."
    )


def _metrics(run: RunFolder) -> str:
    known = {m.metric for m in run.metrics}
    text = (
        "Range of motion is the rotation of the loaded end about the axis of the moment; stiffness is the secant, "
        "moment over rotation; the ratio is to the same model without lesion and implant."
    )
    if "rom_level" in known:
        text += (
            " Rotation by level is that of the best-fit rigid motions of neighbouring vertebrae, in the lower's frame."
        )
    if known & {"load_share_moment", "load_share_force"}:
        text += " Load sharing is taken from a free-body cut through the middle of the diseased body."
    if "von_mises_p99" in known:
        text += " Stresses are compared by their volume-weighted 99th percentile."
    return text


def _mesh(run: RunFolder) -> str:
    errors = [r.mesh_error_pct for r in run.rows if math.isfinite(r.mesh_error_pct)]
    if not errors:
        return "The discretization error was not estimated in this run; treat small differences with care."
    how = sorted({r.mesh_error_source for r in run.rows if r.mesh_error_source})
    return (
        f"The discretization error of the ratios ({'; '.join(how) or 'as recorded'}) is at most "
        f"{number(max(errors), 2)} %. It is the error of the mesh alone, not that of anatomy, material or loads."
    )


def _measure(name: str) -> str:
    """``length_mm`` becomes ``length [mm]``."""
    suffix = suffix_of(name)
    return label(name) if suffix is None else f"{label(name.removesuffix(suffix))} [{suffix[1:].replace('deg', '°')}]"
