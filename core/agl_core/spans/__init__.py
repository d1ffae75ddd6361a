"""Spans: what happened in a rollout as data, and OpenTelemetry's names for it."""
