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
# # 10.3 Two dimensions, from loops to layers
#
# A picture has two directions and several channels, and a layer makes several channels of it, for a whole batch: six
# nested loops. This page writes them down, takes them away one by one, and arrives at the layer. It goes with section
# 10.3 of S. J. D. Prince, *Understanding Deep Learning*, and with its notebook 10.3.

# %%
import time

import lightconv
import lightconv.functional as F
import lightconv.nn as nn
import torch
from lightconv import reference

from drawing import show
from practice import photograph

photo = photograph(256)  # (batch, channels, height, width), from 0 to 1
grey = photo.mean(1, keepdim=True)
show(
    {"photograph: 3 channels": photo, "their mean: 1 channel": grey},
    columns=2,
    smooth=True,
)

# %% [markdown]
# ## One channel, one kernel
#
# The output at row $o$ and column $q$ is the sum of a window of the picture, weighted:
#
# $$y_{o,q} = \sum_{t} \sum_{u} \omega_{t,u}\; x_{o+t,\,q+u}.$$
#
# `reference.conv_numpy_1` says just that, in loops. It is slow, so it gets a small piece of the roof.

# %%
piece = grey[:, :, 60:100, 60:100]
sideways = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).view(1, 1, 3, 3)

began = time.perf_counter()
by_loops = torch.from_numpy(
    reference.conv_numpy_1(piece.numpy(), sideways.numpy(), pad=1)
).float()
loops = time.perf_counter() - began

began = time.perf_counter()
by_layer = F.conv2d(piece, sideways, padding=1)
layer = time.perf_counter() - began

assert torch.allclose(by_layer, by_loops, atol=1e-5)
print(f"loops: {1000 * loops:.1f} ms, layer: {1000 * layer:.2f} ms")

# %% [markdown]
# ## What kernels see
#
# Nine numbers make a blur, an edge finder or a relief. A network is not given them; it learns its own, and on
# photographs the first layer's often end up looking like some of these.

# %%
kernels = {
    "blur": torch.full((3, 3), 1 / 9),
    "sharper": torch.tensor([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "upright edges": sideways[0, 0],
    "level edges": sideways[0, 0].T,
    "relief": torch.tensor([[-2.0, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    "outline": torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}
seen = {
    name: F.conv2d(grey, kernel.view(1, 1, 3, 3), padding=1).clamp(-1, 1.2)
    for name, kernel in kernels.items()
}
show(seen, columns=3, smooth=True)

# %% [markdown]
# Move the picture, and the result moves along; nothing else changes. That is *equivariance*, and it holds exactly,
# except where the border comes in.

# %%
moved = torch.roll(grey, (20, 40), dims=(2, 3))
found, found_moved = F.conv2d(grey, sideways), F.conv2d(moved, sideways)
assert torch.allclose(found_moved[:, :, 20:, 40:], found[:, :, :-20, :-40], atol=1e-6)

# %% [markdown]
# ## Channels and batches
#
# With $C$ channels in, a window is a block, $C \times k \times k$; with several kernels, each makes a channel of its
# own. So the weights have four axes: channels out, channels in, rows, columns. `conv_numpy_2` adds the stride,
# `conv_numpy_3` the channels, `conv_numpy_4` the batch: loop around loop.

# %%
batch = torch.stack([photo[0, :, 40:64, 60:84], photo[0, :, 120:144, 60:84]])
weights = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))

by_loops = torch.from_numpy(
    reference.conv_numpy_4(batch.numpy(), weights.numpy(), stride=2, pad=1)
).float()
by_layer = F.conv2d(batch, weights, stride=2, padding=1)
assert torch.allclose(by_layer, by_loops, atol=1e-4)
print(tuple(batch.shape), "to", tuple(by_layer.shape))

# %% [markdown]
# ## Without loops
#
# Every window is there already in the picture's memory; one only has to look at it differently. `Tensor.unfold` gives
# a *view* with two more axes, the place within the window, and copies nothing. What is left is one big weighted sum
# over three of the axes, and `einsum` has a notation for that. This is the definition that `lightconv.functional` is
# built on; what it adds is care: bounded memory, gradients of every order, every dtype.

# %%
padded = nn.functional.pad(batch, (1, 1, 1, 1))
windows = padded.unfold(2, 3, 2).unfold(
    3, 3, 2
)  # (batch, channels, rows, columns, 3, 3)
assert (
    windows.untyped_storage().data_ptr() == padded.untyped_storage().data_ptr()
)  # a view

by_windows = torch.einsum("bcyxtu,octu->boyx", windows, weights)
assert torch.allclose(by_windows, by_layer, atol=1e-4)
print(f"windows: {windows.numel():,} numbers to be seen, {padded.numel():,} in memory")

# %% [markdown]
# ## Layers
#
# A Module holds the weights; otherwise it is the function. Names, arguments and parameters are torch's, so weights
# can be exchanged, and a network of these layers trains like any other. `lightconv.backend` says which code runs:
# the definition, compiled kernels, or torch's own, for comparing.

# %%
ours = nn.Conv2d(3, 8, kernel_size=5, padding=2)
theirs = torch.nn.Conv2d(3, 8, kernel_size=5, padding=2)
theirs.load_state_dict(ours.state_dict())

with torch.no_grad():
    wanted = theirs(photo)
    for name in ("definition", "auto", "aten"):
        with lightconv.backend(name):
            difference = (ours(photo) - wanted).abs().max()
        print(f"{name:12} largest difference from torch: {difference:.1e}")
        assert difference < 1e-4

# %% [markdown]
# ## Your turn
#
# A *depthwise* convolution gives each channel a kernel of its own and mixes no channels: weights $(C, 1, k, k)$, and
# in torch's terms `groups=C`. Write `answer(x, weights)` for any batch, without loops and without calling a
# convolution; no padding, stride 1.


# %%
def check(answer):
    """Compare on shapes that nobody has seen."""
    if answer is None:
        print("Not yet: write a function and call it `answer`.")
        return
    for shape, size in (((1, 1, 5, 5), 3), ((2, 3, 9, 7), 3), ((3, 4, 8, 8), 5)):
        x, weights = torch.randn(shape), torch.randn(shape[1], 1, size, size)
        wanted, got = F.conv2d(x, weights, groups=shape[1]), answer(x, weights)
        assert got.shape == wanted.shape, (
            f"For {shape}: {tuple(wanted.shape)} wanted, {tuple(got.shape)} came."
        )
        assert torch.allclose(got, wanted, atol=1e-4), (
            f"For {shape}, kernel {size}: right shape, wrong numbers."
        )
    print("Right.")


answer = None
check(answer)


# %% [markdown]
# The windows are those from above. The sum runs over the place in the window alone; the channel stays.


# %% tags=["hide-cell", "solution"]
def answer(x, weights):
    """Weigh each channel's windows with that channel's kernel."""
    size = weights.shape[-1]
    windows = x.unfold(2, size, 1).unfold(3, size, 1)
    return torch.einsum("bcyxtu,ctu->bcyx", windows, weights[:, 0])


check(answer)

# %% [markdown]
# Next: [smaller and larger](10_4_down_and_up.py).
