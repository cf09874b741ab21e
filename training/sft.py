"""Fine-tune a model on the rows of ``cligym export sft``, with TRL's SFTTrainer and no conversion.

    cligym export sft runs/first -o rows.parquet --resolved
    python training/sft.py rows.parquet --model Qwen/Qwen3-0.6B
    python training/sft.py rows.parquet --tiny        # a tiny random model, on the CPU, in seconds

The loss counts what the assistant said and nothing else, so the chat template must mark that. TRL
knows the marked twin of the templates of Qwen 2.5, Qwen 3 and others; for a model whose template it
does not know (Qwen3-Coder), give one with ``--chat-template``. The defaults are the published recipe
(arXiv 2602.10999): learning rate 2e-5, cosine, 5 % warm-up, batches of 16.

Prints one JSON document: how many rows and steps, the first and the last loss, where the model lies.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer

from cligym_env.train import tiny

TINY_LEARNING_RATE = 5e-3


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", type=Path, help="parquet, as written by cligym export sft")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="name or folder of a model")
    which.add_argument("--tiny", action="store_true", help="a tiny random Qwen3 and its own tokenizer")
    parser.add_argument("--out", "-o", type=Path, default=Path("runs/sft"), help="folder of the model")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--steps", type=int, default=-1, help="instead of epochs")
    parser.add_argument("--batch", type=int, default=16, help="rows a step; one row is held at a time")
    parser.add_argument("--learning-rate", type=float, help="2e-5; for --tiny 5e-3")
    parser.add_argument(
        "--max-length", type=int, default=32_768, help="tokens; the END of longer rows is cut"
    )
    parser.add_argument("--chat-template", help="file with {%% generation %%} marks")
    parser.add_argument("--cpu", action="store_true", help="use no accelerator")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def model_and_tokenizer(args: argparse.Namespace, rows: Dataset) -> tuple[Any, Any]:
    """Load the model, or make the tiny one."""
    if args.tiny:
        tokenizer = tiny.tokenizer(tiny.texts(rows))
        return tiny.model(len(tokenizer), seed=args.seed, n_positions=args.max_length), tokenizer
    return AutoModelForCausalLM.from_pretrained(args.model), AutoTokenizer.from_pretrained(args.model)


def config(args: argparse.Namespace) -> SFTConfig:
    """Give the trainer its settings."""
    on_cpu = args.cpu or args.tiny
    return SFTConfig(
        output_dir=str(args.out),
        assistant_only_loss=True,
        max_length=args.max_length,
        chat_template_path=args.chat_template,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=args.batch,
        num_train_epochs=args.epochs,
        max_steps=args.steps,
        learning_rate=args.learning_rate or (TINY_LEARNING_RATE if args.tiny else 2e-5),
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        seed=args.seed,
        data_seed=args.seed,
        use_cpu=on_cpu,
        bf16=not on_cpu,
        gradient_checkpointing=not on_cpu,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=not sys.stderr.isatty(),
    )


def main() -> None:
    """Train, save, and say what came of it."""
    args = arguments()
    rows = load_dataset("parquet", data_files=str(args.rows), split="train")
    model, tokenizer = model_and_tokenizer(args, rows)
    trainer = SFTTrainer(model=model, args=config(args), train_dataset=rows, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, where the result goes
    trainer.train()
    trainer.save_model(str(args.out))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    told = {"n_rows": len(rows), "n_steps": len(losses), "first_loss": losses[0], "last_loss": losses[-1]}
    print(json.dumps({**told, "out": str(args.out)}))


if __name__ == "__main__":
    main()
