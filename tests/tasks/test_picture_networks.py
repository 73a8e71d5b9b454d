import pytest
import torch

import lightconv.nn as nn
from lightconv.tasks import MNIST100Classifier, MNISTClassifier, networks
from lightconv.tasks.blocks import DigitByDigit, Patterns, TensAndUnits

SIZES = [
    (MNISTClassifier, "book", 21_840),
    (MNISTClassifier, "light", 28_434),
    (MNISTClassifier, "tiny", 9_402),
    (MNIST100Classifier, "original", 851_430),
    (MNIST100Classifier, "v1", 318_470),
    (MNIST100Classifier, "v2", 174_550),
    (MNIST100Classifier, "light", 18_682),
    (MNIST100Classifier, "tiny", 9_402),
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.mark.parametrize(("kind", "name", "parameters"), SIZES)
def test_size_and_shape(kind: type, name: str, parameters: int):
    classifier = kind(network=name)
    assert sum(parameter.numel() for parameter in classifier.parameters()) == parameters
    raw = torch.randint(256, (2, *kind.raw_shape), dtype=torch.uint8)
    logits = classifier(classifier.preprocess(raw))
    assert logits.shape == (2, len(kind.class_names))
    logits.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in classifier.parameters())


def test_all_networks_are_listed_above():
    for kind in (MNISTClassifier, MNIST100Classifier):
        assert set(kind.networks) == {name for other, name, _ in SIZES if other is kind}


@pytest.mark.parametrize(("kind", "name", "_"), SIZES)
def test_built_of_our_layers(kind: type, name: str, _: int):
    layers = [m for m in kind.networks[name]().modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.MaxPool2d))]
    assert len(layers) >= 2
    assert all(type(layer).__module__.startswith("lightconv.nn") for layer in layers)


@pytest.mark.parametrize("name", ["book", "original", "v1", "v2"])
def test_plain_networks_equal_torch_s_layers_in_the_notebook_s_order(name: str):
    kind = MNISTClassifier if name == "book" else MNIST100Classifier
    network = kind.networks[name]()
    blocks = [m for m in network if isinstance(m, nn.ConvMaxPoolReLU)]
    layers: list[torch.nn.Module] = []
    for i, block in enumerate(blocks):
        conv = torch.nn.Conv2d(block.in_channels, block.out_channels, 5)
        conv.load_state_dict(block.state_dict())
        layers += [conv, *([torch.nn.Dropout2d()] if i == 1 else []), torch.nn.MaxPool2d(2), torch.nn.ReLU()]
    reference = torch.nn.Sequential(*layers, *network[-4:])
    x = torch.randn(2, 1, *((28, 28) if name == "book" else (128, 128)))
    for mode in (False, True):
        torch.manual_seed(1)
        expected = reference.train(mode)(x)
        torch.manual_seed(1)
        assert torch.allclose(network.train(mode)(x), expected, atol=1e-5)
    assert not torch.equal(network.eval()(x), expected), "dropout is at work in training"


@pytest.mark.parametrize("name", ["book", "original", "v1", "v2"])
def test_linear_layers_of_the_notebook_are_he_initialised(name: str):
    network = (MNISTClassifier if name == "book" else MNIST100Classifier).networks[name]()
    for linear in (m for m in network if isinstance(m, torch.nn.Linear)):
        assert not linear.bias.any()
        assert linear.weight.std().item() == pytest.approx((2 / linear.in_features) ** 0.5, rel=0.1)
        assert linear.weight.abs().max() <= (6 / linear.in_features) ** 0.5


@pytest.mark.parametrize(("kind", "name"), [(MNISTClassifier, "tiny"), (MNIST100Classifier, "tiny")])
def test_samples_of_a_batch_do_not_mix(kind: type, name: str):
    network = kind.networks[name]().eval()
    x = torch.randn(4, 1, *kind.raw_shape, requires_grad=True)
    network(x)[2].sum().backward()
    assert (x.grad.abs().sum((1, 2, 3)) > 0).tolist() == [False, False, True, False]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_patterns_are_a_depthwise_convolution(parts: int):
    patterns, x = Patterns(5, size=7), torch.randn(4, 5, 7, 7 * parts)
    expected = torch.nn.functional.conv2d(x, patterns.weight.unsqueeze(1), stride=7, groups=5).squeeze(2)
    assert torch.allclose(patterns(x), expected, atol=1e-5)


def test_both_digits_are_seen_alike():
    features = networks.compact((16, 16), (16,)).eval()
    one = torch.zeros(1, 1, 28, 56)
    one[..., 8:20, 8:20] = torch.rand(12, 12)
    with torch.no_grad():
        left, right = (features(x) for x in (one, one.roll(28, dims=3)))
    assert left.shape == (1, 16, 2)
    assert torch.allclose(left, right.flip(2), atol=1e-6)
    assert not torch.allclose(left[..., 0], left[..., 1], atol=1e-3)


def test_one_more_convolution_used_several_times():
    once, thrice = (networks.mnist100_light(quarter=(32,), times=times) for times in (1, 3))
    assert [sum(p.numel() for p in network.parameters()) for network in (once, thrice)] == [18_682, 18_810]
    x = torch.randn(2, 1, 28, 56)
    assert thrice(x).shape == (2, 100)
    thrice.load_state_dict(once.state_dict(), strict=False)
    assert not torch.allclose(once(x), thrice(x), atol=1e-3)


def test_probabilities_of_numbers_are_products_of_those_of_digits():
    head, x = TensAndUnits(3), torch.randn(3, 3, 2)
    tens, units = (part.softmax(1) for part in head.linear(x.flatten(1)).split(10, dim=1))
    expected = torch.einsum("nt,nu->ntu", tens, units).flatten(1)
    assert torch.allclose(head(x).softmax(1), expected, atol=1e-6)


def test_variations_of_the_notebook_s_network():
    def network(**options: object) -> torch.nn.Module:
        return MNIST100Classifier("v2", network_options=options).network

    layers = [type(layer).__name__ for layer in network(dropout=0.0, norm=True)[0]]
    assert layers == ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]
    assert not any(isinstance(layer, torch.nn.Dropout2d) for layer in network(dropout=0.0))
    assert isinstance(network(norm=True)[2], torch.nn.Dropout2d)
    convolution, linear = network(he="all")[1], network(he="none")[-1]
    assert not convolution.bias.any()
    assert convolution.weight.abs().max() > 2 * (1 / 250) ** 0.5, "torch's bound is (1 / 250) ** 0.5, He's 2.4 times it"
    assert linear.bias.any()
    assert linear.weight.abs().max() <= (1 / 50) ** 0.5


def test_a_cut_picture_is_two_digits():
    network = networks.mnist100_tiny(cut=True).eval()
    x = torch.randn(3, 1, 28, 56)
    features = network[0].network
    with torch.no_grad():
        expected = torch.cat([features(x[..., :28]), features(x[..., 28:])], dim=2)
        assert torch.allclose(network[0](x), expected, atol=1e-5)
        x[..., 28:] = 0
        assert torch.allclose(network[0](x)[..., 0], expected[..., 0], atol=1e-5), "the left half alone decides"


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"half": [2, 4], "quarter": [], "kernel_size": 3, "pool": 7}, 176),
        ({"cut": True}, 9_402),
        ({"quarter": [16], "head": "plain"}, 9_220),
        ({"quarter": [16], "head": "tens_and_units"}, 6_580),
    ],
)
def test_variations_of_ours(options: dict, parameters: int):
    classifier = MNIST100Classifier("tiny", network_options=options)
    assert sum(parameter.numel() for parameter in classifier.parameters()) == parameters
    assert classifier(torch.randn(2, 1, 28, 56)).shape == (2, 100)


def test_digit_by_digit_reads_both_alike():
    head, x = DigitByDigit(5), torch.randn(3, 5, 2)
    tens, units = head.linear(x[..., 0]).softmax(1), head.linear(x[..., 1]).softmax(1)
    probabilities = head(x).softmax(1).unflatten(1, (10, 10))
    assert torch.allclose(probabilities, tens[:, :, None] * units[:, None], atol=1e-6)
    assert torch.allclose(head(x.flip(2)).unflatten(1, (10, 10)), head(x).unflatten(1, (10, 10)).mT, atol=1e-6)
