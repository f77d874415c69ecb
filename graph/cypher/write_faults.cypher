UNWIND $rows AS row
MERGE (f:Fault {site: $site, faultId: row.faultId})
SET f += row.values
