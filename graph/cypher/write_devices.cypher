// On the device stands what is known of it now; what it was before hangs on it as states.
UNWIND $rows AS row
MERGE (d:Device {site: $site, deviceId: row[0]})
SET d.seenFrom = coalesce(CASE WHEN d.seenFrom <= row[1] THEN d.seenFrom ELSE row[1] END, d.seenFrom),
  d.seenSignals = row[2],
  d.state = row[3], d.type = row[4], d.location = row[5], d.parent = row[6], d.zone = row[7],
  d.signals = row[8], d.properties = row[9]
