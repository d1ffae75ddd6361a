"""The models that algorithms call."""
