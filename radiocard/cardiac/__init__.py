"""The heart's own measurements: volumes, mass, segments, wall thickness, orientation."""
