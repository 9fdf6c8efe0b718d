"""Pictures of results: charts and three-dimensional scenes, drawn without a screen.

`spinefix.viz.probe` tells whether 3D rendering works here.
"""

from spinefix.viz.figures import comparison_figure, draw, render_figures, view

__all__ = ["comparison_figure", "draw", "render_figures", "view"]
