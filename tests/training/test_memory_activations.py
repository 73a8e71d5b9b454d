"""What a training step of the report's network keeps for the backward pass, beside torch.nn's."""

import torch
from torch.nn import functional as F

import lightconv
from lightconv.tasks.networks import mnist100_original


def saved_bytes(network, pictures):
    """Bytes that the forward pass saves, parameters aside."""
    known = {p.untyped_storage()._cdata for p in network.parameters()}
    storages = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = F.cross_entropy(network(pictures), torch.zeros(len(pictures), dtype=torch.int64))
    loss.backward()
    return sum(storage.nbytes() for storage in storages.values())


def torch_original():
    """As notebook 10.5 writes it."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 10, 5),
        torch.nn.MaxPool2d(2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(10, 20, 5),
        torch.nn.Dropout2d(),
        torch.nn.MaxPool2d(2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(20 * 29 * 29, 50),
        torch.nn.ReLU(),
        torch.nn.Linear(50, 100),
    )


def test_at_most_a_third_of_torch_nn():
    pictures = torch.rand(64, 1, 128, 128)
    ours, theirs = mnist100_original(), torch_original()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    torch.testing.assert_close(theirs.eval()(pictures[:2]), ours.eval()(pictures[:2]), rtol=1e-3, atol=1e-4)
    theirs.train(), ours.train()
    kept = saved_bytes(ours, pictures)
    assert 3 * kept <= saved_bytes(theirs, pictures)
    with lightconv.backend("definition"):
        assert saved_bytes(ours, pictures) == kept
