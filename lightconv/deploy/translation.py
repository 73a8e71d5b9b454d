"""Our operators in ONNX: one small function for each, named like the operator.

A function gets the ONNX operator set and the arguments that the operator has in the graph, as its schema
orders them: tensors as graph values, numbers as they are. What it calls on the operator set becomes nodes.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["ONNX", "table"]

ONNX: dict[str, Callable[..., Any]] = {}


def translates(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter the function under its name."""
    ONNX[function.__name__] = function
    return function


def table(opset: int) -> dict[Callable[..., Any], Callable[..., Any]]:
    """The `custom_translation_table` of torch.onnx.export for an ONNX operator set version."""
    from onnxscript.values import Opset

    import lightconv.functional  # noqa: F401  (registers the operators)

    operators = Opset("", opset)
    return {getattr(torch.ops.lightconv, name).default: _bind(function, operators) for name, function in ONNX.items()}


def _bind(function: Callable[..., Any], operators: Any) -> Callable[..., Any]:
    bound = functools.partial(function, operators)
    functools.update_wrapper(bound, function)
    vars(bound).pop("__wrapped__")  # else the exporter would count `op` among the arguments
    return bound


@translates
def conv(op, input, weight, bias, stride, pads, dilation, groups):  # type: ignore[no-untyped-def]
    return op.Conv(input, weight, bias, strides=stride, pads=pads, dilations=dilation, group=groups)


@translates
def conv_transpose(op, input, weight, bias, stride, pads, dilation, groups, output_padding):  # type: ignore[no-untyped-def]
    return op.ConvTranspose(
        input,
        weight,
        bias,
        strides=stride,
        pads=pads,
        dilations=dilation,
        group=groups,
        output_padding=output_padding,
    )


@translates
def pad(op, input, pads, mode):  # type: ignore[no-untyped-def]
    axes = len(pads) // 2
    both = [0, 0, *pads[:axes], 0, 0, *pads[axes:]]
    return op.Pad(input, both, mode={"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])
