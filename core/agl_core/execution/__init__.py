"""Execution: from an agent and a task to a rollout."""
