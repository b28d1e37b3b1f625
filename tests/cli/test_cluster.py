"""`cluster status`: what people are told."""

from click.testing import CliRunner

from atles.cli import cluster
from atles.cli.command import Scope
from atles.cli.show import answer

SEEN = {
    "store": "postgresql://db/atles",
    "workers": [
        {"name": "box:1", "steps": ["memory", "log"], "labels": [], "doing": "", "silent": 1.0, "lost": False},
    ],
    "queues": [{"queue": "gate@gpu", "waiting": 1, "running": 0, "dead": 0}],
    "nobody_does": ["gate@gpu"],
}  # fmt: skip


def test_headings_are_as_everywhere_and_the_way_out_is_a_command_that_there_is() -> None:
    with CliRunner().isolation() as (out, *_):
        answer(Scope(), SEEN, cluster._view)
        shown = out.getvalue().decode()
    assert shown.splitlines()[1].split() == "worker does labels at work on heard from".split()
    assert "box:1" in shown and "memory, log" in shown
    assert "`atles worker --steps train --label gpu`" in shown, "gate is no step that --steps knows"
