"""Contact sheets: layout, skeletons and captions."""

import torch

from lgnet_core.synthetic.contact_sheet import draw_contact_sheet
from lgnet_core.synthetic.generator import SyntheticHands

COUNT, SIZE = 12, 96


def test_skeletons_and_captions_are_drawn(hand_model):
    batch = SyntheticHands(11, hand_model).crops(torch.arange(COUNT), SIZE)
    plain = draw_contact_sheet(batch, hand_model, columns=6, skeletons=False)
    drawn = draw_contact_sheet(batch, hand_model, columns=6, captions=["a"])
    assert plain.shape == drawn.shape == (2 * SIZE, 6 * SIZE, 3)
    changed = (plain != drawn).any(-1).reshape(2, SIZE, 6, SIZE).transpose(0, 2, 1, 3).reshape(COUNT, -1).any(1)
    expected = batch.presence.any(1).numpy().copy()
    assert not expected.all()
    expected[0] = True  # caption
    assert (changed == expected).all()
