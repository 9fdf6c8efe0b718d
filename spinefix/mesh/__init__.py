"""Meshes: elements as tables, regions, topology, quality, input and output."""
