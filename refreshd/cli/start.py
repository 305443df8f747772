"""How every command runs: its errors become one sentence, a hint and an exit code, whatever moment they come at."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

from refreshd.cli.screen import Screen
from refreshd.core.errors import RefreshdError

P = ParamSpec("P")
T = TypeVar("T")


def run_async(work: Coroutine[object, object, T], *, fast: bool = False) -> T:
    """Run to the end. Ctrl-C cancels the work and comes back as KeyboardInterrupt.

    `fast`: for work that serves others meanwhile; on uvloop, where it is installed.
    """
    if fast:
        _settle_imports()
    with asyncio.Runner(loop_factory=_fast_loop() if fast else None) as runner:
        return runner.run(work)


def _settle_imports() -> None:
    """Have the garbage collector forget what the imports made and nobody will drop: walking through it holds the loop for 50 ms."""
    gc.collect()
    gc.freeze()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - it does not exist on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


def told(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with its expected errors told on standard error and turned into exit codes. A bug keeps its traceback."""

    @wraps(command)
    def telling(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            _abandon_output()
        except (RefreshdError, BaseExceptionGroup) as error:
            raise typer.Exit(_tell(error)) from error

    return telling


def _tell(error: RefreshdError | BaseExceptionGroup[BaseException]) -> int:
    """Tell each expected error; anything unexpected among them is raised as it is."""
    errors = list(_leaves(error))
    expected = [each for each in errors if isinstance(each, RefreshdError)]
    if len(expected) < len(errors):
        raise error
    screen = Screen()
    for each in {each.message: each for each in reversed(expected)}.values():
        screen.trouble(each)
    return max(each.exit_code for each in expected)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, however deep: structured tasks raise groups."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _abandon_output() -> None:
    """Whoever read us has left (`| head`): that is no failure, and the interpreter's own flush must not make it one."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
