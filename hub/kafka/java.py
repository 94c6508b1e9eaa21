"""What Apache Kafka needs from this machine: a JDK of 17 or later, and Kafka's jars (from Maven or `KAFKA_HOME`)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from hub.errors import ConfigError
from hub.kafka.child import last_lines

OLDEST_JAVA = 17
POM = Path(__file__).parents[2] / "deploy" / "kafka" / "pom.xml"
INSTEAD = "or set KAFKA_HOME to an unpacked Apache Kafka 4.0 or later"


def find_java() -> str:
    """The program `java`, from JAVA_HOME or the PATH; `ConfigError` when there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if program is None:
        where = f"JAVA_HOME={home}" if home else "the PATH"
        raise ConfigError(f"broker apache: no java in {where}: install a JDK {OLDEST_JAVA} or later")
    version = _java_version(program)
    if version < OLDEST_JAVA:
        raise ConfigError(f"broker apache: {program} is Java {version}, {OLDEST_JAVA} or later is needed")
    return program


def find_jars() -> Path:
    """The folder of Kafka's jars: `$KAFKA_HOME/libs`, or the cache, filled by Maven the first time (44 MB)."""
    home = os.environ.get("KAFKA_HOME")
    return _jars_of(Path(home)) if home else _cached_jars()


def _jars_of(home: Path) -> Path:
    libs = home / "libs"
    if not any(libs.glob("kafka_2.13-*.jar")):
        raise ConfigError(f"broker apache: KAFKA_HOME={home} has no libs/kafka_2.13-*.jar: is it a Kafka distribution?")
    return libs


def _cached_jars() -> Path:
    if not POM.is_file():
        raise ConfigError(f"broker apache: {POM} is missing: run from a checkout of the repository, {INSTEAD}")
    jars = cache() / f"kafka-{_kafka_version(POM)}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"
    if not jars.is_dir():
        _download(jars)
    return jars


def cache() -> Path:
    """Where what was fetched or made once for all runs of this user is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zefer-hub"


def _download(jars: Path) -> None:
    """Fill a folder beside it and rename: the folder is there whole or not at all, whoever else tries meanwhile."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigError(
            f"broker apache: Kafka's jars are not in {jars} and no mvn is on the PATH: install Maven, {INSTEAD}"
        )
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="download-") as folder:
        _copy_dependencies(maven, Path(folder) / "libs")
        try:
            (Path(folder) / "libs").rename(jars)
        except OSError:
            if not jars.is_dir():
                raise


def _copy_dependencies(maven: str, libs: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
    command = [maven, "-q", "-B", "-f", str(POM), *goal]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode != 0 or not any(libs.glob("kafka_2.13-*.jar")):
        end = last_lines(run.stdout + run.stderr)
        raise ConfigError(
            f"broker apache: Maven could not fetch Kafka's jars, {INSTEAD}:\n    {' '.join(command)}\n{end}"
        )


def _kafka_version(pom: Path) -> str:
    found = ET.parse(pom).findtext(".//{*}properties/{*}kafka.version")  # noqa: S314 - our own file
    if not found:
        raise ConfigError(f"{pom} has no property kafka.version")
    return found


def _java_version(program: str) -> int:
    """Major version out of `java -version`, which prints `… version "17.0.15" …` (or `1.8…` for 8) to stderr."""
    run = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', run.stderr + run.stdout)
    if found is None:
        raise ConfigError(f"broker apache: cannot tell the version of {program}: {run.stderr.strip()}")
    return int(found[1])
