"""Small parts are condensed as large ones are."""

import pytest

from spinefix.analysis import condensation


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(condensation, "LEAST", 10)
    monkeypatch.setattr(condensation, "WORTH", 1.0)
