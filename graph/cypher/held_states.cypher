UNWIND $rows AS row
MATCH (d:Device {site: $site, deviceId: row[0]}) USING INDEX d:Device(site, deviceId)
MATCH (d)-[:WAS]->(s:State)
WHERE s.validTo IS NULL OR row[1] IS NULL OR s.validTo >= row[1]
WITH row, s ORDER BY s.validFrom
RETURN collect([
  row[0], elementId(s), s.validFrom, s.validTo, s.state, s.type, s.location, s.parent, s.zone, s.signals, s.properties
]) AS held
