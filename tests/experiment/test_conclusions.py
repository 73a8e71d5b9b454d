"""What the report says in sentences follows from the figures."""

from dataclasses import replace

import pytest

from lightconv.errors import UsageError
from lightconv.experiment.conclusions import base_of, conclusions, front
from lightconv.experiment.plan import read_plan
from lightconv.experiment.rows import Row
from lightconv.experiment.tables import table


def row(name: str, parameters: int, *accuracy: float, level: str | None = None, losses: tuple = (1.0, 1.0)) -> Row:
    return Row(
        part="p", name=f"{name}, {level}" if level else name, row=name, level=level, command="",
        seeds=list(range(len(accuracy))), task="mnist1d", network="tiny", network_options={}, parameters=parameters,
        samples={"train": 4000, "test": 10_000}, accuracy=list(accuracy), fresh=[], followed="val",
        curves={"val_loss": [list(losses)]}, processor_seconds=[2.0], versions={}, cost={},
    )  # fmt: skip


BOOK = row("book", 2000, 0.90, 0.92)
TINY, LIGHT, LARGE = row("tiny", 1900, 0.98, 0.985), row("light", 9000, 0.99), row("large", 20_000, 0.985)


def test_those_to_choose_from_and_the_smallest_ahead():
    assert front([LARGE, LIGHT, TINY, BOOK]) == [TINY, LIGHT]
    assert front([TINY, replace(LIGHT, samples={"train": 400, "test": 10_000})]) == [], "a sweep"
    said = conclusions([BOOK, TINY, LIGHT, LARGE], "book")
    assert said[:2] == [
        "The smallest network that is ahead of book (2,000 parameters, 91.00 %): tiny (1,900 parameters, 98.25 %).",
        "Those to choose from, for none is as good with as few parameters: tiny (1,900 parameters, 98.25 %); "
        "light (9,000 parameters, 99.00 %).",
    ]
    assert said[2] == "Ahead of book (91.00 %): light (+8.00), large (+7.50), tiny (+7.25)."


@pytest.mark.parametrize(
    ("accuracy", "side"),
    [
        ((0.93, 0.95), "Ahead of"),
        ((0.91, 0.95), "Not to be told apart from"),  # a seed among the other's
        ((0.9201, 0.9202), "Ahead of"),
        ((0.80, 0.899), "Behind"),
    ],
)
def test_ahead_is_with_every_seed(accuracy: tuple[float, ...], side: str):
    (sentence,) = conclusions([BOOK, row("other", 2000, *accuracy)], "book")
    assert sentence.startswith(f"{side} book (91.00 %): other (")


def test_ahead_is_more_than_the_test_set_s_chance():
    one, other = row("one", 10, 0.920), row("other", 10, 0.925)
    assert conclusions([one, other], "one") == ["Not to be told apart from one (92.00 %): other (+0.50)."]
    many = {"train": 4000, "test": 1_000_000}
    said = conclusions([replace(one, samples=many), replace(other, samples=many)], "one")
    assert said == ["Ahead of one (92.00 %): other (+0.50)."]


def test_a_sweep_is_compared_level_by_level():
    rows = [
        row("a", 10, 0.5, level="5 %"), row("a", 10, 0.9, level="10 %"),
        row("b", 10, 0.4, level="5 %"), row("b", 10, 0.95, level="10 %"), row("c", 10, 0.9, level="20 %"),
    ]  # fmt: skip
    assert base_of(rows[3], rows, "a") is rows[1]
    assert base_of(rows[0], rows, "a") is None, "itself"
    assert conclusions(rows, "a") == ["b against a. Ahead: 10 % (+5.00). Behind: 5 % (\N{MINUS SIGN}10.00)."]


def test_who_was_stopped_too_early_and_too_late():
    early, late = row("early", 10, 0.5, losses=(4.0, 3.0)), row("late", 10, 0.5, losses=(1.0, 0.5, 0.6))
    assert conclusions([early, late, row("done", 10, 0.5, losses=(1.0, 0.95))]) == [
        "Stopped while still learning, the loss fell by more than a tenth in the last epoch: early (by 25 %).",
        "Trained for too long, the held-out loss rose again by more than a tenth: late (lowest after epoch 2).",
    ]
    odd = float("nan")
    assert conclusions([row("none", 10, 0.5, losses=(odd, odd)), row("zero", 10, 0.5, losses=(0.0, 0.0))]) == []


def test_the_table_has_the_difference_and_states_once_what_all_rows_share():
    made = table([BOOK, TINY], against="book")
    assert made.cells[1][made.heads.index("points against book")] == "+7.25"
    assert made.cells[0][made.heads.index("points against book")] == ""
    assert made.common == {"trained on": "4,000", "seeds": "2", "held-out loss after epoch 1, 2": "1.00 1.00",
                           "processor s": "2"}  # fmt: skip
    assert not set(made.common) & set(made.heads)
    assert table([BOOK]).common == {}


def test_against_names_a_run(command: object):
    with open("small.yaml") as file:
        text = file.read()
    with open("small.yaml", "w") as file:
        file.write(text.replace("against: book", "against: bok"))
    with pytest.raises(UsageError, match=r"`against` of `parts\[0\]` to name one of its runs, but got 'bok'"):
        read_plan("small.yaml")
