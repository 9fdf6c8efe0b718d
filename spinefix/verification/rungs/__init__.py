"""The rungs: every module here is looked through, so a new rung is one function in one file."""
