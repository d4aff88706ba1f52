"""Which Cassandra runs as a child of ours."""

from runtime.jars import Jars

VERSION = "5.0.6"

_JARS = Jars("Cassandra", VERSION, "runtime.cassandra")

why_not = _JARS.why_not
find_jars = _JARS.find


if __name__ == "__main__":
    print(find_jars())  # noqa: T201
