// The hints are for a database that planned this when it was empty: it would look at all edges of a device, for each row.
UNWIND $rows AS row
MATCH (a:Device {site: $site, deviceId: row[0]}) USING INDEX a:Device(site, deviceId)
MATCH (b:Device {site: $site, deviceId: row[1]}) USING INDEX b:Device(site, deviceId)
CALL (row, a, b) {
  MATCH (a)-[r:FEEDS]->(b)
  WHERE r.validTo IS NULL OR row[2] IS NULL OR r.validTo >= row[2]
  RETURN r
}
RETURN row[0] AS source, row[1] AS target, elementId(r) AS element, r.validFrom AS start, r.validTo AS end,
  r.directed AS directed, r.weight AS weight, r.properties AS properties
ORDER BY start
