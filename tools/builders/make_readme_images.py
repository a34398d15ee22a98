"""Make the images of README and of the model card, from synthetic images only.

    lgnet eval -o out/eval
    python tools/builders/make_readme_images.py [--weights FILE] [--worst out/eval/worst.png]

Writes to docs/images:
    hands.jpg: a frame of the bundled clip with the hands found in it, and their meshes from three sides.
    frames.png: hand frames and camera frame, on hands of the bundled model.
    synthetic.jpg: the first crops of ``lgnet synth --seed 7 --size 128``.
    failures.jpg: the sheet of the worst images of the frozen set, if it is given.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from lgnet_core.commands.demo import run_demo
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.hand_model.anatomy import angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset
from lgnet_core.inference import HandEstimator
from lgnet_core.io.images import load_image
from lgnet_core.synthetic.contact_sheet import draw_contact_sheet
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Camera, FloatArray, Hand, Side, TwoHands
from lgnet_core.visualization.drawing import draw_overlay

FOLDER = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 960, 540
CAMERA = Camera(np.array([[900.0, 0, WIDTH / 2], [0, 900.0, HEIGHT / 2], [0, 0, 1]]), WIDTH, HEIGHT)
AXES = ((220, 40, 40), (40, 150, 40), (40, 70, 220))  # x, y, z: red, green, blue, as in RViz
INK = (40, 40, 40)
SHEET_WIDTH = 1200  # pixels, of the images that are made smaller


def hands_of_the_frames(model: HandLayer) -> TwoHands:
    """Two open hands 26 cm apart, palms to the camera, fingers up and a little inwards."""
    sides = []
    for side in Side:
        angles = preset("relaxed")[None]
        rotations = angles_to_rotations(angles, side)[0].double().numpy()
        sides.append(rotations)
    wrists = np.array([[-0.13, 0.08, 0.62], [0.13, 0.08, 0.62]])
    frames = HandFrames(model)
    hands = []
    for side in Side:
        lean = np.radians(12 if side is Side.RIGHT else -12)
        # Columns: where the hand frame's x (fingers), y and z (out of the palm) point in the camera's frame.
        fingers = np.array([np.sin(lean), -np.cos(lean), 0.0])
        palm = np.array([0.0, 0.0, -1.0])
        target = np.stack([fingers, np.cross(palm, fingers), palm], 1)
        rotations = sides[side].copy()
        rotations[0] = target @ frames.axes[side].T
        both = torch.from_numpy(np.stack([rotations] * 2)).float()[None]
        mesh = model(both, torch.zeros(1, 2, 10)).wrist_relative()
        joints = mesh.joints[0, side].double().numpy() + wrists[side]
        hands.append(
            Hand(
                side=side,
                presence=1.0,
                joints=joints,
                vertices=mesh.vertices[0, side].double().numpy() + wrists[side],
                faces=model.faces[side].numpy(),
                joints_2d=project_distorted(joints, CAMERA),
                joint_std=np.zeros(21),
                rotations=rotations,
                shape=np.zeros(10),
            )
        )
    return TwoHands(hands[0], hands[1], wrists[1] - wrists[0], metric=True)


def draw_frames(model: HandLayer) -> FloatArray:
    """The image of the frames, (HEIGHT, WIDTH, 3) uint8 RGB."""
    hands, frames = hands_of_the_frames(model), HandFrames(model)
    canvas = draw_overlay(np.full((HEIGHT, WIDTH, 3), 250, np.uint8), hands, CAMERA)
    origins = []
    for hand in hands.hands:
        pose = frames.pose(hand)
        tips = pose.position + 0.07 * pose.rotation.T
        # Seen from the camera, z points at the viewer: a step aside makes it visible.
        tips[2] += [0.0, 0.02, 0.0]
        places = project_distorted(np.vstack([pose.position[None], tips]), CAMERA)
        origins.append(places[0])
        draw_axes(canvas, places, "hand_" + hand.side.label)
    start, end = origins[0] + (0, 105), origins[1] + (0, 105)
    arrow(canvas, start, end, INK, 2)
    write(canvas, "hands/inter_hand: the left hand in the right hand's frame", (start + end) / 2 + (-245, 26))
    corner = np.array([70.0, 70.0])
    draw_axes(canvas, corner + np.array([[0, 0], [62, 0], [0, 62], [26, 26]]), "")
    write(canvas, "camera's optical frame: x right, y down, z forward", (150, 40))
    return canvas


def draw_axes(canvas: FloatArray, places: FloatArray, name: str) -> None:
    """Origin and the ends of x, y and z (4, 2), pixels."""
    for axis, (colour, end) in enumerate(zip(AXES, places[1:])):
        arrow(canvas, places[0], end, colour, 3)
        write(canvas, "xyz"[axis], end + 12 * (end - places[0]) / np.linalg.norm(end - places[0]) - (5, -6), colour)
    write(canvas, name, places[0] + (-48, 92))


def arrow(canvas: FloatArray, start: FloatArray, end: FloatArray, colour: tuple[int, int, int], width: int) -> None:
    first, second = (tuple(np.round(np.asarray(point) * 16).astype(int).tolist()) for point in (start, end))
    cv2.arrowedLine(
        canvas,
        first,
        second,
        colour,
        width,
        cv2.LINE_AA,
        shift=4,
        tipLength=float(14 / np.linalg.norm(np.subtract(end, start))),
    )


def write(canvas: FloatArray, text: str, place: FloatArray | tuple[float, float], colour: tuple = INK) -> None:
    corner = (int(place[0]), int(place[1]))
    cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 1, cv2.LINE_AA)


def write_jpeg(name: str, image: FloatArray, width: int | None = None) -> None:
    """Write (H, W, 3) uint8 RGB, made smaller to a width if one is given."""
    if width is not None:
        image = cv2.resize(image, (width, round(width * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(FOLDER / name), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="default: the bundled ones")
    parser.add_argument("--worst", type=Path, help="worst.png of lgnet eval on the frozen set, with the same weights")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    frames = draw_frames(load_hand_layer())
    cv2.imwrite(str(FOLDER / "frames.png"), frames[..., ::-1])
    generator = SyntheticHands(7, load_hand_layer())
    sheet = draw_contact_sheet(generator.crops(torch.arange(32), 128), generator.hand_model)
    write_jpeg("synthetic.jpg", sheet)
    with tempfile.TemporaryDirectory() as folder:
        view = load_image(run_demo(HandEstimator.load(arguments.weights), Path(folder)).view).image
    write_jpeg("hands.jpg", view, SHEET_WIDTH)
    if arguments.worst is not None:
        write_jpeg("failures.jpg", load_image(arguments.worst).image, SHEET_WIDTH)


if __name__ == "__main__":
    main()
