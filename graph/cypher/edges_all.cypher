MATCH (a:Device {site: $site})-[r:CONTAINS|FEEDS|CONTROLS|POWERS|NETWORK|AFFECTS|DEPENDS_ON]->(b:Device)
WHERE a.deviceId IS NOT NULL AND r.validFrom <= $at AND (r.validTo IS NULL OR r.validTo > $at)
RETURN a.deviceId AS source, b.deviceId AS target, type(r) AS relation, r.directed AS directed, r.weight AS weight,
  r.properties AS properties
ORDER BY source, target, relation LIMIT $limit
