UNWIND $rows AS row
MATCH (s:State) WHERE elementId(s) = row[0]
SET s.validTo = row[1]
