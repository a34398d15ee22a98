"""Scene sampling: hand poses and placement, contact resolution, objects, appearance and lighting."""
