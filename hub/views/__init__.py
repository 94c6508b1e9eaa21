"""Views: tables read from Kafka, kept beside the processes that answer questions, rebuilt from Kafka when lost.

    receipts.*     ─┐
                    ├─ loader (one process per data folder) ── SQLite ──┬─ gateway
    status.person  ─┘                                                   └─ gateway …

The topics are the truth; a view is a reading of them and may be thrown away at any time. Its rows and the positions
up to which it has read change in one transaction of SQLite: a loader that was killed goes on where it was.

Why SQLite, and a process of its own (one million persons with one status each, this machine's two cores):

| | memory of each gateway | ready after a start | one lookup |
|---|---|---|---|
| dictionary of packed bytes in the gateway | 290 MB | 13 s, at each start | 1 µs |
| SQLite beside it (371 MB on disk) | none of its own | at once; 20 s when lost | 12 µs |

A lookup is little beside what a request over HTTP costs, so that the dictionary buys nothing; the file is shared by
all gateways of a machine, outlives them, and grows past memory (receipts of thirty days do). The loader is a process
because reading Kafka in Python would hold the interpreter against the gateway's own requests.
"""
