"""Einstein's sum of two tensors as one matrix product, which all of torch's transformations know."""

import math

import torch
from torch import Tensor


def contract(equation: str, a: Tensor, b: Tensor) -> Tensor:
    """The same as `torch.einsum(equation, a, b)`, for letters that differ within each tensor.

    >>> contract("ij, jk -> ki", torch.tensor([[1, 2]]), torch.tensor([[3], [4]]))
    tensor([[11]])
    """
    operands, result = equation.replace(" ", "").split("->")
    left, right = operands.split(",")
    size = dict(zip(left + right, (*a.shape, *b.shape), strict=True))
    shared = [letter for letter in left if letter in right and letter in result]
    summed = [letter for letter in left if letter in right and letter not in result]
    of_a = [letter for letter in left if letter not in right]
    of_b = [letter for letter in right if letter not in left]

    def matrices(tensor: Tensor, letters: str, *axes: list[str]) -> Tensor:
        order = [letters.index(letter) for group in axes for letter in group]
        return tensor.permute(order).reshape([math.prod(size[letter] for letter in group) for group in axes])

    first, second = matrices(a, left, shared, of_a, summed), matrices(b, right, shared, summed, of_b)
    if a.dtype == torch.complex32:  # which has no products on a CPU
        product = (first.to(torch.complex64) @ second.to(torch.complex64)).to(a.dtype)
    else:
        product = first @ second
    found = shared + of_a + of_b
    return product.reshape([size[letter] for letter in found]).permute([found.index(letter) for letter in result])
