"""Pictures of results: charts and three-dimensional scenes, drawn without a screen.

Entry points are in `spinefix.viz.figures`; `spinefix.viz.probe` says whether 3D rendering works here.
"""
