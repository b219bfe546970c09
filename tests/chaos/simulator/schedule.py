"""One schedule: a saga, and a random interleaving of everything that can happen to it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from outbox.saga import engine, operations, registry, signals, watchdog
from outbox.saga.store import using
from tests.chaos.simulator import making
from tests.chaos.simulator.invariants import Watcher
from tests.chaos.simulator.memory import DiedBeforeCommitError, MemoryStore
from tests.chaos.simulator.people import People
from tests.chaos.simulator.workers import Workers
from tests.chaos.simulator.world import Violation, World

KEY = "k-1"
EVENTS = 60
PATIENCE = 400
ENDED = ("completed", "compensated")


class Schedule:
    """Runs one seed to its end.

    Args:
        seed: all that there is to know of it.
        trace: told every event, with the saga's status after it.
    """

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.trace = trace
        self.dice = random.Random(seed)
        random.seed(seed)  # what the engine draws for its jitter
        self.store = MemoryStore()
        self.world = World(self.dice, self.store)
        self.definition = making.definition(self.dice, self.world)
        self.watcher = Watcher(self.store, self.world)
        self.counts: Counter[str] = Counter()
        self.workers = workers = Workers(self.dice, self.store, self.counts)
        self.people = People(self.dice, self.world, lambda: self.definition, self.counts)
        events = {
            workers.deliver: 30, workers.act: 25, workers.record: 22, self.pass_time: 12, self.sweep: 10,
            workers.duplicate: 8, workers.crash: 4, workers.resend: 4, self.signal: 5, self.people.operate: 5,
            workers.heartbeat: 3, workers.lose_message: 1, self.pause_definition: 1, self.deploy: 1,
            workers.die_at_commit: 2,
        }  # fmt: skip
        self.events, self.weights = list(events), list(events.values())

    def run(self) -> Counter[str]:
        """Chaos, then calm until the saga has ended.

        Returns:
            What happened how often.

        Raises:
            Violation: an invariant does not hold.
        """
        registry.add(self.definition)
        try:
            with using(self.store):
                self._start()
                for event in self.dice.choices(self.events, self.weights, k=EVENTS):
                    self._happen(event)
                self._calm_down()
                self.watcher.check_end(self.definition)
        finally:
            registry.remove(self.definition)
        self.counts[f"ended {self.store.saga['status']}"] += 1
        self.counts["duplicates refused"] += sum(row["duplicates_refused"] for row in self.store.rows)
        self.counts["outcomes refused"] += sum(row["outcomes_refused"] for row in self.store.rows)
        self.counts.update({f"fault: {name}": n for name, n in self.world.faults.items()})
        return self.counts

    def pass_time(self) -> None:
        """Up to half a minute goes by."""
        self.store.clock += self.dice.choice([0.5, 2.0, 11.0, 31.0])

    def sweep(self) -> None:
        """A watchdog comes round."""
        watchdog.sweep()

    def signal(self) -> None:
        """The outside world tells of an event, often too early or twice."""
        waits = [step for step in self.definition.steps if step.waits_for]
        if waits:
            step, id_ = self.dice.choice(waits), str(self.dice.randint(1, 2))
            try:
                with self.store.transaction():
                    told = signals.signal(making.NAME, KEY, step.waits_for, {"told": True}, signal_id=id_)
                self.counts[f"signal {told}"] += 1
            except KeyError:  # a hook's bug: its sender is told, and tells it again
                self.counts["signal failed"] += 1

    def pause_definition(self) -> None:
        """Or end the pause."""
        self.store.is_definition_paused = not self.store.is_definition_paused

    def deploy(self) -> None:
        """A new version takes the place of the old one."""
        if self.definition.version == 1:
            new = making.next_version(self.definition, self.dice, self.world)
            registry.remove(self.definition)
            registry.add(new)
            self.definition = new
            self.counts["deployed"] += 1

    def _start(self) -> None:
        with self.store.transaction():
            engine.start(making.NAME, KEY)
        self._look("start")

    def _happen(self, event: Callable[[], None]) -> None:
        try:
            event()
        except DiedBeforeCommitError:
            self.counts["died at commit"] += 1
        self.store.dies_at_commit = self.store.dies_at_commit and event == self.workers.die_at_commit
        self._look(event.__name__)

    def _look(self, event: str) -> None:
        self.counts["events"] += 1
        if self.trace is not None:
            rows = " ".join(f"{r['name']}/{r['direction'][0]}:{r['status']}" for r in self.store.rows)
            self.trace(f"{self.store.clock:8.1f} {event:18} {self.store.saga['status']:16} {rows}")
        self.watcher.check(self.definition)

    def _calm_down(self) -> None:
        """No more faults: zombies end, messages arrive, people help; the saga has to end."""
        self.world.is_calm, self.store.is_definition_paused = True, False
        for round_ in range(PATIENCE):
            while self.workers.begun or self.workers.acted:
                self._happen(self.workers.act if self.workers.begun else self.workers.record)
            if self.store.saga["status"] in ENDED:
                return
            for event in (self.workers.resend, self.workers.deliver, self.sweep):
                self._happen(event)
            self.store.clock += 5.0
            if round_ % 10 == 9:
                self._help(round_)
        raise Violation(f"it does not end: {self.store.saga['status']}, {self.store.saga['attention']}")

    def _help(self, round_: int) -> None:
        self.people.do(operations.unpause)
        if self.store.saga["status"] == "needs_attention" and not self.people.do(operations.resume):
            return
        if round_ > PATIENCE / 4:  # a wait past the pivot, whose event never comes
            for row in self.store.rows:
                if row["status"] in ("waiting", "failed"):
                    self.people.do(self.people.skip, row["name"])
        self._look("help")
