from typing import Literal

import pytest
import torch

import lightconv.nn as nn
from lightconv.tasks import MNIST1DClassifier, networks
from lightconv.tasks.blocks import Residual


@pytest.mark.parametrize(("name", "parameters"), [("book", 2050), ("light", 12130), ("tiny", 1948)])
def test_size_and_shape(name: str, parameters: int):
    network = MNIST1DClassifier.networks[name]()
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network(torch.randn(3, 1, 40)).shape == (3, 10)


@pytest.mark.parametrize("name", MNIST1DClassifier.networks)
def test_built_of_our_layers(name: str):
    convolutions = [m for m in MNIST1DClassifier.networks[name]().modules() if isinstance(m, torch.nn.Conv1d)]
    assert len(convolutions) >= 2
    assert all(type(layer) is nn.Conv1d and type(layer) is not torch.nn.Conv1d for layer in convolutions)


def test_book_has_the_notebook_s_sizes():
    x, sizes = torch.randn(1, 1, 40), []
    for layer in networks.mnist1d_book():
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes[::2] == [(15, 19), (15, 9), (15, 4), (60,)]


@pytest.mark.parametrize("name", MNIST1DClassifier.networks)
def test_samples_of_a_batch_do_not_mix(name: str):
    network = MNIST1DClassifier.networks[name]().eval()
    x = torch.randn(4, 1, 40, requires_grad=True)
    network(x)[2].sum().backward()
    touched = x.grad.abs().sum((1, 2)) > 0
    assert touched.tolist() == [False, False, True, False]


@pytest.mark.parametrize("name", MNIST1DClassifier.networks)
def test_every_parameter_gets_a_gradient(name: str):
    torch.manual_seed(0)
    network = MNIST1DClassifier.networks[name]()
    network(torch.randn(16, 1, 40)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_residual_network_ignores_where_the_shape_is():
    network = networks.mnist1d_light().eval()
    bump = torch.zeros(1, 1, 40)
    bump[..., 15:20] = torch.randn(5)
    with torch.no_grad():
        # Padding is felt within 10 samples of the border.
        assert torch.allclose(network(bump), network(bump.roll(3, dims=-1)), atol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_repeated_convolution_is_one_and_its_normalisations_are_not(dimensions: Literal[1, 2]):
    block = Residual(3, kernel_size=5, times=2, dimensions=dimensions).eval()
    with torch.no_grad():
        for norm in block.norms:
            norm.running_mean.normal_()
    x = torch.randn(2, 3, *[11] * dimensions)
    first = (x + block.norms[0](block.conv(x))).relu()
    assert torch.equal(block(x), (first + block.norms[1](block.conv(first))).relu())
    assert sum(parameter.numel() for parameter in block.parameters()) == 3 * 3 * 5**dimensions + 2 * 2 * 3
