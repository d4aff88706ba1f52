"""What the page says in words."""

from bench.comparison.figures import Section

INTRODUCTION = (
    "`python -m bench.compare`, every figure of one run, round after round; medians, in brackets the smallest and "
    "the largest."
)

NOTES = {
    Section.LATENCY: (
        "Percentiles are medians of the rounds', the longest is that of all rounds. In the open loop a request's "
        "time counts from when it was to start, whether or not a connection was free. Probes are views of new "
        "products; each looks every 5 ms, Footfall's by `GET /popularity/{product}`, the others' in their table."
    ),
    Section.READS: (
        "Histories are of 2,000 interactions over 23 weeks, folded by `footfall blocks compact`, in PostgreSQL; "
        "PostgreSQL's own processor time is not in that of the API. Beside writes, writes and reads are open loops."
    ),
    Section.DISK: (
        "Past weeks of accounts at random through the front door, one after the other, after each of them "
        "`footfall blocks compact` and a plain VACUUM. The files keep the room that deltas took, for those of the "
        "next week; that is counted. All ids are in the ledger, which forgets them after its window."
    ),
    Section.LIMITS: (
        "Each alone on the same machine in the same rounds. The load generator has a process of its own, as it does "
        "when it loads the systems; with everything on so few cores it takes processor time from what it loads."
    ),
}

GORSE = """\
## Gorse, quoted

Measured once, earlier, on another machine of the same size; not in this run.

| | |
| --- | --- |
| `POST` feedback, 1 a call, 32 connections | 760 to 920 calls/s |
| 100 a call, 1 connection | 8,800 events/s |
| 100 a call, 32 connections | 58 events/s; two calls in three fail by deadlock |
| popular items, n = 20, 32 connections | 1,783/s |
| new feedback is visible in popular items after | 55 to 57 s |
| the same feedback sent twice | counts twice |"""

HOW = """\
## How it was measured

Round after round each system is started on its own folder, warmed, loaded and stopped; the order turns by one each
round, and nothing else works meanwhile. A load's requests are built before the clock starts: views, Zipf(1.3) over
10,000 products, uniform over 10,000 accounts. *Drained* counts from the first request until everything is in the
system's counts, *everywhere* until Footfall's blocks have it too and its log is empty; only then comes what is
measured next. The milliseconds in the tables of loads are those of accepting. Latencies are HdrHistograms of three
digits; compare.json has them whole.

- **Footfall** is `footfall up` as it is, its blocks in PostgreSQL, or in a Cassandra that acknowledges before it
  syncs, as it does by default.
- **Restate** is its server from npm and its Python SDK behind granian over HTTP/2. The handler inserts the
  interactions as a durable step, and sends two calls for each of them: one counts, as a durable step, one is the
  recommender's and does nothing. All settings are its own but one, which makes it quicker on one node: one partition
  in place of 24. *Restate, 24 partitions* is without that. `bench/peers/restate_peer.py` lists what else was tried.
- **Temporal, a workflow a request** has the dev server set as Footfall's, a workflow with the payload inside, and an
  activity each to insert and to count.
- All have a PostgreSQL of the same settings, which syncs every commit."""
