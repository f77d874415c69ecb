UNWIND $rows AS row
MATCH (a) WHERE elementId(a) = row[0]
MATCH (b) WHERE elementId(b) = row[1]
CREATE (a)-[:FEEDS {validFrom: row[2], validTo: row[3], directed: row[4], weight: row[5], properties: row[6]}]->(b)
