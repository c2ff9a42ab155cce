"""Rules by name: `rule_of` reads what people write, `RULES` lists what there is.

A name is a word and, where they are not the usual ones, settings in brackets: "watched",
"watched(share=0.3)", "flat(div=50)", "gap law(end=0.33)". A hand-tuned length is "linear 5%" or
"linear 500 steps". `rule.name` gives the spelling back.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, cast

from autowarmup.rules.autowu import AutoWU
from autowarmup.rules.base import Rule
from autowarmup.rules.gap_law.peak import ENDS
from autowarmup.rules.gap_law.rule import GapLaw
from autowarmup.rules.h0h1 import H0H1
from autowarmup.rules.paced import Paced
from autowarmup.rules.timed import Doubling, Linear, Untuned
from autowarmup.rules.watched import Watched

DEFAULT_RULE = "paced"
"""The rule that is followed if nothing is said; docs/bench.md has the evidence."""

HAND_TUNED: tuple[Linear, ...] = tuple(
    Linear(share) for share in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
)
"""The lengths that hand tuning may choose from: none, 1, 2, 5, 10, 20 and 40 % of the run."""

_WORDS: dict[str, Callable[..., Rule[Any]]] = {
    "paced": Paced,
    "watched": Watched,
    **{end: partial(GapLaw, end=end) for end in ENDS},
    "gap law": GapLaw,
    "h0h1": H0H1,
    "untuned": Untuned,
    "autowu": AutoWU,
    "doubling": Doubling,
    "none": partial(Linear, 0.0),
}
RULES = (*(rule.name for rule in HAND_TUNED), *(w for w in _WORDS if w not in ("none", "gap law")))
"""The rules that can be chosen by a word alone, the hand-tuned lengths of the benchmark first."""

_NUMBER = r"(\d[\d,_]*(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)"
_LENGTH = re.compile(
    rf"(?:linear\s*)?\(?\s*{_NUMBER}\s*(%|percent|per cent|steps?|updates?|iterations?|its)\s*\)?"
)
_CALL = re.compile(r"([a-z][a-z0-9 _-]*?)\s*(?:\((.*)\))?", re.DOTALL)


def rule_of(rule: object) -> Rule[Any]:
    """Return a rule by its spelling; a rule itself is returned as it is.

    Args:
        rule: a `Rule`; or a name as above, upper or lower case, spaces as they come.

    Raises:
        ValueError: not a rule, an unknown word, or a setting that the rule does not know.

    Example:
        >>> rule_of("linear 5 %"), rule_of("2,000 steps").name
        (Linear(share=0.05, steps=None), 'linear 2000 steps')
        >>> rule_of("Flat(div=50)").name
        'flat(div=50.0)'
    """
    if isinstance(rule, Rule):
        return cast("Rule[Any]", rule)
    if not isinstance(rule, str):
        hint = f"; write {rule.__name__}() for the rule" if isinstance(rule, type) else ""
        raise ValueError(_expected(rule) + hint)
    text = " ".join(rule.lower().split())
    if length := _LENGTH.fullmatch(text):
        number = float(length[1].replace(",", "").replace("_", ""))
        if length[2] in ("%", "percent", "per cent"):
            return Linear(number / 100)
        return Linear(steps=int(number) if number.is_integer() else number)  # type: ignore[arg-type]
    call = _CALL.fullmatch(text)
    word = "" if call is None else call[1].replace("_", " ").replace("-", " ")
    if call is None or (word not in _WORDS and word != "linear"):
        raise ValueError(_expected(rule))
    if word == "linear":
        if call[2] is None:
            raise ValueError(
                "rule: expected the length of a linear warm-up, 'linear 5%' or 'linear 500 steps', "
                f"got {rule!r}"
            )
        return _built(Linear, word, call[2])
    return _built(_WORDS[word], word, call[2] or "")


def _built(build: Callable[..., Rule[Any]], word: str, inside: str) -> Rule[Any]:
    """Return the rule with the settings in brackets."""
    settings = _settings(word, inside)
    fixed = build.keywords if isinstance(build, partial) else {}
    kind = build.func if isinstance(build, partial) else build
    known = [f.name for f in fields(kind) if f.name not in fixed]  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            listed = ", ".join(known) or "none, it has no settings"
            raise ValueError(f"rule {word!r}: expected settings out of {listed}, got {name!r}")
    return cast("Rule[Any]", build(**settings))


def _settings(word: str, inside: str) -> dict[str, Any]:
    """Return name -> value of settings written as in a call."""
    try:
        call = ast.parse(f"f({inside})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(part.arg is None for part in call.keywords):
            raise ValueError
        return {str(part.arg): ast.literal_eval(part.value) for part in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise ValueError(
            f"rule {word!r}: expected settings such as '{word}(name=0.5)', got ({inside})"
        ) from None


def _expected(got: object) -> str:
    words = ", ".join(word for word in _WORDS if word != "none")
    text = (
        f"rule: expected 'none', 'linear 5%', 'linear 500 steps', {words}, or a Rule object, "
        f"got {got!r}"
    )
    try:
        number = float(str(got).lower().removeprefix("linear"))
    except ValueError:
        return text
    share = 0 < number < 1
    hint = f"'linear {100 * number:g}%'" if share else "'linear 5%' or 'linear 500 steps'"
    if number >= 1 and number.is_integer():
        hint = f"'linear {int(number)} steps'"
    text += f"; a bare number reads like a rate: write {hint} for a length of warm-up"
    return text + (f", or GapLaw(end={number:g}) for the law of the gap" if share else "")
