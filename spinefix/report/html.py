"""One HTML file with everything in it: opens with a double click, without a network and without scripts."""

from __future__ import annotations

import base64
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinefix.report import methods
from spinefix.report.tables import FAILED, all_tables
from spinefix.viz.folder import RunFolder, read_run
from spinefix.viz.style import label

LARGE_BYTES = 200_000

DISCLAIMER = (
    "For research and engineering only. This is not a medical device: no result here may guide the treatment of a "
    "patient."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the report; `address` holds the picture itself (a ``data:`` URL)."""

    name: str
    caption: str
    address: str


def write_report(folder: Path | str) -> Path:
    """Write ``report.html`` into a run folder and return its path.

    Figures that are missing are left out; nothing is drawn here.

    Raises
    ------
    UsageError
        `folder` is not a run folder.
    """
    run = read_run(folder)
    target = run.path / "report.html"
    draft = target.with_suffix(".part")
    draft.write_text(render(run), encoding="utf-8")
    os.replace(draft, target)
    return target


def render(run: RunFolder) -> str:
    """The report as HTML text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("spinefix.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(**_contents(run))


def _contents(run: RunFolder) -> dict[str, Any]:
    manifest = run.manifest
    checks, failed = methods.checks_table(run)
    materials, assumed = methods.materials_table(run)
    drawn = list(dict.fromkeys((*run.drawn_directions, *run.directions)))
    return {
        "title": run.title,
        "disclaimer": DISCLAIMER,
        "created": manifest.created,
        "version": manifest.versions.get("spinefix", ""),
        "arms": methods.arms_table(run),
        "built": methods.built_tables(run),
        "ranking": methods.ranking(run),
        "mesh_error_known": any(math.isfinite(r.mesh_error_pct) for r in run.rows),
        "tables": all_tables(run),
        "failed_cell": FAILED,
        "checks": checks,
        "failed_checks": failed,
        "failed_arms": {label(a): r.reason() for a, r in manifest.arms.items() if r.error},
        "unfinished": sorted({label(r.arm) for r in run.rows if not r.converged}),
        "warnings": manifest.warnings,
        "methods": methods.methods(run),
        "materials": materials,
        "materials_assumed": assumed,
        "assumed": manifest.assumed,
        "sources": manifest.sources,
        "provenance": _provenance(run),
        "charts": _pictures(run, _chart_names(run)),
        "scenes": _pictures(run, {f"scene_{d}": f"{label(d)}: implants by von Mises stress" for d in drawn}),
        "bones": _pictures(run, {f"bone_{d}": f"{label(d)}: bone, cut in the midplane, log scale" for d in drawn}),
    }


def _chart_names(run: RunFolder) -> dict[str, str]:
    names = {
        "stiffness_ratio": "Stiffness of each arm relative to the intact spine.",
        "rom": "Range of motion.",
        "implant_stress": "Von Mises stress in the implants.",
        "implant_moment": "Largest bending moment in the implants.",
    }
    sharing = sorted((run.path / "figures").glob("load_sharing_*.png"))
    return {**names, **{p.stem: "Load sharing across the diseased level, by free-body cut." for p in sharing}}


def _pictures(run: RunFolder, captions: dict[str, str]) -> list[Picture]:
    found = [(name, caption, run.figure(name)) for name, caption in captions.items()]
    return [Picture(name, caption, data_url(path)) for name, caption, path in found if path.is_file()]


def data_url(path: Path) -> str:
    """A picture as text: large PNG files as WebP, a sixth of the size, small ones as they are."""
    content, kind = path.read_bytes(), "png"
    if len(content) > LARGE_BYTES:
        from PIL import Image, UnidentifiedImageError

        try:
            small = io.BytesIO()
            with Image.open(io.BytesIO(content)) as image:
                image.convert("RGB").save(small, "WEBP", quality=88, method=4)
            content, kind = small.getvalue(), "webp"
        except (UnidentifiedImageError, KeyError, OSError):
            kind = "png"  # a Pillow built without WebP
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _provenance(run: RunFolder) -> list[tuple[str, str]]:
    manifest = run.manifest
    rows = [*manifest.versions.items()]
    rows += [("commit", manifest.commit)] if manifest.commit else []
    rows += [(k, str(v)) for k, v in manifest.machine.items()]
    rows += [("scenario, SHA-256", manifest.scenario_sha256)] if manifest.scenario_sha256 else []
    for phase, value in manifest.seconds.items():
        if isinstance(value, dict):
            rows += [(f"time, {label(k)} (all arms)", f"{v:.2f} s") for k, v in value.items()]
        else:
            rows.append((f"time, {label(phase)}", f"{value:.2f} s"))
    return rows
