"""Rewards, and the functions that give them."""
