import pytest
import torch

import lightconv.nn as nn
from lightconv.tasks import MNIST1DClassifier, networks


@pytest.mark.parametrize(("name", "parameters"), [("book", 2050), ("light", 12130), ("tiny", 1855)])
def test_size_and_shape(name: str, parameters: int):
    network = MNIST1DClassifier.networks[name]()
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network(torch.randn(3, 1, 40)).shape == (3, 10)


@pytest.mark.parametrize("name", MNIST1DClassifier.networks)
def test_built_of_our_layers(name: str):
    convolutions = [m for m in MNIST1DClassifier.networks[name]().modules() if isinstance(m, torch.nn.Conv1d)]
    assert len(convolutions) >= 3
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
