"""A Spark of the tests' own: a server that speaks Spark Connect, without Java."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession


@contextmanager
def spark_connect() -> Iterator[Any]:
    """Run a server and a session for as long as the block lasts."""
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    yield session
    session.stop()
    server.stop()
