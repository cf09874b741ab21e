"""The exported rows train a model with no conversion, and the model learns."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cligym_env import plugins
from cligym_env.core import Call, Outcome, Trajectory, Turn, Verdict

for extra in ("torch", "trl", "datasets"):
    pytest.importorskip(extra, reason="the extra train is not installed")

IGNORED = -100
"""The label of a token that the loss passes over."""

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short trajectories, as parquet."""
    told = [
        Trajectory(
            task=f"h11.mode-bits.0000000{number}",
            policy="oracle",
            seed=0,
            attempt=0,
            instruction=f"The tests of h11 fail: {number}.",
            turns=(
                Turn(Call("ls -l /testbed", thought="look first"), f"total {number}\n", 0),
                Turn(Call("chmod 644 /testbed/h11/__init__.py"), "", 0),
                Turn(Call("submit"), "", None),
            ),
            reward=1.0,
            verdict=Verdict(Outcome.RESOLVED, "all pass"),
            exit_status="submitted",
        )
        for number in range(4)
    ]
    return plugins.create("exporters", "sft").export(told, tmp_path_factory.mktemp("rows") / "sft.parquet")


def train(rows: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    environ = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, ROOT / "training" / "sft.py", str(rows), *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(done.stdout))


def test_the_loss_goes_down_and_the_checkpoint_is_a_model(rows: Path, tmp_path: Path) -> None:
    first = train(rows, tmp_path, "--tiny", "--steps", "20", "--batch", "1", "-o", "tiny")
    assert (first["n_rows"], first["n_steps"]) == (4, 20)
    assert first["last_loss"] < 0.8 * first["first_loss"]
    again = train(rows, tmp_path, "--model", "tiny", "--cpu", "--steps", "1", "--batch", "1", "-o", "again")
    assert again["first_loss"] < 0.8 * first["first_loss"]
    assert (tmp_path / "again" / "model.safetensors").is_file()


def test_only_what_the_assistant_said_is_trained_on(rows: Path, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    from cligym_env.train import tiny

    table = load_dataset("parquet", data_files=str(rows), split="train", cache_dir=str(tmp_path))
    tokenizer = tiny.tokenizer(tiny.texts(table))
    config = SFTConfig(
        output_dir=str(tmp_path),
        assistant_only_loss=True,
        max_length=4096,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
    )
    trainer = SFTTrainer(
        model=tiny.model(len(tokenizer)), args=config, train_dataset=table, processing_class=tokenizer
    )
    row = trainer.train_dataset[0]
    said = tokenizer.decode([label for label in row["labels"] if label != IGNORED])
    assert "chmod 644 /testbed/h11/__init__.py" in said
    assert '"name": "submit"' in said
    assert "The tests of h11 fail" not in said
    assert "total 0" not in said
    assert "null" not in tokenizer.decode(row["input_ids"])
