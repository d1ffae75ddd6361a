"""Tracing: rollouts as OpenTelemetry traces, collected, read and sent on."""
