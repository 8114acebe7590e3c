"""Where the process starts: run a command, map what went wrong to a line and an exit code.

| exit | meaning |
|------|---------|
| 0 | done |
| 1 | the work ran, and the answer is "no" |
| 2 | the call or the project is wrong |
| 3 | a fault of the environment |
| 130 | interrupted |
"""

from __future__ import annotations

import errno
import os
import sys

from cyclopts import CycloptsError

from liftwerk.cli import (
    access,
    catalogue,
    decisions,
    definitions,
    entities,
    events,
    experiments,
    features,
    forward,
    geo,
    governance,
    identity,
    inventory,
    metrics,
    models,
    operations,
    planning,
    privacy,
    releases,
    server,
    synthetic,
    training,
)
from liftwerk.cli.app import app, err
from liftwerk.errors import EnvironmentFault, LiftwerkError, ProjectError, Refused
from liftwerk.lazy import hide

COMMAND_FILES = (
    definitions,
    operations,
    server,
    events,
    synthetic,
    inventory,
    entities,
    identity,
    forward,
    features,
    catalogue,
    training,
    models,
    decisions,
    metrics,
    experiments,
    geo,
    planning,
    releases,
    governance,
    privacy,
    access,
)
"""Importing a file registers its commands; the order is that of ``--help``."""

EXIT_CODES: tuple[tuple[type[LiftwerkError], int], ...] = (
    (Refused, 1),
    (ProjectError, 2),
    (EnvironmentFault, 3),
)


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Sums of floats depend on how threads share them; a report's hash must not. Nothing here is large
enough to gain from more, and NumPy, which reads this once, is not loaded before a command runs."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = arguments
    if given is None:
        given = sys.argv[1:]
        # Arrow loads pandas wherever it is: most of what a small command would wait for.
        hide("pandas")
    debug = "--debug" in given
    os.environ.update(ONE_THREAD)
    try:
        code = app(
            given,
            result_action="return_value",
            exit_on_error=False,
            print_error=False,
        )
    except CycloptsError as error:
        _say(_misused(error), debug)
        sys.exit(2)
    except LiftwerkError as error:
        _say(error, debug)
        sys.exit(exit_code(error))
    except OSError as error:
        if error.errno == errno.EPIPE:
            # The reader went away (`| head`): not ours to report; keep Python from flushing again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        _say(_fault(error), debug)
        sys.exit(3)
    except KeyboardInterrupt:
        err.print("interrupted; what was committed stays, run again to go on")
        sys.exit(130)
    except Exception as error:
        # The edge of the program: a fault of our own is one line too, the traceback on request.
        hint = "this is a fault of liftwerk: repeat it with --debug and report it"
        _say(EnvironmentFault(f"{type(error).__name__}: {error}", "inside liftwerk", hint), debug)
        sys.exit(3)
    if not isinstance(code, int):
        code = 0
    sys.exit(code)


def exit_code(error: LiftwerkError) -> int:
    """Return the documented exit code of an error's family."""
    for family, code in EXIT_CODES:
        if isinstance(error, family):
            return code
    return 3


def _misused(error: CycloptsError) -> ProjectError:
    """Say in one line what is wrong with the call."""
    # A list of every command there is hides the one that was meant.
    words = " ".join(str(error).split()).partition(" Available commands:")[0].rstrip(".")
    return ProjectError(words, "the command line", "see --help")


def _fault(error: OSError) -> EnvironmentFault:
    what = (error.strerror or str(error)).lower()
    hint = "check the disk and the rights of the folder"
    return EnvironmentFault(what, str(error.filename or "the system"), hint)


def _say(error: LiftwerkError, debug: bool) -> None:
    if debug:
        err.print_exception()
    err.print(f"error: {error}", markup=False, soft_wrap=True)
