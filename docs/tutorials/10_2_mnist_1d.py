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
# # 10.2 MNIST-1D
#
# Ten shapes, one for each digit, are stretched, shifted, sheared and covered in noise, until they are signals of 40
# samples. Which digit is it? People get 96 % right. This page trains the network of notebook 10.2, looks into it, and
# shows what it owes to convolution. It goes with section 10.2.7 of S. J. D. Prince, *Understanding Deep Learning*; the
# data are by S. Greydanus and D. Kobak, *Scaling down deep learning with MNIST-1D* (ICML 2024).

# %%
import matplotlib.pyplot as plt
import torch
from lightconv.data import MNIST1DData
from lightconv.tasks import MNIST1DClassifier

from drawing import BLUE, FAINT, ORANGE, WIDTH, curves
from practice import answers, enough, fit, start

start(seed=1)
data = MNIST1DData(val_split=0)
train_x, train_y = data.part("train")
test_x, test_y = data.part("test")
print(f"{len(train_y):,} signals to train on, {len(test_y):,} to be tested on")

figure, grid = plt.subplots(2, 5, figsize=(WIDTH, 3), sharex=True, sharey=True)
for digit, axes in enumerate(grid.flat):
    some = train_x[train_y == digit][:12, 0]
    axes.plot(some[1:].T, color=FAINT, linewidth=0.8)
    axes.plot(some[0], color=ORANGE, linewidth=1.6)
    axes.set(title=f"“{digit}”", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Twelve signals of each class, one of them in orange. No two look alike to a network that compares them sample by
# sample. What is alike is the *shape*, wherever it stands; and that is what a convolution, the same question at every
# place, can find.
#
# ## The network
#
# Three convolutions, kernel size 3, stride 2, no padding, 15 channels each; then one linear layer that sees all that
# is left.

# %%
classifier = MNIST1DClassifier(
    network="book",
    optimizer="sgd",
    learning_rate=0.05,
    weight_decay=0.0,
    schedule="halving",
)
x = torch.zeros(1, 1, 40)
for layer in classifier.network:
    x = layer(x)
    parameters = sum(p.numel() for p in layer.parameters())
    print(f"{layer!s:52}{tuple(x.shape)!s:14}{parameters:6,} parameters")

# %% [markdown]
# ## Training
#
# As in the notebook: stochastic gradient descent with momentum, learning rate 0.05, halved every 20 epochs. With
# `LIGHTCONV_TUTORIALS=short` a fifth of its 100 epochs must do.

# %%
rows = fit(classifier, data, epochs=enough(100, short=20))


def accuracy(classifier, x, y):
    """Share of right answers, in per cent."""
    return 100 * float((answers(classifier, x).argmax(1) == y).float().mean())


book = accuracy(classifier, test_x, test_y)
curves(
    rows,
    {"train_accuracy": "on the training signals"},
    f"network “book”: {book:.1f} % of the test signals right",
)
assert book > enough(88, short=78)

# %% [markdown]
# ## Looking inside
#
# One signal, and what each convolution makes of it: channels as rows, bright where the channel found what it looks
# for. Going down, the maps get shorter and each column has seen more of the signal.

# %%
sample = next(i for i in range(len(test_y)) if test_y[i] == 5)
maps, x = [], classifier.preprocess(test_x[sample : sample + 1])
with torch.inference_mode():
    for layer in classifier.network[:6]:
        x = layer(x)
        maps.append(x[0])

figure, grid = plt.subplots(
    4, 1, figsize=(WIDTH / 1.4, 5), height_ratios=(1.2, 1, 1, 1)
)
grid[0].plot(test_x[sample, 0], "o-", color=ORANGE, markersize=3)
grid[0].set(title="a signal of class 5", xlim=(-0.5, 39.5), xticks=[], yticks=[])
for axes, found, number in zip(grid[1:], maps[1::2], (1, 2, 3), strict=True):
    axes.imshow(found, aspect="auto", cmap="Oranges")
    axes.set(
        title=f"after convolution {number} and ReLU: {len(found)} × {found.shape[1]}",
        xticks=[],
        yticks=[],
    )
plt.show()

# %% [markdown]
# ## What convolution is worth
#
# Shuffle the 40 samples, the same way in every signal. Nothing is lost: a fully connected network would learn the
# shuffled signals just as well. A convolution, which lives on neighbours, has nothing left to hold on to. This is the
# control experiment of the MNIST-1D paper.

# %%
shuffled = MNIST1DData(val_split=0, variant="shuffled")
start(seed=1)
control = MNIST1DClassifier(
    network="book",
    optimizer="sgd",
    learning_rate=0.05,
    weight_decay=0.0,
    schedule="halving",
)
fit(control, shuffled, epochs=enough(100, short=20))
without = accuracy(control, *shuffled.part("test"))

figure, axes = plt.subplots(figsize=(WIDTH / 1.8, 1.6))
axes.barh(
    ["neighbours shuffled", "neighbours as they are", "people, as published"],
    [without, book, 96],
    color=[FAINT, ORANGE, BLUE],
)
for place, value in enumerate([without, book, 96]):
    axes.text(value + 1, place, f"{value:.0f} %", va="center")
axes.set(xlim=(0, 110), xticks=[], title="test signals right")
plt.show()
assert without < book - 15

# %% [markdown]
# The network can do better, too: `network="light"` of this library gets 99 %. It keeps the full length, adds each
# block's result to what went in, and asks at the end only how strongly each channel ever answered, not where. How it
# is trained and what it scores stands with [the command line](../index.md).
#
# ## Your turn
#
# How many samples can one output of the last convolution see? Each layer has a kernel size and a stride; write the
# function `answer`, which takes a list of such pairs, first layer first, and returns the *receptive field*.


# %%
def measured(pairs):
    """Count the samples that change an output, by its gradient."""
    x = torch.zeros(1, 1, 500, requires_grad=True)
    y = x
    for kernel_size, stride in pairs:
        y = torch.nn.functional.conv1d(y, torch.ones(1, 1, kernel_size), stride=stride)
    y[0, 0, 0].backward()
    return int((x.grad != 0).sum())


def check(answer):
    """Compare with what gradients say."""
    if answer is None:
        print("Not yet: write a function and call it `answer`.")
        return
    for pairs in (
        [(3, 1)],
        [(3, 2), (3, 2), (3, 2)],
        [(5, 1), (3, 2)],
        [(3, 2), (5, 1), (2, 2), (4, 1)],
    ):
        got, wanted = answer(pairs), measured(pairs)
        assert got == wanted, f"Layers {pairs} see {wanted} samples, not {got}."
    print(f"Right. The book's network sees {answer([(3, 2)] * 3)} samples of the 40.")


answer = None
check(answer)


# %% [markdown]
# The first output reads $k_1$ samples. Each further layer adds $k - 1$ steps, and a step is as long as all strides
# before it multiplied.


# %% tags=["hide-cell", "solution"]
def answer(pairs):
    """One sample, and what each layer adds."""
    field, step = 1, 1
    for kernel_size, stride in pairs:
        field += (kernel_size - 1) * step
        step *= stride
    return field


check(answer)

# %% [markdown]
# Next: [two dimensions, from loops to layers](10_3_two_dimensions.py).
