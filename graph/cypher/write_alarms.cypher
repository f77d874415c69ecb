UNWIND $rows AS row
MERGE (a:Alarm {site: $site, alertId: row.alertId})
SET a += row.values,
  a.raisedAt = coalesce(row.raisedAt, a.raisedAt), a.raised = coalesce(row.raised, a.raised)
WITH a, row
MATCH (d:Device {site: $site, deviceId: row.values.deviceId})
MERGE (a)-[:CONCERNS]->(d)
