"""``script/bench``: measure, and say what was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench.catalogue import BENCHES, Bench
from tests.bench.display import console, progress, show
from tests.bench.lab import Say, open_lab
from tests.bench.machine import Theft
from tests.bench.options import Options, parse
from tests.bench.page import load, put_into, render
from tests.bench.result import tidy


def main() -> int:
    """Do what the command line says; returns the exit code."""
    options = parse()
    out, err = console(), console(stderr=True)
    if options.list:
        for bench in BENCHES.values():
            out.print(f"{bench.name:14} {bench.what}", highlight=False, soft_wrap=True)
        return 0
    if options.render is not None:
        return _render(options, options.render, err)
    try:
        return _measure(options, out, err)
    except KeyboardInterrupt:
        err.print("Stopped.")
        return 130


def _measure(options: Options, out: Console, err: Console) -> int:
    """Every benchmark in the same laboratory, one after the other; one that fails does not stop the others."""
    failed = False
    with progress(err) as say, open_lab(say) as lab:
        for bench in options.benches:
            lab.say = _naming(bench, say)
            theft = Theft()
            try:
                result = bench.run(lab, options.sizes[bench.name]).as_json() | {"stolen": tidy(theft.share())}
            except Exception:  # noqa: BLE001  (told, and counted: the others are still to be measured)
                failed = True
                err.print(lab.kill(), highlight=False, markup=False)
                err.print(f"{bench.name} failed:", style="red")
                err.print_exception(max_frames=6)
            else:
                _tell(result, options, out)
    return int(failed)


def _naming(bench: Bench, say: Say) -> Say:
    return lambda text: say(f"{bench.name}: {text}")


def _tell(result: dict[str, Any], options: Options, out: Console) -> None:
    if options.json:
        print(json.dumps(result), flush=True)  # noqa: T201  (what was asked for)
    else:
        show(out, result)


def _render(options: Options, results: Path, err: Console) -> int:
    try:
        tables = render(load(results))
        if options.into is None:
            print(tables)  # noqa: T201  (what was asked for)
        else:
            put_into(options.into, tables)
    except ValueError as error:
        err.print(str(error), style="red", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
