UNWIND $rows AS row
MATCH (:Device {site: $site, deviceId: row[0]})-[r:FEEDS]->(:Device {site: $site, deviceId: row[1]})
WHERE r.validTo IS NULL OR row[2] IS NULL OR r.validTo >= row[2]
RETURN row[0] AS source, row[1] AS target, elementId(r) AS element, r.validFrom AS start, r.validTo AS end,
  r.directed AS directed, r.weight AS weight, r.properties AS properties
ORDER BY start
