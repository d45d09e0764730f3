"""A lease of GPUs among its calls, for people and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemocli.core.money import usd_short, usd_text
from nemocli.core.values import Json
from nemocli.cost.leases import Lease, lease_json
from nemocli.cost.summary_lines import tokens_text

Part = Mapping[str, Any]
"""`model`, `status`, `calls`, `input_tokens`, `output_tokens`, `pico`, `full_pico`."""


def lease_detail(lease: Lease, parts: Sequence[Part]) -> dict[str, Json]:
    """Schema `nemocli.lease/1`: `marginal_usd` is of busy time, and adds up with the idle part to
    the lease; `full_usd` adds up to the lease alone."""
    rows: list[Json] = [
        {
            "model": part["model"],
            "status": part["status"],
            "calls": part["calls"],
            "input_tokens": part["input_tokens"],
            "output_tokens": part["output_tokens"],
            "marginal_usd": usd_text(part["pico"]),
            "full_usd": usd_text(part["full_pico"]),
        }
        for part in parts
    ]
    return {"schema": "nemocli.lease/1", **lease_json(lease), "rows": rows}


def lease_lines(lease: Lease, parts: Sequence[Part]) -> list[str]:
    """What it cost, how that was shared, and what a completed call and a million tokens came to."""
    hours = f"{lease.start.astimezone():%Y-%m-%d %H:%M}"
    lines = [
        f"{lease.name}: {lease.gpus} x {lease.gpu} for {lease.provider} from {hours}",
        f"rate    {usd_short(lease.pico_per_hour)} per GPU and hour ({lease.price_source})",
    ]
    if lease.stop is None:
        return [*lines, f"cost    {usd_short(lease.pico)} so far; calls get their part at its end"]
    lines.append(f"cost    {usd_short(lease.pico)} to {lease.stop.astimezone():%Y-%m-%d %H:%M}")
    share = 100 * lease.idle // lease.pico if lease.pico else 0
    lines.append(f"idle    {usd_short(lease.idle)} ({share} %): no call was under way")
    if not parts:
        return [*lines, "calls   none: all of it was idle"]
    weights = f"{lease.input_weight}:{lease.output_weight}"
    lines.append(f"calls   by tokens, read to made {weights}")
    for part in parts:
        tokens = f"{tokens_text(part['input_tokens'])} in, {tokens_text(part['output_tokens'])} out"
        lines.append(
            f"        {part['calls']} {part['status']} of {part['model']}: {tokens};"
            f" {usd_short(part['pico'])} busy, {usd_short(part['full_pico'])} fully loaded"
        )
    good = sum(p["calls"] for p in parts if p["status"] == "ok")
    made = sum(p["output_tokens"] for p in parts)
    if good:
        each = usd_short(sum(p["pico"] for p in parts) // good)
        lines.append(f"each    {each} per good call busy, {usd_short(lease.pico // good)} loaded")
    if made:
        million = usd_short(lease.pico * 10**6 // made)
        lines.append(f"        {million} per million output tokens, fully loaded")
    return lines
