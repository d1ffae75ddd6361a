"""Privacy: what is taken out of all that is written."""
