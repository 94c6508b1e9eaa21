# ruff: noqa: INP001 - a script, no package
"""Apache Kafka on this machine until Ctrl-C: `python deploy/kafka/start.py [--nodes 3] [--data-dir DIR]`.

Prints the setting that points a hub at it. One node answers in about five seconds, three in fifteen.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hub.errors import ConfigError
from hub.kafka.apache import Apache
from hub.kafka.cluster import Cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1, help="1, or 3 for a cluster of which one may be away")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="what it keeps is under <data-dir>/kafka")
    given = parser.parse_args()
    kafka = Apache(given.data_dir) if given.nodes == 1 else Cluster(given.data_dir, count=given.nodes)
    try:
        with kafka as connection:
            sys.stdout.write(f"HUB_BROKER=external HUB_BOOTSTRAP_SERVERS={connection.bootstrap}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        pass
    except ConfigError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
