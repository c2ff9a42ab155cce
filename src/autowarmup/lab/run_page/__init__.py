"""The page of one run: its rates, its losses, and what the schedule says of it."""

from autowarmup.lab.run_page.page import write_page

__all__ = ["write_page"]
