UNWIND $elements AS element
MATCH (s:State) WHERE elementId(s) = element
DETACH DELETE s
