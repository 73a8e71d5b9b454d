"""The layers that enlarge, beyond the contract."""

import pytest
import torch

from lightconv import nn


def test_layers_are_torchs_and_show_their_arguments():
    assert isinstance(nn.UpsamplingBilinear2d(scale_factor=2), torch.nn.UpsamplingBilinear2d)
    assert isinstance(nn.UpsamplingNearest2d(scale_factor=2), nn.Upsample)
    assert repr(nn.Upsample(scale_factor=(2, 3), mode="bicubic")) == "Upsample(scale_factor=(2.0, 3.0), mode='bicubic')"
    assert repr(nn.Duplicate()) == "Duplicate(factor=2)"
    assert repr(nn.BilinearZeros((2, 3))) == "BilinearZeros(factor=(2, 3))"


@pytest.mark.parametrize("recompute", [None, False, True])
def test_upsample_passes_every_argument_on(recompute):
    x = torch.randn(2, 3, 5, 7)
    options = {"scale_factor": (1.7, 2.2), "mode": "bicubic", "recompute_scale_factor": recompute}
    torch.testing.assert_close(nn.Upsample(**options)(x), torch.nn.Upsample(**options)(x), atol=1e-5, rtol=1e-5)
    options = {"size": (9, 4), "mode": "bilinear", "align_corners": True}
    torch.testing.assert_close(nn.Upsample(**options)(x), torch.nn.Upsample(**options)(x))


def test_own_layers_take_a_factor_for_each_axis():
    x = torch.randn(2, 3, 5, 7)
    assert nn.Duplicate((1, 3))(x).shape == (2, 3, 5, 21)
    assert nn.BilinearZeros((3, 1))(x).shape == (2, 3, 15, 7)
