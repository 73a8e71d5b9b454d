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
# # 10.4 Smaller and larger
#
# Most networks shrink their maps on the way in, and some enlarge them on the way out. There are three simple ways
# down and several ways up; on a photograph one sees at once what each of them loses. This page goes with section 10.4
# of S. J. D. Prince, *Understanding Deep Learning*, and with its notebook 10.4.

# %%
import lightconv.functional as F
import torch
from lightconv import reference

from drawing import show
from practice import photograph

photo = photograph(256)
detail = (..., slice(96, 160), slice(16, 80))  # a piece of the roof, to look at closely

# %% [markdown]
# ## Down
#
# To a quarter of the height and width. *Subsampling* keeps one pixel of each 4×4 block and forgets the rest;
# *max-pooling* keeps the largest, *mean-pooling* the average.

# %%
small = {
    "subsample": F.subsample(photo, 4),
    "max_pool2d": F.max_pool2d(photo, 4),
    "avg_pool2d": F.avg_pool2d(photo, 4),
}
show({"photograph": photo, **small}, smooth=True)
show(
    {
        "a piece of the photograph": photo[detail],
        **{name: y[..., 24:40, 4:20] for name, y in small.items()},
    }
)

# %% [markdown]
# The rows of tiles are finer than the grid that is left. Subsampling still draws lines there, but they are not the
# tiles: it reads one row of pixels, skips three, and what it happens to hit repeats in a rhythm of its own
# (*aliasing*). The maximum makes everything bright and fat. The mean is grey, and honest. A network that has to
# find an edge somewhere, never mind where, likes the maximum all the same.
#
# The notebook's functions work on one picture at a time, in loops, by two. The layers are the same:

# %%
grey = photo.mean(1)[0, :64, :64]
by_loops = {
    F.subsample: reference.subsample,
    lambda x: F.max_pool2d(x, 2): reference.maxpool,
    lambda x: F.avg_pool2d(x, 2): reference.meanpool,
    F.duplicate: reference.duplicate,
    F.upsample_bilinear_zeros: reference.bilinear,
}
for ours, theirs in by_loops.items():
    assert torch.allclose(
        ours(grey[None, None])[0, 0].double(),
        torch.from_numpy(theirs(grey.numpy())),
        atol=1e-6,
    )
    print("the same:", theirs.__name__)

# %% [markdown]
# ## Up
#
# Back to the full size, from the mean. *Duplicating* repeats each pixel; *bilinear* interpolation draws straight lines
# between them, *bicubic* curves. *Max-unpooling* is different: it remembers where each maximum came from and puts it
# back there, among zeros.

# %%
mean = small["avg_pool2d"]
largest, places = F.max_pool2d(photo, 4, return_indices=True)
large = {
    "duplicate": F.duplicate(mean, 4),
    "bilinear": F.interpolate(mean, scale_factor=4, mode="bilinear"),
    "bicubic": F.interpolate(mean, scale_factor=4, mode="bicubic"),
    "max_unpool2d": F.max_unpool2d(largest, places, 4),
}
show(large, smooth=True)
show({f"{name}: a piece": y[detail] for name, y in large.items()})


def error(y):
    """Root mean square difference from the photograph, in grey levels of 255."""
    return 255 * float((y - photo).square().mean().sqrt())


print("from the mean, how far from the photograph, in grey levels:")
for name in ("duplicate", "bilinear", "bicubic"):
    print(f"  {name:10} {error(large[name]):5.1f}")

# %% [markdown]
# The notebook's own bilinear upsampling is a little different at the border. It places the small picture's pixels at
# every second row and column and interpolates between them; what lies beyond the last one counts as zero. Hence the
# dark rim on the right and below, which `upsample_bilinear_zeros` has and `interpolate` has not.

# %%
corner = small["subsample"][..., 48:, 48:]
show(
    {
        "corner of the small picture": corner,
        "upsample_bilinear_zeros": F.upsample_bilinear_zeros(corner, 2),
        "interpolate, bilinear": F.interpolate(corner, scale_factor=2, mode="bilinear"),
    }
)

# %% [markdown]
# ## Changing the number of channels
#
# A convolution with a 1×1 kernel looks at one pixel at a time and mixes its channels. Three channels to one is a grey
# picture; three to three is a change of colours. Nothing moves.

# %%
luminance = torch.tensor([[0.299, 0.587, 0.114]]).view(1, 3, 1, 1)
sepia = torch.tensor(
    [[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]]
).view(3, 3, 1, 1)
turned = torch.eye(3).roll(1, 0).view(3, 3, 1, 1)
show(
    {
        "3 channels to 1: luminance": F.conv2d(photo, luminance),
        "3 to 3: sepia": F.conv2d(photo, sepia),
        "3 to 3: red, green and blue exchanged": F.conv2d(photo, turned),
    },
    smooth=True,
)

# %% [markdown]
# ## Down and up again
#
# An hourglass of three halvings and three doublings, as networks that label every pixel have, here without any
# weights. What is lost on the way down does not come back on the way up: such networks hand the finer maps across.

# %%
x = photo
widths = [x.shape[-1]]
for _ in range(3):
    x = F.avg_pool2d(x, 2)
    widths.append(x.shape[-1])
for _ in range(3):
    x = F.interpolate(x, scale_factor=2, mode="bilinear")
    widths.append(x.shape[-1])
print(" → ".join(map(str, widths)))
show({"in": photo, "out": x, "lost": 0.5 + (photo - x) / 2}, smooth=True)
assert x.shape == photo.shape

# %% [markdown]
# ## Your turn
#
# A *transposed convolution* adds a copy of its kernel to the output for every pixel of the input, a stride apart, and
# so enlarges. With one kernel it does exactly what `upsample_bilinear_zeros` does by two. Which? Put it into
# `answer`, as a list of three rows of three numbers.


# %%
def check(answer):
    """Compare on a picture of noise."""
    if answer is None:
        print("Not yet: put the kernel into `answer`.")
        return
    kernel = torch.tensor(answer, dtype=torch.float32).view(1, 1, 3, 3)
    x = torch.randn(2, 1, 5, 6)
    got = F.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=1)
    assert torch.allclose(got[..., ::2, ::2], x), (
        "The small picture's pixels should stay as they are."
    )
    assert torch.allclose(got, F.upsample_bilinear_zeros(x, 2), atol=1e-6), (
        "Between them something is not right yet."
    )
    print("Right.")


answer = None
check(answer)

# %% [markdown]
# Halfway between two pixels each counts one half; in the middle of four, each a quarter. So every pixel spreads a
# little tent around itself.

# %% tags=["hide-cell", "solution"]
answer = [
    [0.25, 0.5, 0.25],
    [0.50, 1.0, 0.50],
    [0.25, 0.5, 0.25],
]
check(answer)

# %% [markdown]
# Next: [handwritten digits](10_5_mnist.py). Every layer on the same photograph is in [the gallery](../gallery.md).
