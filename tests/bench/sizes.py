"""How much a benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Every benchmark takes from these what it needs; the command line overrides its defaults.

    Args:
        rounds: how often ours and its comparison take turns.
        messages: in each drain, or each measurement.
        history: old rows in the table.
        samples: single measurements of a latency, over all rounds.
        orders: placed in each round.
        seconds: how long something is kept up.
        rate: requests a second.
    """

    rounds: int = 3
    messages: int = 0
    history: int = 0
    samples: int = 0
    orders: int = 0
    seconds: float = 0.0
    rate: float = 0.0
