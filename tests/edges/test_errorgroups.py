"""Of a group of expected errors people read the one that came first."""

import asyncio

import pytest

from refreshd.core.errors import LeaseLost, LedgerUnavailable, RefreshdError
from refreshd.errorgroups import plain_errors

LATER = LedgerUnavailable("what came of it")
FIRST = LeaseLost("the cause")


async def _errs_when_cancelled(error: RefreshdError) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise error


async def _errs(error: RefreshdError) -> None:
    raise error


async def test_the_error_of_a_body_came_before_those_of_the_tasks_that_it_had_cancelled() -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as outer:
            outer.create_task(_errs_when_cancelled(LATER))
            async with asyncio.TaskGroup() as group:
                group.create_task(_errs_when_cancelled(LATER))
                await asyncio.sleep(0)
                raise FIRST

    with pytest.raises(LeaseLost, match="the cause"), plain_errors():
        await fail()


async def test_the_error_of_a_task_came_before_that_of_the_body_that_it_had_cancelled() -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_errs(FIRST))
            await _errs_when_cancelled(LATER)

    with pytest.raises(LeaseLost, match="the cause"), plain_errors():
        await fail()


async def test_what_nobody_expects_is_never_made_plain() -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_errs(FIRST))
            raise KeyError("a bug")

    with pytest.raises(ExceptionGroup), plain_errors():
        await fail()
