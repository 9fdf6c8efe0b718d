from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "viz"))

from runfolder import write_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A fresh run folder without figures."""
    return write_run(tmp_path / "run")
