"""Solutions, manifest, run folder."""
