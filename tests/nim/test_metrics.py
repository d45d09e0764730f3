"""A page of metrics: both prefixes, any order, nothing invented."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.nim.metrics import metrics_of, quantile

PAGE = """# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
{p}num_requests_running{{model_name="m"}} 3.0
{p}num_requests_waiting{{model_name="m"}} 1.0
{p}kv_cache_usage_perc{{model_name="m"}} 0.25
{p}prompt_tokens_total{{model_name="m"}} 1200.0
{p}generation_tokens_total{{model_name="m"}} 3.4e+02
{p}prefix_cache_queries_total{{model_name="m"}} 200.0
{p}prefix_cache_hits_total{{model_name="m"}} 50.0
{p}time_to_first_token_seconds_bucket{{le="0.1",model_name="m"}} 50.0
{p}time_to_first_token_seconds_bucket{{le="0.5",model_name="m"}} 100.0
{p}time_to_first_token_seconds_bucket{{le="+Inf",model_name="m"}} 100.0
{p}time_to_first_token_seconds_count{{model_name="m"}} 100.0
"""


@pytest.mark.parametrize("prefix", ["vllm:", ""])
def test_a_page_is_read_with_and_without_a_prefix(prefix: str) -> None:
    m = metrics_of(PAGE.format(p=prefix))
    assert (m.running, m.waiting, m.kv_cache) == (3, 1, 0.25)
    assert (m.prompt_tokens, m.output_tokens, m.prefix_hits) == (1200, 340, 0.25)
    assert m.ttft_s == (pytest.approx(0.1), pytest.approx(0.492))
    assert m.itl_s == (None, None)


@given(st.text(max_size=400))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    m = metrics_of(text)
    assert m.running is None or isinstance(m.running, float)


def test_a_page_of_nothing_knows_nothing() -> None:
    m = metrics_of("")
    assert (m.running, m.kv_cache, m.prefix_hits, m.ttft_s) == (None, None, None, (None, None))


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=80), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_real_one(values: list[float], q: float) -> None:
    edges = [0.01, 0.1, 0.5, 1.0, 5.0, 20.0, 100.0, math.inf]
    buckets = {e: float(sum(v <= e for v in values)) for e in edges}
    found = quantile(buckets, q)
    real = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    above = next(e for e in edges if e >= real)
    below = max([e for e in edges if e < above], default=0.0)
    assert found is not None
    assert below - 1e-9 <= found <= above + 1e-9


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0.0, math.inf: 0.0}, 0.5) is None
