"""Faults: the agent's own and the world's, and what is done about the world's."""
