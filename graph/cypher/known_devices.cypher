UNWIND $ids AS id
MATCH (d:Device {site: $site, deviceId: id}) USING INDEX d:Device(site, deviceId)
RETURN collect([id, elementId(d)]) AS nodes
