"""Exporting spans as the environment says: to a collector that really listens."""

import gzip
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import agl_adapters as agl
from agl_core.tracing.exporting import provider_from_environment

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector:
    """An OTLP/HTTP collector on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest()
                request.ParseFromString(body)
                collector.requests.append(request)
                collector.headers.append(dict(self.headers))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Generator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@agl.rollout
def greet(task: Any, prompt: agl.PromptTemplate) -> float:
    return float(len(prompt.format()) > task)


def _run() -> agl.TrainResult:
    trainer = agl.Trainer(agl.Baseline(), initial_resources={"prompt": "Hi."}, store=None)
    return trainer.fit(greet, [1, 2, 3])


def test_spans_arrive_where_the_environment_says(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    _run()
    assert [span.name for span in collector.spans] == ["invoke_agent greet"] * 3
    assert len({span.trace_id for span in collector.spans}) == 3
    assert {headers["x-team"] for headers in collector.headers} == {"blue"}
    attributes = collector.requests[0].resource_spans[0].resource.attributes
    assert ("service.name", "shop") in [(a.key, a.value.string_value) for a in attributes]
    assert not [t for t in threading.enumerate() if "BatchSpan" in t.name]


def test_a_collector_that_is_down_fails_nothing(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    collector.close()
    assert _run().usage.rollouts == 3


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {ENDPOINT: "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
        {ENDPOINT: "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nothing_is_sent_unless_it_is_asked_for(variables: dict[str, str]) -> None:
    assert provider_from_environment(variables) is None


@pytest.mark.parametrize(
    ("variables", "error", "message"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            agl.MissingDependencyError,
            "pip install opentelemetry-exporter-otlp-proto-grpc",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            agl.ConfigurationError,
            "the OTLP protocol is 'http/json'",
        ),
        ({"OTEL_TRACES_EXPORTER": "pigeon"}, agl.ConfigurationError, "names 'pigeon', which is"),
    ],
)
def test_what_cannot_be_exported_to_is_told(
    variables: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        provider_from_environment(variables)


def test_it_is_told_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "pigeon")
    ran: list[Any] = []

    @agl.rollout
    def agent(task: Any, prompt: agl.PromptTemplate) -> float:
        ran.append(task)
        return 1.0

    with pytest.raises(agl.ConfigurationError, match="pigeon"):
        agl.Trainer(agl.Baseline(), initial_resources={"prompt": "Hi."}).fit(agent, [1])
    assert ran == []
