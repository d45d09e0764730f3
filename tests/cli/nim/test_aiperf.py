"""`nim bench` and AIPerf on the same server with the same requests: two opinions that agree.

Runs where `AIPERF` names AIPerf's program (0.13 was tried); it is no part of the test environment.
Its tokenizer is one of single characters, made here: counts are the server's.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run import Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub

AIPERF = os.environ.get("AIPERF")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(AIPERF is None, reason="AIPERF does not name AIPerf's program"),
]
TOKENIZER = """
import json, sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = ["<unk>", "<s>", "</s>", *map(chr, range(33, 127))]
made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
made.pre_tokenizer = pre_tokenizers.Whitespace()
fast = PreTrainedTokenizerFast(
    tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
)
fast.save_pretrained(sys.argv[1])
open(sys.argv[1] + "/config.json", "w").write(json.dumps({"model_type": "gpt2"}))
"""
COUNT, AT_ONCE = 24, 4
SAID = Answer(
    "word" * 50, piece=4, delay_s=0.2, gap_s=0.02,
    usage={"prompt_tokens": 9, "completion_tokens": 50},
)  # fmt: skip


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub(SAID) as made:
        yield made


def test_both_measure_the_same_server_alike(home: Home, stub: Stub, tmp_path: Path) -> None:
    assert AIPERF is not None
    home.provider("stub", stub.url, default_model="m")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"tell me story {n}\n" for n in range(COUNT)))
    line = ("nim", "bench", "-p", "stub", "--sweep", str(AT_ONCE), "--requests", str(COUNT))
    done = run(*line, "--prompts", str(prompts), "--json", home=home)
    assert done.code == 0, done.err
    [ours] = done.json()["points"]

    folder, tokenizer, found = tmp_path / "payloads", tmp_path / "tokenizer", tmp_path / "found"
    assert run(*line, "--prompts", str(prompts), "--export", str(folder), home=home).code == 0
    python = Path(AIPERF).with_name("python")
    subprocess.run([python, "-c", TOKENIZER, tokenizer], check=True, capture_output=True)
    theirs_line = [
        AIPERF, "profile", "--custom-dataset-type", "raw_payload", "--input-file", folder,
        "--url", stub.url.removesuffix("/v1"), "--model", "m", "--endpoint-type", "chat",
        "--streaming", "--concurrency", str(AT_ONCE), "--request-count", str(COUNT),
        "--use-server-token-count", "--tokenizer", tokenizer, "--ui", "none",
        "--output-artifact-dir", found,
    ]  # fmt: skip
    subprocess.run(theirs_line, check=True, capture_output=True, timeout=120, cwd=tmp_path)
    theirs = json.loads((found / "profile_export_aiperf.json").read_text())

    assert theirs["request_count"]["avg"] == ours["requests"] == COUNT
    for name, mine in (
        ("time_to_first_token", ours["ttft_ms"]["p50"]),
        ("inter_token_latency", ours["itl_ms"]["p50"]),
        ("request_latency", ours["e2e_ms"]["p50"]),
    ):
        assert mine == pytest.approx(theirs[name]["p50"], rel=0.1), name
    speed = theirs["output_token_throughput"]["avg"]
    assert ours["output_tokens_per_s"] == pytest.approx(speed, rel=0.1)
