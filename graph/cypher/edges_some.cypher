UNWIND $ids AS id
MATCH (d:Device {site: $site, deviceId: id}) USING INDEX d:Device(site, deviceId)
MATCH (d)-[r:CONTAINS|FEEDS|CONTROLS|POWERS|NETWORK|AFFECTS|DEPENDS_ON]-()
WHERE r.validFrom <= $at AND (r.validTo IS NULL OR r.validTo > $at)
WITH DISTINCT r, startNode(r) AS a, endNode(r) AS b
RETURN a.deviceId AS source, b.deviceId AS target, type(r) AS relation, r.directed AS directed, r.weight AS weight,
  r.properties AS properties
ORDER BY source, target, relation LIMIT $limit
