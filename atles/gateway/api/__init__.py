"""The API of ATLES, below /api: what the commands do, as JSON.

    app.py         from a request to a handler and back: who may, what was asked, how it ends
    route.py       what a route declares
    schema.py      how requests are read and documents described
    finding.py     things by their ids, for those who may see them
    sessions.py memories.py adapters.py learning.py forgetting.py feedback.py   the routes and their handlers

`gateway/openapi.py` describes the same routes.
"""

from collections.abc import Sequence

from atles.gateway.api import adapters, feedback, forgetting, learning, memories, sessions
from atles.gateway.api.route import Route

ROUTES: Sequence[Route] = (
    *learning.ROUTES, *sessions.ROUTES, *feedback.ROUTES, *memories.ROUTES, *forgetting.ROUTES, *adapters.ROUTES,
)  # fmt: skip
