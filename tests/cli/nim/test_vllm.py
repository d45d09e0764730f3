"""A real vLLM on this machine's CPU, with a tiny model of random weights: what a NIM is inside.

Runs where `VLLM` names vLLM's program (0.32.0 for CPUs was tried); it is no part of the test
environment. The model says noise: its reasoning and its answers prove nothing but that they came
where they should. With `AIPERF` too, AIPerf measures the same server. The server has the first core
for itself and whoever measures the others: beside AIPerf on the same cores it is four times slower.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run import Home, run

VLLM = os.environ.get("VLLM")
AIPERF = os.environ.get("AIPERF")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(VLLM is None, reason="VLLM does not name vLLM's program"),
    pytest.mark.xdist_group("vllm"),
]
MODEL = "nvidia/nemotron-3-ultra-550b-a55b"
MAKE = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast
words = ["<unk>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
made = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, [], unk_token="<unk>"))
made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
made.decoder = decoders.ByteLevel()
fast = PreTrainedTokenizerFast(
    tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
)
fast.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}: "
fast.save_pretrained(sys.argv[1])
LlamaConfig(
    vocab_size=len(words), hidden_size=1024, intermediate_size=4096, num_hidden_layers=16,
    num_attention_heads=16, num_key_value_heads=4, head_dim=64, max_position_embeddings=4096,
    bos_token_id=1, eos_token_id=2, architectures=["LlamaForCausalLM"],
).save_pretrained(sys.argv[1])
"""
START_S = 240


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    assert VLLM is not None
    folder = tmp_path_factory.mktemp("vllm")
    subprocess.run([Path(VLLM).with_name("python"), "-c", MAKE, folder / "model"], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    line = [
        VLLM, "serve", folder / "model", "--load-format", "dummy", "--served-model-name", MODEL,
        "--enable-auto-tool-choice", "--tool-call-parser", "qwen3_coder",
        "--reasoning-parser", "nemotron_v3", "--host", "127.0.0.1", "--port", str(number),
        "--max-model-len", "4096", "--no-enable-prefix-caching",
    ]  # fmt: skip
    cores = os.sched_getaffinity(0)
    with (folder / "log").open("wb") as log:
        alone = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": str(min(cores))}
        os.sched_setaffinity(0, {min(cores)})
        server = subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **alone})
        os.sched_setaffinity(0, cores - {min(cores)} or cores)
        try:
            _until_ready(server, number, folder / "log")
            yield number
        finally:
            os.sched_setaffinity(0, cores)
            server.terminate()
            server.wait(60)


def _until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
        except OSError:
            time.sleep(1)
        else:
            return
    raise AssertionError(log.read_text()[-3000:])


@pytest.fixture
def ready(home: Home, port: int) -> Home:
    home.provider("here", f"http://127.0.0.1:{port}/v1", extends="nim", key=None, auth={})
    return home


def test_the_model_its_context_and_its_counts_are_found(ready: Home) -> None:
    listed = run("models", "ls", "-p", "here", "--json", home=ready).json()
    assert [(row["id"], row["context"]) for row in listed] == [(MODEL, 4096)]
    line = ("ask", "-p", "here", "--reasoning", "off", "--max-tokens", "12", "--json", "hello")
    done = run(*line, "-O", "ignore_eos=true", home=ready)
    answer = done.json()
    assert (done.code, answer["status"], answer["served_model"]) == (8, "truncated", MODEL)
    assert (answer["usage"]["output_tokens"], answer["usage"]["source"]) == (12, "reported")
    thinking = run(
        *line[:3], "--max-tokens", "12", "--json", "hello", "-O", "ignore_eos=true", home=ready
    )
    assert thinking.code == 8
    assert thinking.json()["reasoning"]
    assert thinking.json()["text"] == ""


def test_what_it_measures_of_itself_is_read(ready: Home, port: int) -> None:
    done = run("nim", "status", "--port", str(port), "--json", home=ready)
    assert done.code == 0, done.err
    found = done.json()
    assert found["health"] == "ready"
    assert found["metrics"]["running"] == 0
    assert found["metrics"]["kv_cache"] is not None
    assert run("nim", "wait", "--port", str(port), home=ready).code == 0


COUNT, AT_ONCE, TOKENS = 16, 2, 32


def test_the_bench_agrees_with_aiperf(ready: Home, port: int, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"{n} {'tell me a story ' * 20}\n" for n in range(COUNT)))
    line = (
        "nim", "bench", "-p", "here", "--sweep", str(AT_ONCE), "--requests", str(COUNT),
        "--max-tokens", str(TOKENS), "-O", "ignore_eos=true", "--prompts", str(prompts),
    )  # fmt: skip
    done = run(*line, "--json", home=ready, timeout=120)
    assert done.code == 0, done.err
    [ours] = done.json()["points"]
    assert (ours["errors"], ours["tokens"]) == (0, "reported")
    assert ours["output_tokens"] == COUNT * TOKENS
    if AIPERF is None:
        pytest.skip("AIPERF does not name AIPerf's program")
    payloads, found = tmp_path / "payloads", tmp_path / "found"
    assert run(*line, "--export", str(payloads), home=ready).code == 0
    model = next(tmp_path.parent.parent.glob("**/vllm*/model"))
    theirs_line = [
        AIPERF, "profile", "--custom-dataset-type", "raw_payload", "--input-file", payloads,
        "--url", f"http://127.0.0.1:{port}", "--model", MODEL, "--endpoint-type", "chat",
        "--streaming", "--concurrency", str(AT_ONCE), "--request-count", str(COUNT),
        "--warmup-request-count", str(AT_ONCE), "--use-server-token-count",
        "--tokenizer", model, "--ui", "none", "--output-artifact-dir", found,
    ]  # fmt: skip
    subprocess.run(theirs_line, check=True, capture_output=True, timeout=200, cwd=tmp_path)
    theirs = json.loads((found / "profile_export_aiperf.json").read_text())
    for name, mine in (
        ("time_to_first_token", ours["ttft_ms"]["p50"]),
        ("request_latency", ours["e2e_ms"]["p50"]),
    ):
        assert mine == pytest.approx(theirs[name]["p50"], rel=0.1), name
    speed = theirs["output_token_throughput"]["avg"]
    assert ours["output_tokens_per_s"] == pytest.approx(speed, rel=0.1)
