UNWIND $rows AS row
MATCH ()-[r:FEEDS]->() WHERE elementId(r) = row[0]
SET r.validTo = row[1]
