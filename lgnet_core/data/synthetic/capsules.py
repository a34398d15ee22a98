r"""A hand as 25 capsules: what keeps two hands, and the fingers of one, out of each other.

A capsule is a segment between two of 22 points (the 21 joints and a point along the forearm) with a radius. Distances
between capsules are those of their segments less both radii, so that whole hands meet in a few hundred closed-form
distances instead of mesh against mesh. The points follow the joint rotations without skinning.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model import HandModel

FOREARM = 21
"""Index of the point ``FOREARM_LENGTH`` metres along the forearm, after the 21 joints."""
FOREARM_LENGTH = 0.2

SEGMENTS: tuple[tuple[int, int], ...] = (
    (0, FOREARM), (0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (5, 9), (9, 13), (13, 17), (1, 5),
    *((1 + 4 * finger + k, 2 + 4 * finger + k) for finger in range(5) for k in range(3)),
)  # fmt: skip
"""End points of the capsules: forearm, palm, then the three bones of each finger from thumb to pinky."""
_FIRST_FINGER = 10
_CHAINS = ((13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9))  # MANO's joints, thumb to pinky


def segment_parameters(start_a: Tensor, end_a: Tensor, start_b: Tensor, end_b: Tensor) -> tuple[Tensor, Tensor]:
    """Where two segments come closest, as fractions (s, t) of their lengths.

    Source: Ericson, "Real-Time Collision Detection", 2005, section 5.1.9.

    Shapes:
        four broadcastable (..., 3); returns two (...), in [0, 1].
    """
    along_a, along_b, between = end_a - start_a, end_b - start_b, start_a - start_b
    a, e, b = (along_a**2).sum(-1), (along_b**2).sum(-1), (along_a * along_b).sum(-1)
    c, f = (along_a * between).sum(-1), (along_b * between).sum(-1)
    tiny = 1e-12
    a, e = a.clamp_min(tiny), e.clamp_min(tiny)
    s = ((b * f - c * e) / (a * e - b * b).clamp_min(tiny)).clamp(0, 1)
    t = ((b * s + f) / e).clamp(0, 1)
    return ((b * t - c) / a).clamp(0, 1), t


class CapsuleHands:
    """Both hands' capsules, for any pose and shape.

    Args:
        hand_model: whose joints the capsules follow and whose rest mesh gives their radii.
        device: where the tables live.

    Attributes:
        forearm: (2, 3) unit vector from the wrist along the forearm, rest frame.
        frames: (2, 3, 3) rotation whose columns are, in the rest frame, the hand's axes: x towards the fingers, z out
            of the palm, y = z x x. The same meaning on both hands, a proper rotation on both.
        radii: (2, C) metres, of the mean shape.
        self_pairs: (2, P) pairs of capsules of one hand that stand clear of each other at rest.
    """

    def __init__(self, hand_model: HandModel, device: torch.device | str = "cpu") -> None:
        rest = hand_model.rest_joints  # (2, 16, 3)
        self._rest_joints = rest.to(device)
        self._joint_basis = hand_model.joint_basis.to(device)
        tips = hand_model.v_template[:, hand_model.tip_vertices]
        shapedirs = hand_model.shapedirs[:, hand_model.tip_vertices]
        self._rest_tips = tips.to(device)
        self._tip_basis = shapedirs.permute(0, 3, 1, 2).flatten(2).to(device)  # (2, 10, 15)
        self._chains = torch.tensor(_CHAINS, device=device)

        index, middle, pinky = rest[:, 1], rest[:, 4], rest[:, 7]
        x = torch.nn.functional.normalize(middle - rest[:, 0], dim=-1)
        handed = torch.tensor([[1.0], [-1.0]], device=rest.device)
        z = torch.nn.functional.normalize(torch.linalg.cross(index - pinky, x) * handed, dim=-1)
        self.frames = torch.stack([x, torch.linalg.cross(z, x), z], -1).to(device)
        knuckles = rest[:, [1, 4, 7, 10]].mean(1)
        self.forearm = torch.nn.functional.normalize(rest[:, 0] - knuckles, dim=-1).to(device)

        segments = torch.tensor(SEGMENTS, device=device)
        self.start, self.end = segments.unbind(1)
        identity = torch.eye(3, device=device).expand(1, 2, 16, 3, 3)
        points = self.points(identity, torch.zeros(1, 2, 10, device=device))[0]  # (2, 22, 3)
        points = points + self._rest_joints[:, :1]
        self.radii = self._measure_radii(points, hand_model.v_template.to(device))
        self._rest_length = self._length(points)
        self.self_pairs = self._clear_pairs(points)

    def points(self, rotations: Tensor, shape: Tensor) -> Tensor:
        """The 21 joints and the forearm point, relative to the wrist.

        Shapes:
            rotations: (B, 2, 16, 3, 3), shape: (B, 2, 10); returns (B, 2, 22, 3) metres.
        """
        moved = torch.einsum("bsk,skc->bsc", shape, self._joint_basis).unflatten(-1, (16, 3))
        rest = self._rest_joints + moved
        tips = self._rest_tips + torch.einsum("bsk,skc->bsc", shape, self._tip_basis).unflatten(-1, (5, 3))
        chain = torch.cat([rest[:, :, self._chains], tips[:, :, :, None]], -2)  # (B, 2, 5, 4, 3)
        wrist = rest[:, :, :1]
        root = rotations[:, :, :1]  # (B, 2, 1, 3, 3)
        turn, point, parent = root, torch.zeros_like(wrist), wrist
        out = []
        for level in range(4):
            point = point + (turn @ (chain[..., level, :] - parent)[..., None])[..., 0]
            parent = chain[..., level, :]
            out.append(point)
            if level < 3:
                turn = turn @ rotations[:, :, self._chains[:, level]]
        fingers = torch.stack(out, -2).flatten(2, 3)  # (B, 2, 20, 3)
        arm = (root @ (self.forearm * FOREARM_LENGTH)[None, :, None, :, None])[..., 0]
        return torch.cat([torch.zeros_like(wrist), fingers, arm], 2)

    def ends(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Both ends of every capsule's segment, (..., C, 3) each; a finger's last segment ends inside its tip."""
        start, end = points[..., self.start, :], points[..., self.end, :]
        last = torch.zeros(len(SEGMENTS), 1, device=points.device)
        last[_FIRST_FINGER + 2 :: 3] = 0.3  # of the last bone: about one radius
        return start, end + last * (start - end)

    def scaled_radii(self, points: Tensor) -> Tensor:
        """Radii (B, 2, C) of hands at ``points`` (B, 2, 22, 3): they grow with the hand's length."""
        return self.radii * (self._length(points) / self._rest_length)[..., None]

    def self_clearance(self, points: Tensor) -> Tensor:
        """Signed distances (B, 2, P), metres, between the capsules of ``self_pairs``; negative where they overlap."""
        (start, end), radii = self.ends(points), self.scaled_radii(points)
        a, b = self.self_pairs
        return _clearance(start[:, :, a], end[:, :, a], radii[:, :, a], start[:, :, b], end[:, :, b], radii[:, :, b])

    def pair_clearance(self, points: Tensor) -> Tensor:
        """Signed distances (B, C, C), metres, of every capsule of the right hand to every one of the left.

        Shapes:
            points: (B, 2, 22, 3) of both hands in one frame.
        """
        (start, end), radii = self.ends(points), self.scaled_radii(points)
        right = (x[:, 0, :, None] for x in (start, end, radii))
        left = (x[:, 1, None] for x in (start, end, radii))
        return _clearance(*right, *left)

    def _length(self, points: Tensor) -> Tensor:
        """Wrist to middle knuckle to fingertip bones, (...,) metres: the hand's size whatever its pose."""
        chain = points[..., [0, 9, 10, 11, 12], :]
        return (chain[..., 1:, :] - chain[..., :-1, :]).norm(dim=-1).sum(-1)

    def _measure_radii(self, points: Tensor, vertices: Tensor) -> Tensor:
        """(2, C): median distance of the rest mesh's vertices to the segment that is nearest to them."""
        start, end = self.ends(points)
        along = end - start
        offset = vertices[:, :, None] - start[:, None]  # (2, V, C, 3)
        fraction = ((offset * along[:, None]).sum(-1) / (along**2).sum(-1)[:, None]).clamp(0, 1)
        distance = (offset - fraction[..., None] * along[:, None]).norm(dim=-1)  # (2, V, C)
        nearest = distance.argmin(-1)
        radii = torch.stack(
            [
                torch.stack([distance[side, nearest[side] == c, c].median() for c in range(len(SEGMENTS))])
                for side in range(2)
            ]
        )
        overall = distance.min(-1).values.median()
        return torch.where(radii.isfinite(), radii, overall)

    def _clear_pairs(self, points: Tensor) -> Tensor:
        pairs = torch.combinations(torch.arange(len(SEGMENTS), device=points.device)).T
        self.self_pairs = pairs
        clear = (self.self_clearance(points[None])[0] > 2e-3).all(0)
        return pairs[:, clear]


def _clearance(
    start_a: Tensor, end_a: Tensor, radius_a: Tensor, start_b: Tensor, end_b: Tensor, radius_b: Tensor
) -> Tensor:
    # The fractions are at an optimum, so the distance's gradient does not see them: no need to differentiate them.
    with torch.no_grad():
        s, t = segment_parameters(start_a, end_a, start_b, end_b)
    nearest_a = start_a + s[..., None] * (end_a - start_a)
    nearest_b = start_b + t[..., None] * (end_b - start_b)
    return ((nearest_a - nearest_b) ** 2).sum(-1).clamp_min(1e-10).sqrt() - radius_a - radius_b
