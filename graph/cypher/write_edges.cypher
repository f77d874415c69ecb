UNWIND $rows AS row
MATCH (a:Device {site: $site, deviceId: row[0]})
MATCH (b:Device {site: $site, deviceId: row[1]})
CREATE (a)-[:FEEDS {validFrom: row[2], validTo: row[3], directed: row[4], weight: row[5], properties: row[6]}]->(b)
