UNWIND $rows AS row
MATCH (d:Device {site: $site, deviceId: row[0]}) USING INDEX d:Device(site, deviceId)
MATCH (d)-[:WAS]->(s:State)
WHERE s.validTo IS NULL OR row[1] IS NULL OR s.validTo >= row[1]
RETURN row[0] AS id, elementId(s) AS element, s.validFrom AS start, s.validTo AS end, s.state AS state, s.type AS type,
  s.location AS location, s.parent AS parent, s.zone AS zone, s.signals AS signals, s.properties AS properties
ORDER BY start
