"""Judges: models that grade outputs."""
