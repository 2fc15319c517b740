"""Sampling per request inside one shared batch: every row of a batch has its own temperature, top_p and seed.

The continuous batching manager of transformers has per-request temperature and top_p, but one random
generator for all, no per-request seed, and one `do_sample` for all. Here the manager is kept greedy
(argmax), and rows that sample get Gumbel noise added to their scores: argmax(log p + Gumbel noise) is an
exact draw from p (Gumbel 1954; Maddison et al. 2014, arXiv:1411.0030). The noise depends only on the
request's seed and the index of the token, so a seed gives the same answer whatever else is in the batch
(up to rounding in the forward pass).
"""

import torch
from torch import Tensor
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState
from transformers.generation.logits_process import LogitsProcessorList, TopPLogitsWarper

SEED_MASK = 2**63 - 1
GOLDEN = 0x9E3779B97F4A7C15  # spreads consecutive token indexes over the generator's seeds


class PerRequestSampler(ContinuousBatchingLogitsProcessor):
    """Reads `temperature` (0 is greedy), `top_p`, `seed` and `repetition_penalty` from each request's own
    arguments.
    """

    supported_kwargs: dict[str, type] = {
        "temperature": float,
        "top_p": float,
        "seed": int,
        "repetition_penalty": float,
    }
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._rows: list[RequestState] = []

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[FutureRequestState]) -> Tensor:
        """Remember whose rows come next. The manager runs this and the call below in turn, in one thread (no
        async batching).
        """
        self._rows = [request.state for request in requests_with_new_token]
        return torch.zeros(len(self._rows), dtype=torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        """scores (B, V) with penalties for what was said, and noise in the rows that sample."""
        for row, state in enumerate(self._rows):
            wanted = dict(state.logit_processor_kwargs)
            penalty = wanted.pop("repetition_penalty")
            if penalty != 1 and state.generated_tokens:
                penalize(scores[row], torch.tensor(list(set(state.generated_tokens))), penalty)
            if wanted["temperature"] > 0:
                scores[row] = perturb(scores[row], token_index=state.generated_len(), **wanted)
        return scores


def penalize(scores: Tensor, tokens: Tensor, penalty: float) -> None:
    """Make tokens that the answer has already less likely (Keskar et al. 2019, arXiv:1909.05858, section
    4.1), in place: scores (V,). The question's own words stay free, so that a summary can use them.
    """
    said = scores[tokens]
    scores[tokens] = torch.where(said > 0, said / penalty, said * penalty)


def perturb(scores: Tensor, *, seed: int, token_index: int, temperature: float, top_p: float) -> Tensor:
    """Scores (V,) whose argmax is a draw from softmax(scores / temperature), cut to the nucleus `top_p`."""
    scores = scores / temperature
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores.unsqueeze(0)).squeeze(0)
    generator = torch.Generator().manual_seed((seed + GOLDEN * token_index) & SEED_MASK)
    exponential = torch.empty_like(scores).exponential_(generator=generator)
    return scores - exponential.log()  # minus the log of an exponential variable is a Gumbel variable


def build_processor_list() -> ContinuousBatchingLogitsProcessorList:
    """The list that the manager calls: the sampler alone."""
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([PerRequestSampler()]))
    # the manager's own conversion would count this; the sampler is CB-style from the start
    processors.tensors_required = 1
    return processors
