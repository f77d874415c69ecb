MATCH (f:Fault {site: $site, faultId: $id})
RETURN f.body AS body
