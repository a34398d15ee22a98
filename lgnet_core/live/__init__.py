"""From a camera to a page in the browser: images, tracked hands, 3D scene, controls and recording."""
