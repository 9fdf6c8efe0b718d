"""Finite-element comparison of fixation constructs for the diseased spine."""

__version__ = "0.1.0"
