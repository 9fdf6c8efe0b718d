"""The base of everything a user writes: frozen, closed, documented pydantic values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A frozen value that accepts no unknown key; docstrings of attributes become descriptions in the schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)
