CREATE CONSTRAINT openautoglm_projection IF NOT EXISTS FOR (p:Projection) REQUIRE p.site IS UNIQUE;
CREATE CONSTRAINT openautoglm_device IF NOT EXISTS FOR (d:Device) REQUIRE (d.site, d.deviceId) IS UNIQUE;
CREATE CONSTRAINT openautoglm_alarm IF NOT EXISTS FOR (a:Alarm) REQUIRE (a.site, a.alertId) IS UNIQUE;
CREATE CONSTRAINT openautoglm_fault IF NOT EXISTS FOR (f:Fault) REQUIRE (f.site, f.faultId) IS UNIQUE;
CREATE INDEX openautoglm_state IF NOT EXISTS FOR (s:State) ON (s.site, s.validFrom);
CREATE INDEX openautoglm_spread IF NOT EXISTS FOR ()-[s:SPREAD]-() ON (s.faultId);
CALL db.awaitIndexes(120);
