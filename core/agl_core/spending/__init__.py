"""Spending: budgets, prices, and the one ledger of a run."""
