"""Dividing a labelled data set so that each part has the classes in the same proportion."""

import numpy as np


def stratified_split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a random ``share`` of the samples, and of the rest, both in ascending order.

    Exactly ``round(share * N)`` of the N samples are chosen, and of each class its share, rounded up or down: the
    samples are shuffled, sorted by class, and every ``1 / share``-th of that row is taken. The outcome depends on
    the arguments alone.

    >>> chosen, rest = stratified_split(np.array([0, 0, 0, 0, 1, 1, 1, 1]), share=0.25, seed=0)
    >>> len(chosen), len(rest)
    (2, 6)
    """
    count = len(labels)
    wanted = round(share * count)
    row = np.random.default_rng(seed).permutation(count)
    row = row[np.argsort(labels[row], kind="stable")]
    taken = np.diff(np.arange(count + 1) * wanted // max(count, 1)).astype(bool)
    return np.sort(row[taken]), np.sort(row[~taken])
