"""``relay``: how fast one relay drains a full table, beside the rival's and the bare ceiling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench import templates
from tests.bench.draining import Ceiling, Contender, Drain, OurRelay, drain
from tests.bench.lab import Lab
from tests.bench.result import Goal, Result
from tests.bench.rivalry import BEST, RivalRelay
from tests.bench.sizes import Sizes

OURS, RIVAL, CEILING = "manage.py relay", "django-celery-outbox", "bare ceiling"
CORES = 2
EVENTS, TWO = "manage.py relay, events", "two relays"


def run(lab: Lab, sizes: Sizes) -> Result:
    """Each round: ours, the rival's, the ceiling, ours with events, two of ours."""
    templates.prepare(lab)
    contenders: dict[str, Contender] = {
        OURS: OurRelay(lab),
        RIVAL: RivalRelay(lab),
        CEILING: Ceiling(lab),
        EVENTS: OurRelay(lab, template=templates.EVENT),
        TWO: OurRelay(lab, count=2),
    }
    drains = take_turns(lab, contenders, sizes)
    result = Result(
        "relay",
        "messages/s",
        rates(drains),
        {"ours": OURS, "other": RIVAL, "ceiling": CEILING},
        cpu=cpu(drains),
        figures={
            "messages": sizes.messages,
            "two_relays": round(median(rates(drains)[TWO])),
            "rate_that_the_cpu_allows_on_2_cores": {
                name: _cpu_bound(one, contenders[name].count) for name, one in cpu(drains).items()
            },
        },
        notes=[
            "Durable tasks with a body of about 300 bytes; rows stay as Sent. PostgreSQL with fsync on.",
            f"The rival runs `celery_outbox_relay {' '.join(BEST)}`, with metrics and logging off; it deletes "
            "its rows.",
            "What the CPU allows: two cores shared by all three, of which a relay's process can use one. A machine "
            "with other work reaches less.",
        ],
    )
    result.goals = [
        Goal("messages/s", result.of("ours") or 0, 15_000),
        Goal("times the other relay", result.ratio("other") or 0, 10),
        Goal("share of the ceiling", result.ratio("ceiling") or 0, 0.7),
        Goal("messages/s with two relays", median(rates(drains)[TWO]), 50_000),
    ]
    return result


def take_turns(lab: Lab, contenders: Mapping[str, Contender], sizes: Sizes) -> dict[str, Sequence[Drain]]:
    """All contenders in turn, as often as there are rounds; each round begins with another."""
    drains: dict[str, list[Drain]] = defaultdict(list)
    names = list(contenders)
    for number in range(sizes.rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            lab.say(f"round {number + 1} of {sizes.rounds}: {name}, {sizes.messages:,} messages")
            drains[name].append(drain(contenders[name], sizes.messages))
    return {name: drains[name] for name in names}


def rates(drains: Mapping[str, Sequence[Drain]]) -> dict[str, list[float]]:
    """Messages a second of each drain."""
    return {name: [one.rate for one in several] for name, several in drains.items()}


def cpu(drains: Mapping[str, Sequence[Drain]]) -> dict[str, dict[str, float]]:
    """Medians of the microseconds of CPU per message, by process tree."""
    return {
        name: {tree: median(one.cpu_us[tree] for one in several) for tree in several[0].cpu}
        for name, several in drains.items()
    }


def _cpu_bound(trees: Mapping[str, float], relays: int) -> int:
    """Messages a second, were CPU the only limit: where the machine is noisy, this is what stays the same."""
    return round(1e6 / max(trees["relay"] / relays, sum(trees.values()) / CORES))
