"""One Apache Cassandra on this machine, from Maven's jars: for the tests, the benches and for trying it out."""
