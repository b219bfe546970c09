"""The embedded stack: PostgreSQL, Valkey and all of Todoke's processes, with nothing to install.

`running()` finds the stack that a person started with `script/server`; `background_stack()` starts one for
the duration of a block. It needs no Django. Tests get servers alone from `project.stack.servers`.
"""

from __future__ import annotations

from project.stack.background import background_stack
from project.stack.errors import AlreadyRunningError, StackError
from project.stack.placement import remove_state
from project.stack.runinfo import RunInfo, running

__all__ = ["AlreadyRunningError", "RunInfo", "StackError", "background_stack", "remove_state", "running"]
