MATCH (a:Alarm {site: $site}) WHERE a.alertId IS NOT NULL
RETURN a.body AS body, a.raisedAt AS raised ORDER BY a.alertId
