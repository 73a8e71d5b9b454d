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
# # A hundred numbers, and a file that reads them
#
# Two digits side by side make the numbers 00 to 99: MNIST-100. This page follows one experiment from the data to a
# file that any program can run: it compares ways of training, trains a small network, exports it to ONNX, and
# classifies pictures without PyTorch. The networks are those of section 10.5.1 of S. J. D. Prince, *Understanding
# Deep Learning*, made deeper; the training methods are from its chapter 6 (momentum, Adam) and section 11.4 (batch
# normalisation).
#
# Where MNIST's files are not on this machine, the pictures are composed of scikit-learn's digits, and the page says so.

# %%
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from lightconv.data import MNIST100Data
from lightconv.deploy import export_onnx
from lightconv.deploy.runtime import Classifier
from lightconv.tasks import MNIST100Classifier

from drawing import FAINT, INK, ORANGE, WIDTH
from practice import answers, enough, fit, pictures, start

start(seed=1)
data = pictures(
    MNIST100Data, fraction=enough(0.1, short=0.05), of_digits=enough(1.0, short=0.4)
)
train_x, train_y = data.part("train")
test_x, test_y = data.part("test")
test_x, test_y = (
    test_x[: enough(10_000, short=2_000)],
    test_y[: enough(10_000, short=2_000)],
)
print(f"{len(train_y):,} pictures to train on, {len(test_y):,} to be tested on")

figure, grid = plt.subplots(4, 10, figsize=(WIDTH, 2))
for axes, i in zip(
    grid.flat, torch.argsort(test_y, stable=True)[:: len(test_y) // 40], strict=False
):
    axes.imshow(test_x[i, 0], cmap="gray_r")
    axes.set_title(f"{test_y[i]:02}", fontsize=7, loc="center", pad=2)
for axes in grid.flat:
    axes.set_axis_off()
plt.show()

# %% [markdown]
# ## What a network needs to learn at all
#
# With one number in a hundred right by chance, training has further to go than with ten digits. The same small network
# is trained with two recipes: notebook 10.5's, plain gradient descent with a little momentum, and AdamW, whose
# learning rate goes up and down again in one cycle.

# %%
notebook = {
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.5,
    "weight_decay": 0.0,
    "schedule": "constant",
}
one_cycle = {
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "schedule": "one_cycle",
}
recipes = {"SGD, as in notebook 10.5": notebook, "AdamW, one cycle": one_cycle}


def accuracy(classifier):
    """Share of the test pictures whose number is right."""
    return float((answers(classifier, test_x).argmax(1) == test_y).float().mean())


figure, axes = plt.subplots(figsize=(WIDTH / 1.6, 2.6))
scores = {}
for (name, recipe), colour in zip(recipes.items(), (INK, ORANGE), strict=True):
    start(seed=1)
    classifier = MNIST100Classifier(network="light", **recipe)
    rows = fit(classifier, data, epochs=enough(5, short=3))
    scores[name] = accuracy(classifier)
    axes.plot(
        range(1, len(rows) + 1),
        [100 * row["train_accuracy"] for row in rows],
        "o-",
        color=colour,
        label=f"{name}: {100 * scores[name]:.1f} % of the test pictures",
    )
axes.set(xlabel="epoch", title="right while training (%)", ylim=(0, 100))
axes.grid(color=FAINT, linewidth=0.6)
axes.legend()
plt.show()
assert scores["AdamW, one cycle"] > max(0.7, scores["SGD, as in notebook 10.5"] - 0.02)

# %% [markdown]
# Batch normalisation makes both recipes work here. For deeper networks without it, the choice decides between
# learning and not learning at all; that comparison, with many seeds, is what the command `lightconv experiment` is for.
#
# ## Which digits are hard?
#
# A number is right when both digits are. If mistakes on the left and on the right had nothing to do with each other,
# the share of right numbers would be the product of both shares.

# %%
guesses = answers(classifier, test_x).argmax(1)
left, right = (guesses // 10 == test_y // 10), (guesses % 10 == test_y % 10)
shares = {"left": left, "right": right, "both": left & right}
shares = {name: float(ok.float().mean()) for name, ok in shares.items()}
product = shares["left"] * shares["right"]
print(", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items()))
print(f"left times right: {100 * product:.1f} %")

figure, grid = plt.subplots(1, 2, figsize=(WIDTH, 2))
for axes, ok, digit, side in zip(
    grid, (left, right), (test_y // 10, test_y % 10), ("left", "right"), strict=True
):
    errors = [100 * float((~ok[digit == d]).float().mean()) for d in range(10)]
    axes.bar(range(10), errors, color=ORANGE)
    axes.set(xticks=range(10), title=f"wrong, by the digit on the {side} (%)")
plt.show()

# %% [markdown]
# ## A file for everybody
#
# `export_onnx` writes the classifier with its pre-processing: pictures of bytes go in, probabilities and labels come
# out. The file appears under its name only after onnxruntime has computed with it what PyTorch computes. Each layer
# is ONNX's own operator of that name, so the file runs wherever ONNX runs.

# %%
folder = Path(tempfile.mkdtemp())
report = export_onnx(classifier, folder / "mnist100.onnx", samples=test_x[:16])
print(report)

model = Classifier(
    folder / "mnist100.onnx", threads=1
)  # from here on numpy and onnxruntime alone
some = test_x[:200, 0].numpy()
labels, chances = model.predict(some)
assert (labels == guesses[:200].numpy()).mean() > 0.99

one = some[:1]
times = []
for _ in range(50):
    began = time.perf_counter()
    model.predict(one)
    times.append(1000 * (time.perf_counter() - began))
print(f"one picture in {np.median(times):.2f} ms, on one thread")

figure, grid = plt.subplots(2, 6, figsize=(WIDTH, 2.2))
for axes, picture, label, chance in zip(grid.flat, some, labels, chances, strict=False):
    axes.imshow(picture, cmap="gray_r")
    axes.set_title(
        f"{model.class_names[label]} ({100 * chance:.0f} %)", loc="center", fontsize=8
    )
    axes.set_axis_off()
plt.show()

# %% [markdown]
# `lightconv classify mnist100.onnx FILES` does the same for picture files, and `lightconv demo` opens a page on which
# you draw the number yourself.
#
# ## Your turn
#
# The model gives a probability to each of the hundred numbers. What does it think of the *left digit* alone? Write
# `answer`, a function from probabilities of shape (N, 100) to probabilities of shape (N, 10), in NumPy.


# %%
def check(answer):
    """Compare with sums over the numbers that begin with a digit."""
    if answer is None:
        print("Not yet: write a function and call it `answer`.")
        return
    weights = np.random.default_rng(0).random((4, 100))
    weights /= weights.sum(1, keepdims=True)
    got = np.asarray(answer(weights))
    assert got.shape == (4, 10), f"The shape should be (4, 10), not {got.shape}."
    assert np.allclose(got.sum(1), 1), (
        "Ten digits, of which one must be the right one: each row should sum to 1."
    )
    wanted = [sum(weights[0, 10 * d + unit] for unit in range(10)) for d in range(10)]
    assert np.allclose(got[0], wanted), (
        "Each row sums to 1, but are these the left digits?"
    )
    print("Right.")


answer = None
check(answer)


# %% [markdown]
# The label is ten times the left digit plus the right one, so the hundred numbers are a table of ten by ten, the left
# digit counting the rows. The sum of each row is what is asked for.


# %% tags=["hide-cell", "solution"]
def answer(chances):
    """Sum over the right digit."""
    return chances.reshape(-1, 10, 10).sum(2)


check(answer)
