"""lightconv: convolution, pooling and resampling layers you can read, classifiers built of them, clean ONNX."""
