"""The table of mesh errors in the documentation is that of the recorded run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tables_of_the_page_are_those_of_the_recorded_run() -> None:
    spec = importlib.util.spec_from_file_location("mesh_error", ROOT / "benchmarks" / "mesh_error.py")
    assert spec and spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    record = json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "explanation" / "mesh_error.md").read_text(encoding="utf-8").splitlines()
    for line in (*benchmark.sizes(record), *benchmark.table(record, "error_pct")):
        assert line in page
    assert len(record["ratios"]) == 6 * 6
    assert max(row["error_pct"] for row in record["ratios"]) < benchmark.TOLERANCE
