"""Exports: from a store's rollouts to data that models are trained on."""

from __future__ import annotations

from agl_adapters.exports.export import Format, export

__all__ = ["Format", "export"]
