MATCH (d:Device {site: $site}) WHERE d.deviceId IS NOT NULL
WITH d LIMIT $limit
DETACH DELETE d
RETURN count(*) AS gone
