MATCH (n:Alarm|Fault) WHERE n.site = $site
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS gone
