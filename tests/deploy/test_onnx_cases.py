"""ONNX's own test cases, turned round: our functions give the outputs that ONNX expects of its operators.

What our functions' signatures cannot express raises NotExpressible below, with the reason.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import lightconv.functional as F

cases = pytest.importorskip("onnx.backend.test.case.node")

OPERATORS = ("AveragePool", "Col2Im", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool",
             "MaxUnpool", "Resize")  # fmt: skip
MODULES = ("averagepool", "col2im", "conv", "convtranspose", "globalaveragepool", "globalmaxpool", "maxpool",
           "maxunpool", "resize")  # fmt: skip


class NotExpressible(Exception):
    pass


def collect() -> dict[str, Any]:
    for name in MODULES:
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    return {
        case.name: case
        for case in cases._NodeTestCases
        if len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in OPERATORS
    }


CASES = collect()


def same_pads(size: list[int], kernel: list[int], stride: list[int], upper: bool) -> list[int]:
    total = [max(0, (-(-n // s) - 1) * s + k - n) for n, k, s in zip(size, kernel, stride, strict=True)]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return [*less, *more] if upper else [*more, *less]


def window(x: torch.Tensor, options: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    kernel = list(options["kernel_shape"])
    stride = list(options.get("strides", [1] * len(kernel)))
    pads = list(options.get("pads", [0] * 2 * len(kernel)))
    auto = options.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        pads = same_pads(list(x.shape[2:]), kernel, stride, auto == b"SAME_UPPER")
    return kernel, stride, pads


def padded(x: torch.Tensor, pads: list[int], value: float) -> torch.Tensor:
    axes = len(pads) // 2
    both = [pads[axis + end * axes] for axis in reversed(range(axes)) for end in (0, 1)]
    return torch.nn.functional.pad(x, both, value=value)


def average_pool(x: torch.Tensor, **options: Any) -> torch.Tensor:
    if any(d != 1 for d in options.get("dilations", [])):
        raise NotExpressible("dilated windows of a mean")
    kernel, stride, pads = window(x, options)
    include, axes = bool(options.get("count_include_pad", 0)), len(kernel)
    if pads[:axes] != pads[axes:] and not include:
        raise NotExpressible("uneven padding of a mean that leaves the padding out")
    if any(2 * p > k for p, k in zip(pads, kernel, strict=False)):
        raise NotExpressible("padding of more than half a window")
    function = getattr(F, f"avg_pool{axes}d")
    return function(x, kernel, stride, pads[:axes], bool(options.get("ceil_mode", 0)), include)


def max_pool(x: torch.Tensor, **options: Any) -> Any:
    kernel, stride, pads = window(x, options)
    axes = len(kernel)
    indices = options["outputs"] == 2
    if indices and options.get("storage_order"):
        raise NotExpressible("indices in column order")
    if pads[:axes] != pads[axes:]:
        x, pads = padded(x, pads, -np.inf), [0] * 2 * axes
    if any(2 * p > k for p, k in zip(pads, kernel, strict=False)):
        raise NotExpressible("padding of more than half a window")
    more = {"dilation": options.get("dilations", 1), "ceil_mode": bool(options.get("ceil_mode", 0))}
    dtype = x.dtype
    if dtype in (torch.uint8, torch.int8):
        x = x.float()
    y = getattr(F, f"max_pool{axes}d")(x, kernel, stride, pads[:axes], return_indices=indices, **more)
    return y if indices else y.to(dtype)


def convolution(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None, **options: Any) -> torch.Tensor:
    kernel, stride, pads = window(x, {"kernel_shape": list(w.shape[2:]), **options})
    more = {"dilation": options.get("dilations", 1), "groups": options.get("group", 1)}
    return getattr(F, f"conv{len(kernel)}d")(padded(x, pads, 0), w, b, stride, **more)


def transposed(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None, **options: Any) -> torch.Tensor:
    axes = w.dim() - 2
    stride = list(options.get("strides", [1] * axes))
    more = {"dilation": options.get("dilations", 1), "groups": options.get("group", 1)}
    rest = list(options.get("output_padding", [0] * axes))
    y = getattr(F, f"conv_transpose{axes}d")(x, w, b, stride, output_padding=rest, **more)
    size = options.get("output_shape")
    if options.get("auto_pad") in (b"SAME_UPPER", b"SAME_LOWER"):
        size = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
    if size is not None:
        # the ends of the full result are cut off evenly, or filled up if it is too short
        total = [n - m for n, m in zip(y.shape[2:], size, strict=True)]
        half = [t // 2 for t in total]
        ends = [t - h for t, h in zip(total, half, strict=True)]
        lows, highs = (half, ends) if options.get("auto_pad") == b"SAME_UPPER" else (ends, half)
        return padded(y, [-n for n in (*lows, *highs)], 0)
    return padded(y, [-p for p in options.get("pads", [0] * 2 * axes)], 0)


def max_unpool(
    x: torch.Tensor, indices: torch.Tensor, shape: torch.Tensor | None = None, **options: Any
) -> torch.Tensor:
    size = None if shape is None else shape.tolist()
    usual = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], options["strides"], options["kernel_shape"], strict=True)]
    if size is not None and size[2:] != usual:
        raise NotExpressible("indices that count another plane than the output's")
    return F.max_unpool2d(x, indices, options["kernel_shape"], options["strides"], output_size=size)


def col2im(x: torch.Tensor, size: torch.Tensor, block: torch.Tensor, **options: Any) -> torch.Tensor:
    pads = list(options.get("pads", [0] * 2 * len(size)))
    if pads[: len(size)] != pads[len(size) :]:
        raise NotExpressible("uneven padding at the ends")
    more = {
        "dilation": tuple(options.get("dilations", [1] * len(size))),
        "stride": tuple(options.get("strides", [1] * len(size))),
    }
    return F.fold(x, tuple(size.tolist()), tuple(block.tolist()), padding=tuple(pads[: len(size)]), **more)


def resize(x: torch.Tensor, roi: Any, scales: Any, sizes: Any = None, **options: Any) -> torch.Tensor:
    mode = options.get("mode", b"nearest").decode()
    places = options.get("coordinate_transformation_mode", b"half_pixel").decode()
    antialias = bool(options.get("antialias", 0))
    if places == "tf_crop_and_resize":
        raise NotExpressible("part of the input, with values beyond it")
    if places == "half_pixel_symmetric":
        raise NotExpressible("half_pixel_symmetric")
    if "keep_aspect_ratio_policy" in options:
        raise NotExpressible("a size that the caller computes")
    if places == "pytorch_half_pixel" and sizes is not None and 1 in sizes[2:].tolist():
        raise NotExpressible("one element that reads the first")
    order = list(options.get("axes", range(x.dim())))
    given = dict(zip(order, (scales if sizes is None else sizes).tolist(), strict=True))
    values = [given[axis] for axis in range(2, x.dim())]
    more: dict[str, Any] = {"scale_factor": values} if sizes is None else {"size": [int(v) for v in values]}
    if mode == "nearest":
        rounds = options.get("nearest_mode", b"round_prefer_floor")
        if places != "half_pixel" or rounds not in (b"round_prefer_floor", b"round_prefer_ceil"):
            raise NotExpressible("other places for nearest")
        for n, value in zip(x.shape[2:], values, strict=True):
            out, scale = (int(n * value), value) if sizes is None else (int(value), value / n)
            if rounds == b"round_prefer_floor" and any(((o + 0.5) / scale) % 1 == 0 for o in range(out)):
                raise NotExpressible("halves rounded down")
        return F.interpolate(x, mode="nearest-exact", **more)
    cubic = mode == "cubic"
    if cubic and (places == "asymmetric" or options.get("cubic_coeff_a", -0.75) != -0.75 or antialias):
        raise NotExpressible("another cubic, or other places")
    if antialias and not options.get("exclude_outside"):
        raise NotExpressible("antialias that weighs what is outside")
    align = places == "align_corners"
    if align and sizes is None and any(not float(n * v).is_integer() for n, v in zip(x.shape[2:], values, strict=True)):
        raise NotExpressible("corners of a size that is not whole")
    return F.interpolate(x, mode="bicubic" if cubic else "bilinear", align_corners=align, antialias=antialias, **more)


ADAPTERS: dict[str, Callable[..., Any]] = {
    "AveragePool": average_pool,
    "Col2Im": col2im,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "GlobalAveragePool": lambda x, **_: F.adaptive_avg_pool2d(x, 1),
    "GlobalMaxPool": lambda x, **_: F.adaptive_max_pool2d(x, 1),
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
    "Resize": resize,
}


def compute(case: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    node = case.model.graph.node[0]
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "MaxPool":
        options["outputs"] = len(node.output)
    inputs, expected = case.data_sets[0]
    values = iter(inputs)
    arguments = [torch.from_numpy(np.array(next(values))) if name else None for name in node.input]
    results = ADAPTERS[node.op_type](*arguments, **options)
    results = [results] if isinstance(results, torch.Tensor) else list(results)
    return [result.numpy() for result in results], list(expected)


@pytest.mark.parametrize("name", sorted(CASES))
def test_our_functions_give_what_onnx_expects(name: str) -> None:
    try:
        results, expected = compute(CASES[name])
    except NotExpressible as reason:
        pytest.skip(f"our signature cannot express it: {reason}")
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-3, atol=1e-6)
        assert result.dtype == wanted.dtype


def test_most_cases_can_be_expressed() -> None:
    expressed = 0
    for case in CASES.values():
        try:
            compute(case)
        except NotExpressible:
            continue
        expressed += 1
    assert expressed >= 0.6 * len(CASES)
