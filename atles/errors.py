"""What can go wrong, as one tree. `retryable` tells the queue whether trying again can help.

    AtlesError
    ├── ConfigError          a setting is unknown or ill-typed
    ├── HomeLocked           another daemon owns this home
    ├── StoreError           the database cannot be used
    │   ├── Duplicate        a row with this key is there already
    │   ├── Unusable         it was moved, or is of a newer version: not to be used as things are
    │   ├── Damaged          its file is not what was written
    │   └── Different        a copy is not what it was copied from
    ├── InvalidSession       a session file that cannot be read as a session
    ├── SessionConflict      a known session id with another history
    ├── UnknownAdapter       no adapter of that name
    ├── PointerMoved         the active adapter changed meanwhile
    ├── LeaseLost            the job now belongs to another worker
    ├── ProgramFailed        a machine-learning program ended without a result
    ├── ArtifactError        what machines share cannot be stored or read
    └── EndpointError        a model server gave no answer that can be used

Every message says what happened and, where there is one, the way out.
"""


class AtlesError(Exception):
    """Something that ATLES can explain."""

    retryable = False


class ConfigError(AtlesError):
    """A setting is unknown or has the wrong type."""


class HomeLocked(AtlesError):
    """Another daemon works on this home."""


class StoreError(AtlesError):
    """The database cannot be opened or used, or was written by a newer ATLES. A full disk or a lost server may pass."""

    retryable = True


class Duplicate(StoreError):
    """A row with this key is there already, or refers to none."""

    retryable = False


class Unusable(StoreError):
    """Nothing is wrong with the database, and it is not to be used as things are: `what` says why, `way_out` what to
    do. The message says both."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out


class Damaged(StoreError):
    """The file of the database is not what was written there: nothing goes on with it before people have mended it. The
    message says `what` it is and, where it is known, the `way_out`."""

    def __init__(self, what: str, way_out: str = "") -> None:
        super().__init__(f"{what}; {way_out}" if way_out else what)
        self.what, self.way_out = what, way_out


class Different(StoreError):
    """A copy is not what it was copied from."""

    retryable = False


class InvalidSession(AtlesError):
    """The file is not a session. The message names the place and what was expected there."""


class SessionConflict(AtlesError):
    """A session with this id is stored, and its messages differ from these."""


class UnknownAdapter(AtlesError):
    """No adapter has that name."""


class PointerMoved(AtlesError):
    """The active adapter is no longer the one that was compared with; comparing again can help."""

    retryable = True


class LeaseLost(AtlesError):
    """The job's lease ran out and another worker has it; this worker's result is dropped."""


class ProgramFailed(AtlesError):
    """A machine-learning program failed.

    `kind` is one of missing_base, missing_packages, bad_data, nan_loss, out_of_memory, killed, stopped, crash.
    """

    # What the outside world causes may pass; what the input causes will not.
    _MAY_PASS = frozenset({"killed", "stopped", "out_of_memory", "crash"})

    def __init__(self, program: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.program = program
        self.kind = kind

    @property
    def retryable(self) -> bool:  # type: ignore[override]  # depends on the kind, not on the class
        return self.kind in self._MAY_PASS


class ArtifactError(AtlesError):
    """What machines share (`store.artifacts`) cannot be stored or read.

    `kind` is one of unreachable, full, missing, damaged, refused, conflict, missing_packages.
    """

    # What others and the network cause may pass; what was set or published wrongly will not.
    _MAY_PASS = frozenset({"unreachable", "full", "missing", "damaged"})
    patience = 30.0  # seconds before the second try

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def retryable(self) -> bool:  # type: ignore[override]  # depends on the kind, not on the class
        return self.kind in self._MAY_PASS


class EndpointError(AtlesError):
    """A model server gave no answer that can be used.

    `kind` is one of unreachable, timeout, server_error, rate_limited, unauthorized, bad_request, no_model, bad_output,
    budget, stopped. `retry_after` says in how many seconds trying again can help, where that is known. `tokens` is what
    the failed call has cost all the same.
    """

    # What the server's state causes may pass; what the settings, the model or the input cause will not.
    _MAY_PASS = frozenset({"unreachable", "timeout", "server_error", "rate_limited", "stopped"})
    patience = 60.0  # seconds before the second try: servers are restarted, models are loaded

    def __init__(self, kind: str, message: str, *, retry_after: float | None = None, tokens: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.tokens = tokens

    @property
    def retryable(self) -> bool:  # type: ignore[override]  # depends on the kind, not on the class
        return self.kind in self._MAY_PASS or self.retry_after is not None
