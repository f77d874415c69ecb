MATCH (d:Device)-[:WAS]->(s:State {site: $site}) WHERE $after < s.validFrom <= $until
RETURN DISTINCT d.deviceId AS id LIMIT $limit
UNION
MATCH (d:Device {site: $site}) WHERE d.deviceId IS NOT NULL AND $after < d.seenFrom <= $until
RETURN d.deviceId AS id LIMIT $limit
