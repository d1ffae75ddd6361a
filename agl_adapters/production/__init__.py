"""Prompts in production: their files, the untouched program under them, patches to its source."""
