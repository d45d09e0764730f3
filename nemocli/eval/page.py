"""A run as one page: who was compared on what, who won by how much and how sure, what it cost,
what it does not show, and single attempts turn by turn. Whole in itself: no script in it, nothing
is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from nemocli.core.money import usd_short
from nemocli.core.text import neutral
from nemocli.core.value_class import value_class
from nemocli.eval import plots
from nemocli.eval.grade import LOST
from nemocli.eval.judge import Measures
from nemocli.eval.metrics import ArmSummary, Results, scores_of, survival
from nemocli.eval.report import (
    RETRIES,
    RunFacts,
    coherence_rows,
    decision_lines,
    limits,
    questions,
    retry_rows,
)
from nemocli.eval.verdict import Verdict, VerdictPolicy

MOST_BYTES = 1_800_000
"""Of the attempts that are shown turn by turn; the others are cells of the grid."""
LONGEST = 700
"""Characters of one message."""

STYLE = """
:root{color-scheme:light dark;--ink:#1b1e24;--dim:#5a6070;--line:#d9dce3;--page:#fff;--card:#f5f6f9;
--good:#228833;--bad:#c2374a;--warn:#9a7500}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaf0;--dim:#9aa0ae;--line:#343945;
--page:#14161b;
--card:#1d2027;--good:#5cc46c;--bad:#f0808c;--warn:#e0c050}}
*{box-sizing:border-box}body{margin:0 auto;max-width:900px;padding:32px 24px;color:var(--ink);
background:var(--page);font:15px/1.55 system-ui,sans-serif}h1{font-size:24px;margin:0}
h2{font-size:18px;margin:40px 0 8px}h3{font-size:15px;margin:22px 0 4px}
p{margin:4px 0 10px;color:var(--dim)}ul{margin:6px 0;padding-left:20px}
.verdict{background:var(--card);border-left:6px solid var(--dim);border-radius:8px;
padding:16px 20px;
margin:20px 0}.verdict b{font-size:26px;display:block}.verdict.ADOPT{border-color:var(--good)}
.verdict.REJECT,.verdict.INVALID{border-color:var(--bad)}.verdict.MARGINAL{border-color:var(--warn)}
svg{width:100%;max-width:640px;height:auto;display:block}svg text{fill:var(--dim);font-size:11px}
.grid{stroke:var(--line)}.tie{stroke:var(--dim);stroke-dasharray:4 4}.mark{stroke:var(--bad)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--dim);font-size:14px}
.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:500}.scroll{overflow-x:auto}.scroll svg{min-width:300px}
.cell{display:inline-block;width:14px;height:14px;border-radius:3px;margin:1px;
background:var(--line)}
.cell.success{background:var(--good)}.cell.fail{background:var(--bad)}
.cell.serving{background:#aa3377}.cell.limit{background:var(--warn)}
details{border:1px solid var(--line);border-radius:8px;margin:6px 0;padding:6px 12px}
summary{cursor:pointer}.say{margin:6px 0;padding:6px 10px;border-radius:8px;background:var(--card);
white-space:pre-wrap;overflow-wrap:anywhere}.say span{color:var(--dim);font-size:13px}
.tool{font-family:ui-monospace,monospace;font-size:13px}.failed{color:var(--bad)}
code{background:var(--card);padding:2px 6px;border-radius:4px;overflow-wrap:anywhere}
@media(max-width:600px){body{padding:18px 14px}th,td{padding-right:6px;font-size:14px}}
@media print{body{max-width:none;padding:0}details{break-inside:avoid}h2{break-after:avoid}}
""".replace("\n", "")


@value_class(frozen=True, slots=True)
class Story:
    """One attempt with everything that happened in it."""

    arm: str
    task: str
    epoch: int
    measures: Measures
    events: Sequence[Mapping[str, Any]]


def page(facts: RunFacts, stories: Iterable[Story]) -> str:
    """HTML of `nemocli eval report --html`."""
    manifest, results, summaries = facts.manifest, facts.results, facts.summaries
    verdict, policy, command = facts.verdict, facts.policy, facts.command
    arms = list(summaries)
    title = f"{manifest.get('suite')}: {' against '.join(arms)}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<meta http-equiv=Content-Security-Policy"
        " content=\"default-src 'none';style-src 'unsafe-inline'\">",
        f"<title>{_html(title)}</title><style>{STYLE}</style>",
        f"<h1>{_html(title)}</h1>",
        _about(manifest, results),
        _verdict(verdict, arms, policy),
        "<h2>The guide's five questions</h2>",
        _table(["", *arms], questions(summaries)),
        *_comparison(verdict, summaries, policy),
        *_money(results, arms),
        "<h2>Coherence over the turns of a conversation</h2>",
        "<p>The share of attempts in which no fact was forgotten, no rule was broken and nothing"
        " else was changed, after each turn of the user.</p>",
        plots.survival({arm: survival(_scored(results[arm])) for arm in arms}),
        _table(["", *arms], coherence_rows(summaries)),
        "<h2>Retries</h2>",
        _retries(summaries, arms),
        "<h2>Task by task</h2>",
        "<p>One cell an attempt.</p>",
        _legend(),
        _tasks(results, arms),
        "<h2>What it does not show</h2>",
        "<ul>" + "".join(f"<li>{_html(line)}" for line in limits(manifest, verdict)) + "</ul>",
        "<h2>Is it valid?</h2>",
        _validity(manifest, verdict),
        "<h2>Attempts, turn by turn</h2>",
        *_stories(stories),
        f"<h2>Again</h2><p><code>{_html(command)}</code></p></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _about(manifest: Mapping[str, Any], results: Mapping[str, Results]) -> str:
    attempts = sum(len(ms) for tasks in results.values() for ms in tasks.values())
    said = [
        f"{len(manifest.get('tasks') or {})} tasks, {manifest.get('epochs')} epochs,"
        f" {attempts} attempts; begun {str(manifest.get('began_at'))[:16].replace('T', ' ')} UTC",
        *(
            f"{arm['name']}: {arm.get('model')} at {arm.get('provider')}"
            + (f", reasoning {arm['reasoning']}" if arm.get("reasoning") else "")
            for arm in manifest.get("arms") or ()
        ),
    ]
    return "".join(f"<p>{_html(line)}</p>" for line in said)


def _verdict(verdict: Verdict | None, arms: Sequence[str], policy: VerdictPolicy) -> str:
    lines = decision_lines(verdict, arms)
    if verdict is None:
        return f"<div class=verdict>{_html(lines[0])}</div>"
    items = "".join(f"<li>{_html(line.removeprefix('- '))}" for line in lines if line[:2] == "- ")
    meant = {
        "ADOPT": f"{arms[0]} is good enough and better on the primary metric ({policy.primary}).",
        "REJECT": f"{arms[0]} is shown to be worse.",
        "MARGINAL": "The evidence is not enough either way.",
        "INVALID": "The run cannot carry a verdict.",
    }[verdict.decision]
    return (
        f"<div class='verdict {verdict.decision}'><b>{verdict.decision}</b>{_html(meant)}"
        f"<ul>{items}</ul></div>"
    )


def _comparison(
    verdict: Verdict | None, summaries: Mapping[str, ArmSummary], policy: VerdictPolicy
) -> list[str]:
    parts = [
        "<h2>How sure</h2><h3>Completed tasks</h3>",
        plots.shares([(arm, summary.success) for arm, summary in summaries.items()]),
    ]
    if verdict is None:
        return parts
    lost = f"{policy.margin:.0%}"
    return [
        *parts,
        "<h3>Difference of success</h3><p>Right of the dashed line the candidate completes more;"
        f" the red line is the {lost} that the policy lets it lose.</p>",
        plots.differences([("candidate - baseline", verdict.difference)], policy.margin),
        "<h3>Cost and turns per completed task</h3><p>Left of 1x the candidate takes less.</p>",
        plots.ratios([("cost", verdict.cost_ratio), ("model turns", verdict.turns_ratio)]),
    ]


def _money(results: Mapping[str, Results], arms: Sequence[str]) -> list[str]:
    """Where the money went: attempts that succeeded, that failed, and that were lost."""
    groups = (
        ("success", {"success"}),
        ("failed by the model", {"fail.model", "fail.limit"}),
        ("failed in serving", {"fail.serving"}),
        ("lost (not scored)", LOST),
    )
    rows = []
    for label, classes in groups:
        sums = [
            sum(m.cost_pico or 0 for ms in results[arm].values() for m in ms if m.cls in classes)
            for arm in arms
        ]
        rows.append((label, [float(s) for s in sums]))
    if not any(value for _, values in rows for value in values):
        return ["<h2>Where the money went</h2><p>Nothing was charged, or nobody knows what.</p>"]
    return [
        "<h2>Where the money went</h2>",
        plots.bars(rows, arms, lambda pico: usd_short(round(pico))),
    ]


def _retries(summaries: Mapping[str, ArmSummary], arms: Sequence[str]) -> str:
    rows: list[tuple[str, list[float]]] = [
        (f"{code} {what}", [float(s.retries.get(code, 0)) for s in summaries.values()])
        for code, what in RETRIES.items()
    ]
    drawn = [(label, values) for label, values in rows if any(values)]
    plot = plots.bars(drawn, arms, lambda n: f"{n:.0f}") if drawn else "<p>None of any kind.</p>"
    return plot + _table(["kind", *arms], retry_rows(summaries))


def _legend() -> str:
    names = (
        ("success", "success"),
        ("fail", "failed by the model"),
        ("serving", "failed in serving"),
        ("limit", "a limit was hit"),
        ("", "lost, not scored"),
    )
    return "".join(f"<span class='cell {kind}'></span> {name} &nbsp; " for kind, name in names)


_CELLS = {
    "success": "success",
    "fail.model": "fail",
    "fail.serving": "serving",
    "fail.limit": "limit",
}


def _tasks(results: Mapping[str, Results], arms: Sequence[str]) -> str:
    names = sorted({task for arm in arms for task in results[arm]})
    rows = []
    for task in names:
        cells = [f"<td>{_html(task)}</td>"]
        for arm in arms:
            marks = "".join(
                f"<span class='cell {_CELLS.get(m.cls, '')}' title='{_html(m.cls)}:"
                f" {_html(m.why[:120])}'></span>"
                for m in results[arm].get(task, ())
            )
            cells.append(f"<td>{marks}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{_html(h)}</th>" for h in ("task", *arms))
    return f"<div class=scroll><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _validity(manifest: Mapping[str, Any], verdict: Verdict | None) -> str:
    rows = [
        ["suite", str(manifest.get("suite_digest"))],
        ["policy", str(manifest.get("policy_digest"))],
        ["program", f"nemocli {manifest.get('version')}"],
    ]
    if verdict is not None:
        rows += [[name.replace("_", " "), _said(value)] for name, value in verdict.validity.items()]
    return _table(["", ""], rows)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_said(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_said, value)) or "-"
    return str(value)


def _stories(stories: Iterable[Story]) -> list[str]:
    parts, size, left = [], 0, 0
    for story in stories:
        if size > MOST_BYTES:
            left += 1
            continue
        text = _story(story)
        size += len(text)
        parts.append(text)
    if left:
        parts.append(f"<p>{left} more are in the run's folder: <code>nemocli eval show</code>.</p>")
    return parts or ["<p>None is on record.</p>"]


def _story(story: Story) -> str:
    measures = story.measures
    why = f": {measures.why}" if measures.why else ""
    head = f"{story.arm} / {story.task} / {story.epoch}: {measures.cls}{why}"
    said = [said for event in story.events if (said := _event(event))]
    return f"<details><summary>{_html(head)}</summary>{''.join(said)}</details>"


def _event(event: Mapping[str, Any]) -> str:
    match event.get("type"):
        case "user":
            who = "user asks again" if event.get("nudge") else f"user, turn {event.get('turn')}"
            return _say(who, str(event.get("text") or ""))
        case "model":
            text = str(event.get("text") or "")
            calls = "".join(
                f"<div class=tool>{_html(_short(f'{c[1]}({c[2]})'))}</div>"
                for c in event.get("calls") or ()
            )
            fault = event.get("fault")
            failed = f"<div class=failed>{_html(str(fault.get('message')))}</div>" if fault else ""
            usage = event.get("usage") or {}
            who = f"model, {usage.get('output_tokens') or '?'} tokens out"
            return _say(who, text, calls + failed) if text or calls or failed else ""
        case "tool":
            kind = "tool failed" if event.get("failed") else "tool"
            return _say(f"{kind}: {event.get('name')}", str(event.get("result") or ""))
        case "limit":
            return _say("limit", str(event.get("name")))
        case _:
            return ""


def _say(who: str, text: str, more: str = "") -> str:
    return f"<div class=say><span>{_html(who)}</span><br>{_html(_short(text))}{more}</div>"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST} more)"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{_html(h)}</th>" for h in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<div class=scroll><table><tr>{titles}</tr>{lines}</table></div>"


def _scored(tasks: Results) -> list[Measures]:
    return scores_of(m for attempts in tasks.values() for m in attempts)


def _html(text: object) -> str:
    return escape(neutral(str(text)), quote=True)
