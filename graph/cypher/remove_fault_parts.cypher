UNWIND $ids AS id
MATCH (:Fault {site: $site, faultId: id})-[r:BEGAN_AT|REACHED]->()
DELETE r
