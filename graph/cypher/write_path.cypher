UNWIND $rows AS row
MATCH (a:Device {site: $site, deviceId: row[1]})
MATCH (b:Device {site: $site, deviceId: row[2]})
CREATE (a)-[:SPREAD {
  site: $site, faultId: row[0], place: row[3], relation: row[4], lagSeconds: row[5], probability: row[6]
}]->(b)
