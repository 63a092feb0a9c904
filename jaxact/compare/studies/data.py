"""The data to learn from: real, and inside a wheel, so that nothing is downloaded."""

from pydoc_data.topics import topics
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class Split(NamedTuple):
    """Some examples: x is (examples, features) float32, and y is (examples,) int32 class numbers."""

    x: Any
    y: Any


class Task(NamedTuple):
    """A classification task with a held-out part, on which nothing is ever trained or fitted."""

    train: Split
    held_out: Split
    classes: int


def digits() -> Task:
    """Load scikit-learn's digits, a quarter of every class held out, standardised by the training split's statistics.

    Reference: Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI.
    """
    x, y = load_digits(return_X_y=True)
    x_train, x_held_out, y_train, y_held_out = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x_train)

    def split(x: Any, y: Any) -> Split:
        return Split(np.asarray(scaler.transform(x), np.float32), np.asarray(y, np.int32))

    return Task(split(x_train, y_train), split(x_held_out, y_held_out), classes=len(np.unique(y)))


class Text(NamedTuple):
    """English text as numbers of characters, each part (length,) int32, and the characters that are numbered."""

    train: Any
    validation: Any
    test: Any
    characters: list[str]


def documentation() -> Text:
    """Load the half a million characters that Python's help() knows; they differ a little from version to version.

    Topics quote each other, so each paragraph is taken once, in an order that is always the same: 90% are for training,
    and 5% each for validation and test.
    """
    paragraphs = list(dict.fromkeys(p.strip("\n") for name in sorted(topics) for p in topics[name].split("\n\n")))
    np.random.default_rng(0).shuffle(paragraphs)
    characters, numbers = np.unique(list("\n\n".join(paragraphs)), return_inverse=True)
    train, validation, test = np.split(numbers.astype(np.int32), [len(numbers) * 90 // 100, len(numbers) * 95 // 100])
    return Text(train, validation, test, characters.tolist())
