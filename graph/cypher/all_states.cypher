MATCH (d:Device {site: $site}) WHERE d.deviceId IS NOT NULL
OPTIONAL MATCH (d)-[:WAS]->(s:State)
RETURN d.deviceId AS id, d.seenFrom AS seenFrom, d.seenSignals AS seen, s.validFrom AS start, s.validTo AS end, s.state AS state,
  s.type AS type, s.location AS location, s.parent AS parent, s.zone AS zone, s.signals AS signals, s.properties AS properties
ORDER BY id, start
