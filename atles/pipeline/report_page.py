"""A report as one HTML page that needs nothing else: no script, no font, no network. Knows the report's fields only.

Written for somebody who has never trained a model: every section says in a sentence what it shows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { --ink: #1c2330; --soft: #5b6575; --line: #e3e7ee; --card: #fff; --page: #f5f7fa; --good: #11734b; --bad:
  #b3261e;
  --good-soft: #e5f4ec; --bad-soft: #fbeae9; --own: #2457c5; --base: #c77700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --soft: #9aa5b8; --line: #2c3546; --card: #182030;
  --page: #101622; --good: #5fd39b; --bad: #ff8a80; --good-soft: #14301f; --bad-soft: #3a1917; --own: #7aa2ff;
  --base: #ffb74d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
code { background: var(--page); border-radius: 4px; padding: .05rem .3rem; font-size: .9em; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 0 0 .35rem; }
p { margin: .2rem 0 .8rem; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.3rem;
  margin: 1rem 0; }
.verdict { border-left: 6px solid; } .good { border-left-color: var(--good); } .bad { border-left-color:
  var(--bad); }
.verdict b { font-size: 1.25rem; } .good b { color: var(--good); } .bad b { color: var(--bad); }
ul.checks { list-style: none; padding: 0; margin: 0; } ul.checks li { padding: .35rem 0 .35rem 2rem; position:
  relative; }
ul.checks li + li { border-top: 1px solid var(--line); }
ul.checks li::before { position: absolute; left: .2rem; font-weight: 700; content: "✓"; color: var(--good); }
ul.checks li.no::before { content: "✗"; color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th { text-align: left; color: var(--soft); font-weight: 600; } th, td { padding: .5rem .6rem .5rem 0;
  vertical-align: top; }
tbody tr { border-top: 1px solid var(--line); } td.number { text-align: right; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .9rem; margin: 0; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric:
  tabular-nums; }
figure { margin: 0; } svg { width: 100%; height: auto; } .own { color: var(--own); } .base { color: var(--base); }
"""
_WIDTH, _HEIGHT, _EDGE = 720, 220, 36
_MOST_ROWS = 40


def page(report: Mapping[str, Any]) -> str:
    """The whole page. Every text in it is escaped."""
    verdict = report["verdict"]
    good = verdict["promote"]
    parts = [
        f"<header><h1>Adapter {escape(report['adapter'])}</h1>"
        f"<p class='soft'>trained {_when(report['created_at'])} on {escape(report['base'])}</p>"
        "</header>",
        f"<section class='verdict {'good' if good else 'bad'}'><b>{'Promoted' if good else 'Rejected'}</b>"
        f"<p>{escape(verdict['reason'])}</p><p class='soft'>{_said(_meaning(good))}</p></section>",
        _section("What decided it", "Every check must pass before a model may answer you.", _checks(verdict["checks"])),
    ]
    if report["learned"]:
        rows = [(it["question"], it["before"], it["after"], it["taught"]) for it in report["learned"]]
        parts.append(
            _section(
                "What it learned",
                "Questions about what you told it, in words that it was not trained on. No memory was put before them.",
                _table(("question", "before", "after", "what it was taught"), rows),
            )
        )
    parts += [_kept(report["kept"]), _curve(report["train"]["losses"]), _data(report), _cost(report)]
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>ATLES: adapter {escape(report['adapter'])}</title><style>{_STYLE}</style></head>"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _meaning(good: bool) -> str:
    if good:
        return "This adapter is a small addition to the model. It passed the gate; `atles rollback` takes it back."
    return "Nothing changed for you: what answered before still does. A rejection is the gate at work, not an error."


def _section(title: str, says: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p class='soft'>{_said(says)}</p>{body}</section>"


def _said(text: str) -> str:
    """Text as HTML, what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _checks(checks: Iterable[Mapping[str, Any]]) -> str:
    items = (f"<li{'' if it['met'] else ' class=no'}>{escape(it['says'])}</li>" for it in checks)
    return f"<ul class='checks'>{''.join(items)}</ul>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(it)}</th>" for it in heads)
    body = "".join("<tr>" + "".join(_cell(it) for it in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(value: Any) -> str:
    return f"<td class='number'>{value:,}</td>" if isinstance(value, int) else f"<td>{escape(str(value))}</td>"


def _kept(kept: Mapping[str, Any]) -> str:
    says = f"Of {kept['of']} general questions that the model answered right before, {kept['kept']} are still right."
    if kept.get("gained"):
        says += (
            f" {kept['gained']} others are right now that were not: a small model has many answers right by a hair, "
            "and whatever it learns turns some of them, either way."
        )
    if not kept["lost"]:
        return _section("What it kept", says, "<p>Nothing was lost.</p>")
    rows = [(it["question"], it["before"], it["after"]) for it in kept["lost"][:_MOST_ROWS]]
    return _section("What it kept", f"{says} These were lost:", _table(("question", "before", "after"), rows))


def _curve(losses: Sequence[Mapping[str, float]]) -> str:
    says = (
        "Loss says how surprised the model is, in nats a word piece; lower is better. Blue is what you told it; orange "
        "is how far its other answers moved, which should stay near zero."
    )
    if len(losses) < 2:
        return _section("How the training went", says, "<p>There were too few steps to draw.</p>")
    top = max(max(it["own"], it.get("anchor", 0.0)) for it in losses) or 1.0
    lines = "".join(
        f"<polyline class='{name}' fill='none' stroke='currentColor' stroke-width='2' points='{_points(values, top)}'/>"
        for name, values in (
            ("own", _smooth([it["own"] for it in losses])),
            ("base", _smooth([it.get("anchor", 0.0) for it in losses])),
        )
    )
    grid = "".join(
        f"<line x1='{_EDGE}' x2='{_WIDTH}' y1='{y:.0f}' y2='{y:.0f}' stroke='currentColor' opacity='.15'/>"
        f"<text x='0' y='{y + 4:.0f}' font-size='12' fill='currentColor' opacity='.65'>{top * share:.1f}</text>"
        for share, y in ((share, _y(top * share, top)) for share in (0, 0.5, 1))
    )
    steps = (
        f"<text x='{_WIDTH}' y='{_HEIGHT - 4}' text-anchor='end' font-size='12' fill='currentColor' opacity='.65'>"
        f"step {losses[-1]['step']:.0f}</text>"
    )
    svg = f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='loss by step'>{grid}{lines}{steps}</svg>"
    return _section("How the training went", says, f"<figure>{svg}</figure>")


def _smooth(values: Sequence[float], window: int = 5) -> list[float]:
    """Means over some steps around each: one step's loss says more of its examples than of the model."""
    half = window // 2
    parts = (values[max(0, at - half) : at + half + 1] for at in range(len(values)))
    return [sum(part) / len(part) for part in parts]


def _points(values: Sequence[float], top: float) -> str:
    width = (_WIDTH - _EDGE) / (len(values) - 1)
    return " ".join(f"{_EDGE + at * width:.1f},{_y(value, top):.1f}" for at, value in enumerate(values))


def _y(value: float, top: float) -> float:
    return 10 + (_HEIGHT - 40) * (1 - value / top)


def _data(report: Mapping[str, Any]) -> str:
    data = report["data"]
    says = (
        f"{data['train_examples']} examples from {len(data['by_session'])} of your sessions. To judge by, "
        f"{data['heldout_examples']} others, from {len(data['heldout_sessions'])} more, were kept back. `lineage.json` "
        "names every message."
    )
    rows = sorted(data["by_session"].items(), key=lambda pair: -pair[1])
    more = f"<p class='soft'>and {len(rows) - _MOST_ROWS} more</p>" * (len(rows) > _MOST_ROWS)
    return _section("What it was trained on", says, _table(("session", "examples"), rows[:_MOST_ROWS]) + more)


def _cost(report: Mapping[str, Any]) -> str:
    train = report["train"]
    facts = (
        ("training", _time(train["time_taken"])),
        ("judging", _time(report["evaluation"]["seconds"])),
        ("tokens", f"{train['tokens']:,}"),
        ("speed", f"{train['tokens_per_second']:.0f} tokens/s"),
        ("memory", f"{train['peak_memory_mb'] / 1000:.1f} GB"),
        ("steps", f"{train['steps']}"),
    )
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return _section("What it cost", "On this machine, beside everything else that ran on it.", f"<dl>{items}</dl>")


def _when(stamp: str) -> str:
    return f"{escape(stamp[:16].replace('T', ' '))} UTC"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
