MATCH (d:Device {site: $site})-[r]->() WHERE d.deviceId IS NOT NULL AND NOT r:WAS
WITH r LIMIT $limit
DELETE r
RETURN count(*) AS gone
