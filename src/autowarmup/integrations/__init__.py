"""Thin shells around the scheduler for the frameworks people train with.

Each module imports its framework, so none of them is imported here.
"""
