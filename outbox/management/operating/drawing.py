"""The overview as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from outbox.figures import Holder, Limited, OldMessage, Overview, Paused, Tally
from outbox.storage import TableSize

STATES = ("due", "later", "waiting", "processing", "sent", "failed", "discarded", "consumed")
COLOURS = {"failed": "red", "processing": "cyan", "due": "yellow"}
NUMBERS = ("messages", "waiting", "rate", "burst", "size", "indexes", "rows", "dead")
LONGEST_ERROR = 80


def draw(found: Overview) -> RenderableType:
    """All sections that have something to say."""
    return Group(*_sections(found))


def _sections(found: Overview) -> Iterator[RenderableType]:
    rates = found.rates
    yield Text(
        f"Outbox at {found.at:%H:%M:%S} UTC   lag {_span(found.lag_seconds)}   in {rates.published:,.1f}/s   "
        f"done {rates.consumed:,.1f}/s   failures {rates.failed_attempts:,.1f}/s",
        style="bold",
    )
    yield _messages(found.tallies) if found.tallies else Text("\nNo messages.")
    yield from _table("Oldest", ("state", "age", "id", "what"), map(_old, found.oldest))
    yield from _table("In hand", ("who", "messages", "lease ends"), map(_holder, found.holders))
    yield from _table("Paused", ("what", "waiting", "since", "by", "why"), map(_pause, found.pauses))
    yield from _table("Limited", ("type", "rate", "burst", "in line", "by", "why"), map(_limit, found.limits))
    yield from _table(
        "Storage", ("table", "size", "indexes", "rows", "dead", "vacuumed"), map(_size, found.tables)
    )
    for holder in found.horizon:
        yield Text(f"\n{holder}. To end it: {holder.remedy};", style="red")


def _messages(tallies: Sequence[Tally]) -> Table:
    """Types down, states across; only states that occur."""
    cells = {(tally.type, tally.state): tally for tally in tallies}
    states = [state for state in STATES if any(key[1] == state for key in cells)]
    types = sorted({tally.type for tally in tallies})
    table = _new("Messages", ["type", *states], right=states)
    for type_ in types:
        row = [cells.get((type_, state)) for state in states]
        table.add_row(type_, *(_cell(tally) for tally in row))
    if len(types) > 1:
        table.add_row("all", *(_sum(tallies, state) for state in states), style="bold")
    return table


def _cell(tally: Tally | None) -> Text:
    if tally is None:
        return Text("·", style="dim")
    return Text(_count(tally.count, tally.exact), style=COLOURS.get(tally.state, ""))


def _sum(tallies: Sequence[Tally], state: str) -> str:
    of_state = [tally for tally in tallies if tally.state == state]
    return _count(sum(t.count for t in of_state), all(t.exact for t in of_state))


def _old(row: OldMessage) -> tuple[str, ...]:
    error = " ".join(row.last_error.split())
    short = error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]}…"
    age = _span(row.seconds) if row.seconds >= 0 else f"{_span(-row.seconds)} left"
    return (row.state, age, str(row.id), f"{row.type}: {short}" if short else row.type)


def _holder(holder: Holder) -> tuple[str, ...]:
    span = _span(abs(holder.lease_seconds))
    ends = f"in {span}" if holder.lease_seconds >= 0 else f"{span} ago"
    return (holder.name, _count(holder.count, holder.exact), ends)


def _pause(pause: Paused) -> tuple[str, ...]:
    what, waiting = f"{pause.scope} {pause.value}", _count(pause.waiting, pause.exact)
    return (what, waiting, f"{pause.since:%m-%d %H:%M}", pause.by, pause.reason)


def _limit(limit: Limited) -> tuple[str, ...]:
    line = f"{limit.line:,} ({_span(limit.line_seconds)})"
    return (limit.type, f"{limit.per_second:g}/s", f"{limit.burst:,}", line, limit.by, limit.reason)


def _size(table: TableSize) -> tuple[str, ...]:
    sizes = (_bytes(table.table_bytes), _bytes(table.index_bytes))
    vacuumed = f"{table.vacuumed_at:%m-%d %H:%M}" if table.vacuumed_at else "never"
    return (table.name, *sizes, f"~{table.live_rows:,}", f"~{table.dead_rows:,}", vacuumed)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Table]:
    """A table, unless it is empty."""
    table = _new(title, columns, right=NUMBERS)
    for row in rows:
        table.add_row(*map(Text, row))
    if table.row_count:
        yield table


def _new(title: str, columns: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            header_style="dim",
            no_wrap=name not in ("what", "why"),
            overflow="fold",
        )
    return table


def _count(count: int, exact: bool) -> str:
    return f"{count:,}" if exact else f"~{count:,}"


def _span(seconds: float) -> str:
    """Seconds as a person says them: ``0.4 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if abs(seconds) < 10 else f"{seconds:.0f} s"


def _bytes(count: int) -> str:
    for size, unit in ((2**30, "GB"), (2**20, "MB"), (2**10, "kB")):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} B"
