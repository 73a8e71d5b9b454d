"""Whole models: their layers exchanged, composed and fused, and the convolution as a matrix."""

from lightconv.surgery.compose import compose
from lightconv.surgery.convert import Conversion, convert, revert
from lightconv.surgery.matrix import ConvOperator, conv_matrix

__all__ = ["ConvOperator", "Conversion", "compose", "conv_matrix", "convert", "revert"]
