UNWIND $rows AS row
MATCH (f:Fault {site: $site, faultId: row[0]})
MATCH (d:Device {site: $site, deviceId: row[1]})
CREATE (f)-[:BEGAN_AT {place: row[2], probability: row[3]}]->(d)
