"""An edge node by an independent implementation (pysparkplug), as a process of its own; see `test_sparkplug_conversation`.

    .peers/bin/python edgenode.py PORT HOST_ID

Waits for the primary host's STATE, is born, answers rebirths, and does what it reads from its standard input: `heat VALUE`,
`pump VALUE`, `pump-dies`, `gap`. It tells on standard output what it does, one JSON object a line. It ends by being killed.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from typing import Any

GROUP, EDGE, DEVICE = "Halle 1", "press", "pump"


def tell(what: str, **more: Any) -> None:
    print(json.dumps({"what": what, **more}), flush=True)


def now() -> int:
    return time.time_ns() // 1_000_000


class Press:
    """The node, with a metric of its own, one of each kind, and a pump."""

    def __init__(self, library: Any, port: int) -> None:
        self.library = library
        self.port = port
        self.node = library.EdgeNode(GROUP, EDGE, self.metrics(), cmd_callback=self.commanded)
        metrics = [self.metric("flow", "DOUBLE", 4.5), self.metric("Control/Run", "BOOLEAN", False)]
        self.pump = library.Device(DEVICE, metrics, cmd_callback=self.told_to)
        self.births = 0

    def metric(self, name: str, kind: str, value: Any) -> Any:
        return self.library.Metric(timestamp=now(), name=name, datatype=self.library.DataType[kind], value=value)

    def metrics(self) -> list[Any]:
        return [
            self.metric("Node Control/Rebirth", "BOOLEAN", False),
            self.metric("Properties/Maker", "STRING", "Acme"),
            self.metric("heat", "INT32", -12),
            self.metric("small", "INT8", -3),
            self.metric("large", "UINT64", 2**40),
            self.metric("share", "FLOAT", 0.25),
            self.metric("on", "BOOLEAN", True),
            self.metric("mode", "STRING", "auto"),
            self.metric("row", "INT16_ARRAY", (-30000, 30000)),
            self.metric("empty", "DOUBLE", None),
        ]

    def begin(self) -> None:
        self.node.register(self.pump)
        self.node.connect("127.0.0.1", port=self.port)
        tell("born")

    def commanded(self, _: Any, message: Any) -> None:
        wanted = {metric.name: metric.value for metric in message.payload.metrics}
        tell("commanded", metrics=wanted, qos=int(message.qos), retain=bool(message.retain))
        if wanted == {"Node Control/Rebirth": True}:
            self.rebirth()

    def told_to(self, _: Any, message: Any) -> None:
        """Does it, and reports it."""
        wanted = {metric.name: metric.value for metric in message.payload.metrics}
        tell("pump commanded", metrics=wanted, qos=int(message.qos), retain=bool(message.retain))
        kinds = {"flow": "DOUBLE", "Control/Run": "BOOLEAN"}
        self.node.update_device(DEVICE, [self.metric(name, kinds[name], value) for name, value in wanted.items()])

    def rebirth(self) -> None:
        """Both births again, under the same bdSeq: the library makes them at a connection only, and counts on by then."""
        library, node = self.library, self.node
        bd_seq = library.Metric(timestamp=now(), name="bdSeq", datatype=library.DataType.INT64, value=0)
        metrics = (*node.metrics.values(), bd_seq)
        self.publish("NBIRTH", None, library.NBirth(timestamp=now(), seq=node._seq, metrics=metrics))
        devices = tuple(self.pump.metrics.values())
        self.publish("DBIRTH", DEVICE, library.DBirth(timestamp=now(), seq=node._seq, metrics=devices))

    def publish(self, kind: str, device: str | None, payload: Any) -> None:
        library = self.library
        where = {"group_id": GROUP, "edge_node_id": EDGE, "device_id": device}
        topic = library.Topic(message_type=library.MessageType[kind], **where)
        message = library.Message(topic=topic, payload=payload, qos=library.QoS.AT_MOST_ONCE, retain=False)
        self.node._client.publish(message, include_dtypes=True)

    def obey(self, words: list[str]) -> None:
        match words:
            case ["heat", value]:
                self.node.update([self.metric("heat", "INT32", int(value))])
            case ["pump", value]:
                self.node.update_device(DEVICE, [self.metric("flow", "DOUBLE", float(value))])
            case ["pump-dies"]:
                self.node.deregister(DEVICE)
            case ["gap"]:
                tell("left out", seq=self.node._seq)


def main(port: int, host: str) -> None:
    library = importlib.import_module("pysparkplug")  # of the peers' environment; this one need not have it
    press, online = Press(library, port), threading.Event()

    def heard(_: Any, message: Any) -> None:
        tell("state", online=message.payload.online, timestamp=message.payload.timestamp, retain=bool(message.retain))
        if message.payload.online:
            online.set()

    watcher = library.Client()
    state = library.Topic(message_type=library.MessageType.STATE, sparkplug_host_id=host)
    watcher.subscribe(state, library.QoS.AT_LEAST_ONCE, heard)
    watcher.connect("127.0.0.1", port=port)
    tell("waiting")
    online.wait()
    press.begin()
    for line in sys.stdin:
        press.obey(line.split())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
