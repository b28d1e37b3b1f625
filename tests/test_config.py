"""Settings: who wins, and what is said to somebody who mistyped."""

from pathlib import Path

import pytest

from atles.config import load_settings, masked
from atles.errors import ConfigError
from atles.layout import Home
from atles.pipeline import lanes
from atles.settings import STEPS, Settings, help_texts, keys


def load(
    tmp_path: Path, toml: str | bytes | None = None, environment: dict[str, str] | None = None, *overrides: str
) -> Settings:
    home = Home(tmp_path)
    if toml is not None:
        home.config.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return load_settings(home, environment=environment or {}, overrides=overrides)


def error(*args: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*args)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_steps_that_can_be_named_are_those_that_there_are() -> None:
    assert tuple(lanes.STEPS) == STEPS


def test_defaults_need_no_file_and_create_nothing(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()
    assert list(tmp_path.iterdir()) == []


def test_command_line_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    toml = "[train]\nepochs = 2\nseed = 2\nlora_rank = 2\n"
    environment = {"ATLES_TRAIN_EPOCHS": "3", "ATLES_TRAIN_SEED": "3", "ATLES_HOME": "/anywhere", "PATH": "x"}
    train = load(tmp_path, toml, environment, "train.epochs=4").train
    assert (train.epochs, train.seed, train.lora_rank, train.lora_alpha) == (4, 3, 2, 32)


def test_values_are_read_by_the_type_of_the_default(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "[daemon]\npoll_seconds = 2\n", {"ATLES_TRAIN_ENABLED": "no", "ATLES_MODEL_BASE": "hf:a/b"},
        "gate.keep_margin = 0.2", "model.folder=/x=y",
    )  # fmt: skip
    assert settings.daemon.poll_seconds == 2.0 and type(settings.daemon.poll_seconds) is float
    assert settings.train.enabled is False
    assert (settings.model.base, settings.model.folder) == ("hf:a/b", "/x=y")
    assert settings.gate.keep_margin == 0.2


@pytest.mark.parametrize(
    ("toml", "environment", "overrides", "words"),
    [
        ("[trian]\nepochs = 1", {}, (), ["[trian]", "atles.toml", "did you mean train?"]),
        ("[train]\nepoch = 1", {}, (), ["'train.epoch'", "atles.toml", "did you mean train.epochs?"]),
        ("train = 1", {}, (), ["train in", "write [train]"]),
        ("[zzzzzzzz]\n", {}, (), ["[zzzzzzzz]", "`atles config` lists"]),
        ("", {"ATLES_TRAIN_EPOCH": "1"}, (), ["ATLES_TRAIN_EPOCH", "did you mean ATLES_TRAIN_EPOCHS?"]),
        ("", {}, ("gate.margin=1",), ["'gate.margin'", "on the command line", "did you mean gate.keep_margin?"]),
        ("", {}, ("gate.keep_margin",), ["--set 'gate.keep_margin'", "section.key=value"]),
    ],
)
def test_what_is_unknown_is_named_with_the_nearest_known(
    tmp_path: Path, toml: str, environment: dict[str, str], overrides: tuple[str, ...], words: list[str]
) -> None:
    message = error(tmp_path, toml, environment, *overrides)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("toml", "environment", "overrides", "words"),
    [
        ('[train]\nepochs = "many"', {}, (), ["train.epochs", "atles.toml", "a whole number", "'many'"]),
        ("[train]\nepochs = 1.5", {}, (), ["train.epochs", "a whole number", "1.5"]),
        ("[train]\nepochs = true", {}, (), ["train.epochs", "a whole number", "True"]),
        ("[train]\nenabled = 1", {}, (), ["train.enabled", "true or false"]),
        ("[model]\nbase = 7", {}, (), ["model.base", "a text"]),
        ("", {"ATLES_TRAIN_EPOCHS": "1.5"}, (), ["train.epochs", "ATLES_TRAIN_EPOCHS", "a whole number", "'1.5'"]),
        ("", {}, ("train.enabled=maybe",), ["train.enabled", "true or false", "'maybe'"]),
        ("", {}, ("train.epochs=",), ["train.epochs", "a whole number", "''"]),
    ],
)
def test_what_is_ill_typed_is_named_with_what_is_expected(
    tmp_path: Path, toml: str, environment: dict[str, str], overrides: tuple[str, ...], words: list[str]
) -> None:
    message = error(tmp_path, toml, environment, *overrides)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("daemon.poll_seconds=0", "above 0"),
        ("daemon.poll_seconds=inf", "finite"),
        ("gate.min_gain=nan", "finite"),
        ("queue.max_attempts=0", "at least 1"),
        ("queue.backoff_seconds=-1", "not be negative"),
        ("model.precision=fp8", "auto, fp32 or bf16"),
        ("model.device=tpu", "auto, cpu or cuda"),
        ("train.heldout_every=1", "at least 2"),
        ("train.learning_rate=0", "above 0"),
        ("train.max_length=8", "at least 16"),
        ("gate.keep_margin=1.5", "between 0 and 1"),
        ("gate.min_heldout=0", "at least 1"),
        ("train.hours=evening", "must be like 22:00-07:00"),
        ("train.hours=25:00-07:00", "must be like 22:00-07:00"),
        ("gate.confidence=1", "below 1"),
        ("store.artifacts=shared", "/a/folder or s3://bucket/folder"),
        ("store.artifacts=s3://bucket/*", "/a/folder or s3://bucket/folder"),
    ],
)
def test_a_value_that_cannot_work_is_refused(tmp_path: Path, override: str, words: str) -> None:
    message = error(tmp_path, None, {}, override)
    assert override.split("=")[0] in message and words in message


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbf[train]\nepochs = 3\n").train.epochs == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[train\nepochs = 3", "is not valid TOML"), (b"\xff\xfe[\x00t\x00", "cannot read"), (b"[train]\na", "TOML")],
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    message = error(tmp_path, content)
    assert words in message and "atles.toml" in message


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no config file .*none\.toml"):
        load_settings(Home(tmp_path), file=tmp_path / "none.toml", environment={})


def test_every_setting_has_a_default_that_its_rules_accept_and_a_line_of_help(tmp_path: Path) -> None:
    assert load(tmp_path, None, {}, *(f"{key}={value}" for key, value in keys().items())) == Settings()
    assert all(help_texts()[key] for key in keys())


SECRET = "postgresql://me:hunter2@db/atles"


def test_a_password_is_not_taken_from_the_command_line(tmp_path: Path) -> None:
    message = error(tmp_path, None, {}, f"store.url={SECRET}")
    assert "store.url on the command line holds a password" in message
    assert f"{tmp_path / 'atles.toml'} (and `chmod 600` it)" in message and "ATLES_STORE_URL" in message
    assert "hunter2" not in message
    assert load(tmp_path, f'[store]\nurl = "{SECRET}"\n').store.url == SECRET
    assert load(tmp_path, None, {"ATLES_STORE_URL": SECRET}).store.url == SECRET
    named = load(tmp_path, None, {}, "store.url=postgresql://me@db:5432/atles")
    assert named.store.url == "postgresql://me@db:5432/atles", "a user's name is no secret"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory.llm_url", "http://me:hunter2@host/v1"),
        ("memory.llm_url", "https://hunter2@host/v1"),
        ("gateway.upstream", "http://me:hunter2@host/v1"),
        ("store.url", "mysql://me:hunter2@db"),
        ("store.artifacts", "s3://me:hunter2@bucket/x"),
        ("train.epochs", SECRET),
        ("train.enabled", SECRET),
    ],
)
def test_no_message_shows_a_password(tmp_path: Path, key: str, value: str) -> None:
    section, option = key.split(".")
    variable = f"ATLES_{key.replace('.', '_').upper()}"
    for message in (
        error(tmp_path, f'[{section}]\n{option} = "{value}"\n'),
        error(tmp_path, "", {variable: value}),
        error(tmp_path, "", {}, f"{key}={value}"),
        error(tmp_path, "", {}, f"{key}:{value}"),
    ):
        assert "hunter2" not in message and "***" in message, message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("store.url", "postgresql://atles:p@ss5hunter@h.invalid/x"),
        ("store.url", "postgresql://atles:hun/ter4hunter@h.invalid/x"),
        ("store.url", "postgresql://atles:100%hunter@h.invalid/x"),
        ("store.url", "postgresql://atles:hunter 2@h.invalid/x"),
        ("store.url", "postgresql://atles:hunter"),
        ("store.url", "host=h.invalid user=atles password=hunter dbname=x"),
        ("store.url", "host=h.invalid password=a hunter"),
        ("store.artifacts", "s3://me:a hunter@bucket/x"),
        ("gateway.upstream", "http://u:p@h/v1?api_key=hunter"),
        ("memory.llm_url", "http://h/v1?token=hunter"),
    ],
)
def test_nor_of_an_address_that_is_malformed(tmp_path: Path, key: str, value: str) -> None:
    section, option = key.split(".")
    variable = f"ATLES_{key.replace('.', '_').upper()}"
    for message in (error(tmp_path, f'[{section}]\n{option} = "{value}"\n'), error(tmp_path, "", {variable: value})):
        assert "must be" in message and "hunter" not in message
        assert key != "store.url" or "%40 for @" in message
    assert "hunter" not in error(tmp_path, f'[{section}]\n{option} = [["{value}"], ["x"]]\n')
    assert "hunter" not in error(tmp_path, "", {}, f"{key}:postgresql://me:hunter@h/x?a=b")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://", "postgres:///x", "postgresql://atles@/x?host=/tmp/a_b", "postgresql://%2Frun%2Fpg/x",
        "postgresql://me:p%40s%25:s@[::1]:5432/x?sslmode=verify-full", "postgresql://me@a:1,b:2/x?user=a%40b",
    ],
)  # fmt: skip
def test_well_formed_addresses_of_a_server(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, None, {"ATLES_STORE_URL": url}).store.url == url


def test_a_model_server_keeps_its_password_to_itself(tmp_path: Path) -> None:
    message = error(tmp_path, '[models.big]\nurl = "http://me:hunter2@host/v1"\n')
    assert "models.url" in message and "hunter2" not in message
    assert "hunter2" not in error(tmp_path, f'[store]\nurl = ["{SECRET}"]\n')


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SECRET, "postgresql://me:***@db/atles"),
        ("postgresql://me:p@ss/w:rd@db/atles", "postgresql://me:***@db/atles"),
        ("postgresql://:hunter2@db", "postgresql://:***@db"),
        ("postgresql://db/atles?user=me&password=hunter2&sslmode=require",
         "postgresql://db/atles?user=me&password=***&sslmode=require"),
        ("HTTPS://token@host/v1", "HTTPS://***@host/v1"),
        ("postgresql://me@db/atles", "postgresql://me@db/atles"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("https://host/v1/@cf/model", "https://host/v1/@cf/model"),
        ("hf:a/b", "hf:a/b"),
        (7, 7),
    ],
)  # fmt: skip
def test_what_is_shown_of_an_address(value: object, shown: object) -> None:
    assert masked(value) == shown
