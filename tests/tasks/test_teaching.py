"""Learning from finished classifiers."""

import copy
from pathlib import Path

import pytest
import torch
from torch.nn import functional as T

from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier, MNISTClassifier
from lightconv.tasks.teaching import Teachers


def test_the_loss_is_the_labels_and_the_divergence_from_the_mean_answer(trained):
    teacher, data, path = trained
    student = MNIST1DClassifier(network="book")
    raw, labels = (part[:50] for part in data.part("val"))
    logits = student(student.preprocess(raw))
    plain = T.cross_entropy(logits, labels)
    with torch.no_grad():
        p = (teacher(teacher.preprocess(raw)).log_softmax(1) / 3).softmax(1)
    q = (logits / 3).softmax(1)
    expected = 0.3 * plain + 0.7 * 9 * (p * (p.log() - q.log())).sum(1).mean()
    for paths in ([path], [path, path]):
        torch.testing.assert_close(Teachers(paths, student).loss(raw, logits, plain), expected, atol=1e-5, rtol=1e-4)


def test_who_answers_as_the_teachers_do_learns_from_the_labels_only(trained):
    teacher, data, path = trained
    raw = data.part("val")[0][:50]
    logits = teacher(teacher.preprocess(raw)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(Teachers([path], teacher).loss(raw, logits, logits.new_zeros(())), logits)
    assert gradient.abs().max() < 1e-5


def test_teachers_are_no_part_of_the_student(trained):
    _, _, path = trained
    student = MNIST1DClassifier(network="tiny")
    before = set(student.state_dict())
    student._teachers = Teachers([path], student)
    assert set(student.state_dict()) == before
    assert {id(p) for p in copy.deepcopy(student).parameters()}.isdisjoint({id(p) for p in student.parameters()})


@pytest.mark.parametrize(
    ("student", "named", "said"),
    [
        (MNISTClassifier, "some.ckpt", "10 classes of mnist, but .* tells apart 10 of mnist1d"),
        (MNIST1DClassifier, "none.ckpt", "there is none at"),
    ],
)
def test_wrong_teachers(trained, student: type, named: str, said: str):
    path: Path = trained[2].with_name(named)
    with pytest.raises(UsageError, match=said):
        Teachers([path], student(network="tiny"))
