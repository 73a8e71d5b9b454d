"""Networks not written here: a residual network of torchvision, a SegNet, a U-Net."""

from pathlib import Path

import pytest
import torch
import torchvision

import lightconv
import lightconv.nn as nn
from lightconv.deploy import to_onnx


def settled(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """In evaluation mode, with statistics of batch normalisation that fit its weights."""
    with torch.no_grad():
        net.train()(x)
    return net.eval()


def test_a_converted_residual_network_is_as_large_as_torch_exports_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    block = torchvision.models.resnet.BasicBlock
    x = torch.randn(2, 3, 64, 64)
    net = settled(torchvision.models.ResNet(block, [1, 1, 1, 1], num_classes=10), x)
    ours = lightconv.convert(net)
    report = to_onnx(ours, x, tmp_path / "ours.onnx")
    convolutions = sum(isinstance(part, torch.nn.Conv2d) for part in net.modules())
    assert report.nodes["Conv"] == convolutions
    assert report.nodes.keys() <= {"Conv", "Relu", "Add", "MaxPool", "GlobalAveragePool", "Flatten", "Reshape", "Gemm"}
    torch.onnx.export(net, (x,), tmp_path / "theirs.onnx", opset_version=20, external_data=False, verbose=False)
    assert report.size <= (tmp_path / "theirs.onnx").stat().st_size


class SegNet(nn.Module):
    """Two stages down, two up, unpooling with the indices of the way down."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([self.stage(3, 8), self.stage(8, 16)])
        self.up = nn.ModuleList([self.stage(16, 8), self.stage(8, 4)])
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)

    @staticmethod
    def stage(before: int, after: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = []
        for stage in self.down:
            x = stage(x)
            size = x.shape
            x, indices = self.pool(x)
            pooled.append((indices, size))
        for stage, (indices, size) in zip(self.up, reversed(pooled), strict=True):
            x = stage(self.unpool(x, indices, output_size=size))
        return x


class UNet(nn.Module):
    """One stage down and up, bilinear."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 8, 3, padding=1)
        self.last = nn.Conv2d(12, 2, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        y = self.up(self.inner(self.pool(x)).relu())
        return self.last(torch.cat([x, y], 1))


@pytest.mark.parametrize("opened", [False, True])
def test_segmentation_networks(opened: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    axes = {"x": {2: "height", 3: "width"}} if opened else None
    x = torch.randn(2, 3, 24, 32)
    report = to_onnx(settled(SegNet(), x), x, tmp_path / "segnet.onnx", dynamic_axes=axes)
    expected = {"Conv": 4, "Relu": 4, "MaxPool": 2, "MaxUnpool": 2}
    assert {kind: report.nodes[kind] for kind in expected} == expected
    assert set(report.nodes) - set(expected) == ({"Shape"} if opened else set())
    report = to_onnx(UNet(), torch.randn(1, 1, 16, 24), tmp_path / "unet.onnx", dynamic_axes=axes)
    assert report.nodes == {"Concat": 1, "Conv": 3, "MaxPool": 1, "Relu": 2, "Resize": 1}
