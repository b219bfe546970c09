"""The command line of the demonstration."""

from __future__ import annotations

import pytest

from project.demo.faults import Fault, Kind
from project.demo.options import Options, parse


@pytest.mark.parametrize(
    ("text", "fault", "switches"),
    [
        ("payment=0.5", Fault("payment", Kind.ERROR, 0.5), {"error_rate": 0.5}),
        ("payment=1:error", Fault("payment", Kind.ERROR, 1.0), {"error_rate": 1.0}),
        ("shipping=0.2:permanent", Fault("shipping", Kind.PERMANENT, 0.2), {"decline_rate": 0.2}),
        ("payment=0.3:lost", Fault("payment", Kind.LOST, 0.3), {"lost_response_rate": 0.3}),
        ("payment=200ms:latency", Fault("payment", Kind.LATENCY, 0.2), {"latency_ms": 200}),
        ("payment=1.5s:latency", Fault("payment", Kind.LATENCY, 1.5), {"latency_ms": 1500}),
        ("shipping=20s:down", Fault("shipping", Kind.DOWN, 20.0), {"down": True}),
    ],
)
def test_every_kind_of_fault_can_be_said(text: str, fault: Fault, switches: dict[str, object]) -> None:
    """A fault is read as it is meant, and sets the sandbox's switch for it."""
    assert Fault.parse(text) == fault
    assert fault.switches() == switches


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--fail", "payment"], "write SERVICE=AMOUNT[:KIND], such as payment=0.5"),
        (["--fail", "payment="], "write SERVICE=AMOUNT[:KIND]"),
        (["--fail", "payment=0.5:"], "write SERVICE=AMOUNT[:KIND]"),
        (["--fail", "warehouse=0.5"], "there is no service 'warehouse' to fail: use payment or shipping"),
        (["--fail", "payment=0.5:sometimes"], "use error, permanent, lost, latency, down"),
        (["--fail", "payment=50"], "'50' is not a share of the requests for error: give 0 to 1"),
        (["--fail", "payment=nan"], "give 0 to 1"),
        (["--fail", "payment=0.5:latency"], "give it with its unit, such as 200ms"),
        (["--fail", "payment=61s:latency"], "at most 60s"),
        (["--fail", "payment=0s:down"], "give it with its unit"),
        (["--fail", "payment=0.5", "--fail", "payment=0.1:error"], "two faults of the kind error: keep one"),
        (["--orders", "0"], "give 1 to 10000"),
        (["--orders", "many"], "give 1 to 10000"),
        (["--rate", "0"], "'0' is not a number of orders per second: give one above 0"),
        (["--timeout", "inf"], "'inf' is not a number of seconds"),
        (["--seed", "x"], "'x' is not a whole number"),
        (["--order", "3"], "unrecognized arguments: --order 3"),
    ],
)
def test_bad_values_are_explained(
    arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a message that says what to do."""
    with pytest.raises(SystemExit) as end:
        parse(arguments, "demo")
    assert end.value.code == 2
    assert advice in capsys.readouterr().err


def test_help_comes_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Every example of a fault that `--help` shows can be used."""
    with pytest.raises(SystemExit) as end:
        parse(["--help"], "demo")
    assert end.value.code == 0
    shown = [w for w in capsys.readouterr().out.split() if w.startswith(("payment=", "shipping="))]
    assert len(shown) == 5
    assert {Fault.parse(text).kind for text in shown} == set(Kind)


def test_defaults_and_several_faults() -> None:
    """Without options: 50 orders. A service may have several faults of different kinds."""
    assert parse([], "demo") == Options(50, None, (), None, 300.0, False)
    several = ["--fail", "payment=0.5", "--fail", "payment=200ms:latency"]
    assert [fault.kind for fault in parse(several, "demo").faults] == [Kind.ERROR, Kind.LATENCY]
