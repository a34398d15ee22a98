"""Builder of the bundled hand model, run by tools/builders/build_hand_model.py."""
