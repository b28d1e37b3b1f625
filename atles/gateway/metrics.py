"""What the gateway counts, for Prometheus: text format 0.0.4 at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """One registry for each gateway, so that two in a process (tests, hosts) do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "atles_requests", "Requests below /v1 that were answered.", ["api", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "atles_request_seconds", "From the request to the end of its answer.", buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._by_adapter = Counter(
            "atles_answers", "Answers of ATLES's own models.", ["adapter"], registry=self._registry
        )
        self._recorded = Counter("atles_recorded", "Exchanges written to a journal.", registry=self._registry)
        self._failures = Counter("atles_failures", "Requests that failed.", ["code"], registry=self._registry)
        self._at_once = Gauge("atles_requests_at_once", "Requests in progress.", registry=self._registry)
        self._children: dict[tuple[str, str], Counter] = {}

    def answered(self, path: str, status: int, seconds: float, adapter: str | None) -> None:
        """`path` is made a name of a few; what clients send is no label."""
        key = (_API.get(path, "other"), str(status))
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(*key)
        child.inc()
        self._seconds.observe(seconds)
        if adapter is not None:
            self._by_adapter.labels(adapter or "base").inc()

    def failed(self, code: str) -> None:
        self._failures.labels(code).inc()

    def recorded(self) -> None:
        self._recorded.inc()

    def at_once(self, change: int) -> None:
        self._at_once.inc(change)

    def text(self) -> bytes:
        return generate_latest(self._registry)


_API = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1/models": "models",
}
