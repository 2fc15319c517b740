"""Who waits for blocks of the cache, and who gets them."""

import asyncio

import pytest

from runtimes.ml.block_pool import BlockPool


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Answers:
    """Tasks that hold blocks until they are told to end, by name."""

    def __init__(self, pool: BlockPool) -> None:
        self.pool = pool
        self.running: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task] = {}

    async def begin(self, name: str, blocks: int) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, blocks))
        await settle()

    async def _hold(self, name: str, blocks: int) -> None:
        async with self.pool.take(blocks):
            self.running.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.running.remove(name)

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await settle()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.tasks[name]
        await settle()


def run(scene) -> None:
    async def play() -> None:
        await scene(Answers(BlockPool(8)))

    asyncio.run(play())


def test_what_fits_runs_together_and_the_rest_waits_in_order():
    async def scene(answers: Answers) -> None:
        for name, blocks in (("a", 4), ("b", 4), ("long", 8), ("c", 1)):
            await answers.begin(name, blocks)
        assert answers.running == ["a", "b"]
        await answers.end("a")
        assert answers.running == ["b"]  # c would fit, but the long one came first
        await answers.end("b")
        assert answers.running == ["long"]
        await answers.end("long")
        assert answers.running == ["c"]

    run(scene)


def test_who_leaves_the_queue_lets_those_behind_in():
    async def scene(answers: Answers) -> None:
        for name, blocks in (("a", 4), ("long", 8), ("c", 4)):
            await answers.begin(name, blocks)
        await answers.cancel("long")
        assert answers.running == ["a", "c"]

    run(scene)


@pytest.mark.parametrize("is_called", [True, False])
def test_blocks_of_whoever_is_cancelled_come_back(is_called):
    async def scene(answers: Answers) -> None:
        await answers.begin("a", 8)
        await answers.begin("b", 8)
        if is_called:  # b is called, and cancelled before it wakes
            answers.ends["a"].set()
            while answers.running:
                await asyncio.sleep(0)
            answers.tasks["b"].cancel()
            await settle()
        else:
            await answers.cancel("a")
            assert answers.running == ["b"]
            await answers.end("b")
        await answers.begin("c", 8)
        assert "c" in answers.running

    run(scene)
