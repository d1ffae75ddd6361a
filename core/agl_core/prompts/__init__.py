"""Prompts: templates, the slots that they fill, and what a rewrite of one must keep to."""
