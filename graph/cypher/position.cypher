MATCH (p:Projection {site: $site}) WHERE p.origin IS NOT NULL
RETURN p.origin AS origin, p.next AS next
