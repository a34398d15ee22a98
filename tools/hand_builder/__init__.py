"""Builder of the bundled hand model; entry: tools/build_hand_model.py."""
