"""What the stack tells a person: where things are, and who may sign in."""

from __future__ import annotations

import shlex

from project.stack.credentials import FILE, Credentials
from project.stack.runinfo import RunInfo
from project.stack.state import StateDir

LABELS = {"shop": "Shop", "admin": "Admin", "api_docs": "API docs", "sandbox": "Sandbox", "flower": "Flower"}
NOTES = {"sandbox": "  (needs its token)"}
ACCOUNTS = {"operator": "TODOKE_OPERATOR_PASSWORD", "customer": "TODOKE_CUSTOMER_PASSWORD"}


def urls_report(info: RunInfo) -> str:
    """Return one line for each address of the stack."""
    lines = [f"  {LABELS.get(key, key):<9} {url}{NOTES.get(key, '')}" for key, url in info.urls.items()]
    return "\n".join(lines)


def accounts_report(state: StateDir, credentials: Credentials, *, show: bool) -> str:
    """Return lines about the accounts; with `show`, the passwords that the environment did not set."""
    file = state.file(FILE)
    if not show:
        return (
            f"Accounts: {' and '.join(ACCOUNTS)}; generated passwords, Flower's and the API key are in {file}"
        )
    lines = [f"  {name:<9} {_password(credentials, variable)}" for name, variable in ACCOUNTS.items()]
    first = f"Accounts, shown this once (kept in {file}, with the customer's API key):"
    return "\n".join([first, *lines, f"  {'Flower':<9} {_flower(credentials)}"])


def status_report(info: RunInfo) -> str:
    """Return what runs where."""
    processes = ", ".join(f"{name} {pid}" for name, pid in info.processes.items())
    first = f"Todoke is {info.status} (process {info.pid}, state in {info.state_dir})."
    return f"{first}\n{urls_report(info)}\n  Processes {processes}"


def exports(info: RunInfo) -> str:
    """Return shell lines that give a program the environment of the stack's processes."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in info.env.items())


def _password(credentials: Credentials, variable: str) -> str:
    return f"(as set by {variable})" if variable in credentials.given else credentials[variable]


def _flower(credentials: Credentials) -> str:
    if "FLOWER_BASIC_AUTH" in credentials.given:
        return "(as set by FLOWER_BASIC_AUTH)"
    user, _, password = credentials["FLOWER_BASIC_AUTH"].partition(":")
    return f"user {user}, password {password}"
