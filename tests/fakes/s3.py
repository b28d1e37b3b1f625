"""An S3 server for tests, in a thread of this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "the-bucket"


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
