"""What the environment says to the stack, and what the stack says to its processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from project.stack.credentials import Credentials
from project.stack.errors import StackError
from project.stack.reservations import Reservations
from project.stack.services import Ports
from project.stack.state import VARIABLE, StateDir

WEB_PORT, SANDBOX_PORT, FLOWER_PORT = 8000, 8100, 5555
DATABASE_SCHEMES = ("postgres", "postgresql")
ACCOUNTS = ("TODOKE_OPERATOR_PASSWORD", "TODOKE_CUSTOMER_PASSWORD", "TODOKE_API_KEY")


def given_server(variable: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the address in `DATABASE_URL` or `BROKER_URL` that replaces an embedded server, or None.

    Raises StackError when it is not an address.
    """
    url = environment.get(variable, "").strip()
    if not url:
        return None
    address = urlsplit(url)
    if not address.scheme or not address.netloc:
        raise StackError(
            f"{variable} is not an address. It looks like scheme://user:password@host:port/name."
        )
    if variable == "DATABASE_URL" and address.scheme not in DATABASE_SCHEMES:
        raise StackError(
            f"DATABASE_URL begins with {address.scheme}://, but Todoke needs PostgreSQL: postgres://…"
        )
    return url


def choose_ports(reservations: Reservations, environment: Mapping[str, str] = os.environ) -> Ports:
    """Reserve the ports to serve on: the usual ones or the next free; for the shop `$PORT`, when it is given.

    Raises StackError when `$PORT` is not a port, or taken.
    """
    asked = environment.get("PORT")
    return Ports(
        web=_asked_port(reservations, asked) if asked else reservations.reserve_near(WEB_PORT),
        sandbox=reservations.reserve_near(SANDBOX_PORT),
        flower=reservations.reserve_near(FLOWER_PORT),
    )


def process_environment(
    state: StateDir, credentials: Credentials, ports: Ports, database_url: str, broker_url: str
) -> dict[str, str]:
    """Return the variables that every process of the stack gets."""
    return {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "SECRET_KEY": credentials["SECRET_KEY"],
        "DEBUG": os.environ.get("DEBUG", "1"),
        "HTTPS": os.environ.get("HTTPS", "0"),  # what runs here speaks plain HTTP
        "EMAIL_URL": os.environ.get("EMAIL_URL", f"filemail:///{state.file('mail')}"),
        "SANDBOX_URL": ports.urls["sandbox"],
        "SANDBOX_TOKEN": credentials["SANDBOX_TOKEN"],
        "FLOWER_URL": ports.urls["flower"],
        "FLOWER_BASIC_AUTH": credentials["FLOWER_BASIC_AUTH"],
        "PYTHONUNBUFFERED": "1",
        VARIABLE: str(state.path),
    }


def account_passwords(credentials: Credentials) -> dict[str, str]:
    """Return the variables with the accounts' passwords and with the customer's API key."""
    return {name: credentials[name] for name in ACCOUNTS}


def _asked_port(reservations: Reservations, text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= port <= 65_535:
        raise StackError(f"PORT={text} is not a port: give a number from 1 to 65535, or leave PORT unset.")
    if not reservations.reserve(port):
        raise StackError(
            f"PORT={text} cannot be used on 127.0.0.1: another program has it, or it needs more rights. "
            "Choose another."
        )
    return port
