UNWIND $ids AS id
MATCH ()-[r:SPREAD {faultId: id}]->() WHERE r.site = $site
DELETE r
