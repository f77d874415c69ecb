"""Kafka, Neo4j and Mosquitto on this machine, without containers, for tests and trials.

    python -m deploy.local.services start|stop|status [NAME ...]

Kafka (KRaft) and Neo4j 5 come as Maven artifacts and need Java 17 and Maven; Mosquitto is the system's package. Each service
has its own port, data folder and log under `.services/NAME`; `stop` ends the processes that `start` noted, and no others. Tests
use `Local` with a folder of their own and free ports.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PORTS = {"kafka": 9092, "neo4j": 7687, "mosquitto": 1883}
READY = 300.0
"""Seconds within which a service must answer."""
STOP = 20.0
"""Seconds that a service may take to end when asked to."""
PASSWORD = "openautoglm"  # noqa: S105 - of databases that listen on loopback alone
USER = "openautoglm"


class MissingError(Exception):
    """What a service needs is not on this machine."""


class FailedError(Exception):
    """A service did not start."""


_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Local:
    """One service with its folder: `start`, `stop`, `kill`, `pause` and `resume` it. `port` is where it listens on loopback.

    Kafka also listens on `port + 1` (its controller) and `port + 2` (SASL_SSL, for tests of settings).
    """

    name: str
    folder: Path
    port: int
    advertised: int | None = None
    """The port that Kafka sends its clients to, if there is something between."""

    def start(self) -> None:
        """Start and wait until it answers, with what it kept in its folder. Raises MissingError, FailedError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command, environment = COMMANDS[self.name](self)
        with (self.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                command, cwd=self.folder, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
            )
        _CHILDREN[process.pid] = process
        (self.folder / "pid").write_text(f"{process.pid} {_born(process.pid)}")
        until = time.monotonic() + READY
        while not self.answers():
            if process.poll() is not None or time.monotonic() > until:
                tail = (self.folder / "log.txt").read_text(errors="replace")[-2000:]
                raise FailedError(f"{self.name} did not start on port {self.port}; its log ends with:\n{tail}")
            time.sleep(0.1)

    def answers(self) -> bool:
        if self.name == "neo4j" and not (self.folder / "data" / "ready").exists():
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return self.name != "kafka" or _kafka_answers(connection)
        except OSError:
            return False

    @property
    def pid(self) -> int | None:
        """The process that `start` made, while it lives; a number that another process has now is not it."""
        try:
            pid, born = (self.folder / "pid").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _born(int(pid)) == born else None

    def stop(self) -> None:
        """Ask it to end; after a while, make it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        first = self.pid
        self._signal(number)
        self._signal(signal.SIGCONT)
        until = time.monotonic() + STOP
        while (pid := self.pid) is not None and not _reaped(pid):
            if time.monotonic() > until:
                self._signal(signal.SIGKILL)
            time.sleep(0.05)
        if first in _CHILDREN:
            _CHILDREN.pop(first).wait()
        (self.folder / "pid").unlink(missing_ok=True)
        (self.folder / "data" / "ready").unlink(missing_ok=True)


def _born(pid: int) -> str:
    """When a process began, as the kernel counts; empty if there is none or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _reaped(pid: int) -> bool:
    """Whether a child of this process has ended; another's child is looked at through `_born`."""
    return pid in _CHILDREN and _CHILDREN[pid].poll() is not None


def _kafka_answers(connection: socket.socket) -> bool:
    """ApiVersions, version 0: a broker that answers it serves."""
    connection.sendall(b"\x00\x00\x00\x0f\x00\x12\x00\x00\x00\x00\x00\x01\x00\x05ready")
    connection.settimeout(2)
    return len(connection.recv(8)) == 8  # noqa: PLR2004 - length and correlation id


# --- What each service is started with -------------------------------------------------------------------------------------

Command = tuple[list[str], dict[str, str]]


def _program(name: str, *, hint: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingError(f"{name} is not on this machine: {hint}")
    return found


def _classpath(name: str) -> str:
    """Resolved by Maven once for each version of the list."""
    pom = HERE / f"{name}.xml"
    held = ROOT / ".services" / f"{name}.classpath"
    if not held.exists() or held.stat().st_mtime < pom.stat().st_mtime or not _complete(held.read_text()):
        held.parent.mkdir(exist_ok=True)
        maven = _program("mvn", hint="install Maven (on Debian: apt install maven)")
        fresh = held.with_suffix(f".{os.getpid()}")  # several may be at it at once
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:build-classpath", f"-Dmdep.outputFile={fresh}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise FailedError(f"Maven could not bring {name}:\n{done.stdout[-2000:]}")
        fresh.replace(held)
    return held.read_text().strip()


def _complete(classpath: str) -> bool:
    return all(Path(part).exists() for part in classpath.strip().split(":"))


def _java() -> str:
    return _program("java", hint="install Java 17 (on Debian: apt install openjdk-17-jdk-headless)")


def _kafka(service: Local) -> Command:
    java, classpath = _java(), _classpath("kafka")
    folder = service.folder
    _certificate(folder)
    properties = folder / "server.properties"
    properties.write_text(
        _KAFKA.format(
            port=service.port,
            advertised=service.advertised or service.port,
            controller=service.port + 1,
            secure=service.port + 2,
            folder=folder,
            user=USER,
            password=PASSWORD,
        )
    )
    properties.chmod(0o600)
    (folder / "log4j2.yaml").write_text(_LOG4J)
    base = [
        java,
        "-Xmx768m",
        "-Xms256m",
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={folder}/log4j2.yaml",
        "-cp",
        classpath,
    ]
    if not (folder / "data" / "meta.properties").exists():
        identity = ["-t", "b3BlbmF1dG9nbG1sb2NhbA", "-c", str(properties)]
        done = subprocess.run(  # noqa: S603
            [*base, "kafka.tools.StorageTool", "format", *identity], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise FailedError(f"Kafka's data folder could not be formatted:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [*base, "kafka.Kafka", str(properties)], {}


def _certificate(folder: Path) -> None:
    """A self-signed certificate for localhost: `kafka.pem` is what a client trusts."""
    store, pem = folder / "kafka.p12", folder / "kafka.pem"
    if pem.exists():
        return
    keytool = _program("keytool", hint="install Java 17")
    secret = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass:file", str(_secret(folder)), "-alias", "kafka"]
    names = ["-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1", "-keyalg", "RSA", "-validity", "3650"]
    for arguments in (["-genkeypair", *names], ["-exportcert", "-rfc", "-file", str(pem)]):
        subprocess.run([keytool, *arguments, *secret], check=True, capture_output=True)  # noqa: S603


def _secret(folder: Path) -> Path:
    path = folder / "secret"
    path.write_text(PASSWORD)
    path.chmod(0o600)
    return path


def _neo4j(service: Local) -> Command:
    java, classpath = _java(), _classpath("neo4j")
    arguments = [str(service.folder / "data"), str(service.port), str(_secret(service.folder))]
    opened = "--add-opens=java.base/java.nio=ALL-UNNAMED"
    return [java, "-Xmx1g", "-XX:+UseSerialGC", opened, "-cp", classpath, str(HERE / "Neo4j.java"), *arguments], {}


def _mosquitto(service: Local) -> Command:
    program = _program(
        "mosquitto", hint="install it (on Debian: apt install mosquitto), or set OPENAUTOGLM_MQTT_HOST to a broker"
    )
    configuration = service.folder / "mosquitto.conf"
    (service.folder / "data").mkdir(exist_ok=True)
    configuration.write_text(_MOSQUITTO.format(port=service.port, folder=service.folder))
    return [program, "-c", str(configuration)], {}


COMMANDS = {"kafka": _kafka, "neo4j": _neo4j, "mosquitto": _mosquitto}

_KAFKA = """
node.id=1
process.roles=broker,controller
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAIN://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SECURE://127.0.0.1:{secure}
advertised.listeners=PLAIN://127.0.0.1:{advertised},SECURE://127.0.0.1:{secure}
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=PLAIN
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
    user_{user}="{password}";
ssl.keystore.type=PKCS12
ssl.keystore.location={folder}/kafka.p12
ssl.keystore.password={password}
log.dirs={folder}/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
group.initial.rebalance.delay.ms=0
# Durable means on disk here: there is no second broker that would have it.
log.flush.interval.messages=1000
log.flush.interval.ms=1000
log.cleaner.backoff.ms=2000
"""

_LOG4J = """
Configuration:
  Appenders:
    Console: {name: out, PatternLayout: {pattern: "%d %p %c{1}: %m%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: out}}
"""

_MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/data/
# The default of 1,800 s would forget half an hour of queued messages at a kill.
autosave_interval 1
autosave_on_changes true
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
"""


# --- Command line ----------------------------------------------------------------------------------------------------------


def named(names: Sequence[str]) -> Iterator[Local]:
    for name in names or PORTS:
        if name not in PORTS:
            raise MissingError(f"no service of the name {name!r}; there are {', '.join(PORTS)}")
        yield Local(name, ROOT / ".services" / name, PORTS[name])


def start(service: Local) -> str:
    if service.pid is not None:
        return "runs already"
    if service.answers():
        raise FailedError(f"port {service.port} is taken by something that `services stop` would not end")
    began = time.monotonic()
    service.start()
    return f"ready after {time.monotonic() - began:.1f} s"


def stop(service: Local) -> str:
    if service.pid is None:
        return "did not run"
    service.stop()
    return "ended"


def status(service: Local) -> str:
    return f"runs (process {service.pid})" if service.pid is not None else "does not run"


def main(arguments: Sequence[str]) -> int:
    actions = {"start": start, "stop": stop, "status": status}
    if not arguments or arguments[0] not in actions:
        print(__doc__, file=sys.stderr)
        return 2
    failed = 0
    try:
        services = list(named(arguments[1:]))
    except MissingError as error:
        print(error, file=sys.stderr)
        return 2
    for service in services:
        try:
            print(f"{service.name:10} 127.0.0.1:{service.port:<6} {actions[arguments[0]](service)}", flush=True)
        except (MissingError, FailedError) as error:
            failed = 1
            print(f"{service.name:10} {error}", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
