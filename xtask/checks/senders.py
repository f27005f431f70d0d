"""Clients of others send to a running mesh, each in its own protocol, and what they sent is there.

    python senders.py ADDRESS TOKEN      # http://127.0.0.1:8440 and the token of run.json
"""

import json
import logging
import sys
import time
import urllib.request

from elasticsearch import Elasticsearch, helpers
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as Grpc
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as Http
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

RECORDS = 1000
PATIENCE_SECONDS = 60

address, token = sys.argv[1:3]


def event(name):
    """A record that a connector knows, found again by its message."""
    return {
        "uuid": name, "published": "2026-03-02T08:00:00.000Z", "eventType": "user.session.start", "displayMessage": name, "severity": "INFO",
        "actor": {"id": "u1", "type": "User", "alternateId": "ada@example.com"}, "outcome": {"result": "SUCCESS"}, "target": [],
    }


def count(prefix):
    sql = f"SELECT count(DISTINCT message) FROM events WHERE message LIKE '{prefix}-%'"
    request = urllib.request.Request(
        f"{address}/api/v1/query",
        json.dumps({"sql": sql}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return int(json.load(answer)["rows"][0][0])


def expect(prefix, wanted):
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := count(prefix)) != wanted:
        if time.monotonic() > until:
            sys.exit(f"{prefix}: {found} of {wanted} records are there")
        time.sleep(0.1)
    print(f"{prefix}: {found} of {wanted}")


def bulk():
    client = Elasticsearch(f"{address}/ingest/elastic", api_key=("weft", token), http_compress=True)
    assert client.info()["version"]["number"].startswith("8."), "the product is not known to its client"
    documents = ({"_op_type": "create", "_index": "logs-test", "_id": f"bulk-{n}", "_source": event(f"bulk-{n}")} for n in range(RECORDS))
    written, errors = helpers.bulk(client, documents, chunk_size=250)
    assert (written, errors) == (RECORDS, []), (written, errors)
    actions = [{"_op_type": "delete", "_index": "logs-test", "_id": "bulk-1"}, {"_index": "logs-test", "_source": event("bulk-1")}]
    written, errors = helpers.bulk(client, actions, raise_on_error=False)
    assert written == 1 and errors[0]["delete"]["status"] == 400, (written, errors)
    client.index(index="logs-test", document=event("bulk-0"))
    expect("bulk", RECORDS)


def otlp(name, exporter):
    provider = LoggerProvider(Resource.create({"service.name": "senders"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for n in range(RECORDS):
        # Half of the bodies carry a record that a connector knows.
        logger.info(json.dumps(event(f"{name}-{n}")) if n % 2 else f"{name}-{n}", extra={"user.id": "u-1"})
    assert provider.force_flush()
    provider.shutdown()
    expect(name, RECORDS)


bulk()
headers = {"authorization": f"Bearer {token}"}
otlp("otlp_http", Http(f"{address}/ingest/v1/logs", headers=headers))
otlp("otlp_grpc", Grpc(address.removeprefix("http://"), insecure=True, headers=tuple(headers.items())))
