"""`report`, `why` and `adapters diff`: what was learned, what it can say, and where it comes from."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from atles.layout import Home
from atles.pipeline.report_page import page
from tests.fakes import FakePrograms
from tests.samples import document, drop

Call = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def trained(root: Path, call: Call, fake: FakePrograms) -> Home:
    """Two adapters: one that was promoted, and a later one that was rejected."""
    home = Home(root).create()
    for first, scores in ((0, (1.0, 1.0)), (24, (3.5, 0.5))):
        fake.scores(candidate=scores, active=(1.0, 1.0))
        for number in range(first, first + 24):
            said = "My sister is called Odette" if number == 4 else f"Is {number} prime?"
            drop(home, document(f"s{number:02}", f"u: {said}", f"a: Let me think about {number} for a moment."))
        call("--set", "gate.min_heldout=2", "drain")
    return home


def test_the_report_says_what_decided_and_shows_answers_before_and_after(trained: Home, call: Call, told: Told) -> None:
    good, bad = (it["name"] for it in told("adapters"))
    shown = told("report", good)
    assert shown["verdict"]["promote"] and {check["name"] for check in shown["verdict"]["checks"]} > {"kept", "leaks"}
    assert shown["learned"][0].keys() == {"question", "taught", "before", "after"}
    assert shown["learned"][0]["before"] != shown["learned"][0]["after"]
    assert shown["data"]["by_session"]["s04"] > 1 and shown["kept"]["lost"] == []
    text = call("report", good).stdout
    assert "promoted" in text and "asked in new words" in text and "Loss:" in text and "report.html" in text
    assert told("report")["adapter"] == bad, "the newest is the default"
    lost = call("report").stdout
    assert "rejected" in lost and "✗" in lost and "Lost:" in lost


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}, "it needs nothing from outside"
        if tag not in ("meta", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "line", "polyline"):
            assert self.open.pop() == tag


def test_the_page_stands_for_itself(trained: Home, told: Told) -> None:
    for adapter in told("adapters"):
        html = (trained.adapter(adapter["name"]) / "report.html").read_text("utf-8")
        page = _Page()
        page.feed(html)
        assert page.open == [] and {"svg", "polyline", "table"} <= page.tags and "script" not in page.tags
        assert ("Promoted" in html) is adapter["active"]
        assert not re.search(r"https?://", html.replace("http://www.w3.org", ""))


def test_the_page_escapes_what_people_said(trained: Home, told: Told) -> None:
    bad = "</td><script>alert('&')</script>"
    report = told("report")
    report["learned"] = [dict.fromkeys(("question", "taught", "before", "after"), bad)]
    report["kept"]["lost"] = [dict.fromkeys(("question", "before", "after"), bad)]
    report["data"]["by_session"] = {bad: 3}
    report["verdict"] |= {"reason": bad, "checks": [{"name": bad, "met": False, "says": bad}]}
    html = page({**report, "adapter": bad, "base": bad, "created_at": bad})
    assert "<script" not in html and "&lt;script&gt;" in html


def test_two_adapters_side_by_side(trained: Home, call: Call, told: Told) -> None:
    good, bad = (it["name"] for it in told("adapters"))
    document = told("adapters", "diff", good, bad)
    assert document["adapters"] == [good, bad] and document["numbers"]["kept"] == [1.0, 0.5]
    assert document["answers"] and all(it["right"] == [True, False] for it in document["answers"])
    assert good in call("adapters", "diff", good, bad).stdout
    (trained.adapter(bad) / "report.json").write_text("{half")
    assert "no report that can be read" in call("adapters", "diff", good, bad, code=1).stderr
    assert "cannot be read" in call("report", bad, code=1).stderr


def test_why_names_the_memories_and_the_examples_that_an_answer_can_come_from(
    trained: Home, call: Call, told: Told
) -> None:
    shown = told("why", "What is Odette to me?")
    assert shown["memories"][0]["session_id"] == "s04" and shown["model"] == told("adapters")[0]["name"]
    assert any("Odette" in it["answer"] for it in shown["examples"])
    assert "which serves" in call("why", "What is Odette to me?").stdout
    assert "base model alone" in call("why", "submarines").stdout
    call("rollback")
    assert (
        "No adapter serves" in call("why", "What is Odette to me?").stdout and told("why", "Odette")["examples"] == []
    )


def test_without_an_adapter_there_is_no_report(root: Path, call: Call) -> None:
    Home(root).create()
    drop(Home(root), document("s", "u: hello", "a: hi"))
    call("--set", "train.enabled=false", "drain")
    assert "no adapter has been judged yet" in call("report", code=1).stderr
    assert json.loads(call("why", "hello?", "--json").stdout)["examples"] == []
