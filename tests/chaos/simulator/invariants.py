"""What must hold of a simulated saga after every event, and at its end."""

from __future__ import annotations

from typing import Any

from outbox.saga.definition import SagaDefinition
from tests.chaos.simulator.memory import MemoryStore, Values
from tests.chaos.simulator.world import Violation, World

DONE = ("succeeded", "skipped")
ENDED = ("completed", "compensated")
COUNTERS = ("duplicates_refused", "outcomes_refused")


class Watcher:
    """Looks at everything after each event, and remembers what it has seen."""

    def __init__(self, store: MemoryStore, world: World) -> None:
        self.store = store
        self.world = world
        self.by_hand: set[str] = set()
        self._ended: Any = None
        self._attempts: dict[tuple[str, str], int] = {}
        self._reached: set[tuple[str, str]] = set()

    def check(self, definition: SagaDefinition) -> None:
        """After an event."""
        saga, rows = self.store.saga, self.store.rows
        self._terminal_is_terminal(saga, rows)
        self._nothing_is_stuck(saga, rows)
        self._history_has_no_gaps(saga)
        self._attempts_only_grow(rows)
        self._steps_open_in_order(rows)
        self._undo_is_right(definition, saga, rows)

    def check_end(self, definition: SagaDefinition) -> None:
        """When the saga has ended, and every zombie is gone."""
        saga, live = self.store.saga, self.world.live()
        if saga["status"] == "completed":
            for row in self.store.rows:
                step = definition.step(row["name"])
                if row["status"] == "succeeded" and not step.waits_for:
                    _must(
                        f"{saga['id']}:{row['name']}:action" in live,
                        f"{row['name']} succeeded, without effect",
                    )
        else:
            _must(not live, f"it is compensated, and live: {live}")
        _must(self.world.hooks.count(saga["status"]) == 1, f"hooks: {self.world.hooks}")

    def _terminal_is_terminal(self, saga: Values, rows: list[Values]) -> None:
        if saga["status"] not in ENDED:
            _must(self._ended is None, "it had ended, and goes on")
            return
        kept = [{name: value for name, value in row.items() if name not in COUNTERS} for row in rows]
        now = (saga["status"], saga["context"], kept)
        _must(self._ended in (None, now), "it has ended, and was changed")
        _must(all(row["ended_at"] for row in rows), "it has ended, and a step has not")
        self._ended = now

    def _nothing_is_stuck(self, saga: Values, rows: list[Values]) -> None:
        is_open = saga["status"] in ("running", "compensating")
        for row in rows:
            if row["status"] in ("running", "waiting"):
                _must(row["locked_until"] is not None, f"{row['name']} has no end of its time")
        if is_open:
            _must(any(row["ended_at"] is None for row in rows), "it is open, and nothing of it is on its way")
        if saga["status"] == "needs_attention":
            _must(saga["attention"], "nobody knows why it is parked")

    def _history_has_no_gaps(self, saga: Values) -> None:
        numbers = [number for number, *_ in self.store.notes]
        _must(numbers == list(range(1, saga["entries"] + 1)), f"history: {numbers}")

    def _attempts_only_grow(self, rows: list[Values]) -> None:
        for row in rows:
            name = (row["name"], row["direction"])
            _must(row["attempt"] - self._attempts.get(name, 0) in (0, 1), f"attempts of {name}")
            self._attempts[name] = row["attempt"]

    def _steps_open_in_order(self, rows: list[Values]) -> None:
        """The join: a step is reached when all before it are done, and no sooner."""
        actions = [row for row in rows if row["direction"] == "action"]
        for row in actions:
            if (row["name"], "action") not in self._reached:
                before = [one for one in actions if one["position"] < row["position"]]
                _must(all(one["status"] in DONE for one in before), f"{row['name']} was reached too soon")
        undone = [row for row in rows if row["direction"] == "compensation"]
        for row in undone:
            if (row["name"], "compensation") not in self._reached:
                later = [one for one in undone if one["position"] > row["position"]]
                _must(all(one["status"] in DONE for one in later), f"{row['name']} is undone too soon")
                _must(
                    all(one["ended_at"] for one in actions),
                    f"{row['name']} is undone while steps are at work",
                )
        self._reached |= {(row["name"], row["direction"]) for row in rows}

    def _undo_is_right(self, definition: SagaDefinition, saga: Values, rows: list[Values]) -> None:
        actions = {row["name"]: row for row in rows if row["direction"] == "action"}
        undone = {row["name"] for row in rows if row["direction"] == "compensation"}
        for name in undone:
            action = actions[name]
            happened = action["status"] in ("succeeded", "unknown") or action["may_have_happened"]
            _must(happened, f"{name} is undone, and did not happen")
        passed = [
            n for n, row in actions.items() if definition.step(n).pivot and row["status"] == "succeeded"
        ]
        _must(not (passed and undone), f"the pivot {passed} is done, and {undone} is undone")
        if saga["status"] == "compensated":
            for name, row in actions.items():
                needed = row["status"] in ("succeeded", "unknown") and definition.step(name).compensation
                _must(not needed or name in undone, f"{name} is not undone")


def _must(condition: object, otherwise: str) -> None:
    if not condition:
        raise Violation(otherwise)
