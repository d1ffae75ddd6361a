"""Discovery: a program's own prompts, found by running it."""
