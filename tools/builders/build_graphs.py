"""Write the ONNX graphs of the bundled networks (:mod:`lgnet_core.engines.graphs`).

    python tools/builders/build_graphs.py

To be run after a change to the code of a network, or to its configuration in the bundled weights.
"""

from __future__ import annotations

from lgnet_core.engines.export import graph_content
from lgnet_core.engines.graphs import architecture, constants, graph_path
from lgnet_core.hand_model import load_hand_model
from lgnet_core.io.checkpoint_files import read_metadata
from lgnet_core.io.output import write_bytes
from lgnet_core.network import HandLGNet
from lgnet_core.network.checkpoint import load_network
from lgnet_core.network.detector.palm_detector import load_palm_detector


def main() -> None:
    network, metadata = load_network()
    assert isinstance(network, HandLGNet)
    about = architecture(read_metadata())
    of_stages = constants(load_hand_model(), metadata["config"])
    contents = {
        "palms": graph_content(load_palm_detector(), {}, {}),
        "landmarks": graph_content(network.landmarker, {}, about),
        "stages": graph_content(network.stages, of_stages, about),
    }
    for name, content in contents.items():
        write_bytes(graph_path(name), content)
        print(f"{graph_path(name)}: {len(content) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
