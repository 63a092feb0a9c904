"""Studies whose model already uses an activation: another takes its place, and nobody edits the model."""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxact import flow
from jaxact.compare.activations import Activation, resolve
from jaxact.compare.errors import invalid, running
from jaxact.compare.study import Study


def used(study: Study) -> list[str]:
    """The elementwise activations that a study's loss calls, in the order in which they run."""
    with running(f"the study {study.name!r}"):
        variables = study.init(jax.random.key(0))
        batch = jax.tree.map(lambda x: x[0], next(study.feed(range(1), 0)))
        exchanges = flow.swaps(lambda v: study.evaluate(v, batch, jax.random.key(0))[0])(variables).exchanges
    return list(dict.fromkeys(each.site.name for each in exchanges if each.site.kind == "pointwise"))


def split(given: Any) -> tuple[str, Activation]:
    """Read "gelu=relu", which exchanges gelu for relu; the old name is "" if the text has only the new one."""
    named = re.fullmatch(r"(\w+)=(.+)", given) if isinstance(given, str) else None
    new = resolve(named[2] if named else given)
    return (named[1], new._replace(name=given)) if named else ("", new)


def makers(study: Study, activations: Sequence[Any]) -> list[tuple[str, Callable[[], Study]]]:
    """The function that makes the study with a given activation in place of its own.

    Raises:
      ValueError: `swap` recognises no elementwise activation in its loss.
    """
    names = used(study)
    if not names:
        advice = "give a function that takes an activation and returns a study"
        raise invalid(f"activations in the loss of {study.name!r} to exchange", "none that is recognised", advice)
    pairs = [split(given) for given in activations]
    return [(new.name, functools.partial(exchanged, study, old, new, names)) for old, new in pairs]


def exchanged(study: Study, old: str, new: Activation, names: Sequence[str]) -> Study:
    """Make the study with a new activation in place of an old one, wherever its loss calls the old one.

    Raises:
      ValueError: the loss does not call the old one, or it calls several and the text does not say which to exchange.
    """
    if not old and len(names) > 1:
        advice = f"say which is exchanged, such as {names[0]}={new.name}"
        raise invalid(f"one activation in the loss of {study.name!r}", ", ".join(names), advice)
    old = old or names[0]
    if old not in names:
        raise invalid(f"an activation that {study.name!r} uses: {', '.join(names)}", repr(old), "exchange one of these")
    if new.name.rpartition("=")[2] == old:  # the model as it is
        return study
    return dataclasses.replace(study, loss=flow.swap(study.loss, {old: new.function}))
