"""An S3 server for tests, in a thread of this process, and how programs are told of it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "the-bucket"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCY"


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address, with an empty bucket in it. It takes any credentials."""
    import boto3  # they take a second to import, and few tests need them
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        names = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **names).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        server.stop()


def on_s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let S3 be there for this process and those that it starts, as the environment says it to any program."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": endpoint, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # it keeps connections by the place's name alone
