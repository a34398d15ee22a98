"""Builder of the bundled hand model, run by tools/build_hand_model.py."""
