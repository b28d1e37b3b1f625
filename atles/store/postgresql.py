"""A PostgreSQL server: the store of several machines. Its tables lie in a schema of their own."""

import logging
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.metadata import version as installed
from importlib.resources import files
from typing import Any, cast

from atles.errors import Duplicate, StoreError, Unusable
from atles.settings import SERVER_FORM, is_server
from atles.store.database import SCHEMA_VERSION, Database, named_queries, newer, text_of

try:
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.string import StrDumper
except ImportError as missing:
    raise StoreError(
        f"store.url names a PostgreSQL server, and {missing.name} is not installed: run `pip install 'atles[cluster]'`"
    ) from missing

log = logging.getLogger("atles.store")

_CONNECT_SECONDS = 10
_WORD = re.compile(r"[^\W_]+")
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
_ONE_OF = re.compile(r"\bin \(select value from json_each\((:\w+)\)\)")
_LEADER = "atles leader"
_AT_WORK = (
    b"select w.name from workers w join procrastinate_workers p using (id) "
    b"where p.last_heartbeat > now() - interval '1 minute' order by w.started_at"
)


class Row(tuple[Any, ...]):
    """A row as `sqlite3.Row` has it: by name or number."""

    names: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        return list(self.names)


class PostgreSQL(Database):
    """A schema of a PostgreSQL database (14 or newer), made if it is not there.

    A connection that is lost is opened anew at the next call. Raises StoreError where the address is malformed, the
    server cannot be reached or a newer version wrote the tables.
    """

    def __init__(self, url: str, schema: str = "atles") -> None:
        self.url, self.schema = url, schema
        self.name = without_password(url)
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Row]] = []
        self._lock = threading.Lock()
        self._queries = {name: _translated(query) for name, query in named_queries("postgresql").items()}
        with self.explained():
            self._migrate()

    # --- connections ---

    def connect(self) -> "psycopg.Connection[Row]":
        """A connection of its own, for who listens or holds a lock for long. The caller closes it."""
        connection = psycopg.connect(
            self.url,
            autocommit=True,
            row_factory=_rows,  # pyright: ignore[reportArgumentType]  # a factory of tuples with names
            application_name="atles",
            connect_timeout=_CONNECT_SECONDS,
            keepalives_idle=30,
        )
        connection.adapters.register_dumper(str, _Text)
        connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(self.schema)))
        return cast("psycopg.Connection[Row]", connection)

    @property
    def connection(self) -> "psycopg.Connection[Row]":
        """This thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = self._local.connection = self.connect()
            with self._lock:
                self._connections = [it for it in self._connections if not it.closed] + [connection]
        return connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.IntegrityError as error:
            raise Duplicate(f"the database refuses it: {error}") from error
        except psycopg.Error as error:
            raise StoreError(f"the database {self.name} cannot be used: {_first_line(error)}") from error

    # --- queries ---

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if getattr(self._local, "inside", False):
            yield
            return
        with self.explained(), ExitStack() as stack:
            connection = self.connection
            try:
                stack.enter_context(connection.transaction())
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
                # The server was restarted since this thread last spoke to it; nothing has happened yet.
                stack.enter_context(self.connection.transaction())
            self._local.inside = True
            try:
                yield
            finally:
                self._local.inside = False

    def lock(self, what: str) -> None:
        with self.explained():
            self.connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{self.schema} {what}"])

    def rows(self, query: str, /, **values: Any) -> list[Row]:
        with self.explained():
            return self.connection.execute(self._queries[query], values).fetchall()

    def run(self, query: str, /, **values: Any) -> int:
        with self.explained():
            return self.connection.execute(self._queries[query], values).rowcount

    def run_many(self, query: str, values: Sequence[Mapping[str, Any]]) -> int:
        if not values:
            return 0
        with self.explained(), self.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(self._queries[query], values)
            return cursor.rowcount

    # --- words ---

    def any_of(self, words: Iterable[str], beginnings: Iterable[str] = ()) -> str:
        asked = [(word, "") for word in words] + [(word, ":*") for word in beginnings]
        return " | ".join(f"'{found}'{end}" for word, end in asked if (found := self.searchable(word)))

    def searchable(self, text: str) -> str:
        """Words without their accents, as FTS5 compares them, and nothing that PostgreSQL's parser would read as a URL,
        a path or a tag."""
        plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
        return " ".join(_WORD.findall(plain))

    # --- the cluster ---

    def leads(self) -> bool:
        """Who got the lock first has it as long as its connection lives."""
        with self.explained():
            return self.connection.execute(
                "select pg_try_advisory_lock(hashtextextended(%s, 0))", [f"{self.schema} {_LEADER}"]
            ).fetchall()[0][0]

    def settle(self) -> None:
        """PostgreSQL cleans up by itself (autovacuum)."""

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()

    # --- the tables ---

    def _migrate(self) -> None:
        connection = self.connection
        with self.transaction():
            self.lock("tables")  # of two that start at once, one makes them
            found = connection.execute(
                "select to_regclass(quote_ident(%s) || '.store_version') is not null", [self.schema]
            ).fetchall()[0][0]
            if not found:
                connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(self.schema)))
                _run_script(connection, files("procrastinate.sql").joinpath("schema.sql").read_text("utf-8"))
                _run_script(connection, text_of("postgresql/schema.sql"))
                connection.execute(
                    "insert into store_version (version, procrastinate) values (%s, %s)",
                    [SCHEMA_VERSION, installed("procrastinate")],
                )
                return
            version, queue_version = connection.execute("select * from store_version").fetchall()[0][:2]
            if version > SCHEMA_VERSION:
                raise newer(self.name, version)
            if version < SCHEMA_VERSION and (at_work := connection.execute(_AT_WORK).fetchall()):
                names = ", ".join(row[0] for row in at_work)
                raise Unusable(
                    f"at work for {self.name} with an older ATLES (schema {version}): {names}",
                    "end that first; one that was killed is forgotten after a minute",
                )
            for number in range(version, SCHEMA_VERSION):
                _run_script(connection, text_of(f"postgresql/migrate_{number}.sql"))
            if version < SCHEMA_VERSION:
                connection.execute("update store_version set version = %s", [SCHEMA_VERSION])
            if _parts(queue_version) < _parts(installed("procrastinate")):
                for script in _queue_migrations(queue_version):
                    _run_script(connection, script)
                connection.execute("update store_version set procrastinate = %s", [installed("procrastinate")])
            elif _parts(queue_version) > _parts(installed("procrastinate")):
                log.warning(
                    "the queue's tables are of Procrastinate %s, this machine has %s; update it to the same",
                    queue_version, installed("procrastinate"),
                )  # fmt: skip


def without_password(url: str) -> str:
    """An address as it may be shown. Raises StoreError, which shows nothing of it, where it is malformed: libpq would
    take a part of a password for the host, and say so."""
    parts = parts_of(url)
    host, port = parts.get("host") or "localhost", parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname') or ''}"


def parts_of(url: str) -> dict[str, Any]:
    """What an address says, by the names that libpq has for it. Raises StoreError where it is malformed."""
    if is_server(url):
        with suppress(psycopg.Error):
            return dict(conninfo_to_dict(url))
    raise Unusable("the address of the PostgreSQL server cannot be read", f"store.url {SERVER_FORM}")


def _rows(cursor: Any) -> Any:
    """Rows of a query that know its columns."""
    if cursor.description is None:
        return Row
    return _row_of(tuple(column.name for column in cursor.description))


@cache
def _row_of(columns: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"names": {name: at for at, name in enumerate(columns)}})


class _Text(StrDumper):
    """PostgreSQL's texts hold no NUL."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def _translated(query: str) -> bytes:
    """A named query in PostgreSQL's words."""
    # As an array: of a set that a function makes it expects so many rows that it reads whole tables, not an index.
    query = _ONE_OF.sub(r"= any(array(select rowids(\1)))", query.replace("%", "%%"))
    return _PARAMETER.sub(r"%(\1)s", query).encode()


def _run_script(connection: "psycopg.Connection[Row]", script: str) -> None:
    connection.execute(script.encode())  # without parameters: several statements, and no % to escape


def _queue_migrations(since: str) -> Iterator[str]:
    """What Procrastinate has changed in its tables since a version of it."""
    for file in sorted(files("procrastinate.sql").joinpath("migrations").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql") and _parts(file.name.split("_")[0]) > _parts(since):
            yield file.read_text("utf-8")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
