"""Models that other people might have written with torch.nn, small enough to test with."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.models.segmentation.fcn import FCNHead


class SegNet(nn.Module):
    """Badrinarayanan et al. (2015) in small: every max-pooling hands its indices to an unpooling."""

    def __init__(self, channels: tuple[int, ...] = (3, 8, 12)) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        pairs = list(itertools.pairwise(channels))
        self.down = nn.ModuleList(self.stage(a, b) for a, b in pairs)
        self.up = nn.ModuleList(self.stage(b, a) for a, b in reversed(pairs))
        self.head = nn.Conv2d(channels[0], 4, 1)

    @staticmethod
    def stage(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for stage in self.down:
            x = stage(x)
            size = x.shape
            x, indices = self.pool(x)
            kept.append((indices, size))
        for stage, (indices, size) in zip(self.up, reversed(kept), strict=True):
            x = stage(self.unpool(x, indices, output_size=size[2:]))
        return self.head(x)


class Segmenter(nn.Module):
    """A strided backbone, a head of torchvision's, and bilinear upsampling back to the size of the picture."""

    def __init__(self, head: nn.Module, layer: bool) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2),
            nn.ReLU(inplace=True),
        )
        self.head = head
        self.up = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False) if layer else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.backbone(x))
        if self.up is not None:
            return self.up(y)
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


def _torchvision(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(num_classes=10, **options)


# name, how to make it, size of its pictures
MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (_torchvision("resnet18"), 32),
    "mobilenet_v3_small": (_torchvision("mobilenet_v3_small"), 32),
    "vgg11_bn": (lambda: narrow_vgg(), 32),
    "squeezenet1_1": (_torchvision("squeezenet1_1"), 48),
    "fcn_head": (lambda: Segmenter(FCNHead(8, 4), layer=True), 32),
    "deeplab_head": (lambda: Segmenter(nn.Sequential(ASPP(8, [2, 4], 8), nn.Conv2d(8, 4, 1)), layer=False), 32),
    "segnet": (SegNet, 32),
}


def narrow_vgg() -> nn.Module:
    """vgg11_bn as torchvision makes it, with a classifier of 64 units in place of 4096."""
    model = torchvision.models.vgg11_bn(num_classes=10, init_weights=False)
    model.avgpool = nn.AdaptiveAvgPool2d(2)
    model.classifier = nn.Sequential(nn.Linear(512 * 4, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 10))
    return model


def unlike_new(model: nn.Module) -> nn.Module:
    """The model with batch statistics as if it had been trained."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return model


def make(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    """A model with reproducible random weights, and a batch for it."""
    torch.manual_seed(0)
    builder, size = MODELS[name]
    return unlike_new(builder().to(dtype)), torch.randn(2, 3, size, size, dtype=dtype)
