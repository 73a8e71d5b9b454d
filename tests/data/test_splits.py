import numpy as np
import pytest

from lightconv.data.splits import stratified_split

LABELS = np.random.default_rng(0).integers(0, 10, 997)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.29, 1 / 3, 0.5, 1.0])
def test_parts_are_disjoint_whole_and_in_proportion(share: float):
    chosen, rest = stratified_split(LABELS, share, seed=4)
    assert sorted([*chosen, *rest]) == list(range(len(LABELS)))
    assert len(chosen) == round(share * len(LABELS))
    wanted = share * np.bincount(LABELS)
    assert np.abs(np.bincount(LABELS[chosen], minlength=10) - wanted).max() <= 1.0 + 1e-9


def test_the_seed_decides():
    first, _ = stratified_split(LABELS, 0.1, seed=1)
    again, _ = stratified_split(LABELS, 0.1, seed=1)
    other, _ = stratified_split(LABELS, 0.1, seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_empty():
    chosen, rest = stratified_split(np.array([], dtype=int), 0.5, seed=0)
    assert len(chosen) == len(rest) == 0
