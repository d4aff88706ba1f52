"""The parts of `python -m bench.compare`."""
