UNWIND $ids AS id
MATCH (d:Device {site: $site, deviceId: id}) USING INDEX d:Device(site, deviceId)
OPTIONAL MATCH (d)-[:WAS]->(s:State) WHERE s.validFrom <= $at AND (s.validTo IS NULL OR s.validTo > $at)
WITH d, s
WHERE s IS NOT NULL OR d.seenFrom <= $at
  OR EXISTS { (d)-[r:CONTAINS|FEEDS|CONTROLS|POWERS|NETWORK|AFFECTS|DEPENDS_ON]-() WHERE r.validFrom <= $at AND (r.validTo IS NULL OR r.validTo > $at) }
RETURN d.deviceId AS id, d.seenSignals AS seen, s.state AS state, s.type AS type, s.location AS location, s.parent AS parent,
  s.zone AS zone, s.signals AS signals, s.properties AS properties
ORDER BY id LIMIT $limit
