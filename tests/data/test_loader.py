import pytest
import torch

from lightconv.data import BatchLoader


def order(loader: BatchLoader) -> list[int]:
    return torch.cat([batch for (batch,) in loader]).tolist()


def test_batches_are_slices_of_all_tensors_together():
    x, y = torch.randn(7, 1, 3), torch.arange(7)
    batches = list(BatchLoader(x, y, batch_size=3))
    assert [len(labels) for _, labels in batches] == [3, 3, 1]
    for values, labels in batches:
        assert torch.equal(values, x[labels])


def test_no_batch_of_one_is_trained_on():
    loader = BatchLoader(torch.arange(9), batch_size=4, shuffle=True)
    assert [len(batch) for (batch,) in loader] == [4, 5]
    assert len(loader) == 2
    assert sorted(order(loader)) == list(range(9))
    assert [len(batch) for (batch,) in BatchLoader(torch.arange(9), batch_size=4)] == [4, 4, 1], "elsewhere it may be"
    assert [len(batch) for (batch,) in BatchLoader(torch.arange(3), batch_size=1, shuffle=True)] == [1, 1, 1], (
        "asked for"
    )
    assert [len(batch) for (batch,) in BatchLoader(torch.arange(1), batch_size=4, shuffle=True)] == [1], "all there is"


def test_order_is_a_function_of_seed_and_epoch():
    def make(seed: int, epoch: int) -> list[int]:
        loader = BatchLoader(torch.arange(50), batch_size=8, shuffle=True, seed=seed)
        loader.set_epoch(epoch)
        torch.rand(seed + epoch)  # what happens elsewhere must not matter
        return order(loader)

    orders = {(seed, epoch): make(seed, epoch) for seed in (0, 1) for epoch in (0, 1)}
    assert len(set(map(tuple, orders.values()))) == 4
    assert all(sorted(o) == list(range(50)) for o in orders.values())
    assert all(make(*key) == o for key, o in orders.items())


def test_earlier_epochs_do_not_matter():
    straight = BatchLoader(torch.arange(20), batch_size=5, shuffle=True, seed=3)
    for epoch in range(4):
        straight.set_epoch(epoch)
        last = order(straight)
    resumed = BatchLoader(torch.arange(20), batch_size=5, shuffle=True, seed=3)
    resumed.set_epoch(3)
    assert order(resumed) == last


def test_shuffling_leaves_the_global_random_state():
    before = torch.get_rng_state()
    list(BatchLoader(torch.arange(10), batch_size=3, shuffle=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("count", [10, 11, 12, 13])
@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_no_sample(count: int, shuffle: bool):
    loaders = [
        BatchLoader(torch.arange(count), batch_size=2, shuffle=shuffle, rank=rank, world_size=3) for rank in range(3)
    ]
    orders = [order(loader) for loader in loaders]
    seen = sorted(index for own in orders for index in own)
    assert len(set(seen)) == len(seen)
    if shuffle:
        assert len(seen) == count - count % 3
        assert len({len(loader) for loader in loaders}) == 1, "every process must take equally many steps"
    else:
        assert seen == list(range(count))


@pytest.mark.parametrize("count", range(9))
@pytest.mark.parametrize("shuffle", [True, False])
def test_length_is_the_number_of_batches(count: int, shuffle: bool):
    for world_size in (1, 2, 3):
        for rank in range(world_size):
            loader = BatchLoader(torch.arange(count), batch_size=2, shuffle=shuffle, rank=rank, world_size=world_size)
            assert len(loader) == sum(len(batch) > 0 for (batch,) in loader)


@pytest.mark.parametrize(
    ("tensors", "options", "named"),
    [
        ((torch.zeros(3), torch.zeros(4)), {}, r"lengths \[3, 4\]"),
        ((torch.zeros(3),), {"batch_size": 0}, "`batch_size`"),
        ((torch.zeros(3),), {"rank": 2, "world_size": 2}, "`rank`"),
    ],
)
def test_wrong_arguments(tensors: tuple, options: dict, named: str):
    with pytest.raises(ValueError, match=named):
        BatchLoader(*tensors, **{"batch_size": 1, **options})
