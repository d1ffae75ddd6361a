"""Algorithms: they propose candidates and read rollouts."""

from __future__ import annotations

from agl_core.algorithms.apo import APO
from agl_core.algorithms.base import Algorithm, FunctionAlgorithm, algorithm
from agl_core.algorithms.baseline import Baseline
from agl_core.algorithms.gepa import GEPA

__all__ = ["APO", "GEPA", "Algorithm", "Baseline", "FunctionAlgorithm", "algorithm"]
