"""Ouroloop: run, correct, measure and forecast self-consuming training loops."""

__version__ = "0.1.0"
