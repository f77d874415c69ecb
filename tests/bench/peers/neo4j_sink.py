"""quixstreams' Neo4jSink on events from a file: one Cypher MERGE for each event, as its documentation has it.

It gets one query for all types of event, an index from the start, and batches as large as its chunks; Kafka is left out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from neo4j import GraphDatabase
from quixstreams.sinks.base.batch import SinkBatch
from quixstreams.sinks.community.neo4j import Neo4jSink

port, password, path, size = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
QUERY = """
FOREACH (_ IN CASE WHEN event.type = 'device.connected' THEN [1] ELSE [] END |
  MERGE (d:Peer {deviceId: event.data.deviceId}) SET d.state = 'connected', d.type = event.data.type)
FOREACH (_ IN CASE WHEN event.type = 'device.telemetry' THEN [1] ELSE [] END |
  MERGE (d:Peer {deviceId: event.data.deviceId}) SET d.value = event.value, d.at = event.time)
FOREACH (_ IN CASE WHEN event.type = 'device.linked' THEN [1] ELSE [] END |
  MERGE (a:Peer {deviceId: event.data.source})
  MERGE (b:Peer {deviceId: event.data.target})
  MERGE (a)-[r:FEEDS]->(b) SET r.at = event.time)
"""
events = [json.loads(line) for line in path.read_text().splitlines()]
with GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("neo4j", password)) as driver:
    driver.execute_query("CREATE CONSTRAINT peer IF NOT EXISTS FOR (d:Peer) REQUIRE d.deviceId IS UNIQUE")
    driver.execute_query("MATCH (d:Peer) DETACH DELETE d")
    driver.execute_query("CALL db.awaitIndexes(60)")
sink = Neo4jSink(host="127.0.0.1", port=port, username="neo4j", password=password, cypher_query=QUERY)
sink.setup()
began = time.perf_counter()
for start in range(0, len(events), size):
    batch = SinkBatch("events", 0)
    for place, event in enumerate(events[start : start + size], start):
        batch.append(event, b"site", 0, [], place)
    sink.write(batch)
print(json.dumps({"seconds": time.perf_counter() - began, "events": len(events)}))
