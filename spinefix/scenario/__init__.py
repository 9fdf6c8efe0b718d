"""The scenario schema, its YAML loader, and the step from scenario to model."""
