"""What docs/your_own.md tells those who change a definition: where it runs as it stands."""

import pytest
import torch

import lightconv
import lightconv.functional as F
from lightconv.functional import convolution
from lightconv.functional.dispatch import Operation


def test_a_changed_definition(monkeypatch: pytest.MonkeyPatch):
    x, w = torch.ones(1, 1, 6, 6), torch.ones(1, 1, 3, 3)
    convolve = convolution._convolve
    monkeypatch.setattr(convolution, "_convolve", lambda *args: 2 * convolve(*args))
    plain = Operation(
        "changed_conv",
        "(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] pads, SymInt[] dilation, "
        "SymInt groups) -> Tensor",
        definition=convolution._conv_definition,
        shape=convolution._conv_shape,
        save=convolution._save_pair,
        gradient=convolution._conv_gradient,
    )
    with lightconv.backend("definition"):
        assert (F.conv2d(x, w) == 9).all()
        assert (torch.func.vmap(lambda x: F.conv2d(x, w))(x[None]) == 18).all()
        assert (plain(x, w, None, (1, 1), (0, 0, 0, 0), (1, 1), 1) == 18).all()
