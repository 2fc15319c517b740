"""How the requests for one embedding model share it: its engine in this process, a small random model."""

import asyncio

import pytest

pytest.importorskip("torch")

from runtimes.ml import embedder
from runtimes.ml.api_errors import ApiError
from runtimes.ml.conversion import __main__ as conversion
from runtimes.ml.conversion.recipes import Recipe
from runtimes.ml.manifest import read_manifest
from runtimes.ml.model_folder import ModelFolder
from tests.runtimes import first_models

ROW = [4] * (first_models.POSITIONS - 2)
ROWS_IN_A_BATCH = embedder.MAX_BATCH_TOKENS // len(ROW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("embedder")
    first_models.write_e5s1(root / "small.e5s1")
    recipe = first_models.write_recipe(root / "recipes" / "small", root / "small.e5s1")
    conversion.convert(Recipe(recipe, read_manifest(recipe)), root, root / "models")
    return ModelFolder(root / "models" / "small")


@pytest.fixture
def engine(folder):
    """With `batches`: the lengths of the rows of each batch that was computed."""
    engine = embedder.Engine(folder, slots=8)
    compute, engine.batches = engine._compute, []

    def compute_noted(rows):
        engine.batches.append([len(row) for row in rows])
        return compute(rows)

    engine._compute = compute_noted
    yield engine
    engine.close()


def test_a_short_request_does_not_wait_for_a_long_one(engine):
    async def scene() -> None:
        long = asyncio.create_task(engine.embed([ROW] * ROWS_IN_A_BATCH * 20))
        await asyncio.sleep(0)  # its first batch has begun
        short = asyncio.create_task(engine.embed([ROW[:3]]))
        done, _ = await asyncio.wait({long, short}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {short} and len(engine.batches) < 5
        assert len(await long) == ROWS_IN_A_BATCH * 20

    asyncio.run(scene())


def test_many_short_requests_share_a_batch_and_no_batch_is_larger_than_its_bound(engine):
    async def scene() -> None:
        await asyncio.gather(*(engine.embed([ROW[: 3 + index % 4]]) for index in range(20)))
        await engine.embed([ROW] * (ROWS_IN_A_BATCH * 2 + 1))

    asyncio.run(scene())
    assert len(engine.batches[0]) == 20
    for batch in engine.batches:
        assert max(batch) * len(batch) <= embedder.MAX_BATCH_TOKENS
        assert max(batch) * len(batch) <= embedder.MAX_PADDING * sum(batch)
    assert [len(batch) for batch in engine.batches[1:]] == [ROWS_IN_A_BATCH] * 2 + [1]


def test_rows_of_whoever_left_are_not_computed(engine):
    async def scene() -> None:
        leaver = asyncio.create_task(engine.embed([ROW] * ROWS_IN_A_BATCH * 50))
        await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await engine.embed([ROW[:3]])

    asyncio.run(scene())
    assert len(engine.batches) <= 3 and engine.count_active() == 0


def test_a_batch_that_fails_takes_its_own_requests_along_and_no_others(engine):
    compute = engine._compute

    def fail_on_long_rows(rows):
        if len(rows[0]) == len(ROW):
            raise RuntimeError("out of memory")
        return compute(rows)

    engine._compute = fail_on_long_rows

    async def scene() -> None:
        failing = asyncio.create_task(engine.embed([ROW]))
        await asyncio.sleep(0)
        fine = asyncio.create_task(engine.embed([ROW[:3]]))
        with pytest.raises(ApiError) as caught:
            await failing
        assert (caught.value.status, caught.value.code) == (500, "embedding_failed")
        assert len(await fine) == 1

    asyncio.run(scene())
