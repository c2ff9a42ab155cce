"""Which rule a parameter group follows: one for all of them, or one for each word or answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from torch.optim import Optimizer

from autowarmup.optimizer_class import family_of_group, kappa_of, model_facts
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.registry import DEFAULT_RULE, rule_of
from autowarmup.rules.state import WarmupState
from autowarmup.rules.stepping import begin

ALL = ""
"""The word of a scheduler whose groups all follow one rule."""
REST = "default"
"""The word for groups that a mapping does not name."""


class GroupRules:
    """Words of parameter groups and the rules that they stand for.

    Args:
        rule: a rule or its name, for all groups; a mapping from words to rules, where a group is
            known by its own "name" or else by the class of its optimizer (one of
            `autowarmup.rules.families.FAMILIES`), and "default" is for the others; or a function
            that gets a group and returns a rule or its name.
        optimizers: whose groups follow them.

    Attributes:
        rules: those of the words that groups have.
        words: of every group, per optimizer.
        several: whether groups may follow rules of their own.

    Raises:
        ValueError: none of these, or a mapping with a word that no group has.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.AdamW([{"params": [weight], "name": "head"}])
        >>> rules = GroupRules({"head": "none", "default": "linear 5%"}, [optimizer])
        >>> rules.words, rules.rules["head"].name
        ([['head']], 'none')
    """

    def __init__(self, rule: object, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = optimizers
        self.rules: dict[str, Rule[Any]] = {}
        self._named: dict[str, Rule[Any]] | None = None
        self._answers: Callable[[dict[str, Any]], object] | None = None
        if isinstance(rule, Mapping):
            given = cast("Mapping[Any, object]", rule)
            if not given:
                raise ValueError("rule: expected at least one word of parameter groups, got {}")
            self._named = {str(word): rule_of(each) for word, each in given.items()}
            self._named.setdefault(REST, rule_of(DEFAULT_RULE))
        elif callable(rule) and not isinstance(rule, type | Rule):
            self._answers = cast("Callable[[dict[str, Any]], object]", rule)
        else:
            self.rules[ALL] = rule_of(rule)
        self.several = not self.rules
        self.words = self._words()
        unused = [word for word in self._named or () if word not in self.rules and word != REST]
        if unused:
            raise ValueError(
                "rule: expected words of parameter groups (their name or the class of their "
                f"optimizer), which are {', '.join(map(repr, self.rules))}, got {unused[0]!r}"
            )

    def joined(self, counts: Sequence[int]) -> bool:
        """Return whether the optimizers have other numbers of groups now; then all get words."""
        if counts == [len(words) for words in self.words]:
            return False
        self.words = self._words()
        return True

    def begun(self, word: str, run: Run, at: int = 0) -> WarmupState:
        """Return the warm-up of the groups with this word, which begins at an update of a run."""
        rule, total = self.rules[word], run.total_steps
        groups = [
            group
            for optimizer, words in zip(self.optimizers, self.words, strict=True)
            for group, each in zip(optimizer.param_groups, words, strict=True)
            if each == word
        ]
        run = replace(
            run,
            total_steps=None if total is None else max(1, total - at),
            kappa=kappa_of(self.optimizers) if rule.needs_kappa else None,
            **(model_facts(self.optimizers, groups) if rule.reads_model else {}),
        )
        return begin(rule, run)

    def _words(self) -> list[list[str]]:
        return [[self._word(o, group) for group in o.param_groups] for o in self.optimizers]

    def _word(self, optimizer: Optimizer, group: dict[str, Any]) -> str:
        if not self.several:
            return ALL
        if self._answers is not None:
            rule = rule_of(self._answers(group))
            self.rules.setdefault(rule.name, rule)
            return rule.name
        assert self._named is not None
        words = (str(group.get("name")), family_of_group(optimizer, group))
        word = next((each for each in words if each in self._named), REST)
        self.rules.setdefault(word, self._named[word])
        return word
