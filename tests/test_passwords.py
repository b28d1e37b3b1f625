"""What is shown of addresses, connection strings and settings files: never a password, however it is written."""

import tomllib
from typing import Any

import pytest

from atles.cli.settings import _template
from atles.passwords import brief, masked

HIDDEN = "hunter"
ADDRESSES = [
    "postgresql://atles:hunter2@db/atles",
    "postgresql://atles:p@hunter2@db/x",
    "postgresql://me:hun/hunter2@db/x",
    "postgresql://me:100%hunter2@db/x",
    "postgresql://me:hunter2 hunter3@db/x",
    "postgresql://me:it's\"hunter2@db/x",
    "postgresql://me:a?password=hunter2@db/x",
    "postgresql://db:5432/x?password=p@hunter2",
    "postgresql://atles@/test3?host=/tmp/x&password=hunter2",
    "postgresql://db/x?sslpassword=hunter2&user=me",
    "host=db user=me password=hunter2 dbname=x",
    "host=db password = 'hunter2 hunter3' dbname=x",
    "host=db password='hunter2 hunter3",
    "http://u:hunter2@h/v1?api_key=hunter3",
    "http://h/v1?key=hunter2&x=1",
    "https://hunter2@h/v1",
    "http://u:p/hunter2@h/v1",
    "https://u:p hunter2@h/v1",
    "s3://me:hunter2@bucket/x",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_form_of_an_address_shows_its_password(address: str) -> None:
    assert HIDDEN not in masked(address) and "***" in masked(address)
    assert masked(masked(address)) == masked(address)
    assert HIDDEN not in brief(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mysql://x/y", "mysql://x"),
        ("postgresql://me:hunter2@db:5432/x", "postgresql://***@db:5432"),
        ("postgresql://me:hunter2", "postgresql://***"),
        ("postgresql://db/x?password=p@hunter2", "postgresql://***"),
        ("postgresql:/me:hunter2@db", "***"),
        ("http://[::1]:80/x", "http://[::1]:80"),
        ("shared", "shared"),
    ],
)
def test_of_an_address_that_is_wrong_little_is_shown(address: str, shown: str) -> None:
    assert brief(address) == shown


def quoted(text: str) -> list[str]:
    """A text in all the ways in which TOML can hold it."""
    basic = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    ways = [basic, basic.replace("@", "\\u0040"), f'"""{basic[1:-1]}"""', f'"""\n{basic[1:-1]}\\\n  """']
    return ways if "'" in text else [*ways, f"'{text}'", f"'''{text}'''"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_settings_file_stays_one(address: str) -> None:
    for text in quoted(address):
        for line in (
            f"url = {text}",
            f"url = {text} # why: me@example.com",
            f"url=[{text},{text}]#x",
            f"{{}} # {text}",
        ):
            if "\n" in text and "{}" in line:
                continue  # a comment ends with its line
            document = f'# mine\n[store]\n{line.replace("{}", "schema = 1")}\nother = "a@b" # it\'s "so"\nn = 1\n'
            parsed = tomllib.loads(document)
            shown: dict[str, Any] = tomllib.loads(masked(document))
            assert HIDDEN not in masked(document), document
            assert shown["store"].keys() == parsed["store"].keys()
            assert (shown["store"]["other"], shown["store"]["n"]) == ("a@b", 1)
            assert masked(document).endswith('other = "a@b" # it\'s "so"\nn = 1\n'), "all else is as it was written"
            assert masked(masked(document)) == masked(document)


def test_what_holds_no_password_is_left_as_it_is() -> None:
    assert masked(_template()) == _template()
    text = (
        '[gateway]\nupstream = "https://host/v1/@cf/model" # me@example.com\n[models."a@b"]\nurl = \'http://h:1/v1\'\n'
    )
    assert masked(text) == text
