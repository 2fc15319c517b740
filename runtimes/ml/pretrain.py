"""Makes `atrium-tiny`, the demo model: tokenizer, pretraining from scratch, measurement, model folder.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python -m runtimes.ml.pretrain --out runtimes/models/atrium-tiny

One CPU thread; deterministic for a seed, a thread count and a build of torch. Installing Atrium
never runs this: the built folder is shipped. The figures that it prints and writes into the model
card come from `runtimes.ml.measure`.
"""

import argparse
import itertools
import logging
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .corpus import Dialog, draw_dialog
from .manifest import NAME as MANIFEST_NAME
from .measure import measure
from .model_card import write_model_card
from .model_folder import write_sha256sums

logger = logging.getLogger(__name__)
# The pad differs from the end of turn, else fine-tuning would mask the end and the model would never stop.
PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTEXT_TOKENS = 512
MANIFEST = Path(__file__).parents[1] / "models" / "atrium-tiny" / MANIFEST_NAME
POOL_DIALOGS = 16
IGNORED = -100  # the label that cross entropy skips
Token = tuple[int, int, int]  # (token id, position in its dialog, label)


@dataclass(frozen=True)
class Plan:
    """What is trained and how. Learning rates warm up for 40 steps, stay until 60 %, then fall linearly to 2
    %.
    """

    steps: int = 1300
    rows: int = 8  # B, each of CONTEXT_TOKENS tokens
    vocabulary: int = 2048
    width: int = 192
    layers: int = 4
    feed_forward: int = 512
    muon_rate: float = 0.02  # matrices of the layers
    adam_rate: float = 3e-3  # embeddings and norms
    # of the dialogs, where the user's words count too; elsewhere only answers do: a third of the tokens
    # suffices
    full_loss_share: float = 0.1
    seed: int = 0


def build_tokenizer(dialogs: Iterator[Dialog], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with chat template. Tokens hold at most 12 bytes, so that Chinese
    answers stream in small steps too.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=12,
        show_progress=False,
    )
    tokenizer.train_from_iterator((content for dialog in dialogs for _, content in dialog), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PAD,
        bos_token=None,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def build_model(plan: Plan, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with random weights and tied embeddings, heads of 64."""
    heads = plan.width // 64
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.width,
        intermediate_size=plan.feed_forward,
        num_hidden_layers=plan.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=64,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.update(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        do_sample=False,
    )
    return model


def encode_dialog(tokenizer: PreTrainedTokenizerFast, dialog: Dialog, *, is_full_loss: bool) -> list[Token]:
    """The dialog as the chat template renders it, at most CONTEXT_TOKENS long, with labels on answers (or on
    all contents).
    """
    tokens: list[tuple[int, int]] = []
    for role, content in dialog:
        head, body, tail = tokenizer(
            [f"{TURN_START}{role}\n", f"{content}{TURN_END}", "\n"], add_special_tokens=False
        )["input_ids"]
        counts = is_full_loss or role == "assistant"
        tokens += (
            [(token, IGNORED) for token in head]
            + [(token, token if counts else IGNORED) for token in body]
            + [(token, IGNORED) for token in tail]
        )
    return [(token, position, label) for position, (token, label) in enumerate(tokens[:CONTEXT_TOKENS])]


def pack_batches(
    plan: Plan, tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> Iterator[torch.Tensor]:
    """Batches of whole dialogs side by side, shape (B, T, 3): token, position, label.

    Positions start anew with each dialog, which transformers reads as a border that attention does not cross.
    A small pool of waiting dialogs fills the gaps; what is left of a row is padded without loss.
    """
    pool: list[list[Token]] = []
    while True:
        batch = []
        for _ in range(plan.rows):
            row: list[Token] = []
            while True:
                while len(pool) < POOL_DIALOGS:
                    pool.append(
                        encode_dialog(
                            tokenizer, draw_dialog(rng), is_full_loss=rng.random() < plan.full_loss_share
                        )
                    )
                fitting = next(
                    (index for index, tokens in enumerate(pool) if len(row) + len(tokens) <= CONTEXT_TOKENS),
                    None,
                )
                if fitting is None:
                    break
                row += pool.pop(fitting)
            row += [
                (tokenizer.pad_token_id, position, IGNORED) for position in range(CONTEXT_TOKENS - len(row))
            ]
            batch.append(row)
        yield torch.tensor(batch)


def build_optimizers(plan: Plan, model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the layers' matrices, AdamW for the rest; each group remembers its full
    rate in `full_rate`.
    """
    matrices = [
        weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name
    ]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=plan.muon_rate, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_rate"] = group["lr"]
    return optimizers


def rate_factor(step: int, steps: int) -> float:
    """The share of the full learning rate at `step`, in (0, 1]: warm-up, plateau, decay."""
    done = step / steps
    return min(1.0, (step + 1) / 40) * (1.0 if done < 0.6 else max(0.02, (1 - done) / 0.4))


def compute_loss(model: LlamaForCausalLM, batch: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy in nats over the labelled tokens of a batch (B, T, 3). Logits are made for these
    only: a fifth of a step's time less.
    """
    # (B, T, D)
    hidden = model.model(
        input_ids=batch[..., 0], position_ids=batch[..., 1], use_cache=False
    ).last_hidden_state
    labels = batch[:, 1:, 2]  # the token after each position
    counts = labels != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[:, :-1][counts]), labels[counts])


def train(plan: Plan, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> int:
    """Train in place for `plan.steps` steps in fp32; returns the number of tokens seen."""
    optimizers = build_optimizers(plan, model)
    started, cpu_started = time.time(), time.process_time()
    model.train()
    for step, batch in enumerate(itertools.islice(pack_batches(plan, tokenizer, rng), plan.steps)):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = group["full_rate"] * rate_factor(step, plan.steps)
        loss = compute_loss(model, batch)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if step % 50 == 0:
            logger.info(
                "step %d loss %.4f cpu_s %.0f wall_s %.0f",
                step,
                loss.item(),
                time.process_time() - cpu_started,
                time.time() - started,
            )
    return plan.steps * plan.rows * CONTEXT_TOKENS


def make_model(out: Path, plan: Plan) -> None:
    """Train, measure, and write weights (fp16 safetensors), tokenizer,
    model card, manifest and SHA256SUMS into `out`.
    """
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    rng = random.Random(plan.seed)  # noqa: S311 - synthetic data, no secrets
    tokenizer = build_tokenizer((draw_dialog(rng) for _ in range(12_000)), plan.vocabulary)
    model = build_model(plan, tokenizer)
    started, cpu_started = time.time(), time.process_time()
    tokens_seen = train(plan, model, tokenizer, rng)
    cpu_s, wall_s = time.process_time() - cpu_started, time.time() - started
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    for path in out.iterdir():
        path.chmod(0o644)  # safetensors writes 0600, and the folder is shipped
    figures = measure(out)
    figures |= {
        "parameters": model.num_parameters(),
        "tokens_seen": tokens_seen,
        "steps": plan.steps,
        "cpu_s": round(cpu_s),
        "wall_s": round(wall_s),
    }
    logger.info("%s", figures)
    write_model_card(out, figures)
    if out.resolve() != MANIFEST.parent:
        shutil.copyfile(MANIFEST, out / MANIFEST_NAME)
    write_sha256sums(out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Pretrain the demo model atrium-tiny.")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make_model(arguments.out, Plan(steps=arguments.steps, seed=arguments.seed))


if __name__ == "__main__":
    main()
