"""A model is arrays and data only."""
