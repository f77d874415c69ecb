MATCH (a:Alarm {site: $site})
WHERE a.alertId IS NOT NULL AND coalesce(a.raised, 0) <= $at AND (a.cleared IS NULL OR a.cleared > $at)
RETURN a.body AS body, a.raisedAt AS raised ORDER BY a.raised DESC, a.alertId LIMIT $limit
