"""Sourced data (YAML) and its typed reader."""
