"""Rollouts in worker processes, for agents that crash or hold the interpreter's lock.

The executor hands out rollouts to workers, which are processes as the parent sees them; what runs
in one is in `worker_process`, and how it comes by the agent in `agent_sources`.
"""

from __future__ import annotations

from agl_adapters.processes.executor import ProcessExecutor

__all__ = ["ProcessExecutor"]
