"""axolotl: a plugin, named in the configuration."""

from __future__ import annotations

from typing import Any

from autowarmup.integrations import missing

try:
    from axolotl.integrations.base import BasePlugin  # pyright: ignore[reportMissingImports]
    from pydantic import BaseModel
except ModuleNotFoundError as error:
    if error.name != "axolotl":
        raise  # it is there, and something that it needs is not
    raise missing("axolotl") from error

from autowarmup.integrations.huggingface import AdaptiveWarmupMixin


class AdaptiveWarmupArgs(BaseModel):
    """What the plugin adds to a configuration.

    Attributes:
        adaptive_warmup: arguments of `AdaptiveWarmup`.
    """

    adaptive_warmup: dict[str, Any] | None = None


class AdaptiveWarmupPlugin(BasePlugin):
    """Trains with axolotl's trainer of causal models, which `AdaptiveWarmupMixin` steps."""

    def get_input_args(self) -> str:
        """Name the arguments of this plugin."""
        return "autowarmup.integrations.axolotl.AdaptiveWarmupArgs"

    def get_trainer_cls(self, cfg: Any) -> type:
        """Return the trainer.

        Raises:
            ValueError: the configuration asks for a trainer of another kind.
        """
        others = ("rl", "reward_model", "process_reward_model", "trainer_cls", "kd_trainer")
        if asked := [name for name in others if cfg.get(name)]:
            raise ValueError(
                "AdaptiveWarmupPlugin trains causal models: expected a configuration without "
                f"{', '.join(others)}, got {asked[0]}: {cfg.get(asked[0])}"
            )
        from axolotl.core.trainers import AxolotlTrainer  # pyright: ignore[reportMissingImports]

        options = dict(cfg.get("adaptive_warmup") or {})
        bases = (AdaptiveWarmupMixin, AxolotlTrainer)
        return type("AdaptiveWarmupTrainer", bases, {"warmup_options": options})
