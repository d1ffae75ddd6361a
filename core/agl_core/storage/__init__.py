"""Storage: the file in which runs are kept, and who writes to it."""
