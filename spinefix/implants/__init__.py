"""Fixation constructs: one file per kind and one line in the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Union

from pydantic import Field

from spinefix.implants import anterior, combined, posterior, posterior_prosthesis, references
from spinefix.implants.base import BuildResult, ContactRequest, EmbeddingRequest, TieRequest

CONSTRUCTS: dict[type[Any], Callable[..., BuildResult]] = {
    references.Intact: references.build,
    references.Untreated: references.build,
    posterior.Posterior: posterior.build,
    anterior.Anterior: anterior.build,
    posterior_prosthesis.PosteriorProsthesis: posterior_prosthesis.build,
    combined.Combined: combined.build,
}
"""Spec of each kind -> function (spec, segment) -> BuildResult."""

Construct = Annotated[Union[tuple(CONSTRUCTS)], Field(discriminator="kind")]  # type: ignore[valid-type]  # noqa: UP007
"""Any construct, chosen by its `kind`."""

__all__ = ["CONSTRUCTS", "BuildResult", "Construct", "ContactRequest", "EmbeddingRequest", "TieRequest"]
