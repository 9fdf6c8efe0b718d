"""Parametric spine segments."""
