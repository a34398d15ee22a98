"""Recordings of hands over time for other programs: animated meshes, Foxglove, rerun, bags."""
