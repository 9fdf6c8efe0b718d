"""Pictures of results: charts and three-dimensional scenes, drawn without a screen."""

from spinefix.viz.figures import comparison_figure, draw, render_figures, view
from spinefix.viz.probe import Probe, has_screen, probe

__all__ = ["Probe", "comparison_figure", "draw", "has_screen", "probe", "render_figures", "view"]
