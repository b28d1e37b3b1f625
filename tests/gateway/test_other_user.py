"""A second process that was given one user's key tries every route there is on what is another's."""

import json
import subprocess
import sys
from typing import Any

from atles.gateway.api.app import ROUTES
from atles.store import Store
from tests.gateway.api_fixtures import BEN, Served, a_home_of_two  # noqa: F401  # a fixture
from tests.raw import execute

# Standard library only: what anybody has.
_INTRUDER = """
import json, sys, urllib.error, urllib.request
url, key = sys.argv[1:]
for method, path, body in json.load(sys.stdin):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json", "X-Atles-User": "ben"}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url + path, data, headers, method=method), timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    print(json.dumps([method, path, answer.status, answer.read().decode("utf-8", "replace")]))
"""


def names(store: Store) -> list[str]:
    """Every name by which something of Ben's could be asked for."""
    session = store.sessions.get(BEN["session_id"])
    user = store.sessions.user("ben")
    assert user is not None
    memories = [it.id for it in store.memories.of_user(user, ended=True)]
    return [BEN["session_id"], *(it.id for it in session.session.messages), *memories]


def attempts(store: Store) -> list[tuple[str, str, Any]]:
    """Every route with every name, in the path, the query and the body."""
    from urllib.parse import quote

    tried: list[tuple[str, str, Any]] = []
    for route in ROUTES:
        for name in names(store):
            path = route.path
            for part in ("{id}", "{name}", "{other}"):
                path = path.replace(part, quote(name, safe=""))
            asked = f"?user=ben&q=Where+do+I+live&session={quote(name)}" if route.method == "GET" else ""
            bodies: list[Any] = [None]
            if route.method in ("POST", "PATCH"):
                bodies = [
                    {"text": "I live in Rome."}, {"text": "I live in Rome.", "user": "ben"}, {"pinned": True},
                    {"sessions": [name]}, {"messages": [name]}, {"memories": [name]}, {"name": name},
                    {"id": name, "rating": "down"}, {"session": name, "position": 1, "rating": "down"},
                ]  # fmt: skip
            tried += [(route.method, path + asked, body) for body in bodies]
            tried += [(route.method, path, body) for body in bodies if asked]
    tried += [(method, path, None) for path in ("/metrics", "/v1/models", "/healthz") for method in ("GET",)]
    asking = {"model": "m", "user": "ben", "messages": [{"role": "user", "content": "Where do I live?"}]}
    return [*tried, ("POST", "/v1/chat/completions", asking)]


def bens(store: Store) -> list[str]:
    """Every row of what is Ben's."""
    user = store.sessions.user("ben")
    number = store.sessions.number(BEN["session_id"])
    quoted = BEN["session_id"].replace("'", "''")
    queries = (
        f"select * from messages where session = {number} order by position",
        f"select * from sessions where number = {number}",
        f'select * from memories where "user" = {user} order by number',
        f'select * from topics where "user" = {user} order by number',
        f"select * from examples where session_id = '{quoted}' order by id",
        f"select * from session_memories where session_id = '{quoted}'",
        f"select * from feedback where session_id = '{quoted}'",
    )
    return [str(tuple(row)) for query in queries for row in execute(store, query)]


def test_another_users_key_reads_nothing_and_changes_nothing(served: Served) -> None:
    client, before, waiting = served.keyed("ann"), bens(served.store), len(served.pipeline.queue.open())
    tried = attempts(served.store)
    done = subprocess.run(
        [sys.executable, "-c", _INTRUDER, served.gateway.url, client.key],
        input=json.dumps(tried), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(tried) > 100
    for method, path, status, body in answers:
        assert "York" not in body and "tuba" not in body.lower(), (method, path, status, body)
    assert any(status == 200 for _, _, status, _ in answers), "its own things it may see"
    assert bens(served.store) == before
    assert len(served.pipeline.queue.open()) == waiting, "nothing was asked for in his name"
