"""Surface of both rest hands with arms and sleeves, with all of it visible."""

import torch

from lgnet_core.synthetic.body.forearm import ForearmGeometry
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.synthetic.rng import CounterRng

_SAMPLES = 6


class RestHands:
    """Fragments distributed over the hand-arm mesh, ``_SAMPLES`` per face.

    Attributes:
        face: (N,) face of each fragment of one image. owner: (N,) MANO joint with the largest skinning weight, -1 on
            arms and sleeves.
    """

    def __init__(self, hand_model):
        self.arms = ForearmGeometry(hand_model)
        hands = hand_model.v_template[None] + torch.tensor([0.0, 0.0, 0.6])
        mesh, _ = self.arms(hands, CounterRng(1, torch.arange(1)))
        self.vertices = mesh.vertices
        faces = self.arms.faces
        self.face = torch.arange(len(faces)).repeat_interleave(_SAMPLES)
        weights = CounterRng(2, torch.arange(1)).uniform("weights", len(self.face), 3)[0] + 0.05
        self.weights = weights / weights.sum(1, keepdim=True)
        corners = mesh.vertices[0][faces]
        normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normal = torch.nn.functional.normalize(normals, dim=1)[self.face].T.contiguous()
        self.position = self._at(mesh.vertices[0])
        self.rest = self._at(mesh.rest[0])
        skinning = torch.full((2, self.arms.vertex_count, 16), -1.0)
        skinning[:, : hand_model.weights.shape[1]] = hand_model.weights
        of_face = skinning.flatten(0, 1)[faces].mean(1)  # (F, 16)
        self.owner = torch.where(of_face.amin(1) < 0, -1, of_face.argmax(1))[self.face]
        self.side = self.arms.face_side[self.face]
        self.material = self.arms.face_material[self.face]

    def _at(self, points):
        return (points[self.arms.faces[self.face]] * self.weights[..., None]).sum(1).T.contiguous()

    def __len__(self):
        return len(self.face)

    def surface(self, images, details=None):
        """Surface of ``images`` copies of the hands."""
        details = torch.zeros(4, len(self)) if details is None else details
        return Surface(
            batch=torch.arange(images).repeat_interleave(len(self)),
            side=self.side.repeat(images),
            material=self.material.repeat(images),
            position=self.position.repeat(1, images),
            normal=self.normal.repeat(1, images),
            rest=self.rest.repeat(1, images),
            details=details.repeat(1, images),
        )


def covered(surface, coats):
    """Mask (N,) of fragments covered, not only shaded, by coats."""
    mask = torch.zeros(len(surface.batch), dtype=torch.bool)
    for coat in coats:
        mask[coat.fragment[coat.opacity > 0.7]] = True
    return mask
