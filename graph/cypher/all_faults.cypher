MATCH (f:Fault {site: $site}) WHERE f.faultId IS NOT NULL
RETURN f.body AS body ORDER BY f.faultId
