"""Every layer becomes its native ONNX operator, with unavoidable helpers only, and computes the same."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import lightconv.functional as F
import lightconv.nn as nn
from lightconv.deploy import ExportError, to_onnx
from lightconv.deploy.translation import table

SIZES = {1: (19,), 2: (13, 12), 3: (7, 8, 9)}

Node = dict[str, int]


class Call(nn.Module):
    """A function with options as a module."""

    def __init__(self, function, **options) -> None:
        super().__init__()
        self.function, self.options = function, options

    def forward(self, x: torch.Tensor):
        return self.function(x, **self.options)


def layer(name: str, axes: int, **options) -> nn.Module:
    return getattr(nn, f"{name}{axes}d")(**options)


def call(name: str, axes: int | str = "", **options) -> nn.Module:
    return Call(getattr(F, f"{name}{axes}d" if axes else name), **options)


def initialised(name: str, axes: int, **options) -> nn.Module:
    """A lazy layer that has seen its first input."""
    lazy = layer(f"Lazy{name}", axes, **options)
    lazy(torch.zeros(1, 4, *SIZES[axes]))
    return lazy


class PoolUnpool(nn.Module):
    """The halves of a segmentation network, with what is in between."""

    def __init__(self, axes: int, indices: bool = False, **pool) -> None:
        super().__init__()
        self.conv = getattr(nn, f"Conv{axes}d")(4, 4, 3, padding=1)
        self.pool = getattr(nn, f"MaxPool{axes}d")(return_indices=True, **pool)
        self.unpool = getattr(nn, f"MaxUnpool{axes}d")(**pool)
        self.indices = indices

    def forward(self, x: torch.Tensor):
        y, indices = self.pool(self.conv(x))
        y = self.unpool(torch.sigmoid(y), indices, output_size=x.shape)
        return (y, indices) if self.indices else y


class Overhang(PoolUnpool):
    """Indices of a pooling whose dilated windows reach far beyond the end."""

    def __init__(self) -> None:
        super().__init__(2, kernel_size=2)

    def forward(self, x: torch.Tensor):
        y, indices = F.max_pool2d(self.conv(x), 2, 3, dilation=4, ceil_mode=True, return_indices=True)
        return F.max_unpool2d(y, indices, 2, 3, output_size=x.shape[2:]), indices


OFFSETS = {"Shape": 1, "ReduceProd": 1, "Range": 1, "Mul": 1, "Concat": 1, "Reshape": 1, "Add": 1}
UNPOOLED = {"Conv": 1, "MaxPool": 1, "Sigmoid": 1, "MaxUnpool": 1}

CONV, TRANSPOSED, MAX, AVERAGE, RESIZE = (
    {name: 1} for name in ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "Resize")
)
PADDED = {"Conv": 1, "Pad": 1}
INDICES = {"MaxPool": 1, "Mod": 1}
SCALED = {"AveragePool": 1, "Mul": 1}
C = {"in_channels": 4, "out_channels": 8}

# axes, module, nodes
TABLE: list[tuple[int, nn.Module, Node]] = [
    (1, layer("Conv", 1, **C, kernel_size=3), CONV),
    (1, layer("Conv", 1, **C, kernel_size=4, padding="same", dilation=3), CONV),
    (1, layer("Conv", 1, **C, kernel_size=3, padding=2, padding_mode="reflect"), PADDED),
    (2, layer("Conv", 2, **C, kernel_size=(3, 4), stride=(2, 1), padding=(0, 2), bias=False), CONV),
    (2, layer("Conv", 2, **C, kernel_size=(4, 2), padding="same", dilation=(1, 3), groups=2), CONV),
    (2, layer("Conv", 2, **C, kernel_size=3, padding=(1, 2), padding_mode="circular"), PADDED),
    (2, layer("Conv", 2, **C, kernel_size=2, padding="same", padding_mode="replicate"), PADDED),
    (2, layer("Conv", 2, **C, kernel_size=3, groups=4, padding="valid"), CONV),
    (3, layer("Conv", 3, **C, kernel_size=(1, 2, 4), stride=(1, 2, 3), padding=(0, 1, 2), dilation=(1, 2, 1)), CONV),
    (3, layer("Conv", 3, **C, kernel_size=2, padding="same", groups=2), CONV),
    (3, layer("Conv", 3, **C, kernel_size=3, padding=(0, 1, 2), padding_mode="circular"), PADDED),
    *((axes, initialised("Conv", axes, out_channels=5, kernel_size=2), CONV) for axes in SIZES),
    *((axes, initialised("ConvTranspose", axes, out_channels=5, kernel_size=2), TRANSPOSED) for axes in SIZES),
    (1, layer("ConvTranspose", 1, **C, kernel_size=3), TRANSPOSED),
    (1, layer("ConvTranspose", 1, **C, kernel_size=4, stride=3, padding=2, output_padding=2, dilation=2), TRANSPOSED),
    (2, layer("ConvTranspose", 2, **C, kernel_size=(3, 2), stride=(1, 2), padding=(2, 0), bias=False), TRANSPOSED),
    (2, layer("ConvTranspose", 2, **C, kernel_size=3, stride=2, padding=1, output_padding=1, groups=4), TRANSPOSED),
    (3, layer("ConvTranspose", 3, **C, kernel_size=2, stride=(1, 2, 3), output_padding=(0, 1, 2)), TRANSPOSED),
    (1, layer("ConvTranspose", 1, **C, kernel_size=2, dilation=3, output_padding=2, padding=2), TRANSPOSED),
    (2, layer("ConvTranspose", 2, **C, kernel_size=2, dilation=3, output_padding=(0, 2)), TRANSPOSED),
    (2, nn.ConvMaxPoolReLU(4, 8, 3, stride=2, padding=1, pool_size=2), {"Conv": 1, "MaxPool": 1, "Relu": 1}),
    (2, nn.ConvMaxPoolReLU(4, 8, 2, padding=1, padding_mode="reflect"), {"Pad": 1, "Conv": 1, "MaxPool": 1, "Relu": 1}),
    (1, layer("MaxPool", 1, kernel_size=3, stride=2, dilation=2), MAX),
    (1, layer("MaxPool", 1, kernel_size=3, padding=1, ceil_mode=True, return_indices=True), INDICES),
    (2, layer("MaxPool", 2, kernel_size=2), MAX),
    (2, layer("MaxPool", 2, kernel_size=(2, 3), stride=(3, 2), padding=(1, 0), ceil_mode=True), MAX),
    (2, layer("MaxPool", 2, kernel_size=3, dilation=(1, 2), return_indices=True), INDICES),
    (3, layer("MaxPool", 3, kernel_size=2, padding=1, ceil_mode=True, return_indices=True), INDICES),
    (2, layer("MaxPool", 2, kernel_size=2, dilation=4, stride=3, ceil_mode=True), {"MaxPool": 1, "Pad": 1}),
    (1, layer("AvgPool", 1, kernel_size=3, stride=2, padding=1), AVERAGE),
    (1, layer("AvgPool", 1, kernel_size=4, stride=3, padding=2, ceil_mode=True, count_include_pad=False), AVERAGE),
    (2, layer("AvgPool", 2, kernel_size=2, divisor_override=3), SCALED),
    (2, layer("AvgPool", 2, kernel_size=(2, 3), stride=(3, 2), padding=1, ceil_mode=True), SCALED),
    (2, layer("AvgPool", 2, kernel_size=3, stride=2, padding=1, ceil_mode=True, divisor_override=5), SCALED),
    (3, layer("AvgPool", 3, kernel_size=2, stride=(1, 2, 3), padding=(0, 1, 1), count_include_pad=False), AVERAGE),
    (1, layer("AdaptiveAvgPool", 1, output_size=9), AVERAGE),
    (2, layer("AdaptiveAvgPool", 2, output_size=1), {"GlobalAveragePool": 1}),
    (2, layer("AdaptiveAvgPool", 2, output_size=(5, None)), {"MatMul": 1}),
    (3, layer("AvgPool", 3, kernel_size=2, padding=1, ceil_mode=True, divisor_override=3), SCALED),
    (3, layer("AdaptiveAvgPool", 3, output_size=(7, 4, 3)), AVERAGE),
    (1, layer("AdaptiveMaxPool", 1, output_size=2), MAX),
    (2, layer("AdaptiveMaxPool", 2, output_size=(5, 3)), {"Gather": 1, "MaxPool": 1}),
    (2, layer("AdaptiveMaxPool", 2, output_size=(5, 3), return_indices=True), {"Gather": 2, "MaxPool": 1, "Mod": 1}),
    (3, layer("AdaptiveMaxPool", 3, output_size=(1, 4, 3)), MAX),
    (3, layer("AdaptiveMaxPool", 3, output_size=(7, 2, 9), return_indices=True), INDICES),
    (1, layer("AdaptiveMaxPool", 1, output_size=7, return_indices=True), {"Gather": 2, "MaxPool": 1, "Mod": 1}),
    (1, nn.Upsample(scale_factor=2), RESIZE),
    (1, nn.Upsample(size=30, mode="linear"), RESIZE),
    (2, nn.UpsamplingNearest2d(scale_factor=3), RESIZE),
    (2, nn.UpsamplingBilinear2d(size=(20, 31)), RESIZE),
    (2, nn.Upsample(scale_factor=1.7, mode="bilinear"), RESIZE),
    (2, nn.Upsample(size=(30, 7), mode="bicubic", align_corners=True), RESIZE),
    (2, nn.Upsample(scale_factor=2.5, mode="nearest-exact"), RESIZE),
    (3, nn.Upsample(scale_factor=(2, 1.5, 0.5), mode="trilinear"), RESIZE),
    (3, nn.Upsample(scale_factor=2), RESIZE),
    (1, nn.Upsample(scale_factor=2.5, mode="nearest-exact"), RESIZE),
    (1, nn.Upsample(scale_factor=2, mode="linear", align_corners=True), RESIZE),
    (2, nn.Upsample(scale_factor=1.5, mode="bicubic"), RESIZE),
    (3, nn.Upsample(size=(9, 9, 9), mode="trilinear", align_corners=True), RESIZE),
    (1, call("interpolate", size=7, mode="area"), {"MatMul": 1}),
    (3, call("interpolate", size=(7, 4, 3), mode="area"), AVERAGE),
    (2, call("interpolate", size=(6, 24), mode="bilinear", antialias=True), RESIZE),
    (2, call("interpolate", size=(6, 24), mode="bicubic", antialias=True), RESIZE),
    (2, call("interpolate", size=(6, 5), mode="area"), {"MatMul": 2}),
    (2, call("interpolate", size=(6, 24), mode="lanczos", antialias=True), {"MatMul": 2}),
    (2, call("interpolate", size=(6, 1), mode="bilinear", antialias=True), {"MatMul": 2}),
    (2, call("interpolate", scale_factor=(1.02, 2), mode="bilinear"), {"MatMul": 2}),
    (3, call("interpolate", scale_factor=(1.1, 2, 1.1), mode="trilinear"), {"MatMul": 3, "Reshape": 2}),
    (1, call("interpolate", scale_factor=1.01), {"Gather": 1}),
    (2, call("interpolate", scale_factor=(15 / 13, 1.5)), {"Gather": 2}),  # 14 rows, in float32 15
    (2, call("interpolate", scale_factor=(17 / 13, 2), mode="bilinear"), {"MatMul": 2}),  # rounded to float32: 16
    (2, call("interpolate", scale_factor=(1, 2.05)), {"Gather": 1}),  # which torch takes for 2
    (1, nn.Subsample(3), {"Slice": 1}),
    (1, nn.Duplicate(3), RESIZE),
    (3, nn.Subsample((1, 2, 3)), {"Slice": 2}),
    (2, nn.Subsample((2, 3)), {"Slice": 2}),
    (2, nn.Duplicate((2, 3)), RESIZE),
    (3, nn.Duplicate(2), RESIZE),
    (1, nn.BilinearZeros(2), TRANSPOSED),
    (2, nn.BilinearZeros((2, 3)), TRANSPOSED),
    (3, nn.BilinearZeros((1, 2, 3)), TRANSPOSED),
    (2, nn.Unfold((2, 3), dilation=2, padding=1, stride=2), {"Conv": 1, "Reshape": 1}),
    (1, call("unfold", kernel_size=(3,), stride=2), {"Conv": 1, "Reshape": 1}),
    (3, call("unfold", kernel_size=(1, 2, 3), padding=(0, 1, 1)), {"Conv": 1, "Reshape": 1}),
    (1, PoolUnpool(1, kernel_size=2), UNPOOLED),
    (1, PoolUnpool(1, kernel_size=3, stride=2, padding=1), UNPOOLED),
    (2, PoolUnpool(2, kernel_size=2), UNPOOLED),
    (2, PoolUnpool(2, kernel_size=(3, 2), padding=1, indices=True), {**UNPOOLED, "Mod": 1}),
    (3, PoolUnpool(3, kernel_size=3, stride=2, padding=1), UNPOOLED),
    (2, Overhang(), {"Conv": 1, "Pad": 1, "MaxPool": 1, "Mod": 1, "Gather": 1, "MaxUnpool": 1, **OFFSETS}),
    (3, PoolUnpool(3, kernel_size=2, indices=True), {**UNPOOLED, "Mod": 1}),
]  # fmt: skip


class SideBySide(nn.Module):
    """Many modules on one input, so that they are exported at once."""

    def __init__(self, modules) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> list[list[torch.Tensor]]:
        return [flat(module(x)) for module in self.modules_]


def flat(outputs) -> list[torch.Tensor]:
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


class Exported:
    """The file of modules side by side, asked for the part of one of them."""

    def __init__(self, modules, shape: tuple[int, ...], path: Path, **options) -> None:
        self.shape, self.modules = shape, [module.eval() for module in modules]
        to_onnx(SideBySide(modules), torch.randn(shape), path, input_names=["x"], **options)
        self.graph = onnx.load(path).graph
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        with torch.no_grad():
            counts = [len(flat(module(torch.randn(shape)))) for module in self.modules]
        names = iter(output.name for output in self.graph.output)
        self.names = [[next(names) for _ in range(count)] for count in counts]

    def nodes(self, number: int) -> Node:
        """The nodes that the outputs of a module are made of; Identity where modules share their result."""
        wanted, kinds = set(self.names[number]), Counter()
        for node in reversed(self.graph.node):
            if wanted & set(node.output):
                wanted |= set(node.input)
                kinds[node.op_type] += node.op_type != "Identity"
        return dict(+kinds)

    def check(self, number: int, shape: tuple[int, ...], atol: float = 2e-5) -> None:
        """A module's numbers on another input."""
        x = torch.randn(shape)
        with torch.no_grad():
            expected = flat(self.modules[number](x))
        results = self.session.run(self.names[number], {"x": x.numpy()})
        for result, output in zip(results, expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(result), output, rtol=1e-5, atol=atol)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Exported]:
    """The modules of the table by their number of axes."""
    folder = tmp_path_factory.mktemp("table")
    return {
        axes: Exported([module for a, module, _ in TABLE if a == axes], (2, 4, *size), folder / f"{axes}.onnx")
        for axes, size in SIZES.items()
    }


def name(axes: int, module: nn.Module, number: int) -> str:
    function = module.function.__name__ if isinstance(module, Call) else type(module).__name__
    return f"{number}-{axes}d-{function}"


@pytest.mark.parametrize("number", range(len(TABLE)), ids=lambda i: name(*TABLE[i][:2], i))
def test_nodes_and_numbers(number: int, exported: dict[int, Exported]) -> None:
    axes, module, nodes = TABLE[number]
    all_of_them = exported[axes]
    index = [id(m) for m in all_of_them.modules].index(id(module))
    assert all_of_them.nodes(index) == nodes
    for batch in (1, 3, 7):
        all_of_them.check(index, (batch, 4, *SIZES[axes]))


class Folded(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.fold(x, (9, 8), (3, 2), stride=2, padding=1)


def test_fold(tmp_path: Path) -> None:
    fold = Exported([Folded()], (2, 4 * 6, 25), tmp_path / "net.onnx")
    assert fold.nodes(0) == {"ConvTranspose": 1, "Reshape": 1}
    fold.check(0, (5, 4 * 6, 25))


def test_every_layer_is_in_the_table_in_every_dimension() -> None:
    """Lazy layers have become others by then."""
    tried = {type(part).__name__ for _, module, _ in TABLE for part in module.modules()} | {"Fold"}
    tried |= {f"Lazy{kind}{axes}d" for kind in ("Conv", "ConvTranspose") for axes in SIZES}
    assert not set(nn.__all__) - tried


def test_every_operator_of_a_forward_pass_is_in_the_table() -> None:
    """Operators that only gradients are made of need no translation."""
    schemas = torch._C._jit_get_all_schemas()
    names = {schema.name.split("::")[1] for schema in schemas if schema.name.startswith("lightconv::")}
    parts = ("_adjoint", "_collect", "_input", "_spread", "_weight", "_winners")
    gradients = {name for name in names if name.endswith(parts)} | {"pick", "place", "block_sum"}
    assert {op._opname for op in table(20)} == names - gradients


class Unpooled(nn.Module):
    def forward(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        return F.max_unpool2d(x, indices, 2)


def test_indices_from_outside_count_each_plane(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    x, indices = F.max_pool2d(torch.randn(3, 4, 8, 10), 2, return_indices=True)
    report = to_onnx(Unpooled(), (x, indices), path)
    assert report.nodes["MaxUnpool"] == 1
    session = onnxruntime.InferenceSession(path)
    x, indices = F.max_pool2d(torch.randn(5, 4, 8, 10), 2, return_indices=True)
    (result,) = session.run(None, {"x": x.numpy(), "indices": indices.numpy()})
    np.testing.assert_array_equal(result, F.max_unpool2d(x, indices, 2))


class ToTheSizeOf(nn.Module):
    """A feature map of a later stage brought to the size of an earlier one."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(F.max_pool2d(x, 3), size=x.shape[2:], mode=self.mode)


OPEN = {"x": {2: "height", 3: "width"}}

DYNAMIC = [
    (nn.ConvMaxPoolReLU(4, 8, 3, padding="same"), {"Conv": 1, "MaxPool": 1, "Relu": 1}),
    (nn.MaxPool2d(3, 2, 1, ceil_mode=True), MAX),
    (nn.AvgPool2d(3, 2, 1, ceil_mode=True), AVERAGE),
    (nn.AvgPool2d(3, 2, 1, divisor_override=2), SCALED),
    (nn.AdaptiveAvgPool2d(1), {"GlobalAveragePool": 1}),
    (nn.AdaptiveMaxPool2d(1), {"GlobalMaxPool": 1}),
    (nn.AdaptiveMaxPool2d(1, return_indices=True), {"ArgMax": 1, "GlobalMaxPool": 1, "Reshape": 1, "Unsqueeze": 1}),
    (nn.Upsample(scale_factor=2, mode="bilinear"), RESIZE),
    (nn.UpsamplingBilinear2d(scale_factor=2), RESIZE),
    (nn.Upsample(size=(30, 20), mode="bicubic"), RESIZE),
    (nn.Duplicate(2), RESIZE),
    (nn.BilinearZeros(2), TRANSPOSED),
    (nn.Unfold(3), {"Conv": 1, "Reshape": 1}),
    (PoolUnpool(2, kernel_size=2), {**UNPOOLED, "Shape": 1}),
    (nn.Conv2d(4, 8, 3, padding=2, padding_mode="circular"), PADDED),
    (nn.Conv2d(4, 8, 4, padding="same", groups=2), CONV),
    (nn.ConvTranspose2d(4, 8, 3, stride=2, output_padding=1), TRANSPOSED),
    (nn.MaxPool2d(2, return_indices=True), {**INDICES, "ReduceProd": 1, "Shape": 1}),
    (nn.AvgPool2d(2, 3, 1, count_include_pad=False), AVERAGE),
    (nn.Upsample(scale_factor=(3, 2.5), mode="nearest"), RESIZE),
    (nn.Upsample(scale_factor=2.5, mode="nearest-exact"), RESIZE),
    (nn.Upsample(scale_factor=1.7, mode="bicubic"), RESIZE),
    (call("interpolate", size=(30, 20), mode="bilinear", antialias=True), RESIZE),
]

# sizes that are computed in the graph: how many nodes that takes is the exporter's affair
COMPUTED = [
    (nn.Subsample((2, 3)), "Slice"),
    (nn.UpsamplingBilinear2d(scale_factor=1.5), "Resize"),
    (ToTheSizeOf("nearest"), "Gather"),
    (ToTheSizeOf("nearest-exact"), "Gather"),
    (ToTheSizeOf("bilinear"), "Resize"),
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("open") / "net.onnx"
    return Exported([module for module, _ in DYNAMIC + COMPUTED], (2, 4, 12, 10), path, dynamic_axes=OPEN)


@pytest.mark.parametrize("number", range(len(DYNAMIC)), ids=lambda i: name(2, DYNAMIC[i][0], i))
def test_open_height_and_width(number: int, opened: Exported) -> None:
    assert opened.nodes(number) == DYNAMIC[number][1]
    for shape in ((1, 4, 12, 10), (3, 4, 17, 22), (2, 4, 8, 31)):
        opened.check(number, shape)


@pytest.mark.parametrize("number", range(len(COMPUTED)), ids=lambda i: name(2, COMPUTED[i][0], i))
def test_sizes_computed_in_the_graph(number: int, opened: Exported) -> None:
    assert COMPUTED[number][1] in opened.nodes(len(DYNAMIC) + number)
    for shape in ((1, 4, 12, 10), (3, 4, 17, 22), (2, 4, 82, 110), (1, 4, 123, 31)):
        opened.check(len(DYNAMIC) + number, shape, atol=1e-6 * max(shape))  # coordinates are float32


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Upsample(scale_factor=1.3, mode="bilinear"), "by 1.3, which onnxruntime rounds otherwise"),
        (nn.Upsample(scale_factor=2.05), "by 2.05, which onnxruntime rounds otherwise"),
        (nn.AdaptiveAvgPool2d(2), "fixed sizes for adaptive_avg_pool"),
        (nn.AdaptiveMaxPool2d(2), "fixed sizes for adaptive_max_pool"),
        (nn.AvgPool2d(2, ceil_mode=True, divisor_override=3), "fixed sizes for avg_pool"),
        (call("interpolate", size=(6, 6), mode="lanczos", antialias=True), "fixed sizes for resampling"),
    ],
)
def test_what_needs_fixed_sizes_is_refused(module: nn.Module, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        to_onnx(module, torch.randn(2, 4, 12, 10), tmp_path / "net.onnx", input_names=["x"], dynamic_axes=OPEN)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


# --- options drawn at random ---------------------------------------------------------------------------------------


def several(draw: random.Random, axes: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw.randint(low, high) for _ in range(axes))


def pooling(draw: random.Random, axes: int) -> dict:
    kernel = several(draw, axes, 1, 4)
    padding = tuple(draw.randint(0, k // 2) for k in kernel)
    return {"kernel_size": kernel, "stride": several(draw, axes, 1, 4), "padding": padding}


def convolution(draw: random.Random, axes: int) -> nn.Module:
    groups = draw.choice([1, 2, 4])
    mode = draw.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    same = draw.random() < 0.3
    return layer(
        "Conv", axes, in_channels=4, out_channels=8, groups=groups, padding_mode=mode, bias=draw.random() < 0.7,
        kernel_size=several(draw, axes, 1, 3), dilation=several(draw, axes, 1, 2),
        stride=1 if same else several(draw, axes, 1, 3), padding="same" if same else several(draw, axes, 0, 2),
    )  # fmt: skip


def transposed(draw: random.Random, axes: int) -> nn.Module:
    stride, dilation = several(draw, axes, 1, 3), several(draw, axes, 1, 2)
    rest = tuple(draw.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    return layer(
        "ConvTranspose", axes, in_channels=4, out_channels=8, groups=draw.choice([1, 2, 4]), stride=stride,
        kernel_size=several(draw, axes, 1, 3), dilation=dilation, padding=several(draw, axes, 0, 1),
        output_padding=rest,
    )  # fmt: skip


def maximum(draw: random.Random, axes: int) -> nn.Module:
    options = {"ceil_mode": draw.random() < 0.5, "return_indices": draw.random() < 0.5}
    return call("max_pool", axes, **pooling(draw, axes), dilation=several(draw, axes, 1, 2), **options)


def mean(draw: random.Random, axes: int) -> nn.Module:
    options = {"ceil_mode": draw.random() < 0.5, "count_include_pad": draw.random() < 0.5}
    if axes > 1 and draw.random() < 0.4:
        options["divisor_override"] = draw.randint(1, 9)
    return call("avg_pool", axes, **pooling(draw, axes), **options)


def adaptive(draw: random.Random, axes: int) -> nn.Module:
    size = several(draw, axes, 1, 9)
    size = size[0] if axes == 1 else size
    if draw.random() < 0.5:
        return call("adaptive_avg_pool", axes, output_size=size)
    return call("adaptive_max_pool", axes, output_size=size, return_indices=draw.random() < 0.5)


def resampling(draw: random.Random, axes: int) -> nn.Module:
    linear = {1: ["linear"], 2: ["bilinear", "bicubic", "lanczos"], 3: ["trilinear"]}[axes]
    mode = draw.choice(["nearest", "nearest-exact", "area", *linear])
    options: dict = {"mode": mode}
    if mode == "lanczos" or (mode in ("bilinear", "bicubic") and draw.random() < 0.4):
        options["antialias"] = True
    if mode in linear and mode != "lanczos":
        options["align_corners"] = draw.random() < 0.4
    if draw.random() < 0.5:
        options["size"] = several(draw, axes, 1, 20)
    else:
        options["scale_factor"] = tuple(
            draw.choice([0.5, 1.0, 2.0, 3.0, round(draw.uniform(0.3, 4), 2)]) for _ in range(axes)
        )
    return call("interpolate", **options)


def ours(draw: random.Random, axes: int) -> nn.Module:
    kind = draw.choice([nn.Subsample, nn.Duplicate, nn.BilinearZeros])
    return kind(several(draw, axes, 1, 4))


KINDS = [convolution, transposed, maximum, mean, adaptive, resampling, resampling, ours]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_random_options(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    axes = 1 + seed % 3
    shape = (2, 4, *several(draw, axes, 4, 12))
    modules: list[nn.Module] = []
    while len(modules) < 40:
        module = draw.choice(KINDS)(draw, axes)
        try:
            module(torch.randn(shape))
        except (RuntimeError, ValueError):
            continue  # an output without elements
        modules.append(module)
    exported = Exported(modules, shape, tmp_path / "net.onnx")
    for number in range(len(modules)):
        exported.check(number, (3, *shape[1:]))
