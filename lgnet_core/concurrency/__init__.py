"""Threads that hand each other the latest value."""
