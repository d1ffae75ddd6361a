"""Concurrency: threads, event loops, and who waits for whom."""
