"""`autowarmup schedule`: what a rule would do, without training."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.markup import escape

from autowarmup.lab.train.config import OPTIMIZERS
from autowarmup.lab.train.recipes import RECIPES, Recipe
from autowarmup.lab.train.recipes import recipe as recipe_of
from autowarmup.lab.verbs.losses import losses_of, typical_losses
from autowarmup.lab.verbs.train import FROM_RECIPE, filled_by, one_of
from autowarmup.lab.verbs.typed import counted
from autowarmup.rules import (
    DEFAULT_RULE,
    GapLaw,
    Rule,
    Run,
    Untuned,
    begin,
    rule_of,
    step,
)
from autowarmup.rules.decay import DECAYS
from autowarmup.rules.gap_law.law import SmoothnessLaw
from autowarmup.rules.life import with_decay
from autowarmup.rules.state import WarmupState

ROWS = 16
MOST_STEPS = 10_000_000
LARGEST = 1e30
"""Of a loss or a rate; their squares are still numbers."""


def schedule(
    rule: str = DEFAULT_RULE,
    recipe: Annotated[str, one_of(RECIPES)] = "tiny-cpu",
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = "muon",
    lr: Annotated[float | None, FROM_RECIPE] = None,
    parameters: Annotated[float | None, FROM_RECIPE] = None,
    steps: Annotated[int | None, filled_by("the recipe's, or as many as there are losses")] = None,
    decay: Annotated[str, one_of(DECAYS)] = "cosine",
    decay_after: Annotated[int | None, filled_by("where warm-up ends")] = None,
    losses: Annotated[Path | None, filled_by("a typical curve")] = None,
    loss0: float = 5.5,
    lower_bound: float = 0.0,
    json: bool = False,
    figure: Annotated[Path | None, filled_by("none")] = None,
) -> int:
    """Show the ramp, plateau and decay that a warm-up rule gives, without training.

    A rule that follows the loss is walked along a typical loss curve, or along that of a log.

    Args:
        rule: as in `autowarmup train`: paced, "linear 5%", "flat(div=50)", ...
        recipe: tiny-cpu, small-cpu, llama-124m or llama-210m.
        optimizer: as in `autowarmup train`; some rules ask for its norm or its averages.
        lr: peak learning rate.
        parameters: how many are trained, e.g. 1.3e9, for "paced(tokens_per_update=...)".
        steps: updates in the run.
        decay: what follows the peak: cosine, linear, wsd, sqrt or constant.
        decay_after: updates before the decay, as in a run whose end is not known until then.
        losses: a log of losses, of any kind that `autowarmup replay` reads.
        loss0: first loss of the typical curve.
        lower_bound: a number that the loss cannot go below.
        json: print one JSON object for machines.
        figure: also draw the rates into this .svg or .png file.
    """
    size, chosen = recipe_of(recipe), rule_of(rule)
    if optimizer not in size.rates:
        raise ValueError(f"optimizer: expected one of {', '.join(size.rates)}, got {optimizer!r}")
    lr = size.rates[optimizer] if lr is None else lr
    if not 0 < lr <= LARGEST:
        raise ValueError(f"expected lr > 0 and at most {LARGEST:g}, got {lr}")
    for name, value in (("loss0", loss0), ("lower_bound", lower_bound)):
        if not abs(value) <= LARGEST:  # nor nan
            raise ValueError(f"{name}: expected a finite loss of at most {LARGEST:g}, got {value}")
    read = None if losses is None else losses_of(losses)
    if steps is None:
        steps = size.steps if read is None else len(read)
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps: expected 1 to {MOST_STEPS:,}, got {steps:,}")
    facts = optimizer_facts(chosen, size, optimizer)
    if parameters is not None:
        facts["parameters"] = counted(parameters)
    run = Run(steps, decay=decay, lower_bound=lower_bound, **facts)
    walked = read or typical_losses(steps, loss0, lower_bound)
    states = walk(chosen, run, walked, decay_after)
    origin = "a typical loss curve" if losses is None else str(losses)
    rates = [lr * state.factor for state in states[:-1]]
    values = {
        "rule": chosen.name, "lr": lr, "steps": steps, "decay": decay,
        "losses": origin if chosen.reads_loss else None,
        "warmup_end_step": states[-1].end, "warmup_ended_by": states[-1].ended_by,
        "stretches": stretches(rates, states[-1].end),
        "kappa": run.kappa, **law_of(states[-1], lr),
    }  # fmt: skip
    if json:
        print(json_format.dumps({**values, "rates": rates}))
    else:
        _print(values, chosen, rates, walked)
        lowered = states[-1].lowered
        if lowered:
            print(f"\nThe loss stalls on the way: the rate is lowered at {lowered} looks.")
    if figure is not None:
        from autowarmup.lab.report.schedule_figure import draw_schedule

        followed = walked[:steps] if chosen.reads_loss else None
        draw_schedule(rates, followed, title=chosen.name, end=states[-1].end, path=figure)
    return 0


def walk(
    rule: Rule[Any], run: Run, losses: Sequence[float | None], decay_after: int | None = None
) -> list[WarmupState]:
    """Return the state of a rule before each update of a run, and after the last.

    Raises:
        ValueError: too few losses, or a decay that begins outside the run.
    """
    total = run.length
    if len(losses) < total:
        raise ValueError(f"losses: expected {total}, one per update, got {len(losses)}")
    if decay_after is not None:
        if not 0 <= decay_after < total:
            raise ValueError(f"decay_after: expected 0 to {total - 1} updates, got {decay_after}")
        run = replace(run, total_steps=None)
    states = [begin(rule, run)]
    for at, loss in enumerate(losses[:total]):
        if at == decay_after:
            states[-1] = with_decay(states[-1], total - at)
        states.append(step(states[-1], loss))
    return states


def stretches(rates: Sequence[float], end: int | None) -> list[dict[str, Any]]:
    """Return what the rate does from where to where: ramp, plateau, decay.

    Example:
        >>> stretches([0.5, 1.0, 1.0, 0.5], 1)
        [{'what': 'ramp', 'first': 0, 'last': 0},
         {'what': 'plateau', 'first': 1, 'last': 2},
         {'what': 'decay', 'first': 3, 'last': 3}]
    """
    if end is None or end >= len(rates):
        return [{"what": "ramp", "first": 0, "last": len(rates) - 1}]
    level = (at for at in range(end, len(rates)) if rates[at] != rates[end])
    down = next(level, len(rates))
    if down == end + 1 < len(rates):  # the first update of a decay is at its peak
        down = end
    parts = (("ramp", 0, end), ("plateau", end, down), ("decay", down, len(rates)))
    return [
        {"what": what, "first": first, "last": after - 1}
        for what, first, after in parts
        if after > first
    ]


def law_of(state: WarmupState, lr: float) -> dict[str, float]:
    """Return the constants of the law of the gap in the paper's letters, nothing without a law."""
    rule, memory = state.rule, state.memory
    if not isinstance(rule, GapLaw) or memory.gap_peak is None or rule.first_div(state.run) == 1.0:
        return {}
    div, gap0, gap_peak = rule.first_div(state.run), memory.gap0, memory.gap_peak
    law = SmoothnessLaw.from_peak(lr, div, gap0, gap_peak)
    return {"div": div, "gap0": gap0, "gap_peak": gap_peak, "r": gap_peak / gap0,
            "K0": law.K0, "K1": law.K1, "K2": law.K_rho}  # fmt: skip


def optimizer_facts(rule: Rule[Any], size: Recipe, optimizer: str) -> dict[str, Any]:
    """Return what some rules ask of the optimizer, from a model without storage."""
    if not (rule.needs_kappa or rule.reads_model or isinstance(rule, Untuned)):
        return {}
    import torch

    from autowarmup.lab.train.model import build_model
    from autowarmup.lab.train.optimizers import build_optimizer
    from autowarmup.optimizer_class import family_of, kappa_of, parameters_of, slowest_beta

    vocabulary = 256 if size.tokenizer == "bytes" else 50257
    with torch.device("meta"):
        model = build_model(size, vocabulary=vocabulary, sequence_length=8, seed=0)
    built = [build_optimizer(optimizer, model, lr=1.0, weight_decay=0.0)]
    if rule.reads_model:
        return {"family": family_of(built), "parameters": parameters_of(built)}
    return {"kappa": kappa_of(built)} if rule.needs_kappa else {"beta": slowest_beta(built)}


def _print(
    values: dict[str, Any], rule: Rule[Any], rates: list[float], losses: Sequence[float | None]
) -> None:
    console = Console(highlight=False)
    steps, end = values["steps"], values["warmup_end_step"]
    console.print(f"[bold]{escape(rule.name)}[/bold]: {escape(rule.about.rstrip('.'))}.")
    console.print(f"{steps:,} updates, {values['decay']} decay, peak rate {values['lr']:g}.")
    follows = f"It follows the loss, here along {values['losses']}; other losses move it."
    console.print(follows if rule.reads_loss else "It does not follow the loss.", markup=False)
    if end is not None:
        console.print(f"Warm-up ends at update {end} ({values['warmup_ended_by']}).")
        parts = (f"{p['what']} {p['first']:,} to {p['last']:,}" for p in values["stretches"])
        console.print(f"Updates: {', '.join(parts)}.")
    if "r" in values:
        law = SmoothnessLaw(values["K0"], values["K1"], values["K2"])
        console.print(
            f"The law peaks where the gap has fallen from {values['gap0']:g} to "
            f"{values['gap_peak']:.4g} (r = {values['r']:.4f}).\n"
            f"K0 = {law.K0:.6g}   K1 = {law.K1:.6g}   K2 = {law.K_rho:.6g}\n{law.k1_sentence()}"
        )
    console.print("\n[bold]  update     loss  rate[/bold]")
    room = console.width - 30
    marked = room >= 48  # else the sentence above has to do
    shown = {round(k * (steps - 1) / ROWS) for k in range(ROWS + 1)} | {end or 0}
    for k in sorted(shown - {steps}):
        bar = "█" * max(1, round(min(34, max(4, room)) * rates[k] / values["lr"]))
        mark = "  [bold]warm-up ends[/bold]" if k == end and marked else ""
        seen = losses[k] if rule.reads_loss else None
        loss = "        -" if seen is None else f"{seen:9.4g}"
        console.print(f"{k:8}{loss}  {rates[k]:<9.3g} [cyan]{bar}[/cyan]{mark}")
