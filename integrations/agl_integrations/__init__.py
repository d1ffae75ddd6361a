"""Adapters for agent frameworks, one module or package each, loaded when they are needed."""
