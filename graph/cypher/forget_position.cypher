MATCH (p:Projection {site: $site})
REMOVE p.origin, p.next
