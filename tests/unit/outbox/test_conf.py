"""The platform's settings."""

from __future__ import annotations

import pytest

from outbox.checks import check_settings
from outbox.conf import build, conf
from outbox.exceptions import InvalidSetting


def test_an_unknown_option_names_the_one_that_was_meant() -> None:
    """A typing error in the settings is found, with a suggestion."""
    with pytest.raises(InvalidSetting, match="Did you mean 'BATCH_SIZE'"):
        build({"BATCHSIZE": 5})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"LEASE": 0}, "greater than zero"),
        ({"WAKE_UP": ("carrier-pigeon",)}, "not 'carrier-pigeon'"),
        ({"DATABASE": "elsewhere"}, "settings.DATABASES does not have"),
    ],
)
def test_the_system_check_explains_values_that_cannot_work(
    settings, options: dict[str, object], words: str
) -> None:
    """``manage.py check`` says in words what is wrong with a value."""
    settings.OUTBOX = options
    (problem,) = check_settings(None)
    assert words in str(problem.msg)


def test_the_projects_own_settings_are_sound() -> None:
    """What ships passes its own check."""
    assert check_settings(None) == []
    assert conf().BATCH_SIZE > 0
