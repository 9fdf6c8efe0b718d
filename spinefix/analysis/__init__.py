"""Solve a model and check the solution."""
