"""The page where one draws a number, or a signal, and watches a network read it.

A small server of the standard library, bound to this machine alone, hands out the page and runs the exported models
in onnxruntime. Nothing here imports PyTorch.
"""
