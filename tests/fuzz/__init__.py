"""Fuzzing of what reads bytes from outside: `make fuzz`, or `python -m tests.fuzz --seconds 3600`."""
