"""Whole models: their layers exchanged, composed and fused, and the convolution as a matrix."""

from lightconv.surgery.compose import compose
from lightconv.surgery.convert import Conversion, convert, revert
from lightconv.surgery.count import Cost, count
from lightconv.surgery.everywhere import everywhere
from lightconv.surgery.fuse import Fusion, fuse
from lightconv.surgery.matrix import ConvOperator, conv_matrix

__all__ = [
    "ConvOperator",
    "Conversion",
    "Cost",
    "Fusion",
    "compose",
    "conv_matrix",
    "convert",
    "count",
    "everywhere",
    "fuse",
    "revert",
]
