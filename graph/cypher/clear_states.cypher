MATCH (s:State {site: $site})
WITH s LIMIT $limit
DETACH DELETE s
RETURN count(*) AS gone
