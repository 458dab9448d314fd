"""The command line `hyclus-archive`. Each command registers itself from a module of its own."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from . import __version__
from .errors import ArchiveError, told

COMMANDS = ("serve", "status", "scans", "query", "verify", "maintain", "withdraw", "reencode", "similar", "catalogue")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser with all commands, or with one.

    A command's module has `register(subparsers)`, and sets `run=FUNCTION(arguments) -> status`.
    """
    top = argparse.ArgumentParser(prog="hyclus-archive", description="One archive of the scans of many hyclus rigs.")
    top.add_argument("--version", action="version", version=f"hyclus-archive {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name in (only,) if only in COMMANDS else COMMANDS:
        module = f"{__package__}.{name}"
        try:
            register = importlib.import_module(module).register
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            continue
        register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, 1 after an error, 2 where the command line is not understood."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # The others' modules would cost a second of imports.
    given = parser(words[0] if words else None).parse_args(words)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        return int(given.run(given))
    except ArchiveError as error:
        print(f"hyclus-archive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # Such as a table's file that cannot be read in the midst of an answer.
        print(f"hyclus-archive: {told(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
