"""Colours of rules and numbers on axes, the same in every figure of the benchmark."""

from __future__ import annotations

from autowarmup.lab.report import style

# The blue of hand tuning and the orange of the default are those of the other reports.
_BY_KIND = {"fixed": style.HAND_TUNED, "published": "#00805c", "candidate": "#b0508c"}


def colour_of(kind: str, *, main: bool = False) -> str:
    """Return a rule's colour: by its kind, or that of the default.

    Example:
        >>> colour_of("fixed"), colour_of("candidate", main=True)
        ('#2a5c8f', '#d55e00')
    """
    return style.ADAPTIVE if main else _BY_KIND.get(kind, style.MUTED)


def tick_text(value: float, _: float = 0.0) -> str:
    """Return a share as a signed percentage, as short as it can be; what matplotlib calls.

    Example:
        >>> tick_text(0.025), tick_text(-0.1), tick_text(0.0)
        ('+2.5 %', '−10 %', '0')
    """
    return f"{100 * value:+.3g} %".replace("-", "−") if value else "0"
