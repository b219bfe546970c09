"""``memory``: whether a relay's memory stays flat over a million messages."""

from __future__ import annotations

from tests.bench import templates
from tests.bench.draining import OurRelay, drain_with
from tests.bench.lab import Lab
from tests.bench.meter import rss
from tests.bench.result import Goal, Result, tidy
from tests.bench.sizes import Sizes

DRAINS = 20
MEGABYTE = 2**20


def run(lab: Lab, sizes: Sizes) -> Result:
    """One relay drains all the messages, a twentieth at a time; its resident memory is read after each."""
    templates.prepare(lab)
    lab.empty()
    relay = OurRelay(lab)
    series: list[float] = []
    with lab.database() as connection:
        process = relay.start()
        for number in range(DRAINS):
            lab.say(f"{number * sizes.messages // DRAINS:,} of {sizes.messages:,} messages")
            drain_with(relay, [process], connection, sizes.messages // DRAINS)
            series.append(rss(process.popen.pid) / MEGABYTE)
            relay.clear(connection)
    lab.end(process)
    lab.empty()
    return Result(
        "memory",
        "MB resident, less is better",
        {"at the end": [series[-1]], "after the first tenth": [series[1]]},
        {"ours": "at the end", "other": "after the first tenth"},
        less_is_better=True,
        figures={"messages": sizes.messages, "series_mb": [tidy(value) for value in series]},
        notes=["Resident memory of one `manage.py relay`, read after every twentieth of the messages."],
        goals=[Goal("MB grown after the first tenth", series[-1] - series[1], 10, at_most=True)],
    )
