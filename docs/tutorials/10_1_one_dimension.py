# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10.1 One dimension
#
# A convolution slides a small set of weights along a signal. Kernel size, stride and dilation say which samples each
# output reads; written out, the same thing is a matrix; and two in a row are sometimes one. This page goes with
# section 10.2 of S. J. D. Prince, *Understanding Deep Learning* (MIT Press, 2023), and with its notebook 10.1.

# %%
import lightconv
import lightconv.functional as F
import lightconv.nn as nn
import matplotlib.pyplot as plt
import torch
from lightconv import reference

from drawing import BLUE, GREEN, INK, ORANGE, WIDTH, numbers, stems, wires

signal = [5.2, 5.3, 5.4, 5.1, 10.1, 10.3, 9.9, 10.3, 3.2, 3.4, 3.3, 3.1]
x = torch.tensor([[signal]])  # (batch, channels, samples)

figure, axes = plt.subplots(figsize=(WIDTH / 1.6, 2))
stems(axes, x, "the signal of notebook 10.1: three levels and some noise", BLUE)
plt.show()

# %% [markdown]
# ## One weighted sum, at every place
#
# With three weights, and zeros beyond both ends so that the result is as long as the signal, output $o$ is
#
# $$y_o = \omega_1 x_{o-1} + \omega_2 x_o + \omega_3 x_{o+1}.$$
#
# As loops it is `reference.conv_3_1_1_zp`: kernel size 3, stride 1, dilation 1, zero padding. As a layer it is
# `conv1d`. They agree, and the numbers can be followed with a pencil.

# %%
smooth = torch.full((1, 1, 3), 0.33)  # (channels out, channels in, kernel size)
by_layer = F.conv1d(x, smooth, padding=1)
by_loops = reference.conv_3_1_1_zp(signal, [0.33, 0.33, 0.33])

assert torch.allclose(by_layer.flatten().double(), torch.from_numpy(by_loops))
print(f"first output: 0.33 * (0 + 5.2 + 5.3) = {by_layer[0, 0, 0]:.3f}")
print(f"all outputs together: {by_layer.sum():.1f}")

# %% [markdown]
# Equal weights smooth. Weights of opposite sign find where the signal *changes*, and give nearly nothing where it
# does not. That is all a convolutional network can do at first: ask every place the same small question.

# %%
edges = torch.tensor([[[-0.5, 0.0, 0.5]]])

figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.4), sharey=True)
stems(left, by_layer, "weights ⅓, ⅓, ⅓: smoother", ghost=x)
stems(
    right,
    F.conv1d(x, edges, padding=1),
    "weights −½, 0, ½: where it changes",
    GREEN,
    ghost=x,
)
plt.show()

# %% [markdown]
# At the right end the second picture shows a drop that is not in the signal: there the kernel reads the zero of the
# padding. Zero padding is convenient, not innocent; it comes back below.
#
# ## Kernel size, stride, dilation
#
# The three numbers decide the wiring. Above are the samples, below the outputs; one output's wires are drawn in
# orange, and hollow dots are padding.

# %%
figure, grid = plt.subplots(2, 2, figsize=(WIDTH, 3.6))
wires(grid[0, 0], 9, 3, title="kernel size 3")
wires(grid[0, 1], 9, 3, stride=2, title="kernel size 3, stride 2")
wires(grid[1, 0], 9, 5, title="kernel size 5")
wires(grid[1, 1], 9, 3, dilation=2, title="kernel size 3, dilation 2")
plt.show()

# %% [markdown]
# Dilation 2 reaches as far as kernel size 5 with three weights instead of five. Stride 2 computes every other output
# and so halves the length. With padding $p$, kernel size $k$, dilation $d$ and stride $s$, a signal of $n$ samples
# becomes
#
# $$\left\lfloor \frac{n + 2p - d\,(k - 1) - 1}{s} \right\rfloor + 1.$$

# %%
fifths = torch.full((1, 1, 5), 0.2)
variants = {
    "kernel size 3": F.conv1d(x, smooth, padding=1),
    "kernel size 3, stride 2": F.conv1d(x, smooth, padding=1, stride=2),
    "kernel size 5": F.conv1d(x, fifths, padding=2),
    "kernel size 3, dilation 2": F.conv1d(x, smooth, padding=2, dilation=2),
}
figure, grid = plt.subplots(1, 4, figsize=(WIDTH, 2.2), sharey=True)
for axes, (name, y) in zip(grid, variants.items(), strict=True):
    stems(axes, y, f"{name}\n{y.shape[-1]} outputs, sum {y.sum():.1f}")
plt.show()

assert [f"{y.sum():.1f}" for name, y in variants.items() if "stride" not in name] == [
    "71.1",
    "69.6",
    "68.3",
]

# %% [markdown]
# ## The matrix
#
# Each output is a weighted sum of samples, so the whole layer is a matrix, mostly zeros, with the same weights in
# every row. `conv_matrix` writes it down, for any stride and dilation. It is what a fully connected layer would have
# to *learn*: 144 numbers instead of 3, and nothing would tell it that all places are alike.

# %%
weights = torch.tensor([[[1.0, 2.0, 3.0]]])  # three that one can tell apart


def matrix_of(weight, **options):
    """The convolution's matrix for our 12 samples, dense."""
    return lightconv.conv_matrix(weight, (1, 12), layout=torch.strided, **options)


figure, grid = plt.subplots(1, 3, figsize=(WIDTH, 3.2))
numbers(grid[0], matrix_of(weights, padding=1), "padding 1")
numbers(grid[1], matrix_of(weights, padding=1, stride=2), "padding 1, stride 2")
numbers(grid[2], matrix_of(weights, padding=2, dilation=2), "padding 2, dilation 2")
plt.show()

matrix = matrix_of(smooth, padding=1)
assert torch.allclose(matrix @ x.flatten(), by_layer.flatten())
assert torch.equal(
    matrix_of(weights, padding=1).double(),
    torch.from_numpy(reference.get_conv_mat_3_1_1_zp(12, [1, 2, 3])),
)

# %% [markdown]
# Turned over, the matrix has a name too. Its transpose maps outputs back to inputs: that is the *transposed
# convolution*, and also how gradients flow back through the layer.

# %%
y = F.conv1d(x, smooth, stride=2, padding=1)
back = F.conv_transpose1d(y, smooth, stride=2, padding=1, output_padding=1)
assert torch.allclose(
    matrix_of(smooth, stride=2, padding=1).T @ y.flatten(), back.flatten(), atol=1e-6
)
print(
    "transposed convolution = transposed matrix:",
    tuple(y.shape),
    "to",
    tuple(back.shape),
)

# %% [markdown]
# ## Two convolutions as one
#
# The notebook closes with a question: convolve twice, is that one convolution? Two matrices in a row are one matrix,
# so *something* single does it. In the interior it is a convolution, whose kernel is one kernel convolved with the
# other. At the border, with zero padding, it is not.

# %%
twice = F.conv1d(F.conv1d(x, smooth, padding=1), smooth, padding=1)
both = (
    torch.from_numpy(reference.two_convolutions_as_one([0.33] * 3, [0.33] * 3))
    .float()
    .view(1, 1, 5)
)
once = F.conv1d(x, both, padding=2)

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(WIDTH, 2.4), width_ratios=(1, 2, 2)
)
stems(left, both, "the kernel of both", INK)
stems(middle, twice, "twice (orange), once (blue)")
middle.plot(once.flatten(), "o", mfc="none", mec=BLUE, markersize=9)
stems(right, once - twice, "the difference", ORANGE)
plt.show()

difference = (once - twice).flatten()
assert difference[1:-1].abs().max() < 1e-5
assert difference[0] > 0.5

# %% [markdown]
# Going on past the end, the first convolution would have given $0.33\,x_1$ at the place before the first, for its
# window still reaches into the signal there. The second convolution reads a zero instead. What is lost is
# $0.33^2 x_1 = 0.566$ on the left and $0.33^2 x_{12} = 0.338$ on the right.
#
# `lightconv.compose` merges two layers where that is exact, and otherwise says why not.

# %%
padded = nn.Conv1d(1, 1, 3, padding=1, bias=False)
valid = nn.Conv1d(1, 1, 3, bias=False)  # no padding: nothing to lose
for layer in (padded, valid):
    torch.nn.init.constant_(layer.weight, 0.33)

merged = lightconv.compose(valid, valid)
assert torch.allclose(merged(x), valid(valid(x)), atol=1e-5)
print("without padding:", merged)

try:
    lightconv.compose(padded, padded)
except ValueError as reason:
    print("with padding:", reason)

# %% [markdown]
# ## Your turn
#
# Smooth with three thirds, then smooth the result with three thirds again, but now with *dilation 2*; no padding
# anywhere. Which single kernel does both? Put its weights into `answer`, a list.

# %%
third = torch.full((1, 1, 3), 1 / 3)


def check(answer):
    """Compare on signals that nobody has seen."""
    if answer is None:
        print("Not yet: put the kernel's weights into `answer`.")
        return
    tests = torch.randn(5, 1, 30)
    wanted = F.conv1d(F.conv1d(tests, third), third, dilation=2)
    kernel = torch.tensor([[list(answer)]], dtype=torch.float32)
    got = F.conv1d(tests, kernel)
    assert got.shape == wanted.shape, (
        f"The results should have {wanted.shape[-1]} samples, not {got.shape[-1]}."
    )
    assert torch.allclose(got, wanted, atol=1e-5), (
        "The length is right, the weights are not yet."
    )
    print("Right.")


answer = None
check(answer)

# %% [markdown]
# The second kernel, with its gaps, is ⅓, 0, ⅓, 0, ⅓. Convolving it with ⅓, ⅓, ⅓ puts three thirds of a third at each
# of its weights; they overlap at two places.

# %% tags=["hide-cell", "solution"]
answer = [1 / 9, 1 / 9, 2 / 9, 1 / 9, 2 / 9, 1 / 9, 1 / 9]
check(answer)

# %% [markdown]
# Next: [a network of such layers](10_2_mnist_1d.py).
