"""One loaded model with its running batch: transformers' continuous batching manager behind an async
interface. Imports torch.

Covers: many requests in one batch on the CPU, each with its own sampling; tokens as they come; cancelling
that frees the slot at the next step; memory bounded at start (a pool of blocks, from which each answer takes
all that it can need before it starts, so that none is ever evicted). Does not cover: adapters (merge them),
quantised weights, GPUs (use vLLM there).
"""

import asyncio
import logging
import secrets
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig
from transformers.utils import logging as transformers_logging

from .api_errors import ApiError, context_length_exceeded, invalid_value, overloaded
from .block_pool import BlockPool
from .chat_request import ChatRequest
from .detokenizer import Detokenizer, StopFinder
from .model_folder import ModelFolder
from .sampling import build_processor_list

logger = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()

PAGE_TOKENS = 64
# Per model, or one full context if that is more. Answers that do not fit together wait for one another.
KV_CACHE_BYTES = 512 * 2**20
MAX_BATCH_TOKENS = 512  # prompts are read in pieces of at most this, so that running answers go on meanwhile
STOP_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Usage:
    """Exact token counts. `completion_tokens` includes the end-of-turn token, like vLLM's."""

    prompt_tokens: int
    completion_tokens: int

    def as_body(self) -> dict:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            # prefixes are not shared between requests: in a multi-tenant house timing would tell
            "prompt_tokens_details": {"cached_tokens": 0},
        }


@dataclass(frozen=True)
class Piece:
    """New text of an answer; the last piece has the finish reason (`stop` or `length`). `usage` counts up to
    here.
    """

    text: str
    usage: Usage
    finish_reason: str | None = None


class Engine:
    """A model folder in memory. Made in a worker thread (loading blocks); all other methods run on the event
    loop.
    """

    def __init__(self, folder: ModelFolder, *, slots: int):
        folder.check()
        folder.verify()
        self.folder = folder
        self.context_window = folder.manifest.context_window
        self.tokenizer = AutoTokenizer.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
        model = AutoModelForCausalLM.from_pretrained(
            folder.path,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
        )
        self.default_temperature = (
            (model.generation_config.temperature or 1.0) if model.generation_config.do_sample else 0.0
        )
        self.repetition_penalty = float(model.generation_config.repetition_penalty or 1.0)
        self._end_tokens = _read_end_tokens(model.generation_config.eos_token_id, self.tokenizer.eos_token_id)
        self.slots = slots
        blocks = _count_blocks(model, self.context_window, slots)
        self._blocks = BlockPool(blocks)
        self._manager = _start_manager(
            model, self._end_tokens, slots=slots, blocks=blocks, context_window=self.context_window
        )
        self._special_strings = [
            token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special
        ]
        self.running: set[str] = set()

    @property
    def is_alive(self) -> bool:
        """False once the batch loop has died; the engine must then be loaded anew."""
        return (
            self._manager.is_running()
            and self._manager.background_thread_status.can_accept_new_requests() is None
        )

    def encode(self, request: ChatRequest) -> list[int]:
        """The prompt's tokens by the model's chat template. A message of the assistant's in last place is
        left open, for the model to go on with. Special tokens written inside a message are dropped: nobody
        fakes a turn. Raises ApiError if the template refuses the messages.
        """
        messages = [
            {"role": message["role"], "content": self._without_specials(message["content"])}
            for message in request.messages
        ]
        is_begun = messages[-1]["role"] == "assistant" and bool(messages[-1]["content"].strip())
        try:
            prompt = self.tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=not is_begun,
                continue_final_message=is_begun,
            )
        except (TemplateError, TypeError, ValueError) as exc:
            raise invalid_value(
                "messages", f"The model's chat template refuses these messages: {exc}"
            ) from exc
        return self.tokenizer(prompt, add_special_tokens=False)["input_ids"]

    def plan_completion(self, request: ChatRequest, prompt_tokens: int) -> int:
        """How many tokens may be generated: what was asked for, or all that is left.
        Raises ApiError if it does not fit.
        """
        left = self.context_window - prompt_tokens
        if left < (request.max_tokens or 1):
            raise context_length_exceeded(self.context_window, prompt_tokens, request.max_tokens)
        return request.max_tokens or left

    async def generate(
        self, request: ChatRequest, prompt: list[int], max_tokens: int
    ) -> AsyncGenerator[Piece]:
        """The answer piece by piece; the last one has a finish reason. Leaving early (close, cancel) frees
        the slot at once.
        """
        detokenizer, stop = Detokenizer(self._decode), StopFinder(request.stop)
        count, end_tokens = 0, frozenset() if request.ignores_end else self._end_tokens
        async with (
            self._blocks.take(_blocks_for(len(prompt) + max_tokens)),
            aclosing(self._tokens(request, prompt, max_tokens)) as tokens,
        ):
            async for token in tokens:
                count += 1
                usage = Usage(len(prompt), count)
                is_end = token in end_tokens
                text = "" if is_end else stop.push(detokenizer.push(token))
                if is_end or stop.is_found:
                    yield Piece(text + stop.finish(), usage, "stop")
                    return
                if count == max_tokens:
                    yield Piece(text + stop.finish(), usage, "length")
                    return
                if text:
                    yield Piece(text, usage)
        raise ApiError(500, "The model stopped without finishing its answer.", code="generation_failed")

    async def _tokens(self, request: ChatRequest, prompt: list[int], max_tokens: int) -> AsyncGenerator[int]:
        """Token ids from the batch. Raises ApiError if the batch loop fails."""
        request_id = uuid.uuid4().hex
        outputs: asyncio.Queue = asyncio.Queue()
        seen, is_finished = 0, False
        self._manager.register_result_handler(request_id, outputs.put_nowait)
        self.running.add(request_id)
        try:
            end = -1 if request.ignores_end else sorted(self._end_tokens)  # -1: the manager's word for none
            arguments = {
                "request_id": request_id,
                "max_new_tokens": max_tokens,
                "eos_token_id": end,
                "streaming": True,
            }
            if self._manager.add_request(prompt, **arguments, **self._sampling(request)) is None:
                raise overloaded(f"The model `{self.folder.id}` is being restarted.")
            while not is_finished:
                output = await outputs.get()
                is_finished = output.is_finished()
                if output.error is not None:
                    logger.error("generation failed in %s: %s", self.folder.id, output.error)
                    raise ApiError(500, "The model failed while generating.", code="generation_failed")
                new, seen = output.generated_tokens[seen:], len(output.generated_tokens)
                for token in new:
                    yield token
        finally:
            self.running.discard(request_id)
            if not is_finished:
                self._cancel(request_id)

    def _cancel(self, request_id: str) -> None:
        """Take the request out of the batch. Its late outputs, if any, have no reader: the handler is
        removed and the shared queue emptied.
        """
        self._manager.cancel_request(request_id)
        router = self._manager.output_router
        with router._lock:  # the manager removes handlers of finished requests only
            router.result_handlers.pop(request_id, None)
        while not router.output_queue.empty():
            router.output_queue.get_nowait()

    def count_active(self) -> int:
        """Requests that hold a slot in the batch right now."""
        processor = self._manager.batch_processor
        return 0 if processor is None else len(processor.scheduler.active_requests)

    def close(self) -> None:
        """Stop the batch loop; requests in flight fail. Blocks up to STOP_TIMEOUT_S. Safe to call twice."""
        if self._manager.is_running():
            self._manager.stop(block=True, timeout=STOP_TIMEOUT_S, hard_stop=True)

    def _sampling(self, request: ChatRequest) -> dict:
        temperature = self.default_temperature if request.temperature is None else request.temperature
        seed = secrets.randbits(63) if request.seed is None else request.seed
        return {
            "temperature": temperature,
            "top_p": request.top_p,
            "seed": seed,
            "repetition_penalty": self.repetition_penalty,
        }

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(
            self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def _without_specials(self, content: str) -> str:
        # again: removing one may join the halves of another
        while any(special in content for special in self._special_strings):
            for special in self._special_strings:
                content = content.replace(special, "")
        return content


def _read_end_tokens(configured: int | list[int] | None, fallback: int | None) -> frozenset[int]:
    tokens = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*tokens, fallback] if token is not None)


def _blocks_for(tokens: int) -> int:
    return -(-tokens // PAGE_TOKENS) + 1


def _count_blocks(model, context_window: int, slots: int) -> int:
    """How many blocks the cache has: for every slot at full context, as far as KV_CACHE_BYTES allow, and at
    least for one.
    """
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    bytes_per_token = 2 * config.num_hidden_layers * heads * head_size * model.dtype.itemsize
    one = _blocks_for(context_window)
    return max(one, min(slots * one, KV_CACHE_BYTES // (bytes_per_token * PAGE_TOKENS)))


def _start_manager(model, end_tokens: frozenset[int], *, slots: int, blocks: int, context_window: int):
    """The running manager: greedy by itself (see sampling.py)."""
    manager = model.init_continuous_batching(
        generation_config=GenerationConfig(
            do_sample=False,
            eos_token_id=sorted(end_tokens) or -1,
            pad_token_id=model.generation_config.pad_token_id,
        ),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=PAGE_TOKENS,
            num_blocks=blocks,
            max_batch_tokens=min(MAX_BATCH_TOKENS, context_window),
            max_requests_per_batch=slots,
            max_blocks_per_request=0,
            allow_block_sharing=False,
            use_async_batching=False,
            use_cuda_graph=False,
            safety_margin=0.0,
        ),
    )
    manager.logit_processor = build_processor_list()
    manager.start()
    return manager
