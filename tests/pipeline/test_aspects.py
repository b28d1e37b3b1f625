"""Which sides of a life a statement is about, and with what value."""

import pytest

from atles.pipeline.aspects import aspects


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("its just me n the cat in footscray now", "home", "footscray"),
        ("My new address is 14 Tanner Street", "home", "14 tanner street"),
        ("We've been in Skipton since Friday", "home", "skipton"),
        ("the post finds us at Harbour Row", "home", "harbour row"),
        ("im with Brightline now", "employer", "brightline"),
        ("Day three at the bookshop", "employer", "bookshop"),
        ("im at the cinema in town from monday", "employer", "cinema"),
        ("i quit Lumen last week", "employer", "lumen"),
        ("theo (my bf)", "partner", "theo"),
        ("been dating Marcus since May", "partner", "marcus"),
        ("the oil tank is full", "heating", "oil"),
        ("I take simvastatin", "medicine: statin", "simvastatin"),
        ("switched to vs code", "editor", "vs_code"),
        ("my brother sold me his Skoda", "vehicle", "skoda"),
    ],
)
def test_a_statement_is_about_a_side(text: str, kind: str, value: str) -> None:
    assert value in aspects(text)[kind]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("choir has moved to Thursday", "home"), ("I have never bought a ticket in my life", "home"),
        ("I still quit by accident", "employer"), ("I quit in January", "employer"), ("I quit smoking", "employer"),
        ("it wheezes like a trumpet", "instrument"), ("we went in his van", "vehicle"),
        ("seeing is believing", "partner"),
    ],
)  # fmt: skip
def test_a_word_alone_is_no_side(text: str, kind: str) -> None:
    assert kind not in aspects(text)
