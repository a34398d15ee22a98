"""Inference engines: eager PyTorch, CUDA graphs and ONNX Runtime behind one interface, and ONNX export."""
