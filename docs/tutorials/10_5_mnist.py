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
# # 10.5 Handwritten digits
#
# Two convolutions, two poolings, two linear layers: the network of notebook 10.5 reads handwritten digits. This page
# trains it, looks at what it gets wrong and at what its kernels have become, and counts what one answer costs. It goes
# with section 10.5.1 of S. J. D. Prince, *Understanding Deep Learning*, and with its notebook 10.5.
#
# Where MNIST's files are not on this machine, scikit-learn's 1,797 digits stand in for them, enlarged; the page says
# so, and its figures are then those of the easier data. How to get MNIST: [Data](../data.md).

# %%
import lightconv
import lightconv.nn as nn
import matplotlib.pyplot as plt
import torch
from lightconv.data import MNISTData
from lightconv.surgery import count
from lightconv.tasks import MNISTClassifier

from drawing import WIDTH
from practice import SHORT, answers, enough, fit, pictures, start

start(seed=1)
data = pictures(MNISTData, fraction=enough(1.0, short=0.1))
train_x, train_y = data.part("train")
test_x, test_y = data.part("test")
print(f"{len(train_y):,} pictures to train on, {len(test_y):,} to be tested on")

figure, grid = plt.subplots(4, 10, figsize=(WIDTH, 3.7))
for digit in range(10):
    for axes, picture in zip(grid[:, digit], train_x[train_y == digit], strict=False):
        axes.imshow(picture[0], cmap="gray_r")
        axes.set_axis_off()
plt.show()

# %% [markdown]
# ## The network
#
# `ConvMaxPoolReLU` is the notebook's sequence of convolution, max-pooling and ReLU as one layer. In one pass over the
# picture it needs no room for what lies between.

# %%
classifier = MNISTClassifier(
    network="book",
    optimizer="sgd",
    learning_rate=0.01,
    momentum=0.5,
    weight_decay=0.0,
    schedule="constant",
)
classifier.network.eval()
x = torch.zeros(1, 1, 28, 28)
for layer in classifier.network:
    x = layer(x)
    parameters = sum(p.numel() for p in layer.parameters())
    print(f"{type(layer).__name__:18}{tuple(x.shape)!s:17}{parameters:7,} parameters")
classifier.network.train()

# %% [markdown]
# ## Training
#
# The notebook's recipe: plain gradient descent with a little momentum, batches of 64, three epochs.

# %%
epochs = 3 if data.variant == "mnist" and not SHORT else enough(30, short=8)
rows = fit(classifier, data, epochs)
chances = answers(classifier, test_x).softmax(1)
guesses = chances.argmax(1)
right = guesses == test_y
print(f"{epochs} epochs: {100 * right.float().mean():.1f} % of the test pictures right")
print(f"{int((~right).sum())} are wrong")
assert right.float().mean() > 0.85

# %% [markdown]
# What was taken for what? Rows are the true digits, columns the answers; right answers, on the diagonal, are left out
# so that the mistakes can be seen. Below are the mistakes of which the network was most certain. Some of them are
# hard for people.

# %%
mistakes = torch.zeros(10, 10)
for true, guess in zip(test_y[~right], guesses[~right], strict=True):
    mistakes[true, guess] += 1

figure = plt.figure(figsize=(WIDTH, 3.4))
left, other = figure.subfigures(1, 2, width_ratios=(1, 1.6))
axes = left.subplots()
axes.imshow(mistakes, cmap="Oranges")
for row in range(10):
    for col in range(10):
        if mistakes[row, col]:
            axes.text(
                col, row, int(mistakes[row, col]), ha="center", va="center", fontsize=7
            )
axes.set(xticks=range(10), yticks=range(10), xlabel="answer", ylabel="digit")

worst = torch.nonzero(~right).flatten()
worst = worst[chances[worst].max(1).values.argsort(descending=True)][:15]
for axes in other.subplots(3, 5).flat:
    axes.set_axis_off()
for axes, i in zip(other.axes, worst.tolist(), strict=False):
    axes.imshow(test_x[i, 0], cmap="gray_r")
    axes.set_title(f"{test_y[i]} taken for {guesses[i]}", fontsize=7)
plt.show()

# %% [markdown]
# ## Looking inside
#
# The ten kernels of the first convolution, and what they make of one digit. Orange weights look for ink, violet ones
# for its absence: most kernels have become edge finders of one direction or another, and nobody told them to.

# %%
first = classifier.network[0]
digit = classifier.preprocess(test_x[:1])
with torch.inference_mode():
    found = first(digit)[0]

figure, grid = plt.subplots(2, 11, figsize=(WIDTH, 2))
grid[0, 0].set_axis_off()
grid[1, 0].imshow(test_x[0, 0], cmap="gray_r")
most = first.weight.detach().abs().max()
for axes, kernel in zip(grid[0, 1:], first.weight.detach(), strict=True):
    axes.imshow(kernel[0], cmap="PuOr_r", vmin=-most, vmax=most)
for axes, channel in zip(grid[1, 1:], found, strict=True):
    axes.imshow(channel, cmap="Oranges")
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# ## Smaller, better
#
# `network="light"` has batch normalisation after every convolution and a better optimiser; the configuration `mnist`
# trains it to more than 99 % on MNIST. `lightconv.fuse` takes its normalisation out again when training is done: the
# same answers with fewer operations.

# %%
light = MNISTClassifier(network="light")
fit(light, data, epochs=1 if data.variant == "mnist" else enough(10, short=3))
accuracy = float((answers(light, test_x).argmax(1) == test_y).float().mean())
parameters = sum(p.numel() for p in light.network.parameters())
print(f"“light”, {parameters:,} parameters: {100 * accuracy:.1f} %")

fused = lightconv.fuse(light.network, digit)
with torch.inference_mode():
    assert torch.allclose(fused(digit), light.network(digit), atol=1e-3)
print(
    f"operations a picture: {count(light.network, digit).operations:,} before, "
    f"{count(fused, digit).operations:,} after fusing"
)

# %% [markdown]
# ## Your turn
#
# How many multiplications does the book's network need for one picture, in its convolutions and linear layers
# together? Work it out with a pencil: every number of a convolution's result takes one for each weight of its kernel.
# (28×28 becomes 24×24, pooled 12×12; then 8×8, pooled 4×4.)


# %%
def check(answer):
    """Count the layers' calls as they go by."""
    if answer is None:
        print("Not yet: put the number into `answer`.")
        return
    plain = [
        nn.Conv2d(1, 10, 5, bias=False),
        nn.Conv2d(10, 20, 5, bias=False),
        nn.Linear(320, 50, bias=False),
        nn.Linear(50, 10, bias=False),
    ]
    inputs = [
        torch.zeros(1, 1, 28, 28),
        torch.zeros(1, 10, 12, 12),
        torch.zeros(1, 320),
        torch.zeros(1, 50),
    ]
    counted = [
        count(layer, x).operations for layer, x in zip(plain, inputs, strict=True)
    ]
    wrong = "too few" if answer < sum(counted) else "too many"
    assert answer == sum(counted), (
        f"{answer:,} are {wrong}; there are two convolutions and two linear layers."
    )
    print(
        "Right:",
        " + ".join(f"{number:,}" for number in counted),
        "=",
        f"{sum(counted):,}",
    )


answer = None
check(answer)

# %% [markdown]
# First convolution: 24 · 24 places, 10 channels, 25 weights. Second: 8 · 8 places, 20 channels, 10 · 25 weights. Then
# 320 · 50 and 50 · 10. Nearly all of the work is in the convolutions, and nearly all of the *parameters* are in the
# first linear layer.

# %% tags=["hide-cell", "solution"]
answer = 24 * 24 * 10 * 25 + 8 * 8 * 20 * 10 * 25 + 320 * 50 + 50 * 10
check(answer)

# %% [markdown]
# Next: [a hundred numbers, and a file that reads them anywhere](mnist_100.py).
