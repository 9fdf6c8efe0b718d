"""Fixation constructs: one file per kind and one line in the registry."""
