"""Constitutive laws as pure functions of numbers."""
