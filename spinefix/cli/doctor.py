"""``spinefix doctor``."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from spinefix.cli.run import THREAD_VARIABLES


@click.command("doctor", short_help="Tell what is installed, what is used, and what is missing.")
def command() -> int:
    """Tell versions, processor, threads, linear solvers, kernel cache, and whether 3D pictures can be drawn."""
    from spinefix.fem.linsolve import INSTALL, available
    from spinefix.jit import cache_folder
    from spinefix.results import provenance
    from spinefix.viz.probe import forget, has_screen, probe

    forget()  # the doctor looks afresh

    _section("versions", provenance.versions())
    _section("machine", provenance.machine())
    _section("threads", {name: os.environ.get(name, "not set: all cores") for name in THREAD_VARIABLES})
    solvers = available()
    _section("linear solvers", {name: "used by auto" if name == solvers[0] else "available" for name in solvers})
    if solvers[0] == "superlu":
        click.echo(f"  only the slowest is here; faster: {' or '.join(INSTALL.values())}")
    folder = cache_folder()
    kernels = sum(1 for path in folder.rglob("*.nbc"))
    _section("kernel cache", {"folder": folder, "compiled": kernels or "none yet: the first run compiles once"})
    _section("pictures", {"off-screen": probe().message, "window": "possible" if has_screen() else "no screen here"})
    return 0


def _section(title: str, lines: Mapping[str, object]) -> None:
    click.echo(f"{title}:")
    for name, value in lines.items():
        click.echo(f"  {name:<22} {value}")
