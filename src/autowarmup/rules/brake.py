"""The brake of the paced ramp: has the loss risen by more than noise explains?

A rate that is too high shows in a loss that rises, and nothing else shows it safely. A slow fall
does not: real losses fall by 3 to 6 % while the time doubles, fine-tuning by less, and a model on a
plateau needs a higher rate, not a lower one. So the loss is looked at eight times while the time
doubles; where the level of the last half octave lies above the lowest before it by more than noise
explains, and is not falling again, the rate is to be lowered. The loss of a trained model begins
where it should: a level above its first losses counts as a rise.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

FIRST, PER_OCTAVE, HALF = 32, 8, 4
"""The first look, looks while the time doubles, and those in half of that."""
LOWER, SCATTER = 0.297, 1.44
"""Of the second lowest of four standard normal numbers: minus the mean, 4 times the variance."""
FEW = 40.0
"""The variance of n losses may be 1 + 40 / n times what they show: so 4 standard errors are about
as rare with 10 to 100 of them as with many (Student's t)."""
BEGIN = 8
"""Losses of a trained model that say where it began."""
LARGEST = 1e150
"""The largest loss that is counted as it is: the square of more is no number."""


class Level(NamedTuple):
    """Loss over half an octave: its level, the variance of one loss, and as how many it counts."""

    mean: float
    variance: float
    seen: float = 1.0


class Block(NamedTuple):
    """Losses between two looks: their number, their mean, and the variance of one of them."""

    seen: int
    mean: float
    variance: float


class Looks(NamedTuple):
    """What looking at the loss has found; changes at looks only.

    Attributes:
        number: of the next look; -1: where a trained model begins.
        due: its update.
        slope: rise of the share per update.
        blocks: the last blocks, at most half an octave of them.
        levels: the last levels, at most half an octave of them.
        best: the lowest level that ended before the oldest of these.
        pause: looks to let pass.
        lowered: how often the rate was lowered.
    """

    slope: float
    number: int = 0
    due: int = FIRST
    blocks: tuple[Block, ...] = ()
    levels: tuple[Level, ...] = ()
    best: Level | None = None
    pause: int = 0
    lowered: int = 0


def look_at(index: int) -> int:
    """Return the update after which a look is taken.

    Example:
        >>> [look_at(index) for index in (0, 1, 4, 8)]
        [32, 35, 45, 64]
    """
    return round(FIRST * 2.0 ** (index / PER_OCTAVE))


def look(looks: Looks, block: Block, *, sure: float, least: float) -> Looks:
    """Take in a block, and count it as lowered where the loss has risen.

    `sure` and `least` are settings of `rules.paced.Paced`.
    """
    if looks.number < 0:
        return looks._replace(best=Level(block.mean, block.variance, block.seen))
    blocks = (*looks.blocks, block)[-HALF:]
    if len(blocks) < HALF:
        return looks._replace(blocks=blocks)
    now = _level(blocks)
    levels, best = looks.levels, looks.best
    before = levels[0] if len(levels) == HALF else None
    if before is not None and (best is None or before.mean < best.mean):
        best = before
    looks = looks._replace(blocks=blocks, levels=(*levels, now)[-HALF:], best=best)
    if looks.pause:
        return looks._replace(pause=looks.pause - 1)
    if best is None or before is None:
        return looks
    # A few losses often look calmer than they are, but no calmer than the louder of the two.
    loud = max(best.variance, now.variance)
    error = math.sqrt(sum(min(loud, x.variance * (1 + FEW / x.seen)) / x.seen for x in (best, now)))
    risen = now.mean - best.mean > max(sure * error, least * abs(best.mean))
    if not risen or before.mean - now.mean > least * abs(before.mean):
        return looks
    return looks._replace(pause=HALF, lowered=looks.lowered + 1)


def _level(blocks: tuple[Block, ...]) -> Level:
    """Return the loss over four blocks; a spike that lies in up to two of them does not move it.

    It is the second lowest of their means, which lies below the mean of four normal numbers by
    0.297 of their standard deviation and scatters as the mean of 1 / 1.44 as many losses.
    """
    seen = sum(block.seen for block in blocks)
    noise = sum(block.seen * block.variance for block in blocks) / seen
    middle = statistics.median_low(block.mean for block in blocks)
    return Level(middle + LOWER * math.sqrt(noise * HALF / seen), noise, seen / SCATTER)


def restored(values: Any) -> Looks:
    """Return what the looks have found, from its JSON values."""
    looks = Looks(*values)
    return looks._replace(
        blocks=tuple(Block(*block) for block in looks.blocks),
        levels=tuple(Level(*level) for level in looks.levels),
        best=None if looks.best is None else Level(*looks.best),
    )
