UNWIND $keys AS key
MATCH (a:Device {site: $site, deviceId: key[0]}) USING INDEX a:Device(site, deviceId)
MATCH (b:Device {site: $site, deviceId: key[1]}) USING INDEX b:Device(site, deviceId)
WITH key, a, b
MATCH (a)-[r]->(b) WHERE type(r) = key[2]
RETURN key[0] AS source, key[1] AS target, key[2] AS relation, r.validFrom AS start, r.validTo AS end,
  r.directed AS directed, r.weight AS weight, r.properties AS properties
ORDER BY start
