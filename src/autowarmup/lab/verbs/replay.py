"""`autowarmup replay`: what a rule would have done on a run that was logged."""

from __future__ import annotations

import json as json_format
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from autowarmup.lab.claim import claimed
from autowarmup.lab.rule_list import rule_list
from autowarmup.lab.verbs.train import filled_by
from autowarmup.lab.verbs.typed import command, counted

USUAL = "default,linear 5%,watched"
"""What is shown where no rule is named."""


def replay(
    logs: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(help_behavior_hint="(required)")
    ],
    rules: Annotated[str | None, filled_by(f"{USUAL}; with --open-end, default")] = None,
    total_steps: Annotated[int | None, filled_by("what the log says, or covers")] = None,
    open_end: bool = False,
    optimizer: Annotated[str, filled_by("not known: as AdamW")] = "",
    parameters: Annotated[float | None, filled_by("not known")] = None,
    trained: bool = False,
    lr: Annotated[float | None, filled_by("the largest of the log")] = None,
    decay: str = "cosine",
    lower_bound: float = 0.0,
    beta: Annotated[float | None, filled_by("0.9")] = None,
    kappa: Annotated[float | None, filled_by("not known")] = None,
    step: Annotated[str, filled_by("found by its name")] = "",
    loss: Annotated[str, filled_by("found by its name")] = "",
    rate: Annotated[str, filled_by("found by its name")] = "",
    run: Annotated[str, filled_by("the only one")] = "",
    pattern: Annotated[str, filled_by("common forms")] = "",
    per_update: float = 1.0,
    json: bool = False,
    out: Annotated[Path | None, filled_by("no page")] = None,
) -> int:
    """Say what warm-up rules would have done on a run that is logged already.

    Reads trainer_state.json, Lightning's metrics.csv, TensorBoard's event files, CSV of W&B and of
    others, trackio's databases, JSON, traces of this library and text such as "step 10 loss 3.2",
    packed by gzip or not. The losses are those of the old rates: a check, no forecast.

    Args:
        logs: files or directories of one run, in the order in which it went.
        rules: warm-up rules, separated by commas; the sentences are about the first.
        total_steps: updates of the whole run.
        open_end: nobody knew the end beforehand.
        optimizer: by name, e.g. muon or lion: rules go by its class.
        parameters: how many the optimizer trained, e.g. 124e6.
        trained: the model was trained before, as in fine-tuning.
        lr: peak learning rate.
        decay: what follows the peak: cosine, linear, wsd, sqrt or constant.
        lower_bound: a number that the loss cannot go below.
        beta: slowest average of the optimizer, e.g. 0.999 of AdamW, for the rule untuned.
        kappa: what the rules accurate and published weigh by.
        step: column of steps; "row" counts losses.
        loss: column of the training loss.
        rate: column of the learning rate.
        run: name of the run in a project of trackio.
        pattern: for text, a regular expression with groups (?P<step>), (?P<loss>), (?P<lr>).
        per_update: how far the step counts in an update, where it counts tokens or samples.
        json: print one JSON object for machines.
        out: also write OUT/report.html, OUT/replay.json and OUT/figures.
    """
    from autowarmup.lab.replay.columns import Wanted
    from autowarmup.lab.replay.judged import judged
    from autowarmup.lab.replay.page import print_replay, write_page
    from autowarmup.lab.replay.read import read_logs

    names = rule_list(rules or ("default" if open_end else USUAL))
    if not logs:
        raise ValueError("logs: expected one file or more, got none")
    if open_end and total_steps is not None:
        raise ValueError(f"expected --total-steps or --open-end, got both ({total_steps:,})")
    told: dict[str, Any] = {"decay": decay, "lower_bound": lower_bound, "trained": trained}
    if parameters is not None:
        told["parameters"] = counted(parameters)
    told |= {name: x for name, x in (("beta", beta), ("kappa", kappa)) if x is not None}
    log = read_logs(logs, Wanted(step, loss, rate, run, pattern, per_update))
    total = math.inf if open_end else total_steps
    record, traces = judged(log, names, total_steps=total, lr=lr, optimizer=optimizer, **told)
    if json:
        print(json_format.dumps(record))
    else:
        print_replay(record)
    if out is not None:
        with claimed(out):
            page = write_page(out, record, log, traces, command=command())
        print(f"Open {page} in a browser.", file=sys.stderr if json else sys.stdout)
    return 0
