"""The shop of the support desk's example: its orders, what its tools do to it, tasks and score."""

import json
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "support"


@cache
def _orders() -> dict:
    return json.loads((DATA / "orders.json").read_text(encoding="utf-8"))


class Shop:
    """A shop in memory. Its methods are the tools; `done` is what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def find_order(self, order: str) -> str:
        """Look up an order.

        Args:
            order: Its number, such as O1234.
        """
        found = _orders().get(order)
        if found is None:
            return f"There is no order {order}."
        fields = (f"{name}: {value}" for name, value in found.items() if name != "in stock")
        return " | ".join([f"Order {order}", *fields])

    def check_stock(self, order: str) -> str:
        """Tell how many of an order's item are in stock.

        Args:
            order: The order's number.
        """
        found = _orders().get(order)
        return f"Stock for {order}: {found['in stock'] if found else 0}"

    def refund(self, order: str, amount: int) -> str:
        """Pay money back to the customer.

        Args:
            order: The order's number.
            amount: Whole euros.
        """
        return self._do(f"refund {order} {amount}")

    def send_replacement(self, order: str) -> str:
        """Send the order's item once more, free of charge.

        Args:
            order: The order's number.
        """
        return self._do(f"replace {order}")

    def escalate(self, order: str, team: str) -> str:
        """Hand the ticket over to people.

        Args:
            order: The order's number.
            team: payments, shipping or legal.
        """
        return self._do(f"escalate {order} {team}")

    def _do(self, what: str) -> str:
        self.done.append(what)
        return f"Done: {what}."


def score(task: dict, done: list[str]) -> float:
    """1.0 if exactly what was right was done to the shop, whatever the customer was told."""
    return float(done == task["expected"])


def load_tasks(split: str) -> list[dict]:
    """The tasks of a split: `train`, `val` or `test`."""
    lines = (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
