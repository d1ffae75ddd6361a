"""Where spans go if the standard environment variables of OpenTelemetry say so.

For a program that sets up a tracer provider nothing here applies: its processors are given the
spans. Without one, ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) or
``OTEL_TRACES_EXPORTER`` names the place, as specified in OpenTelemetry Environment Variable
Specification; the exporters read the rest (headers, timeouts, certificates) themselves, and the SDK
``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES`` and the limits. Unlike there, nothing is sent if
none of them is set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from agl_core.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["provider_from_environment", "provider_to_export_to"]

_GROUP = "opentelemetry_traces_exporter"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_BY_PROTOCOL = {_HTTP: "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def provider_from_environment(
    environment: Mapping[str, str] = os.environ,
) -> TracerProvider | None:
    """Return a provider that exports as the environment says; None, if it says nothing.

    It is the caller's to shut down, which sends what is left.

    Raises:
        ConfigurationError: If an exporter is unknown or cannot be made.
        MissingDependencyError: If the package of the exporter is not installed.
    """
    names = _exporters(environment)
    if not names or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
    return provider


def provider_to_export_to(given: TracerProvider | None) -> TracerProvider | None:
    """Return a provider made as the environment says, unless the user has one.

    Args:
        given: The user's provider, if it was handed over; else the global one is looked at.

    Raises:
        ConfigurationError: As `provider_from_environment`.
    """
    if given is not None or not _exporters(os.environ):
        return None
    from agl_core.tracing.collector import user_provider

    return None if user_provider() is not None else provider_from_environment()


def _exporters(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the exporters, as their entry points have them."""
    wanted = environment.get("OTEL_TRACES_EXPORTER", "")
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if not names and any(environment.get(variable) for variable in _ENDPOINTS):
        names = ["otlp"]
    if "none" in names:
        return []
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _HTTP)
    if "otlp" in names and protocol not in _BY_PROTOCOL:
        raise ConfigurationError(
            f"the OTLP protocol is {protocol!r}; it is one of {', '.join(_BY_PROTOCOL)}"
        )
    return [_BY_PROTOCOL[protocol] if name == "otlp" else name for name in names]


def _exporter(name: str) -> Any:
    found = next(iter(entry_points(group=_GROUP, name=name)), None)
    if found is None:
        if name == "otlp_proto_http":
            raise MissingDependencyError(
                "sending spans over OTLP needs its exporter: pip install 'agl-adapters[otlp]'"
            )
        if name == "otlp_proto_grpc":
            raise MissingDependencyError(
                "sending spans over gRPC needs its exporter: "
                "pip install opentelemetry-exporter-otlp-proto-grpc"
            )
        raise ConfigurationError(f"OTEL_TRACES_EXPORTER names {name!r}, which is not installed")
    try:
        return found.load()()
    except Exception as error:
        raise ConfigurationError(
            f"the exporter of spans {name!r} cannot be made: {type(error).__name__}: {error}"
        ) from error
