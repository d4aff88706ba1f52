"""One target under atheris, which goes by the code that bytes reach; with libFuzzer's options."""

import sys

import atheris

with atheris.instrument_imports(include=["api", "domain", "doors", "intake"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name, *options = sys.argv[1:]
    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()
