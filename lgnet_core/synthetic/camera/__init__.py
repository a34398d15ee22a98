"""Camera simulation: viewpoints, crops, lens, sensor noise, image signal processing and JPEG."""
