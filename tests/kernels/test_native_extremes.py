"""Strides, paddings and dilations far larger than the input: memory for them would end the process."""

import pytest
import torch
from test_native_conv import integers

import lightconv.functional as F

T = torch.nn.functional
HUGE = 2**30


def of(where, name, x, w, **options):
    x, w = x.clone().requires_grad_(), w.clone().requires_grad_()
    y = getattr(where, name)(x, w, **options)
    return y, *torch.autograd.grad(y.square().sum(), (x, w))


@pytest.mark.parametrize(
    ("name", "x", "w"),
    [
        ("conv1d", (2, 4, 8), (5, 4, 3)),
        ("conv2d", (2, 4, 5, 4), (5, 4, 3, 3)),
        ("conv_transpose2d", (2, 4, 1, 1), (4, 5, 3, 3)),
    ],
)
def test_the_stride_after_an_only_window_does_not_matter(variant, name, x, w):
    x, w = integers(*x, seed=0), integers(*w, seed=1)
    for ours, theirs in zip(of(F, name, x, w, stride=HUGE), of(T, name, x, w, stride=7), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "avg_pool2d"])
def test_nor_does_that_of_pooling(variant, name):
    x = integers(2, 3, *[8] * (1 if name == "max_pool1d" else 2), seed=0)
    gradients = []
    for where, stride in ((F, HUGE), (T, 8)):
        leaf = x.clone().requires_grad_()
        y = getattr(where, name)(leaf, 2, stride=stride)
        gradients += [y, *torch.autograd.grad(y.sum(), leaf)]
    for ours, theirs in zip(gradients[:2], gradients[2:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.conv2d(x, torch.ones(3, 2, 3, 3), dilation=HUGE, padding=HUGE),
        lambda x: F.conv2d(x, torch.ones(3, 2, 3, 3), stride=HUGE, padding=HUGE),
        lambda x: F.conv_transpose2d(x, torch.ones(2, 3, 3, 3), dilation=HUGE, padding=HUGE),
        lambda x: F.max_pool2d(x, HUGE, padding=HUGE // 2),
    ],
)
def test_more_than_memory_is_an_exception(variant, call):
    with pytest.raises(RuntimeError, match=r"allocate|overflow"):
        call(torch.ones(1, 2, 8, 8))


@pytest.mark.parametrize("size", [2**31, 2**70])
def test_numbers_that_no_kernel_counts_to_are_refused(size):
    with pytest.raises(RuntimeError, match=r"Expected `stride` to be below 2\^31, but got"):
        F.avg_pool2d(torch.ones(1, 1, 4, 4), 2, stride=size)
    with pytest.raises(RuntimeError, match=r"Expected `padding` to be below 2\^31"):
        F.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2), padding=(size,))
