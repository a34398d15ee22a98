"""Backbones: image to feature maps. Each normalises its own input and has pretrained weights.

``backbone(image)`` returns the maps at strides 4 and 32::

    image (B, 3, S, S) in [0, 1] -> early (B, early_channels, S / 4, S / 4), deep (B, deep_channels, S / 32, S / 32)

``backbone.maps(image, extra)`` returns the maps at strides 4, 8, 16 and 32; those at strides 8 and 16 have
``middle_channels``. A backbone built with ``extra_channels`` takes a map ``extra`` (B, extra_channels, S / 8, S / 8)
and concatenates it to its stride-8 map, as input of its later layers.
"""
