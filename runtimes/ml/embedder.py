"""One loaded embedding model: mean pooling over its last layer, vectors of length 1. Imports torch.

Covers: texts of several requests in one batch, sorted by length; batches bounded in size, and requests taking
turns, so that a long list does not hold up a short one and an answer of a chat model goes on between two
batches. Does not cover: texts longer than the model's context (refused, with the number), models that pool
otherwise or can shorten their vectors.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from .api_errors import ApiError, invalid_value
from .embedding_request import MAX_TOTAL_TOKENS, EmbeddingRequest
from .model_folder import ModelFolder

logger = logging.getLogger(__name__)

# Tokens of a batch, padding included: a third of a second on one core, for which the next request waits.
# Larger batches are slower on a CPU, not faster: what is computed on the way no longer fits into its caches.
MAX_BATCH_TOKENS = 512
MAX_PADDING = 2  # a batch computes at most so many times the tokens that it holds


@dataclass(eq=False)  # two requests with the same texts are two
class Job:
    """A request's rows that are still to be done, the longest last, and where their vectors go."""

    todo: list[tuple[int, list[int]]]  # index, tokens
    vectors: np.ndarray
    done: asyncio.Future[None]
    served: int = 0  # tokens

    def take(self) -> tuple["Job", int, list[int]]:
        index, row = self.todo.pop()
        self.served += len(row)
        return self, index, row


class Engine:
    """A model folder in memory. Made in a worker thread (loading blocks); all other methods but `encode`
    run on the event loop.
    """

    def __init__(self, folder: ModelFolder, *, slots: int):
        folder.check()
        folder.verify()
        self.folder = folder
        self.manifest = folder.manifest
        self.slots = slots
        self.tokenizer = AutoTokenizer.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
        self._model = AutoModel.from_pretrained(
            folder.path,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            add_pooling_layer=False,
        ).eval()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"embed {folder.id}")
        self._jobs: list[Job] = []
        self._work: asyncio.Task[None] | None = None
        self.is_alive = True

    def encode(self, request: EmbeddingRequest) -> list[list[int]]:
        """The tokens of each input, special ones included. Blocks: many texts take a moment. Raises ApiError
        for an input that is too long, a token that the model does not know, and too many in all.
        """
        if request.dimensions not in (None, self.manifest.dimensions):
            raise invalid_value(
                "dimensions",
                f"The model `{self.folder.id}` gives vectors of {self.manifest.dimensions} dimensions only.",
            )
        texts = self._with_prefix(request.texts, request.input_type)
        rows = self.tokenizer(texts)["input_ids"] if texts else []
        rows += [self._with_specials(row, index) for index, row in enumerate(request.token_rows)]
        window = self.manifest.context_window
        for index, row in enumerate(rows):
            if len(row) > window:
                raise ApiError(
                    400,
                    f"This model's maximum context length is {window} tokens. However, input[{index}] has "
                    f"{len(row)} tokens. Please reduce its length.",
                    code="context_length_exceeded",
                    param="input",
                )
        if (total := sum(map(len, rows))) > MAX_TOTAL_TOKENS:
            raise invalid_value(
                "input",
                f"The inputs have {total:,} tokens in all; at most {MAX_TOTAL_TOKENS:,} are allowed in a "
                "request.",
            )
        return rows

    async def embed(self, rows: Sequence[list[int]]) -> np.ndarray:
        """The vectors (inputs, dimensions) of the rows, each of length 1. Leaving early (cancel) ends the
        work for them after the batch that is being computed. Raises ApiError if the model fails.
        """
        loop = asyncio.get_running_loop()
        todo = sorted(enumerate(rows), key=lambda entry: len(entry[1]))
        job = Job(todo, np.empty((len(rows), self.manifest.dimensions), np.float32), loop.create_future())
        self._jobs.append(job)
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._work_through())
        await job.done  # who is cancelled here cancels it
        return job.vectors

    def count_active(self) -> int:
        return len(self._jobs)

    def close(self) -> None:
        """Safe to call twice; a batch that is being computed ends in its thread."""
        self.is_alive = False
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work_through(self) -> None:
        """Batch after batch until no job is left. A failing batch takes its own jobs with it."""
        loop = asyncio.get_running_loop()
        while self._jobs:
            batch = self._next_batch()
            if not batch:
                continue
            try:
                vectors = await loop.run_in_executor(
                    self._thread, self._compute, [tokens for _, _, tokens in batch]
                )
            except Exception:
                logger.exception("embedding failed in %s", self.folder.id)
                for job, _, _ in batch:
                    _conclude(job, ApiError(500, "The model failed.", code="embedding_failed"))
                continue
            for (job, index, _), vector in zip(batch, vectors, strict=True):
                job.vectors[index] = vector
            for job in {id(job): job for job, _, _ in batch}.values():
                if not job.todo:
                    _conclude(job)

    def _next_batch(self) -> list[tuple[Job, int, list[int]]]:
        """Rows of the job that was served least, filled up from the others where that wastes no time on
        padding: a short request that comes behind long ones is next.
        """
        waiting = [job for job in self._jobs if job.todo and not job.done.done()]
        self._jobs = sorted(waiting, key=lambda job: job.served)
        batch: list[tuple[Job, int, list[int]]] = []
        width = held = 0
        for job in self._jobs:
            while job.todo:
                length = len(job.todo[-1][1])
                wider = max(width, length)
                computed = wider * (len(batch) + 1)
                if batch and (computed > MAX_BATCH_TOKENS or computed > MAX_PADDING * (held + length)):
                    break
                batch.append(job.take())
                width, held = wider, held + length
        return batch

    @torch.inference_mode()
    def _compute(self, rows: list[list[int]]) -> np.ndarray:
        """(B, D) vectors of length 1 for B rows of tokens."""
        width = max(map(len, rows))
        tokens = torch.full((len(rows), width), self.tokenizer.pad_token_id)  # (B, T)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        hidden = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, T, D)
        weights = mask.unsqueeze(-1)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()

    def _with_prefix(self, texts: Sequence[str], input_type: str | None) -> list[str]:
        """Each text with the word by which the model knows what it is for; one that has such a word stays."""
        prefixes = self.manifest.prefixes
        if input_type is not None and input_type not in prefixes:
            known = " or ".join(prefixes) or "left out"
            raise invalid_value("input_type", f"For this model, input_type must be {known}.")
        prefix = prefixes.get(input_type or self.manifest.default_prefix, "")
        known_starts = tuple(prefixes.values())
        return [text if known_starts and text.startswith(known_starts) else prefix + text for text in texts]

    def _with_specials(self, row: Sequence[int], index: int) -> list[int]:
        """A row of the caller's tokens, opened and closed as the model wants it."""
        known = len(self.tokenizer)
        if not all(0 <= token < known for token in row):
            raise invalid_value(
                f"input[{index}]", f"input[{index}] has token ids outside of 0 to {known - 1}."
            )
        begin, end = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        opening = [] if row[0] == begin else [begin]
        return [*opening, *row, *([] if row[-1] == end else [end])]


def _conclude(job: Job, error: ApiError | None = None) -> None:
    if job.done.done():
        return
    if error is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(error)
