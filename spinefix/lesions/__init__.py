"""Lesions as fields at the integration points."""
