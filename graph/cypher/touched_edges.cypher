MATCH (a:Device {site: $site})-[r:CONTAINS|FEEDS|CONTROLS|POWERS|NETWORK|AFFECTS|DEPENDS_ON]->(b:Device)
WHERE a.deviceId IS NOT NULL AND ($after < r.validFrom <= $until OR $after < r.validTo <= $until)
RETURN DISTINCT a.deviceId AS source, b.deviceId AS target, type(r) AS relation LIMIT $limit
