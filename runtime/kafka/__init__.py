"""One Apache Kafka on this machine, from Maven's jars: for the tests, the benches and for trying it out."""
