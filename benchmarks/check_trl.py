"""Load exports as TRL does, and train two steps on them: by hand, in an environment of its own.

    python -m venv trl-venv && trl-venv/bin/pip install trl datasets
    agl demo
    agl export RUN --store agl-demo/runs.db --format chat-sft --out exports/chat-sft.jsonl
    trl-venv/bin/python benchmarks/check_trl.py exports

The model is a GPT-2 of one layer with random weights, the tokenizer has a token per byte:
nothing is downloaded. It shows that the trainers take the rows, and nothing about training.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] or '' }}"
    "{% for c in m.get('tool_calls') or [] %}{{ c['function'] }}{% endfor %}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def load(name: str) -> Any:
    """Import a package that is no development tool of ours."""
    return importlib.import_module(name)


def make_tokenizer() -> Any:
    """Make a tokenizer with a token per byte, and a chat template."""
    tokenizers = load("tokenizers")
    alphabet = sorted(load("tokenizers.pre_tokenizers").ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}
    raw = tokenizers.Tokenizer(load("tokenizers.models").BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = load("tokenizers.pre_tokenizers").ByteLevel(add_prefix_space=False)
    raw.decoder = load("tokenizers.decoders").ByteLevel()
    tokenizer = load("transformers").PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<eos>", pad_token="<pad>"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(kind: str, **options: Any) -> Any:
    """Make a tiny model with random weights."""
    transformers = load("transformers")
    config = transformers.GPT2Config(
        vocab_size=258, n_positions=16384, n_embd=16, n_layer=1, n_head=2, pad_token_id=0, **options
    )
    return getattr(transformers, kind)(config)


def train(trainer: str, rows: Any, tokenizer: Any, **options: Any) -> str:
    """Train two steps; return what came of it."""
    trl = load("trl")
    settings = getattr(trl, f"{trainer}Config")(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=2,
        max_steps=2,
        max_length=16384,
        report_to=[],
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
    )
    made = getattr(trl, f"{trainer}Trainer")(
        args=settings, train_dataset=rows, processing_class=tokenizer, **options
    )
    loss = made.train().training_loss
    return f"{trainer}Trainer took {len(made.train_dataset)} rows; two steps, loss {loss:.2f}"


def checks(columns: list[str], rows: Any, tokenizer: Any) -> list[Callable[[], str]]:
    """Return what is to be tried with the rows of an export."""

    def causal() -> Any:
        return make_model("GPT2LMHeadModel")

    if "messages" in columns and "task" not in columns:
        return [lambda: train("SFT", rows, tokenizer, model=causal())]
    if "chosen" in columns:
        rated = make_model("GPT2ForSequenceClassification", num_labels=1)
        return [
            lambda: train("DPO", rows, tokenizer, model=causal(), ref_model=causal()),
            lambda: train("Reward", rows, tokenizer, model=rated),
        ]
    return []


def main(folder: Path) -> None:
    """Check every file of a folder."""
    names = ("trl", "transformers", "torch", "datasets")
    print(", ".join(f"{name} {load(name).__version__}" for name in names))
    shapes = load("trl.data_utils")
    tokenizer = make_tokenizer()
    for path in sorted(folder.iterdir()):
        kind = "parquet" if path.suffix == ".parquet" else "json"
        rows = load("datasets").load_dataset(
            kind, data_files=str(path), split="train", cache_dir=tempfile.mkdtemp()
        )
        print(f"{path.name}: {len(rows)} rows, {', '.join(rows.column_names)}")
        print(f"  is_conversational: {shapes.is_conversational(rows[0])}")
        for check in checks(rows.column_names, rows, tokenizer):
            text = shapes.maybe_apply_chat_template(rows[0], tokenizer)
            fields = [name for name, value in text.items() if isinstance(value, str)]
            print(f"  maybe_apply_chat_template makes: {', '.join(fields)}")
            print(f"  {check()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
