"""The finite-element core: kernels on plain arrays, assembly, constraints, solvers."""
