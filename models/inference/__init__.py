"""Using a trained network: `predictor` for pictures, `export` to ONNX."""
