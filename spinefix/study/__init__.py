"""Arms, runs and comparison."""
