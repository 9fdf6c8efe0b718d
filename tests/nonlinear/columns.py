"""Small models of solids: those of the verification."""

from spinefix.verification.models import column, linear, model_of, neo_hookean

__all__ = ["column", "linear", "model_of", "neo_hookean"]
