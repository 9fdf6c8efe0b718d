"""Turn a solution into answers."""
