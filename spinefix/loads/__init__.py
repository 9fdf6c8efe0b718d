"""Load protocols."""
