"""Each script trains something real, and its rate rises, peaks and falls."""

from __future__ import annotations

import pytest

from pages import example


def check_the_curve(rates: list[float], peak: float) -> None:
    highest = rates.index(max(rates))
    assert 0.2 * len(rates) < highest < 0.7 * len(rates)
    assert rates[0] < 0.3 * max(rates) <= 0.3 * peak
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize(
    ("name", "short", "peak"),
    [("plain_loop", 150, 0.02), ("accelerate_loop", 6, 0.01), ("optax_jax", 120, 0.02)],
)
def test_digits_are_learned(name, short, peak, capsys):
    script = example(name)
    result = script.main(short)
    assert result["accuracy"] > 0.85
    assert 0 < result["warmup_end_step"] < len(result["rates"])
    check_the_curve(result["rates"], peak)
    script.show(result)
    assert "accuracy on unseen digits" in capsys.readouterr().out


# torch deprecates a check that Lightning makes of every batch; a test wants no worker processes.
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_lightning_learns_digits(capsys):
    script = example("lightning_module")
    result = script.main()
    assert result["accuracy"] > 0.86
    assert result["steps"] == result["updates"] == 6 * 24  # 47 micro-batches, two by two
    check_the_curve(result["rates"], 0.02)
    script.show(result)


def test_the_trainer_learns_bytes(capsys):
    script = example("hf_trainer")
    result = script.main()
    assert result["losses"][-1] < 0.6 * result["losses"][0]
    check_the_curve(result["rates"], 5e-3)
    script.show(result)
    assert "loss: 5." in capsys.readouterr().out
