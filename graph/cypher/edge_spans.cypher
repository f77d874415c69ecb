UNWIND $keys AS key
MATCH (:Device {site: $site, deviceId: key[0]})-[r]->(:Device {site: $site, deviceId: key[1]}) WHERE type(r) = key[2]
RETURN key[0] AS source, key[1] AS target, key[2] AS relation, r.validFrom AS start, r.validTo AS end,
  r.directed AS directed, r.weight AS weight, r.properties AS properties
ORDER BY start
