// Within CALL, both ends are known: a database that planned this when it was empty would look at all edges of a device.
UNWIND $rows AS row
MATCH (a) WHERE elementId(a) = row[1]
MATCH (b) WHERE elementId(b) = row[2]
CALL (row, a, b) {
  MATCH (a)-[r:FEEDS]->(b)
  WHERE r.validTo IS NULL OR row[3] IS NULL OR r.validTo >= row[3]
  RETURN r
}
WITH row, r ORDER BY r.validFrom
RETURN collect([row[0], elementId(r), r.validFrom, r.validTo, r.directed, r.weight, r.properties]) AS held
